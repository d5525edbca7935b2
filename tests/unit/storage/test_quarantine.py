"""Which entries of removed terminals count: the database agrees with protocol.history, in any order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chat.storage import contacts, entries, persons, quarantine, receipts, repair
from chat.storage.contacts import PAIRED, ContactRow
from chat.storage.database import Database
from chat.storage.persons import TerminalRow
from protocol import labels
from protocol.codec import encode
from protocol.entries_and_receipts import KIND_CUT, ParsedEntry, cut_body, parse_entry, read_cut
from protocol.history import cuts_in_force, quarantined
from protocol.limits import CUT_HEADS_MAX, CUTS_MAX
from protocol.messages import CutHead, Entry, EntryHeader
from protocol.primitives import b2b
from tests.support.storage.samples import ME, TALK, THEM, blob, remove_conversation, sample

RANKED = [blob(f"their {name}") for name in ("senior", "removed", "second", "junior")]
SENIOR, REMOVED, SECOND, JUNIOR = RANKED
SALT = bytes(16)


def log(database: Database, live: Sequence[bytes], ranked: Sequence[bytes] = RANKED) -> None:
    rows = [
        TerminalRow(THEM, one, blob(f"static {one.hex()}"), one in live, place)
        for place, one in enumerate(ranked)
    ]
    with database.transaction():
        persons.replace_terminals(database, THEM, rows)


def cut(by: bytes, removed: bytes, *ends: ParsedEntry, sequence: int = 1) -> ParsedEntry:
    heads = [CutHead(end.header.incarnation, end.header.sequence, end.id) for end in ends]
    body = cut_body(removed, heads)
    header = EntryHeader(
        conversation=TALK,
        author=by,
        incarnation=b"incarnat",
        sequence=sequence,
        previous=b"" if sequence == 1 else blob(f"before {by.hex()}"),
        parents=[],
        membership=[blob("a head")],
        time=1,
        kind=KIND_CUT,
        timer=0,
        until=0,
        content=b2b(SALT + body, personal=labels.CONTENT),
        self_tag=b"",
    )
    return parse_entry(Entry(encode(header), SALT, body))


def chain(*places: tuple[str, int, str]) -> dict[str, ParsedEntry]:
    """Entries of the removed terminal by name: name, sequence and the name of the previous one."""
    made: dict[str, ParsedEntry] = {}
    for name, sequence, previous in places:
        before = made[previous].id if previous else b""
        start = os.urandom(8)
        made[name] = sample(name, author=REMOVED, sequence=sequence, previous=before, incarnation=start)
    return made


def alone(entry: ParsedEntry) -> ParsedEntry:
    """An entry without its body."""
    return replace(entry, salt=b"", body=b"", said=None, cut=None)


def arrive(
    database: Database,
    *arriving: ParsedEntry,
    former: Sequence[bytes] = (REMOVED,),
    ours: Sequence[bytes] = (ME.terminal,),
) -> None:
    with database.transaction():
        entries.insert_all(database, arriving, ME.terminal, former=former, ours=ours)


def settle(database: Database) -> int:
    """Decide about all that is due; returns the number of pieces."""
    pieces = 0
    while entries.is_unsettled(database):
        with database.transaction():
            quarantine.settle_next(database, 0)
        pieces += 1
    return pieces


def apart(database: Database) -> set[bytes]:
    settle(database)
    return {row.id for row in entries.page(database, TALK, 100) if row.quarantined}


CUTS = ["senior", "senior again", "second", "junior"]
STEPS = ["a", "b", "c", "d", "fork", "climbs", *CUTS, "remove", "recover"]


def played(database: Database, steps: Sequence[str]) -> Iterator[tuple[set[bytes], set[bytes]]]:
    """A terminal is removed, its seniors go too, and entries and cuts come before or after, in any order.

    Gives after each step the ids of its texts, and of those that the protocol says are quarantined.
    """
    trunk = ("a", 1, ""), ("b", 2, "a"), ("c", 3, "b"), ("d", 4, "c")
    texts = chain(*trunk, ("fork", 3, "b"), ("climbs", 2, "c"))
    arriving = texts | {
        "senior": cut(SENIOR, REMOVED, texts["c"], texts["fork"]),
        "senior again": cut(SENIOR, REMOVED, texts["a"], sequence=2),
        "second": cut(SECOND, REMOVED, texts["b"]),
        "junior": cut(JUNIOR, REMOVED, texts["d"], texts["climbs"]),
    }
    with database.transaction():
        remove_conversation(database, contacts.conversation_number(database, TALK))
        contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)
    live, before, held = list(RANKED), set[bytes](), dict[bytes, ParsedEntry]()
    log(database, live)
    for step in steps:
        if step == "remove":
            live.remove(REMOVED)
            before = set(held)
            log(database, live)
        elif step == "restore":
            live = [one for one in RANKED if one in live or one == REMOVED]
            log(database, live)
        elif step == "recover":
            live.remove(SENIOR)
            log(database, live)
        else:
            entry = arriving[step]
            held[entry.id] = entry
            arrive(database, entry, former=[one for one in RANKED if one not in live])
        cuts = [one.cut for one in cuts_in_force(held.values(), REMOVED, live, RANKED) if one.cut]
        headers = {one: entry.header for one, entry in held.items()}
        expected = set() if REMOVED in live else set(quarantined(headers, REMOVED, before, cuts))
        yield {entry.id for entry in texts.values()}, expected


@given(st.permutations(STEPS))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_case_88_what_counts_is_what_the_protocol_says(database: Database, steps: list[str]) -> None:
    for texts, expected in played(database, steps):
        assert apart(database) & texts == expected


@given(st.permutations(STEPS), st.lists(st.integers(0, 3), min_size=15, max_size=15), st.integers(1, 2))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_case_94_what_is_decided_in_pieces_comes_to_the_same(
    database: Database, steps: list[str], pieces: list[int], piece: int
) -> None:
    """Whatever arrives in between. Twice the terminal is removed, and once it is live again in between."""
    removed = steps.index("remove")
    twice = [*steps[: removed + 3], "restore", *steps[removed + 3 : removed + 5], "remove"]
    twice += steps[removed + 5 :]
    found = list[tuple[set[bytes], set[bytes]]]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quarantine, "PIECE", piece)
        for step, known in enumerate(played(database, twice)):
            found.append(known)
            if pieces[step] == 3:
                assert apart(database) & known[0] == known[1]
            for _ in range(pieces[step]):
                with database.transaction():
                    quarantine.settle_next(database, 0)
        texts, expected = found[-1]
        assert apart(database) & texts == expected
        assert database.value("SELECT count(*) FROM rules WHERE over OR settled IS NOT NULL") == 0


def test_case_88_each_stored_entry_says_whether_it_counts(database: Database) -> None:
    texts = chain(("a", 1, ""), ("b", 2, "a"))
    said = cut(SENIOR, REMOVED, texts["a"])
    log(database, [SENIOR])
    with database.transaction():
        arriving = [said, *texts.values()]
        stored = entries.insert_all(database, arriving, ME.terminal, former=[REMOVED])
    quarantine_of = {one.entry.id: one.quarantined for one in stored}
    assert quarantine_of == {said.id: False, texts["a"].id: False, texts["b"].id: True}


def test_case_88_a_cut_is_neither_unread_nor_a_text(database: Database) -> None:
    texts = chain(("a", 1, ""))
    log(database, [SENIOR])
    arrive(database, cut(SENIOR, REMOVED, texts["a"]))
    assert receipts.unread(database, TALK) == 0
    assert database.value("SELECT count(*) FROM search") == 0


def test_case_88_a_cut_stays_in_force_where_its_body_is_deleted(database: Database) -> None:
    texts = chain(("a", 1, ""), ("b", 2, "a"))
    log(database, [SENIOR])
    said = cut(SENIOR, REMOVED, texts["a"])
    arrive(database, said, *texts.values())
    with database.transaction():
        entries.destroy(database, said.id)
    log(database, [SENIOR])
    assert apart(database) == {texts["b"].id}


def test_case_88_a_deleted_cut_is_in_force_again_when_its_removed_conversation_comes_again(
    database: Database,
) -> None:
    texts = chain(("a", 1, ""), ("b", 2, "a"))
    log(database, [SENIOR])
    said = cut(SENIOR, REMOVED, texts["a"])
    arrive(database, said, *texts.values())
    with database.transaction():
        entries.destroy(database, said.id)
        remove_conversation(database, contacts.conversation_number(database, TALK))
        contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)
    arrive(database, *texts.values(), said)
    assert apart(database) == {texts["b"].id}


def test_case_88_a_header_alone_cuts_nothing_until_its_body_comes(database: Database) -> None:
    texts = chain(("a", 1, ""), ("b", 2, "a"))
    log(database, [SENIOR])
    said = cut(SENIOR, REMOVED, texts["a"])
    header = alone(said)
    arrive(database, header, *texts.values())
    assert apart(database) == {texts["a"].id, texts["b"].id}
    arrive(database, said)
    assert apart(database) == {texts["b"].id}


def test_case_88_the_sixteen_most_senior_cut(database: Database) -> None:
    texts = chain(("a", 1, ""), ("b", 2, "a"))
    seniors = [blob(f"senior {number}") for number in range(CUTS_MAX + 1)]
    log(database, [], seniors[::-1])  # the database finds them in the order in which it met them
    log(database, seniors, [*seniors, REMOVED])
    arrive(database, *texts.values(), *(cut(one, REMOVED, texts["b"]) for one in seniors[:-1]))
    assert apart(database) == set()
    arrive(database, cut(seniors[-1], REMOVED, texts["a"]))
    assert apart(database) == set()
    log(database, seniors[1:], [*seniors, REMOVED])
    assert apart(database) == {texts["b"].id}


def test_case_88_the_quarantine_of_a_removed_conversation_goes_with_it(database: Database) -> None:
    texts = chain(("a", 1, ""), ("b", 2, "a"))
    log(database, [SENIOR])
    arrive(database, *texts.values(), cut(SENIOR, REMOVED, texts["a"]))
    settle(database)
    log(database, RANKED)
    assert all(
        database.value(f"SELECT count(*) FROM {table}")
        for table in ("cuts", "rules", "quarantine", "remarked")
    )
    with database.transaction():
        remove_conversation(database, contacts.conversation_number(database, TALK))
    for table in ("cuts", "rules", "quarantine", "remarked"):
        assert database.value(f"SELECT count(*) FROM {table}") == 0


def test_case_88_of_two_cuts_by_one_terminal_the_lower_sequence_is_in_force(database: Database) -> None:
    """Whatever their ids: two of them, of which the other has the lower id."""
    texts = chain(("a", 1, ""), ("b", 2, "a"))
    log(database, [SENIOR])
    first = cut(SENIOR, REMOVED, texts["a"])
    others = (chain((str(number), 3, ""))[str(number)] for number in count())
    second = next(one for end in others if (one := cut(SENIOR, REMOVED, end, sequence=2)).id < first.id)
    arrive(database, *texts.values(), second, first)
    assert apart(database) == {texts["b"].id}


def test_case_88_a_terminal_without_a_rank_is_cut_by_any_live_one(database: Database) -> None:
    """Its adding counts no more; a senior live terminal keeps nobody from it."""
    texts = chain(("a", 1, ""), ("b", 2, "a"))
    with database.transaction():
        persons.replace_terminals(
            database,
            THEM,
            [
                TerminalRow(THEM, one, blob(f"static {one.hex()}"), live, place)
                for one, live, place in ((SENIOR, True, 0), (JUNIOR, True, 1), (REMOVED, False, None))
            ],
        )
    arrive(database, *texts.values(), cut(JUNIOR, REMOVED, texts["a"]))
    assert apart(database) == {texts["b"].id}


def test_case_88_the_log_of_a_third_person_gives_no_right_to_cut(database: Database) -> None:
    """Several logs may hold one key, which is live in that of another contact alone."""
    texts = chain(("a", 1, ""), ("b", 2, "a"))
    log(database, [JUNIOR])
    stranger = blob("a third person")
    rows = [
        TerminalRow(stranger, one, blob("static"), one == SENIOR, place)
        for place, one in enumerate((SENIOR, REMOVED))
    ]
    with database.transaction():
        persons.replace_terminals(database, stranger, rows)
    arrive(database, *texts.values(), cut(JUNIOR, REMOVED, texts["b"]), cut(SENIOR, REMOVED, texts["a"]))
    assert apart(database) == set()


def test_case_88_a_cut_that_came_before_the_removal_is_in_force_from_then_on(database: Database) -> None:
    """Of an own terminal, in the conversation with a contact."""
    own_log(database, OWN)
    texts = [sample("a", author=OWN[3])]
    texts.append(sample("b", author=OWN[3], sequence=2, previous=texts[0].id))
    arrive(database, *texts, cut(ME.terminal, OWN[3], texts[0]), former=())
    assert apart(database) == set()
    own_log(database, OWN[:2])
    assert apart(database) == {texts[1].id}


def test_case_99_a_cut_that_only_an_own_terminal_passed_on_is_not_in_force_until_it_is_covered(
    database: Database,
) -> None:
    """Nor does it take the place of a later one that the contact passed."""
    texts = chain(("a", 1, ""), ("b", 2, "a"))
    log(database, [SENIOR])
    elsewhere = chain(("nowhere", 1, ""))["nowhere"]
    invented = cut(SENIOR, REMOVED, elsewhere)
    genuine = cut(SENIOR, REMOVED, texts["a"], sequence=2)
    arrive(database, *texts.values(), genuine)
    with database.transaction():
        passed_on = entries.insert_all(database, [invented], ME.terminal)
        repair.doubt(database, passed_on, [ME.terminal])
    assert apart(database) == {texts["b"].id}
    log(database, [SENIOR, SECOND])
    assert apart(database) == {texts["b"].id}
    with database.transaction():
        repair.cover(database, TALK, [invented])
    assert apart(database) == {texts["a"].id, texts["b"].id}


# --- What a terminal writes ---


OWN = [blob("own senior"), ME.terminal, blob("own second"), blob("own junior")]


def own_log(database: Database, live: Sequence[bytes]) -> None:
    rows = [
        TerminalRow(ME.person, one, blob(f"static {place}"), one in live, place)
        for place, one in enumerate(OWN)
    ]
    with database.transaction():
        contacts.add(database, ContactRow(THEM, "Ben", "", PAIRED, False, False, False, 1))
        persons.replace_terminals(database, ME.person, rows)


def test_case_88_a_contact_that_claims_a_removed_own_terminal_lets_nothing_of_it_in(
    database: Database,
) -> None:
    own_log(database, OWN[:2])
    log(database, [SENIOR, OWN[3]], [SENIOR, OWN[3]])
    late = sample("late", author=OWN[3])
    arrive(database, cut(SENIOR, OWN[3], late), former=())
    arrive(database, late, former=[OWN[3]])
    assert apart(database) == {late.id}


def plan(database: Database, *gone: bytes, stolen: bool = True, handed_over: bool = False) -> None:
    with database.transaction():
        quarantine.plan(database, gone, stolen=stolen, handed_over=handed_over)


def dues(database: Database, terminal: bytes = ME.terminal) -> dict[bytes, list[bytes] | None]:
    """By terminal, the heads that a cut of it is to name in the conversation, None for those held later."""
    return {
        one.terminal: None if one.body is None else [head.id for head in read_cut(one.body).heads]
        for one in quarantine.due(database, terminal)
        if one.conversation == TALK
    }


def test_case_88_cuts_of_stolen_terminals_are_due_at_what_was_held_also_of_one_that_was_silent(
    database: Database,
) -> None:
    own_log(database, OWN)
    held, later = sample("held", author=OWN[2]), sample("later", author=OWN[2], incarnation=os.urandom(8))
    arrive(database, held, former=())
    plan(database, OWN[2], OWN[3])
    assert dues(database) == {}, "they are live"
    own_log(database, OWN[:2])
    arrive(database, later, former=[OWN[2]])
    assert dues(database) == {OWN[2]: [held.id], OWN[3]: []}
    assert dues(database, OWN[3]) == {}, "a removed terminal cuts nobody"


def test_case_88_a_cut_of_a_lost_terminal_waits_and_keeps_all_that_is_held_then(database: Database) -> None:
    own_log(database, OWN)
    arrive(database, sample("by the first", author=OWN[0]), former=())
    plan(database, OWN[3], stolen=False)
    own_log(database, OWN[:2])
    late = sample("late", author=OWN[3])
    arrive(database, late, former=[OWN[3]])
    assert dues(database) == {OWN[3]: None}
    assert [head.id for head in quarantine.held(database, TALK, OWN[3])] == [late.id]


def test_case_88_a_device_that_holds_nothing_cuts_as_if_the_other_one_was_lost(database: Database) -> None:
    own_log(database, OWN)
    plan(database, OWN[3])
    own_log(database, OWN[:2])
    assert dues(database) == {OWN[3]: None}


def test_case_88_no_cut_is_due_where_one_is_in_force_or_once_it_is_written(database: Database) -> None:
    own_log(database, OWN)
    held = [sample(f"held {place}", author=one) for place, one in enumerate(OWN)]
    arrive(database, *held, former=())
    plan(database, OWN[2], OWN[3])
    own_log(database, OWN[:2])
    arrive(database, cut(ME.terminal, OWN[2], held[2]), former=())
    assert dues(database) == {OWN[3]: [held[3].id]}
    with database.transaction():
        quarantine.written(database, TALK, OWN[3])
    assert dues(database) == {}


@pytest.mark.parametrize("handed_over", [False, True])
def test_case_88_who_takes_over_says_again_what_cuts_said_but_not_what_a_removed_terminal_cut(
    database: Database, handed_over: bool
) -> None:
    own_log(database, OWN)
    held = sample("held", author=OWN[3])
    arrive(database, held, former=())
    own_log(database, OWN[:3])
    arrive(database, cut(OWN[0], OWN[3]), former=())
    assert apart(database) == {held.id}
    plan(database, OWN[0], handed_over=handed_over)
    own_log(database, OWN[1:3])
    assert dues(database)[OWN[3]] == ([] if handed_over else None)


def test_case_88_a_cut_without_heads_keeps_nothing_whenever_it_comes(database: Database) -> None:
    early, late = (sample(name, author=REMOVED, incarnation=os.urandom(8)) for name in ("early", "late"))
    log(database, RANKED)
    arrive(database, early, former=())
    log(database, [SENIOR])
    assert apart(database) == set()
    arrive(database, cut(SENIOR, REMOVED))
    arrive(database, late)
    assert apart(database) == {early.id, late.id}


def ends(database: Database) -> list[bytes]:
    with database.transaction():
        return [head.id for head in quarantine.heads(database, TALK, REMOVED)]


def test_case_88_a_cut_names_the_ends_of_what_counts(database: Database) -> None:
    texts = chain(("a", 1, ""), ("b", 2, "a"), ("c", 3, "b"), ("fork", 2, "a"))
    log(database, RANKED)
    arrive(database, texts["a"], texts["fork"], former=())
    log(database, [SENIOR])
    arrive(database, texts["b"], texts["c"])
    assert ends(database) == [texts["fork"].id]
    arrive(database, cut(SENIOR, REMOVED, texts["c"]))
    assert ends(database) == [texts["c"].id]


def test_case_88_a_cut_names_once_where_the_chains_of_a_fork_begin_that_does_not_count(
    database: Database,
) -> None:
    texts = chain(("a", 1, ""), ("b", 2, "a"), ("fork", 2, "a"))
    log(database, RANKED)
    arrive(database, texts["a"], former=())
    log(database, [SENIOR])
    arrive(database, texts["b"], texts["fork"])
    assert ends(database) == [texts["a"].id]


def test_case_88_a_cut_names_nothing_of_another_author_or_conversation(database: Database) -> None:
    """An author may name any entry as the one before its own."""
    other = blob("another conversation")
    log(database, RANKED)
    elsewhere = sample("elsewhere", author=REMOVED, conversation=other)
    by_another = sample("by another", author=SENIOR)
    with database.transaction():
        contacts.ensure_conversation(database, other, contacts.TWO, THEM)
    arrive(database, elsewhere, by_another, former=())
    log(database, [SENIOR])
    late = [
        sample(f"after {one.said}", author=REMOVED, sequence=2, previous=one.id, incarnation=os.urandom(8))
        for one in (elsewhere, by_another)
    ]
    arrive(database, *late)
    assert apart(database) == {one.id for one in late}
    assert ends(database) == []


def test_case_88_of_many_ends_a_cut_names_the_highest(database: Database) -> None:
    ends = [
        sample(str(number), author=REMOVED, sequence=number, previous=blob("gap"), incarnation=os.urandom(8))
        for number in range(2, CUT_HEADS_MAX + 4)
    ]
    log(database, RANKED)
    arrive(database, *ends, former=())
    found = quarantine.heads(database, TALK, REMOVED)
    assert [head.sequence for head in found] == list(range(4, CUT_HEADS_MAX + 4))


def test_case_88_a_body_that_comes_to_a_header_that_a_cut_lets_in_is_not_marked(database: Database) -> None:
    entry = chain(("a", 1, ""))["a"]
    log(database, [SENIOR])
    arrive(database, alone(entry), cut(SENIOR, REMOVED, entry))
    settle(database)
    with database.transaction():
        (filled,) = entries.insert_all(database, [entry], ME.terminal, former=[REMOVED])
    assert (filled.filled, filled.quarantined, apart(database)) == (True, False, set())


def test_case_88_a_deleted_cut_of_a_removed_conversation_counts_once_its_body_comes_again(
    database: Database,
) -> None:
    texts = chain(("a", 1, ""), ("b", 2, "a"))
    said = cut(SENIOR, REMOVED, texts["a"])
    log(database, [SENIOR])
    arrive(database, said, *texts.values())
    with database.transaction():
        entries.destroy(database, said.id)
        remove_conversation(database, contacts.conversation_number(database, TALK))
        contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)
    arrive(database, *texts.values(), alone(said))
    arrive(database, said)
    assert apart(database) == {texts["b"].id}


def test_case_84_what_this_terminal_wrote_with_former_keys_comes_back_read(database: Database) -> None:
    log(database, RANKED)
    own_log(database, OWN)
    own_log(database, OWN[:2])
    arrive(database, sample("mine", author=OWN[2]), former=[OWN[2]], ours=[ME.terminal, OWN[2]])
    assert receipts.unread(database, TALK) == 0
    arrive(database, sample("theirs", author=REMOVED))
    assert receipts.unread(database, TALK) == 1


# --- In pieces ---


def long_chain(count: int, author: bytes = REMOVED, incarnation: bytes = b"incarnat") -> list[ParsedEntry]:
    """Entries of a terminal in one chain."""
    made: list[ParsedEntry] = []
    for number in range(1, count + 1):
        previous = made[-1].id if made else b""
        made.append(
            sample(str(number), author=author, sequence=number, previous=previous, incarnation=incarnation)
        )
    return made


def changes(database: Database) -> int:
    return int(database.value("SELECT total_changes()"))


def test_case_94_a_cut_of_a_long_chain_leaves_out_a_piece_of_it_at_a_time(database: Database) -> None:
    """The newest first, which are on the screen; also what a late entry lets in."""
    chain = long_chain(10 * quarantine.PIECE)
    kept, gap = chain[: quarantine.PIECE], chain[-3]
    log(database, RANKED)
    arrive(database, *(one for one in chain if one is not gap), former=())
    log(database, [SENIOR])
    settle(database)
    before = changes(database)
    arrive(database, cut(SENIOR, REMOVED, kept[-1]))
    assert changes(database) - before < 40
    with database.transaction():
        quarantine.settle_next(database, 0)
    assert changes(database) - before < 2 * quarantine.PIECE
    newest = [row for row in entries.page(database, TALK, 3_000) if row.quarantined]
    assert chain[-1].id in {row.id for row in newest}
    assert settle(database) >= 8
    left_out = {one.id for one in chain[len(kept) :] if one is not gap}
    assert {row.id for row in entries.page(database, TALK, 3_000) if row.quarantined} == left_out
    before = changes(database)
    arrive(database, cut(SECOND, REMOVED, gap), cut(SENIOR, REMOVED, gap, sequence=2))
    log(database, [SECOND])
    settle(database)
    assert apart(database) <= {one.id for one in chain[-2:]} | left_out
    before = changes(database)
    arrive(database, gap)
    assert changes(database) - before < 2 * quarantine.PIECE
    assert settle(database) >= 8
    counting = {row.id for row in entries.page(database, TALK, 3_000) if not row.quarantined}
    assert {one.id for one in chain[:-2]} <= counting
    assert not {one.id for one in chain[-2:]} & counting


def test_case_94_a_cut_that_leaves_out_nothing_takes_one_piece_whatever_it_leads_to(
    database: Database,
) -> None:
    chain = long_chain(5 * quarantine.PIECE)
    log(database, RANKED)
    arrive(database, *chain, former=())
    log(database, [SENIOR])
    assert settle(database) == 0
    arrive(database, cut(SENIOR, REMOVED, chain[-1]))
    assert settle(database) == 1
    assert apart(database) == set()


def test_case_94_what_was_held_before_stays_when_a_late_entry_lets_in_many(database: Database) -> None:
    chain = long_chain(3 * quarantine.PIECE)
    *late, gap, held = chain
    other = sample("a fork from before", author=REMOVED, incarnation=b"copied!!")
    log(database, RANKED)
    arrive(database, other, held, former=())
    log(database, [SENIOR])
    arrive(database, *late)
    settle(database)
    assert len([row for row in entries.page(database, TALK, 2_000) if row.quarantined]) == len(late)
    arrive(database, gap)
    assert settle(database) >= 2
    assert not [row for row in entries.page(database, TALK, 2_000) if row.quarantined]


def test_case_94_the_first_cut_of_a_terminal_is_found_without_the_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A live terminal may write any number of them."""
    texts, steps = chain(("a", 1, ""), ("b", 2, "a")), list[int]()
    log(database, [SENIOR])
    arrive(database, *texts.values())
    for sequences in (range(1, 20), range(20, 400)):
        arrive(database, *(cut(SENIOR, REMOVED, texts["a"], sequence=number) for number in sequences))
        taken = [0]

        def count(taken: list[int] = taken) -> int:
            taken[0] += 1
            return 0

        database._connection.set_progress_handler(count, 1)
        log(database, [SENIOR])
        database._connection.set_progress_handler(None, 0)
        steps.append(taken[0])
    assert steps[0] == steps[1]
    assert apart(database) == {texts["b"].id}


