"""Failures of files and wrong calls of storage, each where it happens."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chat.storage import entries, errors, folder, keys, persons, profile
from chat.storage.database import Database
from chat.storage.folder import DATABASE, HEADER, NotDurable, ProfileLock
from chat.storage.migrations import create_history, open_history
from protocol import profile_header
from protocol.errors import LocalMisuse
from protocol.profile_header import CHEAPEST, DatabaseKey
from tests.support.storage.samples import KEY, ME, THEM, blob, sample, seeded, store

FULL = OSError(errno.ENOSPC, "full")


def refusing(error: Exception, first: Callable[..., object] = lambda *_: None) -> Callable[..., Any]:
    def call(*args: Any, **_: Any) -> Any:
        first(*args)
        raise error

    return call


@pytest.mark.parametrize("vanishes", [True, False])
def test_a_file_that_cannot_be_written_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vanishes: bool
) -> None:
    path = tmp_path / "file"
    monkeypatch.setattr(os, "fsync", refusing(FULL, lambda _: path.unlink() if vanishes else None))
    with pytest.raises(OSError) as caught:
        folder.write_private(path, b"data")
    assert caught.value is FULL
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("vanishes", [True, False])
def test_a_file_that_cannot_be_replaced_keeps_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vanishes: bool
) -> None:
    path = tmp_path / "file"
    folder.write_private(path, b"old")
    (tmp_path / "file.next").write_text("left by a crash")
    folder.replace_private(path, b"new")
    monkeypatch.setattr(Path, "replace", refusing(FULL, lambda one, _: one.unlink() if vanishes else None))
    with pytest.raises(OSError) as caught:
        folder.replace_private(path, b"newer")
    assert caught.value is FULL
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_each_file_opens_without_the_flag_that_windows_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python itself keeps each descriptor from programs that it starts."""
    monkeypatch.delattr(os, "O_CLOEXEC", raising=False)
    folder.create_private(tmp_path / "created")
    folder.write_private(tmp_path / "written", b"data")
    folder.sync_folder(tmp_path)
    lock = ProfileLock(tmp_path)
    assert folder.is_held(tmp_path)
    assert not os.get_inheritable(lock._descriptor)
    lock.release()


def test_a_child_that_was_forked_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock = ProfileLock(tmp_path)
    inherited = os.dup(lock._descriptor)  # as a fork has it until it runs another program
    lock.release()
    assert not folder.is_held(tmp_path)
    ProfileLock(tmp_path).release()
    os.close(inherited)


def test_a_file_is_not_moved_over_another(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("source")
    target.write_text("target")
    with pytest.raises(FileExistsError):
        folder.move(source, target)
    assert (source.read_text(), target.read_text()) == ("source", "target")
    target.unlink()
    folder.move(source, target)
    assert (source.exists(), target.read_text()) == (False, "source")


def test_a_rename_whose_folder_cannot_be_synced_is_not_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_text("source")
    monkeypatch.setattr(os, "fsync", refusing(FULL))
    with pytest.raises(NotDurable):
        folder.move(source, tmp_path / "target")
    assert (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("before", "after"), [(0o777, 0o700), (0o740, 0o700), (0o604, 0o600), (0o600, 0o600)]
)
def test_others_lose_their_access(tmp_path: Path, before: int, after: int) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(before)
    folder.close_to_others(path)
    assert stat.S_IMODE(path.stat().st_mode) == after


def test_folders_are_private_from_the_first_on(tmp_path: Path) -> None:
    folder.make_private_folder(tmp_path / "outer" / "inner")
    for place in (tmp_path / "outer", tmp_path / "outer" / "inner"):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        folder.make_private_folder(tmp_path / "file")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        *((OSError(number, ""), errors.StorageFull) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)),
        *(
            (OSError(number, ""), errors.StorageReadOnly)
            for number in (errno.EROFS, errno.EACCES, errno.EPERM)
        ),
        (OSError(errno.EIO, ""), errors.StorageBroken),
        (OSError(), errors.StorageBroken),
        (NotDurable(errno.ENOSPC, ""), errors.StorageUnsettled),
    ],
)
def test_failures_of_the_system_have_their_classes(error: OSError, kind: type[Exception]) -> None:
    assert type(folder.from_system(error)) is kind


def test_too_little_memory_for_the_passphrase_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    key = DatabaseKey(blob("key"))
    header = folder.wrap(key, "words", CHEAPEST, 0, seeded("header"))
    for name in ("wrap", "unwrap"):
        monkeypatch.setattr(profile_header, name, refusing(LocalMisuse("memory")))
    with pytest.raises(errors.TooLittleMemory):
        folder.wrap(key, "words", CHEAPEST, 0, seeded("header"))
    with pytest.raises(errors.TooLittleMemory):
        folder.unwrap(header, "words")


