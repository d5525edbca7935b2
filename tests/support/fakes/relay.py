"""An honest relay on the network in memory, as long as no test replaces its `carry` or `find`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from chat.ports import Connection
from chat.relay.server import WaitRegistry
from protocol.keys import X25519Pair
from protocol.relay.relay_end import RelayEnd
from protocol.relay.rendezvous import RelayAddress
from protocol.relay.states import Answers, Dials, RelayEnded, RelayEvent, RelayState, Waits
from tests.support.fakes.network import Network
from tests.support.lab.virtual import VirtualClock, seeded

HOST = "192.0.2.1"
PORT = 4746


class Visitor:
    """One connection. `carried`: portions of a link that came from it."""

    def __init__(self, relay: MemoryRelay, connection: Connection, end: RelayEnd) -> None:
        self.relay, self.connection, self.end = relay, connection, end
        self.dialler: Visitor | None = None
        self.dialled: tuple[bytes, int] | None = None
        self.rest = b""
        self.carried = 0
        self.held = b""
        self.joined: asyncio.Future[Visitor] = asyncio.get_running_loop().create_future()
        self.decided = asyncio.Event()
        self._told = asyncio.Lock()

    async def run(self) -> None:
        """The rendezvous, then this side's half of the circuit."""
        await self.flush()
        while self.end.state not in (RelayState.JOINED, RelayState.CLOSED):
            for event in await self._more():
                await self.relay.heard(self, event)
            await self.flush()
        if self.end.state is RelayState.JOINED:
            await self._carry(await self.joined)
        self.connection.close()

    async def _more(self) -> list[RelayEvent]:
        loop = asyncio.get_running_loop()
        if self.end.state is RelayState.DIALLING:  # what comes now may be the link's already
            self.decided.clear()
            await self.decided.wait()
            return []
        try:
            async with asyncio.timeout_at(self.end.next_timer()):
                data = await self.connection.read()
        except TimeoutError:
            return self.end.handle_timer(loop.time())
        return self.end.receive(data, loop.time()) if data else self.end.end_of_stream()

    async def flush(self) -> None:
        async with self._told:
            if data := self.end.data_to_send():
                try:
                    await self.connection.write(data)
                except ConnectionError:
                    self.connection.close()

    async def _carry(self, other: Visitor) -> None:
        data = self.rest
        with suppress(ConnectionError):  # the other side has gone: so does this one
            while data or (data := await self.connection.read()):
                self.carried += 1
                for chunk in self.relay.carry(self, data):
                    self.relay.forwarded += 1
                    await other.connection.write(chunk)
                data = b""
        other.connection.close()


class MemoryRelay:
    """A relay at 192.0.2.1 or another host. `met`: the two hosts of each circuit, the dialler's first."""

    def __init__(self, network: Network, host: str = HOST, port: int = PORT) -> None:
        self.network, self.host, self.port = network, host, port
        self.pair = X25519Pair(seeded(f"relay {host}")(32))
        self.clock = VirtualClock(asyncio.get_running_loop())
        self.random = seeded(f"relay {host} random")
        self.carry: Callable[[Visitor, bytes], list[bytes]] = lambda visitor, data: [data]
        self.visitors: set[Visitor] = set()
        self.hall: WaitRegistry[Visitor] = WaitRegistry()
        self.accepted = self.absent = self.forwarded = 0
        self.met: list[tuple[str, str]] = []
        self._changed = asyncio.Event()

    async def until(self, holds: Callable[[], bool], within: float = 1.0) -> None:
        """Wait for what is to hold of those here and of their tokens; TimeoutError after virtual seconds."""
        async with asyncio.timeout(within):
            while not holds():
                await self._changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def address(self) -> RelayAddress:
        return RelayAddress(self.host, self.port, self.pair.public)

    def start(self) -> MemoryRelay:
        self.network.listeners[(self.host, self.port)] = self._serve
        return self

    def stop(self) -> None:
        """Killed: every stream breaks, and all tokens are forgotten."""
        self.hall = WaitRegistry()
        self.network.unplug(self.host)

    def end(self, now: float) -> RelayEnd:
        return RelayEnd(self.pair, now, self.clock.wall() // 1000, self.random)

    async def _serve(self, connection: Connection) -> None:
        self.accepted += 1
        visitor = Visitor(self, connection, self.end(asyncio.get_running_loop().time()))
        self.visitors.add(visitor)
        try:
            await visitor.run()
        finally:
            self.hall.leave(visitor)
            self.visitors.discard(visitor)
            self._change()

    async def heard(self, visitor: Visitor, event: RelayEvent) -> None:
        if visitor.end.state is RelayState.CLOSED and not isinstance(event, RelayEnded):
            return  # what came with it, in one read, ended the connection
        match event:
            case Waits(tokens=tokens):
                self.hall.wait(visitor, tokens)
                self.waiting(visitor)
                self._change()
            case Dials(token=token, place=place):
                visitor.dialled = (token, place)
                await self.call(visitor)
            case Answers(rest=rest):
                visitor.rest = rest
                await self._join(visitor)
            case RelayEnded():
                self.hall.leave(visitor)
                if visitor.dialler is not None:
                    await self.call(visitor.dialler)

    def waiting(self, visitor: Visitor) -> None:
        visitor.end.waiting()

    def find(self, token: bytes, place: int) -> Visitor | None:
        return self.hall.find(token, place)

    async def call(self, dialler: Visitor) -> None:
        assert dialler.dialled is not None
        now = asyncio.get_running_loop().time()
        waiter = self.find(*dialler.dialled)
        if waiter is None:
            self.absent += 1
            dialler.end.absent(now)
            dialler.decided.set()
            return
        self.hall.leave(waiter)
        waiter.dialler = dialler
        waiter.end.call(dialler.dialled[0], now)
        await waiter.flush()

    async def _join(self, waiter: Visitor) -> None:
        dialler = waiter.dialler
        if dialler is None or dialler.end.state is not RelayState.DIALLING:
            waiter.connection.close()
            waiter.joined.cancel()
            return
        assert dialler.dialled is not None
        dialler.rest = dialler.end.join(self.hall.count(dialler.dialled[0]))
        await dialler.flush()
        self.met.append((dialler.connection.peer, waiter.connection.peer))
        waiter.joined.set_result(dialler)
        dialler.joined.set_result(waiter)
        dialler.decided.set()
