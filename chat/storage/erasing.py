"""Deletes entries on all terminals of this person, as its notes say (SPEC §11.10)."""

from __future__ import annotations

from enum import Enum
from typing import Final

from chat.storage import amendments, entries
from chat.storage.database import Database
from protocol.amendments import KEPT_KINDS
from protocol.entries_and_receipts import KIND_EDIT

PIECE: Final = 64
"""Bodies that one piece of work on the disk destroys, some milliseconds: as many as one state names."""


class Outcome(Enum):
    """What a deletion did: nothing; it destroyed a body; or it is shown otherwise than before."""

    NOTHING = 0
    SHOWN = 1
    DESTROYED = 2


def erase(db: Database, entry: bytes) -> Outcome:
    """Delete an entry by its id, held or not, and have its edits deleted; what stays in force is not.

    An id that is not held is kept until its entry comes: terminals of this person alone fill that, a stolen
    one too. A bound would bring back what was deleted.
    """
    found = db.row("SELECT number, kind, destroyed FROM entries WHERE id = ?", entry)
    if found is None:
        kept = "INSERT INTO deletions (entry, how) VALUES (?1, ?2) ON CONFLICT (entry) DO UPDATE SET how = ?2"
        db.run(kept, entry, entries.ON_ALL)
        amendments.wake(db, entry)
        return Outcome.NOTHING
    number, kind, destroyed = found
    if kind == KIND_EDIT:
        amendments.show_again(db, number)
    if kind in KEPT_KINDS or destroyed == entries.ON_ALL:
        return Outcome.NOTHING
    if entries.destroy(db, entry, entries.ON_ALL):
        amendments.wake(db, entry)
        return Outcome.DESTROYED
    db.run("UPDATE entries SET destroyed = ? WHERE number = ?", entries.ON_ALL, number)
    by_author = db.value("SELECT EXISTS (SELECT 1 FROM amended WHERE entry = ?)", number)
    return Outcome.NOTHING if by_author else Outcome.SHOWN
