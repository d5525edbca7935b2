"""From a file and its key to a database that may be used: checked, of the newest schema, complete.

Rules: what is wrong is told apart before anything is written; a file that should be there is never made.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chat.storage import files, migrations, pages, rebuilding
from chat.storage.database import Database
from chat.storage.errors import DatabaseDamaged, DatabaseEmpty
from chat.storage.header import DatabaseKey
from chat.storage.system import system_failures

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
    files.create_private(path)
    database = Database(path, key.reveal())
    try:
        migrations.migrate(database)
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
    migrations.migrate(database)
    rebuilding.rebuild_if_lost(database)


def _check_ours(database: Database) -> None:
    """An empty database under the right key is not a fresh start."""
    if migrations.version(database) == 0:
        raise DatabaseEmpty(database.path)
    if database.value("PRAGMA application_id") != _APPLICATION_ID:
        raise DatabaseDamaged(database.path)
