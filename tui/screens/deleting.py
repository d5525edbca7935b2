"""The part of the chat screen that deletes entries, and says of one that it is deleted when it is.

Rules: it is asked first, with what stays where; between a deletion and the cleaning of the profile's file an
entry is only being deleted, whoever deleted it; what said more of it than that goes at once.
"""

from __future__ import annotations

from functools import partial

from chat.interface import EntryView, Messenger
from tui import messages
from tui.attention import Attention
from tui.formatting import deletion, safe_line, shorten
from tui.options import Options
from tui.screens.finding import Finding
from tui.screens.writing import Writing
from tui.texts import _
from tui.widgets.history import History
from tui.window import DELETED

_QUOTED_CELLS = 40


class Deleting(Finding, Writing):
    """The entry under the cursor, deleted."""

    def __init__(self, messenger: Messenger, options: Options, attention: Attention) -> None:
        super().__init__(messenger, options, attention)
        self._erasing: dict[str, str] = {}  # the contacts of entries, by the entries' ids

    def action_delete(self) -> None:
        from tui.screens.confirm import ConfirmDialog

        view, entry = self.chosen(), self.query_one(History).chosen
        if view is None or entry is None:
            return
        if entry.kind == DELETED:
            self.say(_("This entry was deleted."))
            return
        dialog = ConfirmDialog(_question(entry), deletion(entry, self.named(view)))
        self.app.push_screen(dialog, partial(self._delete, entry))

    def _delete(self, entry: EntryView, yes: bool | None) -> None:
        if yes:
            self.run_worker(self.ask(self.messenger.delete(entry.contact, entry.id)), group="delete")

    def on_entry_erased(self, message: messages.EntryErased) -> None:
        self._erasing[message.entry] = message.contact
        self.forget_answer(message.contact, message.entry)
        self.forget_hit(message.entry)
        if self.conversation is not None and message.contact == self.conversation.person:
            self.conversation.erased(message.entry)
            self.query_one(History).erase(frozenset(self._erasing))
            self.say(_("Deleting… its words leave the profile's file when Parlour has time."))

    def on_file_cleaned(self, message: messages.FileCleaned) -> None:
        if self._erasing:
            here = self.current in self._erasing.values()
            self._erasing.clear()
            self.query_one(History).erase(frozenset())
            if here:
                self.say(_("Deleted: nothing of it is left in the profile's file."))


def _question(entry: EntryView) -> str:
    text = shorten(safe_line(entry.text), _QUOTED_CELLS)
    return _("Delete “{text}”?").format(text=text) if text else _("Delete this entry?")
