"""Contact actions, settings, help: what the dialogs ask and what they do."""

from __future__ import annotations

import pytest

from chat.interface import BadData
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chat, chatting, rows, shown, until, until_shown, with_bob, with_bob_open
from tui.actions import ACTIONS, APP_WIDE, app_bindings, chat_bindings, history_bindings
from tui.app import ParlourApp
from tui.screens.chat.chat import ChatScreen
from tui.screens.details import grouped_number
from tui.screens.help import page
from tui.text.translation import use


async def test_verifying_shows_sixty_digits_in_groups_of_five() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await pilot.press("ctrl+t")
        screen = await until_shown(pilot, "Safety number")
        number = await messenger.safety_number(bob.person)
        groups = number.split()
        assert len(groups) == 12
        assert all(group in screen for group in groups)
        await pilot.press("enter")
        assert not messenger.called("set_verified")
        await pilot.press("v")
        await until_shown(pilot, "✓ verified")
    assert messenger.called("set_verified") == [(bob.person, True)]


@pytest.mark.parametrize(
    ("language", "line"),
    [("en", "Mallory has the same device key"), ("zh_CN", "Mallory 的设备密钥与其相同")],
)
async def test_case_82_the_details_of_a_contact_say_who_has_the_same_key(language: str, line: str) -> None:
    messenger = FakeMessenger("Ann")
    mallory = messenger.add_contact("Mallory")
    messenger.add_contact("Bob", same_key=(mallory.person,))
    await messenger.set_preference("language", language)
    try:
        async with chatting(messenger) as pilot:
            await pilot.press("ctrl+t")
            await until_shown(pilot, line)
    finally:
        use("en")


async def test_a_verified_contact_may_be_unmarked() -> None:
    messenger = FakeMessenger("Ann")
    bob = messenger.add_contact("Bob", verified=True)
    async with chatting(messenger) as pilot:
        await pilot.press("ctrl+t")
        await until_shown(pilot, "Remove verification")
        await pilot.press("u")
        await until_shown(pilot, "not verified")
    assert messenger.called("set_verified") == [(bob.person, False)]


async def test_renaming_changes_the_name_everywhere() -> None:
    messenger, bob = with_bob()
    messenger.receive(bob.person, "hello")
    async with chatting(messenger) as pilot:
        await pilot.press("f6", *"Robert", "enter")
        await until(pilot, lambda: "Robert" in rows(pilot)[0] and "Robert" in rows(pilot)[1])
    assert messenger.called("rename") == [(bob.person, "Robert")]


async def test_a_block_is_asked_first_and_taken_back_at_once() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await pilot.press("f7")
        await until_shown(pilot, "Block Bob?")
        await pilot.press("enter")  # Enter is no yes
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        assert not messenger.called("block")
        await pilot.press("f7", "y")
        await until_shown(pilot, "⊘ blocked")
        await pilot.press("f7")
        await until_shown(pilot, "○ offline")
    assert messenger.called("block") == [(bob.person, True), (bob.person, False)]


async def test_a_click_on_a_hint_does_what_its_key_does() -> None:
    async with with_bob_open(size=(40, 20)) as (pilot, messenger, _):
        await pilot.press("ctrl+t")
        screen = (await until_shown(pilot, "They match")).split("\n")
        y = next(at for at, row in enumerate(screen) if "They match" in row)
        await pilot.click(offset=(screen[y].index("v They"), y))
        await until(pilot, lambda: messenger.called("set_verified") != [])


async def test_a_removal_is_asked_first_and_leaves_nothing() -> None:
    messenger, bob = with_bob()
    messenger.receive(bob.person, "to be gone")
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "to be gone")
        await pilot.press("f8")
        await until_shown(pilot, "permanently")
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        await pilot.press("f8", "y")
        screen = await until_shown(pilot, "Bob was removed.")
        assert "to be gone" not in screen
        assert chat(pilot).state.current is None
    assert messenger.called("remove") == [(bob.person,)]


async def test_contact_actions_without_a_conversation_say_so() -> None:
    async with chatting(FakeMessenger("Ann")) as pilot:
        for key in ("ctrl+t", "f6", "f7", "f8", "ctrl+o"):
            await pilot.press(key)
        await until_shown(pilot, "Open a conversation first")


async def test_the_doctor_shows_each_line_and_the_fix() -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        await pilot.press("f9")
        screen = await until_shown(pilot, "✗ firewall")
        assert "✓ network: eth0: 192.168.1.20" in screen
        assert "Fix iptables -I INPUT" in screen


async def test_a_doctor_who_fails_says_so() -> None:
    messenger, _ = with_bob()
    messenger.failures["diagnose"] = BadData("The profile cannot be read.")
    async with chatting(messenger) as pilot:
        await pilot.press("f9")
        await until_shown(pilot, "The profile cannot be read.")


@pytest.mark.parametrize(
    ("key", "words"), [("ctrl+n", "Invite someone"), ("ctrl+o", "Rename"), ("a click", "Rename")]
)
async def test_menus_do_what_is_chosen(key: str, words: str) -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        await (pilot.click("#header") if key == "a click" else pilot.press(key))
        await until_shown(pilot, words)
        await pilot.press("down", "enter")
        await until_shown(pilot, "Paste the invitation" if key == "ctrl+n" else "The name that you see")


async def test_help_opens_over_anything_and_closes_by_its_key() -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        await pilot.press("f3", "f1")
        await until_shown(pilot, "Parlour connects people")
        await pilot.press("f1")
        await until_shown(pilot, "Paste the invitation")


async def test_the_theme_changes_and_nothing_moves() -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        before = shown(pilot)
        await pilot.press("ctrl+b")
        await until(pilot, lambda: pilot.app.theme == "parlour-light")
        assert shown(pilot) == before


@pytest.mark.parametrize("size", [(80, 24), (120, 34), (60, 20), (40, 12)])
async def test_every_size_is_usable(size: tuple[int, int]) -> None:
    messenger, bob = with_bob()
    messenger.receive(bob.person, "word " * 30)
    async with chatting(messenger, size=size) as pilot:
        await pilot.press(*"ok", "enter")
        await until_shown(pilot, "ok")
        for key in ("f1", "f2", "f4", "ctrl+t", "f9", "f12"):
            await pilot.press(key)
            await pilot.pause()
            await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))


async def test_every_action_is_done_once_and_has_its_own_key() -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        assert chat(pilot).actions.keys() == {one.id for one in ACTIONS} - APP_WIDE
    assert all(hasattr(ParlourApp, f"action_{name}") for name in APP_WIDE)
    keys = [key for one in ACTIONS for key in one.keys]
    assert len(keys) == len(set(keys))
    bound = {binding.id for binding in (*app_bindings(), *chat_bindings(), *history_bindings())}
    assert bound == {one.id for one in ACTIONS if one.keys}


def test_the_help_names_every_key() -> None:
    text = page(80).plain
    assert all(one.key in text for one in ACTIONS)
    assert max(map(len, text.split("\n"))) <= 80


def test_a_number_is_grouped_in_three_rows() -> None:
    assert grouped_number(" ".join(["12345"] * 12), 4).split("\n") == ["  ".join(["12345"] * 4)] * 3
