"""What happened to the files of the profile, kept until this person has seen it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from msgspec import Struct

from chat.storage import settings
from chat.storage.aside import CONTACT
from chat.storage.database import Database

SET_ASIDE: Final = "set_aside"
"""The kind of the alert for values that cannot be read."""


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
    new = not is_raised(db, row.kind)
    db.run(
        "INSERT INTO alerts (kind, since, entries, others) VALUES (?, ?, ?, ?) ON CONFLICT (kind) DO UPDATE"
        " SET entries = entries + excluded.entries, others = others + excluded.others",
        *(row.kind, row.since, row.entries, row.others),
    )
    return new


def all_of(db: Database) -> tuple[AlertRow, ...]:
    """All alerts, the oldest first."""
    return tuple(AlertRow(*row) for row in db.rows("SELECT * FROM alerts ORDER BY since, kind"))


def tell_of(db: Database, aside: Collection[str], now: int) -> None:
    """Raise an alert for values that were set aside, by name, of which this person has not heard yet.

    `now`: milliseconds.
    """
    new = [name for name in sorted(aside) if settings.note_aside(db, name)]
    if new:
        add(db, AlertRow(SET_ASIDE, now, len(new), sum(name.startswith(CONTACT) for name in new)))


def is_raised(db: Database, kind: str) -> bool:
    """Whether this person has not seen an alert of a kind yet."""
    return db.value("SELECT 1 FROM alerts WHERE kind = ?", kind) is not None


def dismiss(db: Database, now: int) -> int:
    """This person has seen them all, at `now`. Returns how many there were."""
    gone = db.run("DELETE FROM alerts")
    if gone:
        settings.set_alerts_seen(db, now)
    return gone
