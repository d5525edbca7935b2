"""The profile folder: its state, private durable files, the header, and the lock of one engine per profile.

The first screen needs only this module, so it does not load the library of the database.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from chat.errors import phrase
from chat.interface import BadData, UsageError
from chat.platforms import locks
from chat.platforms.files import open_private, rename_new
from chat.platforms.files import sync_folder as sync_folder
from chat.storage import errors, pages
from protocol import profile_header
from protocol.errors import AuthenticationFailed, LocalMisuse, ProtocolError
from protocol.primitives import Random
from protocol.profile_header import Cost, DatabaseKey, Header

_FOLDER_MODE = 0o700


class NotDurable(OSError):
    """A rename succeeded, but syncing its folder failed, so a power cut may undo it."""


def make_private_folder(folder: Path) -> None:
    """Create `folder` and its parents, or remove others' access to an existing one. Raises OSError."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        sync_folder(place.parent)
    if not folder.is_dir():
        raise NotADirectoryError(folder)
    close_to_others(folder)


def close_to_others(path: Path) -> None:
    """Remove all access of the group and others. Raises OSError."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        path.chmod(mode & 0o700)


def create_private(path: Path) -> None:
    """Create an empty file. Raises OSError (FileExistsError)."""
    os.close(open_private(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))


def write_private(path: Path, data: bytes) -> None:
    """Create, write and fsync a file. Raises OSError, and then leaves no file."""
    descriptor = open_private(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def replace_private(path: Path, data: bytes) -> None:
    """Replace the content of `path` atomically and durably.

    Raises NotDurable (the new content is in force) or any other OSError (the old one is).
    """
    unfinished = _unfinished(path)
    unfinished.unlink(missing_ok=True)
    write_private(unfinished, data)
    try:
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_name(path)


def drop_unfinished(path: Path) -> None:
    """Remove what a crash in `replace_private` left: of a header, the key under a passphrase."""
    with suppress(OSError):  # on a read-only disk it stays, and the next replacement removes it
        _unfinished(path).unlink(missing_ok=True)


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")


def move(source: Path, target: Path) -> None:
    """Rename a complete file durably to `target`, which must not exist.

    Raises NotDurable (the file has the new name) or any other OSError (it has the old one).
    """
    if target.exists():
        raise FileExistsError(target)
    source.rename(target)
    _sync_name(target)


def move_new(source: Path, target: Path) -> None:
    """As `move`, where another program may make `target` meanwhile."""
    rename_new(source, target)
    _sync_name(target)


def _sync_name(path: Path) -> None:
    """Make a rename to `path` durable. Raises NotDurable."""
    try:
        # After a failed fsync, another one may succeed without having written, so there is no retry.
        sync_folder(path.parent)
    except OSError as error:
        raise NotDurable(error.errno, error.strerror) from error


RESERVE: Final = "reserve"
RESERVE_BYTES: Final = 1 << 20
RESERVE_ROOM: Final = 16 * RESERVE_BYTES
"""Free bytes below which no reserve is made: others need them more."""


def make_reserve(folder: Path) -> None:
    """Occupy RESERVE_BYTES of the disk, which `give_up_reserve` frees. Raises StorageFailure.

    To delete takes room first, so that a full disk would let nobody make any.
    """
    path = folder / RESERVE
    with system_failures():
        if path.exists() and path.stat().st_size == RESERVE_BYTES:
            return
        if shutil.disk_usage(folder).free >= RESERVE_ROOM:
            path.unlink(missing_ok=True)
            # A file system that compresses must not make nothing of it.
            write_private(path, hashlib.shake_256(RESERVE.encode()).digest(RESERVE_BYTES))


def give_up_reserve(folder: Path) -> bool:
    """Whether there was a reserve to free. Raises StorageFailure."""
    with system_failures():
        try:
            (folder / RESERVE).unlink()
        except FileNotFoundError:
            return False
        return True


_SYSTEM: Final[dict[int, type[errors.StorageFailure]]] = {
    errno.ENOSPC: errors.StorageFull,
    errno.EDQUOT: errors.StorageFull,
    errno.EFBIG: errors.StorageFull,
    errno.EROFS: errors.StorageReadOnly,
    errno.EACCES: errors.StorageReadOnly,
    errno.EPERM: errors.StorageReadOnly,
}


@contextmanager
def system_failures() -> Iterator[None]:
    """Translate OSError to StorageFailure."""
    try:
        yield
    except OSError as error:
        raise from_system(error) from None


def from_system(error: OSError) -> errors.StorageFailure:
    """The StorageFailure for an OSError of a profile's file."""
    if isinstance(error, NotDurable):
        return errors.StorageUnsettled()
    return _SYSTEM.get(error.errno or 0, errors.StorageBroken)()


