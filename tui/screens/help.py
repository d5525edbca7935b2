"""The help: what Parlour does in a few lines, and every key from the registry."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui.actions import Group, of_group, shown_key
from tui.screens.dialog import CSSPath, Dialog, hanging, plain
from tui.wrapping import wrap

_COLUMNS, _FRAME, _KEYS = 84, 7, 17
_INTRODUCTION = (
    "Parlour talks with people on the same network. History is kept on the terminals of those who talk, "
    "encrypted, and nowhere else. Pair once with each person; entries for somebody absent wait here and go "
    "by themselves."
)
_MARKS = (
    ("…  queued", "kept on this terminal, waiting for the contact"),
    ("✓  sent", "on its way"),
    ("✓✓ delivered", "stored by a terminal of the contact"),
    ("✓✓ read", "seen there"),
    ("●  ○", "the contact is here; is not"),
    ("✓  after a name", "verified: you compared words or safety numbers"),
    ("!  after a name", "identity changed: entries wait until you looked (Ctrl+T)"),
    ("⊘", "blocked"),
)
_WRITING = (
    ("enter", "Send what you wrote."),
    ("ctrl+j", "New line; Alt+Enter too, and Shift+Enter where the terminal tells it apart."),
    ("tab", "From the composer to the contacts and to the history; arrows move there."),
)


class HelpDialog(Dialog[None]):
    """All keys and marks."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "help.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,q", "leave", "Close"),
        Binding("up,k", "scroll(-1)", "Up"),
        Binding("down,j", "scroll(1)", "Down"),
        Binding("pageup", "scroll(-10)", "Page up"),
        Binding("pagedown,space", "scroll(10)", "Page down"),
    ]
    heading = "Help"
    hints = (("↑ ↓", "Scroll"), ("escape", "Close"))

    def body(self) -> list[Widget]:
        return [plain("", id="page")]

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def action_scroll(self, by: int) -> None:
        self.query_one("#body", VerticalScroll).scroll_relative(y=by, animate=False)

    def _draw(self) -> None:
        width = min(_COLUMNS, self.app.size.width * 96 // 100) - _FRAME
        self.query_one("#page", Static).update(page(width))


def page(width: int) -> Content:
    """The whole help, laid out for a width."""
    parts = [Content("\n".join(wrap(_INTRODUCTION, width)))]
    for group in Group:
        writing = _WRITING if group is Group.READING else ()
        rows = [(shown_key(key), words) for key, words in writing]
        rows += [(one.key, one.help) for one in of_group(group)]
        parts += [Content(""), _heading(group.value), *(_row(*row, width) for row in rows)]
    parts += [Content(""), _heading("Marks"), *(_row(*row, width) for row in _MARKS)]
    return Content("\n").join(parts)


def _heading(text: str) -> Content:
    return Content.assemble((text, "bold $quiet"))


def _row(left: str, right: str, width: int) -> Content:
    return hanging(Content.assemble((left, "bold $primary")), right, _KEYS, width)
