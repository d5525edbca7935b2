"""Noticing that the terminal is gone, or that somebody wants the program to end.

Rules: a terminal that vanishes sends a signal, and a program that was told to ignore it (nohup) would read
its end for ever, with an open profile; so the descriptor itself is asked, once a second.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

STDIN: Final = 0
ENDING: Final = ("SIGINT", "SIGTERM", "SIGHUP")
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


def heed_signals(leave: Callable[[], object]) -> None:
    """Call `leave` in the loop for a signal that ends programs, so that profile and screen are left in order.

    One that this program was told to ignore stays ignored.
    """
    for name in ENDING:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            with suppress(NotImplementedError):  # nor signals in its event loop
                asyncio.get_running_loop().add_signal_handler(number, leave)
