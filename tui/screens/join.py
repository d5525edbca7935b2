"""Using an invitation that one was given: pasted or typed on one line."""

from __future__ import annotations

from typing import ClassVar

from textual.widget import Widget
from textual.widgets import Input

from tui.screens.dialog import CSSPath, Dialog, plain
from tui.texts import N_, _
from tui.widgets.field import Field


class JoinDialog(Dialog[str]):
    """The invitation's text, without blanks. `reason`: why `text`, which was tried, has to be mended."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "join.tcss"]
    heading = N_("Use an invitation")
    hints = (("enter", N_("Join")), ("escape", N_("Cancel")))

    def __init__(self, text: str = "", reason: str = "") -> None:
        super().__init__()
        self._text = text
        self._reason = reason

    def body(self) -> list[Widget]:
        return [
            plain(_("Paste the invitation that you were given.")),
            Field(
                id="invitation",
                placeholder=_("the whole text, line breaks do not matter"),
                value=self._text,
                squeeze=True,
                select_on_focus=not self._reason,
            ),
        ]

    def on_mount(self) -> None:
        self.fail(self._reason)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = "".join(event.value.split())
        if text:
            self.end(text)
        else:
            self.fail(_("Nothing was pasted yet."))
