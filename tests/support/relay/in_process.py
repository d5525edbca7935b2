"""A relay inside the test process with a clock that the test moves, and a backplane in memory."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Self, TypeVar

from chat.ports import SystemClock
from chat.relay.circuit import Patience
from chat.relay.cluster.nats import Listener
from chat.relay.quotas import Limits
from chat.relay.run import listen
from chat.relay.server import Relay, Settings
from protocol.keys import X25519Pair
from protocol.relay.states import (
    RelayEnded,
    RelayEnding,
    RelayEvent,
    WaitBegun,
    WasCalled,
    WasJoined,
    Welcomed,
)
from protocol.relay.terminal_end import RelayTerminal

Event = TypeVar("Event")


def token() -> bytes:
    return secrets.token_bytes(16)


class House:
    def __init__(self, limits: Limits, patience: Patience, descriptors: int = 0) -> None:
        self.loop = asyncio.get_running_loop()
        self._time = time.monotonic()
        self.loop.time = self._now  # type: ignore[method-assign]  # asyncio schedules by it
        self.pair = X25519Pair.generate()
        self.relay = Relay(Settings(self.pair, SystemClock(), limits, patience, descriptors))
        servers = listen("127.0.0.1", 0)
        self.address = servers[0].getsockname()
        self.relay.start(servers)
        self._guests: list[Guest] = []

    def _now(self) -> float:
        return self._time

    async def later(self, seconds: float) -> None:
        self._time += seconds
        await self.settle()

    async def settle(self) -> None:
        """Let the loop do what is there to do."""
        for _ in range(20):
            await asyncio.sleep(0)

    def now(self) -> dict[str, int]:
        """The gauges."""
        return {name: gauge() for name, gauge in self.relay.gauges().items()}

    async def guest(self, source: str = "127.0.0.1") -> Guest:
        """A connection from an address of this machine: the greeting is not waited for."""
        end = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        end.bind((source, 0))
        end.connect(self.address)  # into the backlog: nobody has to accept it for that
        end.setblocking(False)
        self._guests.append(Guest(self, end))
        return self._guests[-1]

    async def welcomed(self, source: str = "127.0.0.1") -> Guest:
        guest = await self.guest(source)
        await guest.expect(Welcomed)
        return guest

    async def waiter(self, *tokens: bytes, source: str = "127.0.0.1") -> Guest:
        guest = await self.welcomed(source)
        await guest.wait(*tokens)
        await guest.expect(WaitBegun)
        return guest

    async def circuit(self, one: str = "127.0.0.1", other: str = "127.0.0.1") -> tuple[Guest, Guest]:
        """A dialler from one address and the waiter from another that it was joined with."""
        wanted = token()
        waiter = await self.waiter(wanted, source=other)
        dialler = await self.welcomed(one)
        await dialler.dial(wanted)
        await waiter.expect(WasCalled)
        await dialler.expect(WasJoined)
        return dialler, waiter

    async def close(self) -> None:
        self.relay.stop()
        for guest in self._guests:
            guest.close()
        await self.settle()
        assert self.now() == dict.fromkeys(self.now(), 0), "nothing is left of anybody"


class Guest:
    def __init__(self, house: House, end: socket.socket) -> None:
        self._house, self.socket = house, end
        self._end = RelayTerminal(house.pair.public, 0.0)
        self._events: list[RelayEvent] = []
        self.sent = self.received = 0

    async def wait(self, *tokens: bytes) -> Self:
        self._end.wait(tokens, 0.0)
        await self.flush()
        return self

    async def dial(self, wanted: bytes, place: int = 0) -> Self:
        self._end.dial(wanted, 0.0, place)
        await self.flush()
        return self

    async def hear(self) -> None:
        """Take in what comes of a message, without an answer to it."""
        while not self._events:
            data = await self.read(self._end.wanted)
            self._events += self._end.receive(data, 0.0) if data else self._end.end_of_stream()
            if not self._events:
                await self.flush()

    async def expect(self, kind: type[Event]) -> Event:
        """The next event, which is of this kind."""
        await self.hear()
        await self.flush()
        event = self._events.pop(0)
        assert isinstance(event, kind), event
        return event

    async def ending(self) -> RelayEnding:
        return (await self.expect(RelayEnded)).reason

    async def read(self, most: int) -> bytes:
        """What comes next; nothing at the end, however it came."""
        try:
            data = await self._house.loop.sock_recv(self.socket, most)
        except ConnectionError:
            data = b""
        self.received += len(data)
        return data

    async def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (part := await self.read(size - len(data))):
            data += part
        return data

    async def say(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            await self._house.loop.sock_sendall(self.socket, data)
        self.sent += len(data)

    async def flush(self) -> None:
        if data := self._end.data_to_send():
            await self.say(data)

    def close(self) -> None:
        self.socket.close()


@contextlib.asynccontextmanager
async def house(
    limits: Limits | None = None, patience: Patience | None = None, descriptors: int = 0
) -> AsyncIterator[House]:
    """A relay that leaves nothing."""
    made = House(limits or Limits(), patience or Patience(), descriptors)
    try:
        yield made
    finally:
        await made.close()


class Wire:
    """What its ends have in common; `carried` is the record, `change` what the wire makes of a message."""

    def __init__(self) -> None:
        self.ends: list[Tap] = []
        self.carried: list[tuple[str, bytes]] = []
        self.change: Callable[[bytes], list[bytes]] = lambda payload: [payload]
        self.loop = asyncio.get_running_loop()

    def tap(self, listener: Listener) -> Tap:
        self.ends.append(Tap(self, listener))
        return self.ends[-1]

    def carry(self, sender: Tap | None, subject: str, payload: bytes, reply: str) -> None:
        self.carried.append((subject, payload))
        takers = [tap for tap in self.ends if tap is not sender and tap.hears(subject)]
        for tap in takers:
            for each in self.change(payload):
                self.loop.call_soon(tap.listener.arrived, subject, each)
        if not takers and sender is not None and sender.hears(reply):
            self.loop.call_soon(sender.listener.nobody, reply)


class Tap:
    def __init__(self, wire: Wire, listener: Listener) -> None:
        self._wire, self.listener = wire, listener
        self._subjects: set[str] = set()
        self._wakes: list[Callable[[], None]] = []
        self.is_connected, self.is_crowded, self.largest = True, False, 1 << 20

    def hears(self, subject: str) -> bool:
        above = subject.rpartition(".")[0]
        return self.is_connected and bool(self._subjects & {subject, f"{above}.*"})

    def subscribe(self, subject: str) -> None:
        self._subjects.add(subject)

    def unsubscribe(self, subject: str) -> None:
        self._subjects.discard(subject)

    def post(self, subject: str, payload: bytes, reply: str) -> None:
        if self.is_connected:
            self._wire.carry(self, subject, payload, reply)

    def tell(self, wake: Callable[[], None]) -> None:
        self._wakes.append(wake)

    def forget(self, wake: Callable[[], None]) -> None:
        self._wakes.remove(wake)

    def relieve(self) -> None:
        """It is crowded no more."""
        self.is_crowded = False
        wakes, self._wakes = self._wakes, []
        for wake in wakes:
            wake()
