"""Words that are typed where letters are keys, as their person believes to write in the message box."""

from __future__ import annotations

import re
from functools import partial

import pytest
from textual.pilot import Pilot

from chat.interface import ContactView
from tests.architecture.imports import ROOT, sources
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import (
    burst,
    chat,
    chatting,
    composer,
    history,
    shown,
    until,
    until_shown,
    with_bob,
)
from tests.support.tui.opened import click, entries, on_top
from tui.actions import ACTIONS, ON_ENTRY, STAYING, Action, Group, of_group, types_a_letter
from tui.screens.chat.chat import ChatScreen
from tui.screens.dialog import ConfirmDialog, DeleteDialog, Dialog, MenuDialog
from tui.screens.links import OpenLinkDialog
from tui.screens.pairing import AddContactDialog

PAUSE = "Nothing was answered: pause a moment, then press the key again."
QUIET = 3600.0


async def with_own(text: str = "see you at three") -> tuple[FakeMessenger, ContactView]:
    messenger, bob = with_bob()
    await messenger.send(bob.person, text)
    return messenger, bob


def words(text: str) -> list[str]:
    return ["space" if letter == " " else letter for letter in text]


async def among(pilot: Pilot[None], text: str = "see you at three") -> None:
    """Put the cursor on the last entry, as the person asked for."""
    await until_shown(pilot, text)
    await pilot.press("ctrl+up")
    await until(pilot, lambda: history(pilot).has_focus)


async def test_after_a_click_on_a_message_words_go_into_the_message_box() -> None:
    messenger, _ = await with_own("the end of this is not in the list: at three")
    async with chatting(messenger) as pilot:
        for focus in (composer(pilot).focus, history(pilot).focus, chat(pilot).people.view.focus):
            composer(pilot).clear()
            focus()
            await click(pilot, "at three")
            await until(pilot, lambda: composer(pilot).has_focus)
            await pilot.press(*words("even so"))
            assert composer(pilot).text == "even so"
        assert not messenger.called("edit")


@pytest.mark.parametrize("name", sorted(ON_ENTRY - STAYING))
async def test_after_each_action_on_a_message_words_go_into_the_message_box(name: str) -> None:
    messenger, _ = await with_own("see https://example.org")
    async with chatting(messenger) as pilot:
        await among(pilot, "see https")
        chat(pilot).action_do(name)
        await pilot.pause()
        if isinstance(pilot.app.screen, Dialog):
            await pilot.press("escape")
        await on_top(pilot, ChatScreen)
        await until(pilot, lambda: composer(pilot).has_focus)


async def test_a_word_whose_letter_asks_deletes_nothing_and_the_question_says_why() -> None:
    messenger, _ = await with_own()
    async with chatting(messenger, quiet=QUIET) as pilot:
        await among(pilot)
        await pilot.press(*words("dying is no fun"), "enter")
        await until_shown(pilot, PAUSE[:40])
        dialog = await on_top(pilot, DeleteDialog)
        assert not messenger.called("delete")
        dialog._end_pause()
        await pilot.press("y")
        await until(pilot, lambda: bool(messenger.called("delete")))


async def test_keys_that_were_typed_before_a_question_was_seen_answer_nothing() -> None:
    messenger, _ = await with_own("see https://example.org")
    async with chatting(messenger) as pilot:
        for word, kind in (("dying", DeleteDialog), ("uy", OpenLinkDialog)):
            await among(pilot, "see https")
            await burst(pilot, *word)
            await on_top(pilot, kind)
            await until_shown(pilot, PAUSE[:40])
            await pilot.press("escape")
        assert not messenger.called("delete")


async def test_a_question_that_no_letter_opens_is_answered_at_once() -> None:
    messenger, _ = await with_own()
    async with chatting(messenger, quiet=QUIET) as pilot:
        await pilot.press("f7")
        await on_top(pilot, ConfirmDialog)
        await pilot.press("y")
        await on_top(pilot, ChatScreen)


