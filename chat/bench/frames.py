"""The frames that a program paints, and when the terminal had each.

Rules: a frame is what stands between the two marks of a synchronized update, as terminals take it: one that
is not whole is not shown. A program marks its frames only for a terminal that says it knows the marks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

QUESTION: Final = b"\x1b[?2026$p"
ANSWER: Final = b"\x1b[?2026;2$y"
"""DEC private mode 2026 is known, and not set."""

_BEGIN, _END = b"\x1b[?2026h", b"\x1b[?2026l"
ESCAPE: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\)|[^\[\]PX^_])", re.DOTALL)
"""A control sequence, a string or a two-byte escape."""


@dataclass(frozen=True, slots=True)
class Frame:
    """`began` and `ended`: when its first and its last byte were read; `text`: without what steers."""

    began: float
    ended: float
    bytes: int
    text: str


class Frames:
    """Finds frames in the blocks that a terminal is given."""

    def __init__(self) -> None:
        self.whole: list[Frame] = []
        self._raw = bytearray()
        self._began: float | None = None

    def hear(self, block: bytes, now: float) -> None:
        """Take in a block that was read at this time."""
        self._raw += block
        while self._find_begin(now) and self._find_end(now):
            pass

    def _find_begin(self, now: float) -> bool:
        if self._began is None:
            at = self._raw.find(_BEGIN)
            if at < 0:
                del self._raw[: 1 - len(_BEGIN)]  # all but what may be the beginning of a mark
                return False
            del self._raw[: at + len(_BEGIN)]
            self._began = now
        return True

    def _find_end(self, now: float) -> bool:
        at = self._raw.find(_END)
        if at < 0 or self._began is None:
            return False
        text = ESCAPE.sub(b"", self._raw[:at]).decode(errors="replace")
        self.whole.append(Frame(self._began, now, at, text))
        del self._raw[: at + len(_END)]
        self._began = None
        return True
