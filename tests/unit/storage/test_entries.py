"""Entries: inserted once, walked by place; two at one place are kept as evidence."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chat.storage import contacts, entries, migrations, persons, positions, receipts, repair
from chat.storage.database import Database
from chat.storage.entries import BEGINNING, HeadRow, Position
from chat.storage.errors import DatabaseDamaged, StorageMisuse
from chat.storage.persons import TerminalRow
from chat.storage.receipts import STORED, ReceiptRow
from protocol.entries_and_receipts import ParsedEntry
from protocol.history import BodyState, body_after, followed, heads, lacking, quarantined, uncovered
from protocol.messages import Head
from tests.support.storage import samples as tables
from tests.support.storage.samples import ME, TALK, THEIR_TERMINAL, THEM, Author, blob, sample, store


def alone(entry: ParsedEntry) -> ParsedEntry:
    """The header of an entry without its body."""
    return replace(entry, salt=b"", body=b"", said=None)


def test_an_entry_comes_back_as_it_was_given(database: Database) -> None:
    author = Author()
    first, second = author.write("first"), author.write("second")
    assert store(database, first, second) == [True, True]
    row = entries.get(database, second.id)
    assert row is not None
    assert (row.id, row.header) == (second.id, second.header_bytes)
    assert (row.salt, row.body) == (second.salt, second.body)
    assert (row.conversation, row.author, row.sequence) == (TALK, ME.terminal, 2)
    assert (row.fields.previous, row.incarnation, row.kind, row.time) == (first.id, b"incarnat", 1, 2_000)
    assert row.position == (2_000, second.id)
    assert not row.deleted
    assert not row.missing


@pytest.mark.parametrize("together", [True, False], ids=["in a burst", "one by one"])
def test_case_97_an_entry_of_an_unknown_kind_is_kept_unread_by_nobody_and_deleted(
    database: Database, together: bool
) -> None:
    first = sample("opaque words", author=THEIR_TERMINAL.terminal, kind=200)
    text = sample("words", author=THEIR_TERMINAL.terminal, sequence=2, previous=first.id, time=2_000)
    with database.transaction():
        if together:
            entries.insert_all(database, [first, text], ME.terminal, stored=3_000)
        else:
            for one in (text, first):
                entries.insert_all(database, [one], ME.terminal, stored=3_000)
    for _ in range(2):
        assert [row.id for row in entries.page(database, TALK, 9)] == [first.id, text.id]
        assert [row.id for row in tables.find(database, "words")] == [text.id]
        assert receipts.unread(database, TALK) == 1
        row = entries.get(database, first.id)
        assert row is not None
        assert (row.kind, row.header, row.salt, row.body) == (200, first.header_bytes, first.salt, first.body)
        with database.transaction():
            migrations.rebuild(database)
    assert [one.kind for one in receipts.of(database, [first.id])[first.id]] == [STORED]
    with database.transaction():
        assert receipts.mark_all_read(database, TALK, ME.terminal, 4_000) == [text.id]
        assert entries.destroy(database, first.id)
    row = entries.get(database, first.id)
    assert row is not None
    assert (row.deleted, row.body, row.header) == (True, b"", first.header_bytes)


@pytest.mark.parametrize("place", [0, 77, 199])
def test_one_entry_that_a_held_one_names_slows_down_few_others(
    database: Database, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    author, later = Author(), Author(THEIR_TERMINAL.terminal, time=900_000)
    some = [author.write(f"entry {number}") for number in range(200)]
    store(database, later.write("names one that has not come", parents=[some[place].id]))
    one_by_one, real = list[bytes](), entries.insert

    def insert(db: Database, entry: ParsedEntry, *others: Any, **options: Any) -> Any:
        one_by_one.append(entry.id)
        return real(db, entry, *others, **options)

    monkeypatch.setattr(entries, "insert", insert)
    with database.transaction():
        new = entries.insert_all(database, some, ME.terminal, stored=5)
    assert [one.entry.id for one in new] == [entry.id for entry in some]
    assert some[place].id in one_by_one
    assert len(one_by_one) <= entries.SINGLY
    page = entries.page(database, TALK, 300)
    assert [row.id for row in page] == [entry.id for entry in [*some, *later.written]]
    ends = {later.written[0].id} | ({some[-1].id} if place < 199 else set())
    assert {*entries.tips(database, TALK)} == ends


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
    assert not row.missing
    assert (row.header, row.salt, row.body) == (gone.header_bytes, b"", b"")
    following = entries.get(database, after.id)
    assert following is not None
    assert following.fields.previous == gone.id
    # A peer that supplies it again brings nothing back.
    assert store(database, gone) == [False]
    assert database.value("SELECT count(*) FROM bodies") == database.value("SELECT count(*) FROM search") == 1


def test_an_entry_and_a_body_that_was_lacking_are_taken_once(database: Database) -> None:
    """From somebody who deleted it for themselves an entry comes without; its author still has it."""
    entry = Author(THEIR_TERMINAL.terminal).write("whole")
    bare = alone(entry)
    assert store(database, bare, unread=True) == [True]
    row = entries.get(database, entry.id)
    assert row is not None
    assert (row.missing, row.deleted) == (True, False)
    assert receipts.unread(database, TALK) == 0
    assert store(database, bare, entry, entry, bare, unread=True) == [False, True, False, False]
    row = entries.get(database, entry.id)
    assert row is not None
    assert (row.salt, row.body, row.missing) == (entry.salt, entry.body, False)
    assert database.value("SELECT count(*) FROM search") == receipts.unread(database, TALK) == 1


def test_a_missing_body_that_was_deleted_is_never_taken(database: Database) -> None:
    entry = Author(THEIR_TERMINAL.terminal).write("whole")
    with database.transaction():
        entries.insert_all(database, [alone(entry)], ME.terminal, carrier=blob("carrier"))
    assert [row[0].id for row in repair.wanted(database, TALK, b"")] == [entry.id]
    with database.transaction():
        assert entries.destroy(database, entry.id)
    assert repair.wanted(database, TALK, b"") == []
    assert store(database, entry, alone(entry), unread=True) == [False, False]
    row = entries.get(database, entry.id)
    assert row is not None
    assert (row.deleted, row.missing, row.salt) == (True, False, b"")
    assert receipts.unread(database, TALK) == 0


@given(st.lists(st.sampled_from(["body", "alone", "delete"]), max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_state_of_a_body_is_that_of_the_protocol(database: Database, what: list[str]) -> None:
    entry, state = sample(f"{what} {os.urandom(4).hex()}"), None
    for one in what:
        if one == "delete":
            with database.transaction():
                entries.destroy(database, entry.id)
            state = state and BodyState.DELETED
        else:
            store(database, entry if one == "body" else alone(entry))
            state = body_after(state, has_body=one == "body")
    row = entries.get(database, entry.id)
    assert (row is None) == (state is None)
    if row is not None:
        assert (bool(row.salt), row.missing, row.deleted) == tuple(state is one for one in BodyState)


def test_a_body_is_wanted_from_those_who_did_not_pass_the_header_alone(database: Database) -> None:
    author = Author(THEIR_TERMINAL.terminal)
    first, second, third = author.write("first"), author.write("second"), author.write("third")
    one, two = blob("one carrier"), blob("two carrier")
    with database.transaction():
        entries.insert_all(database, [first, alone(second), third], ME.terminal, carrier=one)
    here = HeadRow(THEIR_TERMINAL.terminal, 2, second.id), HeadRow(THEIR_TERMINAL.terminal, 1, first.id)
    assert (repair.wanted(database, TALK, one), repair.wanted(database, TALK, two)) == ([], [here])
    assert repair.wanted(database, blob("elsewhere"), two) == []
    with database.transaction():
        entries.insert_all(database, [alone(second)], ME.terminal, carrier=two)
    assert repair.wanted(database, TALK, two) == []
    assert [row[0].id for row in repair.wanted(database, TALK, b"")] == [second.id]
    with database.transaction():
        entries.insert_all(database, [second], ME.terminal, carrier=one)
    assert repair.wanted(database, TALK, b"") == []
    assert database.value("SELECT count(*) FROM headers_alone") == 0


def steps_of(database: Database, work: Callable[[], object]) -> int:
    """Steps that the database takes for some work, in thousands."""
    taken = count()
    database._connection.set_progress_handler(lambda: next(taken) < 0, 1_000)
    work()
    database._connection.set_progress_handler(None, 0)
    return next(taken)


def bare_chain(author: Author, number: int) -> list[ParsedEntry]:
    return [alone(author.write(f"entry {place}")) for place in range(number)]


def rivals_of_one(author: Author, number: int) -> list[ParsedEntry]:
    return [sample(f"rival {place}", author=author.terminal) for place in range(number)]


@pytest.mark.parametrize("made", [bare_chain, rivals_of_one])
def test_case_94_what_a_contact_sends_costs_the_same_for_each_entry(
    database: Database, made: Callable[[Author, int], list[ParsedEntry]]
) -> None:
    """Headers without bodies, which another terminal is asked for, and entries that accuse their author."""
    them = Author(THEIR_TERMINAL.terminal)
    sent = made(them, 1_200)

    def take(some: Sequence[ParsedEntry]) -> None:
        with database.transaction():
            entries.insert_all(database, some, ME.terminal, carrier=blob("carrier"))

    def ask() -> object:
        return repair.wanted(database, TALK, blob("another terminal"))

    few, asking_few = steps_of(database, lambda: take(sent[:200])), steps_of(database, ask)
    take(sent[200:1_000])
    many, asking_many = steps_of(database, lambda: take(sent[1_000:])), steps_of(database, ask)
    assert many < 3 * few
    assert asking_many < 8 * (asking_few + 1), "there are six times as many to look at"


def test_case_94_of_many_missing_bodies_the_first_of_each_author_is_asked_for(database: Database) -> None:
    """The rest follows from it. A fork at its place is one more."""
    author = Author(THEIR_TERMINAL.terminal)
    first, *rest = (author.write(f"entry {place}") for place in range(6))
    fork = sample("fork", author=author.terminal, sequence=2, previous=first.id, incarnation=b"restored")
    own = Author()
    with database.transaction():
        some = [first, *map(alone, rest), alone(fork), alone(own.write("own"))]
        entries.insert_all(database, some, ME.terminal, carrier=blob("carrier"))
    before = HeadRow(author.terminal, 1, first.id)
    assert repair.wanted(database, TALK, b"") == [
        (HeadRow(author.terminal, 2, rest[0].id), before),
        (HeadRow(author.terminal, 2, fork.id), before),
        (HeadRow(ME.terminal, 1, own.written[0].id), None),
    ]


class _InMemory:
    """protocol.history.Chain over entries."""

    def __init__(self, held: Sequence[ParsedEntry]) -> None:
        self._held = {entry.id: entry.header for entry in held}

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        header = self._held.get(entry)
        return None if header is None else (header.sequence, header.previous)


@pytest.mark.parametrize("has", [0, 1, 40, 300, 599])
@pytest.mark.parametrize("piece", [1, 7, 256])
def test_case_94_what_a_peer_lacks_is_found_in_pieces(
    database: Database, monkeypatch: pytest.MonkeyPatch, has: int, piece: int
) -> None:
    """Of a long chain with a fork and a short one. `has`: entries of the long one that the peer has."""
    monkeypatch.setattr(repair, "PIECE", piece)
    author, other = Author(incarnation=b"%8d" % has), Author(THEIR_TERMINAL.terminal)
    long = [author.write(f"long {number}") for number in range(600)]
    fork = [sample("fork", sequence=301, previous=long[299].id, incarnation=b"restored")]
    held = [*long, *fork, *(other.write(f"short {number}") for number in range(9))]
    with database.transaction():
        entries.insert_all(database, held, ME.terminal)
    ours = {head.id for head in tables.heads(database, TALK)}
    theirs = {blob("not held"), *([long[has - 1].id] if has else [])}
    expected = lacking(ours, theirs, _InMemory(held))
    found = list[Position]()
    pieces = 0
    while ours:
        some, ours, theirs = repair.lacking_piece(database, TALK, ours, theirs)
        found += some
        pieces += 1
        assert len(some) <= 3 * piece
    assert len(found) == len(expected)
    assert {entry for _, entry in found} == set(expected)
    assert pieces >= (600 - has) // (piece + 1)
    assert {place for _, place in found} <= {row.id for row in entries.page(database, TALK, 1_000)}


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_case_94_pieces_end_where_a_chain_does(database: Database, data: st.DataObject) -> None:
    """Also where the previous entry has no lower sequence: another one goes on there."""
    held = list[ParsedEntry]()
    for number in range(data.draw(st.integers(1, 8))):
        before = data.draw(st.sampled_from([b"", *(one.id for one in held)]))
        made = sample(
            str(number),
            sequence=data.draw(st.integers(1, 6)),
            previous=before,
            incarnation=os.urandom(8),
        )
        held.append(made)
    mine, theirs = (data.draw(st.sets(st.sampled_from([one.id for one in held]))) for _ in range(2))
    expected, found = lacking(mine, theirs, _InMemory(held)), list[Position]()
    with pytest.MonkeyPatch.context() as patch, database.transaction():
        patch.setattr(repair, "PIECE", data.draw(st.integers(1, 3)))
        entries.insert_all(database, held, ME.terminal)
        while mine:
            some, mine, theirs = repair.lacking_piece(database, TALK, mine, theirs)
            found += some
    assert sorted(entry for _, entry in found) == sorted(expected)


def test_case_94_a_peers_chain_that_climbs_covers_nothing_below_the_piece(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "PIECE", 1)
    low = sample("low", sequence=1, previous=b"")
    level = sample("level", sequence=2, previous=low.id)
    theirs = sample("theirs", sequence=2, previous=level.id, incarnation=b"another1")
    with database.transaction():
        entries.insert_all(database, [low, level, theirs], ME.terminal)
    found, mine, covered = list[Position](), {low.id}, {theirs.id}
    while mine:
        some, mine, covered = repair.lacking_piece(database, TALK, mine, covered)
        found += some
    assert [entry for _, entry in found] == [low.id]


def test_case_94_a_chain_that_climbs_ends_there_though_another_goes_on_below_the_piece(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "PIECE", 3)
    low = sample("low")
    high = sample("high", sequence=6, previous=low.id)
    climbs = sample("climbs", sequence=5, previous=high.id)
    store(database, low, high, climbs)
    found, left, _ = repair.lacking_piece(database, TALK, {climbs.id}, set())
    assert ([entry for _, entry in found], left) == ([climbs.id], set())


def test_case_94_a_branch_that_meets_the_other_below_a_piece_takes_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    author, other = Author(), Author()
    monkeypatch.setattr(repair, "PIECE", 3)
    for number in range(4):
        author.write(f"trunk {number}")
    trunk = list(author.written)
    other.written += trunk
    for one, name in ((author, "mine"), (other, "theirs")):
        for number in range(3):
            one.write(f"{name} {number}")
    store(database, *author.written, *other.written[4:])
    mine, theirs = {author.written[-1].id}, {other.written[-1].id}
    some, left, _ = repair.lacking_piece(database, TALK, mine, theirs)
    assert {entry for _, entry in some} == {one.id for one in author.written[4:]}
    assert left == set()


def test_the_header_of_an_entry_that_a_peer_lacks_is_checked(database: Database) -> None:
    """As after a swap of pages."""
    first, second = sample("first"), sample("second", incarnation=b"another.")
    store(database, first, second)
    with database.transaction():
        database.run("UPDATE entries SET header = ? WHERE id = ?", second.header_bytes, first.id)
    with pytest.raises(DatabaseDamaged):
        repair.lacking_piece(database, TALK, {first.id}, set())


def test_nothing_is_found_in_an_unknown_conversation(database: Database) -> None:
    nowhere = blob("nowhere")
    assert entries.page(database, nowhere, 10) == positions.page_after(database, nowhere, 9, BEGINNING) == []
    assert [*entries.tips(database, nowhere), *tables.heads(database, nowhere)] == []
    assert positions.at_time(database, nowhere, 0) is receipts.first_unread(database, nowhere) is None
    assert entries.last_by(database, TALK, ME.terminal) is None


def test_the_last_of_an_authors_chain_is_that_of_the_highest_sequence(database: Database) -> None:
    author = Author()
    chain = [author.write(f"entry {number}") for number in range(6)]
    store(database, *chain, sample("somebody else", author=THEIR_TERMINAL.terminal, sequence=5))
    assert entries.last_by(database, TALK, ME.terminal) == HeadRow(ME.terminal, 6, chain[5].id)


def test_an_entry_of_the_last_sequence_from_a_copied_profile_takes_no_place_from_its_owner(
    database: Database,
) -> None:
    """Nothing follows sequence 2^53-1: an owner who went on from it could never write there again."""
    author = Author()
    chain = [author.write(f"entry {number}") for number in range(3)]
    planted = [
        sample(f"planted {sequence}", author=ME.terminal, sequence=sequence, previous=chain[2].id)
        for sequence in (2**52, 2**53 - 1)
    ]
    store(database, *chain, *planted)
    assert entries.last_by(database, TALK, ME.terminal) == HeadRow(ME.terminal, 3, chain[2].id)
    assert followed({entry.id: entry.header for entry in (*chain, *planted)}, ME.terminal) == chain[2].id


def test_attack_67_two_entries_at_one_place_are_both_kept_and_named(database: Database) -> None:
    """A copy of a profile that runs with the same incarnation: no honest terminal does that."""
    first = sample("one")
    second = sample("another")
    store(database, first, second, sample("elsewhere", author=THEIR_TERMINAL.terminal))
    assert tables.evidence(database) == [tuple(sorted((first.id, second.id)))]
    assert (entries.rivals(database, first.id), entries.rivals(database, second.id)) == (
        (second.id,),
        (first.id,),
    )
    assert [bool(row.rivalled) for row in entries.page(database, TALK, 9)].count(True) == 2
    assert len(entries.page(database, TALK, 9)) == 3


@pytest.mark.parametrize("together", [True, False])
def test_attack_67_a_burst_says_what_its_entries_conflict_with(database: Database, together: bool) -> None:
    held = sample("held", author=THEIR_TERMINAL.terminal)
    rival, other = sample("rival", author=THEIR_TERMINAL.terminal), sample("other")
    burst = [rival, other] if together else [alone(rival), other]
    with database.transaction():
        assert [one.rivals for one in entries.insert_all(database, [held], ME.terminal)] == [()]
        assert [one.rivals for one in entries.insert_all(database, burst, ME.terminal)] == [(held.id,), ()]


@given(st.permutations(range(5)), st.integers(0, 5))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_case_88_what_is_quarantined_is_what_the_protocol_says(
    database: Database, order: list[int], before: int
) -> None:
    """A chain of a terminal that is removed after `before` of the entries have come, in any order."""
    author = Author(THEIR_TERMINAL.terminal, incarnation=os.urandom(8), time=int.from_bytes(os.urandom(4)))
    chain = [author.write(f"entry {number}") for number in range(5)]
    arriving = [chain[place] for place in order]
    with database.transaction():
        for at, entry in enumerate(arriving):
            former = [THEIR_TERMINAL.terminal] if at >= before else []
            (stored,) = entries.insert_all(database, [entry], ME.terminal, former=former)
            held = {one.id: one.header for one in arriving[: at + 1]}
            first = [one.id for one in arriving[:before]]
            expected = quarantined(held, THEIR_TERMINAL.terminal, first if at >= before else list(held))
            rows = [row for one in held if (row := entries.get(database, one)) is not None]
            assert sorted(row.id for row in rows if row.quarantined) == expected
            assert stored.quarantined is (entry.id in expected)


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)), st.lists(st.integers(0, 5), max_size=2))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_case_99_what_is_uncovered_is_what_the_protocol_says(
    database: Database, order: list[int], relayed: set[int], named: list[int]
) -> None:
    """A chain of four and a fork of it arrive in any order, some of them from an own terminal."""
    author = Author(THEIR_TERMINAL.terminal, incarnation=os.urandom(8), time=int.from_bytes(os.urandom(4)))
    chain = [author.write(f"entry {number}") for number in range(4)]
    del author.written[2:]
    chain += [author.write(f"fork {number}") for number in range(2)]
    direct = [one for at, one in enumerate(chain) if at not in relayed]
    with database.transaction():
        for at in order:
            new = entries.insert_all(database, [chain[at]], ME.terminal)
            if at in relayed:
                repair.doubt(database, new, {ME.terminal})
        mine = {row.id for row in repair.heads(database, TALK)}.intersection(one.id for one in chain)
        assert mine == {head.id for head in heads({one.id: one.header for one in direct})}
        repair.cover(database, TALK, [Head(b"", 1, chain[at].id) for at in named])
        held, passed_on = {one.id: one.header for one in chain}, {chain[at].id for at in relayed}
        expected = uncovered(held, passed_on, {chain[at].id for at in named})
        rows = [row for one in held if (row := entries.get(database, one)) is not None]
        assert sorted(row.id for row in rows if repair.is_uncovered(database, row.number)) == expected


def test_a_terminal_whose_adding_no_longer_counts_is_a_former_one(database: Database) -> None:
    other = TerminalRow(THEM, blob("other terminal"), blob("static 2"), True, 1)
    with database.transaction():
        persons.replace_terminals(database, THEM, [THEIR_TERMINAL, other])
    assert persons.former_terminals(database, THEM) == []
    with database.transaction():
        persons.replace_terminals(database, THEM, [THEIR_TERMINAL])
    assert persons.former_terminals(database, THEM) == [other.terminal]
    assert persons.former_terminals(database, ME.person) == []


def test_case_99_the_contact_is_not_asked_for_the_body_of_an_uncovered_entry(database: Database) -> None:
    """Who never wrote it cannot answer, and would send all that follows its place on every link."""
    entry = alone(sample("invented", author=THEIR_TERMINAL.terminal))
    with database.transaction():
        new = entries.insert_all(database, [entry], ME.terminal, carrier=blob("carrier"))
        assert [wanted.id for wanted, _ in repair.wanted(database, TALK, b"")] == [entry.id]
        repair.doubt(database, new, {ME.terminal})
    assert repair.wanted(database, TALK, b"") == []


def test_the_body_of_a_quarantined_entry_is_not_wanted(database: Database) -> None:
    entry = alone(sample("quarantined", author=THEIR_TERMINAL.terminal))
    with database.transaction():
        entries.insert_all(
            database, [entry], ME.terminal, carrier=blob("carrier"), former=[THEIR_TERMINAL.terminal]
        )
    assert repair.wanted(database, TALK, b"") == []


def test_attack_66_a_restored_copy_uses_no_place_again(database: Database) -> None:
    """After a restore the engine draws another incarnation: its entries fork the chain and accuse nobody."""
    author = Author()
    before, lost = author.write("before"), author.write("written after the copy was made")
    again = sample("written after the restore", sequence=2, previous=before.id, incarnation=b"restored")
    store(database, before, lost, again)
    assert tables.evidence(database) == []
    assert not any(row.rivalled for row in entries.page(database, TALK, 9))
    heads = {head.id for head in tables.heads(database, TALK)}
    assert heads == {lost.id, again.id}


def test_a_burst_makes_its_conversation_and_says_what_it_has_stored(database: Database) -> None:
    talk = blob("a conversation that is not there yet")
    author = Author(THEIR_TERMINAL.terminal, talk)
    first, second = author.write("first"), author.write("second")
    with database.transaction():
        new = entries.insert_all(database, [first, second, first], ME.terminal, contact=THEM, stored=7)
    assert [one.entry.id for one in new] == [first.id, second.id]
    held = contacts.conversation_with(database, THEM)
    assert held is not None
    told = [ReceiptRow(ME.terminal, STORED, 7)]
    assert receipts.of(database, [first.id, second.id]) == {first.id: told, second.id: told}
    assert receipts.unread(database, talk) == 2
    with database.transaction():
        assert entries.insert_all(database, [second], ME.terminal, contact=THEM, stored=8) == []
    assert receipts.of(database, [second.id]) == {second.id: told}


@pytest.mark.parametrize("change", ["header = zeroblob(length(header))", "id = zeroblob(32)"])
def test_an_entry_whose_id_is_not_its_headers_hash_is_damage(database: Database, change: str) -> None:
    entry = sample("whole")
    store(database, entry)
    with database.transaction():
        database.run(f"UPDATE entries SET {change}")
    with pytest.raises(DatabaseDamaged):
        entries.page(database, TALK, 1)


def test_what_is_missing_before_an_entry_is_wanted_from_those_who_did_not_pass_it_again(
    database: Database,
) -> None:
    author = Author(THEIR_TERMINAL.terminal)
    first, second, third = author.write("first"), author.write("second"), author.write("third")
    one, two = blob("one carrier"), blob("two carrier")
    store(database, first, third)
    here = HeadRow(THEIR_TERMINAL.terminal, 3, third.id), None
    assert repair.wanted(database, TALK, one) == [here]
    assert repair.wanted(database, blob("elsewhere"), one) == []
    asked = repair.asking_heads(database, TALK, one)
    assert [head.id for head in asked] == [first.id]
    gaps = repair.before_gaps(database, [first, third])
    assert gaps == [(third.id, second.id)]
    with database.transaction():
        repair.passed_again(database, gaps, one)
    assert (repair.wanted(database, TALK, one), repair.wanted(database, TALK, two)) == ([], [here])
    with database.transaction():
        rule = (
            "INSERT INTO rules (number, conversation, author, cut, decides, over) VALUES (7, ?, ?, 0, 1, 0)"
        )
        talk = contacts.conversation_number(database, TALK)
        database.run(rule, talk, persons.terminal_number(database, THEIR_TERMINAL.terminal))
    for table in ("quarantine (entry, rule) SELECT number, 7", "uncovered (entry) SELECT number"):
        with database.transaction():
            database.run(f"INSERT INTO {table} FROM entries WHERE id = ?", third.id)
        assert repair.wanted(database, TALK, two) == []
        with database.transaction():
            database.run(f"DELETE FROM {table.split()[0]}")
    store(database, second)
    assert repair.wanted(database, TALK, two) == []


def test_only_what_an_author_names_as_previous_is_missing_before_an_entry(database: Database) -> None:
    entry = sample("after something that is not held", parents=[blob("not held")])
    store(database, entry)
    assert repair.wanted(database, TALK, blob("a carrier")) == []


def doubted(database: Database) -> set[bytes]:
    held = "SELECT e.id FROM uncovered AS u JOIN entries AS e ON e.number = u.entry"
    return {row[0] for row in database.rows(held)}


def passed_on(database: Database, *new: ParsedEntry) -> None:
    """By another terminal of this person."""
    with database.transaction():
        stored = entries.insert_all(database, new, ME.terminal)
        repair.doubt(database, stored, {ME.terminal})


def test_case_99_only_what_is_new_and_of_the_contact_is_uncovered(database: Database) -> None:
    mine, theirs = sample("mine"), sample("theirs", author=THEIR_TERMINAL.terminal)
    store(database, alone(theirs))
    passed_on(database, mine, theirs)
    assert doubted(database) == set()


def test_case_99_only_the_next_entry_in_the_chain_covers_one(database: Database) -> None:
    """An own entry names what is uncovered as a parent, like everything that nothing named before."""
    planted = sample("planted", author=THEIR_TERMINAL.terminal)
    passed_on(database, planted)
    answer = sample("an answer", parents=[planted.id])
    claimed = sample("names it as its own previous one", sequence=2, previous=planted.id)
    store(database, answer, claimed)
    with database.transaction():
        repair.cover(database, TALK, [answer, claimed])
    assert doubted(database) == {planted.id}
    following = sample("by the contact", author=THEIR_TERMINAL.terminal, sequence=2, previous=planted.id)
    store(database, following)
    with database.transaction():
        repair.cover(database, TALK, [following])
    assert doubted(database) == set()


def test_case_99_what_the_chain_covers_covers_no_parent_of_it(database: Database) -> None:
    planted = sample("planted", author=blob("another terminal"))
    genuine = sample("genuine", author=THEIR_TERMINAL.terminal, parents=[planted.id])
    passed_on(database, planted, genuine)
    store(database, sample("by the contact", author=THEIR_TERMINAL.terminal, sequence=2, previous=genuine.id))
    with database.transaction():
        repair.cover(database, TALK, [])
    assert doubted(database) == {planted.id}


def test_case_99_what_an_answer_names_stays_a_head_though_an_uncovered_entry_follows(
    database: Database,
) -> None:
    last = sample("by the contact", author=THEIR_TERMINAL.terminal)
    store(database, last, sample("an answer", parents=[last.id]))
    passed_on(database, sample("planted", author=THEIR_TERMINAL.terminal, sequence=2, previous=last.id))
    assert last.id in {head.id for head in repair.heads(database, TALK)}


def test_case_99_an_uncovered_chain_ends_at_what_its_first_entry_names_as_a_parent(
    database: Database,
) -> None:
    first = sample("first", author=THEIR_TERMINAL.terminal)
    second = sample("second", author=THEIR_TERMINAL.terminal, incarnation=b"another.", parents=[first.id])
    passed_on(database, first, second)
    with database.transaction():
        repair.cover(database, TALK, [second])
    assert doubted(database) == {first.id}


def test_case_99_what_a_contact_stands_for_at_one_place_is_evidence_once(database: Database) -> None:
    both = [sample(text, author=THEIR_TERMINAL.terminal) for text in ("one", "another")]
    passed_on(database, *both)
    with database.transaction():
        found = repair.cover(database, TALK, both)
    assert found == [(THEIR_TERMINAL.terminal, both[0].id, (both[1].id,))]


def test_the_entry_before_a_wanted_one_is_held_only_where_its_author_wrote_it_there(
    database: Database,
) -> None:
    """An author may name any entry as the one before its own: no head is made of author and entry."""
    other = blob("another conversation")
    with database.transaction():
        contacts.ensure_conversation(database, other, contacts.TWO, THEM)
    mine = sample("mine")
    elsewhere = sample("elsewhere", author=THEIR_TERMINAL.terminal, conversation=other)
    followed = sample("followed", author=THEIR_TERMINAL.terminal)
    store(database, mine, elsewhere, followed)
    for before, held in ((mine, False), (elsewhere, False), (followed, True)):
        entry = sample(
            "without its body", author=THEIR_TERMINAL.terminal, sequence=2, previous=before.id,
            incarnation=before.id[:8],
        )  # fmt: skip
        store(database, alone(entry))
        found = {row.id: previous for row, previous in repair.wanted(database, TALK, b"")}
        assert (found[entry.id] is not None) == held


def test_a_head_of_another_conversation_changes_no_answer(database: Database) -> None:
    """A contact must not learn that it is held."""
    other, author = blob("another conversation"), Author()
    with database.transaction():
        contacts.ensure_conversation(database, other, contacts.TWO, THEM)
    chain = [author.write(f"entry {number}") for number in range(3)]
    elsewhere = sample("elsewhere", sequence=2 * repair.PIECE, previous=blob("gap"), conversation=other)
    store(database, *chain, elsewhere)
    answers = [
        repair.lacking_piece(database, TALK, {chain[-1].id}, {theirs})
        for theirs in (elsewhere.id, blob("not held"))
    ]
    assert answers[0] == answers[1]
    assert [entry for _, entry in answers[0][0]] == [one.id for one in chain]


def test_a_missing_body_is_wanted_from_everybody_where_nobody_knows_who_passed_the_header(
    database: Database,
) -> None:
    """Its terminal was removed meanwhile, or it came from another terminal of this person."""
    entry = sample("whole", author=THEIR_TERMINAL.terminal)
    store(database, alone(entry))
    assert [row[0].id for row in repair.wanted(database, TALK, blob("a carrier"))] == [entry.id]
