"""A mark outside of the profile, by which a profile that was put back from an older copy is recognised.

The database and a small file in another folder hold the same mark. It is raised when the profile is opened
and closed, and now and then while it changes, so the database of an older copy has a lower one than the file.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Final

from msgspec import Struct

from chat.storage import folder as stored_folder
from chat.storage.database import Database
from protocol.primitives import Random

_TOKEN: Final = 16
_CONTEXT: Final = b"parlour: the mark outside of a profile\0"
_SALT: Final = 16
"""Bytes of the salt with which a database file begins. Of all profiles only copies share it."""


class Mark(Struct, frozen=True):
    """A number, and 16 random bytes that tell apart two copies that both raised it to that number."""

    number: int
    token: bytes


LOST: Final = Mark(0, bytes(_TOKEN))
"""Stands in for a mark that was on a damaged page, and says nothing of the age of the rest."""


class Outside:
    """The file outside of one profile: number (8 bytes), token (16), and a check (32) by the database's key.

    Its name is a hash of the database's salt, so neither name nor content says whose profile it is.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path, self._key = path, key

    def read(self) -> Mark | None:
        """The mark; None where there is none, or none that this profile has written."""
        try:
            data = self._path.read_bytes()
        except OSError:
            return None
        number, token, check = data[:8], data[8 : 8 + _TOKEN], data[8 + _TOKEN :]
        if not hmac.compare_digest(check, self._check(number + token)):
            return None
        return Mark(int.from_bytes(number, "big"), token)

    def write(self, mark: Mark) -> None:
        """Replace the mark durably. Raises OSError."""
        stored_folder.make_private_folder(self._path.parent)
        data = mark.number.to_bytes(8, "big") + mark.token
        stored_folder.replace_private(self._path, data + self._check(data))

    def _check(self, data: bytes) -> bytes:
        # SECURITY: a mark that another program could invent would raise a false alarm.
        return hmac.digest(self._key, _CONTEXT + data, hashlib.sha256)


def place(folder: Path, database: Path) -> Path | None:
    """The file outside of the profile with this database; None where that cannot be read."""
    try:
        with database.open("rb") as file:
            salt = file.read(_SALT)
    except OSError:
        return None
    return folder / hashlib.sha256(salt).hexdigest()[:32]


def read(db: Database) -> Mark:
    """The mark in the database, of number 0 before the first one."""
    found = db.row("SELECT number, token FROM marks")
    return Mark(*found) if found is not None else Mark(0, b"")


def lost(db: Database) -> None:
    """The mark could not be read, or there was none."""
    db.run("INSERT OR IGNORE INTO marks (id, number, token) VALUES (1, ?, ?)", LOST.number, LOST.token)


def is_older(db: Database, outside: Mark | None) -> bool:
    """Whether another copy of this profile has written the mark outside after this one did.

    Of two marks with one number neither is older: then a second copy went on from the same place.
    """
    held = read(db)
    if outside is None or held in (outside, LOST):
        return False
    return outside.number >= held.number


def raised(db: Database, outside: Mark | None, random: Random) -> Mark:
    """Store a mark above that of the database and the one outside. In a transaction."""
    number = max(read(db).number, outside.number if outside is not None else 0) + 1
    mark = Mark(number, random(_TOKEN))
    db.run("INSERT OR REPLACE INTO marks (id, number, token) VALUES (1, ?, ?)", mark.number, mark.token)
    return mark
