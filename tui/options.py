"""What the program or a test chooses and a person does not: times in seconds, the clock, the zone, files.

Rules: nothing else in the interface reads a clock; the defaults are what people get.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path


def passed() -> float:
    """Seconds on a clock that goes on while the machine sleeps, where it has one."""
    clock = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@dataclass(frozen=True, slots=True)
class Options:
    """`keymaps`: files of keys, of which a later one goes before an earlier one;
    `patience`: nobody found after this long is explained; `quiet`: a dialog that opens by itself takes no
    answer before this long without a key; `typing_again`: how often a contact is told of typing;
    `keep_draft`: what was written is stored at most this long after a key; `news`: how long a line of news is
    shown; `demo`: the passphrase of a demo,
    which is said, and nothing where this is none.
    """

    keymaps: tuple[Path, ...] = ()
    patience: float = 5.0
    quiet: float = 0.8
    typing_again: float = 3.0
    keep_draft: float = 1.5
    news: float = 10.0
    demo: str = ""
    monotonic: Callable[[], float] = passed
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    zone: tzinfo | None = None

    def today(self) -> date:
        """The day in the zone."""
        return self.now().astimezone(self.zone).date()
