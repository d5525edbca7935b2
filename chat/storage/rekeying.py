"""Seals a profile's database under another key, which no older copy of its header opens.

A new header alone wraps the same key again. Here the database is copied page by page under a fresh key and
salt, next to the one in force, with a header of its own. One rename makes both valid; until then the old ones
are, and afterwards each start goes on from where a crash ended this.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from chat.platforms.files import open_private
from chat.storage.database import Database
from chat.storage.errors import DatabaseDamaged, StorageFull
from chat.storage.folder import (
    DATABASE,
    HEADER,
    REKEYED,
    REKEYED_HEADER,
    REKEYING,
    REPLACED,
    REPLACED_HEADER,
    RESERVE_ROOM,
    drop_salvage,
    move,
    schema_copy,
    sync_folder,
    system_failures,
    write_private,
)
from chat.storage.pages import PAGE_SIZE, SALT_SIZE, PageCipher
from protocol.primitives import Random

_BLOCK: Final = 1 << 20


def prepare(db: Database, key: bytes, header: bytes, random: Random) -> None:
    """Write the database under another key, and the header that wraps it: durable, and not in force.

    Raises StorageFull before anything is written where there is no room for a second one, DatabaseDamaged,
    any other StorageFailure. Nothing is left then.
    """
    place, (pages, read) = db.path.parent, db.stored_pages()
    with system_failures():
        _drop(place)
        if shutil.disk_usage(place).free < pages * PAGE_SIZE + RESERVE_ROOM:
            raise StorageFull
        try:
            first = random(SALT_SIZE)
            old, new = PageCipher(db.key, read(1)), PageCipher(key, first)
            with os.fdopen(
                open_private(place / REKEYING, os.O_CREAT | os.O_EXCL | os.O_WRONLY), "wb"
            ) as file:
                for number in range(1, pages + 1):
                    file.write(_sealed_again(db.path, old, new, number, read(number), first))
                file.flush()
                os.fsync(file.fileno())
            write_private(place / REKEYED_HEADER, header)
            sync_folder(place)
        except BaseException:
            _drop(place)
            raise


def _sealed_again(
    path: Path, old: PageCipher, new: PageCipher, number: int, page: bytes, salt: bytes
) -> bytes:
    if not any(page):  # SQLite has never used it
        return page
    plain = old.open(number, page)
    if plain is None:
        raise DatabaseDamaged(path)
    return new.seal(number, salt + plain[SALT_SIZE:] if number == 1 else plain)


def commit(place: Path) -> None:
    """Put the new header and database into force. Raises NotDurable (they are), any other OSError (not)."""
    try:
        move(place / REKEYING, place / REKEYED)
    except OSError:
        if not (place / REKEYED).exists():
            _drop(place)
        raise


def finish(place: Path) -> None:
    """Give what is in force its names, and overwrite what was, also after a crash. Raises OSError."""
    if (place / REKEYED).exists():
        if (place / REKEYED_HEADER).exists():
            _set_aside(place / HEADER, place / REPLACED_HEADER)
            (place / REKEYED_HEADER).replace(place / HEADER)
            sync_folder(place)
        schema_copy(place / DATABASE).unlink(missing_ok=True)
        (place / f"{DATABASE}-wal").unlink(missing_ok=True)  # everything of it is in both files
        _set_aside(place / DATABASE, place / REPLACED)
        sync_folder(place)
        (place / REKEYED).replace(place / DATABASE)
        sync_folder(place)
        drop_salvage(place)  # nothing opens a damaged one under the old key any more
    _drop(place)
    for left in (place / REPLACED_HEADER, place / REPLACED):
        _destroy(left)


def _set_aside(path: Path, aside: Path) -> None:
    with suppress(FileNotFoundError):
        path.replace(aside)


def _destroy(path: Path) -> None:
    """Overwrite and remove a file, as a wipe does with the header. Raises OSError."""
    if not path.exists():
        return
    with suppress(OSError), path.open("r+b", buffering=0) as file:  # a disk that fails keeps no profile shut
        for at in range(0, os.fstat(file.fileno()).st_size, _BLOCK):
            left = os.fstat(file.fileno()).st_size - at
            file.write(os.urandom(min(_BLOCK, left)))
        os.fsync(file.fileno())
    path.unlink()


def _drop(place: Path) -> None:
    """Remove what was not put into force."""
    for name in (REKEYING, f"{REKEYING}-wal", REKEYED_HEADER):
        (place / name).unlink(missing_ok=True)
