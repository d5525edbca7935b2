"""Reads tables as they are stored, for checks of what the program writes and never asks for in this form."""

from __future__ import annotations

from dataclasses import dataclass

from chat.storage.database import Database
from chat.storage.keys import parted_ids
from chat.storage.persons import TerminalRow


@dataclass(frozen=True)
class SelfKeyRow:
    """A key that tags this person's own entries, and the log heads under which it was drawn."""

    number: int
    key: bytes
    heads: list[bytes]


def self_keys(database: Database) -> list[SelfKeyRow]:
    """All self keys, newest first."""
    rows = database.rows("SELECT number, key, heads FROM self_keys ORDER BY number DESC")
    return [SelfKeyRow(number, key, parted_ids(heads)) for number, key, heads in rows]


def terminals_of(database: Database, person: bytes) -> list[TerminalRow]:
    """A person's terminals, live or not, most senior first."""
    rows = database.rows(
        "SELECT person, terminal, signing, static, live, depth FROM terminals WHERE person = ?"
        " ORDER BY depth, terminal",
        person,
    )
    return [
        TerminalRow(person, terminal, signing, static, bool(live), depth)
        for person, terminal, signing, static, live, depth in rows
    ]


def missing(database: Database, conversation: bytes) -> list[bytes]:
    """Ids that held entries name and that are not held, ascending."""
    rows = database.rows(
        "SELECT DISTINCT parent FROM missing"
        " WHERE conversation = (SELECT number FROM conversations WHERE id = ?) ORDER BY parent",
        conversation,
    )
    return [row[0] for row in rows]
