"""Several relays: which of them two terminals meet at, and what one that is away or hangs costs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.interface import ContactChanged, RelayChanged, RelayStanding
from chat.ports import Connection
from chat.service.person_logs import PendingContacts
from protocol.pairing.record import PendingContact
from protocol.relay.rendezvous import DAY_SECONDS
from tests.support.engines.engines import (
    Person,
    apart,
    contact,
    in_virtual_time,
    invite,
    links,
    named,
    pair,
    people,
    same,
    stands,
    talk,
    two_contacts,
)
from tests.support.fakes.network import MemoryDiscovery
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


def waited(person: Person, relay: MemoryRelay) -> list[bytes]:
    """The tokens that it should wait on now, without those that fill up."""
    day = relay.clock.wall() // 1_000 // DAY_SECONDS
    return list(person.engine._use_cases.keyring.waiting_tokens(relay.pair.public, day))


@in_virtual_time
async def test_who_is_blocked_or_removed_finds_nobody(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        relay = MemoryRelay(network).start()
        network.part(ada.host, ben.host)
        for person in (ada, ben):
            waits = person.wait(RelayChanged, lambda told: told.relay.standing is RelayStanding.WAITING)
            await person.engine.add_relay(str(relay.address))
            await waits
        await talk(ada, ben, "before")
        (token,) = waited(ada, relay)
        assert relay.hall.count(token) == 1
        contact = await ada.contact(ben)
        for change, known in ((True, False), (False, True), (None, False)):
            circuits = len(relay.met)
            if change is None:
                await ada.engine.remove(contact)
            else:
                await ada.engine.block(contact, change)
            await asyncio.sleep(150)
            assert (token in waited(ada, relay)) is known
            assert relay.hall.count(token) == known
            assert (len(relay.met) > circuits) is known


@in_virtual_time(limit=4000)
async def test_an_invitation_is_waited_for_as_long_as_it_is_open(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (network, (ada,)):
        relay = MemoryRelay(network).start()
        waits = ada.wait(RelayChanged, lambda told: told.relay.standing is RelayStanding.WAITING)
        await ada.engine.add_relay(str(relay.address))
        await waits
        await ada.engine.invite()
        (token,) = waited(ada, relay)
        await relay.until(lambda: relay.hall.count(token) == 1)
        await asyncio.sleep(3_610)
        assert waited(ada, relay) == []
        assert relay.hall.count(token) == 0


@in_virtual_time
async def test_tokens_may_change_many_times_at_once(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        relay = MemoryRelay(network).start()
        network.part(ada.host, ben.host)
        waits = ada.wait(RelayChanged, lambda told: told.relay.standing is RelayStanding.WAITING)
        await ada.engine.add_relay(str(relay.address))
        await waits
        contact = await ada.contact(ben)
        (token,) = waited(ada, relay)
        for on in (True, False, True, False):
            await ada.engine.block(contact, on)
        await asyncio.sleep(1)
        assert relay.hall.count(token) == 1


@pytest.fixture
def _multicast_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unheard(*_: object) -> None:
        """Nothing gets through."""

    monkeypatch.setattr(MemoryDiscovery, "announce", unheard)


def slow_disk(monkeypatch: pytest.MonkeyPatch, slow: Person) -> None:
    """One side stores a new contact a second after the other."""
    store = PendingContacts.store

    async def late(self: PendingContacts, contact: PendingContact, verified: bool) -> None:
        if self is slow.engine._use_cases.pending:
            await asyncio.sleep(1)
        await store(self, contact, verified)

    monkeypatch.setattr(PendingContacts, "store", late)


@pytest.mark.usefixtures("_multicast_is_blocked")
@pytest.mark.parametrize("seed", range(1, 5))
@in_virtual_time(limit=30)
async def test_whoever_joined_dials_the_inviter_however_late_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    async with people(tmp_path, "Ada", "Ben", seed=seed) as (_, (ada, ben)):
        slow_disk(monkeypatch, ada)
        await invite(ada, ben)
        await talk(ben, ada, "by the address of the invitation")


@pytest.mark.usefixtures("_multicast_is_blocked")
@in_virtual_time(limit=30)
async def test_the_address_is_still_known_after_a_restart(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await invite(ada, ben)
        await ben.stop()
        await ben.start()
        await talk(ben, ada, "after a restart")
