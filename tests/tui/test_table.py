"""Every key of the interface does what the table says, in both languages, one by one and all at once.

TABLE.md is written by PARLOUR_WRITE_TABLE=1. English is pressed key by key. Chinese is pressed in bursts, a
place of the program at once, but for what the program says for the first time, so that it can be read.
"""

from __future__ import annotations

import asyncio
import difflib
import gc
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from textual.screen import Screen
from textual.widget import Widget

from tests.support.tui.opened import own_kinds
from tests.tui.played import CHINESE, ENGLISH, At, Line, Played, Row, Stage, stage
from tests.tui.rows import OPENED, ROWS, TYPED
from tui.actions import ACTIONS, shown_key
from tui.screens.dialog import Dialog

TABLE: Final = Path(__file__).with_name("TABLE.md")
_HEAD: Final = """# What each key does

Written by `PARLOUR_WRITE_TABLE=1 python -m pytest tests/tui`. A text in quotation marks is typed. What is in
brackets is done by others. `|` is the cursor of a field, and `[…]` is what is selected there.
"""
_SHOWN_LINES: Final = 40
_LATIN: Final = re.compile(r"[A-Za-z]{3,}")
_HAN: Final = re.compile(r"[\u4e00-\u9fff]")
# What the fake says by itself, what is typed, and names: how each begins.
_IN_EVERY_LANGUAGE: Final = (
    *(
        "The recovery words were erased",
        "Word 3 ",
        "You said that",
        "There is no such",
    ),
    *(
        ";,along",
        "1 acorn",
        "1 cactus",
        "1 harbour",
        "1 one",
        "❤ :heart:",
        "🐱 :cat:",
        "○ https",
        "● https",
    ),
)


@dataclass
class All:
    """Every row, once it was played in both ways, in one program that goes on from test to test."""

    runner: asyncio.Runner
    stage: Stage
    played: dict[int, Played] = field(default_factory=dict)
    bursts: dict[int, list[object]] = field(default_factory=dict)
    glossary: dict[str, str] = field(default_factory=dict)

    def play(self, wanted: int) -> None:
        """The rows up to this one: what is said for the first time is read there."""
        for at in range(len(self.played), wanted + 1):
            self.runner.run(self._play(at))

    async def _play(self, at: int) -> None:
        played = await self.stage.play(ROWS[at], ENGLISH)
        self.bursts[at] = await self.stage.burst(played, CHINESE, self.glossary)
        self.played[at] = played


@pytest.fixture(scope="module")
def begun(_styles_parsed_once: None) -> Iterator[All]:
    gc.disable()  # a fifth of the time
    with asyncio.Runner() as runner:
        staged = stage()
        yield All(runner, runner.run(staged.__aenter__()))
        runner.run(staged.__aexit__(None, None, None))
    gc.enable()


@pytest.fixture
def everything(begun: All) -> All:
    begun.play(len(ROWS) - 1)
    return begun


@pytest.mark.parametrize("at", range(len(ROWS)), ids=[row.world for row in ROWS])
def test_all_keys_of_a_place_at_once_do_the_same_in_chinese(begun: All, at: int) -> None:
    begun.play(at)
    slow, burst = begun.played[at], begun.bursts[at]
    for place, one_by_one, at_once in zip(_places(slow.row), slow.ends, burst, strict=True):
        assert at_once == one_by_one, place


def test_each_key_does_what_the_table_says(everything: All) -> None:
    table = "\n".join(
        [_HEAD, *(line for one in everything.played.values() for line in _of_row(one, everything.glossary))]
    )
    if os.environ.get("PARLOUR_WRITE_TABLE"):
        TABLE.write_text(table, encoding="utf-8")
    wanted = TABLE.read_text(encoding="utf-8")
    differ = [*difflib.unified_diff(wanted.splitlines(), table.splitlines(), "the table", "now", lineterm="")]
    assert not differ, "\n".join(differ[:_SHOWN_LINES])


def test_every_key_that_answers_is_pressed(everything: All) -> None:
    """A key that is added needs a place in a row; test_typed_words presses those that menus show."""
    pressed = everything.stage.pressed
    in_menus = {
        (menu, key) for menu in ("MenuDialog", "AddContactDialog") for one in ACTIONS for key in one.keys
    }
    lacking = sorted(pressed.answering - pressed.keys - in_menus)
    assert not lacking, lacking


