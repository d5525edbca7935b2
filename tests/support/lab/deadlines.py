"""Waiting for something that happens, never for time to pass."""

from __future__ import annotations

import time


class Deadline:
    """A moment `seconds` from now. A deadline ends a test that hangs; no test passes because of one."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left, 0 when it has passed."""
        return max(0.0, self._end - time.monotonic())
