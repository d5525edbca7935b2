"""What comparisons of heads bring and confirm: missing bodies and uncovered entries (SPEC §11.2, §11.4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from chat.storage.database import Database
from chat.storage.entries import HeadRow, Stored
from protocol.entries import ParsedEntry
from protocol.messages import Head


def wanted(db: Database, conversation: bytes, terminal: bytes) -> list[tuple[HeadRow, HeadRow | None]]:
    """Entries with a missing body that `terminal` did not pass without it, and the held entry before each."""
    rows = db.rows(
        "SELECT t.terminal, e.sequence, e.id, p.sequence, p.id FROM entries AS e"
        " JOIN terminals AS t ON t.number = e.author"
        " LEFT JOIN edges AS d ON d.child = e.number AND d.chain"
        " LEFT JOIN entries AS p ON p.number = d.parent"
        " WHERE e.number IN (SELECT entry FROM headers_alone EXCEPT SELECT entry FROM quarantine"
        " EXCEPT SELECT entry FROM uncovered)"
        " AND e.conversation = (SELECT number FROM conversations WHERE id = ?)"
        " AND NOT EXISTS (SELECT 1 FROM headers_alone WHERE entry = e.number"
        " AND terminal = (SELECT number FROM terminals WHERE terminal = ?))"
        " ORDER BY e.number, p.number",
        *(conversation, terminal),
    )
    return [
        (HeadRow(author, sequence, entry), None if before is None else HeadRow(author, place, before))
        for author, sequence, entry, place, before in rows
    ]


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
