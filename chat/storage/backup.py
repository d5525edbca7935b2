"""What a backup holds of a database, read in pieces of some milliseconds (SPEC §21.1)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from msgspec.structs import astuple, replace

from chat.storage import contacts, keys, persons, quarantine, settings, signatures
from chat.storage.contacts import ContactRow
from chat.storage.database import Database
from chat.storage.entries import BEGINNING, EntryRow, Position, check_header
from chat.storage.ordering import apart
from chat.storage.positions import ALL, EVERY
from protocol.backup.records import (
    BackupComparison,
    BackupContact,
    BackupDeletions,
    BackupEntry,
    BackupLog,
    BackupPin,
    BackupProof,
    BackupReceipt,
    BackupRelay,
    BackupSetting,
    BackupSignature,
    BackupStart,
    BackupVoucher,
    Record,
)
from protocol.backup.root import NOT_HELD, RootHash
from protocol.entries_and_receipts import KIND_CUT, KIND_EDIT, KIND_STATE, conversation_of
from protocol.identity.exchange import in_batches
from protocol.identity.reduction import reduce
from protocol.limits import BACKUP_IDS_MAX, BACKUP_RECEIPTS_MAX, VOUCHERS_MAX
from protocol.messages import ENTRY_HEADER
from protocol.notes import notes_of
from protocol.redacting import Redacted, Redacting

PIECE: Final = 128
"""Entries that one piece reads: some milliseconds, for which others wait."""

ROOT_PIECE: Final = 512
"""Entries over which one piece computes a root."""


class Scope(Redacting, frozen=True):
    """What of a database belongs to one backup: entries up to a number, conversations and notes.

    `conversations` have id and contact, the person itself for its notes, ascending by id.
    """

    own: bytes
    persons: tuple[bytes, ...]
    conversations: tuple[tuple[bytes, bytes], ...]
    last: int
    start: Redacted[BackupStart]


def scope(db: Database, time: int, *, recovery: bool) -> Scope:
    """What is held now. `time` in milliseconds; `recovery`: with the recovery seed, if it is here."""
    own = keys.read_own(db)
    start = BackupStart(
        own.person,
        own.terminal,
        time,
        own.recovery_seed or b"" if recovery else b"",
        keys.shared_drawn(own, reduce(*persons.log_of(db, own.person))),
    )
    paired = [row.person for row in contacts.all(db)]
    held = {row.contact: row.id for row in contacts.conversations(db) if row.contact is not None}
    talks = [(held[person], person) for person in paired if person in held]
    talks += [(notes_of(own.person), own.person)] if has_notes(db) else []
    talks.sort()
    last = int(db.value("SELECT ifnull(max(number), 0) FROM entries"))
    return Scope(own.person, (own.person, *paired), tuple(talks), last, start)


def has_notes(db: Database) -> bool:
    """Whether the notes have anything but what terminals of the person say to each other."""
    of_notes = f"conversation IN (SELECT number FROM conversations WHERE kind = {contacts.NOTES})"
    said = (
        f"SELECT EXISTS (SELECT 1 FROM entries WHERE {of_notes} AND kind NOT IN ({KIND_CUT}, {KIND_STATE}))"
    )
    return bool(db.value(said))


def log_records(db: Database, person: bytes) -> list[Record]:
    """The log of a person, in as many records as it needs."""
    return [BackupLog(person, batch) for batch in in_batches(persons.operations_of(db, person))]


def facts(db: Database, of: Scope) -> list[Record]:
    """Pins, contacts, proven keys, settings and relays, in the order of a backup."""
    found = list[Record]()
    for person in of.persons:
        pins = persons.pins_of(db, person)
        for recovery in sorted(pins.seen | pins.confirmed):
            found.append(BackupPin(person, recovery, recovery in pins.confirmed))
    rows = [row for person in of.persons[1:] if (row := contacts.get(db, person)) is not None]
    found += [_contact(db, row) for row in rows]
    known = {row.person for row in rows}
    found += [BackupProof(person, key) for person, key in persons.proven_keys(db) if person in known]
    found += [BackupSetting(*row) for row in db.rows("SELECT name, value FROM settings ORDER BY name")]
    found += [BackupRelay(row.address, row.invited, row.since) for row in settings.all_relays(db)]
    return found


def _contact(db: Database, row: ContactRow) -> BackupContact:
    compared = contacts.comparison(db, row.person)
    comparison = (
        []
        if compared is None
        else [
            BackupComparison(
                compared.by_words,
                compared.time,
                compared.newest,
                sorted(compared.terminals)[:BACKUP_IDS_MAX],
            )
        ]
    )
    shown = row.verified, row.blocked, row.held, row.since, row.pinned, row.muted
    told = sorted(contacts.vouchers(db, row.person)[:VOUCHERS_MAX])
    return BackupContact(
        *(row.person, row.name, row.petname, *shown), comparison, [BackupVoucher(*one) for one in told]
    )


def deletions(db: Database, after: bytes) -> list[tuple[bytes, int]]:
    """The next ids, ascending, of entries that were deleted and are not held, and how each was deleted."""
    sql = "SELECT entry, how FROM deletions WHERE entry > ? ORDER BY entry LIMIT ?"
    return [(entry, how) for entry, how in db.rows(sql, after, BACKUP_IDS_MAX)]


def deletion_records(found: list[tuple[bytes, int]]) -> list[Record]:
    """A record for each way in which some of these were deleted."""
    ways = sorted({how for _, how in found})
    return [BackupDeletions(way, [entry for entry, how in found if how == way]) for way in ways]


LASTS: Final = (
    f"e.kind != {KIND_STATE} AND NOT EXISTS (SELECT 1 FROM expiring WHERE entry = e.number)"
    f" AND (e.kind != {KIND_EDIT} OR NOT EXISTS (SELECT 1 FROM amendments AS a JOIN entries AS t"
    " ON t.id = a.target AND t.conversation = e.conversation JOIN expiring AS x ON x.entry = t.number"
    " WHERE a.entry = e.number))"
)
"""Whether a file may have the body of an entry. That of one with a timer, or of its edits, it would keep
beyond its end; that of a state may have the secret of a pairing, and a backup has what it says as it is.
"""


def without_ending(db: Database, rows: list[EntryRow]) -> list[EntryRow]:
    """The rows, of which those whose content no file has are without salt and body."""
    numbers = json.dumps([row.number for row in rows])
    of_these = "SELECT e.number FROM entries AS e WHERE e.number IN (SELECT value FROM json_each(?))"
    ending = {number for (number,) in db.rows(f"{of_these} AND NOT ({LASTS})", numbers)}
    return [replace(row, salt=b"", body=b"") if row.number in ending else row for row in rows]


_ENTRIES: Final = (
    "SELECT e.number, e.id, e.rank, e.header, ifnull(b.salt, x''), ifnull(b.body, x''), e.destroyed,"
    f" EXISTS (SELECT 1 FROM {quarantine.QUARANTINED} WHERE q.entry = e.number),"
    f" e.number IN (SELECT entry FROM uncovered) OR {apart('e.number')}"
    f" FROM {EVERY} AS p JOIN entries AS e ON e.number = p.number"
    f" LEFT JOIN bodies AS b ON b.entry = e.number AND NOT e.destroyed AND {LASTS}"
    " ORDER BY p.rank, p.id"
)


def entries(
    db: Database, conversation: bytes, after: Position, last: int
) -> tuple[list[tuple[bytes, BackupEntry]], Position | None]:
    """The next entries of a conversation in its order, by id, and the place of the last; None at the end.

    Raises DatabaseDamaged for a header that is not that of its id.
    """
    rows = db.rows(_ENTRIES, conversation, *after, last, PIECE)
    numbers = json.dumps([row[0] for row in rows])
    acknowledged = dict[int, list[BackupReceipt]]()
    for entry, *receipt in db.rows(
        "SELECT r.entry, t.terminal, r.kind, r.time FROM receipts AS r"
        " JOIN terminals AS t ON t.number = r.terminal"
        " WHERE r.entry IN (SELECT value FROM json_each(?)) ORDER BY r.entry, t.terminal, r.kind",
        numbers,
    ):
        acknowledged.setdefault(entry, []).append(BackupReceipt(*receipt))
    said = {
        entry: [terminal, *keys.parted_ids(heads)]
        for entry, terminal, heads in db.rows(
            "SELECT entry, terminal, heads FROM cuts WHERE entry IN (SELECT value FROM json_each(?))", numbers
        )
    }
    signed = signatures.of(db, [row[0] for row in rows])
    found = list[tuple[bytes, BackupEntry]]()
    for number, entry, _, header, salt, body, destroyed, quarantined, uncovered in rows:
        check_header(db, entry, header)
        marks = destroyed, bool(quarantined), bool(uncovered), said.get(number, []) if destroyed else []
        receipts = acknowledged.get(number, [])[:BACKUP_RECEIPTS_MAX]
        by = [BackupSignature(*astuple(signed[number]))] if number in signed else []
        found.append((entry, BackupEntry(header, salt, body, *marks, receipts, by)))
    place = (rows[-1][2], rows[-1][1]) if len(rows) == PIECE else None
    return found, place


_HASHED: Final = (
    "SELECT e.rank, e.id, e.header, (NOT e.destroyed AND EXISTS (SELECT 1 FROM bodies WHERE entry = e.number)"
    " OR ?6 AND EXISTS (SELECT 1 FROM let_go WHERE entry = e.number))"
    f" AND {LASTS}, ?6 AND {apart('e.number')}"
    f" FROM {EVERY} AS p JOIN entries AS e ON e.number = p.number ORDER BY p.rank, p.id"
)


def hash_piece(
    db: Database, conversation: bytes, root: RootHash, after: Position, last: int, *, elsewhere: bool = False
) -> Position | None:
    """Add the next entries to a root hash; the place of the last, None at the end.

    `elsewhere`: what was let go of counts as held, because another terminal keeps it, and a contact's claims
    do not count, because no other terminal need have them.
    """
    rows = db.rows(_HASHED, conversation, *after, last, ROOT_PIECE, elsewhere)
    for _, entry, header, held, claimed in rows:
        if not claimed:
            root.add(entry, ENTRY_HEADER.decode(header).content if held else NOT_HELD)
    return (rows[-1][0], rows[-1][1]) if len(rows) == ROOT_PIECE else None


def is_outdated(db: Database, of: Scope) -> bool:
    """Whether an entry that arrived since comes before others, and may have moved them."""
    return bool(db.value("SELECT EXISTS (SELECT 1 FROM edges WHERE parent > ?1 AND child <= ?1)", of.last))


def roots(db: Database, own: bytes) -> dict[bytes, RootHash]:
    """The root hashes of all conversations, by id. Takes seconds at a million entries."""
    return {one: _whole(db, one) for one in _conversations(db, own)}


def _whole(db: Database, conversation: bytes) -> RootHash:
    root, place = RootHash(conversation), BEGINNING
    while (following := hash_piece(db, conversation, root, place, ALL)) is not None:
        place = following
    return root


def _conversations(db: Database, own: bytes) -> Iterator[bytes]:
    for row in contacts.conversations(db):
        person = contacts.partner(db, row)
        noted = row.kind == contacts.NOTES
        if person is not None and row.id == conversation_of(own, person) and (not noted or has_notes(db)):
            yield row.id
