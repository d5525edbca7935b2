"""Finding entries by their words.

Rules: all words must occur; what is found is what this terminal holds, nothing is asked of anybody.
"""

from __future__ import annotations

from chat.storage import words as form
from chat.storage.database import Database
from chat.storage.entries import COLUMNS, EntryRow, read_row


def find(db: Database, words: str, *, conversation: bytes | None = None, limit: int = 100) -> list[EntryRow]:
    """The `limit` entries that arrived last and hold all the words, oldest first."""
    expression = form.expression(words)
    if not expression:
        return []
    numbers = (
        _everywhere(db, expression, limit)
        if conversation is None
        else _in(db, expression, conversation, limit)
    )
    found = [
        read_row(db, row) for number in numbers for row in db.rows(f"{COLUMNS} WHERE e.number = ?", number)
    ]
    return sorted(found, key=lambda row: row.position)


def _everywhere(db: Database, expression: str, limit: int) -> list[int]:
    rows = db.rows(
        "SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid DESC LIMIT ?", expression, limit
    )
    return [row[0] for row in rows]


def _in(db: Database, expression: str, conversation: bytes, limit: int) -> list[int]:
    rows = db.rows(
        "SELECT s.rowid FROM search AS s CROSS JOIN entries AS e ON e.number = s.rowid"
        " WHERE s.search MATCH ? AND e.conversation = (SELECT number FROM conversations WHERE id = ?)"
        " ORDER BY s.rowid DESC LIMIT ?",
        expression,
        conversation,
        limit,
    )
    return [row[0] for row in rows]
