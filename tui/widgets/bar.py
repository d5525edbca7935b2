"""A scroll bar that costs little: Textual's own takes a third of a scrolled frame to draw.

Rules: it looks and acts like the other one; only how its cells become strips is different, and the few that
there are of each kind are made once.
"""

from __future__ import annotations

from typing import cast

from rich.segment import Segment
from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip

_KEPT = 64  # a thumb has eight ends above and eight below, in three colours


class Bar(ScrollBar):
    """A vertical scroll bar of one column."""

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
            if len(self._made) >= _KEPT:
                self._made.clear()
            strip = Strip([cell], 1)
            for each in self.get_line_filters():
                strip = strip.apply_filter(each, self.background_colors[1])
            self._made[cell] = strip
        return self._made[cell]


class Barred(ScrollView):
    """A scroll view with such a bar."""

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        if self._vertical_scrollbar is None:
            self._vertical_scrollbar = bar = Bar()
            bar.display = False  # until the first layout, as Textual does it
            self.app._start_widget(self, bar)
        return self._vertical_scrollbar
