"""Several attempts to link with one contact, of which one may win.

Rules: the first link that opens is taken, the others are given up; an attempt may enter others while the race
is on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from chat.network.driver import Driver, Handler
from chat.network.opening import Adopt, Result
from chat.tasks import Tasks
from protocol.events import LinkOpen

Attempt = asyncio.Task[Result | None]


class Race:
    """`wanted` is asked before a link is taken."""

    def __init__(self, tasks: Tasks, wanted: Callable[[], bool] = lambda: True) -> None:
        self._tasks = tasks
        self._wanted = wanted
        self._running: set[Attempt] = set()
        self._won = False

    def enter(self, attempt: Coroutine[Any, Any, Result | None]) -> None:
        self._running.add(self._tasks.spawn(attempt))

    def first(self, adopt: Adopt) -> Adopt:
        """`adopt`, but only for the first that opens."""

        async def once(driver: Driver, opened: LinkOpen) -> Handler | None:
            if self._won or not self._wanted():
                return None
            self._won = True
            return await adopt(driver, opened)

        return once

    async def result(self) -> Result | None:
        """The open link, else the most telling failure; the losers are cancelled."""
        failure: Result | None = None
        try:
            while self._running:
                done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                self._running -= done
                results = [attempt.result() for attempt in done if not attempt.cancelled()]
                for result in results:
                    if isinstance(result, LinkOpen):
                        return result
                    failure = result or failure
            return failure
        finally:
            for attempt in self._running:
                attempt.cancel()
