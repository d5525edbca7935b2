"""Matches for finders and searches. Case and accents do not count; time is linear in the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from msgspec import Struct

from chat.interface import fold, hits
from tui.text.markdown import Span, lines
from tui.text.safe import safe, safe_line, shorten, widest

T = TypeVar("T")
Spans = tuple[tuple[int, int], ...]
"""Starts and ends in a text, in order and apart from each other."""

WORDS_MAX: Final = 8
LOOKED_AT: Final = 400
_START, _WORD, _INSIDE, _FURTHER, _SCATTERED = range(5)
_ELLIPSIS: Final = "…"
_BLANKS: Final = re.compile(r"\s+")


class Match(Struct, frozen=True):
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


def excerpt(
    text: str, wanted: re.Pattern[str] | None, cells: int, *, plain: bool = False
) -> tuple[Span, ...]:
    """One line of `cells` columns around the first hit in peer text: safe pieces, hits and Markdown apart.

    With `plain` Markdown is text.
    """
    spans = (("text", safe_line(text)),) if plain else _flat(text)
    line = "".join(part for _style, part in spans)
    start = 0
    if wanted is not None:
        found = hits(line, wanted)
        spans = with_hits(spans, found)
        start = _beginning(line, found[0], cells) if found and cells > 2 else 0
    before = _ELLIPSIS if start else ""
    shown = shorten(line[start:], cells - len(before))
    whole = shown == line[start:]
    kept = between(spans, start, start + len(shown) - (not whole and bool(shown)))
    ends = ("text", before), ("text", "" if whole or not shown else _ELLIPSIS)
    return tuple(span for span in (ends[0], *kept, ends[1]) if span[1])


def _flat(text: str) -> tuple[Span, ...]:
    """The lines of peer text as one: every run of blanks and breaks is one space."""
    spans: list[Span] = []
    space = True
    for line in lines(safe(text)):
        for style, part in (*line.spans, ("text", " ")):
            shown = _BLANKS.sub(" ", part)
            shown = shown.removeprefix(" ") if space else shown
            space = shown.endswith(" ") if shown else space
            if spans and spans[-1][0] == style:
                spans[-1] = style, spans[-1][1] + shown
            elif shown:
                spans.append((style, shown))
    if spans and space:
        style, last = spans.pop()
        spans += [(style, last.rstrip())] if last.rstrip() else []
    return tuple(spans)


def between(spans: tuple[Span, ...], start: int, end: int) -> tuple[Span, ...]:
    """The pieces between two places of a text."""
    if len(spans) == 1:
        return ((spans[0][0], spans[0][1][start:end]),)
    row: list[Span] = []
    at = 0
    for style, text in spans:
        piece = text[max(0, start - at) : max(0, end - at)]
        at += len(text)
        if piece:
            row.append((style, piece))
    return tuple(row)


def with_hits(spans: tuple[Span, ...], found: Iterable[tuple[int, int]]) -> tuple[Span, ...]:
    """The same pieces with hits as pieces of their own."""
    text = "".join(piece for _style, piece in spans)
    row: list[Span] = []
    done = 0
    for start, end in found:
        row += [*between(spans, done, start), ("hit", text[start:end])]
        done = end
    return tuple(piece for piece in (*row, *between(spans, done, len(text))) if piece[1]) or spans


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
