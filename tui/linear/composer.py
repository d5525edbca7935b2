"""The part that writes: a line to whom is talked with, messages of several lines, answers, delivery.

Rules: a text of several lines is kept in the encrypted profile with each line, and nothing is told while it
is written; of delivery only what became of the last own message is told.

The part that deletes entries, and says of one that it is deleted when it is.

Rules: it is asked first, with what stays where; while the profile's file is not clean of what was deleted,
no more is said than that it is being deleted, whoever deleted it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from chat.interface import EntryChanged, EntryState, ParlourError, UsageError
from tui.conversation import DELETED
from tui.linear.base import Asked, Tools
from tui.linear.commands import SLASH, text_of
from tui.linear.history import Reading
from tui.linear.wording import DELIVERY, quoted
from tui.text.formatting import counter, deletion, safe_line
from tui.text.translation import _

SENDS: Final = "."
DROPS: Final = "/drop"


@dataclass(slots=True)
class Composing:
    """A text of several lines that is being written, and the entry (id) that it answers."""

    person: str
    reply: str
    lines: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Writing(Reading):
    """Sending. `composing`: lines that are typed go into this text."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self.composing: Composing | None = None
        self._last: tuple[str, str] = ("", "")
        self._reached: EntryState | None = None

    # One line.

    async def send_line(self, line: str) -> None:
        """Send what was typed to whom this person talks with."""
        await self._send_or_keep(self.chosen().person, text_of(line))

    async def do_reply(self, typed: str) -> None:
        number, _space, text = typed.partition(" ")
        person, entry = self.numbered(number)
        held = await self.messenger.entry(person, entry)
        if held is not None and held.kind == DELETED:
            raise UsageError(_("This message was deleted."))
        if person != self.current:
            problem = _("This entry is of the conversation with {name}: open that first.")
            raise UsageError(problem.format(name=self.name_of(person)))
        if text.strip():
            await self._send_or_keep(person, text.strip(), entry)
        else:
            await self._compose(person, entry)

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
        view = self.contacts.get(person)
        if view is not None and view.held:
            await self.say(self.holding_line(person), _("Your text is kept. /write goes on with it."))
            return False
        entry = await self.messenger.send(person, text, reply)
        self._own.append(entry.id)
        self._last = (person, entry.id)
        self._reached = None
        if view is not None and not view.present and self.tells("delivery"):
            await self.say(_("Kept here until {name} is here.").format(name=self.name_of(person)))
        return True

    async def _keep_unsent(self, person: str, text: str, reply: str) -> None:
        """Add a text that could not be sent to what waits there to be written on."""
        before = self.preferences.draft(person)
        reply = self.preferences.get(f"reply.{person}") if before else reply
        await self._keep(person, "\n".join(part for part in (before, text) if part), reply)

    async def keep_half_line(self, text: str) -> None:
        """Keep what was typed and not ended, before the profile closes."""
        person = self.composing.person if self.composing is not None else self.current
        if person is not None and text.strip() and not text.startswith(SLASH):
            await self._keep_unsent(person, text, "")

    def moved(self, change: EntryChanged) -> None:
        """An own entry came to another state."""
        if (change.contact, change.id) == self._last and change.state in DELIVERY:
            self._reached = change.state

    async def tell_reached(self) -> None:
        """Tell what became of the last own message, once what came with it is heard."""
        reached, self._reached = self._reached, None
        if reached is not None and self.tells("delivery") and self._last[0] in self.contacts:
            if self._last[0] == self.current:
                await self.tell(_(DELIVERY[reached]))
            else:
                said = _("Read by {name}.") if reached is EntryState.READ else _("Delivered to {name}.")
                await self.tell(said.format(name=self.name_of(self._last[0])))

    # Several lines.

    async def do_write(self, _typed: str) -> None:
        await self._compose(self.chosen().person, "")

    async def tell_draft(self, person: str) -> None:
        if self.preferences.draft(person):
            said = _("A text to {name} was not sent: /write goes on with it.")
            await self.say(said.format(name=self.name_of(person)))

    async def _compose(self, person: str, reply: str) -> None:
        draft = self.preferences.draft(person)
        reply = reply or self.preferences.get(f"reply.{person}")
        self.composing = Composing(person, reply, draft.split("\n") if draft else [])
        how = _("Write to {name}, line by line. A dot alone on a line sends it, {drop} drops it.")
        await self.say(how.format(name=self.name_of(person), drop=DROPS))
        for at, line in enumerate(self.composing.lines, 1):
            told = _("{name}, line {number}: {text}")
            await self.say(told.format(name=_("You"), number=at, text=safe_line(line)))
        self.voice.holding = True

    async def take_line(self, composing: Composing, line: str) -> None:
        """A line that was typed while a text is written."""
        if line == SENDS:
            await self._finish(composing, composing.text)
        elif line == DROPS:
            await self._finish(composing, "")
        else:
            composing.lines.append(line)
            await self._keep(composing.person, composing.text, composing.reply)
            if too_long := counter(len(composing.text)):
                await self.say(too_long)

    async def _finish(self, composing: Composing, text: str) -> None:
        """Send the text, or drop it where it is empty; then what arrived is told."""
        self.composing = None
        try:
            if not text.strip():
                await self.say(_("Nothing was sent."))
            elif not await self._send(composing.person, text, composing.reply):
                return
            await self._keep(composing.person, "", "")
        finally:
            await self.stop_holding()

    async def _keep(self, person: str, text: str, reply: str) -> None:
        await self.preferences.keep_draft(person, text)
        await self.preferences.set(f"reply.{person}", reply)

    async def forget_answer(self, person: str, entry: str) -> None:
        """An entry was deleted: nothing that is written answers it."""
        if self.composing is not None and (self.composing.person, self.composing.reply) == (person, entry):
            self.composing.reply = ""
        if self.preferences.get(f"reply.{person}") == entry:
            await self.preferences.set(f"reply.{person}", "")

    # Not being disturbed.

    async def do_hold(self, _typed: str) -> None:
        self.voice.holding = True
        await self.say(_("What arrives is held back. An empty line tells it."))

    async def stop_holding(self) -> bool:
        """Tell what was held back because somebody wanted that; False when nothing was."""
        self.voice.holding = False
        return await self.hear_again()

    async def hear_again(self) -> bool:
        """Tell what was held back; False when nothing was, or when it still has to wait."""
        if self.voice.waits:
            return False
        if self.voice.dropped:
            await self.say(_("More happened than is kept. These are the last lines."))
        told = await self.voice.release()
        if self.behind and not self.backlog and self.current is not None:
            await self.do_next("")
            return True
        return told


