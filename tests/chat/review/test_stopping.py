"""An engine that is told to stop or to lock does so, whatever is under way.

Rules: two real engines in virtual time; the moment of stopping is moved, nothing else.
"""

from __future__ import annotations

import asyncio

from chat.tasks import Tasks
from tests.lab.virtual import VirtualClock, run_virtual


def test_what_a_task_began_while_it_was_stopped_is_stopped_too() -> None:
    async def scenario(clock: VirtualClock) -> None:
        failures: list[BaseException] = []
        tasks = Tasks(failures.append)

        async def last_wish() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                tasks.spawn(asyncio.sleep(100))

        tasks.spawn(last_wish())
        await asyncio.sleep(0)
        await asyncio.wait_for(tasks.stop(), 10)
        assert not tasks._running
        assert not failures

    run_virtual(scenario, 60)


def test_a_task_that_loses_its_cancellation_is_cancelled_again() -> None:
    async def scenario(clock: VirtualClock) -> None:
        tasks, woken = Tasks(lambda error: None), asyncio.Event()

        async def deaf_once() -> None:
            await asyncio.wait_for(woken.wait(), 100)
            await asyncio.Event().wait()

        tasks.spawn(deaf_once())
        await asyncio.sleep(1)
        woken.set()
        await asyncio.sleep(0)
        await asyncio.wait_for(tasks.stop(), 10)

    run_virtual(scenario, 60)
