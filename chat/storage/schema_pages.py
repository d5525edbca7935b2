"""Keeps copies of the pages of a database's schema, and puts them back where they are damaged.

Without these few pages no other one can be read: they say where each table begins. They change only with a
migration. The copies are sealed as the pages of the file are, under its key, salt and page numbers. They hold
the statements of schema/ and page numbers, and nothing that a user writes or deletes.

The first page also holds the file's header. In its copy the size and the list of free pages are empty: SQLite
then goes by the size of the file, and free pages stay unused until the rows are saved into a new file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from chat.platforms import files
from chat.storage.errors import DatabaseDamaged
from chat.storage.folder import schema_copy, sync_folder, write_private
from chat.storage.pages import PAGE_SIZE, SALT_SIZE, PageCipher
from chat.storage.unused_space import FILE_HEADER, without_unused

_NUMBER_SIZE: Final = 8
_RECORD_SIZE: Final = _NUMBER_SIZE + PAGE_SIZE
_INTERIOR: Final = 0x05
_CHANGING: Final = (slice(24, 40), slice(92, 100))
"""In the file's header: count of changes, size, free pages, and who wrote last (SQLite file format, 1.3)."""

Read = Callable[[int], bytes]
"""Gives a page of the file by its number."""


def keep(database: Path, key: bytes, read: Read) -> None:
    """Copy the pages of the schema, unless the copies are as they are. The log must be empty.

    Raises OSError, and DatabaseDamaged where one does not authenticate: the copies then stay.
    """
    cipher = PageCipher(key, read(1))
    found, due = dict[int, bytes](), [1]
    while due:
        number = due.pop()
        plain = cipher.open(number, read(number))
        if plain is None:
            raise DatabaseDamaged(database)
        found[number] = _lasting(number, plain)
        due += _below(plain, _header(number))
    if {number: cipher.open(number, page) for number, page in _copies(database).items()} == found:
        return
    forget(database)
    records = (_number(number) + cipher.seal(number, plain) for number, plain in found.items())
    # Copies that a crash tore do not authenticate, and the next start makes them again.
    write_private(schema_copy(database), b"".join(records))
    sync_folder(database.parent)


def forget(database: Path) -> None:
    """Remove the copies, before the schema changes. Raises OSError."""
    schema_copy(database).unlink(missing_ok=True)


def put_back(database: Path, key: bytes) -> bool:
    """Replace the damaged pages of the schema by their copies; whether there were any.

    Only where each page that does authenticate is as its copy, so that copies of another database or of
    another time change nothing. SQLite must not have the file open. Raises OSError.
    """
    copies = _copies(database)
    if 1 not in copies or not database.exists():
        return False
    cipher = PageCipher(key, copies[1])
    with database.open("rb") as file:
        stored = {number: files.read_at(file.fileno(), PAGE_SIZE, _place(number)) for number in copies}
    wanted = _wanted(cipher, copies, stored)
    if not wanted:
        return False
    with database.open("r+b") as file:
        for number, page in wanted.items():
            file.seek(_place(number))
            file.write(page)
        file.flush()
        os.fsync(file.fileno())
    return True


def _wanted(cipher: PageCipher, copies: Mapping[int, bytes], stored: Mapping[int, bytes]) -> dict[int, bytes]:
    """The pages to write: those that do not authenticate, and a first page with another salt."""
    wanted, sound = dict[int, bytes](), 0
    for number, copy in copies.items():
        page = copies[1][:SALT_SIZE] + stored[1][SALT_SIZE:] if number == 1 else stored[number]
        lasting = cipher.open(number, copy)
        if len(page) < PAGE_SIZE or lasting is None:
            return {}
        plain = cipher.open(number, page)
        if plain is None:
            wanted[number] = copy
        elif _lasting(number, plain) != lasting:
            return {}
        else:
            sound += 1
            if page != stored[number]:
                wanted[number] = page
    return wanted if sound else {}


def _copies(database: Path) -> dict[int, bytes]:
    """The copies by page number, as far as they can be read."""
    try:
        content = schema_copy(database).read_bytes()
    except OSError:
        return {}
    starts = range(0, len(content) - _RECORD_SIZE + 1, _RECORD_SIZE)
    records = [content[start : start + _RECORD_SIZE] for start in starts]
    return {int.from_bytes(one[:_NUMBER_SIZE], "big"): one[_NUMBER_SIZE:] for one in records}


def _lasting(number: int, plain: bytes) -> bytes:
    """What of a page changes with the schema alone."""
    lasting = bytearray(without_unused(plain, _header(number)) or plain)
    if number == 1:
        for part in _CHANGING:
            lasting[part] = bytes(part.stop - part.start)
    return bytes(lasting)


def _below(plain: bytes, header: int) -> list[int]:
    """The pages below an interior page of a table (SQLite file format, section 1.6)."""
    if plain[header] != _INTERIOR:
        return []
    cells = int.from_bytes(plain[header + 3 : header + 5], "big")
    pointers = (header + 12 + 2 * cell for cell in range(cells))
    places = [int.from_bytes(plain[pointer : pointer + 2], "big") for pointer in pointers]
    return [int.from_bytes(plain[place : place + 4], "big") for place in (header + 8, *places)]


def _header(number: int) -> int:
    """Where the header of a page begins."""
    return FILE_HEADER if number == 1 else 0


def _number(number: int) -> bytes:
    return number.to_bytes(_NUMBER_SIZE, "big")


def _place(number: int) -> int:
    return (number - 1) * PAGE_SIZE
