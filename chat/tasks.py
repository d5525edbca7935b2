"""Background tasks with an owner, and what every part of an engine runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

from msgspec import Struct, field

from chat.config import Config
from chat.ports import Clock, Random

AGAIN: Final = 1.0
"""Seconds after which a task that still runs is cancelled once more."""


class Tasks:
    """The running tasks of one owner. `failed` gets the exception of each task that fails."""

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
        """Cancel all tasks but the caller, and wait until they and the tasks they started have ended."""
        mine = asyncio.current_task()
        while left := [task for task in self._running if task is not mine]:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=AGAIN)


P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """Computations that would hold the event loop, in a thread, one after another in the order of the calls.

    One at a time: each thread that computes may keep the interpreter from the event loop for 5 ms.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._turn:
            return await asyncio.to_thread(work, *args, **kwargs)


class Runtime(Struct, frozen=True):
    """Clock, randomness, configuration, background tasks and worker thread of one engine."""

    clock: Clock
    random: Random
    config: Config
    tasks: Tasks
    worker: Worker = field(default_factory=Worker)
