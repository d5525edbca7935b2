"""Deletes and edits: the database agrees with protocol.amendments in any order, and its work is bounded."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from msgspec.structs import replace

from chat.storage import (
    amending,
    amendments,
    clearing,
    contacts,
    entries,
    expiry,
    forgetting,
    migrations,
    persons,
    quarantine,
    receipts,
    removal,
    repair,
    secure_deletion,
)
from chat.storage.amending import Follower
from chat.storage.database import Database
from chat.storage.expiry import Moment
from chat.storage.persons import TerminalRow
from protocol import labels
from protocol.amendments import deleted, edits
from protocol.codec import encode
from protocol.entries_and_receipts import (
    KIND_CUT,
    KIND_DELETE,
    KIND_EDIT,
    KIND_TEXT,
    ParsedEntry,
    cut_body,
    delete_body,
    edit_body,
    parse_entry,
    read_edit,
    read_text,
    self_tag,
    text_body,
)
from protocol.messages import CutHead, Entry, EntryHeader
from protocol.primitives import b2b
from tests.support.lab.inspection import residues
from tests.support.storage.samples import (
    KEY,
    ME,
    TALK,
    THEIR_TERMINAL,
    THEM,
    blob,
    find,
    remove_conversation,
)

SALT = bytes(16)
OTHER = TerminalRow(THEM, blob("their other terminal"), blob("static 2"), True, 1)


def write(author: bytes, kind: int, body: bytes, time: int, talk: bytes = TALK) -> ParsedEntry:
    """An entry of a chain of its own."""
    header = EntryHeader(
        conversation=talk,
        author=author,
        incarnation=b2b(body, personal=labels.CONTENT)[:8],
        sequence=1,
        previous=b"",
        parents=[],
        membership=[blob("a head")],
        time=time,
        kind=kind,
        timer=0,
        until=0,
        content=b2b(SALT + body, personal=labels.CONTENT),
        self_tag=b"",
    )
    if author == ME.terminal:
        header = replace(header, self_tag=self_tag(header, ME.first_self_key))
    return parse_entry(Entry(encode(header), SALT, body))


def said(author: bytes, text: str, time: int = 1) -> ParsedEntry:
    return write(author, KIND_TEXT, text_body(text), time)


def edit(author: bytes, original: ParsedEntry, text: str, time: int = 2) -> ParsedEntry:
    return write(author, KIND_EDIT, edit_body(original.id, text), time)


def delete(author: bytes, *named: ParsedEntry, time: int = 3) -> ParsedEntry:
    return write(author, KIND_DELETE, delete_body(entry.id for entry in named), time)


def arrive(database: Database, *new: ParsedEntry) -> list[bytes]:
    """Insert entries and follow all that is due; returns what shows something else than before."""
    changed = list[bytes]()
    with database.transaction():
        entries.insert_all(database, new, ME.terminal)
    while entries.is_unsettled(database):
        follower = Follower(database)
        with database.transaction():
            follower.piece()
        changed += follower.changed
    return changed


MINE, THEIRS = said(ME.terminal, "mine"), said(THEIR_TERMINAL.terminal, "theirs")
LATE = said(OTHER.terminal, "of the other terminal")
_CUT = write(
    THEIR_TERMINAL.terminal, KIND_CUT, cut_body(blob("removed"), [CutHead(bytes(8), 1, blob("its end"))]), 1
)
_FIRST = edit(THEIR_TERMINAL.terminal, THEIRS, "theirs edited")
_GONE = delete(THEIR_TERMINAL.terminal, THEIRS)
ALL = {
    "mine": MINE,
    "theirs": THEIRS,
    "late": LATE,
    "cut": _CUT,
    "edit": _FIRST,
    "later edit": edit(THEIR_TERMINAL.terminal, THEIRS, "theirs at last", 9),
    "edit of the other": edit(OTHER.terminal, THEIRS, "theirs by the other", 5),
    "edit of late": edit(THEIR_TERMINAL.terminal, LATE, "late edited"),
    "edit of mine": edit(ME.terminal, MINE, "mine edited"),
    "foreign edit": edit(THEIR_TERMINAL.terminal, MINE, "not mine", 9),
    "foreign edit, own": edit(ME.terminal, THEIRS, "not theirs", 99),
    "edit of an edit": edit(THEIR_TERMINAL.terminal, _FIRST, "twice", 7),
    "delete": _GONE,
    "delete late": delete(THEIR_TERMINAL.terminal, LATE, MINE),
    "delete an edit": delete(OTHER.terminal, _FIRST),
    "delete all": delete(ME.terminal, MINE, THEIRS, _GONE),
    "delete the delete": delete(OTHER.terminal, _GONE, _CUT),
}


def expected(names: list[str], here: set[bytes]) -> tuple[set[bytes], dict[bytes, str]]:
    """Ids of all that is deleted, and the texts that are shown, by id."""
    held = {ALL[name].id: ALL[name] for name in names}
    own = {one for one, entry in held.items() if entry.header.author == ME.terminal}
    gone = deleted(held, own) | here
    for one, entry in held.items():
        named = getattr(entry.amends, "entry", b"")
        if named in here and (one in own) == (named in own):
            gone.add(one)
    shown = edits(held, own, (), here)
    texts = {
        one: entry.said.text for one, entry in held.items() if entry.said is not None and one not in gone
    }
    for one, some in shown.items():
        texts[one] = read_edit(held[some[-1]].body).text
    return gone, texts


def held_texts(database: Database) -> tuple[set[bytes], dict[bytes, str]]:
    rows = [entries.get(database, entry) for (entry,) in database.rows("SELECT id FROM entries")]
    texts = dict[bytes, str]()
    for row in rows:
        if row is not None and row.kind == KIND_TEXT and row.salt:
            change = row.amended
            texts[row.id] = read_text(row.body).text if change is None else read_edit(change.body).text
    return {row.id for row in rows if row is not None and row.deleted}, texts


@given(
    order=st.permutations(sorted(ALL)),
    most=st.integers(1, len(ALL)),
    size=st.integers(1, 5),
    here=st.none() | st.sampled_from(["theirs", "mine"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_database_agrees_with_the_definition_in_any_order(
    database: Database, order: list[str], most: int, size: int, here: str | None
) -> None:
    with database.transaction():
        number = contacts.find_conversation_number(database, TALK)
        if number is not None:
            remove_conversation(database, number)
        database.run("DELETE FROM deletions")
        persons.replace_terminals(database, THEM, [THEIR_TERMINAL, OTHER])
        contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)
    names, gone = order[:most], set[bytes]()
    for start in range(0, len(names), size):
        arrive(database, *(ALL[name] for name in names[start : start + size]))
        if here is not None and here in names[: start + size] and not gone:
            gone = {ALL[here].id}
            with database.transaction():
                entries.destroy(database, ALL[here].id)
                amendments.wake(database, ALL[here].id)
            arrive(database)
    found = held_texts(database)
    # Whether an edit without effect is kept says the order of arrival.
    useless = {ALL[name].id for name in ("foreign edit", "foreign edit, own", "edit of an edit")}
    wanted = expected(names, gone)
    assert (found[0] - useless, found[1]) == (wanted[0] - useless, wanted[1])
    for entry, text in found[1].items():
        assert [row.id for row in find(database, f'"{text}"') if row.id == entry] == [entry]
    words = {row.id for row in find(database, "theirs") + find(database, "mine") + find(database, "late")}
    assert words <= found[1].keys()
    again = arrive(database, *(ALL[name] for name in names))
    assert again == [], "what is in force does not change"
    assert held_texts(database)[1] == found[1]


def test_an_uncovered_delete_has_no_effect_until_the_contact_stands_for_it(database: Database) -> None:
    """A thief of an own terminal could invent it."""
    gone = delete(THEIR_TERMINAL.terminal, THEIRS)
    arrive(database, THEIRS)
    with database.transaction():
        new = entries.insert_all(database, [gone], ME.terminal)
        repair.doubt(database, new, {ME.terminal})
    assert arrive(database) == []
    assert held_texts(database) == (set(), {THEIRS.id: "theirs"})
    with database.transaction():
        repair.cover(database, TALK, [gone])
    assert arrive(database) == [THEIRS.id]
    assert held_texts(database) == ({THEIRS.id}, {})


def test_a_cleared_edit_of_an_entry_that_comes_later_is_not_shown(database: Database) -> None:
    arrive(database, edit(THEIR_TERMINAL.terminal, THEIRS, "edited"))
    with database.transaction():
        clearing.begin(database, TALK)
    arrive(database, THEIRS)
    with database.transaction():
        assert clearing.next_piece(database) is not None
        assert clearing.next_piece(database) is None
    assert held_texts(database)[1] == {THEIRS.id: "theirs"}
    assert find(database, "edited") == []
    assert [row.id for row in find(database, "theirs")] == [THEIRS.id]


def test_long_edits_are_followed_in_pieces_and_each_text_is_indexed_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contact decides how much is indexed, and everybody waits for a piece of work."""
    written = list[int]()

    def indexed(text: str, conversation: int, time: int) -> str:
        written.append(len(text))
        return entries.indexed(text, conversation, time)

    monkeypatch.setattr(amending, "indexed", indexed)
    monkeypatch.setattr(amending, "PIECE_BYTES", 3_000)
    originals = [said(THEIR_TERMINAL.terminal, f"text {n}") for n in range(6)]
    arrive(database, *originals)
    some = [edit(THEIR_TERMINAL.terminal, one, f"{n:<1000}") for n, one in enumerate(originals)]
    with database.transaction():
        entries.insert_all(database, some, ME.terminal)
    turns = list[int]()
    while following(database, 0) is not None:
        turns.append(len(written))
        written.clear()
    assert turns == [3, 3]
    arrive(database, *(edit(THEIR_TERMINAL.terminal, originals[0], f"edit {n}", 10 + n) for n in range(20)))
    assert len(written) == 1
    assert held_texts(database)[1][originals[0].id] == "edit 19"


