"""Receipts, unread entries, and the outbox, which is computed from entries and receipts (SPEC §11.5).

What this person has read is stored as receipts of its own terminal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Final

from msgspec import Struct

from chat.storage import contacts, persons
from chat.storage.database import Database
from chat.storage.entries import (
    BEGINNING,
    END,
    SHOWN,
    WHOLE,
    EntryRow,
    Position,
    Stretch,
    check_header,
    get,
)
from chat.storage.positions import place_before
from chat.storage.removal import REMOVED
from protocol.entries_and_receipts import KIND_BOT, KIND_CUT, KIND_STATE
from protocol.entries_and_receipts import READ as READ
from protocol.entries_and_receipts import STORED as STORED
from protocol.messages import Receipt

READ_UNTOLD: Final = 3
"""Kind of a read receipt that is never sent to the contact. Only for own terminals."""

FEW_UNREAD: Final = 16_384
"""Below this number the unread entries are sorted. Else the index by rank is walked to the first one."""

_IDS_MAX: Final = 256  # ids per query
_UNREAD: Final = (
    "SELECT e.rank, e.id, e.number FROM unread AS u JOIN entries AS e ON e.number = u.entry"
    " WHERE u.conversation = ?"
)

_FIRST_OF_FEW: Final = (
    "SELECT e.id FROM unread AS u JOIN entries AS e ON e.number = u.entry WHERE u.conversation = ?"
    " ORDER BY e.rank, e.id LIMIT 1"
)
_FIRST_OF_MANY: Final = (
    f"SELECT id FROM entries WHERE conversation = ? AND {SHOWN} AND number IN (SELECT entry FROM unread)"
    " ORDER BY rank, id LIMIT 1"
)


_REMEMBER: Final = (
    "INSERT INTO sends (conversation, client, place, id, entry) SELECT conversation, ?1,"
    " (SELECT 1 + ifnull(max(place), 0) FROM sends WHERE client = ?1), ?2, id FROM entries WHERE id = ?3"
    " ON CONFLICT (conversation, client, id) DO UPDATE SET entry = excluded.entry"
    " WHERE NOT EXISTS (SELECT 1 FROM entries WHERE id = sends.entry)"  # an old page may have taken it
)


def remember_send(db: Database, send_id: str, entry: bytes, client: str = "") -> bool:
    """Store the id with which a client sent a held entry; False where it has sent another one with it."""
    return db.run(_REMEMBER, client, send_id, entry) > 0


def sent_with(db: Database, conversation: bytes, send_id: str, client: str = "") -> bytes | None:
    """The id of the entry that a client sent with this id, None where none is held."""
    found: bytes | None = db.value(
        "SELECT s.entry FROM sends AS s JOIN entries AS e ON e.id = s.entry"
        " WHERE s.conversation = (SELECT number FROM conversations WHERE id = ?)"
        " AND s.client = ? AND s.id = ?",
        *(conversation, client, send_id),
    )
    return found


ADD: Final = "INSERT OR IGNORE INTO receipts (entry, terminal, kind, time) VALUES (?, ?, ?, ?)"
"""Stores a receipt: number of the entry, number of the terminal, kind, time."""


_OF_ANOTHER: Final = (
    "SELECT EXISTS (SELECT 1 FROM clients WHERE name = ?1 AND rights = ?2)"
    " AND NOT EXISTS (SELECT 1 FROM sends WHERE client = ?1 AND entry = ?3)"
)


def is_of_another(db: Database, client: str, rights: str, entry: bytes) -> bool:
    """Whether a client has just these rights, and is not known to have sent an entry (id)."""
    return bool(db.value(_OF_ANOTHER, client, rights, entry))


class ReceiptRow(Struct, frozen=True):  # a data class would cost a page of history more than its query
    """A receipt of a terminal, received at `time` (milliseconds). `kind` is STORED, READ or READ_UNTOLD."""

    terminal: bytes
    kind: int
    time: int


def add(db: Database, terminal: bytes, kind: int, ids: Iterable[bytes], time: int) -> list[bytes]:
    """Store a terminal's receipt. Returns the ids for which it is new. Ids that are not held are ignored."""
    number = persons.terminal_number(db, terminal)
    sql = (
        "INSERT OR IGNORE INTO receipts (entry, terminal, kind, time)"
        " SELECT number, ?, ?, ? FROM entries WHERE id = ?"
    )
    return [entry for entry in ids if db.run(sql, number, kind, time, entry)]


