"""Where Textual ends the rows of what it lays out by itself: dialogs, the guide, buttons.

Rules: its own rule breaks at blanks alone, and takes a Chinese sentence for one word; ours is put in its
place, and holds for lines with wide characters only.
"""

from __future__ import annotations

from rich._wrap import divide_line
from rich.cells import cell_len
from textual import content

from tui.wrapping import cuts, has_wide


def rows(line: str, width: int, fold: bool = True) -> list[int]:
    """Where the rows of a line begin, but the first, as Textual asks for it."""
    if not fold or not has_wide(line):
        return divide_line(line, width, fold)
    if cell_len(line) <= width:
        return []  # as it was made to fit, also where a terminal may draw a sign of it wider
    return sorted({start for start, _end in cuts(line, width)} - {0})


def take_over() -> None:
    """Let Textual lay out lines by this rule from now on."""
    vars(content)["divide_line"] = rows
