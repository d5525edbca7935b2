"""Addresses at which terminals were reached.

Rules: a hint for dialling, nothing more; few a terminal, the ones not used for longest go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from chat.storage.database import Database

KEPT: Final = 16
"""Addresses of one terminal."""


@dataclass(frozen=True, slots=True)
class AddressRow:
    """Where a terminal answered last at `last_success` (milliseconds)."""

    terminal: bytes
    host: str
    port: int
    last_success: int


def add(db: Database, row: AddressRow) -> None:
    """Remember a success; all but the newest sixteen of the terminal are forgotten."""
    db.run(
        "INSERT OR REPLACE INTO known_addresses (terminal, host, port, last_success) VALUES (?, ?, ?, ?)",
        row.terminal,
        row.host,
        row.port,
        row.last_success,
    )
    for old in of(db, row.terminal)[KEPT:]:
        forget(db, old.terminal, old.host, old.port)


def of(db: Database, terminal: bytes) -> list[AddressRow]:
    """A terminal's addresses, the last successful first."""
    rows = db.rows(
        "SELECT terminal, host, port, last_success FROM known_addresses WHERE terminal = ?"
        " ORDER BY last_success DESC, host, port",
        terminal,
    )
    return [AddressRow(*row) for row in rows]


def forget(db: Database, terminal: bytes, host: str, port: int) -> None:
    """Drop an address."""
    db.run("DELETE FROM known_addresses WHERE terminal = ? AND host = ? AND port = ?", terminal, host, port)
