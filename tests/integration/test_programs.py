"""Programs at the API of whole engines: what came while they were away, as it is now."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chat.interface import DeletionScope, EntryAdded, EntryDeleted
from tests.support.api import Line, Talker, talking
from tests.support.engines.engines import Person, in_virtual_time, talk, two_contacts

HOUR = 3600.0


async def everything(talker: Talker, number: int) -> list[Line]:
    """So many events with a position, each acknowledged once it was acted on."""
    await talker.call("hello", client="echo")
    await talker.call("subscribe", live=False)
    events = [await talker.told() for _ in range(number)]
    await talker.call("ack", position=events[-1]["position"])
    await talker.call("me")
    assert talker.events.empty()
    return events


def texts(events: list[Line]) -> list[str]:
    return [event["value"]["entry"]["text"] for event in events if event["event"] == "EntryAdded"]


async def begin(person: Person) -> None:
    async with talking(person.engine) as talker:
        await talker.call("hello", client="echo")


@in_virtual_time(limit=40 * HOUR)
async def test_a_program_that_was_away_for_a_day_gets_everything_in_order(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        await begin(ben)
        said = [f"hour {hour}" for hour in range(24)]
        friend = await ada.contact(ben)
        for text in said[:4]:
            await talk(ada, ben, text)
            await (ben.crash() if text == said[2] else ben.stop())
            await ben.start()
        await ben.stop()
        for text in said[4:]:
            await ada.engine.send(friend, text)
            await asyncio.sleep(HOUR)
        whole = ben.wait(EntryAdded, lambda event: event.entry.text == said[-1])
        await ben.start()
        await whole
        async with talking(ben.engine) as talker:
            assert texts(await everything(talker, 24)) == said
        await talk(ada, ben, "after")
        async with talking(ben.engine) as talker:
            assert texts(await everything(talker, 1)) == ["after"]


@in_virtual_time(limit=10 * HOUR)
async def test_what_was_edited_deleted_or_has_ended_meanwhile_comes_as_it_is_now(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await begin(ben)
        friend = await ada.contact(ben)
        edited, deleted = await talk(ada, ben, "frist"), await talk(ada, ben, "to be taken back")
        taken = ben.wait(EntryDeleted, lambda event: event.id == deleted)
        await ada.engine.edit(friend, edited, "first")
        await ada.engine.delete(friend, deleted, DeletionScope.EVERYONE)
        await taken
        await ada.engine.set_timer(friend, 60)
        ends = await talk(ada, ben, "not for long")
        await ben.engine.mark_read(await ben.contact(ada), (ends,))
        await ben.wait(EntryDeleted, lambda event: event.id == ends)
        last = await talk(ada, ben, "last")
        async with talking(ben.engine) as talker:
            events = await everything(talker, 5)
        kinds = {
            event["value"].get("id") or event["value"]["entry"]["id"]: event["event"] for event in events
        }
        assert kinds[edited] == kinds[last] == "EntryAdded"
        assert kinds[deleted] == kinds[ends] == "EntryDeleted"
        assert texts(events)[0] == "first"
        assert texts(events)[-1] == "last"
        assert "to be taken back" not in str(events)
        assert "not for long" not in str(events)
