"""Where the rows of a line of safe text end, for a number of columns. Pure functions.

Rules: a row is at most `width` columns wide in any terminal; words are kept whole where they fit; what is
given back are places in the line, so that styles of a part of it stay where they belong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tui.formatting import attaches, widest

# A word, a run of blanks, or one wide character with the punctuation that may not begin or end a row.
_WIDE = (
    "\u1100-\u115f\u2e80-\u3000\u3003-\u3007\u3012-\ua4cf\uac00-\ud7a3\uf900-\ufaff"
    "\uff21-\uff5a\U0001f000-\U0003ffff"
)
_OPENING = "\u3008\u300a\u300c\u300e\u3010\uff08"
_CLOSING = "\u3001\u3002\u3009\u300b\u300d\u300f\u3011\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f\u2026"
_BEFORE, _AFTER = r"(\[{\u201c\u2018", r")\]}\u201d\u2019,.:;!?%"  # as much, beside a wide character
_TOKENS = re.compile(
    f"[ ]+|[{_OPENING}{_BEFORE}]*[{_WIDE}][{_CLOSING}{_AFTER}]*"
    f"|[{_OPENING}]*[^ {_WIDE}{_OPENING}{_CLOSING}]+[{_CLOSING}]*|[{_OPENING}{_CLOSING}]+"
)
_ANY_WIDE = re.compile(f"[{_WIDE}]")

Cut = tuple[int, int]


def wrap(text: str, width: int) -> list[str]:
    """Safe text in rows of at most `width` columns; words are kept whole where they fit."""
    return [line[start:end] for line in text.split("\n") for start, end in cuts(line, width)]


def has_wide(line: str) -> bool:
    """Whether rows may end within a word: beside a character that is a word of its own."""
    return _ANY_WIDE.search(line) is not None


def cuts(line: str, width: int) -> list[Cut]:
    """Start and end of each row of a line without breaks; blanks where a row ends belong to none."""
    width = max(width, 2)
    if widest(line) <= width:
        return [(0, len(line))]
    rows: list[Cut] = []
    start, end, used = 0, 0, 0
    for first, last in _tokens(line):
        cells = widest(line[first:last])
        if used + cells <= width:
            end, used = last, used + cells
        elif line[first:last].isspace():
            rows.append((start, end))
            start, end, used = last, last, 0
        else:
            if used:
                rows.append((start, len(line[:end].rstrip())) if line[start:end].strip() else (start, start))
            *whole, (start, end) = _chop(line, first, last, width)
            rows += whole
            used = widest(line[start:end])
    return [*rows, (start, end)]


def pieces(line: str, width: int) -> list[Cut]:
    """Start and end of each row where every blank counts, as in code."""
    return _chop(line, 0, len(line), max(width, 2))


def breaks(line: str, width: int) -> list[int]:
    """Where the rows of a line that is being written begin, but the first; every blank has its cell."""
    rows: list[int] = []
    start, used, before = 0, 0, 0
    for first, last in _tokens(line):
        cells = widest(line[first:last])
        if used + cells <= width:
            before, used = first, used + cells
            continue
        # A blank that does not fit takes the word before it along: no row begins with it.
        begin = before if line[first:last].isspace() and before > start else first
        if (begin == first and line[first:last].isspace()) or widest(line[begin:last]) > width:
            rows += [place for place, _end in _chop(line, start, last, width)][1:]
            start = rows[-1]
        else:
            start = begin
            rows.append(start)
        before, used = first, widest(line[start:last])
    return rows


def _tokens(line: str) -> Iterator[Cut]:
    """What is kept whole where it fits; marks stay with what they stand on."""
    start = 0
    for token in _TOKENS.finditer(line):
        end = token.start()
        while 0 < end < token.end() and attaches(line[end]):
            end += 1
        if end > start:
            yield start, end
        start = end
    if start < len(line):
        yield start, len(line)


def _chop(line: str, start: int, stop: int, width: int) -> list[Cut]:
    rows: list[Cut] = []
    used = 0
    for at, end in _units(line, start, stop, width):
        cells = widest(line[at:end])
        if used + cells > width and used:
            rows.append((start, at))
            start, used = at, 0
        used += cells
    return [*rows, (start, stop)]


def _units(line: str, start: int, stop: int, width: int) -> Iterator[Cut]:
    """What stays in one row: a character with the marks on it, as many of them as a row can hold."""
    cells = 0
    for at in range(start, stop):
        more = widest(line[at])
        if at > start and not (attaches(line[at]) and cells + more <= width):
            yield start, at
            start, cells = at, 0
        cells += more
    if start < stop:
        yield start, stop
