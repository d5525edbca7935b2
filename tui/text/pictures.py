"""A picture as half blocks: a cell has two pixels, in the colours of its letter and of its ground."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from chat.interface import FileState, FileView, PictureView
from tui.text.markdown import Span

HALF: Final = "▀"
COLUMNS_MAX: Final = 100
ROWS_MAX: Final = 40
_MEDIA: Final = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp"))
_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")

Pixel = tuple[int, int, int]


def may_be_picture(file: FileView) -> bool:
    """Whether a file that is whole says that it is a picture; its content decides that, not this."""
    whole = file.state in (FileState.WHOLE, FileState.WITHHELD)
    return whole and (file.media in _MEDIA or file.name.lower().endswith(_ENDINGS))


def cells(picture: PictureView, columns: int) -> Iterator[list[tuple[Pixel, Pixel | None]]]:
    """The rows of a picture in at most so many columns: the upper and the lower pixel of each cell."""
    width = max(1, min(picture.width, columns))
    height = max(1, round(picture.height * width / picture.width))

    def row(y: int) -> list[Pixel]:
        start = 3 * picture.width * (y * picture.height // height)
        places = (start + 3 * (x * picture.width // width) for x in range(width))
        return [(picture.pixels[at], picture.pixels[at + 1], picture.pixels[at + 2]) for at in places]

    for y in range(0, height, 2):
        lower: list[Pixel] | list[None] = row(y + 1) if y + 1 < height else [None] * width
        yield list(zip(row(y), lower, strict=True))


def spans(row: list[tuple[Pixel, Pixel | None]]) -> list[Span]:
    """The same with colours as the names of styles: `#rrggbb` of the letter, and `#rrggbb` of its ground."""
    named = ("".join(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in filter(None, c)) for c in row)
    return [(style, HALF * len(list(some))) for style, some in groupby(named)]


def colours(style: str) -> list[str]:
    """The colours in the name of a style that `spans` made; none in any other name."""
    return [f"#{one}" for one in style[1:].split("#")] if style.startswith("#") else []


def escaped(row: list[tuple[Pixel, Pixel | None]], *, all_colours: bool) -> str:
    """The same for a terminal that draws 16 million colours, or 256."""
    drawn = []
    for (upper, lower), some in groupby(row):
        ground = "" if lower is None else f";{_sgr(48, lower, all_colours)}"
        drawn.append(f"\x1b[0;{_sgr(38, upper, all_colours)}{ground}m{HALF * len(list(some))}")
    return "".join(drawn) + "\x1b[0m"


def _sgr(plane: int, pixel: Pixel, all_colours: bool) -> str:
    if all_colours:
        return f"{plane};2;{pixel[0]};{pixel[1]};{pixel[2]}"
    red, green, blue = (round(part / 51) for part in pixel)
    return f"{plane};5;{16 + 36 * red + 6 * green + blue}"