class Deleting(Writing):
    """Deleting an entry by its number."""

    async def do_delete(self, typed: str) -> None:
        if not typed:
            raise UsageError(_("Type /delete and the number of an entry: /last tells entries with numbers."))
        entry = await self.entry_of(typed)
        if entry.kind == DELETED:
            raise UsageError(_("This message was deleted."))
        question = _("Delete {entry}?").format(entry=quoted(entry))
        lines = question, deletion(entry, self.name_of(entry.contact)), _("Type /yes or /no.")

        async def answer(yes: bool) -> None:
            if yes:
                await self.messenger.delete(entry.contact, entry.id)
            else:
                await self.say(_("Nothing was changed."))

        await self.ask(Asked(entry.contact, lines, answer, fleeting=True))

    async def erased(self, contact: str, entry: str) -> None:
        """An entry was deleted here, by this client or another one of the profile."""
        self.erasing.add(entry)
        await self.forget_answer(contact, entry)
        if contact in self.contacts:
            said = _("Deleting an entry of the conversation with {name}…")
            await self.tell(said.format(name=self.name_of(contact)))

    async def cleaned(self) -> None:
        """The profile's file is clean of what was deleted."""
        erased = bool(self.erasing)
        self.erasing.clear()
        if erased:
            await self.tell(_("Deleted. The profile file no longer contains it."))
