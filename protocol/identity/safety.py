"""What two people compare by eye or voice: the safety number and the five words (SPEC §7.4, §7.7).

Rules: both are for people, so they are short, the same on both sides, and never accepted back as input;
the list of words is part of the protocol, and one word changed makes a new version.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from protocol import labels, primitives
from protocol.codec import low_high
from protocol.errors import LocalMisuse

_GROUPS = 12
_WORD_COUNT = 5


def safety_number(a: bytes, b: bytes) -> str:
    """60 digits of two person ids, twelve groups of five with single spaces, in either order of the persons.

    LocalMisuse for one person twice.
    """
    digest = primitives.b2b(b"".join(low_high(a, b)), personal=labels.SAFETY, size=5 * _GROUPS)
    groups = (int.from_bytes(digest[start : start + 5]) % 100_000 for start in range(0, len(digest), 5))
    return " ".join(f"{group:05}" for group in groups)


@lru_cache(maxsize=1)
def word_list() -> tuple[str, ...]:
    """The 256 words, the byte's value being the place in the list."""
    return tuple(Path(__file__).with_name("words.txt").read_text("utf-8").split())


def words(five: bytes) -> tuple[str, ...]:
    """Five words of five bytes. LocalMisuse for another number."""
    if len(five) != _WORD_COUNT:
        raise LocalMisuse(f"{len(five)} bytes make no {_WORD_COUNT} words")
    return tuple(word_list()[byte] for byte in five)
