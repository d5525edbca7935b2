"""One connection to a relay, from its first byte to a circuit or its end (SPEC §11.7).

Rules: what is said is protocol.relay.terminal_end's; here it meets bytes and time. Whatever a relay sends,
or does not send, ends at worst in Lost, and every wait has the protocol's deadline.

A circuit through a relay as `ports.Connection`: what the rendezvous has read too far comes first.

Rules: from here on the bytes are a link's and the relay is a wire; whose address is at the other end,
nobody here knows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from chat.ports import Clock, Connection, Random, Transport
from protocol.relay.rendezvous import RelayAddress
from protocol.relay.states import (
    RelayEnded,
    RelayEnding,
    RelayEvent,
    RelayState,
    WaitBegun,
    WasAbsent,
    WasCalled,
    WasJoined,
    Welcomed,
)
from protocol.relay.terminal_end import RelayTerminal


class Circuit:
    """The stream of a connection to a relay, once it has joined two terminals. `rest`: bytes of the link.

    `closed` is called when this side ends it.
    """

    peer = ""

    def __init__(self, connection: Connection, rest: bytes) -> None:
        self._connection = connection
        self._rest = rest
        self.closed: Callable[[], None] = lambda: None

    async def read(self) -> bytes:
        """As ports.Connection."""
        rest, self._rest = self._rest, b""
        return rest or await self._connection.read()

    async def write(self, data: bytes) -> None:
        """As ports.Connection."""
        await self._connection.write(data)

    def close(self) -> None:
        """As ports.Connection."""
        self._rest = b""
        self._connection.close()
        self.closed()


CONNECT_WITHIN = 5.0
"""Seconds for a connection: a relay may be at the other end of the world, and its name unknown yet."""


class Lost(Exception):
    """The connection ended without a circuit. `before`: where it stood; `reason`: the protocol's."""

    def __init__(self, reason: RelayEnding, before: RelayState) -> None:
        super().__init__(f"{reason.value} while {before.value}")
        self.reason, self.before = reason, before


@dataclass(frozen=True, slots=True)
class Reached:
    """A dialled terminal is at the other end; `others` wait on the same token."""

    circuit: Circuit
    others: int


@dataclass(frozen=True, slots=True)
class Called:
    """Somebody is at the other end, who dialled this token, as the relay says."""

    circuit: Circuit
    token: bytes = field(repr=False)


class RelayLine:
    """A connection to a relay that has proved its key. `time`: the relay's clock then, in Unix seconds.

    `dials`: how many times somebody was asked for.
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
            line.time = (await line._expect(Welcomed)).time
        except BaseException:
            line.close()
            raise
        return line

    async def dial(self, token: bytes, place: int = 0) -> Reached | None:
        """Ask for who waits on a token; None where nobody does, and then it may be asked for another.

        Raises Lost.
        """
        self.dials += 1
        if self._terminal.state is not RelayState.READY:
            raise Lost(RelayEnding.CUT, self._terminal.state)
        self._terminal.dial(token, self._clock.monotonic(), place)
        event = await self._event()
        if isinstance(event, WasJoined):
            return Reached(Circuit(self._connection, event.rest), event.others)
        if isinstance(event, WasAbsent):
            return None
        raise self._lost(event)

    def wait(self, tokens: Iterable[bytes]) -> None:
        """Wait on these tokens, 1 to 128, in place of those before. Nothing once it is called or lost."""
        if self._terminal.state in (RelayState.READY, RelayState.WAITING):
            self._terminal.wait(tokens, self._clock.monotonic())
            self._wake()

    async def called(self) -> Called | None:
        """The next that happens while it waits: None when the relay holds the tokens, or who calls.

        Raises Lost.
        """
        event = await self._event()
        if isinstance(event, WaitBegun):
            return None
        if isinstance(event, WasCalled):
            return Called(Circuit(self._connection, event.rest), event.token)
        raise self._lost(event)

    def close(self) -> None:
        """End it in silence."""
        self._connection.close()

    # Events.

    async def _expect(self, kind: type[Welcomed]) -> Welcomed:
        event = await self._event()
        if isinstance(event, kind):
            return event
        raise self._lost(event)

    def _lost(self, event: RelayEvent) -> Lost:
        self._connection.close()
        reason = event.reason if isinstance(event, RelayEnded) else RelayEnding.ERROR
        return Lost(reason, self._before)

    async def _event(self) -> RelayEvent:
        while not self._events:
            self._before = self._terminal.state
            await self._flush()
            self._events.extend(await self._more())
        await self._flush()
        return self._events.popleft()

    async def _more(self) -> list[RelayEvent]:
        """What comes next: of bytes, or of time."""
        try:
            async with self._until_due() as self._reading:
                data = await self._connection.read()
        except TimeoutError:
            return self._terminal.handle_timer(self._clock.monotonic())
        finally:
            self._reading = None
        now = self._clock.monotonic()
        return self._terminal.receive(data, now) if data else self._terminal.end_of_stream()

    def _until_due(self) -> asyncio.Timeout:
        due = self._terminal.next_timer()
        return asyncio.timeout(None if due is None else max(0.0, due - self._clock.monotonic()))

    def _wake(self) -> None:
        """There is something to be written, and time is to be looked at anew."""
        if self._reading is not None and not self._reading.expired():
            self._reading.reschedule(asyncio.get_running_loop().time())

    async def _flush(self) -> None:
        if data := self._terminal.data_to_send():
            try:
                await self._connection.write(data)
            except ConnectionError:
                self._events.extend(self._terminal.end_of_stream())
