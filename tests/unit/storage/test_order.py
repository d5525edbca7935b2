"""Graph, ranks, tips and heads: the same whatever the order of arrival, as a pure model has them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.storage import contacts, entries, migrations, ordering
from chat.storage.database import Database, Row
from chat.storage.entries import HeadRow, Position
from chat.storage.migrations import open_history
from protocol.entries_and_receipts import ParsedEntry
from tests.support.storage import samples as tables
from tests.support.storage.samples import KEY, ME, TALK, THEIR_TERMINAL, Author, blob, sample, store

OTHER_TALK = blob("another conversation")
AUTHORS = [ME.terminal, THEIR_TERMINAL.terminal, blob("a third terminal")]


def model(held: Sequence[ParsedEntry], talk: bytes) -> dict[bytes, int]:
    """Ranks by the definition (SPEC §11.3), over the held entries of one conversation."""
    known = {entry.id: entry for entry in held if entry.header.conversation == talk}
    ranks: dict[bytes, int] = {}

    def rank(entry: bytes) -> int:
        if entry not in ranks:
            fields = known[entry].header
            before = [rank(one) for one in (fields.previous, *fields.parents) if one in known]
            ranks[entry] = max(fields.time, 1 + max(before, default=-1))
        return ranks[entry]

    for entry in known:
        rank(entry)
    return ranks


@st.composite
def histories(draw: st.DrawFn) -> list[ParsedEntry]:
    made: list[ParsedEntry] = []
    for number in range(draw(st.integers(1, 14))):
        author = draw(st.sampled_from(AUTHORS))
        ids = [entry.id for entry in made]
        own = [entry.id for entry in made if entry.header.author == author]
        # Now and then the previous entry is another author's: no honest terminal writes that.
        previous = draw(st.sampled_from([b"", *own[-2:], *ids[-1:]]))
        parents = draw(st.lists(st.sampled_from(ids), max_size=3, unique=True)) if ids else []
        made.append(
            sample(
                f"entry {number}",
                author=author,
                sequence=draw(st.integers(1, 4)),
                previous=previous,
                parents=[parent for parent in parents if parent != previous],
                time=draw(st.integers(0, 12)),
                conversation=draw(st.sampled_from([TALK, TALK, TALK, OTHER_TALK])),
            )
        )
    return made


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[ParsedEntry], int]:
    """A history in any order of arrival, and how much of it arrives before it is looked at first."""
    shuffled = draw(st.permutations(draw(histories())))
    return list(shuffled), draw(st.integers(0, len(shuffled)))


def check(database: Database, held: Sequence[ParsedEntry]) -> None:
    for talk in (TALK, OTHER_TALK):
        ranks = model(held, talk)
        expected = sorted((rank, entry) for entry, rank in ranks.items())
        assert [row.position for row in entries.page(database, talk, 100)] == expected
        known = {entry.id: entry.header for entry in held if entry.header.conversation == talk}
        named = {one for fields in known.values() for one in (fields.previous, *fields.parents)}
        assert entries.tips(database, talk) == [
            entry for _, entry in reversed(expected) if entry in known.keys() - named
        ]
        assert tables.missing(database, talk) == sorted(named - known.keys() - {b""})
        followed = {
            (fields.author, fields.previous)
            for fields in known.values()
            if fields.previous in known and known[fields.previous].sequence < fields.sequence
        }
        heads = (HeadRow(fields.author, fields.sequence, entry) for entry, fields in known.items())
        last = [head for head in heads if (head.author, head.id) not in followed]
        by_place = sorted(last, key=lambda head: (head.author, head.sequence, head.id))
        assert tables.heads(database, talk) == by_place


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tables.new_database(tmp_path_factory.mktemp("blank"))
    made.close()
    return made.path


def opened(blank: Path, folder: str) -> Database:
    path = Path(folder) / blank.name
    path.write_bytes(blank.read_bytes())
    database = open_history(path, KEY)
    with database.transaction():
        contacts.ensure_conversation(database, OTHER_TALK, contacts.TWO, None)
    return database


TABLES = ("entries", "bodies", "edges", "missing", "raises", "tips", "heads", "unread")


def rows_of(database: Database) -> list[list[Row]]:
    found = [sorted(database.rows(f"SELECT * FROM {table}")) for table in TABLES]
    return [*found, sorted(database.rows("SELECT rowid, text FROM search"))]


@settings(max_examples=150)
@given(arrivals(), st.lists(st.integers(0, 13), max_size=3))
def test_a_burst_is_one_by_one(blank: Path, case: tuple[list[ParsedEntry], int], again: list[int]) -> None:
    """Whatever is plain in it and whatever is not; some come twice, in one burst or in the next."""
    arriving, cut = case
    for place in again:
        arriving = [*arriving, arriving[place % len(arriving)]]
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        single, burst = opened(blank, first), opened(blank, second)
        for part in (arriving[:cut], arriving[cut:]):
            with single.transaction(), burst.transaction():
                news = [
                    entry.id
                    for entry in part
                    if entries.insert(single, entry, unread=entry.header.author != ME.terminal) is not None
                ]
                while ordering.settle_next(single, 0) is not None:
                    pass
                found = entries.insert_all(burst, part, ME.terminal)
                assert [one.entry.id for one in found] == news
                numbers = [burst.value("SELECT number FROM entries WHERE id = ?", one) for one in news]
                assert [one.number for one in found] == numbers
            assert rows_of(burst) == rows_of(single)
            check(burst, list({entry.id: entry for entry in (*arriving[:cut], *part)}.values()))
        single.close()
        burst.close()


@settings(max_examples=120)
@given(arrivals())
def test_what_is_derived_is_the_same_in_any_order(blank: Path, case: tuple[list[ParsedEntry], int]) -> None:
    arriving, early = case
    with tempfile.TemporaryDirectory() as folder:
        database = opened(blank, folder)
        store(database, *arriving[:early])
        check(database, arriving[:early])
        store(database, *arriving[early:], *arriving[:early])
        check(database, arriving)
        database.close()


@settings(max_examples=40)
@given(arrivals())
def test_rebuilding_gives_the_same_as_inserting(blank: Path, case: tuple[list[ParsedEntry], int]) -> None:
    arriving, _ = case
    with tempfile.TemporaryDirectory() as folder:
        database = opened(blank, folder)
        store(database, *arriving, unread=True)
        before = derived(database)
        with database.transaction():
            migrations.rebuild(database)
        check(database, arriving)
        assert derived(database) == before
        database.close()


def derived(database: Database) -> list[list[Row]]:
    return [
        database.rows(f"SELECT * FROM {table} ORDER BY 1, 2")
        for table in ("edges", "missing", "raises", "tips", "heads")
    ] + [database.rows("SELECT rowid, text FROM search ORDER BY rowid")]


def positions(database: Database) -> list[Position]:
    return [row.position for row in entries.page(database, TALK, 100)]


@pytest.mark.parametrize("together", [False, True])
def test_attack_38_a_name_of_an_entry_of_another_conversation_moves_nothing(
    database: Database, together: bool
) -> None:
    """Else a contact could learn by an entry's place whether its own terminal holds another's entry."""
    with database.transaction():
        contacts.ensure_conversation(database, OTHER_TALK, contacts.TWO, None)
    secret = sample("elsewhere", time=9_000, conversation=OTHER_TALK)
    probe = sample("probe", author=THEIR_TERMINAL.terminal, parents=[secret.id], time=10)
    store(database, secret)
    if together:
        with database.transaction():
            entries.insert_all(database, [probe], ME.terminal)
    else:
        store(database, probe)
    assert positions(database) == [(10, probe.id)]
    assert entries.tips(database, OTHER_TALK) == [secret.id]


@pytest.mark.parametrize("backwards", [False, True])
def test_attack_41_a_clock_a_year_off_keeps_what_follows_behind(database: Database, backwards: bool) -> None:
    year = 365 * 24 * 3600 * 1000
    author = Author(time=year)
    ahead = author.write("from the future")
    answer = sample("an answer", author=THEIR_TERMINAL.terminal, parents=[ahead.id], time=1_000)
    store(database, *((answer, ahead) if backwards else (ahead, answer)))
    assert positions(database) == [(year, ahead.id), (year + 1, answer.id)]


def test_a_long_chain_that_arrives_backwards_is_ranked_in_order(database: Database) -> None:
    author = Author(time=0)
    chain = [author.write(f"entry {number}") for number in range(60)]
    store(database, *reversed(chain))
    assert [position[1] for position in positions(database)] == [entry.id for entry in chain]
    assert [head.sequence for head in tables.heads(database, TALK)] == [60]


@pytest.mark.parametrize("held", [0, 1, 2])
def test_an_entry_that_is_held_changes_nothing_for_the_others_of_its_burst(
    blank: Path, tmp_path: Path, held: int
) -> None:
    author = Author(THEIR_TERMINAL.terminal)
    new = [author.write(f"entry {number}") for number in range(3)]
    found = []
    for together in (False, True):
        folder = tmp_path / str(together)
        folder.mkdir()
        database = opened(blank, str(folder))
        with database.transaction():
            for entry in new[: held + 1] if together else new:
                entries.insert(database, entry, unread=True)
            if together:
                entries.insert_all(database, new, ME.terminal)
        check(database, new)
        found.append(rows_of(database))
        database.close()
    assert found[0] == found[1]


# --- Late entries, in pieces ---


def in_piece(database: Database, most: int, *new: ParsedEntry) -> None:
    """Insert entries, and raise at most so many ranks."""
    with database.transaction():
        for entry in new:
            entries.insert(database, entry, unread=False)
        ordering.settle(database, contacts.conversation_number(database, TALK), most)


def parents_first(database: Database, late: set[bytes]) -> bool:
    """Whether every entry stands after all that it names, those that came late aside."""
    place = {row.id: row.position for row in entries.page(database, TALK, 100)}
    return all(
        place[parent] < place[row.id]
        for row in entries.page(database, TALK, 100)
        for parent in (row.fields.previous, *row.fields.parents)
        if parent in place and parent not in late
    )


@settings(max_examples=150, deadline=None)
@given(arrivals(), st.integers(1, 4))
def test_case_94_ranks_raised_in_pieces_come_to_the_same_and_show_no_entry_before_its_parents(
    blank: Path, case: tuple[list[ParsedEntry], int], most: int
) -> None:
    arriving, late = [entry for entry in case[0] if entry.header.conversation == TALK], set[bytes]()
    with tempfile.TemporaryDirectory() as folder:
        database, named = opened(blank, folder), set[bytes]()
        for entry in arriving:
            late |= {entry.id} & named
            named.update((entry.header.previous, *entry.header.parents))
            in_piece(database, most, entry)
            assert parents_first(database, late)
        while entries.is_unsettled(database):
            with database.transaction():
                ordering.settle(database, contacts.conversation_number(database, TALK), most)
            assert parents_first(database, late)
        check(database, arriving)
        database.close()


def test_case_94_a_late_parent_of_a_long_chain_raises_a_piece_of_it_and_the_rest_later(
    database: Database,
) -> None:
    """The author's clock stands still, so that a parent of a later time raises everything."""
    late = sample("late", author=THEIR_TERMINAL.terminal, time=5_000)
    first = sample("0", parents=[late.id], time=10)
    chain = [first]
    for number in range(1, 20 * ordering.PIECE):
        last = chain[-1]
        chain.append(sample(str(number), sequence=number + 1, previous=last.id, time=10))
    with database.transaction():
        entries.insert_all(database, chain, ME.terminal)
    pieces, at_once = 0, database.value("SELECT total_changes()")
    with database.transaction():
        entries.insert_all(database, [late], ME.terminal)
    assert database.value("SELECT total_changes()") - at_once < 4 * ordering.PIECE
    while entries.is_unsettled(database):
        pieces, before = pieces + 1, database.value("SELECT total_changes()")
        with database.transaction():
            ordering.settle_next(database, 0)
        assert database.value("SELECT total_changes()") - before < 4 * ordering.PIECE
    assert pieces >= 20
    expected = [(5_000, late.id), *((5_001 + place, entry.id) for place, entry in enumerate(chain))]
    assert [row.position for row in entries.page(database, TALK, 2 * len(chain))] == expected


