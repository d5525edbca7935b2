"""Writing: a line or a text of several lines, answers, delivery states; deleting entries, and the timer."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from msgspec import Struct

from chat.interface import (
    GONE,
    AlertKind,
    DeletionScope,
    EntryChanged,
    EntryKind,
    EntryState,
    EntryView,
    Guard,
    HistoryCleared,
    Messenger,
    ParlourError,
    UsageError,
    parse_timer,
)
from tui.linear.history import History
from tui.linear.output import Output
from tui.linear.state import Questions, State
from tui.linear.wording import DELIVERY, quoted, timer_line
from tui.preferences import Preferences, kept_send_id, send_id
from tui.text.formatting import counter, deletion, gone_line
from tui.text.people import clearing_line
from tui.text.safe import safe_line
from tui.text.translation import _, told

SLASH: Final = "/"
_SENDS: Final = "."
_DROPS: Final = "/drop"


class _Text(Struct):
    """A text of several lines that is being written, and the entry (id) that it answers or `edits`."""

    person: str
    reply: str
    lines: list[str]
    edits: str = ""


@dataclass
class Composer:
    """Sends to the open conversation. What is not sent is kept in the encrypted profile.

    `guard` is asked before a text leaves.
    """

    messenger: Messenger
    output: Output
    preferences: Preferences
    state: State
    history: History
    questions: Questions
    guard: Guard
    _text: _Text | None = field(init=False, default=None)
    _last: tuple[str, str] = field(init=False, default=("", ""))
    _reached: EntryState | None = field(init=False, default=None)

    @property
    def composing(self) -> bool:
        """Whether lines that are typed go into a text of several lines."""
        return self._text is not None

    async def send_line(self, line: str) -> None:
        """Send a line to the open conversation. Two slashes at its start stand for one."""
        text = line.removeprefix(SLASH) if line.startswith(SLASH * 2) else line
        person = self.state.chosen().person
        await self._unless_passphrase(person, line, partial(self._send_or_keep, person, text))

    async def write(self, _typed: str = "") -> None:
        await self._compose(self.state.chosen().person)

    async def reply(self, typed: str) -> None:
        number, _space, text = typed.partition(" ")
        person, answered = self.history.numbered(number)
        entry = await self.messenger.entry(person, answered)
        if entry is not None:
            _refuse_deleted(entry)
        if person != self.state.current:
            problem = _("This message belongs to the conversation with {name}: open that first.")
            raise UsageError(problem.format(name=self.state.name_of(person)))
        if text.strip():
            send = partial(self._send_or_keep, person, text.strip(), answered)
            await self._unless_passphrase(person, text, send)
        else:
            await self._compose(person, answered)

    async def edit(self, typed: str) -> None:
        number, _space, text = typed.partition(" ")
        if not number:
            raise UsageError(_("Type /edit and the number of a message: /last lists messages with numbers."))
        entry = await self.history.find(number)
        _refuse_deleted(entry)
        if not entry.own or entry.kind is not EntryKind.TEXT:
            raise UsageError(_("Only your own messages whose text is on this device can be edited."))
        if text.strip():
            edit = partial(self._edit, entry.contact, entry.id, text.strip())
            await self._unless_passphrase(entry.contact, text, edit)
            return
        self._text = _Text(entry.contact, "", [], entry.id)
        await self._say_lines(entry.text.split("\n"))
        how = _("Type the new text, line by line. A line with only a dot sends it, {drop} changes nothing.")
        await self.output.say(how.format(drop=_DROPS))
        self.output.holding = True

    async def _unless_passphrase(self, person: str, text: str, send: Callable[[], Awaitable[object]]) -> None:
        """Send a text, after a question where it may be the passphrase. Raises ParlourError."""
        doubt = await self.guard.doubt(text)
        if doubt is None:
            await send()
            return

        async def all_the_same() -> None:
            self.guard.let_out()
            await send()

        why = _("Anyone who knows it can open your history on this device.")
        asked = told(doubt), why, _("Send it all the same?")
        await self.questions.confirm(person, asked, all_the_same, late=True)

    async def _edit(self, person: str, entry: str, text: str) -> None:
        edited = await self.messenger.edit(person, entry, text, secrets.token_hex(16))
        self.guard.let_out()
        self.history.sent(edited.change)
        self._last, self._reached = (person, edited.change), None
        view = self.state.contacts.get(person)
        if view is not None and not view.present and self.state.announces("delivery"):
            said = _("Queued until {name} is online.").format(name=self.state.name_of(person))
            await self.output.say(said)

    async def _send_or_keep(self, person: str, text: str, reply: str = "") -> None:
        try:
            sent = await self._send(person, text, reply)
        except ParlourError:
            await self._keep_unsent(person, text, reply)
            raise
        if not sent:
            await self._keep_unsent(person, text, reply)

    async def _send(self, person: str, text: str, reply: str) -> bool:
        """False where nothing may be sent, which is said. Raises ParlourError."""
        view = self.state.contacts.get(person)
        if view is not None and view.held:
            kept = _("Your text is saved. /write continues it.")
            await self.output.say(self.state.held_line(person), kept)
            return False
        drawn = send_id(self.preferences.get(f"sending.{person}"), text, reply)
        try:
            entry = await self.messenger.send(person, text, reply, drawn)
        except ParlourError:
            with suppress(ParlourError):  # it holds here nevertheless
                await self.preferences.set(f"sending.{person}", kept_send_id(drawn, text, reply))
            raise
        self.guard.let_out()
        if self.preferences.get(f"sending.{person}"):
            await self.preferences.set(f"sending.{person}", "")
        self.history.sent(entry.id)
        self._last, self._reached = (person, entry.id), None
        if view is not None and not view.present and self.state.announces("delivery"):
            said = _("Queued until {name} is online.").format(name=self.state.name_of(person))
            await self.output.say(said)
        return True

    async def _compose(self, person: str, reply: str = "") -> None:
        if any(alert.kind is AlertKind.REMOVED for alert in await self.messenger.alerts()):
            await self.output.say(_("This device was removed. It sends nothing."))
            return
        draft = self.preferences.draft(person)
        reply = reply or self.preferences.get(f"reply.{person}")
        self._text = _Text(person, reply, draft.split("\n") if draft else [])
        how = _("Write to {name}, line by line. A line with only a dot sends it, {drop} discards it.")
        await self.output.say(how.format(name=self.state.name_of(person), drop=_DROPS))
        await self._say_lines(self._text.lines)
        self.output.holding = True

    async def _say_lines(self, lines: Sequence[str]) -> None:
        for at, line in enumerate(lines, 1):
            said = _("{name}, line {number}: {text}")
            await self.output.say(said.format(name=_("You"), number=at, text=safe_line(line)))

    async def take_line(self, line: str) -> None:
        """Add a line to the text that is being written, send it, or drop it."""
        written = self._text
        assert written is not None
        if line in (_SENDS, _DROPS):
            self._text = None
            text = "\n".join(written.lines)
            try:
                if line == _DROPS or not text.strip():
                    await self.output.say(_("Nothing was sent."))
                    if not written.edits:
                        await self._keep(written.person, "", "")
                else:
                    await self._unless_passphrase(
                        written.person, text, partial(self._send_written, written, text)
                    )
            finally:
                await self.history.resume()
            return
        written.lines.append(line)
        text = "\n".join(written.lines)
        if not written.edits:
            await self._keep(written.person, text, written.reply)
        if too_long := counter(len(text)):
            await self.output.say(too_long)

    async def _send_written(self, written: _Text, text: str) -> None:
        if written.edits:
            await self._edit(written.person, written.edits, text)
        elif await self._send(written.person, text, written.reply):
            await self._keep(written.person, "", "")

    async def keep_half_line(self, text: str) -> None:
        """Keep a line that was not ended, before the profile closes."""
        person = self._text.person if self._text is not None else self.state.current
        if person is not None and text.strip() and not text.startswith(SLASH):
            await self._keep_unsent(person, text)

    async def _keep_unsent(self, person: str, text: str, reply: str = "") -> None:
        before = self.preferences.draft(person)
        reply = self.preferences.get(f"reply.{person}") if before else reply
        await self._keep(person, "\n".join(part for part in (before, text) if part), reply)

    async def _keep(self, person: str, text: str, reply: str) -> None:
        await self.preferences.keep_draft(person, text)
        await self.preferences.set(f"reply.{person}", reply)

    def entry_changed(self, change: EntryChanged) -> None:
        if (change.contact, change.id) == self._last and change.state in DELIVERY:
            self._reached = change.state

    async def announce_delivery(self) -> None:
        """Say the state of the last own message, after everything that arrived with it."""
        reached, self._reached = self._reached, None
        person = self._last[0]
        if reached is None or not self.state.announces("delivery") or person not in self.state.contacts:
            return
        if person == self.state.current:
            await self.output.notify(_(DELIVERY[reached]))
        else:
            said = _("Read by {name}.") if reached is EntryState.READ else _("Delivered to {name}.")
            await self.output.notify(said.format(name=self.state.name_of(person)))

    async def entry_deleted(self, person: str, entry: str) -> None:
        """Remove a deleted entry as what a text answers."""
        if self._text is not None and (self._text.person, self._text.reply) == (person, entry):
            self._text.reply = ""
        if self._text is not None and self._text.edits == entry:
            self._text = None
            await self.output.say(_("This message was deleted."))
            await self.history.resume()
        if self.preferences.get(f"reply.{person}") == entry:
            await self.preferences.set(f"reply.{person}", "")

    async def conversation_closed(self) -> None:
        """The contact of the open conversation was removed."""
        if self._text is not None:
            self._text = None
            await self.history.resume()


@dataclass
class Deletion:
    """Deletes entries, and sets the timer. One counts as deleted when the profile's file is clean of it."""

    messenger: Messenger
    output: Output
    state: State
    history: History
    questions: Questions
    _quarter: int = field(init=False, default=0)

    async def delete(self, typed: str) -> None:
        number, _space, wanted = typed.partition(" ")
        if not number:
            raise UsageError(
                _("Type /delete and the number of a message: /last lists messages with numbers.")
            )
        entry = await self.history.find(number)
        wanted = wanted.strip().casefold()
        scope = self._scope(entry, wanted)
        lines = [
            _("Delete {entry}?").format(entry=quoted(entry)),
            deletion(entry, self.state.name_of(entry.contact), scope),
        ]
        others = {
            DeletionScope.HERE: _("To delete it on this device only, type /delete {number} here."),
            DeletionScope.MINE: _("To delete it on all your devices, type /delete {number} mine."),
            DeletionScope.EVERYONE: _("To delete it for everyone, type /delete {number} everyone."),
        }
        if not wanted:
            lines += [others[one].format(number=number) for one in entry.scopes if one is not scope]

        async def do() -> None:
            await self.messenger.delete(entry.contact, entry.id, scope)

        await self.questions.confirm(entry.contact, lines, do)

    def _scope(self, entry: EntryView, wanted: str) -> DeletionScope:
        """Where an entry is to be deleted. Raises UsageError."""
        if entry.noted and wanted == DeletionScope.EVERYONE:
            wanted = DeletionScope.MINE
        if wanted and wanted not in list(DeletionScope):
            raise UsageError(_("Type here, mine or everyone after the number."))
        if not entry.scopes:
            raise UsageError(gone_line(entry.kind))
        if wanted == DeletionScope.EVERYONE and not entry.own:
            raise UsageError(
                _("Somebody else wrote this message: you can delete it on your own devices only.")
            )
        if wanted in (DeletionScope.MINE, DeletionScope.EVERYONE) and entry.scopes == (DeletionScope.HERE,):
            raise UsageError(
                _("This message holds for other messages: you can delete it on this device only.")
            )
        if wanted and wanted not in entry.scopes:
            raise UsageError(gone_line(entry.kind))
        return DeletionScope(wanted) if wanted else entry.scopes[0]

    async def entry_deleted(self, contact: str, entry: str) -> None:
        """An entry was deleted, by this client or another client of the profile."""
        self.history.erasing.add(entry)
        if contact in self.state.talks:
            said = _("Deleting a message of the conversation with {name}…")
            await self.output.notify(said.format(name=self.state.name_of(contact)))

    async def being_cleaned(self, done: float) -> None:
        """Tell each quarter of a long cleaning, since each line is read aloud."""
        quarter = int(done * 4)
        if self.history.erasing and quarter != self._quarter:
            self._quarter = quarter
            said = _("Erasing deleted messages from the profile file: {percent} %…")
            await self.output.notify(said.format(percent=quarter * 25))

    async def timer(self, typed: str) -> None:
        """Say which timer the open conversation has, or set it."""
        view = self.state.other()
        if not typed:
            await self.output.say(timer_line(self.state.name_of(view.person), view.timer))
            return
        seconds = parse_timer(typed)
        if await self.messenger.set_timer(view.person, seconds) is None:
            await self.output.say(timer_line(self.state.name_of(view.person), seconds))
        elif seconds:
            await self.output.say(_("Only new messages follow it: /clear deletes those that are there."))

    async def clear(self, _typed: str = "") -> None:
        view = self.state.chosen()
        name = "" if view.notes else self.state.name_of(view.person)
        question = _("Clear your notes on this device?")
        if name:
            question = _("Clear the conversation with {name} on this device?").format(name=name)
        lines = (question, clearing_line(name, await self.messenger.terminals()))
        await self.questions.confirm(view.person, lines, lambda: self.messenger.clear(view.person))

    async def history_cleared(self, step: HistoryCleared) -> None:
        """A conversation is cleared, by this client or another client of the profile."""
        if step.done == step.total and step.contact in self.state.talks:
            said = _("The conversation with {name} is cleared.")
            await self.output.notify(said.format(name=self.state.name_of(step.contact)))

    async def cleaned(self) -> None:
        """The profile's file no longer contains what was deleted."""
        self._quarter = 0
        if self.history.erasing:
            self.history.erasing.clear()
            await self.output.notify(_("Deleted. The profile file no longer contains it."))


def _refuse_deleted(entry: EntryView) -> None:
    if entry.kind in GONE:
        raise UsageError(gone_line(entry.kind))
