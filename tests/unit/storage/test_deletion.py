"""What was deleted is in no page, frame or file any more, nor are its words in the index (attack 75)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from chat.storage import contacts, entries, keys, persons, receipts, secure_deletion
from chat.storage.contacts import PAIRED, ContactRow
from chat.storage.database import Database
from tests.support.lab.inspection import residues
from tests.support.storage.samples import (
    KEY,
    ME,
    TALK,
    THEIR_TERMINAL,
    THEM,
    Author,
    blob,
    find,
    remove_conversation,
    store,
)

# FTS5 compresses words by their common beginning, so the tail of one is what stays alone.
WORD = "zyxhippopotamusqwv"
TAILS = (WORD.encode(), b"potamusqwv")


def fill(database: Database, many: int) -> None:
    with database.transaction():
        contacts.add(database, ContactRow(THEM, "Ada " + WORD, "", PAIRED, False, False, False, 1))
        persons.add_operation(database, THEM, THEM, b"rename " + WORD.encode())
        contacts.ensure_conversation(database, blob("kept"), contacts.TWO, blob("another person"))
    talk, kept = Author(THEIR_TERMINAL.terminal), Author(conversation=blob("kept"))
    for number in range(many):
        store(
            database,
            talk.write(f"{WORD}{number} said and {number} more " * 9),
            kept.write(f"kept {number} " * 9),
        )


@pytest.fixture
def filled(database: Database) -> Database:
    """A history of 120 entries with the word, and as many without."""
    fill(database, 120)
    return database


def found(database: Database) -> list[str]:
    return [place for tail in TAILS for place in residues(database.path, KEY.reveal(), tail)]


def test_attack_75_a_removed_contact_leaves_nothing_in_any_page_or_frame(filled: Database) -> None:
    assert len(found(filled)) > 20
    with filled.transaction():
        contacts.remove(filled, THEM)
    assert secure_deletion.clean_file(filled)
    assert found(filled) == []
    assert len(entries.page(filled, blob("kept"), 500)) == 120
    assert len(find(filled, "kept", limit=500)) == 120
    assert filled.value("SELECT v FROM search_config WHERE k = 'secure-delete'") == 1
    filled.close()
    assert found(filled) == []


def test_attack_75_a_removed_contact_without_a_conversation_leaves_nothing_either(database: Database) -> None:
    somebody = blob("somebody who never wrote")
    with database.transaction():
        contacts.add(database, ContactRow(somebody, "Ada " + WORD, "", PAIRED, False, False, False, 1))
    with database.transaction():
        contacts.remove(database, somebody)
    assert secure_deletion.clean_file(database)
    assert found(database) == []


@pytest.mark.parametrize("many", [260, 300, 360])
def test_attack_75_the_table_of_the_index_pages_keeps_no_word(database: Database, many: int) -> None:
    """Each number of entries puts other words at the beginnings of pages, which have a table of their own."""
    fill(database, many)
    keys = [bytes(term) for (term,) in database.rows("SELECT CAST(term AS BLOB) FROM search_idx")]
    assert any(TAILS[0] in key for key in keys)
    with database.transaction():
        contacts.remove(database, THEM)
    assert secure_deletion.clean_file(database)
    assert found(database) == []


def test_attack_75_a_deleted_entry_leaves_its_header_alone(filled: Database) -> None:
    rows = entries.page(filled, TALK, 500)
    with filled.transaction():
        assert all(entries.destroy(filled, row.id) for row in rows)
        contacts.set_name(filled, THEM, "Ada")
        filled.run("DELETE FROM operations WHERE person = ?", THEM)
    assert secure_deletion.clean_file(filled)
    assert found(filled) == []
    assert [row.header for row in entries.page(filled, TALK, 500)] == [row.header for row in rows]
    assert find(filled, f"{WORD}7") == []
    assert len(find(filled, "kept", limit=500)) == 120


def test_attack_75_an_entry_deleted_while_it_waits_to_be_sent_leaves_nothing(database: Database) -> None:
    waiting = Author()
    written = [waiting.write(f"{WORD}{number} waits " * 9) for number in range(40)]
    store(database, *written)
    assert receipts.unacknowledged(database, TALK, ME.terminal, THEM) == [entry.id for entry in written]
    assert found(database)
    with database.transaction():
        assert all(entries.destroy(database, entry.id) for entry in written)
    assert receipts.unacknowledged(database, TALK, ME.terminal, THEM) == []
    assert receipts.awaiting(database, [entry.id for entry in written], ME.terminal, THEM) == set()
    assert secure_deletion.clean_file(database)
    assert found(database) == []
    with database.transaction():
        back = entries.insert_all(database, written, ME.terminal)
    assert back == [], "a body that comes back is not taken"
    assert found(database) == []


@pytest.mark.parametrize("headers_first", [True, False])
def test_attack_75_what_was_deleted_is_not_taken_after_its_conversation_was_removed(
    database: Database, headers_first: bool
) -> None:
    talk = Author(THEIR_TERMINAL.terminal)
    deleted, kept = [talk.write(f"{WORD}{number} more " * 9) for number in range(40)], talk.write("kept")
    store(database, *deleted, kept)
    with database.transaction():
        assert all(entries.destroy(database, entry.id) for entry in deleted)
        remove_conversation(database, contacts.conversation_number(database, TALK))
    assert secure_deletion.clean_file(database)
    if headers_first:
        alone = [replace(entry, salt=b"", body=b"", said=None) for entry in deleted]
        with database.transaction():
            entries.insert_all(database, alone, ME.terminal, contact=THEM)
    with database.transaction():
        back = entries.insert_all(database, [*deleted, kept], ME.terminal, contact=THEM)
    assert [one.destroyed for one in back] == [1] * (0 if headers_first else 40) + [0]
    assert not any(one.entry.salt for one in back if one.destroyed)
    assert [row.deleted for row in entries.page(database, TALK, 100)] == [True] * 40 + [False]
    assert database.rows("SELECT entry FROM deletions") == []
    assert receipts.unread(database, TALK) == 1
    assert found(database) == []


def test_attack_75_a_forgotten_recovery_seed_is_gone_from_the_file(database: Database) -> None:
    seed = ME.recovery_seed
    assert seed is not None
    assert residues(database.path, KEY.reveal(), seed)
    with database.transaction():
        keys.erase_recovery_seed(database)
    assert secure_deletion.clean_file(database)
    assert residues(database.path, KEY.reveal(), seed) == []


def test_attack_75_without_the_recipe_the_search_would_find_it(filled: Database) -> None:
    """That the search is able to fail: rows deleted, but the file not yet cleaned."""
    with filled.transaction():
        contacts.remove(filled, THEM)
    assert found(filled)
