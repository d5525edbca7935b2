"""Reads the next of a link while what came before is handled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from chat.network.driver import Driver, Handler
from chat.tasks import Tasks
from protocol.link.states import Event, LinkClosed

AHEAD: Final = 2
"""Reads, of 512 KiB at most, that wait per link until those before are handled. The other end fills it; its
next read waits."""


class ReadAhead:
    """A Handler in front of another one, which gets at once what came while it was at work.

    So what comes while the disk works is opened and read meanwhile, and stored in few transactions where it
    is much.
    """

    def __init__(self, tasks: Tasks, handler: Handler, read: Callable[[Event], Event]) -> None:
        """`read` parses what can be parsed before its turn."""
        self._tasks, self._handler, self._read = tasks, handler, read
        self._waiting, self._taken = list[Sequence[Event]](), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        if isinstance(events[0], LinkClosed):
            if self._task is not None:
                await asyncio.wait([self._task])
            await self._handler.on_events(driver, events)
            return
        self._waiting.append(list(map(self._read, events)))
        if self._task is None or self._task.done():
            self._task = self._tasks.spawn(self._handle(driver))
        while len(self._waiting) >= AHEAD:
            self._taken.clear()
            await self._taken.wait()

    async def _handle(self, driver: Driver) -> None:
        try:
            while self._waiting and not driver.aborted:
                reads, self._waiting = self._waiting, []
                self._taken.set()
                await self._handler.on_events(driver, [event for read in reads for event in read])
        except BaseException:  # what follows would have a hole before it
            driver.abort()
            raise
        finally:  # nobody may wait for what is not handled any more
            self._waiting.clear()
            self._taken.set()
