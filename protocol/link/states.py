"""The states of a link, what may follow each and what a peer may send in it (SPEC §6.4): tables, no logic.

Rules: whatever these tables do not list is refused; the diagram of the SPEC shows the same.
A phase is the object that a link is in one state: it holds the fields of that state and no others.

What a link tells whoever drives it (SPEC §6.4): frozen, in the order in which it happened.

Rules: an event holds values, never a part of the link. LinkClosed comes exactly once, and last.
Secrets in events do not show in their text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum
from typing import ClassVar, Final, Protocol, get_args

from protocol.errors import LocalMisuse, Unexpected
from protocol.keys import Secret
from protocol.link.framing import FrameReader
from protocol.messages import Accept, Commit, Confirm, Message, Open, Record, Reveal


class Role(IntEnum):
    """Who began the link; the value is the role byte of pairing (SPEC §7.4)."""

    INITIATOR = 0
    RESPONDER = 1


class Ending(StrEnum):
    """Why a link ended. The first four are the reasons of Close, in their order (SPEC §6.7)."""

    DONE = "done"
    REPLACED = "replaced"
    LOCKED = "locked"
    REFUSED = "refused"
    CUT = "cut"
    DEADLINE = "deadline"
    DEAD = "dead"
    AGED = "aged"
    VERSION = "version"
    NOT_PARLOUR = "not parlour"
    ERROR = "error"


CLOSE_REASONS = (Ending.DONE, Ending.REPLACED, Ending.LOCKED, Ending.REFUSED)
"""The ending that a number in Close means."""


class LinkSecret(Secret):
    """S of SPEC §8: the secret of one link, from which session and pairing root come."""


@dataclass(frozen=True, slots=True)
class ContactPsk:
    """A psk of two persons (32 bytes) and the numbers of the shares it comes from, as this side sees them."""

    psk: bytes = field(repr=False)
    own: int
    theirs: int


@dataclass(frozen=True, slots=True)
class PairingFacts:
    """All that a handshake agreed on, in the order in which pairing hashes it (SPEC §7.4), and S.

    Sizes in bytes: handshake hash 64, shares and ratchet key 32, KEM key 1184, KEM ciphertext 1088.
    """

    handshake_hash: bytes
    share_initiator: bytes = field(repr=False)
    share_responder: bytes = field(repr=False)
    kem_key: bytes = field(repr=False)
    kem_ciphertext: bytes = field(repr=False)
    ratchet_key: bytes
    secret: LinkSecret


@dataclass(frozen=True, slots=True)
class HandshakeAuthenticated:
    """A joiner proved to hold an invitation's secret; the link reads nothing more until `resume`.

    `static` is the joiner's one-time static key (32 bytes): once burned, only it may finish the invitation.
    """

    static: bytes
    invitation: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LinkOpen:
    """The link is confirmed and may carry messages.

    `session_id` 16 bytes; `peer_static` 32 bytes. `person` (32 bytes) and `contact_psk` are set for contacts,
    `pairing` for the two patterns of pairing, `invitation` for the responder of a pairing by invitation.
    `replaces` is the session id of the link that this one replaces, or empty.
    """

    session_id: bytes
    role: Role
    pattern: int
    peer_static: bytes
    person: bytes | None = None
    contact_psk: ContactPsk | None = None
    replaces: bytes = b""
    invitation: bytes | None = field(default=None, repr=False)
    pairing: PairingFacts | None = None


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A message of the peer, any but the link's own (Confirm, Ping, Pong, Close)."""

    message: Message


@dataclass(frozen=True, slots=True)
class PingAnswered:
    """The peer answered our ping of this number."""

    number: int


@dataclass(frozen=True, slots=True)
class VersionRefused:
    """No common version; the other side speaks `minimum` to `maximum`. Not authenticated, only shown."""

    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class NotParlour:
    """What answers does not greet as Parlour does."""


@dataclass(frozen=True, slots=True)
class LinkClosed:
    """The link is over. `clean`: by an authenticated Close, the peer's or our own.

    `error_class` names one of the five classes of SPEC §15 where the peer broke the protocol.
    """

    reason: Ending = Ending.CUT
    error_class: str | None = None
    clean: bool = False


Event = (
    HandshakeAuthenticated
    | LinkOpen
    | MessageReceived
    | PingAnswered
    | VersionRefused
    | NotParlour
    | LinkClosed
)


class State(Enum):
    """Where a link stands. HELD and CONFIRMING are the responder's alone."""

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
"""The states that may follow a state; CLOSED is the end."""

MESSAGES: Final[Mapping[State, frozenset[type[Message]]]] = {
    State.GREETING: frozenset(),
    State.HANDSHAKE: frozenset(),
    State.HELD: frozenset(),
    State.CONFIRMING: frozenset({Confirm}),
    State.OPEN: frozenset(get_args(Message)) - {Confirm},
    State.CLOSED: frozenset(),
}
"""The messages that a peer may send in a state."""

PAIRING_MESSAGES: Final[frozenset[type[Message]]] = frozenset({Commit, Reveal, Open, Record, Accept})
"""The messages that have no place on a contact's link."""


def check_follows(role: Role, state: State, following: State) -> None:
    """LocalMisuse unless the table has this step."""
    if following not in FOLLOWS.get((role, state), frozenset()):
        raise LocalMisuse(f"no link of the {role.name.lower()} goes from {state.value} to {following.value}")


def check_message(state: State, kind: type[Message]) -> None:
    """Unexpected unless a peer may send this message in this state."""
    if kind not in MESSAGES[state]:
        raise Unexpected(f"{kind.__name__} while {state.value}")


class Phase(Protocol):
    """A link in one state."""

    state: ClassVar[State]

    def take(self, reader: FrameReader) -> bytes | None:
        """The next unit that this state reads, or None if it is not all there."""

    def accept(self, unit: bytes, now: float, out: list[bytes], events: list[Event]) -> Phase:
        """Read a unit; append what is to be sent and to be told; give the phase that follows, or itself."""

    def next_timer(self) -> float | None:
        """When `overdue` or `handle_timer` is to be called next."""

    def overdue(self, now: float) -> Ending | None:
        """Why nothing may be read any more, if time is up."""

    def handle_timer(self, now: float, out: list[bytes]) -> Ending | None:
        """Do what time demands; why the link ends, if it does."""

    def erase(self) -> None:
        """Wipe the secrets held, when the link ends in this state."""


class Closed:
    """The end: nothing is read, sent or awaited."""

    state: ClassVar[State] = State.CLOSED

    def take(self, reader: FrameReader) -> bytes | None:
        """Nothing."""
        return None

    def accept(self, unit: bytes, now: float, out: list[bytes], events: list[Event]) -> Phase:
        """Never reached, since `take` gives nothing: LocalMisuse."""
        raise LocalMisuse("the link is closed")

    def next_timer(self) -> float | None:
        """Never."""
        return None

    def overdue(self, now: float) -> Ending | None:
        """Never."""
        return None

    def handle_timer(self, now: float, out: list[bytes]) -> Ending | None:
        """Nothing."""
        return None

    def erase(self) -> None:
        """Nothing is held."""
