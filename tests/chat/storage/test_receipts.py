"""Receipts a terminal, what is unread, and the outbox: computed, never kept."""

from __future__ import annotations

from chat.storage import contacts, entries, own, rebuilding, receipts, terminals
from chat.storage.database import Database
from chat.storage.opening import open_history
from chat.storage.receipts import READ, STORED, ReceiptRow
from tests.chat.storage.samples import KEY, ME, TALK, THEIR_TERMINAL, THEM, Author, blob, store

THEIRS = THEIR_TERMINAL.terminal


def outbox(database: Database) -> list[bytes]:
    return receipts.unacknowledged(database, TALK, ME.terminal, THEM)


def test_a_receipt_is_recorded_once_a_terminal_and_kind(database: Database) -> None:
    entry = Author().write("hello")
    store(database, entry)
    with database.transaction():
        assert receipts.add(database, THEIRS, STORED, [entry.id, blob("not held")], 5) == [entry.id]
        assert receipts.add(database, THEIRS, STORED, [entry.id], 6) == []
        assert receipts.add(database, THEIRS, READ, [entry.id], 7) == [entry.id]
    expected = [ReceiptRow(THEIRS, STORED, 5), ReceiptRow(THEIRS, READ, 7)]
    assert receipts.of(database, [entry.id, blob("not held")]) == {entry.id: expected}


def test_the_outbox_is_what_no_terminal_of_the_contact_has_acknowledged(database: Database) -> None:
    author = Author()
    sent = [author.write(f"entry {number}") for number in range(5)]
    store(database, *sent, Author(THEIRS).write("theirs"))
    assert outbox(database) == [entry.id for entry in sent]
    with database.transaction():
        receipts.add(database, THEIRS, STORED, [sent[1].id], 1)
        receipts.add(database, THEIRS, READ, [sent[3].id], 1)
        # Neither an own terminal nor a stranger's speaks for the contact.
        receipts.add(database, ME.terminal, STORED, [sent[0].id], 1)
        receipts.add(database, blob("a stranger"), READ, [sent[0].id], 1)
    assert outbox(database) == [sent[0].id, sent[2].id, sent[4].id]


def test_the_outbox_of_another_persons_receipts_stays_full(database: Database) -> None:
    entry = Author().write("hello")
    store(database, entry)
    other = terminals.TerminalRow(blob("other"), blob("other terminal"), blob("s"), blob("x"), True, 0)
    with database.transaction():
        terminals.replace(database, other.person, [other])
        receipts.add(database, other.terminal, STORED, [entry.id], 1)
    assert outbox(database) == [entry.id]


def test_the_outbox_needs_entries_and_receipts_alone(database: Database) -> None:
    """With every other table emptied, but for who the people are, the same entries are to be sent."""
    author = Author()
    sent = [author.write(f"entry {number}") for number in range(9)]
    store(database, *sent)
    with database.transaction():
        receipts.add(database, THEIRS, STORED, [entry.id for entry in sent[::2]], 1)
    before = outbox(database)
    facts = {"own", "terminals", "conversations", "entries", "bodies", "receipts", "migrations"}
    with database.transaction():
        for (name,) in database.rows(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')"
            " AND name NOT LIKE 'sqlite_%'"
        ):
            if name not in facts:
                database.run(f"DELETE FROM {name}")
    assert outbox(database) == before == [entry.id for entry in sent[1::2]]
    database.close()
    again = open_history(database.path, KEY)
    assert outbox(again) == before
    assert [row.id for row in entries.page(again, TALK, 99)] == [entry.id for entry in sent]
    assert entries.tips(again, TALK) == [sent[-1].id]
    again.close()


def test_reading_up_to_a_place_reads_nothing_that_comes_to_stand_before_it_later(database: Database) -> None:
    theirs = Author(THEIRS)
    first, second, third = (theirs.write(f"entry {number}") for number in range(3))
    store(database, second, third, unread=True)
    row = entries.get(database, second.id)
    assert row is not None
    assert receipts.unread(database, TALK) == 2
    with database.transaction():
        assert receipts.mark_read(database, TALK, row.position, ME.terminal, 9) == [second.id]
        assert receipts.mark_read(database, TALK, row.position, ME.terminal, 9) == []
    store(database, first, unread=True)
    assert receipts.unread_all(database) == {TALK: 2}
    assert receipts.read_by(database, TALK, ME.terminal, 10) == [second.id]
    assert receipts.of(database, [second.id]) == {second.id: [ReceiptRow(ME.terminal, READ, 9)]}


def test_unread_entries_are_found_again_from_receipts(database: Database) -> None:
    store(database, *[Author().write("own")])
    theirs = Author(THEIRS)
    store(database, *[theirs.write(f"entry {number}") for number in range(4)], unread=True)
    row = entries.get(database, theirs.written[1].id)
    assert row is not None
    with database.transaction():
        receipts.mark_read(database, TALK, row.position, ME.terminal, 9)
    before = database.rows("SELECT * FROM unread ORDER BY entry")
    with database.transaction():
        database.run("DELETE FROM unread")
        rebuilding.rebuild(database)
    assert database.rows("SELECT * FROM unread ORDER BY entry") == before
    assert len(before) == 2


def test_a_removed_contact_leaves_no_receipt(database: Database) -> None:
    entry = Author().write("hello")
    store(database, entry)
    with database.transaction():
        receipts.add(database, THEIRS, STORED, [entry.id], 5)
        contacts.remove(database, THEM)
    assert database.value("SELECT count(*) FROM receipts") == 0
    assert own.read(database) == ME
