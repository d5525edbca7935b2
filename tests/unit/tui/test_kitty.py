"""Pictures by kitty's graphics protocol: what the terminal is given, where it draws, and what it forgets."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator
from random import Random

import pytest
from textual.pilot import Pilot

from chat.interface import PictureView
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chatting, history, until
from tests.unit.tui.test_pictures_shown import choose, drawn, with_picture
from tui.app import ParlourApp
from tui.graphics import Graphics
from tui.preferences import Drawing
from tui.text.kitty import COLUMNS_MAX, ROWS_MAX, Placed, forgotten, given, placed, spans

PICTURE = PictureView(width=20, height=33, pixels=bytes(range(256)) * 7 + bytes(188))
LARGE = PictureView(width=400, height=400, pixels=Random(1).randbytes(480_000))
_SEQUENCE = re.compile(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\")


def read(parts: Iterator[str]) -> tuple[dict[str, str], list[dict[str, str]], bytes]:
    """The keys of the first sequence, those of each, and the data of all, as a terminal reads them."""
    found = [_SEQUENCE.fullmatch(part) for part in parts]
    keys, data = list[dict[str, str]](), ""
    for one in found:
        assert one is not None
        keys.append(dict(pair.split("=") for pair in one[1].split(",")))
        assert len(one[2]) <= 4_096
        data += one[2]
    return keys[0], keys, base64.b64decode(data, validate=True)


def test_a_terminal_is_given_the_pixels_and_the_cells() -> None:
    first, (only,), data = read(given(Placed(0x12AB, 3, 2), PICTURE))
    assert zlib.decompress(data) == PICTURE.pixels
    assert first == only
    assert first == {
        "a": "T",
        "U": "1",
        "f": "24",
        "o": "z",
        "t": "d",
        "s": "20",
        "v": "33",
        "i": str(0x12AB),
        "c": "3",
        "r": "2",
        "q": "2",
        "m": "0",
    }


def test_a_large_picture_goes_in_chunks_and_no_answer_is_wanted() -> None:
    _first, keys, data = read(given(Placed(9, 50, 25), LARGE))
    assert zlib.decompress(data) == LARGE.pixels
    assert len(keys) > 2
    assert [one["m"] for one in keys] == ["1"] * (len(keys) - 1) + ["0"]
    assert {one["q"] for one in keys} == {"2"}
    assert all(set(one) == {"q", "m"} for one in keys[1:])


@pytest.mark.parametrize(
    ("size", "columns", "cells"),
    [
        ((400, 400), 100, (50, 25)),
        ((400, 400), 20, (20, 10)),
        ((1, 400), 80, (1, 25)),
        ((400, 1), 80, (50, 1)),
        ((20, 33), 80, (3, 2)),
        ((1, 1), 1, (1, 1)),
    ],
)
def test_a_picture_keeps_its_proportions(size: tuple[int, int], columns: int, cells: tuple[int, int]) -> None:
    place = placed(1, PictureView(width=size[0], height=size[1], pixels=b""), columns)
    assert (place.columns, place.rows) == cells
    assert place.columns <= COLUMNS_MAX
    assert place.rows <= ROWS_MAX


def test_each_cell_says_its_row_and_column_in_the_colour_of_its_picture() -> None:
    rows = list(spans(Placed(0x0000FE, 3, 2), 2))
    assert rows == [
        [("#0000fe", "\U0010eeee\u0305\u0305\U0010eeee\u0305\u030d")],
        [("#0000fe", "\U0010eeee\u030d\u0305\U0010eeee\u030d\u030d")],
    ]


def test_the_last_marks_are_those_of_kitty() -> None:
    """rowcolumn-diacritics.txt has 0x5a9 in its place 49, and 0x36a in its place 24."""
    ((_style, row),) = list(spans(Placed(1, 50, 25), 50))[-1]
    assert row.endswith("\U0010eeee\u036a\u05a9")


@pytest.mark.parametrize("tmux", ["", "/tmp/tmux-0/default,1,0"])
def test_what_is_not_shown_any_more_is_forgotten(tmux: str) -> None:
    said = list[str]()
    graphics = Graphics(said.append, {"TMUX": tmux})
    (place,) = graphics.show({"a": PICTURE}, 80, more=True).values()
    begun = len(said)
    assert graphics.show({"a": PICTURE, "b": LARGE}, 80, more=False) == {"a": place}
    assert len(said) == begun
    graphics.clear()
    graphics.clear()
    want = forgotten(place)
    assert said[begun:] == [f"\x1bPtmux;{want.replace(chr(27), chr(27) * 2)}\x1b\\" if tmux else want]
    assert want == f"\x1b_Ga=d,d=I,i={place.number},q=2\x1b\\"
    assert place.number in range(1, 1 << 24)


async def shown(pilot: Pilot[None], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written to the terminal besides what Textual draws, from now on."""
    said = list[str]()
    app = pilot.app
    assert isinstance(app, ParlourApp)
    monkeypatch.setattr(app._graphics, "_write", said.append)
    monkeypatch.setattr(app.console, "_color_system", 3)  # TRUECOLOR
    return said


