"""Background tasks with an owner: none is lost, none fails unseen.

Rules: a failed task is reported to the owner's `failed`, with the exception; stopping waits for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

AGAIN: Final = 1.0
"""Seconds after which tasks that still run are cancelled again."""


class Tasks:
    """The running tasks of one owner."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    async def stop(self) -> None:
        """Cancel what runs (but not the caller itself) and wait until it has ended, with what it began."""
        mine = asyncio.current_task()
        while left := [task for task in self._running if task is not mine]:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=AGAIN)
