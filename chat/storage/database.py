"""One connection to the encrypted database: durable transactions, and the errors that SQLCipher reports."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, cast

from sqlcipher3 import dbapi2

from chat.errors import LOCKED
from chat.interface import BadData, NotPermitted
from chat.storage import schema_pages
from chat.storage.errors import (
    DatabaseDamaged,
    NotEncrypted,
    StorageBroken,
    StorageBusy,
    StorageFailure,
    StorageFull,
    StorageGivenUp,
    StorageGone,
    StorageMisuse,
    StorageReadOnly,
    StorageUnsure,
    TooLittleMemory,
)
from chat.storage.folder import from_system, give_up_reserve
from chat.storage.unused_space import PageFile

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


Row = tuple[Any, ...]
Shown = TypeVar("Shown")

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
"""Steps of a statement after which it looks whether it is to give way: less than a millisecond."""


class Database:
    """An open database; `path` is its file. Used by one thread at a time, whichever it is.

    Every method may raise StorageFailure and DatabaseDamaged.
    """

    def __init__(self, path: Path, key: bytes, *, read_only: bool = False, salt: bytes = b"") -> None:
        """Open an existing file (it may be empty) under a raw key of 32 bytes.

        `read_only`: neither the files nor their folder can be written, and each write raises StorageReadOnly.
        `salt`: with which an empty file is to begin (16 bytes), else a random one.
        Raises DatabaseDamaged where no page can be read so, NotEncrypted where the library lacks SQLCipher.
        """
        self.path = path
        self._wal = path.with_name(f"{path.name}-wal")
        self._places: dict[Path, tuple[int, int]] = {}
        self._key, self._pages = key, cast(PageFile | None, None)
        self.gone = list[bytes]()
        """Ids of the entries whose content was destroyed, until somebody takes them from here."""
        self._open(key + salt, read_only=read_only)

    def replaced(self, key: bytes, replace: Callable[[], object]) -> None:
        """Let go of the files, let `replace` put others in their place, and open these. Raises as opening.

        After a damaged page SQLCipher reads no further page on the same connection, so it is opened again
        to read others.
        """
        self.abandon()
        replace()
        self._places.clear()
        self._key = key
        self._open(key, read_only=False)

    def _open(self, key: bytes, *, read_only: bool) -> None:
        path = self.path
        self._connection = _connect(path, _unwritable(self._wal) if read_only else "mode=rw")
        try:
            self._unlock(key)
            for pragma, expected in _PRAGMAS:
                if not read_only or expected != "wal":
                    self._set(pragma, expected)
            self._remember_place(path)
        except BaseException:
            self.abandon()
            raise

    # --- Reading ---

    def rows(self, sql: str, *values: object) -> list[Row]:
        """All rows of a query."""
        try:
            return self._connection.execute(sql, values).fetchall()  # type: ignore[no-any-return]
        except LIBRARY_ERRORS as error:
            raise from_sqlite(error, self.path) from None

    def each(self, sql: str, *values: object) -> Iterator[Row]:
        """The rows of a query as they are read, so that those before a damaged page come."""
        try:
            yield from self._connection.execute(sql, values)
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
        """Change rows; returns how many. Raises StorageMisuse outside a transaction."""
        if not self._connection.in_transaction:
            raise _outside()
        try:
            return int(self._connection.execute(sql, values).rowcount)
        except LIBRARY_ERRORS as error:
            raise from_sqlite(error, self.path) from None

    def insert(self, sql: str, *values: object) -> int:
        """Insert a row; returns its number. Raises StorageMisuse outside a transaction."""
        if not self._connection.in_transaction:
            raise _outside()
        try:
            return int(self._connection.execute(sql, values).lastrowid)
        except LIBRARY_ERRORS as error:
            raise from_sqlite(error, self.path) from None

    def run_many(self, sql: str, many: Iterable[tuple[object, ...]]) -> int:
        """Make a change for many values; returns the number of changed rows.

        Raises StorageMisuse outside a transaction.
        """
        if not self._connection.in_transaction:
            raise _outside()
        try:
            return int(self._connection.executemany(sql, many).rowcount)
        except LIBRARY_ERRORS as error:
            raise from_sqlite(error, self.path) from None

    @property
    def changes(self) -> int:
        """How many rows were changed since it was opened."""
        return int(self._connection.total_changes)

    @property
    def in_transaction(self) -> bool:
        """False too after a failure that made SQLite roll back by itself (a full disk)."""
        return bool(self._connection.in_transaction)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside, or none: they are on the disk when this returns, and undone if it raises.

        Raises StorageMisuse when there is one already, StorageGone when the file is no longer there,
        StorageUnsure when the disk reported an error of the commit: it may be in force, also after a restart.
        """
        if self._connection.in_transaction:
            raise StorageMisuse("transactions do not nest")
        self.rows("BEGIN IMMEDIATE")
        committing = False
        try:
            yield
            committing = True
            self.rows("COMMIT")
        except StorageBroken:
            if committing:  # the log may hold the whole of it, which opening the database would bring back
                with suppress(StorageFailure):
                    self._roll_back()
                raise StorageUnsure from None
            self.gone.clear()
            self._roll_back()
            raise
        except BaseException:
            self.gone.clear()
            self._roll_back()
            raise
        self._check_place()

    # --- Care ---

    @contextmanager
    def giving_way(self, wanted: Callable[[], bool]) -> Iterator[None]:
        """Give up what runs here as soon as `wanted` says so, which raises StorageGivenUp.

        `wanted` is asked in this thread.
        """
        self._connection.set_progress_handler(wanted, _STEPS_BETWEEN)
        try:
            yield
        finally:
            self._connection.set_progress_handler(None, 0)

    def erase_unused(self, first: int) -> tuple[int, int]:
        """Erase what deleted rows left in some pages from a number on (from 1), and empty the log.

        Returns the first number after them and the last page's. Takes some milliseconds. Raises StorageBusy
        while something else reads, StorageMisuse in a transaction.
        """
        if self.in_transaction:
            raise StorageMisuse("a transaction is open")
        wrote = True
        try:
            if self._wal.stat().st_size:
                self.checkpoint()
            file = self._page_file()
            after, wrote = file.erase(first)
            return after, file.size
        except OSError as error:
            raise from_system(error) from None
        finally:
            if wrote:  # SQLite would write the pages back as it has them in its cache
                self.rows("PRAGMA shrink_memory")

    def keep_schema(self) -> None:
        """Copy the pages of the schema aside (`schema_pages`). A start tries again what failed."""
        with suppress(OSError, StorageFailure, DatabaseDamaged):
            if self._wal.stat().st_size:
                self.checkpoint()
            schema_pages.keep(self.path, self._key, self._page_file().read)

    def checkpoint(self) -> None:
        """Write everything into the one file and empty the log. Raises StorageBusy while something reads."""
        if self.row("PRAGMA wal_checkpoint(TRUNCATE)") != (0, 0, 0):
            raise StorageBusy

    @property
    def key(self) -> bytes:
        """The raw key of 32 bytes."""
        return self._key

    def stored_pages(self) -> tuple[int, Callable[[int], bytes]]:
        """How many pages the file has, and what reads one as it is stored. The log is empty then.

        Raises StorageBusy while something reads.
        """
        self.checkpoint()
        file = self._page_file()
        return file.size, file.read

    def shown_to(self, look: Callable[[Path, bytes], Shown]) -> Shown:
        """Let something else read the file, with its raw key, while this connection writes nothing.

        What `look` raises is raised. Raises StorageBusy while something reads, StorageReadOnly where the log
        cannot be emptied before.
        """
        if self._wal.exists() and self._wal.stat().st_size:
            self.checkpoint()
        return look(self.path, self._key)

    def integrity(self) -> tuple[str, ...]:
        """What is wrong, a line each: pages that do not authenticate, broken structures. Reads every page."""
        return (*self._findings("cipher_integrity_check"), *self.structure())

    def structure(self) -> tuple[str, ...]:
        """The same without the pages that no table uses. Gives way, which the check of those does not."""
        structure = [line for line in self._findings("integrity_check") if line != "ok"]
        orphans = [f"a row without its parent: {line}" for line in self._findings("foreign_key_check")]
        return tuple(structure + orphans)

    def close(self) -> None:
        """Let go of the file; a second call does nothing. What cannot be moved into it stays in the log."""
        try:
            self._connection.close()
        except LIBRARY_ERRORS as error:
            raise from_sqlite(error, self.path) from None
        if self._pages is not None:  # only now, since closing it drops SQLite's locks
            self._pages.close()
            self._pages = None

    def abandon(self) -> None:
        """Let go of files that could not be opened as they should, and leave them as they are.

        Closing would copy the log's pages into the file; after an interruption SQLite does not.
        """
        self._connection.interrupt()
        self.close()

    def __repr__(self) -> str:
        return f"Database({self.path})"

    # --- Inside ---

    def _page_file(self) -> PageFile:
        if self._pages is None:
            self._pages = PageFile(self.path, self._key)
        return self._pages

    def _findings(self, check: str) -> list[str]:
        try:
            return [str(row[0]) for row in self.rows(f"PRAGMA {check}")]
        except DatabaseDamaged:
            return [f"{check} cannot read the database"]

    def _unlock(self, key: bytes) -> None:
        if not self.value("PRAGMA cipher_version"):
            raise NotEncrypted(self.path)
        # The library would report each page that does not authenticate on standard error.
        self.value("PRAGMA cipher_log_level = NONE")
        self.value(f"PRAGMA key = \"x'{key.hex()}'\"")

    def _set(self, pragma: str, expected: object) -> None:
        found = self.value(f"PRAGMA {pragma}")
        if expected is not None and found != expected:
            raise StorageMisuse(f"the database does not take: PRAGMA {pragma}")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self.rows("ROLLBACK")

    def _check_place(self) -> None:
        """Writes into an unlinked file succeed and are lost: nothing may be acknowledged then."""
        for path in (self.path, self._wal):
            try:
                found = path.stat()
            except FileNotFoundError:
                raise StorageGone from None
            except OSError:
                raise StorageUnsure from None
            place = found.st_dev, found.st_ino
            if self._places.setdefault(path, place) != place:
                raise StorageGone

    def _remember_place(self, path: Path) -> None:
        place = _place(path)
        if place is None:
            raise StorageGone
        self._places[path] = place


