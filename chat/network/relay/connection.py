"""One connection to a relay, from its first byte to a circuit or its end (SPEC §11.7).

Whatever a relay sends or omits ends at worst in Lost, and every wait has the protocol's deadline.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from chat.ports import Clock, Connection, Random, Transport
from protocol.redacting import Redacted, Redacting
from protocol.relay import states
from protocol.relay.rendezvous import RelayAddress
from protocol.relay.states import RelayEnding, RelayEvent, RelayState
from protocol.relay.terminal_end import RelayTerminal


class Circuit:
    """A connection between two terminals through a relay. `rest`: bytes of the link already read."""

    peer = ""  # only the relay knows the other end's address

    def __init__(self, connection: Connection, rest: bytes) -> None:
        self._connection = connection
        self._rest = rest

    def widen(self) -> None:
        self._connection.widen()

    def hold(self, on: bool) -> None:
        self._connection.hold(on)

    async def read(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest or await self._connection.read()

    async def write(self, data: bytes) -> None:
        await self._connection.write(data)

    def close(self) -> None:
        self._rest = b""
        self._connection.close()


CONNECT_WITHIN = 5.0
"""Seconds for a connection: a relay may be far away, and its name must be looked up."""


class Lost(Exception):
    """The connection ended without a circuit. `before`: its state until then; `reason`: the protocol's."""

    def __init__(self, reason: RelayEnding, before: RelayState) -> None:
        super().__init__(f"{reason.value} while {before.value}")
        self.reason, self.before = reason, before


class Reached(Struct, frozen=True):
    """A circuit to a dialled terminal. `others`: the number of further terminals on the same token."""

    circuit: Circuit
    others: int


class Called(Redacting, frozen=True):
    """A circuit from a terminal that dialled this token, according to the relay."""

    circuit: Circuit
    token: Redacted[bytes]


class RelayLine:
    """A connection to a relay that has proved its key.

    `time`: the relay's clock then, in Unix seconds. `dials`: the number of dials so far.
    """

    def __init__(self, connection: Connection, relay: RelayAddress, clock: Clock, random: Random) -> None:
        self.time, self.dials = 0, 0
        self._connection = connection
        self._clock = clock
        self._terminal = RelayTerminal(relay.key, clock.monotonic(), random)
        self._events: deque[RelayEvent] = deque()
        self._before = self._terminal.state
        self._reading: asyncio.Timeout | None = None

    @classmethod
    async def open(cls, transport: Transport, relay: RelayAddress, clock: Clock, random: Random) -> RelayLine:
        """Connect and be welcomed. Raises OSError and Lost."""
        line = cls(await transport.connect_relay(relay, CONNECT_WITHIN), relay, clock, random)
        try:
            event = await line._event()
            if not isinstance(event, states.Welcomed):
                raise line._lost(event)
            line.time = event.time
        except BaseException:
            line.close()
            raise
        return line

    async def dial(self, token: bytes, place: int = 0) -> Reached | None:
        """Dial a terminal that waits on a token, None if none does. Raises Lost."""
        self.dials += 1
        if self._terminal.state is not RelayState.READY:
            raise Lost(RelayEnding.CUT, self._terminal.state)
        self._terminal.dial(token, self._clock.monotonic(), place)
        event = await self._event()
        if isinstance(event, states.WasJoined):
            return Reached(Circuit(self._connection, event.rest), event.others)
        if isinstance(event, states.WasAbsent):
            return None
        raise self._lost(event)

    def wait(self, tokens: Iterable[bytes]) -> None:
        """Wait on these tokens, 1 to 128, instead of those before. Does nothing once it is called or lost."""
        if self._terminal.state in (RelayState.READY, RelayState.WAITING):
            self._terminal.wait(tokens, self._clock.monotonic())
            if self._reading is not None and not self._reading.expired():
                self._reading.reschedule(asyncio.get_running_loop().time())  # to write it now

    async def called(self) -> Called | None:
        """The next call, or None when the relay has confirmed the tokens. Raises Lost."""
        event = await self._event()
        if isinstance(event, states.WaitBegun):
            return None
        if isinstance(event, states.WasCalled):
            return Called(Circuit(self._connection, event.rest), event.token)
        raise self._lost(event)

    def close(self) -> None:
        self._connection.close()

    def _lost(self, event: RelayEvent) -> Lost:
        self._connection.close()
        reason = event.reason if isinstance(event, states.RelayEnded) else RelayEnding.ERROR
        return Lost(reason, self._before)

    async def _event(self) -> RelayEvent:
        while not self._events:
            self._before = self._terminal.state
            await self._flush()
            self._events.extend(await self._more())
        await self._flush()
        return self._events.popleft()

    async def _more(self) -> list[RelayEvent]:
        due = self._terminal.next_timer()
        within = None if due is None else max(0.0, due - self._clock.monotonic())
        try:
            async with asyncio.timeout(within) as self._reading:
                data = await self._connection.read()
        except TimeoutError:
            return self._terminal.handle_timer(self._clock.monotonic())
        finally:
            self._reading = None
        now = self._clock.monotonic()
        return self._terminal.receive(data, now) if data else self._terminal.end_of_stream()

    async def _flush(self) -> None:
        if data := self._terminal.data_to_send():
            try:
                await self._connection.write(data)
            except ConnectionError:
                self._events.extend(self._terminal.end_of_stream())
