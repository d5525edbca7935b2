"""Rows, entries and profiles from seeds, and tables read as they are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chat.searching import parse_query
from chat.storage import contacts, entries, keys, ordering, persons, removal, search
from chat.storage.database import Database
from chat.storage.entries import EntryRow, HeadRow
from chat.storage.keys import OwnRow
from chat.storage.migrations import create_history, open_history
from chat.storage.persons import TerminalRow
from protocol import labels
from protocol.attachments import file_body
from protocol.codec import encode
from protocol.entries_and_receipts import KIND_FILE, ParsedEntry
from protocol.limits import UNREAD_SECONDS_MAX
from protocol.messages import EntryHeader, FileBody, SharedDrawn, TextBody
from protocol.primitives import Random, b2b
from protocol.profile_header import DatabaseKey

PASSPHRASE = "correct horse battery staple"
TEXT = 1


def seeded(seed: str) -> Random:
    """A source of bytes that gives the same ones in every run."""
    drawn = 0

    def random(size: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return hashlib.shake_256(f"{seed} {drawn}".encode()).digest(size)

    return random


def blob(name: str, size: int = 32) -> bytes:
    """An id or key that a test knows by name."""
    return seeded(name)(size)


ME = OwnRow(
    person=blob("own person"),
    terminal=blob("own terminal"),
    signing_seed=blob("own signing seed"),
    static_secret=blob("own static secret"),
    drawn=(SharedDrawn(blob("own person"), blob("own drawn secret")),),
    recovery_seed=blob("own recovery seed"),
)
THEM = blob("their person")
THEIR_TERMINAL = TerminalRow(THEM, blob("their terminal"), blob("their static"), True, 0)
TALK = blob("conversation")
KEY = DatabaseKey(blob("database key"))


def first_rows(database: Database) -> None:
    """What a new profile holds: this person; and a contact's terminal, with a conversation."""
    keys.create_own(database, ME)
    persons.replace_terminals(database, THEM, [THEIR_TERMINAL])
    contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)


def new_database(folder: Path, key: DatabaseKey = KEY) -> Database:
    path = folder / "history.db"
    create_history(path, key, first_rows)
    return open_history(path, key)


def rewrite(database: Database) -> None:
    """Rewrite the whole file, without free pages and unused space, and empty the log."""
    database.rows("VACUUM")
    database.checkpoint()


def find(
    database: Database, typed: str, *, conversation: bytes | None = None, limit: int = 100
) -> list[EntryRow]:
    """What the words of a search find, in one conversation or in all."""
    within = None if conversation is None else [conversation]
    return search.find(database, parse_query(typed).terms, conversations=within, limit=limit)


def sample(
    text: str = "",
    *,
    author: bytes = ME.terminal,
    sequence: int = 1,
    previous: bytes = b"",
    parents: Sequence[bytes] = (),
    time: int = 1_000,
    conversation: bytes = TALK,
    incarnation: bytes = b"incarnat",
    kind: int = TEXT,
    timer: int = 0,
    file: FileBody | None = None,
) -> ParsedEntry:
    """One entry, of text, a file or an unknown kind; salt and content hash follow from place and words."""
    body = (encode(TextBody(text, b"")) if kind == TEXT else text.encode()) if text else b""
    if file is not None:
        body, kind = file_body(file), KIND_FILE
    salt = hashlib.sha256(b"salt" + body + author + sequence.to_bytes(8, "big")).digest()[:16]
    header = EntryHeader(
        conversation=conversation,
        author=author,
        incarnation=incarnation,
        sequence=sequence,
        previous=previous,
        parents=sorted(parents),
        membership=[],
        time=time,
        kind=kind,
        timer=timer,
        until=time + (timer + UNREAD_SECONDS_MAX) * 1_000 if timer else 0,
        content=b2b(salt + body, personal=labels.CONTENT),
        self_tag=b"",
    )
    data = encode(header)
    identity = b2b(data, personal=labels.ENTRY)
    said = TextBody(text, b"") if text and kind == TEXT else None
    return ParsedEntry(identity, data, header, salt, body, said, file=file)


