"""The row commit: open, check and store a burst of envelopes in one transaction, with one receipt for all.

The floor writes the same rows into equal tables of a second database, which grows as the first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from msgspec import Struct

from chat.storage import entries, receipts
from chat.storage.database import Database
from chat.storage.entries import indexed
from chat.storage.migrations import create_history, open_history
from chat.tools.bench.crypto import session_pair
from chat.tools.bench.long_history import write_persons
from chat.tools.bench.measure import Subject, interleave, rows
from protocol.codec import encode
from protocol.entries_and_receipts import (
    KIND_TEXT,
    EntryPlace,
    Facts,
    ParsedEntry,
    accept_entry,
    conversation_of_two,
    parse_entry,
    read_text,
    receipt_for,
    text_body,
    write_entry,
)
from protocol.errors import LocalMisuse
from protocol.identity.author import NewPerson, create_person
from protocol.identity.reduction import reduce
from protocol.link.framing import LAST, Assembler
from protocol.messages import MESSAGE, Entry
from protocol.primitives import AEGIS256, CHACHA20POLY1305, KEY_SIZE, Aead, aes_instructions, system_random
from protocol.profile_header import DatabaseKey

NAME: Final = "commit"
BURST: Final = 256
ROUNDS: Final = 21

_TEXT: Final = "A text of sixty-four characters, as long as people write in one line."[:64]
_TIME: Final = 1_800_000_000_000
_NOTE: Final = "opened, checked, ranked, indexed and stored with FULL durability, one receipt sealed"
_BARE_NOTE: Final = "the bare inserts of the same rows, one by one in one transaction with FULL durability"


class Writer:
    def __init__(self, person: NewPerson, conversation: bytes) -> None:
        self._person, self._conversation = person, conversation
        self._incarnation = system_random(8)
        self._heads = reduce(person.operations).heads
        self._last: tuple[int, bytes] | None = None

    def write(self, count: int) -> list[ParsedEntry]:
        person, written = self._person, list[ParsedEntry]()
        for _ in range(count):
            at = self._conversation, person.terminal, self._incarnation
            time = _TIME + 1_000 * (self._last[0] if self._last else 0)
            place, body = EntryPlace(*at, self._last, [], self._heads), text_body(_TEXT)
            entry = write_entry(place, time, KIND_TEXT, body, person.self_key, system_random)
            self._last = entry.header.sequence, entry.id
            written.append(entry)
        return written


class Numbers(Struct, frozen=True):
    """The rows that new entries of a contact name: conversation, author, own terminal; and the last entry."""

    conversation: int = 1
    author: int = 2
    own: int = 1
    last: int = 0


_FIRST: Final = Numbers()


def _columns(number: int, entry: ParsedEntry, at: Numbers) -> tuple[Any, ...]:
    header = entry.header
    place = header.incarnation, header.sequence, header.time, header.kind, header.time
    return number, entry.id, at.conversation, at.author, *place, entry.header_bytes


class Inserting(Protocol):
    """What bare inserts need of a database."""

    def transaction(self) -> AbstractContextManager[None]: ...

    def run(self, sql: str, *values: object) -> int: ...

    def run_many(self, sql: str, many: Iterable[tuple[object, ...]]) -> int: ...


class Receiver:
    """This terminal: takes bursts of envelopes, as a link and the engine do."""

    def __init__(self, database: Database, facts: Facts, writer: Writer, aead: Aead) -> None:
        self.database, self._facts, self._writer = database, facts, writer
        self.contact, self._mine = session_pair(aead)
        (self._own_terminal,) = facts.own_terminals
        self.conversation = conversation_of_two(facts.own_person, facts.contact)
        self._assembler = Assembler()
        self._waiting: list[list[bytes]] = []

    def prepare(self, bursts: int, size: int = BURST) -> None:
        for _ in range(bursts):
            written = self._writer.write(size)
            self._waiting.append([self.contact.encrypt(LAST + encode(entry.message())) for entry in written])

    def take(self) -> bytes:
        """Store one burst, and return the envelope with its receipt."""
        parsed = []
        for envelope in self._waiting.pop(0):
            message = MESSAGE.decode(self._assembler.add(self._mine.decrypt(envelope)) or b"")
            if not isinstance(message, Entry):
                raise LocalMisuse("something else than an entry came out")
            parsed.append(parse_entry(message))
            accept_entry(parsed[-1], self._facts)
        with self.database.transaction():
            entries.insert_all(
                self.database, parsed, self._own_terminal, contact=self._facts.contact, stored=_TIME
            )
        receipt = receipt_for(receipts.STORED, [entry.id for entry in parsed])
        return self._mine.encrypt(LAST + encode(receipt))


Target = TypeVar("Target", bound=Inserting)


class BareInserts(Generic[Target]):
    """The floor: the rows of a burst, inserted without any check. `received`: not written by this person."""

    _TABLES: Final = (
        "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        "INSERT INTO bodies VALUES (?, ?, ?)",
        "INSERT INTO edges VALUES (?, ?, 1)",
        "INSERT INTO unread VALUES (?, ?)",
        "INSERT INTO receipts VALUES (?, ?, 1, ?)",
        "INSERT INTO search (rowid, text) VALUES (?, ?)",
    )

    def __init__(
        self, database: Target, writer: Writer, at: Numbers = _FIRST, *, received: bool = True
    ) -> None:
        self.database, self._writer, self._at = database, writer, at
        self._waiting: list[list[Sequence[tuple[Any, ...]]]] = []
        self._number, self._received = at.last, received

    def prepare(self, bursts: int, size: int = BURST) -> None:
        at = self._at
        for _ in range(bursts):
            numbered = list(enumerate(self._writer.write(size), self._number + 1))
            tables: list[Sequence[tuple[Any, ...]]] = [
                [_columns(number, entry, at) for number, entry in numbered],
                [(number, entry.salt, entry.body) for number, entry in numbered],
                [(number - 1, number) for number, _ in numbered if number > at.last + 1],
                [(number, at.conversation) for number, _ in numbered] if self._received else [],
                [(number, at.own, _TIME) for number, _ in numbered] if self._received else [],
                [
                    (number, indexed(read_text(entry.body).text, at.conversation, _TIME))
                    for number, entry in numbered
                ],
            ]
            self._number += size
            self._waiting.append(tables)

    def write(self) -> None:
        tables = self._waiting.pop(0)
        with self.database.transaction():
            for statement, many in zip(self._TABLES, tables, strict=True):
                if many:
                    self.database.run_many(statement, many)
            for table in ("tips", "heads"):
                self.database.run(f"DELETE FROM {table} WHERE conversation = ?", self._at.conversation)
                last = tables[0][-1][0], self._at.conversation
                self.database.run(f"INSERT INTO {table} VALUES (?, ?)", *last)


@contextmanager
def sides(aead: Aead) -> Iterator[tuple[Receiver, BareInserts[Database]]]:
    """Both subjects, each with its own contact and its own new database of the same profile."""
    me, them = create_person("Ann", system_random), create_person("Ben", system_random)
    conversation = conversation_of_two(me.person, them.person)
    with tempfile.TemporaryDirectory(prefix="parlour-bench-") as folder, ExitStack() as stack:
        opened = []
        for name in ("ours.db", "bare.db"):
            path, key = Path(folder) / name, DatabaseKey(system_random(KEY_SIZE))
            create_history(path, key, partial(write_persons, me, them))
            opened.append(stack.enter_context(closing(open_history(path, key))))
        receiver = Receiver(opened[0], facts_of(me, them), Writer(them, conversation), aead)
        yield receiver, BareInserts(opened[1], Writer(them, conversation))


def facts_of(me: NewPerson, them: NewPerson) -> Facts:
    """What this terminal knows when a contact's entries come on the contact's own link."""
    return Facts(
        own_person=me.person,
        own_terminals={me.terminal},
        contact=them.person,
        contact_terminals={them.terminal},
        carrier=them.person,
        self_keys=[me.self_key],
        welcome=True,
    )


def measure(*, peers: bool = False, rounds: int = ROUNDS, **_: Any) -> list[dict[str, Any]]:
    """Both subjects in turn, `rounds` times. SQLCipher is always there, so it counts as no peer."""
    aead = AEGIS256 if aes_instructions() else CHACHA20POLY1305
    with sides(aead) as (receiver, bare):
        subjects = [
            Subject("parlour", receiver.take, f"{aead.name}, {_NOTE}", receiver.prepare),
            Subject("sqlcipher", bare.write, _BARE_NOTE, bare.prepare),
        ]
        samples = interleave(subjects, units=BURST, rounds=rounds, count=1)
    return rows(NAME, BURST, "entries/s", samples)
