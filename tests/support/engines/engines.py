"""Real engines on a virtual clock and an in-memory network, direct or through a relay that records."""

from __future__ import annotations

import asyncio
import functools
import random
from base64 import b32encode, b64encode
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import combinations, count
from pathlib import Path
from typing import Any, TypeVar

from chat.assemble import filler
from chat.config import Config
from chat.engine import Engine, open_engine
from chat.interface import (
    ContactChanged,
    ContactView,
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
    QuestionsChanged,
    RelayChanged,
    RelayStanding,
)
from chat.network.links import Peer
from chat.ports import Ports
from chat.service.events import OwnLogGrew
from chat.storage import persons, profile
from chat.storage.database import Database
from protocol import profile_header
from protocol.identity.author import NewPerson, create_person
from protocol.identity.log import parse_operation
from protocol.keys import X25519Pair
from protocol.primitives import Random
from protocol.relay.relay_end import RelayEnd
from protocol.relay.rendezvous import DAY_SECONDS
from protocol.relay.states import Dials, RelayEvent, Waits
from tests.support.fakes.network import MemoryDiscovery, MemoryTransport, Network
from tests.support.fakes.relay import MemoryRelay
from tests.support.lab.virtual import VirtualClock, run_virtual

DEFAULTS = Config()
PASSPHRASE = "correct horse"
E = TypeVar("E", bound=Event)


def play(scenario: Callable[[], Coroutine[Any, Any, None]], limit: float = 3600.0) -> None:
    run_virtual(lambda clock: scenario(), limit)


def in_virtual_time(
    test: Callable[..., Coroutine[Any, Any, None]] | None = None, *, limit: float = 3600.0
) -> Callable[..., Any]:
    """Decorates a test that runs in virtual time, of which it may take `limit` seconds."""
    if test is None:
        return functools.partial(in_virtual_time, limit=limit)

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        play(lambda: test(**fixtures), limit)

    return run


