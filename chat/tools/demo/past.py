"""The sample network of seeds/demo.json, and its past played over real links.

The days move so that the last one is today; the hours stay, so a good morning is said in the morning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Final

import msgspec

from chat.interface import ContactChanged, EntryAdded, EntryChanged, EntryState, PairingChanged, PairingStage
from chat.tools.demo.engines import DemoClock, DemoTerminal

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
