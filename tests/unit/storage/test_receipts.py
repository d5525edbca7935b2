"""Receipts a terminal, what is unread, and the outbox: computed, never kept."""

from __future__ import annotations

import pytest

from chat.storage import clients, entries, migrations, persons, receipts
from chat.storage.clients import ClientRow
from chat.storage.database import Database
from chat.storage.errors import DatabaseDamaged
from chat.storage.migrations import open_history
from chat.storage.receipts import READ, READ_UNTOLD, STORED, ReceiptRow
from protocol.messages import Receipt
from tests.support.storage.samples import KEY, ME, TALK, THEIR_TERMINAL, THEM, Author, blob, store

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


def test_a_receipt_of_another_terminal_is_new_but_changes_no_state_that_was_reached(
    database: Database,
) -> None:
    entry, other = Author().write("hello"), blob("their other terminal")
    store(database, entry)

    def acknowledged(terminal: bytes, kind: int) -> dict[bytes, bool]:
        return receipts.acknowledge(database, TALK, ME.terminal, terminal, Receipt(kind, [entry.id]), 5)

    with database.transaction():
        assert acknowledged(THEIRS, STORED) == {entry.id: True}
        assert acknowledged(THEIRS, STORED) == {}
        assert acknowledged(other, STORED) == {entry.id: False}
        assert acknowledged(other, READ) == {entry.id: True}
        assert acknowledged(THEIRS, READ) == {entry.id: False}
        assert acknowledged(THEIRS, STORED) == {}


def test_a_receipt_for_an_entry_whose_header_is_damaged_is_not_recorded(database: Database) -> None:
    entry = Author().write("hello")
    store(database, entry)
    with database.transaction():
        database.run("UPDATE entries SET header = zeroblob(length(header))")
    with pytest.raises(DatabaseDamaged), database.transaction():
        receipts.acknowledge(database, TALK, ME.terminal, THEIRS, Receipt(STORED, [entry.id]), 5)
    assert receipts.of(database, [entry.id]) == {}


def test_the_outbox_is_what_no_terminal_of_the_contact_has_acknowledged(database: Database) -> None:
    author = Author()
    sent = [author.write(f"entry {number}") for number in range(5)]
    store(database, *sent, Author(THEIRS).write("theirs"))
    assert outbox(database) == [entry.id for entry in sent]
    other = persons.TerminalRow(blob("other"), blob("other terminal"), blob("x"), True, 0)
    with database.transaction():
        persons.replace_terminals(database, other.person, [other])
        receipts.add(database, THEIRS, STORED, [sent[1].id], 1)
        receipts.add(database, THEIRS, READ, [sent[3].id], 1)
        # Neither an own terminal nor a stranger's or another person's speaks for the contact.
        for terminal, kind in ((ME.terminal, STORED), (blob("a stranger"), READ), (other.terminal, STORED)):
            receipts.add(database, terminal, kind, [sent[0].id], 1)
    assert outbox(database) == [sent[0].id, sent[2].id, sent[4].id]


def test_the_outbox_needs_entries_and_receipts_alone(database: Database) -> None:
    author = Author()
    sent = [author.write(f"entry {number}") for number in range(9)]
    store(database, *sent)
    with database.transaction():
        receipts.add(database, THEIRS, STORED, [entry.id for entry in sent[::2]], 1)
    before = outbox(database)
    facts = {"own", "terminals", "person_terminals", "conversations", "entries", "bodies", "receipts"}
    facts |= {"migrations"}
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


def test_only_the_entries_that_were_shown_are_read(database: Database) -> None:
    theirs = Author(THEIRS)
    late, first, second, third = (theirs.write(f"entry {number}") for number in range(4))
    store(database, first, second, third, unread=True)
    with database.transaction():
        shown = [third.id, second.id, third.id, late.id, blob("never held")]
        assert receipts.mark_read(database, TALK, shown, ME.terminal, 9) == [second.id, third.id]
        assert receipts.mark_read(database, TALK, shown, ME.terminal, 9) == []
        assert receipts.mark_read(database, blob("elsewhere"), [first.id], ME.terminal, 9) == []
    assert receipts.first_unread(database, TALK) == first.id
    store(database, late, unread=True)
    assert receipts.unread_all(database) == {TALK: 2}
    assert receipts.first_unread(database, TALK) == late.id
    assert receipts.read_by(database, TALK, [ME.terminal], 10) == [third.id, second.id]
    assert receipts.of(database, [second.id]) == {second.id: [ReceiptRow(ME.terminal, READ, 9)]}