def test_case_94_a_fork_that_ends_below_the_first_piece_is_left_out_too(database: Database) -> None:
    long = long_chain(2 * quarantine.PIECE)
    fork = sample(
        "written by a copy", author=REMOVED, sequence=2, previous=long[0].id, incarnation=b"copied!!"
    )
    log(database, RANKED)
    arrive(database, *long, fork, former=())
    log(database, [SENIOR])
    arrive(database, cut(SENIOR, REMOVED, long[-1]))
    settle(database)
    assert [row.id for row in entries.page(database, TALK, 1_000) if row.quarantined] == [fork.id]


def test_case_94_what_a_late_entry_lets_in_leaves_nothing_undecided(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leads to more than a piece, and a fork of which the cut says nothing was held before."""
    monkeypatch.setattr(quarantine, "PIECE", 3)
    fork, named = long_chain(6, incarnation=b"copied!!"), long_chain(6)
    log(database, RANKED)
    arrive(database, *fork, former=())
    log(database, [SENIOR])
    arrive(database, cut(SENIOR, REMOVED, named[-1]), *named[:-1])
    with database.transaction():
        quarantine.settle_next(database, 0)
    arrive(database, named[-1])
    assert apart(database) == {one.id for one in fork}


def test_case_94_rules_are_applied_in_turn_and_clients_hear_of_the_first_piece_and_of_the_last(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two removed terminals in one conversation, of which a cut leaves out most."""
    monkeypatch.setattr(quarantine, "PIECE", 4)
    chains = [long_chain(15, author) for author in (REMOVED, SECOND)]
    log(database, RANKED)
    arrive(database, *chains[0], *chains[1], former=())
    log(database, [SENIOR])
    cuts = [cut(SENIOR, REMOVED, chains[0][0]), cut(SENIOR, SECOND, chains[1][0], sequence=2)]
    arrive(database, *cuts)
    turns, after = list[tuple[int, list[bytes]]](), 0
    while entries.is_unsettled(database):
        with database.transaction():
            number, changed = quarantine.settle_next(database, after)
        assert number is not None
        turns.append((number, changed))
        after = number
    first, second = sorted({number for number, _ in turns})
    assert [number for number, _ in turns] == [first, second] * 4
    assert [bool(changed) for _, changed in turns] == [True, True, False, False, False, False, True, True]
    assert apart(database) == {one.id for chain in chains for one in chain[1:]}


def marked(database: Database) -> set[bytes]:
    """The contacts in whose conversations other entries are quarantined than clients know."""
    found = set[bytes]()
    while entries.is_unsettled(database):
        with database.transaction():
            found.update(quarantine.settle_next(database, 0)[1])
    return found


def test_case_88_clients_hear_of_each_change_of_what_they_know_and_of_no_other(database: Database) -> None:
    texts = chain(("a", 1, ""), ("b", 2, "a"), ("c", 3, "b"), ("d", 4, "c"), ("fork", 4, "c"))
    log(database, RANKED)
    arrive(database, texts["c"], former=())
    assert marked(database) == set()
    log(database, [SENIOR])
    assert marked(database) == set(), "all that is held counts"
    arrive(database, texts["a"])
    assert marked(database) == set(), "a new entry says itself that it is quarantined"
    arrive(database, texts["b"])
    assert marked(database) == {THEM}, "it lets in the first"
    arrive(database, cut(SENIOR, REMOVED, texts["c"], texts["fork"]))
    assert marked(database) == set(), "the cut leaves out nothing"
    arrive(database, texts["d"])
    assert marked(database) == set()
    arrive(database, texts["fork"])
    assert marked(database) == set(), "what it leads to counted before"
    log(database, RANKED)
    assert marked(database) == {THEM}, "the terminal is live again"
