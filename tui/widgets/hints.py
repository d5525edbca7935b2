"""The keys of a dialog and what they do; a click does what the key does.

Rules: each hint stays whole, in as many rows as the width needs.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.content import Content
from textual.widgets import Static

from tui.actions import shown_key
from tui.formatting import widest

_APART = 3

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
        """Show these keys."""
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
            start = rows[-1].cell_length + _APART if rows[-1] else 0
            if start and start + cells > (self.size.width or start + cells):
                rows.append(Content(""))
                start = 0
            rows[-1] = Content.assemble(rows[-1], " " * (start - rows[-1].cell_length), hint)
            self._placed.append((len(rows) - 1, start, start + cells, key))
        self.update(Content("\n").join(rows))
