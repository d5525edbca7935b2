"""What of an entry stands at a place of its rows: for clicks. Pure functions.

Rules: an address that was broken over rows is found whole; where marked hits cut it up, it is found only if
the entry has no other.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from chat.interface import EntryView
from tui.formatting import safe
from tui.markdown import addresses
from tui.rows import Row


def style_at(row: Row, column: int) -> str:
    """The name of the style at a column (0 is the bar's); empty beyond the row."""
    at = _piece_at(row, column)
    return "" if at is None else row[at][0]


def address_at(entry: EntryView, rows: Sequence[Row], row: int, column: int) -> str:
    """The address at a column of one of the rows of an entry, safe; empty where there is none."""
    at = _piece_at(rows[row], column)
    if at is None or rows[row][at][0] != "link":
        return ""
    found = addresses(safe(entry.text))
    if _links(rows) != "".join(found):
        return found[0] if len(set(found)) == 1 else ""
    before = len(_links([*rows[:row], rows[row][:at]]))
    for address in found:
        if before < len(address):
            return address
        before -= len(address)
    return ""


def _piece_at(row: Row, column: int) -> int | None:
    for at, (_style, text) in enumerate(row):
        column -= cell_len(text)
        if column < 0:
            return at
    return None


def _links(rows: Sequence[Row]) -> str:
    """The pieces of addresses in rows, one after the other: every address whole."""
    return "".join(text for row in rows for style, text in row if style == "link")