@dataclass
class Person:
    """One person with one terminal on one host; its engine can be stopped, killed and started again."""

    name: str
    host: str
    folder: Path
    network: Network
    config: Config
    seed: int
    outside: Path | None = None
    clock: VirtualClock = field(init=False)
    engine: Engine = field(init=False)
    seen: list[Event] = field(default_factory=list)
    _watchers: list[tuple[Callable[[Event], bool], asyncio.Future[Event]]] = field(default_factory=list)
    _lookers: list[Callable[[Event], None]] = field(default_factory=list)
    _listening: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.clock = VirtualClock(asyncio.get_running_loop())
        self._random = random.Random(self.seed)

    def ports(self) -> Ports:
        here = self.network, self.host
        return Ports(self.clock, self._random.randbytes, MemoryTransport(*here), MemoryDiscovery(*here))

    async def create(
        self,
        make: Callable[[Random], NewPerson] | None = None,
        fill: Callable[[Database], None] | None = None,
    ) -> None:
        """Make a profile, of the person that `make` gives or with what `fill` writes, and start."""
        draw, cost = self._random.randbytes, profile_header.CHEAPEST
        if fill is None:
            fill = filler(create_person(self.name, draw) if make is None else make(draw))
        await self._run(profile.create(self.folder, PASSPHRASE, fill, random=draw, cost=cost))

    async def start(self) -> None:
        await self._run(profile.unlock(self.folder, PASSPHRASE))

    async def _run(self, opened: profile.Vault) -> None:
        executor = ThreadPoolExecutor(1)
        self.engine = await open_engine(opened, self.ports(), self.config, executor, self.outside)
        self._listening = asyncio.ensure_future(self._listen(self.engine.events()))
        await self.engine.start()

    async def _listen(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            self.seen.append(event)
            for look in self._lookers:
                look(event)
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
        """Look at every event from now on, when the person receives it."""

        self._lookers.append(look)

    @property
    def peer(self) -> Peer:
        """The terminal as its contacts know it."""
        keyring = self.engine._use_cases.keyring
        return Peer(keyring.own.person, keyring.identity.static.public)

    async def contact(self, other: Person) -> str:
        """The person id of another one, who may have stopped."""
        return other.engine._use_cases.keyring.own.person.hex()

    async def contact_known(self, name: str) -> str:
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
        nearby = [*await self.engine.nearby()]
        while not (found := [view for view in nearby if view.name == name]):
            nearby = [*(await coming).nearby]
        return found[0]

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


async def own_log(person: Person) -> list[bytes]:
    """The signed operations of a person's own log, as its engine holds them."""
    parts = person.engine._use_cases
    return list(await parts.store.read(persons.operations_of, parts.keyring.own.person))


async def take_in(person: Person, *operations: bytes, confirmed: bool = False) -> None:
    """A person's engine gets operations of its own log, which it has made itself if `confirmed`."""
    parts = person.engine._use_cases
    own = parts.keyring.own.person
    before, asked = parts.verification.questions(), person.wait(QuestionsChanged)
    for operation in operations:
        identity = parse_operation(operation).id
        await parts.store.write(persons.add_operation, own, identity, operation)
        if confirmed:
            await parts.store.write(persons.pin, own, [identity], confirmed=True)
            parts.keyring.own_confirmed |= {identity}
    log = await parts.store.write(persons.pinned, own)
    parts.keyring.follow_own_log(log, parts.keyring.own_confirmed)
    parts.bus.signal(OwnLogGrew())
    if parts.verification.questions() != before:
        await asyncio.wait_for(asked, 5)


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
    one_done, other_done = await asyncio.gather(*done)
    return one_done.pairing, other_done.pairing


@asynccontextmanager
async def two_contacts(
    folder: Path, config: Config = DEFAULTS, seed: int = 1
) -> AsyncIterator[tuple[Network, Person, Person]]:
    """Ada and Ben, who have paired nearby."""
    async with people(folder, "Ada", "Ben", config=config, seed=seed) as (network, (ada, ben)):
        await pair(ada, ben)
        yield network, ada, ben


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


async def recover(
    person: Person,
    words: tuple[str, ...],
    removed: tuple[str, ...],
    *,
    not_mine: bool = False,
    stolen: bool = True,
) -> tuple[str, ...]:
    """Use the recovery words, and type back new ones, which are returned."""
    view = await person.engine.begin_recovery()
    answers = tuple(view.words[place] for place in view.asked)
    await person.engine.recover(words, removed, answers, not_mine=not_mine, stolen=stolen)
    return view.words


async def talk(one: Person, other: Person, text: str) -> str:
    """Send a text and wait until it is delivered; returns the entry's id."""
    entry = (await one.engine.send(await one.contact(other), text)).id
    await one.wait(EntryChanged, lambda event: (event.id, event.state) == (entry, EntryState.DELIVERED))
    return entry


def delivered(person: Person, number: int) -> asyncio.Future[EntryChanged]:
    """The moment when so many more entries of this person have been delivered."""
    told = count(1)
    return person.wait(
        EntryChanged, lambda event: event.state is EntryState.DELIVERED and next(told) == number
    )


@asynccontextmanager
async def apart(
    folder: Path, config: Config = DEFAULTS, seed: int = 1, later: float = 0.0
) -> AsyncIterator[tuple[Network, MemoryRelay, Person, Person]]:
    """Ada and Ben, paired, who reach a relay that both have named, and not each other any more.

    All clocks are so many seconds later than a virtual day begins, which is at 8 in the morning.
    """
    async with two_contacts(folder, config, seed) as (network, ada, ben):
        await talk(ada, ben, "paired")
        relay = MemoryRelay(network).start()
        for clock in (ada.clock, ben.clock, relay.clock):
            clock.offset_ms = int(later * 1_000)
        network.part(ada.host, ben.host)
        for person in (ada, ben):
            await named(person, relay)
        yield network, relay, ada, ben


async def named(person: Person, relay: MemoryRelay) -> None:
    """The person names a relay, and waits there."""
    waits = stands(person, relay, RelayStanding.WAITING)
    await person.engine.add_relay(str(relay.address))
    await waits


def stands(person: Person, relay: MemoryRelay, standing: RelayStanding) -> asyncio.Future[RelayChanged]:
    """The moment when a person learns of this standing of a relay."""
    wanted = str(relay.address), standing
    return person.wait(RelayChanged, lambda event: (event.relay.address, event.relay.standing) == wanted)


async def contact(person: Person) -> ContactView:
    """The only contact."""
    (view,) = await person.engine.contacts()
    return view


def moved(person: Person, *, relayed: bool) -> asyncio.Future[ContactChanged]:
    """The moment when a person sees that the link goes through a relay, or directly."""
    wanted = True, relayed
    return person.wait(ContactChanged, lambda event: (event.contact.present, event.contact.relayed) == wanted)


def links(person: Person) -> int:
    return len(person.engine._use_cases.links.all())


async def same(ada: Person, ben: Person, *texts: str) -> None:
    """Both show the same entries in the same order, and none was shown twice."""
    assert await ada.texts(ben) == await ben.texts(ada)
    assert sorted(await ada.texts(ben)) == sorted(texts)
    for person in (ada, ben):
        assert person.shown_once(len(texts))


PART = 8
"""Keys and ids are searched for in parts of so many bytes: any 15 of them in a row have a whole one."""


@dataclass
class Sight:
    """All that one relay saw. `tokens`: of each of its days; `waited`: the number of tokens of each Wait."""

    network: Network
    host: str
    opened: list[bytes] = field(default_factory=list)
    tokens: dict[int, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    waited: list[int] = field(default_factory=list)
    dialled: int = 0

    @property
    def streams(self) -> list[bytes]:
        """What others sent to its host."""
        return [data for _, receiver, data in self.network.seen if receiver == self.host]

    def note(self, events: Iterable[RelayEvent], day: int) -> None:
        for event in events:
            if isinstance(event, Waits):
                self.tokens[day].update(event.tokens)
                self.waited.append(len(event.tokens))
            elif isinstance(event, Dials):
                self.tokens[day].add(event.token)
                self.dialled += 1

    def finds(self, texts: Mapping[str, bytes], keys: Mapping[str, bytes]) -> list[str]:
        """What of these is to be seen: texts as they are and as programs write bytes, any part of a key."""
        seen = b"\x00".join((*self.streams, *self.opened))
        parts = {name: [key[at : at + PART] for at in range(0, len(key), PART)] for name, key in keys.items()}
        wanted = {name: [*forms(text)] for name, text in texts.items()} | parts
        return [name for name, pieces in wanted.items() if any(piece in seen for piece in pieces)]

    def repeats(self) -> int:
        """How many tokens were seen on two days."""
        return sum(len(one & other) for one, other in combinations(self.tokens.values(), 2))


def forms(text: bytes) -> Iterator[bytes]:
    """Bytes as they are, and as hex, base64 and base32, in either case."""
    yield text
    for written in (text.hex().encode(), b64encode(text).rstrip(b"="), b32encode(text).rstrip(b"=")):
        yield from {written, written.lower(), written.upper()}


class SeeingEnd(RelayEnd):
    """The relay's end of a connection, which notes what it opens and what comes of it."""

    def __init__(self, pair: X25519Pair, now: float, time: int, random: Random, sight: Sight) -> None:
        super().__init__(pair, now, time, random)
        self.sight, self._day = sight, time // DAY_SECONDS

    def receive(self, data: bytes, now: float) -> list[RelayEvent]:
        events = super().receive(data, now)
        self.sight.note(events, self._day)
        return events

    def _open(self, frame: bytes) -> bytes:
        padded = super()._open(frame)
        self.sight.opened.append(padded)
        return padded


class SeeingRelay(MemoryRelay):
    """An honest relay that keeps everything: what a dishonest one could."""

    sight: Sight

    def start(self) -> SeeingRelay:
        self.sight = Sight(self.network, self.host)
        super().start()
        return self

    def end(self, now: float) -> RelayEnd:
        return SeeingEnd(self.pair, now, self.clock.wall() // 1_000, self.random, self.sight)
