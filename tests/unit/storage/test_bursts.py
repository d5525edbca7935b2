"""What comes together is stored as if it had come one by one, whatever parts of it are plain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from chat.storage import claims, contacts, entries, ordering, persons, quarantine, removal
from chat.storage.database import Database, Row
from chat.storage.entries import BY_CONTACT, BY_OWN, Stored
from chat.storage.expiry import Moment
from chat.storage.persons import TerminalRow
from protocol import labels
from protocol.attachments import file_body
from protocol.codec import encode
from protocol.entries_and_receipts import (
    KIND_CUT,
    KIND_DELETE,
    KIND_EDIT,
    KIND_STATE,
    KIND_TEXT,
    KIND_TIMER,
    ParsedEntry,
    cut_body,
    delete_body,
    edit_body,
    parse_entry,
    text_body,
    timer_body,
)
from protocol.limits import UNREAD_SECONDS_MAX
from protocol.messages import CutHead, Entry, EntryHeader, FileBody, StateWrite
from protocol.notes import state_body
from protocol.primitives import b2b
from tests.support.storage.samples import ME, TALK, THEIR_TERMINAL, THEM, blob

FORMER, UNKNOWN = blob("their former terminal"), blob("nobody's terminal")
AUTHORS = [ME.terminal, THEIR_TERMINAL.terminal, FORMER, FORMER, UNKNOWN]
KIND_FILE, KIND_UNKNOWN = 64, 99
NOW = Moment(50_000, 50_000, "boot", 50_000)
CASES = 40
LONG = 80
"""Entries of a chain whose ranks are raised in more than one piece."""


class Writer:
    """Draws entries: most of them plain, each one another mix of authors, names and kinds."""

    def __init__(self, seed: int) -> None:
        self.random, self.made = Random(seed), list[ParsedEntry]()
        self.rate = self.random.choice([0.03, 0.15, 0.5])  # of what is not plain

    def odd(self) -> bool:
        return self.random.random() < self.rate

    def write(self) -> ParsedEntry:
        random, made = self.random, self.made
        author = random.choice(AUTHORS) if self.odd() else random.choice(AUTHORS[:2])
        own = [one for one in made if one.header.author == author]
        before = random.choice(own) if own and self.odd() else own[-1] if own else None
        sequence = before.header.sequence + 1 if before else 1
        if self.odd() and before:
            sequence = random.randrange(2, 6)
        if self.odd():  # what has not come yet, or never will
            before, previous = None, blob(f"lost {random.randrange(4)}")
            sequence = max(2, sequence)
        else:
            previous = before.id if before else b""
        parents = {one.id for one in random.sample(made, min(len(made), random.randrange(3)))} - {previous}
        kind, body = self._body()
        timer = 5 if self.odd() and kind in (KIND_TEXT, KIND_UNKNOWN) else 0
        entry = self.entry(author, sequence, previous, parents, random.randrange(60_000), kind, body, timer)
        made.append(entry)
        return entry

    def _body(self) -> tuple[int, bytes]:
        random, number = self.random, len(self.made)
        if not self.odd():
            return KIND_TEXT, text_body(f"text {number}")
        some = [one.id for one in random.sample(self.made, min(2, len(self.made)))] or [blob("lost 1")]
        bodies: Sequence[Callable[[], tuple[int, bytes]]] = (
            lambda: (KIND_DELETE, delete_body(some)),
            lambda: (KIND_EDIT, edit_body(some[0], f"edit {number}")),
            lambda: (KIND_TIMER, timer_body(random.randrange(9))),
            lambda: (KIND_CUT, cut_body(FORMER, [CutHead(bytes(8), 1, some[0])])),
            lambda: (KIND_STATE, state_body([StateWrite(random.randrange(10, 12), THEM, encode([True]))])),
            lambda: (KIND_FILE, file_body(FileBody("name", "", 9, 1, blob("key"), blob("root"), [], 0))),
            lambda: (KIND_UNKNOWN, b"unknown"),
        )
        return random.choice(bodies)()

    def entry(
        self,
        author: bytes,
        sequence: int,
        previous: bytes,
        parents: set[bytes],
        time: int,
        kind: int,
        body: bytes,
        timer: int = 0,
    ) -> ParsedEntry:
        salt = self.random.randbytes(16)
        header = EntryHeader(
            conversation=TALK,
            author=author,
            incarnation=bytes(7) + bytes([self.odd()]),
            sequence=sequence,
            previous=previous,
            parents=sorted(parents),
            membership=[blob("a head")],
            time=time,
            kind=kind,
            timer=timer,
            until=time + (timer + UNREAD_SECONDS_MAX) * 1_000 if timer else 0,
            content=b2b(salt + body, personal=labels.CONTENT),
            self_tag=b"",
        )
        return parse_entry(Entry(encode(header), salt, body))

    def chain(self) -> list[ParsedEntry]:
        """A first entry that comes late, and what follows it, which it lifts above all that was there."""
        first = self.entry(FORMER, 1, b"", set(), 70_000, KIND_TEXT, text_body("first"))
        found = [first]
        for number in range(2, LONG):
            body = text_body(f"in a chain {number}")
            found.append(self.entry(FORMER, number, found[-1].id, set(), 5, KIND_TEXT, body))
        return found


def alone(entry: ParsedEntry) -> ParsedEntry:
    return parse_entry(Entry(entry.header_bytes, b"", b""))


class Case:
    """What is held before, and the bursts that come then."""

    def __init__(self, seed: int) -> None:
        writer = Writer(seed)
        random = writer.random
        for _ in range(random.randrange(12, 60)):
            writer.write()
        arriving = list(writer.made)
        chain = writer.chain() if random.random() < 0.1 else []
        if random.random() < 0.5:  # from another terminal, a little later each
            for place in range(len(arriving) // 3):
                other = min(len(arriving) - 1, place + random.randrange(9))
                arriving[place], arriving[other] = arriving[other], arriving[place]
        arriving = [alone(one) if writer.odd() else one for one in arriving]
        for one in random.sample(arriving, len(arriving) // 6 if writer.odd() else 0):
            arriving.insert(random.randrange(len(arriving)), writer.made[0] if writer.odd() else one)
        arriving += [one for one in writer.made if writer.odd()]
        held = random.randrange(len(arriving) // 2)
        self.held, left = [*chain[1:], *arriving[:held]], arriving[held:]
        for one in chain[:1]:
            left.insert(random.randrange(len(left)), one)
        middle = random.randrange(len(left) + 1)
        self.bursts = [some for some in (left[:middle], left[middle:]) if some]
        self.deleted = [one.id for one in writer.made if random.random() < 0.05]
        self.removed = random.random() < 0.2
        place = random.randrange(len(writer.made))
        self.claimed = writer.made[place : place + 2] if random.random() < 0.3 else []
        self.by = random.choice([BY_CONTACT, BY_OWN])
        self.former = [FORMER] if random.random() < 0.25 else []
        self.moment = random.choice([None, NOW])
        self.stored = random.choice([None, 7])

    def prepare(self, database: Database) -> None:
        """Both ways begin with the same, which came one by one."""
        if self.removed:
            for one in self.bursts[0][:9]:
                if one.state is None:  # that of the notes, which are never removed
                    entries.insert(database, one, unread=True)
            removal.begin(database, contacts.conversation_number(database, TALK))
            contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)
        for entry in self.deleted:
            database.run("INSERT INTO deletions (entry, how) VALUES (?, ?)", entry, 1 + 3 * (entry[0] & 1))
        if self.claimed:
            claims.insert_all(
                database,
                self.claimed,
                ME.terminal,
                contact=THEM,
                stored=5,
                ours=[ME.terminal],
                by=self.by,
                moment=self.moment,
            )
        removal.make_way(database, [one.id for one in self.held])
        for one in self.held:
            entries.insert(database, one, moment=self.moment, unread=one.header.author != ME.terminal)
        settle(database)

    def arguments(self) -> tuple[object, ...]:
        return ME.terminal, THEM, self.stored, blob("carrier"), self.former, [ME.terminal], self.moment, 0


def settle(database: Database) -> None:
    while ordering.settle_next(database, 0) is not None:
        pass
    after: int | None = 0
    while after is not None:
        after, _ = quarantine.settle_next(database, after)


def one_by_one(database: Database, case: Case, burst: Sequence[ParsedEntry]) -> list[Stored]:
    removal.make_way(database, [one.id for one in burst])
    return entries._Burst(database, burst, *case.arguments()).insert_singly()  # type: ignore[arg-type]


def together(database: Database, case: Case, burst: Sequence[ParsedEntry]) -> list[Stored]:
    return entries.insert_all(
        database,
        burst,
        ME.terminal,
        contact=THEM,
        stored=case.stored,
        carrier=blob("carrier"),
        former=case.former,
        ours=[ME.terminal],
        moment=case.moment,
    )


Way = Callable[[Database, Case, Sequence[ParsedEntry]], list[Stored]]


class Undone(Exception):
    """Ends a case, so that the next one begins with the same database."""


def outcome(database: Database, case: Case, way: Way) -> tuple[dict[str, list[Row]], list[object]]:
    """All tables after the bursts, and what the insertion said of each entry."""
    tables, said = dict[str, list[Row]](), list[object]()
    try:
        with database.transaction():
            case.prepare(database)
            for burst in case.bursts:
                new = way(database, case, burst)
                settle(database)
                # What comes twice in a burst is said in one place.
                of = [(one.number, one.filled, one.entry, one.destroyed, one.returns) for one in new]
                said.append(sorted(of, key=lambda one: one[:2]))
                # Which of two rivals names the other depends on what comes together.
                said.append({frozenset((one.entry.id, rival)) for one in new for rival in one.rivals})
            tables = every_table(database)
            raise Undone
    except Undone:
        return tables, said


NUMBERED = {"entries": "author", "headers_alone": "terminal", "receipts": "terminal", "cuts": "author"}
"""Columns that name terminals, whose numbers follow the order in which they were needed."""


def every_table(database: Database) -> dict[str, list[Row]]:
    """Rows by table, without what is drawn or numbered in the order of the work."""
    listed = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'search%'"
    names = [name for (name,) in database.rows(f"{listed} AND name NOT LIKE 'sqlite%'")]
    found = dict[str, list[Row]]()
    terminals: dict[int, bytes] = dict(database.rows("SELECT number, terminal FROM terminals"))
    rules = {rule[0]: rule[1:] for rule in database.rows("SELECT * FROM rules")}
    for name in names:
        rows = database.rows(f"SELECT * FROM {name}")
        if rows and name in NUMBERED:
            columns = [column for _, column, *_ in database.rows(f"PRAGMA table_info({name})")]
            place = columns.index(NUMBERED[name])
            rows = [(*row[:place], terminals.get(row[place]), *row[place + 1 :]) for row in rows]
        found[name] = sorted(rows, key=repr)
    found["terminals"] = [(terminal,) for terminal in sorted(terminals.values())]
    found["rules"] = sorted((terminals[author], talk, *rest) for talk, author, *rest in rules.values())
    found["quarantine"] = sorted((entry, *rules[rule]) for entry, rule in found["quarantine"])
    found["files"] = [(entry, *rest) for entry, _, *rest in found["files"]]
    found["files_gone"] = [(len(place),) for (place,) in found["files_gone"]]
    found["search"] = sorted(database.rows("SELECT rowid, text FROM search"))
    return found


@pytest.mark.parametrize("part", range(2))
def test_what_comes_in_parts_is_stored_as_one_by_one(
    database: Database, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(entries, "SINGLY", 1)
    second = TerminalRow(THEM, FORMER, blob("former static"), False, 1)
    with database.transaction():
        persons.replace_terminals(database, THEM, [THEIR_TERMINAL, second])
    for seed in range(part * CASES, (part + 1) * CASES):
        case = Case(seed)
        expected, said = outcome(database, case, one_by_one)
        found, told = outcome(database, case, together)
        assert told == said, seed
        assert {name for name, rows in expected.items() if found[name] != rows} == set(), seed
