"""The one tick of an engine: when it strikes, whom it strikes, and what waits for what."""

from __future__ import annotations

import asyncio
from unittest import mock

from chat.tasks import GATHER, GATHER_FROM, LEAD, LEADS_FROM, Beat
from tests.support.engines.engines import in_virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


class Link:
    """A member that has a Ping to send, or none."""

    def __init__(self, asks: bool) -> None:
        self.struck = mock.Mock(return_value=asks)
        self.held: list[tuple[float, bool]] = []

    def hold(self, on: bool) -> None:
        self.held.append((round(now(), 6), on))


@in_virtual_time
async def test_it_strikes_at_the_earliest_moment_that_was_wanted() -> None:
    beat, link = Beat(), Link(asks=False)
    beat.join(link)
    for seconds in (9.0, 4.0, 7.0):
        beat.by(seconds)
    await asyncio.sleep(3.9)
    link.struck.assert_not_called()
    await asyncio.sleep(60)
    link.struck.assert_called_once_with()
    beat.leave(link)
    beat.leave(link)
    beat.by(-1.0)
    await asyncio.sleep(1)
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
        beat, links = Beat(), [Link(asks=True) for _ in range(asking)]
        links.append(Link(asks=False))
        for link in links:
            beat.join(link)
        beat.strike()
        began = round(now(), 6)
        await asyncio.sleep(1)
        held = [(began, True), (round(began + GATHER, 6), False)] if asking >= GATHER_FROM else []
        assert [link.held for link in links] == [*[held] * asking, []]


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
