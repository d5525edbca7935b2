"""The schema: strict, explained, with no place for what must not be kept; migrations whole or not at all."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from chat.storage import migrations
from chat.storage.database import Database
from chat.storage.errors import DatabaseEmpty, ProfileTooNew, StorageMisuse
from chat.storage.folder import create_private
from chat.storage.migrations import Migration, open_history
from tests.support.storage.samples import KEY, new_database

RATCHET = re.compile(r"ratchet|chain_?key|message_?key|root_?key|session|skipped|counter|nonce|ephemeral")
TO_SEND = re.compile(r"outbox|queue|to_?send|unsent|sent|pending_|retry|outgoing|deliver")


def tables(database: Database) -> dict[str, str]:
    rows = database.rows(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'search%'"
    )
    return {str(name): str(sql) for name, sql in rows}


def columns(database: Database) -> list[str]:
    return [
        f"{name}.{row[1]}" for name in tables(database) for row in database.rows(f"PRAGMA table_info({name})")
    ]


def test_every_table_is_strict(database: Database) -> None:
    strict = {row[0] for row in database.rows("SELECT name FROM pragma_table_list WHERE strict = 1")}
    assert set(tables(database)) == strict
    assert len(strict) > 15


def test_every_table_says_what_is_in_it() -> None:
    """At least one column of each table is explained, and every number that stands for something."""
    for migration in migrations.known():
        for name, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\)", migration.sql, re.DOTALL):
            lines = [line for line in body.splitlines() if re.match(r"\s+\w+ +(?:INTEGER|BLOB|TEXT)", line)]
            coded = [
                line
                for line in lines
                if re.match(r"\s+(?:kind|state|live|chain|owner|held|verified)\b", line)
            ]
            assert all("--" in line for line in coded), (name, coded)
            assert any("--" in line for line in lines), name


@pytest.mark.parametrize(("words", "seen"), [(RATCHET, "links.chain_key"), (TO_SEND, "outbox.entry")])
def test_attack_28_there_is_no_place_for_the_state_of_a_session_or_what_is_to_be_sent(
    database: Database, words: re.Pattern[str], seen: str
) -> None:
    assert [column for column in (*columns(database), seen) if words.search(column)] == [seen]


def test_statements_end_where_sqlite_says() -> None:
    sql = "CREATE TABLE a (b); -- one; two\nINSERT INTO a VALUES (';');\n"
    assert [part.strip() for part in migrations.statements(sql)] == [
        "CREATE TABLE a (b); -- one; two",
        "INSERT INTO a VALUES (';');",
    ]
    with pytest.raises(ValueError, match="no end"):
        list(migrations.statements("CREATE TABLE a (b)"))
    for migration in migrations.known():
        assert all(sqlite3.complete_statement(part) for part in migrations.statements(migration.sql))


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [migration.version for migration in migrations.known()] == [*range(1, NEXT)]


NEXT = len(migrations.known()) + 1


def test_a_migration_runs_once_with_its_record(database: Database) -> None:
    sql = "CREATE TABLE more (a INTEGER) STRICT;\nINSERT INTO more VALUES (1);\n"
    everything = (*migrations.known(), Migration(NEXT, "more.sql", sql))
    migrations.migrate(database, everything)
    migrations.migrate(database, everything)
    assert migrations.version(database) == NEXT
    assert database.rows("SELECT * FROM migrations") == [(one.version, one.name) for one in everything]
    assert database.rows("SELECT a FROM more") == [(1,)]


def test_a_migration_that_fails_leaves_nothing_of_itself(database: Database) -> None:
    sql = "CREATE TABLE half (a INTEGER) STRICT;\nINSERT INTO nowhere VALUES (1);\n"
    broken = Migration(NEXT, "broken.sql", sql)
    with pytest.raises(StorageMisuse):
        migrations.migrate(database, (*migrations.known(), broken))
    assert migrations.version(database) == NEXT - 1
    assert "half" not in tables(database)


def test_a_database_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    database = new_database(tmp_path)
    with database.transaction():
        database.run("PRAGMA user_version = 99")
    files = (database.path, database.path.with_name("history.db-wal"))
    before = [path.read_bytes() for path in files]
    database.close()
    for path, data in zip(files, before, strict=True):
        path.write_bytes(data)
    with pytest.raises(ProfileTooNew, match="newer version of Parlour"):
        open_history(database.path, KEY)
    assert [path.read_bytes() for path in files] == before


def test_an_encrypted_database_without_tables_is_no_fresh_start(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    create_private(path)
    blank = Database(path, KEY.reveal())
    with blank.transaction():
        blank.run("CREATE TABLE t (a)")
        blank.run("DROP TABLE t")
    blank.close()
    with pytest.raises(DatabaseEmpty):
        open_history(path, KEY)
