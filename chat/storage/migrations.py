"""Opens and creates databases, migrates them to the newest schema, and rebuilds derived tables.

A migration is a numbered file of schema/, which never changes after its release.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Final

from msgspec import Struct

from chat.storage import amendments, files, folder, ordering, pages, schema_pages, unused_space
from chat.storage.contacts import NOTES
from chat.storage.database import Database, is_complete
from chat.storage.entries import indexed
from chat.storage.errors import DatabaseDamaged, DatabaseEmpty, ProfileTooNew
from chat.storage.folder import system_failures
from chat.storage.receipts import READ
from protocol.attachments import read_file
from protocol.entries_and_receipts import (
    KIND_DELETE,
    KIND_EDIT,
    KIND_FILE,
    KIND_TEXT,
    read_delete,
    read_edit,
    read_text,
)
from protocol.errors import ProtocolError
from protocol.messages import ENTRY_HEADER, DeleteBody, EditBody
from protocol.profile_header import DatabaseKey


class Migration(Struct, frozen=True):
    """A file of schema/, NNNN_name.sql."""

    version: int
    name: str
    sql: str


def known() -> tuple[Migration, ...]:
    """All migrations, from version 1 to the newest."""
    folder = resources.files("chat.storage").joinpath("schema")
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return tuple(Migration(int(name[:4]), name, folder.joinpath(name).read_text("utf-8")) for name in names)


def version(database: Database) -> int:
    """The schema version of a database; 0 without tables."""
    return int(database.value("PRAGMA user_version"))


def migrate(database: Database, migrations: tuple[Migration, ...] | None = None) -> None:
    """Run the missing migrations, each in a transaction with its record. Raises ProfileTooNew."""
    migrations = known() if migrations is None else migrations
    found = version(database)
    if found > len(migrations):
        raise ProfileTooNew(database.path)
    for migration in migrations[found:]:
        number, name = migration.version, migration.name
        with database.transaction():
            for statement in statements(migration.sql):
                database.run(statement)
            database.run("INSERT INTO migrations (version, name) VALUES (?, ?)", number, name)
            database.run(f"PRAGMA user_version = {number:d}")


def statements(sql: str) -> Iterator[str]:
    """The statements of a file. The library's executescript would commit between them."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if is_complete(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise ValueError("the last statement of a migration has no end")


_CHUNK: Final = 1_000


def rebuild_if_lost(db: Database) -> bool:
    """Rebuild if there are entries but no tips or heads. Returns whether that was necessary."""
    lost = db.value(
        "SELECT EXISTS (SELECT 1 FROM entries) AND NOT"
        " (EXISTS (SELECT 1 FROM tips) AND EXISTS (SELECT 1 FROM heads))"
    )
    if lost:
        with db.transaction():
            rebuild(db)
    return bool(lost)


def rebuild(db: Database) -> None:
    """Recompute edges, ranks, tips, heads, unread and the search index. A minute per million entries."""
    for table in ("edges", "missing", "raises", "tips", "heads", "unread", "search", "amendments", "amended"):
        db.run(f"DELETE FROM {table}")
    notes = f"(SELECT number FROM conversations WHERE kind = {NOTES})"
    db.run(f"UPDATE entries SET rank = CASE WHEN conversation IN {notes} THEN 0 ELSE time END")
    last = 0
    columns = f"number, id, conversation, author, header, {ordering.apart('number')}"
    page = f"SELECT {columns} FROM entries WHERE number > ? ORDER BY number LIMIT {_CHUNK}"
    while rows := db.rows(page, last):
        for number, entry, conversation, author, header, apart in rows:
            if not apart:
                node = ordering.Node(number, conversation, author)
                ordering.add(db, node, entry, ENTRY_HEADER.decode(header))
            _index(db, number, conversation)
            _amend(db, number, conversation)
        last = rows[-1][0]
    while ordering.settle_next(db, 0) is not None:
        pass
    # Entries of known kinds that no own terminal wrote or has read, and whose body is there.
    own = (
        "(SELECT number FROM terminals WHERE terminal IN (SELECT terminal FROM own)"
        " OR number IN (SELECT terminal FROM person_terminals WHERE person IN (SELECT person FROM own)))"
    )
    db.run(
        "INSERT INTO unread (entry, conversation) SELECT number, conversation FROM entries AS e"
        f" WHERE author NOT IN {own} AND NOT destroyed AND kind IN (?, ?)"
        " AND EXISTS (SELECT 1 FROM bodies WHERE entry = e.number) AND NOT EXISTS"
        f" (SELECT 1 FROM receipts WHERE entry = e.number AND kind >= ? AND terminal IN {own})",
        *(KIND_TEXT, KIND_FILE, READ),
    )
    files.rebuild(db)


