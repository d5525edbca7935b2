"""The window on a conversation: the messenger's order, each entry once, whatever arrives while it reads."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from chat.interface import ContactView, EntryState, EntryView, NotPermitted
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import with_bob
from tests.support.tui.opened import entries, received
from tui.conversation import Conversation, Window


async def holding(texts: list[str]) -> tuple[FakeMessenger, ContactView, Conversation]:
    """A conversation of these entries that has been opened."""
    messenger, bob = with_bob()
    messenger.fill(bob.person, texts)
    opened = Conversation(messenger, bob.person)
    await opened.open()
    return messenger, bob, opened


async def test_many_at_once_are_read_once() -> None:
    messenger, bob, opened = await holding([])
    burst = [received(messenger, bob, f"burst {number}") for number in range(30)]
    taken = await asyncio.gather(*map(opened.catch_up, burst))
    assert opened.window.entries == burst
    assert {view.id for came in taken for view in came} == {entry.id for entry in burst}
    assert len(messenger.called("history")) <= 4  # one for the opening, one for the comparison


async def test_a_state_that_comes_while_a_page_is_on_its_way_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    messenger, bob = with_bob(prompt=False)
    gate, go_on, read = asyncio.Event(), asyncio.Event(), messenger.history

    async def slowly(*asked: Any) -> tuple[EntryView, ...]:
        page = await read(*asked)
        gate.set()
        await go_on.wait()
        return page

    monkeypatch.setattr(messenger, "history", slowly)
    entry = await messenger.send(bob.person, "hello")
    opened = Conversation(messenger, bob.person)
    reading = asyncio.create_task(opened.open())
    await gate.wait()
    messenger.set_state(bob.person, entry.id, EntryState.DELIVERED)
    assert not opened.moved(entry.id, EntryState.DELIVERED)
    go_on.set()
    await reading
    assert opened.window.entries[0].state is EntryState.DELIVERED


def test_a_short_page_says_that_nothing_is_older() -> None:
    window = Window()
    window.prepend((), 100)
    assert window.complete
    assert window.oldest is None
    assert window.index("unknown") == -1


async def test_a_window_is_a_run_of_the_conversation_whatever_happens() -> None:
    """Jumps, pages, letting go and arrivals anywhere in any order: nothing is missing between two held."""
    chance = random.Random(20261125)
    messenger, bob, opened = await holding([f"old {number}" for number in range(1500)])
    for step in range(400):
        held = entries(messenger, bob)
        match chance.randrange(7):
            case 0:
                assert await opened.around(chance.choice(held).id)
            case 1:
                await opened.older()
            case 2:
                await opened.newer()
            case 3:
                opened.trim(chance.randrange(len(opened.window)))
            case 4 if chance.random() < 0.2:
                await opened.open()
            case _:
                near = [None, chance.choice(held).id, chance.choice(opened.window.entries).id]
                new = received(messenger, bob, f"new {step}", before=chance.choice(near))
                assert await opened.catch_up(new) == (new,)
        check_run(opened.window, entries(messenger, bob))


def check_run(window: Window, held: list[EntryView]) -> None:
    first = held.index(window.entries[0])
    assert window.entries == held[first : first + len(window)]
    assert not window.complete or first == 0
    assert not window.last or window.entries[-1] == held[-1]
    newest = held.index(window.entries[-1])
    assert all(any(view.id == one for view in held[newest + 1 :]) for one in window.beyond)


async def test_what_comes_after_the_windows_end_is_known_to_be_there() -> None:
    messenger, bob = with_bob()
    messenger.fill(bob.person, [f"old {number}" for number in range(400)])
    opened = Conversation(messenger, bob.person)
    await opened.around(entries(messenger, bob)[100].id)
    new = [received(messenger, bob, f"new {number}") for number in range(30)]
    await asyncio.gather(*map(opened.catch_up, new))
    assert opened.window.beyond == {entry.id for entry in new}
    while await opened.newer():
        pass
    assert opened.window.last
    assert not opened.window.beyond
    assert opened.window.entries[-1] == new[-1]


async def test_an_entry_that_is_not_held_leaves_the_window_alone() -> None:
    _messenger, _bob, opened = await holding(["one", "two"])
    assert not await opened.around("ff" * 32)
    assert [entry.text for entry in opened.window.entries] == ["one", "two"]


async def test_a_refused_read_keeps_what_is_awaited() -> None:
    messenger, bob, opened = await holding([])
    first, second = (received(messenger, bob, text) for text in ("first", "second"))
    messenger.failures["history"] = NotPermitted("The profile is locked.")
    with pytest.raises(NotPermitted):
        await opened.catch_up(first)
    assert await opened.catch_up(second) == (first, second)
    assert opened.window.entries == [first, second]
