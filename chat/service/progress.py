"""How far an export is, said once per hundredth."""

from __future__ import annotations

from chat.interface import BackupProgress
from chat.service.events import EventBus


class Progress:
    """Publishes the progress of one file of about `total` entries."""

    def __init__(self, bus: EventBus, total: int) -> None:
        self._bus, self._total, self._said = bus, total, (False, -1)

    def say(self, done: int, *, checking: bool = False) -> None:
        """So many entries are done. A slow client of the socket must not be flooded."""
        step = checking, 100 * done // max(self._total, 1)
        if step != self._said:
            self._said = step
            self._bus.publish(BackupProgress(done, self._total, checking))
