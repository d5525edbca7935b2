"""Asking again for what did not come whole, in virtual time: retries, and bounds against whoever shouts."""

from __future__ import annotations

import asyncio
from collections import Counter

from chat.network.mdns_browser import A_SECOND, AT_ONCE, ATTEMPTS, BEGUN_AT_ONCE, WAITING_MAX, Resolver
from chat.tasks import Tasks
from tests.support.lab.virtual import VirtualClock, run_virtual


class Network:
    """Answers a question after a second, with what `answers` says for a name at an attempt."""

    def __init__(self, good_at: int = 1) -> None:
        self.good_at = good_at
        self.asked: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self.failed: list[BaseException] = []
        self.tasks = Tasks(self.failed.append)
        self.resolver = Resolver(self.resolve, self.tasks)

    async def resolve(self, name: str) -> bool:
        self.asked[name] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(1.0)
        finally:
            self.at_once -= 1
        return self.asked[name] >= self.good_at


def played(names: list[str], good_at: int) -> Network:
    """What was asked when these names were wanted and a thousand seconds have passed."""

    async def scenario(_: VirtualClock) -> Network:
        network = Network(good_at)
        for name in names:
            network.resolver.want(name)
        await asyncio.sleep(1000)
        await network.tasks.stop()
        assert not network.failed
        return network

    return run_virtual(scenario)


def test_an_answer_ends_the_asking() -> None:
    network = played(["a"], good_at=1)
    assert network.asked == {"a": 1}


def test_what_fails_is_asked_again() -> None:
    network = played(["a"], good_at=3)
    assert network.asked == {"a": 3}


def test_nobody_is_asked_for_ever() -> None:
    network = played(["a"], good_at=99)
    assert network.asked == {"a": ATTEMPTS}


def test_attack_16_a_flood_of_names_makes_few_questions() -> None:
    """A packet full of invented names must not turn this terminal into a source of questions."""
    names = [f"n{number}" for number in range(5000)]
    network = played(names, good_at=99)
    assert network.most_at_once == AT_ONCE
    assert sum(network.asked.values()) <= (AT_ONCE + WAITING_MAX) * ATTEMPTS
    assert "n4999" in network.asked


def test_a_name_is_not_asked_for_twice_at_once() -> None:
    network = played(["a"] * 10, good_at=1)
    assert network.asked == {"a": 1}


def test_what_is_forgotten_is_asked_no_more() -> None:
    async def scenario(_: VirtualClock) -> Counter[str]:
        network = Network(good_at=99)
        for number in range(AT_ONCE + 2):
            network.resolver.want(f"n{number}")
        await asyncio.sleep(0.5)
        network.resolver.forget("n0")
        await asyncio.sleep(0.5)
        network.resolver.forget_all()
        await asyncio.sleep(100)
        assert not network.failed
        return network.asked

    asked = run_virtual(scenario)
    assert set(asked.values()) == {1}
    assert len(asked) == AT_ONCE + 1


def test_attack_16_names_that_come_and_go_make_few_questions() -> None:
    """A flood that evicts its own names gives their turns to the next ones."""

    async def scenario(_: VirtualClock) -> int:
        network = Network(good_at=99)
        for number in range(1000):
            network.resolver.want(f"n{number}", "flooder")
            await asyncio.sleep(0.01)
            network.resolver.forget(f"n{number}")
        network.resolver.forget_all()
        await network.tasks.stop()
        return sum(network.asked.values())

    assert run_virtual(scenario) <= BEGUN_AT_ONCE + A_SECOND * 10


def test_senders_take_turns() -> None:
    async def scenario(_: VirtualClock) -> Counter[str]:
        network = Network()
        for number in range(WAITING_MAX):
            network.resolver.want(f"n{number}", "flooder")
        network.resolver.want("honest", "neighbour")
        await asyncio.sleep(2.5)
        network.resolver.forget_all()
        await network.tasks.stop()
        return network.asked

    assert run_virtual(scenario)["honest"] == 1
