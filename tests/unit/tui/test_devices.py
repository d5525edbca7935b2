"""The devices of one's own: the list, adding one by words, removing one, and linking on a first run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input

from chat.interface import (
    DoorState,
    LinkingStage,
    LinkingView,
    NotPermitted,
    OwnLogChanged,
    Phrase,
    TerminalState,
    TerminalView,
)
from tests.support.fakes.messenger import NO_DEVICE, FakeDoor, FakeMessenger
from tests.support.tui.driving import shown, until, until_shown, with_bob_open
from tests.support.tui.opened import at_the_door, on_top, opened
from tui.screens.chat.chat import ChatScreen
from tui.screens.devices import AddDialog, DevicesDialog, LinkDialog
from tui.screens.unlock import UnlockScreen

DESK = TerminalView("b4" * 32, False, TerminalState.LIVE, "desk\x1b[2J", "c5" * 32)
PHONE = TerminalView("7e" * 32, False, TerminalState.REMOVED, "phone", DESK.terminal)


async def test_the_devices_are_listed_and_those_that_were_removed_stay_apart() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        messenger.other_terminals = (PHONE, DESK)
        dialog = await opened(pilot, "alt+d", DevicesDialog)
        seen = await until_shown(pilot, "removed with your recovery words")
        assert "\x1b" not in seen
        assert seen.index("desk") < seen.index("Removed") < seen.index("phone")
        assert "added by c5c5c5c5…" in seen
        assert "first device  " in seen
        await pilot.press("end", "d")
        await until_shown(pilot, "This device was removed already.")
        assert pilot.app.screen is dialog
        messenger.other_terminals = (PHONE,)
        messenger.emit(OwnLogChanged("removed", "", Phrase("Your identity lost a device")))
        await until(pilot, lambda: "desk" not in shown(pilot))


async def test_a_device_is_added_by_comparing_words() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        await opened(pilot, "alt+d", DevicesDialog)
        await opened(pilot, "a", AddDialog)
        assert "192.168.1.20:4747" in await until_shown(pilot, "press F3")
        await pilot.press("y")  # there is nothing to say yes to
        messenger.device_begins("laptop\x1b[2J")
        assert "harbour" in await until_shown(pilot, "wants to be added")
        await pilot.press("y")
        await until_shown(pilot, "was added. Your contacts see that.")
        await pilot.press("enter")
        await on_top(pilot, DevicesDialog)
        assert "added by this device" in await until_shown(pilot, "laptop")
        assert messenger.called("add_terminal") == [()]
        assert messenger.called("answer_linking") == [(messenger.linking.id, True)]
        assert not messenger.called("stop_adding")


async def test_a_device_says_when_it_was_last_seen() -> None:
    when = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    async with with_bob_open() as (pilot, messenger, _bob):
        live = TerminalState.LIVE
        messenger.other_terminals = (
            TerminalView("b4" * 32, False, live, "desk", present=True, seen=when),
            TerminalView("c4" * 32, False, live, "laptop", seen=when),
            TerminalView("d4" * 32, False, live, "tablet"),
            TerminalView("e4" * 32, False, TerminalState.REMOVED, "phone", seen=when),
        )
        await opened(pilot, "alt+d", DevicesDialog)
        screen = await until_shown(pilot, "tablet")
        assert screen.count("online") == 2, "the contact's and the desk's"
        assert screen.count("not seen from here yet") == 1
        assert screen.count("last seen 2026-11-24 ") == 1


@pytest.mark.parametrize("words", [False, True])
async def test_esc_stops_adding_at_any_time(words: bool) -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        await opened(pilot, "alt+d", DevicesDialog)
        await opened(pilot, "a", AddDialog)
        await until(pilot, lambda: messenger.linking.stage is LinkingStage.VISIBLE)
        if words:
            messenger.device_begins("laptop")
            await until_shown(pilot, "They match")
        await pilot.press("escape")
        await on_top(pilot, DevicesDialog)
        assert messenger.linking.stage is LinkingStage.FAILED
        assert not messenger.other_terminals


async def test_words_that_differ_add_nothing_and_another_linking_changes_nothing() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        await opened(pilot, "alt+d", DevicesDialog)
        await opened(pilot, "a", AddDialog)
        await until(pilot, lambda: messenger.linking.stage is LinkingStage.VISIBLE)
        messenger.device_begins("laptop")
        await until_shown(pilot, "They match")
        dialog = await on_top(pilot, AddDialog)
        assert not dialog.concerns(LinkingView("another", LinkingStage.DONE))
        await pilot.press("n")
        await until_shown(pilot, "You said that the words differ.")
        await pilot.press("escape")
        await on_top(pilot, DevicesDialog)
        assert not messenger.other_terminals


async def test_a_device_is_removed_after_a_question_and_a_refusal_is_said() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        messenger.other_terminals = (DESK,)
        messenger.failures.update(remove_terminal=NotPermitted("This device is newer."))
        await opened(pilot, "alt+d", DevicesDialog)
        await pilot.press("d")
        assert "first device, " in await until_shown(pilot, "the device that you use now")
        await pilot.press("n")
        await on_top(pilot, DevicesDialog)
        for said in ("This device is newer.", "The device was removed."):
            await pilot.press("down", "d")
            assert "desk" in await until_shown(pilot, "It never comes back.")
            assert "● It was stolen" in await until_shown(pilot, "Only messages from it that this device has")
            if said == "The device was removed.":
                await pilot.press("e")
                await until_shown(pilot, "● It was lost, sold or broken")
            await pilot.press("y")
            await until_shown(pilot, said)
            await on_top(pilot, DevicesDialog)
        assert messenger.called("remove_terminal") == [(DESK.terminal, True), (DESK.terminal, False)]
        assert messenger.other_terminals[0].state is TerminalState.REMOVED


async def test_a_device_that_is_gone_is_removed_again_only_where_it_left_others_behind() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        gone = replace(DESK, state=TerminalState.REMOVED)
        messenger.other_terminals = (gone,)
        await opened(pilot, "alt+d", DevicesDialog)
        await pilot.press("down", "d")
        await until_shown(pilot, "This device was removed already.")
        await pilot.press("escape")
        messenger.other_terminals = (replace(gone, left=True),)
        await opened(pilot, "alt+d", DevicesDialog)
        await until_shown(pilot, "Devices that it added are in use")
        await pilot.press("down", "d")
        await until_shown(pilot, "Remove this device again, with what it added?")
        await until_shown(pilot, "It was removed already, and devices that it added are in use.")
        await pilot.press("y")
        await until_shown(pilot, "The device was removed.")
        assert messenger.called("remove_terminal") == [(DESK.terminal, True)]


async def test_the_removal_of_the_first_device_names_the_next_one() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        messenger.other_terminals = (PHONE, DESK)
        messenger._me = replace(messenger._me, keeps_seed=True)
        await opened(pilot, "alt+d", DevicesDialog)
        await pilot.press("d")
        seen = " ".join((await until_shown(pilot, "becomes the first one")).replace("│", " ").split())
        assert "desk[2J becomes the first one" in seen
        assert "To make another one first, use your recovery words there" in seen
        assert "Your recovery words are on this device alone" in seen
        await pilot.press("n")
        await on_top(pilot, DevicesDialog)
        await pilot.press("down", "d")
        assert "first one" not in await until_shown(pilot, "It keeps the messages that it has.")


async def test_who_removes_the_device_in_use_hears_where_the_keys_are_renewed() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        messenger.other_terminals = (DESK,)
        own = messenger._me.terminal
        await opened(pilot, "alt+d", DevicesDialog)
        await pilot.press("d")
        await until_shown(pilot, "the device that you use now")
        await pilot.press("enter")
        await on_top(pilot, DevicesDialog)
        assert not messenger.called("remove_terminal")
        await pilot.press("d")
        await until_shown(pilot, "the device that you use now")
        await pilot.press("y")
        await until_shown(pilot, "Open Parlour on another device of yours, which renews")
        assert messenger.called("remove_terminal") == [(own, False)]


async def test_the_list_says_what_it_means_to_have_neither_the_first_device_nor_words() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        messenger.other_terminals = (DESK,)
        messenger._me = replace(messenger._me, without_words=True)
        await opened(pilot, "alt+d", DevicesDialog)
        await until_shown(pilot, "Your first device is ")


async def test_a_removal_says_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds where a contact does not answer."""
    async with with_bob_open() as (pilot, messenger, _bob):
        messenger.other_terminals = (DESK,)
        signed, remove = asyncio.Event(), messenger.remove_terminal

        async def late(terminal: str, stolen: bool) -> None:
            await signed.wait()
            await remove(terminal, stolen)

        monkeypatch.setattr(messenger, "remove_terminal", late)
        await opened(pilot, "alt+d", DevicesDialog)
        await pilot.press("down", "d")
        await until_shown(pilot, "It never comes back.")
        await pilot.press("y")
        await until_shown(pilot, "Signing…")
        signed.set()
        await until_shown(pilot, "The device was removed.")


