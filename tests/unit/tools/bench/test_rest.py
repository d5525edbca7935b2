"""The measurement of rest: what it makes of costs, and, with real programs, that it counts."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from msgspec.structs import replace

from chat.tools.bench import rest
from chat.tools.bench.measure import Aim, Figure, NotTaken
from chat.tools.bench.rest import (
    AIMS,
    CASES,
    HEALING,
    INTERFACE,
    MANY,
    MEMORY,
    MUTUAL,
    ONE,
    RATIO,
    TERMINALS,
    TWO,
    Case,
    Cost,
    Memory,
)
from protocol.limits import LINK_SECONDS_MAX, LINK_SECONDS_REPLACE
from tests.support.machine import needs_root_network

COSTS = {
    ONE: Cost(1, 0.5 * 2**20, 1_000.0, 31.5, 40.0),
    TERMINALS: Cost(2, 1.0 * 2**20, 1_800.0, 31.5, 40.0),
    TWO: Cost(2, 1.0 * 2**20, 1_800.0, 31.6, 40.0),
    MUTUAL: Cost(8, 5.0 * 2**20, 2_000.0, 34.0, 43.0),
    MANY: Cost(30, 17.0 * 2**20, 2_000.0, 35.0, 44.0, 171.0, Memory(50.0, 62.0)),
}


def figures(costs: dict[Aim, Cost]) -> dict[Aim, Figure]:
    return {aim: Figure(aim, (sample,)) for aim, sample in rest.samples(costs).items()}


def test_every_aim_has_its_sample_which_says_links_bytes_and_memory() -> None:
    taken = figures(COSTS)
    assert set(taken) == set(AIMS)
    assert all(figure.good for figure in taken.values())
    assert set(CASES) < set(AIMS)
    said = "1 link, 0.50 MiB an hour both ways, 31.5 MiB held, 40.0 MiB resident"
    assert taken[ONE].samples[0].aside == said
    assert taken[TWO].samples[0].aside.startswith("2 links, 1.00 MiB")
    assert (taken[MEMORY].amount, taken[MEMORY].samples[0].aside) == (44.0, "35.0 MiB of its own")
    assert taken[HEALING].amount == pytest.approx(2_000 + 171 * 3_600 / 780)
    assert taken[HEALING].samples[0].aside == "171 wake-ups replaced 30 links"
    assert (taken[INTERFACE].amount, taken[INTERFACE].samples[0].aside) == (62.0, "50.0 MiB of its own")


@pytest.mark.parametrize(
    "dearer",
    [
        {"links": 3},
        {"carried": 1.2 * 2**20},
    ],
)
def test_two_terminals_that_cost_more_than_two_contacts_miss_their_bound(dearer: dict[str, float]) -> None:
    assert figures(COSTS)[RATIO].amount == 1.0
    taken = figures({**COSTS, TERMINALS: replace(COSTS[TERMINALS], **dearer)})
    assert [aim for aim in AIMS if not taken[aim].good] == [RATIO]


def test_the_ratio_of_wake_ups_is_said() -> None:
    taken = figures({**COSTS, TERMINALS: replace(COSTS[TERMINALS], wakes=2_700.0)})
    assert all(figure.good for figure in taken.values())
    assert taken[RATIO].samples[0].aside == "links 1.00, bytes 1.00, wake-ups 1.50"


def test_each_bound_of_a_process_can_be_missed() -> None:
    taken = figures({**COSTS, ONE: replace(COSTS[ONE], wakes=3_000.0)})
    assert [aim for aim in AIMS if not taken[aim].good] == [ONE]
    taken = figures({**COSTS, MANY: replace(COSTS[MANY], wakes=6_000.0, resident=50.0)})
    assert [aim for aim in AIMS if not taken[aim].good] == [MANY, HEALING, MEMORY]
    taken = figures({**COSTS, MANY: replace(COSTS[MANY], healing=900.0)})
    assert [aim for aim in AIMS if not taken[aim].good] == [HEALING]
    taken = figures({**COSTS, MANY: replace(COSTS[MANY], interface=Memory(50.0, 80.0))})
    assert [aim for aim in AIMS if not taken[aim].good] == [INTERFACE]


BURST = 1_716


def pinged(period: float, begins: float, window: float = rest.WINDOW) -> rest.Bursts:
    """A card that carries so much each period, half of it a moment later, looked at throughout a window."""
    bursts, now = rest.Bursts(0), 0.0
    while (now := now + rest.LOOKS_EVERY) < window:
        halves = sum(int((now - begins - late) // period) + 1 for late in (0.0, 0.05))
        bursts.look(now, halves * BURST // 2)
    return bursts


def test_where_a_window_begins_and_ends_among_the_bursts_does_not_matter() -> None:
    for number in range(56):
        rate = pinged(5.6, begins=number / 10).rate()
        assert rate == pytest.approx(BURST / 5.6, rel=0.005)


def test_what_was_carried_once_has_no_rate() -> None:
    assert pinged(300.0, begins=5.0).rate() is None
    assert pinged(300.0, begins=290.0).rate() is None


class Clock:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now, self.stops_at = 0.0, inf
        patch.setattr("chat.tools.bench.rest.time.monotonic", lambda: self.now)

    def rest_for(self, seconds: float) -> None:
        self.now += seconds
        if self.now > self.stops_at:
            self.now, self.stops_at = self.now + 60.0, inf


def test_a_window_in_which_links_were_lost_or_all_was_stopped_is_taken_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock: Any = Clock(monkeypatch)
    lost: list[float] = [30.0]
    clock.stops_at = 240.0
    taken: Callable[[int], int] = lambda _: int(clock.now // 6) * BURST  # noqa: E731
    opened: Callable[[int], frozenset[int]] = lambda _: frozenset({sum(one < clock.now for one in lost)})  # noqa: E731
    counts: Callable[[int], rest._Counts] = lambda process: rest._Counts(0, taken(process))  # noqa: E731
    monkeypatch.setattr(rest, "_carried", taken)
    monkeypatch.setattr(rest, "_connections", opened)
    monkeypatch.setattr(rest._Counts, "of", counts)
    monkeypatch.setattr(rest.Memory, "of", lambda _: Memory(30.0, 40.0))
    (cost,) = rest._counted([1], clock, 180.0)
    assert clock.now == pytest.approx(3 * 180.0)
    assert cost.links == 1
    assert cost.carried == pytest.approx(BURST * 600, rel=0.005)
    lost += [600.0, 800.0, 1_000.0]
    with pytest.raises(NotTaken, match="too busy"):
        rest._counted([1], clock, 180.0)


def test_links_are_replaced_when_the_protocol_says() -> None:
    assert (rest.REPLACED_AFTER, rest.LIVES) == (LINK_SECONDS_REPLACE, LINK_SECONDS_MAX)


def test_what_the_replacement_of_all_links_adds_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Any = Clock(monkeypatch)
    clock.now, ends = 100.0, [790.0, 791.0, 785.0]
    opened: Callable[[int], frozenset[tuple[int, bool]]] = lambda _: frozenset(  # noqa: E731
        (number, clock.now > 100.0 + until) for number, until in enumerate(ends)
    )
    woke: Callable[[int], int] = lambda _: int(clock.now / 2) + sum(6 for _, new in opened(1) if new)  # noqa: E731
    monkeypatch.setattr(rest, "_connections", opened)
    monkeypatch.setattr(rest._Counts, "of", lambda process: rest._Counts(woke(process), 0))
    cost = Cost(3, 0.0, 1_800.0, 30.0, 40.0)
    assert rest._replaced(1, cost, 100.0, clock).healing == pytest.approx(18.0, abs=1.0)
    assert 100.0 + 791.0 + rest.QUIET <= clock.now <= 100.0 + 791.0 + rest.QUIET + 2.0
    clock.now, ends = 100.0, [790.0, inf, 785.0]
    with pytest.raises(NotTaken, match="1 of 3 links were not replaced"):
        rest._replaced(1, cost, 100.0, clock)


@pytest.mark.network
@pytest.mark.slow
def test_the_links_of_two_devices_and_of_two_contacts_are_counted() -> None:
    needs_root_network()
    pings_within = 8.0  # a link on which nothing came for 6.5 seconds carries a Ping
    costs = rest.at_rest([Case(1, devices=2), Case(2, interface=True)], settles=1.0, window=pings_within)
    assert [cost.interface.own > 0 for cost in costs] == [False, True]
    for cost in costs:
        assert cost.wakes > 0
        assert cost.carried > 0
        assert re.fullmatch(
            r"2 links, \d+\.\d\d MiB an hour both ways, \d+\.\d MiB held, \d+\.\d MiB resident", cost.said()
        )


def test_what_the_system_does_not_say_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(NotTaken, match="/proc"):
        rest.at_rest([Case(1)])
