"""Reading anywhere in a history: pages that meet, places, what is unread; each by an index."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat.storage import contacts, entries, files, positions, receipts
from chat.storage import settings as kept_settings
from chat.storage.database import Database
from chat.storage.entries import BEGINNING, END, WHOLE
from chat.storage.receipts import READ, STORED
from protocol.entries_and_receipts import ParsedEntry
from protocol.messages import Receipt
from tests.support.storage import samples
from tests.support.storage.samples import ME, TALK, THEIR_TERMINAL, THEM, Author, blob, sample, store

THEIRS = THEIR_TERMINAL.terminal
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Step = tuple[bool, int, bool]
"""Whose entry, its time, and whether it names the other's last one."""


def two_chains(steps: list[Step], conversation: bytes) -> list[ParsedEntry]:
    last: dict[bool, ParsedEntry] = {}
    made: list[ParsedEntry] = []
    for own, time, names in steps:
        before, other = last.get(own), last.get(not own)
        entry = sample(
            f"entry {len(made)}",
            author=ME.terminal if own else THEIRS,
            sequence=before.header.sequence + 1 if before else 1,
            previous=before.id if before else b"",
            parents=[other.id] if names and other else [],
            time=time,
            conversation=conversation,
        )
        last[own] = entry
        made.append(entry)
    return made


STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.booleans()), min_size=1, max_size=25)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    made = samples.new_database(tmp_path_factory.mktemp("shared"))
    yield made
    made.close()


def hold(database: Database, steps: list[Step]) -> bytes:
    talk = blob(f"talk {database.value('SELECT count(*) FROM conversations')}")
    with database.transaction():
        contacts.ensure_conversation(database, talk, contacts.TWO, None)
        for entry in two_chains(steps, talk):
            entries.insert(database, entry, unread=entry.header.author == THEIRS)
    return talk


def in_order(database: Database, talk: bytes = TALK) -> list[entries.EntryRow]:
    return entries.page(database, talk, 1_000)


