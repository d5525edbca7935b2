"""Links among the terminals of one person, and delivery by whichever is there (SPEC §7.8)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chat.interface import EntryAdded, EntryChanged, EntryState
from tests.integration.steps import in_touch
from tests.support.engines.engines import Person, in_virtual_time, talk
from tests.support.engines.terminals import add_terminal
from tests.support.fakes.network import Network

LAPTOP = "10.0.0.9"


@asynccontextmanager
async def desk_and_laptop(folder: Path) -> AsyncIterator[tuple[Network, Person, Person, Person]]:
    """Ada at two terminals, which have a link, and Ben, who has one with each."""
    async with in_touch(folder) as (network, desk, ben):
        laptop = await add_terminal(desk, LAPTOP)
        try:
            await asyncio.sleep(10)
            assert linked(desk, laptop)
            yield network, desk, laptop, ben
        finally:
            await laptop.engine.close()


def linked(one: Person, other: Person) -> bool:
    return one.engine._use_cases.links.current(other.peer) is not None


def arrives(person: Person, text: str) -> asyncio.Future[EntryAdded]:
    return person.wait(EntryAdded, lambda event: event.entry.text == text)


def comes_to(person: Person, entry: str, state: EntryState) -> asyncio.Future[EntryChanged]:
    return person.wait(EntryChanged, lambda event: (event.id, event.state) == (entry, state))


@in_virtual_time(limit=600)
async def test_a_contacts_text_reaches_a_second_terminal_through_the_first(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        network.part(laptop.host, ben.host)
        await asyncio.sleep(30)
        assert not linked(ben, laptop)
        there = arrives(laptop, "by the desk")
        await talk(ben, desk, "by the desk")
        await there
