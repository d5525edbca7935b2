"""Makes a demo: the terminals, their past, and the contacts and strangers that answer in the present."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from chat.interface import (
    ContactRemoved,
    EntryAdded,
    EntryView,
    Event,
    Messenger,
    NearbyChanged,
    PairingChanged,
    PairingStage,
    PairingView,
    ParlourError,
)
from chat.ports import Clock, Random
from chat.tasks import Tasks
from chat.tools.demo.engines import DemoClock, DemoTerminal, Network
from chat.tools.demo.past import CHINESE, Playing, Sample, placed, read_sample

READS_AFTER: Final = 0.7
TYPES_AFTER: Final = 0.4
TYPES_LEAST: Final = 0.9
TYPES_MOST: Final = 2.4
A_CHARACTER: Final = 0.008
"""Seconds, all of them: long enough to be seen, and short enough not to be waited for."""

QUOTED: Final = 40  # characters of a text that an answer says again

_WORD: Final = re.compile(r"\w+")
_IDEOGRAPH: Final = re.compile(r"[\u3400-\u9fff]")


def has_word(text: str, words: tuple[str, ...]) -> bool:
    """Whether a text contains one of the words; in scripts without spaces, anywhere."""
    folded = text.casefold()
    found = set(_WORD.findall(folded))
    return any(word in found or (not word.isascii() and word in folded) for word in words)


class Answering:
    """Lets one terminal answer one person: with the first answer whose words are in the text, else in turn.

    An answer may call `bring` with a contact that is `away`, which then comes online.
    """

    def __init__(
        self,
        terminal: DemoTerminal,
        person: str,
        sample: Sample,
        away: Collection[str],
        bring: Callable[[str], None],
    ) -> None:
        self._terminal = terminal
        self._person = person
        self._sample = sample
        self._away = away
        self._bring = bring
        self._number = 0
        self._asked: asyncio.Queue[EntryView] = asyncio.Queue()
        self._first: str | None = None
        terminal.watch(self._hear)

    def _answer_to(self, text: str) -> tuple[str, str]:
        """(the answer, the name of the contact that it brings or nothing)."""
        language = CHINESE if _IDEOGRAPH.search(text) else self._sample.language
        for answer in self._sample.answers:
            if has_word(text, answer.words) and (not answer.brings or answer.brings in self._away):
                return answer.within(language), answer.brings
        answer_to_any = self._sample.otherwise[self._number % len(self._sample.otherwise)]
        self._number += 1
        said = " ".join(text.split())
        if len(said) > QUOTED:
            said = said[: QUOTED - 1].rstrip() + "…"
        return answer_to_any.within(language).replace("{said}", said), ""

    def _hear(self, event: Event) -> None:
        if isinstance(event, EntryAdded) and event.entry.contact == self._person and not event.entry.own:
            self._asked.put_nowait(event.entry)

    def begin_with(self, text: str) -> None:
        self._first = text

    async def run(self) -> None:
        while True:
            entry = await self._asked.get()
            try:
                await self._answer(entry)
            except ParlourError:
                continue  # the person blocked or removed this contact, or its engine stops: no answer then

    async def _answer(self, entry: EntryView) -> None:
        engine = self._terminal.engine
        await asyncio.sleep(READS_AFTER)
        asked = [entry]
        while not self._asked.empty():
            asked.append(self._asked.get_nowait())
        entry, several = asked[-1], len(asked) > 1
        await engine.mark_read(self._person, tuple(one.id for one in asked))
        text, brings = (self._first, "") if self._first is not None else self._answer_to(entry.text)
        self._first = None
        await asyncio.sleep(TYPES_AFTER)
        await self.write(text, entry.id if several else "")
        if brings:
            self._bring(brings)

    async def write(self, text: str, reply: str = "") -> None:
        engine = self._terminal.engine
        await engine.typing(self._person, True)
        await asyncio.sleep(min(TYPES_MOST, TYPES_LEAST + A_CHARACTER * len(text)))
        await engine.send(self._person, text, reply)


PASSPHRASE: Final = "nobody types it"
AGREES_AFTER: Final = 1.2
JOINS_AFTER: Final = 4.0
GREETS_AFTER: Final = 1.0
COMES_AFTER: Final = 2.5
"""Seconds, all of them."""


class Neighbours:
    """engine.Server of the person's engine: the others start and stop with it."""

    def __init__(self, sample: Sample, person: DemoTerminal, terminals: Mapping[str, DemoTerminal]) -> None:
        self._sample = sample
        self._person = person
        self._terminals = terminals
        self._away = {row.name for row in sample.contacts if not row.present}
        self._unpaired = [row.name for row in sample.nearby]
        self._words: dict[tuple[str, ...], tuple[DemoTerminal, PairingView]] = {}
        loop, failed = asyncio.get_running_loop(), "a neighbour of the demo failed"
        self._tasks = Tasks(
            lambda error: loop.call_exception_handler({"message": failed, "exception": error})
        )
        self._answering = {name: self._let_answer(terminal) for name, terminal in terminals.items()}
        person.watch(self._person_heard)
        person.watch_invitations(lambda text: self._tasks.spawn(self._join(text)))

    def _let_answer(self, terminal: DemoTerminal) -> Answering:
        terminal.watch(lambda event: self._heard(terminal, event))
        person = self._person.person
        return Answering(terminal, person, self._sample, self._away, self._bring)

    async def start(self) -> None:
        """Start everyone who is not away, and let them answer. Raises a StorageFailure."""
        for name, terminal in self._terminals.items():
            if name not in self._away:
                if not terminal.running:
                    await terminal.start(PASSPHRASE)
                self._tasks.spawn(self._answering[name].run())

    async def drain(self, within: float) -> None:
        """Nothing to do: they ask nothing of the person's engine."""

    async def close(self) -> None:
        await self._tasks.stop()
        await asyncio.gather(*(terminal.stop() for terminal in self._terminals.values()))

    def _bring(self, name: str) -> None:
        if name in self._away:
            self._away.discard(name)
            self._tasks.spawn(self._come(name))

    async def _come(self, name: str) -> None:
        await asyncio.sleep(COMES_AFTER)
        self._answering[name].begin_with(self._sample.back.within(self._sample.language))
        await self._terminals[name].start(PASSPHRASE)
        await self._answering[name].run()

    def _heard(self, terminal: DemoTerminal, event: Event) -> None:
        if isinstance(event, PairingChanged):
            match event.pairing.stage:
                case PairingStage.WORDS:
                    self._words[event.pairing.words] = (terminal, event.pairing)
                case PairingStage.FAILED:
                    self._tasks.spawn(terminal.engine.set_visible(True))
                case PairingStage.DONE:
                    self._unpaired.remove(terminal.name)
                    self._tasks.spawn(self._greet(terminal))

    def _person_heard(self, event: Event) -> None:
        if isinstance(event, PairingChanged) and event.pairing.stage is PairingStage.WAITING:
            self._tasks.spawn(self._agree(event.pairing.words))
        elif isinstance(event, ContactRemoved):
            removed = [one for one in self._terminals.values() if one.person == event.person and one.running]
            for terminal in removed:
                self._tasks.spawn(self._be_a_stranger(terminal))

    async def _agree(self, words: tuple[str, ...]) -> None:
        """The terminal that sees the confirmed words confirms them too."""
        await asyncio.sleep(AGREES_AFTER)
        if (seen := self._words.pop(words, None)) is not None:
            terminal, pairing = seen
            await _try(terminal.engine.answer_pairing(pairing.id, True))

    async def _greet(self, terminal: DemoTerminal) -> None:
        await asyncio.sleep(GREETS_AFTER)
        greeting = self._sample.greeting.within(self._sample.language).replace("{name}", self._sample.person)
        await _try(self._answering[terminal.name].write(greeting))

    async def _be_a_stranger(self, terminal: DemoTerminal) -> None:
        await _try(terminal.engine.remove(self._person.person))
        self._unpaired.append(terminal.name)
        await terminal.engine.set_visible(True)

    async def _join(self, text: str) -> None:
        await asyncio.sleep(JOINS_AFTER)
        if self._unpaired:
            await _try(self._terminals[self._unpaired[0]].engine.join(text))


