"""The rows storage.*: a long history in the encrypted database, next to a plain one of the standard library.

Both databases hold the same rows. Where Parlour reads, the other runs the same queries; where Parlour
writes, it makes bare inserts of the same rows. The database is made once for all rows of a run.
"""

from __future__ import annotations

import atexit
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import cycle
from pathlib import Path
from shutil import copyfile
from typing import Any, Final, cast

from chat.searching import parse_query
from chat.storage import contacts, entries, persons, receipts, search
from chat.storage.database import Database, Row
from chat.storage.migrations import create_history, open_history
from chat.tools.bench.commit import BURST, BareInserts, Numbers, Receiver, Writer, facts_of
from chat.tools.bench.long_history import fill, write_contact, write_persons
from chat.tools.bench.measure import Late, Subject, interleave, left_out, rows
from protocol.entries_and_receipts import KIND_TEXT, ParsedEntry, conversation_of_two, text_body, write_entry
from protocol.identity.author import NewPerson, create_person
from protocol.identity.reduction import reduce
from protocol.primitives import AEGIS256, CHACHA20POLY1305, KEY_SIZE, aes_instructions, system_random
from protocol.profile_header import DatabaseKey

ENTRIES: Final = 1_000_000
CONTACTS: Final = 20
UNREAD: Final = 400
PAGE: Final = 50
FOUND: Final = 100
RETURNED: Final = 5_000

ROUNDS: Final = 21
_CALLS: Final = 20  # of a subject in one round
_BURST_ROUNDS: Final = 5

_SEARCHES: Final = {
    "storage.search.word": ("landlord", "printer", "kalomi", "heating", "vinprapra", "concert"),
    "storage.search.words": ("river dry", "kitchen cold", "kalomi kitchen", "blue folder", "next time door"),
    "storage.search.prefix": ("kit*", "conc*", "stat*", "kalo*", "landl*", "tra*"),
    "storage.search.chinese": ("北京", "文件", "吃饭", "投影", "开会", "没有"),
}
NAMES: Final = (
    *("storage.page", *_SEARCHES, "storage.unread", "storage.open", "storage.append", "storage.burst"),
)

_READS: Final = "the same queries on an unencrypted database of the standard library"
_BARE: Final = (
    "the bare inserts of the same rows into an unencrypted database, in transactions of the same size"
)
_BARE_SEALED: Final = "the bare inserts of the same rows into a copy of the encrypted database"
_TEXT: Final = "A text of sixty-four characters, as long as people write in one line."[:64]


class Plain:
    """The unencrypted database, with the same durability."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()

    def rows(self, sql: str, *values: object) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()

    def run(self, sql: str, *values: object) -> int:
        return self._connection.execute(sql, values).rowcount

    def run_many(self, sql: str, many: Iterable[tuple[object, ...]]) -> int:
        return self._connection.executemany(sql, many).rowcount

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        yield
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


_Asked = list[tuple[str, tuple[object, ...]]]


class _Listening:
    """Passes queries on to a database and keeps them."""

    def __init__(self, database: Database) -> None:
        self._database, self.path, self.asked = database, database.path, _Asked()

    def rows(self, sql: str, *values: object) -> list[Row]:
        self.asked.append((sql, values))
        return self._database.rows(sql, *values)

    def row(self, sql: str, *values: object) -> Row | None:
        self.asked.append((sql, values))
        return self._database.row(sql, *values)

    def value(self, sql: str, *values: object) -> Any:
        self.asked.append((sql, values))
        return self._database.value(sql, *values)


Read = Callable[[Database], object]


def queries(database: Database, read: Read) -> _Asked:
    """The queries of a read, with their values."""
    listening = _Listening(database)
    read(cast(Database, listening))
    return listening.asked


@dataclass
class Made:
    """Both databases with the same history, and the people in it: Ada is this terminal's person."""

    folder: Path
    entries: int
    ada: NewPerson
    others: list[NewPerson]
    key: DatabaseKey = field(repr=False)
    _open: list[Database | Plain] = field(default_factory=list)

    @property
    def ours(self) -> Path:
        return self.folder / "history.db"

    @property
    def copy(self) -> Path:
        return self.folder / "copy.db"

    def conversation(self, other: NewPerson) -> bytes:
        return conversation_of_two(self.ada.person, other.person)

    def open_ours(self) -> Database:
        return open_history(self.ours, self.key)

    def open_plain(self) -> Plain:
        return Plain(self.folder / "plain.db")

    @contextmanager
    def both(self) -> Iterator[tuple[Database, Plain]]:
        with closing(self.open_ours()) as ours, closing(self.open_plain()) as plain:
            yield ours, plain


