"""Two paired terminals to which anything may happen, and what must hold all the same."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from chat.config import Config
from chat.interface import EntryAdded, EntryChanged, EntryState, EntryView, Event
from protocol.messages import Message
from tests.support.engines.engines import Person, pair, people, play
from tests.support.fakes.network import LATENCY, MemoryTransport, Network, Pipe

EAGER = Config(second_dial_delay=0.0)
"""Both sides dial as soon as they can, so that links are begun from both ends at once."""

NAMES = ("Ada", "Ben")
STRANGER = "10.0.0.9"
CONFIRMED = (EntryState.DELIVERED, EntryState.READ)
CONVERGES_WITHIN = 400
"""Virtual seconds after which everything must have arrived, once nothing troubles any more."""


def make_template(folder: Path) -> None:
    async def scenario() -> None:
        async with people(folder, *NAMES) as (_, (ada, ben)):
            await pair(ada, ben)

    play(scenario)


@dataclass
class Terminal:
    """One side: what it wrote, showed and had confirmed, its person read, it held when it went down."""

    person: Person
    up: bool = False
    written: list[str] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    shown: list[str] = field(default_factory=list)
    confirmed: set[str] = field(default_factory=set)
    held_when_down: frozenset[str] = frozenset()

    def held(self) -> frozenset[str]:
        """Ids of the entries that are committed here, asked of the database itself."""
        if not self.up:
            return self.held_when_down
        rows = self.person.engine._use_cases.store._database.rows(
            "SELECT e.id FROM entries AS e JOIN conversations AS c ON c.number = e.conversation"
            " WHERE c.contact IS NOT NULL"
        )
        return frozenset(entry.hex() for (entry,) in rows)

    async def contact(self) -> str:
        (contact,) = await self.person.engine.contacts()
        return contact.person

    async def history(self) -> tuple[EntryView, ...]:
        return await self.person.engine.history(await self.contact(), 10_000)


class Trouble:
    """Both terminals and their network; made and used on one virtual loop."""

    def __init__(self, template: Path, folder: Path) -> None:
        shutil.copytree(template, folder)
        self.network, self.folder = Network(), folder
        self.network.joins = True
        self.sides: list[Terminal] = []
        self.wrong: list[str] = []

    async def begin(self) -> None:
        for number, name in enumerate(NAMES):
            host, seed = f"10.0.0.{number + 1}", 1_001 + number
            person = Person(name, host, self.folder / name, self.network, EAGER, seed)
            person.watch(partial(self._told, number))
            self.sides.append(Terminal(person))
        for number in range(len(NAMES)):
            await self.start(number)

    # What the persons do.

    async def send(self, number: int, text: str) -> None:
        side = self.sides[number]
        if side.up:
            side.written.append((await side.person.engine.send(await side.contact(), text)).id)

    async def read(self, number: int) -> None:
        """Mark all that has come as read."""
        side = self.sides[number]
        if side.up and (received := [view.id for view in await side.history() if not view.own]):
            side.read.update(received)
            await side.person.engine.mark_read(await side.contact(), tuple(received))

    # What happens to them.

    def pipe(self, number: int) -> Pipe | None:
        """One of the open ends, the newest first."""
        alive = [pipe for pipe in reversed(self.network.pipes) if not pipe.closed]
        return alive[number % len(alive)] if alive else None

    async def dial(self, *numbers: int) -> None:
        """Begin links from these sides, all at once, whatever links there are."""
        dials = []
        for side in (self.sides[number] for number in numbers):
            if side.up:
                parts = side.person.engine._use_cases
                dials += [parts.dialer.dial(peer, 1.0) for peer in parts.keyring.dialled()]
        await asyncio.gather(*dials)

    async def say(self, number: int, message: Message) -> None:
        """Say what no engine would: a contact with the keys and no manners."""
        side = self.sides[number]
        for link in side.person.engine._use_cases.links.all()[:1] if side.up else ():
            await link.driver.send(message)

    async def replay(self, number: int) -> None:
        """A stranger says again what one end of an old connection has said."""
        pipe = self.network.pipes[number % len(self.network.pipes)] if self.network.pipes else None
        ports = [port for host, port in self.network.listeners if pipe is not None and host == pipe.peer]
        if pipe is None or not ports or not self.network.whole(STRANGER, pipe.peer):
            return
        connection = await MemoryTransport(self.network, STRANGER).connect(pipe.peer, ports[0], 1.0)
        with suppress(ConnectionError):
            for data in pipe.sent[:20]:
                await connection.write(data)
                await asyncio.sleep(LATENCY)

    async def crash(self, number: int, writes: int) -> None:
        """Kill a side after so many more writes of anybody, or two seconds: the files stay as they lie."""
        side, until = self.sides[number], len(self.network.seen) + writes
        if not side.up:
            return
        for _ in range(4_000):
            if len(self.network.seen) >= until:
                break
            await asyncio.sleep(LATENCY / 2)
        self.network.unplug(side.person.host)
        side.held_when_down, side.up = side.held(), False
        if side.person._listening is not None:
            side.person._listening.cancel()
        left = side.person.folder.with_suffix(".left")
        shutil.copytree(side.person.folder, left, ignore=shutil.ignore_patterns("engine.sock"))
        await side.person.engine.close()
        shutil.rmtree(side.person.folder)
        left.rename(side.person.folder)

    async def start(self, number: int) -> None:
        side = self.sides[number]
        if side.up:
            return
        await side.person.start()
        side.up = True
        if not side.held_when_down <= side.held():
            self.wrong.append(f"{side.person.name} has lost what was committed before the crash")

    # What must hold.

    def _told(self, number: int, event: Event) -> None:
        side, other = self.sides[number], self.sides[1 - number]
        if isinstance(event, EntryAdded):
            if event.entry.id in side.shown:
                self.wrong.append(f"{side.person.name} shows an entry twice")
            if event.entry.id not in side.held():
                self.wrong.append(f"{side.person.name} shows what it has not committed")
            side.shown.append(event.entry.id)
        if isinstance(event, EntryChanged) and event.state in CONFIRMED:
            self._confirm(side, other, event.id, event.state)

    def _confirm(self, side: Terminal, other: Terminal, entry: str, state: EntryState) -> None:
        side.confirmed.add(entry)
        if entry not in other.held():
            self.wrong.append(f"{side.person.name} says {state} of what the other has not committed")
        if state is EntryState.READ and entry not in other.read:
            self.wrong.append(f"{side.person.name} says read of what the other has not read")

    async def check(self) -> None:
        histories = [await side.history() if side.up else () for side in self.sides]
        for side, other, history in zip(self.sides, reversed(self.sides), histories, strict=True):
            if side.up:
                self._check_history(side, other, history)
        ids = [[view.id for view in history] for history in histories]
        # An entry whose ancestor is still missing may stand elsewhere until that comes.
        if set(ids[0]) == set(ids[1]) and ids[0] != ids[1]:
            self.wrong.append("one order here, another there")
        assert not self.wrong, self.wrong

    def _check_history(self, side: Terminal, other: Terminal, history: tuple[EntryView, ...]) -> None:
        ids = [view.id for view in history]
        if len(ids) != len(set(ids)) or set(ids) != side.held() or not set(side.written) <= set(ids):
            self.wrong.append(f"{side.person.name} does not show what it wrote and received, once each")
        linked = bool(side.person.engine._use_cases.links.all())
        for view in history:
            if view.own and view.state in CONFIRMED:
                self._confirm(side, other, view.id, view.state)
            elif view.own and (view.id in side.confirmed or (view.state is EntryState.SENT and not linked)):
                self.wrong.append(f"{side.person.name} says {view.state} of what was confirmed, or unlinked")

    async def calm(self) -> None:
        self.network.break_next_after, self.network.latency_of_next = (None, None), LATENCY
        for pipe in self.network.pipes:
            pipe.left, pipe.latency = None, LATENCY
        for number, side in enumerate(self.sides):
            self.network.heal(side.person.host)
            await self.start(number)

    async def settle(self) -> None:
        """Nothing troubles any more: everything arrives, both have the same, and one link is left."""
        await self.calm()
        for _ in range(CONVERGES_WITHIN):
            if await self._all_confirmed():
                break
            await asyncio.sleep(1)
        await asyncio.sleep(60)
        await self.check()
        assert await self._all_confirmed(), "not everything was delivered"
        first, second = [[view.id for view in await side.history()] for side in self.sides]
        assert first == second
        assert [len(side.person.engine._use_cases.links.all()) for side in self.sides] == [1, 1]

    async def _all_confirmed(self) -> bool:
        own = [view for side in self.sides for view in await side.history() if view.own]
        return all(view.state in CONFIRMED for view in own)

    async def end(self) -> None:
        for side in self.sides:
            if side.up:
                await side.person.stop()
