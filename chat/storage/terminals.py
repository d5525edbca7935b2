"""Terminals by id and by key: what the reduction of person logs gives, and authors that entries name.

Rules: a row stays while an entry may name it; whether a terminal is live is the log's word, copied here so
that a stranger's key is found in one step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chat.storage.database import Database

_COLUMNS = "SELECT person, terminal, signing, static, live, depth FROM terminals"


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


def of(db: Database, person: bytes) -> list[TerminalRow]:
    """A person's terminals, live or not, most senior first."""
    return [
        _row(*found) for found in db.rows(f"{_COLUMNS} WHERE person = ? ORDER BY depth, terminal", person)
    ]


def get(db: Database, terminal: bytes) -> TerminalRow | None:
    """A terminal of any log that is held."""
    found = db.row(f"{_COLUMNS} WHERE terminal = ? AND person IS NOT NULL", terminal)
    return None if found is None else _row(*found)


def find_static(db: Database, static: bytes) -> TerminalRow | None:
    """The live terminal with this X25519 key."""
    found = db.row(f"{_COLUMNS} WHERE static = ? AND live = 1", static)
    return None if found is None else _row(*found)


def persons_with_keys(db: Database, keys: Iterable[bytes]) -> set[bytes]:
    """The persons in whose logs any of these signing or static keys occur, live or not."""
    return {
        row[0]
        for key in keys
        for row in db.rows(
            "SELECT person FROM terminals WHERE static = ?1 AND person IS NOT NULL"
            " UNION SELECT person FROM terminals WHERE signing = ?1 AND person IS NOT NULL",
            key,
        )
    }


def number_of(db: Database, terminal: bytes) -> int:
    """The row's number, made for a terminal that is not known yet."""
    found = db.value("SELECT number FROM terminals WHERE terminal = ?", terminal)
    if found is not None:
        return int(found)
    return db.insert("INSERT INTO terminals (terminal) VALUES (?)", terminal)


def _row(person: bytes, terminal: bytes, signing: bytes, static: bytes, live: int, depth: int) -> TerminalRow:
    return TerminalRow(person, terminal, signing, static, bool(live), depth)
