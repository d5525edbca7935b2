"""The passphrase in the system's keyring: saved, replaced and removed, and each failure in words."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keyring
import pytest
from keyring.backends import fail, null
from keyring.errors import InitError, KeyringLocked, PasswordSetError

from chat.interface import Kept
from chat.storage import errors
from chat.storage.folder import KEYRING, KEYRING_PAUSED
from chat.storage.system_keyring import SERVICE, Passphrase, SystemKeyring
from tests.support.fakes.keyring import MemoryKeyring, Stuck, system_keyring

SECRET = "five small words"
OTHER = "another one"
REFUSALS = [KeyringLocked(SECRET), InitError(SECRET), PasswordSetError(SECRET), ValueError(SECRET)]


@pytest.fixture
def store() -> Iterator[MemoryKeyring]:
    with system_keyring() as made:
        yield made


def refusing(failure: Exception, *calls: str) -> Callable[[str], None]:
    def refuse(call: str) -> None:
        if call in calls:
            raise failure

    return refuse


def markers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_passphrase_is_saved_under_a_name_that_only_the_profile_knows(
    store: MemoryKeyring, tmp_path: Path
) -> None:
    kept = SystemKeyring(tmp_path)
    assert kept.kept() is Kept.NO
    assert "MemoryKeyring" in await kept.save(SECRET)
    assert kept.kept() is Kept.YES
    assert (await kept.passphrase()).reveal() == SECRET
    name = (tmp_path / KEYRING).read_text()
    assert store.entries == {(SERVICE, name): SECRET}
    assert (tmp_path / KEYRING).stat().st_mode & 0o077 == 0
    await kept.save(OTHER)
    assert store.entries == {(SERVICE, name): OTHER}
    await kept.remove()
    assert (store.entries, markers(tmp_path)) == ({}, set())


async def test_without_the_marker_the_keyring_is_not_asked(store: MemoryKeyring, tmp_path: Path) -> None:
    kept = SystemKeyring(tmp_path)
    await kept.update(SECRET)
    await kept.remove()
    with pytest.raises(errors.KeyringEmpty):
        await kept.passphrase()
    kept.pause()
    kept.resume()
    assert (store.asked, kept.kept()) == ([], Kept.NO)


async def test_what_is_paused_is_kept_and_goes_on(store: MemoryKeyring, tmp_path: Path) -> None:
    kept = SystemKeyring(tmp_path)
    await kept.save(SECRET)
    kept.pause()
    assert kept.kept() is Kept.PAUSED
    await kept.update(OTHER)
    assert (kept.kept(), list(store.entries.values())) == (Kept.PAUSED, [OTHER])
    kept.resume()
    assert (await kept.passphrase()).reveal() == OTHER
    kept.pause()
    await kept.save(SECRET)
    assert kept.kept() is Kept.YES
    kept.pause()
    await kept.remove()
    assert (kept.kept(), store.entries) == (Kept.NO, {})


@pytest.mark.parametrize("failure", REFUSALS)
@pytest.mark.parametrize("call", ["get", "set"])
async def test_a_keyring_that_refuses_is_said_without_its_own_words(
    store: MemoryKeyring, tmp_path: Path, failure: Exception, call: str
) -> None:
    kept = SystemKeyring(tmp_path)
    store.before = refusing(failure, call)
    with pytest.raises(errors.KeyringRefused) as refused:
        await kept.save(SECRET)
    assert SECRET not in f"{refused.value!r} {refused.value.__cause__} {refused.value.__context__}"
    assert kept.kept() is Kept.NO
    store.before = lambda _: None
    await kept.save(SECRET)
    store.before = refusing(failure, "get")
    with pytest.raises(errors.KeyringRefused):
        await kept.passphrase()
    assert kept.kept() is Kept.YES


@pytest.mark.parametrize(
    ("backend", "problem"), [(fail.Keyring, errors.KeyringAbsent), (null.Keyring, errors.KeyringRefused)]
)
async def test_a_machine_that_keeps_nothing_is_named(
    store: MemoryKeyring, tmp_path: Path, backend: type, problem: type[Exception]
) -> None:
    keyring.set_keyring(backend())
    with pytest.raises(problem):
        await SystemKeyring(tmp_path).save(SECRET)
    assert SystemKeyring(tmp_path).kept() is Kept.NO


async def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(errors.KeyringMissing, match=r"parlour\[keyring\]"):
        await SystemKeyring(tmp_path).save(SECRET)


async def test_an_entry_that_somebody_removed_is_named(store: MemoryKeyring, tmp_path: Path) -> None:
    kept = SystemKeyring(tmp_path)
    await kept.save(SECRET)
    store.entries.clear()
    with pytest.raises(errors.KeyringEmpty):
        await kept.passphrase()
    await kept.save(SECRET)
    (tmp_path / KEYRING).write_bytes(b"\xff" * 3)
    with pytest.raises(errors.KeyringEmpty):
        await kept.passphrase()
    await kept.save(OTHER)
    assert (await kept.passphrase()).reveal() == OTHER


async def test_a_keyring_that_never_answers_is_waited_for_so_long_only(
    store: MemoryKeyring, tmp_path: Path
) -> None:
    kept = SystemKeyring(tmp_path)
    await kept.save(SECRET)
    store.before = stuck = Stuck()
    hurried = SystemKeyring(tmp_path, within=0)
    try:
        with pytest.raises(errors.KeyringSilent):
            await hurried.passphrase()
    finally:
        stuck.released.set()
    assert kept.kept() is Kept.YES


async def test_what_may_have_been_saved_is_not_used_and_not_forgotten(
    store: MemoryKeyring, tmp_path: Path
) -> None:
    store.before = stuck = Stuck()
    kept = SystemKeyring(tmp_path, within=0)
    try:
        with pytest.raises(errors.KeyringUnsure):
            await kept.save(SECRET)
        assert kept.kept() is Kept.PAUSED
    finally:
        stuck.released.set()
    await SystemKeyring(tmp_path).remove()
    assert markers(tmp_path) == set()


async def test_a_passphrase_that_cannot_be_replaced_is_removed(store: MemoryKeyring, tmp_path: Path) -> None:
    kept = SystemKeyring(tmp_path)
    await kept.save(SECRET)
    store.before = refusing(KeyringLocked(), "set")
    with pytest.raises(errors.KeyringNotUpdated):
        await kept.update(OTHER)
    assert (kept.kept(), store.entries) == (Kept.NO, {})


@pytest.mark.parametrize("stuck", [False, True])
async def test_a_passphrase_that_can_be_neither_replaced_nor_removed_is_named(
    store: MemoryKeyring, tmp_path: Path, stuck: bool
) -> None:
    with failing(store, stuck, await saved(tmp_path)) as (kept, name):
        with pytest.raises(errors.KeyringNotUpdatedOrEmptied, match=name):
            await kept.update(OTHER)
        assert kept.kept() is Kept.NO


@pytest.mark.parametrize("stuck", [False, True])
async def test_an_entry_that_cannot_be_removed_is_named_and_not_used(
    store: MemoryKeyring, tmp_path: Path, stuck: bool
) -> None:
    with failing(store, stuck, await saved(tmp_path)) as (kept, name):
        with pytest.raises(errors.KeyringLeft, match=name):
            await kept.remove()
        assert kept.kept() is Kept.NO


async def saved(folder: Path) -> Path:
    await SystemKeyring(folder).save(SECRET)
    return folder


@contextmanager
def failing(store: MemoryKeyring, stuck: bool, folder: Path) -> Iterator[tuple[SystemKeyring, str]]:
    """A keyring that has a passphrase, and refuses a change of it or never answers; and its entry's name."""
    held = Stuck()
    store.before = held if stuck else refusing(KeyringLocked(), "set", "delete")
    try:
        yield SystemKeyring(folder, within=0 if stuck else 30), (folder / KEYRING).read_text()
    finally:
        held.released.set()


