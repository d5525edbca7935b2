"""The parts of a demo: an in-process network on loopback, a clock, and a terminal with its engine."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from msgspec.structs import replace

from chat.assemble import filler
from chat.config import Config
from chat.engine import Engine
from chat.errors import phrase
from chat.interface import DiagnosisView, Event, InvitationView, UnlockCost
from chat.network.connection import NotNamed
from chat.ports import Announcement, Clock, Connection, DiscoveryEvents, Ports, Random, RelayPlace
from chat.service.assembly import UseCases
from chat.storage import profile
from protocol import profile_header
from protocol.identity.author import create_person

HERE: Final = DiagnosisView(
    phrase("demo"), True, phrase("everyone here is simulated by this program: no network is used")
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

    @classmethod
    def pair(cls, host: str, peer: str) -> tuple[Pipe, Pipe]:
        mine, theirs = cls(peer), cls(host)
        mine.other, theirs.other = theirs, mine
        return mine, theirs

    def widen(self) -> None:
        """Nothing limits what arrives here."""

    def hold(self, on: bool) -> None:
        """Nothing wakes a process here."""

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
    """Who listens, announces and discovers, by host. It opens no socket."""

    def __init__(self) -> None:
        self.listening: dict[tuple[str, int], Accept] = {}
        self.announced: dict[str, Announcement] = {}
        self.looking: dict[str, DiscoveryEvents] = {}
        self._accepted: set[asyncio.Task[None]] = set()

    def connect(self, host: str, peer: tuple[str, int]) -> Pipe:
        """A connection from a host to the listener at `peer`. Raises ConnectionRefusedError."""
        accept = self.listening.get(peer)
        if accept is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody listens there")
        mine, theirs = Pipe.pair(host, peer[0])
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
        old = self.announced.pop(host, None)
        if announcement is not None:
            self.announced[host] = announcement
        for events in [events for other, events in self.looking.items() if other != host]:
            if old is not None and (announcement is None or announcement.instance != old.instance):
                events.lost(old.instance)
            if announcement is not None:
                events.found(announcement)


class DemoListener:
    def __init__(self, network: Network, place: tuple[str, int]) -> None:
        self._network, self._place = network, place
        self.port = place[1]

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
        """This network has no relays."""

    async def connect_relay(self, relay: RelayPlace, timeout: float) -> Pipe:
        raise NotNamed

    def addresses(self) -> tuple[str, ...]:
        return (self._host,)


class DemoDiscovery:
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


class DemoClock:
    """ports.Clock of all engines of one demo. It is set while the past is played, and never goes back."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._set: int | None = None

    def monotonic(self) -> float:
        return self._machine.monotonic()

    def wall(self) -> int:
        return self._machine.wall() if self._set is None else self._set

    def boot(self) -> tuple[str, int]:
        return self._machine.boot()

    def set(self, wall: int) -> None:
        """Show this time (milliseconds of Unix time), or a later one that is already shown."""
        self._set = wall if self._set is None else max(self._set, wall)

    def run(self) -> None:
        self._set = None

    def present(self) -> datetime:
        return datetime.fromtimestamp(self._machine.wall() / 1000, UTC).astimezone()


CONFIG = replace(Config(), keep_port=True)
E = TypeVar("E", bound=Event)


class DemoEngine(Engine):
    """An engine that uses only the demo's network, and hands its invitations to someone there."""

    def __init__(
        self, use_cases: UseCases, vault: profile.Vault, executor: Executor, ports: Ports, demo: DemoTerminal
    ) -> None:
        super().__init__(use_cases, vault, executor, ports)
        self._demo = demo

    @property
    def runs(self) -> bool:
        return self._stopping is None

    async def invite(self) -> InvitationView:
        made = await super().invite()
        self._demo.invited(made.text)
        return made

    async def change_passphrase(
        self, old: str, new: str, cost: UnlockCost = UnlockCost.KEPT, new_key: bool = False
    ) -> None:
        await super().change_passphrase(
            old and self._demo.secret + old, new and self._demo.secret + new, cost, new_key
        )

    async def diagnose(self) -> tuple[DiagnosisView, ...]:
        return (HERE,)


class DemoTerminal:
    """A person's terminal on a host; its engine can be stopped and started again."""

    def __init__(
        self, name: str, host: str, folder: Path, network: Network, clock: DemoClock, random: Random
    ) -> None:
        self.name = name
        self.clock = clock
        self.engine: DemoEngine
        self.person = ""
        self._folder = folder
        self._ports = Ports(clock, random, DemoTransport(network, host), DemoDiscovery(network, host))
        self.secret = random(16).hex()
        self._watchers: list[Callable[[Event], None]] = []
        self._invitation_watchers: list[Callable[[str], object]] = []
        self._listening: asyncio.Task[None] | None = None

    async def create(self, passphrase: str) -> None:
        """Make the person and this terminal, and start its engine. Raises CannotCreate, a StorageFailure."""
        random, secret = self._ports.random, self.secret + passphrase
        fill = filler(create_person(self.name, random))
        opened = await asyncio.to_thread(
            profile.create, self._folder, secret, fill, random=random, cost=profile_header.CHEAPEST
        )
        await self._run(opened)

    async def start(self, passphrase: str) -> None:
        secret = passphrase and self.secret + passphrase
        await self._run(await asyncio.to_thread(profile.unlock, self._folder, secret))

    async def _run(self, opened: profile.Vault) -> None:
        executor = ThreadPoolExecutor(1, "demo")
        try:
            use_cases = await UseCases.load(opened, self._ports, CONFIG, executor)
        except BaseException:
            opened.close()
            raise
        self.engine = engine = DemoEngine(use_cases, opened, executor, self._ports, self)
        self._listening = asyncio.create_task(self._listen(engine.events()))
        self.person = (await engine.me()).person
        try:
            await engine.start()
        except BaseException:
            await self.stop()
            raise

    @property
    def running(self) -> bool:
        return self._listening is not None and self.engine.runs

    async def stop(self) -> None:
        """Stop the engine, after its last events. A second call does nothing."""
        if self._listening is not None:
            await self.engine.close()
            await asyncio.wait({self._listening})

    def watch(self, look: Callable[[Event], None]) -> None:
        self._watchers.append(look)

    def watch_invitations(self, look: Callable[[str], object]) -> None:
        """Look at the text of every invitation that this person makes from now on."""
        self._invitation_watchers.append(look)

    def invited(self, text: str) -> None:
        for look in self._invitation_watchers:
            look(text)

    def wait(self, kind: type[E], test: Callable[[E], bool]) -> asyncio.Future[E]:
        future: asyncio.Future[E] = asyncio.get_running_loop().create_future()

        def look(event: Event) -> None:
            if isinstance(event, kind) and test(event):
                self._watchers.remove(look)
                if not future.done():
                    future.set_result(event)

        self.watch(look)
        return future

    async def _listen(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            for look in list(self._watchers):
                look(event)
