"""kill -9 at any moment: what was acknowledged is there, and a profile is whole or not there (attack 73)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chat.interface import BadData
from chat.storage import entries, migrations, profile, receipts
from chat.storage import folder as stored_folder
from chat.storage.database import Database
from chat.storage.errors import ProfileInUse, ProfileMissing, WrongPassphrase
from chat.storage.folder import ProfileState
from tests.support.lab.inspection import WRITER, calls, killed_at, run
from tests.support.machine import needs_strace
from tests.support.storage.samples import ME, PASSPHRASE, TALK, THEIR_TERMINAL, seeded
from tests.support.storage.writer import CREATE, NEW_PASSPHRASE, REKEY, RENEW, WIPE, WRITE, write
from tests.unit.storage.test_vault import check_is_mine, make

pytestmark = pytest.mark.crash

GROUPS = 8
MOMENTS = 8  # of a system call that is made more often than this, so many are taken, evenly


def moments(count: int) -> list[int]:
    step = -(-count // MOMENTS) or 1
    return list(range(1, count + 1, step))


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    needs_strace()
    folder = tmp_path / "blank"
    make(folder, "writer").close()
    return folder


def copies(blank: Path, count: int) -> Iterator[Path]:
    for number in range(count):
        folder = blank.with_name(f"run {number}")
        shutil.copytree(blank, folder)
        yield folder
        shutil.rmtree(folder)


def rehearsed(blank: Path, call: str, task: str, *arguments: str) -> int:
    command = [*WRITER, task]
    (made,) = [calls([*command, str(each), *arguments], [call], blank.parent) for each in copies(blank, 1)]
    return made[call]


@pytest.mark.parametrize("call", ["fsync", "pwrite64", "ftruncate"])
def test_attack_73_what_was_acknowledged_outlives_a_kill_at_each_write(blank: Path, call: str) -> None:
    made = rehearsed(blank, call, WRITE, str(GROUPS))
    assert made >= 3
    chosen = moments(made)
    for number, folder in zip(chosen, copies(blank, len(chosen)), strict=True):
        said = killed_at([*WRITER, WRITE, str(folder), str(GROUPS)], call, number)
        check_acknowledged(folder, said)


def identities(said: list[str], word: str) -> list[bytes]:
    return [bytes.fromhex(one) for line in said if line.startswith(word) for one in line.split()[1:]]


def check_acknowledged(folder: Path, said: list[str]) -> None:
    """All that was said is stored, sound and in order; what was not said is there whole or not at all."""
    stored, acknowledged = identities(said, "stored"), identities(said, "receipt")
    with profile.unlock(folder, PASSPHRASE) as opened, closing(opened.database()) as database:
        assert database.integrity() == ()
        held = [row.id for row in entries.page(database, TALK, 1_000)]
        assert held[: len(stored)] == stored
        assert len(held) in {sum(1 + number % 3 for number in range(groups)) for groups in range(GROUPS + 1)}
        assert set(receipts.of(database, acknowledged)) == set(acknowledged)
        before = derived(database)
        with database.transaction():
            migrations.rebuild(database)
        assert derived(database) == before
        finish(database)


def derived(database: Database) -> list[object]:
    tables = ("edges", "missing", "tips", "heads", "unread")
    return [database.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


def finish(database: Database) -> None:
    said: list[str] = []
    write(database, GROUPS, said.append)
    held = [row.id for row in entries.page(database, TALK, 1_000)]
    assert held == identities(said, "stored")
    assert receipts.unacknowledged(database, TALK, ME.terminal, THEIR_TERMINAL.person) == [
        entry for entry in held if not receipts.of(database, [entry])
    ]


def traced(folder: Path, names: str, *task: str) -> list[str]:
    trace = folder / "trace"
    ran = run([*WRITER, *task], "-e", f"trace={names}", trace=str(trace))
    assert ran.returncode == 0, ran.stderr
    return trace.read_text().splitlines()


def test_attack_69_nothing_is_acknowledged_before_it_is_on_the_disk(blank: Path) -> None:
    """A kill cannot show this, a power cut could: each write to a file is followed by its fsync first."""
    unsynced: set[str] = set()
    acknowledged = 0
    for line in traced(blank.parent, "pwrite64,fsync,write", WRITE, str(blank), str(GROUPS)):
        call, descriptor = line.split(",")[0].rstrip(")").split("(")[:2]
        if call == "pwrite64":
            unsynced.add(descriptor)
        elif call == "fsync":
            unsynced.discard(descriptor.split(")")[0])
        elif line.startswith(('write(1, "stored', 'write(1, "receipt')):
            acknowledged += 1
            assert not unsynced, line
    assert acknowledged == 2 * GROUPS


def test_attack_73_each_step_of_a_creation_is_durable_before_the_next(tmp_path: Path) -> None:
    """The database and the header are synced before they get their names, and the folder after it."""
    needs_strace()
    lines = traced(tmp_path, "fsync,rename,pwrite64,write", CREATE, str(tmp_path / "profile"))
    steps = [line.split("(")[0] for line in lines]
    renames = [place for place, step in enumerate(steps) if step == "rename"]
    assert ["history.db" in lines[renames[0]], "header" in lines[renames[1]]] == [True, True]
    for place in renames:
        assert steps[place - 1] == steps[place + 1] == "fsync"
    assert lines[-1].startswith('write(1, "created')
    assert steps[-2] == "fsync"


@pytest.mark.parametrize("call", ["fsync", "pwrite64", "ftruncate", "rename", "unlink", "mkdir", "write"])
def test_attack_73_a_creation_cut_anywhere_leaves_none_or_a_whole_one(tmp_path: Path, call: str) -> None:
    needs_strace()
    rehearsal = tmp_path / "rehearsal"
    made = calls([*WRITER, CREATE, str(rehearsal)], [call], tmp_path)[call]
    assert made >= 1
    for number in moments(made):
        folder = tmp_path / f"run {number}"
        killed_at([*WRITER, CREATE, str(folder)], call, number)
        check_created(folder)


def check_created(folder: Path) -> None:
    """Whatever is left, one goes on: by making the profile, or by opening it with the passphrase."""
    is_new = stored_folder.state(folder) is ProfileState.NEW
    with make(folder) if is_new else profile.unlock(folder, PASSPHRASE) as opened:
        check_is_mine(opened)
        with closing(opened.database()) as database:
            assert database.integrity() == ()
    found = sorted(path.name for path in folder.iterdir())
    assert found == ["header", "history.db", "history.db-schema", "lock"]


@pytest.mark.parametrize("call", ["fsync", "rename", "write"])
def test_attack_73_a_passphrase_changed_amid_a_kill_is_the_old_or_the_new(blank: Path, call: str) -> None:
    """The header is replaced in one step: at each moment one of both opens it, and another change works."""
    made = rehearsed(blank, call, RENEW)
    for number, folder in zip(range(1, made + 1), copies(blank, made), strict=True):
        said = killed_at([*WRITER, RENEW, str(folder)], call, number)
        passphrase = which_opens(folder)
        assert passphrase == NEW_PASSPHRASE or said == []
        assert sorted(path.name for path in folder.iterdir()) == ["header", "history.db", "lock"]
        with profile.unlock(folder, passphrase) as opened:
            opened.change_passphrase(passphrase, "a third", random=seeded("third"))
        profile.unlock(folder, "a third").close()
        assert sorted(path.name for path in folder.iterdir()) == ["header", "history.db", "lock"]


@pytest.mark.parametrize("call", ["fsync", "rename", "unlink", "write", "ftruncate"])
def test_attack_73_another_key_amid_a_kill_is_in_force_whole_or_not_at_all(blank: Path, call: str) -> None:
    """Whatever is left, one passphrase opens the header, and its key the database; nothing else stays."""
    made = rehearsed(blank, call, REKEY)
    assert made >= 1
    chosen = moments(made)
    salts = set[bytes]()
    before = (blank / stored_folder.DATABASE).read_bytes()[:16]
    for number, folder in zip(chosen, copies(blank, len(chosen)), strict=True):
        said = killed_at([*WRITER, REKEY, str(folder)], call, number)
        passphrase = which_opens(folder)
        assert passphrase == NEW_PASSPHRASE or said == []
        with profile.unlock(folder, passphrase) as opened:
            check_is_mine(opened)
            with closing(opened.database()) as database:
                assert database.integrity() == ()
                opened.change_key(database, passphrase, "a third", random=os.urandom)
                assert database.integrity() == ()
        assert sorted(path.name for path in folder.iterdir()) == [
            *("header", "history.db", "history.db-schema", "lock")
        ]
        with profile.unlock(folder, "a third") as opened:
            check_is_mine(opened)
        salts.add((folder / stored_folder.DATABASE).read_bytes()[:16])
    assert before not in salts
    assert len(salts) == len(chosen)


def which_opens(folder: Path) -> str:
    try:
        profile.unlock(folder, PASSPHRASE).close()
    except WrongPassphrase:
        profile.unlock(folder, NEW_PASSPHRASE).close()
        return NEW_PASSPHRASE
    return PASSPHRASE


@pytest.mark.parametrize("call", ["fsync", "unlink", "rmdir"])
def test_a_wipe_that_is_killed_after_its_first_step_has_destroyed_the_wrapped_key(
    blank: Path, tmp_path: Path, call: str
) -> None:
    """Nothing of the header is left at any later moment, the passphrase opens nothing, and a wipe goes on."""
    header = (blank / stored_folder.HEADER).read_bytes()
    pieces = [header[at : at + 16] for at in range(len(header) - 15)]
    rehearsal = shutil.copytree(blank, tmp_path / "rehearsal")
    made = calls([*WRITER, WIPE, str(rehearsal)], [call], tmp_path)[call]
    assert made >= 1
    for number in moments(made):
        folder = shutil.copytree(blank, tmp_path / f"run {number}")
        (folder / f"{stored_folder.HEADER}.next").write_bytes(header)
        assert killed_at([*WRITER, WIPE, str(folder)], call, number) == []
        left = b"".join(path.read_bytes() for path in folder.iterdir())
        assert [piece for piece in pieces if piece in left] == []
        with pytest.raises(BadData):
            profile.unlock(folder, PASSPHRASE)
        if stored_folder.holds_any(folder):
            profile.wipe(folder)
            assert not folder.exists()
        assert [path for path in folder.glob("*") if path.name != "lock"] == []


def test_a_wipe_removes_the_profile_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    with pytest.raises(ProfileMissing):
        profile.wipe(folder)
    with make(folder, "writer") as opened, closing(opened.database()), pytest.raises(ProfileInUse):
        profile.wipe(folder)
    (folder / "mine").write_text("kept")
    profile.wipe(folder)
    assert [path.name for path in folder.iterdir()] == ["mine"]
    with pytest.raises(ProfileMissing):
        profile.wipe(folder)
    assert stored_folder.state(folder) is ProfileState.NEW
    (folder / "mine").unlink()
    make(folder, "writer").close()
    stored_folder.make_reserve(folder)
    (folder / stored_folder.HEADER).write_bytes(b"damaged")
    profile.wipe(folder)
    assert not folder.exists()
