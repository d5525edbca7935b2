"""How near two Chinese syllables sound to speakers of different regions, by their pinyin."""

from __future__ import annotations

import re
from typing import Final

_INITIALS: Final = re.compile("(zh|ch|sh|[bpmfdtnlgkhjqxrzcs])?(.+)")
_MERGED: Final = {"zh": "z", "ch": "c", "sh": "s", "n": "l", "r": "l", "h": "f"}
_BEFORE_U: Final = {"ui": "ei", "un": "en", "ong": "en"}
"""Finals after h, as they sound after f: 灰 as 飞, 昏 as 分, 红 as 逢."""


def parts(syllable: str) -> tuple[str, str]:
    """Initial and final of a syllable with its tone: ("zh", "uang") of zhuang1. ü is v, written or not.

    The initial is empty where y or w begins the syllable, which then stand for i, u and v of the final.
    """
    plain = syllable.rstrip("1234")
    for written, spoken in (("yu", "v"), ("yi", "i"), ("y", "i"), ("wu", "u"), ("w", "u")):
        if plain.startswith(written):
            return "", spoken + plain.removeprefix(written)
    found = _INITIALS.fullmatch(plain)
    if found is None:
        raise ValueError("no syllable of pinyin")
    initial, final = found[1] or "", found[2]
    return initial, f"v{final[1:]}" if initial in ("j", "q", "x") and final[0] == "u" else final


def merged(syllable: str, *, f_for_h: bool = True) -> tuple[str, str]:
    """The parts of a syllable where what common accents confuse is one, without the tone.

    zh, ch and sh are z, c and s; n and r are l; h is f, also before u (花 as 发); -ang, -eng and -ing are
    -an, -en and -in, with what is before them. -ong stays, but after h. Without `f_for_h`, h stays as well.
    """
    initial, final = parts(syllable)
    if f_for_h or initial != "h":
        initial = _MERGED.get(initial, initial)
    if initial == "f":
        final = _BEFORE_U.get(final, final.removeprefix("u") or "u")
    return initial, re.sub("(?<=[aei])ng$", "n", final)


def distance(one: tuple[str, str], other: tuple[str, str]) -> int:
    """In how many of its four merged initials and finals a word of two syllables differs from another.

    That is where they differ least: huo as fo is farther from guo, and most speakers say huo.
    """
    return min(
        sum(a != b for a, b in zip(_parts(one, f_for_h), _parts(other, f_for_h), strict=True))
        for f_for_h in (True, False)
    )


def _parts(word: tuple[str, str], f_for_h: bool) -> list[str]:
    return [part for each in word for part in merged(each, f_for_h=f_for_h)]