PASSPHRASE = "five small words"


def first_run(*, nearby: bool = True) -> FakeDoor:
    messenger = FakeMessenger("Ann")
    messenger.device_nearby = nearby
    return FakeDoor(messenger, state=DoorState.NEW)


def asked(door: FakeDoor) -> list[tuple[object, ...]]:
    return [call.arguments for call in door.calls if call.method == "link"]


async def fill_in(pilot: Pilot[None]) -> None:
    """Name and passphrase of the form that F3 shows."""
    await pilot.press("f3")
    await until_shown(pilot, "Name of this device")
    for name, value in zip(("name", "passphrase", "again"), ("laptop", *[PASSPHRASE] * 2), strict=True):
        pilot.app.screen.query_one(f"#{name}", Input).value = value
    await pilot.press("enter", "enter", "enter")
    await on_top(pilot, LinkDialog)


async def test_a_first_run_links_this_device_and_opens_the_new_profile() -> None:
    door = first_run()
    async with at_the_door(door, "Link to a device that you have") as pilot:
        await pilot.press("f3", "f3", "f2")
        await until(pilot, lambda: "Name of this device" not in shown(pilot))
        await fill_in(pilot)
        assert "harbour" in await until_shown(pilot, "This becomes a device of Ann.")
        assert PASSPHRASE not in shown(pilot)
        await pilot.press("y")
        await on_top(pilot, ChatScreen)
    assert asked(door) == [("laptop", PASSPHRASE)]


