"""Finding things: the switcher, the palette, the search, the jump, by keys and by the mouse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import OptionList

from chat.interface import ContactView, EntryState, ParlourError
from tests.support.fakes.messenger import FakeMessenger
from tests.support.fakes.others import Call
from tests.support.tui.driving import chat, chatting, composer, history, shown, until, until_shown
from tests.support.tui.hostile import ATTACKS, BODIES, NAMES
from tests.support.tui.opened import click, on_top, opened
from tui.screens.chat.chat import ChatScreen
from tui.screens.chat.finding import JumpScreen
from tui.screens.finder import PaletteDialog, SwitcherDialog, in_order
from tui.screens.search import SearchDialog
from tui.text.safe import widest
from tui.text.translation import use
from tui.widgets.controls import Field


def with_three() -> tuple[FakeMessenger, dict[str, ContactView]]:
    """Ann's messenger with Bob, Carla and Dana; the printer is in two conversations."""
    messenger = FakeMessenger("Ann")
    people = {name: messenger.add_contact(name) for name in ("Bob", "Carla", "Dana")}
    messenger.receive(people["Bob"].person, "The lab's printer works again.")
    for number in range(300):
        messenger.say_as_me(people["Bob"].person, f"number {number}", EntryState.READ)
    messenger.read(people["Bob"].person)
    messenger.receive(people["Carla"].person, "Which printer?")
    messenger.say_as_me(people["Bob"].person, "Good night", EntryState.READ)  # his conversation opens first
    return messenger, people


def lines(pilot: Pilot[None]) -> list[str]:
    """The lines of the finder that is open."""
    options = pilot.app.screen.query_one(OptionList).options
    return [str(option.prompt) for option in options]


async def type_in(pilot: Pilot[None], text: str) -> None:
    pilot.app.screen.query_one(Field).value = text
    await pilot.pause()


@asynccontextmanager
async def at_bobs() -> AsyncIterator[tuple[Pilot[None], FakeMessenger, dict[str, ContactView]]]:
    """The chat screen of `with_three`, once it shows the conversation with Bob."""
    messenger, people = with_three()
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "number 299")
        yield pilot, messenger, people


async def test_of_a_paste_that_is_too_long_a_field_keeps_what_fits() -> None:
    async with at_bobs() as (pilot, _messenger, people):
        field = (await opened(pilot, "ctrl+k", SwitcherDialog)).query_one(Field)
        pilot.app.post_message(events.Paste("nobody " * 15_000))
        await pilot.press("enter")
        assert field.value == ("nobody " * 15_000)[: field.max_length]
        pilot.app.post_message(events.Paste("more"))
        await pilot.press("left", "shift+right")
        pilot.app.post_message(events.Paste("end"))
        await pilot.press("enter")
        assert field.value.endswith("e")
        assert len(field.value) == field.max_length
        assert chat(pilot).state.current == people["Bob"].person


async def test_the_switcher_offers_unread_ones_first_and_enter_opens() -> None:
    async with at_bobs() as (pilot, _messenger, people):
        await opened(pilot, "ctrl+k", SwitcherDialog)
        assert [line.split()[1] for line in lines(pilot)] == ["Carla", "Dana", "Notes", "Bob"]
        assert "1 new" in lines(pilot)[0]
        await pilot.press("enter")
        await until(pilot, lambda: chat(pilot).state.current == people["Carla"].person)
        assert composer(pilot).has_focus
        await opened(pilot, "ctrl+k", SwitcherDialog)
        await pilot.press("enter")  # without a word: the one that was open before
        await until(pilot, lambda: chat(pilot).state.current == people["Bob"].person)


async def test_the_switcher_filters_as_one_types_and_takes_a_click() -> None:
    async with at_bobs() as (pilot, _messenger, people):
        await opened(pilot, "ctrl+k", SwitcherDialog)
        await pilot.press("d", "a")
        await until(pilot, lambda: len(lines(pilot)) == 1)
        await pilot.press("x")
        await until_shown(pilot, "No matching contact.")
        await pilot.press("enter", "backspace")
        await click(pilot, "│  ▌○ Dana", 6)
        await until(pilot, lambda: chat(pilot).state.current == people["Dana"].person)


