"""The rows of a history around the reader, the strips that Textual draws from them, and a scroll bar.

Only what is near the view is laid out, so that neither a resize nor a page costs more than some screens.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import date
from itertools import accumulate
from typing import NamedTuple, cast

from msgspec import Struct
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip

from chat.interface import EntryState, EntryView, FileView
from tui.conversation import Window
from tui.text.formatting import warnings
from tui.text.message_rows import (
    Folded,
    Part,
    Place,
    Row,
    Setting,
    folded,
    folded_rows,
    lead_rows,
    place,
    quoted,
    rows_above,
    rows_of,
    shown_text,
)
from tui.text.pictures import colours

HIDDEN = Folded()

Spot = tuple[str, int]
"""An entry (id) and how many of its rows are above."""


class Laid(Struct, frozen=True):
    """The rows of one entry, and what they were made from."""

    standing: Place
    state: EntryState
    kind: str
    change: tuple[str, str, FileView | None]
    answers: str
    warnings: list[str]
    folded: Folded | None
    rows: tuple[Row, ...]
    lead: int

    @property
    def made_from(self) -> tuple[object, ...]:
        made = self.standing, self.state, self.kind, self.change, self.answers, self.warnings
        return (*made, self.folded)


class Words(NamedTuple):
    """The shown text of an entry, the part of it in each row, and how many own rows are above the first."""

    text: str
    parts: tuple[Part, ...]
    above: int


class Sheet:
    """Entries `first` to `end` of a window, one under the other from row 0 on."""

    def __init__(self) -> None:
        self.window = Window()
        self.setting = Setting(0, None, date.min)
        self.first = 0
        self.shown: list[EntryView] = []
        self._starts = [0]
        self._laid: dict[str, Laid] = {}
        self._texts: dict[str, Words] = {}
        self._folded: dict[int, Folded] = {}

    @property
    def height(self) -> int:
        return self._starts[-1]

    @property
    def from_start(self) -> bool:
        return self.first == 0

    @property
    def to_end(self) -> bool:
        return self.first + len(self.shown) >= len(self.window)

    def lay_out(self, window: Window, setting: Setting, around: int, above: int, below: int) -> None:
        if setting != self.setting or window is not self.window:
            self._laid = {}
        self.window, self.setting = window, setting
        self._texts.clear()
        self._folded = folded(window.entries, setting)
        laid: list[Laid] = []
        end = around
        while end < len(window) and below > 0:
            laid.append(self._lay(end))
            below -= len(laid[-1].rows)
            end += 1
        before: list[Laid] = []
        while around - len(before) > 0 and above > 0:
            before.append(self._lay(around - len(before) - 1))
            above -= len(before[-1].rows)
        self.first = around - len(before)
        self.shown = window.entries[self.first : end]
        laid = [*reversed(before), *laid]
        self._laid = {entry.id: held for entry, held in zip(self.shown, laid, strict=True)}
        self._starts = list(accumulate((len(held.rows) for held in laid), initial=0))

    def row(self, y: int) -> tuple[EntryView, int, Row] | None:
        """The entry at a row, how many of its own rows are above (negative in its lead), and the row."""
        at = self._at(y)
        if at is None:
            return None
        held = self._laid[self.shown[at].id]
        inside = y - self._starts[at]
        return self.shown[at], inside - held.lead, held.rows[inside]

    def rows(self, entry: str) -> tuple[int, tuple[Row, ...]]:
        """All rows of an entry that is shown; the first of them, so many, part it from the one before."""
        held = self._laid[entry]
        return held.lead, held.rows

    def words(self, entry: EntryView) -> Words:
        """The text of an entry that is shown, and where its rows have it."""
        if entry.id not in self._texts:
            held = self._laid[entry.id]
            above = rows_above(entry, held.standing, self.setting, held.answers) - held.lead
            self._texts[entry.id] = Words(*shown_text(entry, self.setting), above)
        return self._texts[entry.id]

    def spot(self, y: int) -> Spot | None:
        at = self._at(y)
        return None if at is None else (self.shown[at].id, y - self._starts[at])

    def span(self, entry: str) -> tuple[int, int] | None:
        """First row of an entry, without what parts it from the one before, and the row after its last."""
        at = self.window.index(entry) - self.first
        if not 0 <= at < len(self.shown) or self.shown[at].id != entry:
            return None
        return self._starts[at] + self._laid[entry].lead, self._starts[at + 1]

    def start(self, entry: str) -> int | None:
        span = self.span(entry)
        return None if span is None else span[0] - self._laid[entry].lead

    def ending(self, y: int) -> int:
        """How many of the entries shown end at or before a row."""
        return bisect_right(self._starts, y) - 1

    def unknown(self) -> list[str]:
        """Ids of what shown entries answer and nobody has read yet."""
        window = self.window
        answered = (entry.reply for entry in self.shown if entry.reply)
        return [
            one for one in dict.fromkeys(answered) if window.get(one) is None and one not in window.origins
        ]

    def is_folded(self, entry: str) -> bool:
        """Whether an entry has no row, as another one has a row for it."""
        held = self._laid.get(entry)
        return held is not None and not held.rows

    def _at(self, y: int) -> int | None:
        return bisect_right(self._starts, y) - 1 if 0 <= y < self.height else None

    def _lay(self, index: int) -> Laid:
        window, setting = self.window, self.setting
        entry = window.entries[index]
        fold = self._folded.get(index)
        first = fold.first if fold is not None and fold != HIDDEN else index
        standing = place(entry, window.entries[first - 1] if first else None, setting.zone)
        answers = quoted(entry, window, setting.erasing)
        held = self._laid.get(entry.id)
        change = entry.change, entry.deleted_by, entry.file
        made_from = (standing, entry.state, entry.kind, change, answers, warnings(entry), fold)
        if held and held.made_from == made_from:
            return held
        if fold is not None:
            rows = () if fold == HIDDEN else folded_rows(entry, standing, setting, fold)
            return Laid(*made_from, rows, max(0, len(rows) - 1))
        rows = rows_of(entry, standing, setting, answers)
        lead = lead_rows(standing, new=entry.id == setting.unread, roomy=setting.roomy)
        return Laid(*made_from, rows, lead)


_STRIPS_KEPT = 512  # some screens
_CHOSEN_BAR = "█ "
_CURSOR = "cursor"
_SELECTED = "selected"

Look = tuple[Row, bool, tuple[int, int] | None]
"""A row, whether the cursor is on it, and the columns of it that are selected."""


class StripStyle(NamedTuple):
    """What all strips have in common: ground, blank columns before, columns in all, filters of Textual."""

    ground: Style
    before: int
    width: int
    filters: tuple[LineFilter, ...]
    background: Color


class Strips:
    """Strips of one style. `styles` resolves the name of a style, over no ground."""

    def __init__(self, styles: Callable[[str], Style]) -> None:
        self._common = StripStyle(Style(), 0, 0, (), Color(0, 0, 0))
        self._styles = styles
        self._resolved: dict[str, Style] = {}
        self._made: dict[Look, Strip] = {}

    def apply(self, style: StripStyle) -> None:
        if style != self._common:
            self._common = style
            self.forget()

    def forget(self) -> None:
        """Styles may have changed: resolve them again."""
        self._resolved.clear()
        self._made.clear()

    def of(self, look: Look) -> Strip:
        if look not in self._made:
            if len(self._made) >= _STRIPS_KEPT:
                self._made.clear()
            self._made[look] = self._make(look)
        return self._made[look]

    def _make(self, look: Look) -> Strip:
        common = self._common
        row, chosen, selected = look
        drawn = self._segments(row, chosen)
        if selected is not None:
            drawn = self._with_ground(drawn, selected)
        segments = [Segment(" " * common.before, common.ground), *drawn]
        strip = Strip(segments).adjust_cell_length(common.width, common.ground).simplify()
        for each in common.filters:
            strip = strip.apply_filter(each, common.background)
        return strip

    def _segments(self, row: Row, chosen: bool) -> list[Segment]:
        if not chosen:
            return [Segment(text, self._style(name)) for name, text in row]
        ground = self._styles(_CURSOR)
        bar, *rest = row
        return [
            Segment(_CHOSEN_BAR, self._style(bar[0]) + ground),
            *(Segment(text, self._style(name) + _chosen(name, ground)) for name, text in rest),
        ]

    def _with_ground(self, drawn: list[Segment], selected: tuple[int, int]) -> list[Segment]:
        """The pieces of a row with those between two columns on the ground of what is selected."""
        whole = Strip(drawn)
        before, inside, after = whole.divide([*selected, whole.cell_length])
        ground = self._styles(_SELECTED)
        marked = [Segment(text, (style or Style()) + ground) for text, style, _control in inside]
        return [*before, *marked, *after]

    def _style(self, name: str) -> Style:
        if drawn := colours(name):
            return self._common.ground + Style(color=drawn[0], bgcolor=drawn[1] if drawn[1:] else None)
        if name not in self._resolved:
            self._resolved[name] = self._common.ground + self._styles(name)
        return self._resolved[name]


def _chosen(name: str, ground: Style) -> Style | None:
    """What changes of a style in the chosen message.

    A hit has dark letters, for its own ground alone, and a picture its own colours: its last row may be half.
    """
    if drawn := colours(name):
        return None if drawn[1:] else Style(bgcolor=ground.bgcolor)
    return None if name == "hit" else ground


_BAR_KEPT = 64  # a thumb has eight ends above and eight below, in three colours


class Bar(ScrollBar):
    """A vertical scroll bar of one column. Textual's own takes a third of a scrolled frame to draw."""

    def __init__(self) -> None:
        super().__init__(vertical=True, name="vertical", thickness=1)
        self._made: dict[Segment, Strip] = {}

    def render_lines(self, crop: Region) -> list[Strip]:
        cells = self._cells(self.region.height)
        return [self._strip(cells[y]) for y in crop.line_range]

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._made.clear()

    def _cells(self, height: int) -> list[Segment]:
        look = cast(ScrollBarRender, self.render())
        style = self.app.console.get_style(look.style)
        # The theme gives a bar both colours.
        assert style.color is not None
        assert style.bgcolor is not None
        drawn = look.render_bar(
            size=height,
            virtual_size=look.virtual_size,
            window_size=look.window_size,
            position=look.position,
            back_color=style.bgcolor,
            bar_color=style.color,
        )
        return list(drawn.segments)

    def _strip(self, cell: Segment) -> Strip:
        if cell not in self._made:
            if len(self._made) >= _BAR_KEPT:
                self._made.clear()
            strip = Strip([cell], 1)
            for each in self.get_line_filters():
                strip = strip.apply_filter(each, self.background_colors[1])
            self._made[cell] = strip
        return self._made[cell]


class Barred(ScrollView):
    @property
    def vertical_scrollbar(self) -> ScrollBar:
        if self._vertical_scrollbar is None:
            self._vertical_scrollbar = bar = Bar()
            bar.display = False  # until the first layout, as Textual does it
            self.app._start_widget(self, bar)
        return self._vertical_scrollbar
