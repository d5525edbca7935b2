"""A contact who calls all the time: others reach this terminal all the same (SPEC §18)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import combinations
from pathlib import Path

from chat.network.relay.client import AT_ONCE
from chat.network.relay.connection import Lost, RelayLine
from protocol.primitives import system_random
from protocol.relay.rendezvous import DAY_SECONDS
from tests.support.engines.engines import Person, in_virtual_time, invite, people, talk
from tests.support.fakes.network import MemoryTransport
from tests.support.fakes.relay import MemoryRelay


class Snatcher:
    """Calls a terminal whenever it waits, and says nothing."""

    def __init__(self, mallory: Person, victim: Person, relay: MemoryRelay) -> None:
        self._relay, self._clock = relay, mallory.clock
        self._transport = MemoryTransport(mallory.network, mallory.host)
        self._transport.name_relays({relay.address})
        keyring, person = mallory.engine._world.keyring, victim.engine._world.own.person
        day = relay.clock.wall() // 1_000 // DAY_SECONDS
        (self._token,) = keyring.dial_tokens(person, relay.pair.public, day)
        self.snatched = 0

    async def run(self) -> None:
        while True:
            line = await RelayLine.open(self._transport, self._relay.address, self._clock, system_random)
            try:
                for _ in range(16):
                    if (reached := await line.dial(self._token)) is not None:
                        self.snatched += 1
                        reached.circuit.close()
                        break
            except Lost:
                pass
            line.close()


@asynccontextmanager
async def three(folder: Path) -> AsyncIterator[tuple[Person, Person, list[Snatcher]]]:
    """Ada and Ben, who reach a relay alone, and Mallory, a contact of both, who calls them without end."""
    async with people(folder, "Ada", "Ben", "Mallory") as (network, persons):
        for one, other in combinations(persons, 2):
            await invite(one, other)
        relay, (ada, ben, mallory) = MemoryRelay(network).start(), persons
        snatchers = [Snatcher(mallory, victim, relay) for victim in (ada, ben)]
        await mallory.stop()
        for one, other in combinations(persons, 2):
            network.part(one.host, other.host)
        running = [asyncio.ensure_future(snatcher.run()) for snatcher in snatchers]
        for person in (ada, ben):
            await person.engine.add_relay(str(relay.address))
        try:
            yield ada, ben, snatchers
        finally:
            for task in running:
                task.cancel()


@in_virtual_time
async def test_whoever_calls_all_the_time_keeps_nobody_else_away(tmp_path: Path) -> None:
    async with three(tmp_path) as (ada, ben, snatchers):
        await asyncio.sleep(20)
        await asyncio.wait_for(talk(ada, ben, "in spite of it"), 20)
        await asyncio.wait_for(talk(ben, ada, "and back"), 5)
        assert all(snatcher.snatched >= AT_ONCE for snatcher in snatchers)
