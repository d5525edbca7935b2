"""Looking at announcements within a rate, in virtual time."""

from __future__ import annotations

import asyncio

from chat.network.limits import ANNOUNCEMENTS_AT_ONCE, ANNOUNCEMENTS_PER_SECOND, WAITING_MAX, RateLimiter
from tests.support.lab.virtual import VirtualClock, run_virtual


def looked_at(names: list[str], seconds: float, forget: str = "") -> list[str]:
    """What was looked at when all these names are heard at once and the seconds have passed."""

    async def scenario(_: VirtualClock) -> list[str]:
        looked: list[str] = []
        hearing = RateLimiter(looked.append)
        for name in names:
            hearing.hear(name)
        hearing.forget(forget)
        await asyncio.sleep(seconds)
        hearing.forget_all()
        await asyncio.sleep(100)
        return looked

    return run_virtual(scenario)


def test_a_few_are_looked_at_at_once() -> None:
    names = [f"n{number}" for number in range(int(ANNOUNCEMENTS_AT_ONCE))]
    assert looked_at(names, 0) == names


def test_attack_16_a_flood_is_looked_at_at_a_bounded_rate() -> None:
    """Each look costs a comparison with every contact."""
    names = [f"n{number}" for number in range(10_000)]
    for seconds in (0.0, 1.0, 3.0):
        assert len(looked_at(names, seconds)) <= ANNOUNCEMENTS_AT_ONCE + ANNOUNCEMENTS_PER_SECOND * seconds
    assert len(looked_at(names, 1000.0)) <= ANNOUNCEMENTS_AT_ONCE + WAITING_MAX


def test_of_those_who_wait_the_newest_is_first() -> None:
    names = [f"n{number}" for number in range(int(ANNOUNCEMENTS_AT_ONCE) + 500)]
    looked = looked_at(names, 100)
    assert looked[int(ANNOUNCEMENTS_AT_ONCE)] == names[-1]
    assert names[-2] in looked


def test_who_speaks_twice_while_waiting_is_looked_at_once() -> None:
    names = [f"n{number}" for number in range(int(ANNOUNCEMENTS_AT_ONCE))] + ["again"] * 10
    assert looked_at(names, 100).count("again") == 1


def test_who_has_gone_is_not_looked_at() -> None:
    names = [f"n{number}" for number in range(int(ANNOUNCEMENTS_AT_ONCE))] + ["gone"]
    assert "gone" not in looked_at(names, 100, forget="gone")


def test_senders_take_turns() -> None:
    """A neighbour is looked at among the first that waited, whatever a flooder sent after it."""

    async def scenario(_: VirtualClock) -> list[str]:
        looked: list[str] = []
        hearing = RateLimiter(looked.append)
        for number in range(int(ANNOUNCEMENTS_AT_ONCE)):
            hearing.hear(f"n{number}", "flooder")
        hearing.hear("honest", "neighbour")
        for number in range(WAITING_MAX * 2):
            hearing.hear(f"m{number}", "flooder")
        await asyncio.sleep(1)
        hearing.forget_all()
        return looked[int(ANNOUNCEMENTS_AT_ONCE) :]

    assert "honest" in run_virtual(scenario)[:2]
