"""The database: encrypted or not used, every write in a transaction, damage and loss told by name."""

from __future__ import annotations

import asyncio
import shutil
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest

from chat.interface import NotPermitted
from chat.storage import entries, errors
from chat.storage.database import Database, Store
from chat.storage.folder import RESERVE, make_reserve
from chat.storage.migrations import open_history
from protocol.profile_header import DatabaseKey
from tests.support.machine import needs_files_of_posix
from tests.support.storage.samples import KEY, TALK, Author, blob, new_database, rewrite, store


def count(database: Database) -> int:
    return int(database.value("SELECT count(*) FROM entries"))


def wal(database: Database) -> Path:
    return database.path.with_name(f"{database.path.name}-wal")


def held(path: Path) -> int:
    """The number of entries in a database that nobody has open."""
    opened = open_history(path, KEY)
    number = count(opened)
    opened.close()
    return number


def flip(database: Database, place: int) -> None:
    """Close a database and change a bit of its file."""
    database.close()
    data = bytearray(database.path.read_bytes())
    data[place] ^= 1
    database.path.write_bytes(data)


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_what_the_recipe_asks_for_is_in_force(database: Database) -> None:
    asked = ("secure_delete", "journal_mode", "synchronous", "temp_store", "foreign_keys", "locking_mode")
    found = [database.value(f"PRAGMA {name}") for name in asked]
    assert found == [1, "wal", 2, 2, 1, "exclusive"]
    assert database.value("PRAGMA cipher_version")
    assert database.value("SELECT v FROM search_config WHERE k = 'secure-delete'") == 1


def test_a_pragma_that_is_not_taken_stops_all(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    database.close()
    monkeypatch.setattr("chat.storage.database._PRAGMAS", (("secure_delete = FAST", 1),))
    with pytest.raises(errors.StorageMisuse, match="secure_delete"):
        open_history(database.path, KEY)


def test_a_library_without_encryption_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain SQLite takes PRAGMA key without a word and writes everything in clear."""
    import sqlite3

    database = new_database(tmp_path)
    database.close()
    before = database.path.read_bytes()
    monkeypatch.setattr("chat.storage.database.dbapi2.connect", sqlite3.connect)
    with pytest.raises(errors.NotEncrypted):
        open_history(database.path, KEY)
    assert database.path.read_bytes() == before


def test_a_transaction_is_all_or_nothing_and_a_write_without_one_is_a_mistake(database: Database) -> None:
    author = Author()
    with pytest.raises(KeyError), database.transaction():
        entries.insert(database, author.write("undone"), unread=False)
        raise KeyError
    assert not database.in_transaction
    with pytest.raises(errors.StorageMisuse):
        entries.insert(database, Author().write("no"), unread=False)
    with pytest.raises(errors.StorageMisuse), database.transaction(), database.transaction():
        raise AssertionError("a transaction in a transaction began")
    with pytest.raises(errors.StorageMisuse), database.transaction():
        database.erase_unused(1)
    assert count(database) == 0
    store(database, author.write("kept"))
    assert count(database) == 1


@pytest.mark.parametrize("failure", [errors.StorageBroken, errors.StorageFull, errors.StorageUnsure])
def test_a_disk_that_fails_before_the_commit_leaves_nothing_in_doubt(
    database: Database, failure: type[errors.StorageFailure]
) -> None:
    with pytest.raises(failure), database.transaction():
        entries.insert(database, Author().write("undone"), unread=False)
        raise failure
    assert not database.in_transaction
    assert count(database) == 0


def test_a_wrong_statement_tells_nothing_of_what_it_held(database: Database) -> None:
    with pytest.raises(errors.StorageMisuse) as caught:
        database.rows("SELECT 'secret words' FROM nowhere")
    assert "secret" not in str(caught.value)
    wrong = "INSERT INTO tips VALUES ('not a number', 1)"
    changes: list[Callable[[], object]] = [
        lambda: database.run(wrong),
        lambda: database.insert(wrong),
        lambda: database.run_many("INSERT INTO tips VALUES (?, 1)", [("not a number",)]),
    ]
    for change in changes:
        with pytest.raises(errors.StorageMisuse), database.transaction():
            change()


def test_a_log_that_cannot_be_emptied_is_reported(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its frames still hold what was deleted."""
    for result in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        monkeypatch.setattr(database, "row", mock.Mock(return_value=result))
        with pytest.raises(errors.StorageBusy):
            database.checkpoint()


@pytest.mark.parametrize("with_log", [True, False])
def test_files_that_nobody_may_write_are_read_with_their_log_and_left_as_they_are(
    tmp_path: Path, database: Database, with_log: bool
) -> None:
    store(database, Author().write("read"))
    if not with_log:
        rewrite(database)
    copy = made(tmp_path / "copy")
    for path in (database.path, wal(database)):
        if with_log or path == database.path:
            shutil.copy(path, copy)
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    opened = open_history(copy / "history.db", KEY, read_only=True)
    assert count(opened) == 1
    with pytest.raises(errors.StorageReadOnly), opened.transaction():
        entries.insert(opened, Author(time=9).write("no"), unread=False)
    opened.close()
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


def test_a_database_that_vanishes_while_it_is_opened_is_not_used(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.close()
    with monkeypatch.context() as patch, pytest.raises(errors.StorageGone):
        patch.setattr("chat.storage.database._place", lambda path: None)
        open_history(database.path, KEY)
    with pytest.raises(errors.StorageFailure):
        Database(database.path.with_name("absent"), KEY.reveal())
    assert held(database.path) == 0


def test_it_may_be_used_from_another_thread(database: Database) -> None:
    worker = threading.Thread(target=store, args=(database, Author().write("from a worker")))
    worker.start()
    worker.join()
    assert count(database) == 1


def test_a_second_connection_is_kept_out(database: Database) -> None:
    with pytest.raises(errors.StorageBusy, match="Another program"):
        open_history(database.path, KEY)
    store(database, Author().write("still here"))


def test_a_closed_database_says_so(database: Database) -> None:
    for _ in range(2):
        database.close()
    with pytest.raises(errors.StorageMisuse):
        count(database)


@pytest.mark.parametrize("name", ["history.db", "history.db-wal"])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_removed_meanwhile_acknowledges_nothing(database: Database, name: str, replaced: bool) -> None:
    """Writes into a file without a name succeed and are lost."""
    needs_files_of_posix()
    store(database, Author().write("before"))
    path = database.path.with_name(name)
    copy = path.read_bytes()
    path.unlink()
    if replaced:
        path.write_bytes(copy)
    with pytest.raises(errors.StorageGone, match="moved or removed"):
        store(database, Author(time=9).write("after"))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, errors.DatabaseMissing),
        (b"", errors.DatabaseEmpty),
        (b"SQLite format 3\x00" + bytes(8_176), errors.NotEncrypted),
    ],
)
def test_attack_72_no_new_database(tmp_path: Path, content: bytes | None, error: type[Exception]) -> None:
    path = tmp_path / "history.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error):
        open_history(path, KEY)
    assert (path.read_bytes() if path.exists() else None) == content


