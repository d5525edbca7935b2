"""What happened to the files of the profile, kept until this person has seen it."""

from __future__ import annotations

from msgspec import Struct

from chat.storage import settings
from chat.storage.database import Database


class AlertRow(Struct, frozen=True):
    """`since` in milliseconds. `entries` and `others`: how many entries and contacts could not be read."""

    kind: str
    since: int
    entries: int = 0
    others: int = 0


def add(db: Database, row: AlertRow) -> bool:
    """Store an alert. One of its kind that is there keeps its time, and the counts are added up.

    Returns whether it was not there.
    """
    new = db.value("SELECT 1 FROM alerts WHERE kind = ?", row.kind) is None
    db.run(
        "INSERT INTO alerts (kind, since, entries, others) VALUES (?, ?, ?, ?) ON CONFLICT (kind) DO UPDATE"
        " SET entries = entries + excluded.entries, others = others + excluded.others",
        *(row.kind, row.since, row.entries, row.others),
    )
    return new


def all_of(db: Database) -> tuple[AlertRow, ...]:
    """All alerts, the oldest first."""
    return tuple(AlertRow(*row) for row in db.rows("SELECT * FROM alerts ORDER BY since, kind"))


def dismiss(db: Database, now: int) -> int:
    """This person has seen them all, at `now`. Returns how many there were."""
    gone = db.run("DELETE FROM alerts")
    if gone:
        settings.set_alerts_seen(db, now)
    return gone
