"""The cells of a terminal as tmux gives them back; a wide character is one cell here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rich.cells import cell_len

_PIECES = re.compile(r"\x1b\[([0-9;:]*)m|([^\x1b])", re.DOTALL)
_ENDS = {"22": "1 2", "23": "3", "24": "4 21", "25": "5", "27": "7", "28": "8", "29": "9"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, and its attributes as a terminal receives them."""

    text: str
    look: str


def cells_of(row: str) -> list[Cell]:
    """The cells of a row of `Terminal.painted`. Raises ValueError for a sequence that sets no attribute."""
    cells: list[Cell] = []
    look: dict[str, str] = {}
    done = 0
    for piece in _PIECES.finditer(row):
        if piece.start() != done:
            raise ValueError(f"this is in a cell: {row[done : piece.start()]!r}")
        done = piece.end()
        if piece[2] is None:
            _apply(look, piece[1].split(";"))
        elif cells and not cell_len(piece[2]):
            cells[-1] = Cell(cells[-1].text + piece[2], cells[-1].look)
        else:
            cells.append(Cell(piece[2], " ".join(sorted(look.values()))))
    if done != len(row):
        raise ValueError(f"this is in a cell: {row[done:]!r}")
    return cells


def text_of(cells: list[Cell]) -> str:
    return "".join(cell.text for cell in cells)


def _apply(look: dict[str, str], codes: list[str]) -> None:
    while codes:
        code = codes.pop(0)
        if code in ("", "0"):
            look.clear()
        elif code in ("38", "48", "58"):
            count = 4 if codes[0] == "2" else 2
            look[code] = ";".join([code, *codes[:count]])
            del codes[:count]
        elif code in _ENDS:
            for name in _ENDS[code].split():
                look.pop(name, None)
        elif len(code) > 1 and code[0] in "3459" and code[1] == "9" and len(code) == 2:
            look.pop(code[0] + "8", None)
        else:
            ground = {"3": "38", "9": "38", "4": "48"}.get(code[0], code) if len(code) == 2 else code
            look["48" if code.startswith("10") and len(code) == 3 else ground] = code
