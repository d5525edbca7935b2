"""Secure deletion from the full-text index and from the database file (attack 75).

FTS5's secure-delete leaves the first term of each page in its page table, and merges may keep traces of
deleted rows. So every deletion marks the file as unclean, and `clean_file` rebuilds the index and vacuums.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from chat.storage.database import Database


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
    with db.transaction():
        db.run("DELETE FROM cleaning")
    return True


# --- The form in which text is indexed and looked for ---

_APART: Final = re.compile(
    "["
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Myanmar, Khmer
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"  # Hangul: particles hang on the word
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u312f\u3190-\u31ff"  # radicals, kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # CJK ideographs
    "]"
)

# The tokenizer's tables are of Unicode 6.1 and call these separators: they become words of a form that no
# text has, a private-use character and the code point.
_SPELLED: Final = re.compile("[\u2190-\u2bff\U00010000-\U0010ffff]")
PRIVATE: Final = "\ue000"
CONVERSATION: Final = f"{PRIVATE}t"
"""Begins the word that names a conversation by its number: a form that no text has."""


def spaced(text: str) -> str:
    """Text as the index holds it: compatibility forms and case made one, single words apart."""
    if text.isascii():  # which has one form only, and no word to set apart
        return text.lower().replace("\x00", " ")
    plain = unicodedata.normalize("NFKC", text).casefold().replace(PRIVATE, " ").replace("\x00", " ")
    return _SPELLED.sub(_spell, _APART.sub(r" \g<0> ", plain))


def indexed(text: str, conversation: int) -> str:
    """A row of the index: the text, and a word that names the conversation."""
    return f"{spaced(text)} {CONVERSATION}{conversation}"


def _spell(match: re.Match[str]) -> str:
    return f" {PRIVATE}{ord(match[0]):x} "
