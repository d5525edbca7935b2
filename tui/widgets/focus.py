"""Where the focus is on the screen: screen readers, braille displays and magnifiers follow the cursor."""

from __future__ import annotations

from textual.geometry import Offset
from textual.screen import Screen
from textual.widgets import OptionList

from tui.widgets.history import History
from tui.widgets.people import People


def focus_place(screen: Screen[object]) -> Offset | None:
    """The cell of a text field's cursor, or in which the chosen row begins; None where nothing is there yet.

    A dialog without a field begins with its question.
    """
    focused = screen.focused
    if focused is None:
        body = next(iter(screen.query("#body")), None)
        return body.content_region.offset if body is not None and body.region else None
    place = getattr(focused, "cursor_screen_offset", None)
    if isinstance(place, Offset):
        return place
    row = 0
    if isinstance(focused, History | People):
        row = next((row for row, key in focused.in_sight() if key == focused.cursor), 0)
    elif isinstance(focused, OptionList) and focused.highlighted is not None:
        row = focused._index_to_line.get(focused.highlighted, 0) - focused.scroll_offset.y
    return focused.content_region.offset + Offset(0, max(0, row)) if focused.region else None