_NOTED: Final = (
    "SELECT id FROM entries WHERE id IN ({}) AND kind NOT IN (?, ?, ?)"
    " AND conversation = (SELECT number FROM conversations WHERE kind = ?)"
)


def noted(db: Database, ids: Iterable[bytes]) -> list[bytes]:
    """Those of some entries that are of the notes and say something to this person."""
    found, asked = list[bytes](), iter(ids)
    while some := tuple(islice(asked, _IDS_MAX)):
        query = _NOTED.format(",".join("?" * len(some)))
        found += [row[0] for row in db.rows(query, *some, KIND_BOT, KIND_CUT, KIND_STATE, contacts.NOTES)]
    return found


def acknowledge_noted(
    db: Database, ids: Collection[bytes], terminal: bytes, others: Collection[bytes], time: int
) -> list[bytes]:
    """Store that another own terminal has these entries of the notes; returns those that no other one had.

    `others`: the live terminals of this person but this one.
    """
    before, new = of(db, ids), add(db, terminal, STORED, ids, time)
    return [one for one in new if not any(each.terminal in others for each in before.get(one, ()))]


def acknowledge(
    db: Database, conversation: bytes, author: bytes, terminal: bytes, receipt: Receipt, time: int
) -> dict[bytes, bool]:
    """Store a contact's receipt for entries of `author` and of this person's other terminals.

    Returns the ids for which it is new, and whether their state advances: another terminal may have brought
    it there before. Ids that are not held or of other authors are ignored. *Stored* after *read* is not new.
    """
    found: dict[bytes, tuple[int, int, int]] = {}
    for start in range(0, len(receipt.ids), _IDS_MAX):
        some = receipt.ids[start : start + _IDS_MAX]
        rows = db.rows(
            "SELECT e.id, e.header, e.number, ifnull(max(CASE t.terminal WHEN ? THEN r.kind END), 0),"
            # This terminal acknowledged what a contact returned to it, which says nothing of the contact.
            " ifnull(max(CASE WHEN t.terminal != ? THEN r.kind END), 0) FROM entries AS e"
            " LEFT JOIN receipts AS r ON r.entry = e.number LEFT JOIN terminals AS t ON t.number = r.terminal"
            " WHERE e.conversation = (SELECT number FROM conversations WHERE id = ?)"
            " AND e.author IN (SELECT number FROM terminals WHERE terminal = ?"
            " UNION ALL SELECT terminal FROM person_terminals"
            " WHERE person = (SELECT person FROM own WHERE id = 1))"
            " AND e.number NOT IN (SELECT entry FROM claims)"
            f" AND e.id IN ({','.join('?' * len(some))}) GROUP BY e.number",
            *(terminal, author, conversation, author, *some),
        )
        for entry, header, number, *kinds in rows:
            check_header(db, entry, header)
            found[entry] = number, *kinds
    if not found:
        return {}
    by = db.value("SELECT number FROM terminals WHERE terminal = ?", terminal)
    by = persons.terminal_number(db, terminal) if by is None else by
    made, new, kind = list[tuple[int, int, int, int]](), dict[bytes, bool](), receipt.kind
    for entry in dict.fromkeys(receipt.ids):
        if entry in found:
            number, this, others = found[entry]
            made.append((number, by, kind, time))
            if this < kind:
                new[entry] = others < kind
    db.run_many(ADD, made)
    return new


def of(db: Database, ids: Iterable[bytes]) -> dict[bytes, list[ReceiptRow]]:
    """The receipts by entry, for the entries that have any."""
    found: dict[bytes, list[ReceiptRow]] = {}
    asked = iter(ids)
    while some := tuple(islice(asked, _IDS_MAX)):
        places = ",".join("?" * len(some))
        numbers: dict[int, bytes] = dict(
            db.rows(f"SELECT number, id FROM entries WHERE id IN ({places})", *some)
        )
        found |= _of(db, numbers)
    return found


def of_rows(db: Database, rows: Iterable[EntryRow]) -> dict[bytes, list[ReceiptRow]]:
    """The same for rows that were read. Their numbers spare a search per id, each on a page of its own."""
    found: dict[bytes, list[ReceiptRow]] = {}
    asked = iter(rows)
    while some := tuple(islice(asked, _IDS_MAX)):
        found |= _of(db, {row.number: row.id for row in some})
    return found


