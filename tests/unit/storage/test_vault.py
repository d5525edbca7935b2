"""The profile folder: made whole, opened by its passphrase, and never begun afresh over anything found."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from chat.interface import BadData, CannotCreate, NotPermitted, ParlourError, UsageError
from chat.storage import errors, keys, pages
from chat.storage import folder as stored_folder
from chat.storage import profile as stored_profile
from chat.storage.database import Database
from chat.storage.folder import DATABASE, HEADER, ProfileState
from chat.storage.profile import Vault
from protocol.codec import encode
from protocol.profile_header import CHEAPEST, Cost
from tests.support.machine import needs_files_of_posix
from tests.support.storage.samples import ME, PASSPHRASE, first_rows, seeded


def make(folder: Path, seed: str = "profile") -> Vault:
    return stored_profile.create(folder, PASSPHRASE, first_rows, random=seeded(seed), cost=CHEAPEST)


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    folder = tmp_path / "profile"
    make(folder).close()
    return folder


def check_is_mine(opened: Vault) -> None:
    with closing(opened.database()) as database:
        assert keys.read_own(database) == ME


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the lock, which opening may make."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "lock"}


Spoil = Callable[[Path], object]


def holding(name: str, data: bytes) -> Spoil:
    return lambda folder: (folder / name).write_bytes(data)


def cut(name: str, end: int) -> Spoil:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:end])


def flipped(place: int) -> Spoil:
    def spoil(folder: Path) -> None:
        data = bytearray((folder / DATABASE).read_bytes())
        data[place] ^= 1
        (folder / DATABASE).write_bytes(data)

    return spoil


def anothers_database(folder: Path) -> None:
    another = folder.parent / "another"
    make(another, "another").close()
    (another / DATABASE).replace(folder / DATABASE)


def test_a_profile_is_made_opened_and_opened_again(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "profile"
    assert stored_folder.state(folder) is ProfileState.NEW
    made = make(folder)
    check_is_mine(made)
    made.close()
    assert stored_folder.state(folder) is ProfileState.LOCKED
    with stored_profile.unlock(folder, PASSPHRASE) as opened:
        check_is_mine(opened)
    assert set(contents(folder)) == {HEADER, DATABASE, f"{DATABASE}-schema"}


def test_everything_is_its_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    before = os.umask(0)
    try:
        made = make(folder)
        database = made.database()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
        database.close()
        made.set_port(4748)
        made.close()
    finally:
        os.umask(before)
    files = (HEADER, DATABASE, f"{DATABASE}-schema", f"{DATABASE}-wal", "lock")
    assert modes == {"profile": 0o700, **dict.fromkeys(files, 0o600)}
    assert stat.S_IMODE((folder / HEADER).stat().st_mode) == 0o600


MAKE_PRIVATE = """
import os, resource
from chat.storage.folder import make_private
os.umask(0); make_private()
print(oct(os.umask(0)), resource.getrlimit(resource.RLIMIT_CORE)[0])
"""


def test_new_files_of_the_program_are_its_users_alone_and_it_leaves_no_core_file() -> None:
    assert subprocess.check_output([sys.executable, "-c", MAKE_PRIVATE], text=True).split() == ["0o77", "0"]


def test_a_folder_open_to_others_is_closed(profile: Path) -> None:
    profile.chmod(0o755)
    stored_profile.unlock(profile, PASSPHRASE).close()
    assert stat.S_IMODE(profile.stat().st_mode) == 0o700


# By what was done to a profile: how, what is said, and whether it shows without the passphrase.
FINDINGS: dict[str, tuple[Spoil, type[ParlourError], bool]] = {
    "no header": (lambda folder: (folder / HEADER).unlink(), errors.HeaderMissing, True),
    "cut header": (cut(HEADER, -1), errors.HeaderDamaged, True),
    "empty header": (holding(HEADER, b""), errors.HeaderDamaged, True),
    "huge header": (lambda folder: os.truncate(folder / HEADER, 1 << 20), errors.HeaderDamaged, True),
    "newer header": (holding(HEADER, encode(["parlour-profile", 2, "more"])), errors.ProfileTooNew, True),
    "no database": (lambda folder: (folder / DATABASE).unlink(), errors.DatabaseMissing, True),
    "empty database": (holding(DATABASE, b""), errors.DatabaseEmpty, True),
    "clear database": (holding(DATABASE, b"SQLite format 3\x00" + bytes(4080)), errors.NotEncrypted, True),
    "short database": (cut(DATABASE, 100), errors.DatabaseDamaged, False),
    "damaged first page": (flipped(1_000), errors.DatabaseDamaged, False),
    "damaged salt": (flipped(3), errors.DatabaseForeign, False),
    "another's database": (anothers_database, errors.DatabaseForeign, False),
}


@pytest.mark.parametrize(("spoil", "error", "at_once"), FINDINGS.values(), ids=FINDINGS)
def test_attack_72_what_is_spoilt_is_named_and_left_alone(
    profile: Path, spoil: Spoil, error: type[ParlourError], at_once: bool
) -> None:
    spoil(profile)
    found = contents(profile)
    if at_once:
        with pytest.raises(error):
            stored_folder.state(profile)
    with pytest.raises(error) as caught, stored_profile.unlock(profile, PASSPHRASE) as opened:
        opened.database()
    assert isinstance(caught.value, BadData)
    assert len(str(caught.value).splitlines()) == 1
    assert contents(profile) == found
    with pytest.raises(error if at_once else errors.ProfileExists):
        make(profile)
    assert contents(profile) == found


def test_each_finding_has_a_text_of_its_own() -> None:
    texts = {error: error(Path("x")).args[0] for _, error, _ in FINDINGS.values()}
    assert len(set(texts.values())) == len(texts) == 8


def test_attack_71_a_wrong_passphrase_or_a_second_creation_changes_nothing(profile: Path) -> None:
    found = contents(profile)
    with pytest.raises(errors.WrongPassphrase) as caught:
        stored_profile.unlock(profile, "wrong")
    assert isinstance(caught.value, NotPermitted)
    with pytest.raises(errors.ProfileExists):
        make(profile)
    assert contents(profile) == found
    stored_profile.unlock(profile, PASSPHRASE).close()


UNLOCK = """
import sys; from pathlib import Path; from chat.storage import profile
try: profile.unlock(Path(sys.argv[1]), sys.argv[2])
except Exception as error: print(type(error).__name__)
"""


def test_a_second_engine_or_process_is_kept_out_until_the_first_lets_go(profile: Path) -> None:
    first = stored_profile.unlock(profile, PASSPHRASE)
    with pytest.raises(errors.ProfileInUse) as caught:
        stored_profile.unlock(profile, PASSPHRASE)
    assert isinstance(caught.value, CannotCreate)
    other = [sys.executable, "-c", UNLOCK, str(profile), PASSPHRASE]
    assert subprocess.check_output(other, text=True).strip() == "ProfileInUse"
    for _ in range(2):
        first.close()
    stored_profile.unlock(profile, PASSPHRASE).close()


def test_a_lock_file_that_was_replaced_locks_nobody_out_and_nobody_in(profile: Path) -> None:
    needs_files_of_posix()
    with stored_profile.unlock(profile, PASSPHRASE) as first:
        database = first.database()
        (profile / "lock").unlink()
        with (
            stored_profile.unlock(profile, PASSPHRASE) as second,
            pytest.raises(ParlourError, match="Another program"),
        ):
            second.database()  # the database's own lock holds
        database.close()


def test_the_passphrase_changes_and_only_the_new_one_opens(profile: Path) -> None:
    with stored_profile.unlock(profile, PASSPHRASE) as opened:
        opened.set_port(5000)
        with pytest.raises(errors.WrongPassphrase):
            opened.change_passphrase("wrong", "new", random=seeded("x"))
        with pytest.raises(UsageError):
            opened.change_passphrase(PASSPHRASE, "", random=seeded("x"))
        opened.change_passphrase(PASSPHRASE, "a new one", random=seeded("x"))
    with pytest.raises(errors.WrongPassphrase):
        stored_profile.unlock(profile, PASSPHRASE)
    with stored_profile.unlock(profile, "a new one") as opened:
        check_is_mine(opened)
        assert opened.port == 5000
    assert set(contents(profile)) == {HEADER, DATABASE, f"{DATABASE}-schema"}


def test_an_older_copy_of_the_header_does_not_open_a_database_under_another_key(profile: Path) -> None:
    old = stored_folder.read_header(profile / HEADER)
    with stored_profile.unlock(profile, PASSPHRASE) as opened:
        database, before = opened.database(), opened.folder / DATABASE
        salt = before.read_bytes()[:16]
        with pytest.raises(errors.WrongPassphrase):
            opened.change_key(database, "wrong", "new", random=seeded("x"))
        assert stored_folder.read_header(profile / HEADER).to_bytes() == old.to_bytes()
        opened.change_passphrase(PASSPHRASE, "a new one", random=seeded("y"))
        pages.check_key(
            before, stored_folder.unwrap(old, PASSPHRASE).reveal()
        )  # the old header still opens it
        (profile / stored_folder.DAMAGED).write_bytes(b"under the old key")
        opened.change_key(database, "a new one", "a new one", random=seeded("z"))
        with database.transaction():
            database.run("INSERT INTO settings (name, value) VALUES ('x', 'y')")
        database.close()
    with pytest.raises(errors.DatabaseForeign):
        pages.check_key(before, stored_folder.unwrap(old, PASSPHRASE).reveal())
    assert before.read_bytes()[:16] != salt
    with stored_profile.unlock(profile, "a new one") as opened:
        check_is_mine(opened)
    assert set(contents(profile)) == {HEADER, DATABASE, f"{DATABASE}-schema"}


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_without_room_for_a_second_database_the_key_stays(
    profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stored_profile.unlock(profile, PASSPHRASE) as opened, closing(opened.database()) as database:
        found = contents(profile)
        size = (profile / DATABASE).stat().st_size
        full = SimpleNamespace(free=size + stored_folder.RESERVE_ROOM - 1)
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda _: full)
            with pytest.raises(errors.StorageFull):
                opened.change_key(database, PASSPHRASE, "new", random=seeded("x"))
        for failing in ("fsync", "rename"):  # it fills while the copy is written
            with monkeypatch.context() as patch:
                patch.setattr(os, failing, full_disk)
                with pytest.raises(errors.StorageFull):
                    opened.change_key(database, PASSPHRASE, "new", random=seeded("x"))
            assert contents(profile) == found | {
                name: data for name, data in contents(profile).items() if name.endswith("-wal")
            }
        assert database.integrity() == ()
    stored_profile.unlock(profile, PASSPHRASE).close()


def test_what_another_key_replaced_is_overwritten_before_it_is_removed(
    profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header, seen = (profile / HEADER).read_bytes(), dict[str, bytes]()
    unlink = Path.unlink

    def looked_at(path: Path, missing_ok: bool = False) -> None:
        if path.exists() and path.name.startswith("replaced"):
            seen[path.name] = path.read_bytes()
        unlink(path, missing_ok=missing_ok)

    with stored_profile.unlock(profile, PASSPHRASE) as opened, closing(opened.database()) as database:
        database.checkpoint()
        stored = (profile / DATABASE).read_bytes()
        monkeypatch.setattr(Path, "unlink", looked_at)
        opened.change_key(database, PASSPHRASE, "new", random=seeded("x"))
    assert seen.keys() == {"replaced.header", "replaced.db"}
    assert len(seen["replaced.header"]) == len(header)
    assert seen["replaced.header"][:16] != header[:16]
    pieces = {stored[at : at + 64] for at in range(0, len(stored), 64)} - {bytes(64)}
    left = seen["replaced.db"]
    assert not any(left[at : at + 64] in pieces for at in range(0, len(left), 64))


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The system reports EIO at each fsync of a folder, and only there; `undo` mends the disk."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return monkeypatch


def test_what_a_failed_removal_left_of_a_new_database_is_gone_after_the_next_unlocking(profile: Path) -> None:
    left = profile / "unfinished.db-wal"
    left.write_bytes(bytes(32))
    stored_profile.unlock(profile, PASSPHRASE).close()
    assert not left.exists()


def test_a_creation_that_unlock_completes_may_not_last(profile: Path, unsynced: pytest.MonkeyPatch) -> None:
    needs_files_of_posix()
    (profile / HEADER).rename(profile / "unfinished.header")
    with pytest.raises(errors.ProfileUnsettled):
        stored_profile.unlock(profile, PASSPHRASE)
    stored_profile.unlock(profile, PASSPHRASE).close()


def test_a_change_that_may_not_last_is_in_force(profile: Path, unsynced: pytest.MonkeyPatch) -> None:
    needs_files_of_posix()
    with stored_profile.unlock(profile, PASSPHRASE) as opened:
        with pytest.raises(
            errors.PassphraseUnsettled, match=r"was changed.*the old one may apply again.*Keep both"
        ):
            opened.change_passphrase(PASSPHRASE, "a new one", random=seeded("x"))
        with pytest.raises(
            errors.StorageUnsettled, match=r"port was stored.*power failure may undo it.*Nothing else"
        ):
            opened.set_port(5000)
        assert opened.port == 5000
        with pytest.raises(errors.WrongPassphrase):
            opened.change_passphrase(PASSPHRASE, "a third", random=seeded("x"))
    with pytest.raises(errors.WrongPassphrase):
        stored_profile.unlock(profile, PASSPHRASE)
    unsynced.undo()
    with stored_profile.unlock(profile, "a new one") as opened:
        assert opened.port == 5000
        opened.change_passphrase("a new one", "a new one", random=seeded("y"))
    stored_profile.unlock(profile, "a new one").close()


def test_the_cost_of_a_try_is_raised_with_the_same_passphrase_and_stays(profile: Path) -> None:
    dearer = Cost(CHEAPEST.operations + 1, CHEAPEST.memory_bytes)
    with stored_profile.unlock(profile, PASSPHRASE) as opened:
        opened.change_passphrase(PASSPHRASE, PASSPHRASE, random=seeded("x"), cost=dearer)
    with stored_profile.unlock(profile, PASSPHRASE) as opened:
        assert stored_folder.read_header(profile / "header").cost == dearer
        opened.change_passphrase(PASSPHRASE, "a new one", random=seeded("x"))
    assert stored_folder.read_header(profile / "header").cost == dearer
    stored_profile.unlock(profile, "a new one").close()


def test_a_locked_vault_gives_nothing(profile: Path) -> None:
    opened = stored_profile.unlock(profile, PASSPHRASE)
    opened.close()
    with pytest.raises(errors.StorageMisuse):
        opened.database()
    with pytest.raises(errors.StorageMisuse):
        opened.change_passphrase(PASSPHRASE, "new", random=seeded("x"))


def test_a_profile_cannot_be_made_where_a_file_is_nor_opened_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(errors.ProfileUnwritable):
        make(tmp_path / "file")
    with pytest.raises(errors.ProfileUnwritable):
        make(tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(errors.ProfileMissing):
        stored_profile.unlock(tmp_path / "nowhere", PASSPHRASE)
    assert not (tmp_path / "nowhere").exists()


def test_a_creation_that_fails_leaves_no_profile_and_may_be_tried_again(tmp_path: Path) -> None:
    def full(database: Database) -> None:
        first_rows(database)
        raise errors.StorageFull

    folder = tmp_path / "profile"
    with pytest.raises(errors.StorageFull):
        stored_profile.create(folder, PASSPHRASE, full, random=seeded("x"), cost=CHEAPEST)
    assert contents(folder) == {}
    assert stored_folder.state(folder) is ProfileState.NEW
    make(folder).close()


def test_other_files_in_the_folder_stay(tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    folder.mkdir()
    (folder / "notes").write_text("mine")
    make(folder).close()
    assert (folder / "notes").read_text() == "mine"


def test_a_header_of_another_profile_does_not_become_this_ones(profile: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other", "another profile")
    with stored_profile.unlock(profile, PASSPHRASE) as opened, other:
        before = contents(profile)
        opened._header = other._header
        with pytest.raises(errors.StorageMisuse):
            opened.change_passphrase(PASSPHRASE, "new", random=seeded("x"))
        assert contents(profile) == before


def test_a_lock_whose_file_was_replaced_is_taken_again_and_the_former_descriptor_closed(
    profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real, samestat = os.close, os.path.samestat

    def same(first: os.stat_result, second: os.stat_result) -> bool:
        return samestat(first, second) and len(seen) == 1

    def close(descriptor: int) -> None:
        seen.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os.path, "samestat", same)
    monkeypatch.setattr(os, "close", close)
    lock = stored_folder.ProfileLock(profile)
    assert len(seen) == 1
    assert lock._descriptor is not None
    os.fstat(lock._descriptor)
    lock.release()
    assert len(seen) == 2
