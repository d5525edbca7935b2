"""The interface in a real terminal: keys as terminals send them, and text that tries to leave its cells."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest

from tests.lab.terminal import Terminal
from tests.needs import needs_tmux
from tests.tui.hostile import ATTACKS, BODIES, NAMES

needs_tmux()
pytestmark = pytest.mark.terminal

SIZES = [(80, 34), (120, 34)]
EDGE = "▕"


def program(scenario: str, label: str = "", *, size: tuple[int, int] = (80, 24)) -> Terminal:
    """The interface on the fake, in a terminal."""
    command = [sys.executable, "-m", "tests.tui.program", scenario, label]
    return Terminal(command, columns=size[0], rows=size[1])


def whole(terminal: Terminal) -> str:
    """The screen once the program has drawn all of it."""
    terminal.wait_quiet()
    return terminal.screen()


def cells(terminal: Terminal) -> list[str]:
    """Every cell once the program has drawn all of them."""
    terminal.wait_quiet()
    return terminal.cells()


@pytest.fixture
def new() -> Iterator[Terminal]:
    with program("new") as terminal:
        yield terminal


def test_first_run_pairing_and_talking_by_keys(new: Terminal) -> None:
    new.wait_for("Name")
    new.write("Ann")
    new.send("Enter")
    new.write("five small words here")
    new.send("Enter")
    new.wait_for("+ Bob")
    new.send("Enter")
    new.wait_for("They are the same")
    new.send("y")
    new.wait_for("Paired with Bob")
    new.write("hello")
    new.send("C-j")
    new.write("second line")
    new.send("M-Enter")
    new.write("third line")
    new.send("Enter")
    screen = new.wait_for("✓✓ delivered")
    lines = [
        row.rpartition("▎")[2].strip()
        for row in screen.split("\n")
        if EDGE in row and "▎" in row.partition(EDGE)[2]
    ]
    assert lines[:3] == ["You", "hello", "second line"]
    assert lines[3].startswith("third line")
    new.send("C-q")
    assert new.wait_exit() == 0


def test_a_paste_of_many_lines_is_one_text(new: Terminal) -> None:
    with program("name", "Bob") as terminal:
        terminal.wait_for("Write to Bob")
        terminal.paste("one\ntwo\x07\nthree")
        terminal.wait_for("three")
        assert "delivered" not in terminal.screen()
        terminal.send("Enter")
        screen = terminal.wait_for("delivered")
        assert re.search(r"▎ one\n.*▎ two\n.*▎ three", screen)


def test_locking_leaves_nothing_on_the_screen() -> None:
    with program("talk") as terminal:
        terminal.wait_for("+ Frank")
        terminal.send("Enter")
        terminal.wait_for("long cable")
        terminal.send("C-l")
        terminal.wait_for("Enter your passphrase")
        screen = whole(terminal)
        assert "cable" not in screen
        assert "Carla" not in screen
        terminal.write("correct horse")
        terminal.send("Enter")
        terminal.wait_for("long cable")


@pytest.mark.parametrize("size", SIZES)
def test_attack_79_no_entry_changes_a_cell_outside_of_itself(size: tuple[int, int]) -> None:
    with program("bodies", "calm", size=size) as terminal:
        terminal.wait_for("calm")
        calm = cells(terminal)
    with program("bodies", "hostile", size=size) as terminal:
        terminal.wait_for("surrogates:")
        seen = pages(terminal)
    shown = "\n".join(row for page in seen for row in page)
    assert [label for label in ATTACKS if f"{label}:" not in shown] == []
    for page in seen:
        for at, (row, expected) in enumerate(zip(page, calm, strict=True)):
            if at == 0 or at >= size[1] - 5:  # header, composer, status, keys
                assert row == expected
            else:
                left = expected.index(EDGE) + 1
                assert row[:left] == expected[:left]
                assert row[-2] == " ", "the margin before the scroll bar"


def pages(terminal: Terminal) -> list[list[str]]:
    """Every screen from the newest entry to the oldest."""
    seen = [cells(terminal)]
    while f"{next(iter(ATTACKS))}:" not in "\n".join(seen[-1]):
        last = terminal.screen()
        terminal.send("PPage")
        terminal.wait_for(lambda screen, last=last: screen != last)  # type: ignore[misc]
        seen.append(cells(terminal))
    return seen


@pytest.mark.parametrize("size", SIZES)
def test_attack_14_no_name_changes_a_cell_outside_of_itself(size: tuple[int, int]) -> None:
    with program("names", "calm", size=size) as terminal:
        terminal.wait_for("+ calm")
        calm = cells(terminal)
    with program("names", "hostile", size=size) as terminal:
        terminal.wait_for("+ [/foo]")
        rows = cells(terminal)
    assert len(NAMES) + 4 <= size[1] - 2
    for row, expected in zip(rows, calm, strict=True):
        if EDGE in expected:
            assert row[row.index(EDGE) :] == expected[expected.index(EDGE) :]
        else:
            assert row == expected


@pytest.mark.parametrize(
    "label", ["spacing marks", "flags", "joined family", "tall script", "opening markup", "leading combining"]
)
def test_attack_14_no_name_disturbs_a_dialog(label: str) -> None:
    calm, hostile = (dialog_with(name) for name in ("calm", label))
    for row, expected in zip(hostile, calm, strict=True):
        before, name, _ = expected.partition("calm")
        if not name:
            assert row == expected
            continue
        assert row.startswith(before)
        # A row is as wide as the screen: with the same border at its end, the name took only its own cells.
        border = max(expected.rfind(EDGE), expected.rfind("│"))
        assert border < len(before) or row.endswith(expected[border:])


def dialog_with(name: str) -> list[str]:
    """The question whether to block a contact of that name."""
    with program("name", name) as terminal:
        terminal.wait_for("Nothing was written yet")
        terminal.send("F7")
        terminal.wait_for("y Yes")
        return cells(terminal)


def test_attack_79_no_sequence_of_a_peer_reaches_the_terminal() -> None:
    with program("bodies", "hostile") as terminal:
        terminal.wait_for("surrogates:")
        pages(terminal)
        terminal.send("C-q")
        terminal.wait_exit()
        written = terminal.written()
    for needle in (
        b"\x1b]52",
        b"\x1b]8;",
        b"\x1b]0;",
        b"\x1b]2;owned",
        b"\x1b[2J\x1b[10A",
        b"\x1bP+q",
        b"\xc2\x9b",
    ):
        assert needle not in written
    for character in "\u202e\u200d\u200b\ufe0f\u2066\u0489":
        assert character.encode() not in written
    assert len(BODIES) == len(ATTACKS)
