"""The records that two persons exchange in a pairing, and the tag over both (SPEC §7.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from protocol import labels, primitives
from protocol.codec import encode
from protocol.errors import AuthenticationFailed, LimitExceeded, Malformed, Untrusted
from protocol.identity.exchange import extend, in_messages
from protocol.identity.log import Genesis, Renew, parse_operation
from protocol.identity.reduction import PersonState, Pins
from protocol.keys import X25519Pair
from protocol.limits import LOG_HELD_MAX
from protocol.link.states import PairingFacts, Role
from protocol.messages import LogOperations, Record, SharedDrawn
from protocol.pairing.contact_secret import Share, own_share
from protocol.pairing.invitation import invitation_check
from protocol.primitives import KEY_SIZE, SIGNATURE_SIZE
from protocol.redacting import Redacted, Redacting

HeldOperations = Callable[[bytes], Iterable[bytes]]
"""held(person): the operations held of a known person; none for a stranger."""


class Transcript(Redacting, frozen=True):
    """The transcript hash `t` and the pairing root of a pairing link, 32 bytes each, and our role.

    `t` and the role bind records to this link and this side. `own` is this end's one-time static pair,
    `their` the peer's one-time static key (32 bytes), which the handshake has proven.
    """

    role: Role
    t: bytes
    root: Redacted[bytes]
    own: X25519Pair
    their: bytes

    @classmethod
    def of(cls, facts: PairingFacts, role: Role) -> Self:
        agreed = facts.handshake_hash + facts.share_initiator + facts.share_responder
        agreed += facts.kem_key + facts.kem_ciphertext + facts.ratchet_key
        t = primitives.b2b(agreed, personal=labels.PAIRING_TRANSCRIPT)
        root = primitives.b2b(t, personal=labels.PAIRING_ROOT, key=facts.secret.reveal())
        return cls(role, t, root, facts.own, facts.peer)

    @property
    def peer(self) -> Role:
        return Role(1 - self.role)


class Identity(Redacting, frozen=True):
    """What this person reveals in a pairing: its log, the terminal, and a share from a drawn secret."""

    operations: tuple[bytes, ...]
    terminal: bytes
    signing_seed: Redacted[bytes]
    static: X25519Pair
    drawn: SharedDrawn


class PendingContact(Redacting, frozen=True):
    """Everything to store of a new contact.

    `operations` are to be added to those held of the person, in causal order; `state` includes both, and
    `recoveries` are the ids of those in force by the record alone. `root` is the pairing root (32 bytes),
    `theirs` is the contact's first share, and `own` the operation (id) of which the own one is.
    """

    state: PersonState
    operations: tuple[bytes, ...]
    terminal: bytes
    root: Redacted[bytes]
    own: bytes
    theirs: Share
    recoveries: tuple[bytes, ...]

    @property
    def person(self) -> bytes:
        return self.state.person

    @property
    def static(self) -> bytes:
        """The static key, 32 bytes, that the contact's terminal has proven to hold."""
        return self.state.live[self.terminal].static

    @property
    def name(self) -> str:
        """The name that the contact chose: text of a peer."""
        return self.state.name


def make_record(identity: Identity, transcript: Transcript) -> Record:
    """This person's record for this link, proven and signed by its terminal. `cut` makes it ready to send."""
    share = own_share(transcript.root, identity.drawn)
    bare = Record(
        list(identity.operations),
        identity.terminal,
        share.operation,
        share.share,
        bytes(KEY_SIZE),
        bytes(SIGNATURE_SIZE),
    )
    shared = identity.static.dh(transcript.their)
    proven = replace(bare, proof=_proof(shared, transcript.role, transcript.t, bare))
    signed = _signed_text(proven, transcript.role, transcript.t)
    return replace(proven, signature=primitives.ed25519_sign(identity.signing_seed, signed))


def cut(record: Record) -> tuple[LogOperations | Record, ...]:
    """The messages that bring a record: of a log that is too long for one, the beginning goes before it."""
    *before, rest = in_messages(record.operations)
    return *before, replace(record, operations=rest.operations)


