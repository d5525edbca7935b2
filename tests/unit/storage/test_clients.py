"""The order in which a program gets entries: what comes late, what is removed, and what nobody waits for."""

from __future__ import annotations

import pytest

from chat.storage import clients, contacts, entries, persons, removal, retention
from chat.storage.clients import CLIENTS_MAX, ClientRow
from chat.storage.contacts import PAIRED, ContactRow
from chat.storage.database import Database
from protocol.entries_and_receipts import ParsedEntry
from tests.support.storage.samples import ME, THEIR_TERMINAL, THEM, Author, blob, store

ADA = ContactRow(THEM, "Ada", "", PAIRED, verified=False, blocked=False, held=False, since=1)


def follow(database: Database, name: str = "echo", contact: bytes | None = None) -> None:
    with database.transaction():
        row = ClientRow(name, clients.last(database), "all", None, contact, 1)
        assert clients.add(database, row)


def waits(database: Database, after: int = 0) -> list[tuple[bytes, bool]]:
    """The entries that wait, in their order, and whether the content is new after a position."""
    return [(row.entry.id, row.came > after) for row in clients.arrivals(database, after, 100)[0]]


def acknowledge(database: Database, position: int, name: str = "echo") -> None:
    with database.transaction():
        clients.acknowledge(database, name, position)


def headers_of(*whole: ParsedEntry) -> list[ParsedEntry]:
    return [ParsedEntry(one.id, one.header_bytes, one.header, b"", b"") for one in whole]


def test_without_a_program_nothing_is_written(database: Database) -> None:
    store(database, *(Author().write(f"text {number}") for number in range(3)))
    assert database.rows("SELECT * FROM arrivals") == []
    follow(database)
    assert waits(database) == []


def test_content_that_comes_late_has_the_place_at_which_it_came(database: Database) -> None:
    follow(database)
    first, second, third = (Author(THEIR_TERMINAL.terminal).write(text) for text in ("one", "two", "three"))
    store(database, *headers_of(first), second)
    assert waits(database) == [(second.id, True)]
    acknowledge(database, 1)
    store(database, third)
    store(database, first)
    assert waits(database, 1) == [(third.id, True), (first.id, True)]


def test_what_became_whole_comes_again_behind_what_came_since(database: Database) -> None:
    follow(database)
    first, second = (Author(THEIR_TERMINAL.terminal).write(text) for text in ("one", "two"))
    store(database, first, second)
    acknowledge(database, 1)
    with database.transaction():
        clients.comes_again(database, first.id)
    assert waits(database, 1) == [(second.id, True), (first.id, False)]
    acknowledge(database, 3)
    with database.transaction():
        clients.comes_again(database, second.id)
    ((position, came),) = database.rows("SELECT position, came FROM arrivals")
    assert (position, came) == (4, 0)


def test_without_a_program_nothing_that_became_whole_is_written(database: Database) -> None:
    (one,) = (Author().write("one"),)
    store(database, one)
    with database.transaction():
        clients.comes_again(database, one.id)
    assert (database.rows("SELECT * FROM arrivals"), clients.last(database)) == ([], 0)


def test_a_number_that_is_used_again_is_another_place(database: Database) -> None:
    """A contact that is removed frees the numbers of its entries, the highest among them."""
    with database.transaction():
        contacts.add(database, ADA)
        persons.replace_terminals(database, THEM, [THEIR_TERMINAL])
    follow(database)
    talk, other = Author(THEIR_TERMINAL.terminal), Author(conversation=blob("kept"))
    with database.transaction():
        contacts.ensure_conversation(database, blob("kept"), contacts.TWO, blob("another person"))
    gone = [talk.write(f"text {number}") for number in range(3)]
    store(database, *gone)
    number = database.value("SELECT max(number) FROM entries")
    acknowledge(database, 2)
    with database.transaction():
        contacts.remove(database, THEM)
        for _ in removal_of(database):
            pass
    assert waits(database, 2) == [], "nothing of a removed contact stays"
    after = other.write("after")
    store(database, after)
    assert database.value("SELECT max(number) FROM entries") <= number
    assert waits(database, 2) == [(after.id, True)]


def removal_of(database: Database):  # type: ignore[no-untyped-def]
    while removal.is_due(database):
        yield removal.next_piece(database)


