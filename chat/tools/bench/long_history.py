"""A profile with long conversations, made of the rows that the engine would have written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from signal import SIG_IGN, SIGINT, signal
from time import time
from typing import Any, Final

from chat.storage import contacts, keys, persons, profile
from chat.storage.contacts import PAIRED, ContactRow
from chat.storage.database import Database
from chat.storage.entries import indexed
from chat.storage.keys import OwnRow, PairingRow, ShareRow
from chat.storage.receipts import READ, STORED
from protocol.entries_and_receipts import KIND_TEXT, EntryPlace, conversation_of_two, text_body, write_entry
from protocol.errors import LocalMisuse
from protocol.identity.author import NewPerson, create_person
from protocol.identity.log import parse_operation
from protocol.identity.reduction import reduce
from protocol.messages import SharedDrawn
from protocol.primitives import KEY_SIZE, system_random

_TALK: Final = (
    "we could meet at the station before noon and walk along the river if it stays dry or else I would rather"
    " take the tram because my shoes still leak did you hear from the landlord about our heating yesterday he"
    " promised to send somebody this week but nobody came so the kitchen is cold again please bring back that"
    " blue folder with all receipts since my sister needs them for her taxes on Monday morning our printer"
    " works fine now only two pages were lost and I wrote down what to press when its light blinks red who is"
    " going to feed the cat while you travel north for a fortnight I can do some days but not every evening"
    " their concert was louder than expected yet everyone liked the last song best of all maybe next time let"
    " us sit nearer to a door where there is more air"
)
_COMMON: Final = tuple(_TALK.split())
_SYLLABLES: Final = "ka lo mi ne pra sto tu vin del gor hal jun res bo"
_RARE: Final = tuple("".join(three) for three in product(_SYLLABLES.split(), repeat=3))
_HAN: Final = (
    "今天下午三点开会记得带上投影仪明天我们去北京的火车票已经买好了"
    "请把文件发给我谢谢你辛苦了晚上一起吃饭吗好的没问题"
)
_PICTURES: Final = "🎉👍❤😂🚀🌧☕🐈"
_RARE_SHARE: Final = 0.2
NUMBERED: Final = "#{number} "  # how each text begins


def saying(number: int, random: Random) -> str:
    kind = random.random()
    if kind < 0.06:
        said = _mark(number, random)
    elif kind < 0.14:
        start = random.randrange(len(_HAN) - 8)
        said = _HAN[start : start + random.randrange(4, 24)] + "。"
    elif kind < 0.17:
        said = _words(random, random.randrange(40, 160)) + "."
    elif kind < 0.22:
        said = f"{_words(random, 4)} {random.choice(_PICTURES)}"
    else:
        said = _words(random, random.randrange(2, 16))
    return NUMBERED.format(number=number) + said


def _words(random: Random, count: int) -> str:
    source = _RARE if random.random() < _RARE_SHARE else _COMMON
    return " ".join([*random.choices(_COMMON, k=count - 1), random.choice(source)])


def _mark(number: int, random: Random) -> str:
    some, more = _words(random, 5), _words(random, 7)
    return random.choice(
        (
            f"**{some}** and *{more}*",
            f"see https://files.example/{number}/{random.choice(_RARE)}.html, {some}",
            f"{some}\n```\nfor each in {random.choice(_RARE)}:\n    print(each, {number})\n```\n{more}",
            f"{some}:\n- {more}\n- {_words(random, 9)}\n- `{random.choice(_RARE)}`",
            f"as you said\n> {some}\n{more}",
        )
    )


BATCH: Final = 10_000  # entries that go from one process to the other at a time
APART: Final = 90_000  # milliseconds between two entries, on the mean: a million of them are three years
_CACHE_KIB: Final = 768 * 1024
_HASTE: Final = (
    f"cache_size = -{_CACHE_KIB}",
    "synchronous = OFF",
    "foreign_keys = OFF",
    "secure_delete = OFF",
)
_ENTRIES: Final = (
    "INSERT INTO entries (number, id, conversation, author, incarnation, sequence, time, kind, rank, header)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_BODIES: Final = "INSERT INTO bodies (entry, salt, body) VALUES (?, ?, ?)"
_EDGES: Final = "INSERT INTO edges (parent, child, chain) VALUES (?, ?, ?)"
_WORDS: Final = "INSERT INTO search (rowid, text) VALUES (?, ?)"
_RECEIPTS: Final = (
    "INSERT INTO receipts (entry, terminal, kind, time)"
    " SELECT number, CASE author WHEN ?1 THEN others.column2 ELSE ?1 END, kinds.column1, time + 1000"
    " FROM entries JOIN (VALUES {others}) AS others ON others.column1 = conversation,"
    " (VALUES (?2), (?3)) AS kinds ORDER BY number, kinds.column1"
)

_Rows = list[tuple[Any, ...]]
_Tables = tuple[_Rows, _Rows, _Rows, _Rows]  # of entries, bodies, edges and the index of words


@dataclass
class _Author:
    """One of the two people. `number` is the row of the terminal."""

    number: int
    terminal: bytes
    self_key: bytes = field(repr=False)
    membership: tuple[bytes, ...]
    incarnation: bytes
    last: tuple[int, bytes, int] | None = None  # sequence, id and number of the row of its newest entry


@dataclass
class _Talk:
    """The state of a conversation that its next entry needs. `number` is its row."""

    conversation: bytes
    number: int
    authors: tuple[_Author, _Author]
    speaker: int = 0
    said: list[bytes] = field(default_factory=list)
    """Ids that may be answered: the newest, and some from long before."""


@dataclass
class _History:
    """The conversations in progress, of which the earlier ones get more entries."""

    talks: list[_Talk]
    time: int
    random: Random
    written: int = 0


def create(folder: Path, passphrase: str, entries: int, progress: Callable[[int], None]) -> None:
    """Make Ada's profile: Ben is away, all they said is delivered and read. Raises as `profile.create`."""
    ada, ben = create_person("Ada", system_random), create_person("Ben", system_random)
    with profile.create(folder, passphrase, partial(write_persons, ada, ben), random=system_random) as opened:
        database = opened.database()
        try:
            fill(database, ada, [ben], entries, progress)
        finally:
            database.close()


