"""A network in memory: bytes arrive in order or not at all, a cut tells nobody, and TCP's patience holds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from contextvars import copy_context
from functools import partial

from chat.network.connection import NotNamed
from chat.ports import Announcement, Connection, DiscoveryEvents, Listener, RelayPlace

Accept = Callable[[Connection], Awaitable[None]]
LATENCY = 0.001
TCP_PATIENCE = 10.0


class Pipe:
    """One end of a stream."""

    def __init__(self, network: Network, here: str, there: str) -> None:
        self.network, self.here, self.peer = network, here, there
        self.other: Pipe
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.waiting: list[bytes] = []
        self.under_way: deque[bytes] = deque()
        self.held = False
        self.unread: deque[bytes] = deque()
        """What has arrived and waits in the kernel, while held."""
        self.closed = False
        self.left: int | None = None
        """Writes left before this end breaks, None for no limit."""
        self.latency = LATENCY
        self.sent: list[bytes] = []

    def widen(self) -> None:
        """Nothing limits what arrives here."""

    def hold(self, on: bool) -> None:
        self.held = on
        while self.unread and not self.held:
            self.inbox.put_nowait(self.unread.popleft())

    async def read(self) -> bytes:
        data = b"" if self.closed else await self.inbox.get()
        while data and self.network.joins and not self.inbox.empty():
            if not (more := self.inbox.get_nowait()):
                self.inbox.put_nowait(more)
                break
            data += more
        return data

    async def write(self, data: bytes) -> None:
        if self.closed:
            raise ConnectionResetError("the stream is closed")
        self.network.seen.append((self.here, self.peer, data))
        self.sent.append(data)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.break_now()
                raise ConnectionResetError("the stream was broken by the test")
        self._carry(data)

    def _carry(self, data: bytes) -> None:
        if self.waiting or not self.network.whole(self.here, self.peer):
            self.waiting.append(data)
        else:
            self.under_way.append(data)
            asyncio.get_running_loop().call_later(self.network.delay(self), self._arrive)

    def _arrive(self) -> None:
        """The oldest bytes under way are there: timers of one moment come in any order, bytes do not."""
        data = self.under_way.popleft()
        if self.other.held:
            self.other.unread.append(data)
        elif not self.other.closed:
            self.other.inbox.put_nowait(data)

    def repeat(self) -> None:
        """The last bytes come a second time, as somebody on the path can make them."""
        if self.sent and not self.closed:
            self._carry(self.sent[-1])

    def resume(self) -> None:
        """TCP has noticed that the wire is whole again."""
        waiting, self.waiting = self.waiting, []
        for data in waiting:
            self._carry(data)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.inbox.put_nowait(b"")
            self._carry(b"")

    def break_now(self) -> None:
        """Both ends end at once, and what was under way is lost."""
        for end in (self, self.other):
            end.closed = True
            end.inbox.put_nowait(b"")


class MemoryListener:
    def __init__(self, network: Network, host: str, port: int) -> None:
        self.port = port
        self._forget = partial(network.listeners.pop, (host, port), None)

    async def close(self) -> None:
        self._forget()


class Network:
    """All hosts, wires and announcements of a test."""

    def __init__(self) -> None:
        self.listeners: dict[tuple[str, int], Accept] = {}
        self.pipes: list[Pipe] = []
        self.down: set[str] = set()
        self.parted: set[frozenset[str]] = set()
        self.seen: list[tuple[str, str, bytes]] = []
        self.break_next_after: tuple[int | None, int | None] = (None, None)
        """Writes after which the next stream breaks: of the side that dials, of the side that answers."""
        self.latency_of_next = LATENCY
        self.joins = False
        """Whether a read gives all that has arrived, as kernels do, and not one write after the other."""
        self.watchers: dict[str, DiscoveryEvents] = {}
        self.announced: dict[str, Announcement] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def delay(self, pipe: Pipe) -> float:
        """Seconds that the bytes just put under way on a stream take."""
        return pipe.latency

    def whole(self, one: str, other: str) -> bool:
        return one not in self.down and other not in self.down and {one, other} not in self.parted

    def part(self, one: str, other: str) -> None:
        """Two hosts that reach others, but not each other any more; nobody is notified."""
        self.parted.add(frozenset((one, other)))

    def join(self, one: str, other: str) -> None:
        """Undo `part`. What each announces is heard by the other now."""
        self.parted.discard(frozenset((one, other)))
        self._resume(one, other)
        for host, hearer in ((one, other), (other, one)):
            if host in self.announced and hearer in self.watchers:
                self.watchers[hearer].found(self.announced[host])

    def cut(self, host: str) -> None:
        self.down.add(host)

    def heal(self, host: str) -> None:
        self.down.discard(host)
        self._resume(host)

    def _resume(self, *hosts: str) -> None:
        for pipe in self.pipes:
            if {*hosts} <= {pipe.here, pipe.peer} and pipe.waiting:
                asyncio.get_running_loop().call_later(TCP_PATIENCE, pipe.resume)

    def unplug(self, host: str) -> None:
        """A process was killed: its streams break at once and its port is closed, nothing is said goodbye."""
        for pipe in self.pipes:
            if pipe.here == host and not pipe.closed:
                pipe.break_now()
        for key in [key for key in self.listeners if key[0] == host]:
            del self.listeners[key]
        self.watchers.pop(host, None)

    def accept(self, accept: Accept, pipe: Pipe) -> None:
        task = asyncio.ensure_future(accept(pipe))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class MemoryTransport:
    """ports.Transport of one host."""

    def __init__(self, network: Network, host: str) -> None:
        self._network, self._host = network, host
        self._named: frozenset[RelayPlace] = frozenset()

    async def listen(self, port: int, accept: Accept) -> Listener:
        key = (self._host, port)
        if key in self._network.listeners:
            raise OSError(98, "address in use")
        here = copy_context()  # else what an engine does on a link bore the name of the engine that dialled

        def accepted(pipe: Connection) -> Awaitable[None]:
            return here.run(asyncio.ensure_future, accept(pipe))

        self._network.listeners[key] = accepted
        return MemoryListener(self._network, *key)

    async def connect(self, host: str, port: int, timeout: float) -> Connection:
        return await self._connect(host, port, timeout)

    def name_relays(self, relays: Collection[RelayPlace]) -> None:
        self._named = frozenset(relays)

    async def connect_relay(self, relay: RelayPlace, timeout: float) -> Connection:
        if relay not in self._named:
            raise NotNamed
        return await self._connect(relay.host, relay.port, timeout)

    async def _connect(self, host: str, port: int, timeout: float) -> Connection:
        network = self._network
        await self._syn(host, timeout)
        await asyncio.sleep(2 * LATENCY)
        accept = network.listeners.get((host, port))
        if accept is None or not network.whole(self._host, host):
            raise ConnectionRefusedError("refused")
        mine, theirs = Pipe(network, self._host, host), Pipe(network, host, self._host)
        mine.other, theirs.other = theirs, mine
        (mine.left, theirs.left), network.break_next_after = network.break_next_after, (None, None)
        mine.latency = theirs.latency = network.latency_of_next
        network.latency_of_next = LATENCY
        network.pipes += [mine, theirs]
        network.accept(accept, theirs)
        return mine

    async def _syn(self, host: str, timeout: float) -> None:
        """A SYN is repeated after 1, 3 and 7 seconds, as kernels do; what heals between is not felt."""
        tried = 0.0
        for at in (0.0, 1.0, 3.0, 7.0):
            if at > timeout:
                break
            await asyncio.sleep(at - tried)
            tried = at
            if self._network.whole(self._host, host):
                return
        await asyncio.sleep(timeout - tried)
        raise TimeoutError("no answer")

    def addresses(self) -> tuple[str, ...]:
        return (self._host,)


class MemoryDiscovery:
    """ports.Discovery of one host."""

    def __init__(self, network: Network, host: str) -> None:
        self._network, self._host = network, host

    async def start(self, events: DiscoveryEvents) -> None:
        self._network.watchers[self._host] = events
        for host, announcement in list(self._network.announced.items()):
            if self._hears(host):
                events.found(announcement)

    async def announce(self, announcement: Announcement | None) -> None:
        old = self._network.announced.pop(self._host, None)
        if announcement is not None:
            self._network.announced[self._host] = announcement
        for host, events in list(self._network.watchers.items()):
            if not self._hears(host):
                continue
            if old is not None and (announcement is None or announcement.instance != old.instance):
                events.lost(old.instance)
            if announcement is not None:
                events.found(announcement)

    def _hears(self, host: str) -> bool:
        return host != self._host and {host, self._host} not in self._network.parted

    async def close(self) -> None:
        await self.announce(None)
        self._network.watchers.pop(self._host, None)
