"""Finding entries by their words.

Rules: all words must occur; what is found is what this terminal holds, nothing is asked of anybody.
"""

from __future__ import annotations

from chat.storage import conversations
from chat.storage import words as form
from chat.storage.database import Database
from chat.storage.entries import COLUMNS, EntryRow, read_row


def find(db: Database, words: str, *, conversation: bytes | None = None, limit: int = 100) -> list[EntryRow]:
    """The `limit` entries that arrived last and hold all the words, oldest first."""
    number = None
    if conversation is not None and (number := conversations.find_number(db, conversation)) is None:
        return []
    expression = form.expression(words, number)
    if not expression:
        return []
    numbers = db.rows(
        "SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid DESC LIMIT ?", expression, limit
    )
    found = [
        read_row(db, row) for (held,) in numbers for row in db.rows(f"{COLUMNS} WHERE e.number = ?", held)
    ]
    return sorted(found, key=lambda row: row.position)
