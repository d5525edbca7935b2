"""Safety numbers and words (SPEC §7.4, §7.7)."""

from __future__ import annotations

import hashlib
import re
from importlib import resources

import pytest

from protocol.errors import LocalMisuse
from protocol.identity.safety import safety_number, word_list, words

CHECKSUM = "a11cc052940328f21c01cfb61c37b6348b392bd9d9132d0ef784e3b7d96d41de"
"""SHA-256 of the list: two programs with different lists would show different words for one pairing."""


def test_a_number_of_one_person_is_a_mistake_of_ours() -> None:
    with pytest.raises(LocalMisuse):
        safety_number(bytes(32), bytes(32))


def test_the_list_of_words_is_pinned() -> None:
    data = resources.files("protocol.identity").joinpath("words.txt").read_bytes()
    assert hashlib.sha256(data).hexdigest() == CHECKSUM


def test_words_are_easily_told_apart() -> None:
    listed = word_list()
    assert len(listed) == len(set(listed)) == 256
    assert list(listed) == sorted(listed)
    assert all(re.fullmatch("[a-z]{4,7}", word) for word in listed)
    assert len({word[:3] for word in listed}) == 256
    close = [(a, b) for a in listed for b in listed if a < b and distance(a, b) < 3]
    assert not close


def distance(a: str, b: str) -> int:
    """Letters to change, add or leave out (Levenshtein)."""
    row = list(range(len(b) + 1))
    for index, letter in enumerate(a, 1):
        following = [index]
        for place, other in enumerate(b, 1):
            changed = row[place - 1] + (letter != other)
            following.append(min(row[place] + 1, following[-1] + 1, changed))
        row = following
    return row[-1]


def test_words_are_the_bytes_places_in_the_list() -> None:
    listed = word_list()
    assert words(bytes([0, 1, 127, 254, 255])) == (
        listed[0],
        listed[1],
        listed[127],
        listed[254],
        listed[255],
    )
    for wrong in (b"", bytes(4), bytes(6)):
        with pytest.raises(LocalMisuse):
            words(wrong)
