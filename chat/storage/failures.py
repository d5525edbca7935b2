"""What SQLCipher reports, as errors of this project.

Rules: results are told by code, not by text; a library's text goes no further, since it may quote a
statement or what was searched for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlcipher3 import dbapi2

from chat.storage.errors import (
    DatabaseDamaged,
    StorageBroken,
    StorageBusy,
    StorageFailure,
    StorageFull,
    StorageGivenUp,
    StorageMisuse,
    StorageReadOnly,
    TooLittleMemory,
)

# Text of a damaged page may be no UTF-8, in a row or in the library's own message.
LIBRARY_ERRORS: Final = (dbapi2.Error, UnicodeDecodeError)

_DAMAGED: Final = frozenset({dbapi2.SQLITE_CORRUPT, dbapi2.SQLITE_NOTADB, dbapi2.SQLITE_FORMAT})

_FAILURES: Final[dict[int, type[StorageFailure]]] = {
    dbapi2.SQLITE_FULL: StorageFull,
    dbapi2.SQLITE_IOERR: StorageBroken,
    dbapi2.SQLITE_CANTOPEN: StorageBroken,
    dbapi2.SQLITE_NOLFS: StorageBroken,
    dbapi2.SQLITE_READONLY: StorageReadOnly,
    dbapi2.SQLITE_PERM: StorageReadOnly,
    dbapi2.SQLITE_BUSY: StorageBusy,
    dbapi2.SQLITE_LOCKED: StorageBusy,
    dbapi2.SQLITE_PROTOCOL: StorageBusy,
    dbapi2.SQLITE_NOMEM: TooLittleMemory,
    dbapi2.SQLITE_INTERRUPT: StorageGivenUp,
}


def from_sqlite(error: Exception, path: Path) -> Exception:
    """DatabaseDamaged, a StorageFailure, or StorageMisuse where the statement itself was wrong."""
    if isinstance(error, UnicodeDecodeError):
        return DatabaseDamaged(path)
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return StorageMisuse(f"{type(error).__name__} in a call of the database")
    primary = code & 0xFF  # the rest is an extended code
    if primary in _DAMAGED:
        return DatabaseDamaged(path)
    if primary in _FAILURES:
        return _FAILURES[primary]()
    return StorageMisuse(str(getattr(error, "sqlite_errorname", "an unknown result")))
