"""Terminals by id and by key: what the reduction of person logs gives, and authors that entries name.

Rules: a row stays while an entry may name it; whether a terminal is live is the log's word, copied here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chat.storage.database import Database


@dataclass(frozen=True, slots=True)
class TerminalRow:
    """A terminal of a person: public keys of 32 bytes, and its depth in the log (seniority)."""

    person: bytes
    terminal: bytes
    signing: bytes
    static: bytes
    live: bool
    depth: int


def replace(db: Database, person: bytes, rows: Iterable[TerminalRow]) -> None:
    """Set what a person's log says now; terminals that it does not name are no longer live."""
    db.run("UPDATE terminals SET live = 0 WHERE person = ?", person)
    for row in rows:
        db.run(
            "INSERT INTO terminals (person, terminal, signing, static, live, depth) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (terminal) DO UPDATE SET person = excluded.person, signing = excluded.signing,"
            " static = excluded.static, live = excluded.live, depth = excluded.depth",
            person,
            row.terminal,
            row.signing,
            row.static,
            int(row.live),
            row.depth,
        )


def number_of(db: Database, terminal: bytes) -> int:
    """The row's number, made for a terminal that is not known yet."""
    found = db.value("SELECT number FROM terminals WHERE terminal = ?", terminal)
    if found is not None:
        return int(found)
    return db.insert("INSERT INTO terminals (terminal) VALUES (?)", terminal)
