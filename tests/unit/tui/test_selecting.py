"""Selecting in the history with the mouse and with keys, and what is copied of it."""

from __future__ import annotations

import unicodedata
from base64 import b64encode
from datetime import UTC

import pytest
from textual import events
from textual.pilot import Pilot

from chat.interface import EntryState
from tests.support.fakes.others import START
from tests.support.tui.driving import composer, history, shown, until, until_shown, with_bob
from tests.support.tui.opened import entries, place_of, reading, received
from tui.conversation import Window
from tui.text.message_rows import Setting, place, rows_above, rows_of, shown_text
from tui.text.selecting import Place, Selected, columns, place_at, selected_text

Spot = tuple[int, int]


async def drag(pilot: Pilot[None], start: Spot, *over: Spot, let_go: bool = True) -> None:
    """Press the button at a column and row of the screen, move the mouse over others, and let it go there."""
    await pilot.mouse_down(offset=start)
    for column, row in over:
        pilot.app.screen._forward_event(
            events.MouseMove(None, column, row, 0, 0, 1, False, False, False, column, row)
        )
        await pilot.pause()
    if let_go:
        await pilot.mouse_up(offset=over[-1])


def said(pilot: Pilot[None], text: str, within: str = "") -> Spot:
    """Column and row of a text within a message that begins with another, or is it."""
    column, row = place_of(pilot, f"▎ {within or text}")
    return column + 2 + (within or text).index(text), row


def marked(pilot: Pilot[None]) -> str:
    """What is drawn as selected, row by row."""
    drawn = pilot.app.screen._compositor.render_strips()
    rows = (
        "".join(one.text for one in strip if one.style is not None and one.style.reverse) for strip in drawn
    )
    return "\n".join(row for row in rows if row)


