"""What somebody between two terminals may do to a frame, by the name that it has in a report.

Rules: each leaves frames that are whole as such, so that what is refused is their content and their place.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Final

from chat.prove.wire import Trick

_CUT_MOST: Final = 64


def flipped(body: bytes) -> list[bytes]:
    """One bit is another."""
    at, bit = secrets.randbelow(len(body)), secrets.randbelow(8)
    return [body[:at] + bytes([body[at] ^ (1 << bit)]) + body[at + 1 :]]


def cut(body: bytes) -> list[bytes]:
    """Its end is missing."""
    return [body[: len(body) - 1 - secrets.randbelow(_CUT_MOST)]]


def replayed(body: bytes) -> list[bytes]:
    """It comes twice."""
    return [body, body]


def invented(body: bytes) -> list[bytes]:
    """Another of its size comes in its place."""
    return [secrets.token_bytes(len(body))]


class Held:
    """The first of two frames, and what is made of both once the second is there."""

    def __init__(self, make: Callable[[bytes, bytes], list[bytes]]) -> None:
        self._make = make
        self._first: bytes | None = None

    def __call__(self, body: bytes) -> list[bytes] | None:
        if self._first is None:
            self._first = body
            return None
        return self._make(self._first, body)


TRICKS: Final[Mapping[str, Callable[[], Trick]]] = {
    "flipped": lambda: flipped,
    "cut": lambda: cut,
    "replayed": lambda: replayed,
    "reordered": lambda: Held(lambda first, second: [second, first]),
    "left_out": lambda: Held(lambda first, second: [second]),
    "invented": lambda: invented,
}
