"""The interface in a real terminal: keys as terminals send them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

import pytest

from tests.support.lab.terminal import Terminal
from tests.support.machine import needs_tmux

pytestmark = pytest.mark.terminal


def program(
    scenario: str,
    label: str = "",
    *,
    size: tuple[int, int] = (80, 24),
    environment: Mapping[str, str] | None = None,
) -> Terminal:
    """The interface on the fake, in a terminal."""
    needs_tmux()
    command = [sys.executable, "-m", "tests.support.tui.program", scenario, label]
    return Terminal(command, columns=size[0], rows=size[1], environment=environment)


def open_conversation(terminal: Terminal) -> str:
    """The first one of the list, in which the focus is where no passphrase was asked; the screen."""
    screen = terminal.wait_for("Write to Bob")
    terminal.send("Enter")
    return screen


def test_first_run_pairing_and_talking_by_keys() -> None:
    with program("new") as new:
        new.wait_for("Name")
        for text in ("Ann", "five small words here", "five small words here"):
            new.write(text)
            new.send("Enter")
        new.wait_for("+ Bob")
        new.send("Enter")
        new.wait_for("They match")
        new.send("y")
        new.wait_for("Paired with Bob")
        for text, key in (("hello", "C-j"), ("second line", "M-Enter"), ("third line", "Enter")):
            new.write(text)
            new.send(key)
        screen = new.wait_for("✓✓ delivered")
        assert re.search(r"▎ You\n.*▎ hello\n.*▎ second line\n.*▎ third line ", screen)
        new.send("C-q")
        assert new.wait_exit() == 0


def test_a_paste_of_many_lines_is_one_text() -> None:
    with program("name", "Bob") as terminal:
        open_conversation(terminal)
        terminal.paste("one\ntwo\x07\r\x1b\r\x1b[31m\nthree")
        terminal.wait_for("three")
        assert "delivered" not in terminal.screen()
        terminal.send("Enter")
        screen = terminal.wait_for("delivered")
        assert re.search(r"▎ one\n.*▎ two\n.*▎\n.*▎ \[31m\n.*▎ three", screen)


def test_the_cursor_stands_where_an_input_method_opens_its_window() -> None:
    with program("name", "Bob") as terminal:
        shown = open_conversation(terminal).split("\n")
        row = next(at for at, text in enumerate(shown) if "Write to Bob" in text)
        left = shown[row].index("Write to Bob")
        for text, column in (("你好", 4), ("e\u0301", 5), ("👍", 7), ("x", 8)):
            terminal.write(text)
            terminal.wait_for(lambda _, to=left + column: terminal.cursor() == (to, row))  # type: ignore[misc]
        terminal.send("Left", "Left")
        terminal.wait_for(lambda _: terminal.cursor() == (left + 5, row))
        terminal.send("End", "C-j")
        terminal.wait_for("▕│ 你好e\u0301👍x")  # the composer grew upwards: its last row is where it was
        terminal.wait_for(lambda _: terminal.cursor() == (left, row))
        terminal.send("M-Home")
        terminal.wait_for("No unread messages")  # below the composer, which it moves up
        terminal.wait_for(lambda _: terminal.cursor() == (left, row - 1))


def test_a_screen_at_rest_writes_nothing_to_a_slow_link() -> None:
    with program("name", "Bob") as terminal:
        terminal.wait_for("Write to Bob")
        terminal.wait_quiet()
        drawn = terminal.written()
        for _ in range(6):  # a second and more, in which a cursor that blinks would write twice
            terminal.wait_quiet()
        assert terminal.written() == drawn


def test_locking_leaves_nothing_on_the_screen() -> None:
    with program("talk") as terminal:
        terminal.wait_for("+ Frank")
        terminal.send("Enter")
        terminal.wait_for("long cable")
        terminal.send("M-l")
        terminal.wait_for("Enter your passphrase")
        terminal.wait_quiet()
        screen = terminal.screen()
        assert "cable" not in screen
        assert "Carla" not in screen
        terminal.write("correct horse")
        terminal.send("Enter")
        terminal.wait_for("long cable")


def test_the_cursor_is_shown_where_the_focus_is() -> None:
    with program("talk") as terminal:
        terminal.wait_for("+ Frank")
        terminal.send("Enter")
        shown = terminal.wait_for("long cable").split("\n")
        last = next(at for at, row in enumerate(shown) if "▎ One more thing: could" in row)
        terminal.wait_for(lambda _: terminal.shows_cursor())
        terminal.send("C-Up")
        terminal.wait_for(lambda _: terminal.cursor()[1] == last)
        terminal.send("Up")
        terminal.wait_for(lambda _: terminal.cursor()[1] < last)
        terminal.send("F12")
        rows = terminal.wait_for("Colours").split("\n")
        row = next(at for at, text in enumerate(rows) if "Colours" in text)
        terminal.wait_for(lambda _: terminal.cursor()[1] == row)
        terminal.wait_for(lambda _: terminal.shows_cursor())


def test_ctrl_z_goes_to_the_shell_from_everywhere_and_fg_comes_back() -> None:
    needs_tmux()
    with Terminal(["bash", "--norc", "--noprofile", "-i"], columns=80, rows=24) as terminal:
        terminal.write(f"{sys.executable} -m tests.support.tui.program name Bob\n")
        open_conversation(terminal)
        terminal.write("not sent")
        terminal.wait_for("│ not sent")
        for opens, shows in ((), ""), (("F1",), "Help ─"):
            terminal.send(*opens, "C-z")
            screen = terminal.wait_for("Stopped")
            assert "Write to Bob" not in screen
            terminal.write("clear; fg\n")
            terminal.wait_for(shows or "│ not sent")
        terminal.send("Escape")
        terminal.wait_for("│ not sent")
        terminal.send("C-l")
        terminal.wait_for("│ not sent")
        terminal.send("C-q")
        terminal.wait_for("bash-")
