"""Decrypts every page and WAL frame of a SQLCipher 4 file and searches them.

Rules: free pages, gaps in pages and old frames count; a page that does not authenticate is an error, since
what cannot be read cannot be called clean; nobody may write to the file meanwhile. Own code on purpose:
the library under test must not be what looks. Not for a file that this process has open: closing a second
descriptor would drop SQLite's locks on it (POSIX).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PAGE: Final = 4096
_SALT, _IV, _MAC = 16, 16, 64
_RESERVE: Final = _IV + _MAC  # closes each page (SQLCipher 4 design: AES-256-CBC, HMAC-SHA512)
_TRIES: Final = 20
_WAL_HEADER, _FRAME_HEADER = 32, 24  # SQLite file format, section 4


class Unreadable(Exception):
    """A page does not authenticate: another key, damage, or no SQLCipher 4 file."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page or frame, decrypted; `place` says which."""

    place: str
    plain: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A database file and its write-ahead log (SQLite file format), as they are on the disk.

    `path` is the database's.
    """

    path: Path
    data: bytes
    wal: bytes

    @classmethod
    def read(cls, database: Path) -> Stored:
        """Both files; a log that is not there is empty. Raises OSError."""
        wal = Path(f"{database}-wal")
        return cls(database, database.read_bytes(), wal.read_bytes() if wal.exists() else b"")

    def sealed(self) -> Iterator[tuple[str, int, bytes]]:
        """(place, number of the page, the page as it is stored) of every page and every frame."""
        for number, start in enumerate(range(0, len(self.data), PAGE), 1):
            yield f"page {number}", number, self.data[start : start + PAGE]
        size = _FRAME_HEADER + PAGE
        for index, start in enumerate(range(_WAL_HEADER, len(self.wal), size), 1):
            number = int.from_bytes(self.wal[start : start + 4], "big")
            yield f"frame {index} of page {number}", number, self.wal[start + _FRAME_HEADER : start + size]

    @property
    def frames(self) -> int:
        """How many frames the log has."""
        return max(0, len(self.wal) - _WAL_HEADER) // (_FRAME_HEADER + PAGE)

    def pages(self, key: bytes) -> Iterator[Page]:
        """Every page and frame, decrypted by the raw 32-byte key. Raises Unreadable."""
        cipher = _PageCipher(key, self.data[:_SALT])
        for place, number, page in self.sealed():
            yield Page(place, cipher.open(number, page, place))

    @classmethod
    def read_whole(cls, database: Path, key: bytes) -> tuple[Stored, list[Page]]:
        """Both files while an engine has them open, and all their pages. Raises Unreadable, OSError.

        A page that is half written does not authenticate: it is whole a moment later.
        """
        for _ in range(_TRIES - 1):
            stored = cls.read(database)
            with suppress(Unreadable):
                return stored, list(stored.pages(key))
        stored = cls.read(database)
        return stored, list(stored.pages(key))

    def opened_by(self, key: bytes) -> int:
        """How many pages and frames a key opens: all, or none where it is another."""
        cipher = _PageCipher(key, self.data[:_SALT])
        return sum(cipher.fits(number, page) for _, number, page in self.sealed())


class _PageCipher:
    """Opens pages of one file, whose salt is its first 16 bytes."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._key = key
        mac_salt = bytes(byte ^ 0x3A for byte in salt)
        self._mac_key = hashlib.pbkdf2_hmac("sha512", key, mac_salt, 2, 32)

    def fits(self, number: int, page: bytes) -> bool:
        """Whether the page authenticates under the key."""
        body, mac = page[_SALT if number == 1 else 0 : -_MAC], page[-_MAC:]
        expected = hmac.digest(self._mac_key, body + struct.pack("<I", number), "sha512")
        return hmac.compare_digest(mac, expected)

    def open(self, number: int, page: bytes, place: str) -> bytes:
        """The plaintext of a page. Raises Unreadable with the place."""
        if not self.fits(number, page):
            raise Unreadable(place)
        body, iv = page[_SALT if number == 1 else 0 : -_RESERVE], page[-_RESERVE:-_MAC]
        decryptor = Cipher(algorithms.AES(self._key), modes.CBC(iv)).decryptor()
        return decryptor.update(body) + decryptor.finalize()
