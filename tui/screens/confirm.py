"""A question before something that cannot be taken back. Enter alone never says yes."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from tui.screens.dialog import CSSPath, Dialog, plain
from tui.texts import N_


class ConfirmDialog(Dialog[bool]):
    """True for y; False or None otherwise."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "confirm.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)"),
        Binding("n,enter", "answer(False)"),
    ]
    heading = N_("Are you sure?")
    hints = (("y", N_("Yes")), ("n", N_("No")))

    def __init__(self, question: str, consequence: str) -> None:
        super().__init__()
        self._question = question
        self._consequence = consequence

    def body(self) -> list[Widget]:
        return [plain(self._question, classes="strong"), plain(self._consequence, classes="quiet")]

    def action_answer(self, yes: bool) -> None:
        self.end(yes)
