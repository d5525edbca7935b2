"""The one tick of an engine: when it strikes, whom it strikes, and what waits for what."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from unittest import mock

from chat.tasks import GATHER, GATHER_FROM, GATHERED_MOST, JOINS_AGAIN, LEAD, LEADS_FROM, USUAL, Beat
from protocol.limits import PING_AFTER_SECONDS
from tests.support.engines.engines import in_virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


class Link:
    """A member that has a Ping to send, or none."""

    def __init__(self, asks: bool = True, *, begins: bool = True, answers: bool = True) -> None:
        self.begins = begins
        self.soon = mock.Mock(return_value=asks)
        self.struck = mock.Mock(side_effect=self._ask)
        self.owed = mock.Mock(return_value=not answers)
        self.asked: list[float] = []
        self.held: list[tuple[float, bool]] = []

    def _ask(self) -> bool:
        if self.soon():
            self.asked.append(round(now(), 6))
        return bool(self.soon())

    def hold(self, on: bool) -> None:
        self.held.append((round(now(), 6), on))


def beat_of(*links: Link) -> Beat:
    beat = Beat()
    for link in links:
        beat.join(link)
    return beat


@in_virtual_time
async def test_who_waits_goes_on_at_the_earliest_moment_that_was_wanted_and_nobody_is_pinged() -> None:
    beat, link = Beat(), Link()
    beat.join(link)
    for seconds in (9.0, 4.0, 7.0):
        beat.by(seconds)
    await beat.wait(10.0)
    assert now() == 4.0
    beat.by(-1.0)
    await beat.wait(10.0)
    assert now() == 4.0
    await asyncio.sleep(60)
    link.struck.assert_not_called()


@in_virtual_time
async def test_a_strike_is_one_of_all_links() -> None:
    beat, link = Beat(), Link()
    beat.join(link)
    beat.by(4.0)
    beat.strike()
    beat.leave(link)
    beat.leave(link)
    beat.strike()
    await asyncio.sleep(60)
    link.struck.assert_called_once_with()


@in_virtual_time
async def test_who_waits_goes_on_at_each_strike_or_after_a_while() -> None:
    beat = Beat()
    await beat.wait(10.0)
    assert now() == 10.0
    asyncio.get_running_loop().call_later(3.0, beat.strike)
    await beat.wait(10.0)
    assert now() == 13.0
    beat.strike()
    await beat.wait(10.0)
    assert now() == 13.0, "a strike that came meanwhile is not lost"
    await beat.wait(10.0)
    assert now() == 23.0, "the strike has put off the next one"


@in_virtual_time
async def test_answers_to_many_pings_wait_for_each_other_and_those_to_few_do_not() -> None:
    for asking in (GATHER_FROM - 1, GATHER_FROM):
        links = [*(Link() for _ in range(asking)), Link(asks=False)]
        beat = beat_of(*links)
        beat.strike()
        began = round(now(), 6)
        await asyncio.sleep(1)
        held = [(began, True), (round(began + GATHER, 6), False)] if asking >= GATHER_FROM else []
        assert [link.held for link in links] == [*[held] * asking, []]


@in_virtual_time
async def test_answers_that_are_still_owed_are_gathered_again_but_not_for_ever() -> None:
    links = [Link(answers=False) for _ in range(GATHER_FROM)]
    beat_of(*links).strike()
    await asyncio.sleep(1)
    moments = [round(number * GATHER, 6) for number in range(GATHERED_MOST + 1)]
    held = [(moment, on) for begun, end in pairwise(moments) for moment, on in ((begun, True), (end, False))]
    assert [link.held for link in links] == [held] * GATHER_FROM


@in_virtual_time
async def test_a_peers_ping_is_a_strike_for_the_one_that_is_behind() -> None:
    link = Link()
    beat, half = beat_of(link), PING_AFTER_SECONDS / 2
    beat.strike()
    await asyncio.sleep(half - 0.1)
    beat.pinged()
    assert link.asked == [0.0], "this process struck after the peer's last time"
    await asyncio.sleep(0.2)
    beat.pinged()
    beat.pinged()
    assert link.asked == [0.0, half + 0.1]
    await beat.wait(10.0)
    assert now() == half + 0.1, "the house is kept"


@in_virtual_time
async def test_a_peer_that_pings_all_the_time_makes_a_process_ping_little_more_often() -> None:
    link = Link()
    beat = beat_of(link)
    beat.strike()
    while now() < JOINS_AGAIN:
        beat.pinged()
        await asyncio.sleep(0.25)
    usual = [two - one for one, two in pairwise(link.asked)]
    assert usual == [PING_AFTER_SECONDS / 2] + [PING_AFTER_SECONDS - USUAL] * (len(usual) - 1)
    while len(link.asked) < len(usual) + 3:
        beat.pinged()
        await asyncio.sleep(0.25)
    assert link.asked[-1] - link.asked[-2] == PING_AFTER_SECONDS / 2, "once in a while it may join"


@in_virtual_time
async def test_struck_by_a_peer_a_responder_waits_for_the_others_ping() -> None:
    links = [*(Link() for _ in range(GATHER_FROM)), *(Link(begins=False) for _ in range(3))]
    heard, silent, talking = links[GATHER_FROM:]
    talking.soon.return_value = False
    beat_of(*links).pinged()
    assert [len(link.asked) for link in links] == [*[1] * GATHER_FROM, 0, 0, 0]
    assert [bool(link.held) for link in links] == [*[True] * GATHER_FROM, True, True, False]
    heard.soon.return_value = False
    await asyncio.sleep(1)
    assert (heard.asked, silent.asked, talking.asked) == ([], [GATHER], [])


@in_virtual_time
async def test_struck_by_a_peer_few_links_ping_only_as_initiators() -> None:
    first, second = Link(), Link(begins=False)
    beat_of(first, second).pinged()
    await asyncio.sleep(60)
    assert (first.asked, second.asked) == ([0.0], [])


def test_a_process_leads_by_the_number_of_its_links() -> None:
    beat, links = Beat(), [Link(asks=False) for _ in range(LEADS_FROM + 3)]
    leads = [beat.lead]
    for link in links:
        beat.join(link)
        leads.append(beat.lead)
    assert leads[:3] == [0.0, 0.0, LEAD / LEADS_FROM]
    assert leads[LEADS_FROM:] == [LEAD * (LEADS_FROM - 1) / LEADS_FROM, *[LEAD] * 3]
    for link in links:
        beat.leave(link)
    assert (beat.lead, len(beat)) == (0.0, 0)
