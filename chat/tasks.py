"""Background tasks with an owner, and what every part of an engine runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, ParamSpec, Protocol, TypeVar

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


GATHER: Final = 0.04
"""Seconds for which answers to the Pings of one strike wait for each other. So long may a message wait, which
begins after seconds of silence within this time."""

GATHER_FROM: Final = 4
"""Answers from which on they wait for each other."""


LEAD: Final = 1.0
"""Seconds by which a process with many links pings before its peers would. Else each would wake it."""

LEADS_FROM: Final = 8
"""Links beyond the first with which a process leads by LEAD; with fewer by a part of it."""


class Member(Protocol):
    """A link as the tick of its engine sees it."""

    def struck(self) -> bool:
        """Ping the peer if that is due soon; whether an answer will come."""

    def hold(self, on: bool) -> None:
        """Let what arrives wait from now on, or not any longer."""


class Beat:
    """The one tick of an engine: when something is due, what is due a little later is done with it.

    So a process at rest wakes once for all its links, and once for their answers. `patience`: seconds after
    which an answer that is owed on a link is late. `lead`: seconds by which this process pings before its
    peers would, as each of many peers would wake it.
    """

    def __init__(self, patience: float = 1.0) -> None:
        self.patience = patience
        self.late = asyncio.Event()
        """Set when an answer is late; who waits for it clears it."""
        self.lead = 0.0
        self._members: dict[Member, None] = {}
        self._struck = asyncio.Event()
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._members)

    def join(self, member: Member) -> None:
        self._members[member] = None
        self._set_lead()

    def leave(self, member: Member) -> None:
        self._members.pop(member, None)
        self._set_lead()

    def _set_lead(self) -> None:
        self.lead = LEAD * min(1.0, max(0, len(self._members) - 1) / LEADS_FROM)

    def strike(self) -> None:
        """Strike every member, and wake who waits for a strike."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._at = None
        self._struck.set()
        asked = [member for member in tuple(self._members) if member.struck()]
        if len(asked) >= GATHER_FROM:
            for member in asked:
                member.hold(on=True)
            asyncio.get_running_loop().call_later(GATHER, _release, asked)

    def by(self, seconds: float) -> None:
        """Strike in so many seconds at the latest."""
        loop = asyncio.get_running_loop()
        at = loop.time() + max(0.0, seconds)
        if self._at is None or at < self._at:
            if self._timer is not None:
                self._timer.cancel()
            self._at, self._timer = at, loop.call_at(at, self.strike)

    async def wait(self, seconds: float) -> None:
        """Wait for a strike that has not been waited for, for so many seconds at most."""
        if not self._struck.is_set():
            self.by(seconds)
        await self._struck.wait()
        self._struck.clear()


def _release(held: Iterable[Member]) -> None:
    for member in held:
        member.hold(on=False)


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
    """Clock, randomness, configuration, background tasks, worker thread and tick of one engine."""

    clock: Clock
    random: Random
    config: Config
    tasks: Tasks
    worker: Worker = field(default_factory=Worker)
    beat: Beat = field(default_factory=Beat)
