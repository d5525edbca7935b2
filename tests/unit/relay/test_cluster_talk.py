"""A conversation of two engines through a cluster of relays, in which a node and then a relay dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from chat.engine import Engine
from chat.interface import EntryChanged, EntryState, Event
from tests.integration.test_relayed_for_real import engine, only, pairs
from tests.support.relay.processes import cluster

PATIENCE = 90.0


class Talk:
    def __init__(self, one: Engine, other: Engine) -> None:
        self._both = (one, other)
        self._said: list[str] = []

    async def go_on(self, lines: int) -> None:
        """So many lines from each: sent as they come, and waited for until the last is delivered."""
        events = [person.events() for person in self._both]
        waiting: list[set[str]] = [set(), set()]
        for _ in range(lines):
            for index, person in enumerate(self._both):
                text = f"line {len(self._said)}"
                sent = await person.send((await only(person)).person, text)
                waiting[index].add(sent.id)
                self._said.append(text)
        await asyncio.gather(*map(_delivered, events, waiting))

    async def check(self) -> None:
        """Nothing lost, nothing twice, and what each said stands in its order with both."""
        for person in self._both:
            entries = await person.history((await only(person)).person)
            assert sorted(entry.text for entry in entries) == sorted(self._said)
            for own in (True, False):
                numbers = [int(entry.text.split()[1]) for entry in entries if entry.own is own]
                assert numbers == sorted(numbers)


async def _delivered(events: AsyncIterator[Event], ids: set[str]) -> None:
    async for event in events:
        if isinstance(event, EntryChanged) and event.state is EntryState.DELIVERED:
            ids.discard(event.id)
        if not ids:
            return


async def test_a_conversation_outlives_a_relay_and_a_node_of_nats(tmp_path: Path) -> None:
    with cluster(tmp_path) as (nodes, relays):
        first, second, third = (str(each.address) for each in relays)
        async with asyncio.timeout(PATIENCE), engine("Ada", tmp_path) as ada, engine("Ben", tmp_path) as ben:
            await ada.add_relay(first)
            await pairs(ada, ben)
            talk = Talk(ada, ben)
            await talk.go_on(5)
            await ada.add_relay(third)
            await ben.add_relay(second)
            await ben.remove_relay(first)
            relays[0].kill()
            await talk.go_on(5)
            assert relays[1].count("far_total") >= 1, "it goes over NATS now"
            nodes[1].kill()
            await talk.go_on(5)
            assert relays[1].count("backplanes_total") == 2
            await talk.check()
            assert (await only(ada)).relayed
            assert (await only(ben)).relayed
