"""The safety number and the five words, which two people compare by eye or voice (SPEC §7.4, §7.7)."""

from __future__ import annotations

from collections.abc import Iterable, Set
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final

from protocol import labels, limits, primitives
from protocol.errors import LocalMisuse
from protocol.identity import log
from protocol.identity.reduction import NO_PINS, PersonState, Pins, Reduction

_GROUPS = 12
NUMBER_DIGITS = 5 * _GROUPS
_WORD_COUNT = 5


def safety_number(a: PersonState, b: PersonState) -> str:
    """60 digits in twelve groups, the same for (a, b) and (b, a). LocalMisuse for one person twice."""
    digest = safety_digest(a, b)
    groups = (int.from_bytes(digest[start : start + 5]) % 100_000 for start in range(0, len(digest), 5))
    return " ".join(f"{group:05}" for group in groups)


def safety_digest(a: PersonState, b: PersonState) -> bytes:
    """The 60 bytes behind the number: both persons, their newest recoveries and their live terminals."""
    if a.person == b.person:
        raise LocalMisuse("one person has no safety number")
    low, high = sorted((a, b), key=lambda state: state.person)
    return primitives.b2b(_side(low) + _side(high), personal=labels.SAFETY, size=NUMBER_DIGITS)


def _side(state: PersonState) -> bytes:
    """The number of keys tells where they end, so two different pairs of sides have different bytes."""
    keys = sorted(terminal.signing + terminal.static for terminal in state.live.values())
    return b"".join((state.person, state.newest, len(keys).to_bytes(4), *keys))


def open_questions(own: PersonState, confirmed: Set[bytes]) -> tuple[bytes, ...]:
    """The Adds and Recovers of the own log, ascending, of which the person has to say: that was me.

    `confirmed` are the ids of those that this terminal made, or of which its person has said so. What brought
    in no live terminal and is not the newest recovery gives nobody anything, and is not asked about.
    """
    asked = {terminal.operation for terminal in own.live.values()} | {own.newest} | set(own.contenders)
    return tuple(sorted(asked - confirmed - {own.person}))


def branches(operations: Iterable[bytes], pins: Pins = NO_PINS) -> tuple[PersonState, ...]:
    """What a log comes to by each of its contested recoveries: in force first, then by newest recovery.

    A log that is not contested has one branch. At most SAFETY_REDUCTIONS_MAX reductions are computed.
    Errors as in `load`.
    """
    graph = log.load(operations)
    found: list[PersonState] = []
    waiting = [pins]
    for tried, pinned in enumerate(waiting):
        if tried == limits.SAFETY_REDUCTIONS_MAX:
            break
        state = Reduction(graph, pinned).state()
        if not state.contested:
            found.append(state)
        waiting.extend(Pins(pins.seen, pinned.confirmed | {one}) for one in state.contenders)
    in_force = Reduction(graph, pins).state().path
    return tuple(sorted(found, key=lambda state: (state.path != in_force, state.newest)))


class WordList(StrEnum):
    """A list of 256 words, by the language of its words (SPEC §7.9). No word is in both."""

    ENGLISH = "en"
    CHINESE = "zh"


_FILES: Final = {WordList.ENGLISH: "words.txt", WordList.CHINESE: "words_zh.txt"}


@lru_cache(maxsize=len(WordList))
def word_list(which: WordList = WordList.ENGLISH) -> tuple[str, ...]:
    """The 256 words, indexed by byte. They are part of the protocol: a changed word needs a new version."""
    lines = Path(__file__).with_name(_FILES[which]).read_text("utf-8").splitlines()
    return tuple(line.split()[0] for line in lines)  # in the Chinese list, the pinyin follows


def words(five: bytes, which: WordList = WordList.ENGLISH) -> tuple[str, ...]:
    """The words of five bytes. LocalMisuse for another number of bytes."""
    return tuple(word_list(which)[byte] for byte in _checked(five))


def digits(five: bytes) -> tuple[str, ...]:
    """The same five bytes in digits: three per byte. LocalMisuse for another number of bytes."""
    return tuple(f"{byte:03}" for byte in _checked(five))


def _checked(five: bytes) -> bytes:
    if len(five) != _WORD_COUNT:
        raise LocalMisuse(f"{len(five)} bytes instead of {_WORD_COUNT}")
    return five
