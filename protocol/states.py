"""The states of a link, what may follow each and what a peer may send in it (SPEC §6.4): tables, no logic.

Rules: whatever these tables do not list is refused; the diagram of the SPEC shows the same.
A phase is the object that a link is in one state: it holds the fields of that state and no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import ClassVar, Final, Protocol, get_args

from protocol.errors import LocalMisuse, Unexpected
from protocol.events import Ending, Event, Role
from protocol.frames import FrameReader
from protocol.messages import Accept, Commit, Confirm, Message, Open, Record, Reveal


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
