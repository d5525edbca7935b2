"""The part that deletes entries, and says of one that it is deleted when it is.

Rules: it is asked first, with what stays where; while the profile's file is not clean of what was deleted,
no more is said than that it is being deleted, whoever deleted it.
"""

from __future__ import annotations

from chat.interface import UsageError
from tui.formatting import deletion
from tui.linear.base import Asked
from tui.linear.wording import quoted
from tui.linear.writing import Writing
from tui.texts import _
from tui.window import DELETED


class Deleting(Writing):
    """Deleting an entry by its number."""

    async def do_delete(self, typed: str) -> None:
        if not typed:
            raise UsageError(_("Type /delete and the number of an entry: /last tells entries with numbers."))
        entry = await self.entry_of(typed)
        if entry.kind == DELETED:
            raise UsageError(_("This entry was deleted."))
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
            await self.tell(_("Deleted: nothing of it is left in the profile's file."))
