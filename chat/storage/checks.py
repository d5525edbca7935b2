"""Finds pages that are older than the others. SQLCipher accepts them: its code binds a place and no age.

An older page lacks rows, or has rows as they were. So facts are compared with their hashes, and derived
tables with facts. What does not agree is mended as damage is (`chat.storage.salvage`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from chat.storage import ordering
from chat.storage.contacts import NOTES
from chat.storage.database import Database, Row
from chat.storage.errors import PageStale
from chat.storage.removal import REMOVED
from protocol import labels
from protocol.entries_and_receipts import KIND_TIMER, READABLE
from protocol.messages import ENTRY_HEADER
from protocol.primitives import b2b

PIECE: Final = 128
"""Entries that one piece of work on the disk checks: some milliseconds, for which users wait."""

_OF_ENTRIES: Final = (
    *(("bodies", "entry"), ("tips", "entry"), ("heads", "entry"), ("unread", "entry")),
    *(("receipts", "entry"), ("edges", "parent"), ("raises", "entry"), ("headers_alone", "entry")),
    *(("let_go", "entry"), ("claims", "entry"), ("files", "entry"), ("signatures", "entry")),
)


def ends(db: Database) -> None:
    """Raise PageStale where another table knows entries after the last one. Takes a few milliseconds."""
    beyond = " OR ".join(f"(SELECT max({key}) FROM {table}) > l.last" for table, key in _OF_ENTRIES)
    if db.value(f"SELECT {beyond} FROM (SELECT ifnull(max(number), 0) AS last FROM entries) AS l"):
        raise PageStale(db.path)


_ROWS: Final = (
    "SELECT e.number, e.conversation, e.id, e.header, e.destroyed, b.salt, b.body,"
    " c.id, t.terminal, e.incarnation, e.sequence, e.time, e.kind,"
    " EXISTS (SELECT 1 FROM headers_alone WHERE entry = e.number),"
    " EXISTS (SELECT 1 FROM let_go WHERE entry = e.number),"
    " EXISTS (SELECT 1 FROM search WHERE rowid = e.number),"
    " EXISTS (SELECT 1 FROM tips WHERE entry = e.number),"
    " EXISTS (SELECT 1 FROM edges WHERE parent = e.number),"
    " EXISTS (SELECT 1 FROM heads WHERE entry = e.number),"
    " EXISTS (SELECT 1 FROM edges WHERE parent = e.number AND chain),"
    " EXISTS (SELECT 1 FROM edges AS d JOIN entries AS p ON p.number = d.parent WHERE d.child = e.number"
    "  AND p.conversation != e.conversation),"
    " EXISTS (SELECT 1 FROM expiring WHERE entry = e.number),"
    " EXISTS (SELECT 1 FROM timers WHERE entry = e.number),"
    f" {ordering.apart('e.number')}, e.conversation IN {REMOVED}"
    " FROM entries AS e LEFT JOIN conversations AS c ON c.number = e.conversation"
    " LEFT JOIN terminals AS t ON t.number = e.author LEFT JOIN bodies AS b ON b.entry = e.number"
    " WHERE e.number > ? ORDER BY e.number LIMIT ?"
)


def piece(db: Database, after: int) -> int | None:
    """Check the next entries by number; returns the last one's, None after the last. Raises PageStale."""
    rows = db.rows(_ROWS, after, PIECE)
    for row in rows:
        if not _agrees(db, row):
            raise PageStale(db.path)
    return int(rows[-1][0]) if rows else None


def _agrees(db: Database, row: Row) -> bool:
    number, conversation, entry, header, destroyed, salt, body, *more, removed = row
    columns, marks = tuple(more[:6]), more[6:]
    alone, gone, found, tip, named, head, followed, astray, ends, sets, apart = marks
    if b2b(header, personal=labels.ENTRY) != entry:
        return False
    if removed:
        return True
    fields = ENTRY_HEADER.decode(header)
    place = fields.conversation, fields.author, fields.incarnation, fields.sequence
    if columns != (*place, fields.time, fields.kind):
        return False
    if salt is not None and b2b(salt + body, personal=labels.CONTENT) != fields.content:
        return False
    # One of four: its body is held, missing, let go of, or deleted. Only a held text or file has words.
    if (salt is not None) + alone + gone + bool(destroyed) != 1 or found != (
        fields.kind in READABLE and salt is not None
    ):
        return False
    if (fields.timer and not destroyed and not ends) or (fields.kind == KIND_TIMER and salt and not sets):
        return False
    if apart:
        return not (tip or named or head or followed)
    return tip != named and head != followed and not astray and _is_linked(db, number, conversation, header)


def _is_linked(db: Database, number: int, conversation: int, header: bytes) -> bool:
    """Whether each entry that one names is held and has an edge to it, or is known to be missing."""
    for parent in ordering.named(ENTRY_HEADER.decode(header)):
        linked = db.value(
            "SELECT CASE WHEN p.number IS NULL"
            " THEN EXISTS (SELECT 1 FROM missing WHERE conversation = ?2 AND parent = ?3 AND child = ?1)"
            " ELSE EXISTS (SELECT 1 FROM edges WHERE parent = p.number AND child = ?1) END"
            f" FROM (SELECT 1) LEFT JOIN entries AS p ON p.id = ?3 AND p.conversation = ?2"
            f" AND NOT {ordering.apart('p.number')}",
            *(number, conversation, parent),
        )
        if not linked:
            return False
    return True


def structure(db: Database, wanted: Callable[[], bool]) -> None:
    """Check all tables and indexes. Raises PageStale, StorageGivenUp as soon as `wanted` says so."""
    with db.giving_way(wanted):
        if db.structure():
            raise PageStale(db.path)


def last_entry(db: Database) -> int:
    """The number of the last entry, 0 without any."""
    return int(db.value("SELECT ifnull(max(number), 0) FROM entries"))


class Census(Struct, frozen=True):
    """What a database holds, without notes; `missing` entries wait for their content."""

    pages: int
    entries: int
    missing: int


def census(db: Database) -> Census:
    """Count pages and entries."""
    shown = f"conversation NOT IN (SELECT number FROM conversations WHERE kind = {NOTES})"
    missing = (
        f"SELECT count(DISTINCT h.entry) FROM headers_alone AS h JOIN entries ON number = entry AND {shown}"
    )
    queries = "PRAGMA page_count", f"SELECT count(*) FROM entries WHERE {shown}", missing
    return Census(*(int(db.value(query)) for query in queries))
