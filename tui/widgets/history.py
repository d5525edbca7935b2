"""The history of one conversation: a scroll view that draws only the rows in sight.

Rules: it stays at its end until the reader scrolls away, and then keeps the reader's place whatever
arrives; heights are kept an entry, so that a change lays out only what it touched.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import date, tzinfo
from itertools import accumulate
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from chat.interface import EntryState, EntryView
from tui.messages import ReachedOldest, ViewMoved
from tui.rows import Place, Row, Setting, place, rows_of
from tui.window import Window

_NEAR = 30  # rows before the oldest at which older entries are asked for
_STYLES = ("text", "time", "rule", "day", "bar-own", "bar-theirs", "name-own", "name-theirs")
_MARKS = tuple(f"mark-{state.value}" for state in EntryState)

Layout = tuple[Place, EntryState, tuple[Row, ...]]


class History(ScrollView, can_focus=True):
    """Shows a `Window`. After every change of the window call `window_changed`."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"history--{name}" for name in (*_STYLES, *_MARKS, "below")}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False),
        Binding("down,j", "scroll_down", "Down", show=False),
        Binding("home,g", "scroll_home", "Oldest", show=False),
        Binding("end,G", "newest", "Newest", show=False),
    ]

    def __init__(self, today: Callable[[], date], zone: tzinfo | None = None) -> None:
        super().__init__(id="history")
        self.window = Window()
        self._zone = zone
        self._today = today
        self._setting = Setting(0, zone, date.min)
        self._layouts: dict[str, Layout] = {}
        self._starts: list[int] = [0]
        self._at_end = True
        self._ground = Style()
        self._known: set[str] = set()
        self.below = 0

    def show(self, window: Window) -> None:
        """Show another conversation, from its end."""
        self.window = window
        self._layouts.clear()
        self._known = {entry.id for entry in window.entries}
        self._at_end, self.below = True, 0
        self._lay_out()
        self._go_to_end()

    def window_changed(self) -> None:
        """Draw what the window holds now; the reader's place stays."""
        mark = self._reader_place()
        self._count_below()
        self._lay_out()
        if self._at_end:
            self._go_to_end()
        else:
            self._return_to(mark)
        self.post_message(ViewMoved())

    @property
    def seen(self) -> EntryView | None:
        """The newest entry of the contact whose last row is in sight."""
        bottom = self.scroll_offset.y + self.size.height
        last = bisect_right(self._starts, bottom) - 1
        return next((entry for entry in reversed(self.window.entries[:last]) if not entry.own), None)

    def render_lines(self, crop: Region) -> list[Strip]:
        self._ground = self.rich_style  # computed anew at each reading, which costs more than a row
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self._columns
        if self.below and y == self.size.height - 1:
            return self._pill(width)
        if not self.window.entries and self.window.complete and y == self.size.height - 1:
            text = Segment("Nothing was written yet.", self._style("day"))
            return Strip([text]).adjust_cell_length(width, self._ground)
        at = y + self.scroll_offset.y - self._lead()
        index = bisect_right(self._starts, at) - 1
        if at < 0 or index >= len(self.window.entries):
            return Strip.blank(width, self._ground)
        row = self._layouts[self.window.entries[index].id][2][at - self._starts[index]]
        return Strip([Segment(text, self._style(name)) for name, text in row]).adjust_cell_length(
            width, self._ground
        )

    def action_newest(self) -> None:
        self._at_end, self.below = True, 0
        self._go_to_end()
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._at_end = self.scroll_offset.y >= self._last_offset()
        if self._at_end and self.below:
            self.below = 0
            self.refresh()
        if new_value < _NEAR and not self.window.complete and self.window.entries:
            self.post_message(ReachedOldest())
        if round(old_value) != round(new_value):
            self.post_message(ViewMoved())

    def on_resize(self, event: events.Resize) -> None:
        mark = self._reader_place()
        at_end = self._at_end
        self._lay_out()
        if at_end:
            self._go_to_end()
        else:
            self._return_to(mark)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.refresh()

    def _lay_out(self) -> None:
        setting = Setting(self._columns, self._zone, self._today())
        if setting != self._setting:
            self._setting = setting
            self._layouts.clear()
        layouts: dict[str, Layout] = {}
        previous: EntryView | None = None
        for entry in self.window.entries:
            standing = place(entry, previous, self._zone)
            held = self._layouts.get(entry.id)
            if held is None or held[:2] != (standing, entry.state):
                held = (standing, entry.state, rows_of(entry, standing, setting))
            layouts[entry.id] = held
            previous = entry
        self._layouts = layouts
        heights = (len(layouts[entry.id][2]) for entry in self.window.entries)
        self._starts = list(accumulate(heights, initial=0))
        self.virtual_size = Size(self._columns, self._starts[-1])
        self.refresh()

    @property
    def _columns(self) -> int:
        """The columns beside the scroll bar."""
        return max(0, self.size.width - self.styles.scrollbar_size_vertical)

    def _lead(self) -> int:
        """Blank rows above a history that does not fill the view: it stands at the bottom."""
        return max(0, self.size.height - self._starts[-1])

    def _last_offset(self) -> int:
        return max(0, self._starts[-1] - self.size.height)

    def _go_to_end(self) -> None:
        self.scroll_to(y=self._last_offset(), animate=False, force=True)
        self._at_end = True

    def _reader_place(self) -> tuple[str, int] | None:
        """The entry at the top of the view, and how many of its rows are above."""
        top = self.scroll_offset.y
        index = bisect_right(self._starts, top) - 1
        held = list(self._layouts)
        return (held[index], top - self._starts[index]) if 0 <= index < len(held) else None

    def _return_to(self, mark: tuple[str, int] | None) -> None:
        index = self.window.index(mark[0]) if mark else -1
        if mark and index >= 0:
            self.scroll_to(y=self._starts[index] + mark[1], animate=False, force=True)

    def _count_below(self) -> None:
        """Count what came in below the entries in sight; older pages come in above."""
        drawn = list(self._layouts)
        bottom = bisect_right(self._starts, self.scroll_offset.y + self.size.height) - 1
        last = self.window.index(drawn[bottom - 1]) if 0 < bottom <= len(drawn) else -1
        fresh = [entry for entry in self.window.entries if entry.id not in self._known]
        self._known.update(entry.id for entry in fresh)
        if not self._at_end:
            self.below += sum(not entry.own and self.window.index(entry.id) > last for entry in fresh)

    def _style(self, name: str) -> Style:
        return self._ground + self.get_component_rich_style(f"history--{name}", partial=True)

    def _pill(self, width: int) -> Strip:
        text = f" ↓ {self.below} new below · End "
        left = max(0, (width - len(text)) // 2)
        pieces = [Segment(" " * left, self._ground), Segment(text, self._style("below"))]
        return Strip(pieces).adjust_cell_length(width, self._ground)
