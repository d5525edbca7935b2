"""Asking again for announcements that did not come whole, without letting anybody make us ask much.

Rules: few questions at once, few waiting, few attempts each; senders take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from chat.network.admission import Bucket
from chat.network.shares import FairShares
from chat.tasks import Tasks

AT_ONCE: Final = 8
"""Instances asked for at the same time."""
WAITING_MAX: Final = 128
"""Instances that wait for their turn. Any machine can fill the line, and evicts its own names first."""
A_SECOND: Final = 4.0
BEGUN_AT_ONCE: Final = 32.0
"""Instances begun: a flood that evicts its own names would otherwise make a question of each."""
AGAIN: Final = 0.25
"""Seconds between looks at those that wait for the rate."""
ATTEMPTS: Final = 4
BETWEEN: Final = 1.0
"""Seconds before the second attempt; each further pause is twice as long."""


class Resolver:
    """Calls `resolve(name)`, which tells whether it is done with the name, until it is or gives up."""

    def __init__(self, resolve: Callable[[str], Awaitable[bool]], tasks: Tasks) -> None:
        self._resolve = resolve
        self._tasks = tasks
        self._waiting = FairShares(WAITING_MAX)
        self._loop = asyncio.get_running_loop()
        self._rate = Bucket(A_SECOND, BEGUN_AT_ONCE, BEGUN_AT_ONCE, self._loop.time())
        self._timer: asyncio.TimerHandle | None = None
        self._running: dict[str, asyncio.Task[None]] = {}

    def want(self, name: str, sender: str = "") -> None:
        """Resolve `name`, soon. One that is being resolved is not begun twice."""
        if name in self._running:
            return
        self._waiting.remove(name)
        self._waiting.add(name, sender)
        self._begin()

    def forget(self, name: str) -> None:
        """It is gone, or was resolved in another way."""
        self._waiting.remove(name)
        if (task := self._running.pop(name, None)) is not None:
            task.cancel()

    def forget_all(self) -> None:
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for name in list(self._running):
            self.forget(name)

    def _begin(self) -> None:
        while self._waiting and len(self._running) < AT_ONCE:
            if not self._rate.take(self._loop.time()):
                self._timer = self._timer or self._loop.call_later(AGAIN, self._go_on)
                return
            name = self._waiting.take(newest=False)
            self._running[name] = self._tasks.spawn(self._attempts(name))

    def _go_on(self) -> None:
        self._timer = None
        self._begin()

    async def _attempts(self, name: str) -> None:
        mine = asyncio.current_task()
        try:
            for attempt in range(ATTEMPTS):
                if attempt:
                    await asyncio.sleep(BETWEEN * 2 ** (attempt - 1))
                if await self._resolve(name):
                    return
        finally:
            if self._running.get(name) is mine:
                del self._running[name]
            self._begin()
