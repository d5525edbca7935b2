"""Noticing that the terminal is gone.

Rules: a terminal that vanishes sends a signal, and a program that was told to ignore it (nohup) would read
its end for ever, with an open profile; so the descriptor itself is asked, once a second.
"""

from __future__ import annotations

import os
import select
import sys
from typing import Final

STDIN: Final = 0
EVERY: Final = 1.0
"""Seconds between two looks."""


class Watched:
    """A terminal's descriptor. What is no terminal (a pipe, a file) is never gone."""

    def __init__(self, descriptor: int) -> None:
        self._poll: select.poll | None = None
        # Windows has no poll; there a console's end closes the program.
        if sys.platform != "win32" and os.isatty(descriptor):
            self._poll = select.poll()
            self._poll.register(descriptor, 0)

    def gone(self) -> bool:
        """Whether nobody can be at this terminal any more."""
        return self._poll is not None and bool(self._poll.poll(0))
