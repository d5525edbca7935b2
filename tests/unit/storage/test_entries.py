"""Entries: inserted once, walked by place; two at one place are kept as evidence."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from chat.storage import contacts, entries, receipts
from chat.storage.database import Database
from chat.storage.entries import BEGINNING, HeadRow
from chat.storage.errors import StorageMisuse
from chat.storage.receipts import STORED, ReceiptRow
from tests.support.storage.samples import ME, TALK, THEIR_TERMINAL, THEM, Author, blob, sample, store


def test_an_entry_comes_back_as_it_was_given(database: Database) -> None:
    author = Author()
    first, second = author.write("first"), author.write("second")
    assert store(database, first, second) == [True, True]
    row = entries.get(database, second.id)
    assert row is not None
    assert (row.id, row.header) == (second.id, second.header_bytes)
    assert (row.salt, row.body) == (second.salt, second.body)
    assert (row.conversation, row.author, row.sequence) == (TALK, ME.terminal, 2)
    assert (row.previous, row.incarnation, row.kind, row.time) == (first.id, b"incarnat", 1, 2_000)
    assert row.position == (2_000, second.id)
    assert not row.deleted


def test_an_unknown_conversation_is_our_own_mistake(database: Database) -> None:
    with pytest.raises(StorageMisuse), database.transaction():
        entries.insert(database, sample("lost", conversation=blob("nowhere")), unread=False)
    assert database.value("SELECT count(*) FROM entries") == 0


def test_a_deleted_entry_keeps_its_header_and_its_place(database: Database) -> None:
    author = Author()
    gone = author.write("gone")
    after = author.write("stays")
    store(database, gone, after)
    with database.transaction():
        assert entries.destroy(database, gone.id)
        assert not entries.destroy(database, gone.id)
        assert not entries.destroy(database, blob("not held"))
    row = entries.get(database, gone.id)
    assert row is not None
    assert row.deleted
    assert (row.header, row.salt, row.body) == (gone.header_bytes, b"", b"")
    following = entries.get(database, after.id)
    assert following is not None
    assert following.previous == gone.id
    # Whoever supplies it again brings nothing back.
    assert store(database, gone) == [False]
    assert database.value("SELECT count(*) FROM bodies") == database.value("SELECT count(*) FROM search") == 1


def test_an_entry_and_a_body_that_was_lacking_are_taken_once(database: Database) -> None:
    """From somebody who deleted it for themselves an entry comes without; its author still has it."""
    entry = Author().write("whole")
    bare = replace(entry, salt=b"", body=b"", said=None)
    assert store(database, bare, bare, entry, entry, bare) == [True, False, True, False, False]
    assert store(database, replace(entry, body=b"other", salt=bytes(16))) == [False]
    row = entries.get(database, entry.id)
    assert row is not None
    assert (row.salt, row.body) == (entry.salt, entry.body)
    assert database.value("SELECT count(*) FROM search") == 1


def test_nothing_is_found_in_an_unknown_conversation(database: Database) -> None:
    nowhere = blob("nowhere")
    assert entries.page(database, nowhere, 10) == entries.page_after(database, nowhere, 9, BEGINNING) == []
    assert [*entries.tips(database, nowhere), *entries.heads(database, nowhere)] == []
    assert entries.at_time(database, nowhere, 0) is receipts.first_unread(database, nowhere) is None
    assert entries.last_by(database, TALK, ME.terminal) is None


def test_the_last_of_an_authors_chain_is_that_of_the_highest_sequence(database: Database) -> None:
    author = Author()
    chain = [author.write(f"entry {number}") for number in range(6)]
    store(database, *chain, sample("somebody else", author=THEIR_TERMINAL.terminal, sequence=5))
    assert entries.last_by(database, TALK, ME.terminal) == HeadRow(ME.terminal, 6, chain[5].id)


def test_attack_67_two_entries_at_one_place_are_both_kept_and_named(database: Database) -> None:
    """A copy of a profile that runs with the same incarnation: no honest terminal does that."""
    first = sample("one")
    second = sample("another")
    store(database, first, second, sample("elsewhere", author=THEIR_TERMINAL.terminal))
    assert entries.evidence(database) == [tuple(sorted((first.id, second.id)))]
    assert len(entries.page(database, TALK, 9)) == 3


def test_attack_66_a_restored_copy_uses_no_place_again(database: Database) -> None:
    """After a restore the engine draws another incarnation: its entries fork the chain and accuse nobody."""
    author = Author()
    before, lost = author.write("before"), author.write("written after the copy was made")
    again = sample("written after the restore", sequence=2, previous=before.id, incarnation=b"restored")
    store(database, before, lost, again)
    assert entries.evidence(database) == []
    heads = {head.id for head in entries.heads(database, TALK)}
    assert heads == {lost.id, again.id}


def test_a_burst_makes_its_conversation_and_says_what_it_has_stored(database: Database) -> None:
    talk = blob("a conversation that is not there yet")
    author = Author(THEIR_TERMINAL.terminal, talk)
    first, second = author.write("first"), author.write("second")
    with database.transaction():
        new = entries.insert_all(database, [first, second, first], ME.terminal, contact=THEM, stored=7)
    assert [entry.id for _, entry in new] == [first.id, second.id]
    held = contacts.conversation_with(database, THEM)
    assert held is not None
    told = [ReceiptRow(ME.terminal, STORED, 7)]
    assert receipts.of(database, [first.id, second.id]) == {first.id: told, second.id: told}
    assert receipts.unread(database, talk) == 2
    with database.transaction():
        assert entries.insert_all(database, [second], ME.terminal, contact=THEM, stored=8) == []
    assert receipts.of(database, [second.id]) == {second.id: told}
