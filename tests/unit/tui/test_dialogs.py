"""Dialogs: what those about a contact ask and do, help, and that each closes once."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

import pytest
from textual.screen import ModalScreen

from chat.errors import Phrase
from chat.interface import (
    AlertKind,
    AwaitedView,
    BadData,
    DetailsView,
    EntryState,
    IdentityChanged,
    OwnChange,
    OwnLogChanged,
    QuestionView,
    ReceiptView,
    TerminalState,
    TerminalView,
    VerificationView,
)
from tests.architecture.imports import ROOT
from tests.support.fakes.messenger import FakeMessenger
from tests.support.fakes.others import alert
from tests.support.screens.scenes import EVERY, View, take
from tests.support.tui.driving import (
    burst,
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
from tests.support.tui.opened import click, on_top, opened, own_kinds, reading
from tui.actions import ACTIONS, APP_WIDE, app_bindings, chat_bindings, history_bindings
from tui.app import ParlourApp
from tui.linear.wording import details_lines
from tui.screens.chat.chat import ChatScreen
from tui.screens.chat.finding import JumpScreen
from tui.screens.details import DetailsDialog, VerifyDialog
from tui.screens.dialog import ConfirmDialog, Dialog
from tui.screens.help import HelpDialog, page
from tui.text.translation import use
from tui.widgets.lines import AlertLine
from tui.widgets.listed import Listed


async def test_verifying_shows_sixty_digits_in_groups_of_five_and_is_taken_back() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await pilot.press("ctrl+t")
        screen = await until_shown(pilot, "Safety number")
        number = messenger.number(bob.person)
        groups = number.split()
        assert len(groups) == 12
        assert all("  ".join(groups[at : at + 4]) in screen for at in (0, 4, 8))
        await pilot.press("enter")
        assert not messenger.called("verify")
        await pilot.press("v")
        await until_shown(pilot, "✓ verified")
        await pilot.press("ctrl+t")
        await until_shown(pilot, "Remove verification")
        await pilot.press("u")
        await until_shown(pilot, "Remove the verification of Bob?")
        await pilot.press("n")
        assert not messenger.called("unverify")
        await pilot.press("ctrl+t")
        await until_shown(pilot, "Remove verification")
        await pilot.press("u")
        await until_shown(pilot, "Remove the verification of Bob?")
        await pilot.press("y")
        await until_shown(pilot, "not verified")
    assert messenger.called("verify") == [(bob.person, number)]
    assert messenger.called("unverify") == [(bob.person,)]


async def test_the_details_name_the_devices_of_the_contact() -> None:
    when, ben = datetime(2026, 11, 24, 9, 30, tzinfo=UTC), "be" * 32
    receipts = (
        ReceiptView(ben, "d1" * 32, EntryState.DELIVERED, when, "phone"),
        ReceiptView(ben, "e1" * 32, EntryState.READ, when),
    )
    awaited = (AwaitedView(ben, "f1" * 32, "laptop"),)
    details = DetailsView("aa" * 32, ben, "bb" * 32, when, when, 100, receipts, awaited=awaited)
    wanted = ("Ben, phone, d1d1d1d1…", "Ben, device e1e1e1e1…", "not confirmed", "Ben, laptop, f1f1f1f1…")
    async with with_bob_open() as (pilot, _messenger, _bob):
        pilot.app.push_screen(DetailsDialog(details, {ben: "Ben"}, UTC))
        screen = await until_shown(pilot, "Ben, laptop")
        assert [one for one in wanted if one not in screen] == []
    said = details_lines(details, {ben: "Ben"}, when, UTC)
    assert "Delivered to Ben on “phone” (d1d1d1d1…), Today, 09:30:00." in said
    assert "Read by Ben on e1e1e1e1…, Today, 09:30:00." in said
    assert "Not confirmed by Ben on “laptop” (f1f1f1f1…)." in said


async def test_of_the_numbers_of_contradicting_recoveries_the_one_that_is_shown_is_confirmed() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        numbers = tuple(messenger.number(bob.person, branch) for branch in ("", "other"))
        messenger.verifications[bob.person] = VerificationView(numbers, None, False, ())
        await pilot.press("ctrl+t")
        await until_shown(pilot, "Next number (1 of 2)")
        await pilot.press("n")
        screen = await until_shown(pilot, "Next number (2 of 2)")
        assert "  ".join(numbers[1].split()[:4]) in screen
        await pilot.press("v")
        await until(pilot, lambda: messenger.called("verify") == [(bob.person, numbers[1])])


async def test_a_no_to_a_device_that_another_one_added_leads_to_the_removal_of_that_one() -> None:
    """Also where that one has removed itself."""
    async with with_bob_open() as (pilot, messenger, _):
        for state in (TerminalState.LIVE, TerminalState.REMOVED):
            adder = TerminalView("c3" * 32, False, state, "phone", left=state is TerminalState.REMOVED)
            messenger.other_terminals = (adder,)
            messenger.ask(QuestionView("a1" * 32, OwnChange.ADDED, "b2" * 32, "c3" * 32))
            await until_shown(pilot, "Was that you?")
            await pilot.press("alt+y")
            await until_shown(pilot, "Yes, that was me")
            await pilot.press("n")
            gone = state is TerminalState.REMOVED
            await until_shown(pilot, "Remove this device again" if gone else "Remove this device?")
            await pilot.press("y")
            await until_shown(pilot, "The device was removed.")
            await pilot.press("escape")
            await on_top(pilot, ChatScreen)
        assert messenger.called("remove_terminal") == [("c3" * 32, True)] * 2
        assert not messenger.called("confirm_own")


async def test_a_change_of_the_own_identity_stays_on_the_screen_until_it_is_answered() -> None:
    line = "Your identity has changed. Was that you?"
    async with with_bob_open() as (pilot, messenger, _):
        messenger.other_terminals = (TerminalView("b2" * 32, False, TerminalState.LIVE, "phone"),)
        messenger.ask(QuestionView("a1" * 32, OwnChange.ADDED, "b2" * 32, "c3" * 32))
        await until_shown(pilot, line)
        await pilot.press("alt+y")
        await until_shown(pilot, "Device c3c3c3c3… added device “phone” (b2b2b2b2…)")
        await pilot.press("n")
        await until_shown(pilot, "Then somebody has your keys.")
        await pilot.press("escape")
        await on_top(pilot, ChatScreen)
        assert not messenger.called("confirm_own")
        await click(pilot, line)
        await until_shown(pilot, "Yes, that was me")
        await pilot.press("y")
        await until(pilot, lambda: messenger.called("confirm_own") == [("a1" * 32,)])
        await until(pilot, lambda: line not in shown(pilot))
        await pilot.press("alt+y")
        await until_shown(pilot, "Your identity has no change that waits for your answer.")


@pytest.mark.parametrize("of", ["the contact", "this person", "this person, elsewhere"])
async def test_case_84_a_safety_number_that_may_be_another_is_on_no_screen(of: str) -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        other = messenger.add_contact("Cleo")
        await opened(pilot, "ctrl+t", VerifyDialog)
        number = messenger.number(bob.person).split()[0]
        messenger.emit(IdentityChanged(other.person, "Cleo", Phrase("added a device")))
        messenger.change_contact(other.person, unread=3)
        (chat,) = [screen for screen in pilot.app.screen_stack if isinstance(screen, ChatScreen)]
        await until(pilot, lambda: chat.people.state.contacts[other.person].unread == 3)
        assert number in shown(pilot)
        if of == "the contact":
            messenger.emit(IdentityChanged(bob.person, "Bob", Phrase("added a device")))
        elif of == "this person":
            messenger.ask(QuestionView("a1" * 32, OwnChange.ADDED, "b2" * 32, "c3" * 32))
        else:
            messenger.emit(OwnLogChanged("added", "a1" * 32, Phrase("You added a device.")))
        await on_top(pilot, ChatScreen)
        assert number not in shown(pilot)
        await until_shown(pilot, "open the safety number again")
        assert messenger.called("verify") == []


async def test_case_84_a_number_that_a_change_has_overtaken_is_never_shown() -> None:
    """The answer is on its way when this person is asked about a change of the own identity."""
    async with with_bob_open() as (pilot, messenger, bob):
        asked, goes_on, verification = asyncio.Event(), asyncio.Event(), messenger.verification

        async def late(contact: str) -> VerificationView:
            found = await verification(contact)
            asked.set()
            await goes_on.wait()
            return found

        messenger.verification = late  # type: ignore[method-assign]
        await pilot.press("ctrl+t")
        await asked.wait()
        messenger.ask(QuestionView("a1" * 32, OwnChange.ADDED, "b2" * 32, "c3" * 32))
        await until_shown(pilot, "Was that you?")
        goes_on.set()
        await until_shown(pilot, "see “Changes of your identity” (Alt+Y)")
        assert isinstance(pilot.app.screen, ChatScreen)
        assert messenger.number(bob.person).split()[0] not in shown(pilot)


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


async def test_renaming_changes_the_name_everywhere() -> None:
    async with reading("hello") as (pilot, messenger, bob):
        await pilot.press("f6", *"Robert", "enter")
        await until(pilot, lambda: "Robert" in rows(pilot)[0] and "Robert" in rows(pilot)[1])
    assert messenger.called("rename") == [(bob.person, "Robert")]


async def test_a_block_is_asked_first_and_so_is_its_end() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await pilot.press("f7")
        await until_shown(pilot, "Block Bob?")
        await pilot.press("enter")  # Enter is no yes
        await on_top(pilot, ChatScreen)
        assert not messenger.called("block")
        await pilot.press("f7")
        await until_shown(pilot, "Block Bob?")
        await pilot.press("y")
        await until_shown(pilot, "⊘ blocked")
        await pilot.press("f7")
        await until_shown(pilot, "Unblock Bob?")
        await pilot.press("y")
        await until_shown(pilot, "○ offline")
    assert messenger.called("block") == [(bob.person, True), (bob.person, False)]


async def test_a_click_on_a_hint_does_what_its_key_does() -> None:
    async with with_bob_open(size=(40, 20)) as (pilot, messenger, _):
        await pilot.press("ctrl+t")
        await click(pilot, "v They match")
        await until(pilot, lambda: messenger.called("verify") != [])


async def test_a_removal_is_asked_first_and_leaves_nothing() -> None:
    async with reading("to be gone") as (pilot, messenger, bob):
        await pilot.press("f8")
        await until_shown(pilot, "permanently")
        await pilot.press("n")
        await on_top(pilot, ChatScreen)
        await pilot.press("f8")
        await until_shown(pilot, "permanently")
        await pilot.press("y")
        screen = await until_shown(pilot, "Bob was removed.")
        assert "to be gone" not in screen
        assert chat(pilot).state.current is None
    assert messenger.called("remove") == [(bob.person,)]


async def test_contact_actions_without_a_conversation_say_so() -> None:
    async with chatting(FakeMessenger("Ann")) as pilot:
        for key in ("ctrl+t", "f6", "f7", "f8", "ctrl+o"):
            await pilot.press(key)
        await until_shown(pilot, "Open a conversation first")


async def test_an_older_copy_stands_above_all_until_the_diagnosis_was_opened() -> None:
    async with with_bob_open() as (pilot, messenger, _):
        messenger.alarm(alert(AlertKind.OLD_COPY))
        await until_shown(pilot, "This is an older copy of your profile")
        line = chat(pilot).query_one(AlertLine)
        assert line.display
        await pilot.press("f9")
        await until(pilot, lambda: not line.display)
        assert await messenger.alerts() == ()


async def test_that_this_device_was_removed_stands_above_other_alerts_and_stays() -> None:
    async with with_bob_open() as (pilot, messenger, _):
        messenger.alarm(alert(AlertKind.OLD_COPY), alert(AlertKind.REMOVED))
        assert "Press F9" in await until_shown(pilot, "This device was removed")
        messenger.alarm(alert(AlertKind.REMOVED))
        await until(pilot, lambda: "Press F9" not in shown(pilot))
        assert "(Alt+U)" in shown(pilot)
        assert "It sends nothing." in shown(pilot)
        assert "Write to" not in shown(pilot)
        await pilot.press(*"no", "enter")
        assert not messenger.called("send")
        messenger.alarm()
        await until_shown(pilot, "Write to Bob")


async def test_a_doctor_who_fails_says_so() -> None:
    async with with_bob_open() as (pilot, messenger, _):
        messenger.failures["diagnose"] = BadData("The profile cannot be read.")
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


async def test_earlier_messages_are_offered_only_where_there_are_some() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await pilot.press("ctrl+o")
        await until_shown(pilot, "Timer")
        assert "Take earlier messages" not in shown(pilot)
        await pilot.press("escape", "ctrl+p")
        await until_shown(pilot, "Type a command")
        await pilot.press(*"take", "enter")
        await until_shown(pilot, "Nothing to take here.")
        for number in range(2):
            messenger.claim(bob.person, f"word {number}", "earlier")
        for answer, said in (("enter", "Bob"), ("y", "2 messages count as yours now.")):
            await pilot.press("ctrl+o")
            await until_shown(pilot, "Take earlier messages")
            await pilot.press("end", "up", "enter")
            await until_shown(pilot, "Take 2 earlier messages, as Bob has them, as yours?")
            await pilot.press(answer)
            await until_shown(pilot, said)
            assert len(messenger.called("take_earlier")) == (answer == "y")
        assert all(entry.own for entry in messenger._conversations[bob.person].entries[-2:])


async def test_help_opens_over_anything_and_closes_by_its_key() -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        await pilot.press("f3", "f1")
        await until_shown(pilot, "Parlour connects people")
        await pilot.press("f1")
        await until_shown(pilot, "Paste the invitation")


@pytest.mark.parametrize("size", [(80, 24), (120, 34), (60, 20), (40, 12)])
async def test_every_size_is_usable(size: tuple[int, int]) -> None:
    async with with_bob_open(size) as (pilot, messenger, bob):
        messenger.receive(bob.person, "word " * 30)
        await pilot.press(*"ok", "enter")
        await until_shown(pilot, "ok")
        for key in ("f1", "f2", "f4", "ctrl+t", "f9", "f12"):
            await pilot.press(key)
            await pilot.pause()
            await pilot.press("escape")
        await on_top(pilot, ChatScreen)


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


async def test_keys_in_one_burst_leave_jump_mode_once() -> None:
    async with reading("Hello") as (pilot, _messenger, _):
        for keys in ("ff", "fff", "xx", "xxxx"):
            await opened(pilot, "alt+j", JumpScreen)
            await burst(pilot, *keys)
            await on_top(pilot, ChatScreen)
            assert len(pilot.app.screen_stack) == 2
            assert composer(pilot).has_focus


async def test_a_dialog_that_ends_twice_gives_its_first_result_and_takes_no_other_screen_along() -> None:
    results: list[bool | None] = []
    async with with_bob_open() as (pilot, _messenger, _):
        below, above = HelpDialog(), ConfirmDialog("Really?", "")
        await pilot.app.push_screen(below)
        await pilot.app.push_screen(above, results.append)
        above.end(True)
        above.end(False)
        await until(pilot, lambda: bool(results))
        assert results == [True]
        assert pilot.app.screen is below


async def test_a_covered_dialog_closes_with_its_first_result_when_it_is_uncovered() -> None:
    results: list[bool | None] = []
    async with with_bob_open() as (pilot, _messenger, _):
        below, above = ConfirmDialog("Really?", ""), HelpDialog()
        await pilot.app.push_screen(below, results.append)
        await pilot.app.push_screen(above)
        below.end(True)
        below.end(False)
        assert pilot.app.screen is above
        above.end(None)
        above.end(None)
        await on_top(pilot, ChatScreen)
        await until(pilot, lambda: bool(results))
        assert results == [True]


def test_every_modal_screen_closes_in_the_one_way() -> None:
    own = own_kinds(ModalScreen)
    assert len(own) > 15
    assert all(kind is JumpScreen or issubclass(kind, Dialog) for kind in own)
    calls = [
        path.name
        for path in (ROOT / "tui").rglob("*.py")
        for _ in re.findall(r"\.(?:dismiss|action_dismiss)\(", path.read_text(encoding="utf-8"))
    ]
    assert calls == ["dialog.py"]


@pytest.mark.parametrize("key", ["ctrl+p", "ctrl+o", "alt+d"])
async def test_a_bar_shows_the_row_with_the_cursor_where_no_colour_does(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """Of the palette, the menus, and the lists of devices and relays."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with with_bob_open() as (pilot, messenger, _bob):
        messenger.other_terminals = (TerminalView("b4" * 32, False, TerminalState.LIVE, "desk"),)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(pilot.app.screen, Dialog))
        await until(pilot, lambda: "▌" in shown(pilot))

        def at_cursor() -> list[str]:
            listed = pilot.app.screen.query_one(Listed).region
            return [row[listed.x :] for row in rows(pilot)[listed.y : listed.bottom] if row[listed.x] == "▌"]

        before = at_cursor()
        await pilot.press("down")
        await until(pilot, lambda: at_cursor() != before)
        assert at_cursor()


