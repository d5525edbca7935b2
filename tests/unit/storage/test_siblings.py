"""The marks of a conversation that own terminals compare."""

from __future__ import annotations

from chat.storage import receipts, siblings
from chat.storage.database import Database
from protocol.entries_and_receipts import STORED
from protocol.messages import Receipt
from protocol.own_terminals import Mark
from tests.support.storage.samples import ME, TALK, THEIR_TERMINAL, THEM, Author, store


def test_the_marks_of_the_newest_256_entries_are_compared(database: Database) -> None:
    author, theirs = Author(), THEIR_TERMINAL.terminal
    written = [author.write(f"entry {number}") for number in range(257)]
    store(database, *written)
    with database.transaction():
        said = Receipt(STORED, sorted(entry.id for entry in written))
        receipts.acknowledge(database, TALK, ME.terminal, theirs, said, 9)
    expected = {Mark(entry.id, theirs, STORED) for entry in written[1:]}
    assert set(siblings.newest_marks(database, TALK, THEM)) == expected
