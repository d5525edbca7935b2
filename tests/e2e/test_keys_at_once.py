"""Keys that reach the terminal in one piece, as from a fast hand or a paste without brackets."""

from __future__ import annotations

import re
import sys

import pytest

from tests.support.lab.terminal import Terminal
from tests.support.machine import needs_tmux

needs_tmux()
pytestmark = pytest.mark.terminal


def _interface(scenario: str) -> Terminal:
    return Terminal([sys.executable, "-m", "tests.support.tui.program", scenario], rows=40)


def test_each_enter_sends_what_was_typed_before_it_and_no_more() -> None:
    texts = [f"text-{number}." for number in range(20)]
    with _interface("talk") as terminal:
        terminal.wait_for("+ Frank")
        terminal.send("Enter")
        terminal.wait_for("Write to Bob")
        terminal.burst("".join(f"{text}\r" for text in texts))
        terminal.wait_for(texts[-1])
        terminal.wait_quiet()  # a screen that is half drawn shows a row both where it was and where it is
        history = "\n".join(row.partition("▕")[2] for row in terminal.screen().splitlines())
        assert re.findall(r"text-\d+\.", history) == texts


@pytest.mark.parametrize(
    "keys", ["Ann\rnever shown\rnever shown\r", "Ann\tnever shown\rnever shown\r"], ids=["enter", "tab"]
)
def test_a_passphrase_of_the_first_run_goes_to_its_own_field(keys: str) -> None:
    with _interface("new") as terminal:
        terminal.wait_for("Choose a name")
        terminal.burst(keys)
        terminal.wait_for("+ Bob")
        assert "Ann" in terminal.screen().splitlines()[-2]
        assert b"never" not in terminal.written()


def test_a_burst_goes_through_the_switcher_and_the_lock_into_the_conversation() -> None:
    with _interface("talk") as terminal:
        terminal.wait_for("+ Frank")
        terminal.burst("\x0bCarla\rHello there\r\x0bDana\rAnd you?")
        terminal.wait_for("And you?")
        terminal.burst("\x15\x0bCarla\r")
        terminal.wait_for("Hello there")
        terminal.burst("\x1blcorrect horse\rHello again")
        terminal.wait_for("Hello again")
        assert b"correct" not in terminal.written()
