"""What deletes and edits name: the table of what is due, waits, or does not count (SPEC §11.2).

`chat.storage.amending` follows what is due.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from chat.storage.database import Database
from protocol.messages import DeleteBody, EditBody

IN_FORCE: Final = 0
DUE: Final = 1
WAITING: Final = 2
APART: Final = 3


def add(db: Database, number: int, conversation: int, amends: DeleteBody | EditBody) -> None:
    """Note what the entry with this number, whose body came, names."""
    named = amends.ids if isinstance(amends, DeleteBody) else [amends.entry]
    db.run_many(
        "INSERT OR REPLACE INTO amendments (entry, target, conversation, own, state) VALUES (?, ?, ?, 0, ?)",
        [(number, target, conversation, DUE) for target in named],
    )


def wake(db: Database, target: bytes) -> None:
    """An entry, or its body, has come: what names it is due."""
    db.run("UPDATE amendments SET state = ? WHERE target = ?", DUE, target)


def show_again(db: Database, edit: int) -> None:
    """An edit, by number, was deleted: what it names shows something else."""
    db.run("UPDATE amendments SET state = ? WHERE entry = ? AND state = ?", DUE, edit, IN_FORCE)


def covered(db: Database, numbers: Iterable[int]) -> None:
    """These entries may count from now on."""
    db.run(
        "UPDATE amendments SET state = ? WHERE state = ? AND entry IN (SELECT value FROM json_each(?))",
        *(DUE, APART, json.dumps(list(numbers))),
    )


_BY_A_REMOVED_ONE: Final = (
    "EXISTS (SELECT 1 FROM entries AS e JOIN rules AS r ON r.conversation = e.conversation"
    " AND r.author = e.author WHERE e.number = amendments.entry)"
)


def recount(db: Database, conversation: int) -> None:
    """Others of a conversation's entries by removed terminals count than before."""
    db.run(
        "UPDATE amendments SET state = ?2 WHERE conversation = ?1 AND state IN (?3, ?4, ?5)"
        f" AND (state = ?5 OR {_BY_A_REMOVED_ONE})",
        *(conversation, DUE, IN_FORCE, WAITING, APART),
    )
