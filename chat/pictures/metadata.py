"""Removes what a picture says besides itself: where, when and with what it was taken, comments, thumbnails.

The pixels stay byte for byte. Only listed parts stay: what is not known goes. Pure; the input is hostile.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from chat.pictures.bounds import NotUnderstood, media_of
from chat.pictures.colours import PROFILE_MAX, colours_alone


def without_metadata(data: bytes) -> bytes:
    """The same picture; what stays besides the pixels is their colours and how the picture is turned.

    Raises NotUnderstood.
    """
    strip = {"image/jpeg": _jpeg, "image/png": _png, "image/webp": _webp, "image/gif": _gif}
    work = strip.get(media_of(data))
    if work is None:
        raise NotUnderstood
    try:
        return b"".join(work(data))
    except (IndexError, struct.error):
        raise NotUnderstood from None


def _part(data: bytes, at: int, size: int) -> bytes:
    if size < 0 or at + size > len(data):
        raise NotUnderstood
    return data[at : at + size]


# --- How a picture is turned (TIFF 6.0, Exif 2.3) ---

_ORIENTATION: Final = 0x0112
_ENTRIES_MAX: Final = 1_000


def _turned(tiff: bytes) -> int:
    """The orientation in the first directory, 2 to 8; 0 where there is none, or it cannot be read."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 0
    try:
        (at,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, at)
        for number in range(min(entries, _ENTRIES_MAX)):
            tag, kind, count, value = struct.unpack_from(f"{order}HHIH", tiff, at + 2 + 12 * number)
            if (tag, kind, count) == (_ORIENTATION, 3, 1):
                return value if 2 <= value <= 8 else 0
    except struct.error:
        return 0
    return 0