def _of(db: Database, ids: Mapping[int, bytes]) -> dict[bytes, list[ReceiptRow]]:
    """The receipts by id, for at most _IDS_MAX entries by number."""
    found: dict[bytes, list[ReceiptRow]] = {}
    if not ids:
        return found  # IN () would go through the whole table
    rows = db.rows(
        "SELECT r.entry, t.terminal, r.kind, r.time FROM receipts AS r"
        " CROSS JOIN terminals AS t ON t.number = r.terminal"
        f" WHERE r.entry IN ({','.join('?' * len(ids))}) ORDER BY r.entry, t.terminal, r.kind",
        *ids,
    )
    for number, *receipt in rows:
        found.setdefault(ids[number], []).append(ReceiptRow(*receipt))
    return found


def stretch_after(db: Database, conversation: bytes, author: bytes, sequence: int, entries: int) -> Stretch:
    """The sequences of an author's next `entries` entries after one, or of all that follow."""
    found = db.value(
        "SELECT sequence FROM entries WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
        " AND author = (SELECT number FROM terminals WHERE terminal = ?) AND sequence > ?"
        " ORDER BY sequence LIMIT 1 OFFSET ?",
        conversation,
        author,
        sequence,
        entries - 1,
    )
    return sequence, WHOLE[1] if found is None else found


_AWAITS: Final = (
    " AND NOT e.destroyed AND EXISTS (SELECT 1 FROM bodies WHERE entry = e.number)"
    " AND NOT EXISTS (SELECT 1 FROM receipts AS r WHERE r.entry = e.number"
    " AND r.terminal IN (SELECT terminal FROM person_terminals WHERE person = ?))"
    " AND e.number NOT IN (SELECT entry FROM claims)"
)


def awaiting(db: Database, ids: Iterable[bytes], own_terminal: bytes, contact: bytes) -> set[bytes]:
    """Those of some entries that are in the outbox."""
    found: set[bytes] = set()
    asked = iter(ids)
    while some := tuple(islice(asked, _IDS_MAX)):
        rows = db.rows(
            "SELECT e.id FROM entries AS e"
            " WHERE e.author = (SELECT number FROM terminals WHERE terminal = ?)"
            f" AND e.id IN ({','.join('?' * len(some))}){_AWAITS}",
            *(own_terminal, *some, contact),
        )
        found.update(row[0] for row in rows)
    return found


def in_order(
    db: Database, ids: Iterable[bytes], own_terminal: bytes, contact: bytes
) -> tuple[list[EntryRow], set[bytes]]:
    """Entries in the order of their conversation, and those of them that are in the outbox.

    Claims are not among them: to pass one on would say that this person wrote it.
    """
    rows = [row for entry in ids if (row := get(db, entry)) is not None and not row.claimed]
    rows.sort(key=lambda row: row.position)
    return rows, awaiting(db, [row.id for row in rows], own_terminal, contact)


def unacknowledged(
    db: Database, conversation: bytes, own_terminal: bytes, contact: bytes, stretch: Stretch = WHOLE
) -> list[bytes]:
    """The outbox: this terminal's entries that no terminal of the contact has stored or read, in order.

    An entry whose body was deleted is not in it: only the answer to heads brings its header (SPEC §11.4).
    `stretch` limits the sequences.
    """
    rows = db.rows(
        "SELECT e.id FROM entries AS e"
        " WHERE e.conversation = (SELECT number FROM conversations WHERE id = ?)"
        " AND e.author = (SELECT number FROM terminals WHERE terminal = ?)"
        f" AND e.sequence > ? AND e.sequence <= ?{_AWAITS}"
        " ORDER BY e.sequence, e.rank, e.id",
        *(conversation, own_terminal, *stretch, contact),
    )
    return [row[0] for row in rows]


def mark_read(
    db: Database, conversation: bytes, ids: Iterable[bytes], terminal: bytes, time: int, *, told: bool = True
) -> list[bytes]:
    """Mark entries as read on an own terminal. Returns those not read before, in order.

    Ids that are not held in the conversation are ignored. `told`: the contact may get read receipts.
    """
    number = contacts.find_conversation_number(db, conversation)
    fresh: list[tuple[int, bytes, int]] = []
    asked = iter(dict.fromkeys(ids))
    while some := tuple(islice(asked, _IDS_MAX)):
        fresh += db.rows(f"{_UNREAD} AND e.id IN ({','.join('?' * len(some))})", number, *some)
    return _mark(db, sorted(fresh), terminal, time, told=told)