@pytest.mark.parametrize("key", ["n", "escape"])
async def test_who_does_not_say_yes_is_back_at_the_form_with_what_was_typed(key: str) -> None:
    door = first_run()
    async with at_the_door(door, "Link to a device that you have") as pilot:
        await fill_in(pilot)
        await until_shown(pilot, "They match")
        await pilot.press(key)
        if key == "n":
            await until_shown(pilot, "You said that the words differ.")
            await pilot.press("enter")
        screen = await on_top(pilot, UnlockScreen)
        await until_shown(pilot, "Link this device")
        assert screen.query_one("#name", Input).value == "laptop"
        assert not screen.query_one("#name", Input).disabled
        assert door._state is DoorState.NEW


async def test_a_device_that_is_not_found_is_reached_by_its_address() -> None:
    door = first_run(nearby=False)
    async with at_the_door(door, "Link to a device that you have") as pilot:
        await fill_in(pilot)
        await until_shown(pilot, str(NO_DEVICE)[:24])
        await pilot.press("a", *"nowhere:x", "enter")
        await until_shown(pilot, "This is not an address.")
        dialog = await on_top(pilot, LinkDialog)
        dialog.query_one("#address", Input).value = "10.0.0.9:4747"
        await pilot.press("enter")
        await until_shown(pilot, "They match")
        await pilot.press("y")
        await on_top(pilot, ChatScreen)
    assert asked(door)[-1] == ("laptop", PASSPHRASE, ("10.0.0.9", 4747))
