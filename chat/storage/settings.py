"""Settings, preferences of the interface, and relays. Unknown names and forms of later versions are kept."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import fields

from chat.storage.aside import Aside
from chat.storage.database import Database
from protocol.notes import subject

_ON, _OFF = "on", "off"
_ARCHIVED = "archive.time"

PREFERENCE: Final = "interface."  # prefix of the interface's rows
_PAST: Final = "interface/"


class Settings(Struct, frozen=True):
    """What is revealed to contacts, with the defaults."""

    read_receipts: bool = True
    typing: bool = True


def load(db: Database) -> Settings:
    kept = {
        one.name: db.value("SELECT value FROM settings WHERE name = ?", one.name) for one in fields(Settings)
    }
    return Settings(**{name: value == _ON for name, value in kept.items() if value is not None})


def save(db: Database, settings: Settings) -> None:
    for one in fields(Settings):
        value = _ON if getattr(settings, one.name) else _OFF
        db.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", one.name, value)


def archived_at(db: Database) -> int:
    """When the backup was written of which an archive was made (Unix milliseconds), 0 if that is not said."""
    said = db.value("SELECT value FROM settings WHERE name = ?", _ARCHIVED)
    return int(said) if said is not None and str(said).isdecimal() else 0


def set_archived_at(db: Database, time: int) -> None:
    """Store it."""
    db.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", _ARCHIVED, str(time))


def changed(before: Settings, now: Settings) -> set[str]:
    """The names of those that are other ones than before."""
    return {one.name for one in fields(Settings) if getattr(before, one.name) != getattr(now, one.name)}


WITHHELD: Final = tuple((one.name, _OFF) for one in fields(Settings))
"""Rows that reveal nothing, where it is lost what this person chose."""


def withhold(db: Database) -> None:
    """Store them, but for what is there."""
    for row in WITHHELD:
        db.run("INSERT OR IGNORE INTO settings (name, value) VALUES (?, ?)", *row)


_NOTES_PINNED: Final = "notes_pinned"
_WORDS_CONFIRMED: Final = "words_confirmed"
_KEEPER: Final = "keeper"
_SHARED: Final = (*(one.name for one in fields(Settings)), _NOTES_PINNED, _WORDS_CONFIRMED, _KEEPER)


def notes_pinned(db: Database) -> bool:
    """Whether this person's notes are listed before other conversations."""
    return bool(db.value("SELECT value FROM settings WHERE name = ?", _NOTES_PINNED) == _ON)


def pin_notes(db: Database, on: bool) -> tuple[str, str]:
    """Store it. Returns the row."""
    row = _NOTES_PINNED, _ON if on else _OFF
    db.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", *row)
    return row


def words_confirmed(db: Database) -> bool:
    """Whether this person has typed recovery words back that it wrote down."""
    return bool(db.value("SELECT value FROM settings WHERE name = ?", _WORDS_CONFIRMED) == _ON)


def confirm_words(db: Database) -> tuple[str, str]:
    """Store it. Returns the row."""
    row = _WORDS_CONFIRMED, _ON
    db.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", *row)
    return row


def keeper(db: Database) -> str:
    """The terminal, by its id in hex, that this person named to hold all; empty where it named none."""
    return str(db.value("SELECT value FROM settings WHERE name = ?", _KEEPER) or "")


def name_keeper(db: Database, terminal: str) -> tuple[str, str]:
    """Store it, by the id in hex; empty for none. Returns the row."""
    row = _KEEPER, terminal
    db.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", *row)
    return row


def shared(db: Database) -> list[tuple[str, str]]:
    """The rows of what is the same on all terminals of this person."""
    kept = ((name, db.value("SELECT value FROM settings WHERE name = ?", name)) for name in _SHARED)
    return [(name, value) for name, value in kept if value is not None]


def take_over(db: Database, name: str, value: str) -> None:
    """Store such a row as another terminal has it. Others are passed over."""
    if name in _SHARED:
        db.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", name, value)


def take_back(db: Database, of: bytes) -> None:
    """What terminals said of the setting with this subject counts no more: it is as it was at first."""
    for name in _SHARED:
        if subject(name.encode()) == of:
            db.run("DELETE FROM settings WHERE name = ?", name)


_TIMER: Final = "timer/"  # prefix, before a person id in hex
_TIMERS_END: Final = "timer0"


