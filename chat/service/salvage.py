"""The use case *salvage*: a backup of what can be read of a damaged database (SPEC §21.1).

Each page that does not authenticate takes its rows with it, and the first page of a table takes all of them.
Rows are read in ranges of their numbers, and one that cannot be read is halved until only the rows of such
pages are left out. The database stays as it is, but for pages of its schema, which are put back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from chat.errors import phrase
from chat.interface import BackupView, BadData, NotPermitted, SalvageView
from chat.service.recovery import ERASED
from chat.service.restore import verify
from chat.storage import backup, contacts, keys, persons, quarantine, settings
from chat.storage.backup_file import BackupWriter
from chat.storage.damaged import DamagedDatabase
from chat.storage.database import Row
from chat.storage.errors import DatabaseDamaged, StorageFailure
from protocol import labels
from protocol.backup.records import (
    BackupContact,
    BackupConversation,
    BackupEnd,
    BackupEntry,
    BackupLog,
    BackupPin,
    BackupReceipt,
    BackupRoot,
    BackupSetting,
    BackupSignature,
    BackupStart,
)
from protocol.backup.root import NOT_HELD, RootHash, history_root
from protocol.entries_and_receipts import KIND_CUT, KIND_STATE, ParsedEntry, conversation_of, parse_entry
from protocol.errors import ProtocolError
from protocol.identity.exchange import in_batches
from protocol.identity.reduction import PersonState, Pins, reduce
from protocol.limits import BACKUP_RECEIPTS_MAX
from protocol.messages import EditBody, Entry
from protocol.notes import notes_of
from protocol.primitives import Random, b2b
from protocol.profile_header import Cost

NOBODY = phrase("Your own keys or identity cannot be read: nothing can be saved of this profile.")

UNSURE: Final = "SELECT entry FROM uncovered UNION ALL SELECT entry FROM claims WHERE NOT own"
"""The entries that a file says to be uncovered."""

_RANGE: Final = 256
_LAST: Final = 1 << 16
"""Where no index has the highest number, numbers up to this one are tried."""


class _Found(Struct, frozen=True):
    """What could be read. `lost`: of each table, how many rows could not.

    `quarantined` and `uncovered` have numbers of entries, None where that cannot be read. `ending`: ids of
    entries with a timer.
    """

    own: keys.OwnRow
    quarantined: set[int] | None
    uncovered: set[int] | None
    logs: dict[bytes, list[bytes]] = field(default_factory=dict)
    pins: dict[bytes, Pins] = field(default_factory=dict)
    states: dict[bytes, PersonState] = field(default_factory=dict)
    contacts: dict[bytes, BackupContact] = field(default_factory=dict)
    ending: set[bytes] = field(default_factory=set)
    lost: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def marks(self, number: int, author: bytes) -> tuple[bool, bool]:
        """Whether an entry is quarantined, and whether uncovered. Where that is lost, one in doubt is."""
        if self.quarantined is not None:
            apart = number in self.quarantined
        else:
            apart = not any(author in state.live for state in self.states.values())
        # Of own ones, those alone whose self key is not known are in doubt where they are read.
        return apart, self.uncovered is None or number in self.uncovered


def salvage(
    db: DamagedDatabase,
    path: Path,
    passphrase: str,
    time: int,
    cost: Cost,
    random: Random,
    *,
    recovery: bool,
) -> SalvageView:
    """Write a backup of what can be read, `recovery`: with the recovery seed.

    Raises BadData where not even the person can be read, NotPermitted (a recovery seed that was erased).
    """
    found = _facts(db)
    if recovery and not found.own.recovery_seed:
        raise NotPermitted(ERASED)
    writer = BackupWriter(path, passphrase, cost, random)
    try:
        _write(db, writer, found, time, recovery=recovery)
        view = verify(writer.end(), passphrase).view
        writer.finish()
    except BaseException:
        with suppress(StorageFailure):
            writer.abandon()
        raise
    made = BackupView(str(path), view.entries, view.conversations, view.root, recovery=view.recovery)
    lost = found.lost
    return SalvageView(made, lost["entries"], lost["bodies"], lost["contacts"], lost["receipts"])


def _facts(db: DamagedDatabase) -> _Found:
    try:
        own = keys.read_own(db)
    except DatabaseDamaged:
        raise BadData(NOBODY) from None
    apart = _numbers(db, f"SELECT q.entry FROM {quarantine.QUARANTINED}")
    found = _Found(own, apart, _numbers(db, UNSURE))
    logs = defaultdict[bytes, list[bytes]](list)
    for _, person, data in _readable(db, "operations", "number, person, data", found.lost):
        logs[person].append(data)
    for person, operations in logs.items():
        pins = Pins()
        with suppress(DatabaseDamaged):
            pins = persons.pins_of(db, person)
        with suppress(ProtocolError):
            found.states[person] = reduce(operations, pins)
            found.logs[person], found.pins[person] = operations, pins
    if own.person not in found.logs:
        raise BadData(NOBODY)
    try:
        rows = db.rows("SELECT person FROM contacts WHERE state = ?", contacts.PAIRED)
    except DatabaseDamaged:
        rows = []
    known = {row[0] for row in rows} | (found.logs.keys() - {own.person})
    for person in sorted(known):
        if person not in found.logs:
            found.lost["contacts"] += 1
            continue
        found.contacts[person] = _contact(db, person, found)
    return found


def _numbers(db: DamagedDatabase, sql: str) -> set[int] | None:
    try:
        return {number for (number,) in db.rows(sql)}
    except DatabaseDamaged:
        return None


def _contact(db: DamagedDatabase, person: bytes, found: _Found) -> BackupContact:
    """A contact as it is stored, or, where that cannot be read, by its log: not verified, and held back."""
    with suppress(DatabaseDamaged):
        row = contacts.get(db, person)
        if row is not None:
            marks = row.verified, row.blocked, row.held, row.since, row.pinned, row.muted
            return BackupContact(person, row.name, row.petname, *marks, [], [])
    found.lost["contacts"] += 1
    return BackupContact(person, found.states[person].name, "", False, False, True, 0, False, False, [], [])


def _write(db: DamagedDatabase, writer: BackupWriter, found: _Found, time: int, *, recovery: bool) -> None:
    own = found.own
    seed = own.recovery_seed or b"" if recovery else b""
    drawn = keys.shared_drawn(own, found.states[own.person])
    writer.add([BackupStart(own.person, own.terminal, time, seed, drawn)])
    for person in (own.person, *found.contacts):
        writer.add(BackupLog(person, batch) for batch in in_batches(found.logs[person]))
    for person in (own.person, *found.contacts):
        pins = found.pins[person]
        known = sorted(pins.seen | pins.confirmed)
        writer.add(BackupPin(person, one, one in pins.confirmed) for one in known)
    writer.add(found.contacts.values())
    writer.add(BackupSetting(*row) for row in _settings(db))
    with suppress(DatabaseDamaged):
        after = b""
        while deleted := backup.deletions(db, after):
            writer.add(backup.deletion_records(deleted))
            after = deleted[-1][0]
    terminals: dict[int, bytes] = dict(_readable(db, "terminals", "number, terminal", found.lost))
    talks = {conversation_of(own.person, person): person for person in (own.person, *found.contacts)}
    places, has_words = defaultdict[bytes, list[tuple[int, bytes, int]]](list), False
    removed = _numbers(db, "SELECT conversation FROM removals") or ()
    of_entries = "number, id, rank, header, conversation"
    for number, identity, rank, header, conversation in _readable(db, "entries", of_entries, found.lost):
        if conversation in removed:
            continue
        entry = _parsed(identity, header)
        if entry is None or entry.header.conversation not in talks:
            found.lost["entries"] += 1
        else:
            noted = entry.header.conversation == notes_of(own.person)
            has_words = has_words or (noted and entry.header.kind not in (KIND_CUT, KIND_STATE))
            places[entry.header.conversation].append((rank, identity, number))
            if entry.header.timer:
                found.ending.add(identity)
    roots, count = list[tuple[bytes, bytes]](), 0
    if not has_words:  # what states say is in the tables of contacts, settings and relays
        places.pop(notes_of(own.person), None)
    for conversation in sorted(places):
        root = RootHash(conversation)
        writer.add([BackupConversation(talks[conversation])])
        for _, identity, number in sorted(places[conversation]):
            record, entry = _entry(db, number, identity, terminals, found)
            root.add(identity, entry.header.content if entry.has_body else NOT_HELD)
            writer.add([record])
        writer.add([BackupRoot(root.count, root.root)])
        roots.append((conversation, root.root))
        count += root.count
    writer.add([BackupEnd(count, history_root(roots))])


def _settings(db: DamagedDatabase) -> list[Row]:
    try:
        return db.rows("SELECT name, value FROM settings ORDER BY name")
    except DatabaseDamaged:
        return list(settings.WITHHELD)


def _parsed(identity: bytes, header: bytes, salt: bytes = b"", body: bytes = b"") -> ParsedEntry | None:
    try:
        if b2b(header, personal=labels.ENTRY) != identity:
            return None
        return parse_entry(Entry(header, salt, body))
    except (ProtocolError, TypeError):
        return None


def _entry(
    db: DamagedDatabase, number: int, identity: bytes, terminals: dict[int, bytes], found: _Found
) -> tuple[BackupEntry, ParsedEntry]:
    """An entry with what of its body and receipts can be read. A file has no body that ends."""
    lost = found.lost
    header, destroyed = db.rows("SELECT header, destroyed FROM entries WHERE number = ?", number)[0]
    alone = _parsed(identity, header)
    assert alone is not None, "the header was read before"
    salt = body = b""
    bodiless = destroyed or identity in found.ending or alone.header.kind == KIND_STATE
    try:
        row = None if bodiless else db.row("SELECT salt, body FROM bodies WHERE entry = ?", number)
    except DatabaseDamaged:
        row, lost["bodies"] = None, lost["bodies"] + 1
    entry = alone if row is None else _parsed(identity, header, *row)
    if entry is None:
        entry, lost["bodies"] = alone, lost["bodies"] + 1
    elif isinstance(entry.amends, EditBody) and entry.amends.entry in found.ending:
        entry = alone
    elif row is not None:
        salt, body = row
    receipts = list[BackupReceipt]()
    try:
        rows = db.rows("SELECT terminal, kind, time FROM receipts WHERE entry = ?", number)
        made = [BackupReceipt(terminals[one], kind, time) for one, kind, time in rows if one in terminals]
        receipts = sorted(made, key=lambda one: (one.terminal, one.kind))[:BACKUP_RECEIPTS_MAX]
    except DatabaseDamaged:
        lost["receipts"] += 1
    marks = found.marks(number, alone.header.author)
    said, signed = _cut(db, number) if destroyed else [], list[BackupSignature]()
    with suppress(DatabaseDamaged):
        rows = db.rows("SELECT terminal, signature FROM signatures WHERE entry = ?", number)
        signed = [BackupSignature(terminals[one], made) for one, made in rows if one in terminals]
    return BackupEntry(header, salt, body, destroyed, *marks, said, receipts, signed), entry


def _cut(db: DamagedDatabase, number: int) -> list[bytes]:
    """What a deleted cut said, which stays in force."""
    row = None
    with suppress(DatabaseDamaged):
        row = db.row("SELECT terminal, heads FROM cuts WHERE entry = ?", number)
    return [] if row is None else [row[0], *keys.parted_ids(row[1])]


def _readable(db: DamagedDatabase, table: str, columns: str, lost: dict[str, int]) -> Iterator[Row]:
    """The rows of a table, by number, that are on pages that authenticate."""
    last = _last(db, table)
    sql = f"SELECT {columns} FROM {table} WHERE number BETWEEN ? AND ? ORDER BY number"
    ranges = [(1, last)]
    while ranges:
        low, high = ranges.pop()
        try:
            if high - low >= _RANGE:
                raise DatabaseDamaged(db.path)  # so that no range fills the memory
            yield from db.rows(sql, low, high)
        except DatabaseDamaged:
            if low == high:
                lost[table] += 1
            elif low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]


def _last(db: DamagedDatabase, table: str) -> int:
    """The highest number in a table, which an index of it has, too."""
    for index in (_INDEXES[table], ""):
        with suppress(DatabaseDamaged):
            return int(db.value(f"SELECT ifnull(max(number + 0), 0) FROM {table} {index}"))
    return _LAST


_INDEXES: Final = {
    "operations": "INDEXED BY operations_by_person",
    "terminals": "INDEXED BY sqlite_autoindex_terminals_1",
    "entries": "INDEXED BY entries_by_place",
}
