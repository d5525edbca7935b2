"""The file of keys: what it may say. Errors in it are reported, and the program starts all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tui.driving import chat, chatting, composer, history, until, until_shown, with_bob
from tests.support.tui.opened import opened, reading
from tui import actions
from tui.actions import ACTIONS, shown_key, with_keys
from tui.keymap import FILE_MAX, load, parse_key
from tui.messages import PreferenceChosen
from tui.screens.chat.chat import ChatScreen
from tui.screens.finder import PaletteDialog, SwitcherDialog
from tui.screens.help import HelpDialog
from tui.screens.search import SearchDialog

DEFAULTS = {one.id: one.keys for one in ACTIONS}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Ctrl+K", "ctrl+k"),
        ("alt+/", "alt+slash"),
        ("?", "question_mark"),
        ("PgUp", "pageup"),
        ("Esc", "escape"),
        ("N", "N"),
        ("shift+ctrl+F3", "ctrl+shift+f3"),
        ("+", "plus"),
        (" f12 ", "f12"),
    ],
)
def test_keys_are_read_as_people_write_them(text: str, key: str) -> None:
    assert parse_key(text) == key
    assert parse_key(shown_key(key)) == key


@pytest.mark.parametrize(
    "text", ["", "f99", "hyper+a", "ctrl+ctrl+a", "ctrl+", "shift+n", "kk", "\x1b", "a b", "é e"]
)
def test_what_is_no_key_is_none(text: str) -> None:
    assert parse_key(text) is None


def test_without_a_file_the_registry_holds(path: Path) -> None:
    assert load([path]).keys == DEFAULTS
    assert load([path, path / "below"]).problems == ()


def test_the_file_goes_before_the_registry(path: Path) -> None:
    keymap = load([written(path, 'switch = ["f11", "alt+0"]\nhelp = "f10"\njump = []\n')])
    assert keymap.keys["switch"] == ("f11", "alt+0")
    assert keymap.keys["help"] == ("f10",)
    assert keymap.keys["jump"] == ()
    assert keymap.keys["day"] == ()  # it had F10, which the person wants for something else
    assert keymap.problems == ("keys.toml: “day” no longer has a key.",)
    assert keymap.keys["search"] == DEFAULTS["search"]


def test_a_later_file_goes_before_an_earlier_one(path: Path, tmp_path: Path) -> None:
    first = written(tmp_path / "first.toml", 'help = "f10"\nday = "alt+d"\n')
    keymap = load([first, written(path, 'help = "f11"\n')])
    assert (keymap.keys["help"], keymap.keys["day"]) == (("f11",), ("alt+d",))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('helo = "f10"', "There is no action “helo”."),
        ('help = "f99"', "“help” has an unknown key: “f99”."),
        ('help = "enter"', "“help” cannot use “enter”, which is needed for typing."),
        ('reply = "up"', "“reply” cannot use “up”, which is needed for typing."),
        ("help = 1", "The keys of “help” must be a list of strings."),
        ('help = ["f11", 1]', "The keys of “help” must be a list of strings."),
        (
            'switch = "f11"\njump = "F11"',
            "F11 is assigned twice. “switch” keeps it, and “jump” loses it.",
        ),
        ('help = "f11"\nhelp = "f12"', "It is not valid TOML and was ignored: "),
        ("= =", "It is not valid TOML and was ignored: "),
        ("x = " + "[" * 3000, "It is not valid TOML and was ignored: "),
        ("#" * (FILE_MAX + 1), "The file is too large."),
    ],
)
def test_what_is_wrong_is_told_in_one_line(path: Path, text: str, problem: str) -> None:
    keymap = load([written(path, text)])
    assert len(keymap.problems) == 1
    assert keymap.problems[0].startswith(f"keys.toml: {problem}")
    assert "\n" not in keymap.problems[0]
    assert set(keymap.keys) == set(DEFAULTS)


def test_a_file_that_is_none_is_told(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"\xff\xfe")
    assert load([path]).problems == ("keys.toml: It is not text in UTF-8.",)
    assert load([tmp_path]).problems[0].startswith(f"{tmp_path.name}: It cannot be read")


def test_no_key_means_two_things_in_any_style() -> None:
    for vi in (False, True):
        keys = [key for name, held in load([], vi=vi).keys.items() if name != "stop_writing" for key in held]
        assert len(keys) == len(set(keys)), sorted(key for key in keys if keys.count(key) > 1)


async def test_the_written_keys_work_and_the_old_ones_do_not(path: Path) -> None:
    written(path, 'switch = "alt+x"\nhelp = "f11"\nreply = "x"\n')
    async with reading("one", keymaps=(path,)) as (pilot, _messenger, _):
        assert "F11 Help   Alt+X Go to" in await until_shown(pilot, "Go to")
        await pilot.press("ctrl+k", "f1")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ChatScreen)
        await opened(pilot, "alt+x", SwitcherDialog)
        await opened(pilot, "f11", HelpDialog)
        assert actions.action("reply").key == "x"


async def test_problems_stand_in_the_line_and_the_program_runs(path: Path) -> None:
    written(path, 'helo = "f11"\nhelp = "f99"\n')
    async with reading("one", size=(120, 34), keymaps=(path,)) as (pilot, _messenger, _):
        await until_shown(pilot, "keys.toml: There is no action “helo”. (and 1 more)")
        await opened(pilot, "f1", HelpDialog)


async def test_vi_keys_move_where_nobody_writes_and_type_where_somebody_does() -> None:
    messenger, bob = with_bob()
    for text in ("first", "second"):
        messenger.receive(bob.person, text)
    await messenger.set_preference("keys", "vi")
    async with chatting(messenger) as pilot:
        await until(pilot, lambda: composer(pilot).has_focus)
        await pilot.press("f", "slash", "n", "i")
        assert composer(pilot).text == "f/ni"
        await pilot.press("escape")
        await until(pilot, lambda: history(pilot).has_focus)
        last = history(pilot).cursor
        await pilot.press("k")
        await until(pilot, lambda: history(pilot).cursor not in ("", last))
        await opened(pilot, "slash", SearchDialog)
        await pilot.press("escape", "i")
        await until(pilot, lambda: composer(pilot).has_focus)
        assert composer(pilot).text == "f/ni"
        assert chat(pilot).finding.recent == [bob.person]


async def test_without_vi_letters_are_no_keys_of_the_screen_and_the_style_changes_at_once() -> None:
    async with reading("first") as (pilot, _messenger, _):
        await pilot.press("ctrl+up")
        await until(pilot, lambda: history(pilot).has_focus)
        await pilot.press("slash", "colon", "f")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ChatScreen)
        pilot.app.post_message(PreferenceChosen("keys", "vi"))
        await until(pilot, lambda: actions.keys_of("details") == ("I",))
        await opened(pilot, "colon", PaletteDialog)


def test_a_command_of_the_shell_is_named_as_one_of_the_interface() -> None:
    said = with_keys("Run 'parlour terminal add' on it, see 'parlour verify --own', or run 'parlour wipe'.")
    assert (
        said
        == "Run “Add a device” (Alt+D) on it, see “Changes of your identity” (Alt+Y), or run 'parlour wipe'."
    )
    actions.use({"devices": ()})
    assert with_keys("'parlour terminal list' shows it.") == "“Your devices” shows it."
    actions.use({})
