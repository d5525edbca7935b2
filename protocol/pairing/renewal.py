"""Shares that a removal renews (SPEC §7.6): drawing, measuring and taking them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from msgspec.structs import replace

from protocol import labels, primitives
from protocol.codec import check_ascending, encode
from protocol.errors import Untrusted
from protocol.identity import log
from protocol.identity.drawing import share_name
from protocol.identity.reduction import NO_PINS, Pins, Reduction
from protocol.messages import RenewedShare, SharedDrawing
from protocol.primitives import KEY_SIZE, SIGNATURE_SIZE, Random
from protocol.redacting import Redacted, Redacting


class Drawn(Redacting, frozen=True):
    """A share (32 bytes), the heads of its person's log then, and the terminal that drew it.

    `terminal` and `signature` are empty where nobody has signed it: the first ones are not signed.
    """

    secret: Redacted[bytes]
    heads: tuple[bytes, ...]
    terminal: bytes = b""
    signature: bytes = b""


def drawings(one: Drawn) -> list[SharedDrawing]:
    """Who drew it, as own terminals share it; empty for a first one."""
    return [SharedDrawing(one.terminal, one.signature)] if one.signature else []


def signed(drawn: Sequence[SharedDrawing]) -> tuple[bytes, bytes]:
    """The terminal and the signature of `drawings`, both empty for a first one."""
    return (drawn[0].terminal, drawn[0].signature) if drawn else (b"", b"")


Order = tuple[int, bool, int, bytes]


class Taken(Enum):
    """What a receiver does with a renewal."""

    NEWER = "newer"
    WAITS = "waits"
    PASSED_OVER = "passed over"


def pairing_id(root: bytes) -> bytes:
    """What names a pairing root in a renewal: 32 bytes that do not tell the root."""
    return primitives.b2b(b"", personal=labels.PAIRING_ID, key=root)


def sign_renewal(person: bytes, bare: RenewedShare, seed: bytes) -> RenewedShare:
    """The renewal with the signature of its terminal, whose signing seed (32 bytes) this is."""
    signature = primitives.ed25519_sign(seed, _signed_text(person, bare))
    return replace(bare, signature=signature)


def draw_share(
    person: bytes,
    contact: bytes,
    root: bytes,
    heads: Iterable[bytes],
    terminal: bytes,
    seed: bytes,
    random: Random,
) -> Drawn:
    """A new share of a person in the pairing with this root, under these heads of its log."""
    share, unsigned = random(KEY_SIZE), bytes(SIGNATURE_SIZE)
    bare = RenewedShare(person, contact, pairing_id(root), share, sorted(heads), terminal, unsigned)
    return drawn_in(sign_renewal(person, bare, seed))


def drawn_in(message: RenewedShare) -> Drawn:
    """What a message says of a share."""
    return Drawn(message.share, tuple(message.heads), message.terminal, message.signature)


def share_message(person: bytes, contact: bytes, root: bytes, drawn: Drawn) -> RenewedShare | None:
    """The message that hands a share on, None for one that nobody has signed."""
    if not drawn.signature:
        return None
    heads = sorted(drawn.heads)
    return RenewedShare(
        person, contact, pairing_id(root), drawn.secret, heads, drawn.terminal, drawn.signature
    )


def check_persons(message: RenewedShare, own: bytes, peer: bytes) -> None:
    """Untrusted unless a share is of the two persons of the link; an own terminal may name any (V-RS-02)."""
    own_terminals = own == peer and own in (message.person, message.contact)
    if message.person == message.contact or not (
        own_terminals or {message.person, message.contact} == {own, peer}
    ):
        raise Untrusted("a share of others than the two persons of the link")


class Measure:
    """Measures by a person's log what the person's terminals drew. Errors as in `load`.

    `heads` are those under which the next one is drawn, `senior` the id of the most senior live terminal.
    """

    def __init__(self, operations: Iterable[bytes], pins: Pins = NO_PINS) -> None:
        reduction = Reduction(log.load(operations), pins)
        self._graph = graph = reduction.graph
        self.person = graph.order[0].id
        removals = sum(1 << index for index in {one for found in graph.removals.values() for one, _ in found})
        self._removals = removals & reduction.context & reduction.kept
        self.heads = reduction.heads()
        self._signing = {one.id: one.signing for one in reduction.terminals().values()}
        self._places = {one: place for place, one in enumerate(self._signing)}
        self._live = reduction.state().live.keys()
        self.senior = next(iter(self._live), b"")

    def covers(self, heads: Iterable[bytes]) -> int:
        """How many removals that stand are among these operations and their ancestors."""
        seen = 0
        for head in heads:
            seen |= self._graph.upto(head)
        return (seen & self._removals).bit_count()

    def is_stale(self, heads: Iterable[bytes]) -> bool:
        """Whether a removal that stands was not known when something was drawn under these heads.

        It is False as well where the heads that can be named now know no more removals.
        """
        return self.covers(heads) < self.covers(self.heads)

    def order(self, drawn: Drawn) -> Order:
        """The newest of several is the one with the highest order (SPEC §7.6)."""
        unsigned = not drawn.terminal
        place = self._places.get(drawn.terminal, len(self._places))
        live = unsigned or drawn.terminal in self._live
        # The name decides only between two that one terminal drew under the same removals.
        return self.covers(drawn.heads), live, -place, share_name(drawn.secret)

    def take(self, message: RenewedShare, held: Sequence[Drawn]) -> Taken:
        """What to do with a renewal; `held` are those that it would renew, the newest first.

        Errors: Malformed (V-RS-01), AuthenticationFailed (V-RS-03).
        """
        check_ascending(message.heads)
        drawn = drawn_in(message)
        if any(head not in self._graph.position for head in drawn.heads):
            return Taken.WAITS
        # Who was removed draws nothing any more. What others pass on in good faith ends no link.
        if drawn.terminal not in self._live:
            return Taken.PASSED_OVER
        signed = _signed_text(self.person, message)
        primitives.ed25519_verify(self._signing[drawn.terminal], signed, drawn.signature)
        newer = bool(held) and self.order(drawn) > self.order(held[0])
        return Taken.NEWER if newer else Taken.PASSED_OVER


def _signed_text(person: bytes, message: RenewedShare) -> bytes:
    bare = replace(message, signature=bytes(SIGNATURE_SIZE))
    return labels.SIGN_RENEWAL + person + encode(bare)
