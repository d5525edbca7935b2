"""The clock that goes on while the machine sleeps."""

from __future__ import annotations

import time
from typing import Final

_NAMES: Final = ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC")


def since_boot_ns() -> int:
    """Nanoseconds on a clock that nobody sets and that counts time asleep.

    macOS has no CLOCK_BOOTTIME, and its CLOCK_MONOTONIC counts time asleep; time.monotonic() does not there.
    Windows has neither, and its time.monotonic() counts time asleep.
    """
    for name in _NAMES:
        if (clock := getattr(time, name, None)) is not None:
            return time.clock_gettime_ns(clock)
    return time.monotonic_ns()
