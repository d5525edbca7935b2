"""The list of conversations: the latest first, each with its last line or draft, and a cursor that stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from chat.interface import (
    ContactRemoved,
    EntriesMarked,
    EntryAdded,
    EntryDeleted,
    EntryEdited,
    HistoryCleared,
)
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chat, chatting, shown, until, until_shown, with_bob, write
from tests.support.tui.opened import received
from tui.recent import Recent, last_line


def listed(pilot: Pilot[None]) -> list[str]:
    return [view.name for view in chat(pilot).state.in_order() if not view.notes]


async def test_the_latest_conversation_comes_first_and_those_without_one_by_name() -> None:
    messenger, bob = with_bob()
    carla, dora = messenger.add_contact("Carla"), messenger.add_contact("Dora")
    messenger.add_contact("Anna")
    received(messenger, bob, "from Bob")
    received(messenger, dora, "from Dora")
    async with chatting(messenger, size=(120, 34)) as pilot:
        await until_shown(pilot, "from Bob")
        assert listed(pilot) == ["Dora", "Bob", "Anna", "Carla"]
        assert chat(pilot).state.current == dora.person, "somebody who types at once writes to the latest"
        messenger.receive(carla.person, "from Carla")
        await until_shown(pilot, "from Carla")
        assert listed(pilot) == ["Carla", "Dora", "Bob", "Anna"]
        await write(pilot, "an answer")
        await pilot.press("enter")
        await until_shown(pilot, "You: an answer")
        assert listed(pilot)[0] == "Dora"


async def test_the_cursor_of_the_list_stays_on_its_person_when_the_order_changes() -> None:
    messenger, bob = with_bob()
    carla, dora = messenger.add_contact("Carla"), messenger.add_contact("Dora")
    async with chatting(messenger, size=(120, 34)) as pilot:
        people = chat(pilot).people.view
        people.focus()
        people.point_at(carla.person)
        for sender in (dora, bob, dora):
            messenger.receive(sender.person, f"news of {sender.name}")
            await until_shown(pilot, f"news of {sender.name}")
            assert people.cursor == carla.person
        await pilot.press("enter")
        await until(pilot, lambda: chat(pilot).state.current == carla.person)


async def test_a_draft_is_marked_in_the_list_while_its_conversation_is_closed() -> None:
    messenger, bob = with_bob()
    carla = messenger.add_contact("Carla")
    received(messenger, bob, "from Bob")
    async with chatting(messenger, size=(120, 34)) as pilot:
        chat(pilot).open_conversation(bob.person)
        await write(pilot, "not yet said")
        assert "Draft:" not in shown(pilot), "the text field shows it"
        chat(pilot).open_conversation(carla.person)
        await until_shown(pilot, "Draft: not yet said")
        chat(pilot).open_conversation(bob.person)
        await until(pilot, lambda: "Draft:" not in shown(pilot))


async def test_edits_and_deletions_change_the_last_line() -> None:
    messenger, bob = with_bob()
    carla = messenger.add_contact("Carla")
    first = received(messenger, bob, "first words")
    async with chatting(messenger, size=(120, 34)) as pilot:
        chat(pilot).open_conversation(carla.person)
        await until_shown(pilot, "first words")
        messenger.edit_as_them(bob.person, first.id, "other words")
        await until_shown(pilot, "other words")
        messenger.delete_as_them(bob.person, first.id)
        await until_shown(pilot, "(deleted by its author)")


async def test_the_conversation_that_was_open_last_is_open_at_the_next_start() -> None:
    messenger, bob = with_bob()
    carla = messenger.add_contact("Carla")
    received(messenger, carla, "the latest")
    async with chatting(messenger) as pilot:
        chat(pilot).open_conversation(bob.person)
        await until(pilot, lambda: bool(messenger.called("set_preference")))
    kept = await messenger.preferences()
    assert [name for name in kept if name.startswith("open.")] == [f"open.{bob.person}"]
    async with chatting(messenger) as pilot:
        await until(pilot, lambda: chat(pilot).state.current == bob.person)


def entry(messenger: FakeMessenger, person: str, text: str, **other: Any) -> Any:
    made = messenger.receive(person, text, **other)
    assert made is not None
    return made


def test_events_are_followed_and_what_they_cannot_tell_is_read_again() -> None:
    messenger, bob = with_bob()
    carla = messenger.add_contact("Carla")
    recent, views = Recent(), [bob, carla]
    first = entry(messenger, carla.person, "first")
    recent.read([first])
    assert [view.name for view in recent.in_order(views)] == ["Carla", "Bob"]
    second = entry(messenger, bob.person, "second")
    assert not recent.follow(EntryAdded(second))
    assert [view.name for view in recent.in_order(views)] == ["Bob", "Carla"]
    earlier = entry(messenger, bob.person, "earlier", time=second.time - timedelta(hours=1))
    assert recent.follow(EntryAdded(earlier)), "only the engine knows its place"
    assert recent.follow(EntryAdded(replace(earlier, own=True))), "another device of one's own had it"
    assert recent.last(bob.person) == second
    recent.follow(EntryEdited(earlier))
    recent.follow(EntryDeleted(bob.person, earlier.id))
    assert recent.last(bob.person) == second, "it is not the last one"
    recent.follow(EntryDeleted(bob.person, second.id, expired=True))
    assert last_line(recent.last(bob.person)) == "(disappeared)"
    assert recent.follow(EntriesMarked(bob.person))
    assert recent.line(bob.person) == recent.line(bob.person) == "(disappeared)"
    assert recent.line(bob.person, "half") == "Draft: half"
    assert not recent.follow(HistoryCleared(bob.person, 1, 2))
    assert recent.follow(HistoryCleared(bob.person, 2, 2))
    recent.follow(ContactRemoved(bob.person, "Bob"))
    assert recent.last(bob.person) is None
    assert recent.line(bob.person) == ""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\nlines", "two lines"),
        ("**bold** and `code`", "bold and code"),
        ("\u202eevil\u0007 \u200b", "evil"),
        ("x" * 16_000, "x" * 200),
        ("", ""),
    ],
)
def test_a_last_line_is_one_safe_line_without_marks(text: str, line: str) -> None:
    messenger, bob = with_bob()
    assert last_line(entry(messenger, bob.person, text)) == line
    assert last_line(None, text) == (f"Draft: {line}".rstrip() if line else "")
