"""One's own text as it is drawn while it is written: what a person sees as one character is one.

Rules: `drawn` has as many characters as the text, so that places in one are places in the other, and no
character that could leave its cells; the text itself is not touched, because it is sent as it was written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

from rich.cells import cell_len
from rich.segment import Segment

from tui.formatting import ZWJ, attaches, is_hidden, is_pictograph, is_plain, is_selector, safe, widest
from tui.wrapping import breaks

NOTHING: Final = "\u200b"
"""Stands in drawn text where nothing is drawn: no column by Rich's table, and taken out by `settled`."""
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
        """Where each character that a person sees begins, and the end of the line."""
        return places(self.text)

    @cached_property
    def heads(self) -> str:
        """The line with the first part of a character in place of all of its parts: words are told by it."""
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
        return "".join(_stand_in(one) for one in self.shown)

    @cached_property
    def rows(self) -> list[int]:
        """Where its rows begin, but the first."""
        return breaks(self.shown, self.width) if self.width else []


def places(text: str) -> list[int]:
    """Where the characters that a person sees begin, and the end of the text."""
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


def _stand_in(one: str) -> str:
    return chr(ord(one) + _PRIVATE) if unicodedata.category(one) == "Mc" else one


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
