"""Erases what deleted rows leave in the unused space of a database's pages (attack 75).

With `secure_delete` SQLite overwrites what it frees. But where it moves rows between pages, copies of them
stay in the unused space between a page's row pointers and its rows (SQLite file format, section 1.6). SQLite
has no statement that erases them, except VACUUM, which rewrites the whole file.

So this writes pages itself, in the file that SQLite has open, while the log is empty and SQLite's cache too.
Only unused space changes: SQLite reads the same rows from a page before and after. A crash can tear a page,
so all pages of a step are first stored in a file next to the database, from which `mend` restores them (a
double-write buffer).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from chat.platforms import files
from chat.storage.errors import DatabaseDamaged
from chat.storage.folder import sync_folder
from chat.storage.pages import PAGE_SIZE, PageCipher

_NUMBER_SIZE: Final = 8
_RECORD_SIZE: Final = _NUMBER_SIZE + PAGE_SIZE
_MARK_SIZE: Final = 16
_MARK: Final = slice(PAGE_SIZE - _MARK_SIZE, PAGE_SIZE)
"""The end of a page's authenticator: it is another one after each write of the page."""

_STEP_PAGES: Final = 1_024
"""Pages that a step looks at, unless it has to open too many of them: 4 MiB."""
_STEP_OPENED: Final = 128
"""Pages that a step opens, and at worst writes twice: a few milliseconds, and three syncs."""

_LOCK_PAGE: Final = 0x40000000 // PAGE_SIZE + 1  # SQLite never uses it
FILE_HEADER: Final = 100
_LEAVES: Final = frozenset({0x0A, 0x0D})
_INTERIORS: Final = frozenset({0x02, 0x05})


