"""The state that is shown of an entry never goes back, although two links carry it.

Rules: two real engines in virtual time; only how long a message waits on its link is moved.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.interface import EntryChanged, EntryState
from chat.network.driver import Driver
from chat.network.links import Links
from protocol.messages import Entry, Message, Receipt
from tests.support.engines.engines import Person, in_virtual_time, pair, people, talk


@in_virtual_time
async def test_an_entry_that_has_arrived_by_one_link_is_not_called_sent_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await pair(ada, ben)
        await talk(ada, ben, "before")
        monkeypatch.setattr(Links, "_answered", both_stay)
        slow_on_second_link(monkeypatch, current(ada, await ada.contact(ben)))
        view = await ada.engine.send(await ada.contact(ben), "by both")
        await ada.engine._parts.dialler.dial(bytes.fromhex(await ada.contact(ben)), 1.0)
        await asyncio.sleep(5)
        states = [
            event.state for event in ada.seen if isinstance(event, EntryChanged) and event.id == view.id
        ]
        assert states == [EntryState.SENT, EntryState.DELIVERED]


def current(person: Person, other: str) -> Driver:
    link = person.engine._world.links.current(bytes.fromhex(other))
    assert link is not None
    return link.driver


def slow_on_second_link(monkeypatch: pytest.MonkeyPatch, first: Driver) -> None:
    """Receipts wait half a second, and entries a whole one on all links but the first."""
    send = Driver.send

    async def slowly(self: Driver, message: Message) -> None:
        if isinstance(message, Receipt):
            await asyncio.sleep(0.5)
        if isinstance(message, Entry) and self is not first:
            await asyncio.sleep(1)
        await send(self, message)

    monkeypatch.setattr(Driver, "send", slowly)


async def both_stay(links: Links, link: object, number: int) -> None:
    """No link is closed, as while the keepalive that decides is under way."""
