"""Person logs: signed operations as they were received (SPEC §7.2).

Rules: an operation is known by its id; nothing here checks a signature or reduces a log.
"""

from __future__ import annotations

from chat.storage.database import Database


def add(db: Database, person: bytes, operation: bytes, data: bytes) -> bool:
    """Keep an operation of this id (32 bytes); False if it is held already."""
    return bool(
        db.run(
            "INSERT OR IGNORE INTO operations (person, id, data) VALUES (?, ?, ?)", person, operation, data
        )
    )


def of(db: Database, person: bytes) -> list[bytes]:
    """All operations of a person, in order of arrival."""
    return [row[0] for row in db.rows("SELECT data FROM operations WHERE person = ? ORDER BY number", person)]
