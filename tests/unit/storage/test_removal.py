"""A removed conversation goes in pieces: nothing shows it meanwhile, and its person can pair again."""

from __future__ import annotations

import pytest

from chat.storage import (
    checks,
    contacts,
    entries,
    expiry,
    persons,
    receipts,
    removal,
    repair,
    secure_deletion,
)
from chat.storage.contacts import PAIRED, ContactRow
from chat.storage.database import Database
from chat.storage.expiry import EXPIRED, Moment
from chat.storage.migrations import open_history
from protocol.entries_and_receipts import ParsedEntry
from protocol.messages import Head, Heads
from tests.support.lab.inspection import residues
from tests.support.storage.samples import KEY, ME, TALK, THEIR_TERMINAL, THEM, Author, blob, find, store

WORD = "zyxhippopotamusqwv"
ADA = ContactRow(THEM, "Ada", "", PAIRED, verified=False, blocked=False, held=False, since=1)
KEPT = blob("kept")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "PIECE", 2)


def fill(database: Database) -> list[ParsedEntry]:
    """Ten entries of a contact, the third deleted and the fourth ended, and one entry of another contact."""
    talk, kept = Author(THEIR_TERMINAL.terminal), Author(conversation=KEPT)
    with database.transaction():
        contacts.add(database, ADA)
        persons.replace_terminals(database, THEM, [THEIR_TERMINAL])
        contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)
        contacts.ensure_conversation(database, KEPT, contacts.TWO, blob("another person"))
    written = [talk.write(f"{WORD}{number} said") for number in range(10)]
    store(database, *written[:5], kept.write("kept said"), *written[5:])
    with database.transaction():
        entries.destroy(database, written[2].id)
        entries.destroy(database, written[3].id)
        database.run("UPDATE entries SET destroyed = ? WHERE id = ?", EXPIRED, written[3].id)
    return written


def begin(database: Database) -> None:
    with database.transaction():
        contacts.remove(database, THEM)


def piece(database: Database) -> None:
    with database.transaction():
        removal.next_piece(database)


def check(database: Database) -> None:
    """What looks for old pages finds none."""
    checks.ends(database)
    after: int | None = 0
    while after is not None:
        after = checks.piece(database, after)


def left(database: Database) -> list[str]:
    """The tables that hold something of a conversation that is no contact's."""
    ours = "(SELECT number FROM conversations WHERE contact IS NOT NULL)"
    tables = [
        name
        for (name,) in database.rows(
            "SELECT DISTINCT t.name FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c"
            " WHERE t.schema = 'main' AND t.type = 'table' AND c.name = 'conversation'"
        )
    ]
    assert {"entries", "removals", "missing", "amendments"} <= set(tables)
    held = "(SELECT number FROM entries)"
    of_entries = ("bodies", "receipts", "expiring", "timers", "amended", "gaps", "uncovered", "quarantine")
    found = [
        table
        for some, column, known in ((tables, "conversation", ours), (of_entries, "entry", held))
        for table in some
        if database.value(f"SELECT count(*) FROM {table} WHERE {column} NOT IN {known}")
    ]
    edges = f"SELECT count(*) FROM edges WHERE parent NOT IN {held} OR child NOT IN {held}"
    words = f"SELECT count(*) FROM search WHERE rowid NOT IN {held}"
    return found + ["edges"] * database.value(edges) + ["search"] * database.value(words)


def test_nothing_shows_a_conversation_from_the_first_transaction_on(database: Database) -> None:
    fill(database)
    begin(database)
    while removal.is_due(database):
        assert contacts.get(database, THEM) is None
        assert contacts.conversation(database, TALK) is None
        assert contacts.conversation_with(database, THEM) is None
        assert [row.id for row in contacts.conversations(database)] == [KEPT]
        assert persons.former_terminals(database, THEM) == []
        assert entries.page(database, TALK, 99) == []
        assert find(database, WORD) == find(database, f"{WORD}9") == []
        assert len(find(database, "said", limit=1)) == 1, "what is removed takes no place among the hits"
        assert set(receipts.unread_all(database)) <= {KEPT}
        check(database)
        piece(database)
    assert left(database) == []
    assert database.integrity() == ()
    assert len(entries.page(database, KEPT, 99)) == 1


def test_attack_75_a_removal_that_a_crash_ends_goes_on_and_leaves_nothing(database: Database) -> None:
    fill(database)
    begin(database)
    piece(database)
    steps = secure_deletion.clean_in_steps(database)
    assert 0 < next(steps) <= next(steps) < 1
    path = database.path
    database.abandon()
    again = open_history(path, KEY)
    assert removal.is_due(again)
    assert secure_deletion.clean_file(again)
    assert not removal.is_due(again)
    assert left(again) == []
    terminals = {terminal for (terminal,) in again.rows("SELECT terminal FROM terminals")}
    assert THEIR_TERMINAL.terminal not in terminals
    again.close()
    for rest in (WORD[3:].encode(), THEIR_TERMINAL.terminal, TALK):
        assert residues(path, KEY.reveal(), rest) == []


@pytest.mark.parametrize("pieces", range(7))
@pytest.mark.parametrize("backwards", [False, True])
def test_what_comes_again_meanwhile_is_shown_once_and_as_it_was_deleted(
    database: Database, pieces: int, backwards: bool
) -> None:
    written = fill(database)
    later = Author(ME.terminal).write("later said", [written[-1].id])
    begin(database)
    for _ in range(pieces):
        piece(database)
    with database.transaction():
        contacts.add(database, ADA)
        persons.replace_terminals(database, THEM, [THEIR_TERMINAL])
    for entry in [later, *reversed(written)] if backwards else [*written, later]:
        with database.transaction():
            entries.insert_all(database, [entry], ME.terminal, contact=THEM)
        check(database)
        if backwards:
            piece(database)
    assert secure_deletion.clean_file(database)
    check(database)
    assert left(database) == []
    rows = entries.page(database, TALK, 99)
    assert [row.id for row in rows] == [entry.id for entry in (*written, later)]
    assert [row.destroyed for row in rows] == [0, 0, 1, EXPIRED, *[0] * 7]
    assert len(find(database, "said")) == 10
    assert database.rows("SELECT * FROM deletions") == []
    assert database.integrity() == ()


def test_heads_ask_for_what_is_being_removed(database: Database) -> None:
    written = fill(database)
    begin(database)
    page = Heads(TALK, b"", [Head(THEIR_TERMINAL.terminal, 10, written[-1].id)], False)
    assert repair.not_held(database, page) == {written[-1].id}


def test_what_ends_meanwhile_is_not_told(database: Database) -> None:
    written = fill(database)
    with database.transaction():
        database.run(
            "INSERT INTO expiring (entry, timer, due, last, waits)"
            " SELECT number, 1, 5, 5, 0 FROM entries WHERE id = ?",
            written[-1].id,
        )
    begin(database)
    with database.transaction():
        assert expiry.expire(database, Moment(1, 10, "", 0), 9) == ([], False)
    assert expiry.next_end(database) is None
    assert secure_deletion.clean_file(database)
    ended = "SELECT how FROM deletions WHERE entry = ?"
    assert database.value(ended, written[-1].id) == EXPIRED
