"""When contacts' terminals are dialled, directly and through relays, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from chat.config import Config
from chat.network.backoff import STUMBLES_FREE, Backoff, Pauses
from chat.network.connector import (
    RELAPSES,
    SHORT_LIFE,
    STEADY,
    Connector,
    RelayFallback,
)
from chat.network.links import Peer
from protocol.link.states import Ending, LinkClosed, LinkOpen, Role
from tests.support.lab.virtual import VirtualClock, run_virtual

CONFIG = Config()
PEER = Peer(b"person", b"static")
OPEN = LinkOpen(bytes(16), Role.INITIATOR, 1, bytes(32))
BROKEN = LinkClosed(Ending.ERROR)
CUT = LinkClosed(Ending.CUT)


class Dialer:
    """Answers what a connector asks, records its attempts, and gives them their results in turn."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.runtime = SimpleNamespace(clock=clock, config=CONFIG, random=lambda size: b"\xff" * size)
        self.links = mock.Mock()
        self.links.current.return_value = None
        self.links.needs_link.return_value = True
        self.links.sends_by_relay.return_value = False
        self.second = False
        self.hints = True
        self.wanted = True
        self.results: list[Any] = []
        self.attempts: list[tuple[float, Any]] = []

    def goes_second(self, peer: Peer) -> bool:
        return self.second

    def has_hints(self, peer: Peer) -> bool:
        return self.hints

    def wants_direct(self, peer: Peer) -> bool:
        return self.wanted

    wants_relayed = wants_direct

    async def dial(self, peer: Peer, timeout: float, turn: int) -> Any:
        return self._attempt((timeout, turn))

    async def dial_through_relays(self, peer: Peer) -> Any:
        return self._attempt(None)

    def _attempt(self, detail: Any) -> Any:
        self.attempts.append((round(self.clock.monotonic(), 6), detail))
        return self.results.pop(0) if self.results else None

    @property
    def pauses(self) -> list[float]:
        times = [time for time, _ in self.attempts]
        return [round(after - before, 6) for before, after in pairwise(times)]


def with_connector(scenario: Callable[[Dialer, Connector], Coroutine[Any, Any, None]]) -> Dialer:
    """The dialer after a scenario with a connector that runs."""

    async def run(clock: VirtualClock) -> Dialer:
        dialer = Dialer(clock)
        connector = Connector(PEER, dialer)  # type: ignore[arg-type]
        running = asyncio.get_running_loop().create_task(connector.run())
        await scenario(dialer, connector)
        running.cancel()
        return dialer

    return run_virtual(run, 4000)


def with_fallback(scenario: Callable[[Dialer, RelayFallback], Coroutine[Any, Any, None]]) -> Dialer:
    """The dialer after a scenario with a fallback that runs."""

    async def run(clock: VirtualClock) -> Dialer:
        dialer = Dialer(clock)
        fallback = RelayFallback(PEER, dialer)  # type: ignore[arg-type]
        running = asyncio.get_running_loop().create_task(fallback.run())
        await scenario(dialer, fallback)
        running.cancel()
        return dialer

    return run_virtual(run, 4000)


def test_a_terminal_never_heard_is_dialled_after_growing_pauses_and_each_time_at_the_next_places() -> None:
    async def scenario(dialer: Dialer, connector: Connector) -> None:
        connector.wake()
        await asyncio.sleep(100)

    dialer = with_connector(scenario)
    assert dialer.pauses == [0.6, 1.2, 2.4, 4.8, 9.6, 19.2, 30.0, 30.0]
    assert [detail for _, detail in dialer.attempts] == [(CONFIG.dial_timeout, turn) for turn in range(9)]


def test_a_terminal_that_was_there_is_probed_until_it_has_been_away_for_long() -> None:
    async def scenario(dialer: Dialer, connector: Connector) -> None:
        connector.missed()
        await asyncio.sleep(CONFIG.probe_for + 60)

    dialer = with_connector(scenario)
    timeouts = [CONFIG.probe_timeout] * 2000 + [CONFIG.dial_timeout] * 2
    assert [detail for _, detail in dialer.attempts] == [(one, turn) for turn, one in enumerate(timeouts)]
    assert set(dialer.pauses[:1999]) == {CONFIG.probe_every}
    assert dialer.pauses[2000:] == [CONFIG.retry_most]


@pytest.mark.parametrize(
    ("result", "pause"), [(BROKEN, CONFIG.retry_most), (CUT, CONFIG.probe_every), (None, CONFIG.probe_every)]
)
def test_what_answers_and_is_not_the_terminal_is_asked_rarely(result: Any, pause: float) -> None:
    async def scenario(dialer: Dialer, connector: Connector) -> None:
        dialer.results = [result]
        connector.missed()
        await asyncio.sleep(40)

    assert with_connector(scenario).pauses[0] == pause


