"""Answers to the heads of an own terminal: exactly what the protocol says, and no step reads much."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chat.service import moving
from chat.service.moving import Answers, Asked, Carried
from chat.storage import entries, siblings
from chat.storage.database import Database
from protocol.entries_and_receipts import ParsedEntry
from protocol.history import Chain, heads, lacking, named, on_page
from protocol.messages import Head, Heads
from tests.support.storage.samples import (
    ME,
    TALK,
    THEIR_TERMINAL,
    THEM,
    Author,
    blob,
    new_database,
    sample,
    store,
)

AUTHORS = sorted([ME.terminal, THEIR_TERMINAL.terminal, blob("a third terminal")])
CASES = 40


class At(Chain):
    def __init__(self, held: Sequence[ParsedEntry]) -> None:
        self._held = {one.id: one.header for one in held}

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        header = self._held.get(entry)
        return None if header is None else (header.sequence, header.previous)


class Disk:
    """A store that answers at once, and notes how many rows each piece of work brought."""

    def __init__(self, database: Database) -> None:
        self.database, self.brought = database, list[int]()

    async def read(self, work: Callable[..., Any], *values: Any) -> Any:
        found = work(self.database, *values)
        if work is siblings.after:
            self.brought.append(len(found))
        return found


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = new_database(tmp_path)
    yield made
    made.close()


def answer(
    database: Database, *pages: Heads, late: Sequence[ParsedEntry] = (), contact: bytes = THEM
) -> tuple[list[bytes], list[int]]:
    """Ids of what is sent for these pages, and the rows that were passed over for it.

    `late` come meanwhile, one after each part that is sent.
    """
    disk, sent, over = Disk(database), list[bytes](), list[bytes]()
    carried, coming = Carried(), iter(late)

    async def carry(conversation: bytes, contact: bytes, numbers: Sequence[int]) -> None:
        rows, _, _ = siblings.with_marks(database, conversation, numbers, contact)
        for row in rows:
            carried.add(row.number)
            sent.append(row.id)
        entries.insert_all(database, list(islice(coming, 1)), ME.terminal, contact=THEM)

    async def end(conversation: bytes, _: bytes) -> None:
        over.append(conversation)

    async def all_of_it() -> None:
        answers = Answers(disk, carried, carry, end)  # type: ignore[arg-type]
        for page in pages:
            answers.add(Asked(page, set(siblings.heads_on(database, page)), 0, contact))
        while await answers.step():
            assert not over

    asyncio.run(all_of_it())
    assert over == [TALK]
    return sent, disk.brought


def test_a_page_costs_what_its_authors_wrote_or_a_few_rows_a_step(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 16)
    first, other, last = (
        Author(terminal, time=at) for terminal, at in zip(AUTHORS, (500, 1, 900), strict=True)
    )
    much = [first.write(f"entry {number}") for number in range(100)]
    store(database, *much, other.write("the only one"))
    nobody = Heads(TALK, last.terminal, [], more=False)
    assert answer(database, nobody) == ([], [])  # a page of few bytes must not cost a whole conversation
    sent, brought = answer(database, Heads(TALK, first.terminal, [], more=False))
    assert sent == [other.written[0].id]
    assert brought
    assert max(brought) <= 16
    sent, _ = answer(database, Heads(TALK, b"", [], more=False))
    assert sorted(sent) == sorted(one.id for one in [*much, *other.written])


def drawn(random: Random) -> list[ParsedEntry]:
    """Entries of three authors: chains with forks, often more than are named, and with holes."""
    made = list[ParsedEntry]()
    forks = random.choice([0.0, 0.1, 0.5])
    for number in range(random.randrange(60)):
        author = random.choice(AUTHORS)
        own = [one for one in made if one.header.author == author]
        before = None if not own else random.choice(own) if random.random() < forks else own[-1]
        made.append(
            sample(
                f"entry {number}",
                author=author,
                sequence=before.header.sequence + 1 if before else 1,
                previous=before.id if before else b"",
                parents=sorted(
                    {one.id for one in random.sample(made, min(2, len(made)))} - {before and before.id}
                ),
                time=random.randrange(90),
                incarnation=number.to_bytes(8, "big"),
            )
        )
    return [one for one in made if random.random() > forks / 4]


def test_what_is_sent_for_a_page_is_what_the_protocol_says(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 8)
    monkeypatch.setattr(siblings, "NEWEST", 5)
    ways = set[bool]()
    for seed in range(CASES):
        random = Random(seed)
        held = drawn(random)
        theirs = [
            Head(one.header.author, one.header.sequence, one.id) for one in held if random.random() < 0.05
        ]
        if random.random() < 0.7:
            theirs = []
        theirs += [Head(author, 7, blob("not held")) for author in AUTHORS if random.random() < 0.2]
        after = random.choice([b"", b"", b"", *AUTHORS])
        page = Heads(TALK, after, named(one for one in theirs if one.author > after), more=False)
        mine = on_page(page, named(heads({one.id: one.header for one in held})))
        expected = lacking([one.id for one in mine], [one.id for one in page.heads], At(held))
        try:
            with database.transaction():
                entries.insert_all(database, held, ME.terminal, contact=THEM)
                contact = random.choice([THEM, b""])
                sent, brought = answer(database, page, contact=contact)
                ways.add(bool(brought))
                assert sorted(sent) == sorted(expected), seed
                if not contact:  # the notes are in order throughout
                    ranks = {row.id: row.rank for row in siblings.rows_of(database, sent)[0]}
                    assert [ranks[one] for one in sent] == sorted(ranks.values()), seed
                raise _Undone
        except _Undone:
            pass
    assert ways == {True, False}


def test_what_comes_during_a_move_and_raises_others_keeps_none_of_them_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 4)
    monkeypatch.setattr(siblings, "NEWEST", 2)
    for seed in range(CASES):
        random = Random(seed)
        held = drawn(random)
        late = [one for one in held if random.random() < 0.3]
        early = [one for one in held if one not in late]
        mine = named(heads({one.id: one.header for one in early}))
        expected = lacking([one.id for one in mine], [], At(early))
        try:
            with database.transaction():
                entries.insert_all(database, early, ME.terminal, contact=THEM)
                sent, _ = answer(database, Heads(TALK, b"", [], more=False), late=late)
                assert set(expected) <= set(sent), seed
                assert len(set(sent)) == len(sent)
                raise _Undone
        except _Undone:
            pass


class _Undone(Exception):
    """Ends a case, so that the next one begins with the same database."""


def test_pages_that_name_more_heads_than_may_wait_are_not_answered(database: Database) -> None:
    answers = Answers(Disk(database), Carried(), *[None] * 2)  # type: ignore[arg-type]
    page = Heads(TALK, b"", [Head(ME.terminal, 1, bytes(32))] * 256, more=False)
    count = 0
    while answers.may_add(page):
        answers.add(Asked(page, {count.to_bytes(32, "big")}, 0, b""))
        count += 1
    assert count == moving.HEADS_WAITING // 256
    assert answers.may_add(Heads(TALK, b"", [], more=False))
