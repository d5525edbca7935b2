"""A disk that is full, broken or read-only, and no files left to open: each is reported, and outlived."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from chat.storage import entries
from chat.storage import folder as stored_folder
from chat.storage import profile as stored_profile
from chat.storage.errors import WrongPassphrase
from tests.support.lab.inspection import WRITER, calls, run
from tests.support.machine import needs_strace
from tests.support.storage.samples import PASSPHRASE, TALK
from tests.support.storage.writer import CREATE, INSIST, NEW_PASSPHRASE, RENEW, STARVE
from tests.unit.storage.test_vault import check_is_mine, make

INSISTING = [*WRITER, INSIST]
COUNT = "12"


def outlived(command: Sequence[str], *strace: str) -> list[str]:
    """What a command says that ends well whatever fails."""
    ran = run(command, *strace)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def failures(said: list[str]) -> list[str]:
    return [line.split()[1] for line in said if line.startswith("failed")]


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new profile; everything temporary goes where it is seen."""
    needs_strace()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for name in ("TMPDIR", "SQLITE_TMPDIR"):
        monkeypatch.setenv(name, str(temporary))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    folder = tmp_path / "profile"
    make(folder, "writer").close()
    return folder


def check(folder: Path, said: list[str]) -> None:
    stored = [bytes.fromhex(line.split()[1]) for line in said if line.startswith("stored")]
    with stored_profile.unlock(folder, PASSPHRASE) as opened, closing(opened.database()) as database:
        assert database.integrity() == ()
        assert [row.id for row in entries.page(database, TALK, 1_000)] == stored
    written = {path for path in folder.parent.rglob("*") if path.is_file()}
    assert {path.name for path in written} <= {"header", "history.db", "history.db-schema", "lock", "trace"}
    assert not [path for path in written if b"needle" in path.read_bytes()]


FAULTS = [
    ("pwrite64", "ENOSPC", "StorageFull"),
    ("pwrite64", "EIO", "StorageUnsure"),
    ("fsync", "EIO", "StorageUnsure"),
    ("fsync", "ENOSPC", "StorageUnsure"),
    ("ftruncate", "EIO", "StorageBroken"),
]
AT_REST = {"EIO": {"StorageBroken"}, "ENOSPC": {"StorageBroken", "StorageFull"}}
"""What a fault is called outside a commit, where nothing is in doubt: by SQLite, or by the cleaning."""


@pytest.mark.parametrize(("call", "fault", "expected"), FAULTS, ids=[f"{row[0]} {row[1]}" for row in FAULTS])
def test_attack_74_a_fault_is_told_and_outlived(profile: Path, call: str, fault: str, expected: str) -> None:
    whole = profile.with_name("whole")
    shutil.copytree(profile, whole)
    made = calls([*INSISTING, str(whole), COUNT], [call], profile.parent)[call]
    shutil.rmtree(whole)
    failed = 0
    for part in (0.1, 0.3, 0.6, 0.9):
        folder = profile.with_name("part")
        shutil.copytree(profile, folder)
        moment = max(2, int(part * made))
        inject = f"inject={call}:error={fault}:when={moment}..{moment + max(2, made // 5)}"
        said = outlived([*INSISTING, str(folder), COUNT], "-e", f"trace={call}", "-e", inject)
        assert set(failures(said)) <= {expected, *(AT_REST[fault] if expected == "StorageUnsure" else ())}
        failed += failures(said).count(expected)
        check(folder, said)
        shutil.rmtree(folder)
    assert failed > 0


def test_attack_74_a_disk_that_stays_full_is_told_each_time(profile: Path) -> None:
    inject = "inject=pwrite64:error=ENOSPC:when=200+"
    said = outlived([*INSISTING, str(profile), COUNT], "-e", "trace=pwrite64", "-e", inject)
    assert "StorageFull" in failures(said)
    assert any(line.startswith("stored") for line in said)
    check(profile, said)