def test_a_contact_who_deletes_very_much_delays_no_other_conversation(database: Database) -> None:
    other = blob("another conversation")
    flood = [
        write(THEIR_TERMINAL.terminal, KIND_DELETE, delete_body(blob(f"{n} {k}") for k in range(64)), n)
        for n in range(5)
    ]
    theirs = write(THEIR_TERMINAL.terminal, KIND_TEXT, text_body("said elsewhere"), 1, other)
    gone = write(THEIR_TERMINAL.terminal, KIND_DELETE, delete_body([theirs.id]), 2, other)
    with database.transaction():
        entries.insert_all(database, flood, ME.terminal)
        entries.insert_all(database, [theirs, gone], ME.terminal, contact=blob("another contact"))
    turn, turns = 0, list[int]()
    while (found := following(database, turn)) is not None:
        turns.append(turn := found)
    assert turns == [1, 2, 1, 1, 1, 1]
    assert theirs.id in held_texts(database)[0]


def following(database: Database, after: int) -> int | None:
    with database.transaction():
        return Follower(database).piece(after)


@pytest.mark.parametrize("many", [amending.PIECE * 3 + 1])
def test_a_delete_of_an_entry_with_many_edits_is_followed_in_pieces(database: Database, many: int) -> None:
    arrive(database, THEIRS)
    some = [edit(THEIR_TERMINAL.terminal, THEIRS, f"edit {n}", 10 + n) for n in range(many)]
    arrive(database, *some)
    assert held_texts(database)[1] == {THEIRS.id: f"edit {many - 1}"}
    with database.transaction():
        entries.insert_all(database, [delete(THEIR_TERMINAL.terminal, THEIRS, time=5_000)], ME.terminal)
    pieces = 0
    while entries.is_unsettled(database):
        with database.transaction():
            before = database.value("SELECT count(*) FROM bodies")
            Follower(database).piece()
            assert before - database.value("SELECT count(*) FROM bodies") <= amending.PIECE + 1
        pieces += 1
    assert pieces > 1
    assert held_texts(database)[0] == {THEIRS.id, *(one.id for one in some)}


