"""What is sent for repair: bodies to ask a terminal for, and entries that a peer lacks (SPEC §11.4)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from chat.storage.database import Database
from chat.storage.entries import HeadRow, Position, check_header
from protocol.messages import ENTRY_HEADER

_WANTED: Final = (
    " FROM entries AS e"
    " WHERE e.number IN (SELECT entry FROM headers_alone EXCEPT SELECT entry FROM quarantine)"
    " AND e.conversation = (SELECT number FROM conversations WHERE id = ?1)"
    " AND NOT EXISTS (SELECT 1 FROM headers_alone WHERE entry = e.number"
    " AND terminal = (SELECT number FROM terminals WHERE terminal = ?2))"
)
"""Entries with a missing body that a terminal did not pass without it."""


def wanted(db: Database, conversation: bytes, terminal: bytes) -> list[tuple[HeadRow, HeadRow | None]]:
    """Of each author the first entries with a missing body that `terminal` did not pass without it.

    Each comes with the held entry before it. Later ones follow from the first (protocol.history.asking).
    """
    found: list[tuple[HeadRow, HeadRow | None]] = []
    first = f"SELECT e.author, min(e.sequence){_WANTED} GROUP BY e.author ORDER BY min(e.number)"
    for author, sequence in db.rows(first, conversation, terminal):
        these = f"SELECT e.id, e.header{_WANTED} AND e.author = ?3 AND e.sequence = ?4 ORDER BY e.number"
        identity = db.value("SELECT terminal FROM terminals WHERE number = ?", author)
        for entry, header in db.rows(these, conversation, terminal, author, sequence):
            # The table of edges has no way from an entry to the one before it.
            previous = ENTRY_HEADER.decode(header).previous
            before = db.row(
                "SELECT e.sequence FROM entries AS e WHERE e.id = ? AND e.author = ?"
                " AND e.conversation = (SELECT number FROM conversations WHERE id = ?)",
                *(previous, author, conversation),
            )
            held = None if before is None else HeadRow(identity, before[0], previous)
            found.append((HeadRow(identity, sequence, entry), held))
    return found


def place(db: Database, entry: bytes) -> tuple[int, bytes] | None:
    """Sequence and `previous` of an entry, None if it is not held."""
    found = db.row("SELECT sequence, header FROM entries WHERE id = ?", entry)
    if found is None:
        return None
    sequence, header = found
    check_header(db, entry, header)
    return sequence, ENTRY_HEADER.decode(header).previous


def in_order(db: Database, ids: Iterable[bytes]) -> list[bytes]:
    """Those of some ids that are held, in the order of the conversation. No entry is read whole."""
    found, asked = list[Position](), iter(ids)
    while some := tuple(islice(asked, _IDS_MAX)):
        found += db.rows(f"SELECT rank, id FROM entries WHERE id IN ({','.join('?' * len(some))})", *some)
    return [entry for _, entry in sorted(found)]


_IDS_MAX: Final = 256
"""Values that one query asks for."""
