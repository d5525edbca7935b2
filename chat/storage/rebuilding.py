"""Computes everything derived anew from entries and receipts.

Rules: the result is what inserting the same entries in any order gives; facts are only read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chat.storage import order
from chat.storage.database import Database, Row
from chat.storage.entries import indexed
from chat.storage.receipts import READ
from protocol.entries import KIND_TEXT, read_text
from protocol.errors import ProtocolError
from protocol.messages import ENTRY_HEADER

_CHUNK: Final = 1_000


def rebuild_if_lost(db: Database) -> bool:
    """Rebuild where there are entries and nothing derived from them; tells whether it was needed."""
    lost = db.value(
        "SELECT EXISTS (SELECT 1 FROM entries) AND NOT"
        " (EXISTS (SELECT 1 FROM tips) AND EXISTS (SELECT 1 FROM heads))"
    )
    if lost:
        with db.transaction():
            rebuild(db)
    return bool(lost)


def rebuild(db: Database) -> None:
    """Recompute graph, ranks, tips, heads, unread and the index of words. A minute a million entries."""
    for table in ("edges", "missing", "tips", "heads", "unread", "search"):
        db.run(f"DELETE FROM {table}")
    db.run("UPDATE entries SET rank = time")
    for number, entry, conversation, author, header in _all(db):
        node = order.Node(number, conversation, author)
        order.add(db, node, entry, ENTRY_HEADER.decode(header))
        _index(db, number, conversation)
    _find_unread(db)


def _all(db: Database) -> Iterator[Row]:
    """Every entry by number, some at a time."""
    last = 0
    while rows := db.rows(
        "SELECT number, id, conversation, author, header FROM entries"
        " WHERE number > ? ORDER BY number LIMIT ?",
        last,
        _CHUNK,
    ):
        yield from rows
        last = rows[-1][0]


def _index(db: Database, number: int, conversation: int) -> None:
    body = db.value(
        "SELECT b.body FROM bodies AS b JOIN entries AS e ON e.number = b.entry"
        " WHERE b.entry = ? AND e.kind = ? AND NOT e.destroyed",
        number,
        KIND_TEXT,
    )
    if body is not None:
        text = indexed(_text(body), conversation)
        db.run("INSERT INTO search (rowid, text) VALUES (?, ?)", number, text)


def _text(body: bytes) -> str:
    """What a body says; nothing where it is not a text's (kept for its author's chain, never shown)."""
    try:
        return read_text(body).text
    except ProtocolError:
        return ""


def _find_unread(db: Database) -> None:
    """Entries that no own terminal wrote or has read, and that were not deleted here."""
    own = (
        "(SELECT number FROM terminals WHERE terminal IN (SELECT terminal FROM own)"
        " OR person IN (SELECT person FROM own))"
    )
    db.run(
        "INSERT INTO unread (entry, conversation) SELECT number, conversation FROM entries AS e"
        f" WHERE author NOT IN {own} AND NOT destroyed AND NOT EXISTS"
        f" (SELECT 1 FROM receipts WHERE entry = e.number AND kind >= ? AND terminal IN {own})",
        READ,
    )
