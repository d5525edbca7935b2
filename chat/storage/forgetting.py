"""Takes words out of the index for good (attack 75).

Rules: rows go only through here. FTS5's own secure deletion cleans the segments, but leaves the first term of
a page in the table of pages, and its merges may keep the marks of what was deleted: only an index that is
written anew from its rows says nothing of what was in the old one.
"""

from __future__ import annotations

from chat.storage.database import Database


def forget(db: Database, rows: str, *values: object) -> None:
    """Delete rows of the index (by a condition on `rowid`) and write it anew: 8 s a million entries left.

    `Database.scrub` then cleans the file, which takes longer still.
    """
    # Secure deletion costs 0.3 ms each row and is not needed: nothing of the old index stays.
    db.run("INSERT INTO search (search, rank) VALUES ('secure-delete', 0)")
    if db.run(f"DELETE FROM search WHERE {rows}", *values):
        db.run("INSERT INTO search (search) VALUES ('rebuild')")
    db.run("INSERT INTO search (search, rank) VALUES ('secure-delete', 1)")
