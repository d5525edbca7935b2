"""Virtual time: an asyncio loop whose clock jumps to the next thing that is due."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")
DAY = 86_400.0
EPOCH_MS = 1_800_000_000_000  # 15 January 2027, 08:00 UTC


class Deadlock(Exception):
    """Everybody waits and nothing is scheduled, or the time that a scenario may take has passed."""


class VirtualClock:
    """The engine's clock on a virtual loop; `wall` can be set wrong, as machines' clocks are.

    `slept_ms`: how long the machine slept, which the loop does not notice. `boot_id`: of its last start.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.offset_ms = 0
        self.slept_ms = 0
        self.boot_id = "first"

    def monotonic(self) -> float:
        """Seconds of virtual time since the loop began."""
        return self._loop.time()

    def wall(self) -> int:
        """Milliseconds of Unix time as this machine believes them."""
        return EPOCH_MS + int(self._loop.time() * 1000) + self.slept_ms + self.offset_ms

    def boot(self) -> tuple[str, int]:
        """The id of this start, and milliseconds of virtual time, those asleep included."""
        return self.boot_id, int(self._loop.time() * 1000) + self.slept_ms


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop at virtual second 0; `limit` is the virtual second at which it gives up."""

    def __init__(self, limit: float = DAY) -> None:
        self._selector_of_time = _TimeSelector(limit)
        super().__init__(self._selector_of_time)

    def time(self) -> float:
        return self._selector_of_time.now

    def run_in_executor(  # type: ignore[override]  # a finished future instead of a thread's
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run blocking work here and now: a thread would not be repeatable."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # handed to the waiter, as a thread pool does
            done.set_exception(error)
        return done


class _TimeSelector(selectors.BaseSelector):
    """Watches no file: waiting for `timeout` seconds means that they have passed."""

    def __init__(self, limit: float) -> None:
        self.now = 0.0
        self._limit = limit
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        descriptor = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        return self._keys.setdefault(fileobj, selectors.SelectorKey(fileobj, descriptor, events, data))

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock(f"nothing is scheduled at virtual second {self.now:.3f}")
        if timeout > 0 and self.now > self._limit:
            raise Deadlock(f"no end by virtual second {self.now:.3f}")
        self.now += max(timeout, 0.0)
        return []


def seeded(seed: int | str) -> Callable[[int], bytes]:
    """Bytes that are the same in every run: the engine's randomness in a test, never elsewhere."""
    return random.Random(seed).randbytes


def run_virtual(scenario: Callable[[VirtualClock], Coroutine[Any, Any, T]], limit: float = DAY) -> T:
    """Run `scenario(clock)` on a fresh virtual loop to its end, then cancel what it left behind.

    Raises Deadlock, with every waiting task and its line, and what the scenario raises.
    """
    loop = VirtualLoop(limit)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(scenario(VirtualClock(loop)))
    except Deadlock as stuck:
        raise Deadlock(f"{stuck}\n{_waiting(loop)}") from None
    finally:
        wind_up(loop)
        asyncio.set_event_loop(None)
        loop.close()


def _waiting(loop: VirtualLoop) -> str:
    """A line for each task that waits: its name and where."""
    places = [(task, frame) for task in asyncio.all_tasks(loop) for frame in task.get_stack(limit=1)]
    return "\n".join(
        sorted(f"{task.get_name()} waits at {at.f_code.co_filename}:{at.f_lineno}" for task, at in places)
    )


def wind_up(loop: VirtualLoop) -> None:
    """Let every task left over see its cancellation, and async generators their end."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