def wrap(key: DatabaseKey, passphrase: str, cost: Cost, port: int, random: Random) -> Header:
    """Wrap `key` under a passphrase and a fresh salt. Raises UsageError (no passphrase), TooLittleMemory."""
    require_passphrase(passphrase)
    try:
        return profile_header.wrap(key, passphrase, cost, port, random)
    except LocalMisuse:
        raise errors.TooLittleMemory from None


def unwrap(header: Header, passphrase: str) -> DatabaseKey:
    """The database key. Raises WrongPassphrase, UsageError, TooLittleMemory."""
    require_passphrase(passphrase)
    try:
        return profile_header.unwrap(header, passphrase)
    except AuthenticationFailed:
        raise errors.WrongPassphrase from None
    except LocalMisuse:
        raise errors.TooLittleMemory from None


def require_passphrase(passphrase: str) -> None:
    """Raises UsageError for an empty one, and for what is not text."""
    if not passphrase:
        raise UsageError(phrase("The passphrase is empty: choose several words."))
    try:
        passphrase.encode()
    except UnicodeEncodeError:
        raise UsageError(phrase("The passphrase holds something that is not text: type it again.")) from None


HEADER: Final = "header"
DATABASE: Final = "history.db"
SOCKET: Final = "engine.sock"
# Each names the entry in the system's keyring. Paused: from a lock until the passphrase is typed.
NOTIFIES: Final = "notifies"
"""An interface that shows notifications has locked it. It is empty."""
KEYRING: Final = "keyring"
KEYRING_PAUSED: Final = "keyring.paused"
FILES: Final = "files"
"""The folder of sealed pieces of files, which are of no use without the database."""
# An unfinished creation of a profile.
NEW_HEADER: Final = "unfinished.header"
NEW_DATABASE: Final = "unfinished.db"


# A damaged database, and what was saved of it: first unfinished, then complete.
DAMAGED: Final = "damaged.db"
SALVAGING: Final = "salvaging.db"
SALVAGED: Final = "salvaged.db"

# The database under another key: unfinished, in force with its header; and what was before.
REKEYING: Final = "rekeying.db"
REKEYED: Final = "rekeyed.db"
REKEYED_HEADER: Final = "rekeyed.header"
REPLACED: Final = "replaced.db"
REPLACED_HEADER: Final = "replaced.header"

_HEADERS: Final = (HEADER, f"{HEADER}.next", NEW_HEADER, REKEYED_HEADER, REPLACED_HEADER)
_DATABASES: Final = DATABASE, NEW_DATABASE, DAMAGED, SALVAGING, SALVAGED, REKEYING, REKEYED, REPLACED
_OTHERS: Final = (
    *(f"{name}{ending}" for name in _DATABASES for ending in ("", "-wal", "-shm", "-pages", "-schema")),
    RESERVE,
)


ARCHIVES: Final = "archives"
"""The folder of the archives of a profile, each with a folder of its own."""


def archive_place(folder: Path, time: int, person: str, root: str) -> Path:
    """The folder of an archive in a profile's: the day of its backup (Unix milliseconds), whose it was, and
    the root hash.

    The same history has one archive, also of a later backup. Raises StorageFailure.
    """
    ending = f"-{person[:8]}-{root[:8]}"
    for one in archives(folder):
        if one.name.endswith(ending) and holds_any(one):
            return one
    day = f"{datetime.fromtimestamp(min(time, _LAST_DAY) / 1000, UTC):%Y-%m-%d}"
    return folder / ARCHIVES / f"{day}{ending}"


