"""The states of a connection to a relay at its two ends, and what each end is told (SPEC §11.7.4).

Rules: whatever these tables do not list is refused; an event holds values, never a part of the connection.
RelayEnded comes at most once, and last; after Answers, Called and Joined nothing comes any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final

from protocol.errors import LocalMisuse, Unexpected
from protocol.relay.messages import (
    Absent,
    Alive,
    Answer,
    Called,
    Dial,
    End,
    Joined,
    RelayMessage,
    Wait,
    Waiting,
)


class RelayRole(Enum):
    """Whose end of the connection it is."""

    TERMINAL = "terminal"
    RELAY = "relay"


class RelayState(Enum):
    """Where an end stands. HANDSHAKE is the terminal's alone, CALLED the relay's."""

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
"""The states that may follow a state; after JOINED the bytes belong to a link, and CLOSED is the end."""

RELAY_MESSAGES: Final[Mapping[tuple[RelayRole, RelayState], frozenset[type[RelayMessage]]]] = {
    (RelayRole.TERMINAL, _S.READY): frozenset({End}),
    (RelayRole.TERMINAL, _S.WAITING): frozenset({Waiting, Alive, Called, End}),
    (RelayRole.TERMINAL, _S.DIALLING): frozenset({Absent, Joined, End}),
    (RelayRole.RELAY, _S.READY): frozenset({Wait, Dial}),
    (RelayRole.RELAY, _S.WAITING): frozenset({Wait, Alive}),
    (RelayRole.RELAY, _S.CALLED): frozenset({Wait, Alive, Answer}),
}
"""The messages that an end may receive in a state; in the others none."""


def check_relay_follows(role: RelayRole, state: RelayState, following: RelayState) -> None:
    """LocalMisuse unless the table has this step."""
    if following not in RELAY_FOLLOWS.get((role, state), frozenset()):
        raise LocalMisuse(f"no end of a {role.value} goes from {state.value} to {following.value}")


def check_relay_message(role: RelayRole, state: RelayState, kind: type[RelayMessage]) -> None:
    """Unexpected unless this end may receive this message in this state."""
    if kind not in RELAY_MESSAGES.get((role, state), frozenset()):
        raise Unexpected(f"{kind.__name__} while {state.value}")


# --- Events ---


class RelayEnding(StrEnum):
    """Why a connection to a relay ended. The first two are the reasons of End, in their order."""

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


END_REASONS: Final = (RelayEnding.BUSY, RelayEnding.STOPPED)
"""The ending that a number in End means."""


@dataclass(frozen=True, slots=True)
class RelayEnded:
    """The connection is over. `error_class` names one of SPEC §15 where the other end broke the protocol."""

    reason: RelayEnding
    error_class: str | None = None


@dataclass(frozen=True, slots=True)
class Waits:
    """To the relay: the terminal waits on these tokens (16 bytes each), on no others; `waiting` answers."""

    tokens: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Dials:
    """To the relay: the terminal asks for who waits on a token, at a place from 0, the newest."""

    token: bytes = field(repr=False)
    place: int


@dataclass(frozen=True, slots=True)
class Answers:
    """To the relay: the terminal that was called answered. `rest` are bytes of its link that came with it."""

    rest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Welcomed:
    """To the terminal: the relay proved its key. `time` is its clock, in Unix seconds."""

    time: int


@dataclass(frozen=True, slots=True)
class WaitBegun:
    """To the terminal: the relay holds the tokens of the last `wait`."""


@dataclass(frozen=True, slots=True)
class WasCalled:
    """To the terminal that waits: a dialler is there. From now on the stream carries a link; it answers.

    `token`, as the relay says, was asked for; `rest` are bytes of that link that came already.
    """

    token: bytes = field(repr=False)
    rest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WasJoined:
    """To the dialler: from now on the stream carries a link, which it begins.

    `others` wait on the same token; `rest` are bytes of that link that came already.
    """

    others: int
    rest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WasAbsent:
    """To the dialler: nobody waits there. It may dial again on the same connection."""


RelayEvent = Waits | Dials | Answers | Welcomed | WaitBegun | WasCalled | WasJoined | WasAbsent | RelayEnded
