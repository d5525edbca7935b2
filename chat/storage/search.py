"""Full-text search in the entries held."""

from __future__ import annotations

import unicodedata
from typing import Final

from chat.storage import contacts
from chat.storage.database import Database
from chat.storage.entries import COLUMNS, CONVERSATION, PRIVATE, EntryRow, read_row, spaced

WORDS_MAX: Final = 32  # words of a query; further ones are ignored
_QUOTE: Final = '"'


def find(db: Database, words: str, *, conversation: bytes | None = None, limit: int = 100) -> list[EntryRow]:
    """The latest `limit` entries to arrive that contain all words, oldest first."""
    number = None
    if conversation is not None and (number := contacts.find_conversation_number(db, conversation)) is None:
        return []
    asked = expression(words, number)
    if not asked:
        return []
    numbers = db.rows(
        "SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid DESC LIMIT ?", asked, limit
    )
    found = [
        read_row(db, row) for (held,) in numbers for row in db.rows(f"{COLUMNS} WHERE e.number = ?", held)
    ]
    return sorted(found, key=lambda row: row.position)


def expression(words: str, conversation: int | None = None) -> str:
    """The FTS5 query for all words, each as a phrase, optionally in the conversation with this number.

    Empty if there is no word.
    """
    phrases = (" ".join(spaced(word).split()) for word in words.split()[:WORDS_MAX])
    query = [
        f'"{phrase.replace(_QUOTE, " ")}"'
        for phrase in phrases
        if any(unicodedata.category(character)[0] in "LN" or character == PRIVATE for character in phrase)
    ]
    if query and conversation is not None:
        query.append(f'"{CONVERSATION}{conversation}"')
    return " ".join(query)