_LAST_DAY: Final = 253_402_300_799_000  # the calendar's end


def archives(folder: Path) -> list[Path]:
    """The folders of the archives in a profile's, the oldest backup first. Raises StorageFailure."""
    with system_failures(), suppress(FileNotFoundError, NotADirectoryError):
        return sorted(one for one in (folder / ARCHIVES).iterdir() if one.is_dir() and not one.is_symlink())
    return []


def schema_copy(database: Path) -> Path:
    """The file with copies of the pages of a database's schema."""
    return database.with_name(f"{database.name}-schema")


def holds_any(folder: Path) -> bool:
    """Whether a folder contains a file of a profile, or of the rest of one, but for a lock."""
    names = (*_HEADERS, *_OTHERS, KEYRING, KEYRING_PAUSED)
    return any((folder / name).exists() for name in names) or any(map(holds_any, archives(folder)))


def destroy(folder: Path) -> None:
    """Remove every file of a profile but its lock, which the caller holds, and what names its keyring entry.

    Each header is overwritten first, and that is durable before anything is removed: without the wrapped key
    nothing else can be read, whatever ends this. Raises OSError.
    """
    headers = [folder / name for name in _HEADERS if (folder / name).exists()]
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("r+b", buffering=0)) for path in headers]
        for file in files:
            file.write(os.urandom(os.fstat(file.fileno()).st_size))
        for file in files:
            os.fsync(file.fileno())
    for path in (*headers, *(folder / name for name in (*_OTHERS, SOCKET, NOTIFIES))):
        path.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        for path in (folder / FILES).iterdir():
            path.unlink()
        (folder / FILES).rmdir()
    sync_folder(folder)


def swap(folder: Path) -> None:
    """Put a database that was saved into the place of the damaged one, which stays aside.

    Also after a crash in between: until the last step the complete new one is there. Raises OSError.
    """
    saved = folder / SALVAGED
    if not saved.exists():
        return
    schema_copy(folder / DATABASE).unlink(missing_ok=True)  # the new one may have its pages elsewhere
    for ending in ("-wal", ""):
        damaged = folder / f"{DATABASE}{ending}"
        if damaged.exists():
            damaged.replace(folder / f"{DAMAGED}{ending}")
    sync_folder(folder)  # or a crash could leave the old log next to the new file
    saved.replace(folder / DATABASE)
    sync_folder(folder)


def drop_salvage(folder: Path) -> None:
    """Remove a damaged database that was kept aside, and what was not completed. Raises OSError."""
    for name in (DAMAGED, SALVAGING):
        for ending in ("", "-wal", "-shm"):
            (folder / f"{name}{ending}").unlink(missing_ok=True)


def check_passphrase(folder: Path, passphrase: str) -> None:
    """Whether a passphrase opens the profile. Takes no lock, and the time of Argon2id.

    Raises as `unwrap` and `state`.
    """
    with system_failures():
        place = header_place(folder)
        if place is None:
            raise errors.ProfileMissing(folder)
        unwrap(read_header(place), passphrase)


class ProfileState(StrEnum):
    """Whether a folder contains a profile."""

    NEW = "new"
    LOCKED = "locked"


def state(folder: Path) -> ProfileState:
    """The state of a folder, without writing or locking.

    Raises HeaderMissing, HeaderDamaged, DatabaseMissing, DatabaseEmpty, NotEncrypted, ProfileTooNew.
    """
    with system_failures():
        place = header_place(folder)
        if place is None:
            return ProfileState.NEW
        read_header(place)
        replaced = not (folder / DATABASE).exists() and (folder / SALVAGED).exists()
        database = SALVAGED if replaced else DATABASE
        pages.check_present(folder / (REKEYED if (folder / REKEYED).exists() else database))
        return ProfileState.LOCKED


def port(folder: Path) -> int:
    """The port in the header, or 0 without a readable header. Takes no lock."""
    try:
        place = header_place(folder)
        return read_header(place).port if place is not None else 0
    except BadData:
        return 0