def test_a_delete_of_many_entries_with_many_edits_is_followed_in_pieces(database: Database) -> None:
    originals = [said(THEIR_TERMINAL.terminal, f"text {n}") for n in range(9)]
    arrive(database, *originals)
    for one in originals:
        arrive(database, *(edit(THEIR_TERMINAL.terminal, one, f"{one.id.hex()} {n}") for n in range(60)))
    with database.transaction():
        entries.insert_all(database, [delete(THEIR_TERMINAL.terminal, *originals)], ME.terminal)
    most, held = 0, database.value("SELECT count(*) FROM bodies")
    while following(database, 0) is not None:
        before, held = held, database.value("SELECT count(*) FROM bodies")
        most = max(most, before - held)
    assert most <= 2 * (amending.PIECE + 1)
    assert held_texts(database)[1] == {}


def test_what_ends_or_is_cleared_goes_in_pieces_with_its_edits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contact decides how many edits there are, and everybody waits for a piece of work."""
    monkeypatch.setattr(forgetting, "DESTROYED_BYTES", 500)
    originals = [said(THEIR_TERMINAL.terminal, f"text {n}") for n in range(6)]
    arrive(database, *originals)
    for one in originals:
        arrive(database, *(edit(THEIR_TERMINAL.terminal, one, f"{one.id.hex()} {n}") for n in range(4)))
    with database.transaction():
        sql = "INSERT INTO expiring SELECT number, 1, 1, 1, 0 FROM entries WHERE kind = 1 AND number <= 3"
        database.run(sql)
        ended, more = expiry.expire(database, Moment(0, 1, "", 0), 256)
    assert (len(ended), more) == (1, True)
    with database.transaction():
        clearing.begin(database, TALK)
    bodies = [database.value("SELECT count(*) FROM bodies")]
    while bodies[-1]:
        with database.transaction():
            assert clearing.next_piece(database) is not None
        bodies.append(database.value("SELECT count(*) FROM bodies"))
    assert bodies == [25, 20, 15, 10, 5, 0]


def test_the_words_of_an_edit_without_effect_are_gone_at_once(database: Database) -> None:
    """Nothing shows them, and no delete of an entry would find them."""
    foreign, twice = ALL["foreign edit"], ALL["edit of an edit"]
    arrive(database, MINE, THEIRS, _CUT, _FIRST)
    arrive(database, foreign, twice, edit(THEIR_TERMINAL.terminal, _CUT, "a cut edited"))
    kept = {entry for (entry,) in database.rows("SELECT id FROM entries WHERE NOT destroyed")}
    assert kept == {MINE.id, THEIRS.id, _CUT.id, _FIRST.id}
    assert database.value("SELECT count(*) FROM bodies") == 4


def test_an_own_delete_is_followed_at_once_whatever_it_covers(database: Database) -> None:
    """Its person hears that the words are gone."""
    arrive(database, MINE)
    for n in range(amending.PIECE * 2 + 1):
        arrive(database, edit(ME.terminal, MINE, f"edit {n}", 10 + n))
    gone = delete(ME.terminal, MINE, time=5_000)
    with database.transaction():
        entries.insert_all(database, [gone], ME.terminal)
        Follower(database).entry(gone.id)
    assert database.value("SELECT count(*) FROM bodies") == 1
    assert not entries.is_unsettled(database)


def test_of_many_edits_the_last_ones_are_kept(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amending, "EDITS_KEPT", 3)
    arrive(database, THEIRS)
    for n in range(6):
        arrive(database, edit(THEIR_TERMINAL.terminal, THEIRS, f"edit {n}", 10 + n))
    kept = [read_edit(row.body).text for row in amending.edits_of(database, THEIRS.id)]
    assert kept == ["edit 3", "edit 4", "edit 5"]
    assert database.value("SELECT count(*) FROM amendments") == 3


def test_a_contact_fills_only_its_own_room_for_what_waits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amending, "WAITING_MAX", 5)
    flood = [
        write(THEIR_TERMINAL.terminal, KIND_DELETE, delete_body([blob(f"nothing {n}")]), n) for n in range(9)
    ]
    arrive(database, *flood)
    assert database.value("SELECT count(*) FROM amendments") == 5
    own = said(ME.terminal, "written on another terminal")
    arrive(database, delete(ME.terminal, own))
    assert arrive(database, own) == [own.id]
    assert held_texts(database) == ({own.id}, {})


def test_what_waits_does_not_slow_what_names_other_entries(database: Database) -> None:
    """The contact decides how much waits, and everybody waits for a piece of work."""

    def follow(new: ParsedEntry) -> int:
        taken = count()
        with database.transaction():
            entries.insert_all(database, [new], ME.terminal)
            database._connection.set_progress_handler(lambda: next(taken) < 0, 100)
            Follower(database).piece()
            database._connection.set_progress_handler(None, 0)
        return next(taken)

    def naming(first: int) -> ParsedEntry:
        body = delete_body(blob(f"nothing {n}") for n in range(first, first + 64))
        return write(THEIR_TERMINAL.terminal, KIND_DELETE, body, 1)

    few = follow(naming(0))
    arrive(database, *(naming(64 * n) for n in range(1, 40)))
    assert follow(naming(64 * 40)) < 3 * few
    assert follow(edit(THEIR_TERMINAL.terminal, said(THEIR_TERMINAL.terminal, "never"), "early")) < 3 * few


def test_what_waits_for_one_entry_is_bounded_and_a_delete_among_it_has_effect(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each further one looks at all that wait for the same entry."""
    monkeypatch.setattr(amending, "EDITS_KEPT", 3)
    arrive(database, *(edit(THEIR_TERMINAL.terminal, THEIRS, f"edit {n}", 10 + n) for n in range(9)))
    assert database.value("SELECT count(*) FROM amendments") == 3
    arrive(database, *(delete(THEIR_TERMINAL.terminal, THEIRS, blob_entry(), time=n) for n in range(9)))
    arrive(database, *(write(THEIR_TERMINAL.terminal, KIND_DELETE, delete_body([THEIRS.id]), 1),))
    assert database.value("SELECT count(*) FROM amendments WHERE target = ?", THEIRS.id) <= 3
    assert arrive(database, THEIRS) == [THEIRS.id]
    assert held_texts(database)[1] == {}


