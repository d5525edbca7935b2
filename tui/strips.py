"""From rows of named pieces to the strips that Textual draws, each made once.

Rules: a strip is kept while the dress is the same, because it carries what drawing it has cost; how many are
kept is bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.strip import Strip

from tui.rows import Row

_KEPT = 512  # some screens
_CHOSEN_BAR = "█ "
_CURSOR = "cursor"

Look = tuple[Row, bool]
"""A row, and whether the cursor is on it."""


class Dress(NamedTuple):
    """What all strips have in common: ground, blank columns before, columns in all, filters of Textual."""

    ground: Style
    before: int
    width: int
    filters: tuple[LineFilter, ...]
    background: Color


class Strips:
    """Strips in one dress. `styles` resolves the name of a style, over no ground."""

    def __init__(self, styles: Callable[[str], Style]) -> None:
        self._dress = Dress(Style(), 0, 0, (), Color(0, 0, 0))
        self._styles = styles
        self._worn: dict[str, Style] = {}
        self._made: dict[Look, Strip] = {}

    def wear(self, dress: Dress) -> None:
        """Make all strips so from now on."""
        if dress != self._dress:
            self._dress = dress
            self.forget()

    def forget(self) -> None:
        """Styles may have changed: resolve them anew."""
        self._worn.clear()
        self._made.clear()

    def of(self, look: Look) -> Strip:
        """The strip of a row."""
        if look not in self._made:
            if len(self._made) >= _KEPT:
                self._made.clear()
            self._made[look] = self._make(look)
        return self._made[look]

    def _make(self, look: Look) -> Strip:
        dress = self._dress
        segments = [Segment(" " * dress.before, dress.ground), *self._segments(*look)]
        strip = Strip(segments).adjust_cell_length(dress.width, dress.ground).simplify()
        for each in dress.filters:
            strip = strip.apply_filter(each, dress.background)
        return strip

    def _segments(self, row: Row, chosen: bool) -> list[Segment]:
        if not chosen:
            return [Segment(text, self._style(name)) for name, text in row]
        ground = self._styles(_CURSOR)
        bar, *rest = row
        return [
            Segment(_CHOSEN_BAR, self._style(bar[0]) + ground),
            *(Segment(text, self._style(name) + ground) for name, text in rest),
        ]

    def _style(self, name: str) -> Style:
        if name not in self._worn:
            self._worn[name] = self._dress.ground + self._styles(name)
        return self._worn[name]
