"""Programs that follow conversations by name, and the order in which entries came here and changed.

The order names entries and holds nothing of them. A client acts on what it reads and acknowledges a position.
After a crash of either side it reads again from there, so that it gets everything at least once.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from chat.storage import files
from chat.storage.database import Database, Row
from chat.storage.entries import COLUMNS, EntryRow, read_row, unsaid_in_notes

CLIENTS_MAX: Final = 64
"""Clients of one profile. This person's programs fill it."""


class ClientRow(Struct, frozen=True):
    """A client. `token`: SHA-256 of what it presents, None for one that needs nothing.

    `contact`: the person of its only conversation, None for all. `since`: milliseconds of Unix time.
    """

    name: str
    acknowledged: int
    rights: str
    token: bytes | None
    contact: bytes | None
    since: int

    def __repr__(self) -> str:
        return f"ClientRow({self.name!r})"


class ArrivalRow(Struct, frozen=True):
    """An entry as it is now. `came`: where its content came, 0 for before there was a client."""

    position: int
    came: int
    entry: EntryRow


_SELECT: Final = "SELECT name, acknowledged, rights, token, contact, since FROM clients"


def all_clients(db: Database) -> list[ClientRow]:
    """All of them, by name."""
    return [ClientRow(*row) for row in db.rows(f"{_SELECT} ORDER BY name")]


def named(db: Database, name: str) -> ClientRow | None:
    return _one(db.row(f"{_SELECT} WHERE name = ?", name))


def presenting(db: Database, token: bytes) -> ClientRow | None:
    """The client of a token, by its hash."""
    return _one(db.row(f"{_SELECT} WHERE token = ?", token))


def _one(row: Row | None) -> ClientRow | None:
    return None if row is None else ClientRow(*row)


def add(db: Database, row: ClientRow) -> bool:
    """Keep what comes from now on for one more client; False where CLIENTS_MAX are there."""
    if db.value("SELECT count(*) FROM clients") >= CLIENTS_MAX:
        return False
    values = row.name, row.acknowledged, row.rights, row.token, row.contact, row.since
    insert = "INSERT INTO clients (name, acknowledged, rights, token, contact, since)"
    db.run(f"{insert} VALUES (?, ?, ?, ?, ?, ?)", *values)
    return True


def remove(db: Database, name: str) -> bool:
    """Forget a client and what was kept for it alone; False where there is none of this name."""
    removed = db.run("DELETE FROM clients WHERE name = ?", name)
    _prune(db)
    return removed > 0


def acknowledge(db: Database, name: str, position: int) -> None:
    """A client has acted on everything up to a position. A lower one than before changes nothing."""
    if db.run(
        "UPDATE clients SET acknowledged = ? WHERE name = ? AND acknowledged < ?", position, name, position
    ):
        _prune(db)


def file_came(db: Database, entry: bytes) -> None:
    """All of the file of an entry (id) came: it is whole, and each client hears of it."""
    files.stand(db, entry, files.Standing.WHOLE)
    comes_again(db, entry)


def comes_again(db: Database, entry: bytes) -> None:
    """Each client gets an entry (id) again, behind what came since.

    So does the schema where content comes or changes. Without a client nothing is written.
    """
    newest = "max(position, (SELECT ifnull(max(position), 0) FROM arrivals))"
    if not db.run(
        f"UPDATE arrived SET position = 1 + max((SELECT max(acknowledged) FROM clients), {newest})"
        " WHERE EXISTS (SELECT 1 FROM clients)"
    ):
        return
    number = db.value("SELECT number FROM entries WHERE id = ?", entry)
    came = db.row("SELECT ifnull(came, position) FROM arrivals WHERE entry = ?", number)
    db.run("DELETE FROM arrivals WHERE entry = ?", number)
    insert = "INSERT INTO arrivals (position, entry, came) SELECT position, ?, ? FROM arrived"
    db.run(insert, number, came[0] if came is not None else 0)


def _prune(db: Database) -> None:
    """Forget the order of what every client has acknowledged."""
    db.run(
        "DELETE FROM arrivals WHERE position <= ifnull((SELECT min(acknowledged) FROM clients), ?)",
        last(db),
    )


def last(db: Database) -> int:
    """The last position that was given."""
    return int(db.value("SELECT position FROM arrived"))


def settle(db: Database) -> None:
    """Give no position again, though a damaged page has taken the last one."""
    db.run(
        "INSERT INTO arrived (id, position) SELECT 1, max((SELECT ifnull(max(position), 0) FROM arrivals),"
        " (SELECT ifnull(max(acknowledged), 0) FROM clients)) WHERE true"
        " ON CONFLICT (id) DO UPDATE SET position = max(position, excluded.position)"
    )


def arrivals(db: Database, after: int, limit: int) -> tuple[list[ArrivalRow], int]:
    """What came or changed after a position, in this order, and the position up to which that is all of it.

    At most `limit` entries are looked at.
    """
    of = "SELECT position, ifnull(came, position), entry FROM arrivals WHERE position > ?"
    found = db.rows(f"{of} ORDER BY position LIMIT ?", after, limit)
    rows = [
        ArrivalRow(position, came, read_row(db, row))
        for position, came, number in found
        for row in db.rows(f"{COLUMNS} WHERE e.number = ? AND {unsaid_in_notes('e')}", number)
    ]
    return rows, found[-1][0] if found else after
