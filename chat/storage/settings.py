"""What this person chose, and what the interface keeps.

Rules: one row a setting that was ever changed; a name not known here is left alone, a later version's; what
the interface keeps stands under names of its own and has no meaning here.

The relays that this person named.

Rules: kept as text, so that a form of a later version is left alone; how many may be is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from chat.storage.database import Database

_ON, _OFF = "on", "off"

PREFERENCE: Final = "interface."
"""What the names of the interface's rows begin with."""

_PAST: Final = "interface/"


@dataclass(frozen=True, slots=True)
class Settings:
    """What contacts are told, with the values before the first choice."""

    read_receipts: bool = True
    typing: bool = True


def load(db: Database) -> Settings:
    """The settings in force."""
    kept = {
        one.name: db.value("SELECT value FROM settings WHERE name = ?", one.name) for one in fields(Settings)
    }
    return Settings(**{name: value == _ON for name, value in kept.items() if value is not None})


def save(db: Database, settings: Settings) -> None:
    """Keep all of them."""
    for one in fields(Settings):
        db.run(
            "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)",
            one.name,
            _ON if getattr(settings, one.name) else _OFF,
        )


def preferences(db: Database) -> dict[str, str]:
    """What the interface keeps, by its names."""
    rows = db.rows("SELECT name, value FROM settings WHERE name >= ? AND name < ?", PREFERENCE, _PAST)
    return {name.removeprefix(PREFERENCE): value for name, value in rows}


def set_preference(db: Database, name: str, value: str) -> None:
    """Keep a value of the interface's, or delete it where it is empty."""
    if not value:
        db.run("DELETE FROM settings WHERE name = ?", PREFERENCE + name)
        return
    db.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", PREFERENCE + name, value)


def forget_person(db: Database, person: bytes) -> None:
    """Delete what the interface keeps of a person: names that end in `.` and the person's id in hex."""
    for name in preferences(db):
        if name.endswith(f".{person.hex()}"):
            set_preference(db, name, "")


@dataclass(frozen=True, slots=True)
class RelayRow:
    """A relay by the one text of its address. `invited`: an invitation brought it. `since` in ms."""

    address: str
    invited: bool
    since: int


def add_relay(db: Database, row: RelayRow) -> None:
    """Keep a relay. One of this address may not be there yet."""
    db.insert(
        "INSERT INTO relays (address, invited, since) VALUES (?, ?, ?)",
        row.address,
        int(row.invited),
        row.since,
    )


def all_relays(db: Database) -> list[RelayRow]:
    """All of them, in the order in which they came."""
    rows = db.rows("SELECT address, invited, since FROM relays ORDER BY number")
    return [RelayRow(address, bool(invited), since) for address, invited, since in rows]


def set_relay_invited(db: Database, address: str, on: bool) -> None:
    """Whether an invitation brought it; it keeps its place."""
    db.run("UPDATE relays SET invited = ? WHERE address = ?", int(on), address)


def remove_relay(db: Database, address: str) -> None:
    """Forget a relay; nothing where it is not there."""
    db.run("DELETE FROM relays WHERE address = ?", address)
