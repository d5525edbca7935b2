"""What a device of a person keeps: old texts leave it, and no other device, and come back when they are wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chat.interface import NotPermitted, UsageError
from chat.storage import checks, retention
from tests.integration.test_amendments import WORD, arrived, left_in, shown
from tests.integration.test_shared_contacts import SETTLED, two_devices
from tests.support.engines.engines import Person, in_virtual_time, people, talk
from tests.support.fakes.network import Network

DAY = 86_400.0
LONG = 6 * DAY


@asynccontextmanager
async def with_an_old_history(
    folder: Path,
) -> AsyncIterator[tuple[Network, Person, Person, Person, tuple[str, str]]]:
    """Ada's desk and laptop, and Ben: a text of each of them is two days old, read and delivered."""
    async with two_devices(folder) as (network, desk, laptop, ben, _):
        theirs = await talk(ben, desk, f"the {WORD} of Ben")
        mine = await talk(desk, ben, f"the {WORD} of Ada")
        await desk.engine.mark_all_read(await desk.contact(ben))
        await asyncio.sleep(2 * DAY)
        await talk(ben, desk, "young")
        await asyncio.sleep(SETTLED)
        yield network, desk, laptop, ben, (theirs, mine)


async def kinds(person: Person, other: Person) -> list[str]:
    return [view.kind for view in await person.history(other)]


async def checked(person: Person) -> None:
    """Find nothing wrong in the database."""
    store, after = person.engine._use_cases.store, 0
    reached: int | None = after
    while reached is not None:
        reached = await store.read(checks.piece, reached)


@in_virtual_time(limit=LONG)
async def test_old_texts_leave_one_device_alone_and_come_back_when_all_is_kept_again(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, _):
        before = [await shown(one, other) for one, other in ((desk, ben), (ben, desk))]
        assert await kinds(laptop, ben) == ["text"] * 3
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        assert await kinds(laptop, ben) == ["elsewhere", "elsewhere", "text"]
        name = next(one for one in await laptop.engine.terminals() if not one.this).terminal[:8]
        assert [view.kept_on for view in await laptop.history(ben)] == [f"{name}…", f"{name}…", ""]
        assert (await laptop.engine.retention()).elsewhere == 2
        await laptop.engine.clean()
        assert left_in(laptop) == []
        await checked(laptop)
        assert [await shown(one, other) for one, other in ((desk, ben), (ben, desk))] == before
        await asyncio.sleep(2 * 3_600)
        assert await kinds(laptop, ben) == ["elsewhere", "elsewhere", "text"]
        await laptop.stop()
        await laptop.start()
        await asyncio.sleep(2 * 3_600)
        assert await kinds(laptop, ben) == ["elsewhere", "elsewhere", "text"]
        await laptop.engine.keep(0)
        await asyncio.sleep(60)
        assert await shown(laptop, ben) == await shown(desk, ben)
        assert (await laptop.engine.retention()).elsewhere == 0
        await checked(laptop)
