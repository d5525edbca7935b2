"""Who has neither the first device nor recovery words reads what that means, and again once a month."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.interface import AlertKind
from chat.service.alerts import MONTH
from tests.integration.test_linking import laptop_of
from tests.integration.test_own_terminals import terminal_of
from tests.integration.test_recovery import written_down
from tests.integration.test_shared_contacts import SETTLED, two_devices
from tests.support.engines import devices
from tests.support.engines.engines import Person, in_virtual_time, own_log, people, recover, take_in

DAY = 86_400_000
LOOKS = 120.0
"""Virtual seconds after which a device has looked whether a month has passed."""


async def reminded(person: Person) -> bool:
    return AlertKind.WORDS in [alert.kind for alert in await person.engine.alerts()]


async def later(person: Person, milliseconds: int) -> None:
    """So much time passes on a machine that slept."""
    person.clock.slept_ms += milliseconds
    await asyncio.sleep(LOOKS)


async def again(person: Person) -> None:
    await person.stop()
    await person.start()


@in_virtual_time
async def test_a_device_that_is_not_the_first_says_so_until_it_was_seen_and_again_after_a_month(
    tmp_path: Path,
) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, *_others):
        assert (await laptop.engine.me()).without_words
        assert not (await desk.engine.me()).without_words
        assert await reminded(laptop)
        assert not await reminded(desk)
        await again(laptop)
        assert await reminded(laptop)
        await laptop.engine.dismiss_alerts()
        assert not await reminded(laptop)
        await later(laptop, MONTH - DAY)
        assert not await reminded(laptop)
        await again(laptop)
        assert not await reminded(laptop)
        await later(laptop, DAY)
        assert await reminded(laptop)
        assert (await laptop.engine.me()).without_words


@pytest.mark.parametrize("same_start", [True, False])
@in_virtual_time
async def test_a_wall_clock_that_is_set_brings_it_neither_sooner_nor_later(
    tmp_path: Path, same_start: bool
) -> None:
    async with two_devices(tmp_path) as (_, _desk, laptop, *_others):
        await laptop.engine.dismiss_alerts()
        await later(laptop, MONTH - 2 * DAY)
        await laptop.stop()
        laptop.clock.offset_ms -= 20 * DAY
        if not same_start:
            laptop.clock.boot_id = "second"
        await laptop.start()
        await asyncio.sleep(LOOKS)
        assert not await reminded(laptop)
        await later(laptop, 2 * DAY)
        assert await reminded(laptop)


@in_virtual_time
async def test_it_ends_on_all_devices_once_the_words_were_typed_back(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, *_others):
        assert await reminded(laptop)
        await written_down(desk)
        await asyncio.sleep(SETTLED)
        assert not await reminded(laptop)
        assert not (await laptop.engine.me()).without_words
        await again(laptop)
        await later(laptop, 2 * MONTH)
        assert not await reminded(laptop)


@in_virtual_time
async def test_a_device_that_is_linked_after_the_words_were_typed_back_never_says_it(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (desk,)):
        await written_down(desk)
        laptop = laptop_of(desk, tmp_path)
        await devices.link(desk, laptop)
        try:
            assert not await reminded(laptop)
        finally:
            await laptop.engine.close()


@in_virtual_time
async def test_who_uses_the_words_has_them(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, *_others):
        words = (await desk.engine.recovery_words()).words
        await recover(laptop, words, ())
        assert not await reminded(laptop)


@in_virtual_time
async def test_the_next_device_is_first_once_the_first_one_removed_itself(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, *_others):
        assert await reminded(laptop)
        await desk.engine.remove_terminal(terminal_of(desk))
        await take_in(laptop, *await own_log(desk))
        assert not await reminded(laptop)
        assert not (await laptop.engine.me()).without_words


@in_virtual_time
async def test_words_make_another_device_first_that_removes_itself_with_them(tmp_path: Path) -> None:
    """What the dialog of the removal says of it."""
    async with two_devices(tmp_path) as (_, desk, laptop, *_others):
        words = (await desk.engine.recovery_words()).words
        await recover(laptop, words, (terminal_of(laptop),))
        first = next(view for view in await laptop.engine.terminals() if view.is_live)
        assert first.this
