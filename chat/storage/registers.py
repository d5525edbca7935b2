"""What entries of kind state write. `chat.storage.sharing` follows what is due of it (SPEC §11.10)."""

from __future__ import annotations

from chat.storage import quarantine
from chat.storage.database import Database
from protocol.messages import PairingValue, StateBody, StateWrite
from protocol.notes import OF_CONTACT, Register, read_state, read_value, subject

COUNTS = f"NOT EXISTS (SELECT 1 FROM {quarantine.QUARANTINED} WHERE q.entry = r.entry)"
"""Whether the write `r` is of an entry that counts."""


def add(db: Database, number: int, state: StateBody) -> None:
    """Note what the entry with this number, whose body came, writes. Its registers are due from now on."""
    db.run_many(
        "INSERT OR REPLACE INTO registers (register, subject, entry, contact) VALUES (?, ?, ?, ?)",
        [(one.register, one.of, number, _contact(one)) for one in state.writes],
    )


def _contact(one: StateWrite) -> bytes | None:
    if one.register in OF_CONTACT:
        return one.of
    value = read_value(one.register, one.value)
    return subject(value.person) if isinstance(value, PairingValue) else None


def writes(db: Database, register: int, of: bytes) -> list[tuple[int, bytes]]:
    """The writes of a register that count and have their body, in their order: entry (number) and value."""
    rows = db.rows(
        "SELECT r.entry, b.body FROM registers AS r JOIN entries AS e ON e.number = r.entry"
        " JOIN bodies AS b ON b.entry = r.entry AND NOT e.destroyed"
        f" WHERE r.register = ? AND r.subject = ? AND {COUNTS} ORDER BY e.rank, e.id",
        *(register, of),
    )
    return [
        (entry, one.value)
        for entry, body in rows
        for one in read_state(body).writes
        if (one.register, one.of) == (register, of)
    ]


def in_force(db: Database, register: int, of: bytes) -> bytes | None:
    """The value in force of a register, None where nothing that counts writes it."""
    found = writes(db, register, of)
    return found[-1][1] if found else None


def is_retired(db: Database, root: bytes) -> bool:
    """Whether a write that counts retires the pairing with this hash of its root, whose body may be gone."""
    sql = f"SELECT EXISTS (SELECT 1 FROM registers AS r WHERE r.register = ? AND r.subject = ? AND {COUNTS})"
    return bool(db.value(sql, int(Register.RETIRED), root))