@cache
def made(size: int) -> Made:
    """Databases with so many entries, made once in a temporary folder that is removed when Python ends."""
    temporary = tempfile.TemporaryDirectory(prefix="parlour-bench-")
    atexit.register(temporary.cleanup)
    people = [create_person(f"Person {number}", system_random) for number in range(CONTACTS + 1)]
    done = Made(Path(temporary.name), size, people[0], people[1:], DatabaseKey(system_random(KEY_SIZE)))
    create_history(done.ours, done.key, partial(_first_rows, done))
    with closing(done.open_ours()) as database:
        fill(database, done.ada, done.others, size, lambda _: None)
        with database.transaction():
            _leave_unread(database, done)
        database.rows("ATTACH DATABASE ? AS plain KEY ''", str(done.folder / "plain.db"))
        for pragma in ("journal_mode", "synchronous"):
            database.rows(f"PRAGMA plain.{pragma} = OFF")
        database.rows("SELECT sqlcipher_export('plain')")
        database.rows("DETACH DATABASE plain")
    return done


def _first_rows(done: Made, database: Database) -> None:
    write_persons(done.ada, done.others[0], database)
    for number, other in enumerate(done.others[1:], 2):
        write_contact(done.ada, other, f"Contact {number}", database)


def _leave_unread(database: Database, done: Made) -> None:
    database.run(
        "INSERT INTO unread (entry, conversation) SELECT number, conversation FROM entries"
        " WHERE author <> (SELECT number FROM terminals WHERE terminal = ?) ORDER BY number DESC LIMIT ?",
        *(done.ada.terminal, UNREAD),
    )
    database.run("DELETE FROM receipts WHERE kind = ? AND entry IN (SELECT entry FROM unread)", receipts.READ)


# --- Reading ---


def _page(conversation: bytes, database: Database) -> int:
    found = entries.page(database, conversation, PAGE)
    receipts.of_rows(database, found)
    return len(found)


def _search(typed: str, database: Database) -> int:
    found = search.find(database, parse_query(typed).terms, limit=FOUND)
    contacts.conversations(database)
    receipts.of_rows(database, found)
    return len(found)


def _unread(conversation: bytes, database: Database) -> None:
    receipts.unread_all(database)
    receipts.first_unread(database, conversation)


def _reads(name: str, done: Made) -> list[Read]:
    if name in _SEARCHES:
        return [partial(_search, typed) for typed in _SEARCHES[name]]
    read = _page if name == "storage.page" else _unread
    return [partial(read, done.conversation(other)) for other in done.others]


def _reading(name: str, done: Made, rounds: int) -> list[dict[str, Any]]:
    with done.both() as (ours, plain):
        reads = _reads(name, done)
        asked = [queries(ours, read) for read in reads]
        turn, other_turn = cycle(reads), cycle(asked)

        def replay() -> None:
            for sql, values in next(other_turn):
                plain.rows(sql, *values)

        late = Late(lambda: next(turn)(ours))
        return _rows(name, done, late, Subject("sqlite3", replay, _READS), rounds=rounds, count=_CALLS)


def _opening(name: str, done: Made, rounds: int) -> list[dict[str, Any]]:
    def look(database: Database) -> None:
        contacts.conversations(database)
        receipts.unread_all(database)
        _page(done.conversation(done.others[0]), database)

    with closing(done.open_ours()) as ours:
        asked = queries(ours, look)

    def open_ours() -> None:
        with closing(done.open_ours()) as ours:
            look(ours)

    def open_plain() -> None:
        with closing(done.open_plain()) as plain:
            for sql, values in asked:
                plain.rows(sql, *values)

    return _rows(name, done, Late(open_ours), Subject("sqlite3", open_plain, _READS), rounds=rounds, count=2)


# --- Writing ---