def test_deletes_and_edits_are_in_no_page_and_slow_none(database: Database) -> None:
    arrive(database, THEIRS, MINE, *ALL.values())
    shown = {row.id for row in entries.page(database, TALK, 100)}
    assert shown == {THEIRS.id, MINE.id, LATE.id, _CUT.id}
    assert receipts.unread(database, TALK) == 0
    plan = database.rows(
        "EXPLAIN QUERY PLAN SELECT id FROM entries WHERE conversation = 1 AND kind NOT IN (3, 4, 6)"
        " AND (rank, id) < (5, x'') ORDER BY rank DESC, id DESC LIMIT 9"
    )
    assert any("entries_by_rank" in str(row) for row in plan)


def test_attack_75_an_entry_deleted_for_everyone_and_its_edits_leave_nothing(database: Database) -> None:
    word = "zyxhippopotamusqwv"
    original = said(THEIR_TERMINAL.terminal, f"{word} said " * 9)
    some = [edit(THEIR_TERMINAL.terminal, original, f"{word}{n} edited " * 9, 10 + n) for n in range(40)]
    waits = edit(THEIR_TERMINAL.terminal, LATE, f"{word} waits " * 9)

    def left() -> list[str]:
        return [
            place
            for tail in (word, word[8:])
            for place in residues(database.path, KEY.reveal(), tail.encode())
        ]

    arrive(database, original, *some[:30], waits)
    assert left()
    arrive(database, delete(THEIR_TERMINAL.terminal, original, LATE, time=9_000))
    assert secure_deletion.clean_file(database)
    assert left() == []
    arrive(database, *some, original, waits)
    assert secure_deletion.clean_file(database)
    assert left() == []


