"""A terminal's end of one connection to a relay, sans-IO: it waits for contacts or dials one (SPEC §11.7).

Rules: the relay is known by the key that its person named; a terminal names itself by nothing; one
connection waits or dials, never both, and carries tokens of one day alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from protocol.errors import LocalMisuse, Unexpected
from protocol.limits import DEAD_AFTER_SECONDS, HANDSHAKE_SECONDS, RELAY_ALIVE_SECONDS
from protocol.noise import HandshakeState
from protocol.primitives import Random, system_random
from protocol.relay.connection import RelayConnection
from protocol.relay.messages import (
    FROM_RELAY_SIZES,
    GREETING_SIZE,
    PROTOCOL_NAME,
    Absent,
    Alive,
    Answer,
    Called,
    Dial,
    End,
    FromRelay,
    Joined,
    RelayGreeting,
    Wait,
    Waiting,
    check_magic,
    check_refusal,
    own_choice,
    prologue,
    read_from_relay,
    read_welcome,
    write_hello,
)
from protocol.relay.states import (
    END_REASONS,
    RelayEnding,
    RelayEvent,
    RelayRole,
    RelayState,
    WaitBegun,
    WasAbsent,
    WasCalled,
    WasJoined,
    Welcomed,
    check_relay_message,
)


class RelayTerminal(RelayConnection):
    """One connection to the relay with this key (32 bytes), from its first byte to the circuit or the end.

    After Welcomed either `wait` or `dial` within 5 seconds. After WasCalled and WasJoined nothing more is
    read or sent here but what `data_to_send` still holds: the stream is a circuit.
    """

    role: ClassVar[RelayRole] = RelayRole.TERMINAL
    sizes: ClassVar[tuple[int, ...]] = FROM_RELAY_SIZES

    def __init__(self, relay: bytes, now: float, random: Random = system_random) -> None:
        super().__init__(now)
        self._relay, self._random = relay, random
        self._handshake: HandshakeState | None = None
        self._unanswered: list[type[Waiting | Alive]] = []
        self._alive_due = now
        self._deadline = now + HANDSHAKE_SECONDS

    # --- What the terminal asks ---

    def wait(self, tokens: Iterable[bytes], now: float) -> None:
        """Wait on these tokens, 1 to 128 of 16 bytes, in place of those before; WaitBegun answers.

        LocalMisuse after `dial`, before Welcomed, and for too many tokens or none.
        """
        self._tick(now)
        ordered = sorted(set(tokens))
        if self._state is RelayState.READY and ordered:
            self._enter(RelayState.WAITING)
        if self._state is not RelayState.WAITING or not ordered:
            raise LocalMisuse(f"nothing to wait on, or the connection is {self._state.value}")
        self._ask(Wait(ordered), Waiting)

    def dial(self, token: bytes, now: float, place: int = 0) -> None:
        """Ask for who waits on a token (16 bytes), at a place from 0, the newest, to 7.

        WasJoined or WasAbsent answers. LocalMisuse unless welcomed, and neither waiting nor dialling.
        """
        self._tick(now)
        if self._state is not RelayState.READY:
            raise LocalMisuse(f"the connection is {self._state.value}")
        self._send(Dial(token, place))
        self._enter(RelayState.DIALLING, self._now + DEAD_AFTER_SECONDS)

    def close(self) -> list[RelayEvent]:
        """End the connection in silence."""
        return self._end(RelayEnding.DONE)

    def _ask(self, message: Wait | Alive, answer: type[Waiting | Alive]) -> None:
        self._send(message)
        if not self._unanswered:
            self._deadline = self._now + DEAD_AFTER_SECONDS
        self._unanswered.append(answer)
        self._alive_due = self._now + RELAY_ALIVE_SECONDS

    # --- Time ---

    def next_timer(self) -> float | None:
        """When to call `handle_timer`; asked anew after every other call. None: never."""
        if self._state is RelayState.WAITING and not self._unanswered:
            return self._alive_due
        return super().next_timer()

    def _overdue(self) -> list[RelayEvent]:
        if self._state is not RelayState.WAITING:
            return self._end(RelayEnding.DEADLINE)
        if self._unanswered:
            return self._end(RelayEnding.SILENT)
        self._ask(Alive(), Alive)
        return []

    # --- What the relay says ---

    def _unit_size(self) -> int:
        return GREETING_SIZE if self._state is RelayState.GREETING else super()._unit_size()

    def _take(self) -> bytes | None:
        if self._state is not RelayState.GREETING:
            return super()._take()
        check_magic(self._reader.peek(GREETING_SIZE))
        return self._reader.take(GREETING_SIZE)

    def _accept(self, unit: bytes) -> list[RelayEvent]:
        if self._state is RelayState.GREETING:
            return self._greeted(unit)
        if self._state is RelayState.HANDSHAKE:
            return self._welcomed(unit)
        message = read_from_relay(self._open(unit))
        check_relay_message(self.role, self._state, type(message))
        return self._hear(message)

    def _greeted(self, greeting: bytes) -> list[RelayEvent]:
        RelayGreeting.decode(greeting)
        bound = prologue(greeting, own_choice())
        self._handshake = HandshakeState(
            PROTOCOL_NAME, initiator=True, prologue=bound, rs=self._relay, random=self._random
        )
        self._out.append(write_hello(self._relay, greeting, self._handshake.write_message()))
        self._enter(RelayState.HANDSHAKE, self._deadline)
        return []

    def _welcomed(self, frame: bytes) -> list[RelayEvent]:
        assert self._handshake is not None
        check_refusal(frame)
        welcome = read_welcome(self._handshake.read_message(frame))
        self._noise, self._handshake = self._handshake.finish(), None
        self._enter(RelayState.READY, self._now + HANDSHAKE_SECONDS)
        return [Welcomed(welcome.time)]

    def _forget(self) -> bytes:
        self._handshake = None
        return super()._forget()

    def _hear(self, message: FromRelay) -> list[RelayEvent]:
        match message:
            case Waiting() | Alive():
                return self._answered(type(message))
            case Absent():
                self._enter(RelayState.READY, self._now + HANDSHAKE_SECONDS)
                return [WasAbsent()]
            case Called():
                self._send(Answer())
                return [WasCalled(message.token, self._join())]
            case Joined():
                return [WasJoined(message.others, self._join())]
            case End():
                return self._end(END_REASONS[message.reason])

    def _answered(self, kind: type[Waiting | Alive]) -> list[RelayEvent]:
        if not self._unanswered or self._unanswered[0] is not kind:
            raise Unexpected(f"{kind.__name__} that nothing asked for")
        del self._unanswered[0]
        self._deadline = self._now + DEAD_AFTER_SECONDS if self._unanswered else None
        return [WaitBegun()] if kind is Waiting else []
