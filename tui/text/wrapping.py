"""Where the rows of a line end for a number of columns, and how a line is drawn while it is written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import Final

from rich.cells import cell_len
from rich.segment import Segment

from tui.text.safe import ZWJ, attaches, is_hidden, is_pictograph, is_plain, is_selector, safe, widest

# A word, a run of blanks, or one wide character with the punctuation that may not begin or end a row.
_WIDE = (
    "\u1100-\u115f\u2e80-\u3000\u3003-\u3007\u3012-\ua4cf\uac00-\ud7a3\uf900-\ufaff"
    "\uff21-\uff5a\U0001f000-\U0003ffff"
)
_OPENING = "\u3008\u300a\u300c\u300e\u3010\uff08"
_CLOSING = "\u3001\u3002\u3009\u300b\u300d\u300f\u3011\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f\u2026"
_BEFORE, _AFTER = r"(\[{\u201c\u2018", r")\]}\u201d\u2019,.:;!?%"  # the same next to a wide character


# Each takes 3 ms to compile, which a start does not wait for.


@cache
def _token() -> re.Pattern[str]:
    return re.compile(
        f"[ ]+|[{_OPENING}{_BEFORE}]*[{_WIDE}][{_CLOSING}{_AFTER}]*"
        f"|[{_OPENING}]*[^ {_WIDE}{_OPENING}{_CLOSING}]+[{_CLOSING}]*|[{_OPENING}{_CLOSING}]+"
    )


@cache
def _any_wide() -> re.Pattern[str]:
    return re.compile(f"[{_WIDE}]")


Cut = tuple[int, int]


def wrap(text: str, width: int) -> list[str]:
    """Safe text in rows of at most `width` columns; words are kept whole where they fit."""
    return [line[start:end] for line in text.split("\n") for start, end in cuts(line, width)]


def has_wide(line: str) -> bool:
    """Whether rows may end within a word: next to a character that is a word of its own."""
    return not line.isascii() and _any_wide().search(line) is not None


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
    for token in _token().finditer(line):
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


NOTHING: Final = "\u200b"
"""Fills drawn text where nothing is drawn: no column by Rich's table, and removed by `settled`."""
_TAB: Final = "\u3000"
_PRIVATE: Final = 0xF0000
_STAND_INS: Final = re.compile("[\U000f0000-\U000fffff\U00100000-\U0010ffff]")
_FLAGS: Final = ("\U0001f1e6", "\U0001f1ff")


@dataclass(frozen=True)
class Shape:
    """A line of one's own text for a width."""

    text: str
    width: int

    @cached_property
    def places(self) -> list[int]:
        return places(self.text)

    @cached_property
    def heads(self) -> str:
        """The line with the first part of a character, which decides where words end, for all its parts."""
        return "".join(self.text[begin] * (end - begin) for begin, end in pairwise(self.places))

    @cached_property
    def shown(self) -> str:
        """The line with what is seen of each character and `NOTHING` for the rest."""
        if self.text.isascii():
            return self.text.replace("\t", _TAB)
        return "".join(_shown(self.text[begin:end]) for begin, end in pairwise(self.places))

    @cached_property
    def drawn(self) -> str:
        """As `shown`, with marks that take a cell as characters that do by Rich's table."""
        if is_plain(self.text):
            return self.shown
        return "".join(
            chr(ord(one) + _PRIVATE) if unicodedata.category(one) == "Mc" else one for one in self.shown
        )

    @cached_property
    def rows(self) -> list[int]:
        return breaks(self.shown, self.width) if self.width else []


def places(text: str) -> list[int]:
    if is_plain(text):
        return list(range(len(text) + 1))
    found: list[int] = []
    glued = flag = False
    for at, one in enumerate(text):
        second = flag and _is_flag(one)
        if not (at and (second or _continues(one, glued))):
            found.append(at)
        flag = _is_flag(one) and not second
        glued = one == ZWJ or (glued and is_selector(one))
    return [*found, len(text)]


def settled(segments: Iterable[Segment]) -> list[Segment]:
    """The segments of a row of drawn text as they go to the screen: no mark stands apart from its letter."""
    kept: list[tuple[str, Segment]] = []
    for segment in segments:
        text = segment.text
        if kept and not (kept[-1][0] + text).isascii():
            marks = next((at for at, one in enumerate(text) if not _is_more(one)), len(text))
            marks = marks or int(_is_wide_symbol(kept[-1][0][-1:]) and text[:1] == " ")
            kept[-1] = (kept[-1][0] + text[:marks], kept[-1][1])
            text = text[marks:]
        kept += [(part, segment) for part in _parted(text)]
    return [Segment(_final(text), like.style, like.control) for text, like in kept if text]


def _continues(one: str, glued: bool) -> bool:
    if one == "\t":
        return False
    # What is not known to Unicode is drawn as a character of its own, whatever width tables say of it.
    return is_hidden(one) or attaches(safe(one) or one) or (glued and is_pictograph(one))


def _is_flag(one: str) -> bool:
    return _FLAGS[0] <= one <= _FLAGS[1]


def _shown(character: str) -> str:
    """What is seen of a character, filled up to its length."""
    shown = _TAB if character[0] == "\t" else safe(character)
    if len(character) > 1 and _is_wide_symbol(shown):
        shown += " "  # a symbol that its selector makes wide in some terminals
    return shown + NOTHING * (len(character) - len(shown))


def _is_wide_symbol(shown: str) -> bool:
    """Whether this is one symbol to which some terminals give one column more."""
    return len(shown) == 1 and not attaches(shown) and widest(shown) > cell_len(shown)


def _is_more(one: str) -> bool:
    """Whether this belongs to the character before it."""
    return not cell_len(one) or _STAND_INS.match(one) is not None


def _parted(text: str) -> list[str]:
    """The pieces whose width terminals may each see otherwise: a wide symbol must not move what follows."""
    if text.isascii():
        return [text]
    ends = [
        at + 1
        for at, (symbol, blank) in enumerate(pairwise(text), 1)
        if blank == " " and _is_wide_symbol(symbol)
    ]
    return [text[begin:end] for begin, end in pairwise([0, *ends, len(text)])]


def _final(text: str) -> str:
    if text.isascii():
        return text
    text = text.replace(NOTHING, "").replace(_TAB, "  ")
    whole, marks = _STAND_INS.subn(lambda found: chr(ord(found.group()) - _PRIVATE), text)
    return whole + " " * marks