def test_what_was_let_go_of_and_returns_is_no_news(database: Database) -> None:
    talk = Author(THEIR_TERMINAL.terminal)
    old, new = talk.write("old"), talk.write("new")
    store(database, old)
    follow(database)
    number = database.value("SELECT number FROM entries WHERE id = ?", old.id)
    with database.transaction():
        database.run("DELETE FROM bodies WHERE entry = ?", number)
        database.run("INSERT INTO let_go (entry, holder) VALUES (?, 1)", number)
        retention.miss(database, [number])
    store(database, old, new)
    assert waits(database) == [(new.id, True)]
    assert database.rows("SELECT * FROM headers_alone") == []


def test_what_is_deleted_keeps_no_more_than_its_place(database: Database) -> None:
    talk = Author(THEIR_TERMINAL.terminal)
    before, known, fresh = (talk.write(text) for text in ("before", "known", "fresh"))
    store(database, before)
    follow(database)
    store(database, known)
    acknowledge(database, 1)
    store(database, fresh)
    with database.transaction():
        for one in (fresh, known, before):
            entries.destroy(database, one.id)
    assert waits(database, 1) == [(fresh.id, True), (known.id, False), (before.id, False)]
    assert all(row.entry.deleted for row in clients.arrivals(database, 1, 9)[0])


def test_an_edit_moves_its_text_and_has_no_place_of_its_own(database: Database) -> None:
    follow(database)
    mine = Author(ME.terminal)
    one, two = mine.write("one"), mine.write("two")
    store(database, one, two)
    with database.transaction():
        database.run(
            "INSERT INTO amended (entry, by) SELECT a.number, b.number FROM entries AS a, entries AS b"
            " WHERE a.id = ? AND b.id = ?",
            *(one.id, two.id),
        )
    assert waits(database) == [(two.id, True), (one.id, True)]
    assert waits(database, 1) == [(two.id, True), (one.id, False)]


def test_what_every_program_has_acknowledged_is_forgotten(database: Database) -> None:
    follow(database)
    follow(database, "slow")
    store(database, *(one := [Author(THEIR_TERMINAL.terminal).write(f"{number}") for number in range(4)]))
    acknowledge(database, 4)
    assert len(waits(database)) == 4
    acknowledge(database, 2, "slow")
    acknowledge(database, 1, "slow")
    assert [entry for entry, _ in waits(database, 2)] == [each.id for each in one[2:]]
    assert database.value("SELECT count(*) FROM arrivals") == 2
    with database.transaction():
        assert clients.remove(database, "slow")
        assert not clients.remove(database, "slow")
    assert database.value("SELECT count(*) FROM arrivals") == 0
    assert clients.last(database) == 4


def test_no_position_is_given_again_though_a_page_of_another_time_says_so(database: Database) -> None:
    follow(database)
    store(database, Author(THEIR_TERMINAL.terminal).write("one"))
    acknowledge(database, 1)
    with database.transaction():
        database.run("UPDATE arrived SET position = 0")
    store(database, two := Author(THEIR_TERMINAL.terminal, incarnation=b"another_").write("two"))
    assert waits(database, 1) == [(two.id, True)]
    with database.transaction():
        database.run("DELETE FROM arrived")
        clients.settle(database)
    assert clients.last(database) == 2


def test_a_removed_contact_takes_the_programs_that_were_for_it_alone(database: Database) -> None:
    with database.transaction():
        contacts.add(database, ADA)
        persons.replace_terminals(database, THEM, [THEIR_TERMINAL])
    follow(database)
    follow(database, "alerts", THEM)
    with database.transaction():
        contacts.remove(database, THEM)
    assert [row.name for row in clients.all_clients(database)] == ["echo"]


def test_there_is_a_bound_on_programs(database: Database) -> None:
    for number in range(CLIENTS_MAX):
        follow(database, f"program-{number}")
    with database.transaction():
        assert not clients.add(database, ClientRow("more", 0, "all", None, None, 1))


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_pages_follow_one_another(database: Database, limit: int) -> None:
    follow(database)
    store(database, *(sent := [Author(THEIR_TERMINAL.terminal).write(f"{number}") for number in range(5)]))
    found, after = list[bytes](), 0
    while True:
        rows, position = clients.arrivals(database, after, limit)
        found += [row.entry.id for row in rows]
        if position == after:
            break
        after = position
    assert found == [one.id for one in sent]
