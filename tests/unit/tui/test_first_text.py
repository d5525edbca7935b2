"""A window that opens without asking for the passphrase: who types it from habit sends it to nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from chat.interface import ContactView, DoorState, EntryView, Kept
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.tui.driving import (
    burst,
    chat,
    composer,
    history,
    running,
    shown,
    until,
    until_shown,
    with_bob,
    write,
)
from tests.support.tui.opened import entries, held_up, on_top
from tui.screens.chat.chat import ChatScreen
from tui.screens.dialog import ConfirmDialog
from tui.text.translation import use

PASSPHRASE = "correct horse"
ASKED = "contains the passphrase"


def joined(messenger: FakeMessenger) -> FakeDoor:
    """The engine runs in another program."""
    return FakeDoor(messenger, state=DoorState.RUNNING)


def kept(messenger: FakeMessenger) -> FakeDoor:
    """The system's keyring opens the profile."""
    door = FakeDoor(messenger)
    door.in_keyring = Kept.YES
    return door


@asynccontextmanager
async def unasked(
    size: tuple[int, int] = (80, 24), open_door: Callable[[FakeMessenger], FakeDoor] = joined
) -> AsyncIterator[tuple[Pilot[None], FakeMessenger, ContactView]]:
    messenger, bob = with_bob()
    messenger.receive(bob.person, "see you at three")
    async with running(open_door(messenger), size) as pilot:
        await on_top(pilot, ChatScreen)
        await until_shown(pilot, "Bob")
        yield pilot, messenger, bob


def own(messenger: FakeMessenger, bob: ContactView) -> list[EntryView]:
    return [one for one in entries(messenger, bob) if one.own]


def sent(messenger: FakeMessenger) -> list[object]:
    return [arguments[1] for arguments in messenger.called("send")]


@pytest.mark.parametrize("open_door", [joined, kept])
async def test_the_passphrase_and_enter_do_nothing_but_say_so(
    open_door: Callable[[FakeMessenger], FakeDoor],
) -> None:
    async with unasked(open_door=open_door) as (pilot, messenger, bob):
        await until_shown(pilot, "see you at three")
        assert chat(pilot).people.view.has_focus
        messenger.calls.clear()
        await burst(pilot, *"correct", "space", *"horse", "enter")
        await until_shown(pilot, "Parlour is open: it needs no passphrase now.")
        assert not {call.method for call in messenger.calls} - {"mark_read"}
        assert composer(pilot).text == ""
        await pilot.press("enter", *"hi", "enter")
        await until(pilot, lambda: sent(messenger) == ["hi"])
        assert len(own(messenger, bob)) == 1


async def test_a_narrow_window_shows_the_list_and_opens_no_conversation() -> None:
    async with unasked((40, 24)) as (pilot, messenger, _):
        await pilot.press(*PASSPHRASE.split()[1], "enter")
        assert chat(pilot).state.current is None
        await pilot.press("enter")
        await until(pilot, lambda: composer(pilot).has_focus)
        assert not messenger.called("send")


@pytest.mark.parametrize("text", [PASSPHRASE, f"{PASSPHRASE}  ", f"hello\n{PASSPHRASE}\nuntil later"])
async def test_the_first_text_is_asked_about_where_the_passphrase_is_in_it(text: str) -> None:
    async with unasked() as (pilot, messenger, _):
        await pilot.press("enter")
        await write(pilot, text)
        await pilot.press("enter")
        await until_shown(pilot, ASKED)
        await pilot.press("enter")
        await on_top(pilot, ChatScreen)
        assert composer(pilot).text == ("" if text.strip() == PASSPHRASE else text)
        assert not messenger.called("send")
        composer(pilot).clear()
        await write(pilot, "hello")
        await pilot.press("enter")
        await until(pilot, lambda: sent(messenger) == ["hello"])
        await write(pilot, text)  # it is only the first text that may be meant for the start
        await pilot.press("enter")
        await until(pilot, lambda: len(sent(messenger)) == 2)


async def test_a_yes_sends_it_and_what_was_written_since_stays() -> None:
    async with unasked() as (pilot, messenger, _):
        await pilot.press("enter")
        go_on = held_up_door(pilot)
        await write(pilot, PASSPHRASE)
        await pilot.press("enter", *"later")
        go_on()
        await until_shown(pilot, ASKED)
        await pilot.press("y")
        await until(pilot, lambda: sent(messenger) == [PASSPHRASE])
        assert composer(pilot).text == "later"


async def test_letters_that_went_elsewhere_count_as_typed() -> None:
    """A click or a key moved the focus in the middle of the passphrase."""
    async with unasked() as (pilot, messenger, _):
        await pilot.press(*"correct")
        composer(pilot).focus()
        await pilot.press("space", *"horse", "enter")
        await until_shown(pilot, ASKED)
        assert not messenger.called("send")


async def test_a_draft_before_it_hides_it_not() -> None:
    messenger, bob = with_bob()
    messenger._preferences[f"draft.{bob.person}"] = "I come at three"
    async with running(joined(messenger)) as pilot:
        await until_shown(pilot, "I come at three")
        composer(pilot).focus()
        await pilot.press(*"correct", "space", *"horse", "enter")
        await until_shown(pilot, ASKED)
        assert not messenger.called("send")


