"""The settings: each holds at once and is kept, by keys and the mouse; and locking when nobody is there."""

from __future__ import annotations

from itertools import pairwise

import pytest
from textual.geometry import Region
from textual.pilot import Pilot
from textual.strip import Strip

from chat.interface import (
    FILES_LIMIT,
    FILES_RELAYED,
    KEEP_MOST,
    WITHOUT_ASKING,
    BadData,
    SettingsView,
    TerminalState,
    TerminalView,
)
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chatting, composer, rows, shown, until, until_shown, with_bob, write
from tests.support.tui.opened import click, on_top, opened, reading
from tui import actions
from tui.screens.chat.chat import ChatScreen
from tui.screens.settings import SettingsDialog
from tui.screens.unlock import UnlockScreen
from tui.widgets.controls import Choice, Value, place

VALUES = (Value("a", "first"), Value("b", "简体中文"), Value("c", "third"))


async def click_on(pilot: Pilot[None], label: str, value: str) -> None:
    """Click on a value of a setting."""
    await until_shown(pilot, label)
    y, row = next((y, row) for y, row in enumerate(rows(pilot)) if label in row)
    await pilot.click(offset=(row.index(value, row.index(label)), y))


def choice(pilot: Pilot[None], name: str) -> Choice:
    return pilot.app.screen.query_one(f"#choose-{name}", Choice)


async def settings(messenger: FakeMessenger) -> dict[str, str]:
    """The preferences, but for the one that says which conversation was open."""
    kept = await messenger.preferences()
    return {name: value for name, value in kept.items() if not name.startswith("open.")}


async def test_every_choice_holds_at_once_and_is_kept() -> None:
    async with reading("one", "two", size=(100, 46)) as (pilot, messenger, _):
        await opened(pilot, "f12", SettingsDialog)
        await pilot.press("right", "right")
        await until(pilot, lambda: pilot.app.theme == "parlour-contrast")
        await pilot.press("ctrl+b")
        await until(pilot, lambda: choice(pilot, "theme").chosen == "dark")
        await pilot.press("down", "space")
        await until(pilot, lambda: pilot.app.has_class("-roomy"))
        for label, value in (("Keys", "vi"), ("Ring the bell", "off"), ("Minutes of inactivity", "15")):
            await click_on(pilot, label, value)
        await until(pilot, lambda: actions.keys_of("details") == ("I",))
        await pilot.press("escape")
        screen = await until_shown(pilot, "Write to Bob")
        one, two = (at for at, row in enumerate(screen.split("\n")) if "▎ one" in row or "▎ two" in row)
        assert two == one + 2, "roomy: a blank row parts entries of one author"
        await until(pilot, lambda: "autolock" in messenger._preferences)
    chosen = {"density": "roomy", "keys": "vi", "bell": "off", "autolock": "15", "theme": "dark"}
    assert await settings(messenger) == chosen


async def test_what_contacts_are_told_goes_to_the_engine_and_a_refusal_is_shown() -> None:
    async with reading("hello", size=(100, 58)) as (pilot, messenger, _):
        await opened(pilot, "f12", SettingsDialog)
        await click_on(pilot, "Send read receipts", "off")
        await until(pilot, lambda: messenger.called("change_settings") != [])
        messenger.failures["change_settings"] = BadData("The disk is full.")
        await click_on(pilot, "Show that I am typing", "off")
        await until_shown(pilot, "The disk is full.")
    told = [SettingsView(read_receipts=False, typing=True), SettingsView(read_receipts=False, typing=False)]
    assert messenger.called("change_settings") == [(view,) for view in told]


async def test_the_language_changes_under_the_cursor_and_everywhere() -> None:
    async with reading("hello", size=(100, 46)) as (pilot, messenger, _):
        await opened(pilot, "f12", SettingsDialog)
        await pilot.press("down", "down", "right", "right")
        await until_shown(pilot, "语言")
        assert "设置" in shown(pilot)
        await until(pilot, lambda: choice(pilot, "language").has_focus)
        await pilot.press("escape")
        screen = await until_shown(pilot, "联系人")
        assert "今天" in screen
        assert "帮助" in screen
        await pilot.press("f12", "down", "down", "left")
        await until_shown(pilot, "Language")
        await pilot.press("escape")
        await until_shown(pilot, "Today")
    assert await settings(messenger) == {"language": "en"}


async def test_it_locks_when_neither_key_nor_mouse_was_used_and_keeps_the_draft() -> None:
    messenger, bob = with_bob()
    messenger._preferences["autolock"] = "5"
    clock = [1000.0]
    async with chatting(messenger, monotonic=lambda: clock[0]) as pilot:
        await write(pilot, "half a")
        clock[0] += 299
        await pilot.hover(offset=(40, 5))
        clock[0] += 299
        await pilot.press("x")
        assert composer(pilot).text == "half ax"
        clock[0] += 300
        await pilot.press("y")  # the machine slept: this key comes before anything else had its turn
        await until_shown(pilot, "Locked after inactivity")
        await until(pilot, lambda: messenger.called("lock") != [])
    assert messenger._preferences[f"draft.{bob.person}"] == "half ax"