def settle(database: Database) -> None:
    """Decide what counts, and follow it."""
    while entries.is_unsettled(database):
        with database.transaction():
            quarantine.settle_next(database, 0)
            Follower(database).piece()


def test_an_edit_of_a_removed_terminal_has_effect_once_a_cut_lets_it_count(
    database: Database,
) -> None:
    with database.transaction():
        gone = structs.replace(OTHER, live=False)
        persons.replace_terminals(database, THEM, [THEIR_TERMINAL, gone])
    arrive(database, THEIRS, LATE)
    late = [edit(OTHER.terminal, THEIRS, "by a thief?")]
    with database.transaction():
        entries.insert_all(database, late, ME.terminal, former=[OTHER.terminal])
    settle(database)
    assert held_texts(database)[1] == {THEIRS.id: "theirs", LATE.id: "of the other terminal"}
    heads = [CutHead(one.header.incarnation, one.header.sequence, one.id) for one in late]
    body = cut_body(OTHER.terminal, heads)
    with database.transaction():
        entries.insert_all(database, [write(THEIR_TERMINAL.terminal, KIND_CUT, body, 9)], ME.terminal)
    settle(database)
    assert held_texts(database)[1][THEIRS.id] == "by a thief?"


@pytest.mark.parametrize("first", [True, False])
def test_a_delete_of_a_removed_terminal_that_does_not_count_holds_for_its_own_entries_alone(
    database: Database, first: bool
) -> None:
    """What its person had deleted there must not come back, whichever of both comes first."""
    with database.transaction():
        gone = structs.replace(OTHER, live=False)
        persons.replace_terminals(database, THEM, [THEIR_TERMINAL, gone])
    late = [delete(OTHER.terminal, LATE), delete(OTHER.terminal, THEIRS, time=4)]
    for some in (late, [THEIRS, LATE]) if first else ([THEIRS, LATE], late):
        with database.transaction():
            entries.insert_all(database, some, ME.terminal, former=[OTHER.terminal])
        settle(database)
    assert held_texts(database) == ({LATE.id}, {THEIRS.id: "theirs"})


