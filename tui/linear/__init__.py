"""A line-by-line interface for screen readers and braille displays: one line per event, typed commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chat.interface import Door
    from tui.preferences import Options


def run(door: Door, options: Options | None = None) -> int:
    """Talk on standard input and output until the person leaves; the exit status."""
    from tui.linear.program import run

    return run(door, options)