def written(pilot: Pilot[None], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    sequences: list[str] = []
    monkeypatch.setattr(pilot.app._driver, "write", sequences.append)
    return sequences


async def test_a_part_of_a_message_is_copied_to_the_clipboard_and_the_primary_selection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with reading("one two three", "other") as (pilot, _messenger, _bob):
        sequences = written(pilot, monkeypatch)
        column, row = said(pilot, "one two three")
        await drag(pilot, (column + 4, row), (column + 6, row), (column + 7, row))
        await until_shown(pilot, "Copied.")
        assert marked(pilot) == "two"
        encoded = b64encode(b"two").decode()
        assert [one for one in sequences if "]52;" in one] == [
            f"\x1b]52;c;{encoded}\a",
            f"\x1b]52;p;{encoded}\a",
        ]
        await pilot.press("escape")
        assert marked(pilot) == ""
        assert pilot.app.focused is composer(pilot)


async def test_wrapped_rows_are_copied_as_the_line_that_they_are() -> None:
    words = " ".join(f"word{number}" for number in range(40))
    async with reading(words, "after") as (pilot, _messenger, _bob):
        column, row = said(pilot, "word0 ")
        await drag(pilot, (column, row), (79, place_of(pilot, "word39")[1]))
        await until_shown(pilot, "Copied.")
        assert pilot.app.clipboard == words


async def test_several_messages_are_copied_with_time_and_author_and_backwards_too() -> None:
    async with reading("**first** one", "second", "third") as (pilot, messenger, bob):
        messenger.say_as_me(bob.person, "mine", EntryState.SENT)
        await until_shown(pilot, "mine")
        last, first = said(pilot, "mine"), said(pilot, "one", within="first one")
        await drag(pilot, (last[0] + 2, last[1]), (first[0], first[1]))
        await until_shown(pilot, "Copied.")
        times = [f"{entry.time.astimezone(UTC):%Y-%m-%d %H:%M}" for entry in entries(messenger, bob)]
        assert pilot.app.clipboard.split("\n") == [
            f"[{times[0]}] Bob: one",
            f"[{times[1]}] Bob: second",
            f"[{times[2]}] Bob: third",
            f"[{times[3]}] You: mi",
        ]


async def test_a_drag_beyond_the_view_scrolls_and_the_selection_stays_with_its_words() -> None:
    async with reading(count=80) as (pilot, messenger, bob):
        column, row = said(pilot, "entry 79.")
        await drag(pilot, (column + 9, row), (column, 0), let_go=False)
        await until(pilot, lambda: "entry 55." in shown(pilot))
        await pilot.mouse_up(offset=(column, 0))
        await until_shown(pilot, "Copied.")
        assert pilot.app.clipboard.endswith("Bob: entry 79.")
        assert "entry 60." in pilot.app.clipboard
        before = pilot.app.clipboard
        messenger.receive(bob.person, "new")
        await pilot.resize_terminal(100, 30)
        await pilot.press("c")
        assert pilot.app.clipboard == before


async def test_a_click_selects_nothing_and_still_points_at_a_message() -> None:
    async with reading("one", "two") as (pilot, _messenger, _bob):
        await pilot.click(offset=said(pilot, "one"))
        await until_shown(pilot, "█ one")
        assert marked(pilot) == ""
        assert history(pilot).selected_text == ""


async def test_keys_select_whole_messages_and_copy_all_of_them() -> None:
    async with reading("`one`", "two", "three") as (pilot, messenger, bob):
        await pilot.press("ctrl+up", "shift+up", "shift+up", "ctrl+c")
        await until_shown(pilot, "Copied.")
        assert [line.rpartition("Bob: ")[2] for line in pilot.app.clipboard.split("\n")] == [
            "`one`",
            "two",
            "three",
        ]
        await pilot.press("ctrl+up", "shift+down", "c")
        assert [line.rpartition("Bob: ")[2] for line in pilot.app.clipboard.split("\n")] == ["two", "three"]
        await pilot.press("ctrl+up", "up", "c")
        assert pilot.app.clipboard == "`one`"
        assert len(entries(messenger, bob)) == 3


async def test_the_mouse_can_be_left_to_the_terminal_and_taken_back() -> None:
    async with reading("one") as (pilot, messenger, _bob):
        await pilot.press("alt+s")
        await until_shown(pilot, "The mouse is left to the terminal. Alt+S: take it back.")
        assert (await messenger.preferences())["mouse"] == "off"
        await pilot.press("alt+s")
        await until_shown(pilot, "The mouse is used by Parlour.")
        assert "mouse" not in await messenger.preferences()


LONG = "\n".join(
    ("> quoted words of several rows " * 5, "", "- an item " * 12, "家" * 50, "```", "x  = 1", "```")
)


@pytest.mark.parametrize("width", (12, 30, 60))
def test_every_row_knows_its_part_of_the_text(width: int) -> None:
    messenger, bob = with_bob()
    entry = received(messenger, bob, LONG)
    setting = Setting(width, UTC, START.date())
    text, parts = shown_text(entry, setting)
    rows = rows_of(entry, place(entry, None, UTC), setting)
    above = rows_above(entry, place(entry, None, UTC), setting, "")
    for row, part in zip(rows[above:], parts, strict=False):
        drawn = "".join(piece for _style, piece in row)
        assert text[part.start : part.end].replace(" ", "") in drawn.replace(" ", "")
        begin = columns(part, text, part.start, part.end)
        if begin is not None:
            assert place_at(parts, text, parts.index(part), begin[0]) == part.start
            assert place_at(parts, text, parts.index(part), begin[1]) == part.end
    window = Window([entry], complete=True)
    whole = Selected(Place(entry.id, 0), Place(entry.id, len(text)))
    assert selected_text(whole, window, setting) == LONG
    assert rows


def letters(text: str) -> str:
    """Without blanks and without the marks on letters, which are drawn with the cell before them."""
    return "".join(one for one in text if not one.isspace() and not unicodedata.category(one).startswith("M"))


async def test_what_is_marked_is_what_is_copied_also_behind_signs_of_uncertain_width() -> None:
    """Terminals disagree on these by a column; the mark is at the cells that are drawn."""
    for text in ("✓ done ⚠ now", "की हिन्दी ok", "⚠ **bold ✈** and `❤ x` end"):
        async with reading("first", text, "last") as (pilot, _messenger, _bob):
            await until_shown(pilot, "▎ last")
            for begin in range(0, 14, 3):
                for end in range(begin + 1, 16, 3):
                    column, row = place_of(pilot, f"▎ {text[:2]}")
                    await drag(pilot, (column + 2 + begin, row), (column + 2 + end, row))
                    copied = history(pilot).selected_text
                    assert letters(marked(pilot)) == letters(copied)
                    if "done" in text and (begin, end) == (3, 7):
                        assert copied == "one "


def test_a_selection_whose_end_is_gone_is_nothing() -> None:
    setting = Setting(40, UTC, START.date())
    assert selected_text(Selected(Place("a", 0), Place("b", 2)), Window(), setting) == ""


PERSIAN, FAMILY = "می\u200cخواهم", "👨\u200d👩\u200d👧 👍🏽 ❤\ufe0f"
CODE = f"```\nall:\n\tcc -o x x.c\n```\n{PERSIAN} {FAMILY}"


async def test_copied_is_what_was_written_but_no_control_and_nothing_unseen() -> None:
    """Tabs are code, joiners are letters; what hides or turns the order attacks where it is pasted."""
    hostile = "rm\u202e\u2066 x\x1b]52;c;eA==\x07\x9b31m\u200b\U000e0041\ufeff\xad\ud800 end"
    async with reading(CODE, hostile, "last", size=(80, 30)) as (pilot, messenger, bob):
        for entry, wanted in zip(entries(messenger, bob), (CODE, "rm x]52;c;eA==31m end"), strict=False):
            history(pilot).select_nothing()
            history(pilot).choose(entry.id)
            await pilot.press("c")
            assert pilot.app.clipboard == wanted
            history(pilot).selected = Selected(Place(entry.id, 0), Place(entry.id, 10_000))
            await pilot.press("c")
            assert pilot.app.clipboard == wanted
        history(pilot).choose(entries(messenger, bob)[0].id)
        await pilot.press("y")
        assert pilot.app.clipboard == "all:\n\tcc -o x x.c"
