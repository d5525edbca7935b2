"""The marks of a conversation that own terminals compare."""

from __future__ import annotations

from chat.storage import receipts, siblings
from chat.storage.database import Database
from chat.storage.entries import BEGINNING, BY_CONTACT, insert_all
from protocol.entries_and_receipts import KIND_DELETE, STORED
from protocol.limits import HEADS_PER_AUTHOR_MAX
from protocol.messages import Receipt
from protocol.own_terminals import Mark
from tests.support.storage.samples import ME, TALK, THEIR_TERMINAL, THEM, Author, blob, sample, store


def test_the_marks_of_the_newest_256_entries_are_compared(database: Database) -> None:
    author, theirs = Author(), THEIR_TERMINAL.terminal
    written = [author.write(f"entry {number}") for number in range(257)]
    store(database, *written)
    with database.transaction():
        said = Receipt(STORED, sorted(entry.id for entry in written))
        receipts.acknowledge(database, TALK, ME.terminal, theirs, said, 9)
    expected = {Mark(entry.id, theirs, STORED) for entry in written[1:]}
    assert set(siblings.newest_marks(database, TALK, THEM)) == expected


def test_all_entries_come_in_their_order_a_page_at_a_time(database: Database) -> None:
    mine, theirs = Author(), Author(THEIR_TERMINAL.terminal, time=1_500)
    written = [one.write(f"entry {number}") for number in range(20) for one in (mine, theirs)]
    # Entries without a line of their own have an index of their own.
    written.insert(11, sample(kind=KIND_DELETE, parents=[written[10].id], incarnation=b"a delete"))
    store(database, *written)
    claimed = sample("the contact says that this person wrote it", incarnation=b"a claim!")
    with database.transaction():
        insert_all(database, [claimed], ME.terminal, contact=THEM, claimed=BY_CONTACT)
    (by,) = siblings.authors_of(database, [theirs.written[-1].id]) or {0}
    found, position = list[tuple[int, int]](), BEGINNING
    while some := siblings.after(database, TALK, position, 7):
        # However few are of the authors that are asked for, none is looked for any further.
        assert len(some) == min(7, len(written) - len(found))
        found += [(number, author) for number, author, _ in some]
        position = some[-1][2]
    rows, _, _ = siblings.with_marks(database, TALK, [number for number, _ in found], THEM)
    assert [row.number for row in rows] == [number for number, _ in found]
    assert {row.id for row in rows} == {entry.id for entry in written}
    assert [row.id for row in rows if (row.number, by) in found] == [entry.id for entry in theirs.written]


def test_of_an_author_with_heads_that_are_not_named_not_all_is_sent(database: Database) -> None:
    first = sample("first")
    forks = [
        sample(f"fork {number}", sequence=2, previous=first.id, incarnation=bytes(7) + bytes([number]))
        for number in range(HEADS_PER_AUTHOR_MAX + 1)
    ]
    other = sample("another author", author=THEIR_TERMINAL.terminal)
    store(database, first, other, *forks[:-1])
    heads = [head.id for head in siblings.held_heads(database, TALK)]
    assert len(siblings.authors_of(database, heads) or ()) == 2
    store(database, forks[-1])
    assert siblings.authors_of(database, heads) is None
    assert len(siblings.authors_of(database, [other.id]) or ()) == 1
    assert siblings.authors_of(database, [blob("not held")]) == set()