def joined(before: Sequence[bytes], message: LogOperations | Record) -> list[bytes]:
    """The operations so far, those of this message included. LimitExceeded beyond LOG_HELD_MAX (V-RC-11)."""
    if len(before) + len(message.operations) > LOG_HELD_MAX:
        raise LimitExceeded("a record of more operations than are read")
    return [*before, *message.operations]


def _core(record: Record) -> bytes:
    bare = replace(record, proof=bytes(KEY_SIZE), signature=bytes(SIGNATURE_SIZE))
    return primitives.b2b(encode(bare), personal=labels.RECORD_CORE)


def _proof(shared: bytes, role: Role, t: bytes, record: Record) -> bytes:
    # A part that is left out is an attack: without the core, a proof serves another person's record on the
    # same link; without t, one of another link where a one-time key is used again.
    return primitives.b2b(bytes([role]) + t + _core(record), personal=labels.RECORD_PROOF, key=shared)


def _signed_text(record: Record, role: Role, t: bytes) -> bytes:
    return labels.SIGN_RECORD + bytes([role]) + t + _core(record) + record.proof


def accept_tag(root: bytes, t: bytes, role: Role, own: Record, other: Record) -> bytes:
    """The tag, 32 bytes, with which the side of `role` confirms both records, its own first.

    `root` is the pairing root, `t` the transcript hash, 32 bytes each.
    """
    hashes = b"".join(primitives.b2b(encode(record), personal=labels.RECORD) for record in (own, other))
    return primitives.b2b(bytes([role]) + t + hashes, personal=labels.PAIRING_ACCEPT, key=root)


class RecordRules(Struct, frozen=True):
    """Requirements on the peer's record.

    `person` is this person, `keys` are the public keys of this terminal, signing and static. `check`
    (32 bytes) is from the invitation that we used, `name` was displayed while words were compared; both are
    empty if not applicable.
    """

    person: bytes
    keys: frozenset[bytes]
    held: HeldOperations
    check: bytes = b""
    name: str = ""


def check_record(record: Record, transcript: Transcript, own: bytes, rules: RecordRules) -> PendingContact:
    """The new contact of the peer's record, after every check of it. `own`: as in PendingContact.

    Errors: Malformed, LimitExceeded, AuthenticationFailed (a signature or the proof), Untrusted (our own
    person, a terminal that is not live or has a key of ours, not the invitation's or the displayed person).
    """
    alone = extend((), record.operations).state
    if alone.person == rules.person:
        raise Untrusted("this is our own person")
    if not alone.name or rules.name not in ("", alone.name):
        raise Untrusted("another name than the one that was shown")
    # A known person may show an old log, so its record is checked together with the operations held.
    held = tuple(rules.held(alone.person))
    # The peer acts on its own recoveries; whether its person confirms them is decided later.
    pins = Pins(confirmed=frozenset(alone.path))
    together = extend(held, record.operations, pins)
    state = together.state
    terminal = state.live.get(record.terminal)
    if terminal is None:
        raise Untrusted("the terminal is not live in its person's log")
    if not rules.keys.isdisjoint((terminal.signing, terminal.static)):
        raise Untrusted("a terminal with a key of our own")
    signed = _signed_text(record, transcript.peer, transcript.t)
    primitives.ed25519_verify(terminal.signing, signed, record.signature)
    if rules.check and rules.check != invitation_check(state.person, terminal.static):
        raise Untrusted("not who made the invitation")
    draws = (one.operation for one in map(parse_operation, (*held, *together.new)) if one.id == record.drawn)
    if not isinstance(next(draws, None), Genesis | Renew):
        raise Malformed("a share of no operation that draws")
    proof = _proof(transcript.own.dh(terminal.static), transcript.peer, transcript.t, record)
    if not primitives.equal(proof, record.proof):
        raise AuthenticationFailed("no proof of the terminal's static key")
    theirs = Share(record.drawn, record.share)
    root = transcript.root
    return PendingContact(state, together.new, terminal.id, root, own, theirs, alone.path)
