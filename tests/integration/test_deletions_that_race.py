"""A body that was read to be sent stays here if it is deleted before it leaves, however it is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from chat.interface import DeletionScope, HistoryCleared
from chat.service.forwarding import SiblingOutgoing
from chat.storage import siblings
from protocol.messages import Entry
from tests.integration.test_deleted_on_all import deleted
from tests.integration.test_shared_contacts import SETTLED, two_devices
from tests.support.engines.engines import Person, in_virtual_time, talk

TIMER: Final = 60


async def here(desk: Person, ben: Person, entry: str) -> None:
    await desk.engine.delete(await desk.contact(ben), entry, DeletionScope.HERE)


async def on_own_devices(desk: Person, ben: Person, entry: str) -> None:
    await desk.engine.delete(await desk.contact(ben), entry, DeletionScope.MINE)


async def for_everyone(desk: Person, ben: Person, entry: str) -> None:
    await desk.engine.delete(await desk.contact(ben), entry, DeletionScope.EVERYONE)


async def by_the_contact(desk: Person, ben: Person, entry: str) -> None:
    gone = deleted(desk, entry)
    await ben.engine.delete(await ben.contact(desk), entry, DeletionScope.EVERYONE)
    await gone


async def by_its_timer(desk: Person, ben: Person, entry: str) -> None:
    gone = deleted(desk, entry)
    await desk.engine.mark_read(await desk.contact(ben), (entry,))
    await gone


async def with_all_others(desk: Person, ben: Person, entry: str) -> None:
    cleared = desk.wait(HistoryCleared, lambda event: event.done == event.total)
    await desk.engine.clear(await desk.contact(ben))
    await cleared


Way = Callable[[Person, Person, str], Awaitable[None]]


@pytest.mark.parametrize(
    "way", [here, on_own_devices, for_everyone, by_the_contact, by_its_timer, with_all_others]
)
@in_virtual_time(limit=100_000)
async def test_what_is_deleted_between_reading_and_sending_leaves_without_its_body(
    tmp_path: Path, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_devices(tmp_path) as (network, desk, laptop, ben, _):
        author, other = (desk, ben) if way is for_everyone else (ben, desk)
        await laptop.stop()
        if way is by_its_timer:
            await ben.engine.set_timer(await ben.contact(desk), TIMER)
        entry = await talk(author, other, "a text that is deleted while it is on its way")
        await asyncio.sleep(SETTLED)

        store, left = desk.engine._use_cases.store, list[bool]()
        race, sent = list[asyncio.Future[None]](), asyncio.Event()
        read, as_sent = store.read, SiblingOutgoing._as_sent

        async def slow(work: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
            found = await read(work, *arguments, **more)
            if work is siblings.with_marks and any(row.id.hex() == entry and row.body for row in found[0]):
                if not race:
                    race.append(asyncio.ensure_future(way(desk, ben, entry)))
                await race[0]  # as if the link were busy until then
            return found

        def note(self: SiblingOutgoing, which: bytes, message: Entry) -> Entry:
            made = as_sent(self, which, message)
            if which.hex() == entry and self._store is store:
                left.append(bool(made.body))
                sent.set()
            return made

        monkeypatch.setattr(store, "read", slow)
        monkeypatch.setattr(SiblingOutgoing, "_as_sent", note)
        network.part(laptop.host, ben.host)  # else it has the text of him before
        await laptop.start()
        async with asyncio.timeout(600):
            await sent.wait()
        assert race
        assert not any(left)
