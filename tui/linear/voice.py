"""What the linear mode says: whole lines, one after the other, on a pipe or a terminal.

Rules: whatever a text holds, one call is one line without a control character; a line is given back only
when it is written, so that a reader who stands still holds up this client and not the engine.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections import deque
from typing import Final

HELD_MAX: Final = 100
"""Lines kept while a person wants to hear nothing; the oldest go first, and that is said."""

_STEERING: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029), " ")
_BELL: Final = b"\a"

Job = tuple[bytes, asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Voice:
    """Lines to a descriptor. `gone` is set when nobody can read them any more."""

    def __init__(self, descriptor: int = 1, encoding: str = "utf-8") -> None:
        self.gone = asyncio.Event()
        self.holding = False
        self.dropped = 0
        self._descriptor = descriptor
        self._encoding = encoding
        self._held: deque[str] = deque(maxlen=HELD_MAX)
        self._jobs: queue.SimpleQueue[Job] | None = None

    async def say(self, *lines: str) -> None:
        """Say lines now."""
        written = "".join(f"{line.translate(_STEERING)}\n" for line in lines)
        await self._write(written.encode(self._encoding, "backslashreplace"))

    async def tell(self, *lines: str) -> None:
        """Say lines that nobody asked for: at once, or when the person wants to hear again."""
        if not self.holding:
            await self.say(*lines)
            return
        self.dropped += max(0, len(self._held) + len(lines) - HELD_MAX)
        self._held.extend(lines)

    async def release(self) -> bool:
        """Say what was held back; False when nothing was."""
        self.holding = False
        lines, self.dropped = tuple(self._held), 0
        self._held.clear()
        if lines:
            await self.say(*lines)
        return bool(lines)

    async def ring(self) -> None:
        """Ring the terminal's bell; what is no terminal gets no such byte."""
        if os.isatty(self._descriptor):
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
