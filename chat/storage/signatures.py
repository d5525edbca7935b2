"""Signatures of own entries (SPEC §11.2, *Signatures*). They pass among own terminals alone."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from itertools import repeat
from typing import Final

from chat.storage import persons
from chat.storage.database import Database
from protocol.entries_and_receipts import ParsedEntry, Signed

_ADD: Final = (
    "INSERT INTO signatures (entry, terminal, signature, taken) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (entry) DO UPDATE"
    " SET terminal = excluded.terminal, signature = excluded.signature, taken = 0"
    " WHERE taken AND NOT excluded.taken"
)


def add(db: Database, new: Mapping[int, ParsedEntry]) -> None:
    """Store the signatures, which were checked, of entries by number. The author's goes before others."""
    numbers, rows = dict[bytes, int](), list[tuple[int, int, bytes, int]]()
    for number, entry in new.items():
        if (signed := entry.signed) is not None:
            if signed.terminal not in numbers:
                numbers[signed.terminal] = persons.terminal_number(db, signed.terminal)
            taken = int(signed.terminal != entry.header.author)
            rows.append((number, numbers[signed.terminal], signed.signature, taken))
    if rows:
        db.run_many(_ADD, rows)


def lack(db: Database, entries: Iterable[int], terminal: int = 0) -> None:
    """Own entries, by number, came without a signature, or a terminal (number) passed them so."""
    rows = zip(entries, repeat(terminal))
    db.run_many("INSERT OR IGNORE INTO unsigned (entry, terminal) VALUES (?, ?)", rows)


def wanted(db: Database, terminal: bytes) -> list[bytes]:
    """The conversations of which an own terminal (id) may have signatures that are missing here."""
    rows = db.rows(
        "SELECT DISTINCT c.id FROM unsigned AS u JOIN entries AS e ON e.number = u.entry"
        " JOIN conversations AS c ON c.number = e.conversation WHERE u.terminal = 0"
        " AND u.entry NOT IN (SELECT entry FROM claims WHERE NOT own)"
        " AND u.entry NOT IN (SELECT entry FROM unsigned"
        " WHERE terminal = (SELECT number FROM terminals WHERE terminal = ?))",
        terminal,
    )
    return [conversation for (conversation,) in rows]


def of(db: Database, entries: Collection[int]) -> dict[int, Signed]:
    """The signatures of entries, by number."""
    rows = db.rows(
        "SELECT s.entry, t.terminal, s.signature FROM signatures AS s JOIN terminals AS t"
        " ON t.number = s.terminal WHERE s.entry IN (SELECT value FROM json_each(?))",
        json.dumps(list(entries)),
    )
    return {entry: Signed(terminal, signature) for entry, terminal, signature in rows}
