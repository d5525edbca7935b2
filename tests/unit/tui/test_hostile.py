"""Attacks 14 and 79 in a real terminal: whatever a peer writes or is called, no cell but its own changes.

Rules: the same screen is drawn twice, once with every text of seeds/hostile and once with calm texts of as
many rows; outside of the places that belong to those texts both are the same, cell by cell, colours included.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial

import pytest

from tests.support.lab.terminal import Terminal
from tests.support.tui.cells import Cell, cells_of, text_of
from tests.support.tui.hostile import ATTACKS, WORST
from tests.unit.tui.test_terminal import program

pytestmark = pytest.mark.terminal

ROWS = 700  # the list of people and the history have no row in common
WIDTHS = {80: 52, 120: 86}  # of the terminal: of the history in it
EDGE, FRAME = "▕", "│"
Screen = list[list[Cell]]

# What Textual and Parlour tell a terminal: attributes, cursor, erasing, modes, questions, pointer, title.
_OURS = re.compile(
    rb"\x1b\[[0-9;:]*[mHABCDKJ]|\x1b\[[?>=<]?[0-9;]*[hlucq]|\x1b\[\?[0-9;]+\$p|\x1b\]22;[a-z]*\x07"
    rb"|\x1b\[[06] q|\x1b\[2[23];2t|\x1b\]2;(?:\([0-9]+\) )?Parlour\x1b\\|\x1b[78=>]|[\r\n]"
)


def screen(terminal: Terminal) -> Screen:
    """Every cell once the program has drawn all of them."""
    terminal.wait_quiet()
    return [cells_of(row) for row in terminal.painted()]


def differences(hostile: Screen, calm: Screen) -> list[str]:
    """The rows in which a cell differs outside of the place of a name or text."""
    assert len(hostile) == len(calm)
    found = []
    for at, (row, expected) in enumerate(zip(hostile, calm, strict=True)):
        start, end = place(text_of(expected))
        rest = len(expected) - end
        if row[:start] != expected[:start] or row[len(row) - rest :] != expected[end:]:
            found.append(f"{at}: {text_of(row)!r} for {text_of(expected)!r}")
    return found


def place(row: str) -> tuple[int, int]:
    """Where a row of the calm screen has a name or text: its columns, none where it has neither."""
    start = row.find("calm")
    edge = row.find(EDGE)
    if covered := re.match(r"[ ▎]● (c)│", row):  # a dialog leaves so much of a name
        return covered.span(1)
    if start < 0:
        return len(row), len(row)
    if start < edge:
        assert {*row[start:edge]} <= {*"calm 0123456789…"}  # a name, or the last line with it
        return start, edge - 1
    if FRAME in row[start:]:
        return start, row.rindex(FRAME) - 1
    return start, len(row) - 2  # with the time, which stands after the text


@pytest.mark.parametrize("columns", WIDTHS)
def test_attacks_14_and_79_no_text_and_no_name_changes_a_cell_outside_of_its_own(columns: int) -> None:
    (hostile, written), (calm, _) = (
        crowd(label, columns) for label in ("hostile", f"calm:{WIDTHS[columns]}")
    )
    assert differences(hostile, calm) == []
    assert unsafe(written) == set()


def crowd(label: str, columns: int) -> tuple[Screen, bytes]:
    """The conversation with every text and name, whole, and what was written to the terminal for it."""
    with program("crowd", label, size=(columns, ROWS)) as terminal:
        terminal.wait_for("Crowd")
        terminal.wait_for(lambda shown: shown.count("=== before") == len(ATTACKS))
        terminal.send("Enter")
        terminal.write("calm")  # the composer has the focus, and its frame is drawn so
        terminal.wait_for("│ calm ")
        return screen(terminal), terminal.written()


def unsafe(written: bytes) -> set[str]:
    """What was written to a terminal besides the program's sequences and characters that stay in cells."""
    left = _OURS.sub(b"", written).decode()
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me"}
    return {one for one in set(left) if unicodedata.category(one) in hidden or "\ufe00" <= one <= "\ufe0f"}


def test_attack_14_no_name_disturbs_a_header_a_composer_or_a_dialog() -> None:
    hostile, calm = (dialogs(label) for label in ("hostile", "calm"))
    for row, expected in zip(hostile, calm, strict=True):
        assert differences(row, expected) == []
        assert text_of(row[0]).rstrip().endswith("  not verified  ● online")


def test_attack_79_no_text_of_ones_own_changes_a_cell_outside_of_the_composer() -> None:
    with program("names", "calm") as terminal:
        terminal.wait_for("Write to calm")
        terminal.send("Enter")
        terminal.paste("calm")
        terminal.wait_for("│ calm ")
        calm = screen(terminal)
        for attack in (*WORST, "selectors", "tag characters", "Thai and Lao"):
            terminal.send("C-u")
            terminal.wait_for("Write to calm")
            terminal.paste(ATTACKS[attack][:22])
            terminal.wait_for(lambda shown: "Write to calm" not in shown)
            assert differences(screen(terminal), calm) == [], attack


def dialogs(label: str) -> list[Screen]:
    """The question whether to block each of the contacts, over the contact's conversation."""
    seen: list[Screen] = []
    with program("names", label, size=(80, 30)) as terminal:
        header = ""
        for number in range(len(WORST)):
            if number:  # the first conversation is open from the start
                terminal.send("M-Down")
            header = terminal.wait_for(partial(_another_header, header)).split("\n")[0]
            terminal.send("F7")
            terminal.wait_for("Are you sure?")
            seen.append(screen(terminal))
            terminal.send("n")
            terminal.wait_for(lambda shown: "Are you sure?" not in shown)
    return seen


def _another_header(last: str, shown: str) -> bool:
    """Whether a conversation is shown whose first row is another one."""
    header = shown.split("\n")[0]
    return header != last and "not verified" in header
