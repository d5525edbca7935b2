"""What a profile folder holds, as far as it can be seen without the passphrase.

Rules: nothing is written and no lock is taken; this is all that the first screen waits for, so that neither
the database nor its library is loaded for it.

Private files that are either whole or not there.

Rules: folders 0700, files 0600, whatever the umask; a file is replaced by renaming a complete, fsynced one
over it, and the folder is fsynced after each change of a name; nothing follows a file's content.

What the system reports of a profile's files, as errors of this project.

Rules: results are told by number, not by text; nothing of the database's library is loaded for it.

The profile header as a person meets it: what a passphrase is, and what to say when it does not fit.

Rules: the format and its checks are protocol/profile_header.py's alone; here a passphrase is judged before
any work, and what fails becomes an error of storage with one line that says what to do.

One engine a profile: an flock on the file `lock`, held while the engine runs.

Rules: the kernel lets go when the process ends, however it ends, so a file left behind locks nobody out;
the file is never removed, since a lock on a removed file would guard nothing.

What this process must not leave behind: files that others can read, and core files.

Rules: called once, before a profile is opened; what the platform lacks is left out.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from chat.errors import phrase
from chat.interface import BadData, UsageError
from chat.storage import pages
from chat.storage.errors import (
    HeaderDamaged,
    HeaderMissing,
    ProfileInUse,
    ProfileTooNew,
    StorageBroken,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    StorageUnsettled,
    TooLittleMemory,
    WrongPassphrase,
)
from protocol import profile_header
from protocol import profile_header as profile_header_module
from protocol.errors import AuthenticationFailed, LocalMisuse, ProtocolError
from protocol.primitives import Random
from protocol.profile_header import (
    Cost,
    DatabaseKey,
    Header,
)

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


class NotDurable(OSError):
    """A new name is in force, but the system could not sync its folder: a power cut may undo it."""


def make_private_folder(folder: Path) -> None:
    """Make `folder` with its parents, or close an existing one to others. Raises OSError."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        sync_folder(place.parent)
    if not folder.is_dir():
        raise NotADirectoryError(folder)
    close_to_others(folder)


def close_to_others(path: Path) -> None:
    """Take away what the group and others may do with `path`. Raises OSError."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        path.chmod(mode & 0o700)


def create_private(path: Path) -> None:
    """Make an empty file that must not be there yet. Raises OSError (FileExistsError)."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _FILE_MODE))


def write_private(path: Path, data: bytes) -> None:
    """Write and fsync a file that must not be there yet. Raises OSError, and then leaves none of its own."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def replace_private(path: Path, data: bytes) -> None:
    """Replace `path` at once and durably: after a crash it holds all of the old or all of the new.

    Raises NotDurable (the new content is in place), and any other OSError (the old content is).
    """
    unfinished = path.with_name(f"{path.name}.next")
    unfinished.unlink(missing_ok=True)
    write_private(unfinished, data)
    try:
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_name(path)


def move(source: Path, target: Path) -> None:
    """Give a complete file its final name, durably; `target` must not exist.

    Raises NotDurable (the file has the new name), and any other OSError (it has the old one).
    """
    if target.exists():
        raise FileExistsError(target)
    source.rename(target)
    _sync_name(target)


def _sync_name(path: Path) -> None:
    """Make the new name of `path` durable. Raises NotDurable."""
    try:
        # After a failed fsync the next one may succeed without having written, so none is tried.
        sync_folder(path.parent)
    except OSError as error:
        raise NotDurable(error.errno, error.strerror) from error


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Raises OSError."""
    if os.name == "nt":  # Windows cannot open a folder; its renames are durable with the file
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_SYSTEM: Final[dict[int, type[StorageFailure]]] = {
    errno.ENOSPC: StorageFull,
    errno.EDQUOT: StorageFull,
    errno.EFBIG: StorageFull,
    errno.EROFS: StorageReadOnly,
    errno.EACCES: StorageReadOnly,
    errno.EPERM: StorageReadOnly,
}


@contextmanager
def system_failures() -> Iterator[None]:
    """Turn every OSError inside into the failure behind it."""
    try:
        yield
    except OSError as error:
        raise from_system(error) from None


def from_system(error: OSError) -> StorageFailure:
    """The failure behind an OSError of a file of the profile."""
    if isinstance(error, NotDurable):
        return StorageUnsettled()
    return _SYSTEM.get(error.errno or 0, StorageBroken)()


