"""Pictures for tests: small whole ones with metadata of every kind, and hostile ones, all made here."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Final

SECRET: Final = b"taken at 52.5163N 13.3777E with camera 4711"
"""What metadata says in each of its places, and what must not be sent."""


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int = 8, height: int = 6, *more: bytes, rows: bytes | None = None) -> bytes:
    """Red, eight bits a colour; `more` chunks stand before the pixels."""
    row = b"\0" + b"\xe0\x20\x20" * width if rows is None else b""
    pixels = zlib.compress(row * height if rows is None else rows)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def exif(orientation: int = 6) -> bytes:
    """A TIFF block with an orientation, a description, and so a place."""
    at = 8 + 2 + 2 * 12 + 4
    entries = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    entries += struct.pack(">HHII", 0x010E, 2, len(SECRET), at)
    return b"MM\0*" + struct.pack(">IH", 8, 2) + entries + struct.pack(">I", 0) + SECRET


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes((marker,)) + struct.pack(">H", len(body) + 2) + body


def dressed(jpeg: bytes) -> bytes:
    """A JPEG with metadata in every place that has room for some."""
    more = segment(0xE1, b"Exif\0\0" + exif())
    more += segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET)
    more += segment(0xED, b"Photoshop 3.0\0" + SECRET) + segment(0xFE, SECRET) + segment(0xE5, SECRET)
    scan = jpeg.index(b"\xff\xda")
    return jpeg[:2] + more + jpeg[2:scan] + segment(0xFE, SECRET) + jpeg[scan:] + b"\xff\xd8" + SECRET


def dressed_png() -> bytes:
    text = chunk(b"tEXt", b"Comment\0" + SECRET)
    packed = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(SECRET))
    return png(8, 6, text, packed, chunk(b"eXIf", exif()), chunk(b"prVt", SECRET)) + SECRET


def dressed_gif(gif: bytes) -> bytes:
    end = gif.rindex(b";")
    said = bytes((len(SECRET),)) + SECRET + b"\0"
    return gif[:end] + b"\x21\xfe" + said + b"\x21\xff\x0bXMP DataXMP" + said + b";" + SECRET


def dressed_webp(webp: bytes, width: int, height: int) -> bytes:
    def riffed(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)

    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    inner = riffed(b"VP8X", b"\x0c\0\0\0" + size) + webp[12:]
    inner += riffed(b"EXIF", exif()) + riffed(b"XMP ", SECRET) + riffed(b"ABCD", SECRET)
    return b"RIFF" + struct.pack("<I", len(inner) + 4) + b"WEBP" + inner + SECRET


def gif(width: int = 2, height: int = 2, frames: int = 1) -> bytes:
    """A GIF whose canvas may be larger than its frames, of one pixel each."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\xe0\x20\x20\0\0\0"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return head + frame * frames + b";"


def apng(frames: int) -> bytes:
    control = struct.pack(">IIIIIHHBB", 0, 8, 6, 0, 0, 1, 10, 0, 0)
    more = [chunk(b"acTL", struct.pack(">II", frames, 0)), chunk(b"fcTL", control)]
    return png(8, 6, *more)


def _zip() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("../evil.sh", "#!/bin/sh\n")
    return held.getvalue()


def hostile() -> dict[str, bytes]:
    """Hostile pictures by what is wrong with each; none is larger than some hundred kilobytes."""
    jpeg_head = b"\xff\xd8" + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    frame = segment(0xC0, struct.pack(">BHHB", 8, 65_500, 65_500, 1) + b"\1\x11\0")
    huge = struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\xff\x3f\0" * 2
    text_bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100 << 20)))
    return {
        "png-50000x50000": png(50_000, 50_000, rows=b"\0"),
        "png-pixels-without-end": png(4_000, 4_000, rows=bytes(60 << 20)),
        "png-text-bomb": png(8, 6, text_bomb),
        "png-no-width": png(0, 6),
        "png-no-height": png(8, 0),
        "png-truncated": png(64, 64)[:60],
        "png-chunk-longer-than-file": png()[:33] + b"\xff\xff\xff\xf0IDAT",
        "png-chunk-length-negative": png()[:33] + b"\x80\0\0\0IDAT" + bytes(40),
        "png-with-zip": png() + _zip(),
        "png-first-bytes-alone": b"\x89PNG\r\n\x1a\n",
        "apng-frames-that-are-not-there": apng(100_000),
        "jpeg-65500x65500": jpeg_head + frame + segment(0xDA, b"\1\1\0\0\x3f\0") + b"\0\xff\xd9",
        "jpeg-segment-length-0": jpeg_head + b"\xff\xe1\0\0" + bytes(50),
        "jpeg-segment-past-the-end": jpeg_head + b"\xff\xe1\xff\xffabc",
        "jpeg-with-zip": jpeg_head + _zip(),
        "jpeg-no-end": jpeg_head + frame + segment(0xDA, b"\1\1\0\0\x3f\0") + bytes(4_096),
        "jpeg-fill-without-end": b"\xff" * 65_536,
        "jpeg-exif-directory-past-the-end": jpeg_head + segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
        "gif-65535x65535": gif(65_535, 65_535),
        "gif-10000-frames": gif(2, 2, 10_000),
        "gif-no-size": gif(0, 0),
        "gif-that-is-javascript": b"GIF89a/*" + bytes(40) + b"*/=1;alert(1);",
        "gif-blocks-without-end": gif()[:19] + b"\x21\xfe" + b"\xff" * 4_096,
        "webp-16384x16384-without-pixels": b"RIFF" + huge,
        "webp-size-past-the-end": b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff",
        "webp-empty": b"RIFF\4\0\0\0WEBP",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "bmp": b"BM" + bytes(60),
        "tiff": exif(),
        "eps-for-ghostscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(id) system",
        "empty": b"",
        "html": b"<html><script>alert(1)</script>",
    }