def test_an_encouraged_connector_dials_at_once_and_begins_anew_at_the_first_places() -> None:
    async def scenario(dialer: Dialer, connector: Connector) -> None:
        dialer.results = [BROKEN]
        connector.missed()
        await asyncio.sleep(10)
        connector.encourage()
        await asyncio.sleep(0.4)

    dialer = with_connector(scenario)
    assert dialer.attempts == [
        (0.0, (CONFIG.probe_timeout, 0)),
        (10.0, (CONFIG.probe_timeout, 0)),
        (10.3, (CONFIG.probe_timeout, 1)),
    ]


def test_a_wake_ends_a_pause() -> None:
    async def scenario(dialer: Dialer, connector: Connector) -> None:
        connector.wake()
        await asyncio.sleep(5)
        connector.wake()
        await asyncio.sleep(1)

    assert [time for time, _ in with_connector(scenario).attempts] == [0.0, 0.6, 1.8, 4.2, 5.0]


def test_links_that_end_at_once_slow_the_connector_down_after_a_few() -> None:
    async def scenario(dialer: Dialer, connector: Connector) -> None:
        dialer.results = [OPEN] * 8
        for _ in range(8):
            connector.lost(SHORT_LIFE - 0.001)
            await asyncio.sleep(40)

    begins = [round(time % 40, 6) for time, _ in with_connector(scenario).attempts]
    assert begins == [0.3] * STUMBLES_FREE + [4.8, 9.6, 19.2, 30.0, 30.0]


def test_no_wake_ends_the_pause_of_a_connector_that_stumbles_but_encouragement_does() -> None:
    async def scenario(dialer: Dialer, connector: Connector) -> None:
        dialer.results = [OPEN] * 3
        for _ in range(STUMBLES_FREE + 1):
            connector.lost(0)
        await asyncio.sleep(2)
        connector.wake()
        await asyncio.sleep(2)
        assert dialer.attempts == []
        connector.encourage()
        await asyncio.sleep(0.01)

    assert [time for time, _ in with_connector(scenario).attempts] == [4.0]


def test_a_link_that_lasted_is_followed_by_the_next_at_once() -> None:
    async def scenario(dialer: Dialer, connector: Connector) -> None:
        dialer.results = [OPEN, OPEN, OPEN]
        for lived in (0.0, SHORT_LIFE, SHORT_LIFE):
            await asyncio.sleep(50)
            connector.lost(lived)
        await asyncio.sleep(50)

    assert [time for time, _ in with_connector(scenario).attempts] == [50.3, 100.0, 150.0]


@pytest.mark.parametrize(
    ("second", "linked", "begins"), [(True, False, 0.25), (True, True, 0.0), (False, False, 0.0)]
)
def test_the_side_that_goes_second_waits_unless_a_link_is_there(
    second: bool, linked: bool, begins: float
) -> None:
    async def scenario(dialer: Dialer, connector: Connector) -> None:
        dialer.second = second
        dialer.links.current.return_value = object() if linked else None
        connector.wake()
        await asyncio.sleep(0.3)

    assert with_connector(scenario).attempts[0][0] == begins


def test_what_is_not_wanted_is_not_dialled() -> None:
    async def scenario(dialer: Dialer, connector: Connector) -> None:
        dialer.wanted = False
        connector.wake()
        await asyncio.sleep(100)

    assert with_connector(scenario).attempts == []


def _by_relay(dialer: Dialer) -> None:
    dialer.links.sends_by_relay.return_value = True
    dialer.links.needs_link.return_value = False


def test_next_to_a_link_through_a_relay_direct_attempts_become_rare_and_are_given_their_whole_time() -> None:
    async def scenario(dialer: Dialer, connector: Connector) -> None:
        _by_relay(dialer)
        dialer.results = [BROKEN]
        connector.relayed(None)
        await asyncio.sleep(1500)

    dialer = with_connector(scenario)
    assert dialer.pauses == [0.3 * 2**n for n in range(10)] + [300.0, 300.0, 300.0]
    assert {timeout for _, (timeout, _) in dialer.attempts} == {CONFIG.dial_timeout}


def test_a_relayed_link_that_needs_another_does_not_slow_the_connector_down() -> None:
    async def scenario(dialer: Dialer, connector: Connector) -> None:
        dialer.links.sends_by_relay.return_value = True
        connector.relayed(None)
        await asyncio.sleep(1)

    assert with_connector(scenario).attempts == [
        (time, (CONFIG.probe_timeout, turn)) for turn, time in enumerate((0.0, 0.3, 0.6, 0.9))
    ]


def test_a_new_relayed_link_makes_direct_attempts_frequent_again() -> None:
    async def scenario(dialer: Dialer, connector: Connector) -> None:
        _by_relay(dialer)
        connector.relayed(None)
        await asyncio.sleep(15)
        connector.relayed(None)
        await asyncio.sleep(0.5)

    assert [time for time, _ in with_connector(scenario).attempts][-3:] == [9.3, 15.0, 15.3]


