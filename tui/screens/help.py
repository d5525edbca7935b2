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
from tui.texts import N_, _
from tui.wrapping import wrap

_COLUMNS, _FRAME, _KEYS = 84, 7, 17
_INTRODUCTION = N_(
    "Parlour talks with people on the same network. History is kept on the terminals of those who talk, "
    "encrypted, and nowhere else. Pair once with each person; entries for somebody absent wait here and go "
    "by themselves."
)
_CLOSED = N_("Nothing arrives while Parlour is closed or locked: `parlour listen` keeps receiving.")
_MARKS = (
    (N_("…  queued"), N_("kept on this terminal, waiting for the contact")),
    (N_("✓  sent"), N_("on its way")),
    (N_("✓✓ delivered"), N_("stored by a terminal of the contact")),
    (N_("✓✓ read"), N_("seen there")),
    ("●  ○", N_("the contact is here; is not")),
    (N_("✓  after a name"), N_("verified: you compared words or safety numbers")),
    (N_("⇄  after a name"), N_("reached through a relay: your networks do not reach each other")),
    (N_("!  after a name"), N_("identity changed: nothing is sent until you compared the safety number")),
    (N_("z  after a name"), N_("muted: entries come without a bell")),
    (N_("▎  before a name"), N_("the conversation that is open")),
    ("⊘", N_("blocked")),
)
_WRITING = (
    ("enter", N_("Send what you wrote.")),
    ("ctrl+j", N_("New line; Alt+Enter too, and Shift+Enter where the terminal tells it apart.")),
    ("tab", N_("From the composer to the contacts and to the history; arrows move there.")),
)


class HelpDialog(Dialog[None]):
    """All keys and marks."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "help.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,q", "leave"),
        Binding("up,k", "scroll(-1)"),
        Binding("down,j", "scroll(1)"),
        Binding("pageup", "scroll(-10)"),
        Binding("pagedown,space", "scroll(10)"),
        Binding("home,g", "scroll(-10000)"),
        Binding("end,G", "scroll(10000)"),
    ]
    heading = N_("Help")
    hints = (("↑ ↓", N_("Scroll")), ("escape", N_("Close")))

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
    parts = [Content("\n".join([*wrap(_(_INTRODUCTION), width), *wrap(_(_CLOSED), width)]))]
    for group in Group:
        writing = _WRITING if group is Group.READING else ()
        rows = [(shown_key(key), _(words)) for key, words in writing]
        rows += [(one.key, one.about) for one in of_group(group)]
        parts += [Content(""), _heading(group.heading), *(_row(*row, width) for row in rows)]
    marks = [(_(mark), _(words)) for mark, words in _MARKS]
    parts += [Content(""), _heading(_("Marks")), *(_row(*row, width) for row in marks)]
    return Content("\n").join(parts)


def _heading(text: str) -> Content:
    return Content.assemble((text, "bold $quiet"))


def _row(left: str, right: str, width: int) -> Content:
    return hanging(Content.assemble((left, "bold $primary")), right, _KEYS, width)
