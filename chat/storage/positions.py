"""Reads from a position of a conversation on, in its order (SPEC §11.3)."""

from __future__ import annotations

from chat.storage.database import Database
from chat.storage.entries import BEGINNING, COLUMNS, SHOWN, EntryRow, Position, read_row


def page_after(db: Database, conversation: bytes, limit: int, position: Position) -> list[EntryRow]:
    """The oldest `limit` entries after a position, oldest first."""
    found = db.rows(
        f"{COLUMNS} WHERE e.conversation = (SELECT number FROM conversations WHERE id = ?)"
        f" AND e.{SHOWN} AND (e.rank, e.id) > (?, ?) ORDER BY e.rank, e.id LIMIT ?",
        conversation,
        *position,
        limit,
    )
    return [read_row(db, row) for row in found]


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
    # No rank is below its entry's time, so that the order's index leads near the place.
    found: bytes | None = db.value(
        "SELECT id FROM entries WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
        f" AND {SHOWN} AND rank >= ? AND time >= ? ORDER BY rank, id LIMIT 1",
        conversation,
        time,
        time,
    )
    return found