def test_direct_links_that_gave_way_to_a_relay_are_tried_less_and_less_until_one_lasts() -> None:
    begins: list[float] = []

    async def scenario(dialer: Dialer, connector: Connector) -> None:
        _by_relay(dialer)
        for direct_for in (STEADY - 0.001, 0.0, 0.0, None, STEADY, None, 0.0):
            dialer.results, count = [OPEN, OPEN], len(dialer.attempts)
            began = dialer.clock.monotonic()
            connector.relayed(direct_for)
            await asyncio.sleep(1)
            connector.wake()
            await asyncio.sleep(60)
            begins.append(round(dialer.attempts[count][0] - began, 6))

    with_connector(scenario)
    least, _ = RELAPSES
    assert begins == [least, 2 * least, 4 * least, 4 * least, 0.0, 0.0, least]


def test_relays_are_tried_after_pauses_that_double() -> None:
    async def scenario(dialer: Dialer, fallback: RelayFallback) -> None:
        fallback.wake()
        await asyncio.sleep(500)

    dialer = with_fallback(scenario)
    assert dialer.attempts[0][0] == CONFIG.direct_head_start
    assert dialer.pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 120.0, 120.0, 120.0]


@pytest.mark.parametrize(
    ("linked", "hints", "second", "begins"),
    [
        (False, True, True, CONFIG.direct_head_start + CONFIG.second_dial_delay),
        (False, False, True, CONFIG.second_dial_delay),
        (False, False, False, 0.0),
        (True, True, True, 0.0),
    ],
)
def test_relays_wait_for_a_direct_link_and_for_the_other_side(
    linked: bool, hints: bool, second: bool, begins: float
) -> None:
    async def scenario(dialer: Dialer, fallback: RelayFallback) -> None:
        dialer.links.current.return_value = object() if linked else None
        dialer.hints, dialer.second = hints, second
        fallback.wake()
        await asyncio.sleep(0.6)

    assert with_fallback(scenario).attempts[0][0] == begins


def test_a_relayed_link_ends_the_attempts_until_it_is_lost() -> None:
    async def scenario(dialer: Dialer, fallback: RelayFallback) -> None:
        dialer.hints, dialer.results = False, [OPEN] * 4
        fallback.wake()
        for lived in (0.0, 0.0, SHORT_LIFE):
            await asyncio.sleep(50)
            fallback.lost(lived)
        await asyncio.sleep(50)

    assert [time for time, _ in with_fallback(scenario).attempts] == [0.0, 51.0, 102.0, 150.0]


def test_a_wake_does_not_end_the_pause_of_relays_but_encouragement_does() -> None:
    async def scenario(dialer: Dialer, fallback: RelayFallback) -> None:
        dialer.hints = False
        fallback.wake()
        await asyncio.sleep(20)
        fallback.wake()
        await asyncio.sleep(2)
        assert len(dialer.attempts) == 5
        fallback.encourage()
        await asyncio.sleep(1.5)

    assert [time for time, _ in with_fallback(scenario).attempts] == [0, 1, 3, 7, 15, 22, 23]


def test_pauses_spread_over_the_upper_half() -> None:
    pauses = Pauses(2.0, 100.0)
    assert pauses.delay(1.0) == 0.0
    pauses.failed()
    assert [pauses.delay(fraction) for fraction in (0.0, 0.5, 1.0)] == [1.0, 1.5, 2.0]
    for _ in range(2000):
        pauses.failed()
    assert pauses.delay(1.0) == 100.0
    assert Pauses(1.0, 2.0**21, failures=22).delay(1.0) == 2.0**20


def test_failures_without_end_do_not_overflow() -> None:
    backoff = Backoff(Config(retry_most=1e9))
    for _ in range(5000):
        backoff.failed(refused=False)
    assert backoff.delay(0.0) == 0.3 * 2**10
    stumbling = Backoff(Config(retry_most=1e9), stumbles=5000)
    assert stumbling.delay(0.0) == 0.3 * 2**10


def test_an_open_link_ends_failures_and_refusals_and_counts_as_a_sign() -> None:
    backoff = Backoff(CONFIG, failures=5, refused=True, stumbles=2)
    backoff.opened(7.0)
    assert (backoff.last_sign, backoff.failures, backoff.refused, backoff.stumbles) == (7.0, 0, False, 2)
    backoff.ended(lasted=True)
    assert (backoff.failures, backoff.stumbles) == (0, 0)
    assert backoff.probing(7.0 + CONFIG.probe_for - 1)
    assert not backoff.probing(7.0 + CONFIG.probe_for)


def test_encouragement_forgets_failures_refusals_and_short_links() -> None:
    backoff = Backoff(CONFIG, failures=5, refused=True, stumbles=9)
    backoff.encouraged(7.0)
    assert (backoff.last_sign, backoff.failures, backoff.refused, backoff.stumbles) == (7.0, 0, False, 0)


def test_next_to_a_relay_a_wake_ends_the_pause_of_a_connector_that_has_not_relapsed() -> None:
    async def scenario(dialer: Dialer, connector: Connector) -> None:
        _by_relay(dialer)
        connector.relayed(None)
        await asyncio.sleep(12)
        connector.wake()
        await asyncio.sleep(1)

    assert [time for time, _ in with_connector(scenario).attempts][-2:] == [9.3, 12.0]
