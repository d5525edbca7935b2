"""A device that removes itself: all who have a link with it hear of that, and the next device takes over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.integration.steps import say
from tests.integration.test_own_terminals import apart, desk_and_laptop, linked, terminal_of
from tests.integration.test_renewal import keyring, three_and_ben
from tests.support.engines.engines import Person, in_virtual_time


def hears(person: Person, leaving: Person) -> bool:
    """Whether a person knows that a terminal is one of its owner's no more."""
    terminal, owner = bytes.fromhex(terminal_of(leaving)), leaving.peer.person
    return terminal in keyring(person).log(owner).gone


@pytest.mark.parametrize("first", [False, True])
@in_virtual_time(limit=3_600)
async def test_contacts_and_other_own_devices_hear_of_a_device_that_removes_itself(
    tmp_path: Path, first: bool
) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        leaving, others = (desk, (laptop, phone, ben)) if first else (phone, (desk, laptop, ben))
        await leaving.engine.remove_terminal(terminal_of(leaving))
        await asyncio.sleep(20)
        assert [hears(one, leaving) for one in others] == [True, True, True]
        assert not any(linked(leaving, one) for one in others)


@in_virtual_time(limit=3_600)
async def test_they_hear_of_it_where_the_program_ends_with_the_removal(tmp_path: Path) -> None:
    """As `parlour terminal remove` does, which ends its engine when that is handed out."""
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        await phone.stop()
        await phone.start()
        await phone.engine.remove_terminal(terminal_of(phone))
        assert await phone.engine.handed_out()
        await phone.stop()
        await asyncio.sleep(20)
        assert [hears(one, phone) for one in (desk, laptop, ben)] == [True, True, True]


@in_virtual_time(limit=3_600)
async def test_they_hear_of_it_behind_what_is_on_its_way(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        for number in range(40):
            await say(phone, ben, f"{number} " + "long " * 2_000)
            await say(ben, desk, f"{number} " + "back " * 2_000)
        await phone.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(20)
        assert [hears(one, phone) for one in (desk, laptop, ben)] == [True, True, True]


@in_virtual_time(limit=3_600)
async def test_who_hears_of_it_on_one_link_tells_the_others(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        await apart(network, laptop, ben)
        await laptop.engine.remove_terminal(terminal_of(laptop))
        await asyncio.sleep(60)
        assert [hears(one, laptop) for one in (desk, ben)] == [True, True]
