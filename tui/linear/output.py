"""Whole lines on a pipe or a terminal, and the line that is being typed there, which no output breaks."""

from __future__ import annotations

import asyncio
import codecs
import os
import queue
import threading
import unicodedata
from collections import deque
from collections.abc import Iterable
from typing import Final

from rich.cells import cell_len

from tui.text.translation import _
from tui.text.wrapping import wrap

CELLS_MAX: Final = 200
"""Cells of a line that nobody asked for whole. Contacts and strangers could fill more."""

LINE_MAX: Final = 1 << 18
"""Characters of one line; a message has far fewer, an invitation too."""

HELD_MAX: Final = 100
"""Lines that are held back; contacts and strangers cause them. The oldest go first, and that is said."""

_ENTER: Final = "\r\n"
_ERASE: Final = "\x7f\b"
_KILL, _WORD, _REPRINT, _END, _ESCAPE = "\x15", "\x17", "\x12", "\x04", "\x1b"
_STEERING: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029), " ")


class LineEditor:
    """Turns keys into lines. It knows the keys that every terminal has; keys that move a cursor do nothing.

    `lines`: ended lines, None for the end of the input. A line that is not UTF-8, or longer than LINE_MAX,
    holds U+FFFD. `hidden`: nothing of it is shown. `resting`: no key came for a while. `left`: text that was
    dropped is still on the screen. `recalled`: the person knows of the part that stands above other lines.
    """

    def __init__(self) -> None:
        self.text = ""
        self.hidden = False
        self.resting = False
        self.left = False
        self.recalled = False
        self.keys = 0
        self._above = 0  # characters of the text that stand above lines which came meanwhile
        self.lines: deque[str | None] = deque()
        self._ahead: deque[str] = deque()  # keys after a line that nobody took yet, of one read
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._sequence = ""

    @property
    def shown(self) -> str:
        """What of the text is on the screen."""
        return "" if self.hidden else self.text

    @property
    def on_row(self) -> str:
        """What of the text is on the screen after the last whole line."""
        return self.shown[self._above :]

    def interrupt(self) -> None:
        """Lines come now: what was typed stays above them and is not shown again unless that is asked for."""
        self._above = len(self.text)
        self.left = False

    @property
    def busy(self) -> bool:
        """Whether a person is in the middle of a line."""
        return bool(self.shown) and not self.resting

    def forget(self) -> None:
        """Drop everything that was typed and not read."""
        self.left = self.left or bool(self.on_row)
        self._sequence = ""
        self._begin()
        self.lines.clear()
        self._ahead.clear()
        self._decoder.reset()

    def untaken(self) -> str:
        """The keys of lines that nobody took, and those after them."""
        ended = "".join(_END if line is None else f"{line}\n" for line in self.lines)
        return ended + "".join(self._ahead)

    def put_first(self, keys: str) -> None:
        """Take these keys before those that are fed."""
        self._ahead.extendleft(reversed(keys))

    def feed(self, data: bytes) -> str:
        """Take bytes of the terminal; returns what to show."""
        self.keys += 1
        self.resting = False
        self._ahead += self._decoder.decode(data)
        return self.resume()

    def resume(self) -> str:
        """Take the keys up to the end of a line; returns what to show.

        Those after it wait until it was taken: a name may be followed by a passphrase, which is hidden then.
        """
        shown = ""
        while self._ahead and not self.lines:
            shown += self._key(self._ahead.popleft())
        return shown

    def _key(self, key: str) -> str:
        if self._sequence or key == _ESCAPE:
            held = self._sequence + key
            begins = len(held) == 1 or (len(held) == 2 and held[1] in "[O")
            goes_on = len(held) < 32 and held[1:2] == "[" and not "@" <= key <= "~"
            self._sequence = held if begins or goes_on else ""
            return ""
        if key in _ENTER:
            self.lines.append(self.text)
            self._begin()
            return "\n"
        if key in _ERASE:
            kept = len(self.text) - 1
            while kept > 0 and unicodedata.category(self.text[kept])[0] == "M":
                kept -= 1
            return self._cut(max(0, kept))
        if key == _KILL:
            return self._cut(0)
        if key == _WORD:
            return self._cut(len(self.text.rstrip().rpartition(" ")[0].rstrip()))
        if key == _REPRINT:
            below = "" if self._above and not self.on_row else "\n"
            self._above = 0
            return below + self.shown
        if key == _END and not self.text:
            self.lines.append(None)
        text = "    " if key == "\t" else key
        if unicodedata.category(text[0]) in ("Cc", "Cs") or len(self.text) > LINE_MAX:
            return ""
        self.text += text if len(self.text) < LINE_MAX else "\ufffd"
        return "" if self.hidden else text

    def _begin(self) -> None:
        self.text, self._above, self.recalled = "", 0, False

    def _cut(self, kept: int) -> str:
        """What a person takes back of the row is the only thing that is ever erased."""
        cells = cell_len(self.shown[max(kept, self._above) :])
        self.text, self._above = self.text[:kept], min(self._above, kept)
        return "\b \b" * cells


