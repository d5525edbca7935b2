"""Editing one's own message, deleting it for everyone, and what a contact edits and deletes."""

from __future__ import annotations

from textual.pilot import Pilot

from chat.interface import ContactView, DeletionScope, EntryState, EntryView
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chatting, composer, history, shown, until, until_shown, with_bob
from tests.support.tui.opened import on_top
from tui.screens.chat.chat import ChatScreen
from tui.screens.details import DetailsDialog


def with_mine() -> tuple[FakeMessenger, ContactView, EntryView]:
    """This person answered Bob."""
    messenger, bob = with_bob()
    messenger.receive(bob.person, "Tea?")
    return messenger, bob, messenger.say_as_me(bob.person, "Yes, at five", EntryState.DELIVERED)


async def choose(pilot: Pilot[None], entry: EntryView) -> None:
    """Put the cursor on an entry."""
    await until_shown(pilot, entry.text)
    history(pilot).choose(entry.id)
    await until(pilot, lambda: history(pilot).has_focus)


async def test_e_fills_the_message_box_and_enter_sends_the_edit() -> None:
    messenger, bob, mine = with_mine()
    async with chatting(messenger) as pilot:
        composer(pilot).set_text("a draft")
        await choose(pilot, mine)
        await pilot.press("e")
        await until_shown(pilot, "Editing: Yes, at five")
        await until(pilot, lambda: composer(pilot).has_focus)
        assert composer(pilot).text == "Yes, at five"
        await pilot.press(*"!", "enter")
        screen = await until_shown(pilot, "Yes, at five!")
        await until(pilot, lambda: composer(pilot).text == "a draft")
        assert "Editing" not in shown(pilot)
        assert "edited" in screen
        await choose(pilot, messenger._conversations[bob.person].entries[-1])
        await pilot.press("i")
        await on_top(pilot, DetailsDialog)
        await until_shown(pilot, "What it said")
    (edited,) = messenger.called("edit")
    assert edited[:3] == (bob.person, mine.id, "Yes, at five!")
    assert messenger.called("send") == []


async def test_esc_leaves_it_untouched_and_the_draft_is_back() -> None:
    messenger, _bob, mine = with_mine()
    async with chatting(messenger) as pilot:
        composer(pilot).set_text("a draft")
        await choose(pilot, mine)
        await pilot.press("e")
        await until_shown(pilot, "Esc: leave it unchanged")
        await pilot.press(*"no")
        await pilot.press("escape")
        await until(pilot, lambda: composer(pilot).text == "a draft")
        assert "Editing" not in shown(pilot)
    assert messenger.called("edit") == []


async def test_another_persons_message_is_not_edited() -> None:
    messenger, bob, _mine = with_mine()
    async with chatting(messenger) as pilot:
        await choose(pilot, messenger._conversations[bob.person].entries[0])
        await pilot.press("e")
        await until_shown(pilot, "Only your own messages")
        assert composer(pilot).text == ""


async def test_a_deletion_begins_on_this_device_each_time() -> None:
    """Also where an older version kept another choice: nobody deletes for everyone without saying so."""
    messenger, bob, mine = with_mine()
    second = messenger.say_as_me(bob.person, "or at six", EntryState.DELIVERED)
    await messenger.set_preference("deletion", "everyone")
    async with chatting(messenger) as pilot:
        await choose(pilot, mine)
        await pilot.press("d")
        for chosen in ("On this device only", "On all your devices", "For everyone", "On this device only"):
            await until_shown(pilot, f"● {chosen}")
            await pilot.press("e")
        await until_shown(pilot, "● On all your devices")
        await pilot.press("down")
        await until_shown(pilot, "● For everyone")
        await pilot.press("y")
        await on_top(pilot, ChatScreen)
        await until_shown(pilot, "(deleted by its author)")
        await choose(pilot, second)
        await pilot.press("d")
        await until_shown(pilot, "● On this device only")
        await pilot.press("e", "y")
        await until_shown(pilot, "(deleted on all your devices)")
        await choose(pilot, messenger._conversations[bob.person].entries[0])
        await pilot.press("d")
        screen = await until_shown(pilot, "● On this device only")
        assert "For everyone" not in screen  # what Bob wrote he alone deletes for all
        await pilot.press("y")
        await until_shown(pilot, "(deleted here)")
    scopes = DeletionScope.EVERYONE, DeletionScope.MINE, DeletionScope.HERE
    assert [call[2] for call in messenger.called("delete")] == [*scopes]
    assert [call[1] for call in messenger.called("delete")][:2] == [mine.id, second.id]


async def test_what_a_contact_edits_and_deletes_is_drawn_in_its_place() -> None:
    messenger, bob, mine = with_mine()
    first = messenger._conversations[bob.person].entries[0]
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "Tea?")
        messenger.edit_as_them(bob.person, first.id, "Coffee?")
        screen = await until_shown(pilot, "Coffee?")
        assert "Tea?" not in screen
        screen = "\n".join(row.rpartition("▕")[2] for row in screen.splitlines())  # without the list
        assert screen.index("Coffee?") < screen.index(mine.text)
        messenger.delete_as_them(bob.person, first.id)
        messenger.tidy()
        screen = await until_shown(pilot, "(deleted by its author)")
        assert "Coffee?" not in screen
        assert [entry.id for entry in history(pilot).window.entries] == [first.id, mine.id]