def mark_all_read(
    db: Database, conversation: bytes, terminal: bytes, time: int, *, told: bool = True
) -> list[bytes]:
    """Mark all entries of a conversation as read. Returns those not read before, in order."""
    fresh = db.rows(_UNREAD, contacts.find_conversation_number(db, conversation))
    return _mark(db, sorted(fresh), terminal, time, told=told)


def _mark(
    db: Database, fresh: list[tuple[int, bytes, int]], terminal: bytes, time: int, *, told: bool
) -> list[bytes]:
    """Store receipts for unread entries, given as (rank, id, number)."""
    if fresh:
        own, kind = persons.terminal_number(db, terminal), READ if told else READ_UNTOLD
        db.run_many(ADD, [(number, own, kind, time) for _, _, number in fresh])
        db.run_many("DELETE FROM unread WHERE entry = ?", ((number,) for _, _, number in fresh))
    return [entry for _, entry, _ in fresh]


def read_by(
    db: Database,
    conversation: bytes,
    terminals: Collection[bytes],
    limit: int,
    since: Position = BEGINNING,
    before: Position = END,
) -> list[bytes]:
    """The newest `limit` entries in a range that were read with receipts to the contact, newest first.

    They were read on one of `terminals`, those of this person.
    """
    rows = db.rows(
        "SELECT e.id FROM entries AS e WHERE e.conversation = (SELECT number FROM conversations WHERE id = ?)"
        f" AND e.{SHOWN} AND (e.rank, e.id) >= (?, ?) AND (e.rank, e.id) < (?, ?)"
        " AND EXISTS (SELECT 1 FROM receipts AS r WHERE r.entry = e.number"
        f" AND r.terminal IN ({_numbers(terminals)}) AND r.kind = ?)"
        " ORDER BY e.rank DESC, e.id DESC LIMIT ?",
        *(conversation, *since, *before, *terminals, READ, limit),
    )
    return [row[0] for row in rows]


def _numbers(terminals: Collection[bytes]) -> str:
    return f"SELECT number FROM terminals WHERE terminal IN ({','.join('?' * len(terminals))})"


def read_among(db: Database, ids: Iterable[bytes], terminals: Collection[bytes]) -> list[bytes]:
    """Those of some entries that one of `terminals` has read with receipts to the contact."""
    read = (
        "SELECT EXISTS (SELECT 1 FROM receipts AS r JOIN entries AS e ON e.number = r.entry"
        f" WHERE e.id = ? AND r.kind = ? AND r.terminal IN ({_numbers(terminals)}))"
    )
    return [entry for entry in ids if db.value(read, entry, READ, *terminals)]


def unacknowledged_after(
    db: Database, conversation: bytes, own: bytes, person: bytes, done: int, entries: int
) -> tuple[list[bytes], Stretch]:
    """The part of the outbox among `entries` entries after a sequence, and which sequences these are."""
    stretch = stretch_after(db, conversation, own, done, entries)
    return unacknowledged(db, conversation, own, person, stretch), stretch


def read_before(
    db: Database,
    conversation: bytes,
    terminals: Collection[bytes],
    most: int,
    before: Position,
    entries: int,
) -> tuple[list[bytes], Position]:
    """What `read_by` finds among `entries` entries before a position, and where the first of these is."""
    since = place_before(db, conversation, before, entries)
    return read_by(db, conversation, terminals, most, since, before), since


def unread(db: Database, conversation: bytes) -> int:
    """Number of unread entries of a conversation."""
    counted = (
        "SELECT count(*) FROM unread WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
    )
    return int(db.value(counted, conversation))


def first_unread(db: Database, conversation: bytes) -> bytes | None:
    """The id of the first unread entry in order."""
    number = contacts.find_conversation_number(db, conversation)
    some = "SELECT count(*) FROM (SELECT 1 FROM unread WHERE conversation = ? LIMIT ?)"
    few = db.value(some, number, FEW_UNREAD) < FEW_UNREAD
    found: bytes | None = db.value(_FIRST_OF_FEW if few else _FIRST_OF_MANY, number)
    return found


def unread_all(db: Database) -> dict[bytes, int]:
    """Number of unread entries per conversation that has any."""
    return dict(
        db.rows(
            "SELECT c.id, count(*) FROM unread AS u JOIN conversations AS c ON c.number = u.conversation"
            f" AND c.number NOT IN {REMOVED} GROUP BY c.number"
        )
    )
