"""Pairing through the interface: three inputs a person, and nobody confirms without looking."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import segno
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from chat.interface import PairingStage, Unreachable, UsageError
from tests.support.fakes.messenger import FakeMessenger
from tests.support.fakes.others import INVITATION, WORDS
from tests.support.tui.driving import chatting, composer, shown, until, until_shown, with_bob, with_bob_open
from tests.support.tui.opened import click, on_top, opened
from tui.screens.chat.chat import ChatScreen
from tui.screens.invitations import AddressDialog, InviteDialog, JoinDialog, picture
from tui.screens.pairing import AddContactDialog, PairingDialog


@asynccontextmanager
async def alone(*strangers: str, prompt: bool = True) -> AsyncIterator[tuple[Pilot[None], FakeMessenger]]:
    """The chat screen of somebody without contacts, who sees strangers nearby."""
    messenger = FakeMessenger("Ann", prompt=prompt)
    for name in strangers:
        messenger.see_stranger(name)
    async with chatting(messenger) as pilot:
        yield pilot, messenger


@asynccontextmanager
async def comparing() -> AsyncIterator[tuple[Pilot[None], FakeMessenger]]:
    """Pairing with Bob, whose words are shown."""
    async with alone("Bob") as (pilot, messenger):
        await pilot.press("enter")
        await until_shown(pilot, "1  harbour")
        yield pilot, messenger


async def connecting(pilot: Pilot[None]) -> PairingDialog:
    """The dialog of a pairing with Bob that has begun."""
    await pilot.press("enter")
    await until_shown(pilot, "Connecting to Bob")
    dialog = await on_top(pilot, PairingDialog)
    await until(pilot, lambda: dialog.view.id != "")
    return dialog


@pytest.mark.parametrize("key", ["enter", "space", "a"])
async def test_enter_and_other_keys_confirm_nothing(key: str) -> None:
    async with comparing() as (pilot, messenger):
        await pilot.press(key, key)
        await pilot.pause()
        assert not messenger.called("answer_pairing")
        screen = await until_shown(pilot, "Does the other screen show")
        places = [screen.index(f"{number}  {word}") for number, word in enumerate(WORDS, 1)]
        assert places == sorted(places)


async def test_ctrl_n_lists_who_is_nearby_and_says_who_leaves() -> None:
    async with alone("Bob", "Carla") as (pilot, messenger):
        await pilot.press("ctrl+n")
        menu = await on_top(pilot, AddContactDialog)
        await until_shown(pilot, "Carla, nearby")
        messenger.see_stranger("Dan")
        await until_shown(pilot, "Dan, nearby")
        await pilot.press("end", "up")  # on Carla
        for gone in ("Bob", "Carla"):
            messenger.lose_stranger(gone)
            assert f"{gone}, nearby" not in await until_shown(pilot, f"{gone} is no longer visible nearby.")
        await pilot.press("enter")  # for Carla, who has just left
        assert pilot.app.screen is menu
        await pilot.press("end", "enter")
        await until_shown(pilot, "to Dan.")


@pytest.mark.parametrize("key", ["n", "escape"])
async def test_other_words_end_it_and_keep_nothing(key: str) -> None:
    async with comparing() as (pilot, messenger):
        await pilot.press(key)
        assert isinstance(pilot.app.screen, ChatScreen)
        await until_shown(pilot, "You refused, and nothing was kept")
    assert [accept for _, accept in messenger.called("answer_pairing")] == [False]
    assert await messenger.contacts() == ()


async def test_what_is_typed_after_a_refusal_goes_to_the_composer() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await until(pilot, lambda: composer(pilot).has_focus)
        messenger.stranger_begins("Mallory")
        await until_shown(pilot, "Mallory wants to pair")
        await pilot.press("n", *"no", "enter")
        await until(pilot, lambda: messenger.called("send") == [(bob.person, "no")])


async def test_a_refusal_that_the_engine_refuses_is_said() -> None:
    async with with_bob_open() as (pilot, messenger, _):
        messenger.stranger_begins("Mallory")
        await until_shown(pilot, "Mallory wants to pair")
        messenger.failures["answer_pairing"] = UsageError("This pairing is over: begin again.")
        await pilot.press("n")
        await until_shown(pilot, "This pairing is over")
        assert isinstance(pilot.app.screen, ChatScreen)


async def test_nobody_confirms_while_typing_something_else() -> None:
    async with with_bob_open(quiet=3600.0) as (pilot, messenger, _):
        await until(pilot, lambda: composer(pilot).has_focus)
        messenger.stranger_begins("Mallory")
        await until_shown(pilot, "Mallory wants to pair")
        await pilot.press(*"yyy", "enter")
        await pilot.pause()
        assert not messenger.called("answer_pairing")
        (await on_top(pilot, PairingDialog))._end_pause()
        await pilot.press("y")
        await until(pilot, lambda: len(messenger.called("answer_pairing")) == 1)


async def test_a_quiet_keyboard_arms_the_dialog() -> None:
    async with with_bob_open(quiet=0.001) as (pilot, messenger, _):
        messenger.stranger_begins("Dana")
        await until_shown(pilot, "They match")
        await pilot.press("y")
        await until_shown(pilot, "Paired with Dana")


async def test_two_pairings_that_others_begin_are_answered_one_after_the_other() -> None:
    async with alone() as (pilot, messenger):
        messenger.stranger_begins("Bob")
        messenger.stranger_begins("Carla")
        await until_shown(pilot, "Bob wants to pair with you")
        await pilot.press("y")
        await until_shown(pilot, "Carla wants to pair")
        await pilot.press("n")
        await until_shown(pilot, "You refused")
    assert [view.name for view in await messenger.contacts()] == ["Bob"]


async def test_an_invitation_is_shown_and_its_user_is_confirmed() -> None:
    async with alone() as (pilot, messenger):
        dialog = await opened(pilot, "f2", InviteDialog)
        await until_shown(pilot, INVITATION)
        messenger.use_invitation(dialog.invitation.text, "Bob")
        await until_shown(pilot, "Someone named Bob used your invitation")
        await pilot.press("enter")
        assert not messenger.called("answer_pairing")
        await pilot.press("y")
        await on_top(pilot, ChatScreen)
        assert "Compare the safety number" in await until_shown(pilot, "Paired with Bob")


async def test_an_invitation_is_pasted_whatever_its_line_breaks_and_can_be_mended() -> None:
    async with alone() as (pilot, messenger):
        dialog = await opened(pilot, "f3", JoinDialog)
        await until_shown(pilot, "Paste the invitation")
        field = dialog.query_one("#invitation", Input)
        field.post_message(events.Paste("parlour:fake-\n  invitation\r\n"))  # as it is copied from a terminal
        await until(pilot, lambda: field.value == INVITATION[:-1])
        await pilot.press("enter")
        await until_shown(pilot, "Invitation incomplete: copy all of it")
        assert field.value == INVITATION[:-1]
        await pilot.press("-", "7", "enter")
        await until_shown(pilot, "Paired with Inviter")
    assert messenger.called("join") == [(INVITATION[:-1],), (f"{INVITATION}7",)]


async def test_an_invitation_that_the_other_side_refuses_stays_in_the_field_too() -> None:
    async with alone(prompt=False) as (pilot, messenger):
        await pilot.press("f3", *f"{INVITATION}1", "enter")
        await until(pilot, lambda: bool(messenger._pairings))
        (pairing,) = messenger._pairings
        messenger.move_pairing(pairing, PairingStage.FAILED, problem="It was used by somebody else.")
        await until_shown(pilot, "It was used by somebody else.")
        dialog = await on_top(pilot, JoinDialog)
        assert dialog.query_one("#invitation", Input).value == f"{INVITATION}1"
        await pilot.press("escape")
        await on_top(pilot, ChatScreen)


async def test_what_is_wrong_with_an_address_is_said_and_can_be_mended() -> None:
    async with alone() as (pilot, messenger):
        await opened(pilot, "f4", AddressDialog)
        assert "192.168.1.20:4747" in await until_shown(pilot, "Add by network address")
        await pilot.press(*"8.8.8.8", "enter")
        await until_shown(pilot, "Parlour connects only to addresses of the local")
        await pilot.press("ctrl+u", *"10.0.0.7:x", "enter")
        await until_shown(pilot, "This is not an address")
        await pilot.press("backspace", *"4748", "enter")
        await until_shown(pilot, "1  harbour")
        await pilot.press("n")  # one's own refusal asks for no other address
        await on_top(pilot, ChatScreen)
    assert messenger.called("pair_address") == [("8.8.8.8", 4747), ("10.0.0.7", 4748)]


async def test_an_unreachable_stranger_is_said_in_the_dialog() -> None:
    async with alone("Bob") as (pilot, messenger):
        messenger.failures["pair_nearby"] = Unreachable("Nobody answers there: ask them to press F5.")
        await pilot.press("enter")
        await until_shown(pilot, "ask them to press F5")
        await pilot.press("enter")
        await on_top(pilot, ChatScreen)


async def test_a_hidden_pairing_comes_back_when_it_needs_an_answer() -> None:
    async with alone("Bob", prompt=False) as (pilot, messenger):
        dialog = await connecting(pilot)
        await pilot.press("escape")
        await on_top(pilot, ChatScreen)
        messenger.move_pairing(dialog.view.id, PairingStage.WORDS, words=WORDS)
        await until_shown(pilot, "1  harbour")
        await pilot.press("y")
        await until_shown(pilot, "Waiting for Bob")
        messenger.move_pairing(dialog.view.id, PairingStage.FAILED, problem="The other side refused.")
        await until_shown(pilot, "The other side refused.")


async def test_of_two_that_begin_at_once_the_one_that_gives_way_closes_without_a_word() -> None:
    async with alone("Bob", prompt=False) as (pilot, messenger):
        dialog = await connecting(pilot)
        messenger.move_pairing(dialog.view.id, PairingStage.FAILED)
        messenger.stranger_begins("Bob")
        await until_shown(pilot, "Bob wants to pair with you")
        assert dialog not in pilot.app.screen_stack


async def test_visibility_is_changed_and_said() -> None:
    async with alone() as (pilot, messenger):
        await until_shown(pilot, "○ not visible nearby")
        await pilot.press("f5")
        await until_shown(pilot, "● visible nearby")
        await pilot.press("f5")
        await until_shown(pilot, "○ not visible nearby")
    assert messenger.called("set_visible") == [(True,), (False,)]


async def test_nobody_found_says_why_and_what_to_do() -> None:
    async with chatting(FakeMessenger("Ann", visible=True), patience=0.001) as pilot:
        await until_shown(pilot, "No one was found within five seconds")
        screen = await until_shown(pilot, "firewall: iptables keeps TCP port")
        for words in ("Invite someone", "Use an invitation", "Add by network address", "Diagnose connection"):
            assert words in screen
        assert "network: eth0" not in screen  # what is good needs no line here
        await click(pilot, "Add by network address")
        await on_top(pilot, AddressDialog)


@pytest.mark.parametrize("version", [5, 6])
async def test_an_invitation_of_one_or_two_addresses_scans_from_the_screen(version: int) -> None:
    messenger, _ = with_bob()
    messenger.invitation_tail = "A2B3" * (18 if version == 5 else 26)
    async with chatting(messenger) as pilot:
        await pilot.press("f2", "p")
        await until(pilot, lambda: "█" in shown(pilot))
        dialog = await on_top(pilot, InviteDialog)
        code = segno.make(dialog.invitation.text, error="l", boost_error=False, micro=False)
        wanted = [[bool(module) for module in row] for row in code.matrix_iter(border=2)]
        seen = modules(pilot)
        left, top = next(
            (x, y) for y, row in enumerate(seen) for x, module in enumerate(row) if module is False
        )
        assert [row[left : left + len(wanted)] for row in seen[top : top + len(wanted)]] == wanted
        await pilot.click(offset=(40, 10))
        await until_shown(pilot, "Give this to one person")


async def test_without_colour_light_and_dark_can_be_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal's own two colours are used, and whether it is dark or light is not known."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with with_bob_open(size=(80, 40)) as (pilot, _messenger, _):
        dialog = await opened(pilot, "f2", InviteDialog)
        screen = await until_shown(pilot, "Invert it")
        drawn = picture(dialog.invitation.text, 1)
        assert all(row in screen for row in drawn)
        opposite = [row.translate(str.maketrans(" █▀▄", "█ ▄▀")) for row in drawn]
        for expected in (opposite, drawn):
            await pilot.press("i")
            await until(pilot, lambda expected=expected: all(row in shown(pilot) for row in expected))  # type: ignore[misc]


async def test_with_colour_the_picture_is_black_on_white_and_stays_so() -> None:
    async with with_bob_open(size=(80, 40)) as (pilot, _messenger, _):
        await pilot.press("f2")
        screen = await until_shown(pilot, "█")
        assert "Invert" not in screen
        await pilot.press("i")
        await pilot.pause()
        assert shown(pilot) == screen


def modules(pilot: Pilot[None]) -> list[list[bool | None]]:
    """Two rows a row of the screen, by the colours of its cells: dark, light, or neither black nor white."""
    found: list[list[bool | None]] = []
    known = {(0, 0, 0): True, (255, 255, 255): False}
    for strip in pilot.app.screen._compositor.render_strips():
        above: list[bool | None] = []
        below: list[bool | None] = []
        for text, style, _control in strip:
            drawn, ground = (
                known.get((*colour.get_truecolor(),)) if colour is not None else None
                for colour in ((style.color, style.bgcolor) if style is not None else (None, None))
            )
            for character in text:
                above.append(drawn if character in "▀█" else ground)
                below.append(drawn if character in "▄█" else ground)
        found += [above, below]
    return found


async def test_what_the_engine_says_under_a_pairing_is_read_at_its_end() -> None:
    """An invitation names a relay before the contact is stored: the pairing covers the line meanwhile."""
    async with alone(prompt=False) as (pilot, messenger):
        await opened(pilot, "f3", JoinDialog)
        await until(pilot, lambda: isinstance(pilot.app.focused, Input))
        await pilot.press(*f"{INVITATION}1", "enter")
        await until(pilot, lambda: bool(messenger._pairings))
        messenger.notice("The invitation added the relay 10.0.0.7:4746.")
        messenger.move_pairing(next(iter(messenger._pairings)), PairingStage.DONE)
        await until_shown(pilot, "Paired with Inviter.")
        assert "added the relay 10.0.0.7:4746" in " ".join(shown(pilot).split())