def test_the_order_of_the_switcher() -> None:
    _, people = with_three()
    bob, carla, dana = people.values()
    order = in_order([bob, carla, dana], [dana.person, carla.person], dana.person)
    assert [view.name for view in order] == ["Carla", "Bob", "Dana"]


async def test_the_palette_runs_what_the_key_runs() -> None:
    async with at_bobs() as (pilot, messenger, people):
        await opened(pilot, "ctrl+p", PaletteDialog)
        await type_in(pilot, "block")
        assert "F7" in lines(pilot)[0]
        await pilot.press("enter")
        await until_shown(pilot, "Block Bob?")
        await pilot.press("y")
        await until(pilot, lambda: Call("block", (people["Bob"].person, True)) in messenger.calls)
        await opened(pilot, "ctrl+p", PaletteDialog)
        assert "Block" in lines(pilot)[0]  # what was used last comes first
        await type_in(pilot, "light")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.theme == "parlour-light")


async def test_the_palette_finds_the_names_after_a_slash_in_chinese() -> None:
    """As vi's :q, which are the keys that open it."""
    try:
        async with at_bobs() as (pilot, _messenger, _people):
            use("zh_CN")
            await opened(pilot, "ctrl+p", PaletteDialog)
            await type_in(pilot, "q")
            assert "Ctrl+Q" in lines(pilot)[0]
    finally:
        use("en")


async def test_a_search_shows_hits_with_what_stands_around_them_and_goes_there() -> None:
    async with at_bobs() as (pilot, _messenger, _people):
        await opened(pilot, "ctrl+f", SearchDialog)
        await pilot.press(*"printer")
        await until_shown(pilot, "1 result")
        assert "The lab's printer works again." in lines(pilot)[0]
        await pilot.press("enter")
        await until_shown(pilot, "lab's printer")
        chosen = history(pilot).chosen
        assert chosen is not None
        assert "printer" in chosen.text
        assert composer(pilot).has_focus


async def test_a_search_in_all_opens_the_conversation_of_the_hit() -> None:
    async with at_bobs() as (pilot, _messenger, people):
        chat(pilot).open_conversation(people["Carla"].person)
        await until_shown(pilot, "Which printer?")
        await opened(pilot, "ctrl+f", SearchDialog)
        await type_in(pilot, "printer")
        await until_shown(pilot, "1 result")
        await pilot.press("ctrl+f")
        await until_shown(pilot, "2 results")
        assert [line.split()[0] for line in lines(pilot)] == ["Carla", "Bob"]
        await pilot.press("down", "enter")
        await until(pilot, lambda: chat(pilot).state.current == people["Bob"].person)
        screen = await until_shown(pilot, "lab's printer")
        assert "number 299" not in screen
        await pilot.press("alt+p")
        await until(pilot, lambda: chat(pilot).state.current == people["Carla"].person)
        await until_shown(pilot, "Result 1 of 2.")
        await pilot.press("alt+p")
        await until_shown(pilot, "No newer results.")


async def test_a_search_finds_as_one_types_and_says_what_is_wrong() -> None:
    async with at_bobs() as (pilot, messenger, people):
        messenger.receive(people["Carla"].person, "**Print** `printouts`")
        dialog = await opened(pilot, "ctrl+f", SearchDialog)
        await until_shown(pilot, "The start of a word is enough.")
        await pilot.press("ctrl+f", *"print")
        await until_shown(pilot, "3 results")
        assert "Print printouts" in lines(pilot)[0], "as the conversation shows it"
        for typed, said in (
            ("print ", "1 result"),
            ("from:carla print", "2 results"),
            ("from:Nobody print", "No contact is named Nobody."),
            ("print after:soon", "soon is not a date"),
            ("print before:2001", "No messages found."),
        ):
            await type_in(pilot, typed)
            await until_shown(pilot, said)
        assert not lines(pilot)
        await type_in(pilot, "in:Bob print")
        await until_shown(pilot, "1 result")
        assert dialog.query_one(Field).value == "in:Bob print"
        await pilot.press("enter")
        await until(pilot, lambda: composer(pilot).has_focus)
        await until_shown(pilot, "The lab's printer works again.")


