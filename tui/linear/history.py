"""The part that reads: opening a conversation, what is unread, what is older, search, one entry in full.

Rules: an entry counts as read when its lines were written, and not before; while unread ones wait to be
told, later ones wait behind them; nothing here changes a conversation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Final

from chat.interface import EntryView, UsageError
from tui.linear.base import Base, Tools
from tui.linear.wording import details_lines, names_of, standing
from tui.text.formatting import safe_line
from tui.text.translation import _, _n

PAGE: Final = 20
"""Unread entries that are told at once."""

FEW: Final = 10
MOST: Final = 200
_AROUND: Final = 3


class Reading(Base):
    """Conversations and entries. Unread ones wait: `backlog` for /next, `behind` for an end of typing."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self.backlog = False
        self.behind = False
        self._oldest: str | None = None
        self._told: deque[str] = deque(maxlen=MOST + PAGE)

    async def tell_entry(self, entry: EntryView) -> None:
        """An entry of somebody else arrived in the open conversation."""
        if entry.id in self._told:
            return
        if self.backlog or self.behind or self.voice.waits:
            self.behind = True
            return
        await self.say(*await self.spoken(entry))
        await self._mark_read((entry,))

    async def do_open(self, typed: str) -> None:
        if not typed:
            raise UsageError(_("Type /open and a name: /people tells your contacts."))
        await self.open_conversation(self.contact(typed).person)

    async def open_conversation(self, person: str) -> None:
        self.current = person
        self.backlog, self.behind, self._oldest = False, False, None
        await self.do_where("")
        await self.tell_draft(person)
        if await self.messenger.first_unread(person) is not None:
            await self.do_next("")

    async def tell_draft(self, person: str) -> None:
        """Say that something was written and not sent."""
        raise TypeError("the writing part knows drafts")

    async def do_close(self, _typed: str) -> None:
        name = self.name_of(self.chosen().person)
        self.current = None
        await self.say(_("You do not talk with {name} any more.").format(name=name))

    async def do_where(self, _typed: str) -> None:
        """Whom this person talks with, and what stands in the way."""
        view = self.contacts.get(self.current or "")
        if view is None:
            await self.say(_("No conversation is open: /people tells your contacts, /open NAME opens one."))
            return
        name = self.name_of(view.person)
        muted = self.preferences.muted(view.person)
        await self.say(_("You talk with {name}, {how}.").format(name=name, how=standing(view, muted=muted)))
        if view.held:
            await self.say(self.holding_line(view.person))

    def holding_line(self, person: str) -> str:
        """What it means that a contact's identity has changed."""
        said = _("The identity of {name} has changed. Nothing can be sent before /verify yes or /verify no.")
        return said.format(name=self.name_of(person))

    # Unread and older.

    async def do_next(self, _typed: str) -> None:
        """Tell the next unread entries of the open conversation."""
        person = self.chosen().person
        self.behind = False
        first = await self.messenger.first_unread(person)
        entry = await self.messenger.entry(person, first) if first is not None else None
        if entry is None:
            self.backlog = False
            await self.say(_("Nothing is unread here."))
            return
        await self._tell_unread((entry, *await self.messenger.history(person, PAGE - 1, after=entry.id)))
        self.backlog = await self.messenger.first_unread(person) is not None
        if self.backlog:
            await self.say(_("More is unread: /next tells it."))

    async def _tell_unread(self, entries: Sequence[EntryView]) -> None:
        for entry in entries:
            if not self.is_ours(entry) and entry.id not in self._told:
                await self.say(*await self.spoken(entry))
        self._told.extend(entry.id for entry in entries)
        self._oldest = self._oldest or entries[0].id
        await self._mark_read(entries)

    async def _mark_read(self, entries: Sequence[EntryView]) -> None:
        """Mark entries whose lines were written, of the conversation that is open."""
        told = tuple(entry.id for entry in entries if not entry.own and entry.contact == self.current)
        if told and self.current is not None:
            await self.messenger.mark_read(self.current, told)

    async def do_last(self, typed: str) -> None:
        person, many = self.chosen().person, how_many(typed)
        entries = await self.messenger.history(person, many)
        if not entries:
            await self.say(_("No messages yet."))
            return
        self._oldest = entries[0].id
        await self._tell_numbered(entries)
        self._told.extend(entry.id for entry in entries)
        if await self.messenger.first_unread(person) is None:  # else older ones were not told yet
            self.backlog = self.behind = False

    async def do_read(self, typed: str) -> None:
        """Tell what stands before the oldest entry that was told since the conversation was opened."""
        if self._oldest is None:
            await self.do_last(typed)
            return
        person, many = self.chosen().person, how_many(typed)
        entries = await self.messenger.history(person, many, self._oldest)
        if not entries:
            await self.say(_("This is where the conversation begins."))
            return
        self._oldest = entries[0].id
        await self._tell_numbered(entries)

    async def do_day(self, typed: str) -> None:
        person = self.chosen().person
        try:
            day = date.fromisoformat(typed)
        except ValueError:
            raise UsageError(_("Type the day as year, month and day, 2026-11-25 for example.")) from None
        begins = datetime.combine(day, time.min)
        zone = self.options.zone
        moment = begins.replace(tzinfo=zone) if zone is not None else begins.astimezone()
        found = await self.messenger.entry_at(person, moment)
        entry = await self.messenger.entry(person, found) if found is not None else None
        if entry is None:
            await self.say(_("Nothing was written on that day or after it."))
            return
        self._oldest = entry.id
        await self._tell_numbered((entry, *await self.messenger.history(person, FEW, after=entry.id)))

    async def _tell_numbered(self, entries: Sequence[EntryView]) -> None:
        for entry in entries:
            await self.say(*await self.spoken(entry, numbered=True))
        await self._mark_read(entries)

    # Finding.

    async def do_search(self, typed: str) -> None:
        person = self.chosen().person
        await self._found(await self.messenger.search(_words(typed), person), typed)

    async def do_everywhere(self, typed: str) -> None:
        await self._found(await self.messenger.search(_words(typed)), typed)

    async def _found(self, entries: Sequence[EntryView], words: str) -> None:
        shown = safe_line(words)
        if not entries:
            await self.say(_("Nothing was found with “{words}”.").format(words=shown))
            return
        found = _n("{number} entry with “{words}”.", "{number} entries with “{words}”.", len(entries))
        await self.say(found.format(number=len(entries), words=shown))
        where = self.current
        for entry in entries:
            if entry.contact != where:
                where = entry.contact
                await self.say(_("In the conversation with {name}.").format(name=self.name_of(where)))
            await self.say(*await self.spoken(entry, numbered=True))

    async def do_around(self, typed: str) -> None:
        entry = await self.entry_of(typed)
        before = await self.messenger.history(entry.contact, _AROUND, entry.id)
        after = await self.messenger.history(entry.contact, _AROUND, after=entry.id)
        await self._tell_numbered((*before, entry, *after))

    async def do_whole(self, typed: str) -> None:
        entry = await self.entry_of(typed)
        await self.say(*await self.spoken(entry, numbered=True, whole=True))

    async def do_details(self, typed: str) -> None:
        entry = await self.entry_of(typed)
        told = await self.messenger.details(entry.contact, entry.id)
        names = {**names_of(self.contacts.values()), self.me.person: _("you")}
        await self.say(*details_lines(told, names, self.options.now(), self.options.zone))

    async def entry_of(self, typed: str) -> EntryView:
        """The entry of a number. Raises UsageError."""
        person, found = self.numbered(typed)
        entry = await self.messenger.entry(person, found)
        if entry is None:
            raise UsageError(_("This entry is not here any more."))
        return entry


def how_many(typed: str) -> int:
    """How many entries somebody wants to hear. Raises UsageError."""
    if not typed:
        return FEW
    if typed.isascii() and typed.isdecimal() and len(typed) < 6 and 0 < int(typed) <= MOST:
        return int(typed)
    raise UsageError(_("Type a number between 1 and {most}.").format(most=MOST))


def _words(typed: str) -> str:
    if not typed:
        raise UsageError(_("Type the words to be found."))
    return typed
