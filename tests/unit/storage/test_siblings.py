"""The marks of a conversation that own terminals compare."""

from __future__ import annotations

from chat.storage import receipts, siblings
from chat.storage.database import Database
from chat.storage.entries import BEGINNING
from protocol.entries_and_receipts import KIND_DELETE, STORED
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


def test_all_entries_of_some_authors_come_in_their_order_a_page_at_a_time(database: Database) -> None:
    mine, theirs = Author(), Author(THEIR_TERMINAL.terminal, time=1_500)
    written = [one.write(f"entry {number}") for number in range(20) for one in (mine, theirs)]
    # Entries without a line of their own have an index of their own.
    written.insert(11, sample(kind=KIND_DELETE, parents=[written[10].id], incarnation=b"a delete"))
    store(database, *written)
    for authors, expected in (
        ([mine.terminal, theirs.terminal], written),
        ([theirs.terminal], theirs.written),
    ):
        of = siblings.authors_of(database, [one.id for one in written if one.header.author in authors])
        assert len(of) == len(authors)
        found, position = list[bytes](), BEGINNING
        while some := siblings.after(database, TALK, of, position, 7):
            found += [one[1] for _, one in some]
            position = some[-1][1]
        assert set(found) == {entry.id for entry in expected}
        assert found == [row.id for row in siblings.rows_of(database, found)]
    assert siblings.authors_of(database, [blob("not held")]) == []
