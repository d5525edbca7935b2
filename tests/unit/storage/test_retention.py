"""What a database lets go of: by which clock, on whose word, and in one transaction."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.storage import (
    amendments,
    checks,
    entries,
    persons,
    receipts,
    reliance,
    repair,
    retention,
    salvage,
    secure_deletion,
)
from chat.storage.database import Database
from chat.storage.migrations import create_history, open_history
from chat.storage.pages import PAGE_SIZE
from protocol.entries_and_receipts import KIND_EDIT, STORED, ParsedEntry, receipt_for
from tests.support.lab.inspection import residues
from tests.support.storage.samples import (
    KEY,
    ME,
    TALK,
    THEIR_TERMINAL,
    find,
    new_database,
    remove_conversation,
    rewrite,
    sample,
)
from tests.unit.storage.test_damage import flipped
from tests.unit.storage.test_salvage import ADA, first_rows
from tests.unit.storage.test_sharing import DEVICES

DAY = retention.DAY_MS
NOW = 1_790_000_000_000
WORD = "zyxhippopotamus"
HOLDER = next(one for one in DEVICES if one != ME.terminal)
"""Another terminal of this person."""


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return new_database(tmp_path)


def theirs(text: str = WORD, age: int = 40 * DAY, **more: object) -> ParsedEntry:
    return sample(text, author=THEIR_TERMINAL.terminal, time=NOW - age, **more)  # type: ignore[arg-type]


def insert(database: Database, *new: ParsedEntry, read: bool = True, own: bytes = ME.terminal) -> None:
    with database.transaction():
        persons.replace_terminals(database, THEIR_TERMINAL.person, [THEIR_TERMINAL])
        entries.insert_all(database, new, own, stored=NOW - 40 * DAY)
        if read:
            receipts.mark_all_read(database, TALK, own, NOW - 40 * DAY)


def keep(database: Database, days: int = 30, *, alone: bool = False) -> None:
    with database.transaction():
        retention.keep(database, days, (NOW, "boot", 0), alone=alone)


def let_go(database: Database, *ids: bytes, holder: bytes = HOLDER, now: int = NOW) -> list[bytes]:
    with database.transaction():
        return [one.entry for one in retention.let_go(database, ids, holder, (now, "boot", now - NOW), now)]


def test_body_and_words_go_and_all_else_stays(database: Database, tmp_path: Path) -> None:
    one = theirs()
    insert(database, one, theirs("young", 1 * DAY, sequence=2, previous=one.id))
    keep(database)
    assert let_go(database, one.id) == [one.id]
    row = entries.get(database, one.id)
    assert row is not None
    assert (row.destroyed, row.holder, row.missing, row.salt, row.body) == (0, HOLDER, False, b"", b"")
    assert row.header == one.header_bytes
    assert find(database, WORD) == []
    assert checks.piece(database, 0) is not None, "it is not taken for a page of another time"
    secure_deletion.clean_file(database)
    for needle in (WORD, WORD[4:]):
        assert residues(database.path, KEY.reveal(), needle.encode()) == []


def test_it_is_asked_of_nobody_and_not_taken_until_it_is_kept_again(database: Database) -> None:
    one = theirs()
    insert(database, one)
    keep(database)
    let_go(database, one.id)
    assert repair.wanted(database, TALK, THEIR_TERMINAL.terminal) == []
    insert(database, one)
    insert(database, replace(one, salt=b"", body=b"", said=None))
    assert find(database, WORD) == []
    keep(database, 50)
    with database.transaction():
        assert retention.kept(database).widens
        assert retention.take_back(database, 0, NOW) == (1, entries.get(database, one.id).number)  # type: ignore[union-attr]
    assert len(repair.wanted(database, TALK, THEIR_TERMINAL.terminal)) == 1
    insert(database, one, read=False)
    assert [found.id for found in find(database, WORD)] == [one.id]
    assert receipts.unread(database, TALK) == 0, "it had been read"


def test_nothing_goes_that_is_young_unread_unanswered_or_that_nobody_is_known_to_keep(
    database: Database,
) -> None:
    old, young = theirs(), theirs("young", 29 * DAY, sequence=2)
    ahead = theirs("ahead", -400 * DAY, sequence=3)
    mine = sample("mine", author=ME.terminal, time=NOW - 40 * DAY)
    everything = old.id, young.id, ahead.id, mine.id
    insert(database, old, young, ahead, mine, read=False)
    assert let_go(database, *everything) == [], "all is kept"
    keep(database)
    assert let_go(database, *everything) == [], "unread"
    with database.transaction():
        receipts.mark_all_read(database, TALK, ME.terminal, NOW - 40 * DAY)
    assert let_go(database, *everything, holder=b"") == []
    assert set(let_go(database, *everything)) == {old.id, ahead.id}
    with database.transaction():
        receipts.acknowledge(
            database, TALK, ME.terminal, THEIR_TERMINAL.terminal, receipt_for(STORED, [mine.id]), NOW
        )
    assert let_go(database, *everything) == [mine.id]


def test_what_was_just_read_here_stays_as_long_as_what_just_came(database: Database) -> None:
    one = theirs()
    insert(database, one, read=False)
    with database.transaction():
        receipts.mark_all_read(database, TALK, ME.terminal, NOW)
    keep(database)
    assert let_go(database, one.id) == []
    assert let_go(database, one.id, now=NOW + 31 * DAY) == [one.id]


def test_a_clock_that_was_set_during_a_round_lets_nothing_go(database: Database) -> None:
    young = theirs(age=1 * DAY)
    insert(database, young)
    keep(database)
    with database.transaction():
        assert (
            retention.let_go(database, [young.id], HOLDER, (NOW + 400 * DAY, "boot", 1_000), NOW + 400 * DAY)
            == []
        )


def test_a_clock_that_is_set_during_a_round_makes_nothing_old(database: Database) -> None:
    young = theirs(age=28 * DAY)
    insert(database, young)
    keep(database)
    # Without the time since the machine's start, a jump of some days looks like a restart.
    later = NOW + 3 * DAY, "", 0
    with database.transaction():
        assert retention.let_go(database, [young.id], HOLDER, later, NOW) == []
        assert retention.let_go(database, [young.id], HOLDER, later, later[0]) != []


def own_terminals(database: Database, *terminals: bytes) -> None:
    rows = [persons.TerminalRow(ME.person, one, one, True, 0) for one in terminals]
    with database.transaction():
        persons.replace_terminals(database, ME.person, rows)


def three_let_go(database: Database) -> tuple[ParsedEntry, ParsedEntry, ParsedEntry]:
    """Those that a live terminal keeps, and one that was removed, and none."""
    removed = next(one for one in DEVICES if one not in (ME.terminal, HOLDER))
    kept, lost = theirs(), theirs("other", sequence=2)
    gone = theirs("third", sequence=3)
    insert(database, kept, lost, gone)
    keep(database, alone=True)
    own_terminals(database, ME.terminal, HOLDER, removed)
    for one, holder in ((kept, HOLDER), (lost, removed), (gone, b"")):
        assert let_go(database, one.id, holder=holder) == [one.id]
    own_terminals(database, ME.terminal, HOLDER)
    return kept, lost, gone


def missing(database: Database, *of: ParsedEntry) -> list[bool]:
    rows = [entries.get(database, one.id) for one in of]
    return [row is not None and row.missing for row in rows]


def test_what_a_removed_terminal_kept_is_missing_unless_the_person_insists(database: Database) -> None:
    three = three_let_go(database)
    with database.transaction():
        retention.taken_back(database, retention.kept(database))
        assert retention.take_back(database, 0, NOW)[0] == 0
        database.run("UPDATE retention SET alone = 0")
        assert retention.take_back(database, 0, NOW)[0] == 1
    assert missing(database, *three) == [False, True, False]
    assert len(repair.wanted(database, TALK, THEIR_TERMINAL.terminal)) == 1


def test_a_backup_fills_what_no_live_terminal_keeps(database: Database) -> None:
    three = three_let_go(database)
    with database.transaction():
        retention.take_from_a_backup(database, [one.id for one in three])
    assert missing(database, *three) == [False, True, True]
    insert(database, *three, read=False)
    assert [retention.count(database), receipts.unread(database, TALK)] == [1, 0]


def test_a_choice_that_came_meanwhile_is_looked_at_again(database: Database) -> None:
    one = theirs()
    insert(database, one)
    keep(database)
    let_go(database, one.id)
    keep(database, 35)
    chosen = retention.kept(database)
    keep(database, 0)
    with database.transaction():
        assert not retention.taken_back(database, chosen)
        assert retention.kept(database).widens
        assert retention.taken_back(database, retention.kept(database))
        assert not retention.kept(database).widens


def test_edits_that_do_not_count_go_after_their_text_one_by_one(database: Database) -> None:
    one, first, second = theirs(), theirs("first", sequence=2), theirs("second", sequence=3)
    insert(database, one, first, second)
    keep(database)

    def groups() -> list[tuple[bytes, ...]]:
        return [group.ids for group in retention.due(database, 0, NOW)[0]]

    with database.transaction():
        database.run("UPDATE entries SET kind = ? WHERE id IN (?, ?)", KIND_EDIT, first.id, second.id)
        for edit in (first, second):
            database.run(
                "INSERT INTO amendments (entry, target, conversation, own, state)"
                " SELECT number, ?, conversation, 0, ? FROM entries WHERE id = ?",
                *(one.id, amendments.IN_FORCE, edit.id),
            )
    assert groups() == [(one.id, first.id, second.id)]
    with database.transaction():
        database.run("UPDATE amendments SET state = ?", amendments.APART)
    assert groups() == [(one.id,)]
    assert let_go(database, one.id) == [one.id]
    assert groups() == [(first.id,), (second.id,)]


def test_a_text_with_more_edits_than_a_message_names_stays(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(database, theirs())
    keep(database)
    assert len(retention.due(database, 0, NOW)[0]) == 1
    monkeypatch.setattr(retention, "RECEIPT_IDS_MAX", 0)
    assert retention.due(database, 0, NOW)[0] == []


def alone(database: Database, now: int = NOW) -> set[bytes]:
    return {entry for one in retention.due(database, 0, now, alone=True)[0] for entry in one.ids}


def test_without_another_terminal_nothing_goes_that_was_stored_arrived_or_was_answered_lately(
    database: Database,
) -> None:
    old, late = theirs(), theirs("late", sequence=2)
    mine = sample("mine", author=ME.terminal, time=NOW - 40 * DAY)
    insert(database, old, mine)
    with database.transaction():
        receipts.acknowledge(
            database, TALK, ME.terminal, THEIR_TERMINAL.terminal, receipt_for(STORED, [mine.id]), NOW - 1
        )
    keep(database, alone=True)
    assert alone(database) == {old.id}, "the own one arrived lately"
    with database.transaction():
        entries.insert_all(database, [late], ME.terminal, stored=NOW - DAY)
        receipts.mark_all_read(database, TALK, ME.terminal, NOW - 40 * DAY)
    after = theirs("after", sequence=3)
    insert(database, after)
    assert alone(database) == {old.id}, "what has a higher number was stored later"
    assert {entry for one in retention.due(database, 0, NOW)[0] for entry in one.ids} >= {after.id, late.id}
    assert alone(database, NOW + 40 * DAY) == {old.id, mine.id, late.id, after.id}
    with database.transaction():
        database.run("UPDATE entries SET rank = ? WHERE id = ?", NOW - 1, old.id)
    assert alone(database) == set(), "it follows a young one"


def test_what_a_backup_brought_stays_without_another_terminal_until_the_next_choice(
    database: Database,
) -> None:
    one = theirs()
    insert(database, one)
    keep(database)

    def bring() -> None:
        with database.transaction():
            retention.bring(database, [row[0] for row in database.rows("SELECT number FROM entries")])

    bring()
    assert alone(database) == {one.id}, "others keep it"
    keep(database, alone=True)
    bring()
    assert alone(database) == set()
    keep(database, 20, alone=True)
    assert alone(database) == {one.id}
    bring()
    with database.transaction():
        remove_conversation(database, int(database.value("SELECT conversation FROM entries")))
    assert database.rows("SELECT * FROM brought") == []


def test_only_a_database_that_keeps_all_vouches_for_what_it_holds(database: Database) -> None:
    held, alone = theirs(), theirs("other", sequence=2)
    insert(database, held, replace(alone, salt=b"", body=b"", said=None))
    ids = sorted((held.id, alone.id))
    assert reliance.held_among(database, TALK, ids) == ([held.id], [alone.id])
    assert reliance.held_among(database, bytes(32), ids) == ([], ids)
    keep(database)
    assert reliance.held_among(database, TALK, ids) == ([], [alone.id])


def test_a_clock_counts_again_once_it_has_run_for_a_day(database: Database) -> None:
    keep(database)

    def steady(wall: int, boot: str, since: int) -> bool:
        with database.transaction():
            return retention.is_steady(database, (NOW + wall, boot, since))

    assert steady(DAY, "boot", DAY)
    assert not steady(400 * DAY, "boot", DAY + 1_000), "it was set"
    assert not steady(400 * DAY + DAY // 2, "boot", DAY + 1_000 + DAY // 2)
    assert steady(401 * DAY, "boot", 2 * DAY + 1_000)
    assert steady(403 * DAY, "another", 0), "the machine was off for some days"
    assert not steady(500 * DAY, "a third", 0), "nobody knows for how long it was off"
    assert not steady(499 * DAY, "a fourth", 0)


def test_a_failure_leaves_all_of_it(database: Database) -> None:
    one = theirs()
    insert(database, one)
    keep(database)
    with pytest.raises(ZeroDivisionError), database.transaction():
        assert retention.let_go(database, [one.id], HOLDER, (NOW, "boot", 0), NOW) != []
        raise ZeroDivisionError
    assert [found.id for found in find(database, WORD)] == [one.id]
    assert retention.count(database) == 0
    assert checks.piece(database, 0) is not None


def test_a_removed_conversation_leaves_no_word_of_it(database: Database) -> None:
    one = theirs()
    insert(database, one)
    keep(database)
    let_go(database, one.id)
    number = database.value("SELECT number FROM conversations WHERE id = ?", TALK)
    with database.transaction():
        remove_conversation(database, number)
    assert database.rows("SELECT * FROM let_go") == []
    assert database.rows("SELECT * FROM deletions") == [], "it was not deleted"


def damaged(database: Database, table: str) -> Database:
    """The same profile after one bit of a table's page was flipped."""
    rewrite(database)
    page = database.value("SELECT rootpage FROM sqlite_master WHERE name = ?", table)
    path = database.path
    database.close()
    path.write_bytes(flipped(path.read_bytes(), ((page - 1) * PAGE_SIZE + 700) * 8))
    return Database(path, KEY.reveal())


@pytest.mark.parametrize(("table", "lost"), [("receipts", False), ("let_go", True)])
def test_a_damaged_file_never_says_that_it_was_deleted(tmp_path: Path, table: str, lost: bool) -> None:
    path, one = tmp_path / "history.db", theirs()
    create_history(path, KEY, first_rows)
    whole = open_history(path, KEY)
    insert(whole, one, own=ADA.terminal)
    keep(whole)
    assert let_go(whole, one.id) == [one.id]
    with closing(damaged(whole, table)) as database:
        salvage.mend(database, KEY, NOW)
        row = entries.get(database, one.id)
        assert row is not None
        assert (row.destroyed, row.missing) == (0, lost)
        assert checks.piece(database, 0) is not None
