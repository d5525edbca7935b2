"""One engine a profile: an flock on the file `lock`, held while the engine runs.

Rules: the kernel lets go when the process ends, however it ends, so a file left behind locks nobody out;
the file is never removed, since a lock on a removed file would guard nothing.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from chat.storage.errors import ProfileInUse

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
    """
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
