"""What a person selects in a conversation: a part of one message, or of several that follow each other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from itertools import pairwise
from typing import NamedTuple

from msgspec import Struct
from rich.cells import cell_len

from chat.interface import EntryView
from tui.conversation import Window
from tui.text.formatting import clock_time, day_of, safe_label, whole_text
from tui.text.message_rows import Part, Setting, shown_text
from tui.text.safe import widest
from tui.text.translation import _
from tui.text.wrapping import places


class Place(NamedTuple):
    """A place in a conversation: an entry (id), and how many characters of its shown text are before."""

    entry: str
    at: int


class Selected(Struct, frozen=True):
    """From where a selection began to where it is now, whichever stands first."""

    begun: Place
    now: Place

    def ends(self, window: Window) -> tuple[Place, Place] | None:
        """Its first and its last place; None where nothing is selected, or an end is not held any more."""
        first, last = sorted((self.begun, self.now), key=lambda place: (window.index(place.entry), place.at))
        return None if window.index(first.entry) < 0 or first == last else (first, last)


def place_at(parts: Sequence[Part], text: str, row: int, column: int) -> int:
    """The place in a shown text at a row of its parts and a column; rows around it belong to its ends."""
    if row < 0 or not parts:
        return 0
    if row >= len(parts):
        return len(text)
    part = parts[row]
    left = column - part.column
    for first, last in pairwise((part.start, *part.ends)):
        piece = text[first:last]
        after = left - widest(piece)
        if after >= 0:
            left = after
            continue
        for begin, end in pairwise(places(piece)):
            cells = cell_len(piece[begin:end])
            if left < cells:
                return first + (begin if 2 * left < cells else end)
            left -= cells
        return last  # the room behind a piece
    return part.end


def columns(part: Part, text: str, start: int, end: int) -> tuple[int, int] | None:
    """First column and column after the last of what a row has between two places of a text."""
    first, last = max(start, part.start), min(end, part.end)
    if first >= last:
        return None
    return _column(part, text, first), _column(part, text, last)


def _column(part: Part, text: str, at: int) -> int:
    """The column in which a place of a row is drawn."""
    column = part.column
    for begin, end in pairwise((part.start, *part.ends)):
        if at < end:
            return column + cell_len(text[begin:at])
        column += widest(text[begin:end])
    return column


def selected_text(selected: Selected, window: Window, setting: Setting) -> str:
    """What is selected, safe: of one message its words alone, of several each with its time and author."""
    ends = selected.ends(window)
    if ends is None:
        return ""
    (first, begin), (last, end) = ends
    entries = window.entries[window.index(first) : window.index(last) + 1]
    said: list[tuple[EntryView, str]] = []
    for entry in entries:
        shown = shown_text(entry, setting)[0]
        start, stop = begin if entry.id == first else 0, end if entry.id == last else len(shown)
        whole = start <= 0 and stop >= len(shown)
        part = whole_text(entry) if whole else shown[start:stop]
        if part or whole:
            said.append((entry, part))
    if len(said) < 2:
        return said[0][1] if said else ""
    return "\n".join(_line(entry, text, setting.zone) for entry, text in said)


def _line(entry: EntryView, text: str, zone: tzinfo | None) -> str:
    when = f"{day_of(entry.time, zone).isoformat()} {clock_time(entry.time, zone)}"
    name = _("You") if entry.own else safe_label(entry.author)
    return f"[{when}] {name}: {text}"
