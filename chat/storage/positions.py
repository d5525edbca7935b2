"""Reads from a position of a conversation on, in its order (SPEC §11.3)."""

from __future__ import annotations

from typing import Final

from chat.storage.contacts import NOTES
from chat.storage.database import Database
from chat.storage.entries import BEGINNING, COLUMNS, SHOWN, EntryRow, Position, read_row, unsaid_in_notes

ALL: Final = 2**63 - 1
"""As the highest number: every entry that is held."""


def page_after(db: Database, conversation: bytes, limit: int, position: Position) -> list[EntryRow]:
    """The oldest `limit` entries after a position, oldest first."""
    found = db.rows(
        f"{COLUMNS} WHERE e.conversation = (SELECT number FROM conversations WHERE id = ?)"
        f" AND e.{SHOWN} AND {unsaid_in_notes('e')} AND (e.rank, e.id) > (?, ?)"
        " ORDER BY e.rank, e.id LIMIT ?",
        conversation,
        *position,
        limit,
    )
    return [read_row(db, row) for row in found]


_PART: Final = (
    "SELECT number, rank, id FROM entries WHERE kind {} IN (3, 4, 6) AND (rank, id) > (?2, ?3)"
    " AND number <= ?4 AND conversation = (SELECT number FROM conversations WHERE id = ?1)"
    " ORDER BY rank, id LIMIT ?5"
)

EVERY: Final = (
    f"(SELECT * FROM ({_PART.format('NOT')}) UNION ALL SELECT * FROM ({_PART.format('')})"
    " ORDER BY rank, id LIMIT ?5)"
)
"""Number, rank and id of the next entries of a conversation, with deletes, edits and states.

Parameters: its id, rank and id of the position after which they come, the highest number, how many at most.
"""


def every_after(db: Database, conversation: bytes, limit: int, position: Position) -> list[EntryRow]:
    """The same with deletes and edits, without what they make of entries."""
    numbered = f"{COLUMNS} WHERE e.number IN (SELECT number FROM {EVERY}) ORDER BY e.rank, e.id"
    found = db.rows(numbered, conversation, *position, ALL, limit)
    return [read_row(db, (*row[:-1], None)) for row in found]


def place_before(db: Database, conversation: bytes, before: Position, entries: int) -> Position:
    """The position `entries` entries before another one, or the beginning."""
    found = db.row(
        "SELECT rank, id FROM entries WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
        f" AND {SHOWN} AND (rank, id) < (?, ?) ORDER BY rank DESC, id DESC LIMIT 1 OFFSET ?",
        conversation,
        *before,
        entries - 1,
    )
    return BEGINNING if found is None else (found[0], found[1])


def at_time(db: Database, conversation: bytes, time: int) -> bytes | None:
    """The id of the first entry, in order, whose time (milliseconds) is not before this one."""
    # No rank is below its entry's time, so that the order's index leads near the place. Notes know no time.
    row = db.row("SELECT number, kind FROM conversations WHERE id = ?", conversation)
    if row is None:
        return None
    number, kind = row
    found: bytes | None = db.value(
        f"SELECT e.id FROM entries AS e WHERE e.conversation = ? AND e.{SHOWN} AND {unsaid_in_notes('e')}"
        " AND e.rank >= ? AND e.time >= ? ORDER BY e.rank, e.id LIMIT 1",
        *(number, 0 if kind == NOTES else time, time),
    )
    return found
