"""A program at the API takes every event with every value of each enum, and a fault ends no session."""

from __future__ import annotations

import pytest

from chat.api import calls
from chat.interface import ContactChanged, EntryAdded, Event
from tests.support.api import talking
from tests.support.every_event import every_event
from tests.support.fakes.messenger import FakeMessenger


async def test_every_event_without_a_position_is_told_as_it_is() -> None:
    fake = FakeMessenger()
    ben = fake.add_contact("Ben")
    all_events = list(every_event(ben.person, "Ben", mixed=5))
    held = fake._conversations[ben.person].entries
    held += [event.entry for event in all_events if isinstance(event, EntryAdded)]
    events = [event for event in all_events if not isinstance(event, calls.LASTING + calls.UNSENT)]
    async with talking(fake) as talker:
        await talker.call("hello", client="echo")
        await talker.call("subscribe")
        for event in events:
            fake.emit(event)
            said = await talker.told()
            while (
                said["position"] is not None
            ):  # of a file that is whole, which comes again until it is acknowledged
                said = await talker.told()
            assert said["event"] == type(event).__name__
    assert {type(event) for event in events} < set(calls.EVENTS.values())


def test_every_event_of_an_entry_has_a_line() -> None:
    for event in every_event("ab" * 32, "Ben"):
        if isinstance(event, calls.LASTING):
            assert calls.told(event, 7).count(b"\n") == 0


async def test_a_fault_of_the_program_in_one_event_is_named_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakeMessenger()
    ben = fake.add_contact("Ben")
    told = calls.told

    def breaks(event: Event, position: int | None = None) -> bytes:
        if isinstance(event, ContactChanged):
            raise KeyError("a secret of a peer")
        return told(event, position)

    monkeypatch.setattr(calls, "told", breaks)
    async with talking(fake) as talker:
        await talker.call("hello", client="echo")
        await talker.call("subscribe")
        fake.emit(ContactChanged(ben))
        said = await talker.told("Notice")
        assert said["value"]["text"] == "ContactChanged could not be shown (KeyError). Please report it."
        fake.notice("and on it goes")
        assert (await talker.told("Notice"))["value"]["text"] == "and on it goes"