async def test_a_folder_that_cannot_be_written_saves_nothing(store: MemoryKeyring, tmp_path: Path) -> None:
    (tmp_path / KEYRING_PAUSED).mkdir()
    with pytest.raises(errors.StorageFailure):
        await SystemKeyring(tmp_path).save(SECRET)
    assert store.asked == []


@pytest.mark.parametrize("write", [pickle.dumps, copy.copy])
def test_a_passphrase_does_not_show_itself(write: Callable[[object], object]) -> None:
    passphrase = Passphrase(SECRET)
    assert f"{passphrase} {passphrase!r}" == "Passphrase(<redacted>) Passphrase(<redacted>)"
    with pytest.raises(TypeError):
        write(passphrase)


LOADED = """
import asyncio, pathlib, sys
from chat.assemble import door
opened = door(pathlib.Path(sys.argv[1]))
print(asyncio.run(opened.kept()), asyncio.run(opened.unlock_kept()), "keyring" in sys.modules)
"""


def test_who_does_not_use_it_loads_no_library(tmp_path: Path) -> None:
    """A backend that cannot be loaded would say so."""
    around = {**os.environ, "PYTHON_KEYRING_BACKEND": "no.such.Backend"}
    command = [sys.executable, "-c", LOADED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=around)
    assert done.stdout.split() == ["no", "None", "False"]
