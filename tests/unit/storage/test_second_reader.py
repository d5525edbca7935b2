"""A second library looks at a database that it did not write."""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from chat.storage import entries, second_reader
from chat.storage.database import Database
from chat.storage.errors import StorageGivenUp
from chat.storage.pages import PAGE_SIZE
from tests.support.storage.samples import KEY, blob, sample

COUNT = 40


def never() -> bool:
    return False


def always() -> bool:
    return True


@pytest.fixture(autouse=True)
def history(database: Database) -> Database:
    """Some entries, each after the one before."""
    before = b""
    for number in range(COUNT):
        one = sample(f"text {number}", sequence=number + 1, previous=before)
        with database.transaction():
            entries.insert(database, one, unread=False)
        before = one.id
    return database


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of change of each file."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def look(path: Path, key: bytes = KEY.reveal()) -> second_reader.Seen:
    return second_reader.look(path, key, never)


def test_both_libraries_see_the_same_and_the_second_one_writes_nothing(database: Database) -> None:
    database.checkpoint()
    before = state(database.path.parent)
    seen = database.shown_to(partial(second_reader.look, wanted=never))
    assert state(database.path.parent) == before
    assert (seen.wrong, seen.rows["entries"]) == ((), COUNT)
    assert second_reader.differences(seen, second_reader.counted(database)) == ()
    good, said = second_reader.compare(database, never)
    assert good
    assert f"the same {sum(seen.rows.values())} rows" in said


def test_the_log_of_a_copy_is_read_too(database: Database, tmp_path: Path) -> None:
    database.checkpoint()
    with database.transaction():
        entries.insert(database, sample("in the log", sequence=COUNT + 1), unread=False)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in (database.path, database.path.with_name("history.db-wal")):
        shutil.copyfile(path, copy / path.name)
    alone, whole = (
        second_reader.look(copy / "history.db", KEY.reveal(), never, log=log) for log in (False, True)
    )
    assert (alone.rows["entries"], whole.rows["entries"]) == (COUNT, COUNT + 1)
    assert second_reader.differences(whole, second_reader.counted(database)) == ()
    assert second_reader.differences(alone, second_reader.counted(database)) != ()


def test_a_damaged_page_is_found_in_a_file_that_stays_as_it_is(database: Database) -> None:
    page = database.value("SELECT rootpage FROM sqlite_master WHERE name = 'bodies'")
    database.close()
    with database.path.open("r+b") as file:
        place = (page - 1) * PAGE_SIZE + 1_000
        (byte,) = os.pread(file.fileno(), 1, place)
        os.pwrite(file.fileno(), bytes([byte ^ 0x10]), place)
    before = state(database.path.parent)
    seen = look(database.path)
    assert seen.wrong
    assert second_reader.differences(seen, {}) == seen.wrong
    assert state(database.path.parent) == before


def test_other_numbers_of_rows_are_told(database: Database) -> None:
    rows = second_reader.counted(database)
    seen = second_reader.Seen("another", (), {**rows, "bodies": rows["bodies"] - 1})
    assert second_reader.differences(seen, rows) == (
        f"it counts {COUNT - 1} rows of bodies, and not {COUNT}",
    )


def test_another_key_reads_nothing_and_the_key_is_in_no_text(
    database: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    database.close()
    other = blob("another key")
    seen = look(database.path, other)
    assert seen.wrong == ("it cannot read the database (NotADBError)",)
    assert seen.rows == {}
    said = capfd.readouterr()
    assert other.hex() not in f"{seen}{said.out}{said.err}".lower()


def test_who_closes_the_profile_waits_for_nothing(database: Database) -> None:
    with pytest.raises(StorageGivenUp) as given_up:
        second_reader.compare(database, always)
    assert given_up.value.__context__ is None  # whose traceback would have the key


@pytest.mark.parametrize("there", [None, ModuleType("apsw")], ids=["none", "one without ciphers"])
def test_without_the_library_that_is_said_in_one_line(
    database: Database, monkeypatch: pytest.MonkeyPatch, there: ModuleType | None
) -> None:
    monkeypatch.setitem(sys.modules, "apsw", there)
    assert second_reader.compare(database, never) == (True, second_reader.NOT_INSTALLED)
    assert "\n" not in second_reader.NOT_INSTALLED
