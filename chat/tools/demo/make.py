"""Makes a demo: the sample network of seeds/demo.json, its past, and those who answer in the present.

The past is played over real links. Its days move so that the last one is today; the hours stay, so a good
morning is said in the morning.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Final

import msgspec

from chat.interface import (
    WORDS_READ,
    ContactChanged,
    ContactRemoved,
    EntryAdded,
    EntryChanged,
    EntryState,
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

# --- The past ---

CHINESE: Final = "zh"
_A_MOMENT: Final = timedelta(minutes=1)


class Text(msgspec.Struct, frozen=True):
    text: str
    zh: str = ""

    def within(self, language: str) -> str:
        return self.zh if language == CHINESE and self.zh else self.text


class Said(Text, frozen=True, kw_only=True):
    """One entry. `time`: of a wall clock; `state`: of an own entry; `reply`: `id` of an earlier entry."""

    author: str
    time: datetime
    state: EntryState | None = None
    id: str = ""
    reply: str = ""


class Conversation(msgspec.Struct, frozen=True):
    """The entries with a contact, of which the person has not read the last `unread`."""

    contact: str = msgspec.field(name="with")
    entries: tuple[Said, ...] = ()
    unread: int = 0


class Contact(msgspec.Struct, frozen=True):
    """A contact of the person. One that is not `present` is offline until someone brings it."""

    name: str
    verified: bool
    present: bool
    blocked: bool


class Stranger(msgspec.Struct, frozen=True):
    name: str


class Answer(Text, frozen=True, kw_only=True):
    """The answer to a text with one of the words; it may bring an offline contact online."""

    words: tuple[str, ...]
    brings: str = ""


class Sample(msgspec.Struct, frozen=True):
    person: str
    contacts: tuple[Contact, ...]
    conversations: tuple[Conversation, ...]
    nearby: tuple[Stranger, ...]
    greeting: Text
    answers: tuple[Answer, ...]
    otherwise: tuple[Text, ...]
    back: Text = msgspec.field(name="return")
    language: str = ""


def read_sample(language: str = "") -> Sample:
    """The sample, which speaks `zh` or English."""
    sample = msgspec.json.decode(files("seeds").joinpath("demo.json").read_bytes(), type=Sample)
    return msgspec.structs.replace(sample, language=language)


def placed(conversations: Sequence[Conversation], now: datetime) -> dict[datetime, int]:
    """The time of each entry by what its clock showed, in milliseconds of Unix time.

    `now` is aware; its zone is where the clocks hang. All days move alike: the last entry is the newest of
    its hour that has passed.
    """
    shown = [said.time.replace(tzinfo=None) for one in conversations for said in one.entries]
    today = (now - _A_MOMENT).replace(tzinfo=None)
    moved = timedelta(days=(today - max(shown)) // timedelta(days=1))
    return {time: round((time + moved).replace(tzinfo=now.tzinfo).timestamp() * 1000) for time in shown}


UNTIL_READ: Final = 12_000  # milliseconds after which an entry is read


async def pair(person: DemoTerminal, contact: DemoTerminal) -> None:
    """Pair by an invitation that the person confirms, and wait until the two are linked."""

    def joined(event: PairingChanged) -> bool:
        return event.pairing.stage is PairingStage.JOINER and event.pairing.peer == contact.name

    asked = person.wait(PairingChanged, joined)
    linked = person.wait(ContactChanged, lambda event: shows(event, contact, present=True))
    back = contact.wait(ContactChanged, lambda event: shows(event, person, present=True))
    await contact.engine.join((await person.engine.invite()).text)
    await person.engine.answer_pairing((await asked).pairing.id, True)
    await asyncio.gather(linked, back)


def shows(event: ContactChanged, other: DemoTerminal, *, present: bool) -> bool:
    return event.contact.person == other.person and event.contact.present == present


class Playing:
    def __init__(
        self,
        sample: Sample,
        person: DemoTerminal,
        contacts: Sequence[DemoTerminal],
        times: Mapping[datetime, int],
        clock: DemoClock,
    ) -> None:
        self._sample = sample
        self._person = person
        self._contacts = {contact.name: contact for contact in contacts}
        self._times = times
        self._clock = clock
        self._ids: dict[tuple[str, str], str] = {}

    async def play(self) -> None:
        """Play everything, from the pairing to what is left unread. The clock then shows the last entry."""
        rows = {row.name: row for row in self._sample.contacts}
        await asyncio.gather(*(pair(self._person, contact) for contact in self._contacts.values()))
        for name, contact in self._contacts.items():
            if rows[name].verified:
                shown = await self._person.engine.verification(contact.person)
                await self._person.engine.verify(contact.person, shown.numbers[0])
            if rows[name].blocked:
                await self._person.engine.block(contact.person, True)
        said_in = [(one, entry) for one in self._sample.conversations for entry in one.entries]
        for conversation, said in sorted(said_in, key=lambda pair: pair[1].time):
            self._clock.set(self._times[said.time.replace(tzinfo=None)])
            await self._say(self._contacts[conversation.contact], said)
        for conversation in self._sample.conversations:
            await self._read(conversation)
        for row in self._sample.contacts:
            if not row.present:
                await self._leave(self._contacts[row.name])

    async def _say(self, contact: DemoTerminal, said: Said) -> None:
        own = said.author == self._sample.person
        if said.state is EntryState.QUEUED:
            await self._leave(contact)
        author, other = (self._person, contact) if own else (contact, self._person)
        stored = other.wait(EntryAdded, lambda event: event.entry.contact == author.person)
        delivered = author.wait(EntryChanged, lambda event: event.state is EntryState.DELIVERED)
        reply = self._ids[contact.name, said.reply] if said.reply else ""
        entry = await author.engine.send(other.person, said.within(self._sample.language), reply)
        if said.id:
            self._ids[contact.name, said.id] = entry.id
        if said.state is EntryState.QUEUED:
            return
        await asyncio.gather(stored, delivered)
        if said.state is EntryState.READ:
            self._clock.set(self._clock.wall() + UNTIL_READ)
            seen = author.wait(EntryChanged, lambda event: event.state is EntryState.READ)
            await other.engine.mark_read(author.person, (entry.id,))
            await seen

    async def _read(self, conversation: Conversation) -> None:
        """Mark as read all but the last of what the contact wrote."""
        contact = self._contacts[conversation.contact]
        written = await self._person.engine.history(contact.person, len(conversation.entries))
        theirs = [entry for entry in written if not entry.own]
        if seen := theirs[: len(theirs) - conversation.unread]:
            await self._person.engine.mark_read(contact.person, tuple(entry.id for entry in seen))

    async def _leave(self, contact: DemoTerminal) -> None:
        views = await self._person.engine.contacts()
        if not any(view.person == contact.person and view.present for view in views):
            return
        gone = self._person.wait(ContactChanged, lambda event: shows(event, contact, present=False))
        await contact.stop()
        await gone


# --- The present ---

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
        if not isinstance(event, EntryAdded) or event.entry.kind != "text":
            return
        if event.entry.contact == self._person and not event.entry.own:
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
            await _create(contact, sample)
        await Playing(sample, person, contacts, times, clock).play()
        clock.run()
        for stranger in strangers:  # only now, since an announcement is renewed on another day
            await _appear(stranger, person, sample)
        demo = Demo(person, Neighbours(sample, person, terminals))
        await demo.serve()
    except BaseException:
        await asyncio.gather(*(terminal.stop() for terminal in (person, *terminals.values())))
        raise
    return demo


async def _create(terminal: DemoTerminal, sample: Sample) -> None:
    """Somebody other than the person: they read the words of the language that they write."""
    await terminal.create(PASSPHRASE)
    if sample.language == CHINESE:
        await terminal.engine.set_preference(WORDS_READ, CHINESE)


async def _appear(stranger: DemoTerminal, person: DemoTerminal, sample: Sample) -> None:
    seen = person.wait(NearbyChanged, lambda event: stranger.name in {view.name for view in event.nearby})
    await _create(stranger, sample)
    await seen