@dataclass
class Author:
    """Writes a chain of entries, one after the other, a second apart."""

    terminal: bytes = ME.terminal
    conversation: bytes = TALK
    incarnation: bytes = b"incarnat"
    time: int = 1_000
    written: list[ParsedEntry] = field(default_factory=list)

    def write(self, text: str, parents: Sequence[bytes] = (), file: FileBody | None = None) -> ParsedEntry:
        entry = sample(
            text,
            author=self.terminal,
            sequence=len(self.written) + 1,
            previous=self.written[-1].id if self.written else b"",
            parents=parents,
            time=self.time + 1_000 * len(self.written),
            conversation=self.conversation,
            incarnation=self.incarnation,
            file=file,
        )
        self.written.append(entry)
        return entry


@contextmanager
def queries(database: Database) -> Iterator[list[tuple[str, tuple[object, ...]]]]:
    """Every query that is asked of a database meanwhile, with its values."""
    asked: list[tuple[str, tuple[object, ...]]] = []

    def listening(ask: Callable[..., object]) -> Callable[..., object]:
        def answer(sql: str, *values: object) -> object:
            asked.append((sql, values))
            return ask(sql, *values)

        return answer

    with pytest.MonkeyPatch.context() as patched:
        for name in ("rows", "row", "value"):
            patched.setattr(database, name, listening(getattr(database, name)))
        yield asked


def store(database: Database, *new: ParsedEntry, unread: bool = False) -> list[bool]:
    with database.transaction():
        stored = [entries.insert(database, entry, unread=unread) is not None for entry in new]
        for conversation in {entry.header.conversation for entry in new}:
            ordering.settle(database, contacts.conversation_number(database, conversation))
        return stored


def pins(database: Database) -> list[tuple[bytes, bytes, bool]]:
    """Pinned recoveries: person, recovery, whether it is confirmed."""
    rows = database.rows("SELECT person, recovery, confirmed FROM pins ORDER BY recovery")
    return [(person, recovery, bool(confirmed)) for person, recovery, confirmed in rows]


def terminals_of(database: Database, person: bytes) -> list[TerminalRow]:
    """A person's terminals, live or not, most senior first."""
    rows = database.rows(
        "SELECT p.person, t.terminal, p.static, p.live, p.seniority FROM person_terminals AS p"
        " JOIN terminals AS t ON t.number = p.terminal WHERE p.person = ?"
        " ORDER BY p.seniority IS NULL, p.seniority, t.terminal",
        person,
    )
    return [
        TerminalRow(person, terminal, static, bool(live), seniority)
        for person, terminal, static, live, seniority in rows
    ]


def missing(database: Database, conversation: bytes) -> list[bytes]:
    """Ids that held entries name and that are not held, ascending."""
    rows = database.rows(
        "SELECT DISTINCT parent FROM missing"
        " WHERE conversation = (SELECT number FROM conversations WHERE id = ?) ORDER BY parent",
        conversation,
    )
    return [row[0] for row in rows]


def evidence(database: Database) -> list[tuple[bytes, ...]]:
    """Groups of ids with one author, incarnation and sequence, which no honest terminal writes."""
    places: dict[tuple[object, ...], list[bytes]] = {}
    for entry, *place in database.rows(
        "SELECT id, conversation, author, sequence, incarnation FROM entries ORDER BY id"
    ):
        places.setdefault(tuple(place), []).append(entry)
    return sorted(tuple(ids) for ids in places.values() if len(ids) > 1)


def heads(db: Database, conversation: bytes) -> list[HeadRow]:
    """The ends of all authors' chains, ascending; more than one of an author where its chain forked."""
    rows = db.rows(
        "SELECT t.terminal, e.sequence, e.id FROM heads AS h JOIN entries AS e ON e.number = h.entry"
        " JOIN terminals AS t ON t.number = e.author"
        " WHERE h.conversation = (SELECT number FROM conversations WHERE id = ?)"
        " ORDER BY t.terminal, e.sequence, e.id",
        conversation,
    )
    return [HeadRow(*row) for row in rows]


def remove_conversation(database: Database, number: int) -> None:
    """Remove a conversation, by number, in one transaction."""
    removal.begin(database, number)
    while removal.is_due(database):
        removal.next_piece(database)
