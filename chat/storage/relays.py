"""The relays that this person named.

Rules: kept as text, so that a form of a later version is left alone; how many may be is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

from chat.storage.database import Database


@dataclass(frozen=True, slots=True)
class RelayRow:
    """A relay by the one text of its address. `invited`: an invitation brought it. `since` in ms."""

    address: str
    invited: bool
    since: int


def add(db: Database, row: RelayRow) -> None:
    """Keep a relay. One of this address may not be there yet."""
    db.insert(
        "INSERT INTO relays (address, invited, since) VALUES (?, ?, ?)",
        row.address,
        int(row.invited),
        row.since,
    )


def all(db: Database) -> list[RelayRow]:
    """All of them, in the order in which they came."""
    rows = db.rows("SELECT address, invited, since FROM relays ORDER BY number")
    return [RelayRow(address, bool(invited), since) for address, invited, since in rows]


def set_invited(db: Database, address: str, on: bool) -> None:
    """Whether an invitation brought it; it keeps its place."""
    db.run("UPDATE relays SET invited = ? WHERE address = ?", int(on), address)


def remove(db: Database, address: str) -> None:
    """Forget a relay; nothing where it is not there."""
    db.run("DELETE FROM relays WHERE address = ?", address)
