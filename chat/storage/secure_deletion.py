"""Secure deletion from the full-text index and from the database file (attack 75).

FTS5's secure-delete leaves the first term of each page in its page table, and merges may keep traces of
deleted rows. So every deletion marks the file as unclean, and `clean_file` rebuilds the index and vacuums.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from chat.storage.database import Database
from chat.storage.folder import drop_salvage, system_failures
from protocol.entries_and_receipts import KIND_EDIT


def forget(db: Database, rows: str, *values: object) -> None:
    """Delete any number of rows of the index by a condition on `rowid`, and mark the file as unclean."""
    # secure-delete costs 0.3 ms per row and is not needed, since the index is rebuilt.
    db.run("INSERT INTO search (search, rank) VALUES ('secure-delete', 0)")
    db.run(f"DELETE FROM search WHERE {rows}", *values)
    db.run("INSERT INTO search (search, rank) VALUES ('secure-delete', 1)")
    mark_unclean(db, words=True)


def forget_one(db: Database, number: int) -> None:
    """Delete one row of the index with secure-delete, and mark the file as unclean."""
    db.run("DELETE FROM search WHERE rowid = ?", number)
    mark_unclean(db, words=True)


def destroy_all(db: Database, numbers: Iterable[int], how: int) -> None:
    """Delete salt, body and words of entries by number and of their edits, keep their headers, and mark the
    file as unclean.

    `how`: what `entries.destroyed` says from now on. No body that comes later is taken.
    """
    some = json.dumps(list(numbers))
    chosen = "(SELECT value FROM json_each(?))"
    edits = db.rows(
        "SELECT a.entry FROM entries AS e JOIN amendments AS a ON a.target = e.id"
        f" JOIN entries AS x ON x.number = a.entry WHERE e.number IN {chosen} AND x.kind = {KIND_EDIT}"
        " AND NOT x.destroyed",
        some,
    )
    some = json.dumps([*json.loads(some), *(number for (number,) in edits)])
    db.run(f"UPDATE entries SET destroyed = ? WHERE number IN {chosen}", how, some)
    for table in ("unread", "headers_alone", "bodies", "amended", "expiring"):
        db.run(f"DELETE FROM {table} WHERE entry IN {chosen}", some)
    forget(db, f"rowid IN {chosen}", some)


def mark_unclean(db: Database, *, words: bool = False) -> None:
    """Mark the file as unclean after a deletion; `words` if the index was affected."""
    db.run(
        "INSERT INTO cleaning (id, words) VALUES (1, ?1)"
        " ON CONFLICT (id) DO UPDATE SET words = max(words, excluded.words)",
        int(words),
    )


def cleaning_is_due(db: Database) -> bool:
    """Whether the file may still contain deleted data."""
    return db.row("SELECT 1 FROM cleaning") is not None


def clean_file(db: Database, wanted: Callable[[], bool] = lambda: False) -> bool:
    """Remove deleted data from all pages and frames. False if the file was clean.

    Takes half a minute per million entries. Raises StorageGivenUp as soon as `wanted` returns true, and as
    `Database.scrub`. The file remains marked until everything is done.
    """
    words = db.value("SELECT words FROM cleaning")
    if words is None:
        return False
    with db.giving_way(wanted):
        if words:
            with db.transaction():
                db.run("INSERT INTO search (search) VALUES ('rebuild')")
                db.run("UPDATE cleaning SET words = 0")
        db.scrub()
    with system_failures():
        drop_salvage(db.path.parent)  # it holds what was deleted since
    with db.transaction():
        db.run("DELETE FROM cleaning")
    return True
