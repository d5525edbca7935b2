"""When another own device was last there: while it is, after it has left, and after a restart or a crash."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

from chat.interface import TerminalView
from chat.service import attendance
from chat.storage import persons
from chat.storage.errors import StorageFull
from tests.integration.test_shared_contacts import two_devices
from tests.support.engines.engines import Person, in_virtual_time, talk

A_WHILE = 60.0
LONG = 600.0


async def other(person: Person) -> TerminalView:
    """The other device, as this one lists it."""
    (view,) = [view for view in await person.engine.terminals() if not view.this]
    return view


def now(person: Person) -> datetime:
    return datetime.fromtimestamp(person.engine._use_cases.runtime.clock.wall() / 1000, UTC)


async def stored(person: Person) -> dict[bytes, int]:
    """The times of this person's own devices."""
    parts = person.engine._use_cases
    seen = await parts.store.read(persons.seen)
    return {terminal: time for terminal, time in seen.items() if terminal in parts.keyring.own_terminals}


def seconds_since(person: Person, view: TerminalView) -> float:
    assert view.seen is not None
    return (now(person) - view.seen).total_seconds()


@in_virtual_time(limit=20 * LONG)
async def test_a_device_is_there_and_then_was_last_seen_when_it_left(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (network, desk, laptop, _, _):
        view = await other(desk)
        assert view.present
        assert seconds_since(desk, view) < A_WHILE
        (this,) = [one for one in await desk.engine.terminals() if one.this]
        assert (this.present, this.seen) == (False, None)
        await laptop.stop()
        await asyncio.sleep(LONG)
        view = await other(desk)
        assert not view.present
        assert LONG - A_WHILE < seconds_since(desk, view) < LONG + A_WHILE
        await desk.stop()
        await desk.start()
        assert await other(desk) == view, "it is on the disk"
        network.part(desk.host, laptop.host)
        await laptop.start()
        assert not (await other(desk)).present
        assert (await other(laptop)).seen is not None, "the one that stopped had noted the other"


@in_virtual_time
async def test_the_details_of_a_text_say_which_devices_of_the_contact_have_it(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        friend, ids = await ben.contact(desk), [(await one.engine.me()).terminal for one in (desk, laptop)]
        both = await talk(ben, desk, "to both")
        await asyncio.sleep(A_WHILE)
        details = await ben.engine.details(friend, both)
        assert {(one.terminal, one.device) for one in details.receipts} == {(ids[0], ""), (ids[1], "laptop")}
        assert details.awaited == ()
        await laptop.stop()
        one = await talk(ben, desk, "to one")
        details = await ben.engine.details(friend, one)
        assert [receipt.terminal for receipt in details.receipts] == ids[:1]
        (awaited,) = details.awaited
        assert (awaited.person, awaited.terminal, awaited.device) == (friend, ids[1], "laptop")
        assert (await desk.engine.details(await desk.contact(ben), one)).awaited == ()


@in_virtual_time(limit=20 * LONG)
async def test_a_crash_loses_little_of_it_and_a_full_disk_nothing_else(tmp_path: Path) -> None:
    with mock.patch.object(attendance, "KEPT_EVERY", 120.0):
        await _crash_and_full_disk(tmp_path)


async def _crash_and_full_disk(folder: Path) -> None:
    async with two_devices(folder) as (_, desk, _, _, _):
        await asyncio.sleep(LONG)
        (seen,) = (await stored(desk)).values()
        behind = desk.engine._use_cases.runtime.clock.wall() - seen
        assert behind <= (attendance.KEPT_EVERY + A_WHILE) * 1000
        heard = len(desk.seen)
        with mock.patch.object(persons, "keep_seen", side_effect=StorageFull):
            await asyncio.sleep(LONG)
        assert desk.seen[heard:] == []
        assert list((await stored(desk)).values()) == [seen]
        await asyncio.sleep(LONG)
        assert list((await stored(desk)).values()) > [seen]