def _only_turned(orientation: int) -> bytes:
    """A block with the orientation alone."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)


# --- JPEG (ITU T.81, annex B) ---

_EXIF: Final = b"Exif\0\0"
_AFTER_SCAN: Final = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_JFIF_SIZE: Final = 14
_ADOBE_SIZE: Final = 12
_PROFILE: Final = b"ICC_PROFILE\0"
_PROFILE_PART: Final = 65_519
"""Bytes of a profile in one segment (ICC.1:2022, annex B.4)."""
_TABLES: Final = frozenset((0xC4, 0xCC, 0xDB, 0xDD, 0xDC))
_FRAMES: Final = frozenset((*range(0xC0, 0xD0),)) - {0xC4, 0xC8, 0xCC}


def _jpeg(data: bytes) -> Iterator[bytes]:
    yield b"\xff\xd8"
    at, frames, scans, turned, parts = 2, 0, 0, False, dict[int, bytes]()
    while True:
        if data[at] != 0xFF:
            raise NotUnderstood
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker == 0xD9:
            if not (frames and scans):
                raise NotUnderstood
            yield b"\xff\xd9"  # what follows is no part of this picture: other pictures, films, archives
            return
        (size,) = struct.unpack_from(">H", data, at)
        body = _part(data, at + 2, size - 2)
        at += size
        if marker == 0xE1 and body.startswith(_EXIF) and not turned:
            orientation = _turned(body[len(_EXIF) :])
            if orientation:
                turned = True
                yield _segment(0xE1, _EXIF + _only_turned(orientation))
        elif marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= _JFIF_SIZE:
            yield _segment(0xE0, body[: _JFIF_SIZE - 2] + b"\0\0")  # its thumbnail goes
        elif marker == 0xE2 and body.startswith(_PROFILE):
            number, count = struct.unpack_from("BB", body, len(_PROFILE))
            if number not in parts:
                parts[number] = body[len(_PROFILE) + 2 :]
                if sorted(parts) == [*range(1, count + 1)]:
                    yield from _profile(b"".join(parts[one] for one in sorted(parts)))
        elif marker == 0xEE and body.startswith(b"Adobe"):
            yield _segment(marker, body[:_ADOBE_SIZE])
        elif marker in _TABLES:
            yield _segment(marker, body)
        elif marker in _FRAMES:
            frames += 1
            yield _segment(marker, body)
        elif marker == 0xDA:
            scans += 1
            end = _AFTER_SCAN.search(data, at)
            if end is None:
                raise NotUnderstood
            yield _segment(marker, body)
            yield data[at : end.start()]
            at = end.start()
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            raise NotUnderstood


def _profile(profile: bytes) -> Iterator[bytes]:
    colours = colours_alone(profile)
    parts = [colours[at : at + _PROFILE_PART] for at in range(0, len(colours), _PROFILE_PART)]
    for number, part in enumerate(parts, 1):
        yield _segment(0xE2, _PROFILE + bytes((number, len(parts))) + part)


def _segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes((marker,)) + struct.pack(">H", len(body) + 2) + body


# --- PNG (W3C PNG 3) ---

_CHUNKS: Final = frozenset(
    (
        *(b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs"),
        *(b"cICP", b"mDCV", b"cLLI", b"acTL", b"fcTL", b"fdAT"),
    )
)


def _png(data: bytes) -> Iterator[bytes]:
    yield data[:8]
    at, begun, pixels = 8, False, False
    while True:
        (size,) = struct.unpack_from(">I", data, at)
        whole = _part(data, at, size + 12)
        name = whole[4:8]
        at += size + 12
        if begun == (name == b"IHDR"):
            raise NotUnderstood
        begun, pixels = True, pixels or name == b"IDAT"
        if name == b"IEND":
            if not pixels:
                raise NotUnderstood
            yield _chunk(b"IEND", b"")
            return
        if name == b"iCCP":
            if colours := colours_alone(_unpacked(whole[8:-4])):
                yield _chunk(name, b"c\0\0" + zlib.compress(colours))
        elif name in _CHUNKS:
            yield whole
        elif name == b"eXIf" and (orientation := _turned(whole[8:-4])):
            yield _chunk(b"eXIf", _only_turned(orientation))


def _unpacked(body: bytes) -> bytes:
    """The profile in a chunk: its name, how it is packed, and it. Empty where it is damaged or too large."""
    _, _, packed = body.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], PROFILE_MAX + 1)
    except zlib.error:
        return b""


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


# --- WebP (RFC 9649) ---

_IN_WEBP: Final = frozenset((b"VP8 ", b"VP8L", b"ALPH", b"ANIM"))
_IN_FRAME: Final = frozenset((b"VP8 ", b"VP8L", b"ALPH"))
_HAS_PROFILE, _HAS_EXIF, _HAS_XMP = 0x20, 0x08, 0x04
_FRAME_HEAD: Final = 16


def _webp(data: bytes) -> Iterator[bytes]:
    (size,) = struct.unpack_from("<I", data, 4)
    kept, orientation, has, pixels = list[tuple[bytes, bytes]](), 0, 0, False
    for name, body in _riff(_part(data, 12, size - 4)):
        pixels = pixels or name in (b"VP8 ", b"VP8L", b"ANMF")
        if name == b"EXIF":
            orientation = orientation or _turned(body.removeprefix(_EXIF))
        elif name == b"VP8X":
            kept.append((name, bytes((body[0] & ~(_HAS_PROFILE | _HAS_EXIF | _HAS_XMP),)) + body[1:]))
        elif name == b"ICCP":
            if colours := colours_alone(body):
                kept.append((name, colours))
                has |= _HAS_PROFILE
        elif name == b"ANMF":
            inner = [_riffed(*one) for one in _riff(body[_FRAME_HEAD:]) if one[0] in _IN_FRAME]
            kept.append((name, body[:_FRAME_HEAD] + b"".join(inner)))
        elif name in _IN_WEBP:
            kept.append((name, body))
    if not pixels:
        raise NotUnderstood
    if kept[0][0] == b"VP8X":
        if orientation:
            kept.append((b"EXIF", _only_turned(orientation)))
            has |= _HAS_EXIF
        kept[0] = (b"VP8X", bytes((kept[0][1][0] | has,)) + kept[0][1][1:])
    chunks = b"".join(_riffed(*one) for one in kept)
    yield b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP"
    yield chunks


def _riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        name = _part(data, at, 4)
        (size,) = struct.unpack_from("<I", data, at + 4)
        yield name, _part(data, at + 8, size)
        at += 8 + size + (size & 1)


def _riffed(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)


# --- GIF (GIF89a) ---

_REPEATS: Final = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def _gif(data: bytes) -> Iterator[bytes]:
    at = 13 + _palette(data[10])
    yield _part(data, 0, at)
    frames = 0
    while (kind := data[at]) != 0x3B:
        start = at
        if kind == 0x21:
            label = data[at + 1]
            at = _blocks(data, at + 2)
            repeats = label == 0xFF and data[start + 3 : start + 14] in _REPEATS
            if label == 0xF9 or repeats:
                yield data[start:at]
        elif kind == 0x2C:
            frames += 1
            at = _blocks(data, at + 10 + _palette(data[at + 9]) + 1)
            yield data[start:at]
        else:
            raise NotUnderstood
    if not frames:
        raise NotUnderstood
    yield b"\x3b"


def _palette(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks(data: bytes, at: int) -> int:
    """Where the blocks from here on end."""
    while size := data[at]:
        at += 1 + size
    return at + 1
