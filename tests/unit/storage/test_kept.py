"""Every released schema opens, and says what it said then."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from chat.storage import folder as stored_folder
from chat.storage import migrations
from chat.storage import profile as stored_profile
from chat.storage.database import Database
from chat.storage.errors import ProfileTooNew
from chat.storage.migrations import open_history
from protocol.profile_header import DatabaseKey
from tests.support.storage import later
from tests.support.storage import released as kept
from tests.support.storage.samples import new_database

RELEASED = sorted(path.name for path in kept.FOLDER.iterdir() if path.is_dir())


def opened(name: str, tmp_path: Path) -> Database:
    """A copy of a kept database, opened with the raw key next to it."""
    shutil.copytree(kept.FOLDER / name, tmp_path / name)
    return opened_again(tmp_path / name)


def opened_again(folder: Path) -> Database:
    key = DatabaseKey(bytes.fromhex((folder / kept.KEY).read_text()))
    return open_history(folder / stored_folder.DATABASE, key)


def schema(database: Database) -> list[object]:
    rows = database.rows(
        "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2"
    )
    return [*rows, database.value("PRAGMA user_version"), database.value("PRAGMA application_id")]


def test_every_schema_is_kept() -> None:
    assert [f"v{migration.version:04}" for migration in migrations.known()] == RELEASED


def test_a_difference_is_seen() -> None:
    then = {"rows": [{"a": 1}, {"a": None}]}
    assert kept.says({"rows": [{"a": 1, "new": 2}, {"a": None}], "more": 1}, then)
    for now in ({"rows": [{"a": 1}]}, {"rows": [{"a": 2}, {"a": None}]}, {"rows": [{"a": 1}, {}]}, {}):
        assert not kept.says(now, then)


@pytest.mark.parametrize("name", RELEASED)
def test_a_kept_database_says_what_it_said_and_has_the_schema_of_a_new_one(tmp_path: Path, name: str) -> None:
    """Also that a released schema file was not changed afterwards."""
    expected = json.loads((kept.FOLDER / name / kept.EXPECTED).read_text("utf-8"))
    with closing(opened(name, tmp_path)) as database, closing(new_database(tmp_path)) as new:
        assert kept.says(kept.contents(database), expected)
        assert database.integrity() == ()
        assert schema(database) == schema(new)
    profile = stored_profile.unlock(tmp_path / name, kept.PASSPHRASE)
    with profile, closing(profile.database()) as database:
        assert database.integrity() == ()


@pytest.mark.parametrize("name", RELEASED)
def test_a_later_release_migrates_it_and_says_the_same(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = json.loads((kept.FOLDER / name / kept.EXPECTED).read_text("utf-8"))
    monkeypatch.setattr(migrations, "known", later.known)
    with closing(opened(name, tmp_path)) as database, closing(new_database(tmp_path)) as new:
        assert kept.says(kept.contents(database), expected)
        assert database.integrity() == ()
        assert schema(database) == schema(new)
    monkeypatch.undo()
    with pytest.raises(ProfileTooNew):
        opened_again(tmp_path / name)


def test_every_table_of_the_newest_has_rows(tmp_path: Path) -> None:
    database = opened(RELEASED[-1], tmp_path)
    tables = [name for (name,) in database.rows("SELECT name FROM pragma_table_list WHERE strict = 1")]
    assert [name for name in tables if not database.value(f"SELECT count(*) FROM {name}")] == []
    database.close()