def write_persons(ada: NewPerson, ben: NewPerson, database: Database) -> None:
    """Fill Ada's new database with both people, the contact and their conversation."""
    row = OwnRow(
        *(ada.person, ada.terminal, ada.signing_seed, ada.static_secret),
        *((SharedDrawn(ada.person, ada.drawn),), ada.recovery_seed),
    )
    keys.create_own(database, row)
    _write_log(database, ada)
    write_contact(ada, ben, "Ben", database)


def write_contact(ada: NewPerson, other: NewPerson, name: str, database: Database) -> None:
    """Add a contact of Ada's and their conversation."""
    _write_log(database, other)
    contacts.add(database, ContactRow(other.person, name, "", PAIRED, True, False, False, _now()))
    root = system_random(KEY_SIZE)
    theirs = (ShareRow(other.person, system_random(KEY_SIZE)),)
    keys.add_pairing(database, PairingRow(other.person, root, ada.person, theirs))
    conversation = conversation_of_two(ada.person, other.person)
    contacts.ensure_conversation(database, conversation, contacts.TWO, other.person)


def _write_log(database: Database, person: NewPerson) -> None:
    for operation in person.operations:
        persons.add_operation(database, person.person, parse_operation(operation).id, operation)
    rows = persons.terminal_rows(reduce(person.operations))
    persons.replace_terminals(database, person.person, rows)


def fill(
    database: Database,
    ada: NewPerson,
    others: Sequence[NewPerson],
    entries: int,
    progress: Callable[[int], None],
) -> None:
    """Write the conversations of Ada with the others, contacts of hers: so many entries in all."""
    for pragma in _HASTE:
        database.value(f"PRAGMA {pragma}")
    history = _History(
        [_talk(database, ada, other) for other in others], _now() - entries * APART, Random(entries)
    )
    with database.transaction():
        indexes = database.rows(
            "SELECT name, sql FROM sqlite_master"
            " WHERE type = 'index' AND tbl_name = 'entries' AND sql NOT NULL"
        )
        for name, _ in indexes:  # which are faster to build at once
            database.run(f"DROP INDEX {name}")
        for tables in _written(history, entries):
            for statement, rows in zip((_ENTRIES, _BODIES, _EDGES, _WORDS), tables, strict=True):
                database.run_many(statement, rows)
            progress(tables[0][-1][0])
        for _, index in indexes:
            database.run(index)
        _write_ends(database, history.talks)
    database.checkpoint()