@MANY
@given(STEPS, st.integers(1, 7))
def test_pages_in_both_directions_give_all_in_order(shared: Database, steps: list[Step], size: int) -> None:
    talk = hold(shared, steps)
    rows = in_order(shared, talk)
    assert [row.position for row in rows] == sorted(row.position for row in rows)
    assert len(rows) == len(steps)
    forwards, place = [], BEGINNING
    while page := positions.page_after(shared, talk, size, place):
        forwards += page
        place = page[-1].position
    backwards: list[entries.EntryRow] = []
    end = END
    while page := entries.page(shared, talk, size, end):
        backwards = page + backwards
        end = page[0].position
    assert forwards == backwards == rows


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_pages_meet_while_entries_arrive_in_the_middle(database: Database, size: int) -> None:
    """What is held from the beginning comes once, in order; of what arrives, what stands after the place."""
    here = Author()
    store(database, *[here.write(f"entry {number}") for number in range(12)])
    theirs = Author(THEIRS, time=1_500)
    late = [theirs.write(f"late {number}") for number in range(12)]
    seen: list[entries.EntryRow] = []
    place, arrived = BEGINNING, 0
    while page := positions.page_after(database, TALK, size, place):
        seen += page
        place = page[-1].position
        for entry in late[arrived : arrived + 2]:
            store(database, entry, unread=True)
        arrived += 2
    places = [row.position for row in seen]
    assert places == sorted(set(places))
    assert {entry.id for entry in here.written} <= {row.id for row in seen}
    # From any place on, both directions agree on what is there now.
    middle = seen[len(seen) // 2].position
    before, after = entries.page(database, TALK, 99, middle), positions.page_after(database, TALK, 99, middle)
    assert len(before) + 1 + len(after) == len(in_order(database)) == 12 + min(arrived, 12)


@MANY
@given(STEPS, st.integers(0, 80))
def test_a_time_leads_to_the_first_entry_since(shared: Database, steps: list[Step], time: int) -> None:
    talk = hold(shared, steps)
    expected = next((row.id for row in in_order(shared, talk) if row.time >= time), None)
    assert positions.at_time(shared, talk, time) == expected


@pytest.mark.parametrize("few", [1, 16_384], ids=["by the order", "by what is unread"])
@MANY
@given(STEPS, st.integers(0, 30))
def test_the_first_unread_is_the_first_in_order(
    shared: Database, monkeypatch: pytest.MonkeyPatch, few: int, steps: list[Step], read: int
) -> None:
    monkeypatch.setattr(receipts, "FEW_UNREAD", few)
    talk = hold(shared, steps)
    rows = in_order(shared, talk)
    if read < len(rows):
        with shared.transaction():
            receipts.mark_read(shared, talk, [row.id for row in rows[: read + 1]], ME.terminal, 1)
    left = [row.id for row in rows[read + 1 if read < len(rows) else 0 :] if row.author == THEIRS]
    assert receipts.first_unread(shared, talk) == (left[0] if left else None)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_the_outbox_by_stretches_is_the_outbox(database: Database, size: int) -> None:
    author = Author()
    chain = [author.write(f"entry {number}") for number in range(9)]
    fork = sample("a copy", sequence=5, previous=chain[3].id, incarnation=b"another.", time=9_999)
    store(database, *chain, fork)
    with database.transaction():
        receipts.add(database, THEIRS, STORED, [chain[1].id, chain[6].id], 1)
    found: list[bytes] = []
    stretch = (0, 0)
    while stretch[1] < WHOLE[1]:
        stretch = receipts.stretch_after(database, TALK, ME.terminal, stretch[1], size)
        found += receipts.unacknowledged(database, TALK, ME.terminal, THEM, stretch)
    assert found == receipts.unacknowledged(database, TALK, ME.terminal, THEM)
    assert len(found) == 8


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_what_was_read_by_parts_is_what_was_read(database: Database, size: int) -> None:
    theirs = Author(THEIRS)
    store(database, *[theirs.write(f"entry {number}") for number in range(9)], unread=True)
    with database.transaction():
        receipts.add(database, ME.terminal, READ, [theirs.written[at].id for at in (0, 3, 4, 8)], 1)
    found, place = [], END
    while place != BEGINNING:
        since = positions.place_before(database, TALK, place, size)
        found += receipts.read_by(database, TALK, [ME.terminal], 99, since, place)
        place = since
    assert found == receipts.read_by(database, TALK, [ME.terminal], 99)
    assert found == [theirs.written[at].id for at in (8, 4, 3, 0)]


def test_preferences_stand_beside_the_settings_and_go_with_a_person(database: Database) -> None:
    with database.transaction():
        kept_settings.save(database, kept_settings.Settings(read_receipts=False))
        for name in (f"draft.{THEM.hex()}", f"draft.{ME.person.hex()}", "theme"):
            kept_settings.set_preference(database, name, "x")
        kept_settings.set_preference(database, "theme", "dark")
    with database.transaction():
        kept_settings.forget_person(database, THEM)
    assert kept_settings.preferences(database) == {f"draft.{ME.person.hex()}": "x", "theme": "dark"}
    assert kept_settings.load(database) == kept_settings.Settings(read_receipts=False)


PLACE = (1_000, b"")
READS: dict[str, Callable[[Database], object]] = {
    "page": lambda db: entries.page(db, TALK, 9, PLACE),
    "page after": lambda db: positions.page_after(db, TALK, 9, PLACE),
    "at time": lambda db: positions.at_time(db, TALK, 5),
    "entry": lambda db: entries.get(db, blob("entry")),
    "tips": lambda db: entries.tips(db, TALK),
    "last by": lambda db: entries.last_by(db, TALK, ME.terminal),
    "receipts": lambda db: receipts.of(db, [blob("entry")]),
    "receipts of rows": lambda db: receipts.of_rows(db, entries.page(db, TALK, 9)),
    "acknowledge": lambda db: receipts.acknowledge(
        db, TALK, ME.terminal, THEIRS, Receipt(STORED, [blob("entry")]), 9
    ),
    "first unread": lambda db: receipts.first_unread(db, TALK),
    "stretch": lambda db: receipts.stretch_after(db, TALK, ME.terminal, 0, 9),
    "outbox": lambda db: receipts.unacknowledged(db, TALK, ME.terminal, THEM, (0, 9)),
    "part": lambda db: positions.place_before(db, TALK, PLACE, 9),
    "read by": lambda db: receipts.read_by(db, TALK, [ME.terminal], 9, BEGINNING, PLACE),
    "search": lambda db: samples.find(db, "entry", conversation=TALK),
    "preferences": kept_settings.preferences,
    "files to decide": lambda db: files.standing(db, files.Standing.NEW, 9),
    "files to take": lambda db: files.part_of(db, 9, files.Standing.TAKEN),
    "promised": files.promised,
}


def plan(database: Database, read: Callable[[Database], object]) -> list[str]:
    """The steps of a read's queries, by SQLite's own plan."""
    with samples.queries(database) as asked:
        read(database)
    explained = [database.rows(f"EXPLAIN QUERY PLAN {sql}", *values) for sql, values in asked]
    assert explained
    return [str(step[3]) for steps in explained for step in steps]


def scans(database: Database, read: Callable[[Database], object]) -> list[str]:
    """The steps through a whole table, not into the index of words nor over what another step gives."""
    steps = [step for step in plan(database, read) if step.startswith("SCAN")]
    return [step for step in steps if "VIRTUAL TABLE INDEX" not in step and not step.startswith("SCAN (")]


@pytest.mark.parametrize("name", READS)
def test_no_read_goes_through_a_whole_table(database: Database, name: str) -> None:
    store(database, *[Author().write("entry")])
    assert scans(database, READS[name]) == []
    if name == "page":
        assert not [step for step in plan(database, READS[name]) if "TEMP B-TREE" in step]


def test_a_walk_through_the_unread_is_in_order(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "FEW_UNREAD", 0)
    assert scans(database, READS["first unread"]) == []


@pytest.mark.parametrize("name", ["page", "page after", "at time", "stretch", "outbox", "part", "read by"])
def test_without_the_index_the_walk_would_be_seen(database: Database, name: str) -> None:
    with database.transaction():
        database.run("DROP INDEX entries_by_rank")
        database.run("DROP INDEX entries_by_place")
    assert scans(database, READS[name]) != []


def test_a_search_in_one_conversation_passes_over_no_hit_of_another(database: Database) -> None:
    """The index itself knows the conversation: the query that it answers names it."""
    other = blob("another conversation")
    with database.transaction():
        contacts.ensure_conversation(database, other, contacts.TWO, None)
    store(database, *[Author(conversation=other).write("needle")])
    number = contacts.conversation_number(database, other)
    (row,) = database.rows("SELECT text FROM search")
    named = [f"\ue000{word}" for word in (f"t{number}", "p0", "q0", "r0")]
    assert row[0].split() == ["needle", *named]
    assert samples.find(database, f"\ue000t{number}") == []
    assert samples.find(database, f"t{number}") == []
    assert [found.id for found in samples.find(database, "needle", conversation=other)] != []
    assert samples.find(database, "needle", conversation=TALK) == []


def test_the_last_entry_of_each_conversation_is_read_by_one_query_through_the_index(
    database: Database,
) -> None:
    made = []
    for number in range(5):
        talk = hold(database, [(True, 3, False), (False, 9, True), (True, 5, False)])
        made.append(in_order(database, talk)[-1].id)
        with database.transaction():
            contacts.ensure_conversation(database, blob(f"empty {number}"), contacts.TWO, None)
    assert sorted(row.id for row in entries.latest(database)) == sorted(made)
    plan = [str(row[-1]) for row in database.rows(f"EXPLAIN QUERY PLAN {entries.LATEST}")]
    assert any("SEARCH n USING" in step and "entries_by_rank (conversation=?)" in step for step in plan)
    assert any(step.startswith("SEARCH e USING INTEGER PRIMARY KEY") for step in plan)
    assert not any(step.startswith(("SCAN e", "SCAN n", "SCAN b")) for step in plan)
