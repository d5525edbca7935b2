"""The clock on the wall of a demo: it is set while the past is played, then it is the machine's.

Rules: it never goes back while it is set; intervals are always the machine's own.
"""

from __future__ import annotations

from datetime import UTC, datetime

from chat.ports import Clock


class DemoClock:
    """ports.Clock of all engines of one demo."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._set: int | None = None

    def monotonic(self) -> float:
        return self._machine.monotonic()

    def wall(self) -> int:
        return self._machine.wall() if self._set is None else self._set

    def set(self, wall: int) -> None:
        """Show this time (milliseconds of Unix time), or go on showing a later one."""
        self._set = wall if self._set is None else max(self._set, wall)

    def run(self) -> None:
        """Show the present from now on."""
        self._set = None

    def present(self) -> datetime:
        """The machine's time, in the zone of this machine."""
        return datetime.fromtimestamp(self._machine.wall() / 1000, UTC).astimezone()
