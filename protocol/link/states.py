"""States and events of a link: permitted transitions and messages per state (SPEC §6.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum
from typing import ClassVar, Final, Protocol, get_args

from msgspec import Struct

from protocol.errors import LocalMisuse, Unexpected
from protocol.keys import Secret, X25519Pair
from protocol.link.framing import FrameReader
from protocol.messages import (
    Accept,
    Addition,
    Commit,
    Confirm,
    Consent,
    LinkState,
    Message,
    NewTerminal,
    Open,
    Record,
    Reveal,
    SharedPairing,
)
from protocol.redacting import Redacted, Redacting


class Role(IntEnum):
    """Role of an endpoint; the value is the role byte of pairing (SPEC §7.4)."""

    INITIATOR = 0
    RESPONDER = 1


class Ending(StrEnum):
    """Why a link ended. The first five are the reasons of Close in their order (SPEC §6.7)."""

    DONE = "done"
    REPLACED = "replaced"
    LOCKED = "locked"
    REFUSED = "refused"
    TWICE = "twice"
    CUT = "cut"
    DEADLINE = "deadline"
    DEAD = "dead"
    AGED = "aged"
    VERSION = "version"
    NOT_PARLOUR = "not parlour"
    ERROR = "error"


CLOSE_REASONS = (Ending.DONE, Ending.REPLACED, Ending.LOCKED, Ending.REFUSED, Ending.TWICE)
"""Endings by their number in Close."""


class LinkSecret(Secret):
    """S of SPEC §8: the secret of one link, from which session and pairing root derive."""


class ContactPsk(Redacting, frozen=True):
    """A psk of two persons (32 bytes), and the names of both shares (16 bytes) as this side sees them."""

    psk: Redacted[bytes]
    own: bytes
    theirs: bytes


class InvitationKeys(Redacting, frozen=True):
    """The part of an open invitation that a responder needs: id, psk (32 bytes) and one-time static pair."""

    id: Redacted[bytes]
    psk: Redacted[bytes]
    static: X25519Pair


@dataclass(frozen=True, slots=True)
class PairingFacts:
    """Everything that a handshake agreed on, in the order in which pairing hashes it (SPEC §7.4), and S.

    Sizes in bytes: handshake hash 64, shares and ratchet key 32, KEM key 1184, KEM ciphertext 1088. `own` is
    this end's static pair in the handshake, `peer` the other end's static key (32 bytes).
    """

    handshake_hash: bytes
    share_initiator: bytes = field(repr=False)
    share_responder: bytes = field(repr=False)
    kem_key: bytes = field(repr=False)
    kem_ciphertext: bytes = field(repr=False)
    ratchet_key: bytes
    secret: LinkSecret
    own: X25519Pair = field(compare=False)
    peer: bytes = field(compare=False)


class HandshakeAuthenticated(Redacting, frozen=True):
    """A joiner proved that it holds an invitation's secret. The link reads nothing more until `resume`.

    `static` is the joiner's one-time key (32 bytes). Once it has burned the invitation, no other key may.
    """

    static: bytes
    invitation: Redacted[bytes]


class LinkOpen(Redacting, frozen=True):
    """The link is confirmed and may carry messages.

    `session_id` has 16 bytes, `peer_static` 32. `person` (32 bytes) and `contact_psk` are set for contacts,
    `pairing` for the two pairing patterns, `invitation` for the responder of a pairing by invitation.
    `replaces` is the session id of the link that this one replaces, or empty.
    """

    session_id: bytes
    role: Role
    pattern: int
    peer_static: bytes
    person: bytes | None = None
    contact_psk: ContactPsk | None = None
    replaces: bytes = b""
    invitation: Redacted[bytes | None] = None
    pairing: PairingFacts | None = None


class OpenLink(Protocol):
    """What decides between two open links with one terminal (SPEC §6.5).

    `session`: its id, 16 bytes. `began`: this end is its initiator. `replaces`: as in LinkOpen.
    """

    @property
    def session(self) -> bytes: ...
    @property
    def began(self) -> bool: ...
    @property
    def replaces(self) -> bytes: ...


def closes(working: OpenLink, other: OpenLink, *, other_is_older: bool, outranks: bool) -> bool:
    """Whether this end closes `other`, now that the Pong asked for has come on `working` (SPEC §6.5).

    `other_is_older`: it became OPEN here first. `outranks`: this end's static key is the higher one.
    """
    if working.replaces == other.session:
        return working.began
    if other.replaces == working.session or not other.began:
        return False
    return other_is_older if working.began else outranks


class MessageReceived(Struct, frozen=True):
    """A message of the peer, except the link's own ones (Confirm, Ping, Pong, Close, Features)."""

    message: Message


