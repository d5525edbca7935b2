"""What a listener may expect of every byte: only appended, no line too long, nothing repeated."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final

from rich.cells import cell_len

CELLS: Final = 200
_OTHERS: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
_BELL: Final = "\a"


def faults(heard: bytes, asked: Collection[str] = (), common: Iterable[str] = ()) -> list[str]:
    """What is wrong with all bytes of a terminal where nobody erased, copied or asked for a picture.

    `asked`: lines that were asked for whole, or again. `common`: patterns of lines that may come again.
    """
    text = heard.decode()  # whole characters, too
    found = [f"U+{ord(one):04X} is no text" for one in sorted({*text} - {*"\r\n", _BELL}) if _steers(one)]
    if text.replace("\r\n", "").count("\r"):
        found.append("a carriage return without a new line goes back")
    lines = text.replace(_BELL, "").split("\r\n")
    if any("\n" in line for line in lines):
        found.append("a new line does not begin at its start")
    found += [
        f"{cell_len(one)} cells: {one[:60]}" for one in lines if cell_len(one) > CELLS and one not in asked
    ]
    many = Counter(line for line in lines if line and line not in asked)
    again = {line for line, times in many.items() if times > 1}
    found += [f"said again: {line}" for line in again if not any(re.fullmatch(one, line) for one in common)]
    return found


def _steers(one: str) -> bool:
    return unicodedata.category(one) in _OTHERS
