"""What hands that know other programs press, and what happens: a table, and what needs more than a row."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.events import Key
from textual.pilot import Pilot

from chat.interface import EntryState
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chat, chatting, composer, history, shown, until, until_shown, with_bob
from tests.support.tui.opened import click, reading
from tui import actions
from tui.actions import ACTIONS, BY_ID
from tui.keymap import load
from tui.screens.dialog import RenameDialog
from tui.screens.help import HelpDialog
from tui.terminal import has_shell
from tui.text import layouts
from tui.text.commands import NAMES, begun_command, escaped, typed_command, unescaped
from tui.text.layouts import LANGMAP, meant
from tui.widgets.people import People

Seen = Callable[[Pilot[None], FakeMessenger], bool]


@dataclass(frozen=True)
class Habit:
    """What was pressed, and what happens. Bob wrote *hello*, and this person answered *mine*."""

    pressed: tuple[str, ...]
    happens: Seen
    name: str = ""


def says(text: str) -> Seen:
    return lambda pilot, _: text in shown(pilot)


def writes(text: str) -> Seen:
    return lambda pilot, _: composer(pilot).text == text and composer(pilot).has_focus


def sends(text: str) -> Seen:
    return lambda _, messenger: [call[1] for call in messenger.called("send")] == [text]


def copies(text: str) -> Seen:
    return lambda pilot, _: pilot.app.clipboard == text


def shows(kind: type) -> Seen:
    return lambda pilot, _: isinstance(pilot.app.screen, kind)


HABITS = (
    Habit(("/", *"copy", "enter"), copies("mine"), "a command of the message box"),
    Habit(("ctrl+up", "up", "escape", *"/copy", "enter"), copies("hello"), "of the selected message"),
    Habit((*"/COPY", "space", "enter"), copies("mine")),
    Habit((*"/nonsense", "enter"), says("There is no command /nonsense")),
    Habit((*"/nonsense", "enter"), writes("/nonsense"), "what was typed stays"),
    Habit((*"/renam", "tab"), writes("/rename")),
    Habit((*"/renam", "enter", "enter"), shows(RenameDialog)),
    Habit((*"/help", "enter"), shows(HelpDialog)),
    Habit((*"//copy", "enter"), sends("/copy"), "two slashes begin a text with one"),
    Habit((*"/etc/hosts", "enter"), sends("/etc/hosts"), "a path is a text"),
    Habit((*"see /copy", "enter"), sends("see /copy")),
    Habit((*"/search secret", "enter"), says("/search stands alone"), "what is meant for the program"),
    Habit((*"/search secret", "enter"), writes("/search secret"), "is not sent, and stays"),
    Habit((*"/me waves", "enter"), writes("/me waves")),
    Habit((*"//me waves", "enter"), sends("/me waves")),
    Habit((*"/ x", "enter"), sends("/ x")),
    Habit(("up",), writes("mine"), "brings back what was sent, as in a shell"),
    Habit(("up", "enter"), sends("mine"), "and sends it once more"),
    Habit(("up",), says("edit the message instead")),
    Habit(("up", "down"), writes("")),
    Habit(("up", "alt+h"), says("Editing: mine")),
    Habit(("up", "alt+h", *"!", "enter"), says("mine!")),
    Habit((*"draft", "up"), writes("draft"), "where something is written it moves the cursor"),
    Habit(("alt+h", *"xy", "escape"), says("Your change is kept")),
    Habit(("alt+h", *"xy", "escape", "alt+h"), writes("minexy"), "Esc loses nothing"),
    Habit(("alt+h", *"xy", "escape", *"new", "enter", "escape"), sends("new")),
    Habit(
        ("alt+h", *"xy", "alt+down", "alt+up", "alt+h"),
        writes("minexy"),
        "another conversation loses nothing",
    ),
    Habit((*"draft", "alt+h", "escape"), writes("draft"), "an edit keeps the draft"),
    Habit((*"abc", "ctrl+w", "ctrl+underscore"), writes("abc"), "undo without Ctrl+Z"),
    Habit((*"kept", "ctrl+z"), says("No shell is there to go to")),
    Habit((*"kept", "ctrl+z"), writes("kept")),
    Habit((*"kept", "ctrl+l"), writes("kept"), "Ctrl+L draws, and locks nothing"),
    Habit(("ctrl+r", "h"), writes("mine"), "a key in the place of Alt"),
    Habit(("ctrl+r", "escape", *"h"), writes("h")),
    Habit(("ctrl+r", "down"), lambda pilot, _: chat(pilot).state.current == chat(pilot).state.me.person),
    Habit(("ctrl+up", "с"), copies("mine"), "с is on the key of c"),
    Habit(("ctrl+up", "ψ"), copies("mine")),
    Habit(("ctrl+up", "ב"), copies("mine")),
    Habit(("с",), writes("с"), "a letter is typed where letters are"),
    Habit(("alt+р",), writes("mine")),
)


@pytest.mark.parametrize("habit", HABITS, ids=lambda one: f"{' '.join(one.pressed)} {one.name}")
async def test_habit(habit: Habit) -> None:
    messenger, bob = with_bob()
    messenger.receive(bob.person, "hello")
    messenger.say_as_me(bob.person, "mine", EntryState.SENT)
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "▎ mine")
        await pilot.press(*habit.pressed)
        await until(pilot, lambda: habit.happens(pilot, messenger))
        assert messenger.called("lock") == []


async def test_pgdn_moves_what_pgup_moves_wherever_the_focus_is() -> None:
    async with reading(count=80) as (pilot, _messenger, _bob):
        for moves in ((), ("tab",), ("ctrl+up",)):
            await pilot.press(*moves, "pageup")
            await until(pilot, lambda: not history(pilot).at_end)
            await pilot.press("pagedown")
            await until(pilot, lambda: history(pilot).at_end)
        await pilot.press("escape", "pageup", "pageup")
        await until(pilot, lambda: not history(pilot).at_end)
        await pilot.press("end")  # of an empty message box, which has no other end
        await until(pilot, lambda: history(pilot).at_end)


async def test_a_long_message_is_folded_and_opens_by_key_and_click() -> None:
    text = "\n".join(f"line {number}" for number in range(40))
    async with reading(text, "short", size=(80, 60)) as (pilot, _messenger, _bob):
        screen = await until_shown(pilot, "… 12 more rows: Z or a click shows all".replace("Z", "z"))
        assert "line 27" in screen
        assert "line 28" not in screen
        await click(pilot, "more rows")
        await until_shown(pilot, "line 39")
        await pilot.press("ctrl+up", "z")
        await until(pilot, lambda: "line 39" not in shown(pilot))
        await pilot.press("c")
        assert pilot.app.clipboard == text
        await pilot.press("ctrl+up", "down", "z")
        await until_shown(pilot, "This message is short")
        await pilot.press("ctrl+f", *"line 39", "enter")
        await until_shown(pilot, "line 39")


async def test_the_time_stands_close_to_a_short_text_on_a_wide_screen() -> None:
    async with reading("short", "w" * 90, size=(160, 30)) as (pilot, _messenger, _bob):
        rows = {
            row.split("▕")[1].strip() for row in shown(pilot).split("\n") if "▎ " in row.partition("▕")[2]
        }
        short = next(row for row in rows if "short" in row)
        long = next(row for row in rows if "www" in row)
        assert len(short) <= 76
        assert len(long) > 95


async def test_the_list_hides_by_key_and_where_a_screen_is_narrow() -> None:
    async with reading("hello", size=(100, 24)) as (pilot, _messenger, _bob):
        people = chat(pilot).query_one(People)
        await pilot.press("alt+c")
        await until(pilot, lambda: not people.display and composer(pilot).has_focus)
        await pilot.press("alt+c")
        await until(pilot, lambda: people.display and people.has_focus)
    async with reading("hello", size=(44, 16)) as (pilot, _messenger, bob):
        people = chat(pilot).query_one(People)
        assert not people.display
        await pilot.press("alt+c")
        await until(pilot, lambda: people.has_focus and people.size.width > 40)
        await pilot.press("enter")
        await until(pilot, lambda: not people.display and composer(pilot).has_focus)
        assert chat(pilot).state.current == bob.person
        await pilot.resize_terminal(100, 24)
        await until(pilot, lambda: people.display)


def test_every_action_has_a_command_and_each_key_with_alt_another_way() -> None:
    assert {"copy", "rename", "send-files", "lock", "quit", "search"} <= set(NAMES)
    assert "ctrl+r" in BY_ID["alt_key"].keys
    doubles = [key for one in ACTIONS for key in one.keys if one.id not in ("write", "stop_writing")]
    assert len(doubles) == len(set(doubles))


@pytest.mark.parametrize(
    "text", ("/copy", "//x", "/", "/ x", "/etc/x", "a/b", "///", "/copy now", "/copy \n")
)
def test_what_is_escaped_is_sent_as_it_was(text: str) -> None:
    assert typed_command(escaped(text)) is None
    assert unescaped(escaped(text)) == text


def test_commands_are_offered_until_they_are_whole() -> None:
    found = begun_command("/ren")
    assert found is not None
    assert [choice.emoji for choice in found.choices] == ["/rename", "/rename-self"]
    assert begun_command("/rename") is None
    assert begun_command("/rename x") is None
    assert begun_command("x /ren") is None


def test_the_letters_of_other_layouts_stand_on_their_keys() -> None:
    assert [LANGMAP[one] for one in "йцуЙіςακץ'"[:8]] == ["q", "w", "e", "Q", "s", "w", "a", "k"]
    assert meant(Key("ж", "ж"), takes_text=False).key == "semicolon"
    assert meant(Key("ctrl+л", None), takes_text=True).key == "ctrl+k"
    assert meant(Key("x", "x"), takes_text=False).key == "x"
    actions.use({"reply": ("к",)})
    assert meant(Key("к", "к"), takes_text=False).key == "к"


def test_the_file_of_keys_adds_letters_of_another_layout(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text('langmap = "żz œo"')
    keymap = load([tmp_path / "keys.toml"])
    assert keymap.problems == ()
    layouts.use(keymap.langmap)
    assert meant(Key("ż", "ż"), takes_text=False).key == "z"
    assert meant(Key("й", "й"), takes_text=False).key == "q"
    layouts.use({})
    (tmp_path / "keys.toml").write_text('langmap = "żz œ"')
    assert load([tmp_path / "keys.toml"]).problems == (
        "keys.toml: “langmap” must be pairs of letters, such as “ąa ćc”.",
    )


def test_where_nobody_could_continue_it_the_program_is_not_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getsid", lambda _pid: 7)
    monkeypatch.setattr(os, "getpgrp", lambda: 7)
    assert not has_shell()
    monkeypatch.setattr(os, "getpgrp", lambda: 8)
    assert has_shell()
