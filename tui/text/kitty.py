"""Pictures by kitty's graphics protocol, in places that are text: they scroll, and go, as text does.

The terminal gets the pixels once. Each cell of a picture is then U+10EEEE with two marks, of its row and of
its column, in a colour that is the number of the picture (kitty's "Unicode placeholders"). Nothing is asked
of the terminal, and it answers nothing (q=2).
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from math import ceil
from typing import Final

from msgspec import Struct

from chat.interface import PictureView
from tui.text.markdown import Span

CELL: Final = (8, 16)
"""Pixels of a cell, which no terminal is asked for. Where it has more it enlarges the picture."""

COLUMNS_MAX: Final = 50
ROWS_MAX: Final = 25

_CELL: Final = "\U0010eeee"
_CHUNK: Final = 4_096
# The first of kitty's rowcolumn-diacritics.txt: the mark of a number is the one at its place.
_MARKS: Final = (
    "\u0305\u030d\u030e\u0310\u0312\u033d\u033e\u033f\u0346\u034a\u034b\u034c\u0350\u0351\u0352\u0357\u035b"
    "\u0363\u0364\u0365\u0366\u0367\u0368\u0369\u036a\u036b\u036c\u036d\u036e\u036f\u0483\u0484\u0485\u0486"
    "\u0487\u0592\u0593\u0594\u0595\u0597\u0598\u0599\u059c\u059d\u059e\u059f\u05a0\u05a1\u05a8\u05a9"
)
assert len(_MARKS) == COLUMNS_MAX


class Placed(Struct, frozen=True):
    """A picture that the terminal has, by its number of 24 bits, and the cells that it takes."""

    number: int
    columns: int
    rows: int


def placed(number: int, picture: PictureView, columns: int) -> Placed:
    """A picture in at most so many columns, in its proportions where a cell is twice as high as wide."""
    wide = max(1, min(columns, COLUMNS_MAX, ceil(picture.width / CELL[0])))
    high = round(picture.height * wide * CELL[0] / (picture.width * CELL[1]))
    return Placed(number, wide, max(1, min(high, ROWS_MAX)))


def given(place: Placed, picture: PictureView) -> Iterator[str]:
    """The sequences that give a terminal the pixels, to be drawn where its cells are."""
    data = base64.standard_b64encode(zlib.compress(picture.pixels)).decode()
    what = f"a=T,U=1,f=24,o=z,t=d,s={picture.width},v={picture.height}"
    where = f"i={place.number},c={place.columns},r={place.rows},q=2"
    for at in range(0, len(data), _CHUNK):
        begin = "q=2" if at else f"{what},{where}"
        yield f"\x1b_G{begin},m={int(at + _CHUNK < len(data))};{data[at : at + _CHUNK]}\x1b\\"


def forgotten(place: Placed) -> str:
    """The sequence that lets a terminal forget a picture, and free what it took."""
    return f"\x1b_Ga=d,d=I,i={place.number},q=2\x1b\\"


def spans(place: Placed, columns: int) -> Iterator[list[Span]]:
    """The rows of a picture, cut off after so many columns; a style is a colour, as in `pictures`."""
    style = f"#{place.number:06x}"
    for row in range(place.rows):
        cells = (f"{_CELL}{_MARKS[row]}{_MARKS[column]}" for column in range(min(place.columns, columns)))
        yield [(style, "".join(cells))]
