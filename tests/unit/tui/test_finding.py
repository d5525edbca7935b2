"""Finding things: the switcher, the palette, the search, the jump, by keys and by the mouse."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from chat.interface import ContactView, EntryState, ParlourError
from tests.support.fakes.messenger import FakeMessenger
from tests.support.fakes.others import Call
from tests.support.tui.driving import (
    chat,
    chatting,
    composer,
    history,
    rows,
    shown,
    until,
    until_shown,
    with_bob_open,
)
from tests.support.tui.hostile import ATTACKS, BODIES, NAMES
from tui.screens.chat.chat import ChatScreen
from tui.screens.chat.finding import JumpScreen
from tui.screens.finder import PaletteDialog, SwitcherDialog, in_order
from tui.screens.search import SearchDialog
from tui.text.formatting import widest
from tui.widgets.controls import Field


def with_three() -> tuple[FakeMessenger, dict[str, ContactView]]:
    """Ann's messenger with Bob, Carla and Dana; the printer stands in two conversations."""
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


async def opened(pilot: Pilot[None], key: str, kind: type) -> None:
    await pilot.press(key)
    await until(pilot, lambda: isinstance(pilot.app.screen, kind))


async def test_the_switcher_offers_unread_ones_first_and_enter_opens() -> None:
    messenger, people = with_three()
    async with chatting(messenger) as pilot:
        chat(pilot).open_conversation(people["Bob"].person)
        await until_shown(pilot, "number 299")
        await opened(pilot, "ctrl+k", SwitcherDialog)
        assert [line.split()[1] for line in lines(pilot)] == ["Carla", "Dana", "Bob"]
        assert "1 new" in lines(pilot)[0]
        await pilot.press("enter")
        await until(pilot, lambda: chat(pilot).state.current == people["Carla"].person)
        assert composer(pilot).has_focus
        await opened(pilot, "ctrl+k", SwitcherDialog)
        await pilot.press("enter")  # without a word: the one that was open before
        await until(pilot, lambda: chat(pilot).state.current == people["Bob"].person)


async def test_the_switcher_filters_as_one_types() -> None:
    messenger, people = with_three()
    async with chatting(messenger) as pilot:
        await opened(pilot, "ctrl+k", SwitcherDialog)
        await pilot.press("d", "a")
        await until(pilot, lambda: len(lines(pilot)) == 1)
        await pilot.press("x")
        await until_shown(pilot, "No matching contact.")
        await pilot.press("enter", "backspace", "enter")
        await until(pilot, lambda: chat(pilot).state.current == people["Dana"].person)


async def test_a_click_on_a_line_opens_it() -> None:
    messenger, people = with_three()
    async with chatting(messenger) as pilot:
        await opened(pilot, "ctrl+k", SwitcherDialog)
        row = next(at for at, text in enumerate(rows(pilot)) if "Dana" in text and "│" in text)
        await pilot.click(offset=(12, row))
        await until(pilot, lambda: chat(pilot).state.current == people["Dana"].person)


def test_the_order_of_the_switcher() -> None:
    _, people = with_three()
    bob, carla, dana = people.values()
    order = in_order([bob, carla, dana], [dana.person, carla.person], dana.person)
    assert [view.name for view in order] == ["Carla", "Bob", "Dana"]


async def test_the_palette_runs_what_the_key_runs() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await opened(pilot, "ctrl+p", PaletteDialog)
        await type_in(pilot, "block")
        assert "F7" in lines(pilot)[0]
        await pilot.press("enter")
        await until_shown(pilot, "Block Bob?")
        await pilot.press("y")
        await until(pilot, lambda: Call("block", (bob.person, True)) in messenger.calls)
        await opened(pilot, "ctrl+p", PaletteDialog)
        assert "Block" in lines(pilot)[0]  # what was used last comes first


