"""Matches for finders and searches. Case and accents do not count; time is linear in the text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from tui.text.formatting import safe_line, shorten, widest

_APART = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff]"
)
HIT_WORDS_MAX = 32


def pattern(words: Iterable[str]) -> re.Pattern[str] | None:
    """What finds these words in a folded text; None where there is nothing to find."""
    folded = dict.fromkeys(fold(word)[0] for word in list(words)[:HIT_WORDS_MAX])
    wanted = sorted((word for word in folded if re.search(r"\w", word)), key=len, reverse=True)
    return re.compile("|".join(map(_hits_whole, wanted))) if wanted else None


def hits(text: str, wanted: re.Pattern[str]) -> list[tuple[int, int]]:
    folded, places = fold(text)
    return [(places[found.start()], places[found.end()]) for found in wanted.finditer(folded)]


def _hits_whole(word: str) -> str:
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


T = TypeVar("T")
Spans = tuple[tuple[int, int], ...]
"""Starts and ends in a text, in order and apart from each other."""

WORDS_MAX: Final = 8
LOOKED_AT: Final = 400
_START, _WORD, _INSIDE, _FURTHER, _SCATTERED = range(5)
_ELLIPSIS: Final = "…"


@dataclass(frozen=True, slots=True)
class Match:
    """How well a text fits (0 is best) and where the letters stand that were typed."""

    rank: int
    spans: Spans = ()


def match(typed: str, text: str, title: int | None = None) -> Match | None:
    """How a text fits what was typed; None where it does not.

    Letters of a word that stand apart count only in the first `title` characters, and words after them
    count less; without it, all of the text is title.
    """
    folded, places = fold(text[:LOOKED_AT])
    joined, rank = "".join(folded), 0
    end = len(joined) if title is None else sum(place < title for place in places[:-1])
    marked: set[int] = set()
    for word in fold(typed)[0].split()[:WORDS_MAX]:
        found = _whole(word, joined, end) or _scattered(word, joined[:end])
        if found is None:
            return None
        rank += found[0]
        marked.update(found[1])
    return Match(rank, _spans(sorted(places[at] for at in marked)))


def best(items: Iterable[T], fits: Callable[[T], Match | None], limit: int) -> list[tuple[T, Match]]:
    found = ((item, fits(item)) for item in items)
    fitting = [(item, how) for item, how in found if how is not None]
    return sorted(fitting, key=lambda pair: pair[1].rank)[:limit]


def excerpt(text: str, wanted: re.Pattern[str] | None, cells: int) -> tuple[str, Spans]:
    """One safe line of `cells` columns around the first hit in peer text, and the hits in it."""
    line = safe_line(text)
    found = hits(line, wanted) if wanted else []
    start = _beginning(line, found[0], cells) if found and cells > 2 else 0
    before = _ELLIPSIS if start else ""
    shown = before + shorten(line[start:], cells - len(before))
    end = len(shown) - (shown.endswith(_ELLIPSIS) and not line.endswith(_ELLIPSIS))
    moved = ((max(a - start, 0) + len(before), b - start + len(before)) for a, b in found)
    return shown, tuple((a, min(b, end)) for a, b in moved if a < end and b > len(before))


def _beginning(line: str, hit: tuple[int, int], cells: int) -> int:
    """Where an excerpt begins, so that a third of it stands before the hit: at a word, if one is near."""
    if widest(line[: hit[1]]) <= cells - 1:
        return 0
    start, used = hit[0], 0
    while start > 0 and used + widest(line[start - 1]) <= cells // 3:
        start -= 1
        used += widest(line[start])
    blank = line.find(" ", start, hit[0])
    return blank + 1 if 0 <= blank < hit[0] else start


def _whole(word: str, text: str, title: int) -> tuple[int, Sequence[int]] | None:
    begun = re.search(rf"(?<!\w){re.escape(word)}", text)
    at = begun.start() if begun is not None else text.find(word)
    if at < 0:
        return None
    rank = _START if at == 0 else _WORD if begun is not None else _INSIDE
    return (rank if at < title else _FURTHER), range(at, at + len(word))


def _scattered(word: str, text: str) -> tuple[int, Sequence[int]] | None:
    """The letters of a word in order, the first of them where a word begins."""
    first = re.search(rf"(?<!\w){re.escape(word[0])}", text)
    if first is None:
        return None
    found = [first.start()]
    for letter in word[1:]:
        at = text.find(letter, found[-1] + 1)
        if at < 0:
            return None
        found.append(at)
    return _SCATTERED, found


def _spans(places: Sequence[int]) -> Spans:
    spans: list[tuple[int, int]] = []
    for place in places:
        if spans and place <= spans[-1][1]:
            spans[-1] = (spans[-1][0], place + 1)
        else:
            spans.append((place, place + 1))
    return tuple(spans)
