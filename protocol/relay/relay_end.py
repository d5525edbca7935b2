"""The relay's end of one connection, sans-IO: who waits, who dials, and when a circuit begins (SPEC §11.7).

Rules: nothing is known of other connections here: whoever keeps the table of tokens asks one end to call and
another to join. A caller that does not know the relay's key is gone before any work with keys.
"""

from __future__ import annotations

from typing import ClassVar

from protocol.errors import LimitExceeded, LocalMisuse, ProtocolError, Unexpected
from protocol.keys import X25519Pair
from protocol.limits import (
    HANDSHAKE_SECONDS,
    RELAY_ANSWER_SECONDS,
    RELAY_DIALS_MAX,
    RELAY_SILENT_SECONDS,
    RELAY_WAITERS_MAX,
)
from protocol.link.framing import OtherVersion, Refused
from protocol.noise import HandshakeState
from protocol.primitives import Random, system_random
from protocol.relay.connection import RelayConnection
from protocol.relay.messages import (
    FROM_TERMINAL_SIZES,
    PROTOCOL_NAME,
    REFUSAL,
    Absent,
    Alive,
    Answer,
    Called,
    Dial,
    End,
    FromTerminal,
    Joined,
    RelayGreeting,
    Wait,
    Waiting,
    Welcome,
    pad_message,
    prologue,
    read_from_terminal,
    read_hello,
)
from protocol.relay.states import (
    END_REASONS,
    Answers,
    Dials,
    RelayEnding,
    RelayEvent,
    RelayRole,
    RelayState,
    Waits,
    check_relay_message,
)


class RelayEnd(RelayConnection):
    """One connection, from its greeting, which is to be sent at once, to the circuit or the end.

    `pair` is the relay's key pair; `time` its clock in Unix seconds, which the terminal is told.
    After Answers and after `join` nothing more is read or sent here: the stream is a circuit.
    """

    role: ClassVar[RelayRole] = RelayRole.RELAY
    sizes: ClassVar[tuple[int, ...]] = FROM_TERMINAL_SIZES

    def __init__(self, pair: X25519Pair, now: float, time: int, random: Random = system_random) -> None:
        super().__init__(now)
        self._pair, self._time, self._random = pair, time, random
        self._greeting = RelayGreeting(random(16)).encode()
        self._dials = 0
        self._out.append(self._greeting)
        self._deadline = now + HANDSHAKE_SECONDS

    # --- What the relay decides ---

    def waiting(self) -> None:
        """Answer Waits: the tokens are held. LocalMisuse unless the terminal waits."""
        self._require(RelayState.WAITING)
        self._send(Waiting())

    def absent(self, now: float) -> None:
        """Answer Dials: nobody waits there. LocalMisuse unless the terminal dials."""
        self._tick(now)
        self._require(RelayState.DIALLING)
        self._send(Absent())
        self._enter(RelayState.READY, self._now + HANDSHAKE_SECONDS)

    def call(self, token: bytes, now: float) -> None:
        """Tell a terminal that waits of who dialled its token: it gives Answers, or RelayEnded within 3 s."""
        self._tick(now)
        self._require(RelayState.WAITING)
        self._send(Called(token))
        self._enter(RelayState.CALLED, self._now + RELAY_ANSWER_SECONDS)

    def join(self, others: int) -> bytes:
        """Tell a dialler that its circuit begins; `others` wait on the token still, at most 7 are told.

        Gives bytes of its link that came already. LocalMisuse unless the terminal dials.
        """
        self._require(RelayState.DIALLING)
        self._send(Joined(min(others, RELAY_WAITERS_MAX - 1)))
        return self._join()

    def end(self, reason: RelayEnding) -> list[RelayEvent]:
        """End the connection: BUSY and STOPPED are told to the terminal, where the handshake is over."""
        if self._noise is not None and reason in END_REASONS:
            self._send(End(END_REASONS.index(reason)))
        return self._end(reason)

    def _require(self, state: RelayState) -> None:
        if self._state is not state:
            raise LocalMisuse(f"the connection is not {state.value} but {self._state.value}")

    # --- What the terminal says ---

    def _accept(self, unit: bytes) -> list[RelayEvent]:
        if self._state is RelayState.GREETING:
            self._welcome(unit)
            return []
        message = read_from_terminal(self._open(unit))
        check_relay_message(self.role, self._state, type(message))
        return self._hear(message)

    def _welcome(self, body: bytes) -> None:
        hello = read_hello(self._pair.public, self._greeting, body)
        bound = prologue(self._greeting, hello.choice)
        handshake = HandshakeState(
            PROTOCOL_NAME, initiator=False, prologue=bound, s=self._pair, random=self._random
        )
        handshake.read_message(hello.message)
        self._put(handshake.write_message(pad_message(Welcome(self._time))))
        self._noise = handshake.finish()
        self._enter(RelayState.READY, self._now + HANDSHAKE_SECONDS)

    def _hear(self, message: FromTerminal) -> list[RelayEvent]:
        match message:
            case Wait():
                return self._waits(message)
            case Alive():
                return self._alive()
            case Dial():
                return self._dials_for(message)
            case Answer():
                return [Answers(self._join())]

    def _waits(self, wait: Wait) -> list[RelayEvent]:
        if self._state is RelayState.CALLED:
            return []  # the terminal had not heard yet that it is called
        if self._dials:
            raise Unexpected("a connection that dialled waits for nobody")
        if self._state is RelayState.READY:
            self._enter(RelayState.WAITING)
        self._deadline = self._now + RELAY_SILENT_SECONDS
        return [Waits(tuple(wait.tokens))]

    def _alive(self) -> list[RelayEvent]:
        if self._state is RelayState.WAITING:
            self._deadline = self._now + RELAY_SILENT_SECONDS
            self._send(Alive())
        return []

    def _dials_for(self, dial: Dial) -> list[RelayEvent]:
        self._dials += 1
        if self._dials > RELAY_DIALS_MAX:
            raise LimitExceeded(f"more than {RELAY_DIALS_MAX} dials of one connection")
        self._enter(RelayState.DIALLING)
        return [Dials(dial.token, dial.place)]

    def _overdue(self) -> list[RelayEvent]:
        silent = self._state in (RelayState.WAITING, RelayState.CALLED)
        return self._end(RelayEnding.SILENT if silent else RelayEnding.DEADLINE)

    def _fail(self, error: ProtocolError) -> list[RelayEvent]:
        if isinstance(error, OtherVersion | Refused):
            self._put(REFUSAL)
        return super()._fail(error)
