"""Real engines on a virtual clock and an in-memory network, each with its own encrypted profile.

Rules: everything but clock, randomness and wires is the real thing; whoever waits, waits for an event.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from chat.assemble import filler
from chat.config import Config
from chat.engine import Engine, open_engine
from chat.interface import (
    EntryAdded,
    EntryChanged,
    EntryState,
    EntryView,
    Event,
    NearbyChanged,
    NearbyView,
    PairingChanged,
    PairingStage,
    PairingView,
)
from chat.ports import Ports
from chat.storage import profile
from protocol import profile_header
from protocol.identity.author import create_person
from tests.support.fakes.network import MemoryDiscovery, MemoryTransport, Network
from tests.support.lab.virtual import VirtualClock, run_virtual

DEFAULTS = Config()
PASSPHRASE = "correct horse"
E = TypeVar("E", bound=Event)
P = ParamSpec("P")


def play(scenario: Callable[[], Coroutine[Any, Any, None]], limit: float = 3600.0) -> None:
    """Run a scenario in virtual time, of which it may take `limit` seconds."""
    run_virtual(lambda clock: scenario(), limit)


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that plays in virtual time."""

    @wraps(test)
    def played(*arguments: P.args, **options: P.kwargs) -> None:
        play(lambda: test(*arguments, **options))

    return played


@dataclass
class Person:
    """One person with one terminal on one host; its engine can be stopped, killed and started again."""

    name: str
    host: str
    folder: Path
    network: Network
    config: Config
    seed: int
    clock: VirtualClock = field(init=False)
    engine: Engine = field(init=False)
    seen: list[Event] = field(default_factory=list)
    _watchers: list[tuple[Callable[[Event], bool], asyncio.Future[Event]]] = field(default_factory=list)
    _listening: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.clock = VirtualClock(asyncio.get_running_loop())
        self._random = random.Random(self.seed)

    def ports(self) -> Ports:
        return Ports(
            self.clock,
            self._random.randbytes,
            MemoryTransport(self.network, self.host),
            MemoryDiscovery(self.network, self.host),
        )

    async def create(self) -> None:
        person = create_person(self.name, self._random.randbytes)
        made = profile.create(
            self.folder,
            PASSPHRASE,
            filler(person),
            random=self._random.randbytes,
            cost=profile_header.CHEAPEST,
        )
        await self._run(made)

    async def start(self) -> None:
        await self._run(profile.unlock(self.folder, PASSPHRASE))

    async def _run(self, opened: profile.Vault) -> None:
        self.engine = await open_engine(opened, self.ports(), self.config, ThreadPoolExecutor(1))
        self._listening = asyncio.ensure_future(self._listen(self.engine.events()))
        await self.engine.start()

    async def _listen(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            self.seen.append(event)
            for watcher in list(self._watchers):
                if watcher[0](event) and not watcher[1].done():
                    watcher[1].set_result(event)
                    self._watchers.remove(watcher)

    async def stop(self) -> None:
        await self.engine.close()

    async def crash(self) -> None:
        """End the engine as kill -9 does: nothing is said, nothing is written, the wires break."""
        self.network.unplug(self.host)
        await self.engine.close()

    def wait(self, kind: type[E], test: Callable[[E], bool] = lambda event: True) -> asyncio.Future[E]:
        """The next event of a kind that passes a test; ask before causing it."""
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._watchers.append((lambda event: isinstance(event, kind) and test(event), future))
        return future  # type: ignore[return-value]

    def watch(self, look: Callable[[Event], None]) -> None:
        """Have a look at every event from now on, when it is told."""

        def awaited(event: Event) -> bool:
            look(event)
            return False

        self._watchers.append((awaited, asyncio.get_running_loop().create_future()))

    async def contact(self, other: Person) -> str:
        """The person id of another one, who may have stopped."""
        return other.engine._use_cases.keyring.own.person.hex()

    async def contact_known(self, name: str) -> str:
        """A contact's person id by its name, as this side knows it."""
        return next(view.person for view in await self.engine.contacts() if view.name == name)

    async def texts(self, other: Person) -> list[str]:
        return [view.text for view in await self.history(other)]

    async def history(self, other: Person) -> tuple[EntryView, ...]:
        return await self.engine.history(await self.contact(other), 10_000)

    def shown_once(self, number: int) -> bool:
        """Whether so many entries were shown, and none twice."""
        added = [event.entry.id for event in self.seen if isinstance(event, EntryAdded)]
        return len(added) == len(set(added)) == number

    async def sees(self, name: str) -> NearbyView:
        """The stranger of this name, once it is visible."""
        coming = self.wait(NearbyChanged, lambda event: any(view.name == name for view in event.nearby))
        nearby = await self.engine.nearby()
        if not any(view.name == name for view in nearby):
            nearby = (await coming).nearby
        return next(view for view in nearby if view.name == name)

    def stage(self, stage: PairingStage) -> asyncio.Future[PairingChanged]:
        return self.wait(PairingChanged, lambda event: event.pairing.stage is stage)


@asynccontextmanager
async def people(
    folder: Path, *names: str, config: Config = DEFAULTS, seed: int = 1
) -> AsyncIterator[tuple[Network, list[Person]]]:
    """Persons who have just made their profiles; all engines are stopped at the end."""
    network, made = Network(), []
    for number, name in enumerate(names, 1):
        person = Person(name, f"10.0.0.{number}", folder / name, network, config, seed * 100 + number)
        await person.create()
        made.append(person)
    try:
        yield network, made
    finally:
        for person in made:
            await person.engine.close()


async def pair(one: Person, other: Person) -> tuple[PairingView, PairingView]:
    """Pair nearby, both confirming the words; both are contacts at the end."""
    found = await one.sees(other.name)
    words = one.stage(PairingStage.WORDS), other.stage(PairingStage.WORDS)
    done = one.stage(PairingStage.DONE), other.stage(PairingStage.DONE)
    await one.engine.pair_nearby(found.instance)
    mine, theirs = [event.pairing for event in await asyncio.gather(*words)]
    assert mine.words == theirs.words
    assert len(mine.words) == 5
    await one.engine.answer_pairing(mine.id, True)
    await other.engine.answer_pairing(theirs.id, True)
    ended = await asyncio.gather(*done)
    return ended[0].pairing, ended[1].pairing


async def invite(inviter: Person, joiner: Person) -> None:
    """Pair by an invitation, which the inviter confirms."""
    invitation = await inviter.engine.invite()
    asked = inviter.stage(PairingStage.JOINER)
    done = inviter.stage(PairingStage.DONE), joiner.stage(PairingStage.DONE)
    await joiner.engine.join(invitation.text)
    event = await asked
    assert event.pairing.peer == joiner.name
    await inviter.engine.answer_pairing(event.pairing.id, True)
    await asyncio.gather(*done)


async def talk(one: Person, other: Person, text: str) -> str:
    """Send a text and wait until it is delivered; returns the entry's id."""
    view = await one.engine.send(await one.contact(other), text)
    arrived = one.wait(
        EntryChanged, lambda event: event.id == view.id and event.state is EntryState.DELIVERED
    )
    return (await arrived).id


def delivered(person: Person, number: int) -> asyncio.Future[EntryChanged]:
    """The moment when so many more entries of this person have been delivered."""
    left = {"entries": number}

    def test(event: EntryChanged) -> bool:
        left["entries"] -= event.state is EntryState.DELIVERED
        return left["entries"] == 0

    return person.wait(EntryChanged, test)
