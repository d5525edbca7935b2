"""Files of one user: how they are opened, read at a place and made durable, and who else may read them."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PRIVATE_MODE: Final = 0o600
_OTHERS: Final = 0o077
_HERE: Final = -100  # AT_FDCWD of Linux
_RENAME_NOREPLACE: Final = 1  # renameat2(2)
_RENAME_EXCL: Final = 4  # renamex_np(2) of macOS
_NO_SUCH_CALL: Final = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)
_PARTS_MAX: Final = 1_024  # IOV_MAX of Linux and macOS


def open_private(path: Path, flags: int, *, follow: bool = True) -> int:
    """A descriptor of a file that only this user may use where `flags` create it. Raises OSError.

    Without O_BINARY, Windows would write each byte 10 as two bytes. `follow`: open what a link of this name
    leads to; else OSError, but on Windows, where only an administrator makes links.
    """
    flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
    return os.open(path, flags if follow else flags | getattr(os, "O_NOFOLLOW", 0), PRIVATE_MODE)


def open_source(path: Path) -> int:
    """A descriptor to read whatever has this name, without waiting for what writes a pipe.

    Raises OSError, ValueError. Linux and macOS open a folder too; Windows raises IsADirectoryError.
    """
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except PermissionError:
        if os.path.isdir(path):  # noqa: PTH112 - it raises nothing
            raise IsADirectoryError(path) from None
        raise


def read_at(descriptor: int, size: int, place: int) -> bytes:
    """At most `size` bytes at `place`, fewer at the end. Any thread may call it. Raises OSError."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, place)
    with _position_of(descriptor):
        os.lseek(descriptor, place, os.SEEK_SET)
        return os.read(descriptor, size)


def write_at(descriptor: int, parts: Sequence[bytes | memoryview], place: int) -> None:
    """Write all the parts one after the other from `place` on. Any thread may call it.

    Raises OSError; some may be written then. A full disk takes some of them, and then fails.
    """
    if 1 < len(parts) <= _PARTS_MAX and hasattr(os, "pwritev"):  # without a copy of them all
        written = os.pwritev(descriptor, parts, place)
        if written == sum(map(len, parts)):
            return
    left: bytes | memoryview = b"".join(parts) if len(parts) > 1 else parts[0]
    at_place = hasattr(os, "pwrite")
    while left:
        written = os.pwrite(descriptor, left, place) if at_place else _write_some(descriptor, left, place)
        left, place = memoryview(left)[written:], place + written


def _write_some(descriptor: int, data: bytes | memoryview, place: int) -> int:
    with _position_of(descriptor):
        os.lseek(descriptor, place, os.SEEK_SET)
        return os.write(descriptor, data)


_POSITIONS: Final = tuple(threading.Lock() for _ in range(64))


def _position_of(descriptor: int) -> threading.Lock:
    """What a thread holds while the position of a file is its own: threads seal one file together."""
    return _POSITIONS[descriptor % len(_POSITIONS)]


def is_bad_sector(error: OSError) -> bool:
    """Whether a read failed since the disk has lost the place. Windows says EACCES for a checksum error."""
    return error.errno == errno.EIO or (sys.platform == "win32" and error.errno == errno.EACCES)


def free_bytes(descriptor: int, folder: Path) -> int:
    """Bytes that this user may still write where an open file lies, which is in `folder`. Raises OSError."""
    if hasattr(os, "fstatvfs"):
        disk = os.fstatvfs(descriptor)
        return disk.f_bavail * disk.f_frsize
    return shutil.disk_usage(folder).free


def rename_new(source: Path, target: Path) -> None:
    """Rename a file to a name that nothing has, in one step. Raises FileExistsError, any other OSError."""
    if sys.platform == "win32":  # whose rename replaces nothing
        source.rename(target)
        return
    try:
        _rename_exclusively(source, target)
    except OSError as error:
        if error.errno not in _NO_SUCH_CALL:
            raise
        # A file system without the call: what made the name first has it, and replaces its own empty file.
        os.close(open_private(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, follow=False))
        source.replace(target)


def _rename_exclusively(source: Path, target: Path) -> None:
    """Raises OSError, one of _NO_SUCH_CALL where the system, or this file system, cannot."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    old, new = os.fsencode(source), os.fsencode(target)
    rename = getattr(library, "renamex_np" if sys.platform == "darwin" else "renameat2", None)
    here = (
        (old, new, _RENAME_EXCL) if sys.platform == "darwin" else (_HERE, old, _HERE, new, _RENAME_NOREPLACE)
    )
    if rename is None:
        raise OSError(errno.ENOSYS, "no such call")
    if rename(*here):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def sync_folder(folder: Path) -> None:
    """Make changes of names in `folder` durable. Raises OSError."""
    if sys.platform == "win32":  # it cannot open a folder, and its renames are durable with the file
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def has_modes() -> bool:
    """Whether a file's mode says who may use it. On Windows the folder around it decides."""
    return sys.platform != "win32"


def open_to_others(found: os.stat_result) -> bool:
    """Whether its mode lets other users at it; false where the system has no modes."""
    return has_modes() and bool(stat.S_IMODE(found.st_mode) & _OTHERS)


def is_own(found: os.stat_result) -> bool:
    """Whether it belongs to this user; true where the system has no numbers for users."""
    return not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
