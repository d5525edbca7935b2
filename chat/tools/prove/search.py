"""Searches files, the memory of a process, and the decrypted pages of a database for a text."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import stat
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from msgspec import Struct

SQLITE: Final = b"SQLite format 3\x00"  # how a database begins that is not encrypted


class Looked(Struct, frozen=True):
    """What a search read, and its matches: `file: which text, in which form`."""

    files: int
    bytes: int
    found: tuple[str, ...]


def forms(text: str) -> Mapping[str, bytes]:
    """The forms in which a text might be stored in clear, by name."""
    plain = text.encode()
    return {
        "UTF-8": plain,
        "UTF-16, little endian": text.encode("utf-16-le"),
        "UTF-16, big endian": text.encode("utf-16-be"),
        "hexadecimal": plain.hex().encode(),
        "hexadecimal capitals": plain.hex().upper().encode(),
        "base32": base64.b32encode(plain)[: len(plain) * 8 // 5],
        **{f"base64, {shift} further": _base64(plain, shift) for shift in range(3)},
    }


def _base64(plain: bytes, shift: int) -> bytes:
    """The base64 characters that do not depend on the surroundings, at this offset in a group."""
    whole = base64.b64encode(bytes(shift) + plain)
    return whole[4 if shift else 0 : (len(plain) + shift) // 3 * 4]


def found_in(data: bytes, texts: Mapping[str, str]) -> Iterator[str]:
    """`which text, in which form` of every match in the data."""
    for name, text in texts.items():
        for form, needle in forms(text).items():
            if needle in data:
                yield f"{name}, as {form}"


def look(folder: Path, texts: Mapping[str, str]) -> Looked:
    """Search every file in a folder for texts, and for a database that is not encrypted."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    size, found = 0, list[str]()
    for path in files:
        place = path.relative_to(folder).as_posix()
        try:
            data = path.read_bytes()
        except OSError as error:
            found.append(f"{place} cannot be read ({error.strerror})")
            continue
        size += len(data)
        found += [f"{place}: {what}" for what in found_in(data, texts)]
        if SQLITE in data:
            found.append(f"{place}: a database that is not encrypted")
    return Looked(len(files), size, tuple(found))


_STEP: Final = 1 << 22
NEEDLE_MIN: Final = 16
_WORD: Final = 8
_FEW: Final = 16  # needles that are looked for one by one


class Searched(Struct, frozen=True):
    """The bytes that one search read, and the needles it found."""

    size: int
    held: frozenset[bytes]


