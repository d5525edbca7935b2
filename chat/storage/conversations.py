"""Conversations: one with each contact, and groups.

Rules: ids come from the protocol, numbers are local and never leave; a conversation goes with all
its entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from chat.storage.database import Database
from chat.storage.errors import StorageMisuse
from chat.storage.forgetting import forget

TWO: Final = 1
GROUP: Final = 2

_COLUMNS = "SELECT number, id, kind, contact FROM conversations"


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """`kind` is TWO or GROUP; `contact` is the other person of a TWO."""

    number: int
    id: bytes
    kind: int
    contact: bytes | None


def ensure(db: Database, conversation: bytes, kind: int, contact: bytes | None) -> int:
    """The number of a conversation, made if it is not there."""
    found = find_number(db, conversation)
    if found is not None:
        return found
    return db.insert(
        "INSERT INTO conversations (id, kind, contact) VALUES (?, ?, ?)", conversation, kind, contact
    )


def get(db: Database, conversation: bytes) -> ConversationRow | None:
    """A conversation by its id."""
    found = db.row(f"{_COLUMNS} WHERE id = ?", conversation)
    return None if found is None else ConversationRow(*found)


def with_contact(db: Database, person: bytes) -> ConversationRow | None:
    """The conversation of two with this person."""
    found = db.row(f"{_COLUMNS} WHERE contact = ? AND kind = ?", person, TWO)
    return None if found is None else ConversationRow(*found)


def all(db: Database) -> list[ConversationRow]:
    """All conversations, oldest first."""
    return [ConversationRow(*found) for found in db.rows(f"{_COLUMNS} ORDER BY number")]


def spoken_to(db: Database, terminal: bytes) -> list[bytes]:
    """The persons that this terminal wrote to, the last one first: by arrival here, times are claims."""
    rows = db.rows(
        "SELECT contact, (SELECT e.number FROM entries AS e WHERE e.conversation = c.number"
        " AND e.author = (SELECT number FROM terminals WHERE terminal = ?)"
        " ORDER BY e.sequence DESC LIMIT 1) AS newest FROM conversations AS c"
        " WHERE contact IS NOT NULL AND newest IS NOT NULL ORDER BY newest DESC",
        terminal,
    )
    return [row[0] for row in rows]


def find_number(db: Database, conversation: bytes) -> int | None:
    """The number of a conversation, None where it is not there."""
    found = db.value("SELECT number FROM conversations WHERE id = ?", conversation)
    return None if found is None else int(found)


def number_of(db: Database, conversation: bytes) -> int:
    """The number of a conversation. Raises StorageMisuse where it is not there."""
    found = find_number(db, conversation)
    if found is None:
        raise StorageMisuse("no such conversation: see conversations.ensure")
    return found


def remove(db: Database, number: int) -> None:
    """Delete a conversation with everything in it; `forgetting.clean` then takes it from the file."""
    ours = "(SELECT number FROM entries WHERE conversation = ?)"
    forget(db, f"rowid IN {ours}", number)
    db.run(f"DELETE FROM edges WHERE parent IN {ours}", number)
    for table in ("missing", "tips", "heads", "unread"):
        db.run(f"DELETE FROM {table} WHERE conversation = ?", number)
    for table in ("receipts", "bodies"):
        db.run(f"DELETE FROM {table} WHERE entry IN {ours}", number)
    db.run("DELETE FROM entries WHERE conversation = ?", number)
    db.run("DELETE FROM conversations WHERE number = ?", number)
