"""Brings a database to the newest schema: the numbered files of schema/, in order.

Rules: a migration and its record are one transaction; a released file is never changed; a database of a
later version is left alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from chat.storage.database import Database
from chat.storage.errors import ProfileTooNew


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
