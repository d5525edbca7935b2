"""Engines that reach only a relay, on a virtual clock and an in-memory network.

Rules: as tests/support/engines/engines.py; the relay is the protocol's own end unless a test makes it a liar.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chat.config import Config
from chat.interface import ContactChanged, ContactView, RelayChanged, RelayStanding
from tests.support.engines.engines import DEFAULTS, Person, pair, people, talk
from tests.support.fakes.network import Network
from tests.support.fakes.relay import MemoryRelay


@asynccontextmanager
async def apart(
    folder: Path, config: Config = DEFAULTS, seed: int = 1, later: float = 0.0
) -> AsyncIterator[tuple[Network, MemoryRelay, Person, Person]]:
    """Ada and Ben, paired, who reach a relay that both have named, and not each other any more.

    All clocks are so many seconds later than a virtual day begins, which is at 8 in the morning.
    """
    async with people(folder, "Ada", "Ben", config=config, seed=seed) as (network, (ada, ben)):
        await pair(ada, ben)
        await talk(ada, ben, "paired")
        relay = MemoryRelay(network).start()
        for clock in (ada.clock, ben.clock, relay.clock):
            clock.offset_ms = int(later * 1_000)
        network.part(ada.host, ben.host)
        for person in (ada, ben):
            await named(person, relay)
        yield network, relay, ada, ben


async def named(person: Person, relay: MemoryRelay) -> None:
    """The person names a relay, and waits there."""
    waits = stands(person, relay, RelayStanding.WAITING)
    await person.engine.add_relay(str(relay.address))
    await waits


def stands(person: Person, relay: MemoryRelay, standing: RelayStanding) -> asyncio.Future[RelayChanged]:
    """The moment when a person is told so of a relay."""
    address = str(relay.address)
    return person.wait(
        RelayChanged, lambda event: event.relay.address == address and event.relay.standing is standing
    )


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
    """How many links a person has."""
    return len(person.engine._use_cases.links.all())


async def same(ada: Person, ben: Person, *texts: str) -> None:
    """Both show the same entries in the same order, and none was shown twice."""
    assert await ada.texts(ben) == await ben.texts(ada)
    assert sorted(await ada.texts(ben)) == sorted(texts)
    for person in (ada, ben):
        assert person.shown_once(len(texts))
