"""What the heads of a conversation ask of a terminal, and what answers those of another (SPEC §11.4)."""

from __future__ import annotations

from chat.storage import contacts, entries
from chat.storage.database import Database
from chat.storage.entries import HeadRow
from protocol.history import asking, lacking, named, on_page
from protocol.messages import Head, Heads


def wanted(db: Database, conversation: bytes, terminal: bytes) -> list[tuple[HeadRow, HeadRow | None]]:
    """Entries with a missing body that `terminal` did not pass without it, and the held entry before each."""
    rows = db.rows(
        "SELECT t.terminal, e.sequence, e.id, p.sequence, p.id FROM entries AS e"
        " JOIN terminals AS t ON t.number = e.author"
        " LEFT JOIN edges AS d ON d.child = e.number AND d.chain"
        " LEFT JOIN entries AS p ON p.number = d.parent"
        " WHERE e.number IN (SELECT entry FROM headers_alone EXCEPT SELECT entry FROM quarantine)"
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


def _held_heads(database: Database, conversation: bytes) -> list[Head]:
    """The heads to name of a conversation, sorted (SPEC §11.4)."""
    if contacts.conversation(database, conversation) is None:
        return []
    return named(_head(row) for row in entries.heads(database, conversation))


def asking_heads(database: Database, conversation: bytes, terminal: bytes) -> list[Head]:
    """The heads to name to a terminal, which ask for the bodies that it may have (SPEC §11.4)."""
    heads = [_head(row) for row in entries.heads(database, conversation)]
    if missing := wanted(database, conversation, terminal):
        heads = asking(heads, [(_head(row), _head(before) if before else None) for row, before in missing])
    return named(heads)


def _head(row: HeadRow) -> Head:
    return Head(row.author, row.sequence, row.id)


class _StoredChain:
    """protocol.history.Chain over the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        row = entries.get(self._database, entry)
        return None if row is None else (row.sequence, row.previous)


def lacking_at(database: Database, page: Heads) -> list[bytes]:
    """Entries of the page's authors that the heads of another terminal do not cover, in order."""
    mine = on_page(page, _held_heads(database, page.conversation))
    found = lacking([head.id for head in mine], [head.id for head in page.heads], _StoredChain(database))
    rows = [row for entry in found if (row := entries.get(database, entry)) is not None]
    return [row.id for row in sorted(rows, key=lambda row: row.position)]
