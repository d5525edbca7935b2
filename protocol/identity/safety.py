"""The safety number and the five words, which two people compare by eye or voice (SPEC §7.4, §7.7)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from protocol import labels, primitives
from protocol.codec import low_high
from protocol.errors import LocalMisuse

_GROUPS = 12
_WORD_COUNT = 5


def safety_number(a: bytes, b: bytes) -> str:
    """60 digits in twelve groups, the same for (a, b) and (b, a). LocalMisuse if both ids are equal."""
    digest = primitives.b2b(b"".join(low_high(a, b)), personal=labels.SAFETY, size=5 * _GROUPS)
    groups = (int.from_bytes(digest[start : start + 5]) % 100_000 for start in range(0, len(digest), 5))
    return " ".join(f"{group:05}" for group in groups)


@lru_cache(maxsize=1)
def word_list() -> tuple[str, ...]:
    """The 256 words, indexed by byte. They are part of the protocol: a changed word needs a new version."""
    return tuple(Path(__file__).with_name("words.txt").read_text("utf-8").split())


def words(five: bytes) -> tuple[str, ...]:
    """The words of five bytes. LocalMisuse for another number of bytes."""
    if len(five) != _WORD_COUNT:
        raise LocalMisuse(f"{len(five)} bytes instead of {_WORD_COUNT}")
    return tuple(word_list()[byte] for byte in five)
