"""What claims may not move, and what makes one an own entry (SPEC §11.2, *Claims*)."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat.searching import Term
from chat.storage import (
    backup,
    checks,
    claims,
    contacts,
    entries,
    expiry,
    keys,
    persons,
    receipts,
    removal,
    repair,
    search,
    siblings,
)
from chat.storage.claims import CLAIMS_MAX
from chat.storage.contacts import PAIRED, ContactRow, find_conversation_number
from chat.storage.database import Database
from chat.storage.entries import BEGINNING, BY_CONTACT, BY_OWN, Stored
from chat.storage.migrations import rebuild
from chat.storage.persons import TerminalRow
from chat.storage.positions import ALL
from protocol import history
from protocol.backup.root import RootHash
from protocol.entries_and_receipts import (
    KIND_TEXT,
    KIND_TIMER,
    EntryPlace,
    ParsedEntry,
    is_own,
    sign_entry,
    text_body,
    timer_body,
    write_entry,
)
from protocol.history import named, with_claims
from protocol.identity.drawing import self_key
from protocol.limits import MARKED_MAX
from protocol.messages import Head, Receipt, SharedDrawn
from tests.support.storage.samples import ME, TALK, THEIR_TERMINAL, THEM, blob, store

DRAWN = SharedDrawn(blob("a Renew"), blob("what it draws"))
LOST = self_key(DRAWN.secret)


def own(
    text: str,
    previous: ParsedEntry | None = None,
    *,
    key: bytes = ME.first_self_key,
    incarnation: bytes = b"incarnat",
    parents: tuple[bytes, ...] = (),
    time: int = 1_000,
    seconds: int = 0,
) -> ParsedEntry:
    """An entry of this terminal, after another one. `seconds`: it sets the timer to these."""
    before = None if previous is None else (previous.header.sequence, previous.id)
    place = EntryPlace(TALK, ME.terminal, incarnation, before, parents, [blob("a head")])
    kind, body = (KIND_TIMER, timer_body(seconds)) if seconds else (KIND_TEXT, text_body(text))
    return write_entry(place, time, kind, body, key, os.urandom)


def claim(database: Database, *some: ParsedEntry, by: int = BY_CONTACT) -> tuple[list[Stored], set[bytes]]:
    with database.transaction():
        return claims.insert_all(
            database,
            some,
            ME.terminal,
            contact=THEM,
            stored=5,
            ours=[ME.terminal],
            by=by,
            moment=None,
        )


def settle(database: Database) -> None:
    with database.transaction():
        held = keys.self_keys(database)
        newest = [LOST if LOST in held else ME.first_self_key]
        while claims.settle_next(database, len(held), newest):
            pass


def claimed(database: Database, *some: ParsedEntry) -> list[int]:
    rows = [entries.get(database, one.id) for one in some]
    return [row.claimed for row in rows if row is not None]


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_claims_are_what_the_protocol_says(database: Database, order: list[int], lost: set[int]) -> None:
    """A chain of four and a fork of it, some under a lost key, in any order of arrival."""
    chain, incarnation = list[ParsedEntry](), os.urandom(8)
    time = int.from_bytes(os.urandom(4))
    for at in range(6):
        before = chain[1] if at == 4 else chain[-1] if chain else None
        key = LOST if at in lost else ME.first_self_key
        chain.append(own(f"entry {at}", before, key=key, incarnation=incarnation, time=time))
    for at in order:
        if at in lost:
            claim(database, chain[at])
        else:
            store(database, chain[at])
        settle(database)
    held = {one.id: one.header for one in chain}
    untagged = [entry for entry, header in held.items() if not is_own(header, [ME.first_self_key])]
    left = history.claims(held, untagged)
    assert sorted(one.id for one in chain if claimed(database, one) == [BY_CONTACT]) == left
    genuine = history.heads({one: header for one, header in held.items() if one not in left})
    ids = {one.id for one in chain}
    for found in (repair.heads(database, TALK), [Head(*row) for row in database.rows(siblings._HEADS, TALK)]):
        assert {head.id for head in found}.intersection(ids) == {head.id for head in genuine}
    assert not set(entries.tips(database, TALK)).intersection(left)


def test_own_entries_go_on_from_none_and_heads_of_this_person_are_named_first(database: Database) -> None:
    mine = own("mine")
    store(database, mine)
    forks = [own(f"fork {at}", mine, key=LOST, incarnation=bytes([at]) * 8) for at in range(6)]
    claim(database, *forks)
    followed = entries.last_by(database, TALK, ME.terminal)
    assert followed is not None
    assert followed.id == mine.id
    assert entries.tips(database, TALK) == [mine.id]
    asking = repair.asking_heads(database, TALK, THEIR_TERMINAL.terminal)
    assert len(asking) == 4
    assert mine.id in {head.id for head in asking}
    assert repair.heads_on(database, history.pages(TALK, asking)[0]) == [mine.id]


@pytest.mark.parametrize("by", [BY_CONTACT, BY_OWN])
def test_a_claim_accuses_nobody_sets_no_timer_and_is_neither_sent_nor_delivered(
    database: Database, by: int
) -> None:
    mine, live = own("mine"), TerminalRow(ME.person, ME.terminal, blob("my static"), True, 0)
    with database.transaction():
        persons.replace_terminals(database, ME.person, [live])
    store(database, mine)
    rival, timer = own("rival", key=LOST), own("", key=LOST, seconds=60, time=2_000)
    claim(database, rival, timer, by=by)
    rows = [row for one in (mine, rival) if (row := entries.get(database, one.id)) is not None]
    assert [row.rivalled for row in rows] == [0, 0]
    assert entries.rivals(database, mine.id) == entries.rivals(database, rival.id) == ()
    assert expiry.timer_of(database, TALK) == 0
    assert receipts.in_order(database, [rival.id], ME.terminal, THEM) == ([], set())
    assert receipts.unacknowledged(database, TALK, ME.terminal, THEM) == [mine.id]
    said = Receipt(receipts.STORED, sorted([mine.id, rival.id]))
    with database.transaction():
        new = receipts.acknowledge(database, TALK, ME.terminal, THEIR_TERMINAL.terminal, said, 9)
    assert new == {mine.id: True}
    with database.transaction():
        keys.add_drawn(database, [DRAWN])
    settle(database)
    if by == BY_OWN:
        assert claimed(database, rival, timer) == [BY_OWN, BY_OWN]
        for one in (rival, timer):
            store(database, sign_entry(one, ME.signing_seed))
        settle(database)
    assert entries.rivals(database, mine.id) == tuple(sorted([rival.id, timer.id]))
    assert expiry.timer_of(database, TALK) == 60


def test_own_terminals_compare_what_they_would_without_the_claims_of_a_contact(database: Database) -> None:
    """More of them than own terminals look at, and all ahead of what was written."""
    mine = own("mine")
    store(database, mine)
    with database.transaction():
        contacts.add(database, ContactRow(THEM, "Ben", "", PAIRED, False, False, False, 1))
        receipts.add(database, THEIR_TERMINAL.terminal, receipts.STORED, [mine.id], 9)

    def compared() -> tuple[object, ...]:
        held, _, _ = siblings.count(database, 0)
        return (
            siblings.digests(database, [(TALK, THEM)], blob("another own terminal"), held),
            siblings.newest_marks(database, TALK, THEM),
            siblings.newest(database, TALK, [mine.id], []),
            backup.hash_piece(database, TALK, root := RootHash(TALK), BEGINNING, ALL, elsewhere=True),
            (root.count, root.root),
        )

    before = compared()
    some = [own("claimed", key=LOST, incarnation=at.to_bytes(8), time=9_000) for at in range(MARKED_MAX + 1)]
    claim(database, *some)
    assert compared() == before
    assert siblings.rows_of(database, [some[0].id]) == ([], {})


def test_claims_leave_the_places_to_heads_and_authors_who_are_asked_have_none() -> None:
    heads = named([Head(b"a" * 32, at, bytes([at]) * 32) for at in range(1, 4)])
    ends = [Head(b"a" * 32, at, bytes([at]) * 32) for at in range(10, 14)]
    others = [Head(b"b" * 32, 1, b"x" * 32)]
    assert with_claims(heads, [*ends, *others], []) == [*heads, ends[-1], *others]
    assert with_claims(heads, [*ends, *others], [b"a" * 32]) == [*heads, *others]


def test_a_contact_moves_nothing_by_what_it_claims(database: Database) -> None:
    """A claim that is far ahead, and what names it: the place of that is the same where no claim is held."""
    far = own("far ahead", key=LOST, time=2**47)
    claim(database, far)
    naming = own("names it", parents=(far.id,), time=2_000)
    store(database, naming)
    row = entries.get(database, naming.id)
    assert row is not None
    assert row.rank == 2_000
    with database.transaction():
        rebuild(database)
    row = entries.get(database, naming.id)
    assert row is not None
    assert row.rank == 2_000
    assert checks.piece(database, 0) is not None
    settle(database)
    with database.transaction():
        keys.add_drawn(database, [DRAWN])
    settle(database)
    assert claimed(database, far) == [0]
    assert checks.piece(database, 0) is not None


def test_the_bound_is_per_contact_and_a_thief_of_none_fills_that_of_own_terminals(database: Database) -> None:
    some, before = list[ParsedEntry](), None
    for _ in range(CLAIMS_MAX + 10):
        some.append(before := own("claimed", before, key=LOST))
    new, held = claim(database, *some)
    assert len(new) == len(held) == CLAIMS_MAX == claims.count(database, TALK)
    assert claim(database, *some[-10:]) == ([], set())
    (again,), held = claim(database, some[-1], by=BY_OWN)
    assert (again.entry.id, held) == (some[-1].id, {some[-1].id})
    assert claimed(database, some[0], some[-1]) == [BY_CONTACT, BY_OWN]
    claim(database, some[0], by=BY_OWN)
    assert claimed(database, some[0]) == [BY_OWN]
    assert claims.count(database, TALK) == CLAIMS_MAX - 1


def test_a_key_that_came_before_it_was_stored_is_tried(database: Database) -> None:
    """The keys in memory were those of before."""
    late = own("late", key=LOST)
    with database.transaction():
        keys.add_drawn(database, [DRAWN])
        claims.insert_all(
            database,
            [late],
            ME.terminal,
            contact=THEM,
            stored=5,
            ours=[ME.terminal],
            by=BY_CONTACT,
            moment=None,
        )
    settle(database)
    assert claimed(database, late) == [0]


def test_a_claim_is_found_as_the_contacts_and_makes_nobody_one_who_was_spoken_to(database: Database) -> None:
    by_contact, by_own = own("zyxclaim by the contact", key=LOST), own("zyxclaim by an own one", key=LOST)
    claim(database, by_contact)
    claim(database, by_own, by=BY_OWN)
    assert contacts.spoken_to(database, ME.terminal) == []
    term = [Term("zyxclaim")]
    assert search.find(database, term, own=True) == []
    assert [row.id for row in search.find(database, term, theirs=[TALK])] == [by_contact.id]
    assert len(search.find(database, term)) == 2
    store(database, own("zyxclaim that is own"))
    assert len(search.find(database, term, own=True)) == 1
    assert contacts.spoken_to(database, ME.terminal) == [THEM]


def test_claims_go_with_their_conversation(database: Database) -> None:
    claim(database, own("claimed", key=LOST), own("passed", key=LOST, incarnation=b"another1"))
    number = find_conversation_number(database, TALK)
    assert number is not None
    with database.transaction():
        removal.begin(database, number)
    assert database.rows("SELECT * FROM claims") == []
    for _ in removal.remove_in_steps(database):
        pass
    assert database.value("SELECT count(*) FROM entries") == 0
