"""Rebuilds a colour profile from its colour tags alone (ICC.1:2022): others name screens, makers and times.

The profile of a screen has its serial number, and screenshots have the profile of the screen. Pure; the input
is hostile.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

PROFILE_MAX: Final = 4 << 20
"""Bytes. A larger profile does not stay."""

_HEAD: Final = 128
_TAGS_MAX: Final = 100
_MADE: Final = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
"""The time that every profile says it was made."""

_COLOURS: Final = frozenset(
    (
        *(b"wtpt", b"bkpt", b"chad", b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"cicp"),
        *(b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2", b"D2B0", b"D2B1", b"D2B2", b"D2B3"),
        *(b"B2D0", b"B2D1", b"B2D2", b"B2D3", b"gamt"),
    )
)
_TABLES: Final = frozenset((b"mft1", b"mft2", b"mAB ", b"mBA ", b"mpet"))
_PARAMETERS: Final = (1, 3, 4, 5, 7)
_TEXT: Final = b"c"
"""What the two texts say that a profile must have: its description and its copyright."""


def colours_alone(profile: bytes) -> bytes:
    """The profile without everything but colours; empty where it is damaged or too large."""
    try:
        return _rebuilt(profile) if len(profile) <= PROFILE_MAX and profile[36:40] == b"acsp" else b""
    except (IndexError, struct.error):
        return b""


def _rebuilt(profile: bytes) -> bytes:
    head = bytearray(_HEAD)
    for kept in (slice(8, 24), slice(36, 40), slice(64, 80)):  # version, class, spaces; intent, illuminant
        head[kept] = profile[kept]
    head[24:36] = _MADE
    tags = [*_texts(head[8]), *_colours(profile)]
    at, table, body = _HEAD + 4 + 12 * len(tags), list[bytes](), b""
    places = dict[bytes, int]()
    for name, content in tags:
        if content not in places:
            places[content] = at + len(body)
            body += content + bytes(-len(content) % 4)
        table.append(name + struct.pack(">II", places[content], len(content)))
    head[:4] = struct.pack(">I", at + len(body))
    return bytes(head) + struct.pack(">I", len(tags)) + b"".join(table) + body


def _texts(version: int) -> Iterator[tuple[bytes, bytes]]:
    if version >= 4:
        text = b"mluc" + struct.pack(">4xII2s2sII", 1, 12, b"en", b"US", 2 * len(_TEXT), 28)
        text += _TEXT.decode().encode("utf-16-be")
        yield from ((b"desc", text), (b"cprt", text))
    else:
        yield b"desc", b"desc" + struct.pack(">4xI", len(_TEXT) + 1) + _TEXT + bytes(1 + 8 + 3 + 67)
        yield b"cprt", b"text" + bytes(4) + _TEXT + b"\0"


def _colours(profile: bytes) -> Iterator[tuple[bytes, bytes]]:
    (count,) = struct.unpack_from(">I", profile, _HEAD)
    for number in range(min(count, _TAGS_MAX)):
        name, at, size = struct.unpack_from(">4sII", profile, _HEAD + 4 + 12 * number)
        content = profile[at : at + size]
        if name in _COLOURS and (length := _length(content)):
            yield name, content[:4] + bytes(4) + content[8:length]


def _length(content: bytes) -> int:
    """The bytes that a tag needs by its own kind; 0 where it is none of colours."""
    kind = content[:4]
    if kind in _TABLES:
        return len(content)
    lengths = {b"XYZ ": 20, b"sf32": 44, b"cicp": 12}
    if kind == b"curv":
        lengths[kind] = 12 + 2 * int(struct.unpack_from(">I", content, 8)[0])
    elif kind == b"para":
        lengths[kind] = 12 + 4 * _PARAMETERS[struct.unpack_from(">H", content, 8)[0]]
    needed = lengths.get(kind, 0)
    return needed if needed <= len(content) else 0
