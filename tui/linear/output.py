"""What the linear mode says: whole lines, one after the other, on a pipe or a terminal.

Rules: whatever a text holds, it is one line without a control character; nobody is interrupted in the
middle of a line; a call ends when its lines are written, so that a reader who stands still holds up nobody
else.

The line that is being typed at a terminal: edited as terminals do it, known, and so never broken into.

Rules: only what was typed is shown, at the end of the line; the keys are those that every terminal has
(erase, erase a word or all, show again, end); keys that would move a cursor do nothing.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import queue
import threading
import unicodedata
from collections import deque
from typing import Final

from rich.cells import cell_len

LINE_MAX: Final = 1 << 18
"""Characters of one line; a message has far fewer, an invitation too."""

_ENDS: Final = "\r\n"
_ERASES: Final = "\x7f\b"
_KILL, _WORD, _AGAIN, _END, _ESCAPE = "\x15", "\x17", "\x12", "\x04", "\x1b"
_TAB: Final = "    "


class LineEditor:
    """Keys become lines. `hidden`: nothing is shown of them; `resting`: no key came for a while; `left`: what
    was forgotten still stands on the screen.

    `lines` are those that were ended, None for the end of all. A line that holds what is no text in UTF-8, or
    that is longer than LINE_MAX, holds U+FFFD.
    """

    def __init__(self) -> None:
        self.text = ""
        self.hidden = False
        self.resting = False
        self.left = False
        self.keys = 0
        self.lines: deque[str | None] = deque()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._sequence = ""

    @property
    def shown(self) -> str:
        """What of it stands on the screen, behind the last whole line."""
        return "" if self.hidden else self.text

    @property
    def busy(self) -> bool:
        """Whether somebody is in the middle of a line."""
        return bool(self.shown) and not self.resting

    def forget(self) -> None:
        """Drop everything that was typed and not read."""
        self.left = self.left or bool(self.shown)
        self.text, self._sequence = "", ""
        self.lines.clear()
        self._decoder.reset()

    def feed(self, data: bytes) -> str:
        """Take in what the terminal gave; returns what is to be shown of it."""
        self.keys += 1
        self.resting = False
        return "".join(self._key(key) for key in self._decoder.decode(data))

    def _key(self, key: str) -> str:
        if self._sequence or key == _ESCAPE:
            self._sequence = _sequence(self._sequence + key)
            return ""
        if key in _ENDS:
            self.lines.append(self.text)
            self.text = ""
            return "\n"
        if key in _ERASES:
            return self._erase(len(_without_last(self.text)))
        if key == _KILL:
            return self._erase(0)
        if key == _WORD:
            return self._erase(len(self.text.rstrip().rpartition(" ")[0].rstrip()))
        if key == _AGAIN:
            return f"\n{self.shown}"
        if key == _END and not self.text:
            self.lines.append(None)
        return self._add(_TAB if key == "\t" else key)

    def _add(self, text: str) -> str:
        if unicodedata.category(text[0]) in ("Cc", "Cs") or len(self.text) > LINE_MAX:
            return ""
        self.text += text if len(self.text) < LINE_MAX else "\ufffd"
        return "" if self.hidden else text

    def _erase(self, kept: int) -> str:
        """Cut the text, and wipe what stood behind."""
        cells = cell_len(self.shown[kept:])
        self.text = self.text[:kept]
        return "\b \b" * cells


def _without_last(text: str) -> str:
    """The text without its last character, and without the marks on that."""
    kept = len(text) - 1
    while kept > 0 and unicodedata.category(text[kept])[0] == "M":
        kept -= 1
    return text[: max(0, kept)]


def _sequence(held: str) -> str:
    """A sequence of a key that is no character, as long as it is not whole; then nothing."""
    if len(held) == 1 or (len(held) == 2 and held[1] in "[O"):
        return held
    if held[1] == "[" and not "@" <= held[-1] <= "~" and len(held) < 32:
        return held
    return ""


HELD_MAX: Final = 100
"""Lines kept while a person wants to hear nothing; the oldest go first, and that is said."""

_STEERING: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029), " ")
_BELL: Final = b"\a"

Job = tuple[bytes, asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Output:
    """Lines to a descriptor. `gone` is set when nobody can read them any more."""

    def __init__(self, descriptor: int = 1, encoding: str = "utf-8") -> None:
        self.gone = asyncio.Event()
        self.at_terminal = os.isatty(descriptor)
        self.editor = LineEditor()
        self.holding = False
        self.dropped = 0
        self._descriptor = descriptor
        self._encoding = encoding
        self._held: deque[str] = deque(maxlen=HELD_MAX)
        self._jobs: queue.SimpleQueue[Job] | None = None

    async def say(self, *lines: str) -> None:
        """Say lines now. A line that is being typed is shown again behind them."""
        typed = self.editor.shown
        begins = "\n" if typed or self.editor.left else ""
        self.editor.left = False
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
        return self.holding or self.editor.busy

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
