"""How many announcements are looked at: at once as a rule, at a bounded rate under a flood.

Rules: looking means comparing slots with every contact, which others must not make us do without end;
what has to wait waits in a bounded line, in which senders take turns: one that sends much waits for itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from chat.network.admission import Bucket
from chat.network.shares import FairShares

A_SECOND: Final = 50.0
AT_ONCE: Final = 256.0
WAITING_MAX: Final = 256
"""Names that wait. Any machine on the network can fill the line, and evicts its own names first."""
AGAIN: Final = 0.1
"""Seconds between looks at those who wait."""


class Hearing:
    """Calls `look(name)` for each name that is heard, within the rate."""

    def __init__(self, look: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._look = look
        self._rate = Bucket(A_SECOND, AT_ONCE, AT_ONCE, self._loop.time())
        self._waiting = FairShares(WAITING_MAX)
        self._timer: asyncio.TimerHandle | None = None

    def hear(self, name: str, sender: str = "") -> None:
        """Look at it now or later; a name that is heard twice meanwhile is looked at once."""
        if self._rate.take(self._loop.time()):
            self._look(name)
            return
        self._waiting.remove(name)
        self._waiting.add(name, sender)
        if self._timer is None:
            self._timer = self._loop.call_later(AGAIN, self._go_on)

    def forget(self, name: str) -> None:
        """It is gone."""
        self._waiting.remove(name)

    def forget_all(self) -> None:
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        self._timer = None
        while self._waiting and self._rate.take(self._loop.time()):
            self._look(self._waiting.take(newest=True))
        if self._waiting:
            self._timer = self._loop.call_later(AGAIN, self._go_on)
