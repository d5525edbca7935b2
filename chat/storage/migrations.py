"""Brings a database to the newest schema: the numbered files of schema/, in order.

Rules: a migration and its record are one transaction; a released file is never changed; a database of a
later version is left alone.

Computes everything derived anew from entries and receipts.

Rules: the result is what inserting the same entries in any order gives; facts are only read.

From a file and its key to a database that may be used: checked, of the newest schema, complete.

Rules: what is wrong is told apart before anything is written; a file that should be there is never made.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from chat.storage import folder, ordering, pages
from chat.storage.database import Database, Row
from chat.storage.entries import indexed
from chat.storage.errors import DatabaseDamaged, DatabaseEmpty, ProfileTooNew
from chat.storage.folder import system_failures
from chat.storage.receipts import READ
from protocol.entries import KIND_TEXT, read_text
from protocol.errors import ProtocolError
from protocol.messages import ENTRY_HEADER
from protocol.profile_header import DatabaseKey


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of schema/: NNNN_name.sql."""

    version: int
    name: str
    sql: str


def known() -> tuple[Migration, ...]:
    """All migrations by version, 1 to the newest."""
    folder = resources.files("chat.storage").joinpath("schema")
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return tuple(Migration(int(name[:4]), name, folder.joinpath(name).read_text("utf-8")) for name in names)


def version(database: Database) -> int:
    """The schema of a database; 0 has no tables."""
    return int(database.value("PRAGMA user_version"))


def migrate(database: Database, migrations: tuple[Migration, ...] | None = None) -> None:
    """Run what the database lacks. Raises ProfileTooNew; a failure leaves the version that was reached."""
    migrations = known() if migrations is None else migrations
    found = version(database)
    if found > len(migrations):
        raise ProfileTooNew(database.path)
    for migration in migrations[found:]:
        with database.transaction():
            _run(database, migration)


def _run(database: Database, migration: Migration) -> None:
    for statement in statements(migration.sql):
        database.run(statement)
    database.run("INSERT INTO migrations (version, name) VALUES (?, ?)", migration.version, migration.name)
    database.run(f"PRAGMA user_version = {migration.version:d}")


def statements(sql: str) -> Iterator[str]:
    """The single statements of a file; the library's own script runner would commit between them."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise ValueError("the last statement of a migration has no end")


_CHUNK: Final = 1_000


def rebuild_if_lost(db: Database) -> bool:
    """Rebuild where there are entries and nothing derived from them; tells whether it was needed."""
    lost = db.value(
        "SELECT EXISTS (SELECT 1 FROM entries) AND NOT"
        " (EXISTS (SELECT 1 FROM tips) AND EXISTS (SELECT 1 FROM heads))"
    )
    if lost:
        with db.transaction():
            rebuild(db)
    return bool(lost)


def rebuild(db: Database) -> None:
    """Recompute graph, ranks, tips, heads, unread and the index of words. A minute a million entries."""
    for table in ("edges", "missing", "tips", "heads", "unread", "search"):
        db.run(f"DELETE FROM {table}")
    db.run("UPDATE entries SET rank = time")
    for number, entry, conversation, author, header in _all(db):
        node = ordering.Node(number, conversation, author)
        ordering.add(db, node, entry, ENTRY_HEADER.decode(header))
        _index(db, number, conversation)
    _find_unread(db)


def _all(db: Database) -> Iterator[Row]:
    """Every entry by number, some at a time."""
    last = 0
    while rows := db.rows(
        "SELECT number, id, conversation, author, header FROM entries"
        " WHERE number > ? ORDER BY number LIMIT ?",
        last,
        _CHUNK,
    ):
        yield from rows
        last = rows[-1][0]


def _index(db: Database, number: int, conversation: int) -> None:
    body = db.value(
        "SELECT b.body FROM bodies AS b JOIN entries AS e ON e.number = b.entry"
        " WHERE b.entry = ? AND e.kind = ? AND NOT e.destroyed",
        number,
        KIND_TEXT,
    )
    if body is not None:
        text = indexed(_text(body), conversation)
        db.run("INSERT INTO search (rowid, text) VALUES (?, ?)", number, text)


def _text(body: bytes) -> str:
    """What a body says; nothing where it is not a text's (kept for its author's chain, never shown)."""
    try:
        return read_text(body).text
    except ProtocolError:
        return ""


def _find_unread(db: Database) -> None:
    """Entries that no own terminal wrote or has read, and that were not deleted here."""
    own = (
        "(SELECT number FROM terminals WHERE terminal IN (SELECT terminal FROM own)"
        " OR person IN (SELECT person FROM own))"
    )
    db.run(
        "INSERT INTO unread (entry, conversation) SELECT number, conversation FROM entries AS e"
        f" WHERE author NOT IN {own} AND NOT destroyed AND NOT EXISTS"
        f" (SELECT 1 FROM receipts WHERE entry = e.number AND kind >= ? AND terminal IN {own})",
        READ,
    )


_APPLICATION_ID = 0x50524C52  # as schema/0001_initial.sql sets it

Fill = Callable[[Database], None]
"""Writes the first rows of a new database, inside one transaction."""


def open_history(path: Path, key: DatabaseKey) -> Database:
    """Open an existing database.

    Raises DatabaseMissing, DatabaseEmpty, NotEncrypted, DatabaseForeign, DatabaseDamaged, LogForeign,
    ProfileTooNew, or a StorageFailure.
    """
    with system_failures():
        pages.check_present(path)
        pages.check_key(path, key.reveal())
        pages.check_log(path, key.reveal())
        database = Database(path, key.reveal())
        try:
            _complete(database)
        except BaseException:
            database.abandon()
            raise
    return database


def create_history(path: Path, key: DatabaseKey, fill: Fill) -> None:
    """Make a database whose one file is complete when this returns.

    Raises OSError (FileExistsError where there is anything already), or a StorageFailure.
    """
    folder.create_private(path)
    database = Database(path, key.reveal())
    try:
        migrate(database)
        with database.transaction():
            fill(database)
        # Closing does this too, but keeps silent where it fails, and the log would be left behind.
        database.checkpoint()
    finally:
        database.close()
    pages.check_present(path)


def _complete(database: Database) -> None:
    """Bring it to what this version expects, if it is a profile's at all."""
    _check_ours(database)
    migrate(database)
    rebuild_if_lost(database)


def _check_ours(database: Database) -> None:
    """An empty database under the right key is not a fresh start."""
    if version(database) == 0:
        raise DatabaseEmpty(database.path)
    if database.value("PRAGMA application_id") != _APPLICATION_ID:
        raise DatabaseDamaged(database.path)