def _write_ends(database: Database, talks: Sequence[_Talk]) -> None:
    """Receipts of all entries, and the ends of the conversations."""
    other = ", ".join(f"({talk.number}, {talk.authors[1].number})" for talk in talks)
    database.run(_RECEIPTS.format(others=other), talks[0].authors[0].number, STORED, READ)
    last = "SELECT max(number), conversation FROM entries WHERE conversation = ?1"
    for talk in talks:
        database.run(f"INSERT INTO tips (entry, conversation) {last} HAVING max(number)", talk.number)
        for author in talk.authors:
            heads = f"INSERT INTO heads (entry, conversation) {last} AND author = ?2 HAVING max(number)"
            database.run(heads, talk.number, author.number)


def _talk(database: Database, ada: NewPerson, other: NewPerson) -> _Talk:
    conversation = conversation_of_two(ada.person, other.person)
    number = contacts.conversation_number(database, conversation)
    with database.transaction():
        return _Talk(conversation, number, (_author(database, ada), _author(database, other)))


def _author(database: Database, person: NewPerson) -> _Author:
    number = persons.terminal_number(database, person.terminal)
    membership = tuple(reduce(person.operations).heads)
    return _Author(number, person.terminal, person.self_key, membership, system_random(8))


def _written(history: _History, entries: int) -> Iterator[_Tables]:
    """Batches of rows. The other process writes the next batch while this one stores."""
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    with ours:
        writer = context.Process(target=_speak, args=(theirs, history, entries), daemon=True)
        writer.start()
        theirs.close()
        left = entries
        while left:
            try:
                tables: _Tables = ours.recv()
            except EOFError:
                raise LocalMisuse("the process that writes the entries has ended") from None
            yield tables
            left -= len(tables[0])
    writer.join()


def _speak(connection: Connection, history: _History, entries: int) -> None:
    signal(SIGINT, SIG_IGN)  # Ctrl-C is for the one that reads
    with suppress(BrokenPipeError):
        while left := entries - history.written:
            tables: _Tables = [], [], [], []
            for _ in range(min(BATCH, left)):
                _write_one(history, tables)
            connection.send(tables)


def _write_one(history: _History, tables: _Tables) -> None:
    random = history.random
    history.written += 1
    history.time += 1 + int(random.expovariate(1 / APART))
    talk = history.talks[int(random.random() ** 2 * len(history.talks))]
    before = talk.authors[talk.speaker]
    talk.speaker ^= random.random() < 0.4
    author = talk.authors[talk.speaker]
    answered = before.last if before is not author else None
    text = saying(history.written, random)
    body = text_body(text, random.choice(talk.said) if talk.said and random.random() < 0.04 else b"")
    place = EntryPlace(
        talk.conversation,
        author.terminal,
        author.incarnation,
        author.last[:2] if author.last else None,
        [answered[1]] if answered else [],
        author.membership,
    )
    entry = write_entry(place, history.time, KIND_TEXT, body, author.self_key, system_random)
    header, row = entry.header, history.written
    at = header.incarnation, header.sequence, header.time, header.kind, header.time
    entries, bodies, edges, words = tables
    entries.append((row, entry.id, talk.number, author.number, *at, entry.header_bytes))
    bodies.append((row, entry.salt, entry.body))
    edges.extend((one[2], row, int(one is author.last)) for one in (answered, author.last) if one)
    words.append((row, indexed(text, talk.number, history.time)))
    author.last = header.sequence, entry.id, row
    talk.said.append(entry.id)
    if len(talk.said) > 40:  # mostly recent entries stay, and some old ones
        del talk.said[random.randrange(40)]


def _now() -> int:
    return int(time() * 1000)
