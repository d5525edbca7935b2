"""What the linear mode says: whole lines, one after the other, on a pipe or a terminal.

Rules: whatever a text holds, it is one line without a control character; nobody is interrupted in the middle
of a line; a call ends when its lines are written, so that a reader who stands still holds up nobody else.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections import deque
from typing import Final

from tui.linear.draft import Draft

HELD_MAX: Final = 100
"""Lines kept while a person wants to hear nothing; the oldest go first, and that is said."""

_STEERING: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029), " ")
_BELL: Final = b"\a"

Job = tuple[bytes, asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Voice:
    """Lines to a descriptor. `gone` is set when nobody can read them any more."""

    def __init__(self, descriptor: int = 1, encoding: str = "utf-8") -> None:
        self.gone = asyncio.Event()
        self.at_terminal = os.isatty(descriptor)
        self.draft = Draft()
        self.holding = False
        self.dropped = 0
        self._descriptor = descriptor
        self._encoding = encoding
        self._held: deque[str] = deque(maxlen=HELD_MAX)
        self._jobs: queue.SimpleQueue[Job] | None = None

    async def say(self, *lines: str) -> None:
        """Say lines now. A line that is being typed is shown again behind them."""
        typed = self.draft.shown
        begins = "\n" if typed or self.draft.left else ""
        self.draft.left = False
        written = "".join(f"{line.translate(_STEERING)}\n" for line in lines)
        await self.echo(f"{begins}{written}{typed}")

    async def echo(self, typed: str) -> None:
        """Show what was typed."""
        await self._write(typed.encode(self._encoding, "backslashreplace"))

    async def tell(self, *lines: str) -> None:
        """Say lines that nobody asked for: at once, or when the person wants to hear again."""
        if not self.waits:
            await self.say(*lines)
            return
        self.dropped += max(0, len(self._held) + len(lines) - HELD_MAX)
        self._held.extend(lines)

    @property
    def waits(self) -> bool:
        """Whether nothing may be told now: that is wanted, or somebody is in the middle of a line."""
        return self.holding or self.draft.busy

    async def release(self) -> bool:
        """Say what was held back; False when nothing was."""
        lines, self.dropped = tuple(self._held), 0
        self._held.clear()
        if lines:
            await self.say(*lines)
        return bool(lines)

    def forget(self) -> None:
        """Say nothing of what was held back: whom it concerned has locked."""
        self.holding, self.dropped = False, 0
        self._held.clear()

    async def ring(self) -> None:
        """Ring the terminal's bell; what is no terminal gets no such byte."""
        if self.at_terminal:
            await self._write(_BELL)

    async def _write(self, data: bytes) -> None:
        if self.gone.is_set():
            return
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            # A daemon: a reader that stands still for ever must not keep the program from ending.
            threading.Thread(target=_work, args=(self._descriptor, self._jobs), daemon=True).start()
        done = asyncio.get_running_loop().create_future()
        self._jobs.put((data, asyncio.get_running_loop(), done))
        try:
            await done
        except OSError:  # the reader of a pipe has gone, or the terminal
            self.gone.set()


def _work(descriptor: int, jobs: queue.SimpleQueue[Job]) -> None:
    """Write one job after the other, in a thread of its own."""
    while True:
        data, loop, done = jobs.get()
        failure: OSError | None = None
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        except OSError as error:
            failure = error
        if loop.is_closed():
            return
        loop.call_soon_threadsafe(_settle, done, failure)


def _settle(done: asyncio.Future[None], failure: OSError | None) -> None:
    if done.cancelled():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
