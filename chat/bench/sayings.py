"""What two persons say in a measurement's long history: texts as varied as those of a chat.

Rules: each begins with its own number, so that the screen shows which entries are in sight; the same numbers
give the same texts; lengths, scripts and marks are mixed as people mix them.
"""

from __future__ import annotations

from random import Random
from typing import Final

_TALK: Final = (
    "we could meet at the station before noon and walk along the river if it stays dry or else I would rather"
    " take the tram because my shoes still leak did you hear from the landlord about our heating yesterday he"
    " promised to send somebody this week but nobody came so the kitchen is cold again please bring back that"
    " blue folder with all receipts since my sister needs them for her taxes on Monday morning our printer"
    " works fine now only two pages were lost and I wrote down what to press when its light blinks red who is"
    " going to feed the cat while you travel north for a fortnight I can do some days but not every evening"
    " their concert was louder than expected yet everyone liked the last song best of all maybe next time let"
    " us sit nearer to a door where there is more air"
)
_COMMON: Final = tuple(_TALK.split())
_SYLLABLES: Final = (
    "ka",
    "lo",
    "mi",
    "ne",
    "pra",
    "sto",
    "tu",
    "vin",
    "del",
    "gor",
    "hal",
    "jun",
    "res",
    "bo",
)
_RARE: Final = tuple(
    first + second + third for first in _SYLLABLES for second in _SYLLABLES for third in _SYLLABLES
)
_HAN: Final = (
    "今天下午三点开会记得带上投影仪明天我们去北京的火车票已经买好了"
    "请把文件发给我谢谢你辛苦了晚上一起吃饭吗好的没问题"
)
_PICTURES: Final = "🎉👍❤😂🚀🌧☕🐈"
_RARE_SHARE: Final = 0.2

NUMBERED: Final = "#{number} "
"""How each text begins."""


def saying(number: int, random: Random) -> str:
    """The text of an entry."""
    kind = random.random()
    if kind < 0.06:
        said = _mark(number, random)
    elif kind < 0.14:
        start = random.randrange(len(_HAN) - 8)
        said = _HAN[start : start + random.randrange(4, 24)] + "。"
    elif kind < 0.17:
        said = _words(random, random.randrange(40, 160)) + "."
    elif kind < 0.22:
        said = f"{_words(random, 4)} {random.choice(_PICTURES)}"
    else:
        said = _words(random, random.randrange(2, 16))
    return NUMBERED.format(number=number) + said


def _words(random: Random, count: int) -> str:
    source = _RARE if random.random() < _RARE_SHARE else _COMMON
    return " ".join([*random.choices(_COMMON, k=count - 1), random.choice(source)])


def _mark(number: int, random: Random) -> str:
    """Something with light Markdown in it."""
    some, more = _words(random, 5), _words(random, 7)
    return random.choice(
        (
            f"**{some}** and *{more}*",
            f"see https://files.example/{number}/{random.choice(_RARE)}.html, {some}",
            f"{some}\n```\nfor each in {random.choice(_RARE)}:\n    print(each, {number})\n```\n{more}",
            f"{some}:\n- {more}\n- {_words(random, 9)}\n- `{random.choice(_RARE)}`",
            f"as you said\n> {some}\n{more}",
        )
    )