def test_attack_71_a_wrong_key_harms_nothing(tmp_path: Path, database: Database) -> None:
    store(database, Author().write("in the log only"))
    copy = made(tmp_path / "copy")
    for path in (database.path, wal(database)):
        shutil.copy(path, copy)
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    assert len(before["history.db-wal"]) > 0
    with pytest.raises(errors.DatabaseForeign):
        open_history(copy / "history.db", DatabaseKey(blob("wrong key")))
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    assert held(copy / "history.db") == 1


@pytest.mark.parametrize("other_key", [KEY, DatabaseKey(blob("another key"))], ids=["same key", "other key"])
@pytest.mark.parametrize("words", [1, 400], ids=["few pages", "many pages"])
def test_attack_71_a_foreign_log_harms_nothing(tmp_path: Path, other_key: DatabaseKey, words: int) -> None:
    """SQLite would copy its pages over good ones at closing: it goes by checksums that anybody can make."""
    other = new_database(made(tmp_path / "other"), other_key)
    author = Author()
    store(other, *[author.write(f"elsewhere {number} " * words) for number in range(words)])
    foreign = wal(other).read_bytes()
    other.close()
    database = new_database(made(tmp_path / "here"))
    store(database, Author().write("here"))
    database.close()
    wal(database).write_bytes(foreign)
    before = database.path.read_bytes()
    with pytest.raises(errors.LogForeign, match="Move it elsewhere"):
        open_history(database.path, KEY)
    assert (database.path.read_bytes(), wal(database).read_bytes()) == (before, foreign)
    wal(database).unlink()
    assert held(database.path) == 1


