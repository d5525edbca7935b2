"""Which entries of removed terminals count: the database agrees with protocol.history, in any order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat.storage import contacts, entries, persons, quarantine, receipts, repair
from chat.storage.database import Database
from chat.storage.persons import TerminalRow
from protocol import labels
from protocol.codec import encode
from protocol.entries_and_receipts import KIND_CUT, ParsedEntry, cut_body, parse_entry
from protocol.history import cuts_in_force, quarantined
from protocol.limits import CUT_HEADS_MAX, CUTS_MAX
from protocol.messages import CutHead, Entry, EntryHeader
from protocol.primitives import b2b
from tests.support.storage.samples import ME, TALK, THEM, blob, sample

RANKED = [blob(f"their {name}") for name in ("senior", "removed", "second", "junior")]
SENIOR, REMOVED, SECOND, JUNIOR = RANKED
SALT = bytes(16)


def log(database: Database, live: Sequence[bytes], ranked: Sequence[bytes] = RANKED) -> None:
    rows = [
        TerminalRow(THEM, one, blob(f"sign {one.hex()}"), blob(f"static {one.hex()}"), one in live, place)
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


def arrive(database: Database, *arriving: ParsedEntry, former: Sequence[bytes] = (REMOVED,)) -> None:
    with database.transaction():
        entries.insert_all(database, arriving, ME.terminal, former=former)


def apart(database: Database) -> set[bytes]:
    return {row.id for row in entries.page(database, TALK, 100) if row.quarantined}


CUTS = ["senior", "senior again", "second", "junior"]
STEPS = ["a", "b", "c", "d", "fork", "climbs", *CUTS, "remove", "recover"]


@given(st.permutations(STEPS))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_case_88_what_counts_is_what_the_protocol_says(database: Database, steps: list[str]) -> None:
    """A terminal is removed, its seniors go too, and entries and cuts come before or after, in any order."""
    trunk = ("a", 1, ""), ("b", 2, "a"), ("c", 3, "b"), ("d", 4, "c")
    texts = chain(*trunk, ("fork", 3, "b"), ("climbs", 2, "c"))
    arriving = texts | {
        "senior": cut(SENIOR, REMOVED, texts["c"], texts["fork"]),
        "senior again": cut(SENIOR, REMOVED, texts["a"], sequence=2),
        "second": cut(SECOND, REMOVED, texts["b"]),
        "junior": cut(JUNIOR, REMOVED, texts["d"], texts["climbs"]),
    }
    with database.transaction():
        contacts.remove_conversation(database, contacts.conversation_number(database, TALK))
        contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)
    live, before, held = list(RANKED), set[bytes](), dict[bytes, ParsedEntry]()
    log(database, live)
    for step in steps:
        if step == "remove":
            live.remove(REMOVED)
            before = set(held)
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
        assert apart(database) & {entry.id for entry in texts.values()} == expected


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
        contacts.remove_conversation(database, contacts.conversation_number(database, TALK))
        contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)
    arrive(database, *texts.values(), said)
    assert apart(database) == {texts["b"].id}


def test_case_88_a_header_alone_cuts_nothing_until_its_body_comes(database: Database) -> None:
    texts = chain(("a", 1, ""), ("b", 2, "a"))
    log(database, [SENIOR])
    said = cut(SENIOR, REMOVED, texts["a"])
    alone = parse_entry(Entry(said.header_bytes, b"", b""))
    arrive(database, alone, *texts.values())
    assert apart(database) == {texts["a"].id, texts["b"].id}
    arrive(database, said)
    assert apart(database) == {texts["b"].id}


def test_case_88_the_sixteen_most_senior_cut(database: Database) -> None:
    texts = chain(("a", 1, ""), ("b", 2, "a"))
    seniors = [blob(f"senior {number}") for number in range(CUTS_MAX + 1)]
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
    with database.transaction():
        contacts.remove_conversation(database, contacts.conversation_number(database, TALK))
    for table in ("cuts", "late", "quarantine"):
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
                TerminalRow(THEM, one, blob(f"sign {one.hex()}"), blob(f"static {one.hex()}"), live, place)
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
        TerminalRow(stranger, one, blob("sign"), blob("static"), one == SENIOR, place)
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
        repair.cover(database, [invented])
    assert apart(database) == {texts["a"].id, texts["b"].id}


# --- What a terminal writes ---


OWN = [blob("own senior"), ME.terminal, blob("own second"), blob("own junior")]


def own_log(database: Database, live: Sequence[bytes]) -> None:
    rows = [
        TerminalRow(ME.person, one, blob(f"sign {place}"), blob(f"static {place}"), one in live, place)
        for place, one in enumerate(OWN)
    ]
    with database.transaction():
        persons.replace_terminals(database, ME.person, rows)


def test_case_88_a_cut_is_due_for_a_junior_that_wrote_here(database: Database) -> None:
    written = [sample(f"by {number}", author=one) for number, one in enumerate(OWN)]
    own_log(database, OWN)
    arrive(database, *written, former=())
    assert quarantine.due(database, ME.terminal) == []
    own_log(database, OWN[:2])
    assert set(quarantine.due(database, ME.terminal)) == {(TALK, OWN[2]), (TALK, OWN[3])}
    assert quarantine.heads(database, TALK, OWN[3]) == [CutHead(b"incarnat", 1, written[3].id)]
    own_log(database, [OWN[1]])
    assert (TALK, OWN[0]) in quarantine.due(database, ME.terminal), "no senior is live"
    own_log(database, [OWN[0], OWN[2]])
    assert quarantine.due(database, OWN[2]) == [(TALK, OWN[3])], "a senior one is cut by the first"
    own_log(database, OWN[:1])
    assert quarantine.due(database, ME.terminal) == [], "a removed terminal cuts nobody"


def test_case_88_no_cut_is_due_twice_or_without_anything_that_counts(database: Database) -> None:
    own_log(database, OWN[:2])
    late = sample("late", author=OWN[3])
    arrive(database, late, former=[OWN[3]])
    assert quarantine.due(database, ME.terminal) == []
    held = sample("held", author=OWN[2])
    own_log(database, OWN)
    arrive(database, held, former=())
    own_log(database, OWN[:2])
    assert quarantine.due(database, ME.terminal) == [(TALK, OWN[2]), (TALK, OWN[3])]
    arrive(database, cut(ME.terminal, OWN[2], held), former=())
    assert quarantine.due(database, ME.terminal) == [(TALK, OWN[3])]


def test_case_88_a_cut_names_the_ends_of_what_counts(database: Database) -> None:
    texts = chain(("a", 1, ""), ("b", 2, "a"), ("c", 3, "b"), ("fork", 2, "a"))
    log(database, RANKED)
    arrive(database, texts["a"], texts["fork"], former=())
    log(database, [SENIOR])
    arrive(database, texts["b"], texts["c"])
    assert [head.id for head in quarantine.heads(database, TALK, REMOVED)] == [texts["fork"].id]
    arrive(database, cut(SENIOR, REMOVED, texts["c"]))
    assert [head.id for head in quarantine.heads(database, TALK, REMOVED)] == [texts["c"].id]


def test_case_88_of_many_ends_a_cut_names_the_highest(database: Database) -> None:
    ends = [
        sample(str(number), author=REMOVED, sequence=number, previous=blob("gap"), incarnation=os.urandom(8))
        for number in range(2, CUT_HEADS_MAX + 4)
    ]
    log(database, RANKED)
    arrive(database, *ends, former=())
    found = quarantine.heads(database, TALK, REMOVED)
    assert [head.sequence for head in found] == list(range(4, CUT_HEADS_MAX + 4))
