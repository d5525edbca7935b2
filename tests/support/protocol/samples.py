"""Bad points of Curve25519, fixed random bytes, and bytes with something changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

P = 2**255 - 19
LOW_ORDER = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    P - 1,
]
"""The u of small order that are canonical (RFC 7748; Cremers and Jackson 2019)."""

NOT_CANONICAL = [P, P + 1, P + 9, 2**255 - 1, 2**255, 2**255 + 9, 2**256 - 1]


def u(value: int) -> bytes:
    return value.to_bytes(32, "little")


def seeded(label: str) -> Callable[[int], bytes]:
    """Random bytes that are the same in every run."""
    stream = hashlib.shake_256(label.encode())
    drawn = 0

    def draw(size: int) -> bytes:
        nonlocal drawn
        drawn += size
        return stream.digest(drawn)[drawn - size :]

    return draw


def flipped(data: bytes, bit: int) -> bytes:
    """data with one bit turned, counted from the lowest of the first byte."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def spoiled(data: bytes, step: int = 1) -> Iterator[bytes]:
    """data with each `step`th bit turned, cut at each length, and with a byte more."""
    yield from (flipped(data, bit) for bit in range(0, 8 * len(data), step))
    yield from (data[:size] for size in range(len(data)))
    yield data + b"\x00"
