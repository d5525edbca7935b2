"""The connection to the encrypted database, its transactions, and the translation of its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlcipher3 import dbapi2

from chat.storage import errors
from chat.storage.errors import DatabaseDamaged
from chat.storage.folder import from_system

# Text of a damaged page may be invalid UTF-8, in a row or in a message of the library.
LIBRARY_ERRORS: Final = (dbapi2.Error, UnicodeDecodeError)

_DAMAGED: Final = frozenset({dbapi2.SQLITE_CORRUPT, dbapi2.SQLITE_NOTADB, dbapi2.SQLITE_FORMAT})

_FAILURES: Final[dict[int, type[errors.StorageFailure]]] = {
    dbapi2.SQLITE_FULL: errors.StorageFull,
    dbapi2.SQLITE_IOERR: errors.StorageBroken,
    dbapi2.SQLITE_CANTOPEN: errors.StorageBroken,
    dbapi2.SQLITE_NOLFS: errors.StorageBroken,
    dbapi2.SQLITE_READONLY: errors.StorageReadOnly,
    dbapi2.SQLITE_PERM: errors.StorageReadOnly,
    dbapi2.SQLITE_BUSY: errors.StorageBusy,
    dbapi2.SQLITE_LOCKED: errors.StorageBusy,
    dbapi2.SQLITE_PROTOCOL: errors.StorageBusy,
    dbapi2.SQLITE_NOMEM: errors.TooLittleMemory,
    dbapi2.SQLITE_INTERRUPT: errors.StorageGivenUp,
}


def from_sqlite(error: Exception, path: Path) -> Exception:
    """DatabaseDamaged, a StorageFailure, or StorageMisuse for a wrong statement.

    The library's own text is dropped, since it may quote a statement or a search.
    """
    if isinstance(error, UnicodeDecodeError):
        return DatabaseDamaged(path)
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return errors.StorageMisuse(f"{type(error).__name__} in a call of the database")
    primary = code & 0xFF  # without the extended code
    if primary in _DAMAGED:
        return DatabaseDamaged(path)
    if primary in _FAILURES:
        return _FAILURES[primary]()
    return errors.StorageMisuse(str(getattr(error, "sqlite_errorname", "an unknown result")))


Row = tuple[Any, ...]

# SECURITY: secure_delete=FAST would leave whole rows on the free list; temp files would be in clear.
_PRAGMAS: Final = (
    ("cipher_compatibility = 4", None),
    ("locking_mode = EXCLUSIVE", "exclusive"),
    ("journal_mode = WAL", "wal"),
    ("synchronous = FULL", None),
    ("synchronous", 2),
    ("secure_delete = ON", 1),
    ("temp_store = MEMORY", None),
    ("temp_store", 2),
    ("foreign_keys = ON", None),
    ("foreign_keys", 1),
)


_STEPS_BETWEEN: Final = 1000
"""SQLite steps between two calls of the progress handler: less than a millisecond."""


class Database:
    """An open database at `path`, used by one thread at a time. The key is not kept.

    Every method may raise StorageFailure and DatabaseDamaged.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        """Open an existing, possibly empty file with a raw key of 32 bytes.

        Raises DatabaseDamaged if the pages cannot be read, NotEncrypted if the library lacks SQLCipher.
        """
        self.path = path
        self._wal = path.with_name(f"{path.name}-wal")
        self._places: dict[Path, tuple[int, int]] = {}
        self._connection = _connect(path)
        try:
            self._unlock(key)
            for pragma, expected in _PRAGMAS:
                self._set(pragma, expected)
            self._places[path] = _place(path)
        except BaseException:
            self.abandon()
            raise

    # --- Reading ---

    def rows(self, sql: str, *values: object) -> list[Row]:
        """All rows of a query, read at once so that no open reader blocks a checkpoint."""
        try:
            return self._connection.execute(sql, values).fetchall()  # type: ignore[no-any-return]
        except LIBRARY_ERRORS as error:
            raise from_sqlite(error, self.path) from None

    def row(self, sql: str, *values: object) -> Row | None:
        """The first row of a query, or None."""
        try:
            found = self._connection.execute(sql, values).fetchall()
        except LIBRARY_ERRORS as error:
            raise from_sqlite(error, self.path) from None
        return found[0] if found else None

    def value(self, sql: str, *values: object) -> Any:
        """The first column of the first row, or None."""
        try:
            found = self._connection.execute(sql, values).fetchall()
        except LIBRARY_ERRORS as error:
            raise from_sqlite(error, self.path) from None
        return found[0][0] if found else None

    # --- Writing, in a transaction ---

    def run(self, sql: str, *values: object) -> int:
        """Change rows and return their number. Raises StorageMisuse outside a transaction."""
        if not self._connection.in_transaction:
            raise _outside()
        try:
            return int(self._connection.execute(sql, values).rowcount)
        except LIBRARY_ERRORS as error:
            raise from_sqlite(error, self.path) from None

    def insert(self, sql: str, *values: object) -> int:
        """Insert a row and return its number. Raises StorageMisuse outside a transaction."""
        if not self._connection.in_transaction:
            raise _outside()
        try:
            return int(self._connection.execute(sql, values).lastrowid)
        except LIBRARY_ERRORS as error:
            raise from_sqlite(error, self.path) from None

    def run_many(self, sql: str, many: Iterable[tuple[object, ...]]) -> None:
        """The same change for many values. Raises StorageMisuse outside a transaction."""
        if not self._connection.in_transaction:
            raise _outside()
        try:
            self._connection.executemany(sql, many)
        except LIBRARY_ERRORS as error:
            raise from_sqlite(error, self.path) from None

    @property
    def in_transaction(self) -> bool:
        """Also false after SQLite rolled back by itself, for example because the disk is full."""
        return bool(self._connection.in_transaction)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction, which is durable when this returns and rolled back if it raises.

        Raises StorageMisuse inside another transaction, StorageGone if the file was moved or removed.
        """
        if self._connection.in_transaction:
            raise errors.StorageMisuse("transactions do not nest")
        self.rows("BEGIN IMMEDIATE")
        try:
            yield
            self.rows("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self.rows("ROLLBACK")
            raise
        # Writes into an unlinked file succeed and are lost, so they must not be acknowledged.
        for path in (self.path, self._wal):
            place = _place(path)
            if self._places.setdefault(path, place) != place:
                raise errors.StorageGone

    # --- Maintenance ---

    @contextmanager
    def giving_way(self, wanted: Callable[[], bool]) -> Iterator[None]:
        """Interrupt statements in this context with StorageGivenUp as soon as `wanted` returns true.

        `wanted` is called in this thread. The last part of `scrub`, which copies pages into the file, cannot
        be interrupted.
        """
        self._connection.set_progress_handler(wanted, _STEPS_BETWEEN)
        try:
            yield
        finally:
            self._connection.set_progress_handler(None, 0)

    def scrub(self) -> None:
        """Remove deleted rows from all pages and frames: VACUUM, and then an empty log.

        Takes seconds for a million entries. Raises StorageBusy during another read, StorageMisuse in a
        transaction.
        """
        if self.in_transaction:
            raise errors.StorageMisuse("a transaction is open")
        self.rows("VACUUM")
        self.checkpoint()

    def checkpoint(self) -> None:
        """Copy the log into the file and truncate it. Raises StorageBusy during another read."""
        if self.row("PRAGMA wal_checkpoint(TRUNCATE)") != (0, 0, 0):
            raise errors.StorageBusy

    def integrity(self) -> tuple[str, ...]:
        """Check every page. One line per page that does not authenticate, and per broken structure."""
        pages = self._findings("cipher_integrity_check")
        structure = [line for line in self._findings("integrity_check") if line != "ok"]
        orphans = [f"a row without its parent: {line}" for line in self._findings("foreign_key_check")]
        return tuple(pages + structure + orphans)

    def close(self) -> None:
        """Close the file. A second call does nothing. Pages that cannot be moved into it stay in the log."""
        try:
            self._connection.close()
        except LIBRARY_ERRORS as error:
            raise from_sqlite(error, self.path) from None

    def abandon(self) -> None:
        """Close files that were not opened successfully without changing them.

        A normal close would copy the log into the file. SQLite does not after an interruption.
        """
        self._connection.interrupt()
        self.close()

    def __repr__(self) -> str:
        return f"Database({self.path})"

    # --- Internals ---

    def _findings(self, check: str) -> list[str]:
        try:
            return [str(row[0]) for row in self.rows(f"PRAGMA {check}")]
        except DatabaseDamaged:
            return [f"{check} cannot read the database"]

    def _unlock(self, key: bytes) -> None:
        if not self.value("PRAGMA cipher_version"):
            raise errors.NotEncrypted(self.path)
        # The library would otherwise print each page that does not authenticate on standard error.
        self.value("PRAGMA cipher_log_level = NONE")
        self.value(f"PRAGMA key = \"x'{key.hex()}'\"")

    def _set(self, pragma: str, expected: object) -> None:
        found = self.value(f"PRAGMA {pragma}")
        if expected is not None and found != expected:
            raise errors.StorageMisuse(f"the database does not accept PRAGMA {pragma}")


def _outside() -> errors.StorageMisuse:
    return errors.StorageMisuse("a write outside a transaction")


def _connect(path: Path) -> Any:
    try:
        return dbapi2.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=0.0,
            cached_statements=256,
        )
    except LIBRARY_ERRORS as error:
        raise from_sqlite(error, path) from None


def _place(path: Path) -> tuple[int, int]:
    """Device and inode of a file. Raises StorageGone, or any other StorageFailure."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise errors.StorageGone from None
    except OSError as error:
        raise from_system(error) from None
    return found.st_dev, found.st_ino
