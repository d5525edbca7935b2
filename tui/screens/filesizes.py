"""The sizes that a contact's files may have without a question, and through a relay."""

from __future__ import annotations

from textual.widget import Widget
from textual.widgets import Input

from tui.preferences import SIZE_DIGITS, is_size
from tui.screens.dialog import Dialog, plain
from tui.text.translation import N_, _
from tui.widgets.controls import Field


class FilesDialog(Dialog[tuple[str, str]]):
    """Asks for MiB without a question and through a relay, empty for as many as for all.

    `sizes` are those of the contact, `usual` those of all.
    """

    KEPT = ("size", "relayed")
    heading = N_("Files")
    hints = (("enter", N_("Set")), ("tab", N_("Next field")), ("escape", N_("Cancel")))

    def __init__(self, name: str, sizes: tuple[str, str], usual: tuple[str, str]) -> None:
        super().__init__()
        self._named, self._sizes, self._usual = name, sizes, usual

    def body(self) -> list[Widget]:
        about = _(
            "Files of {name} up to this size, in MiB, come to this device without a question. With 0 you are "
            "asked about each. Empty stands for {usual}, as for all."
        )
        relay = _("Files of this conversation up to this size go through a relay. Empty stands for {usual}.")
        size, relayed = self._sizes
        return [
            plain(about.format(name=self._named, usual=self._usual[0])),
            Field(id="size", value=size, max_length=SIZE_DIGITS),
            plain(relay.format(usual=self._usual[1])),
            Field(id="relayed", value=relayed, max_length=SIZE_DIGITS),
        ]

    def on_input_submitted(self, event: Input.Submitted) -> None:
        size, relayed = (self.query_one(f"#{name}", Field).value.strip() for name in ("size", "relayed"))
        if is_size(size) and is_size(relayed):
            self.end((size, relayed))
        else:
            self.fail(_("Enter a number of MiB, or nothing."))
