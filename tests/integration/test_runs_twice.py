"""Two programs that use one terminal's keys are found, and no ordinary event looks like it (SPEC §6.5)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.interface import AlertKind, Notice
from chat.network import links
from tests.integration.steps import current, dial, in_touch, in_touch_by_relay, now, presence
from tests.integration.test_old_copies import alarm, keep, kinds
from tests.integration.test_own_terminals import desk_and_laptop
from tests.support.engines.engines import Person, in_virtual_time, invite, people, talk
from tests.support.fakes.network import Network

SOON = 150.0
"""Seconds in which a copy that is connected at the same time is found."""
DAY = 86_400.0


def copy_of(person: Person, folder: Path, network: Network) -> Person:
    """Another program with a copy of a stopped profile, on another host, which has not started."""
    keep(person, folder)
    return Person(person.name, "10.0.0.99", folder, network, person.config, 77)


def told(person: Person) -> list[str]:
    """What was said in one line."""
    return [str(event.text) for event in person.seen if isinstance(event, Notice)]


@pytest.mark.parametrize("seed", range(1, 5))
@in_virtual_time(limit=20_000)
async def test_a_copy_that_only_listens_is_found_by_a_contact_and_told_to_its_owner(
    tmp_path: Path, seed: int
) -> None:
    """Whichever side has the higher key, and began the first link."""
    async with in_touch(tmp_path, seed=seed) as (network, ada, ben):
        await ada.stop()
        copy = copy_of(ada, tmp_path / "copy", network)
        await ada.start()
        await asyncio.sleep(30)
        found, began = alarm(ada, AlertKind.TWO_COPIES), now()
        await copy.start()
        await found
        assert now() - began < SOON
        assert [line for line in told(ben) if "Ada runs twice" in line]
        assert await kinds(ben) == []
        await asyncio.sleep(60)
        before = len(told(ben))
        await asyncio.sleep(links.TWICE_EVERY - SOON)
        assert len(told(ben)) == before, "its links are not ended again and again"
        await copy.stop()
        await talk(ben, ada, "all goes on")


@in_virtual_time(limit=20_000)
async def test_a_copy_of_another_device_is_shown_on_the_devices_that_find_it(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, _):
        await laptop.stop()
        copy = copy_of(laptop, tmp_path / "copy", network)
        await laptop.start()
        await asyncio.sleep(30)
        found = alarm(desk, AlertKind.OTHER_TWICE), alarm(laptop, AlertKind.TWO_COPIES)
        await copy.start()
        await asyncio.wait_for(asyncio.gather(*found), SOON)
        assert await kinds(desk) == [AlertKind.OTHER_TWICE]
        await copy.stop()


@in_virtual_time(limit=200_000)
async def test_a_contact_that_says_so_without_reason_is_heard_once_a_day(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):

        async def lie() -> None:
            met = presence(ben, present=True)
            await current(ben, ada).driver.close(links.TWICE)
            await met
            await asyncio.sleep(5)

        await lie()
        assert await kinds(ada) == [AlertKind.TWO_COPIES]
        await ada.engine.dismiss_alerts()
        await lie()
        assert await kinds(ada) == []
        ada.clock.offset_ms += int(DAY) * 1000
        await lie()
        assert await kinds(ada) == [AlertKind.TWO_COPIES]


async def no_alarm(*persons: Person) -> None:
    """After twice the time in which a copy is found, nobody was told anything."""
    await asyncio.sleep(2 * SOON)
    for person in persons:
        assert await kinds(person) == []
        assert not [line for line in told(person) if "twice" in line]


@in_virtual_time(limit=20_000)
async def test_restarts_and_kills_look_like_no_copy(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        for end in (ada.stop, ada.crash, ada.stop, ben.crash):
            person = ben if end == ben.crash else ada
            met = presence(person, present=True)
            await end()
            await person.start()
            await met
            await asyncio.sleep(90)
        # A killed program whose host is unplugged with it says nothing, not even that its links are gone.
        network.unplug(ada.host)
        await ada.crash()
        network.heal(ada.host)
        met = presence(ada, present=True)
        await ada.start()
        await met
        await no_alarm(ada, ben)


@pytest.mark.parametrize("asleep", [3.0, 9.0, 14.0, 70.0, 4_000.0])
@in_virtual_time(limit=20_000)
async def test_a_host_that_sleeps_and_wakes_looks_like_no_copy(tmp_path: Path, asleep: float) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        for person in (ada, ben, ada):
            await asyncio.sleep(90)
            network.cut(person.host)
            await asyncio.sleep(asleep)
            network.heal(person.host)
        await asyncio.sleep(30)
        await no_alarm(ada, ben)


@in_virtual_time(limit=20_000)
async def test_links_begun_at_one_time_look_like_no_copy(tmp_path: Path) -> None:
    """By both sides, by one side on several ways, and again and again."""
    async with in_touch(tmp_path) as (_, ada, ben):
        for _ in range(3):
            await asyncio.gather(dial(ada, ben), dial(ben, ada))
            await asyncio.gather(dial(ada, ben), dial(ada, ben))
            await asyncio.gather(dial(ben, ada), dial(ben, ada), dial(ada, ben))
            await asyncio.sleep(links.TWICE_AFTER + 10)
        await no_alarm(ada, ben)


@in_virtual_time(limit=20_000)
async def test_links_that_are_replaced_for_hours_look_like_no_copy(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        for one, other in ((ada, ben), (ada, cleo), (ben, cleo)):
            await invite(one, other)
        await asyncio.sleep(10_000)
        await no_alarm(ada, ben, cleo)


@in_virtual_time(limit=20_000)
async def test_a_move_from_a_relay_to_a_direct_link_and_back_looks_like_no_copy(tmp_path: Path) -> None:
    async with in_touch_by_relay(tmp_path) as (network, _, ada, ben):
        for _ in range(2):
            network.join(ada.host, ben.host)
            await asyncio.sleep(400)
            network.part(ada.host, ben.host)
            await asyncio.sleep(400)
        await no_alarm(ada, ben)


@in_virtual_time(limit=20_000)
async def test_a_profile_that_moves_to_another_host_looks_like_no_copy(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        network.unplug(ada.host)
        await ada.crash()
        moved = copy_of(ada, tmp_path / "moved", network)
        met = presence(moved, present=True)
        await moved.start()
        await met
        await no_alarm(moved, ben)
        await moved.stop()
        network.heal(ada.host)
        await ada.start()
