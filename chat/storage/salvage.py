"""Saves what can be read of a damaged database into a fresh one, which takes its place.

A page that does not authenticate makes its own rows unreadable and no others. Facts are read around it, each
row is checked against its hash, and derived tables are computed again. What is lost of entries is then asked
of contacts as every missing entry and body is (SPEC §11.4). The damaged file stays aside until its loss was
seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct, field

from chat.storage import (
    alerts,
    clients,
    expiry,
    folder,
    keys,
    marks,
    persons,
    quarantine,
    registers,
    removal,
    settings,
)
from chat.storage.alerts import AlertRow
from chat.storage.contacts import NOTES, TWO, conversation_number
from chat.storage.database import Database, Row
from chat.storage.errors import DatabaseDamaged, IdentityLost, StorageMisuse
from chat.storage.expiry import Moment
from chat.storage.folder import SALVAGED, SALVAGING, system_failures
from chat.storage.migrations import create_history, known, rebuild, version
from protocol import labels
from protocol.entries_and_receipts import (
    KIND_CUT,
    KIND_STATE,
    KIND_TIMER,
    READ,
    READABLE,
    conversation_of_two,
    read_cut,
    read_timer,
)
from protocol.errors import ProtocolError
from protocol.expiry import ends, read_at
from protocol.identity.reduction import reduce
from protocol.messages import ENTRY_HEADER, EntryHeader
from protocol.notes import notes_of, read_state
from protocol.primitives import b2b
from protocol.profile_header import DatabaseKey

DAMAGED: Final = "damaged"
MENDED: Final = "mended"
SETTINGS: Final = "settings"
"""Kinds of the alert: pages could not be read, or some were older than the others; the settings are lost."""

_COMPUTED: Final = frozenset(
    {"migrations", "edges", "missing", "raises", "tips", "heads", "unread", "search"}
)
"""Tables that are not copied: `rebuild` fills them."""

_FIRST: Final = (
    "own",
    "drawn",
    "operations",
    "pins",
    "terminals",
    "contacts",
    "conversations",
    "entries",
)
"""Tables that others are checked against."""

_WIDTH: Final = 256
"""Numbers of rows that are read together where nothing is damaged."""

_SINGLY: Final = 256
_STRIDE: Final = 16
"""After so many failures in a row, some milliseconds each, only every so many rows are tried."""

_BEYOND: Final = 1_024
"""Numbers that are tried after the last one that is known, where the end of a table cannot be read."""

Fields = dict[str, Any]
"""A row by its columns."""

Progress = Callable[[int], None]
"""Takes how many of a hundred parts are done."""


class Saved(Struct):
    """How many entries lost their header or body, and how many contacts cannot be read any more."""

    entries: int = 0
    contacts: int = 0
    last: int = field(default=0)


def mend(
    db: Database, key: DatabaseKey, now: int, kind: str = DAMAGED, progress: Progress = lambda done: None
) -> Saved:
    """Replace the file of an open database by one with all that can be read of it, and open that one.

    Crash-safe: the fresh file is complete before it takes the place. The alert is of this `kind`, found `now`
    (milliseconds).

    Raises IdentityLost (this person's own keys are damaged), DatabaseDamaged (nothing can be read), and any
    other StorageFailure (there is no room for the copy). The damaged file is then still in place.
    """
    place = db.path.parent
    if version(db) != len(known()):
        raise DatabaseDamaged(db.path)
    saved = Saved()
    with system_failures():
        folder.drop_salvage(place)
        salt = bytes.fromhex(db.value("PRAGMA cipher_salt"))

        def fill(new: Database) -> None:
            _Copy(_Damaged(db, key), new, saved, progress).run(now)
            alerts.add(new, AlertRow(kind, now, saved.entries, saved.contacts))

        # The salt stays, so that the mark outside still belongs to this profile.
        create_history(place / SALVAGING, key, fill, salt=salt)
        folder.move(place / SALVAGING, place / SALVAGED)
        db.replaced(key.reveal(), lambda: folder.swap(place))
    return saved


class _Damaged:
    """A damaged database, which is opened again after each damaged page, as SQLCipher requires."""

    def __init__(self, db: Database, key: DatabaseKey) -> None:
        self.path, self._db, self._key = db.path, db, key

    def rows(self, sql: str, *values: object) -> list[Row]:
        """Raises DatabaseDamaged."""
        return list(self.each(sql, *values))

    def each(self, sql: str, *values: object) -> Iterator[Row]:
        """Raises DatabaseDamaged after the rows before the damaged page."""
        try:
            yield from self._db.each(sql, *values)
        except DatabaseDamaged:
            self._db.replaced(self._key.reveal(), lambda: None)
            raise

    def number(self, sql: str) -> int:
        """The one value of a query. Raises DatabaseDamaged."""
        return int(self.rows(sql)[0][0])


class _Copy:
    """Copies the tables of a damaged database into a new one, in a transaction of that."""

    def __init__(self, old: _Damaged, new: Database, saved: Saved, progress: Progress) -> None:
        self._old, self._new, self._saved, self._progress = old, new, saved, progress
        self._numbers: dict[tuple[bytes, bytes], tuple[int, int]] = {}
        self._holes = set[int]()
        self._timed: dict[int, EntryHeader] = {}
        self._damaged = set[str]()
        self._removed = set[int]()
        self._doubtful = list[tuple[int, int]]()

    def run(self, now: int) -> None:
        self._new.rows("PRAGMA defer_foreign_keys = ON")
        self._new.run("DELETE FROM arrived")  # the copy has a later one
        tables = self._tables()
        for done, table in enumerate(tables):
            self._progress(90 * done // len(tables))
            if table == "entries":
                self._saved.last = self._last_entry()
            self._table(table)
            if table == "conversations":
                self._removed = removal.nameless(self._new)
                self._identity()
            elif table == "entries":
                self._saved.entries += self._count_holes()
        if "settings" in self._damaged:
            settings.withhold(self._new)
            alerts.add(self._new, AlertRow(SETTINGS, now))
        if "marks" in self._damaged:
            marks.lost(self._new)
        self._drop_orphans(tables)
        clients.settle(self._new)
        doubted = self._doubt()
        self._renew_claims()
        self._renew_ends(now)
        self._renew_timers()
        self._renew_registers()
        self._ask_for_bodies()
        rebuild(self._new)
        self._leave_out()
        quarantine.follow_cuts(self._new, doubted)
        self._progress(100)

    def _tables(self) -> list[str]:
        rows = self._new.rows("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
        names = {name for (name,) in rows if not name.startswith("sqlite_")} - _COMPUTED
        return [*_FIRST, *sorted(names.difference(_FIRST))]

    def _table(self, table: str) -> None:
        columns = [row[1] for row in self._new.rows(f"PRAGMA table_info({table})")]
        named = ", ".join(columns)
        insert = f"INSERT OR IGNORE INTO {table} ({named}) VALUES ({', '.join('?' * len(columns))})"
        key, last = self._key(table)
        if key:
            rows = self._by_number(f"SELECT {named} FROM {table} WHERE {key}", table, key, last)
        else:
            rows = self._by_order(table, named)
        for row in rows:
            whole = self._checked(table, dict(zip(columns, row, strict=True)))
            if whole is not None:
                self._new.run(insert, *whole.values())

    def _key(self, table: str) -> tuple[str, int]:
        """The column with numbers by which a table is read, and the last of them; none where it has none."""
        primary = self._new.rows(f"SELECT name, type FROM pragma_table_info('{table}') WHERE pk = 1")
        without = self._new.value("SELECT wr FROM pragma_table_list WHERE name = ?", table)
        if primary and primary[0][1] == "INTEGER":
            key = str(primary[0][0])
        elif without:
            return "", 0
        else:
            key = "rowid"
        if key == "entry" or table == "entries":
            return key, self._saved.last
        with suppress(DatabaseDamaged):
            return key, self._old.number(f"SELECT ifnull(max({key}), 0) FROM {table}")
        return key, _BEYOND

    def _last_entry(self) -> int:
        """The number of the last entry; more where nothing that knows it can be read."""
        found = list[int]()
        for table, key in (("entries", "number"), ("tips", "entry"), ("heads", "entry"), ("bodies", "entry")):
            with suppress(DatabaseDamaged):
                found.append(self._old.number(f"SELECT ifnull(max({key}), 0) FROM {table}"))
        return max(found, default=_BEYOND)

    def _by_number(self, sql: str, table: str, key: str, last: int) -> Iterator[Row]:
        """The readable rows, in ever smaller pieces around a damaged page."""
        at, width, failed = 1, _WIDTH, 0
        while at <= last:
            try:
                found = self._old.rows(f"{sql} BETWEEN ? AND ? ORDER BY {key}", at, at + width - 1)
            except DatabaseDamaged:
                if width > 1:
                    width = max(1, width // 8)
                    continue
                failed += 1
                stride = _STRIDE if failed > _SINGLY else 1
                self._lost(table, at, at + stride)
                at += stride
                continue
            if failed > _SINGLY:
                at, failed = at - _STRIDE + 1, 0  # what was passed over may be readable, too
                continue
            yield from found
            at, width, failed = at + width, min(2 * width, _WIDTH), 0

    def _lost(self, table: str, first: int, end: int) -> None:
        self._damaged.add(table)
        if table in ("own", "drawn"):
            raise IdentityLost(self._old.path)
        if table == "uncovered":
            self._doubtful.append((first, end))
        if table == "entries":
            self._holes.update(range(first, min(end, self._saved.last + 1)))

    def _count_holes(self) -> int:
        held = "SELECT 1 FROM entries WHERE number = ?"
        return sum(self._is_named(one) for one in self._holes if self._new.row(held, one) is None)

    def _is_named(self, number: int) -> bool:
        """Whether something else knows an entry with this number, since not every number has one."""
        for table, key in (("bodies", "entry"), ("heads", "entry"), ("edges", "child"), ("edges", "parent")):
            with suppress(DatabaseDamaged):
                if self._old.rows(f"SELECT 1 FROM {table} WHERE {key} = ?", number):
                    return True
        return False

    def _by_order(self, table: str, named: str) -> Iterator[Row]:
        """The rows from both ends, up to what is damaged in between."""
        keys_of = self._new.rows(f"SELECT name FROM pragma_table_info('{table}') WHERE pk ORDER BY pk")
        for way in ("ASC", "DESC"):
            order = ", ".join(f"{name} {way}" for (name,) in keys_of)
            try:
                yield from self._old.each(f"SELECT {named} FROM {table} ORDER BY {order}")
            except DatabaseDamaged:
                self._damaged.add(table)
                continue
            return

    # --- Checks ---

    def _checked(self, table: str, row: Fields) -> Fields | None:
        """The row by its columns, None where it is not what its hash says."""
        if table == "entries":
            return self._entry(row)
        if table == "bodies":
            header = self._new.value(
                "SELECT header FROM entries WHERE number = ? AND NOT destroyed", row["entry"]
            )
            return row if header is not None and self._fits(header, row["salt"], row["body"]) else None
        return row

    def _entry(self, row: Fields) -> Fields | None:
        """With the numbers that its conversation and its author's terminal have in the new database."""
        header = row["header"]
        if not isinstance(header, bytes) or b2b(header, personal=labels.ENTRY) != row["id"]:
            self._holes.add(row["number"])
            return None
        if row["conversation"] in self._removed:
            if row["destroyed"]:
                add = "INSERT OR IGNORE INTO deletions (entry, how) VALUES (?, ?)"
                self._new.run(add, row["id"], row["destroyed"])
            return None
        fields = ENTRY_HEADER.decode(header)
        if fields.timer and not row["destroyed"]:
            self._timed[row["number"]] = fields
        known = fields.author, fields.conversation
        if known not in self._numbers:
            add = "INSERT OR IGNORE INTO terminals (number, terminal) VALUES (?, ?)"
            self._new.run(add, row["author"], fields.author)
            add = "INSERT OR IGNORE INTO conversations (number, id, kind) VALUES (?, ?, ?)"
            self._new.run(add, row["conversation"], fields.conversation, TWO)
            add = "INSERT OR IGNORE INTO conversations (id, kind) VALUES (?, ?)"  # where its number is taken
            self._new.run(add, fields.conversation, TWO)
            author = persons.terminal_number(self._new, fields.author)
            self._numbers[known] = author, conversation_number(self._new, fields.conversation)
        author, conversation = self._numbers[known]
        of_header = ("incarnation", "sequence", "time", "kind")
        said = {name: getattr(fields, name) for name in of_header}
        return {**row, **said, "author": author, "conversation": conversation}

    @staticmethod
    def _fits(header: bytes, salt: object, body: object) -> bool:
        if not isinstance(salt, bytes) or not isinstance(body, bytes):
            return False
        return b2b(salt + body, personal=labels.CONTENT) == ENTRY_HEADER.decode(header).content

    # --- Persons ---

    def _identity(self) -> None:
        """Compute the terminals of all persons again. A contact without its log has to be paired again."""
        new, path = self._new, self._old.path
        try:
            own = keys.read_own(new)
            self._terminals(own.person)
        except (StorageMisuse, ProtocolError):
            raise IdentityLost(path) from None
        add = "INSERT INTO conversations (id, kind) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET kind = ?2"
        new.run(add, notes_of(own.person), NOTES)
        for (person,) in new.rows("SELECT person FROM contacts"):
            try:
                self._terminals(person)
            except ProtocolError:
                new.run("DELETE FROM contacts WHERE person = ?", person)
                self._saved.contacts += 1
                continue
            conversation = conversation_of_two(own.person, person)
            new.run(
                "INSERT OR IGNORE INTO conversations (id, kind, contact) VALUES (?, ?, ?)",
                *(conversation, TWO, person),
            )

    def _terminals(self, person: bytes) -> None:
        """Raises ProtocolError where the log has no beginning."""
        log = reduce(persons.operations_of(self._new, person), persons.pins_of(self._new, person))
        persons.replace_terminals(self._new, person, persons.terminal_rows(log))

    # --- What follows ---

    def _drop_orphans(self, tables: list[str]) -> None:
        """Rows of entries, conversations, terminals and rules that were lost."""
        for _ in range(2):  # a rule that goes takes its rows with it
            for table in tables:
                for row in self._new.rows(f"PRAGMA foreign_key_list({table})"):
                    parent, column, key = row[2], row[3], row[4]
                    key = key or self._new.value(
                        f"SELECT name FROM pragma_table_info('{parent}') WHERE pk = 1"
                    )
                    self._new.run(
                        f"DELETE FROM {table} WHERE {column} IS NOT NULL"
                        f" AND {column} NOT IN (SELECT {key} FROM {parent})"
                    )

    def _doubt(self) -> list[int]:
        """Entries of others that may have been uncovered are, until their contacts name them (SPEC §11.2).

        Only another terminal of this person could pass them on.
        """
        new = self._new
        ours = "SELECT terminal FROM person_terminals WHERE person IN (SELECT person FROM own)"
        if new.value(f"SELECT count(*) FROM ({ours})") < 2:
            return []
        mark = (
            "INSERT OR IGNORE INTO uncovered (entry) SELECT number FROM entries"
            f" WHERE number >= ? AND number < ? AND author NOT IN ({ours}) RETURNING entry"
        )
        return [entry for reach in self._doubtful for (entry,) in new.rows(mark, *reach)]

    def _renew_claims(self) -> None:
        """Where it is lost which entries are claims, those are that have no signature.

        Own entries that follow some of them are looked for later.
        """
        if "claims" not in self._damaged:
            return
        new = self._new
        ours = "SELECT terminal FROM person_terminals WHERE person IN (SELECT person FROM own)"
        rows = new.rows(
            "SELECT e.number, e.conversation FROM entries AS e JOIN conversations AS c"
            f" ON c.number = e.conversation AND c.contact IS NOT NULL WHERE e.author IN ({ours})"
            " AND e.number NOT IN (SELECT entry FROM signatures)"
        )
        claim = (
            "INSERT OR IGNORE INTO claims (entry, conversation, own, carried, opens, due)"
            " VALUES (?, ?, 0, 1, 0, 1)"
        )
        new.run_many(claim, rows)

    def _renew_ends(self, now: int) -> None:
        """Where an end was lost, header and reading say it again; without the profile's clock all were."""
        new, clock = self._new, expiry.read_clock(self._new)
        if clock is None:
            new.run("DELETE FROM expiring")
            expiry.save_clock(new, Moment(now, 0, "", 0))
        age = 0 if clock is None else clock.age + max(0, now - clock.wall)
        ours = (
            "SELECT number, terminal FROM terminals WHERE number IN"
            " (SELECT terminal FROM person_terminals WHERE person IN (SELECT person FROM own))"
        )
        own: dict[int, bytes] = dict(new.rows(ours))
        for number, header in self._timed.items():
            found = ends(header, now, own=header.author in own.values())
            read = f"SELECT min(time) FROM receipts WHERE entry = ? AND kind >= {READ} AND terminal = ?"
            times = [new.value(read, number, one) for one in own]
            for time in filter(None, times):
                found = read_at(found, header, time)
            due, last = (age + max(0, end - now) for end in found)
            new.run(
                "INSERT OR IGNORE INTO expiring (entry, timer, due, last, waits) VALUES (?, ?, ?, ?, 0)",
                *(number, header.timer * 1_000, due, last),
            )

    def _renew_timers(self) -> None:
        """What an entry says that sets a timer, or what is written from now on would not end."""
        said = "SELECT number, body FROM entries JOIN bodies ON entry = number WHERE kind = ?"
        for number, body in self._new.rows(said, KIND_TIMER):
            with suppress(ProtocolError):
                seconds = read_timer(body).seconds
                self._new.run("INSERT OR IGNORE INTO timers (entry, seconds) VALUES (?, ?)", number, seconds)

    def _renew_registers(self) -> None:
        """What entries of kind state write, or what another device chose would be forgotten."""
        if "registers" not in self._damaged:
            return
        said = "SELECT number, body FROM entries JOIN bodies ON entry = number WHERE kind = ?"
        for number, body in self._new.rows(said, KIND_STATE):
            with suppress(ProtocolError):
                registers.add(self._new, number, read_state(body))

    def _leave_out(self) -> None:
        """Where nothing says which entries of a removed terminal count, cuts say so, or else none does."""
        if not self._damaged & {"quarantine", "rules", "cuts"}:
            return
        new = self._new
        for table in ("quarantine", "rules"):
            new.run(f"DELETE FROM {table}")
        cuts = "SELECT number, conversation, body FROM entries JOIN bodies ON entry = number WHERE kind = ?"
        for number, conversation, body in new.rows(cuts, KIND_CUT):
            with suppress(ProtocolError):
                quarantine.add_cut(new, number, conversation, read_cut(body))
        for (person,) in new.rows("SELECT DISTINCT person FROM person_terminals"):
            quarantine.follow_log(new, person)
        new.run(
            "INSERT OR IGNORE INTO quarantine (entry, rule) SELECT e.number, r.number FROM rules AS r"
            " JOIN entries AS e ON e.conversation = r.conversation AND e.author = r.author"
            " WHERE r.cut = 0 AND r.decides"
        )
        rule: int | None = 0
        while rule is not None:
            rule, _ = quarantine.settle_next(new, rule)

    def _ask_for_bodies(self) -> None:
        """A body that is gone is missing, and asked of everybody (SPEC §11.4)."""
        held = "SELECT entry FROM bodies UNION SELECT number FROM entries WHERE destroyed"
        self._new.run(f"DELETE FROM let_go WHERE entry IN ({held})")  # of a page of another time
        lacking = self._new.rows(
            "SELECT number, kind FROM entries AS e WHERE NOT destroyed"
            " AND NOT EXISTS (SELECT 1 FROM bodies WHERE entry = e.number)"
            " AND NOT EXISTS (SELECT 1 FROM headers_alone WHERE entry = e.number)"
            " AND NOT EXISTS (SELECT 1 FROM let_go WHERE entry = e.number)"
        )
        for number, kind in lacking:
            if kind in READABLE and self._was_deleted(number):
                self._new.run("UPDATE entries SET destroyed = 1 WHERE number = ?", number)
            else:
                self._new.run("INSERT INTO headers_alone (entry, terminal) VALUES (?, 0)", number)
                self._saved.entries += kind != KIND_STATE  # nobody misses these but other devices

    def _was_deleted(self, number: int) -> bool:
        """Whether body and words are gone together: only a deletion, whose mark was lost, takes both.

        So does this terminal when it lets go of them, of which a damaged table may say nothing any more.
        """
        if "let_go" in self._damaged:
            return False
        try:
            body = self._old.rows("SELECT 1 FROM bodies WHERE entry = ?", number)
            return not body and not self._old.rows("SELECT 1 FROM search WHERE rowid = ?", number)
        except DatabaseDamaged:
            return False