class MessagePassedOver(Struct, frozen=True):
    """A message of a number that this version does not know; it is not answered (SPEC §5.2)."""

    number: int


class PingAnswered(Struct, frozen=True):
    """The peer answered our ping of this number."""

    number: int


class VersionRefused(Struct, frozen=True):
    """The peer speaks versions `minimum` to `maximum`. Not authenticated, so only to be displayed."""

    minimum: int
    maximum: int


class NotParlour(Struct, frozen=True):
    """The peer sent no greeting of this protocol."""


class LinkClosed(Struct, frozen=True):
    """The last event of a link, which occurs exactly once.

    `clean`: after an authenticated Close of either side. `error_class`: of SPEC §15, if the peer broke the
    protocol.
    """

    reason: Ending = Ending.CUT
    error_class: str | None = None
    clean: bool = False


Event = (HandshakeAuthenticated | LinkOpen | MessageReceived | MessagePassedOver | PingAnswered) | (
    VersionRefused | NotParlour | LinkClosed
)


class State(Enum):
    """State of a link. Only responders have HELD and CONFIRMING."""

    GREETING = "greeting"
    HANDSHAKE = "handshake"
    HELD = "held"
    CONFIRMING = "confirming"
    OPEN = "open"
    CLOSED = "closed"


FOLLOWS: Final[Mapping[tuple[Role, State], frozenset[State]]] = {
    (Role.INITIATOR, State.GREETING): frozenset({State.HANDSHAKE, State.CLOSED}),
    (Role.INITIATOR, State.HANDSHAKE): frozenset({State.OPEN, State.CLOSED}),
    (Role.INITIATOR, State.OPEN): frozenset({State.CLOSED}),
    (Role.RESPONDER, State.GREETING): frozenset({State.HANDSHAKE, State.CONFIRMING, State.CLOSED}),
    (Role.RESPONDER, State.HANDSHAKE): frozenset({State.HELD, State.CONFIRMING, State.CLOSED}),
    (Role.RESPONDER, State.HELD): frozenset({State.CONFIRMING, State.CLOSED}),
    (Role.RESPONDER, State.CONFIRMING): frozenset({State.OPEN, State.CLOSED}),
    (Role.RESPONDER, State.OPEN): frozenset({State.CLOSED}),
}
"""Permitted transitions. CLOSED is final."""

MESSAGES: Final[Mapping[State, frozenset[type[Message]]]] = {
    State.GREETING: frozenset(),
    State.HANDSHAKE: frozenset(),
    State.HELD: frozenset(),
    State.CONFIRMING: frozenset({Confirm}),
    State.OPEN: frozenset(get_args(Message)) - {Confirm},
    State.CLOSED: frozenset(),
}
"""Messages that a peer may send in a state."""

PAIRING_MESSAGES: Final[frozenset[type[Message]]] = frozenset(
    {Commit, Reveal, Open, Record, Accept, NewTerminal, SharedPairing, LinkState, Addition, Consent}
)
"""Messages of a pairing or a linking, which are not allowed on a link with a contact."""


def check_follows(role: Role, state: State, following: State) -> None:
    """LocalMisuse unless FOLLOWS has this transition."""
    if following not in FOLLOWS.get((role, state), frozenset()):
        raise LocalMisuse(f"no link of the {role.name.lower()} goes from {state.value} to {following.value}")


def check_message(state: State, kind: type[Message]) -> None:
    """Unexpected unless MESSAGES has this message for the state."""
    if kind not in MESSAGES[state]:
        raise Unexpected(f"{kind.__name__} while {state.value}")


Unit = bytes | memoryview
"""What a state reads at once. A view is valid until more is fed."""


class Phase:
    """A link in one state, with the fields of that state only. By default nothing is read or sent."""

    __slots__ = ()
    state: ClassVar[State]

    def take(self, reader: FrameReader) -> Unit | None:
        """The next unit that this state reads, or None until all of it has arrived."""
        return None

    def accept(self, unit: Unit, now: float, out: list[bytes], events: list[Event]) -> Phase:
        """Process a unit. Appends bytes to send and events, and returns the next phase or itself."""
        raise LocalMisuse(f"nothing is read while {self.state.value}")

    def next_timer(self, lead: float, patience: float) -> float | None:
        """Time of the next call of `overdue` or `handle_timer`."""
        return None

    def overdue(self, now: float) -> Ending | None:
        """Why the link must end now, checked before anything is read; None if it need not."""
        return None

    def handle_timer(self, now: float, out: list[bytes]) -> Ending | None:
        """Act on elapsed time. Returns why the link ends, if it does."""
        return None

    def erase(self) -> None:
        """Wipe the secrets of this state when the link ends."""


class Closed(Phase):
    """The final phase."""

    __slots__ = ()
    state: ClassVar[State] = State.CLOSED