def test_the_port_of_a_folder_is_that_of_its_header(tmp_path: Path) -> None:
    assert folder.port(tmp_path) == 0
    (tmp_path / DATABASE).write_bytes(b"a database without its header")
    assert folder.port(tmp_path) == 0
    (tmp_path / HEADER).write_bytes(b"no header")
    assert folder.port(tmp_path) == 0
    made = profile.create(tmp_path / "profile", "words", lambda _: None, random=seeded("port"), cost=CHEAPEST)
    with made:
        made.set_port(5000)
    assert folder.port(tmp_path / "profile") == 5000


def test_a_lock_that_fails_leaves_no_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []
    real = os.close

    def close(descriptor: int) -> None:
        closed.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "close", close)
    with_lock = ProfileLock(tmp_path)
    assert folder.is_held(tmp_path)
    with pytest.raises(errors.ProfileInUse):
        ProfileLock(tmp_path)
    assert len(closed) == 2
    with_lock.release()
    with_lock.release()
    assert len(closed) == 3
    assert not folder.is_held(tmp_path)
    monkeypatch.setattr(folder, "_lock", refusing(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError) as caught:
        ProfileLock(tmp_path)
    assert caught.value.errno == errno.EIO
    with pytest.raises(errors.StorageBroken):
        folder.is_held(tmp_path)
    assert len(closed) == 6


@pytest.mark.parametrize(("free", "reserved"), [(16 << 20, True), ((16 << 20) - 1, False)])
def test_a_reserve_is_made_where_there_is_room_for_sixteen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, reserved: bool
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    for _ in range(2):
        folder.make_reserve(tmp_path)
        assert (tmp_path / folder.RESERVE).exists() is reserved
    (tmp_path / folder.RESERVE).write_bytes(b"cut short by a crash")
    folder.make_reserve(tmp_path)
    assert ((tmp_path / folder.RESERVE).stat().st_size == folder.RESERVE_BYTES) is reserved


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_locks_holds_no_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    assert not folder.is_held(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "lock").touch()
    monkeypatch.setattr("fcntl.flock", refusing(OSError(number, "no locks")))
    for use in (ProfileLock, folder.is_held):
        with pytest.raises(errors.LockUnsupported):
            use(tmp_path)


@pytest.mark.parametrize(("result", "hidden"), [(0, True), (-1, False)])
def test_the_memory_of_the_process_is_hidden_where_the_system_can(
    monkeypatch: pytest.MonkeyPatch, result: int, hidden: bool
) -> None:
    asked: list[list[int]] = []

    def prctl(option: int, *values: ctypes.c_ulong) -> int:
        asked.append([option, *(value.value for value in values)])
        return result

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(prctl=prctl))
    monkeypatch.setattr("sys.platform", "darwin")
    assert not folder.hide_memory()
    assert asked == []
    monkeypatch.setattr("sys.platform", "linux")
    assert folder.hide_memory() is hidden
    assert asked == [[4, 0, 0, 0, 0]]  # PR_SET_DUMPABLE


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.EACCES, ""), errors.ProfileUnwritable),
        (FileExistsError(), errors.ProfileUnwritable),
        (NotADirectoryError(), errors.ProfileUnwritable),
        (OSError(errno.ENOSPC, ""), errors.StorageFull),
    ],
)
def test_a_profile_that_cannot_be_made_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, kind: type[Exception]
) -> None:
    monkeypatch.setattr(folder, "make_private_folder", refusing(error))
    with pytest.raises(kind):
        profile.create(tmp_path / "x", "words", lambda _: None, random=seeded("x"), cost=CHEAPEST)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(errors.StorageUnsettled(), errors.ProfileUnsettled), (ZeroDivisionError(), ZeroDivisionError)],
)
def test_a_profile_that_was_not_made_is_not_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception]
) -> None:
    monkeypatch.setattr(profile, "_build", refusing(error))
    with pytest.raises(kind):
        profile.create(tmp_path / "x", "words", lambda _: None, random=seeded("x"), cost=CHEAPEST)
    assert not folder.is_held(tmp_path / "x")


def test_a_profile_that_cannot_be_destroyed_is_left_unlocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = tmp_path / "x"
    profile.create(where, "words", lambda _: None, random=seeded("x"), cost=CHEAPEST).close()
    with monkeypatch.context() as patch, pytest.raises(errors.StorageBroken):
        patch.setattr(folder, "destroy", refusing(OSError(errno.EIO, "broken")))
        profile.wipe(where)
    assert not folder.is_held(where)
    profile.wipe(where)
    assert not where.exists()


