"""What the switcher, the palette and the search share: a field, and below it the lines that fit.

Rules: the field keeps the focus, so that one types and chooses at once; arrows, the wheel and a click choose;
every line is built from safe text and is no longer than the list is wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui.actions import add_keys, keys_of
from tui.matching import Spans
from tui.screens.dialog import CSSPath, Dialog, plain
from tui.texts import _
from tui.widgets.field import Field

T = TypeVar("T")
LINES_MAX = 200
HIT = "bold $accent"
_COLUMNS, _BESIDE = 90, 9  # of the box; border, padding, scroll bar and a column before it


class Lines(OptionList, can_focus=False):
    """The lines that fit; the finder moves its cursor."""


class Finder(Dialog[T]):
    """Subclasses give `lines` and `take`. `opener` is the action whose key opened it, and asks `again`."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "finder.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,ctrl+p", "move('cursor_up')", priority=True, show=False),
        Binding("down,ctrl+n", "move('cursor_down')", priority=True, show=False),
        Binding("pageup", "move('page_up')", priority=True, show=False),
        Binding("pagedown", "move('page_down')", priority=True, show=False),
        Binding("ctrl+home", "move('first')", priority=True, show=False),
        Binding("ctrl+end", "move('last')", priority=True, show=False),
    ]
    opener: ClassVar[str] = ""
    placeholder: ClassVar[str] = ""

    def __init__(self, typed: str = "") -> None:
        super().__init__()
        self._typed = typed
        add_keys(self, keys_of(self.opener), "again")

    def body(self) -> list[Widget]:
        nothing = plain("", id="nothing", classes="quiet")
        nothing.display = False
        field = Field(id="typed", value=self._typed, placeholder=_(self.placeholder), max_length=200)
        return [field, nothing, Lines(id="lines", markup=False, compact=True)]

    def on_mount(self) -> None:
        self.fill()

    def on_resize(self) -> None:
        self.fill()

    @property
    def typed(self) -> str:
        """What stands in the field."""
        return self.query_one("#typed", Field).value

    @property
    def cells(self) -> int:
        """The columns of a line."""
        return max(10, min(_COLUMNS, self.app.size.width * 96 // 100) - _BESIDE)

    def lines(self, typed: str) -> Sequence[Option]:
        """The lines that fit what is typed, best first."""
        return ()

    def take(self, line: str) -> None:
        """The line of this id was chosen."""

    def nothing(self) -> str:
        """What stands there where no line fits."""
        return ""

    def fill(self) -> None:
        """Show the lines for what is typed, the first one chosen."""
        self.show_lines(self.lines(self.typed))

    def show_lines(self, lines: Sequence[Option], chosen: int = 0) -> None:
        """Show these lines with the cursor on one of them."""
        shown = self.query_one(Lines)
        shown.set_options(lines)
        shown.highlighted = min(chosen, len(lines) - 1) if lines else None
        words = self.query_one("#nothing", Static)
        words.display = not lines
        if not lines:
            words.update(Content(self.nothing()))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.fill()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        option = self.query_one(Lines).highlighted_option
        if option is not None and option.id is not None:
            self.take(option.id)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_id is not None:
            self.take(event.option_id)

    def action_move(self, how: str) -> None:
        lines = self.query_one(Lines)
        {
            "cursor_up": lines.action_cursor_up,
            "cursor_down": lines.action_cursor_down,
            "page_up": lines.action_page_up,
            "page_down": lines.action_page_down,
            "first": lines.action_first,
            "last": lines.action_last,
        }[how]()

    def action_again(self) -> None:
        """The key that opened this was pressed again: the next line."""
        self.query_one(Lines).action_cursor_down()


def marked(text: str, spans: Spans, style: str = "", hit: str = HIT) -> Content:
    """A text with some of its letters marked."""
    parts: list[tuple[str, str]] = []
    at = 0
    for start, end in spans:
        parts += [(text[at:start], style), (text[start:end], hit)]
        at = end
    return Content.assemble(*parts, (text[at:], style))


def fitted(line: Content, cells: int) -> Content:
    """A line of exactly `cells` columns, so that the cursor's ground reaches to its end."""
    return line.truncate(cells, ellipsis=True)