def test_every_screen_and_every_part_that_takes_keys_is_reached(everything: All) -> None:
    screens = {kind.__name__ for kind in own_kinds(Screen) if not _is_a_base(kind)}
    assert screens - everything.stage.pressed.screens == set()
    leaves = {kind for kind in own_kinds(Widget) - own_kinds(Screen) if not kind.__subclasses__()}
    parts = {kind.__name__ for kind in leaves if getattr(kind, "can_focus", False)}
    assert parts - everything.stage.pressed.focused == set()


def test_what_the_program_says_is_chinese(everything: All) -> None:
    english = [
        one
        for one, other in everything.glossary.items()
        if _LATIN.search(one) and not _HAN.search(other) and not one.startswith(_IN_EVERY_LANGUAGE)
    ]
    assert not english, "\n".join(english)


def test_the_focus_is_where_it_was_after_each_dialog(everything: All) -> None:
    looked_at = 0
    for slow in everything.played.values():
        for begin, place in _dialogs(slow):
            left = slow.row.steps.index("escape", begin)
            stack, after = slow.looks[begin].stack, slow.looks[left + 1]
            before = [look for look in slow.looks[begin : left + 1] if look.stack == stack][-1]
            if after.stack == stack:  # else it is back in another dialog
                looked_at += 1
                # What was done with a message leads back to the message box.
                wanted = "composer" if before.focus == "history" else before.focus
                assert after.focus == wanted, place
    assert looked_at > 30


def test_escape_loses_nothing_that_was_typed(everything: All) -> None:
    kept = {kind.__name__ for kind in own_kinds(Dialog) if getattr(kind, "KEPT", ())}
    looked_at = set[str]()
    for slow in everything.played.values():
        for begin, place in _dialogs(slow):
            name = place.removeprefix(OPENED)
            end = next((at for at in range(begin + 1, len(slow.lines)) if slow.lines[at].heading), None)
            looks = slow.looks[slow.row.steps.index("escape", begin) + 2 : end]
            typed = next(one for one in slow.row.steps[begin:] if one in (TYPED, "3d", "12"))
            found = [
                text
                for look in looks
                for where, text in look.values.items()
                if where.startswith(f"{name} ") and str(typed) in text
            ]
            assert bool(found) == (name in kept), place
            looked_at.add(name)
    assert kept - looked_at == set()


def _is_a_base(kind: type) -> bool:
    return kind.__name__ in (
        "ChoiceDialog",
        "Dialog",
        "Finder",
        "FieldsDialog",
        "HeldScreen",
        "LinkingDialog",
        "WordsDialog",
    )


def _places(row: Row) -> list[str]:
    """The place that ends with each outcome; nothing comes before the first."""
    return ["the begin", *(str(step) for step in row.steps if isinstance(step, At))]


def _dialogs(slow: Played) -> Iterator[tuple[int, str]]:
    """Where each place begins in which a dialog is opened and left, and its name."""
    for at, line in enumerate(slow.lines):
        if line.heading and line.pressed.startswith(OPENED):
            yield at, line.pressed


def _of_row(slow: Played, glossary: dict[str, str]) -> Iterator[str]:
    yield from ("", f"## {slow.row.world}")
    for line in slow.lines:
        if line.heading:
            yield from ("", f"### {line.pressed}", "")
            yield from ("| pressed | what happens | English | 中文 |", "|---|---|---|---|")
        else:
            yield _of_line(line, glossary)


def _of_line(line: Line, glossary: dict[str, str]) -> str:
    chinese = [glossary.get(one, "?") for one in line.said]
    pressed = line.pressed if line.pressed[:1] in ("“", "(") or " " in line.pressed else _named(line.pressed)
    cells = (pressed, line.happened, " · ".join(line.said), " · ".join(chinese))
    return f"| {' | '.join(cell.replace('|', '&#124;').strip() for cell in cells)} |"


def _named(key: str) -> str:
    return key if len(key) == 1 else shown_key(key)
