"""A virtual loop on which hosts die at any await, and whose workers take a drawn time without a thread."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from tests.support.lab.virtual import VirtualLoop

T = TypeVar("T")
WORK_SECONDS = (0.0001, 0.0003, 0.002)
"""Times that a piece of work in a worker's thread takes."""


@dataclass(eq=False, slots=True)
class Life:
    """From one start of a host to its end. `fuse`: steps of its tasks until it dies, None for no end.

    `lost` are the steps that did not run any more, `tasks` what there was at its end.
    """

    host: str
    blown: Callable[[], None]
    fuse: int | None = None
    alive: bool = True
    lost: list[asyncio.Handle] = field(default_factory=list)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


@dataclass(slots=True)
class _Lane:
    """One worker thread. `free`: the time when it has done all that it was given."""

    executor: object
    free: float = 0.0


class _Task(asyncio.Task[Any]):
    """A task whose place in a set is the same in every run."""

    _numbers = count()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._number = next(_Task._numbers)
        super().__init__(*arguments, **named)

    def __hash__(self) -> int:
        return self._number


class SimLoop(VirtualLoop):
    """Tasks belong to the life in whose context they began; after its end they take no step any more."""

    def __init__(self, seed: str, limit: float) -> None:
        super().__init__(limit)
        self._random = random.Random(f"loop {seed}")
        self._lanes: dict[int, _Lane] = {}
        self._lives: list[Life] = []
        self.failures: list[BaseException] = []
        _Task._numbers = count()
        self.set_task_factory(_task)
        self.set_exception_handler(self._failed)

    # Lives.

    def born(self, host: str, blown: Callable[[], None]) -> Context:
        """The context of a new life. `blown` is called, outside of it, when its fuse has killed it."""
        life, context = Life(host, blown), copy_context()
        self._lives.append(life)
        context.run(LIFE.set, life)
        return context

    def kill(self, life: Life) -> None:
        """From now on nothing of this life runs, not even what a cancellation would run."""
        life.alive = False
        # Nothing else refers to them: the collector would run what they have left in the middle of the run.
        life.tasks = list(asyncio.all_tasks(self))
        for handle in self._ready:  # type: ignore[attr-defined]  # of the base class
            if _life(handle) is life and not handle.cancelled():
                life.lost.append(asyncio.Handle(handle._callback, handle._args, self, handle._context))
                handle.cancel()
        for handle in self._scheduled:  # type: ignore[attr-defined]  # of the base class
            if _life(handle) is life:
                handle.cancel()

    def blow(self, life: Life) -> None:
        """End a life from within it, and say so."""
        if life.alive:
            self.kill(life)
            super().call_soon(life.blown, context=Context())

    def revive(self) -> None:
        """At the very end the tasks of the dead may see their cancellation, so that none is left."""
        for life in self._lives:
            life.alive, life.fuse = True, None
            for handle in life.lost:
                self._ready.append(handle)  # type: ignore[attr-defined]  # of the base class
            life.lost.clear()

    def call_soon(  # type: ignore[override]  # the base class has more exact types
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is None:
            return super().call_soon(callback, *args, context=context)
        if life.alive and life.fuse is not None:
            life.fuse -= 1
            if life.fuse <= 0:
                self.blow(life)
        if life.alive:
            return super().call_soon(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        life.lost.append(handle)
        return handle

    def call_at(  # type: ignore[override]  # the base class has more exact types
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = super().call_at(when, callback, *args, context=context)
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is not None and not life.alive:
            handle.cancel()
        return handle

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error, life = context.get("exception"), LIFE.get()
        # What the collector reports comes at another moment in another run.
        collected = context.get("message", "").endswith("was never retrieved")
        if error is not None and not collected and (life is None or life.alive):
            self.failures.append(error)

    # Workers.

    def run_in_executor(  # type: ignore[override]  # a future of this loop instead of a thread's
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Work is done when its worker is free, at one moment, and is known of a drawn time later."""
        done = self.create_future()
        owner: object = executor if executor is not None else LIFE.get()
        lane = self._lanes.setdefault(id(owner), _Lane(owner))
        start = max(self.time(), lane.free)
        lane.free = start + self._random.choice(WORK_SECONDS) * self._random.random()

        def work() -> None:
            if done.cancelled():
                return
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001  # handed to the waiter, as a thread pool does
                self.call_at(ends, _finish, done, None, error)
            else:
                self.call_at(ends, _finish, done, result, None)

        ends = lane.free
        self.call_at(start, work)
        return done


def _task(loop: asyncio.AbstractEventLoop, work: Any, context: Context | None = None) -> _Task:
    return _Task(work, loop=loop, context=context)


def _life(handle: asyncio.Handle) -> Life | None:
    context: Context = handle._context  # type: ignore[attr-defined]  # there is no other way to it
    return context.get(LIFE)


def _finish(done: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if done.done():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(result)
