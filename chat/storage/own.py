"""This person and this terminal: the keys that are only here.

Rules: one row for the terminal's life; secrets never show in a repr.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chat.storage.database import Database
from chat.storage.errors import StorageMisuse
from chat.storage.ids import joined


@dataclass(frozen=True, slots=True)
class OwnRow:
    """Ids and secrets of 32 bytes each; `self_key` is the newest, `recovery_seed` None once forgotten."""

    person: bytes
    terminal: bytes
    signing_seed: bytes = field(repr=False)
    static_secret: bytes = field(repr=False)
    self_key: bytes = field(repr=False)
    recovery_seed: bytes | None = field(repr=False)


def create(db: Database, own: OwnRow) -> None:
    """Write the one row and the first self key. Raises StorageMisuse if there is one already."""
    db.insert(
        "INSERT INTO own (id, person, terminal, signing_seed, static_secret, recovery_seed)"
        " VALUES (1, ?, ?, ?, ?, ?)",
        own.person,
        own.terminal,
        own.signing_seed,
        own.static_secret,
        own.recovery_seed,
    )
    add_self_key(db, own.self_key, [])


def read(db: Database) -> OwnRow:
    """This person and terminal. Raises StorageMisuse before `create`."""
    row = db.row(
        "SELECT person, terminal, signing_seed, static_secret,"
        " (SELECT key FROM self_keys ORDER BY number DESC LIMIT 1), recovery_seed FROM own"
    )
    if row is None:
        raise StorageMisuse("nobody was created in this database")
    return OwnRow(*row)


def add_self_key(db: Database, key: bytes, heads: list[bytes]) -> None:
    """A newer self key, drawn under these heads of the person's log."""
    db.insert("INSERT INTO self_keys (key, heads) VALUES (?, ?)", key, joined(heads))