def checksum(data: bytes | bytearray, order: str, start: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """SQLite file format, section 4.2."""
    low, high = start
    for first, second in struct.iter_unpack(f"{order}II", data):
        low = (low + first + high) % 2**32
        high = (high + second + low) % 2**32
    return low, high


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_attack_71_a_foreign_log_with_the_checksums_of_any_machine_is_found(
    tmp_path: Path, order: str
) -> None:
    other = new_database(made(tmp_path / "other"), DatabaseKey(blob("another key")))
    store(other, Author().write("elsewhere"))
    log = bytearray(wal(other).read_bytes())
    other.close()
    log[:4] = struct.pack(">I", 0x377F0682 | (order == ">"))
    log[24:32] = struct.pack(">II", *(head := checksum(log[:24], order)))
    frame = log[32:40] + log[56 : 56 + 4_096]
    log[48:56] = struct.pack(">II", *checksum(frame, order, head))
    database = new_database(made(tmp_path / "here"))
    database.close()
    wal(database).write_bytes(log[: 56 + 4_096])
    with pytest.raises(errors.LogForeign):
        open_history(database.path, KEY)


def test_a_log_torn_in_its_first_frame_is_no_damage(database: Database) -> None:
    store(database, Author().write("in the file"))
    rewrite(database)
    store(database, Author(time=5).write("torn"))
    data, log = database.path.read_bytes(), bytearray(wal(database).read_bytes())
    database.close()
    log[2_000] ^= 1
    database.path.write_bytes(data)
    wal(database).write_bytes(log)
    assert held(database.path) == 1


def test_a_statement_on_a_damaged_page_names_the_damage_and_others_go_on(database: Database) -> None:
    author = Author()
    store(database, *[author.write(f"{number} " * 400) for number in range(200)])
    rewrite(database)
    flip(database, database.path.stat().st_size // 2)
    opened = open_history(database.path, KEY)
    assert any("HMAC" in line for line in opened.integrity())
    with pytest.raises(errors.DatabaseDamaged, match="damaged"):
        for table in ("entries", "bodies", "edges", "receipts", "search_content", "search_data"):
            opened.rows(f"SELECT * FROM {table}")
    opened.close()


def test_a_sound_database_is_found_sound(database: Database) -> None:
    store(database, Author().write("fine"))
    assert database.integrity() == ()
    assert wal(database).stat().st_size > 0
    rewrite(database)
    assert wal(database).stat().st_size == 0
    assert [row.body for row in entries.page(database, TALK, 9)]


def test_attack_78_nothing_of_it_is_printed(database: Database, capfd: pytest.CaptureFixture[str]) -> None:
    """SQLCipher logs each page that does not authenticate, into the middle of a terminal interface."""
    flip(database, 100)
    with pytest.raises(errors.DatabaseDamaged):
        open_history(database.path, KEY)
    assert capfd.readouterr() == ("", "")


async def test_a_store_says_whether_others_wait_and_whether_it_is_to_be_closed(database: Database) -> None:
    with ThreadPoolExecutor(1) as executor:
        store = Store(database, executor)
        assert (store.is_wanted(), store.is_closing()) == (False, False)
        go_on = threading.Event()
        first = asyncio.ensure_future(store.run(go_on.wait))
        await asyncio.sleep(0)
        assert not store.is_wanted()
        second = asyncio.ensure_future(store.run(lambda: None))
        await asyncio.sleep(0)
        assert (store.is_wanted(), store.is_closing(), store.asked) == (True, False, 2)
        go_on.set()
        await asyncio.gather(first, second)
        assert not store.is_wanted()
        await store.close()
        assert (store.is_wanted(), store.is_closing()) == (True, True)
        with pytest.raises(NotPermitted):
            await store.run(lambda: None)


async def test_damage_that_nothing_mends_reaches_who_asked(database: Database) -> None:
    damage, asked = errors.DatabaseDamaged(database.path), list[str]()

    def work() -> None:
        asked.append("work")
        raise damage

    def mend(_: Database, found: errors.DatabaseDamaged) -> None:
        asked.append("mend")
        raise errors.StorageFull

    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(errors.DatabaseDamaged):
            await Store(database, executor).run(work)
        assert asked == ["work"]
        store = Store(database, executor, mend)
        for expected in (["work", "mend"], ["work"]):  # what cannot be mended is not tried for each read
            asked.clear()
            with pytest.raises(errors.DatabaseDamaged) as caught:
                await store.run(work)
            assert caught.value is damage
            assert asked == expected
        assert not store.mended.is_set()


class Commits:
    """Work that is done once per commit, of which the disk reports the first ones as failed.

    `in_force`: for each time that it is asked, whether what was done last is stored.
    """

    def __init__(self, database: Database, failing: int, in_force: list[bool]) -> None:
        self.database, self.failing, self.in_force = database, failing, in_force
        self.done = 0

    def work(self, database: Database) -> int:
        self.done += 1
        return self.done

    def is_stored(self, database: Database, result: int) -> bool:
        assert result == self.done
        return self.in_force.pop(0)

    def rows(self, sql: str) -> list[object]:
        if sql == "COMMIT" and self.done <= self.failing:
            raise errors.StorageBroken
        return self.database._connection.execute(sql).fetchall()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("failing", "in_force", "done"),
    [
        (0, [], 1),
        (1, [True], 1),
        (1, [False], 2),
        (2, [False, True], 2),
        (2, [False, False], None),
    ],
)
async def test_work_whose_commit_is_in_doubt_is_done_again_once_unless_it_is_stored(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    failing: int,
    in_force: list[bool],
    done: int | None,
) -> None:
    commits = Commits(database, failing, in_force)
    monkeypatch.setattr(database, "rows", commits.rows)
    with ThreadPoolExecutor(1) as executor:
        writing = Store(database, executor).write_once(commits.is_stored, commits.work)
        if done is None:
            with pytest.raises(errors.StorageUnsure):
                await writing
        else:
            assert await writing == done
    assert in_force == []
    assert not database.in_transaction


async def test_what_deletes_gets_the_reserve_of_a_full_disk_once(database: Database) -> None:
    asked = 0

    async def delete() -> int:
        nonlocal asked
        asked += 1
        if (database.path.parent / RESERVE).exists() or asked == 3:
            raise errors.StorageFull
        return asked

    with ThreadPoolExecutor(1) as executor:
        storage = Store(database, executor)
        make_reserve(database.path.parent)
        assert await storage.with_reserve(delete) == 2
        with pytest.raises(errors.StorageFull):
            await storage.with_reserve(delete)
        assert asked == 3
