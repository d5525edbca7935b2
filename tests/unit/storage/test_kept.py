"""Every released schema opens, and says what it said then."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from chat.storage import contacts, migrations, repair, settings
from chat.storage import folder as stored_folder
from chat.storage import profile as stored_profile
from chat.storage.database import Database
from chat.storage.migrations import open_history
from protocol.profile_header import DatabaseKey
from tests.support.storage import released as kept
from tests.support.storage.samples import ME, TALK, blob, find, new_database, sample

RELEASED = sorted(path.name for path in kept.FOLDER.iterdir() if path.is_dir())


def opened(name: str, tmp_path: Path) -> Database:
    """A copy of a kept database, opened with the raw key next to it."""
    folder = tmp_path / name
    shutil.copytree(kept.FOLDER / name, folder)
    return open_history(
        folder / stored_folder.DATABASE, DatabaseKey(bytes.fromhex((folder / kept.KEY).read_text()))
    )


def schema(database: Database) -> list[object]:
    rows = database.rows(
        "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2"
    )
    return [*rows, database.value("PRAGMA user_version"), database.value("PRAGMA application_id")]


def test_every_schema_is_kept() -> None:
    assert [f"v{migration.version:04}" for migration in migrations.known()] == RELEASED


def said_then(now: object, then: object) -> bool:
    """Whether everything that was said then is said now; later versions may say more of a row."""
    if isinstance(now, dict) and isinstance(then, dict):
        return all(name in now and said_then(now[name], value) for name, value in then.items())
    if isinstance(now, list) and isinstance(then, list):
        return len(now) == len(then) and all(map(said_then, now, then))
    return now == then


def test_a_difference_is_seen() -> None:
    then = {"rows": [{"a": 1}, {"a": None}]}
    assert said_then({"rows": [{"a": 1, "new": 2}, {"a": None}], "more": 1}, then)
    for now in ({"rows": [{"a": 1}]}, {"rows": [{"a": 2}, {"a": None}]}, {"rows": [{"a": 1}, {}]}, {}):
        assert not said_then(now, then)


@pytest.mark.parametrize("name", RELEASED)
def test_a_kept_database_says_what_it_said_and_has_the_schema_of_a_new_one(tmp_path: Path, name: str) -> None:
    """Also that a released schema file was not changed afterwards."""
    expected = json.loads((kept.FOLDER / name / kept.EXPECTED).read_text("utf-8"))
    with closing(opened(name, tmp_path)) as database, closing(new_database(tmp_path)) as new:
        assert said_then(kept.contents(database), expected)
        assert database.integrity() == ()
        assert schema(database) == schema(new)
    profile = stored_profile.unlock(tmp_path / name, kept.PASSPHRASE)
    with profile, closing(profile.database()) as database:
        assert database.integrity() == ()


@pytest.mark.parametrize("name", RELEASED)
def test_a_migrated_index_finds_in_a_conversation_what_it_finds_in_all(tmp_path: Path, name: str) -> None:
    database = opened(name, tmp_path)
    found = find(database, "北京")
    assert len(found) == 1
    assert find(database, "北京", conversation=kept.TALK) == found
    with database.transaction():
        contacts.ensure_conversation(database, blob("another"), contacts.TWO, None)
    assert find(database, "北京", conversation=blob("another")) == []
    database.close()


def test_every_table_of_the_newest_has_rows(tmp_path: Path) -> None:
    database = opened(RELEASED[-1], tmp_path)
    tables = [name for (name,) in database.rows("SELECT name FROM pragma_table_list WHERE strict = 1")]
    assert [name for name in tables if not database.value(f"SELECT count(*) FROM {name}")] == []
    database.close()


def test_whom_schema_4_had_muted_is_muted_after_the_migration(tmp_path: Path) -> None:
    """It had that among what the interface keeps for itself."""
    stored_folder.create_private(tmp_path / "history.db")
    with closing(Database(tmp_path / "history.db", bytes(32))) as database:
        migrations.migrate(database, migrations.known()[:4])
        with database.transaction():
            for name in ("Ada", "Ben", "Cat"):
                added = "INSERT INTO contacts VALUES (?, ?, '', 'paired', 0, 0, 0, 1)"
                database.run(added, blob(name), name)
            settings.set_preference(database, f"mute.{blob('Ada').hex()}", "on")
            settings.set_preference(database, f"mute.{blob('Cat').hex()}", "off")
            settings.set_preference(database, f"draft.{blob('Ada').hex()}", "on")
        migrations.migrate(database)
        rows = {row.name: (row.muted, row.pinned) for row in contacts.all(database)}
        assert rows == {"Ada": (True, False), "Ben": (False, False), "Cat": (False, False)}
        assert settings.preferences(database) == {f"draft.{blob('Ada').hex()}": "on"}


def test_what_schema_4_held_as_a_header_alone_is_wanted_after_the_migration(tmp_path: Path) -> None:
    """It did not note who passed the header, and a body was deleted there only where it is marked so."""
    entry, deleted = sample("missing"), sample("deleted", sequence=2)
    stored_folder.create_private(tmp_path / "history.db")
    with closing(Database(tmp_path / "history.db", bytes(32))) as database:
        migrations.migrate(database, migrations.known()[:4])
        with database.transaction():
            database.run("INSERT INTO conversations (number, id, kind) VALUES (1, ?, 1)", TALK)
            database.run("INSERT INTO terminals (number, terminal) VALUES (1, ?)", ME.terminal)
            for destroyed, one in enumerate((entry, deleted)):
                database.run(
                    "INSERT INTO entries (id, conversation, author, incarnation, sequence, time, kind, rank,"
                    " header, destroyed) VALUES (?, 1, 1, ?, ?, 1, 1, 1, ?, ?)",
                    *(one.id, one.header.incarnation, one.header.sequence, one.header_bytes, destroyed),
                )
        migrations.migrate(database)
        assert [row[0].id for row in repair.wanted(database, TALK, blob("a carrier"))] == [entry.id]
