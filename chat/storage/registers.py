"""What entries of kind state write. `chat.storage.sharing` follows what is due of it (SPEC §11.10)."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from chat.storage import quarantine
from chat.storage.aside import Aside
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


class Write(NamedTuple):
    """A write that counts: the number of its entry, its author (terminal id), and its value.

    The value is None where the body is missing.
    """

    entry: int
    author: bytes
    value: bytes | None


def writes(db: Database, register: int, of: bytes, aside: Aside | None = None) -> list[Write]:
    """The writes of a register that count, in their order. One that cannot be read is set `aside`."""
    rows = db.rows(
        "SELECT r.entry, t.terminal, b.body FROM registers AS r JOIN entries AS e ON e.number = r.entry"
        " JOIN terminals AS t ON t.number = e.author LEFT JOIN bodies AS b ON b.entry = r.entry"
        f" WHERE r.register = ? AND r.subject = ? AND {COUNTS} ORDER BY e.rank, e.id",
        *(register, of),
    )
    read = partial((aside or Aside()).read, f"register {register} {of.hex()}")
    return [
        Write(entry, author, None if body is None else read(partial(_value, body, register, of)))
        for entry, author, body in rows
    ]


def _value(body: bytes, register: int, of: bytes) -> bytes:
    """What a body writes to a register. Raises Malformed, ValueError (nothing)."""
    (value,) = [one.value for one in read_state(body).writes if (one.register, one.of) == (register, of)][:1]
    read_value(register, value)
    return value


def is_undone(db: Database, register: int, of: bytes) -> bool:
    """Whether somebody has written a register, and nothing of it counts any more.

    Where writes are missing, because a disk lost them, nothing is undone.
    """
    sql = f"SELECT {COUNTS} FROM registers AS r WHERE r.register = ? AND r.subject = ?"
    counts = [row[0] for row in db.rows(sql, register, of)]
    return bool(counts) and not any(counts)


def in_force(db: Database, register: int, of: bytes, aside: Aside | None = None) -> bytes | None:
    """The value in force of a register, None where nothing that counts writes it, or the body is missing."""
    found = writes(db, register, of, aside)
    return found[-1].value if found else None


def is_written(db: Database, register: int, of: bytes) -> bool:
    """Whether a write that counts is of this register, whose body may be gone: it retires, or deletes."""
    sql = f"SELECT EXISTS (SELECT 1 FROM registers AS r WHERE r.register = ? AND r.subject = ? AND {COUNTS})"
    return bool(db.value(sql, register, of))


def written_about(db: Database, terminal: bytes) -> set[bytes]:
    """The hashes of the contacts of whom a terminal has written that it has them, or a pairing with them."""
    rows = db.rows(
        "SELECT DISTINCT r.contact FROM registers AS r JOIN entries AS e ON e.number = r.entry"
        " JOIN terminals AS t ON t.number = e.author WHERE r.register IN (1, 5) AND t.terminal = ?",
        terminal,
    )
    return {of for (of,) in rows if of is not None}


def is_retired(db: Database, root: bytes) -> bool:
    """Whether a write that counts retires the pairing with this hash of its root."""
    return is_written(db, Register.RETIRED, root)
