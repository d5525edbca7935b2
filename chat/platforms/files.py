"""Files of one user: how they are opened, read at a place and made durable, and who else may read them."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PRIVATE_MODE: Final = 0o600
_OTHERS: Final = 0o077
_PARTS_MAX: Final = 1_024  # IOV_MAX of Linux and macOS


def open_private(path: Path, flags: int) -> int:
    """A descriptor of a file that only this user may use where `flags` create it. Raises OSError.

    Without O_BINARY, Windows would write each byte 10 as two bytes.
    """
    return os.open(path, flags | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0), PRIVATE_MODE)


def read_at(descriptor: int, size: int, place: int) -> bytes:
    """At most `size` bytes at `place`, fewer at the end. Raises OSError.

    Without pread, as on Windows, it moves the position: one thread at a time may then use the descriptor.
    """
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, place)
    os.lseek(descriptor, place, os.SEEK_SET)
    return os.read(descriptor, size)


def write_at(descriptor: int, parts: Sequence[bytes | memoryview], place: int) -> None:
    """Write all the parts one after the other from `place` on. Raises OSError; some may be written then.

    Without pwrite, as on Windows, it moves the position: one thread at a time may then use the descriptor.
    """
    if 1 < len(parts) <= _PARTS_MAX and hasattr(os, "pwritev"):  # without a copy of them all
        written = os.pwritev(descriptor, parts, place)
        if written == sum(map(len, parts)):
            return
    left = memoryview(b"".join(parts) if len(parts) > 1 else parts[0])
    while left:
        written = _write_some(descriptor, left, place)
        left, place = left[written:], place + written


def _write_some(descriptor: int, data: memoryview, place: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, data, place)
    os.lseek(descriptor, place, os.SEEK_SET)
    return os.write(descriptor, data)


def free_bytes(descriptor: int, folder: Path) -> int:
    """Bytes that this user may still write where an open file lies, which is in `folder`. Raises OSError."""
    if hasattr(os, "fstatvfs"):
        disk = os.fstatvfs(descriptor)
        return disk.f_bavail * disk.f_frsize
    return shutil.disk_usage(folder).free


def sync_folder(folder: Path) -> None:
    """Make changes of names in `folder` durable. Raises OSError."""
    if sys.platform == "win32":  # it cannot open a folder, and its renames are durable with the file
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_to_others(found: os.stat_result) -> bool:
    """Whether its mode lets other users at it. Windows has no modes: there the folder around it decides."""
    return sys.platform != "win32" and bool(stat.S_IMODE(found.st_mode) & _OTHERS)


def is_own(found: os.stat_result) -> bool:
    """Whether it belongs to this user; true where the system has no numbers for users."""
    return not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
