"""How a name looks, and what a contact is called so that nobody takes it for another person.

The label of a contact is its name, with `~` and the first digits of its id where the name does not tell it
apart: from another contact who has it or has had it (`digits`), from this person, or from a word of the
interface.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

_CELLS: Final = 23
"""Of a longer name, narrow screens show no more columns: two that begin alike look the same there."""

_LONGEST: Final = 48
"""Characters, of names that have many marks on few letters."""

UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)
"""Letters and marks that draw nothing: fillers of several scripts, empty Braille, variation selectors."""

_LETTERS: Final = str.maketrans(
    "ꓐꓑꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓧꓪꓫꓬꓮꓰꓲꓳꓴᎠᎡᎢᎪᎫᎬᎳᎷᎻᏀᏃᏒᏔᏕᏙᏚᏞᏟᏢᏦᏴ"
    "ՍՏՕհոռսցօⲂⲎⲒⲔⲘⲚⲞⲟⲢⲣⲤⲥⲦⲨⲬҮүӀӏёїӓӧϹϲᴏᴄᴜᴠᴡᴢꜱ∣⏐〇"
    "ロ囗ニハエトタカヘ曰士末已巳入ー"
    "АВЕЗКМНОРСТУХІЈЅԌԚԜҺаеорсухіјѕһԁԛԝԍквмнтгпьΑΒΕΖΗΙΚΜΝΟΡΤΥΧαγεηικνορτυχωıɑɡɩʟǀⅼ",
    "BPDTGKJCZFMNLSRVHWXYAEIOUDRTAJEWMHGZRWSVSLCPKB"
    "USOhnnugoBHIKMNOoPpCcTYXYyIlëïäöCcocuvwzsllo"
    "口口二八工卜夕力へ日土未己己人一"
    "ABE3KMHOPCTYXIJSGQWHaeopcyxijshdqwgkbmhtrnbABEZHIKMNOPTYXayenikvoptuxwiagiLll",
)
"""Letters that look like the usual Latin ones, and kana and ideographs that look like usual ideographs."""

_SHOWN_VERIFIED: Final = "✓✔☑✅"
_SIGNS: Final = str.maketrans("01i|583", "olllsbe", _SHOWN_VERIFIED)
_TWO_AS_ONE: Final = (("rn", "m"), ("vv", "w"))
_IMITATED: Final = re.compile(f"[~∼∽∾≈⩪～˜⁓〜〰˷⸛⌇{_SHOWN_VERIFIED}]|\\s[\u0303\u0334]")
"""What looks like the mark of a label, or like that of a contact who is verified."""
_DROPPED: Final = frozenset("PZC")

_DIGITS: Final = (4, 8, 16, 64)
_LABEL: Final = re.compile(r"(.*)(~[0-9a-f]{4,64})", re.DOTALL)

WORDS: Final = ("You", "Me", "Notes", "Parlour", "Goes on", "你", "您", "我", "笔记", "接上行")
"""What the interface calls this person, its notes and itself, in each language (a test compares them)."""


@lru_cache(4096)
def look(name: str) -> str:
    """What names have in common that look alike in some font, by what a narrow screen shows of them."""
    folded = unicodedata.normalize("NFKC", _drawn(name).translate(_LETTERS)).translate(_LETTERS)
    folded = "".join(one for one in _cut(folded) if unicodedata.category(one)[0] not in _DROPPED)
    folded = folded.replace("|", "l").casefold().translate(_SIGNS)
    for two, one in _TWO_AS_ONE:
        folded = folded.replace(two, one)
    return folded[:_LONGEST]


def _drawn(name: str) -> str:
    """A name without what draws nothing, and with one space for many."""
    kept = (one for one in UNSEEN.sub("", name) if one.isspace() or unicodedata.category(one)[0] != "C")
    return " ".join("".join(kept).split())


def _cut(drawn: str) -> str:
    cells = 0
    for at, one in enumerate(drawn):
        cells += 2 if unicodedata.east_asian_width(one) in "WF" else not unicodedata.combining(one)
        if cells > _CELLS:
            return drawn[:at]
    return drawn


_OURS: Final = frozenset(map(look, WORDS))


@lru_cache(4096)
def label(name: str, person: str, digits: int, own: str) -> str:
    """What a contact is called. `person`: its id in hex; `own`: this person's name.

    `digits` of the id tell it apart from those who have, or had, a name that looks the same; 0: nobody.
    """
    seen = look(name)
    imitates = _IMITATED.search(_drawn(name)) is not None
    if not digits and (not seen or imitates or seen in _OURS or seen == look(own)):
        digits = _DIGITS[0]
    return f"{name}~{person[:digits]}" if digits else name


def label_parts(label: str) -> tuple[str, str]:
    """The name in a label, and the mark behind it, which is empty or `~` and digits."""
    found = _LABEL.fullmatch(label)
    return (label, "") if found is None else (found[1], found[2])


def telling(persons: Iterable[str]) -> int:
    """The fewest digits of their ids (hex) that tell these persons apart, 0 for one alone."""
    ids = set(persons)
    if len(ids) < 2:
        return 0
    return next(n for n in _DIGITS if n == _DIGITS[-1] or len({one[:n] for one in ids}) == len(ids))


def looks_same(name: str, other: str) -> bool:
    """Whether two names, which are not empty, look alike."""
    return bool(name) and look(name) == look(other)
