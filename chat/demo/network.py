"""The network of a demo: connections and announcements between engines of one process.

Rules: it opens no socket; bytes arrive in order, at once; every host is a loopback address, so that what an
engine hands on of it (an invitation, say) leads nobody out of this machine.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from chat.interface import DiagnosisView
from chat.network.addresses import NotNamed
from chat.phrases import phrase
from chat.ports import Announcement, Connection, DiscoveryEvents, RelayPlace

HERE: Final = DiagnosisView(
    phrase("demo"), True, phrase("everybody here lives in this program: no network is used")
)
"""All that there is to say of this network."""

Accept = Callable[[Connection], Awaitable[None]]


class Pipe:
    """One end of a connection (ports.Connection); `other` is the other end."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.other: Pipe
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self._closed = False

    async def read(self) -> bytes:
        return b"" if self._closed else await self._arrived.get()

    async def write(self, data: bytes) -> None:
        if self._closed or self.other._closed:
            raise ConnectionResetError(errno.ECONNRESET, "the connection has ended")
        self.other._arrived.put_nowait(data)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            for end in (self, self.other):
                end._arrived.put_nowait(b"")


class Network:
    """Who listens, who announces itself, and who looks for announcements, each by its host."""

    def __init__(self) -> None:
        self.listening: dict[tuple[str, int], Accept] = {}
        self.announced: dict[str, Announcement] = {}
        self.looking: dict[str, DiscoveryEvents] = {}
        self._accepted: set[asyncio.Task[None]] = set()

    def connect(self, host: str, peer: tuple[str, int]) -> Pipe:
        """A connection from a host to whoever listens there. Raises ConnectionRefusedError."""
        accept = self.listening.get(peer)
        if accept is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody listens there")
        mine, theirs = Pipe(peer[0]), Pipe(host)
        mine.other, theirs.other = theirs, mine
        task = asyncio.get_running_loop().create_task(self._accept(accept, theirs))
        self._accepted.add(task)
        task.add_done_callback(self._accepted.discard)
        return mine

    async def _accept(self, accept: Accept, end: Pipe) -> None:
        try:
            await accept(end)
        finally:
            end.close()

    def announce(self, host: str, announcement: Announcement | None) -> None:
        """Replace what a host announces, and tell all others."""
        old = self.announced.pop(host, None)
        if announcement is not None:
            self.announced[host] = announcement
        for events in [events for other, events in self.looking.items() if other != host]:
            if old is not None and (announcement is None or announcement.instance != old.instance):
                events.lost(old.instance)
            if announcement is not None:
                events.found(announcement)


class DemoListener:
    """ports.Listener of one host."""

    def __init__(self, network: Network, place: tuple[str, int]) -> None:
        self._network, self._place = network, place

    @property
    def port(self) -> int:
        return self._place[1]

    async def close(self) -> None:
        self._network.listening.pop(self._place, None)


class DemoTransport:
    """ports.Transport of one host."""

    def __init__(self, network: Network, host: str) -> None:
        self._network, self._host = network, host

    async def listen(self, port: int, accept: Accept) -> DemoListener:
        place = (self._host, port)
        if place in self._network.listening:
            raise OSError(errno.EADDRINUSE, "somebody listens there")
        self._network.listening[place] = accept
        return DemoListener(self._network, place)

    async def connect(self, host: str, port: int, timeout: float) -> Pipe:
        return self._network.connect(self._host, (host, port))

    def name_relays(self, relays: Collection[RelayPlace]) -> None:
        """There is none on this network, whatever it is called."""

    async def connect_relay(self, relay: RelayPlace, timeout: float) -> Pipe:
        raise NotNamed

    def addresses(self) -> tuple[str, ...]:
        return (self._host,)


class DemoDiscovery:
    """ports.Discovery of one host."""

    def __init__(self, network: Network, host: str) -> None:
        self._network, self._host = network, host

    async def start(self, events: DiscoveryEvents) -> None:
        self._network.looking[self._host] = events
        for host, announcement in list(self._network.announced.items()):
            if host != self._host:
                events.found(announcement)

    async def announce(self, announcement: Announcement | None) -> None:
        self._network.announce(self._host, announcement)

    async def close(self) -> None:
        self._network.looking.pop(self._host, None)
        self._network.announce(self._host, None)
