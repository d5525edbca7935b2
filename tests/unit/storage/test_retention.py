"""What a database lets go of: on whose word, and in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.storage import (
    amendments,
    checks,
    entries,
    persons,
    receipts,
    repair,
    retention,
    salvage,
    secure_deletion,
    settings,
)
from chat.storage.database import Database
from chat.storage.migrations import create_history, open_history
from chat.storage.pages import PAGE_SIZE
from protocol.entries_and_receipts import KIND_EDIT, KIND_TIMER, STORED, ParsedEntry, receipt_for
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
HOLDER, OTHER = [one for one in DEVICES if one != ME.terminal][:2]
"""Other terminals of this person, of which the first is the keeper."""


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return new_database(tmp_path)


def theirs(text: str = WORD, age: int = 40 * DAY, **more: object) -> ParsedEntry:
    return sample(text, author=THEIR_TERMINAL.terminal, time=NOW - age, **more)  # type: ignore[arg-type]


def bare(entry: ParsedEntry) -> ParsedEntry:
    return replace(entry, salt=b"", body=b"", said=None)


def insert(database: Database, *new: ParsedEntry, read: bool = True, own: bytes = ME.terminal) -> None:
    with database.transaction():
        persons.replace_terminals(database, THEIR_TERMINAL.person, [THEIR_TERMINAL])
        entries.insert_all(database, new, own, stored=NOW - 40 * DAY)
        if read:
            receipts.mark_all_read(database, TALK, own, NOW - 40 * DAY)


def own_terminals(database: Database, *terminals: bytes) -> None:
    person = database.value("SELECT person FROM own")
    rows = [persons.TerminalRow(person, one, one, True, 0) for one in terminals]
    with database.transaction():
        persons.replace_terminals(database, person, rows)


def keep(database: Database, days: int = 30, keeper: bytes = HOLDER) -> None:
    own = database.value("SELECT terminal FROM own")
    own_terminals(database, own, HOLDER, OTHER)
    with database.transaction():
        retention.keep(database, days)
        settings.name_keeper(database, keeper.hex())


def let_go(database: Database, *ids: bytes, holder: bytes = HOLDER, now: int = NOW) -> list[bytes]:
    with database.transaction():
        return [entry for _, entry in retention.let_go(database, ids, holder, now)]


def due(database: Database, now: int = NOW) -> set[bytes]:
    return {entry for ids in retention.due(database, 0, now)[0].values() for entry in ids}


def unsure(database: Database) -> set[bytes]:
    return {entry for ids in retention.unsure(database, 0, NOW)[0].values() for entry in ids}


def take_back(database: Database, now: int = NOW) -> int:
    with database.transaction():
        wanted, last = retention.wanted(database, 0, now)
        retention.miss(database, wanted)
    assert (last is None) == (database.value("SELECT count(*) FROM let_go") + len(wanted) == 0)
    return len(wanted)


def missing(database: Database, *of: ParsedEntry) -> list[bool]:
    rows = [entries.get(database, one.id) for one in of]
    return [row is not None and row.missing for row in rows]


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
    insert(database, bare(one))
    assert (find(database, WORD), take_back(database)) == ([], 0)
    keep(database, 50)
    assert take_back(database) == 1
    assert len(repair.wanted(database, TALK, THEIR_TERMINAL.terminal)) == 1
    insert(database, one, read=False)
    assert [found.id for found in find(database, WORD)] == [one.id]
    assert receipts.unread(database, TALK) == 0, "it had been read"


def test_nothing_goes_that_is_young_unread_or_has_not_arrived(database: Database) -> None:
    old, young = theirs(), theirs("young", 29 * DAY, sequence=2)
    mine = sample("mine", author=ME.terminal, time=NOW - 40 * DAY)
    everything = old.id, young.id, mine.id
    insert(database, old, young, mine, read=False)
    assert let_go(database, *everything) == [], "all is kept"
    keep(database)
    assert let_go(database, *everything) == [], "unread"
    with database.transaction():
        receipts.mark_all_read(database, TALK, ME.terminal, NOW - 40 * DAY)
    assert due(database) == {old.id}
    assert let_go(database, *everything) == [old.id]
    with database.transaction():
        receipts.acknowledge(
            database, TALK, ME.terminal, THEIR_TERMINAL.terminal, receipt_for(STORED, [mine.id]), NOW
        )
    assert let_go(database, *everything) == [mine.id]


def test_nothing_goes_without_a_live_keeper_or_by_the_word_of_another(database: Database) -> None:
    one = theirs()
    insert(database, one)
    for nobody in (b"", ME.terminal, bytes(32), HOLDER[:31]):
        keep(database, keeper=nobody)
        assert (due(database), let_go(database, one.id, holder=nobody), take_back(database)) == (set(), [], 0)
    keep(database)
    assert let_go(database, one.id, holder=OTHER) == []
    own_terminals(database, ME.terminal, OTHER)
    assert let_go(database, one.id) == [], "it was removed"
    own_terminals(database, ME.terminal, OTHER, HOLDER)
    assert let_go(database, one.id) == [one.id]


def test_what_a_keeper_held_is_missing_once_it_is_none(database: Database) -> None:
    one = theirs()
    insert(database, one)
    ways: list[Callable[[], None]] = [
        *(partial(keep, database, keeper=another) for another in (OTHER, b"", ME.terminal)),
        partial(own_terminals, database, ME.terminal, OTHER),
    ]
    for ends in ways:
        keep(database)
        assert (let_go(database, one.id), missing(database, one)) == ([one.id], [False])
        ends()
        assert (take_back(database), missing(database, one)) == (1, [True])
        insert(database, one)


def test_what_was_just_read_here_stays_as_long_as_what_just_came(database: Database) -> None:
    one = theirs()
    insert(database, one, read=False)
    with database.transaction():
        receipts.mark_all_read(database, TALK, ME.terminal, NOW)
    keep(database)
    assert let_go(database, one.id) == []
    assert let_go(database, one.id, now=NOW + 31 * DAY) == [one.id]


def amend(database: Database, text: ParsedEntry, edit: ParsedEntry, state: int) -> None:
    with database.transaction():
        database.run("UPDATE entries SET kind = ? WHERE id = ?", KIND_EDIT, edit.id)
        database.run(
            "INSERT OR REPLACE INTO amendments (entry, target, conversation, own, state)"
            " SELECT number, ?, conversation, 0, ? FROM entries WHERE id = ?",
            *(text.id, state, edit.id),
        )


def test_an_edit_goes_after_its_text_and_a_young_one_that_counts_holds_it(database: Database) -> None:
    one, old, young = theirs(), theirs("old", sequence=2), theirs("young", 29 * DAY, sequence=3)
    insert(database, one, old, young)
    keep(database)
    amend(database, one, old, amendments.IN_FORCE)
    amend(database, one, young, amendments.IN_FORCE)
    assert due(database) == set()
    amend(database, one, young, amendments.APART)
    assert due(database) == {one.id}
    assert let_go(database, one.id, old.id) == [one.id], "its text was here when that was decided"
    assert due(database) == {old.id}
    assert let_go(database, old.id) == [old.id]
    with database.transaction():
        retention.lose(database, [one.id])
    assert take_back(database) == 1, "its text would be shown as it was first"
    assert missing(database, one, old) == [True, True]


def test_what_is_missing_and_held_by_the_keeper_is_wanted_no_more(database: Database) -> None:
    one, young = theirs(), theirs("young", 29 * DAY, sequence=2)
    insert(database, bare(one), bare(young))
    keep(database)
    assert unsure(database) == {one.id}
    assert let_go(database, one.id, young.id) == [one.id]
    assert missing(database, one, young) == [False, True]
    assert let_go(database, one.id) == [], "that is no news"
    assert [row.id for row, _ in repair.wanted(database, TALK, THEIR_TERMINAL.terminal)] == [young.id]


def test_what_the_keeper_lost_is_missing_and_what_is_held_is_named_for_it(database: Database) -> None:
    one, here = theirs(), theirs("here", sequence=2)
    insert(database, one, here)
    keep(database)
    let_go(database, one.id)
    assert unsure(database) == {one.id}
    with database.transaction():
        lost, held = retention.lose(database, [one.id, here.id, bytes(32)])
    assert (len(lost), held) == (1, [database.value("SELECT number FROM entries WHERE id = ?", here.id)])
    assert missing(database, one, here) == [True, False]


def test_what_is_deleted_or_no_text_is_not_let_go_of(database: Database) -> None:
    deleted, timer = theirs("deleted"), bare(theirs("timer", sequence=2))
    insert(database, deleted, timer)
    keep(database)
    with database.transaction():
        entries.destroy(database, deleted.id)
        database.run("UPDATE entries SET kind = ? WHERE id = ?", KIND_TIMER, timer.id)
    assert let_go(database, deleted.id, timer.id) == []


def test_only_the_keeper_says_what_it_holds(database: Database) -> None:
    held, alone = theirs(), theirs("other", sequence=2)
    insert(database, held, bare(alone))
    ids = sorted((held.id, alone.id))
    for nobody in (b"", HOLDER):
        keep(database, 0, nobody)
        assert retention.held_among(database, TALK, ids) == ([], [])
    keep(database, 30, ME.terminal)
    assert retention.held_among(database, TALK, ids) == ([held.id], [alone.id])
    assert retention.held_among(database, bytes(32), ids) == ([], ids)


def test_a_failure_leaves_all_of_it(database: Database) -> None:
    one = theirs()
    insert(database, one)
    keep(database)
    with pytest.raises(ZeroDivisionError), database.transaction():
        assert retention.let_go(database, [one.id], HOLDER, NOW) != []
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
