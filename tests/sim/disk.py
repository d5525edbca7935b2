"""The disks of the hosts: databases whose statements fail, and copies of a profile's files as they lie."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlcipher3 import dbapi2

from chat.storage import database
from chat.storage.folder import DATABASE, SOCKET

FULL, BROKEN, LATE, UNREAD = "full", "broken", "late", "unread"
"""No room for a write; a write or its fsync fails; a commit that happened reports a failure; a read fails."""

_CODES: Final = {
    FULL: dbapi2.SQLITE_FULL,
    BROKEN: dbapi2.SQLITE_IOERR,
    LATE: dbapi2.SQLITE_IOERR,
    UNREAD: dbapi2.SQLITE_IOERR,
}
_WRITES: Final = ("INSERT", "UPDATE", "DELETE", "REPLACE", "COMMIT", "VACUUM")
_READS: Final = ("SELECT", "WITH")
SECTOR: Final = 512


@dataclass
class Disk:
    """Of one host. The next `failing` writes fail as `kind` says, after `spared` that do not.

    `tears`: commits until one that is torn at `share` of its bytes, which ends the host; None for none.
    `torn`: the log as such a commit left it.
    """

    folder: Path
    kind: str = ""
    failing: int = 0
    spared: int = 0
    tears: int | None = None
    share: float = 0.0
    torn: bytes | None = None
    tore: Callable[[], None] = lambda: None
    struck: Callable[[str], None] = lambda kind: None
    closing: Callable[[], object] = lambda: None
    """Called before a database is closed."""
    open: list[_Connection] = field(default_factory=list)

    def fail(self, kind: str, failing: int, spared: int) -> None:
        self.kind, self.failing, self.spared = kind, failing, spared

    def mend(self) -> None:
        self.failing, self.tears = 0, None

    @property
    def log(self) -> Path:
        return self.folder / f"{DATABASE}-wal"

    def tear(self, real: Any) -> None:
        """A commit of which a part reaches the disk before the host ends."""
        before, pages = self.log.read_bytes(), (self.folder / DATABASE).read_bytes()
        real.execute("COMMIT")
        if (self.folder / DATABASE).read_bytes() == pages:
            self.torn = _cut(before, self.log.read_bytes(), self.share)
        self.tears = None
        self.tore()

    def fails(self, statement: str) -> bool:
        """Whether this statement fails now."""
        kinds = _READS if self.kind == UNREAD else _WRITES
        if not self.failing or not statement.startswith(kinds):
            return False
        if self.kind == LATE and statement != "COMMIT":
            return False
        if self.spared:
            self.spared -= 1
            return False
        self.failing -= 1
        self.struck(self.kind)
        return True

    def connection(self) -> Any:
        """The library's connection that was opened last and is open, or None."""
        return self.open[-1].real if self.open else None

    def drop(self) -> None:
        """Let go of every open database without a word to its files."""
        for connection in self.open:
            with suppress(dbapi2.Error):
                connection.real.interrupt()
                connection.real.close()
        self.open.clear()


class Reader:
    """What `chat.storage` needs to read, on the library's connection: the laws do not meet the faults."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def rows(self, sql: str, *values: object) -> list[Any]:
        return list(self._real.execute(sql, values).fetchall())

    def row(self, sql: str, *values: object) -> Any:
        return next(iter(self.rows(sql, *values)), None)

    def value(self, sql: str, *values: object) -> Any:
        return next(iter(self.row(sql, *values) or ()), None)


class _Connection:
    """A connection of the library to a file on a disk that may fail."""

    def __init__(self, real: Any, disk: Disk) -> None:
        self.real, self._disk = real, disk

    def execute(self, statement: str, *values: Any) -> Any:
        disk = self._disk
        if statement == "COMMIT" and disk.tears is not None:
            disk.tears -= 1
            if disk.tears < 0:
                disk.tear(self.real)
                raise _failure(BROKEN)
        if not self._disk.fails(statement):
            return self.real.execute(statement, *values)
        if self._disk.kind == LATE:
            self.real.execute(statement, *values)
        elif self._disk.kind == FULL and self.real.in_transaction:
            self.real.execute("ROLLBACK")  # as the library does by itself
        raise _failure(self._disk.kind)

    def executemany(self, statement: str, many: Any) -> Any:
        if self._disk.fails(statement):
            raise _failure(self._disk.kind)
        return self.real.executemany(statement, many)

    def close(self) -> None:
        if self in self._disk.open:
            self._disk.closing()
            self._disk.open.remove(self)
        self.real.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def _failure(kind: str) -> Exception:
    error: Exception = dbapi2.OperationalError(f"the disk is {kind}")
    error.sqlite_errorcode = _CODES[kind]  # type: ignore[attr-defined]  # as the library sets it
    return error


@contextmanager
def disks(all_disks: list[Disk]) -> Iterator[None]:
    """While this lasts, databases in the folders of these disks are opened on them."""
    connect = database._connect

    def on_a_disk(path: Path, how: str = "mode=rw") -> Any:
        real = connect(path, how)
        for disk in all_disks:
            if disk.folder == path.parent:
                connection = _Connection(real, disk)
                disk.open.append(connection)
                return connection
        return real

    database._connect = on_a_disk
    try:
        yield
    finally:
        database._connect = connect
        for disk in all_disks:
            disk.drop()


def copied(folder: Path, target: Path) -> Path:
    """The files of a profile as they lie."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns(SOCKET))
    return target


def replaced(folder: Path, source: Path) -> None:
    """A profile's files become those of a copy, which stays."""
    shutil.rmtree(folder)
    shutil.copytree(source, folder)


def _cut(before: bytes, after: bytes, share: float) -> bytes:
    """A log of which a part of what a commit wrote has reached the disk, in whole sectors."""
    both = zip(before, after, strict=False)
    first = next((at for at, (old, new) in enumerate(both) if old != new), min(len(before), len(after)))
    end = first + int((len(after) - first) * share) // SECTOR * SECTOR
    return after[:end] + before[end:]