async def test_it_locks_without_a_key_to_wake_it() -> None:
    messenger, _bob = with_bob()
    messenger._preferences["autolock"] = "1"
    clock = [1000.0]
    async with chatting(messenger, monotonic=lambda: clock[0]) as pilot:
        await pilot.press("f1")
        clock[0] += 60
        await on_top(pilot, UnlockScreen)
        assert "Bob" not in shown(pilot)


@pytest.mark.parametrize("width", [12, 30, 40, 80])
def test_values_stay_whole_in_as_many_rows_as_they_need(width: int) -> None:
    placed = place(VALUES, width, (0, 2))
    assert [one.value for one in placed] == list(VALUES)
    assert all(one.start >= 2 and one.end <= max(width, 14) for one in placed)
    assert all((before.row, before.end) < (after.row, after.start) for before, after in pairwise(placed))


async def test_no_choice_is_drawn_without_its_values_not_even_first(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    lines = Choice.render_lines

    def render_lines(choice: Choice, crop: Region) -> list[Strip]:
        strips = lines(choice, crop)
        drawn.append("".join(strip.text for strip in strips))
        return strips

    monkeypatch.setattr(Choice, "render_lines", render_lines)
    async with reading("hello", size=(120, 34)) as (pilot, _messenger, _):
        await pilot.press("f12")
        await until_shown(pilot, "Appearance and keys")
        await until(pilot, lambda: len(drawn) > 4)
    assert [text for text in drawn if "●" not in text] == []


async def test_how_long_this_device_keeps_messages_and_the_keeper_are_chosen() -> None:
    async with reading("one", size=(100, 50)) as (pilot, messenger, _):
        messenger.other_terminals = (TerminalView("d1" * 32, False, TerminalState.LIVE, "desk"),)
        await opened(pilot, "f12", SettingsDialog)
        choice(pilot, "keep").focus()
        await pilot.press("left")
        await until_shown(pilot, "Nothing leaves this device: you chose no keeper.")
        assert (choice(pilot, "keep").chosen, (await messenger.retention()).days) == ("365", 365)
        choice(pilot, "keeper").focus()
        await pilot.press("right", "right")
        await until_shown(pilot, "● desk")
        assert (await messenger.retention()).keeper == "d1" * 32
        await until_shown(pilot, "Older messages leave this device once your keeper")
        messenger.other_terminals = ()
        await pilot.press("left", "right")
        await until_shown(pilot, "There is no such device.")
        assert choice(pilot, "keeper").chosen == messenger._me.terminal


@pytest.mark.parametrize(
    ("row", "shows"),
    [
        ("Your name", "The name that your contacts see."),
        ("Change the passphrase", "passphrase"),
        ("Relays", "Relays ─"),
        ("Your devices", "Your devices ─"),
    ],
)
async def test_what_is_of_this_person_is_changed_from_the_settings_too(row: str, shows: str) -> None:
    async with reading("hello", size=(100, 90)) as (pilot, _messenger, _):
        await opened(pilot, "f12", SettingsDialog)
        await click(pilot, f"▸ {row}", right=4)
        await until(pilot, lambda: not isinstance(pilot.app.screen, SettingsDialog | ChatScreen))
        await until_shown(pilot, shows)


async def test_the_settings_reach_the_last_row_by_keys() -> None:
    async with reading("hello", size=(80, 24)) as (pilot, _messenger, _):
        await opened(pilot, "f12", SettingsDialog)
        await pilot.press("up", "enter")
        await until_shown(pilot, "Destroy this profile")
        await pilot.press("escape", "f12", "up", "up", "up", "enter")
        await until_shown(pilot, "The recovery words were erased.")


async def test_what_files_may_use_is_chosen_for_all() -> None:
    messenger, _bob = with_bob()
    messenger._preferences[WITHOUT_ASKING] = "7"
    async with chatting(messenger, size=(100, 60)) as pilot:
        await opened(pilot, "f12", SettingsDialog)
        screen = await until_shown(pilot, "Files on this device")
        assert "● 7" in screen
        for label, value in (
            ("MiB without a question", "25"),
            ("MiB of a file by a relay", "100"),
            ("MiB in all, then ask", "1024"),
            ("KiB sent a second", "500"),
        ):
            await click_on(pilot, label, value)
        await until(pilot, lambda: messenger._preferences.get(FILES_LIMIT) == "500")
    kept = await settings(messenger)
    assert kept == {FILES_RELAYED: "100", KEEP_MOST: "1024", FILES_LIMIT: "500"}
