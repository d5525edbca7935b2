"""The window on a conversation: the messenger's order, each entry once, whatever arrives while it reads."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from chat.interface import (
    ContactView,
    EntriesMoved,
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    EntryEdited,
    EntryFilled,
    EntryKind,
    EntryState,
    EntryView,
    Event,
    Notice,
    NotPermitted,
)
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


async def test_an_entry_at_the_end_costs_no_page() -> None:
    messenger, bob, opened = await holding([f"old {number}" for number in range(300)])
    messenger.calls.clear()
    for number in range(3):
        await opened.catch_up(received(messenger, bob, f"new {number}"))
    assert messenger.called("history") == [(bob.person, 2, None)] * 3
    assert opened.window.entries[-4:] == entries(messenger, bob)[-4:]


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_shown_of_the_end_is_what_a_page_says(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries at the end and late ones of both, edits, deletions, states, contents and other orders, while
    pages are on their way: once everything was told, the window equals what is read."""
    chance = random.Random(seed)
    messenger, bob, opened = await holding([f"old {number}" for number in range(chance.choice((0, 7, 260)))])
    slow(messenger, chance, monkeypatch)
    settled, reads = asyncio.Event(), list[asyncio.Task[object]]()

    async def follow(events: AsyncIterator[Event]) -> None:
        async for event in events:
            reads.extend(asyncio.create_task(read) for read in took(opened, event))
            if isinstance(event, Notice):
                settled.set()

    following = asyncio.create_task(follow(messenger.events()))
    for _ in range(100):
        for _ in range(chance.choice((1, 1, 2, 5))):
            await something(messenger, bob, chance)
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
        messenger.notice("all was told")
        await settled.wait()
        await asyncio.gather(*reads)
        settled.clear()
        reads.clear()
        if chance.random() < 0.1:
            opened.trim(len(opened.window))
        shown = [replace(entry, change="") for entry in opened.window.entries]
        held = [replace(entry, change="") for entry in entries(messenger, bob)]
        assert shown == held[-len(shown) :]
        assert opened.window.last
        assert not opened.window.complete or len(shown) == len(held)
    following.cancel()


def test_a_page_that_lacks_what_is_held_after_its_first_loses_nothing() -> None:
    """Its first entry may have moved there from before the others."""
    messenger, bob = with_bob()
    messenger.fill(bob.person, ["one", "two", "three", "new"])
    held = entries(messenger, bob)
    window = Window(held[:3])
    assert not window.take_newest((held[0], held[3]), 2, [held[3].id])
    assert window.entries == held[:3]
    assert window.take_newest((held[2], held[3]), 2, [held[3].id])
    assert window.entries == held


def slow(messenger: FakeMessenger, chance: random.Random, patch: pytest.MonkeyPatch) -> None:
    """Let a page take some turns of the event loop after it was read."""
    read = messenger.history

    async def slowly(*asked: Any) -> tuple[EntryView, ...]:
        page = await read(*asked)
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        return page

    patch.setattr(messenger, "history", slowly)


async def something(messenger: FakeMessenger, bob: ContactView, chance: random.Random) -> None:
    """Something happens to the conversation."""
    held = entries(messenger, bob)
    texts = [entry for entry in held[-40:] if entry.kind == "text"]
    one = chance.choice(texts) if texts else None
    match chance.randrange(12):
        case 0 if held:  # of a clock that is behind
            received(messenger, bob, "late", before=chance.choice(held[-30:]).id)
        case 1 | 2:
            await messenger.send(bob.person, "mine")
        case 3 if one is not None:
            if one.own:
                await messenger.edit(bob.person, one.id, "edited")
            else:
                messenger.edit_as_them(bob.person, one.id, "edited by them")
        case 4 if one is not None:
            await messenger.delete(bob.person, one.id)
        case 5 if one is not None and not one.own:
            messenger.delete_as_them(bob.person, one.id)
        case 6 if one is not None and one.own:
            messenger.set_state(bob.person, one.id, EntryState.READ)
        case 7 if one is not None:
            messenger.end(one)
        case 8:
            missing = messenger.receive_alone(bob.person)
            if chance.random() < 0.5:
                messenger.complete(missing, "found")
        case 9 if len(held) > 2:
            messenger.move(bob.person, held[-chance.randrange(2, min(len(held), 20) + 1)].id)
        case _:
            received(messenger, bob, "new")


def took(opened: Conversation, event: Event) -> Iterable[Coroutine[Any, Any, object]]:
    """Take in an event as the screen does; what is read for it."""
    match event:
        case EntryAdded(entry):
            yield opened.catch_up(entry)
        case EntryFilled(entry):
            opened.filled(entry)
        case EntryEdited(entry):
            opened.edited(entry)
        case EntryChanged(_, entry_id, state):
            opened.moved(entry_id, state)
        case EntryDeleted(_, entry_id, expired=True):
            opened.erased(entry_id, EntryKind.EXPIRED)
        case EntryDeleted(_, entry_id, deleted_by):
            opened.erased(entry_id, by=deleted_by)
        case EntriesMoved():
            yield opened.open()


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
