"""The line that is being typed at a terminal: edited as terminals do it, known, and so never broken into.

Rules: only what was typed is shown, at the end of the line; the keys are those that every terminal has
(erase, erase a word or all, show again, end); keys that would move a cursor do nothing.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections import deque
from typing import Final

from rich.cells import cell_len

DRAFT_MAX: Final = 1 << 18
"""Characters of one line; a message has far fewer, an invitation too."""

_ENDS: Final = "\r\n"
_ERASES: Final = "\x7f\b"
_KILL, _WORD, _AGAIN, _END, _ESCAPE = "\x15", "\x17", "\x12", "\x04", "\x1b"
_TAB: Final = "    "


class Draft:
    """Keys become lines. `hidden`: nothing is shown of them; `resting`: no key came for a while; `left`: what
    was forgotten still stands on the screen.

    `lines` are those that were ended, None for the end of all. A line that holds what is no text in UTF-8, or
    that is longer than DRAFT_MAX, holds U+FFFD.
    """

    def __init__(self) -> None:
        self.text = ""
        self.hidden = False
        self.resting = False
        self.left = False
        self.keys = 0
        self.lines: deque[str | None] = deque()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._sequence = ""

    @property
    def shown(self) -> str:
        """What of it stands on the screen, behind the last whole line."""
        return "" if self.hidden else self.text

    @property
    def busy(self) -> bool:
        """Whether somebody is in the middle of a line."""
        return bool(self.shown) and not self.resting

    def forget(self) -> None:
        """Drop everything that was typed and not read."""
        self.left = self.left or bool(self.shown)
        self.text, self._sequence = "", ""
        self.lines.clear()
        self._decoder.reset()

    def feed(self, data: bytes) -> str:
        """Take in what the terminal gave; returns what is to be shown of it."""
        self.keys += 1
        self.resting = False
        return "".join(self._key(key) for key in self._decoder.decode(data))

    def _key(self, key: str) -> str:
        if self._sequence or key == _ESCAPE:
            self._sequence = _sequence(self._sequence + key)
            return ""
        if key in _ENDS:
            self.lines.append(self.text)
            self.text = ""
            return "\n"
        if key in _ERASES:
            return self._erase(len(_without_last(self.text)))
        if key == _KILL:
            return self._erase(0)
        if key == _WORD:
            return self._erase(len(self.text.rstrip().rpartition(" ")[0].rstrip()))
        if key == _AGAIN:
            return f"\n{self.shown}"
        if key == _END and not self.text:
            self.lines.append(None)
        return self._add(_TAB if key == "\t" else key)

    def _add(self, text: str) -> str:
        if unicodedata.category(text[0]) in ("Cc", "Cs") or len(self.text) > DRAFT_MAX:
            return ""
        self.text += text if len(self.text) < DRAFT_MAX else "\ufffd"
        return "" if self.hidden else text

    def _erase(self, kept: int) -> str:
        """Cut the text, and wipe what stood behind."""
        cells = cell_len(self.shown[kept:])
        self.text = self.text[:kept]
        return "\b \b" * cells


def _without_last(text: str) -> str:
    """The text without its last character, and without the marks on that."""
    kept = len(text) - 1
    while kept > 0 and unicodedata.category(text[kept])[0] == "M":
        kept -= 1
    return text[: max(0, kept)]


def _sequence(held: str) -> str:
    """A sequence of a key that is no character, as long as it is not whole; then nothing."""
    if len(held) == 1 or (len(held) == 2 and held[1] in "[O"):
        return held
    if held[1] == "[" and not "@" <= held[-1] <= "~" and len(held) < 32:
        return held
    return ""
