"""What comes on a link while the work before goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from unittest import mock

from chat.network.read_ahead import AHEAD, ReadAhead
from chat.tasks import Tasks
from protocol.link.states import Event, LinkClosed, PingAnswered
from tests.support.engines.engines import in_virtual_time


class Slow:
    """A handler that is at work while `free` is not set."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.handled = list[list[int]]()
        self.closed = 0
        self.fails = False

    async def on_events(self, _: Any, events: Sequence[Event]) -> None:
        if isinstance(events[0], LinkClosed):
            self.closed += 1
            return
        self.handled.append([event.number for event in events if isinstance(event, PingAnswered)])
        await self.free.wait()
        if self.fails:
            raise ZeroDivisionError


def ahead() -> tuple[Slow, ReadAhead, Any, list[BaseException]]:
    slow, failed = Slow(), list[BaseException]()
    return (
        slow,
        ReadAhead(Tasks(failed.append), slow, lambda event: event),
        SimpleNamespace(aborted=False, abort=mock.Mock()),
        failed,
    )


@in_virtual_time
async def test_what_comes_during_the_work_is_handled_at_once_and_in_order() -> None:
    slow, reading, driver, _ = ahead()
    for number in range(AHEAD):
        await reading.on_events(driver, [PingAnswered(number)])
        await asyncio.sleep(0)
    assert slow.handled == [[0]]
    slow.free.set()
    await reading.on_events(driver, [PingAnswered(AHEAD)])
    await asyncio.sleep(1)
    assert slow.handled == [[0], [*range(1, AHEAD + 1)]]
    await reading.on_events(driver, [PingAnswered(9)])
    await asyncio.sleep(1)
    assert slow.handled[-1] == [9]


@in_virtual_time
async def test_only_so_many_reads_wait() -> None:
    slow, reading, driver, _ = ahead()
    await reading.on_events(driver, [PingAnswered(0)])
    await asyncio.sleep(0)
    for number in range(1, AHEAD):
        await reading.on_events(driver, [PingAnswered(number)])
    more = asyncio.ensure_future(reading.on_events(driver, [PingAnswered(AHEAD)]))
    await asyncio.sleep(60)
    assert not more.done()
    slow.free.set()
    await more


@in_virtual_time
async def test_the_end_of_a_link_waits_for_what_came_before_it() -> None:
    slow, reading, driver, _ = ahead()
    await reading.on_events(driver, [PingAnswered(0)])
    await asyncio.sleep(0)
    await reading.on_events(driver, [PingAnswered(1)])
    end = asyncio.ensure_future(reading.on_events(driver, [LinkClosed()]))
    await asyncio.sleep(60)
    assert (slow.closed, end.done()) == (0, False)
    slow.free.set()
    await end
    assert (slow.handled, slow.closed) == ([[0], [1]], 1)


@in_virtual_time
async def test_nothing_more_counts_on_a_link_that_this_side_has_ended() -> None:
    slow, reading, driver, _ = ahead()
    await reading.on_events(driver, [PingAnswered(0)])
    await asyncio.sleep(0)
    await reading.on_events(driver, [PingAnswered(1)])
    driver.aborted = True
    slow.free.set()
    await reading.on_events(driver, [LinkClosed()])
    assert (slow.handled, slow.closed) == ([[0]], 1)


@in_virtual_time
async def test_work_that_fails_holds_up_neither_reading_nor_the_end() -> None:
    slow, reading, driver, failed = ahead()
    slow.fails = True
    reads = [reading.on_events(driver, [PingAnswered(number)]) for number in range(AHEAD + 2)]
    waiting = asyncio.gather(*reads)
    await asyncio.sleep(1)
    slow.free.set()
    await waiting
    await reading.on_events(driver, [LinkClosed()])
    assert slow.closed == 1
    driver.abort.assert_called()  # what follows would have a hole before it
    assert {type(one) for one in failed} == {ZeroDivisionError}
