"""Bodies that are missing, and from which terminal they may be asked for (SPEC §11.4)."""

from __future__ import annotations

from chat.storage.database import Database
from chat.storage.entries import HeadRow


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