def _index(db: Database, number: int, conversation: int) -> None:
    found = db.row(
        "SELECT e.time, e.kind, b.body FROM bodies AS b JOIN entries AS e ON e.number = b.entry"
        " WHERE b.entry = ? AND e.kind IN (?, ?) AND NOT e.destroyed",
        *(number, KIND_TEXT, KIND_FILE),
    )
    if found is None:
        return
    time, kind, body = found
    try:
        text = read_text(body).text if kind == KIND_TEXT else files.words(read_file(body))
    except ProtocolError:
        text = ""  # an invalid text, kept for the chain of its author and never displayed
    db.run("INSERT INTO search (rowid, text) VALUES (?, ?)", number, indexed(text, conversation, time))


_AMENDS: Final[Mapping[int, Callable[[bytes], DeleteBody | EditBody]]] = {
    KIND_DELETE: read_delete,
    KIND_EDIT: read_edit,
}


def _amend(db: Database, number: int, conversation: int) -> None:
    """What a delete or an edit names is due again: who finds it in force already changes nothing."""
    found = db.row(
        "SELECT e.kind, b.body FROM bodies AS b JOIN entries AS e ON e.number = b.entry"
        " WHERE b.entry = ? AND e.kind IN (3, 4) AND NOT e.destroyed",
        number,
    )
    if found is not None:
        kind, body = found
        with suppress(ProtocolError):
            amendments.add(db, number, conversation, _AMENDS[kind](body))


_APPLICATION_ID = 0x50524C52  # as schema/0001_initial.sql sets it

Fill = Callable[[Database], None]  # writes the first rows of a new database, within a transaction


def open_history(path: Path, key: DatabaseKey, *, read_only: bool = False) -> Database:
    """Open an existing database. `read_only`: one whose files nobody can write.

    Raises DatabaseMissing, DatabaseEmpty, NotEncrypted, DatabaseForeign, DatabaseDamaged, LogForeign,
    ProfileTooNew, or a StorageFailure.
    """
    with system_failures():
        pages.check_present(path)
        pages.check_key(path, key.reveal())
        if not read_only:
            unused_space.mend(path, key.reveal())
        pages.check_log(path, key.reveal())
        database = Database(path, key.reveal(), read_only=read_only)
        try:
            # An empty database with a valid key is damage, and not to be filled.
            if version(database) == 0:
                raise DatabaseEmpty(path)
            if database.value("PRAGMA application_id") != _APPLICATION_ID:
                raise DatabaseDamaged(path)
            if version(database) < len(known()) and not read_only:
                schema_pages.forget(path)
            migrate(database)
            rebuild_if_lost(database)
        except BaseException:
            database.abandon()
            raise
    return database


def create_history(path: Path, key: DatabaseKey, fill: Fill, *, salt: bytes = b"") -> None:
    """Create a database in a single file. `salt`: with which it is to begin (16 bytes), else a random one.

    Raises OSError (FileExistsError if the file exists) or a StorageFailure.
    """
    folder.create_private(path)
    database = Database(path, key.reveal(), salt=salt)
    try:
        migrate(database)
        with database.transaction():
            fill(database)
        # `close` would ignore a failure of this and leave the log.
        database.checkpoint()
    finally:
        database.close()
    pages.check_present(path)
