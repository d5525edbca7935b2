"""`parlour` with one violation: `python -m tests.crash.planted NAME ARGUMENTS…`.

Each is a mistake that a change could make. test_planted.py shows that every one is found.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from chat.cli.__main__ import main
from chat.interface import EntryAdded, EntryView, RestoreView
from chat.service import restore, restoring
from chat.service.expiry import Expirer
from chat.service.messages import Messages
from chat.storage import database, entries, folder, keys, migrations, new_file, profile, secure_deletion
from chat.storage.database import Database
from chat.storage.errors import StorageFailure
from chat.storage.expiry import EXPIRED
from protocol.entries_and_receipts import ParsedEntry
from tests.support.engines.planted import receipt_before_commit
from tests.support.storage import later


def folder_not_synced() -> None:
    """A rename is not made durable."""
    folder.sync_folder = lambda folder: None


def not_synchronous() -> None:
    """A commit does not wait for the disk."""
    settings = dict(database._PRAGMAS) | {"synchronous = FULL": None, "synchronous": None}
    settings["synchronous = OFF"] = None
    database._PRAGMAS = tuple(settings.items())  # type: ignore[assignment,misc]


def commit_not_awaited() -> None:
    """`send` returns while the entry is still to be stored."""

    async def send(
        self: Messages, person: bytes, text: str, reply: bytes = b"", send_id: str = "", client: str = ""
    ) -> EntryView:
        def drafted(database: Database) -> ParsedEntry:
            database.rows("BEGIN IMMEDIATE")
            entry = self._append(database, person, text, reply, send_id, client)
            database.rows("ROLLBACK")
            return entry

        entry, own = await self._store.read(drafted), self._keyring.own.terminal
        store = self._store.write(entries.insert_all, [entry], own, contact=person)
        self._runtime.tasks.spawn(store)
        view = self._views.added(person, entry)
        self._bus.publish(EntryAdded(view))
        self._sync.send(person, entry)
        return view

    Messages.send = send  # type: ignore[method-assign]


def header_in_place() -> None:
    """The header is written over the one that is there."""

    def overwrite(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    folder.replace_private = overwrite


def rename_denied() -> None:
    """A rename that may be undone counts as one that did not happen."""

    def denied(path: Path) -> None:
        folder.sync_folder(path.parent)

    folder._sync_name = denied


def failure_swallowed() -> None:
    """A transaction that fails passes for one that is stored."""
    transaction = Database.transaction

    @contextmanager
    def quiet(self: Database) -> Iterator[None]:
        try:
            with transaction(self):
                yield
        except StorageFailure:
            pass

    Database.transaction = quiet  # type: ignore[method-assign]


def dies_of_a_failure() -> None:
    """A failure of the disk ends the engine."""
    transaction = Database.transaction

    @contextmanager
    def fatal(self: Database) -> Iterator[None]:
        try:
            with transaction(self):
                yield
        except StorageFailure:
            os._exit(1)

    Database.transaction = fatal  # type: ignore[method-assign]


def not_cleaned() -> None:
    """Deleted content stays in the file: SQLite does not overwrite it, and no cleaning follows."""

    def forgotten(db: Database) -> Iterator[float]:
        with db.transaction():
            db.run("DELETE FROM cleaning")
        return iter(())

    secure_deletion.clean_in_steps = forgotten
    settings = [pragma for pragma in database._PRAGMAS if pragma[0] != "secure_delete = ON"]
    database._PRAGMAS = (*settings, ("secure_delete = OFF", 0))  # type: ignore[assignment,misc]


def migrated_in_pieces() -> None:
    """Each statement of a migration is stored for itself."""
    later.install()

    def piecemeal(db: Database) -> None:
        for migration in migrations.known()[migrations.version(db) :]:
            for statement in migrations.statements(migration.sql):
                with db.transaction():
                    db.run(statement)
            with db.transaction():
                db.run(
                    "INSERT INTO migrations (version, name) VALUES (?, ?)", migration.version, migration.name
                )
                db.run(f"PRAGMA user_version = {migration.version:d}")

    migrations.migrate = piecemeal  # type: ignore[assignment]


def header_first() -> None:
    """The header of a new profile has its name before the database has."""
    profile.NEW_HEADER = folder.HEADER  # type: ignore[attr-defined]


def tombstone_after_the_row() -> None:
    """A delete for everyone destroys the entry here, and is then written as an entry."""
    delete_for_all = Messages.delete_for_all

    async def in_two(self: Messages, person: bytes, entry: bytes) -> EntryView:
        await self._store.write(entries.destroy, entry)
        return await delete_for_all(self, person, entry)

    Messages.delete_for_all = in_two  # type: ignore[method-assign]


def end_forgotten_first() -> None:
    """The end of an entry is forgotten in one transaction, and its content destroyed in the next."""

    def forgotten(database: Database, age: int) -> list[int]:
        numbers = [number for (number,) in database.rows("SELECT entry FROM expiring WHERE due <= ?", age)]
        database.run("DELETE FROM expiring WHERE due <= ?", age)
        return numbers

    async def in_two(self: Expirer) -> bool:
        if numbers := await self._store.write(forgotten, self.moment().age):
            await self._store.write(secure_deletion.destroy_all, numbers, EXPIRED)
            self._cleaner.begin()
        return False

    Expirer._end_some = in_two  # type: ignore[method-assign]


def backup_not_synced() -> None:
    """A backup gets its name before it is on the disk."""
    new_file.NewFile.end = lambda self: self._file.flush()  # type: ignore[method-assign]


def backup_in_place() -> None:
    """A backup is written under its own name."""
    new_file._UNFINISHED = ""  # type: ignore[misc]
    new_file.NewFile.finish = lambda self, others=(): self._file.close()  # type: ignore[method-assign]


def history_afterwards() -> None:
    """A restored profile is complete before the history is in it."""
    restored, written = restoring.restore_new, restore._apply

    def in_two(folder: Path, passphrase: str, asked: restoring.Asked, *given: Any) -> RestoreView:
        restore._apply = lambda *_: None
        restored(folder, passphrase, asked, *given)
        restore._apply = written
        return restoring.restore_into(folder, passphrase, asked, *given)

    restoring.restore_new = in_two  # type: ignore[assignment]


def words_not_erased() -> None:
    """The recovery words are erased in memory only."""
    keys.erase_recovery_seed = lambda db: None


LOG: Final = "history.db-wal"


@dataclass(frozen=True)
class Plant:
    """A violation, and where it is found: a flow, a fault and its calls, or none; and the law."""

    plant: Callable[[], Any]
    flow: str
    law: str
    fault: str = ""
    call: str = ""
    file: str = ""


PLANTED: Final[dict[str, Plant]] = {
    "folder not synced": Plant(folder_not_synced, "init", "durable"),
    "not synchronous": Plant(not_synchronous, "send", "durable"),
    "commit not awaited": Plant(commit_not_awaited, "send", "kept", "EIO", "pwrite64", LOG),
    "receipt before commit": Plant(
        partial(receipt_before_commit, 0.5), "receive", "kept", "kill", "pwrite64", LOG
    ),
    "header in place": Plant(header_in_place, "passphrase", "opens", "kill", "write", "header"),
    "rename denied": Plant(rename_denied, "passphrase", "truth", "EIO", "fsync", "."),
    "failure swallowed": Plant(failure_swallowed, "recovery use", "kept", "ENOSPC", "pwrite64", LOG),
    "dies of a failure": Plant(dies_of_a_failure, "receive", "lives", "EIO", "pwrite64", LOG),
    "not cleaned": Plant(not_cleaned, "delete", "erased"),
    "migrated in pieces": Plant(migrated_in_pieces, "migrate", "opens", "kill", "fsync", LOG),
    "header first": Plant(header_first, "init", "opens", "kill", "rename", "unfinished.db"),
    "tombstone after the row": Plant(
        tombstone_after_the_row, "delete for all", "settles", "kill", "fsync", LOG
    ),
    "delete receipted before commit": Plant(
        partial(receipt_before_commit, 0.5), "delete for all, contact", "kept", "kill", "pwrite64", LOG
    ),
    "end forgotten first": Plant(end_forgotten_first, "expire", "expired", "kill", "fsync", LOG),
    "backup not synced": Plant(backup_not_synced, "backup", "durable"),
    "backup in place": Plant(backup_in_place, "backup", "whole", "kill", "write", "../next.backup"),
    "history afterwards": Plant(history_afterwards, "restore", "kept", "kill", "fsync", LOG),
    "restored in vain": Plant(
        failure_swallowed, "restore, into an old copy", "kept", "ENOSPC", "pwrite64", LOG
    ),
    "words not erased": Plant(words_not_erased, "recovery confirm", "kept"),
    "pairing stored in vain": Plant(failure_swallowed, "pairing, joiner", "kept", "ENOSPC", "fsync", LOG),
}


if __name__ == "__main__":
    PLANTED[sys.argv.pop(1)].plant()
    main()