def chosen(messenger: FakeMessenger) -> None:
    messenger._preferences["drawing"] = Drawing.KITTY


def placeholders(pilot: Pilot[None]) -> list[tuple[str, str]]:
    """Colour and text of the cells that the terminal draws a picture in, row by row."""
    view = history(pilot)
    rows = [view._strip(y, view._measured()) for y in range(view.size.height)]
    found = [segment for row in rows for segment in row if "\U0010eeee" in segment.text]
    return [(str(one.style.color.name), one.text) for one in found if one.style and one.style.color]


async def test_a_chosen_picture_is_drawn_by_the_terminal_and_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    messenger, bob, entry = with_picture()
    messenger.pictures[entry.id] = PICTURE
    chosen(messenger)
    async with chatting(messenger) as pilot:
        said = await shown(pilot, monkeypatch)
        await choose(pilot, entry)
        await pilot.press("p")
        await until(pilot, lambda: len(placeholders(pilot)) == 2)
        first, _keys, _data = read(iter(said))
        assert {colour for colour, _text in placeholders(pilot)} == {f"#{int(first['i']):06x}"}
        number = int(first["i"])
        colour = f"38;2;{number >> 16};{number >> 8 & 255};{number & 255}"
        view = history(pilot)
        lines = [view._strip(y, view._measured()).render(pilot.app.console) for y in range(view.size.height)]
        assert sum(colour in line and "\U0010eeee\u0305" in line for line in lines) == 1, "as it is written"
        assert not drawn(pilot)
        ((_contact, _id, width, height),) = messenger.called("show_picture")
        assert width in range(81, 401)
        assert height in range(81, 401)
        said.clear()
        await messenger.delete(bob.person, entry.id)
        await until(pilot, lambda: not placeholders(pilot))
        assert said == [forgotten(Placed(int(first["i"]), 3, 2))]


async def test_a_lock_leaves_no_picture_in_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    messenger, _bob, entry = with_picture()
    messenger.pictures[entry.id] = PICTURE
    chosen(messenger)
    async with chatting(messenger) as pilot:
        said = await shown(pilot, monkeypatch)
        await choose(pilot, entry)
        await pilot.press("p")
        await until(pilot, lambda: bool(placeholders(pilot)))
        await pilot.press("alt+l")
        await until(pilot, lambda: said[-1].startswith("\x1b_Ga=d,d=I,"))


async def test_nothing_is_written_unless_it_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    messenger, _bob, entry = with_picture()
    async with chatting(messenger) as pilot:
        said = await shown(pilot, monkeypatch)
        await choose(pilot, entry)
        await pilot.press("p")
        await until(pilot, lambda: bool(drawn(pilot)))
        assert (said, placeholders(pilot)) == ([], [])


async def test_a_terminal_that_changes_colours_gets_half_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    messenger, _bob, entry = with_picture()
    chosen(messenger)
    async with chatting(messenger) as pilot:
        said = await shown(pilot, monkeypatch)
        monkeypatch.setattr(pilot.app.console, "_color_system", 2)  # EIGHT_BIT
        await choose(pilot, entry)
        await pilot.press("p")
        await until(pilot, lambda: bool(drawn(pilot)))
        assert (said, placeholders(pilot)) == ([], [])
