"""What the full screen says about people: who somebody is not, where a removal acts, what quitting leaves."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from chat.interface import EntryState, TerminalState, TerminalView
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chat, chatting, composer, rows, shown, until, until_shown, with_bob_open
from tests.support.tui.opened import on_top, reading
from tui.conversation import Window
from tui.screens.chat.chat import ChatScreen
from tui.screens.dialog import QuitDialog
from tui.screens.pairing import PairingDialog
from tui.text.message_rows import Place as Beside
from tui.text.message_rows import Setting, quoted, rows_of
from tui.text.selecting import Place, Selected, selected_text

LAPTOP = TerminalView("3" * 64, False, TerminalState.LIVE, "laptop")
GONE = TerminalView("4" * 64, False, TerminalState.REMOVED, "phone")


async def test_a_removal_names_all_devices_and_clearing_those_that_keep_their_copies() -> None:
    async with reading("to be gone") as (pilot, messenger, bob):
        messenger.other_terminals = (LAPTOP, GONE)
        await pilot.press("f8")
        screen = " ".join((await until_shown(pilot, "permanently")).split())
        assert "on all your devices" in screen
        assert "“laptop”" in screen
        assert "phone" not in screen
        await pilot.press("n")
        await on_top(pilot, ChatScreen)
        await pilot.press("ctrl+p", *"clear", "enter")
        await until_shown(pilot, "on this device permanently")
        await until_shown(pilot, "“laptop”")
        await pilot.press("n")
        await on_top(pilot, ChatScreen)
        messenger.other_terminals = ()
        await pilot.press("f8")
        screen = " ".join((await until_shown(pilot, "permanently")).split())
        assert "on this device" in screen
        assert "your devices" not in screen
        assert not messenger.called("remove")
        assert not messenger.called("clear")
        assert bob.person in messenger._contacts


async def test_blocking_and_unblocking_are_both_asked() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        messenger.change_contact(bob.person, blocked=True)
        await until_shown(pilot, "⊘ blocked")
        await pilot.press("f7")
        await until_shown(pilot, "Unblock Bob?")
        await pilot.press("n")
        await on_top(pilot, ChatScreen)
        assert not messenger.called("block")
        await pilot.press("f7")
        await until_shown(pilot, "Unblock Bob?")
        await pilot.press("y")
        await until(pilot, lambda: messenger.called("block") == [(bob.person, False)])


async def test_a_contact_with_a_name_of_ones_own_looks_like_oneself_nowhere() -> None:
    messenger = FakeMessenger("Ada")
    you = messenger.add_contact("You", present=True)
    async with chatting(messenger) as pilot:
        mine = await messenger.send(you.person, "I owe you nothing")
        messenger.receive(you.person, "I do owe you 1,000", reply=mine.id)
        await until_shown(pilot, "1,000")
        screen = shown(pilot)
        assert screen.count(you.label) >= 3, "in the list, above the conversation and above the message"
        await pilot.press("f6")
        await until_shown(pilot, f"{you.label[3:]} is the start of the person's id")


async def test_a_message_its_quotation_and_its_copy_name_such_a_contact_otherwise() -> None:
    messenger = FakeMessenger("Ada")
    you = messenger.add_contact("You")
    mine = await messenger.send(you.person, "I owe you nothing")
    theirs = messenger.receive(you.person, "I do owe you 1,000")
    assert theirs is not None
    answer = messenger.receive(you.person, "1,000 it is", reply=theirs.id)
    assert answer is not None
    window, setting = Window([mine, theirs, answer], complete=True), Setting(60, UTC, mine.time.date())
    rows = [rows_of(one, Beside(day=False, head=True), setting) for one in (mine, theirs)]
    heads = ["".join(text for _style, text in drawn[1]).strip("▎ ") for drawn in rows]
    assert heads == ["You", you.label]
    assert quoted(answer, window).startswith(f"{you.label}: ")
    whole = Selected(Place(mine.id, 0), Place(answer.id, 99))
    copied = selected_text(whole, window, setting).split("\n")
    assert [line.partition("] ")[2].partition(":")[0] for line in copied] == ["You", you.label, you.label]


async def test_a_rename_says_from_what_to_what_and_explains_digits_once() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        messenger.add_contact("bob")
        await until_shown(pilot, f"Bob is now called Bob~{bob.person[:4]}.")
        await until_shown(pilot, f"~{bob.person[:4]} is the start of the person's id")
        await messenger.rename(bob.person, "Robert")
        await until_shown(pilot, f"Bob~{bob.person[:4]} is now called Robert.")
        await pilot.press("f6")
        await until_shown(pilot, "Calls itself Bob.")


async def test_the_details_of_a_contact_say_when_it_was_last_connected() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        messenger.change_contact(bob.person, present=False)
        await pilot.press("ctrl+t")
        await until_shown(pilot, "Not connected from this device yet.")
        await pilot.press("escape")
        messenger.change_contact(bob.person, seen=datetime(2026, 11, 24, 18, 5, tzinfo=UTC))
        await pilot.press("f6")
        await until_shown(pilot, "Last connected 2026-11-24 18:05.")


async def test_a_stranger_with_a_known_name_has_a_hint_in_the_list_and_in_the_question() -> None:
    async with with_bob_open() as (pilot, messenger, _):
        messenger.see_stranger("Воb")
        await until_shown(pilot, "new person or device")
        view = messenger.stranger_begins("bob")
        await on_top(pilot, PairingDialog)
        screen = " ".join((await until_shown(pilot, "You already know")).split())
        assert "You already know Bob. This is somebody else" in screen
        assert view.incoming


async def test_quitting_says_what_waits_and_the_second_time_asks_nothing() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        messenger.prompt = False
        composer(pilot).set_text("later")
        await pilot.press("enter")
        await until(pilot, lambda: chat(pilot).state.recent.waiting() == [bob.person])
        await pilot.press("ctrl+q")
        await on_top(pilot, QuitDialog)
        await until_shown(pilot, "Messages to Bob wait on this device.")
        await pilot.press("n")
        await on_top(pilot, ChatScreen)
        assert not messenger.closed
        await pilot.press("ctrl+q")
        await on_top(pilot, QuitDialog)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: messenger.closed)


async def test_quitting_at_once_where_nothing_waits() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        messenger.prompt = False
        composer(pilot).set_text("now")
        await pilot.press("enter")
        await until(pilot, lambda: chat(pilot).state.recent.waiting() == [bob.person])
        entry = messenger._conversations[bob.person].entries[-1].id
        messenger.set_state(bob.person, entry, EntryState.DELIVERED)
        await until(pilot, lambda: chat(pilot).state.recent.waiting() == [])
        await pilot.press("ctrl+q")
        await until(pilot, lambda: messenger.closed)


async def test_quitting_says_which_file_is_still_being_encrypted() -> None:
    async with with_bob_open() as (pilot, messenger, _):
        screen = chat(pilot)
        sealed = type(screen.files).sealed
        try:
            type(screen.files).sealed = property(lambda _self: "big.bin")  # type: ignore[method-assign,assignment]
            await pilot.press("ctrl+q")
            await until_shown(pilot, "big.bin is still being encrypted.")
            await pilot.press("y")
            await until(pilot, lambda: messenger.closed)
        finally:
            type(screen.files).sealed = sealed  # type: ignore[method-assign]


def test_what_was_added_is_used() -> None:
    assert replace(LAPTOP, name="").name == ""
    assert callable(rows)
