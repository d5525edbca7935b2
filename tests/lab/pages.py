"""Searches every page and WAL frame of a SQLCipher 4 file for text that should be gone.

Rules: free pages, gaps in pages and old frames count; a page that does not authenticate is an error, since
what cannot be read cannot be called clean; nobody may write to the file meanwhile. Own code on purpose:
the library under test must not be what looks.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PAGE = 4096
_SALT, _IV, _MAC = 16, 16, 64
_RESERVE = _IV + _MAC  # closes each page (SQLCipher 4 design: AES-256-CBC, HMAC-SHA512)
_WAL_HEADER, _FRAME_HEADER = 32, 24  # SQLite file format, section 4


class Unreadable(Exception):
    """A page does not authenticate: another key, damage, or no SQLCipher 4 file."""


def residues(database: Path, key: bytes, needle: bytes) -> list[str]:
    """The places where `needle` stands: pages and frames by number, and files that hold it in clear.

    `key` is the raw 32-byte key, not a passphrase. Raises Unreadable. SQLite's FTS5 compresses terms by
    their common beginning, so the tail of a word must be searched for too.
    """
    wal = Path(f"{database}-wal")
    data, frames = database.read_bytes(), wal.read_bytes() if wal.exists() else b""
    cipher = _PageCipher(key, data[:_SALT])
    places = [
        place
        for place, number, page in (*_pages(data), *_frames(frames))
        if needle in cipher.open(number, page, place)
    ]
    raw = {database.name: data, wal.name: frames}
    return places + [f"{name} in clear" for name, content in raw.items() if needle in content]


def _pages(data: bytes) -> Iterator[tuple[str, int, bytes]]:
    for number, start in enumerate(range(0, len(data), PAGE), 1):
        yield f"page {number}", number, data[start : start + PAGE]


def _frames(wal: bytes) -> Iterator[tuple[str, int, bytes]]:
    size = _FRAME_HEADER + PAGE
    for index, start in enumerate(range(_WAL_HEADER, len(wal), size), 1):
        number = int.from_bytes(wal[start : start + 4], "big")
        yield f"frame {index} of page {number}", number, wal[start + _FRAME_HEADER : start + size]


class _PageCipher:
    """Opens pages of one file, whose salt is its first 16 bytes."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._key = key
        mac_salt = bytes(byte ^ 0x3A for byte in salt)
        self._mac_key = hashlib.pbkdf2_hmac("sha512", key, mac_salt, 2, 32)

    def open(self, number: int, page: bytes, place: str) -> bytes:
        """The plaintext of a page. Raises Unreadable with the place."""
        body = page[_SALT if number == 1 else 0 : -_RESERVE]
        iv, mac = page[-_RESERVE:-_MAC], page[-_MAC:]
        expected = hmac.digest(self._mac_key, body + iv + struct.pack("<I", number), "sha512")
        if not hmac.compare_digest(mac, expected):
            raise Unreadable(place)
        decryptor = Cipher(algorithms.AES(self._key), modes.CBC(iv)).decryptor()
        return decryptor.update(body) + decryptor.finalize()
