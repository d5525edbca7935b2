"""The line over the composer that says which entry is answered.

Rules: it quotes the first line as safe text and is hidden where nothing is answered.
"""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from chat.interface import EntryView
from tui.formatting import safe, safe_line, shorten
from tui.texts import _


class ReplyLine(Static):
    """One row: whose entry, how it begins, and the key that drops it."""

    def __init__(self) -> None:
        super().__init__("", id="reply", markup=False)
        self.display = False
        self._name, self._quoted = "", ""

    def show(self, name: str, entry: EntryView | None) -> None:
        """Say whose entry is answered; None hides the line. `name` is safe."""
        lines = safe(entry.text).strip().split("\n") if entry is not None else [""]
        self._name, self._quoted = name, safe_line(lines[0])
        self.display = entry is not None
        self.refresh()

    def render(self) -> Content:
        """The quoted line takes the columns that the rest leaves."""
        way_out = _("Esc: no reply")
        begin = _("↩ {name}: ").format(name=self._name)
        left = self.content_size.width - cell_len(begin) - cell_len(way_out) - 2
        quoted = shorten(self._quoted, max(0, left))
        gap = " " * max(2, left + 2 - cell_len(quoted))
        return Content.assemble((begin, "bold $accent"), (quoted, "$quiet"), (gap, ""), (way_out, "$quiet"))