async def test_enter_after_the_letters_of_a_word_changes_no_message() -> None:
    messenger, _ = await with_own()
    async with chatting(messenger) as pilot:
        await among(pilot)
        await burst(pilot, *"evenso", "enter")
        await until_shown(pilot, "You are editing a message. Press Enter again")
        assert composer(pilot).text == "see you at threevenso"
        assert not messenger.called("edit")
        await pilot.press("enter")
        await until(pilot, lambda: bool(messenger.called("edit")))


MENUS = {Group.ENTRY: "entry", Group.CONTACT: "contact", Group.ADD: "add"}
"""Every menu, by the action that opens it."""


@pytest.mark.parametrize("group", MENUS)
async def test_every_key_that_a_menu_shows_does_what_it_says(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    messenger, _ = await with_own("see https://example.org and ```\ncode\n```")
    async with chatting(messenger, (80, 50)) as pilot:
        await among(pilot, "see https")
        done: list[str] = []
        opens = MENUS[group]
        offered = [one for one in of_group(group) if one.id not in MENUS.values()]
        for one in offered:
            monkeypatch.setitem(chat(pilot).actions, one.id, partial(done.append, one.id))
        chat(pilot).action_do(opens)
        menu = await on_top(pilot, MenuDialog)
        offered = list(menu._actions)
        assert len(offered) > 3
        await until_shown(pilot, offered[-1].title)
        assert all(
            re.search(rf"{re.escape(one.key)} +{re.escape(one.title)}", shown(pilot)) for one in offered
        )
        for one in offered:
            for key in one.keys:
                done.clear()
                menu = await on_top(pilot, MenuDialog)
                await pilot.press(key)
                await until(pilot, lambda: bool(done))
                assert (done, menu in pilot.app.screen_stack) == ([one.id], False)
                chat(pilot).action_do(opens)


def test_every_menu_is_among_those_that_are_tested() -> None:
    """`Surface.offer` is the one way to a menu, apart from the menu that also lists who is nearby."""
    texts = [path.read_text() for path in sources(ROOT, "tui")]
    made = [text.count("MenuDialog(") - text.count("class MenuDialog(") for text in texts]
    assert sum(made) == 1
    assert MenuDialog.__subclasses__() == [AddContactDialog]
    offers = {"add"} | {name for text in texts for name in re.findall(r'\.offer\("(\w+)"', text)}
    assert offers == set(MENUS.values())


def is_alt_letter(key: str) -> bool:
    return key.startswith("alt+") and types_a_letter(key.removeprefix("alt+"))


READING = {
    "questions",
    "alerts",
    "relays",
    "terminals",
    "me",
    "recovery_words",
    "settings",
    "retention",
    "typing",
    "mark_read",
}
ALT = [one for one in ACTIONS if any(map(is_alt_letter, one.keys + one.vi_keys)) and one.id != "lock"]
"""But for locking, which loses nothing and which the passphrase undoes."""
TURNED_BACK = {"pin", "mute", "side_bar", "mouse"}
"""Actions whose key, pressed again, undoes what it did, which is said."""


@pytest.mark.parametrize("one", ALT, ids=lambda one: one.id)
async def test_no_alt_and_letter_does_what_neither_asks_nor_can_be_undone(one: Action) -> None:
    """Elsewhere Esc and the first letter of a word look like it."""
    messenger, bob = await with_own()
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "see you at three")
        messenger.calls.clear()
        before, asks = state_of(messenger, bob), len(pilot.app.screen_stack)
        key = next(filter(is_alt_letter, one.keys + one.vi_keys))
        await pilot.press(key)
        await pilot.pause()
        if len(pilot.app.screen_stack) > asks:
            await pilot.press("escape")
            await on_top(pilot, ChatScreen)
        elif one.id in TURNED_BACK:
            await pilot.press(key)
            await pilot.pause()
        assert state_of(messenger, bob) == before
        changing = (
            {call.method for call in messenger.calls}
            - READING
            - ({one.id} if one.id in TURNED_BACK else set())
        )
        assert changing <= {"set_preference"}


def state_of(messenger: FakeMessenger, bob: ContactView) -> object:
    return messenger._contacts[bob.person], entries(messenger, bob)