def test_attack_74_a_profile_that_cannot_be_made_leaves_nothing(profile: Path) -> None:
    made = calls([*WRITER, CREATE, str(profile.with_name("whole"))], ["pwrite64"], profile.parent)["pwrite64"]
    for number in range(1, made + 1, made // 8):
        folder = profile.parent / f"new {number}"
        inject = f"inject=pwrite64:error=ENOSPC:when={number}+"
        ran = run([*WRITER, CREATE, str(folder)], "-e", "trace=pwrite64", "-e", inject)
        assert ran.stdout == "failed StorageFull\n"
        assert [path.name for path in folder.iterdir()] == ["lock"]
        assert stored_folder.state(folder) is stored_folder.ProfileState.NEW


def test_attack_74_a_passphrase_that_cannot_be_written_stays_the_old_one(profile: Path) -> None:
    for call in ("write", "fsync", "rename"):
        header = profile / "header.next"
        ran = run(
            [*WRITER, RENEW, str(profile)],
            *("-P", str(header), "-P", str(profile / "header")),
            *("-e", f"trace={call}", "-e", f"inject={call}:error=ENOSPC"),
        )
        assert ran.stdout == "failed StorageFull\n"
        assert not header.exists()
        stored_profile.unlock(profile, PASSPHRASE).close()


@pytest.mark.parametrize("fault", ["EIO", "ENOSPC"])
def test_attack_74_a_passphrase_whose_name_is_not_synced_is_the_new_one(profile: Path, fault: str) -> None:
    """The folder's fsync comes after the rename: the new header is in force, and is said to be."""
    ran = run(
        [*WRITER, RENEW, str(profile)],
        *("-P", str(profile), "-e", "trace=fsync", "-e", f"inject=fsync:error={fault}"),
    )
    assert ran.stdout == "failed PassphraseUnsettled\n"
    with pytest.raises(WrongPassphrase):
        stored_profile.unlock(profile, PASSPHRASE)
    stored_profile.unlock(profile, NEW_PASSPHRASE).close()
    assert sorted(path.name for path in profile.iterdir()) == ["header", "history.db", "lock"]


@pytest.mark.parametrize(
    ("call", "from_last", "said"),
    [
        # Last the folder is synced for the unfinished parts, then for the name of each.
        ("fsync", 2, "StorageBroken"),
        ("fsync", 1, "ProfileUnsettled"),
        ("fsync", 0, "ProfileUnsettled"),
        ("rename", 1, "StorageBroken"),
        ("rename", 0, "ProfileUnsettled"),
    ],
)
def test_attack_74_a_creation_says_what_it_made(profile: Path, call: str, from_last: int, said: str) -> None:
    folder = profile.with_name("new")
    paths = [folder] if call == "fsync" else [folder / "unfinished.db", folder / "unfinished.header"]
    options = [word for path in paths for word in ("-P", str(path))]
    folder.mkdir()
    made = calls([*WRITER, CREATE, str(folder)], [call], profile.parent, *options)[call]
    shutil.rmtree(folder)
    folder.mkdir()
    inject = f"inject={call}:error=EIO:when={made - from_last}"
    ran = run([*WRITER, CREATE, str(folder)], *options, "-e", f"trace={call}", "-e", inject)
    assert ran.stdout == f"failed {said}\n"
    if said == "StorageBroken":
        assert stored_folder.state(folder) is stored_folder.ProfileState.NEW
        make(folder).close()
    with stored_profile.unlock(folder, PASSPHRASE) as opened:
        check_is_mine(opened)
    found = sorted(path.name for path in folder.iterdir())
    assert found == ["header", "history.db", "history.db-schema", "lock"]


@pytest.mark.parametrize("name", ["lock", "history.db", "header"])
@pytest.mark.parametrize("fault", ["EROFS", "EACCES", "EMFILE", "EIO"])
def test_attack_74_a_file_that_does_not_open_is_told(profile: Path, name: str, fault: str) -> None:
    """At each moment at which it is opened; SQLite itself falls back to reading only."""
    failed, options = set(), ("-P", str(profile / name), "-e", "trace=openat")
    insisting = [*INSISTING, str(profile), "1"]
    made = calls(insisting, ["openat"], profile.parent, *options[:2])["openat"]
    for moment in range(1, made + 1):
        inject = f"inject=openat:error={fault}:when={moment}"
        failed |= set(failures(outlived(insisting, *options, "-e", inject)))
    assert failed <= {"StorageReadOnly", "StorageBroken"}
    assert ("StorageReadOnly" if fault in ("EROFS", "EACCES") else "StorageBroken") in failed


def test_attack_74_no_more_files_to_open_is_told_until_there_are(profile: Path) -> None:
    said = outlived([*WRITER, STARVE, str(profile)], "-e", "trace=none")
    assert said[-1] == "stored"
    assert set(said[:-1]) == {"failed StorageBroken"}