async def test_a_search_is_as_it_was_when_it_is_opened_again() -> None:
    async with at_bobs() as (pilot, messenger, _people):
        await opened(pilot, "ctrl+f", SearchDialog)
        await type_in(pilot, "number")
        await until_shown(pilot, "newest 100 results")
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen) and composer(pilot).has_focus)
        await pilot.press("alt+n")
        await until_shown(pilot, "Result 4 of 100.")
        await opened(pilot, "ctrl+f", SearchDialog)
        assert pilot.app.screen.query_one(OptionList).highlighted == 3
        assert len([call for call in messenger.calls if call.method == "search"]) == 1


async def test_a_refused_search_says_so_and_keeps_the_words() -> None:
    async with at_bobs() as (pilot, messenger, _):
        messenger.failures["search"] = ParlourError("The disk is not there.")
        dialog = await opened(pilot, "ctrl+f", SearchDialog)
        await type_in(pilot, "printer")
        await until_shown(pilot, "The disk is not there.")
        assert dialog.query_one(Field).value == "printer"
        await type_in(pilot, "printer works")
        await until_shown(pilot, "1 result")
        assert "The disk" not in shown(pilot)


async def test_a_letter_goes_to_every_place() -> None:
    async with at_bobs() as (pilot, _messenger, people):
        await opened(pilot, "ctrl+s", JumpScreen)
        await pilot.press("s")
        await until(pilot, lambda: chat(pilot).state.current == people["Carla"].person)
        await until_shown(pilot, "Which printer?")
        await opened(pilot, "alt+j", JumpScreen)
        await pilot.press("g")
        await until(pilot, lambda: history(pilot).has_focus and history(pilot).cursor != "")
        await opened(pilot, "alt+j", JumpScreen)
        await pilot.press("h")
        await until(pilot, lambda: composer(pilot).has_focus)
        await opened(pilot, "alt+j", JumpScreen)
        await pilot.press("escape")
        await on_top(pilot, ChatScreen)
        assert composer(pilot).has_focus


async def test_a_letter_and_the_foot_line_can_be_clicked() -> None:
    async with at_bobs() as (pilot, _messenger, people):
        await until(pilot, lambda: composer(pilot).has_focus)
        await click(pilot, "Go to")
        await on_top(pilot, SwitcherDialog)
        await pilot.press("escape")
        await opened(pilot, "alt+j", JumpScreen)
        await click(pilot, " d ", 1)
        await until(pilot, lambda: chat(pilot).state.current == people["Dana"].person)


@pytest.mark.parametrize("width", [80, 120])
async def test_attack_79_hits_and_names_stay_in_their_cells(width: int) -> None:
    messenger = FakeMessenger("Ann")
    view = [messenger.add_contact(name) for name in NAMES][-1]
    for body in BODIES:
        messenger.receive(view.person, f"needle {body}")
    async with chatting(messenger, size=(width, 34)) as pilot:
        for key, kind, typed in (("ctrl+k", SwitcherDialog, ""), ("ctrl+f", SearchDialog, "needle")):
            await opened(pilot, key, kind)
            await type_in(pilot, typed)
            await until(pilot, lambda: len(lines(pilot)) > 10)
            assert all(widest(row) <= 110 for line in lines(pilot) for row in line.split("\n"))
            assert not any(mark in shown(pilot) for mark in "\u202e\u200d\u200b\x1b")
            await pilot.press("escape")
    assert len(BODIES) == len(ATTACKS)
