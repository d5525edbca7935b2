"""One thing that can be chosen: its name, and beside it all the values, the one that holds marked.

Rules: the mark is a sign as well as a colour; every key and a click choose at once, and what was chosen is
said by `PreferenceChosen`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Static

from tui.formatting import widest
from tui.messages import PreferenceChosen
from tui.wrapping import wrap

_LABEL = 30  # columns of the names, where values stand beside them
_BESIDE = 64  # columns from which on they do
_INDENT = 2
_APART = "  "
_HOLDS, _OTHER = "● ", "○ "


@dataclass(frozen=True, slots=True)
class Value:
    """A value that can be chosen, and its words."""

    value: str
    words: str


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a value stands in the widget: row, first column, the column after its last."""

    row: int
    start: int
    end: int
    value: Value


class Choice(Static, can_focus=True):
    """`name` is the preference; `chosen` is the value that holds."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "app.focus_previous", show=False),
        Binding("down,j", "app.focus_next", show=False),
        Binding("left,h", "step(-1)", show=False),
        Binding("right,l", "step(1)", show=False),
        Binding("space,enter", "turn", show=False),
    ]

    def __init__(self, name: str, label: str, values: Sequence[Value], chosen: str) -> None:
        super().__init__("", id=f"choose-{name}", name=name, markup=False)
        self.chosen = chosen
        self._label = label
        self._values = tuple(values)
        self._placed: tuple[Placed, ...] = ()
        self._heading: list[str] = []

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Asked with each layout, before the first picture: no row is ever shown without its values."""
        self._place(width)
        return len(self._rows())

    def render(self) -> Content:
        self._place(self.content_size.width)
        return Content("\n").join(self._rows())

    def hold(self, value: str) -> None:
        """This value holds, whoever chose it."""
        self.chosen = value
        self.refresh(layout=True)

    def action_step(self, by: int) -> None:
        at = self._at + by
        if 0 <= at < len(self._values):
            self._choose(self._values[at])

    def action_turn(self) -> None:
        self._choose(self._values[(self._at + 1) % len(self._values)])

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        for placed in self._placed:
            if placed.row == offset.y and placed.start <= offset.x < placed.end:
                self._choose(placed.value)

    @property
    def _at(self) -> int:
        return next((at for at, one in enumerate(self._values) if one.value == self.chosen), 0)

    def _choose(self, one: Value) -> None:
        if one.value != self.chosen:
            self.hold(one.value)
            self.post_message(PreferenceChosen(self.name or "", one.value))

    def _place(self, width: int) -> None:
        """Beside each other where there is room for both, else the values below the name."""
        if width >= _BESIDE:
            self._heading, first = wrap(self._label, _LABEL - 1), (0, _LABEL)
        else:
            self._heading = wrap(self._label, width)
            first = len(self._heading), _INDENT
        self._placed = place(self._values, width, first)

    def _rows(self) -> list[Content]:
        label = self._heading
        count = max(len(label), self._placed[-1].row + 1)
        rows = [Content(text) for text in (*label, *[""] * (count - len(label)))]
        for placed in self._placed:
            row = rows[placed.row]
            rows[placed.row] = Content.assemble(
                row, " " * (placed.start - row.cell_length), self._shown(placed.value)
            )
        return rows

    def _shown(self, one: Value) -> Content:
        if one.value == self.chosen:
            return Content.styled(_HOLDS + one.words, "bold $primary")
        return Content.styled(_OTHER + one.words, "$quiet")


def place(values: Sequence[Value], width: int, first: tuple[int, int]) -> tuple[Placed, ...]:
    """The values one after the other from a row and column on, in as many rows as they need."""
    placed: list[Placed] = []
    row, left = first
    at = left
    for one in values:
        cells = len(_HOLDS) + widest(one.words)
        if at > left and at + cells > width:
            row, at = row + 1, left
        placed.append(Placed(row, at, at + cells, one))
        at += cells + len(_APART)
    return tuple(placed)
