"""Emoji by name: what `:shortcode:` means, and what may complete one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final

from msgspec import Struct

from tui.text.emoji_chinese import NAMES

CHOICES_MAX: Final = 6
_RECENT_MAX: Final = 24
_LEAST: Final = 2  # characters after the colon before anything is offered: `:D` and `:p` are no beginnings

# Blocks in which wide symbols are emoji by themselves, without a variation selector.
_BLOCKS: Final = ((0x231A, 0x23F3), (0x25FD, 0x27BF), (0x2B1B, 0x2B55), (0x1F300, 0x1FAFF))

ALIASES: Final[Mapping[str, str]] = {
    "smile": "😄", "grin": "😁", "grinning": "😀", "joy": "😂", "rofl": "🤣", "laughing": "😆",
    "sweat_smile": "😅", "slight_smile": "🙂", "upside_down": "🙃", "wink": "😉", "blush": "😊",
    "relaxed": "☺\ufe0f", "yum": "😋", "cool": "😎", "sunglasses": "😎", "heart_eyes": "😍",
    "kiss": "😘", "couplekiss": "💏", "smirk": "😏", "neutral": "😐", "expressionless": "😑",
    "thinking": "🤔", "shrug": "🤷", "hug": "🤗", "facepalm": "🤦", "roll_eyes": "🙄", "sad": "😢",
    "frown": "☹\ufe0f", "cry": "😢",
    "sob": "😭", "angry": "😠", "rage": "😡", "scream": "😱", "sweat": "😓", "tired": "😫", "sleepy": "😪",
    "sleeping": "😴", "mask": "😷", "sick": "🤒", "dizzy_face": "😵", "party": "🥳", "skull": "💀",
    "poop": "💩", "robot": "🤖", "thumbsup": "👍", "+1": "👍", "yes": "👍", "thumbsdown": "👎", "-1": "👎",
    "ok": "👌", "ok_hand": "👌", "wave": "👋", "clap": "👏", "pray": "🙏", "thanks": "🙏", "muscle": "💪",
    "raised_hands": "🙌", "handshake": "🤝", "v": "✌\ufe0f", "victory": "✌\ufe0f", "fist": "✊",
    "punch": "👊", "point_up": "👆", "point_down": "👇", "point_left": "👈", "point_right": "👉",
    "crossed_fingers": "🤞", "heart": "❤\ufe0f", "love": "❤\ufe0f", "broken_heart": "💔", "100": "💯",
    "tada": "🎉", "gift": "🎁", "check": "✅", "white_check_mark": "✅", "tick": "✔\ufe0f", "x": "❌",
    "cross": "❌", "no": "🚫", "warning": "⚠\ufe0f", "question": "❓", "exclamation": "❗", "bulb": "💡",
    "idea": "💡", "zzz": "💤", "star": "⭐", "sunny": "☀\ufe0f", "sun": "☀\ufe0f", "moon": "🌙",
    "rain": "🌧\ufe0f", "snow": "❄\ufe0f", "snowflake": "❄\ufe0f", "umbrella": "☔", "zap": "⚡",
    "boom": "💥", "water": "💧", "earth": "🌍", "coffee": "☕", "tea": "🍵", "beer": "🍺", "beers": "🍻",
    "wine": "🍷", "cake": "🍰", "birthday": "🎂", "pizza": "🍕", "apple": "🍎", "rice": "🍚",
    "noodles": "🍜", "dog": "🐶", "dog2": "🐕", "cat": "🐱", "cat2": "🐈", "panda": "🐼", "car": "🚗",
    "bus": "🚌", "train": "🚆", "bike": "🚲", "plane": "✈\ufe0f", "airplane": "✈\ufe0f", "ship": "🚢",
    "house": "🏠",
    "office": "🏢", "phone": "☎\ufe0f", "email": "✉\ufe0f", "mail": "✉\ufe0f", "computer": "💻",
    "lock": "🔒", "unlock": "🔓", "key": "🔑", "bell": "🔔", "mag": "🔍", "pencil": "✏\ufe0f",
    "memo": "📝", "book": "📖", "calendar": "📅", "camera": "📷", "music": "🎵", "clock": "🕐",
    "alarm": "⏰", "scissors": "✂\ufe0f", "recycle": "♻\ufe0f", "up": "⬆\ufe0f", "down": "⬇\ufe0f",
    "left": "⬅\ufe0f", "right": "➡\ufe0f",
}  # fmt: skip

# A colon after a letter is of the text (10:30, http://); the full-width one comes from Chinese input methods.
_NAME: Final = r"[:\uff1a]([0-9A-Za-z_+-]{1,60})$"
_WHOLE: Final = re.compile(rf"(?<![0-9A-Za-z_:\uff1a/]){_NAME}")
# Enter takes what is offered, so nothing is where a colon may well be of the text: the full-width one is
# written before words, and after a word or an ideograph so is the other.
# A Chinese name is only offered: between two colons it may well be of the text.
_HAN: Final = "\u4e00-\u9fff"
_BEGUN: Final = re.compile(rf"(?:(?<=\s)|(?<=[(\u3000])|^)(?:{_NAME}|[:\uff1a]([{_HAN}]{{1,8}})$)")


class Choice(Struct, frozen=True):
    name: str
    emoji: str


class Begun(Struct, frozen=True):
    """A shortcode that stands before the cursor: where its colon is, and what may complete it."""

    start: int
    choices: tuple[Choice, ...]


def begun(before: str) -> Begun | None:
    """What completes the shortcode at the end of this text of one line; None where there is none."""
    match = _BEGUN.search(before)
    if match is None or (match[1] is not None and len(match[1]) < _LEAST):
        return None
    found = matching(match[1] or match[2])
    return Begun(match.start(), found) if found else None


def ended(before: str) -> Begun | None:
    """The emoji of the whole shortcode that a colon would end after this text; None where there is none."""
    match = _WHOLE.search(before)
    emoji = named(match[1]) if match is not None else None
    return Begun(match.start(), (Choice(match[1], emoji),)) if match is not None and emoji else None


def named(name: str) -> str | None:
    name = _plain(name)
    return ALIASES.get(name) or _names().get(name) or _chinese().get(name)


def matching(beginning: str, most: int = CHOICES_MAX) -> tuple[Choice, ...]:
    """At most so many emoji whose name, or a word of it, begins so: known names first, then the shorter."""
    found: dict[str, Choice] = {}
    for choice in _ranked(_plain(beginning)):
        found.setdefault(choice.emoji, choice)
        if len(found) == most:
            break
    return tuple(found.values())


def familiar(first: Iterable[str] = ()) -> tuple[Choice, ...]:
    """The emoji of these names, then all that have a name which people expect, each once."""
    found: dict[str, Choice] = {}
    for name in (*first, *ALIASES):
        emoji = named(name)
        if emoji is not None:
            found.setdefault(emoji, Choice(name, emoji))
    return tuple(found.values())


def with_taken(recent: Sequence[str], name: str) -> list[str]:
    """The names that were taken last, with one more at their head."""
    return [name, *(one for one in recent if one != name)][:_RECENT_MAX]


def _plain(name: str) -> str:
    return name.lower() if name[:1] == "-" else name.lower().replace("-", "_")


def _ranked(beginning: str) -> Iterator[Choice]:
    tables = (ALIASES, _names(), _chinese())
    yield from (Choice(beginning, table[beginning]) for table in tables if beginning in table)
    for table in tables:
        found = [Choice(name, emoji) for name, emoji in table.items() if name.startswith(beginning)]
        yield from sorted(found, key=lambda choice: len(choice.name))
    inside = f"_{beginning}"
    for table in tables:
        yield from (Choice(name, emoji) for name, emoji in table.items() if inside in name)


@cache
def _names() -> Mapping[str, str]:
    """Every emoji that stands by itself, by its Unicode name where that is free; shorter names first."""
    found = {
        _shortcode(one): one for low, high in _BLOCKS for one in map(chr, range(low, high + 1)) if _is(one)
    }
    free = ((name, one) for name, one in found.items() if name not in ALIASES)
    return dict(sorted(free, key=lambda pair: (len(pair[0]), pair[0])))


@cache
def _chinese() -> Mapping[str, str]:
    return {name: emoji for emoji, names in NAMES.items() for name in names.split()}


def chinese_name(emoji: str) -> str:
    """The Chinese name that is shown of an emoji; empty where it has none."""
    return NAMES.get(emoji, "").partition(" ")[0]


def _is(character: str) -> bool:
    return unicodedata.category(character) == "So" and unicodedata.east_asian_width(character) == "W"


def _shortcode(character: str) -> str:
    return re.sub("[^a-z0-9]+", "_", unicodedata.name(character).lower())