async def _try(call: Awaitable[object]) -> None:
    """Ignore what the person has made impossible meanwhile, such as writing after a block."""
    with suppress(ParlourError):
        await call


BEFORE: Final = 600_000  # milliseconds before the first entry at which the terminals are made


class Demo:
    def __init__(self, person: DemoTerminal, neighbours: Neighbours) -> None:
        self.person = person
        self._neighbours = neighbours

    async def unlock(self, passphrase: str) -> Messenger:
        """Start the engine again. Raises WrongPassphrase, a StorageFailure."""
        await self.person.start(passphrase)
        return await self.serve()

    async def serve(self) -> Messenger:
        """The others start and stop with the person's engine from now on."""
        try:
            await self.person.engine.serve(self._neighbours)
        except BaseException:
            await self._neighbours.close()
            await self.person.stop()
            raise
        return self.person.engine


async def make(folder: Path, passphrase: str, language: str, machine: Clock, random: Random) -> Demo:
    """A demo with its profiles in `folder`. Raises CannotCreate, a StorageFailure."""
    sample, clock, network = read_sample(language), DemoClock(machine), Network()
    times = placed(sample.conversations, clock.present())
    others = [row.name for row in sample.contacts] + [row.name for row in sample.nearby]
    terminals = {
        name: DemoTerminal(name, f"127.0.0.{number}", folder / str(number), network, clock, random)
        for number, name in enumerate([sample.person, *others], 1)
    }
    person = terminals.pop(sample.person)
    contacts = [terminals[row.name] for row in sample.contacts]
    strangers = [terminals[row.name] for row in sample.nearby]
    try:
        clock.set(min(times.values()) - BEFORE)
        await person.create(passphrase)
        for contact in contacts:
            await contact.create(PASSPHRASE)
        await Playing(sample, person, contacts, times, clock).play()
        clock.run()
        for stranger in strangers:  # only now, since an announcement is renewed on another day
            await _appear(stranger, person)
        demo = Demo(person, Neighbours(sample, person, terminals))
        await demo.serve()
    except BaseException:
        await asyncio.gather(*(terminal.stop() for terminal in (person, *terminals.values())))
        raise
    return demo


async def _appear(stranger: DemoTerminal, person: DemoTerminal) -> None:
    seen = person.wait(NearbyChanged, lambda event: stranger.name in {view.name for view in event.nearby})
    await stranger.create(PASSPHRASE)
    await seen
