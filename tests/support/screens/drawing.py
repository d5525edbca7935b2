"""Draws a picture as SVG: small, in the fonts that the reader has, and with no address in it.

Rules: each cell stands in its column whatever the font's widths are; blocks are drawn as rectangles, so that
a QR code scans from the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import Final

from rich.cells import cell_len

from tests.support.screens.picture import Look, Picture, Run

SIZE: Final = 15
WIDTH: Final = 9.03  # of a cell: DejaVu Sans Mono's at this size
HEIGHT: Final = 18.0
FRAME: Final = 10
FONTS: Final = (
    "'DejaVu Sans Mono','Menlo','Consolas','Noto Sans Mono CJK SC','PingFang SC','Microsoft YaHei',monospace"
)
_BASE: Final = 0.76  # of the height: where letters stand

# The part of a cell that a block covers: left, top, width, height.
_BLOCKS: Final = {
    "█": (0, 0, 1, 1), "▀": (0, 0, 1, 0.5), "▄": (0, 0.5, 1, 0.5), "▌": (0, 0, 0.5, 1), "▐": (0.5, 0, 0.5, 1),
    "▎": (0, 0, 0.25, 1), "▏": (0, 0, 0.125, 1), "▕": (0.875, 0, 0.125, 1), "▁": (0, 0.875, 1, 0.125),
    "▔": (0, 0, 1, 0.125), "▊": (0, 0, 0.75, 1), "▂": (0, 0.75, 1, 0.25), "▃": (0, 0.625, 1, 0.375),
    "─": (0, 0.47, 1, 0.06), "│": (0.44, 0, 0.12, 1),
    "▅": (0, 0.375, 1, 0.625), "▆": (0, 0.25, 1, 0.75), "▇": (0, 0.125, 1, 0.875),
}  # fmt: skip

# To which sides of its cell a round corner leads: left or right, up or down.
_CORNERS: Final = {"╭": (1, 1), "╮": (0, 1), "╰": (1, 0), "╯": (0, 0)}
_STROKE: Final = 1.08  # how thick the lines above are


def draw(picture: Picture, ink: str, ground: str) -> str:
    """The picture as SVG. `ink` and `ground`: the terminal's own two colours."""
    width = round(picture.columns * WIDTH + 2 * FRAME, 2)
    height = round(len(picture.rows) * HEIGHT + 2 * FRAME, 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'font-family="{FONTS}" font-size="{SIZE}" xml:space="preserve">',
        f'<rect width="{width:g}" height="{height:g}" rx="8" fill="{ground}"/>',
    ]
    for number, row in enumerate(picture.rows):
        parts += _row(row, FRAME + number * HEIGHT, ink, ground)
    return "\n".join([*parts, "</svg>\n"])


def _row(row: tuple[Run, ...], top: float, ink: str, ground: str) -> Iterator[str]:
    yield from _grounds(row, top, ink, ground)
    at = float(FRAME)
    for run in row:
        colour = _colour(run.look.ink, ink, ground) or ink
        for text, cells in _pieces(run.text):
            if text[0] in _BLOCKS:
                yield _block(_BLOCKS[text[0]], at, top, cells, colour)
            elif text in _CORNERS:
                yield _corner(_CORNERS[text], at, top, colour)
            elif text.strip():
                yield _text(text, run.look, at, top, cells, colour)
            at += cells * WIDTH


def _grounds(row: tuple[Run, ...], top: float, ink: str, ground: str) -> Iterator[str]:
    at, begun, held = float(FRAME), float(FRAME), ""
    for colour, cells in [*((_colour(run.look.ground, ink, ground), run.cells) for run in row), ("end", 0)]:
        if colour != held:
            if held and held != ground and at > begun:
                yield _rect(begun, top, at - begun, HEIGHT, held)
            begun, held = at, colour
        at += cells * WIDTH


def _pieces(text: str) -> Iterator[tuple[str, int]]:
    """The text in pieces that can be put into their columns: words, bars, and every other sign alone."""
    for _, alike in groupby(_clusters(text), key=_kind):
        piece = "".join(alike)
        yield piece, cell_len(piece)


def _kind(cluster: str) -> object:
    """What stands in one piece: letters of one cell, and blocks that fill the width of theirs."""
    if cluster.isascii() or (cell_len(cluster) == 1 == len(cluster) and cluster.isalpha()):
        return ""
    part = _BLOCKS.get(cluster)
    return cluster if part is not None and part[2] == 1 else object()


def _clusters(text: str) -> Iterator[str]:
    """Each sign with what is put on it and takes no column of its own."""
    held = ""
    for char in text:
        if held and cell_len(char) > 0:
            yield held
            held = ""
        held += char
    if held:
        yield held


def _text(text: str, look: Look, left: float, top: float, cells: int, colour: str) -> str:
    stripped = text.lstrip()
    indent = cell_len(text) - cell_len(stripped)
    shown = stripped.rstrip()
    left += indent * WIDTH
    width = cell_len(shown) * WIDTH
    marks = {"bold": ' font-weight="bold"', "italic": ' font-style="italic"'}
    attributes = "".join(marks.get(mark, "") for mark in look.marks)
    lines = [
        name for name, mark in (("underline", "underline"), ("line-through", "strike")) if mark in look.marks
    ]
    attributes += f' text-decoration="{" ".join(lines)}"' if lines else ""
    return (
        f'<text x="{left:.5g}" y="{top + HEIGHT * _BASE:.5g}" fill="{colour}" textLength="{width:.5g}"'
        f"{attributes}>{escape(shown, quote=False)}</text>"
    )


def _block(part: tuple[float, float, float, float], left: float, top: float, cells: int, colour: str) -> str:
    x, y, width, height = part
    wide = cells * WIDTH
    return _rect(left + x * wide, top + y * HEIGHT, width * wide, height * HEIGHT, colour)


def _corner(sides: tuple[int, int], left: float, top: float, colour: str) -> str:
    """From the middle of one side, round the middle of the cell, to the middle of the other."""
    x, y = left + WIDTH / 2, top + HEIGHT / 2
    side, end = left + WIDTH * sides[0], top + HEIGHT * sides[1]
    return (
        f'<path d="M{side:.5g},{y:.5g}Q{x:.5g},{y:.5g} {x:.5g},{end:.5g}" fill="none" stroke="{colour}" '
        f'stroke-width="{_STROKE}"/>'
    )


def _rect(left: float, top: float, width: float, height: float, colour: str) -> str:
    """A line is left to be smoothed: at a small scale its sharp edges would leave nothing of it."""
    sharp = "" if min(width, height) < 1.1 else ' shape-rendering="crispEdges"'
    place = f'x="{left:.6g}" y="{top:.6g}" width="{width:.6g}" height="{height:.6g}"'
    return f'<rect {place} fill="{colour}"{sharp}/>'


def _colour(named: str, ink: str, ground: str) -> str:
    return {"ink": ink, "ground": ground}.get(named, named)