class Output:
    """Appends lines to what a descriptor has. `gone` is set when nobody can read them any more.

    `private`: the screen shows what nobody else may read there, until it is cleared.
    """

    def __init__(self, descriptor: int = 1, encoding: str = "utf-8") -> None:
        self.gone = asyncio.Event()
        self.at_terminal = os.isatty(descriptor)
        self.editor = LineEditor()
        self.holding = False
        self.dropped = 0
        self.private = False
        self._descriptor = descriptor
        self._encoding = encoding
        self._held: deque[str] = deque(maxlen=HELD_MAX)
        self._jobs: queue.SimpleQueue[_Job] | None = None

    async def say(self, *lines: str, whole: bool = False) -> None:
        """Write lines now. Whatever a text holds, it is one line without a control character.

        One of more than CELLS_MAX cells goes on in lines that say so, unless it was asked for `whole`.
        """
        plain = [line.translate(_STEERING) for line in lines]
        await self._append(plain if whole else [row for line in plain for row in _fitted(line)])

    async def _append(self, rows: Iterable[str]) -> None:
        """Write rows below what is being typed, which is never shown again by itself."""
        editor = self.editor
        begins = "\n" if editor.on_row or editor.left else ""
        ends = ""
        if editor.shown and not editor.recalled:
            editor.recalled, ends = True, _("Your line is not sent yet: Ctrl+R repeats it.") + "\n"
        editor.interrupt()
        await self.echo(begins + "".join(f"{row}\n" for row in rows) + ends)

    @property
    def colours(self) -> int:
        """How many colours are drawn, 0 for none: what the environment says. The terminal is not asked."""
        if not self.at_terminal or os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
            return 0
        return 1 << 24 if os.environ.get("COLORTERM") in ("truecolor", "24bit") else 256

    @property
    def columns(self) -> int:
        """Columns of the terminal but one, since a full row begins another one in some."""
        try:
            return max(1, os.get_terminal_size(self._descriptor).columns - 1)
        except OSError:
            return 79

    async def draw(self, rows: Iterable[str]) -> None:
        """Write rows of colours, which this program made: no text of others is in them."""
        await self._append(rows)

    async def echo(self, typed: str) -> None:
        await self._write(typed.encode(self._encoding, "backslashreplace"))

    async def notify(self, *lines: str) -> None:
        """Write lines that were not asked for: now, or when the output is no longer paused."""
        if not self.paused:
            await self.say(*lines)
            return
        self.dropped += max(0, len(self._held) + len(lines) - HELD_MAX)
        self._held.extend(lines)

    @property
    def paused(self) -> bool:
        """Whether notifications wait: the person wants that, or is in the middle of a line."""
        return self.holding or self.editor.busy

    async def release(self) -> bool:
        """Write what was held back; False where nothing was."""
        lines, self.dropped = tuple(self._held), 0
        self._held.clear()
        if lines:
            await self.say(*lines)
        return bool(lines)

    async def forget(self) -> None:
        """Drop what was held back, and clear what is private: the profile is locked, or the program ends."""
        self.holding, self.dropped = False, 0
        self._held.clear()
        if self.private:
            await self.clear()

    async def clear(self) -> None:
        """Clear the screen of a terminal, with what has scrolled out of it."""
        self.private = False
        if self.at_terminal:
            await self._write(b"\x1b[H\x1b[2J\x1b[3J")

    async def ring(self) -> None:
        if self.at_terminal:
            await self._write(b"\a")

    async def _write(self, data: bytes) -> None:
        if self.gone.is_set():
            return
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            # A daemon: a reader that stands still for ever must not keep the program from ending.
            threading.Thread(target=_work, args=(self._descriptor, self._jobs), daemon=True).start()
        done = asyncio.get_running_loop().create_future()
        self._jobs.put((data, done))
        try:
            await done
        except OSError:  # the reader of a pipe has gone, or the terminal
            self.gone.set()


def _fitted(line: str) -> list[str]:
    if len(line) <= CELLS_MAX // 2:  # two cells a character are the most
        return [line]
    first, *others = wrap(line, CELLS_MAX)
    if not others:
        return [first]
    goes_on = _("{name}: {text}")
    room = CELLS_MAX - cell_len(goes_on.format(name=_("Goes on"), text=""))
    rest = wrap(line[len(first) :].strip(), room)
    return [first, *(goes_on.format(name=_("Goes on"), text=row) for row in rest)]


_Job = tuple[bytes, "asyncio.Future[None]"]


def _work(descriptor: int, jobs: queue.SimpleQueue[_Job]) -> None:
    while True:
        data, done = jobs.get()
        failure: OSError | None = None
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        except OSError as error:
            failure = error
        if done.get_loop().is_closed():
            return
        done.get_loop().call_soon_threadsafe(_settle, done, failure)


def _settle(done: asyncio.Future[None], failure: OSError | None) -> None:
    if done.cancelled():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
