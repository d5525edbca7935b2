"""The terminal's end of a connection to a relay, which waits for contacts or dials one (SPEC §11.7)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from protocol.errors import LocalMisuse, Unexpected
from protocol.limits import DEAD_AFTER_SECONDS, HANDSHAKE_SECONDS, RELAY_ALIVE_SECONDS
from protocol.noise import HandshakeState
from protocol.primitives import Random, system_random
from protocol.relay import messages, states
from protocol.relay.connection import RelayConnection
from protocol.relay.states import RelayEnding, RelayEvent, RelayState

_Answered = messages.Waiting | messages.Alive


class RelayTerminal(RelayConnection):
    """One connection to the relay with this key (32 bytes), from the first byte to the circuit or the end.

    `wait` or `dial` must follow within 5 s of Welcomed. After WasCalled and WasJoined the stream is a
    circuit: only the rest of `data_to_send` must still be sent.
    """

    role: ClassVar[states.RelayRole] = states.RelayRole.TERMINAL
    sizes: ClassVar[tuple[int, ...]] = messages.FROM_RELAY_SIZES

    def __init__(self, relay: bytes, now: float, random: Random = system_random) -> None:
        super().__init__(now)
        self._relay, self._random = relay, random
        self._handshake: HandshakeState | None = None
        self._unanswered: list[type[_Answered]] = []
        self._alive_due = now
        self._deadline = now + HANDSHAKE_SECONDS

    # --- Calls of the terminal ---

    def wait(self, tokens: Iterable[bytes], now: float) -> None:
        """Wait on exactly these tokens, 1 to 128 of 16 bytes, until WaitBegun confirms.

        LocalMisuse after `dial`, before Welcomed, and for too many tokens or none.
        """
        self._tick(now)
        ordered = sorted(set(tokens))
        if self._state is RelayState.READY and ordered:
            self._enter(RelayState.WAITING)
        if self._state is not RelayState.WAITING or not ordered:
            raise LocalMisuse(f"no token, or the connection is {self._state.value}")
        self._ask(messages.Wait(ordered), messages.Waiting)

    def dial(self, token: bytes, now: float, place: int = 0) -> None:
        """Dial the waiter of a token (16 bytes) at a place from 0, the newest, to 7.

        WasJoined or WasAbsent follows. LocalMisuse unless welcomed, and neither waiting nor dialling.
        """
        self._tick(now)
        if self._state is not RelayState.READY:
            raise LocalMisuse(f"the connection is {self._state.value}")
        self._send(messages.Dial(token, place))
        self._enter(RelayState.DIALLING, self._now + DEAD_AFTER_SECONDS)

    def close(self) -> list[RelayEvent]:
        """End the connection without a message."""
        return self._end(RelayEnding.DONE)

    def _ask(self, message: messages.Wait | messages.Alive, answer: type[_Answered]) -> None:
        self._send(message)
        if not self._unanswered:
            self._deadline = self._now + DEAD_AFTER_SECONDS
        self._unanswered.append(answer)
        self._alive_due = self._now + RELAY_ALIVE_SECONDS

    # --- Time ---

    def next_timer(self) -> float | None:
        """When to call `handle_timer`, to be asked again after every other call. None: never."""
        if self._state is RelayState.WAITING and not self._unanswered:
            return self._alive_due
        return super().next_timer()

    def _overdue(self) -> list[RelayEvent]:
        if self._state is not RelayState.WAITING:
            return self._end(RelayEnding.DEADLINE)
        if self._unanswered:
            return self._end(RelayEnding.SILENT)
        self._ask(messages.Alive(), messages.Alive)
        return []

    # --- Messages of the relay ---

    def _unit_size(self) -> int:
        return messages.GREETING_SIZE if self._state is RelayState.GREETING else super()._unit_size()

    def _take(self) -> bytes | None:
        if self._state is not RelayState.GREETING:
            return super()._take()
        messages.check_magic(self._reader.peek(messages.GREETING_SIZE))
        return self._reader.take(messages.GREETING_SIZE)

    def _accept(self, unit: bytes) -> list[RelayEvent]:
        if self._state is RelayState.GREETING:
            return self._greeted(unit)
        if self._state is RelayState.HANDSHAKE:
            return self._welcomed(unit)
        message = messages.read_from_relay(self._open(unit))
        states.check_relay_message(self.role, self._state, type(message))
        return self._hear(message)

    def _greeted(self, greeting: bytes) -> list[RelayEvent]:
        messages.RelayGreeting.decode(greeting)
        bound = messages.prologue(greeting, messages.CHOICE)
        self._handshake = HandshakeState(
            messages.PROTOCOL_NAME, initiator=True, prologue=bound, rs=self._relay, random=self._random
        )
        self._out.append(messages.write_hello(self._relay, greeting, self._handshake.write_message()))
        self._enter(RelayState.HANDSHAKE, self._deadline)
        return []

    def _welcomed(self, frame: bytes) -> list[RelayEvent]:
        assert self._handshake is not None
        messages.check_refusal(frame)
        welcome = messages.read_welcome(self._handshake.read_message(frame))
        self._noise, self._handshake = self._handshake.finish(), None
        self._enter(RelayState.READY, self._now + HANDSHAKE_SECONDS)
        return [states.Welcomed(welcome.time)]

    def _forget(self) -> bytes:
        self._handshake = None
        return super()._forget()

    def _hear(self, message: messages.FromRelay) -> list[RelayEvent]:
        match message:
            case messages.Waiting() | messages.Alive():
                kind = type(message)
                if not self._unanswered or self._unanswered[0] is not kind:
                    raise Unexpected(f"{kind.__name__} without a request")
                del self._unanswered[0]
                self._deadline = self._now + DEAD_AFTER_SECONDS if self._unanswered else None
                return [states.WaitBegun()] if kind is messages.Waiting else []
            case messages.Absent():
                self._enter(RelayState.READY, self._now + HANDSHAKE_SECONDS)
                return [states.WasAbsent()]
            case messages.Called():
                self._send(messages.Answer())
                return [states.WasCalled(message.token, self._join())]
            case messages.Joined():
                return [states.WasJoined(message.others, self._join())]
            case messages.End():
                return self._end(states.END_REASONS[message.reason])