async def test_an_edit_a_reply_and_a_note_are_texts_too() -> None:
    messenger, bob = with_bob()
    await messenger.send(bob.person, "first")
    async with running(joined(messenger)) as pilot:
        await until_shown(pilot, "first")
        history(pilot).focus()
        await pilot.press("e")
        composer(pilot).clear()
        await write(pilot, PASSPHRASE)
        await pilot.press("enter")
        await until_shown(pilot, ASKED)
        assert not messenger.called("edit")
        await pilot.press("n")
        await on_top(pilot, ChatScreen)
        assert "Editing" in shown(pilot)
        await pilot.press("enter")
        await until_shown(pilot, ASKED)
        await pilot.press("y")
        await until(pilot, lambda: len(messenger.called("edit")) == 1)


async def test_where_it_was_asked_for_nothing_is_compared() -> None:
    messenger, _ = with_bob()
    door = FakeDoor(messenger)
    async with running(door) as pilot:
        await until_shown(pilot, "Enter your passphrase")
        await pilot.press(*"correct", "space", *"horse", "enter")
        await on_top(pilot, ChatScreen)
        await until(pilot, lambda: composer(pilot).has_focus)
        await write(pilot, PASSPHRASE)
        await pilot.press("enter")
        await until(pilot, lambda: bool(messenger.called("send")))
        assert not any(call.method == "is_passphrase" for call in door.calls)


async def test_enter_waits_for_nothing_that_was_compared_while_the_person_typed() -> None:
    messenger, _ = with_bob()
    door = joined(messenger)
    async with running(door) as pilot:
        await on_top(pilot, ChatScreen)
        await until_shown(pilot, "Bob")
        await pilot.press("enter")
        await write(pilot, "hello")

        def asked() -> list[object]:
            return [call for call in door.calls if call.method == "is_passphrase"]

        await until(pilot, lambda: len(asked()) == 1)
        await pilot.press("enter")
        await until(pilot, lambda: sent(messenger) == ["hello"])
        assert len(asked()) == 1


def held_up_door(pilot: Pilot[None]) -> Callable[[], None]:
    """Let comparisons wait until what is returned is called."""
    guard = chat(pilot)._guard
    patch = pytest.MonkeyPatch()
    event = held_up(patch, guard, "_opens")
    return event.set


async def test_the_question_is_a_dialog_whose_answer_is_no_by_default() -> None:
    async with unasked() as (pilot, _messenger, _bob):
        await pilot.press("enter")
        await write(pilot, PASSPHRASE)
        await pilot.press("enter")
        dialog = await on_top(pilot, ConfirmDialog)
        assert ("n", "No") in dialog.hints


async def test_in_chinese_no_blank_parts_the_sentences_of_the_question() -> None:
    messenger, _bob = with_bob()
    await messenger.set_preference("language", "zh_CN")
    try:
        async with running(joined(messenger), (80, 24)) as pilot:
            await on_top(pilot, ChatScreen)
            await until_shown(pilot, "Bob")
            await pilot.press("enter")
            await write(pilot, PASSPHRASE)
            await pilot.press("enter")
            await until_shown(pilot, "口令。仍要发送吗？")
    finally:
        use("en")


@pytest.mark.parametrize("keys", [("enter", "n"), ("escape", "alt+down", "alt+up")])
async def test_a_draft_that_the_passphrase_became_part_of_is_asked_about_each_time(
    keys: tuple[str, ...],
) -> None:
    messenger, bob = with_bob()
    messenger.add_contact("Carl")
    messenger._preferences[f"draft.{bob.person}"] = "//I come at three"
    async with running(joined(messenger)) as pilot:
        await until_shown(pilot, "I come at three")
        composer(pilot).focus()
        await pilot.press(*"correct", "space", *"horse")
        for key in keys:
            await pilot.press(key)
            if key == "enter":
                await until_shown(pilot, ASKED)
        await on_top(pilot, ChatScreen)
        await until(pilot, lambda: composer(pilot).text.endswith(PASSPHRASE))
        await pilot.press("enter")
        await until_shown(pilot, ASKED)
        assert not messenger.called("send")


async def test_an_edit_that_was_asked_about_is_asked_about_again() -> None:
    messenger, bob = with_bob()
    await messenger.send(bob.person, "first")
    async with running(joined(messenger)) as pilot:
        await until_shown(pilot, "first")
        history(pilot).focus()
        await pilot.press("e", "end", *"correct", "space", *"horse", "enter")
        if "Press Enter again" in shown(pilot):
            await pilot.press("enter")
        await until_shown(pilot, ASKED)
        await pilot.press("n")
        await on_top(pilot, ChatScreen)
        await pilot.press("enter")
        await until_shown(pilot, ASKED)
        assert not messenger.called("edit")


async def test_what_is_compared_while_parlour_closes_is_a_draft_again() -> None:
    async with unasked() as (pilot, messenger, bob):
        await pilot.press("enter")
        go_on = held_up_door(pilot)
        for text in ("I come at three", "and leave at four"):
            await write(pilot, text)
            await pilot.press("enter")
        await pilot.press("alt+l")
        kept = f"draft.{bob.person}"
        await until(pilot, lambda: kept in messenger._preferences)
        go_on()
        assert messenger._preferences[kept] == "I come at three\nand leave at four"
        assert not messenger.called("send")
