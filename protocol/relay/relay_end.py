"""The relay's end of a connection, without I/O (SPEC §11.7). It knows nothing of other connections."""

from __future__ import annotations

from typing import ClassVar

from protocol import limits
from protocol.errors import LimitExceeded, LocalMisuse, ProtocolError, Unexpected
from protocol.keys import X25519Pair
from protocol.link.framing import OtherVersion, Refused
from protocol.noise import HandshakeState
from protocol.primitives import Random, system_random
from protocol.relay import messages, states
from protocol.relay.connection import RelayConnection
from protocol.relay.states import RelayEnding, RelayEvent, RelayState


class RelayEnd(RelayConnection):
    """One connection, from the greeting, to be sent at once, to the circuit or the end.

    `pair` is the relay's key pair, and `time` its clock in Unix seconds for the terminal. After Answers and
    after `join`, the stream is a circuit and nothing more is read or sent here.
    """

    role: ClassVar[states.RelayRole] = states.RelayRole.RELAY
    sizes: ClassVar[tuple[int, ...]] = messages.FROM_TERMINAL_SIZES

    def __init__(self, pair: X25519Pair, now: float, time: int, random: Random = system_random) -> None:
        super().__init__(now)
        self._pair, self._time, self._random = pair, time, random
        self._greeting = messages.RelayGreeting(random(16)).encode()
        self._dials = 0
        self._out.append(self._greeting)
        self._deadline = now + limits.HANDSHAKE_SECONDS

    # --- Calls of the relay ---

    def waiting(self) -> None:
        """Answer Waits: the tokens are registered. LocalMisuse unless the terminal waits."""
        self._require(RelayState.WAITING)
        self._send(messages.Waiting())

    def absent(self, now: float) -> None:
        """Answer Dials: no terminal waits at that place. LocalMisuse unless the terminal dials."""
        self._tick(now)
        self._require(RelayState.DIALLING)
        self._send(messages.Absent())
        self._enter(RelayState.READY, self._now + limits.HANDSHAKE_SECONDS)

    def call(self, token: bytes, now: float) -> None:
        """Tell a waiting terminal that its token was dialled. Answers or RelayEnded follows within 3 s."""
        self._tick(now)
        self._require(RelayState.WAITING)
        self._send(messages.Called(token))
        self._enter(RelayState.CALLED, self._now + limits.RELAY_ANSWER_SECONDS)

    def join(self, others: int) -> bytes:
        """Tell a dialler that its circuit begins, and return bytes of its link that have arrived already.

        Of the `others` that wait on the token, at most 7 are reported. LocalMisuse unless the terminal dials.
        """
        self._require(RelayState.DIALLING)
        self._send(messages.Joined(min(others, limits.RELAY_WAITERS_MAX - 1)))
        return self._join()

    def end(self, reason: RelayEnding) -> list[RelayEvent]:
        """End the connection. The terminal gets BUSY or STOPPED if the handshake is finished."""
        if self._noise is not None and reason in states.END_REASONS:
            self._send(messages.End(states.END_REASONS.index(reason)))
        return self._end(reason)

    def _require(self, state: RelayState) -> None:
        if self._state is not state:
            raise LocalMisuse(f"the connection is not {state.value} but {self._state.value}")

    # --- Messages of the terminal ---

    def _accept(self, unit: bytes) -> list[RelayEvent]:
        if self._state is RelayState.GREETING:
            self._welcome(unit)
            return []
        message = messages.read_from_terminal(self._open(unit))
        states.check_relay_message(self.role, self._state, type(message))
        return self._hear(message)

    def _welcome(self, body: bytes) -> None:
        hello = messages.read_hello(self._pair.public, self._greeting, body)
        bound = messages.prologue(self._greeting, hello.choice)
        handshake = HandshakeState(
            messages.PROTOCOL_NAME, initiator=False, prologue=bound, s=self._pair, random=self._random
        )
        handshake.read_message(hello.message)
        self._put(handshake.write_message(messages.pad_message(messages.Welcome(self._time))))
        self._noise = handshake.finish()
        self._enter(RelayState.READY, self._now + limits.HANDSHAKE_SECONDS)

    def _hear(self, message: messages.FromTerminal) -> list[RelayEvent]:
        match message:
            case messages.Wait():
                return self._waits(message)
            case messages.Alive() if self._state is RelayState.WAITING:
                self._deadline = self._now + limits.RELAY_SILENT_SECONDS
                self._send(messages.Alive())
                return []
            case messages.Alive():
                return []
            case messages.Dial():
                self._dials += 1
                if self._dials > limits.RELAY_DIALS_MAX:
                    raise LimitExceeded(f"more than {limits.RELAY_DIALS_MAX} dials of one connection")
                self._enter(RelayState.DIALLING)
                return [states.Dials(message.token, message.place)]
            case messages.Answer():
                return [states.Answers(self._join())]

    def _waits(self, wait: messages.Wait) -> list[RelayEvent]:
        if self._state is RelayState.CALLED:
            return []  # the terminal sent this before Called arrived
        if self._dials:
            raise Unexpected("a connection that dialled cannot wait")
        if self._state is RelayState.READY:
            self._enter(RelayState.WAITING)
        self._deadline = self._now + limits.RELAY_SILENT_SECONDS
        return [states.Waits(tuple(wait.tokens))]

    def _overdue(self) -> list[RelayEvent]:
        silent = self._state in (RelayState.WAITING, RelayState.CALLED)
        return self._end(RelayEnding.SILENT if silent else RelayEnding.DEADLINE)

    def _fail(self, error: ProtocolError) -> list[RelayEvent]:
        if isinstance(error, OtherVersion | Refused):
            self._put(messages.REFUSAL)
        return super()._fail(error)
