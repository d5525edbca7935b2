"""Clears conversations piece by piece: the content of all entries is deleted, their places stay."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from chat.storage.amending import Follower
from chat.storage.database import Database
from chat.storage.secure_deletion import at_once, destroy_all
from protocol.entries_and_receipts import LASTING

PIECE: Final = 512
"""Entries, of any conversation, that one piece of work passes: some milliseconds, for which users wait."""

DELETED: Final = 1
"""What `entries.destroyed` says of a deleted entry."""


class Cleared(Struct, frozen=True):
    """A piece of clearing a conversation: steps done and in all.

    `contact` is the contact's person id, this person's for the notes.
    """

    contact: bytes
    conversation: bytes
    done: int
    total: int


def begin(db: Database, conversation: bytes) -> None:
    """Clear what is held of a conversation now. What comes later stays."""
    db.run(
        "INSERT OR REPLACE INTO clearing (conversation, first, done, last)"
        " SELECT c.number, min(e.number), min(e.number) - 1, max(e.number) FROM conversations AS c"
        " JOIN entries AS e ON e.conversation = c.number WHERE c.id = ? GROUP BY c.number",
        conversation,
    )


def next_piece(db: Database) -> Cleared | None:
    """Clear the next piece; None if nothing is due. Cuts and timers stay: they hold for other entries."""
    found = db.row(
        "SELECT k.conversation, ifnull(c.contact, (SELECT person FROM own)), c.id, k.first, k.done, k.last"
        " FROM clearing AS k JOIN conversations AS c ON c.number = k.conversation"
        " ORDER BY k.conversation LIMIT 1"
    )
    if found is None:
        return None
    number, contact, conversation, first, before, last = found
    done = min(before + PIECE, last)
    kept = ",".join(map(str, sorted(LASTING)))
    rows = db.rows(
        "SELECT number FROM entries WHERE number > ? AND number <= ? AND conversation = ?"
        f" AND NOT destroyed AND kind NOT IN ({kept}) ORDER BY number",
        *(before, done, number),
    )
    numbers = [row[0] for row in rows]
    if (count := at_once(db, numbers)) < len(numbers):
        numbers, done = numbers[:count], numbers[count - 1]
    if numbers:
        destroy_all(db, numbers, DELETED)
        Follower(db).gone(numbers)  # what an edit names may come later, and then stays
    if done < last:
        db.run("UPDATE clearing SET done = ? WHERE conversation = ?", done, number)
    else:
        db.run("DELETE FROM clearing WHERE conversation = ?", number)
    return Cleared(contact, conversation, done - first + 1, last - first + 1)
