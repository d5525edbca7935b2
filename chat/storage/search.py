"""Finding entries by their words.

Rules: all words must occur; what is found is what this terminal holds, nothing is asked of anybody.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from chat.storage import contacts
from chat.storage.database import Database
from chat.storage.entries import COLUMNS, CONVERSATION, PRIVATE, EntryRow, read_row, spaced

WORDS_MAX: Final = 32
"""Words of a query; more are not looked at."""

_QUOTE: Final = '"'


def find(db: Database, words: str, *, conversation: bytes | None = None, limit: int = 100) -> list[EntryRow]:
    """The `limit` entries that arrived last and hold all the words, oldest first."""
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
    """The FTS5 query for all these words, each as a phrase; empty where there is nothing to look for.

    `conversation` is the number of the one in which they are looked for.
    """
    phrases = (" ".join(spaced(word).split()) for word in words.split()[:WORDS_MAX])
    query = [f'"{phrase.replace(_QUOTE, " ")}"' for phrase in phrases if _has_word(phrase)]
    if query and conversation is not None:
        query.append(f'"{CONVERSATION}{conversation}"')
    return " ".join(query)


def _has_word(phrase: str) -> bool:
    return any(unicodedata.category(character)[0] in "LN" or character == PRIVATE for character in phrase)