def wrap(key: DatabaseKey, passphrase: str, cost: Cost, port: int, random: Random) -> Header:
    """Wrap `key` under a passphrase and a fresh salt. Raises UsageError (no passphrase), TooLittleMemory."""
    _require_passphrase(passphrase)
    try:
        return profile_header.wrap(key, passphrase, cost, port, random)
    except LocalMisuse:
        raise TooLittleMemory from None


def unwrap(header: Header, passphrase: str) -> DatabaseKey:
    """The database key. Raises WrongPassphrase, UsageError, TooLittleMemory."""
    _require_passphrase(passphrase)
    try:
        return profile_header.unwrap(header, passphrase)
    except AuthenticationFailed:
        raise WrongPassphrase from None
    except LocalMisuse:
        raise TooLittleMemory from None


def _require_passphrase(passphrase: str) -> None:
    if not passphrase:
        raise UsageError(phrase("The passphrase is empty: choose one of several words."))
    try:
        passphrase.encode()
    except UnicodeEncodeError:
        raise UsageError(phrase("The passphrase holds something that is not text: type it anew.")) from None


HEADER: Final = "header"
DATABASE: Final = "history.db"
SOCKET: Final = "engine.sock"
# A profile in the making. Without their last step they hold nothing that anybody ever had.
NEW_HEADER: Final = "unfinished.header"
NEW_DATABASE: Final = "unfinished.db"


class ProfileState(StrEnum):
    """What a folder holds: no profile yet, or one that a passphrase opens."""

    NEW = "new"
    LOCKED = "locked"


def state(folder: Path) -> ProfileState:
    """What is there; writes nothing and takes no lock.

    Raises HeaderMissing, HeaderDamaged, DatabaseMissing, DatabaseEmpty, NotEncrypted, ProfileTooNew.
    """
    with system_failures():
        place = header_place(folder)
        if place is None:
            return ProfileState.NEW
        read_header(place)
        pages.check_present(folder / DATABASE)
        return ProfileState.LOCKED


def port(folder: Path) -> int:
    """The port in the header, 0 where there is none to read. Takes no lock."""
    place = header_place(folder)
    try:
        return read_header(place).port if place is not None else 0
    except BadData:
        return 0


def header_place(folder: Path) -> Path | None:
    """Where the header is: under its name, under the one before the last step of creation, or nowhere."""
    if (folder / HEADER).exists():
        return folder / HEADER
    if not (folder / DATABASE).exists():
        return None
    if (folder / NEW_HEADER).exists():
        return folder / NEW_HEADER
    raise HeaderMissing(folder / HEADER)


def read_header(path: Path) -> Header:
    """A header from its file. Raises HeaderDamaged, ProfileTooNew, OSError."""
    with path.open("rb") as file:
        data = file.read(profile_header_module.HEADER_BYTES_MAX + 1)
    try:
        return profile_header_module.parse(data)
    except profile_header_module.NewerHeader:
        raise ProfileTooNew(path) from None
    except ProtocolError:
        raise HeaderDamaged(path) from None


if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_NAME = "lock"
_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


class ProfileLock:
    """Held from construction to `release`. Raises ProfileInUse, OSError (the file cannot be made)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = _open_locked(folder)

    def release(self) -> None:
        """Let another engine in; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_held(folder: Path) -> bool:
    """Whether an engine has the profile in `folder`, or opens or closes it. Creates nothing.

    The look shares the lock for a moment, in which who takes it finds it held and has to try again.
    Raises StorageReadOnly (the file or the folder cannot be written), any other StorageFailure.
    """
    with system_failures():
        try:
            descriptor = os.open(folder / _NAME, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            _lock(descriptor, shared=True)
        except OSError as error:
            if error.errno in _HELD:
                return True
            raise
        finally:
            os.close(descriptor)
        return False


def _open_locked(folder: Path) -> int:
    path = folder / _NAME
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor)
            if _is_there(descriptor, path):
                return descriptor
        except OSError as error:
            os.close(descriptor)
            if error.errno in _HELD:
                raise ProfileInUse(folder) from None
            raise
        os.close(descriptor)  # somebody replaced the file between the two calls: lock the one that is there


def _is_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int, *, shared: bool = False) -> None:
    if sys.platform == "win32":
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def make_private() -> None:
    """New files are this user's alone, and a crash writes no memory, which holds keys, to the disk."""
    os.umask(0o077)
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
