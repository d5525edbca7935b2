"""Signed operations of person logs (SPEC §7.2), terminals, and addresses at which terminals were reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from chat.storage import quarantine
from chat.storage.database import Database
from protocol.identity.exchange import Extension, settle
from protocol.identity.log import Recover, parse_operation
from protocol.identity.reduction import PersonState, Pins


def add_operation(
    db: Database, person: bytes, operation: bytes, data: bytes, came: int | None = None
) -> bool:
    """Store an operation with this id (32 bytes). False if it is held already. `came`: in milliseconds."""
    sql = "INSERT OR IGNORE INTO operations (person, id, data, came) VALUES (?, ?, ?, ?)"
    return bool(db.run(sql, person, operation, data, came))


def arrivals(db: Database, person: bytes) -> dict[bytes, int]:
    """When operations (ids) of a person came here (milliseconds), of those of which it is known."""
    held = "SELECT id, came FROM operations WHERE person = ? AND came IS NOT NULL"
    return dict(db.rows(held, person))


def drop_operations(db: Database, person: bytes, operations: Iterable[bytes]) -> None:
    """Delete operations with these ids."""
    for operation in operations:
        db.run("DELETE FROM operations WHERE person = ? AND id = ?", person, operation)


def operations_of(db: Database, person: bytes) -> list[bytes]:
    """All operations of a person, in order of arrival."""
    return [row[0] for row in db.rows("SELECT data FROM operations WHERE person = ? ORDER BY number", person)]


def pin(db: Database, person: bytes, recoveries: Iterable[bytes], *, confirmed: bool) -> None:
    """Store that a path of recoveries (ids) of a person was seen first, or confirmed, which replaces it.

    Of the recoveries that follow one operation only the one confirmed last stays so: else an id, which can be
    ground, would decide between two.
    """
    recoveries = tuple(recoveries)
    if confirmed:
        previous = _previous(db, person)
        followed = {previous.get(recovery) for recovery in recoveries}
        _unconfirm(db, person, {one for one in previous if previous[one] in followed}.difference(recoveries))
    for recovery in recoveries:
        db.run(
            "INSERT INTO pins (person, recovery, confirmed) VALUES (?, ?, ?) ON CONFLICT (person, recovery)"
            " DO UPDATE SET confirmed = max(confirmed, excluded.confirmed)",
            *(person, recovery, int(confirmed)),
        )


def _previous(db: Database, person: bytes) -> dict[bytes, bytes]:
    """By the id of each recovery, the operation that it follows."""
    parsed = map(parse_operation, operations_of(db, person))
    return {one.id: one.operation.previous for one in parsed if isinstance(one.operation, Recover)}


def _unconfirm(db: Database, person: bytes, recoveries: Iterable[bytes]) -> None:
    taken_back = "UPDATE pins SET confirmed = 0 WHERE person = ? AND recovery = ?"
    db.run_many(taken_back, [(person, recovery) for recovery in recoveries])


def pins_of(db: Database, person: bytes) -> Pins:
    """The recoveries of a person that were seen first or confirmed here."""
    rows = db.rows("SELECT recovery, confirmed FROM pins WHERE person = ?", person)
    seen, confirmed = (frozenset(one for one, how in rows if how == kind) for kind in (0, 1))
    return Pins(seen, confirmed)


def log_of(db: Database, person: bytes) -> tuple[list[bytes], Pins]:
    """What a person's log is reduced from: all its operations, and what is pinned of it."""
    return operations_of(db, person), pins_of(db, person)


class TerminalRow(Struct, frozen=True):
    """A terminal of a person: its keys (32 bytes each), and its place among them, the most senior being 0.

    `seniority` is None if no operation that counts adds it. `signing` is needed of this person's alone.
    """

    person: bytes
    terminal: bytes
    static: bytes
    live: bool
    seniority: int | None
    signing: bytes | None = None


def replace_terminals(db: Database, person: bytes, rows: Iterable[TerminalRow]) -> None:
    """Store the terminals of a person's log. Others of that person are no longer live."""
    db.run("UPDATE person_terminals SET live = 0, seniority = NULL WHERE person = ?", person)
    for row in rows:
        number = terminal_number(db, row.terminal)
        db.run(
            "INSERT OR REPLACE INTO person_terminals (person, terminal, static, signing, live, seniority)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            *(person, number, row.static, row.signing, int(row.live), row.seniority),
        )
    quarantine.follow_log(db, person)


def add_proven_key(db: Database, person: bytes, static: bytes) -> None:
    """Store that a person has proven to hold this static key (X25519, 32 bytes)."""
    db.run("INSERT OR IGNORE INTO proven_keys (person, static) VALUES (?, ?)", person, static)