def test_case_94_ranks_that_are_due_in_one_conversation_delay_no_other(database: Database) -> None:
    with database.transaction():
        contacts.ensure_conversation(database, OTHER_TALK, contacts.TWO, None)
    for talk in (TALK, OTHER_TALK):
        late = sample(f"late {talk.hex()}", time=5_000, conversation=talk)
        chain = [sample(f"0 {talk.hex()}", parents=[late.id], time=10, conversation=talk)]
        for number in range(1, 3 * ordering.PIECE):
            said = f"{number} {talk.hex()}"
            chain.append(sample(said, sequence=number + 1, previous=chain[-1].id, time=10, conversation=talk))
        with database.transaction():
            for entry in (*chain, late):
                entries.insert(database, entry, unread=False)
    turns, after = list[int](), 0
    while True:
        with database.transaction():
            found = ordering.settle_next(database, after)
        if found is None:
            break
        turns.append(after := found)
    assert turns[:6] == 3 * [min(turns), max(turns)]


def test_case_94_a_late_parent_that_many_entries_name_takes_as_many_statements_as_one_of_few(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the ranks a piece is written with it, and the rest follows."""
    taken, real = [0], Database.run

    def counted(self: Database, sql: str, *values: object) -> int:
        taken[0] += 1
        return real(self, sql, *values)

    monkeypatch.setattr(Database, "run", counted)
    statements = set[int]()
    for count in (2 * ordering.PIECE, 6 * ordering.PIECE):
        late = sample(f"late {count}", author=THEIR_TERMINAL.terminal, time=10**9 + count)
        waiting = Author(blob(f"author {count}"))
        store(database, *(waiting.write(f"entry {number}", [late.id]) for number in range(count)))
        before = taken[0]
        store(database, late)
        statements.add(taken[0] - before)
        with database.transaction():
            while ordering.settle_next(database, 0) is not None:
                pass
        assert database.value("SELECT count(*) FROM missing") == 0
    assert len(statements) == 1


@pytest.mark.parametrize("most", range(1, 9))
def test_ranks_are_settled_when_none_is_due_whatever_the_size_of_the_pieces(
    database: Database, most: int
) -> None:
    late = sample("late", author=THEIR_TERMINAL.terminal, time=5_000)
    chain = [sample("0", parents=[late.id], time=10)]
    for number in range(1, 6):
        chain.append(sample(str(number), sequence=number + 1, previous=chain[-1].id, time=10))
    with database.transaction():
        for entry in (*chain, late):
            entries.insert(database, entry, unread=False)
    conversation, done = database.value("SELECT conversation FROM raises"), False
    while not done:
        with database.transaction():
            done = ordering.settle(database, conversation, most)
        assert done is not entries.is_unsettled(database)
    assert [rank for rank, _ in positions(database)] == list(range(5_000, 5_007))
