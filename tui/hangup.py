"""Noticing that the terminal is gone, or that somebody wants the program to end.

Rules: a terminal that vanishes sends signals, and a program that was told to ignore them (nohup) would read
its end for ever, with an open profile; so the descriptor itself is asked, at each signal and once a second.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final

STDIN: Final = 0
_STREAMS: Final = (0, 1, 2)
ENDING: Final = ("SIGINT", "SIGTERM", "SIGHUP")
EVERY: Final = 1.0
"""Seconds between two looks."""


class Watched:
    """A terminal's descriptor. What is no terminal (a pipe, a file) is never gone."""

    def __init__(self, descriptor: int) -> None:
        self._poll: select.poll | None = None
        self._streams = [stream for stream in _STREAMS if os.isatty(stream)]
        self._forsaken = False
        # Windows has no poll; there a console's end closes the program.
        if sys.platform != "win32" and os.isatty(descriptor):
            self._poll = select.poll()
            self._poll.register(descriptor, 0)

    def gone(self) -> bool:
        """Whether nobody can be at this terminal any more."""
        return self._forsaken or (self._poll is not None and bool(self._poll.poll(0)))

    def forsake(self) -> None:
        """Write to nothing from now on: writing to a terminal that is gone ends the thread that writes.

        Textual waits for that thread when it stops, and so for ever.
        """
        self._forsaken = True
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in self._streams:
            os.dup2(nothing, stream)
        os.close(nothing)


def heed_signals(leave: Callable[[], object], terminal: Watched | None = None) -> None:
    """Call `leave` in the loop for a signal that ends programs, so that profile and screen are left in order.

    One that this program was told to ignore stays ignored. `terminal` is forsaken where it is gone, before
    anybody goes back to it: its end comes with SIGCONT, after which Textual would start on it anew.
    """
    for name in ENDING:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            with suppress(NotImplementedError):  # nor signals in its event loop
                asyncio.get_running_loop().add_signal_handler(number, leave)
    if terminal is not None and sys.platform != "win32":
        _heed_hangup(leave, terminal)


def _heed_hangup(leave: Callable[[], object], terminal: Watched) -> None:
    loop, resume = asyncio.get_running_loop(), signal.getsignal(signal.SIGCONT)

    def look(number: int, frame: FrameType | None) -> None:
        if terminal.gone():
            terminal.forsake()
            loop.call_soon_threadsafe(leave)
        elif number == signal.SIGCONT and callable(resume):
            resume(number, frame)

    signal.signal(signal.SIGCONT, look)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, look)  # the loop still calls `leave` for it
