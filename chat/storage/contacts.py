"""Contacts: persons whom this person has paired with, or is about to.

Rules: a pending contact is not shown and becomes one or goes; removing a contact takes everything of it,
and `forgetting.clean` afterwards takes what the file still held.

Conversations: one with each contact, and groups.

Rules: ids come from the protocol, numbers are local and never leave; a conversation goes with all
its entries.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from chat.storage import search_index, settings
from chat.storage.database import Database
from chat.storage.errors import StorageMisuse
from chat.storage.search_index import forget

TWO: Final = 1
GROUP: Final = 2

_CONVERSATIONS_COLUMNS = "SELECT number, id, kind, contact FROM conversations"


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """`kind` is TWO or GROUP; `contact` is the other person of a TWO."""

    number: int
    id: bytes
    kind: int
    contact: bytes | None


def ensure_conversation(db: Database, conversation: bytes, kind: int, contact: bytes | None) -> int:
    """The number of a conversation, made if it is not there."""
    found = find_conversation_number(db, conversation)
    if found is not None:
        return found
    return db.insert(
        "INSERT INTO conversations (id, kind, contact) VALUES (?, ?, ?)", conversation, kind, contact
    )


def conversation(db: Database, conversation: bytes) -> ConversationRow | None:
    """A conversation by its id."""
    found = db.row(f"{_CONVERSATIONS_COLUMNS} WHERE id = ?", conversation)
    return None if found is None else ConversationRow(*found)


def conversation_with(db: Database, person: bytes) -> ConversationRow | None:
    """The conversation of two with this person."""
    found = db.row(f"{_CONVERSATIONS_COLUMNS} WHERE contact = ? AND kind = ?", person, TWO)
    return None if found is None else ConversationRow(*found)


def conversations(db: Database) -> list[ConversationRow]:
    """All conversations, oldest first."""
    return [ConversationRow(*found) for found in db.rows(f"{_CONVERSATIONS_COLUMNS} ORDER BY number")]


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


def find_conversation_number(db: Database, conversation: bytes) -> int | None:
    """The number of a conversation, None where it is not there."""
    found = db.value("SELECT number FROM conversations WHERE id = ?", conversation)
    return None if found is None else int(found)


def conversation_number(db: Database, conversation: bytes) -> int:
    """The number of a conversation. Raises StorageMisuse where it is not there."""
    found = find_conversation_number(db, conversation)
    if found is None:
        raise StorageMisuse("no such conversation: see conversations.ensure")
    return found


def remove_conversation(db: Database, number: int) -> None:
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


PENDING: Final = "pending"
PAIRED: Final = "paired"

_COLUMNS = "SELECT person, name, petname, state, verified, blocked, held, since FROM contacts"


@dataclass(frozen=True, slots=True)
class ContactRow:
    """A contact. `name` is its own word, `petname` this person's or empty.

    `held`: its identity changed, and nothing is sent until this person confirms. `since` in milliseconds.
    """

    person: bytes
    name: str
    petname: str
    state: str
    verified: bool
    blocked: bool
    held: bool
    since: int
    shown: str = field(init=False)
    """What this person calls it (peer text unless there is a petname)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shown", self.petname or self.name)


def add(db: Database, row: ContactRow) -> None:
    """Keep a contact; the same person's row is replaced."""
    db.run(
        "INSERT OR REPLACE INTO contacts (person, name, petname, state, verified, blocked, held, since)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row.person,
        row.name,
        row.petname,
        row.state,
        int(row.verified),
        int(row.blocked),
        int(row.held),
        row.since,
    )


def get(db: Database, person: bytes) -> ContactRow | None:
    """A contact in any state."""
    found = db.row(f"{_COLUMNS} WHERE person = ?", person)
    return None if found is None else _row(*found)


def all(db: Database) -> list[ContactRow]:
    """The paired ones, by person id."""
    return _in_state(db, PAIRED)


def pending(db: Database) -> list[ContactRow]:
    """Those of an unfinished pairing, by person id."""
    return _in_state(db, PENDING)


def set_name(db: Database, person: bytes, name: str) -> None:
    """The name that the person's log has now."""
    db.run("UPDATE contacts SET name = ? WHERE person = ?", name, person)


def set_petname(db: Database, person: bytes, petname: str) -> None:
    """What this person calls the contact; empty for its own name."""
    db.run("UPDATE contacts SET petname = ? WHERE person = ?", petname, person)


def set_state(db: Database, person: bytes, state: str) -> None:
    """PENDING or PAIRED."""
    db.run("UPDATE contacts SET state = ? WHERE person = ?", state, person)


def set_verified(db: Database, person: bytes, on: bool) -> None:
    """Whether words or safety numbers were compared."""
    db.run("UPDATE contacts SET verified = ? WHERE person = ?", int(on), person)


def set_blocked(db: Database, person: bytes, on: bool) -> None:
    """Whether the contact is answered like a stranger."""
    db.run("UPDATE contacts SET blocked = ? WHERE person = ?", int(on), person)


def set_held(db: Database, person: bytes, on: bool) -> None:
    """Whether sending waits for this person to confirm a changed identity."""
    db.run("UPDATE contacts SET held = ? WHERE person = ?", int(on), person)


def drop_pending(db: Database, before: int) -> list[bytes]:
    """Remove the contacts that have been pending since before this time; returns who they were."""
    late = [row.person for row in pending(db) if row.since < before]
    for person in late:
        remove(db, person)
    return late


def remove(db: Database, person: bytes) -> None:
    """Forget a contact with its log, terminals, addresses, shares and the whole history with it.

    What the interface keeps of it goes too.
    """
    settings.forget_person(db, person)
    conversation = conversation_with(db, person)
    if conversation is not None:
        remove_conversation(db, conversation.number)
    db.run(
        "DELETE FROM known_addresses WHERE terminal IN (SELECT terminal FROM terminals WHERE person = ?)",
        person,
    )
    db.run("DELETE FROM shares WHERE contact = ?", person)
    db.run("DELETE FROM operations WHERE person = ?", person)
    _forget_terminals(db, person)
    db.run("DELETE FROM contacts WHERE person = ?", person)
    search_index.mark_unclean(db)


def _forget_terminals(db: Database, person: bytes) -> None:
    """Drop the person's terminals; of one whose entries stay in another conversation only the id is kept."""
    db.run(
        "DELETE FROM terminals WHERE person = ? AND NOT EXISTS (SELECT 1 FROM conversations AS c"
        " JOIN entries AS e ON e.conversation = c.number AND e.author = terminals.number)",
        person,
    )
    db.run(
        "UPDATE terminals SET person = NULL, signing = NULL, static = NULL, live = 0, depth = 0"
        " WHERE person = ?",
        person,
    )


def _in_state(db: Database, state: str) -> list[ContactRow]:
    return [_row(*found) for found in db.rows(f"{_COLUMNS} WHERE state = ? ORDER BY person", state)]


def _row(
    person: bytes, name: str, petname: str, state: str, verified: int, blocked: int, held: int, since: int
) -> ContactRow:
    return ContactRow(person, name, petname, state, bool(verified), bool(blocked), bool(held), since)
