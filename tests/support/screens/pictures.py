"""Pictures of a screen as cells with looks: from strips or escapes, to SVG or to lines of text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby, pairwise
from typing import Final

from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.color import Color
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as Blended
from textual.strip import Strip
from textual.theme import Theme as Colours

_CONSOLE = Console(color_system="truecolor", force_terminal=True)


@dataclass(frozen=True, slots=True)
class Look:
    """How cells are shown. `marks`: of bold, italic, underline and strike, those that hold."""

    ink: str = ""
    ground: str = ""
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one look, in `cells` columns."""

    text: str
    look: Look

    @property
    def cells(self) -> int:
        return cell_len(self.text)


@dataclass(frozen=True, slots=True)
class Picture:
    """The rows of a screen, each of runs that fill `columns`."""

    columns: int
    rows: tuple[tuple[Run, ...], ...]

    @property
    def text(self) -> tuple[str, ...]:
        """The rows without their looks and trailing blanks."""
        return tuple("".join(run.text for run in row).rstrip() for row in self.rows)


def of_strips(strips: Iterable[Strip], columns: int) -> Picture:
    return Picture(columns, tuple(_row(strip, columns) for strip in strips))


def of_escapes(screen: str, columns: int, rows: int) -> Picture:
    """A picture of a terminal's screen, as tmux captures it with its escapes."""
    lines = screen.split("\n")[:rows]
    decoder = AnsiDecoder()
    segments = [list(decoder.decode_line(line).render(_CONSOLE)) for line in lines]
    return Picture(columns, tuple(_row(line, columns) for line in segments))


def _row(segments: Iterable[Segment], columns: int) -> tuple[Run, ...]:
    runs: list[Run] = []
    shown = [segment for segment in segments if not segment.control and segment.text.rstrip("\n")]
    for look, alike in groupby(shown, key=lambda segment: _look(segment.style or Style.null())):
        runs.append(Run("".join(segment.text.rstrip("\n") for segment in alike), look))
    missing = columns - sum(run.cells for run in runs)
    return (*runs, Run(" " * missing, Look())) if missing > 0 else tuple(runs)


def _look(style: Style) -> Look:
    ink, ground = _hex(style.color), _hex(style.bgcolor)
    if style.reverse:
        ink, ground = ground or "ground", ink or "ink"
    marks = ("bold", "italic", "underline", "strike")
    return Look(ink, ground, tuple(mark for mark in marks if getattr(style, mark)))


def _hex(color: Color | None) -> str:
    return "" if color is None or color.is_default else color.get_truecolor().hex


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
_ATTRIBUTES: Final = {"bold": ' font-weight="bold"', "italic": ' font-style="italic"'}
_LINES: Final = {"underline": "underline", "strike": "line-through"}
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
        parts += _drawn(row, FRAME + number * HEIGHT, ink, ground)
    return "\n".join([*parts, "</svg>\n"])


def _drawn(row: tuple[Run, ...], top: float, ink: str, ground: str) -> Iterator[str]:
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
                yield _svg_text(text, run.look, at, top, cells, colour)
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
    """What one piece contains: letters of one cell, and blocks that fill their own width."""
    if cluster.isascii() or (cell_len(cluster) == 1 == len(cluster) and cluster.isalpha()):
        return ""
    part = _BLOCKS.get(cluster)
    return cluster if part is not None and part[2] == 1 else object()


def _clusters(text: str) -> Iterator[str]:
    """Each sign with what is put on it and takes no column of its own."""
    starts = [at for at, char in enumerate(text) if at == 0 or cell_len(char) > 0]
    for start, end in pairwise([*starts, len(text)]):
        yield text[start:end]


def _svg_text(text: str, look: Look, left: float, top: float, cells: int, colour: str) -> str:
    stripped = text.lstrip()
    shown = stripped.rstrip()
    left += (cell_len(text) - cell_len(stripped)) * WIDTH
    width = cell_len(shown) * WIDTH
    attributes = "".join(_ATTRIBUTES.get(mark, "") for mark in look.marks)
    lines = [_LINES[mark] for mark in look.marks if mark in _LINES]
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


_NAMES = (
    "foreground", "background", "surface", "panel",
    "primary", "secondary", "accent", "success", "warning", "error",
)  # fmt: skip
_BEHIND = (0.4, 0.6)  # how strongly the ground covers what lies behind a dialog


def names_of(theme: Colours) -> dict[str, str]:
    """The names of a theme's colours by their value; behind a dialog they are darker, and marked by `~`."""
    colours = {name: getattr(theme, name) for name in _NAMES} | {
        name: value for name, value in theme.variables.items() if value.startswith("#")
    }
    ground = Blended.parse(theme.background or "")
    named: dict[str, str] = {}
    for name, value in colours.items():
        named.setdefault(value.lower(), name)
    for part in _BEHIND:
        for name, value in colours.items():
            named.setdefault(Blended.parse(value).blend(ground, part).hex.lower(), f"~{name}")
    return named


def dump(picture: Picture, names: Mapping[str, str]) -> list[str]:
    looks = [" ".join(_look_line(run, names) for run in row) for row in picture.rows]
    return [*(f"│{text}" for text in picture.text), "", *_numbered(looks)]


def difference(stored: Sequence[str], now: Sequence[str]) -> str:
    """What differs, empty where nothing does."""
    return "\n".join(difflib.unified_diff(stored, now, "stored", "now", lineterm="", n=1))


def _numbered(looks: Sequence[str]) -> Iterator[str]:
    """Each row's looks after its number; rows that look alike, one below the other, share a line."""
    first = 0
    for row, look in enumerate(looks):
        if row + 1 == len(looks) or looks[row + 1] != look:
            yield f"{first}{f'-{row}' if row > first else ''}: {look}"
            first = row + 1


def _look_line(run: Run, names: Mapping[str, str]) -> str:
    ink, ground = _name(run.look.ink, names), _name(run.look.ground, names)
    text = ink + (f"/{ground}" if ground != "background" else "")
    return f"{'+'.join((text, *run.look.marks))}×{run.cells}"


def _name(colour: str, names: Mapping[str, str]) -> str:
    return names.get(colour.lower()) or _nearly(colour, names) or colour or "default"


def _nearly(colour: str, names: Mapping[str, str]) -> str:
    """The name of a colour that differs in the last place, by rounding on its way to the screen."""
    if not colour.startswith("#"):
        return ""
    parts = Blended.parse(colour).rgb
    near = (
        name
        for value, name in names.items()
        if all(abs(one - other) <= 1 for one, other in zip(parts, Blended.parse(value).rgb, strict=True))
    )
    return next(near, "")