def test_all_entries_are_read_when_a_person_says_so(database: Database) -> None:
    theirs = Author(THEIRS)
    written = [theirs.write(f"entry {number}") for number in range(3)]
    store(database, *reversed(written), unread=True)
    with database.transaction():
        assert receipts.mark_all_read(database, blob("elsewhere"), ME.terminal, 9) == []
        ids = receipts.mark_all_read(database, TALK, ME.terminal, 9, told=False)
    assert ids == [entry.id for entry in written]
    assert receipts.unread(database, TALK) == 0
    assert receipts.read_by(database, TALK, [ME.terminal], 10) == []
    assert receipts.of(database, ids[:1]) == {ids[0]: [ReceiptRow(ME.terminal, READ_UNTOLD, 9)]}


def test_rows_have_the_receipts_of_their_ids(database: Database) -> None:
    theirs = Author(THEIRS)
    written = [theirs.write(f"entry {number}") for number in range(300)]
    store(database, *written, unread=True)
    with database.transaction():
        receipts.mark_all_read(database, TALK, ME.terminal, 9)
    rows = entries.page(database, TALK, 299)
    assert set(found := receipts.of_rows(database, rows)) == {row.id for row in rows}
    assert found == receipts.of(database, [row.id for row in rows])
    assert receipts.of_rows(database, rows[:1]) == {rows[0].id: [ReceiptRow(ME.terminal, READ, 9)]}
    assert receipts.of_rows(database, []) == {}


def test_more_entries_are_read_than_one_query_asks_for(database: Database) -> None:
    theirs = Author(THEIRS)
    written = [theirs.write("x") for _ in range(600)]
    store(database, *written, unread=True)
    ids = [entry.id for entry in written]
    with database.transaction():
        assert receipts.mark_read(database, TALK, ids[:-1], ME.terminal, 9) == ids[:-1]
    assert receipts.first_unread(database, TALK) == ids[-1]


def test_unread_entries_are_found_again_from_receipts(database: Database) -> None:
    store(database, *[Author().write("own")])
    theirs = Author(THEIRS)
    store(database, *[theirs.write(f"entry {number}") for number in range(4)], unread=True)
    with database.transaction():
        receipts.mark_read(database, TALK, [entry.id for entry in theirs.written[:2]], ME.terminal, 9)
    before = database.rows("SELECT * FROM unread ORDER BY entry")
    with database.transaction():
        database.run("DELETE FROM unread")
        migrations.rebuild(database)
    assert database.rows("SELECT * FROM unread ORDER BY entry") == before
    assert len(before) == 2


def test_the_newest_send_ids_are_kept_and_each_names_the_entry_that_is_held(database: Database) -> None:
    writes = Author()
    first, other = writes.write("hello"), writes.write("another")
    store(database, first, other)
    with database.transaction():
        assert receipts.remember_send(database, "oldest", first.id)
        assert not receipts.remember_send(database, "oldest", other.id)
        assert receipts.sent_with(database, TALK, "oldest") == first.id
        assert receipts.sent_with(database, blob("another conversation"), "oldest") is None
        for number in range(5_000):
            assert receipts.remember_send(database, f"{number}", first.id)
        assert 4_096 <= database.value("SELECT count(*) FROM sends") < 4_096 + 256
        assert receipts.sent_with(database, TALK, "oldest") is None
        assert receipts.sent_with(database, TALK, "4999") == first.id
        database.run("UPDATE sends SET entry = ?", blob("of another page"))
        assert receipts.sent_with(database, TALK, "4999") is None
        assert receipts.remember_send(database, "4999", other.id)
        assert receipts.sent_with(database, TALK, "4999") == other.id


def test_the_send_ids_of_a_program_push_out_none_of_another_one(database: Database) -> None:
    writes = Author()
    first, other = writes.write("hello"), writes.write("another")
    store(database, first, other)
    with database.transaction():
        clients.add(database, ClientRow("echo", 0, "all", None, None, 1))
        assert receipts.remember_send(database, "1", first.id, "echo")
        assert receipts.remember_send(database, "1", other.id)
        for number in range(5_000):
            assert receipts.remember_send(database, f"by {number}", first.id, "busy")
        assert receipts.sent_with(database, TALK, "1", "echo") == first.id
        assert receipts.sent_with(database, TALK, "1") == other.id
        assert receipts.sent_with(database, TALK, "1", "busy") is None
        assert receipts.sent_with(database, TALK, "by 0", "busy") is None
        assert database.value("SELECT count(*) FROM sends") < 2 + 4_096 + 256
        assert clients.remove(database, "echo")
        assert receipts.sent_with(database, TALK, "1", "echo") is None
        assert receipts.sent_with(database, TALK, "by 4999", "busy") == first.id
