"""Another name for a contact, on this terminal only."""

from __future__ import annotations

from typing import ClassVar

from textual.widget import Widget
from textual.widgets import Input

from tui.formatting import safe_line
from tui.screens.dialog import CSSPath, Dialog, plain
from tui.texts import N_, _
from tui.widgets.field import Field


class RenameDialog(Dialog[str]):
    """The new name."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "rename.tcss"]
    heading = N_("Rename")
    hints = (("enter", N_("Save")), ("escape", N_("Cancel")))

    def __init__(self, name: str) -> None:
        super().__init__()
        self._called = safe_line(name)

    def body(self) -> list[Widget]:
        return [
            plain(_("What do you call this contact? The contact does not learn it.")),
            Field(id="name", value=self._called, max_length=64),
        ]

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.end(event.value.strip())
        else:
            self.fail(_("The name is empty."))
