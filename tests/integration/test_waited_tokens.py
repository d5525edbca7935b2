"""On what a terminal waits at a relay, as contacts and invitations come and go (SPEC §11.7.5)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chat.interface import RelayChanged, RelayStanding
from protocol.relay.rendezvous import DAY_SECONDS
from tests.support.engines.engines import Person, in_virtual_time, pair, people, talk
from tests.support.fakes.relay import MemoryRelay


def waited(person: Person, relay: MemoryRelay) -> list[bytes]:
    """The tokens that it should wait on now, without those that fill up."""
    day = relay.clock.wall() // 1_000 // DAY_SECONDS
    return list(person.engine._world.keyring.waiting_tokens(relay.pair.public, day))


@in_virtual_time
async def test_who_is_blocked_or_removed_finds_nobody(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        await pair(ada, ben)
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
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        await pair(ada, ben)
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
