"""The rows of a conversation: entries laid out for a width, as named pieces of text. Pure functions.

Rules: a row is a tuple of (style, text) whose texts fill exactly the width; all peer text in it has
passed `safe`. Nothing here knows colours: styles are names that the history widget resolves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo

from rich.cells import cell_len

from chat.interface import EntryView
from tui.formatting import clock_time, day_of, day_title, safe, safe_line, safe_name, state_mark, widest

Row = tuple[tuple[str, str], ...]

PAUSE = timedelta(minutes=10)
_BAR = "▎ "
_MARGIN = 1
# A word, a run of blanks, or one wide character with the punctuation that may not begin a row.
_WIDE = (
    "\u1100-\u115f\u2e80-\u3000\u3003-\u3007\u3012-\ua4cf\uac00-\ud7a3\uf900-\ufaff"
    "\uff21-\uff5a\U0001f000-\U0003ffff"
)
_CLOSING = "\u3001\u3002\u3009\u300b\u300d\u300f\u3011\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f"
_TOKENS = re.compile(f"[ ]+|[{_WIDE}][{_CLOSING}]*|[^ {_WIDE}]+")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a layout depends on beside the entries: columns, time zone, the day that is today."""

    width: int
    zone: tzinfo | None
    today: date


@dataclass(frozen=True, slots=True)
class Place:
    """How an entry stands to the one before it: does a day begin, does an author begin."""

    day: bool
    head: bool


def place(entry: EntryView, previous: EntryView | None, zone: tzinfo | None) -> Place:
    """Where an entry begins a new day or a new group of one author's entries."""
    if previous is None or day_of(entry.time, zone) != day_of(previous.time, zone):
        return Place(day=True, head=True)
    same = entry.own == previous.own and entry.author == previous.author
    return Place(day=False, head=not same or abs(entry.time - previous.time) > PAUSE)


def rows_of(entry: EntryView, standing: Place, setting: Setting) -> tuple[Row, ...]:
    """All rows of one entry: separator, author, text with its time and mark at the end."""
    rows: list[Row] = []
    if standing.day:
        rows += _separator(day_title(day_of(entry.time, setting.zone), setting.today), setting.width)
    elif standing.head:
        rows.append(_blank(setting.width))
    if standing.head:
        rows.append(_head(entry, setting.width))
    return (*rows, *_body(entry, setting))


def wrap(text: str, width: int) -> list[str]:
    """Safe text in rows of at most `width` columns in any terminal; words are kept whole where they fit."""
    return [row for line in text.split("\n") for row in _wrap_line(line, max(width, 2))]


def _wrap_line(line: str, width: int) -> list[str]:
    rows, row, used = [], "", 0
    for token in _TOKENS.findall(line):
        cells = widest(token)
        if used + cells <= width:
            row, used = row + token, used + cells
        elif token.isspace():
            rows.append(row)
            row, used = "", 0
        else:
            if used:
                rows.append(row.rstrip())
            *whole, row = _chop(token, width)
            rows += whole
            used = widest(row)
    return [*rows, row]


def _chop(token: str, width: int) -> list[str]:
    pieces, piece, used = [], "", 0
    for character in token:
        cells = widest(character)
        if used + cells > width and cells:
            pieces.append(piece)
            piece, used = "", 0
        piece, used = piece + character, used + cells
    return [*pieces, piece]


def _separator(title: str, width: int) -> list[Row]:
    inner = width - _MARGIN
    title = f" {title} "[:inner]
    left = (inner - len(title)) // 2
    right = inner - len(title) - left
    line: Row = (("rule", "─" * left), ("day", title), ("rule", "─" * right + " " * _MARGIN))
    return [_blank(width), line, _blank(width)]


def _blank(width: int) -> Row:
    return (("text", " " * width),)


def _head(entry: EntryView, width: int) -> Row:
    side = _side(entry)
    name = "You" if entry.own else safe_name(entry.author, max(4, width - 4))
    return ((f"bar-{side}", _BAR), (f"name-{side}", _fill(name, width - len(_BAR))))


def _body(entry: EntryView, setting: Setting) -> list[Row]:
    inner = setting.width - len(_BAR) - _MARGIN
    bar = (f"bar-{_side(entry)}", _BAR)
    lines = wrap(_text(entry), inner)
    mark, time = state_mark(entry.state), clock_time(entry.time, setting.zone)
    tail = (mark + " " if mark else "") + time
    if widest(lines[-1]) + 2 + cell_len(tail) > inner and inner >= cell_len(tail):
        lines.append("")
    last = lines.pop()
    rows: list[Row] = [(bar, ("text", _fill(line, inner + _MARGIN))) for line in lines]
    room = max(0, inner - cell_len(tail))
    end = (f"mark-{entry.state.value}", mark + " " if mark else ""), ("time", time + " " * _MARGIN)
    return [*rows, (bar, ("text", _fill(last, room)), *end)]


def _text(entry: EntryView) -> str:
    if entry.kind != "text":
        return f"({safe_line(entry.kind)}: this version of Parlour cannot show it)"
    return safe(entry.text).rstrip() or "(nothing that can be shown)"


def _side(entry: EntryView) -> str:
    return "own" if entry.own else "theirs"


def _fill(text: str, width: int) -> str:
    return text + " " * max(0, width - cell_len(text))
