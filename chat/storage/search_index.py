"""Takes what was deleted out of the index of words, and then out of the file, for good (attack 75).

Rules: rows of the index go only through here; each deletion marks that a cleaning is due, and the mark goes
once no page or frame holds anything deleted. FTS5's own secure deletion cleans the segments, but leaves the
first term of a page in the table of pages, and its merges may keep the marks of what was deleted: only an
index that is written anew from its rows says nothing of what was in the old one.
"""

from __future__ import annotations

from collections.abc import Callable

from chat.storage.database import Database


def forget(db: Database, rows: str, *values: object) -> None:
    """Delete rows of the index (by a condition on `rowid`), any number; a cleaning is due."""
    # Secure deletion costs 0.3 ms each row and is not needed: nothing of the old index stays.
    db.run("INSERT INTO search (search, rank) VALUES ('secure-delete', 0)")
    db.run(f"DELETE FROM search WHERE {rows}", *values)
    db.run("INSERT INTO search (search, rank) VALUES ('secure-delete', 1)")
    mark_unclean(db, words=True)


def forget_one(db: Database, number: int) -> None:
    """Delete one row of the index, most of it from the file at once; a cleaning is due."""
    db.run("DELETE FROM search WHERE rowid = ?", number)
    mark_unclean(db, words=True)


def mark_unclean(db: Database, *, words: bool = False) -> None:
    """Something was deleted that no page may keep; `words`: the index had some of it."""
    db.run(
        "INSERT INTO cleaning (id, words) VALUES (1, ?1)"
        " ON CONFLICT (id) DO UPDATE SET words = max(words, excluded.words)",
        int(words),
    )


def cleaning_is_due(db: Database) -> bool:
    """Whether the file may hold something of what was deleted."""
    return db.row("SELECT 1 FROM cleaning") is not None


def clean_file(db: Database, wanted: Callable[[], bool] = lambda: False) -> bool:
    """Leave nothing of what was deleted in any page or frame; False where nothing was due.

    Half a minute a million entries. Gives way once something else is `wanted`, and raises StorageGivenUp
    then; raises as `Database.scrub` too. What is due stays marked until all is done.
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
    with db.transaction():
        db.run("DELETE FROM cleaning")
    return True