def hand_timer(db: Database, person: bytes, seconds: int) -> None:
    """Store the timer of a conversation whose entries have not come here yet."""
    if seconds:
        db.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", _timer(person), str(seconds))


def handed_timers(db: Database, aside: Aside) -> dict[bytes, int]:
    """By contact the timers that another terminal of this person has named."""
    rows = db.rows("SELECT name, value FROM settings WHERE name >= ? AND name < ?", _TIMER, _TIMERS_END)
    read = [aside.read(f"setting {name}", partial(_handed, name, value)) for name, value in rows]
    return dict(filter(None, read))


def _handed(name: str, value: str) -> tuple[bytes, int]:
    return bytes.fromhex(name.removeprefix(_TIMER)), int(value)


def _timer(person: bytes) -> str:
    return f"{_TIMER}{person.hex()}"


def preferences(db: Database) -> dict[str, str]:
    """The interface's preferences by name."""
    rows = db.rows("SELECT name, value FROM settings WHERE name >= ? AND name < ?", PREFERENCE, _PAST)
    return {name.removeprefix(PREFERENCE): value for name, value in rows}


def set_preference(db: Database, name: str, value: str) -> None:
    """Store a preference of the interface, or delete it if the value is empty."""
    if not value:
        db.run("DELETE FROM settings WHERE name = ?", PREFERENCE + name)
        return
    db.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", PREFERENCE + name, value)


def forget_person(db: Database, person: bytes) -> None:
    """Delete a handed timer, and preferences about a person, whose names end in `.` and its id in hex."""
    db.run("DELETE FROM settings WHERE name = ?", _timer(person))
    for name in preferences(db):
        if name.endswith(f".{person.hex()}"):
            set_preference(db, name, "")


def note_aside(db: Database, name: str) -> bool:
    """Store that a value was set aside, by a name of any length; whether that is new."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return db.run("INSERT OR IGNORE INTO settings (name, value) VALUES (?, ?)", f"aside/{digest}", _ON) > 0


_CHECKED: Final = "checked"
_ALERTS_SEEN: Final = "alerts seen"
_REMINDER_SEEN: Final = "reminder seen"


def checked(db: Database) -> int:
    """When the whole database was last checked, milliseconds; 0 for never."""
    return _time(db, _CHECKED)


def set_checked(db: Database, time: int) -> None:
    _set_time(db, _CHECKED, time)


def alerts_seen(db: Database) -> int:
    """When this person last saw an alert, milliseconds; 0 for never."""
    return _time(db, _ALERTS_SEEN)


def set_alerts_seen(db: Database, time: int) -> None:
    _set_time(db, _ALERTS_SEEN, time)


def reminder_seen(db: Database) -> int | None:
    """The age of the profile (milliseconds) when the reminder of words was last seen; None: never."""
    kept = db.value("SELECT value FROM settings WHERE name = ?", _REMINDER_SEEN)
    return int(kept) if kept is not None and kept.isdecimal() else None


def set_reminder_seen(db: Database, age: int) -> None:
    _set_time(db, _REMINDER_SEEN, age)


def _time(db: Database, name: str) -> int:
    kept = db.value("SELECT value FROM settings WHERE name = ?", name)
    return int(kept) if kept is not None and kept.isdecimal() else 0


def _set_time(db: Database, name: str, time: int) -> None:
    db.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", name, str(time))


class RelayRow(Struct, frozen=True):
    """A relay by the canonical text of its address. `invited`: added by an invitation. `since` in ms."""

    address: str
    invited: bool
    since: int


def add_relay(db: Database, row: RelayRow) -> None:
    """Add a relay. One that is there keeps its place, since a commit that failed may have stored it."""
    sql = (
        "INSERT INTO relays (address, invited, since) VALUES (?, ?, ?)"
        " ON CONFLICT (address) DO UPDATE SET invited = excluded.invited, since = excluded.since"
    )
    db.run(sql, row.address, int(row.invited), row.since)


def all_relays(db: Database) -> list[RelayRow]:
    """All relays in the order in which they were added."""
    rows = db.rows("SELECT address, invited, since FROM relays ORDER BY number")
    return [RelayRow(address, bool(invited), since) for address, invited, since in rows]


def set_relay_invited(db: Database, address: str, on: bool) -> None:
    """Change `invited`. The order does not change."""
    db.run("UPDATE relays SET invited = ? WHERE address = ?", int(on), address)


def remove_relay(db: Database, address: str) -> None:
    db.run("DELETE FROM relays WHERE address = ?", address)