def header_place(folder: Path) -> Path | None:
    """The path of the header, which has another name before the last step of creation and of another key."""
    if (folder / REKEYED).exists() and (folder / REKEYED_HEADER).exists():
        return folder / REKEYED_HEADER
    if (folder / HEADER).exists():
        return folder / HEADER
    if not (folder / DATABASE).exists():
        return None
    if (folder / NEW_HEADER).exists():
        return folder / NEW_HEADER
    raise errors.HeaderMissing(folder / HEADER)


def read_header(path: Path) -> Header:
    """Read and parse a header. Raises HeaderDamaged, ProfileTooNew, OSError."""
    with path.open("rb") as file:
        data = file.read(profile_header.HEADER_BYTES_MAX + 1)
    try:
        return profile_header.parse(data)
    except profile_header.NewerHeader:
        raise errors.ProfileTooNew(path) from None
    except ProtocolError:
        raise errors.HeaderDamaged(path) from None


_NAME = "lock"
_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)


class ProfileLock:
    """An flock on the file `lock`, held from construction to `release`.

    The kernel releases it when the process ends. The file stays, since a lock on a removed one has no effect.
    `reading`: where the folder cannot be written, the lock is `read_only`, and none if there is no file.
    Raises ProfileInUse, LockUnsupported, OSError.
    """

    def __init__(self, folder: Path, *, reading: bool = False) -> None:
        self._folder = folder
        self.read_only = False
        try:
            self._descriptor = _open_locked(folder)
        except OSError as error:
            if not reading or error.errno not in _UNWRITABLE:
                raise
            self.read_only = True
            self._descriptor = -1
            with suppress(FileNotFoundError):
                self._descriptor = _open_locked(folder, os.O_RDONLY)

    def remove(self) -> None:
        """Remove the file, and the folder if it is empty. Raises OSError."""
        self.release()  # Windows removes no file that is open
        (self._folder / _NAME).unlink(missing_ok=True)
        with suppress(OSError):  # something else is in it
            self._folder.rmdir()

    def release(self) -> None:
        if self._descriptor >= 0:
            _unlock(self._descriptor)
            self._descriptor = -1


def is_held(folder: Path) -> bool:
    """Whether an engine holds the profile's lock. Creates nothing.

    The test takes a shared lock for a moment, during which an engine cannot take the lock and must retry.
    Raises LockUnsupported, StorageFailure.
    """
    with system_failures():
        try:
            descriptor = open_private(folder / _NAME, os.O_RDWR)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            descriptor = open_private(folder / _NAME, os.O_RDONLY)
        try:
            _lock(descriptor, folder, shared=True)
        except OSError as error:
            if error.errno in _HELD:
                return True
            raise
        finally:
            _unlock(descriptor)
        return False


def _open_locked(folder: Path, flags: int = os.O_CREAT | os.O_RDWR) -> int:
    path = folder / _NAME
    while True:
        descriptor = open_private(path, flags)
        try:
            _lock(descriptor, folder)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except (OSError, errors.LockUnsupported) as error:
            os.close(descriptor)
            if isinstance(error, OSError) and error.errno in _HELD:
                raise errors.ProfileInUse(folder) from None
            raise
        os.close(descriptor)  # the file was replaced between the two calls, so lock the new one


def _lock(descriptor: int, folder: Path, *, shared: bool = False) -> None:
    """Raises LockUnsupported, OSError."""
    try:
        locks.take(descriptor, shared=shared)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            raise errors.LockUnsupported(folder) from None
        raise


def _unlock(descriptor: int) -> None:
    locks.release(descriptor)
    os.close(descriptor)


def make_private() -> None:
    """Make new files accessible only to this user, and disable core files, which would contain keys."""
    os.umask(0o077)
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


_SET_DUMPABLE: Final = 4  # prctl(2)


def hide_memory() -> bool:
    """Let only root read this process's memory, not other programs of this user; whether the system can."""
    if sys.platform != "linux":
        return False
    import ctypes

    return int(ctypes.CDLL(None).prctl(_SET_DUMPABLE, *map(ctypes.c_ulong, (0, 0, 0, 0)))) == 0
