"""The size of files that a contact's files come up to without a question."""

from __future__ import annotations

from textual.widget import Widget
from textual.widgets import Input

from tui.preferences import SIZE_DIGITS, is_size
from tui.screens.dialog import Dialog, plain
from tui.text.translation import N_, _
from tui.widgets.controls import Field


class FilesDialog(Dialog[str]):
    """Asks for MiB, empty for as many as for all."""

    heading = N_("Files")
    hints = (("enter", N_("Set")), ("escape", N_("Cancel")))

    def __init__(self, name: str, size: str, usual: str) -> None:
        super().__init__()
        self._named, self._kept, self._usual = name, size, usual

    def body(self) -> list[Widget]:
        about = _(
            "Files of {name} up to this size, in MiB, come to this device without a question. With 0 you are "
            "asked about each. Empty stands for {usual}, as for all."
        )
        return [
            plain(about.format(name=self._named, usual=self._usual)),
            Field(id="size", value=self._kept, max_length=SIZE_DIGITS),
        ]

    def on_input_submitted(self, event: Input.Submitted) -> None:
        typed = event.value.strip()
        if is_size(typed):
            self.end(typed)
        else:
            self.fail(_("Enter a number of MiB, or nothing."))