class PageFile:
    """Direct access to the pages of a database that SQLite has open in this process.

    Closing a descriptor of the file drops SQLite's locks, so `close` must follow SQLite's own close.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        """Raises OSError."""
        self._path, self._file = path, files.open_private(path, os.O_RDWR)
        self._cipher = PageCipher(key, files.read_at(self._file, PAGE_SIZE, 0))
        self._clean = bytearray()
        """The mark of each page that was found clean, in order."""

    @property
    def size(self) -> int:
        """The size of the file in pages."""
        return os.fstat(self._file).st_size // PAGE_SIZE

    def erase(self, first: int) -> tuple[int, bool]:
        """Erase the unused space of some pages from a number on.

        Returns the first number after them, and whether pages were written. The log must be empty, and the
        cache must be emptied before SQLite reads again. Raises OSError, and DatabaseDamaged where pages do
        not authenticate, after the others of the step are erased.
        """
        data = files.read_at(self._file, _STEP_PAGES * PAGE_SIZE, (first - 1) * PAGE_SIZE)
        end = first + len(data) // PAGE_SIZE
        self._clean.extend(bytes(max(0, (end - 1) * _MARK_SIZE - len(self._clean))))
        opened, damaged, changed = 0, False, dict[int, bytes]()
        for number in range(first, end):
            at = (number - first) * PAGE_SIZE
            page, mark = data[at : at + PAGE_SIZE], slice((number - 1) * _MARK_SIZE, number * _MARK_SIZE)
            if page[_MARK] == self._clean[mark] or number == _LOCK_PAGE:
                continue
            if opened == _STEP_OPENED:
                end = number
                break
            opened += 1
            plain = self._cipher.open(number, page)
            damaged = damaged or plain is None
            if plain is None:
                continue
            erased = without_unused(plain, FILE_HEADER if number == 1 else 0)
            if erased is not None:
                page = changed[number] = self._cipher.seal(number, erased)
            self._clean[mark] = page[_MARK]
        if changed:
            self._write(changed)
        if end > self.size:
            remove_buffer(self._path)
        if damaged:
            raise DatabaseDamaged(self._path)
        return end, bool(changed)

    def _write(self, changed: dict[int, bytes]) -> None:
        is_new = not buffer_of(self._path).exists()
        buffer = files.open_private(buffer_of(self._path), os.O_RDWR | os.O_CREAT)
        try:
            records = (number.to_bytes(_NUMBER_SIZE, "big") + page for number, page in changed.items())
            files.write_at(buffer, (b"".join((len(changed).to_bytes(_NUMBER_SIZE, "big"), *records)),), 0)
            os.fsync(buffer)
            if is_new:
                sync_folder(self._path.parent)
            for number, page in changed.items():
                files.write_at(self._file, (page,), (number - 1) * PAGE_SIZE)
            os.fsync(self._file)
            # A buffer that outlives its step could bring back a page as it was before.
            files.write_at(buffer, (bytes(_NUMBER_SIZE),), 0)
            os.fsync(buffer)
        finally:
            os.close(buffer)

    def read(self, number: int) -> bytes:
        """A page as it is stored. Raises OSError."""
        return files.read_at(self._file, PAGE_SIZE, (number - 1) * PAGE_SIZE)

    def close(self) -> None:
        """Let go of the file, after SQLite."""
        os.close(self._file)


def remove_buffer(database: Path) -> None:
    """Remove the buffer of steps that are done. Raises OSError."""
    buffer_of(database).unlink(missing_ok=True)


def buffer_of(database: Path) -> Path:
    """The file with the pages of a step that is not done."""
    return database.with_name(f"{database.name}-pages")


def mend(database: Path, key: bytes) -> None:
    """Restore pages that a crash tore in a step, and remove the buffer. Before SQLite opens the file.

    `key` must be the database's: with another one nothing is restored. Only a page that does not authenticate
    is written, and only with one that does. Raises OSError.
    """
    buffer = buffer_of(database)
    try:
        content = buffer.read_bytes()
    except FileNotFoundError:
        return
    held = int.from_bytes(content[:_NUMBER_SIZE], "big")
    starts = range(_NUMBER_SIZE, min(len(content), _NUMBER_SIZE + held * _RECORD_SIZE), _RECORD_SIZE)
    records = [content[start : start + _RECORD_SIZE] for start in starts]
    with database.open("r+b", buffering=0) as file:
        cipher = PageCipher(key, files.read_at(file.fileno(), PAGE_SIZE, 0))
        for record in records:
            number, page = int.from_bytes(record[:_NUMBER_SIZE], "big"), record[_NUMBER_SIZE:]
            torn = files.read_at(file.fileno(), PAGE_SIZE, (number - 1) * PAGE_SIZE) if number else b""
            if len(torn) < PAGE_SIZE or len(page) < PAGE_SIZE or cipher.is_authentic(number, torn):
                continue
            if cipher.is_authentic(number, page):
                files.write_at(file.fileno(), (page,), (number - 1) * PAGE_SIZE)
        os.fsync(file.fileno())
    buffer.unlink()


def without_unused(page: bytes, header: int = 0) -> bytes | None:
    """A page whose unused space is zero; None if it is, or if the page holds no rows.

    `page`: its plaintext without the reserved bytes. `header`: where the page's header begins. SQLite file
    format, section 1.6.
    """
    kind = page[header]
    if kind not in _LEAVES and kind not in _INTERIORS:
        return None  # an overflow or free page: SQLite overwrites it whole
    rows = int.from_bytes(page[header + 3 : header + 5], "big")
    begin = header + (8 if kind in _LEAVES else 12) + 2 * rows
    end = int.from_bytes(page[header + 5 : header + 7], "big") or 65_536
    if not begin <= end <= len(page):
        return None
    unused = [(begin, end), *_free_blocks(page, header, end)]
    if not any(any(page[start:stop]) for start, stop in unused):
        return None
    erased = bytearray(page)
    for start, stop in unused:
        erased[start:stop] = bytes(stop - start)
    return bytes(erased)


def _free_blocks(page: bytes, header: int, least: int) -> list[tuple[int, int]]:
    """The free blocks between rows, each without the next one's place and its size, with which it begins."""
    found = list[tuple[int, int]]()
    place = int.from_bytes(page[header + 1 : header + 3], "big")
    while least <= place <= len(page) - 4:
        size = int.from_bytes(page[place + 2 : place + 4], "big")
        if size < 4 or place + size > len(page):
            break
        found.append((place + 4, place + size))
        least, place = place + size, int.from_bytes(page[place : place + 2], "big")
    return found
