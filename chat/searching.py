"""Search: what somebody types, and what of it a text holds. `chat.interface` offers it too."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Final

from chat.errors import UsageError, phrase
from chat.views import Redacted, Redacting


class Term(Redacting, frozen=True):
    """A word, or several that follow each other. `prefix`: the last of them may be longer."""

    text: Redacted[str]
    prefix: bool = False


class Query(Redacting, frozen=True):
    """Entries that hold all `terms`, by any of `authors`, in any of `conversations`, of a time.

    Names are as they were typed, and none means all. `since` is the first moment that counts, `until` the
    first one after that; None sets no bound.
    """

    terms: tuple[Term, ...] = ()
    authors: Redacted[tuple[str, ...]] = ()
    conversations: Redacted[tuple[str, ...]] = ()
    since: datetime | None = None
    until: datetime | None = None


_QUOTE: Final = '"\u201c\u201d\u201e\uff02\u300c\u300d\u300e\u300f'
_PIECE: Final = (
    rf"(?P<key>from|in|before|after)[:\uff1a](?:[{_QUOTE}](?P<name>[^{_QUOTE}]*)[{_QUOTE}]?|(?P<value>\S*))"
    rf"|[{_QUOTE}](?P<phrase>[^{_QUOTE}]*)(?P<end>[{_QUOTE}]?)"
    r"|(?P<word>\S+)"
)
_STAR: Final = "*\uff0a"
_DATE: Final = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", re.ASCII)
_NO_VALUE: Final = phrase('Type a name or a date right after the colon, or "quote" the word.')


def parse_query(typed: str, *, typing: bool = False, zone: tzinfo | None = None) -> Query:
    """What somebody types to search; `typing`: the last word may not be complete, unless a blank follows it.

    Words, phrases in quotes, `word*`, `from:NAME`, `in:NAME`, `before:DATE` and `after:DATE`; a name may be
    in quotes. A date is YYYY, YYYY-MM or YYYY-MM-DD in `zone` (None: this machine's) and itself not in what
    it bounds. Raises UsageError.
    """
    terms, authors, conversations = list[Term](), list[str](), list[str]()
    since, until = list[datetime](), list[datetime]()
    for piece in re.finditer(_PIECE, typed, re.IGNORECASE):
        last = typing and piece.end() == len(typed)
        key, value = (piece["key"] or "").lower(), (piece["name"] or piece["value"] or "").strip()
        if key and not value:
            raise UsageError(_NO_VALUE)
        if key in ("from", "in"):
            (authors if key == "from" else conversations).append(value)
        elif key == "before":
            until.append(_span(value, zone)[0])
        elif key == "after":
            since.append(_span(value, zone)[1])
        elif piece["word"] is None:
            terms.append(Term(piece["phrase"], last and not piece["end"]))
        else:
            word = piece["word"].rstrip(_STAR)
            terms.append(Term(word, last or word != piece["word"]))
    wanted = tuple(term for term in terms if _parts(fold(term.text)[0]))
    return Query(
        wanted, tuple(authors), tuple(conversations), max(since, default=None), min(until, default=None)
    )


def _span(typed: str, zone: tzinfo | None) -> tuple[datetime, datetime]:
    """The first moment of a year, month or day, and the first one after it. Raises UsageError."""
    found = _DATE.fullmatch(typed)
    try:
        year, month, day = (int(part) if part else 0 for part in found.groups()) if found else (0, 0, 0)
        first = date(year, month or 1, day or 1)
        if day:
            after = first + timedelta(days=1)
        else:
            after = date(year + (month in (0, 12)), (month + 1 if 0 < month < 12 else 1), 1)
        begins, ends = (datetime.combine(one, time.min, zone).astimezone(UTC) for one in (first, after))
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            phrase("{date} is not a date: type 2026, 2026-11 or 2026-11-25, for example.", date=typed)
        ) from None
    return begins, ends


SINGLE: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Myanmar, Khmer
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"  # Hangul: particles hang on the word
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u312f\u3190-\u31ff"  # radicals, kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # CJK ideographs
)
"""Each of these is a word of its own: no blanks tell words apart there."""
SPELLED: Final = "\u2190-\u2bff\U00010000-\U0010ffff"
"""Each of these, too: pictures, and what the index's tables of Unicode 6.1 lack."""
_LETTER: Final = rf"(?![{SINGLE}{SPELLED}])[^\W_]"
_BETWEEN: Final = rf"(?:(?![{SPELLED}])[\W_])"
HIT_TERMS_MAX: Final = 32


# Each takes 3 ms to compile, which a start does not wait for.


@cache
def _apart() -> re.Pattern[str]:
    return re.compile(f"[{SINGLE}{SPELLED}]")


@cache
def _part() -> re.Pattern[str]:
    return re.compile(rf"(?=[^\W_])[{SINGLE}]|[{SPELLED}]|(?:{_LETTER})+")


def pattern(terms: Iterable[Term]) -> re.Pattern[str] | None:
    """What finds these in a folded text; None where there is nothing to find."""
    wanted = {(tuple(_parts(fold(one.text)[0])), one.prefix) for one in list(terms)[:HIT_TERMS_MAX]}
    found = sorted((_expression(*one) for one in wanted if one[0]), key=lambda one: (-len(one), one))
    return re.compile("|".join(found)) if found else None


def hits(text: str, wanted: re.Pattern[str]) -> list[tuple[int, int]]:
    """Starts and ends of hits in a text, in order and apart from each other."""
    folded, places = fold(text)
    found = list[tuple[int, int]]()
    for hit in wanted.finditer(folded):
        end = hit.end()
        while places[end] == places[end - 1]:  # one character may become several
            end += 1
        if not found or places[hit.start()] >= found[-1][1]:
            found.append((places[hit.start()], places[end]))
    return found


def _parts(folded: str) -> list[str]:
    """The words of a folded text, as the index tells them apart."""
    return [found[0] for found in _part().finditer(folded)]


def _expression(parts: tuple[str, ...], prefix: bool) -> str:
    found = "" if _apart().match(parts[0]) else f"(?<!{_LETTER})"
    for part, following in zip(parts, (*parts[1:], ""), strict=True):
        apart = _apart().match(part) or (following and _apart().match(following))
        found += re.escape(part) + (_BETWEEN + ("*" if apart else "+") if following else "")
    return found if prefix or _apart().match(parts[-1]) else f"{found}(?!{_LETTER})"


def fold(text: str) -> tuple[str, list[int]]:
    """The text without case and accents, and where each of its characters stood; the end stands last."""
    if text.isascii():
        return text.lower(), [*range(len(text) + 1)]
    folded: list[str] = []
    places: list[int] = []
    for at, character in enumerate(text):
        apart = _apart().match(character)
        for plain in unicodedata.normalize("NFKC" if apart else "NFKD", character).casefold():
            whole = folded and _apart().match(folded[-1])
            joined = unicodedata.normalize("NFC", folded[-1] + plain) if whole else ""
            if len(joined) == 1:  # kana with its mark, Hangul of its parts
                folded[-1] = joined
            elif unicodedata.category(plain)[0] != "M":
                folded.append(plain)
                places.append(at)
    return "".join(folded), [*places, len(text)]
