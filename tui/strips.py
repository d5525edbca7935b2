"""From rows of named pieces to the strips that Textual draws, each made once.

Rules: a strip is kept while the look is the same, because it carries what drawing it has cost; how many are
kept is bounded.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.rows import Row

_KEPT = 512  # some screens
_CHOSEN_BAR = "█ "
_CURSOR = "cursor"

Look = tuple[Row, bool]
"""A row, and whether the cursor is on it."""


class Strips:
    """Strips in one look. `styles` resolves the name of a style, over no ground."""

    def __init__(self, styles: Callable[[str], Style]) -> None:
        self.ground = Style()
        self._styles = styles
        self._worn: dict[str, Style] = {}
        self._made: dict[Look, Strip] = {}

    def stand_on(self, ground: Style) -> None:
        """Draw on this ground from now on."""
        if ground != self.ground:
            self.ground = ground
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
            self._made[look] = Strip(self._segments(*look))
        return self._made[look]

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
            self._worn[name] = self.ground + self._styles(name)
        return self._worn[name]
