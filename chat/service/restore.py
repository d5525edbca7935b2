"""The use case *restore*: a new terminal of a backup, or what a profile of the same person lacks.

All of a file is verified before anything is changed (SPEC §21.1). It is read a second time for the changes,
so that memory holds no more than one chunk of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from chat.errors import phrase
from chat.interface import BackupView, RestoreView, UsageError
from chat.service.drawing import opened, renew_upon
from chat.service.recovery import seed_of
from chat.service.signing import Held, Words, before_others, confirming, named_again, signed_recovery
from chat.storage import (
    backup,
    claims,
    contacts,
    entries,
    erasing,
    keys,
    names,
    ordering,
    persons,
    quarantine,
    settings,
    sharing,
)
from chat.storage.amending import Follower
from chat.storage.backup_file import BackupChanged, BackupDamaged, BackupReader
from chat.storage.contacts import ComparisonRow, ContactRow
from chat.storage.database import Database
from chat.storage.entries import BY_CONTACT, BY_OWN, Stored
from chat.storage.expiry import Moment
from chat.storage.keys import OwnRow
from chat.storage.receipts import READ
from chat.storage.settings import RelayRow
from protocol.backup.records import (
    BackupComparison,
    BackupContact,
    BackupConversation,
    BackupDeletions,
    BackupEntry,
    BackupLog,
    BackupPin,
    BackupProof,
    BackupRelay,
    BackupSetting,
    BackupStart,
    Record,
    RecordReader,
)
from protocol.backup.root import history_root
from protocol.backup.sealed import SEALED_CHUNK_SIZE
from protocol.entries_and_receipts import ParsedEntry, check_signature
from protocol.errors import AuthenticationFailed, ProtocolError
from protocol.identity.author import NewTerminal, create_terminal
from protocol.identity.exchange import default_keep, extend
from protocol.identity.log import parse_operation
from protocol.identity.reduction import PersonState, Pins, reduce
from protocol.primitives import Random
from protocol.redacting import Redacted, Redacting

NO_SEED = phrase("This backup has no recovery words in it: type them, with --words.")
AN_ARCHIVE = phrase(
    "This profile is an archive: what is in it stays as it is. Choose another with --profile."
)

Progress = Callable[[int, int], None]


def _silent(done: int, whole: int) -> None:
    pass


class Verified(Redacting, frozen=True):
    """A file all of which was accepted. `logs` and `pins` are those of all persons in it, by person."""

    reader: BackupReader
    start: BackupStart
    logs: dict[bytes, list[bytes]]
    pins: dict[bytes, Pins]
    state: PersonState
    view: BackupView
    conversations: Redacted[dict[bytes, tuple[int, bytes]]]


def verify(path: Path, passphrase: str, progress: Progress = _silent) -> Verified:
    """Read a whole file and check all of it; changes nothing. Takes the time of Argon2id.

    Raises UsageError, BadData, NotPermitted as BackupReader.
    """
    reader, records = BackupReader(path, passphrase), RecordReader()
    logs = dict[bytes, list[bytes]]()
    seen, confirmed = defaultdict[bytes, set[bytes]](set), defaultdict[bytes, set[bytes]](set)
    for read, found in enumerate(reader.read(records), 1):
        for record, _ in found:
            if isinstance(record, BackupLog):
                logs.setdefault(record.person, []).extend(record.operations)
            elif isinstance(record, BackupPin):
                (confirmed if record.confirmed else seen)[record.person].add(record.recovery)
        progress(min(read * SEALED_CHUNK_SIZE, reader.size), 2 * reader.size)
    if records.start is None or records.end is None:
        raise BackupDamaged(path)
    pins = {one: Pins(frozenset(seen[one]), frozenset(confirmed[one])) for one in logs}
    try:
        states = {person: reduce(operations, pins[person]) for person, operations in logs.items()}
    except ProtocolError:
        raise BackupDamaged(path) from None
    start, end = records.start, records.end
    view = BackupView(str(path), end.entries, len(records.roots), end.root.hex(), bool(start.recovery))
    return Verified(reader, start, logs, pins, states[start.person], view, records.roots)


class NewProfile(Struct, frozen=True):
    """What a restored profile without a history begins with: `operations` follow its log.

    `confirmed` is the id of the Recover among them.
    """

    own: OwnRow
    operations: tuple[bytes, ...]
    confirmed: bytes


def seed_for(verified: Verified, words: Sequence[str]) -> bytes:
    """The recovery seed that brings in a new terminal: of these words, else of the file.

    Raises UsageError (the words).
    """
    seed = seed_of(words) if words else verified.start.recovery
    if not seed:
        raise UsageError(NO_SEED)
    before_others(_held(verified), Words(seed, seed))
    return seed


def plan_new(verified: Verified, words: Words, *, remove_old: bool, random: Random) -> NewProfile:
    """The new terminal and the Recover that brings it in. Raises UsageError (the words)."""
    held, old = _held(verified), verified.start.terminal
    removed = [old] if remove_old and old in verified.state.live else []
    base, new = before_others(held, words, removed), create_terminal(random)
    confirmed = held.pins.confirmed
    kept = {one: default_keep(base, one, b"", confirmed) for one in removed if one in base.state()}
    signed, own = signed_recovery(base, words, kept, new), _own_row(verified, new)
    made = (signed, *named_again([*held.operations, signed], held.pins, own, verified.state.name))
    upon, recovery = [*held.operations, *made], parse_operation(signed).id
    renew, drawn = renew_upon(upon, confirming(upon, held.pins, [recovery]), own, random)
    return NewProfile(replace(own, drawn=(*own.drawn, drawn)), (*made, renew), recovery)


def _held(verified: Verified) -> Held:
    person = verified.start.person
    return Held(verified.logs[person], verified.pins[person])


def _own_row(verified: Verified, new: NewTerminal) -> OwnRow:
    start = verified.start
    return OwnRow(start.person, new.id, new.signing_seed, new.static_secret, tuple(start.drawn), None)


def fill_new(
    db: Database, verified: Verified, new: NewProfile, moment: Moment, progress: Progress = _silent
) -> None:
    """Write a new profile, in one transaction. The Recover comes last: what is held before it counts."""
    own = new.own
    _fill(db, verified, own)
    held, pins = persons.log_of(db, own.person)
    pins = confirming([*held, *new.operations], pins, [new.confirmed])
    found, wrote = extend(held, new.operations, pins), verified.start.terminal
    # It goes on for the terminal that wrote the file, where the Recover leaves none of these.
    former = b"" if wrote in found.state.live else wrote
    _apply(verified, Restorer(db, own, moment, former), progress)
    persons.store(db, own.person, found)
    persons.pin(db, own.person, [new.confirmed], confirmed=True)
    _settle(db)


def _fill(db: Database, verified: Verified, own: OwnRow) -> None:
    """Write the terminal, what was drawn and the logs of a profile that nothing is in yet."""
    keys.create_own(db, own)
    for person, operations in verified.logs.items():
        for operation in operations:
            persons.add_operation(db, person, parse_operation(operation).id, operation)
        pins = verified.pins[person]
        persons.pin(db, person, pins.seen, confirmed=False)
        persons.pin(db, person, pins.confirmed, confirmed=True)
        persons.pinned(db, person)


def same_person(db: Database, verified: Verified) -> OwnRow | None:
    """The terminal of a profile that a file may add to, None for that of somebody else. Raises UsageError."""
    own = keys.read_own(db)
    if own.archived:
        raise UsageError(AN_ARCHIVE)
    first = (one.secret for one in verified.start.drawn if one in own.drawn)
    return own if own.person == verified.start.person and any(first) else None


def merge(
    db: Database, verified: Verified, own: OwnRow, moment: Moment, progress: Progress = _silent
) -> None:
    """Add what a profile of the same person lacks, in a transaction per piece: a repeat goes on.

    Raises BackupDamaged where a log does not fit to the one that is held.
    """
    with db.transaction():
        for person, operations in verified.logs.items():
            known = person == own.person or contacts.get(db, person) is not None
            pins = persons.pins_of(db, person) if known else verified.pins[person]
            try:
                found = extend(persons.operations_of(db, person), operations, pins)
            except ProtocolError:
                raise BackupDamaged(verified.reader.path) from None
            persons.store(db, person, found)
            persons.pin(db, person, pins.confirmed, confirmed=True)
            if person == own.person:
                keys.add_drawn(db, verified.start.drawn)
                keys.add_drawn(db, opened(persons.operations_of(db, person), pins, own, found.new))
    _apply(verified, Restorer(db, own, moment), progress)
    with db.transaction():
        _settle(db)


def fill_archive(db: Database, verified: Verified, moment: Moment, progress: Progress = _silent) -> None:
    """Write what a backup without its recovery seed can be, in one transaction: a history without a terminal.

    It has the id of the terminal that wrote the backup, whose entries are one's own, and no key of any.
    """
    start = verified.start
    own = OwnRow(start.person, start.terminal, keys.NO_KEY, keys.NO_KEY, tuple(start.drawn), None)
    _fill(db, verified, own)
    _apply(verified, Restorer(db, own, moment), progress, _without_trust)
    _settle(db)
    db.run("DELETE FROM unread")
    settings.set_archived_at(db, start.time)


def _without_trust(record: Record) -> Record | None:
    """A record as an archive has it: nothing in it was verified, and nothing is reached through it."""
    match record:
        case BackupContact():
            return replace(record, verified=False, held=False, muted=False, comparison=[], vouchers=[])
        case BackupProof() | BackupRelay():
            return None
    return record


def _as_it_is(record: Record) -> Record | None:
    return record


def _apply(
    verified: Verified,
    restorer: Restorer,
    progress: Progress,
    taken: Callable[[Record], Record | None] = _as_it_is,
) -> None:
    reader = verified.reader
    try:
        for read, found in enumerate(reader.read(RecordReader()), 1):
            restorer.take([(known, entry) for record, entry in found if (known := taken(record)) is not None])
            progress(reader.size + min(read * SEALED_CHUNK_SIZE, reader.size), 2 * reader.size)
    except BackupDamaged:  # after all of it was accepted, and some of it written
        raise BackupChanged(reader.path) from None


def _settle(db: Database) -> None:
    """Do to the end what is due, so that nothing is shown that does not count, was deleted or was edited."""
    rule: int | None = 0
    own = keys.read_own(db).person
    newest = keys.newest_self_keys(db, reduce(persons.operations_of(db, own), persons.pins_of(db, own)))
    known = len(keys.self_keys(db))
    due = True
    while due or rule is not None:
        due = claims.settle_next(db, known, newest) or ordering.settle_next(db, 0) is not None
        rule, _ = quarantine.settle_next(db, rule or 0)
    talk = 0
    while (following := Follower(db).piece(talk)) is not None:
        talk = following


def report(db: Database, verified: Verified, *, new: bool, archive: str = "") -> RestoreView:
    """What the profile has now. `archive`: where it is, if it is an archive."""
    own = keys.read_own(db)
    roots = backup.roots(db, own.person)
    root = history_root((conversation, one.root) for conversation, one in roots.items())
    state = reduce(persons.operations_of(db, own.person), persons.pins_of(db, own.person))
    removed = verified.start.terminal not in state.live
    held = sum(one.count for one in roots.values())
    ids = own.person.hex(), state.name, own.terminal.hex()
    return RestoreView(*ids, new, removed, held, root.hex(), verified.view, archive)


class Restorer:
    """Writes the records of a file into a database; what is there already stays as it is.

    `went_on`: the id of the terminal in whose place this one is, or empty.
    Entries with a timer end as those that come at this `moment`: a contact may pass their bodies until then.
    """

    def __init__(self, db: Database, own: OwnRow, moment: Moment, went_on: bytes = b"") -> None:
        self._db, self._own, self._moment, self._went_on = db, keys.read_own(db), moment, went_on
        former = persons.former_terminals(db, own.person)
        state = reduce(persons.operations_of(db, own.person), persons.pins_of(db, own.person))
        self._ours = frozenset([own.terminal, *former, *(one.id for one in state.terminals())])
        self._signing = persons.signing_keys(db, own.person)
        self._contact_now = b""
        self._numbers = dict[bytes, int]()

    def take(self, found: Sequence[tuple[Record, ParsedEntry | None]]) -> None:
        """Write some records, in a transaction of its own where there is none."""
        if self._db.in_transaction:
            self._write(found)
        else:
            with self._db.transaction():
                self._write(found)

    def _write(self, found: Sequence[tuple[Record, ParsedEntry | None]]) -> None:
        run, last = list[tuple[BackupEntry, ParsedEntry]](), (False, 0)
        for record, entry in found:
            if not isinstance(record, BackupEntry) or entry is None:
                self._insert(run, last)
                run = []
                self._fact(record)
                continue
            entry = self._checked(entry)
            # Those that are quarantined are decided about after what was held before them.
            kind = record.quarantined, self._claimed(record, entry)
            if kind != last:
                self._insert(run, last)
                run, last = [], kind
            run.append((record, entry))
        self._insert(run, last)

    def _checked(self, entry: ParsedEntry) -> ParsedEntry:
        """The entry, without a signature that no terminal of this person made."""
        signed = entry.signed
        if signed is None:
            return entry
        try:
            check_signature(entry.id, entry.header.author, signed, self._signing[signed.terminal])
        except (AuthenticationFailed, KeyError):
            return replace(entry, signed=None)
        return entry if entry.header.author in self._ours else replace(entry, signed=None)

    def _claimed(self, record: BackupEntry, entry: ParsedEntry) -> int:
        """Who says that this person wrote an entry, as EntryRow.claimed, where no signature shows it."""
        if entry.header.author not in self._ours or self._contact_now == self._own.person:
            return 0
        if entry.signed is not None:
            return 0
        return BY_CONTACT if record.uncovered else BY_OWN

    def _fact(self, record: Record) -> None:
        db = self._db
        match record:
            case BackupContact():
                self._contact(record)
            case BackupConversation():
                self._contact_now = record.contact
                if record.contact == self._own.person:
                    sharing.ensure(db, record.contact)
            case BackupProof():
                persons.add_proven_key(db, record.person, record.static)
            case BackupSetting() if not names.take_over(db, record.name, record.value):
                db.run(
                    "INSERT OR IGNORE INTO settings (name, value) VALUES (?, ?)", record.name, record.value
                )
            case BackupRelay():
                held = "SELECT 1 FROM relays WHERE address = ?"
                if db.value(held, record.address) is None:
                    settings.add_relay(db, RelayRow(record.address, record.invited, record.since))
            case BackupDeletions():
                for entry in record.ids:
                    self._delete(entry, record.how)

    def _contact(self, record: BackupContact) -> None:
        if contacts.get(self._db, record.person) is not None:
            return
        shown = record.verified, record.blocked, record.held, record.since, record.pinned, record.muted
        contacts.add(
            self._db, ContactRow(record.person, record.name, record.petname, contacts.PAIRED, *shown)
        )
        for one in record.comparison:
            self._comparison(record.person, one)
        for voucher in record.vouchers:
            # What was done here before is done here, under other keys.
            by = self._own.terminal if voucher.terminal == self._went_on else voucher.terminal
            contacts.vouch_here(self._db, record.person, by, compared=voucher.compared)

    def _comparison(self, person: bytes, one: BackupComparison) -> None:
        row = ComparisonRow(person, one.by_words, one.time, one.newest, tuple(one.terminals))
        contacts.add_comparison(self._db, row)

    def _delete(self, entry: bytes, how: int) -> None:
        """What was deleted stays so, also where this profile still has it, in the wider scope of both."""
        if how == entries.ON_ALL:
            erasing.erase(self._db, entry)
        elif self._db.value("SELECT EXISTS (SELECT 1 FROM entries WHERE id = ?)", entry):
            entries.destroy(self._db, entry)
        else:
            self._db.run("INSERT OR IGNORE INTO deletions (entry, how) VALUES (?, ?)", entry, how)

    def _insert(self, run: Sequence[tuple[BackupEntry, ParsedEntry]], kind: tuple[bool, int]) -> None:
        """Write entries that are all quarantined or not, and all claimed by the same or not."""
        if not run:
            return
        db, (_, claimed) = self._db, kind
        for record, entry in run:
            if record.deleted:
                self._delete(entry.id, record.deleted)
        former = {entry.header.author for record, entry in run if record.quarantined}
        stored = entries.insert_all(
            db,
            [entry for _, entry in run],
            self._own.terminal,
            contact=self._contact_now,
            former=former,
            ours=self._ours,
            moment=self._moment,
            claimed=claimed,
        )
        self._mark(run, stored)
        self._receipts(run)
        for record, entry in run:
            if record.cut:
                self._cut(record, entry)

    def _mark(self, run: Sequence[tuple[BackupEntry, ParsedEntry]], stored: Sequence[Stored]) -> None:
        db, said = self._db, {entry.id: record for record, entry in run}
        for one in stored:
            record = said[one.entry.id]
            if record.uncovered and one.entry.header.author not in self._ours and not one.filled:
                db.run("INSERT OR IGNORE INTO uncovered (entry) VALUES (?)", one.number)
        others = [(record.deleted, entry.id) for record, entry in run if record.deleted > 1]
        mark = f"UPDATE entries SET destroyed = ? WHERE id = ? AND destroyed NOT IN (0, {entries.ON_ALL})"
        db.run_many(mark, others)

    def _receipts(self, run: Sequence[tuple[BackupEntry, ParsedEntry]]) -> None:
        db = self._db
        made = [
            (self._number(receipt.terminal), receipt.kind, receipt.time, entry.id)
            for record, entry in run
            for receipt in record.receipts
        ]
        db.run_many(
            "INSERT OR IGNORE INTO receipts (entry, terminal, kind, time)"
            " SELECT number, ?, ?, ? FROM entries WHERE id = ?",
            made,
        )
        read = [
            (entry.id,)
            for record, entry in run
            if any(one.kind >= READ and one.terminal in self._ours for one in record.receipts)
        ]
        db.run_many("DELETE FROM unread WHERE entry = (SELECT number FROM entries WHERE id = ?)", read)

    def _number(self, terminal: bytes) -> int:
        if terminal not in self._numbers:
            self._numbers[terminal] = persons.terminal_number(self._db, terminal)
        return self._numbers[terminal]

    def _cut(self, record: BackupEntry, entry: ParsedEntry) -> None:
        """What a deleted cut said stays in force."""
        terminal, *heads = record.cut
        added = self._db.run(
            "INSERT OR IGNORE INTO cuts (entry, terminal, conversation, author, sequence, id, heads)"
            " SELECT number, ?, conversation, author, sequence, id, ? FROM entries"
            " WHERE id = ? AND destroyed",
            *(terminal, keys.joined_ids(heads), entry.id),
        )
        if added:
            number = self._db.value("SELECT number FROM entries WHERE id = ?", entry.id)
            quarantine.follow_cuts(self._db, [number])
