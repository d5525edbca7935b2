"""Which names contacts have had, and how many digits tell those apart whose names look the same.

A name that was ever that of two contacts means neither of them again, until this person gives it to one
while no other has it. Nothing stays of a contact that is removed.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from chat.looks import look, telling
from chat.storage.database import Database

_PREFIX: Final = "called/"  # before the hash of a name's look and a person id, both in hex
_END: Final = "called0"
_RANGE: Final = "FROM settings WHERE name >= ? AND name < ?"


def called(db: Database, person: bytes, name: str) -> None:
    """Store that a contact is called so."""
    seen = _look(name)
    holders = {row[0][-64:]: _number(row[1]) for row in db.rows(f"SELECT name, value {_RANGE}", *_of(seen))}
    holders.setdefault(person.hex(), 0)
    needed = telling(holders)
    for one, digits in holders.items():
        _store(db, seen, one, max(digits, needed))


def given(db: Database, person: bytes, name: str, others: Iterable[tuple[bytes, str]]) -> None:
    """Store that this person has chosen this name for a contact. Of `others` only who has it now keeps it."""
    seen = _look(name)
    keep = {one.hex() for one, theirs in others if _look(theirs) == seen and one != person}
    for (row,) in db.rows(f"SELECT name {_RANGE}", *_of(seen)):
        if row[-64:] not in keep:
            db.run("DELETE FROM settings WHERE name = ?", row)
    called(db, person, name)


def digits(db: Database, shown: Mapping[bytes, str]) -> dict[bytes, int]:
    """For each contact, by what it is called now, the digits that its label needs; 0 for none."""
    held = defaultdict[str, dict[str, int]](dict)
    for name, value in db.rows(f"SELECT name, value {_RANGE}", _PREFIX, _END):
        held[name[len(_PREFIX) : -65]][name[-64:]] = _number(value)
    for person, name in shown.items():
        held[_look(name)].setdefault(person.hex(), 0)
    needed = {seen: telling(holders) for seen, holders in held.items()}
    return {
        person: max(held[_look(name)][person.hex()], needed[_look(name)]) for person, name in shown.items()
    }


def forget(db: Database, person: bytes) -> None:
    """Delete what a contact was called."""
    db.run(f"DELETE {_RANGE} AND substr(name, -64) = ?", _PREFIX, _END, person.hex())


def take_over(db: Database, name: str, value: str) -> bool:
    """Store such a row of a backup, unless more digits are needed here; whether it is one."""
    if not name.startswith(_PREFIX):
        return False
    known = db.value("SELECT value FROM settings WHERE name = ?", name)
    if known is None or _number(known) < _number(value):
        db.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", name, value)
    return True


def _look(name: str) -> str:
    """What names that look the same have in common. The file keeps no name that nobody has."""
    return hashlib.blake2b(look(name).encode(), digest_size=16).hexdigest()


def _number(value: str) -> int:
    """What is stored; 0 where nobody can read it."""
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 3 else 0


def _of(seen: str) -> tuple[str, str]:
    return f"{_PREFIX}{seen}/", f"{_PREFIX}{seen}0"


def _store(db: Database, seen: str, person: str, digits: int) -> None:
    name = f"{_PREFIX}{seen}/{person}"
    db.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", name, str(digits))
