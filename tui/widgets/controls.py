"""The parts of dialogs: a choice among values, a field, and the keys at the foot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from msgspec import Struct
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Input, Static

from tui.actions import shown_key
from tui.messages import PreferenceChosen
from tui.text.safe import widest, without_controls
from tui.text.wrapping import wrap

_LABEL = 30  # columns of the names, where values stand next to them
_BESIDE = 64  # columns from which on they do
_INDENT = 2
_APART = "  "
_HOLDS, _OTHER = "● ", "○ "


class Value(Struct, frozen=True):
    value: str
    words: str


class Placed(Struct, frozen=True):
    """The place of a value in the widget: row, first column, the column after its last."""

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
        super().__init__("", id=f"choose-{name.replace('.', '-')}", name=name, markup=False)
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
        """Next to each other where there is room for both, else the values below the name."""
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


class Field(Input):
    """An `Input` that joins pasted lines; with `squeeze` all blanks in them go too."""

    TAKES_TEXT = True  # tui.input_queue
    # Textual's delete the word behind the cursor, unlike those of its text area and of shells.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+backspace,alt+backspace", "delete_left_word", show=False)
    ]

    def __init__(
        self,
        *,
        id: str,
        placeholder: str = "",
        value: str = "",
        password: bool = False,
        squeeze: bool = False,
        max_length: int = 0,
        select_on_focus: bool = True,
    ) -> None:
        super().__init__(
            id=id,
            placeholder=placeholder,
            value=value,
            password=password,
            max_length=max_length,
            select_on_focus=select_on_focus,
            compact=True,
        )
        self._squeeze = squeeze
        self.cursor_blink = False  # a frame twice a second, on whatever link the terminal is

    def _on_paste(self, event: events.Paste) -> None:
        lines = without_controls(event.text).splitlines()
        text = "".join(lines) if self._squeeze else " ".join(lines)
        if self._squeeze:
            text = "".join(text.split())
        if self.max_length:  # Textual drops what does not fit as a whole, and Enter would act on nothing
            kept = len(self.value) - len(self.selected_text)
            text = text[: max(0, self.max_length - kept)]
        self.replace(text, *self.selection)
        event.stop()
        event.prevent_default()


_HINTS_APART = 3

Hint = tuple[str, str]
"""A key, as Textual names it, and the words for what it does; or signs that are no key, which do nothing."""


class Hints(Static):
    """The keys that hold now. None: nothing is shown."""

    def __init__(self, hints: Iterable[Hint] = ()) -> None:
        super().__init__("", id="hints", markup=False)
        self._hints = tuple(hints)
        self._placed: list[tuple[int, int, int, str]] = []

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def show(self, hints: Iterable[Hint]) -> None:
        self._hints = tuple(hints)
        self.display = bool(self._hints)
        self._draw()

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        for row, start, end, key in self._placed if offset is not None else ():
            if offset is not None and row == offset.y and start <= offset.x < end and " " not in key:
                self.app.simulate_key(key)

    def _draw(self) -> None:
        rows = [Content("")]
        self._placed = []
        for key, words in self._hints:
            hint = Content.assemble((shown_key(key), "bold $primary"), (f" {words}", "$quiet"))
            cells = widest(hint.plain)
            start = rows[-1].cell_length + _HINTS_APART if rows[-1] else 0
            if start and start + cells > (self.size.width or start + cells):
                rows.append(Content(""))
                start = 0
            rows[-1] = Content.assemble(rows[-1], " " * (start - rows[-1].cell_length), hint)
            self._placed.append((len(rows) - 1, start, start + cells, key))
        self.update(Content("\n").join(rows))
