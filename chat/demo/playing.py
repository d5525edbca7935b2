"""The past of a demo: contacts pair with the person, and what they have said goes over real links.

Rules: nothing is written into a database from here: every entry, mark and contact is what the engines make
of it; the clock moves only when what it showed has been stored on both sides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from chat.demo.clock import DemoClock
from chat.demo.sample import Contact, Conversation, Said, Sample
from chat.demo.terminal import DemoTerminal
from chat.interface import (
    ContactChanged,
    EntryAdded,
    EntryChanged,
    EntryState,
    PairingChanged,
    PairingStage,
)

UNTIL_READ: Final = 12_000
"""Milliseconds after which an entry is read."""


async def pair(person: DemoTerminal, contact: DemoTerminal) -> None:
    """By an invitation, which the person confirms; afterwards the two are linked."""

    def joined(event: PairingChanged) -> bool:
        return event.pairing.stage is PairingStage.JOINER and event.pairing.peer == contact.name

    asked = person.wait(PairingChanged, joined)
    linked = person.wait(ContactChanged, lambda event: is_linked(event, contact))
    back = contact.wait(ContactChanged, lambda event: is_linked(event, person))
    await contact.engine.join((await person.engine.invite()).text)
    await person.engine.answer_pairing((await asked).pairing.id, True)
    await asyncio.gather(linked, back)


def is_linked(event: ContactChanged, other: DemoTerminal) -> bool:
    """Whether a contact was just seen to be there."""
    return event.contact.person == other.person and event.contact.present


def is_away(event: ContactChanged, other: DemoTerminal) -> bool:
    """Whether a contact was just seen to be away."""
    return event.contact.person == other.person and not event.contact.present


async def regard(person: DemoTerminal, contact: DemoTerminal, row: Contact) -> None:
    """Mark a contact as the sample has it."""
    if row.verified:
        await person.engine.set_verified(contact.person, True)
    if row.blocked:
        await person.engine.block(contact.person, True)


class Playing:
    """Plays all conversations side by side, in the order of their times."""

    def __init__(
        self,
        sample: Sample,
        language: str,
        person: DemoTerminal,
        contacts: Sequence[DemoTerminal],
        times: Mapping[datetime, int],
        clock: DemoClock,
    ) -> None:
        self._sample = sample
        self._language = language
        self._person = person
        self._contacts = {contact.name: contact for contact in contacts}
        self._times = times
        self._clock = clock
        self._ids: dict[tuple[str, str], str] = {}

    async def play(self) -> None:
        """Everything, from the pairing to what is left unread. The clock then stands at the last entry."""
        rows = {row.name: row for row in self._sample.contacts}
        await asyncio.gather(*(pair(self._person, contact) for contact in self._contacts.values()))
        for name, contact in self._contacts.items():
            await regard(self._person, contact, rows[name])
        for conversation, said in self._in_time():
            self._clock.set(self._times[said.time.replace(tzinfo=None)])
            await self._say(self._contacts[conversation.contact], said)
        for conversation in self._sample.conversations:
            await self._read(conversation)
        for row in self._sample.contacts:
            if not row.present:
                await self._leave(self._contacts[row.name])

    def _in_time(self) -> list[tuple[Conversation, Said]]:
        said = [(one, entry) for one in self._sample.conversations for entry in one.entries]
        return sorted(said, key=lambda pair: pair[1].time)

    async def _say(self, contact: DemoTerminal, said: Said) -> None:
        own = said.author == self._sample.person
        if said.state is EntryState.QUEUED:
            await self._leave(contact)
        author, other = (self._person, contact) if own else (contact, self._person)
        stored = other.wait(EntryAdded, lambda event: event.entry.contact == author.person)
        delivered = author.wait(EntryChanged, lambda event: event.state is EntryState.DELIVERED)
        reply = self._ids[contact.name, said.reply] if said.reply else ""
        entry = await author.engine.send(other.person, said.within(self._language), reply)
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
        """The person has read all but the last of what the contact wrote."""
        contact = self._contacts[conversation.contact]
        written = await self._person.engine.history(contact.person, len(conversation.entries))
        theirs = [entry for entry in written if not entry.own]
        if seen := theirs[: len(theirs) - conversation.unread]:
            await self._person.engine.mark_read(contact.person, tuple(entry.id for entry in seen))

    async def _leave(self, contact: DemoTerminal) -> None:
        """The contact's terminal stops, and the person's has noticed."""
        views = await self._person.engine.contacts()
        if not any(view.person == contact.person and view.present for view in views):
            return
        gone = self._person.wait(ContactChanged, lambda event: is_away(event, contact))
        await contact.stop()
        await gone
