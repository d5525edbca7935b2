"""Keeps text of uncertain width in its place on the terminal.

Rules: Textual draws a row by counting columns, and terminals disagree with its table on spacing marks,
flags and new emoji. Such a run is drawn between a saved and a restored cursor, so that whatever follows
it stands where Textual put it, and no text of a peer can move a cell outside of its own.
"""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.console import Console
from textual._compositor import CompositorUpdate

from tui.formatting import widest

_SAVE, _RESTORE = "\x1b7", "\x1b8"
# Scripts and symbols on whose width terminals agree; everything else is anchored.
_CERTAIN = (
    "\x00-\u02ff"  # ASCII, Latin
    "\u0370-\u0482\u048a-\u058f"  # Greek, Cyrillic, Armenian
    "\u2010-\u2027\u2030-\u205e"  # dashes, quotation marks, ellipsis
    "\u2190-\u21ff\u2500-\u25ff\u2713\u2714\u2717"  # arrows, boxes, blocks, dots, ticks
    "\u3001-\u3029\u3041-\u3096\u30a0-\u30ff"  # CJK punctuation, kana
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"  # ideographs, Hangul
    "\uff01-\uff60"  # full-width forms
)
_UNCERTAIN = re.compile(f"[^{_CERTAIN}]")
_PIECES = re.compile(f"\x1b\\[[0-?]*[ -/]*[@-~]|\x1b[^\\[]|[^\x1b\n]*[^{_CERTAIN}][^\x1b\n]*|[^\x1b]+|\x1b")


class Anchored(CompositorUpdate):
    """An update of the screen whose output is `anchored`."""

    def __init__(self, update: CompositorUpdate) -> None:
        self._update = update

    def render_segments(self, console: Console) -> str:
        return anchored(self._update.render_segments(console))


def anchored(output: str) -> str:
    """The same output with every run of uncertain width tied to its columns.

    A run is what stands between two control sequences: one style in one row.
    """
    if not _UNCERTAIN.search(output):
        return output
    return _PIECES.sub(_piece, output)


def _piece(match: re.Match[str]) -> str:
    piece = match.group()
    if piece.startswith("\x1b") or not _UNCERTAIN.search(piece):
        return piece
    return "".join(_anchor(run) for run in re.split("(\n)", piece))


def _anchor(run: str) -> str:
    columns = cell_len(run)
    if not columns or not _UNCERTAIN.search(run):
        return run
    # Where a terminal makes the run longer, the padding at its end gives way.
    excess = widest(run) - columns
    text = run[: len(run) - min(excess, len(run) - len(run.rstrip(" ")))]
    return f"{_SAVE}{' ' * columns}{_RESTORE}{text}{_RESTORE}\x1b[{columns}C"