class Own:
    """This terminal: writes texts for a contact, as the engine does."""

    def __init__(self, database: Database, done: Made, other: NewPerson) -> None:
        self._database, self._ada, self._other = database, done.ada, other
        self._conversation = done.conversation(other)
        self._incarnation, self._heads = system_random(8), reduce(done.ada.operations).heads

    def write(self) -> ParsedEntry:
        database, own, conversation = self._database, self._ada.terminal, self._conversation
        with database.transaction():
            place = entries.next_place(database, conversation, own, self._incarnation, self._heads)
            body = text_body(_TEXT)
            entry = write_entry(place, 1_800_000_000_000, KIND_TEXT, body, self._ada.self_key, system_random)
            entries.insert_all(database, [entry], own, contact=self._other.person)
        return entry


def _numbers(database: Database, target: Database | Plain, done: Made, author: NewPerson) -> Numbers:
    ((last,),) = target.rows("SELECT max(number) FROM entries")
    contact = done.others[0]
    conversation = contacts.conversation_number(database, done.conversation(contact))
    with database.transaction():
        by, own = (persons.terminal_number(database, one.terminal) for one in (author, done.ada))
    return Numbers(conversation, by, own, last)


def _appending(name: str, done: Made, rounds: int) -> list[dict[str, Any]]:
    contact = done.others[0]
    with done.both() as (ours, plain):
        own = Own(ours, done, contact)
        at = _numbers(ours, plain, done, done.ada)
        bare = BareInserts(plain, Writer(done.ada, done.conversation(contact)), at, received=False)
        other = Subject("sqlite3", bare.write, _BARE, partial(_singly, bare))
        return _rows(name, done, Late(own.write), other, rounds=rounds, count=_CALLS)


def _singly(bare: BareInserts[Plain], count: int) -> None:
    for _ in range(count):
        bare.prepare(1, 1)


def _bursting(name: str, done: Made, rounds: int) -> list[dict[str, Any]]:
    contact, size = done.others[0], min(RETURNED, done.entries)
    sizes = [min(BURST, size - begun) for begun in range(0, size, BURST)]
    conversation = done.conversation(contact)
    copyfile(done.ours, done.copy)
    with done.both() as (ours, plain), closing(open_history(done.copy, done.key)) as copy:
        aead = AEGIS256 if aes_instructions() else CHACHA20POLY1305
        receiver = Receiver(ours, facts_of(done.ada, contact), Writer(contact, conversation), aead)

        def prepare(_: int) -> None:
            for one in sizes:
                receiver.prepare(1, one)

        def take() -> None:
            for _ in sizes:
                receiver.take()

        def bare(target: Database | Plain, subject: str, note: str) -> Subject:
            at = _numbers(ours, target, done, contact)
            inserts = BareInserts(target, Writer(contact, conversation), at)

            def prepare(_: int) -> None:
                for one in sizes:
                    inserts.prepare(1, one)

            def write() -> None:
                for _ in sizes:
                    inserts.write()

            return Subject(subject, write, note, prepare)

        others = bare(copy, "sqlcipher", _BARE_SEALED), bare(plain, "sqlite3", _BARE)
        rounds = min(rounds, _BURST_ROUNDS)
        return _rows(name, done, Late(take, prepare), *others, rounds=rounds, count=1, units=size)


_MEASURES: Final[dict[str, Callable[[str, Made, int], list[dict[str, Any]]]]] = {
    **dict.fromkeys(NAMES, _reading),
    "storage.open": _opening,
    "storage.append": _appending,
    "storage.burst": _bursting,
}


def _rows(
    name: str, done: Made, late: Late, *others: Subject, units: int = 1, **timing: Any
) -> list[dict[str, Any]]:
    ours = Subject("parlour", late, "", late.prepare)
    samples = interleave([ours, *others], units=units, **timing)
    report = rows(name, done.entries, "entries/s" if units > 1 else "calls/s", samples)
    report[0]["note"] += late.verdict(name, done.entries)
    return report


def measure(
    name: str, *, peers: bool = False, entries: int = ENTRIES, rounds: int = ROUNDS, **_: Any
) -> list[dict[str, Any]]:
    """A row of NAMES, with so many entries. The standard library is always there, so it counts as no peer."""
    if not _has_search():
        reason = "this Python's SQLite has no FTS5"
        return [left_out(name, entries, subject, "calls/s", reason) for subject in ("parlour", "sqlite3")]
    return _MEASURES[name](name, made(entries), rounds)


def _has_search() -> bool:
    with closing(sqlite3.connect(":memory:")) as connection:
        return ("ENABLE_FTS5",) in connection.execute("PRAGMA compile_options").fetchall()
