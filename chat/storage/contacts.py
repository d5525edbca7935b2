"""Contacts: persons whom this person has paired with, or is about to.

Rules: a pending contact is not shown and becomes one or goes; removing a contact takes everything of it, and
`forgetting.clean` afterwards takes what the file still held.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from chat.storage import conversations, forgetting, settings
from chat.storage.database import Database

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
    conversation = conversations.with_contact(db, person)
    if conversation is not None:
        conversations.remove(db, conversation.number)
    db.run(
        "DELETE FROM known_addresses WHERE terminal IN (SELECT terminal FROM terminals WHERE person = ?)",
        person,
    )
    db.run("DELETE FROM shares WHERE contact = ?", person)
    db.run("DELETE FROM operations WHERE person = ?", person)
    _forget_terminals(db, person)
    db.run("DELETE FROM contacts WHERE person = ?", person)
    forgetting.mark(db)


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
    person: bytes,
    name: str,
    petname: str,
    state: str,
    verified: int,
    blocked: int,
    held: int,
    since: int,
) -> ContactRow:
    return ContactRow(person, name, petname, state, bool(verified), bool(blocked), bool(held), since)
