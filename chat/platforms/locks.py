"""Locks on an open file, which the system releases when the process ends."""

from __future__ import annotations

import sys
from contextlib import suppress


def take(descriptor: int, *, shared: bool = False) -> None:
    """Lock an open file without waiting. Raises OSError: EAGAIN, EACCES or EDEADLK where another has it.

    Windows has no shared locks of this kind: there a shared one keeps off others too.
    """
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def release(descriptor: int) -> None:
    """Release a lock before its file is closed.

    A child that was forked and runs no program yet would share a flock until then. On Windows the close
    releases.
    """
    if sys.platform != "win32":
        import fcntl

        with suppress(OSError):  # where flock does not work there is no lock
            fcntl.flock(descriptor, fcntl.LOCK_UN)
