"""What a terminal shows, as cells with their looks: from Textual's strips or from a terminal's escapes.

Rules: a picture does not tell where it came from; colours are `#rrggbb`, empty where the terminal's own hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.color import Color
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

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
    """A picture of what Textual draws."""
    return Picture(columns, tuple(_row(strip, columns) for strip in strips))


def of_escapes(screen: str, columns: int, rows: int) -> Picture:
    """A picture of a terminal's screen, as tmux captures it with its escapes."""
    lines = screen.split("\n")[:rows]
    decoder = AnsiDecoder()
    segments = [list(decoder.decode_line(line).render(_CONSOLE)) for line in lines]
    return Picture(columns, tuple(_row(line, columns) for line in segments))


def _row(segments: Iterable[Segment], columns: int) -> tuple[Run, ...]:
    runs: list[Run] = []
    for segment in segments:
        look = _look(segment.style or Style.null())
        if segment.control or not segment.text.rstrip("\n"):
            continue
        text = segment.text.rstrip("\n")
        if runs and runs[-1].look == look:
            runs[-1] = Run(runs[-1].text + text, look)
        else:
            runs.append(Run(text, look))
    missing = columns - sum(run.cells for run in runs)
    if missing > 0:
        runs.append(Run(" " * missing, Look()))
    return tuple(runs)


def _look(style: Style) -> Look:
    ink, ground = _hex(style.color), _hex(style.bgcolor)
    if style.reverse:
        ink, ground = ground or "ground", ink or "ink"
    held = (
        ("bold", style.bold),
        ("italic", style.italic),
        ("underline", style.underline),
        ("strike", style.strike),
    )
    return Look(ink, ground, tuple(name for name, on in held if on))


def _hex(color: Color | None) -> str:
    if color is None or color.is_default:
        return ""
    return color.get_truecolor().hex
