"""Asking again for announcements that did not come whole, without letting anybody make us ask much.

Rules: few questions at once, few waiting, few attempts each; a newer one pushes out the oldest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from chat.tasks import Tasks

AT_ONCE: Final = 8
"""Instances asked for at the same time."""
WAITING_MAX: Final = 128
"""Instances that wait for their turn."""
ATTEMPTS: Final = 4
BETWEEN: Final = 1.0
"""Seconds before the second attempt; each further pause is twice as long."""


class Resolver:
    """Calls `resolve(name)`, which tells whether it is done with the name, until it is or gives up."""

    def __init__(self, resolve: Callable[[str], Awaitable[bool]], tasks: Tasks) -> None:
        self._resolve = resolve
        self._tasks = tasks
        self._waiting: dict[str, None] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    def want(self, name: str) -> None:
        """Resolve `name`, soon. One that is being resolved is not begun twice."""
        if name in self._running:
            return
        self._waiting.pop(name, None)
        if len(self._waiting) >= WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[name] = None
        self._begin()

    def forget(self, name: str) -> None:
        """It is gone, or was resolved in another way."""
        self._waiting.pop(name, None)
        if (task := self._running.pop(name, None)) is not None:
            task.cancel()

    def forget_all(self) -> None:
        for name in [*self._waiting, *self._running]:
            self.forget(name)

    def _begin(self) -> None:
        while self._waiting and len(self._running) < AT_ONCE:
            name = next(iter(self._waiting))
            del self._waiting[name]
            self._running[name] = self._tasks.spawn(self._attempts(name))

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
