"""Two engines that reach only a relay: they talk through it, and directly as soon as there is a way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chat.config import Config
from chat.interface import ContactChanged, ContactView, RelayChanged, RelayStanding
from tests.engines import DEFAULTS, Person, invite, pair, people, play, talk
from tests.fakes.network import Network
from tests.fakes.relay import MemoryRelay


@asynccontextmanager
async def apart(
    folder: Path, config: Config = DEFAULTS, seed: int = 1
) -> AsyncIterator[tuple[Network, MemoryRelay, Person, Person]]:
    """Ada and Ben, paired, who reach a relay that both have named, and not each other any more."""
    async with people(folder, "Ada", "Ben", config=config, seed=seed) as (network, (ada, ben)):
        await pair(ada, ben)
        await talk(ada, ben, "paired")
        relay = MemoryRelay(network).start()
        network.part(ada.host, ben.host)
        for person in (ada, ben):
            await named(person, relay)
        yield network, relay, ada, ben


async def named(person: Person, relay: MemoryRelay) -> None:
    """The person names a relay, and waits there."""
    waits = person.wait(RelayChanged, lambda event: event.relay.standing is RelayStanding.WAITING)
    await person.engine.add_relay(str(relay.address))
    await waits


async def contact(person: Person) -> ContactView:
    """The only contact."""
    (view,) = await person.engine.contacts()
    return view


def moved(person: Person, *, relayed: bool) -> asyncio.Future[ContactChanged]:
    """The moment when a person sees that the link goes through a relay, or directly."""
    return person.wait(
        ContactChanged, lambda event: event.contact.present and event.contact.relayed is relayed
    )


def links(person: Person) -> int:
    return len(person.engine._world.links.all())


async def same(ada: Person, ben: Person, *texts: str) -> None:
    """Both show the same entries in the same order, and none was shown twice."""
    assert await ada.texts(ben) == await ben.texts(ada)
    assert sorted(await ada.texts(ben)) == sorted(texts)
    for person in (ada, ben):
        assert person.shown_once(len(texts))


def test_two_who_reach_only_a_relay_talk_through_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with apart(tmp_path) as (_, relay, ada, ben):
            await talk(ada, ben, "one")
            await talk(ben, ada, "two")
            assert (await contact(ada)).relayed
            assert (await contact(ben)).relayed
            await asyncio.sleep(60)
            assert links(ada) == links(ben) == 1
            assert len(relay.hall) == 2
            await same(ada, ben, "paired", "one", "two")

    play(scenario)


@pytest.mark.parametrize("seed", range(3))
def test_a_link_moves_to_the_direct_way_and_back(tmp_path: Path, seed: int) -> None:
    async def scenario() -> None:
        async with apart(tmp_path, seed=seed) as (network, relay, ada, ben):
            await talk(ada, ben, "0")
            said = ["paired", "0"]
            for number in range(1, 9, 2):
                direct = moved(ada, relayed=False), moved(ben, relayed=False)
                network.join(ada.host, ben.host)
                await talk(ben, ada, str(number))
                await asyncio.wait_for(asyncio.gather(*direct), 3)
                circuits = len(relay.met)
                await asyncio.sleep(40)
                assert links(ada) == links(ben) == 1
                assert len(relay.met) == circuits
                through = moved(ada, relayed=True), moved(ben, relayed=True)
                network.part(ada.host, ben.host)
                await talk(ada, ben, str(number + 1))
                await asyncio.wait_for(asyncio.gather(*through), 12)
                said += [str(number), str(number + 1)]
            await asyncio.sleep(60)
            assert links(ada) == links(ben) == 1
            await same(ada, ben, *said)

    play(scenario)


def test_an_invitation_pairs_two_who_reach_only_a_relay(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
            relay = MemoryRelay(network).start()
            network.part(ada.host, ben.host)
            await named(ada, relay)
            await invite(ada, ben)
            assert [view.address for view in await ben.engine.relays()] == [str(relay.address)]
            await talk(ben, ada, "joined")
            await talk(ada, ben, "welcome")
            assert (await contact(ada)).relayed

    play(scenario)
