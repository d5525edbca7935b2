"""Authenticates, opens and seals pages of a SQLCipher 4 file.

SQLCipher does not tell a wrong key from damage, and gives no access to a page's unused space. The checks are
never used on a file that this process has open: POSIX drops SQLite's locks with any closed descriptor.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final, Literal

from chat.storage import errors
from protocol.primitives import equal, system_random

PAGE_SIZE: Final = 4_096
SALT_SIZE: Final = 16
_MAC_SIZE: Final = 64
_VECTOR_SIZE: Final = 16
_RESERVED: Final = _VECTOR_SIZE + _MAC_SIZE
_LOG_HEAD_SIZE: Final = 32
_FRAME_HEAD_SIZE: Final = 24
_CLEAR: Final = b"SQLite format 3\x00"


def check_present(path: Path) -> None:
    """Check without a key. Raises DatabaseMissing, DatabaseEmpty, NotEncrypted or OSError."""
    if not path.is_file():
        raise errors.DatabaseMissing(path)
    with path.open("rb") as file:
        start = file.read(len(_CLEAR))
    if not start:
        raise errors.DatabaseEmpty(path)
    if start == _CLEAR:
        raise errors.NotEncrypted(path)


def check_key(path: Path, key: bytes) -> None:
    """DatabaseForeign if no page authenticates with `key`, DatabaseDamaged for less than a page, OSError."""
    with path.open("rb") as file:
        page = file.read(PAGE_SIZE)
        if len(page) < PAGE_SIZE:
            raise errors.DatabaseDamaged(path)
        number, authentication = 1, _Authentication(key, page)
        while len(page) == PAGE_SIZE:
            if authentication.holds(number, page):
                return
            number, page = number + 1, file.read(PAGE_SIZE)
    raise errors.DatabaseForeign(path)


def check_log(path: Path, key: bytes) -> None:
    """Raises LogForeign if SQLite would use a write-ahead log that belongs to another database, and OSError.

    SQLite accepts any log with valid checksums and would copy its pages over good ones. It ignores a first
    frame that a crash has torn, so that is no error.
    """
    log = path.with_name(f"{path.name}-wal")
    if not log.exists():
        return
    with log.open("rb") as file:
        head, frame = file.read(_LOG_HEAD_SIZE), file.read(_FRAME_HEAD_SIZE + PAGE_SIZE)
    if not _frame_counts(head, frame):
        return
    with path.open("rb") as file:
        authentication = _Authentication(key, file.read(PAGE_SIZE))
    number = int.from_bytes(frame[:4], "big")
    if not authentication.holds(number, frame[_FRAME_HEAD_SIZE:]):
        raise errors.LogForeign(log)


class PageCipher:
    """Opens and seals pages of one file: AES-256 in CBC mode, and HMAC-SHA512 over the ciphertext."""

    def __init__(self, key: bytes, first: bytes) -> None:
        """`first`: the file's first page, which begins with the salt."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        self._aes, self._authentication = algorithms.AES256(key), _Authentication(key, first)
        self._cipher, self._cbc = Cipher, modes.CBC

    def is_authentic(self, number: int, page: bytes) -> bool:
        return self._authentication.holds(number, page)

    def open(self, number: int, page: bytes) -> bytes | None:
        """The plaintext without the reserved bytes, None if it does not authenticate. The salt stays."""
        if not self._authentication.holds(number, page):
            return None
        begin = SALT_SIZE if number == 1 else 0
        decryptor = self._cipher(self._aes, self._cbc(page[-_RESERVED:-_MAC_SIZE])).decryptor()
        return page[:begin] + decryptor.update(page[begin:-_RESERVED]) + decryptor.finalize()

    def seal(self, number: int, plain: bytes) -> bytes:
        """The stored page of a plaintext, with a fresh initialization vector."""
        begin, vector = SALT_SIZE if number == 1 else 0, system_random(_VECTOR_SIZE)
        encryptor = self._cipher(self._aes, self._cbc(vector)).encryptor()
        covered = encryptor.update(plain[begin:]) + encryptor.finalize() + vector
        return plain[:begin] + covered + self._authentication.code(number, covered)


class _Authentication:
    """HMAC-SHA512 over ciphertext, IV and page number. Page 1 begins with the salt, which is not covered."""

    def __init__(self, key: bytes, first: bytes) -> None:
        """SQLCipher 4: the key is PBKDF2-HMAC-SHA512, two rounds, over the file's salt xor 0x3a."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.hmac import HMAC
        from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

        salt = bytes(byte ^ 0x3A for byte in first[:SALT_SIZE])
        self._keyed = HMAC(PBKDF2HMAC(hashes.SHA512(), 32, salt, 2).derive(key), hashes.SHA512())

    def holds(self, number: int, page: bytes) -> bool:
        return equal(self.code(number, page[SALT_SIZE if number == 1 else 0 : -_MAC_SIZE]), page[-_MAC_SIZE:])

    def code(self, number: int, covered: bytes) -> bytes:
        code = self._keyed.copy()
        code.update(covered + struct.pack("<I", number))
        return code.finalize()


def _frame_counts(head: bytes, frame: bytes) -> bool:
    """Whether SQLite would use the first frame of a log (SQLite file format, section 4.2)."""
    if len(frame) < _FRAME_HEAD_SIZE + PAGE_SIZE or head[16:24] != frame[8:16]:
        return False
    order: Literal["big", "little"] = "big" if head[3] & 1 else "little"
    after_head = _checksum(head[:24], (0, 0), order)
    after_frame = _checksum(frame[:8] + frame[_FRAME_HEAD_SIZE:], after_head, order)
    kept = (int.from_bytes(frame[16:20], "big"), int.from_bytes(frame[20:24], "big"))
    return after_frame == kept


def _checksum(data: bytes, start: tuple[int, int], order: Literal["big", "little"]) -> tuple[int, int]:
    first, second = start
    for place in range(0, len(data), 8):
        first = (first + int.from_bytes(data[place : place + 4], order) + second) & 0xFFFFFFFF
        second = (second + int.from_bytes(data[place + 4 : place + 8], order) + first) & 0xFFFFFFFF
    return first, second