def proven_keys(db: Database) -> list[tuple[bytes, bytes]]:
    """All (person, static key) that were proven, by person and key."""
    return [(row[0], row[1]) for row in db.rows("SELECT person, static FROM proven_keys ORDER BY 1, 2")]


def terminals_of(db: Database, person: bytes) -> list[bytes]:
    """The ids of a person's live terminals, the most senior first."""
    live = (
        "SELECT t.terminal FROM person_terminals AS p JOIN terminals AS t ON t.number = p.terminal"
        " WHERE p.person = ? AND p.live ORDER BY p.seniority"
    )
    return [row[0] for row in db.rows(live, person)]


def former_terminals(db: Database, person: bytes) -> list[bytes]:
    """The ids of a person's terminals that are live no more, also of those whose adding no longer counts."""
    former = (
        "SELECT t.terminal FROM person_terminals AS p JOIN terminals AS t ON t.number = p.terminal"
        " WHERE p.person = ? AND NOT p.live"
    )
    return [row[0] for row in db.rows(former, person)]


def signing_keys(db: Database, person: bytes) -> dict[bytes, bytes]:
    """The Ed25519 keys, by id, of all terminals that a person has or had."""
    keys = (
        "SELECT t.terminal, p.signing FROM person_terminals AS p JOIN terminals AS t ON t.number = p.terminal"
        " WHERE p.person = ? AND p.signing IS NOT NULL"
    )
    return dict(db.rows(keys, person))


def terminal_number(db: Database, terminal: bytes) -> int:
    """The number of a terminal's row, which is created for a new terminal."""
    found = db.value("SELECT number FROM terminals WHERE terminal = ?", terminal)
    if found is not None:
        return int(found)
    return db.insert("INSERT INTO terminals (terminal) VALUES (?)", terminal)


KEPT: Final = 16  # addresses per terminal


class AddressRow(Struct, frozen=True):
    """An address at which a terminal was last reached at `last_success` (milliseconds)."""

    terminal: bytes
    host: str
    port: int
    last_success: int


def add_address(db: Database, row: AddressRow) -> None:
    """Store an address of a terminal, and delete all but its latest sixteen."""
    db.run(
        "INSERT OR REPLACE INTO known_addresses (terminal, host, port, last_success) VALUES (?, ?, ?, ?)",
        *(row.terminal, row.host, row.port, row.last_success),
    )
    for old in addresses_of(db, row.terminal)[KEPT:]:
        forget_addresses(db, old.terminal, old.host, old.port)


def addresses_of(db: Database, terminal: bytes) -> list[AddressRow]:
    """A terminal's addresses, the most recently reached first."""
    rows = db.rows(
        "SELECT terminal, host, port, last_success FROM known_addresses WHERE terminal = ?"
        " ORDER BY last_success DESC, host, port",
        terminal,
    )
    return [AddressRow(*row) for row in rows]


def forget_addresses(db: Database, terminal: bytes, host: str, port: int) -> None:
    db.run("DELETE FROM known_addresses WHERE terminal = ? AND host = ? AND port = ?", terminal, host, port)


def keep_seen(db: Database, seen: Mapping[bytes, int]) -> None:
    """Store when a link with each of some terminals last lived (milliseconds)."""
    db.run_many("INSERT OR REPLACE INTO seen (terminal, time) VALUES (?, ?)", seen.items())


def seen(db: Database) -> dict[bytes, int]:
    """When a link with a terminal last lived, by its id (milliseconds)."""
    return dict(db.rows("SELECT terminal, time FROM seen"))


def pinned(db: Database, person: bytes) -> PersonState:
    """The state of a stored log, of which what is in force is pinned as seen, and its terminals stored.

    What can never count again is deleted (SPEC §7.3).
    """
    state, lost = settle(operations_of(db, person), pins_of(db, person))
    drop_operations(db, person, lost)
    pin(db, person, state.path, confirmed=False)
    replace_terminals(db, person, terminal_rows(state))
    return state


def store(db: Database, person: bytes, found: Extension, came: int | None = None) -> None:
    """Store what operations that came have made of a log. `came`: when, in milliseconds."""
    for operation in found.new:
        add_operation(db, person, parse_operation(operation).id, operation, came)
    drop_operations(db, person, found.dropped)
    pin(db, person, found.state.path, confirmed=False)
    replace_terminals(db, person, terminal_rows(found.state))


def terminal_rows(state: PersonState) -> list[TerminalRow]:
    """The rows of a state's terminals, the most senior first."""
    by_rank = sorted(state.terminals(), key=lambda one: one.rank)
    return [
        TerminalRow(state.person, one.id, one.static, one.id in state.live, place, one.signing)
        for place, one in enumerate(by_rank)
    ]
