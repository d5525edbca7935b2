"""States, permitted messages and events of both ends of a connection to a relay (SPEC §11.7.4)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Final

from msgspec import Struct

from protocol.errors import LocalMisuse, Unexpected
from protocol.redacting import Redacted, Redacting
from protocol.relay import messages
from protocol.relay.messages import RelayMessage


class RelayRole(Enum):
    """The end of a connection."""

    TERMINAL = "terminal"
    RELAY = "relay"


class RelayState(Enum):
    """State of an end. Only terminals have HANDSHAKE, only relays CALLED."""

    GREETING = "greeting"
    HANDSHAKE = "handshake"
    READY = "ready"
    WAITING = "waiting"
    DIALLING = "dialling"
    CALLED = "called"
    JOINED = "joined"
    CLOSED = "closed"


_S = RelayState
_Table = Mapping[tuple[RelayRole, RelayState], frozenset[RelayState]]

RELAY_FOLLOWS: Final[_Table] = {
    (RelayRole.TERMINAL, _S.GREETING): frozenset({_S.HANDSHAKE, _S.CLOSED}),
    (RelayRole.TERMINAL, _S.HANDSHAKE): frozenset({_S.READY, _S.CLOSED}),
    (RelayRole.TERMINAL, _S.READY): frozenset({_S.WAITING, _S.DIALLING, _S.CLOSED}),
    (RelayRole.TERMINAL, _S.WAITING): frozenset({_S.JOINED, _S.CLOSED}),
    (RelayRole.TERMINAL, _S.DIALLING): frozenset({_S.READY, _S.JOINED, _S.CLOSED}),
    (RelayRole.RELAY, _S.GREETING): frozenset({_S.READY, _S.CLOSED}),
    (RelayRole.RELAY, _S.READY): frozenset({_S.WAITING, _S.DIALLING, _S.CLOSED}),
    (RelayRole.RELAY, _S.WAITING): frozenset({_S.CALLED, _S.CLOSED}),
    (RelayRole.RELAY, _S.DIALLING): frozenset({_S.READY, _S.JOINED, _S.CLOSED}),
    (RelayRole.RELAY, _S.CALLED): frozenset({_S.JOINED, _S.CLOSED}),
}
"""Permitted transitions. After JOINED all bytes belong to a link, and CLOSED is final."""

RELAY_MESSAGES: Final[Mapping[tuple[RelayRole, RelayState], frozenset[type[RelayMessage]]]] = {
    (RelayRole.TERMINAL, _S.READY): frozenset({messages.End}),
    (RelayRole.TERMINAL, _S.WAITING): frozenset(
        {messages.Waiting, messages.Alive, messages.Called, messages.End}
    ),
    (RelayRole.TERMINAL, _S.DIALLING): frozenset({messages.Absent, messages.Joined, messages.End}),
    (RelayRole.RELAY, _S.READY): frozenset({messages.Wait, messages.Dial}),
    (RelayRole.RELAY, _S.WAITING): frozenset({messages.Wait, messages.Alive}),
    (RelayRole.RELAY, _S.CALLED): frozenset({messages.Wait, messages.Alive, messages.Answer}),
}
"""Messages that an end may receive in a state; none in other states."""


def check_relay_follows(role: RelayRole, state: RelayState, following: RelayState) -> None:
    """LocalMisuse unless RELAY_FOLLOWS has this transition."""
    if following not in RELAY_FOLLOWS.get((role, state), frozenset()):
        raise LocalMisuse(f"no end of a {role.value} goes from {state.value} to {following.value}")


def check_relay_message(role: RelayRole, state: RelayState, kind: type[RelayMessage]) -> None:
    """Unexpected unless RELAY_MESSAGES has this message for the state."""
    if kind not in RELAY_MESSAGES.get((role, state), frozenset()):
        raise Unexpected(f"{kind.__name__} while {state.value}")


# --- Events: no event follows RelayEnded, Answers, WasCalled or WasJoined ---


class RelayEnding(StrEnum):
    """Why a connection to a relay ended. The first two are the reasons of End in their order."""

    BUSY = "busy"
    STOPPED = "stopped"
    DONE = "done"
    CUT = "cut"
    DEADLINE = "deadline"
    SILENT = "silent"
    VERSION = "version"
    NOT_A_RELAY = "not a relay"
    REFUSED = "refused"
    ERROR = "error"


END_REASONS: Final = (RelayEnding.BUSY, RelayEnding.STOPPED)  # endings by their number in End


class RelayEnded(Struct, frozen=True):
    """The connection ended. `error_class` is one of SPEC §15 if the other end broke the protocol."""

    reason: RelayEnding
    error_class: str | None = None


class Waits(Redacting, frozen=True):
    """At the relay: the terminal waits on exactly these tokens (16 bytes each). `waiting` is due."""

    tokens: Redacted[tuple[bytes, ...]]


class Dials(Redacting, frozen=True):
    """At the relay: the terminal dials the waiter of a token at a place, from 0 for the newest."""

    token: Redacted[bytes]
    place: int


class Answers(Redacting, frozen=True):
    """At the relay: a called terminal answered. `rest` are bytes of its link that have arrived already."""

    rest: Redacted[bytes]


class Welcomed(Struct, frozen=True):
    """At the terminal: the relay proved its key. `time` is its clock in Unix seconds."""

    time: int


class WaitBegun(Struct, frozen=True):
    """At the terminal: the relay has registered the tokens of the last `wait`."""


class WasCalled(Redacting, frozen=True):
    """At a waiting terminal: `token` was dialled. The stream now carries a link, with this end as responder.

    `rest` are bytes of that link that have arrived already.
    """

    token: Redacted[bytes]
    rest: Redacted[bytes]


class WasJoined(Redacting, frozen=True):
    """At a dialler: the stream now carries a link, with this end as initiator.

    `others` more terminals wait on the token. `rest` are bytes of that link that have arrived already.
    """

    others: int
    rest: Redacted[bytes]


class WasAbsent(Struct, frozen=True):
    """At a dialler: no terminal waits at that place. It may dial again on the same connection."""


RelayEvent = Waits | Dials | Answers | Welcomed | WaitBegun | WasCalled | WasJoined | WasAbsent | RelayEnded
