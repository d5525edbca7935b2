"""Changes to MessagePack that leave it MessagePack: what is changed blindly is refused before it is read."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

import msgspec

Mutate = Callable[[bytes, int], bytes]
"""The fuzzer's own change of bytes, at most so many."""

NUMBERS: Final = [
    0,
    1,
    2,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2**32 - 1,
    2**32,
    2**48,
    2**53 - 1,
    2**53,
    2**64 - 1,
    -1,
]
OTHERS: Final[list[Any]] = [None, True, 0, b"", "", [], bytes(31), bytes(32), bytes(33)]


def mutated(data: bytes, size: int, random: Random, mutate: Mutate) -> bytes:
    """The data with one part changed: by its structure where it has one, else as the fuzzer does."""
    value = _value(data)
    if isinstance(value, list) and random.random() < 0.7:
        return msgspec.msgpack.encode(_changed(value, random, mutate))[:size]
    return mutate(data, size)


def _value(data: bytes) -> Any:
    try:
        return msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _changed(value: Any, random: Random, mutate: Mutate) -> Any:
    if random.random() < 0.05:
        return random.choice(OTHERS)
    if isinstance(value, list) and value:
        return _changed_list(value, random, mutate)
    if isinstance(value, bytes) and value:
        return mutated(value, 2 * len(value), random, mutate)
    if isinstance(value, str):
        return mutate(value.encode(), 2 * len(value) + 4).decode("utf-8", "replace")
    if isinstance(value, int):
        return random.choice([*NUMBERS, value + 1 if value < 2**64 - 1 else 0])
    return random.choice(OTHERS)


def _changed_list(value: list[Any], random: Random, mutate: Mutate) -> list[Any]:
    place, other = random.randrange(len(value)), random.randrange(len(value))
    match random.randrange(8):
        case 0:
            return value[:place] + value[place + 1 :]
        case 1:
            return [*value[:place], value[other], *value[place:]]
        case 2:
            return [*value[:place], value[other], *value[place + 1 :]]
        case _:
            return [*value[:place], _changed(value[place], random, mutate), *value[place + 1 :]]
