"""Signs from Linux that the wall clock was set or the machine slept (timerfd_create(2))."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from typing import Final

AVAILABLE: Final = sys.platform == "linux"

_REALTIME: Final = 0
_NONBLOCK_CLOEXEC: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_ABSOLUTE_CANCEL_ON_SET: Final = 1 | 2  # TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
_NEVER: Final = 1 << 40  # seconds of Unix time, far ahead


class _Time(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Timer(ctypes.Structure):
    _fields_ = [("interval", _Time), ("first", _Time)]


class ClockSteps:
    """A descriptor that becomes readable when the clock was set or the machine slept. Raises OSError."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer = self._libc.timerfd_create(_REALTIME, _NONBLOCK_CLOEXEC)
        if self._timer < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        try:
            self._arm()
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        return int(self._timer)

    def drain(self) -> None:
        """Take the sign, so that the next one is seen. Raises OSError."""
        with suppress(OSError):  # ECANCELED is the sign
            os.read(self._timer, 8)
        self._arm()

    def close(self) -> None:
        os.close(self._timer)

    def _arm(self) -> None:
        when = _Timer(_Time(0, 0), _Time(_NEVER, 0))
        if self._libc.timerfd_settime(self._timer, _ABSOLUTE_CANCEL_ON_SET, ctypes.byref(when), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")
