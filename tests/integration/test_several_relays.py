"""Several relays: which of them two terminals meet at, and what one that is away or hangs costs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chat.interface import ContactChanged, RelayStanding
from chat.ports import Connection
from tests.support.engines.engines import (
    apart,
    contact,
    in_virtual_time,
    links,
    named,
    pair,
    people,
    same,
    stands,
    talk,
)
from tests.support.fakes.relay import MemoryRelay


def now() -> float:
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_two_meet_at_the_relay_that_both_have_named(tmp_path: Path) -> None:
    async with apart(tmp_path) as (network, common, ada, ben):
        others = [MemoryRelay(network, f"192.0.2.{number}").start() for number in (2, 3)]
        for person, other in zip((ada, ben), others, strict=True):
            await named(person, other)
            await person.stop()
        met = len(common.met)
        for person in (ada, ben):
            await person.start()
        await talk(ada, ben, "where both are")
        assert len(common.met) > met
        assert [other.met for other in others] == [[], []]
        assert any(other.absent for other in others)


@in_virtual_time
async def test_a_relay_that_hangs_or_is_away_holds_up_none_of_the_others(tmp_path: Path) -> None:
    async with apart(tmp_path) as (network, common, ada, ben):
        hanging = MemoryRelay(network, "192.0.2.2")

        async def say_nothing(connection: Connection) -> None:
            await connection.read()
            await asyncio.Event().wait()

        network.listeners[(hanging.host, hanging.port)] = say_nothing
        away = MemoryRelay(network, "192.0.2.3")
        network.cut(away.host)
        for person in (ada, ben):
            for relay in (hanging, away):
                unreachable = stands(person, relay, RelayStanding.UNREACHABLE)
                await person.engine.add_relay(str(relay.address))
                await unreachable
        await talk(ada, ben, "as ever")
        await asyncio.gather(ada.stop(), ben.stop())
        await asyncio.sleep(60)
        await ada.start()
        await ada.engine.send(await ada.contact(ben), "waiting")
        await asyncio.sleep(60)
        began = now()
        await ben.start()
        await talk(ben, ada, "at once")
        assert now() - began < 2.0
        await same(ada, ben, "paired", "as ever", "waiting", "at once")
        assert common.met


@in_virtual_time
async def test_when_one_relay_dies_another_takes_over(tmp_path: Path) -> None:
    async with apart(tmp_path) as (network, first, ada, ben):
        second = MemoryRelay(network, "192.0.2.2").start()
        for person in (ada, ben):
            await named(person, second)
        await talk(ada, ben, "before")
        relays = [first, second]
        for number in range(4):
            carrying = max(relays, key=lambda relay: len(relay.visitors))
            carrying.stop()
            began = now()
            await talk(*((ada, ben) if number % 2 else (ben, ada)), f"after {number}")
            assert now() - began < 3.0
            waits = [stands(person, carrying, RelayStanding.WAITING) for person in (ada, ben)]
            carrying.start()
            await asyncio.gather(*waits)
        assert (await contact(ada)).relayed
        await asyncio.sleep(60)
        assert links(ada) == links(ben) == 1
        await same(ada, ben, "paired", "before", *(f"after {number}" for number in range(4)))


@in_virtual_time
async def test_a_house_full_of_contacts_comes_back_with_its_relay(tmp_path: Path) -> None:
    """All dial all at once, each of them both ways; in the end each two have one link."""
    names = [f"Person {number}" for number in range(5)]
    async with people(tmp_path, *names) as (network, persons):
        relay = MemoryRelay(network).start()
        for index, one in enumerate(persons):
            for other in persons[index + 1 :]:
                await one.engine.set_visible(True)
                await other.engine.set_visible(True)
                await pair(one, other)
                network.part(one.host, other.host)
        for person in persons:
            await named(person, relay)
        await asyncio.sleep(60)
        for _ in range(2):
            assert [links(person) for person in persons] == [len(names) - 1] * len(names)
            gone = persons[0].wait(ContactChanged, lambda event: not event.contact.present)
            relay.stop()
            await gone
            relay.start()
            await asyncio.sleep(60)
        assert [links(person) for person in persons] == [len(names) - 1] * len(names)