async def test_the_palette_runs_what_the_program_does_everywhere() -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        await opened(pilot, "ctrl+p", PaletteDialog)
        await type_in(pilot, "light")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.theme == "parlour-light")


async def test_a_search_shows_hits_with_what_stands_around_them_and_goes_there() -> None:
    messenger, people = with_three()
    async with chatting(messenger) as pilot:
        chat(pilot).open_conversation(people["Bob"].person)
        await until_shown(pilot, "number 299")
        await opened(pilot, "ctrl+f", SearchDialog)
        await pilot.press(*"printer")
        await until_shown(pilot, "1 result")
        assert "The lab's printer works again." in lines(pilot)[0]
        await pilot.press("enter")
        await until_shown(pilot, "lab's printer")
        chosen = history(pilot).chosen
        assert chosen is not None
        assert "printer" in chosen.text
        assert history(pilot).has_focus


async def test_a_search_in_all_opens_the_conversation_of_the_hit() -> None:
    messenger, people = with_three()
    async with chatting(messenger) as pilot:
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
        await until_shown(pilot, "Hit 1 of 2.")
        await pilot.press("alt+p")
        await until_shown(pilot, "No newer results.")


async def test_a_search_is_as_it_was_when_it_is_opened_again() -> None:
    messenger, people = with_three()
    async with chatting(messenger) as pilot:
        chat(pilot).open_conversation(people["Bob"].person)
        await opened(pilot, "ctrl+f", SearchDialog)
        await type_in(pilot, "number")
        await until_shown(pilot, "newest 100 results")
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen) and history(pilot).has_focus)
        await pilot.press("alt+n")
        await until_shown(pilot, "Result 4 of 100.")
        await opened(pilot, "ctrl+f", SearchDialog)
        assert pilot.app.screen.query_one(OptionList).highlighted == 3
        assert len([call for call in messenger.calls if call.method == "search"]) == 1


async def test_a_refused_search_says_so_and_keeps_the_words() -> None:
    messenger, _ = with_three()
    messenger.failures["search"] = ParlourError("The disk is not there.")
    async with chatting(messenger) as pilot:
        await opened(pilot, "ctrl+f", SearchDialog)
        await type_in(pilot, "printer")
        await until_shown(pilot, "The disk is not there.")
        assert pilot.app.screen.query_one(Field).value == "printer"
        await type_in(pilot, "printer works")
        await until_shown(pilot, "1 result")
        assert "The disk" not in shown(pilot)


async def test_a_letter_goes_to_every_place() -> None:
    messenger, people = with_three()
    async with chatting(messenger) as pilot:
        chat(pilot).open_conversation(people["Bob"].person)
        await until_shown(pilot, "number 299")
        await opened(pilot, "ctrl+s", JumpScreen)
        await pilot.press("s")
        await until(pilot, lambda: chat(pilot).state.current == people["Carla"].person)
        await until_shown(pilot, "Which printer?")
        await opened(pilot, "alt+j", JumpScreen)
        await pilot.press("f")
        await until(pilot, lambda: history(pilot).has_focus and history(pilot).cursor != "")
        await opened(pilot, "alt+j", JumpScreen)
        await pilot.press("g")
        await until(pilot, lambda: composer(pilot).has_focus)
        await opened(pilot, "alt+j", JumpScreen)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        assert composer(pilot).has_focus


async def test_a_letter_and_the_foot_line_can_be_clicked() -> None:
    messenger, people = with_three()
    async with chatting(messenger) as pilot:
        await until(pilot, lambda: composer(pilot).has_focus)
        foot = rows(pilot)[-1]
        await pilot.click(offset=(foot.index("Go to"), 23))
        await until(pilot, lambda: isinstance(pilot.app.screen, SwitcherDialog))
        await pilot.press("escape")
        await opened(pilot, "alt+j", JumpScreen)
        row = next(at for at, text in enumerate(rows(pilot)) if text.startswith(" d "))
        await pilot.click(offset=(1, row))
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