def test_the_disk_has_another_header_before_a_file_of_the_profile_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile.create(tmp_path / "x", "words", lambda _: None, random=seeded("x"), cost=CHEAPEST).close()
    header = tmp_path / "x" / HEADER
    before, synced = header.read_bytes(), list[tuple[int, bool, bool]]()

    def fsync(_: int) -> None:
        if header.exists():
            data = header.read_bytes()
            synced.append((len(data), data == before, header.with_name(DATABASE).exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    profile.wipe(tmp_path / "x")
    assert synced == [(len(before), False, True)]


def test_a_profile_whose_last_step_fails_is_there_and_said_to_be_unsettled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(errors.ProfileUnsettled):
        patch.setattr(profile, "_finish_creation", refusing(OSError(errno.EIO, "broken")))
        profile.create(tmp_path / "x", "words", lambda _: None, random=seeded("x"), cost=CHEAPEST)
    profile.unlock(tmp_path / "x", "words").close()


def test_a_database_in_which_nobody_was_created_has_no_own_keys(tmp_path: Path) -> None:
    create_history(tmp_path / "history.db", KEY, lambda _: None)
    with closing(open_history(tmp_path / "history.db", KEY)) as blank, pytest.raises(errors.StorageMisuse):
        keys.read_own(blank)


def test_a_database_of_another_program_is_taken_for_damage(database: Database) -> None:
    with database.transaction():
        database.run("PRAGMA application_id = 7")
    database.close()
    with pytest.raises(errors.DatabaseDamaged):
        open_history(database.path, KEY)


def test_an_entry_whose_parts_do_not_fit_together_is_damage(database: Database) -> None:
    entry = sample("text")
    store(database, entry)
    row = database.row(f"{entries.COLUMNS} WHERE e.id = ?", entry.id)
    assert row is not None
    assert entries.read_row(database, row).body == entry.body
    for place, value in enumerate(row):
        if isinstance(value, bytes) and value in (entry.id, entry.header_bytes, entry.salt, entry.body):
            for wrong in (value[:-1] + bytes([value[-1] ^ 1]), "text"):
                with pytest.raises(errors.DatabaseDamaged):
                    entries.read_row(database, (*row[:place], wrong, *row[place + 1 :]))


def test_changes_outside_of_a_transaction_are_refused(database: Database) -> None:
    changes: list[Callable[[], object]] = [
        lambda: database.run("DELETE FROM operations"),
        lambda: database.insert(
            "INSERT INTO operations (person, id, data) VALUES (?, ?, ?)", THEM, THEM, b""
        ),
        lambda: database.run_many("DELETE FROM operations WHERE id = ?", [(THEM,)]),
    ]
    for change in changes:
        with pytest.raises(errors.StorageMisuse):
            change()


def test_ids_have_32_bytes_and_join(database: Database) -> None:
    assert keys.joined_ids([THEM, ME.terminal]) == THEM + ME.terminal
    for wrong in (THEM[1:], THEM + b"x"):
        with pytest.raises(errors.StorageMisuse):
            keys.joined_ids([THEM, wrong])


def test_operations_are_dropped_by_their_ids(database: Database) -> None:
    with database.transaction():
        for name in ("a", "b", "c"):
            assert persons.add_operation(database, THEM, blob(name), name.encode())
        persons.drop_operations(database, THEM, [blob("a"), blob("c")])
    assert persons.operations_of(database, THEM) == [b"b"]


def test_entries_of_an_unknown_conversation_are_refused(database: Database) -> None:
    stranger = sample("x", conversation=blob("nowhere"))
    with database.transaction(), pytest.raises(errors.StorageMisuse):
        entries.insert_all(database, [stranger], ME.terminal)


def test_a_database_knows_its_transaction_and_is_not_compacted_within_it(database: Database) -> None:
    states = [database.in_transaction]
    with database.transaction():
        states.append(database.in_transaction)
        with pytest.raises(errors.StorageMisuse):
            database.scrub()
        with pytest.raises(errors.StorageMisuse), database.transaction():
            pass
    assert [*states, database.in_transaction] == [False, True, False]
    database.scrub()


def test_a_file_that_was_removed_or_replaced_takes_no_more_writes(database: Database) -> None:
    kept = database.path.with_name("kept")
    database.path.rename(kept)
    with pytest.raises(errors.StorageGone):
        database._check_place()
    database.path.touch()
    with pytest.raises(errors.StorageGone):
        database._check_place()
    kept.replace(database.path)
    database._check_place()


def test_a_place_that_cannot_be_read_is_a_failure(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", refusing(OSError(errno.EACCES, "no")))
        with pytest.raises(errors.StorageUnsure):
            database._check_place()
