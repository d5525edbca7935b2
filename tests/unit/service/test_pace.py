"""The rate of pieces: who may send when, in virtual time."""

from __future__ import annotations

import asyncio

from chat.service.pace import COST, Pace
from tests.support.engines.engines import in_virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


class Sender:
    """A link that sends a piece whenever it may, and notes when."""

    def __init__(self, pace: Pace, *, uses: bool = True) -> None:
        self.sent, self._pace, self._uses = list[float](), pace, uses

    def go_on(self) -> None:
        """It may send, or asks whether it may."""
        while self._uses and self._pace.rate and self._pace.grants(self, self.go_on):
            self.sent.append(now())


@in_virtual_time
async def test_links_take_turns_and_one_that_does_not_use_its_own_holds_up_nobody() -> None:
    pace = Pace(now)
    pace.follow(COST)  # a piece a second
    senders = [Sender(pace) for _ in range(3)]
    for one in senders:
        one.go_on()
    stalled = object()
    assert not pace.grants(stalled, lambda: None)
    await asyncio.sleep(30.5)
    counts = [len(one.sent) for one in senders]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == 30  # and one turn was lost
    pace.leave(stalled)


@in_virtual_time
async def test_without_a_rate_all_goes_and_with_another_one_so_much() -> None:
    pace = Pace(now)
    assert all(pace.grants(object(), lambda: None) for _ in range(100))
    pace.follow(2 * COST)
    one = Sender(pace)
    one.go_on()
    await asyncio.sleep(4.9)
    assert len(one.sent) == 10
    woken = list[int]()
    assert not pace.grants(object(), lambda: woken.append(1))
    pace.follow(0)
    assert woken == [1]


@in_virtual_time
async def test_what_has_left_is_not_woken_and_nothing_of_it_is_kept() -> None:
    pace, woken = Pace(now), list[int]()
    pace.follow(COST)
    first, second = object(), object()
    for link in (first, second):
        assert not pace.grants(link, lambda: woken.append(1))
    await asyncio.sleep(0.5)
    assert woken == [1]
    for link in (first, second):
        pace.leave(link)
    await asyncio.sleep(60)
    assert (woken, pace._waiting, pace._granted, pace._timer) == ([1], {}, set(), None)
