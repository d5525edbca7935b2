"""One terminal of a demo: a real profile and a real engine, on the demo's network and by its clock.

Rules: the profile's passphrase goes through a secret that only this process knows, so that what is left on a
disk opens for nobody; whoever waits for something asks before causing it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from chat.assemble import filler
from chat.config import Config
from chat.demo.clock import DemoClock
from chat.demo.network import HERE, DemoDiscovery, DemoTransport, Network
from chat.engine import Engine
from chat.interface import DiagnosisView, Event, InvitationView
from chat.ports import Ports, Random
from chat.service.parts import Parts
from chat.service.world import World
from chat.storage import vault
from chat.tasks import Tasks
from protocol.person_author import create_person

CONFIG = replace(Config(), keep_port=True)
E = TypeVar("E", bound=Event)


class DemoEngine(Engine):
    """An engine that looks at no network but the demo's, and hands its invitations to somebody there."""

    secret = ""
    invited: Callable[[str], None] | None = None

    @classmethod
    async def open(cls, opened: vault.Vault, ports: Ports, executor: Executor) -> Self:
        """As chat.engine.open_engine does."""
        tasks = Tasks(lambda error: engine.failed(error))
        world = await World.load(opened, ports, CONFIG, executor, tasks)
        engine = cls(world, Parts.wire(world, ports), opened, executor, ports)
        return engine

    @property
    def runs(self) -> bool:
        """Whether nobody has locked or stopped it."""
        return self._stopping is None

    async def invite(self) -> InvitationView:
        made = await super().invite()
        if self.invited is not None:
            self.invited(made.text)
        return made

    async def change_passphrase(self, old: str, new: str) -> None:
        await super().change_passphrase(old and self.secret + old, new and self.secret + new)

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
        self._secret = random(16).hex()
        self._watchers: list[Callable[[Event], None]] = []
        self._listening: asyncio.Task[None] | None = None

    async def create(self, passphrase: str) -> None:
        """Make the person and this terminal, and start its engine. Raises CannotCreate, a StorageFailure."""
        random, secret = self._ports.random, self._secret + passphrase
        fill = filler(create_person(self.name, random))
        make = partial(vault.create, self._folder, secret, fill, random=random, cost=vault.CHEAPEST)
        await self._run(await asyncio.to_thread(make))

    async def start(self, passphrase: str) -> None:
        """Start the engine again. Raises WrongPassphrase, a StorageFailure."""
        opened = await asyncio.to_thread(vault.unlock, self._folder, passphrase and self._secret + passphrase)
        await self._run(opened)

    async def _run(self, opened: vault.Vault) -> None:
        try:
            engine = await DemoEngine.open(opened, self._ports, ThreadPoolExecutor(1, "demo"))
        except BaseException:
            opened.close()
            raise
        self.engine, engine.secret = engine, self._secret
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
        """Stop the engine, and hear what it still had to say. A second call does nothing."""
        if self._listening is not None:
            await self.engine.close()
            await asyncio.wait({self._listening})

    # What happens.

    def watch(self, look: Callable[[Event], None]) -> None:
        """Look at every event from now on."""
        self._watchers.append(look)

    def wait(self, kind: type[E], test: Callable[[E], bool]) -> asyncio.Future[E]:
        """The next event of a kind that passes a test."""
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
