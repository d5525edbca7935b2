"""Where the words of a search stand in a text that is shown. Pure functions.

Rules: case and accents do not count; a word is found whole, or anywhere in a script that is written without
spaces; a letter is marked together with the marks on it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_APART = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff]"
)
WORDS_MAX = 32


def pattern(words: Iterable[str]) -> re.Pattern[str] | None:
    """What finds these words in a folded text; None where there is nothing to find."""
    folded = dict.fromkeys(fold(word)[0] for word in list(words)[:WORDS_MAX])
    wanted = sorted((word for word in folded if re.search(r"\w", word)), key=len, reverse=True)
    return re.compile("|".join(map(_whole, wanted))) if wanted else None


def hits(text: str, wanted: re.Pattern[str]) -> list[tuple[int, int]]:
    """Start and end of each hit in a text, in order."""
    folded, places = fold(text)
    return [(places[found.start()], places[found.end()]) for found in wanted.finditer(folded)]


def _whole(word: str) -> str:
    before = "" if _APART.match(word) else r"(?<!\w)"
    after = "" if _APART.match(word[-1]) else r"(?!\w)"
    return before + re.escape(word) + after


def fold(text: str) -> tuple[str, list[int]]:
    """The text without case and accents, and where each of its characters stood; the end stands last."""
    folded: list[str] = []
    places: list[int] = []
    for at, character in enumerate(text):
        plain = unicodedata.normalize("NFKD", character).casefold()
        letters = [one for one in plain if unicodedata.category(one)[0] != "M"]
        folded += letters
        places += [at] * len(letters)
    return "".join(folded), [*places, len(text)]
