"""Attacks 14, 78 and 79 outside of the screen: files, titles, reports, the clipboard, what is said."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from chat.interface import ContactRemoved, IdentityChanged, Notice, Phrase
from tests.support.tui.driving import chat, until_shown, with_bob_open
from tests.support.tui.hostile import ATTACKS
from tests.support.tui.opened import opened
from tests.unit.tui.test_terminal import program
from tui import LEAKS
from tui.app import fault
from tui.messages import EngineEvent
from tui.screens.finder import PaletteDialog
from tui.text.safe import safe
from tui.widgets.controls import Field
from tui.widgets.lines import Said

NEEDLE = "needle-that-somebody-wrote"
HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me"))


@pytest.mark.terminal
def test_attack_78_a_fault_ends_the_program_without_a_word_that_was_written() -> None:
    with program("faulty", NEEDLE) as terminal:
        assert terminal.wait_exit() == 1
        terminal.wait_for("RuntimeError in program.py")
        assert NEEDLE.encode() not in terminal.written()
        assert "report this line" in terminal.screen().replace("\n", " ")


@pytest.mark.terminal
def test_attack_78_textuals_variables_write_no_screen_to_a_file(tmp_path: Path) -> None:
    variables = {
        "TEXTUAL": "debug,devtools",
        "TEXTUAL_DEBUG": "1",
        "TEXTUAL_LOG": str(tmp_path / "log"),
        "TEXTUAL_SCREENSHOT": "0",
        "TEXTUAL_SCREENSHOT_LOCATION": str(tmp_path),
    }
    assert set(variables) <= set(LEAKS)
    with program("name", NEEDLE, environment=variables) as terminal:
        terminal.wait_for("No messages yet")
        terminal.send("C-q")
        assert terminal.wait_exit() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.terminal
def test_attack_78_the_title_is_a_number_and_the_clipboard_is_left_alone() -> None:
    with program("talk") as terminal:
        terminal.wait_for("+ Frank")
        terminal.send("Enter")
        terminal.wait_for("long cable")
        terminal.send("C-q")
        terminal.wait_for("Quit now?")
        terminal.send("C-q")
        terminal.wait_exit()
        written = terminal.written()
    titles = re.findall(rb"\x1b\]2;(.*?)\x1b\\", written)
    assert titles[0] == b"Parlour"
    assert {re.sub(rb"\(\d+\) ", b"", title) for title in titles} == {b"Parlour"}
    assert written.index(b"\x1b[22;2t") < written.index(b"\x1b]2;") < written.index(b"\x1b[23;2t")
    for number in (b"0;", b"1;", b"8;", b"9;", b"52", b"99", b"777"):
        assert b"\x1b]" + number not in written


def test_attack_78_an_error_is_named_by_kind_and_place_only() -> None:
    try:
        raise ValueError(NEEDLE)
    except ValueError as error:
        said = fault(error)
    assert NEEDLE not in said
    assert "ValueError in test_leaks.py" in said
    assert "unknown place" in fault(None)


async def test_attack_78_the_invitation_goes_to_the_clipboard_only_when_asked() -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        await pilot.press("f2")
        await until_shown(pilot, "parlour:fake-invitation")
        assert pilot.app.clipboard == ""
        await pilot.press("c")
        await until_shown(pilot, "Copied")
        assert pilot.app.clipboard.startswith("parlour:fake-invitation")


async def test_attack_78_there_is_no_palette_with_a_screenshot_command() -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        dialog = await opened(pilot, "ctrl+p", PaletteDialog)
        await until_shown(pilot, "Add a contact")
        for word in ("screenshot", "svg"):
            dialog.query_one(Field).value = word
            await until_shown(pilot, "No matching command")


async def test_attack_78_nobodys_words_are_in_title_or_notifications() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        messenger.receive(bob.person, NEEDLE)
        await until_shown(pilot, NEEDLE)
        assert (pilot.app.title, pilot.app.sub_title) == ("Parlour", "")
        assert len(pilot.app._notifications) == 0


def test_the_first_screen_loads_nothing_heavy() -> None:
    code = (
        "import sys, tui.app; heavy = {'nacl', 'zeroconf', 'sqlcipher3', 'cryptography', 'segno', "
        "'tui.screens.chat.chat', 'textual.widgets._text_area', 'markdown_it', 'pygments'}; "
        "print(sorted(heavy & set(sys.modules)), sorted(m for m in sys.modules if m.startswith('chat.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = (
        "errors",
        "guarding",
        "interface",
        "looks",
        "notifying",
        "outgoing",
        "recording",
        "searching",
        "views",
    )
    assert done.stdout.strip() == f"[] {[f'chat.{name}' for name in names]}"


def harmless(text: str) -> bool:
    """Whether a text is one line in which every character has its own cells, and stays as it is."""
    return safe(text) == text and not any(unicodedata.category(one) in HIDDEN for one in text)


async def test_attack_79_what_is_said_is_one_harmless_line() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        screen, said = chat(pilot), chat(pilot).query_one(Said)
        for text in ATTACKS.values():
            for event in (
                Notice(Phrase(text)),
                IdentityChanged(bob.person, text, Phrase(text)),
                ContactRemoved("ab" * 32, text),
            ):
                screen.on_engine_event(EngineEvent(messenger, event))
                assert harmless(said.visual.plain), event  # type: ignore[attr-defined]
        assert (pilot.app.title, pilot.app.sub_title) == ("Parlour", "")
        assert not pilot.app._notifications


async def test_attack_79_what_is_copied_has_no_controls_and_no_halves_of_characters() -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        await until_shown(pilot, "Bob")
        for text in ATTACKS.values():
            pilot.app.copy_to_clipboard(text)
            copied = pilot.app.clipboard
            assert not any(unicodedata.category(one) in ("Cc", "Cs") for one in copied if one not in "\n\t")
            assert copied.encode()