def search_memory(pid: int, needles: Iterable[bytes]) -> Searched:
    """Which needles, each random and of 16 bytes or more, are in memory that the process can write.

    A freed buffer counts, as it would in a core dump. Raises OSError, ValueError for a short needle.
    """
    wanted = set(needles)
    if any(len(needle) < NEEDLE_MIN for needle in wanted):
        raise ValueError("a needle under 16 bytes may be anywhere by chance")
    held, read, words = set[bytes](), 0, _words(wanted)
    for content in contents(pid):
        likely = wanted
        if len(wanted) > _FEW:
            # A word in the first 15 bytes of each needle is aligned, so one pass finds any number.
            aligned = set(memoryview(content)[: len(content) // _WORD * _WORD].cast("Q"))
            likely = set().union(*(words[word] for word in aligned & words.keys()))
        held |= {needle for needle in likely if needle in content}
        read += len(content)
    return Searched(read, frozenset(held))


def _words(needles: Iterable[bytes]) -> dict[int, set[bytes]]:
    """Which needles have this 8-byte word within their first 15 bytes."""
    found: dict[int, set[bytes]] = {}
    for needle in needles:
        for at in range(_WORD):
            word = int.from_bytes(needle[at : at + _WORD], sys.byteorder)
            found.setdefault(word, set()).add(needle)
    return found


def contents(pid: int) -> Iterator[bytes]:
    """Each region that the process can write, whole. Raises OSError."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end in _regions(pid, "rw"):
            yield b"".join(_read(memory, start, end))


def _read(memory: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """Its content in steps; it may have been unmapped meanwhile, or be device memory."""
    while start < end:
        try:
            memory.seek(start)
            block = memory.read(min(_STEP, end - start))
        except OSError:
            return
        if not block:
            return
        yield block
        start += len(block)


def _regions(pid: int, access: str = "r") -> Iterator[tuple[int, int]]:
    """(start, end) of every mapping with at least this access, without the kernel's own."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, mode = line.split()[:2]
        if mode.startswith(access) and "[vvar" not in line and "[vsyscall" not in line:
            start, end = span.split("-")
            yield int(start, 16), int(end, 16)


PAGE: Final = 4096
_SALT, _IV, _MAC = 16, 16, 64
_RESERVE: Final = _IV + _MAC  # closes each page (SQLCipher 4 design: AES-256-CBC, HMAC-SHA512)
_TRIES: Final = 20
_WAL_HEADER, _FRAME_HEADER = 32, 24  # SQLite file format, section 4


class Unreadable(Exception):
    """A page does not authenticate: another key, damage, or no SQLCipher 4 file."""


class Page(Struct, frozen=True):
    """One decrypted page or frame; `place` names it."""

    place: str
    plain: bytes


class Stored(Struct, frozen=True):
    """A database file and its write-ahead log (SQLite file format), as they are on the disk."""

    # This does not use the database library, because the library under test must not be what looks.
    # Danger: never for a file that this process has open. Closing a second descriptor drops SQLite's locks.

    path: Path
    data: bytes
    wal: bytes

    @classmethod
    def read(cls, database: Path) -> Stored:
        """Both files; a missing log is empty. Raises OSError."""
        wal = Path(f"{database}-wal")
        return cls(database, database.read_bytes(), wal.read_bytes() if wal.exists() else b"")

    def sealed(self) -> Iterator[tuple[str, int, bytes]]:
        """(place, page number, stored page) of every page and frame."""
        for number, start in enumerate(range(0, len(self.data), PAGE), 1):
            yield f"page {number}", number, self.data[start : start + PAGE]
        size = _FRAME_HEADER + PAGE
        for index, start in enumerate(range(_WAL_HEADER, len(self.wal), size), 1):
            number = int.from_bytes(self.wal[start : start + 4], "big")
            yield f"frame {index} of page {number}", number, self.wal[start + _FRAME_HEADER : start + size]

    @property
    def frames(self) -> int:
        return max(0, len(self.wal) - _WAL_HEADER) // (_FRAME_HEADER + PAGE)

    def pages(self, key: bytes) -> Iterator[Page]:
        """Every page and frame, decrypted with the raw 32-byte key. Raises Unreadable."""
        cipher = _PageCipher(key, self.data[:_SALT])
        for place, number, page in self.sealed():
            yield Page(place, cipher.open(number, page, place))

    @classmethod
    def read_whole(cls, database: Path, key: bytes) -> tuple[Stored, list[Page]]:
        """Both files while an engine has them open, and all their pages. Raises Unreadable, OSError."""
        for _ in range(_TRIES - 1):  # a half-written page does not authenticate, but is whole a moment later
            stored = cls.read(database)
            with suppress(Unreadable):
                return stored, list(stored.pages(key))
        stored = cls.read(database)
        return stored, list(stored.pages(key))

    def opened_by(self, key: bytes) -> int:
        """How many pages and frames a key opens: all or none."""
        cipher = _PageCipher(key, self.data[:_SALT])
        return sum(cipher.fits(number, page) for _, number, page in self.sealed())


class _PageCipher:
    """Opens pages of one file, whose salt is its first 16 bytes."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._key = key
        mac_salt = bytes(byte ^ 0x3A for byte in salt)
        self._mac_key = hashlib.pbkdf2_hmac("sha512", key, mac_salt, 2, 32)

    def fits(self, number: int, page: bytes) -> bool:
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


_KINDS: Final = (
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISCHR, "terminal or device"),
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "folder"),
    (stat.S_ISBLK, "disk"),
)
_KEPT: Final = {"file", "disk"}
_LISTENING: Final = "0A"  # TCP_LISTEN of the kernel
_ADDRESS: Final = re.compile(rb"parlour-relay:[0-9a-z.:\[\]-]{1,100}:[0-9]{1,5}#[a-z2-7]{52}(?![a-z2-7])")
"""What a relay's address looks like in memory."""


class OpenFile(Struct, frozen=True):
    """One open descriptor: its number, target and kind."""

    number: int
    target: str
    kind: str
    writable: bool

    @property
    def keeps(self) -> bool:
        """Whether writing to it would persist."""
        return self.writable and self.kind in _KEPT


class Written(Struct, frozen=True):
    """Bytes so far: `calls` by write calls without sockets, `disk` those that reached a disk."""

    calls: int
    disk: int


def open_files(pid: int) -> list[OpenFile]:
    """Every open descriptor of the process. Raises OSError."""
    place, found = Path(f"/proc/{pid}"), list[OpenFile]()
    for link in sorted((place / "fd").iterdir(), key=lambda each: int(each.name)):
        with suppress(FileNotFoundError):  # it was closed meanwhile
            mode = link.stat().st_mode
            kind = next((name for test, name in _KINDS if test(mode)), "the kernel's own")
            told = (place / "fdinfo" / link.name).read_text()
            flags = int(re.findall(r"^flags:\s*([0-7]+)", told, re.MULTILINE)[0], 8)
            writable = flags & os.O_ACCMODE != os.O_RDONLY
            found.append(OpenFile(int(link.name), str(link.readlink()), kind, writable))
    return found


def written(pid: int) -> Written:
    """What it has written so far. Raises OSError."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    told = {name: int(value) for name, value in (line.split(": ") for line in lines)}
    return Written(told["wchar"], told["write_bytes"])


def listening_ports(pid: int) -> set[int]:
    """The TCP ports on which it listens. Raises OSError."""
    sockets = {one.target for one in open_files(pid) if one.kind == "socket"}
    ports = set[int]()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING and f"socket:[{fields[9]}]" in sockets:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def shared_files(pid: int) -> list[str]:
    """Files that it could write through memory. Raises OSError."""
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        _, mode, _, _, inode, *path = line.split(maxsplit=5)
        if "w" in mode and "s" in mode and inode != "0" and not path[0].startswith("/dev/zero"):
            found.append(path[0])
    return found


def file_size_limit(pid: int) -> int | None:
    """The largest file it may write, None without a limit. Raises OSError."""
    told = Path(f"/proc/{pid}/limits").read_text()
    found = re.findall(r"^Max file size\s+\d+\s+(\d+)", told, re.MULTILINE)
    return int(found[0]) if found else None


def swapped(pid: int) -> int:
    """Bytes of its memory that are swapped out. Raises OSError."""
    found = re.findall(r"^VmSwap:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[0]) * 1024 if found else 0


def addresses_in(content: bytes) -> list[str]:
    return [found.decode("ascii") for found in _ADDRESS.findall(content)]
