"""What the heads of a conversation ask of a terminal, and what answers those of another (SPEC §11.4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice
from typing import Final

from chat.storage import contacts
from chat.storage.database import Database
from chat.storage.entries import HeadRow, Position, Stored, check_header
from protocol.entries_and_receipts import ParsedEntry
from protocol.history import asking, lacking, named, on_page
from protocol.messages import ENTRY_HEADER, Head, Heads

_IDS_MAX: Final = 256
"""Values that one query asks for."""

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


def held_heads(database: Database, conversation: bytes) -> list[Head]:
    """The heads to name of a conversation, sorted (SPEC §11.4)."""
    if contacts.conversation(database, conversation) is None:
        return []
    return named(_head(row) for row in heads(database, conversation))


def asking_heads(database: Database, conversation: bytes, terminal: bytes) -> list[Head]:
    """The heads to name to a terminal, which ask for the bodies that it may have (SPEC §11.4)."""
    held = [_head(row) for row in heads(database, conversation)]
    if missing := wanted(database, conversation, terminal):
        held = asking(held, [(_head(row), _head(before) if before else None) for row, before in missing])
    return named(held)


def _head(row: HeadRow) -> Head:
    return Head(row.author, row.sequence, row.id)


class _StoredChain:
    """protocol.history.Chain over the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        return place(self._database, entry)


def lacking_at(database: Database, page: Heads) -> list[bytes]:
    """Entries of the page's authors that the heads of another terminal do not cover, in order."""
    # It may be a whole history, so only ids and places are read here.
    mine = on_page(page, held_heads(database, page.conversation))
    chain = _StoredChain(database)
    return in_order(database, lacking([head.id for head in mine], [head.id for head in page.heads], chain))


# --- Uncovered entries ---

_COVERED_ENDS: Final = (
    "SELECT t.terminal, e.sequence, e.id FROM entries AS e JOIN terminals AS t ON t.number = e.author"
    " WHERE e.number IN ("
    "SELECT entry FROM heads WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
    " EXCEPT SELECT entry FROM uncovered"
    # What is covered may be followed by uncovered entries only.
    " UNION SELECT d.parent FROM uncovered AS u JOIN edges AS d ON d.child = u.entry AND d.chain"
    " JOIN entries AS p ON p.number = d.parent"
    " WHERE p.conversation = (SELECT number FROM conversations WHERE id = ?)"
    " AND d.parent NOT IN (SELECT entry FROM uncovered) AND NOT EXISTS (SELECT 1 FROM edges AS c"
    " WHERE c.parent = d.parent AND c.chain AND c.child NOT IN (SELECT entry FROM uncovered))"
    ") ORDER BY t.terminal, e.sequence, e.id"
)


def heads(db: Database, conversation: bytes) -> list[HeadRow]:
    """The ends of all authors' chains, ascending, as if uncovered entries were not held."""
    return [HeadRow(*row) for row in db.rows(_COVERED_ENDS, conversation, conversation)]


def doubt(db: Database, passed_on: Iterable[Stored], own: Collection[bytes]) -> None:
    """New entries that a terminal of this person passed on are uncovered, unless one of `own` wrote them."""
    doubted = [(one.number,) for one in passed_on if not one.filled and one.entry.header.author not in own]
    db.run_many("INSERT INTO uncovered (entry) VALUES (?)", doubted)


COVERED_AT_ONCE: Final = 4_096
"""Entries of a chain that one comparison of heads covers. The next one covers more."""

_COVER: Final = (
    "WITH RECURSIVE covered (entry) AS (SELECT entry FROM uncovered AS u WHERE EXISTS (SELECT 1 FROM edges"
    " WHERE parent = u.entry AND chain AND child NOT IN (SELECT entry FROM uncovered))"
    " UNION SELECT u.entry FROM covered AS c JOIN edges AS d ON d.child = c.entry AND d.chain"
    " JOIN uncovered AS u ON u.entry = d.parent LIMIT ?)"
    " DELETE FROM uncovered WHERE entry IN (SELECT entry FROM covered)"
)


def cover(db: Database, said: Iterable[Head | ParsedEntry]) -> None:
    """A contact has named these heads or passed these entries, and with them stands for what they lead to."""
    if not db.value("SELECT EXISTS (SELECT 1 FROM uncovered)"):
        return
    named = "DELETE FROM uncovered WHERE entry = (SELECT number FROM entries WHERE id = ?)"
    db.run_many(named, [(one.id,) for one in said])
    db.run(_COVER, COVERED_AT_ONCE)


def is_uncovered(db: Database, entry: int) -> bool:
    """Whether nothing but a terminal of this person says that the contact wrote this entry, by number."""
    return bool(db.value("SELECT EXISTS (SELECT 1 FROM uncovered WHERE entry = ?)", entry))