def test_an_edit_that_counts_no_more_is_not_shown(database: Database) -> None:
    late = edit(OTHER.terminal, THEIRS, "by a thief?")
    arrive(database, THEIRS, edit(THEIR_TERMINAL.terminal, THEIRS, "theirs edited", 1), late)
    assert held_texts(database)[1] == {THEIRS.id: "by a thief?"}
    cut = cut_body(OTHER.terminal, [CutHead(bytes(8), 1, blob("another one"))])
    with database.transaction():
        gone = structs.replace(OTHER, live=False)
        persons.replace_terminals(database, THEM, [THEIR_TERMINAL, gone])
        entries.insert_all(database, [write(THEIR_TERMINAL.terminal, KIND_CUT, cut, 9)], ME.terminal)
        quarantine.follow_log(database, THEM)
    settle(database)
    assert held_texts(database)[1] == {THEIRS.id: "theirs edited"}
    assert find(database, "thief") == []
    assert [row.id for row in find(database, "edited")] == [THEIRS.id]


def test_a_rebuilt_database_shows_the_same(database: Database) -> None:
    arrive(
        database, *(ALL[name] for name in ("theirs", "mine", "late", "edit", "later edit", "edit of mine"))
    )
    arrive(database, ALL["delete late"], delete(ME.terminal, blob_entry()))
    before = held_texts(database)
    with database.transaction():
        migrations.rebuild(database)
    settle(database)
    assert held_texts(database) == before
    assert [row.id for row in find(database, "last")] == [THEIRS.id]


def blob_entry() -> ParsedEntry:
    """An entry that does not come."""
    return said(ME.terminal, "this one never comes")


def pair_again(database: Database) -> None:
    """The contact is removed, of which the pieces are still to be done, and a contact again."""
    with database.transaction():
        removal.begin(database, contacts.conversation_number(database, TALK))
        contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)


def test_a_delete_waits_for_what_comes_again_while_its_conversation_is_being_removed(
    database: Database,
) -> None:
    gone = delete(THEIR_TERMINAL.terminal, THEIRS)
    arrive(database, THEIRS)
    pair_again(database)
    arrive(database, gone)
    arrive(database, THEIRS)
    assert held_texts(database) == ({THEIRS.id}, {})
    assert secure_deletion.clean_file(database)
    assert held_texts(database) == ({THEIRS.id}, {})


def test_an_edit_that_is_being_removed_shows_nothing_where_its_original_comes_again(
    database: Database,
) -> None:
    edited = edit(THEIR_TERMINAL.terminal, THEIRS, "theirs edited")
    arrive(database, THEIRS, edited)
    pair_again(database)
    arrive(database, THEIRS)
    assert held_texts(database) == (set(), {THEIRS.id: "theirs"})
    with database.transaction():
        amendments.wake(database, THEIRS.id)
    arrive(database, edited)
    assert secure_deletion.clean_file(database)
    assert held_texts(database) == (set(), {THEIRS.id: "theirs edited"})


def test_what_was_deleted_for_everyone_stays_so_after_another_pairing(database: Database) -> None:
    gone = delete(THEIR_TERMINAL.terminal, THEIRS)
    arrive(database, THEIRS, gone)
    with database.transaction():
        remove_conversation(database, contacts.conversation_number(database, TALK))
        contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)
    assert database.value("SELECT count(*) FROM amendments") == 0
    arrive(database, THEIRS)
    assert held_texts(database) == ({THEIRS.id}, {})
    arrive(database, gone)
    row = entries.get(database, THEIRS.id)
    assert row is not None
    assert row.amended is not None
    assert row.amended.id == gone.id
