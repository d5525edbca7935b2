"""Destroys the content of entries, and marks the file as unclean (`chat.storage.secure_deletion`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from chat.storage.database import Database

DESTROYED_BYTES: Final = 4_194_304
"""Bytes of bodies that one piece of work destroys: some ten milliseconds, for which users wait."""


def destroy_content(db: Database, numbers: Sequence[int], how: int) -> None:
    """Delete salt and body of entries by number, and keep their headers. Their words stay in the index.

    Every deletion comes by here: what is destroyed is in `Database.gone` until the transaction ends. `how`:
    what `entries.destroyed` says from now on. No body that comes later is taken.
    """
    some, chosen = json.dumps(numbers), "(SELECT value FROM json_each(?))"
    db.gone += [entry for (entry,) in db.rows(f"SELECT id FROM entries WHERE number IN {chosen}", some)]
    db.run(f"UPDATE entries SET destroyed = ? WHERE number IN {chosen}", how, some)
    for table in ("unread", "headers_alone", "bodies", "amended", "expiring", "let_go"):
        db.run(f"DELETE FROM {table} WHERE entry IN {chosen}", some)


def forget(db: Database, rows: str, *values: object) -> None:
    """Delete any number of rows of the index by a condition on `rowid`, and mark the file as unclean."""
    # secure-delete costs 0.3 ms per row and is not needed, since the index is merged.
    db.run("INSERT INTO search (search, rank) VALUES ('secure-delete', 0)")
    db.run(f"DELETE FROM search WHERE {rows}", *values)
    db.run("INSERT INTO search (search, rank) VALUES ('secure-delete', 1)")
    mark_unclean(db, words=True)


def forget_one(db: Database, number: int) -> None:
    """Delete one row of the index with secure-delete, and mark the file as unclean."""
    db.run("DELETE FROM search WHERE rowid = ?", number)
    mark_unclean(db)


def at_once(db: Database, numbers: Sequence[int]) -> int:
    """How many of these entries, by number, one piece of work may destroy with their edits: one at least."""
    size = (
        "SELECT (SELECT ifnull(sum(length(b.body)), 0) FROM bodies AS b WHERE b.entry = e.number)"
        " + (SELECT ifnull(sum(length(b.body)), 0) FROM amendments AS a JOIN bodies AS b ON b.entry = a.entry"
        " WHERE a.target = e.id) FROM entries AS e WHERE e.number = ?"
    )
    left = DESTROYED_BYTES
    for count, number in enumerate(numbers):
        left -= int(db.value(size, number))
        if left < 0:
            return max(1, count)
    return len(numbers)


def mark_unclean(db: Database, *, words: bool = False) -> None:
    """Mark the file as unclean after a deletion; `words` if deleted words are still in the index."""
    db.run(
        "INSERT INTO cleaning (id, words, marks) VALUES (1, ?1, 1) ON CONFLICT (id) DO UPDATE SET"
        " marks = marks + 1, words = CASE WHEN ?1 THEN marks + 1 ELSE words END",
        int(words),
    )
