"""What this person chose.

Rules: one row a setting that was ever changed; a name not known here is left alone, a later version's.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from chat.storage.database import Database

_ON, _OFF = "on", "off"


@dataclass(frozen=True, slots=True)
class Settings:
    """What contacts are told, with the values before the first choice."""

    read_receipts: bool = True
    typing: bool = True


def load(db: Database) -> Settings:
    """The settings in force."""
    kept: dict[str, str] = dict(db.rows("SELECT name, value FROM settings"))
    return Settings(**{one.name: kept[one.name] == _ON for one in fields(Settings) if one.name in kept})


def save(db: Database, settings: Settings) -> None:
    """Keep all of them."""
    for one in fields(Settings):
        db.run(
            "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)",
            one.name,
            _ON if getattr(settings, one.name) else _OFF,
        )
