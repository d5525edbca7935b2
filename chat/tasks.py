"""Background tasks with an owner, and what every part of an engine runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from math import inf
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from msgspec import Struct, field

from chat.config import Config
from chat.ports import Clock, Random
from protocol.limits import PING_AFTER_SECONDS

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

GATHERED_MOST: Final = 3
"""Times in a row that answers wait for each other: a peer may answer only after it has gathered itself."""


LEAD: Final = 1.0
"""Seconds by which a process with many links pings before its peers would. Else each would wake it."""

LEADS_FROM: Final = 8
"""Links beyond the first with which a process leads by LEAD; with fewer by a part of it."""


AHEAD: Final = 0.3
"""Most seconds of a lead in which processes differ: many times what a Ping takes on its way."""


USUAL: Final = 0.5
"""Seconds before a strike is due from which on a peer's Ping always causes it."""

JOINS_AGAIN: Final = 30.0
"""Seconds until a peer's Ping causes a strike before USUAL once more. Processes that strike together stay
together; a peer that pings all the time makes this process, and by it others, ping one time more."""


class Member(Protocol):
    """A link as the tick of its engine sees it."""

    @property
    def begins(self) -> bool:
        """Whether this end is the link's initiator."""

    def soon(self) -> bool:
        """Whether a Ping is due soon."""

    def struck(self) -> bool:
        """Ping the peer if that is due soon; whether an answer will come."""

    def owed(self) -> bool:
        """Whether the peer owes an answer."""

    def hold(self, on: bool) -> None:
        """Let what arrives wait from now on, or not any longer."""


class Beat:
    """The one tick of an engine: when a Ping is due, those that are due a little later go with it.

    So a process at rest wakes once for all its links, and once for their answers. A peer's Ping is a tick,
    too: processes that have peers in common strike together, else each of many peers would wake this process
    at a moment of its own. `patience`: seconds after which an answer that is owed on a link is late. `lead`:
    seconds by which this process pings before its peers would. `ahead`: seconds of it, up to AHEAD, in which
    processes differ: if two began at the same moment, both would ping on their link.
    """

    def __init__(self, patience: float = 1.0, ahead: float = 0.0) -> None:
        self.patience = patience
        self._ahead = ahead
        self.late = asyncio.Event()
        """Set when an answer is late; who waits for it clears it."""
        self.lead = 0.0
        self._members: dict[Member, None] = {}
        self._struck = asyncio.Event()
        self._struck_at = self._joined_at = -inf
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
        others = len(self._members) - 1
        self.lead = self._ahead + LEAD * min(1.0, others / LEADS_FROM) if others > 0 else 0.0

    def strike(self) -> None:
        """A Ping is due: strike every member, and wake who waits for a strike."""
        self._wake()
        self._ask(tuple(self._members), [])

    def pinged(self) -> None:
        """A peer pings: strike too if that is due soon or, of the two, this process is the one behind."""
        now = asyncio.get_running_loop().time()
        since, period = now - self._struck_at, PING_AFTER_SECONDS - self.lead
        if since < period - USUAL:
            # After less than half of the time it is ahead. If both moved, they would change places.
            if since < period / 2 or now < self._joined_at + JOINS_AGAIN:
                return
            self._joined_at = now
        self._wake()
        due = [member for member in tuple(self._members) if member.soon()]
        # The others may have got the same Ping, and then are about to ping.
        later = [member for member in due if not member.begins]
        self._ask([member for member in due if member.begins], later if len(due) >= GATHER_FROM else [])

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._at = None
        self._struck.set()

    def _ask(self, first: Iterable[Member], later: list[Member]) -> None:
        """Strike the `first` now, and of those `later` who have not been heard when answers were gathered."""
        self._struck_at = asyncio.get_running_loop().time()
        self._gather([*(member for member in first if member.struck()), *later], later, GATHERED_MOST)

    def _gather(self, asked: list[Member], later: list[Member], times: int) -> None:
        if times and len(asked) >= (GATHER_FROM if times == GATHERED_MOST else 2):
            for member in asked:
                member.hold(on=True)
            asyncio.get_running_loop().call_later(GATHER, self._release, asked, later, times - 1)

    def _release(self, asked: list[Member], later: list[Member], times: int) -> None:
        loop = asyncio.get_running_loop()
        for member in asked:
            member.hold(on=False)
        # One turn of the loop to see what has arrived, one to read it, and one for those who wait for that.
        loop.call_soon(loop.call_soon, loop.call_soon, self._gather_rest, asked, later, times)

    def _gather_rest(self, asked: list[Member], later: list[Member], times: int) -> None:
        for member in later:
            member.struck()
        self._gather([member for member in asked if member.owed()], [], times)

    def by(self, seconds: float) -> None:
        """Wake who waits for a strike in so many seconds at the latest. Pings are not due then."""
        loop = asyncio.get_running_loop()
        at = loop.time() + max(0.0, seconds)
        if self._at is None or at < self._at:
            if self._timer is not None:
                self._timer.cancel()
            self._at, self._timer = at, loop.call_at(at, self._wake)

    async def wait(self, seconds: float) -> None:
        """Wait for a strike that has not been waited for, for so many seconds at most."""
        if not self._struck.is_set():
            self.by(seconds)
        await self._struck.wait()
        self._struck.clear()


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
