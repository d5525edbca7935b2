"""Reading: opening a conversation, unread and older entries, search, one entry in full."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final

from chat.interface import (
    PICTURES_UNCONFINED,
    SAYS_SOMETHING,
    EntryKind,
    EntryView,
    FileProgress,
    FileState,
    Messenger,
    Unconfined,
    UsageError,
    parse_query,
    pattern,
)
from tui.linear.output import Output
from tui.linear.state import State, on_or_off
from tui.linear.wording import day_line, details_lines, entry_lines, quoted, standing
from tui.preferences import AMOUNTS, DOWNLOADS, ON, Options, Preferences, amount, is_size, pictures_of
from tui.text.formatting import clock_time, day_of, ends_mark, file_line, safe_label, unsearched, whole_text
from tui.text.pictures import COLUMNS_MAX, ROWS_MAX, cells, escaped, may_be_picture
from tui.text.safe import safe_line, without_controls
from tui.text.translation import _, _n, sentences, told

PAGE: Final = 20
"""Unread entries that are shown at once."""

LATE: Final = timedelta(minutes=5)
"""An entry that arrives so long after it was written is shown with its time."""

_FEW: Final = 10
_MOST: Final = 200
_AROUND: Final = 3
_OWN_MAX: Final = 64
_FILES_MAX: Final = 256
_UNCONFINED: Final = "unconfined"
_USUAL: Final = "usual"
_RELAY: Final = "relay"


@dataclass
class History:
    """Shows entries, and marks them as read once their lines are written."""

    messenger: Messenger
    output: Output
    options: Options
    preferences: Preferences
    state: State
    erasing: set[str] = field(init=False, default_factory=set)
    """Deleted entries whose words may still be in the file."""

    _more_unread: bool = field(init=False, default=False)
    _arrived_held: bool = field(init=False, default=False)  # until the output resumes
    _oldest: str | None = field(init=False, default=None)
    _shown: deque[str] = field(init=False, default_factory=lambda: deque(maxlen=_MOST + PAGE))
    _sent: deque[str] = field(init=False, default_factory=lambda: deque(maxlen=_OWN_MAX))
    _elsewhere: Counter[str] = field(init=False, default_factory=Counter)
    _day: date | None = field(init=False, default=None)
    _numbers: dict[tuple[str, str], int] = field(init=False, default_factory=dict)

    _files: dict[str, FileState] = field(init=False, default_factory=dict)
    _said: dict[str, FileState] = field(init=False, default_factory=dict)

    async def open(self, typed: str) -> None:
        if not typed:
            raise UsageError(_("Type /open and a name: /people lists your contacts."))
        await self.open_conversation(self.state.find(typed).person)

    async def open_conversation(self, person: str) -> None:
        self.state.current = person
        self._more_unread, self._arrived_held, self._oldest = False, False, None
        await self.where()
        if self.preferences.draft(person):
            said = _("You have an unsent text to {name}: /write continues it.")
            await self.output.say(said.format(name=self.state.name_of(person)))
        if await self.messenger.first_unread(person) is not None:
            await self.next()

    async def close(self, _typed: str = "") -> None:
        name = self.state.name_of(self.state.chosen().person)
        self.state.current = None
        await self.output.say(_("The conversation with {name} is closed.").format(name=name))

    async def where(self, _typed: str = "") -> None:
        view = self.state.talks.get(self.state.current or "")
        if view is None:
            said = _("No conversation is open: /people lists your contacts, /open NAME opens one.")
            await self.output.say(said)
            return
        if view.notes:
            await self.output.say(_("You are writing to yourself: your notes are on your devices only."))
            return
        how = standing(view)
        said = _("You are talking to {name}, {how}.").format(name=self.state.name_of(view.person), how=how)
        await self.output.say(said)
        if view.held:
            await self.output.say(self.state.held_line(view.person))

    async def arrived(self, entry: EntryView) -> None:
        """An entry was added: by a contact, by this client, or by another client of the profile.

        One that was missing is added again when its content comes.
        """
        if entry.own:
            if entry.contact == self.state.current and entry.id not in self._sent:
                await self.output.notify(*await self._lines(entry))
        elif entry.contact != self.state.current:
            # Only what can be read is announced, and no claim.
            self._elsewhere[entry.contact] += entry.kind in SAYS_SOMETHING and not entry.claimed
        elif entry.id not in self._shown:
            # Later entries wait behind unread ones that were not shown yet.
            if self._more_unread or self._arrived_held or self.output.paused:
                self._arrived_held = True
            else:
                await self.output.say(*await self._lines(entry))
                await self._mark_read((entry,))

    async def announce_elsewhere(self) -> None:
        """Say once how many entries came to other conversations."""
        counts, self._elsewhere = self._elsewhere, Counter()
        for person, number in counts.items():
            view = self.state.contacts.get(person)
            if number and view is not None and not view.muted:  # the list says how many are unread
                said = _n("{number} new message from {name}.", "{number} new messages from {name}.", number)
                await self.output.notify(said.format(number=number, name=self.state.name_of(person)))

    async def conflict(self, person: str) -> None:
        """Say that entries of one terminal claim one place in its chain."""
        if person in self.state.talks:
            said = _("{name}: two messages of one device conflict. Their details say more.")
            await self.output.notify(said.format(name=self.state.name_of(person)))

    async def marked(self, person: str) -> None:
        """Say that other entries than before are quarantined, or claims."""
        if person in self.state.contacts:
            said = _("{name}: other messages than before have a mark, which their details explain.")
            await self.output.notify(said.format(name=self.state.name_of(person)))

    async def edited(self, entry: EntryView) -> None:
        """Say what an entry says now. This client's own edits are known."""
        if entry.contact == self.state.current and entry.change not in self._sent:
            await self.output.notify(*await self._lines(entry))

    async def save(self, typed: str) -> None:
        """Save a file, or take it first, or take no more of it."""
        number, _space, folder = typed.partition(" ")
        entry = await self.find(number)
        if entry.file is None:
            raise UsageError(_("This message has no file."))
        if entry.file.state is FileState.WHOLE:
            path = await self.messenger.save_file(entry.contact, entry.id, _folder(folder.strip()))
            await self.output.say(_("Saved as {path}").format(path=safe_line(path)))
        elif entry.file.state in (FileState.TAKING, FileState.DIRECT):
            await self.messenger.pause_file(entry.contact, entry.id)
        else:
            await self.messenger.take_file(entry.contact, entry.id)

    async def let_go(self, typed: str) -> None:
        """Delete what this device has of a file."""
        entry = await self.find(typed)
        if entry.file is None:
            raise UsageError(_("This message has no file."))
        await self.messenger.let_go_of_file(entry.contact, entry.id)

    async def sizes(self, typed: str) -> None:
        """Say which sizes files of the open conversation may have without a question and by a relay.

        Or set one of them.
        """
        view, words = self.state.other(), typed.split()
        which = AMOUNTS["relayed" if words[:1] == [_RELAY] else "files"]
        if words:
            size = "" if words[-1] == _USUAL else words[-1]
            if words[-1] == _RELAY or len(words) > 1 + (words[0] == _RELAY) or not is_size(size):
                raise UsageError(
                    _("Type a number of MiB, or usual, and relay before it for files by a relay.")
                )
            await self.messenger.set_preference(f"{which.name}.{view.person}", size)
        kept, name = await self.messenger.preferences(), self.state.name_of(view.person)
        says = {
            "files": _("Files of {name} up to {size} MiB come without a question."),
            "relayed": _("Files of this conversation up to {size} MiB go through a relay."),
        }
        for one, said in says.items():
            size = kept.get(f"{AMOUNTS[one].name}.{view.person}") or str(amount(kept, AMOUNTS[one]))
            await self.output.say(said.format(name=name, size=safe_line(size)))

    async def pictures(self, typed: str) -> None:
        """Show the pictures of the open conversation as they come, or when one is asked for."""
        if typed == _UNCONFINED:
            await self.messenger.set_preference(PICTURES_UNCONFINED, ON)
            await self.output.say(_("Pictures are decoded here, though this system cannot confine that."))
            return
        view = self.state.chosen()
        name = pictures_of(view.person)
        before = self.preferences.get(name) == ON
        on = on_or_off(typed, default=before)
        if on != before:
            await self.preferences.set(name, ON if on else "")
        shown = _("Pictures of {name} are shown as they come.")
        said = shown if on else _("Pictures of {name} are shown when you ask for one.")
        await self.output.say(said.format(name=self.state.name_of(view.person)))

    async def show(self, typed: str) -> None:
        """Draw the picture of an entry, which nobody hears."""
        entry = await self.find(typed)
        if entry.file is None:
            raise UsageError(_("This message has no file."))
        if not self.output.colours:
            raise UsageError(_("This terminal draws no colours, which a picture needs: /save saves it."))
        try:
            await self._draw(entry.contact, entry.id)
        except Unconfined as refused:
            allow = _("Type /pictures unconfined to decode pictures here all the same.")
            raise Unconfined(sentences(told(refused.phrase), allow)) from None
        await self.output.say(file_line(entry.file))

    async def _draw(self, person: str, entry: str) -> None:
        """Draw a picture in blocks of colour. Raises ParlourError."""
        columns = min(COLUMNS_MAX, self.output.columns)
        shown = await self.messenger.show_picture(person, entry, columns, 2 * ROWS_MAX)
        all_colours = self.output.colours > 256
        await self.output.draw(escaped(row, all_colours=all_colours) for row in cells(shown, columns))

    async def file_moved(self, event: FileProgress) -> None:
        """Say when a file changes its state; each line is read aloud, so nothing between two states."""
        moved = _changes(self._files, event.id, event.file.state)
        if not moved or event.contact != self.state.current:
            return
        if _changes(self._said, event.id, event.file.state):
            name = self.state.name_of(event.contact)
            await self.output.notify(_("{name}: {text}").format(name=name, text=file_line(event.file)))
        await self._draw_allowed(event)

    async def _draw_allowed(self, event: FileProgress) -> None:
        """Draw a picture that came, where the person allowed that for the contact. Raises ParlourError."""
        allowed = self.preferences.get(pictures_of(event.contact)) == ON and self.output.colours
        if allowed and may_be_picture(event.file) and not self.output.paused:
            await self._draw(event.contact, event.id)

    def sent(self, entry: str) -> None:
        """This client sent an entry, so that the person has seen it already."""
        self._sent.append(entry)

    async def hold(self, _typed: str = "") -> None:
        self.output.holding = True
        await self.output.say(_("New lines are held back. An empty line shows them."))

    async def resume(self) -> bool:
        """Stop holding back; False where nothing was held."""
        self.output.holding = False
        return await self.catch_up()

    async def catch_up(self) -> bool:
        """Show what was held back, unless it still has to wait; whether there was anything."""
        if self.output.paused:
            return False
        if self.output.dropped:
            await self.output.say(_("Older lines were dropped. These are the last ones."))
        shown = await self.output.release()
        if self._arrived_held and not self._more_unread and self.state.current is not None:
            return await self._show_unread() or shown
        return shown

    async def next(self, _typed: str = "") -> None:
        if not await self._show_unread():
            await self.output.say(_("There is nothing unread."))

    async def _show_unread(self) -> bool:
        """Show a page of what is unread; False where nothing is: it was read elsewhere meanwhile, perhaps.

        What comes meanwhile belongs to it, as long as the page has room.
        """
        person = self.state.chosen().person
        self._arrived_held = self._more_unread = False
        first, room = await self.messenger.first_unread(person), PAGE
        while first is not None and room > 0:
            entry = await self.messenger.entry(person, first)
            if entry is None:
                break
            after = await self.messenger.history(person, room - 1, after=entry.id) if room > 1 else ()
            entries = (entry, *after)
            for one in entries:
                if one.id not in self._sent and one.id not in self._shown:
                    await self.output.say(*await self._lines(one))
            self._shown.extend(one.id for one in entries if one.kind is not EntryKind.MISSING)
            self._oldest = self._oldest or entry.id
            await self._mark_read(entries)
            before, first, room = first, await self.messenger.first_unread(person), room - len(entries)
            if first == before:  # a profile whose disk fails marks nothing
                room = 0
        self._more_unread = first is not None and room <= 0
        if self._more_unread:
            await self.output.say(_("There is more unread: /next shows it."))
        return room < PAGE

    async def last(self, typed: str) -> None:
        person, many = self.state.chosen().person, _how_many(typed)
        entries = await self.messenger.history(person, many)
        if not entries:
            await self.output.say(_("No messages yet."))
            return
        self._oldest = entries[0].id
        await self._show_numbered(entries)
        self._shown.extend(entry.id for entry in entries if entry.kind is not EntryKind.MISSING)
        if await self.messenger.first_unread(person) is None:  # else older ones were not shown yet
            self._more_unread = self._arrived_held = False

    async def read(self, typed: str) -> None:
        """Show the entries before the oldest one shown since the conversation was opened."""
        if self._oldest is None:
            await self.last(typed)
            return
        person, many = self.state.chosen().person, _how_many(typed)
        entries = await self.messenger.history(person, many, self._oldest)
        if not entries:
            await self.output.say(_("This is where the conversation begins."))
            return
        self._oldest = entries[0].id
        await self._show_numbered(entries)

    async def day(self, typed: str) -> None:
        person = self.state.chosen().person
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
            await self.output.say(_("There are no messages on that day or later."))
            return
        self._oldest = entry.id
        await self._show_numbered((entry, *await self.messenger.history(person, _FEW, after=entry.id)))

    async def search(self, typed: str) -> None:
        await self.search_all(typed, self.state.chosen().person)

    async def search_all(self, typed: str, person: str | None = None) -> None:
        if not typed:
            raise UsageError(_("Type the words to search for."))
        entries = await self.messenger.search(typed, person, typing=True)
        wanted = pattern(parse_query(typed, typing=True).terms)
        words = safe_line(typed)
        if elsewhere := (await self.messenger.retention()).elsewhere:
            await self.output.say(unsearched(elsewhere))
        if not entries:
            await self.output.say(_("Nothing was found with “{words}”.").format(words=words))
            return
        found = _n("{number} message with “{words}”.", "{number} messages with “{words}”.", len(entries))
        await self.output.say(found.format(number=len(entries), words=words))
        where = self.state.current
        for entry in entries:
            if entry.contact != where:
                where = entry.contact
                said = _("In the conversation with {name}.").format(name=self.state.name_of(where))
                await self.output.say(said)
            await self.output.say(*await self._lines(entry, numbered=True, wanted=wanted))

    async def around(self, typed: str) -> None:
        entry = await self.find(typed)
        before = await self.messenger.history(entry.contact, _AROUND, entry.id)
        after = await self.messenger.history(entry.contact, _AROUND, after=entry.id)
        await self._show_numbered((*before, entry, *after))

    async def whole(self, typed: str) -> None:
        lines = await self._lines(await self.find(typed), numbered=True, whole=True)
        await self.output.say(*lines, whole=True)

    async def copy(self, typed: str) -> None:
        """Copy an entry, or the newest one, by the terminal's own sequence for that (OSC 52)."""
        entry = await (self.find(typed) if typed else self._newest())
        if not self.output.at_terminal:
            raise UsageError(_("Only a terminal copies: this is a pipe or a file."))
        encoded = b64encode(without_controls(whole_text(entry)).encode()).decode()
        await self.output.echo(f"\x1b]52;c;{encoded}\a")
        await self.output.say(_("Copied."))

    async def _newest(self) -> EntryView:
        """The newest entry of the open conversation. Raises UsageError."""
        person = self.state.chosen().person
        found = [entry for entry in await self.messenger.latest() if entry.contact == person]
        if not found:
            raise UsageError(_("No messages yet."))
        return found[0]

    async def details(self, typed: str) -> None:
        entry = await self.find(typed)
        details = await self.messenger.details(entry.contact, entry.id)
        names = {**self.state.names(), self.state.me.person: _("you")}
        await self.output.say(*details_lines(details, names, self.options.now(), self.options.zone))

    async def find(self, typed: str) -> EntryView:
        """The entry with this number. Raises UsageError."""
        entry = await self.messenger.entry(*self.numbered(typed))
        if entry is None:
            raise UsageError(_("This message no longer exists here."))
        return entry

    def numbered(self, typed: str) -> tuple[str, str]:
        """Conversation and id of the entry with this number. Raises UsageError."""
        at = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 9 else 0
        for key, number in self._numbers.items():
            if number == at:
                return key
        raise UsageError(_("No message has this number: /last and /search list messages with numbers."))

    async def _show_numbered(self, entries: Sequence[EntryView]) -> None:
        for entry in entries:
            await self.output.say(*await self._lines(entry, numbered=True))
        await self._mark_read(entries)

    async def _mark_read(self, entries: Sequence[EntryView]) -> None:
        """Mark shown entries as read, but only those of the open conversation."""
        shown = tuple(one.id for one in entries if not one.own and one.contact == self.state.current)
        if shown and self.state.current is not None:
            await self.messenger.mark_read(self.state.current, shown)

    async def _lines(
        self,
        entry: EntryView,
        *,
        numbered: bool = False,
        whole: bool = False,
        wanted: re.Pattern[str] | None = None,
    ) -> Sequence[str]:
        """The lines of an entry, after a day line where its day differs from that of the entry before."""
        now, zone = self.options.now(), self.options.zone
        day = day_of(entry.time, zone)
        before = self._day or day_of(now, zone)
        self._day = day
        if entry.file is not None:
            _changes(self._said, entry.id, entry.file.state)
        lines = entry_lines(
            entry,
            self._author(entry),
            number=self._number_of(entry) if numbered else 0,
            refer=lambda: self._number_of(entry),
            time=clock_time(entry.time, zone) if numbered or abs(now - entry.time) > LATE else "",
            ends=ends_mark(entry, zone),
            answers=quoted(await self.messenger.entry(entry.contact, entry.reply)) if entry.reply else None,
            whole=whole,
            erasing=entry.id in self.erasing,
            wanted=wanted,
        )
        return lines if day == before else (day_line(entry.time, now, zone), *lines)

    def _number_of(self, entry: EntryView) -> int:
        """The number of an entry, which it keeps until the profile closes."""
        return self._numbers.setdefault((entry.contact, entry.id), len(self._numbers) + 1)

    def _author(self, entry: EntryView) -> str:
        if entry.claimed == "device":
            return safe_label(entry.author)
        if entry.own:
            return _("You")
        view, name = self.state.contacts.get(entry.contact), self.state.name_of(entry.contact)
        return _("{name}, {mark}").format(name=name, mark=_("bot")) if view is not None and view.bot else name


def _changes(states: dict[str, FileState], entry: str, state: FileState) -> bool:
    """Whether the file of an entry is in another state than before. Forgets the entry longest known."""
    before = states.get(entry)
    states[entry] = state
    if len(states) > _FILES_MAX:
        del states[next(iter(states))]
    return state is not before


def _folder(typed: str) -> str:
    """The folder that was typed, or the usual one."""
    return str(Path(typed or DOWNLOADS).expanduser())


def _how_many(typed: str) -> int:
    if not typed:
        return _FEW
    if typed.isascii() and typed.isdecimal() and len(typed) < 6 and 0 < int(typed) <= _MOST:
        return int(typed)
    raise UsageError(_("Type a number between 1 and {most}.").format(most=_MOST))
