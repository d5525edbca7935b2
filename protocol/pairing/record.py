"""The records that two persons exchange when they pair, and the tag over both (SPEC §7.4).

Rules: a record is bound to its link and its side by `t` and the role; it is checked whole before anything of
it is handed out; what it says of a person already known is judged together with what is held of that person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from msgspec.structs import replace

from protocol import labels, primitives
from protocol.codec import check_ascending, encode
from protocol.errors import Malformed, Untrusted
from protocol.identity.log import parse_operation
from protocol.identity.reduction import Foreign, PersonState, Terminal, extend, share_is_stale
from protocol.link.states import PairingFacts, Role
from protocol.messages import Record
from protocol.pairing.contact_secret import Share
from protocol.pairing.invitation import invitation_check
from protocol.primitives import SIGNATURE_SIZE

Held = Callable[[bytes], Iterable[bytes]]
"""held(person): the operations held of a person already known; none for a stranger."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What both ends of a pairing link agreed on: `t` and the pairing root, 32 bytes each, and our role."""

    role: Role
    t: bytes
    root: bytes = field(repr=False)

    @classmethod
    def of(cls, facts: PairingFacts, role: Role) -> Self:
        """From what the link's handshake gave."""
        agreed = (
            facts.handshake_hash,
            facts.share_initiator,
            facts.share_responder,
            facts.kem_key,
            facts.kem_ciphertext,
            facts.ratchet_key,
        )
        t = primitives.b2b(b"".join(agreed), personal=labels.PAIRING_TRANSCRIPT)
        root = primitives.b2b(t, personal=labels.PAIRING_ROOT, key=facts.secret.reveal())
        return cls(role, t, root)

    @property
    def peer(self) -> Role:
        """The other side's role."""
        return Role(1 - self.role)


@dataclass(frozen=True, slots=True)
class Identity:
    """This person as it shows itself: its log, the terminal that pairs, a fresh share under its heads."""

    operations: tuple[bytes, ...]
    terminal: bytes
    signing_seed: bytes = field(repr=False)
    share: Share


@dataclass(frozen=True, slots=True)
class PendingContact:
    """All that is to be stored of somebody just paired with.

    `operations` are those to add to what is held of the person, in causal order; `state` is what comes of
    both. `root` is the pairing root (32 bytes); `own` and `theirs` the first shares of the contact secret.
    """

    state: PersonState
    operations: tuple[bytes, ...]
    terminal: bytes
    root: bytes = field(repr=False)
    own: Share
    theirs: Share

    @property
    def person(self) -> bytes:
        """The person id."""
        return self.state.person

    @property
    def name(self) -> str:
        """The name that the person chose: peer text."""
        return self.state.name


def make_record(identity: Identity, transcript: Transcript) -> Record:
    """Our record on this link, signed by the terminal."""
    share = identity.share
    unsigned = Record(
        list(identity.operations),
        identity.terminal,
        share.number,
        share.share,
        sorted(share.heads),
        bytes(SIGNATURE_SIZE),
    )
    signed = _signed_text(unsigned, transcript.role, transcript.t)
    return replace(unsigned, signature=primitives.ed25519_sign(identity.signing_seed, signed))


def _signed_text(record: Record, role: Role, t: bytes) -> bytes:
    core = encode(replace(record, signature=bytes(SIGNATURE_SIZE)))
    digest = primitives.b2b(core, personal=labels.RECORD_CORE)
    return labels.SIGN_RECORD + bytes([role]) + t + digest


def accept_tag(transcript: Transcript, role: Role, own: Record, other: Record) -> bytes:
    """The tag, 32 bytes, by which the side of `role` says that it holds both records, its own first."""
    hashes = b"".join(primitives.b2b(encode(record), personal=labels.RECORD) for record in (own, other))
    data = bytes([role]) + transcript.t + hashes
    return primitives.b2b(data, personal=labels.PAIRING_ACCEPT, key=transcript.root)


@dataclass(frozen=True, slots=True)
class RecordRules:
    """What the other side's record is measured by.

    `foreign`: whether a key is another person's. `check` (32 bytes): the invitation that we joined by, else
    empty. `name`: the name shown while words were compared, else empty.
    """

    person: bytes
    foreign: Foreign
    held: Held
    check: bytes = b""
    name: str = ""


def check_record(record: Record, transcript: Transcript, own: Share, rules: RecordRules) -> PendingContact:
    """The contact that the other side's record makes.

    Errors: Malformed, LimitExceeded, AuthenticationFailed (a signature), Untrusted (ourselves, a terminal
    that is not live, another person's key, a forked log, not whom invitation or shown name promised).
    """
    alone = extend((), record.operations).state
    if alone.person == rules.person:
        raise Untrusted("this is our own person")
    if not alone.name or rules.name not in ("", alone.name):
        raise Untrusted("another name than the one that was shown")
    held = tuple(rules.held(alone.person))
    together = extend(held, record.operations, rules.foreign)
    terminal = _check_terminal(record, transcript, together.state)
    _check_promises(rules, together.state, terminal)
    _check_share(record, (*held, *together.new))
    return PendingContact(
        together.state,
        together.new,
        terminal.id,
        transcript.root,
        own,
        Share(record.number, record.share, tuple(record.heads)),
    )


def _check_terminal(record: Record, transcript: Transcript, state: PersonState) -> Terminal:
    terminal = state.live.get(record.terminal)
    if terminal is None:
        raise Untrusted("the terminal is not live in its person's log")
    signed = _signed_text(record, transcript.peer, transcript.t)
    primitives.ed25519_verify(terminal.signing, signed, record.signature)
    return terminal


def _check_promises(rules: RecordRules, state: PersonState, terminal: Terminal) -> None:
    if state.forks:
        raise Untrusted("the log has an open fork")
    if rules.check and rules.check != invitation_check(state.person, terminal.static):
        raise Untrusted("not who made the invitation")


def _check_share(record: Record, operations: Sequence[bytes]) -> None:
    check_ascending(record.heads)
    known = {parse_operation(signed).id for signed in operations}
    if record.number == 0 or not record.heads or not known.issuperset(record.heads):
        raise Malformed("a share without a number, or under heads that are not of its owner's log")
    if share_is_stale(operations, record.heads):
        raise Untrusted("a share from before a removal")
