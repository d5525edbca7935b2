"""The dialog of the recovery words, and the reminder until they were written down."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from textual.events import Resize
from textual.geometry import Size
from textual.pilot import Pilot
from textual.widgets import Input

from chat.interface import AddedView, TerminalState, TerminalView
from protocol.identity.author import recovery_words
from tests.support.cli.terminals import heard_until, python_at, terminal
from tests.support.fakes.messenger import NEW_WORDS, RECOVERY_ASKED, FakeMessenger
from tests.support.tui.driving import chatting, shown, until, until_shown, with_bob, with_bob_open
from tests.support.tui.opened import opened, type_words
from tui.screens.devices import DevicesDialog
from tui.screens.dialog import RenameDialog
from tui.screens.recovery import RecoveryDialog, UseRecoveryDialog
from tui.widgets.controls import Field

WORDS = recovery_words(bytes(range(32)))


def replaced(removed: tuple[str, ...] = ()) -> tuple[object, ...]:
    """The arguments of a recovery to new words, all of which were typed back."""
    return WORDS, removed, tuple(NEW_WORDS[place] for place in RECOVERY_ASKED), False, False, True


DUE = "Write down your recovery words ("


async def test_the_words_are_shown_asked_for_and_erased() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        messenger.keep_seed()
        await opened(pilot, "alt+w", RecoveryDialog)
        hidden = await until_shown(pilot, "Let nobody else see the screen.")
        assert not any(f" {word} " in hidden for word in WORDS)
        await pilot.press("enter")
        seen = await until_shown(pilot, f" 1 {WORDS[0]}")
        assert "thief" in seen
        await pilot.press("enter")
        asked = await until_shown(pilot, "Type word 3.")
        assert not any(f" {word} " in asked for word in WORDS)
        await type_words(pilot, [WORDS[place] for place in RECOVERY_ASKED])
        await until_shown(pilot, "The recovery words were erased here: only your paper has them.")
        assert not messenger._me.keeps_seed
        assert messenger.called("confirm_recovery") == [(tuple(WORDS[place] for place in RECOVERY_ASKED),)]


async def test_after_a_wrong_word_the_words_are_shown_again() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        messenger.keep_seed()
        dialog = await opened(pilot, "alt+w", RecoveryDialog)
        await pilot.press("enter", "enter")
        await type_words(pilot, [WORDS[2], WORDS[7], WORDS[0], WORDS[33]])
        await until_shown(pilot, "Word 21 is another one.")
        assert f" 1 {WORDS[0]}" in shown(pilot)
        assert pilot.app.screen is dialog
        await pilot.press("enter")
        await type_words(pilot, [WORDS[place] for place in RECOVERY_ASKED])
        await until(pilot, lambda: not messenger._me.keeps_seed)


async def test_a_resize_between_the_last_word_and_its_check_ends_nothing() -> None:
    async with with_bob_open() as (pilot, messenger, _):
        messenger.keep_seed()
        dialog = await opened(pilot, "alt+w", RecoveryDialog)
        await pilot.press("enter", "enter")
        *before, last = [WORDS[place] for place in RECOVERY_ASKED]
        for place, word in zip(RECOVERY_ASKED, before, strict=False):
            await until_shown(pilot, f"Type word {place + 1}.")
            dialog.query_one("#word", Field).value = word
            await pilot.press("enter")
        await until_shown(pilot, f"Type word {RECOVERY_ASKED[-1] + 1}.")
        field = dialog.query_one("#word", Field)
        field.value = last
        dialog.post_message(Input.Submitted(field, last))
        dialog.post_message(Resize(Size(70, 24), Size(70, 24)))
        await until(pilot, lambda: messenger.called("confirm_recovery") != [])
        await until_shown(pilot, "The recovery words were erased here: only your paper has them.")
        assert messenger.called("confirm_recovery") == [((*before, last),)]


async def test_a_closed_dialog_erases_nothing() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        messenger.keep_seed()
        await opened(pilot, "alt+w", RecoveryDialog)
        await pilot.press("enter", "enter")
        await until_shown(pilot, "Type word 3.")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, RecoveryDialog))
        assert messenger._me.keeps_seed


async def test_words_that_were_erased_are_not_shown() -> None:
    async with with_bob_open() as (pilot, _messenger, _bob):
        await pilot.press("alt+w")
        await until_shown(pilot, "The recovery words were erased.")


async def test_a_reminder_says_what_a_thief_could_do_until_the_words_are_erased() -> None:
    messenger, _bob = with_bob()
    messenger.keep_seed()
    async with chatting(messenger, (120, 24)) as pilot:
        assert "(Alt+W)" in await until_shown(pilot, DUE)
    messenger, _bob = with_bob()
    async with chatting(messenger, (120, 24)) as pilot:
        await until_shown(pilot, "Bob")
        assert DUE not in shown(pilot)


async def test_who_has_no_contact_is_not_reminded() -> None:
    messenger = FakeMessenger("Ann")
    messenger.keep_seed()
    async with chatting(messenger, (120, 24)) as pilot:
        await until_shown(pilot, "Ann")
        assert DUE not in shown(pilot)


@pytest.mark.terminal
@pytest.mark.parametrize("leaving", [b"\x11", signal.SIGHUP, signal.SIGTERM])
def test_every_way_out_takes_the_words_off_the_screen(leaving: bytes | signal.Signals) -> None:
    """Not every terminal has a second screen that it puts away."""
    with terminal() as (person, program):
        process = python_at(program, "-m", "tests.support.tui.program", "seed")
        heard = heard_until(person, b"Contacts")
        os.write(person, b"\x1bw")
        heard = heard_until(person, b"Let nobody", heard)
        os.write(person, b"\r")
        heard = heard_until(person, WORDS[-1].encode(), heard)
        if isinstance(leaving, bytes):
            os.write(person, leaving)
        else:
            process.send_signal(leaving)
        heard = heard_until(person, b"\x1b[?1049l", heard)
        assert process.wait(60) == 0
    shown, _, _ = heard.partition(b"\x1b[?1049l")
    cleared = shown.rpartition(b"\x1b[2J")[2]
    assert cleared != shown
    assert not any(word.encode() in cleared for word in WORDS)


async def test_the_words_remove_a_device_after_a_confirmation() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        thief = TerminalView("b" * 64, False, TerminalState.LIVE, "laptop\x1b[2J")
        messenger.other_terminals = (thief, TerminalView("c" * 64, False, TerminalState.REMOVED))
        dialog = await opened(pilot, "alt+u", UseRecoveryDialog)
        field = dialog.query_one("#word", Field)
        for at in range(0, len(WORDS), 17):
            await until_shown(pilot, f"{at} of 34 words.")
            field.value = " ".join(WORDS[at : at + 17])
            await pilot.press("enter")
        asked = await until_shown(pilot, "Type the numbers of the devices")
        assert "1. laptop[2J, bbbbbbbb…" in asked
        assert "cccccccc" not in asked
        assert not any(f" {word} " in asked for word in WORDS)
        await pilot.press("3", "enter")
        await until_shown(pilot, "These are not numbers of the devices.")
        await pilot.press("backspace", "1", " ", "1", "enter")
        assert "bbbbbbbb…" in await until_shown(pilot, "Remove 1 device?")
        await pilot.press("y")
        await until_shown(pilot, "New words replace the old ones.")
        await pilot.press("enter")
        await until_shown(pilot, f" 1 {NEW_WORDS[0]}")
        assert not messenger.called("recover")
        await pilot.press("enter")
        await type_words(pilot, [NEW_WORDS[place] for place in RECOVERY_ASKED])
        await until_shown(pilot, "Your recovery words were used.")
        assert messenger.called("recover") == [replaced((thief.terminal,))]


async def choose_nobody(pilot: Pilot[None]) -> None:
    """Type the old words, remove no device, and confirm."""
    dialog = await opened(pilot, "alt+u", UseRecoveryDialog)
    dialog.query_one("#word", Field).value = " ".join(WORDS)
    await pilot.press("enter")
    await until_shown(pilot, "or 0 for none")
    await pilot.press("0", "enter")
    await until_shown(pilot, "Remove 0 devices?")
    await pilot.press("y")
    await until_shown(pilot, "New words replace the old ones.")


async def test_after_a_wrong_new_word_the_new_words_are_shown_again() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        await choose_nobody(pilot)
        await pilot.press("enter", "enter")
        await type_words(pilot, [NEW_WORDS[2], NEW_WORDS[7], NEW_WORDS[0], NEW_WORDS[33]])
        await until_shown(pilot, "Word 21 is another one.")
        assert f" 1 {NEW_WORDS[0]}" in shown(pilot)
        assert not messenger.words_replaced
        await pilot.press("enter")
        await type_words(pilot, [NEW_WORDS[place] for place in RECOVERY_ASKED])
        await until_shown(pilot, "Your recovery words were used.")
        assert messenger.called("recover")[-1] == replaced()


@pytest.mark.parametrize("far", [0, 1, 2])
async def test_who_leaves_the_new_words_has_signed_nothing(far: int) -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        await choose_nobody(pilot)
        await pilot.press(*["enter"] * far, "escape")
        await until_shown(pilot, "Nothing was signed")
        assert messenger.called("recover") == []


@pytest.mark.parametrize("answer", ["y", "n"])
async def test_the_same_words_are_kept_after_a_question(answer: str) -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        await choose_nobody(pilot)
        await pilot.press("s")
        await until_shown(pilot, "Keep the recovery words that you typed?")
        await pilot.press(answer)
        if answer == "y":
            await until_shown(pilot, "Your recovery words were used.")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 2)
        assert messenger.called("recover") == ([(WORDS, (), (), True, False, True)] if answer == "y" else [])


async def test_words_that_are_shown_are_not_kept_by_a_key_that_slipped() -> None:
    async with with_bob_open() as (pilot, _messenger, _bob):
        await choose_nobody(pilot)
        await pilot.press("enter", "s")
        assert f" 1 {NEW_WORDS[0]}" in await until_shown(pilot, "Write them on paper")


async def test_replaced_words_are_used_once_enter_says_that_the_recovery_was_not_the_own() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        messenger.words_replaced = True
        dialog = await opened(pilot, "alt+u", UseRecoveryDialog)
        dialog.query_one("#word", Field).value = " ".join(WORDS)
        await pilot.press("enter")
        await until_shown(pilot, "press Enter again")
        await pilot.press("enter")
        await until_shown(pilot, "or 0 for none")
        await pilot.press("0", "enter")
        await until_shown(pilot, "This contradicts the recovery that you confirmed here")
        await pilot.press("y")
        await until_shown(pilot, "New words replace the old ones.")
        await pilot.press("enter", "enter")
        await type_words(pilot, [NEW_WORDS[place] for place in RECOVERY_ASKED])
        await until_shown(pilot, "Your recovery words were used.")
        assert messenger.called("recover") == [(*replaced()[:-2], True, True)]


@pytest.mark.parametrize("way", ["recovery", "devices"])
async def test_what_falls_and_what_stays_is_shown_before_the_answer(way: str) -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        phone, tablet = "b" * 64, "c" * 64
        messenger.other_terminals = (
            TerminalView(phone, False, TerminalState.LIVE, "phone"),
            TerminalView(tablet, False, TerminalState.LIVE, "tablet\x1b[2J", phone),
        )
        since = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
        messenger.added = (
            AddedView(tablet, "tablet\x1b[2J", phone, since, False, False),
            AddedView("d" * 64, "desk", phone, None, True, True),
        )
        messenger.paired_by_others = ((bob.person,), ("f" * 64,))
        if way == "recovery":
            dialog = await opened(pilot, "alt+u", UseRecoveryDialog)
            dialog.query_one("#word", Field).value = " ".join(WORDS)
            await pilot.press("enter")
            await until_shown(pilot, "or 0 for none")
            await pilot.press("1", "enter")
        else:
            await opened(pilot, "alt+d", DevicesDialog)
            await pilot.press("down", "d")

        def read() -> str:
            shows = " ".join(shown(pilot).split())
            return shows.replace("│ │ ", "").replace("┃ ┃ ", "")

        await until_shown(pilot, "● It was stolen")
        assert "Only messages from it that this device has now count." in read()
        await until_shown(pilot, "PgDn Scroll")
        seen = read()
        await pilot.press("pagedown", "pagedown")
        await until_shown(pilot, "this device signs it again")
        seen += read()
        for line in (
            *("Devices that came in through what you remove:", "“tablet[2J” (cccccccc…) is removed, too"),
            *("known here since 2026-11-25", "“desk” (dddddddd…) stays"),
            "Only what you remove has paired with Bob: Parlour sends nothing there until",
            "Only what you remove has compared with someone who is not a contact",
        ):
            assert line in seen, line
        await pilot.press("pageup", "pageup")
        await until_shown(pilot, "● It was stolen")


async def test_enter_alone_that_was_typed_before_the_devices_were_shown_removes_nobody() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        thief = TerminalView("f" * 64, False, TerminalState.LIVE)
        messenger.other_terminals = (thief,)
        dialog = await opened(pilot, "alt+u", UseRecoveryDialog)
        dialog.query_one("#word", Field).value = " ".join(WORDS)
        await pilot.press("enter", "enter", "y")
        await until_shown(pilot, "or 0 for none")
        assert pilot.app.screen is dialog
        assert not messenger.called("recover")
        dialog.query_one("#word", Field).value = "0"
        await pilot.press("enter")
        await until_shown(pilot, "Remove 0 devices?")


async def test_wrong_words_come_back_and_nothing_is_asked() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        dialog = await opened(pilot, "alt+u", UseRecoveryDialog)
        field, wrong = dialog.query_one("#word", Field), " ".join((*WORDS[1:], WORDS[0]))
        field.value = wrong
        await pilot.press("enter")
        await until_shown(pilot, "These are not the recovery words")
        assert field.value == wrong
        field.value = " ".join(WORDS)
        await pilot.press("enter")
        await until_shown(pilot, "or 0 for none")
        await pilot.press("0", "enter")
        await until_shown(pilot, "Remove 0 devices?")
        await pilot.press("n")
        assert not messenger.called("recover")


async def test_a_device_with_new_keys_says_what_to_do() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):

        async def recover(*_: object) -> None:
            messenger._me = replace(messenger._me, terminal="d" * 64)

        messenger.recover = recover  # type: ignore[method-assign, assignment]
        dialog = await opened(pilot, "alt+u", UseRecoveryDialog)
        dialog.query_one("#word", Field).value = " ".join(WORDS)
        await pilot.press("enter")
        await until_shown(pilot, "1. ")
        await pilot.press("1", "enter")
        await until_shown(pilot, "this device, which gets new keys")
        await pilot.press("y")
        await until_shown(pilot, "New words replace the old ones.")
        await pilot.press("enter", "enter")
        await type_words(pilot, [NEW_WORDS[place] for place in RECOVERY_ASKED])
        await until_shown(pilot, "pair again")


async def test_the_own_name_is_changed() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        dialog = await opened(pilot, "alt+o", RenameDialog)
        dialog.query_one("#name", Field).value = "Anna"
        await pilot.press("enter")
        await until_shown(pilot, "Your contacts see Anna now.")
        assert (await messenger.me()).name == "Anna"
        assert messenger.called("rename_self") == [("Anna",)]
