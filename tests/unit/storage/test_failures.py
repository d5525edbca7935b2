"""Failures of files and wrong calls of storage, each where it happens."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chat.storage import entries, errors, folder, keys, persons, profile
from chat.storage.database import Database
from chat.storage.folder import DATABASE, HEADER, NotDurable, ProfileLock
from protocol import profile_header
from protocol.errors import LocalMisuse
from protocol.profile_header import CHEAPEST, DatabaseKey
from tests.support.storage.samples import ME, THEM, blob, sample, seeded

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
            database.erase_unused(1)
        with pytest.raises(errors.StorageMisuse), database.transaction():
            pass
    assert [*states, database.in_transaction] == [False, True, False]
    database.erase_unused(1)


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