async def test_the_help_names_a_way_to_everything_it_explains() -> None:
    explained = page(200).plain.splitlines()
    for one in ACTIONS:
        row = next((row for row in explained if row.endswith(one.about)), None)
        assert row is None or not row.startswith(" "), row


async def test_the_way_to_the_help_and_the_way_out_stand_in_every_key_line() -> None:
    for width in (40, 80, 120):
        async with with_bob_open(size=(width, 24)) as (pilot, _messenger, _bob):
            assert {"F1 Help", "Ctrl+Q Quit"} <= set(re.split(" {2,}", rows(pilot)[-1].strip()))


async def test_only_a_long_message_is_offered_to_be_folded() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        for text in ("short", "\n".join(map(str, range(60)))):
            messenger.receive(bob.person, text)
        await until(pilot, lambda: len(history(pilot).window.entries) == 2)
        held = history(pilot).window.entries
        assert [history(pilot).can_fold(one) for one in held] == [False, True]


@pytest.mark.parametrize("rows_of_it", [18, 20, 23])
async def test_a_screen_of_few_rows_shows_the_keys_and_answers_of_the_first_steps(rows_of_it: int) -> None:
    size = (60, rows_of_it)
    for scene in (one for one in EVERY if one.name in ("first-run", "words")):
        shown_rows = "\n".join((await take(scene, View(size))).text)
        wanted = ("Start", "Ctrl+Q") if scene.name == "first-run" else ("orchard", "They match", "No, stop")
        assert all(one in shown_rows for one in wanted), shown_rows
