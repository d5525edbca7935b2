"""The rows storage.*: both databases hold the same, and each row is measured on both."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from chat.storage import entries, receipts
from chat.storage.database import Database
from chat.tools.bench import report, storage
from chat.tools.bench.measure import GOALS, MISSED, MOST, Late
from chat.tools.bench.storage import Made

SIZE = 1_000
TABLES = ("entries", "bodies", "edges", "receipts", "tips", "heads", "unread", "search", "search_idx")


@pytest.fixture(scope="module")
def made() -> Made:
    return storage.made(SIZE)


def test_both_databases_hold_the_same_and_it_is_as_the_engine_writes_it(made: Made) -> None:
    with made.both() as (ours, plain):
        for table in TABLES:
            columns = "rowid, text" if table == "search" else "*"
            query = f"SELECT {columns} FROM {table} ORDER BY 1, 2"
            assert ours.rows(query) == plain.rows(query)
        assert ours.integrity() == ()
        assert ours.value("SELECT count(*) FROM entries") == SIZE
        assert ours.value("SELECT count(*) FROM conversations") == storage.CONTACTS
        assert sum(receipts.unread_all(ours).values()) == storage.UNREAD
        for other in made.others:
            (newest,) = entries.page(ours, made.conversation(other), 1)
            assert entries.tips(ours, made.conversation(other)) == [newest.id]


def test_what_is_looked_for_is_found(made: Made) -> None:
    with made.both() as (ours, plain):
        for name, searches in storage._SEARCHES.items():
            found = [storage._search(typed, ours) for typed in searches]
            assert any(found), name
            for typed in searches:
                asked = storage.queries(ours, partial(storage._search, typed))
                assert [plain.rows(sql, *values) for sql, values in asked] == [
                    ours.rows(sql, *values) for sql, values in asked
                ]


@pytest.mark.parametrize("name", storage.NAMES)
def test_a_row_is_measured_beside_sqlite3(name: str, made: Made) -> None:
    ours, *others = report.run(name, entries=SIZE, rounds=3)
    plain = others[-1]
    assert (ours["name"], ours["size"], ours["subject"], plain["subject"]) == (
        name,
        SIZE,
        "parlour",
        "sqlite3",
    )
    assert min(ours["per_second"], plain["per_second"]) > 0
    assert "x sqlite3 [" in ours["note"]
    assert len(others) == 1 + (name == "storage.burst")
    title, *_, other = report.lines([ours, *others])
    assert f"{name}, {SIZE:,} entries" in title
    assert "95 of 100 calls within" in title
    assert " x [" in other


def test_what_was_written_is_whole_on_both(made: Made) -> None:
    for name in ("storage.append", "storage.burst"):
        report.run(name, entries=SIZE, rounds=3)
    with made.both() as (ours, plain):
        assert ours.integrity() == ()
        assert plain.rows("PRAGMA integrity_check") == [("ok",)]
        for table in ("entries", "bodies", "unread", "receipts", "search"):
            query = f"SELECT count(*) FROM {table}"
            assert [(ours.value(query),)] == plain.rows(query)


def test_every_row_of_a_million_has_its_least_or_its_bound() -> None:
    asked = {
        name for name, size in (*GOALS, *MOST) if name.startswith("storage.") and size == storage.ENTRIES
    }
    assert asked == set(storage.NAMES) - {"storage.unread"}


def test_a_call_that_takes_too_long_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    late = Late(lambda: None)
    late()
    assert MISSED not in late.verdict("storage.open", storage.ENTRIES)
    monkeypatch.setattr("chat.tools.bench.measure.MOST", {("storage.open", storage.ENTRIES): 0.0})
    assert MISSED in late.verdict("storage.open", storage.ENTRIES)


def test_a_listening_database_asks_what_the_real_one_asks(made: Made) -> None:
    def read(database: Database) -> Any:
        return entries.page(database, made.conversation(made.others[0]), 3)

    with made.both() as (ours, _):
        (asked,) = storage.queries(ours, read)
        assert len(ours.rows(asked[0], *asked[1])) == 3
