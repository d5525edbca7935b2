"""How often engines at rest wake, counted in virtual time: no loop looks for what nothing has announced."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextvars import Context, ContextVar
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chat.interface import ContactChanged
from tests.support.engines.engines import Person, in_virtual_time, invite, pair, people, two_contacts
from tests.support.fakes.network import Network, Pipe
from tests.support.lab.virtual import VirtualLoop, wind_up

HOUR = 3_600.0
WINDOW = 600.0
"""Seconds that are counted."""
_whose: ContextVar[str] = ContextVar("whose", default="")


class WakingLoop(VirtualLoop):
    """Counts the moments in which anything of an engine ran, by the engine's name."""

    def __init__(self) -> None:
        self.woke: dict[str, set[float]] = defaultdict(set)
        super().__init__(30 * HOUR)

    def call_soon(  # type: ignore[override]  # the same, of any types
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return super().call_soon(self._noting(callback), *args, context=context)

    def call_at(  # type: ignore[override]  # the same, of any types
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_at(when, self._noting(callback), *args, context=context)

    def _noting(self, callback: Callable[..., object]) -> Callable[..., object]:
        if isinstance(getattr(callback, "__self__", None), Pipe):  # bytes on their way wake no sender
            return callback

        def noted(*args: Any) -> object:
            if name := _whose.get():
                self.woke[name].add(round(self.time(), 3))
            return callback(*args)

        return noted


async def restarted(person: Person) -> None:
    """The person's engine starts again, and all that it does bears its name."""
    await person.stop()
    token = _whose.set(person.name)
    await person.start()
    _whose.reset(token)


def resting(folder: Path, contacts: int, *, all_know_each_other: bool = False) -> dict[str, float]:
    """Wake-ups an hour of each engine, of a person and so many contacts, which are counted for `WINDOW`.

    Unless they know each other, this person is the only contact of each.
    """

    async def scenario() -> dict[str, float]:
        names = ["Hub", *(f"C{number}" for number in range(contacts))]
        async with people(folder, *names) as (network, (hub, *others)):
            for other in others:
                await (pair(hub, other) if other is others[0] else invite(hub, other))
            for one, other in combinations(others, 2) if all_know_each_other else ():
                await invite(one, other)
            moments = Random(3)
            for person in (hub, *others):
                await restarted(person)
                await asyncio.sleep(moments.uniform(0.5, 7.0))  # else all would strike together by chance
            for pipe in network.pipes:
                pipe.latency = moments.uniform(0.000_3, 0.004)
            await asyncio.sleep(300)
            assert all(contact.present for contact in await hub.engine.contacts())
            loop.woke.clear()
            await asyncio.sleep(WINDOW)
            assert all(contact.present for contact in await hub.engine.contacts())
            return {person.name: len(loop.woke[person.name]) * HOUR / WINDOW for person in (hub, *others)}

    loop = WakingLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(scenario())
    finally:
        wind_up(loop)
        asyncio.set_event_loop(None)
        loop.close()


@pytest.mark.parametrize(("contacts", "most"), [(1, 3_000), (30, 3_000)])
def test_an_engine_at_rest_wakes_seldom_and_once_for_all_its_links(
    tmp_path: Path, contacts: int, most: int
) -> None:
    woke = resting(tmp_path, contacts)
    assert woke["Hub"] <= most
    assert all(count <= 1_500 for name, count in woke.items() if name != "Hub")


def test_engines_that_all_know_each_other_strike_together(tmp_path: Path) -> None:
    woke = resting(tmp_path, 10, all_know_each_other=True)
    assert all(count <= 4_000 for count in woke.values()), woke


async def struck(network: Network) -> None:
    """All have just heard from all: the worst moment to vanish, as nobody pings for some seconds."""
    before = len(network.seen)
    while len(network.seen) == before:  # noqa: ASYNC110  # a wire sets no event
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)  # until answers were gathered


@pytest.mark.parametrize("moment", [0.0, 1.7, 3.1, 4.9, 5.7])
@in_virtual_time
async def test_a_peer_that_vanished_is_absent_within_ten_seconds_at_both_ends(
    tmp_path: Path, moment: float
) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await asyncio.sleep(60)
        await struck(network)
        await asyncio.sleep(moment)
        gone = [one.wait(ContactChanged, lambda event: not event.contact.present) for one in (ada, ben)]
        network.cut(ben.host)
        await asyncio.wait_for(asyncio.gather(*gone), 10)


@pytest.mark.parametrize("moment", [0.0, 1.7, 3.1, 4.4])
@in_virtual_time
async def test_each_of_many_that_strike_together_misses_a_peer_within_ten_seconds(
    tmp_path: Path, moment: float
) -> None:
    async with people(tmp_path, "Hub", *(f"C{number}" for number in range(5))) as (network, everybody):
        for one, other in combinations(everybody, 2):
            await invite(one, other)
        await asyncio.sleep(60)
        await struck(network)
        await asyncio.sleep(moment)
        vanished, *others = everybody

        def gone(event: ContactChanged) -> bool:
            return event.contact.name == vanished.name and not event.contact.present

        missed = [other.wait(ContactChanged, gone) for other in others]
        network.cut(vanished.host)
        await asyncio.wait_for(asyncio.gather(*missed), 10)
        for other in others:
            assert sum(one.present for one in await other.engine.contacts()) == len(others) - 1