def is_complete(statement: str) -> bool:
    """Whether a statement has its end."""
    return bool(dbapi2.complete_statement(statement))


def _outside() -> StorageMisuse:
    return StorageMisuse("a write outside a transaction")


def _unwritable(log: Path) -> str:
    """How SQLite reads files that cannot be locked: the profile's own lock stands for theirs.

    Without a log it would create one, unless it takes the file for unchangeable.
    """
    if not log.exists():
        return "immutable=1"
    return f"mode=ro&vfs={'win32' if os.name == 'nt' else 'unix'}-none"


def _connect(path: Path, how: str = "mode=rw") -> Any:
    try:
        return dbapi2.connect(
            f"{path.absolute().as_uri()}?{how}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=0.0,
            cached_statements=256,
        )
    except LIBRARY_ERRORS as error:
        raise from_sqlite(error, path) from None


def _place(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise from_system(error) from None
    return found.st_dev, found.st_ino


P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """The database behind the event loop: one worker thread, one piece of work at a time.

    Raises NotPermitted after `close`, and what the work raises.
    """

    def __init__(
        self,
        database: Database,
        executor: Executor,
        mend: Callable[[Database, DatabaseDamaged], None] | None = None,
        gone: Callable[[tuple[bytes, ...]], object] = lambda _: None,
    ) -> None:
        """`mend` repairs a damaged database in place. What found the damage is then done again.

        `gone`: hears in the event loop of the entries (ids) whose content was destroyed, before the caller
        whose work did that goes on.
        """
        self._database = database
        self._executor = executor
        self._mend, self._gone, self._destroyed = mend, gone, deque[tuple[bytes, ...]]()
        self._mended = 0
        self.mended = asyncio.Event()
        """Set when the database was mended: what was read of it before may not hold any more."""
        self.written = asyncio.Event()
        """Set by each write; who waits for writes clears it."""
        self._closed = False
        self.asked = 0
        """How often something was wanted of the database."""
        self._waiting = 0

    def is_wanted(self) -> bool:
        """Whether other work waits behind what runs now, or the database is to be closed."""
        return self._closed or self._waiting > 1

    def is_closing(self) -> bool:
        """Whether the database is to be closed."""
        return self._closed

    async def read(self, work: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(database, …)`."""
        return await self.run(partial(work, self._database, *args, **kwargs))

    async def write(
        self, work: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(database, …)` in one transaction, which is on the disk when this returns."""

        loop = asyncio.get_running_loop()

        def transaction() -> T:
            with self._database.transaction():
                done = work(self._database, *args, **kwargs)
            if self._database.gone:
                self._note_gone(loop)
            return done

        try:
            return await self.run(transaction)
        finally:
            self.written.set()
            if self._destroyed:
                self._say_gone()

    async def write_once(
        self,
        is_stored: Callable[[Database, T], bool],
        work: Callable[Concatenate[Database, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """As `write`, for work whose effects follow its transaction: they must follow what is stored.

        Where the disk reports an error of the commit, `is_stored(database, result)` reads whether it is in
        force. If it is not, the work is done again, which also overwrites what the first commit left in the
        log. Raises StorageUnsure where neither is possible.
        """

        loop = asyncio.get_running_loop()

        def transaction() -> T:
            done = list[T]()
            try:
                with self._database.transaction():
                    done.append(work(self._database, *args, **kwargs))
            except StorageUnsure:
                again(done)
            if self._database.gone:
                self._note_gone(loop)
            return done[-1]

        def again(done: list[T]) -> None:
            try:
                if not is_stored(self._database, done[-1]):
                    try:
                        with self._database.transaction():
                            done.append(work(self._database, *args, **kwargs))
                    except StorageUnsure:
                        if not is_stored(self._database, done[-1]):
                            raise
            except StorageFailure:
                raise StorageUnsure from None

        try:
            return await self.run(transaction)
        finally:
            self.written.set()
            if self._destroyed:
                self._say_gone()

    def _note_gone(self, loop: asyncio.AbstractEventLoop) -> None:
        """From the thread of the database: who waits for the write may be cancelled meanwhile."""
        self._destroyed.append(tuple(self._database.gone))
        self._database.gone.clear()
        loop.call_soon_threadsafe(self._say_gone)

    def _say_gone(self) -> None:
        while self._destroyed:
            self._gone(self._destroyed.popleft())

    async def with_reserve(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do what frees room. On a full disk it gets the profile's reserve. Raises as `act`."""
        try:
            return await act()
        except StorageFull:
            if not await self.run(partial(give_up_reserve, self._database.path.parent)):
                raise
            return await act()

    async def free(self, work: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `write`, for what frees room or bounds what comes: a full disk must not refuse it."""
        return await self.with_reserve(partial(self.write, work, *args, **kwargs))

    async def run(self, work: Callable[[], T]) -> T:
        """Run other work on the profile's files in the same thread."""
        if self._closed:
            raise NotPermitted(LOCKED)
        self.asked += 1
        self._waiting += 1
        mended = self._mended
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except DatabaseDamaged as damage:
            await self._mend_after(damage, mended)
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._waiting -= 1

    async def _mend_after(self, damage: DatabaseDamaged, mended: int) -> None:
        """Mend the database if that was not done since; raises the damage where it cannot be mended."""

        def mend() -> None:
            if self._mended != mended:
                return  # others found the same damage
            if self._mend is None:
                raise damage
            self._mend(self._database, damage)
            self._mended += 1

        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, mend)
        except StorageFailure:
            self._mend = None  # a copy of a long history is not tried again for each read
            raise damage from None
        except BadData:
            self._mend = None
            raise
        self.mended.set()

    async def close(self) -> None:
        """Close the database after all work before."""
        self._closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._database.close)
