"""What a database leaves to another terminal, and what another terminal leaves to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.storage import amendments, entries, persons, receipts, reliance, repair, retention
from chat.storage.database import Database
from protocol.entries_and_receipts import KIND_EDIT, KIND_TIMER, ParsedEntry
from tests.support.storage.samples import ME, TALK, THEIR_TERMINAL, new_database, sample
from tests.unit.storage.test_retention import (
    DAY,
    HOLDER,
    NOW,
    WORD,
    insert,
    keep,
    let_go,
    missing,
    own_terminals,
    theirs,
)

SINCE = NOW - 30 * DAY
CLOCK = (NOW, "boot", 0)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return new_database(tmp_path)


def bare(entry: ParsedEntry) -> ParsedEntry:
    return replace(entry, salt=b"", body=b"", said=None)


def number(database: Database, entry: ParsedEntry) -> int:
    return int(database.value("SELECT number FROM entries WHERE id = ?", entry.id))


def left_out(database: Database, *of: ParsedEntry, since: int = SINCE) -> set[bytes]:
    numbers = [number(database, one) for one in of]
    return set(reliance.left_out(database, numbers, since).values())


def rely(database: Database, *of: ParsedEntry, holder: bytes = HOLDER) -> list[bytes]:
    with database.transaction():
        found = reliance.rely(database, [one.id for one in of], holder, CLOCK)
    return [one.entry for one in found]


def holder(database: Database, entry: ParsedEntry) -> bytes | None:
    row = entries.get(database, entry.id)
    assert row is not None
    return row.holder


def test_what_is_old_read_and_arrived_is_left_out_by_a_database_that_keeps_all(database: Database) -> None:
    old, young = theirs(), theirs("young", 29 * DAY, sequence=2)
    ahead, unread = theirs("ahead", -400 * DAY, sequence=3), theirs("unread", sequence=4)
    queued = sample("mine", author=ME.terminal, time=NOW - 40 * DAY)
    lacking = bare(theirs("lacking", sequence=5))
    everything = old, young, ahead, queued, lacking
    insert(database, *everything)
    insert(database, unread, read=False)
    assert left_out(database, *everything, unread) == {old.id}
    assert left_out(database, *everything, unread, since=0) == set()
    assert left_out(database, *everything, unread, since=1) == set()
    keep(database)
    assert left_out(database, *everything, unread) == set(), "each could rely on the other"


def test_a_text_is_left_out_with_its_edits_or_not_at_all(database: Database) -> None:
    one, first, second = theirs(), theirs("first", sequence=2), theirs("second", 29 * DAY, sequence=3)
    insert(database, one, first, second)
    with database.transaction():
        database.run("UPDATE entries SET kind = ? WHERE id IN (?, ?)", KIND_EDIT, first.id, second.id)
    assert left_out(database, first) == set(), "it is known of no text"

    def amend(edit: ParsedEntry) -> None:
        with database.transaction():
            database.run(
                "INSERT INTO amendments (entry, target, conversation, own, state)"
                " SELECT number, ?, conversation, 0, ? FROM entries WHERE id = ?",
                *(one.id, amendments.IN_FORCE, edit.id),
            )

    amend(first)
    assert left_out(database, one) == {one.id}
    assert left_out(database, first) == {first.id}, "in another part of the answer"
    amend(second)
    assert left_out(database, one, first, second) == set()


def test_what_is_said_to_be_kept_is_asked_of_nobody_until_it_is_wanted(database: Database) -> None:
    one, young = theirs(), theirs("young", 29 * DAY, sequence=2)
    insert(database, bare(one), bare(young))
    assert rely(database, one) == [], "all is kept"
    keep(database)
    assert missing(database, one, young) == [True, True]
    assert rely(database, one, young) == [one.id]
    assert (holder(database, one), holder(database, young)) == (HOLDER, None)
    assert rely(database, one) == [], "that is no news"
    assert missing(database, one, young) == [False, True]
    assert [row.id for row, _ in repair.wanted(database, TALK, THEIR_TERMINAL.terminal)] == [young.id]
    insert(database, one)
    assert holder(database, one) == HOLDER, "it changes nothing"
    keep(database, 0)
    with database.transaction():
        retention.take_back(database, 0, NOW)
    assert missing(database, one, young) == [True, True]
    insert(database, one, read=False)
    assert receipts.unread(database, TALK) == 0


def test_a_body_that_comes_after_its_person_read_it_elsewhere_is_not_unread(database: Database) -> None:
    own_terminals(database, ME.terminal, HOLDER)
    read, unread = theirs(), theirs("unread", sequence=2)
    insert(database, bare(read), bare(unread), read=False)
    with database.transaction():
        receipts.add(database, HOLDER, receipts.READ, [read.id], NOW)
    insert(database, read, unread, read=False)
    assert receipts.unread(database, TALK) == 1


def test_headers_alone_that_come_together_are_stored_as_those_that_come_singly(tmp_path: Path) -> None:
    some = [theirs(), theirs("second", sequence=2)]
    tables = "entries", "bodies", "headers_alone", "receipts", "heads", "tips", "unread", "search", "expiring"
    found = list[dict[str, list[tuple[object, ...]]]]()
    for singly in (False, True):
        (folder := tmp_path / str(singly)).mkdir()
        database = new_database(folder)
        with database.transaction():
            persons.replace_terminals(database, THEIR_TERMINAL.person, [THEIR_TERMINAL])
            for part in [[one] for one in some] if singly else [some]:
                entries.insert_all(
                    database, [bare(one) for one in part], ME.terminal, stored=NOW, carrier=HOLDER
                )
        found.append({name: database.rows(f"SELECT * FROM {name}") for name in tables})
    assert found[0] == found[1]
    assert (len(found[0]["headers_alone"]), found[0]["receipts"]) == (2, [])


def test_what_is_held_deleted_or_no_text_is_relied_upon_by_no_word(database: Database) -> None:
    held, deleted = theirs(), theirs("deleted", sequence=2)
    timer = bare(theirs("timer", sequence=3))
    insert(database, held, deleted, timer)
    keep(database)
    with database.transaction():
        entries.destroy(database, deleted.id)
        database.run("UPDATE entries SET kind = ? WHERE id = ?", KIND_TIMER, timer.id)
    assert rely(database, held, deleted, timer) == []
    assert database.rows("SELECT * FROM let_go") == []


def test_a_clock_that_was_set_calls_nothing_old(database: Database) -> None:
    assert reliance.since(database, CLOCK) == 0
    keep(database)
    assert reliance.since(database, CLOCK) == SINCE
    later = NOW + 400 * DAY, "boot", 1_000
    assert reliance.since(database, later) == 1, "it does not keep all, and wants everything"
    one = theirs()
    insert(database, bare(one))
    with database.transaction():
        assert reliance.rely(database, [one.id], HOLDER, later) == []


def test_what_another_clock_called_old_is_looked_at_once_the_clock_is_steady_again(
    database: Database,
) -> None:
    one, wrong = theirs("young", DAY), NOW + 400 * DAY
    insert(database, bare(one))
    with database.transaction():
        retention.keep(database, 30, (wrong, "boot", 0), alone=False)
        assert len(reliance.rely(database, [one.id], HOLDER, (wrong, "boot", 0))) == 1
        retention.taken_back(database, retention.kept(database))
        assert not retention.is_steady(database, (NOW, "boot", 1_000)), "it was set right"
        assert not retention.kept(database).widens
        assert retention.is_steady(database, (NOW + DAY, "boot", 1_000 + DAY))
        assert retention.kept(database).widens
        retention.take_back(database, 0, NOW + DAY)
        retention.taken_back(database, retention.kept(database))
        assert retention.is_steady(database, (NOW + DAY + 1, "boot", 1_001 + DAY))
        assert not retention.kept(database).widens
    assert missing(database, one) == [True]


def test_what_its_keeper_does_not_hold_is_wanted_if_no_other_says_that_it_keeps_it(
    database: Database,
) -> None:
    own_terminals(database, ME.terminal, HOLDER)
    one, other = theirs(), theirs("other", sequence=2)
    insert(database, one, other)
    keep(database)
    let_go(database, one.id, other.id)
    third = bytes([7]) * 32
    with database.transaction():
        assert reliance.lose(database, [one.id, other.id], third) == [], "it was not relied upon"
        assert reliance.doubted(database, 0, SINCE) == ([], None)
        assert len(reliance.lose(database, [one.id, other.id], HOLDER)) == 1
        asked, last = reliance.doubted(database, 0, SINCE)
    assert ({entry for _, entry in asked}, last is None) == ({one.id, other.id}, False)
    assert holder(database, one) == b"", "on no terminal of this person"
    assert rely(database, one, holder=third) == [one.id]
    with database.transaction():
        assert len(reliance.want_lost(database, [one.id, other.id])) == 1
    assert (holder(database, one), missing(database, one, other)) == (third, [False, True])


def test_the_word_of_a_terminal_that_keeps_days_is_doubted(database: Database) -> None:
    one = theirs()
    insert(database, one)
    keep(database)
    let_go(database, one.id)
    with database.transaction():
        assert reliance.heard(database, HOLDER, keeps_all=True)
        assert reliance.doubted(database, 0, SINCE)[0] == []
        assert not reliance.heard(database, HOLDER, keeps_all=True)
        assert reliance.heard(database, HOLDER, keeps_all=False)
        assert reliance.keepers(database) == {HOLDER: False}
        assert [entry for _, entry in reliance.doubted(database, 0, SINCE)[0]] == [one.id]
        assert reliance.want_lost(database, [one.id]) == [], "it may hold it still"


def test_what_was_deleted_here_is_found_for_a_terminal_that_relies_on_it(database: Database) -> None:
    old, young = theirs(WORD), theirs("young", 29 * DAY, sequence=2)
    insert(database, old, young)
    with database.transaction():
        assert reliance.deleted_here(database, 0, SINCE) == ([], None)
        for one in (old, young):
            entries.destroy(database, one.id)
    found, last = reliance.deleted_here(database, 0, SINCE)
    assert reliance.by_conversation(found) == {TALK: [old.id]}
    assert reliance.deleted_here(database, last or 0, SINCE) == ([], None)


def test_own_terminals_are_asked_again_for_what_they_passed_without_its_body(database: Database) -> None:
    own_terminals(database, ME.terminal, HOLDER)
    one, other = theirs(), theirs("other", sequence=2)
    with database.transaction():
        entries.insert_all(database, [bare(one)], ME.terminal, carrier=HOLDER)
        entries.insert_all(database, [bare(other)], ME.terminal, carrier=THEIR_TERMINAL.terminal)
    asked = [row.id for row, _ in repair.wanted(database, TALK, HOLDER)]
    assert one.id not in asked
    keep(database)
    keep(database, 0)
    assert retention.kept(database).widens, "bodies may be on their way"
    with database.transaction():
        assert reliance.ask_own_again(database) == 1
        assert reliance.ask_own_again(database) == 0
    asked = [row.id for row, _ in repair.wanted(database, TALK, HOLDER)]
    assert one.id in asked
