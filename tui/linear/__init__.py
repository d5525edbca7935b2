"""The linear mode: a whole client for those who listen or feel, one line an event, commands typed.

Rules: what is said stays as it was said, and only the line that is being typed is ever changed; nothing here
loads Textual; `run` is the way in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chat.interface import Door
    from tui.preferences import Options


def run(door: Door, options: Options | None = None) -> int:
    """Talk on standard input and output until the person leaves; the exit status."""
    from tui.linear.program import run

    return run(door, options)
