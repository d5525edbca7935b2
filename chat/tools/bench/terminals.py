"""Programs in pseudo-terminals, and the frames that they paint, with the time of each."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Final, Self

from msgspec import Struct

from chat.interface import ParlourError
from chat.tools.bench.measure import NotTaken

QUESTION: Final = b"\x1b[?2026$p"
ANSWER: Final = b"\x1b[?2026;2$y"  # DEC private mode 2026 is known, and not set

_BEGIN, _END = b"\x1b[?2026h", b"\x1b[?2026l"
ESCAPE: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\)|[^\[\]PX^_])", re.DOTALL)
"""A control sequence, a string or a two-byte escape."""


class Frame(Struct, frozen=True):
    """`began` and `ended` are the times of the first and last byte; `text` is without escape sequences."""

    began: float
    ended: float
    text: str


class Frames:
    """Finds frames, each between the two marks of a synchronized update."""

    def __init__(self) -> None:
        self.whole: list[Frame] = []
        self._raw = bytearray()
        self._began: float | None = None

    def hear(self, block: bytes, now: float) -> None:
        """Take in a block that was read at this time."""
        self._raw += block
        while True:
            if self._began is None:
                begin = self._raw.find(_BEGIN)
                if begin < 0:
                    del self._raw[: 1 - len(_BEGIN)]  # all but what may be the beginning of a mark
                    return
                del self._raw[: begin + len(_BEGIN)]
                self._began = now
            end = self._raw.find(_END)
            if end < 0:
                return
            text = ESCAPE.sub(b"", self._raw[:end]).decode(errors="replace")
            self.whole.append(Frame(self._began, now, text))
            del self._raw[: end + len(_END)]
            self._began = None


PATIENCE: Final = 30.0
"""Seconds after which a program that does not show what it should has failed, however slow the machine."""

MOMENT: Final = 0.05
"""Seconds without output, three frames of a screen, after which everything is shown that is to be shown."""

_SIZE: Final = (30, 100)  # rows, columns


class Unseen(ParlourError):
    """A program did not show what the flow waits for."""


class Terminals:
    """All programs of a measurement: `with Terminals() as terminals`. Raises NotTaken."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._programs: list[Program] = []

    def start(self, command: Sequence[str]) -> Program:
        program = Program(command, self)
        self._programs.append(program)
        self._selector.register(program.terminal, selectors.EVENT_READ, program)
        return program

    def read(self, until: float) -> bool:
        """Read from all programs; False if nothing came before `until` (time.perf_counter)."""
        ready = self._selector.select(max(0.0, until - time.perf_counter()))
        for key, _ in ready:
            program: Program = key.data
            if not program.take():
                self._selector.unregister(program.terminal)
        return bool(ready)

    def rest_for(self, seconds: float) -> None:
        """Read from all programs for so long."""
        moment = time.perf_counter() + seconds
        while time.perf_counter() < moment:
            self.read(moment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for program in self._programs:
            program.kill()
        self._selector.close()


class Program:
    """One program; `started` is the time of its start."""

    def __init__(self, command: Sequence[str], terminals: Terminals) -> None:
        self._terminals = terminals
        self._shown = bytearray()
        self._raw = bytearray()
        self._since = 0
        self._frames = Frames()
        self.terminal, theirs = _open_terminal()
        self.ended: float | None = None
        try:
            self.started = time.perf_counter()
            self._process = subprocess.Popen(
                command,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env=_environment(),
                start_new_session=True,
                preexec_fn=_take_terminal,
            )
            self.id = self._process.pid
        except BaseException:
            os.close(self.terminal)
            raise
        finally:
            os.close(theirs)

    def press(self, keys: str) -> float:
        """Type, and return the time. Earlier output is no longer waited for."""
        self._since = len(self._shown)
        now = time.perf_counter()
        os.write(self.terminal, keys.encode())
        return now

    def paint(self, keys: str, holds: Callable[[str], bool]) -> tuple[float, Frame]:
        """Type, and wait for the whole frame whose text fulfils `holds`: when, and it. Raises Unseen."""
        self._frames.whole.clear()
        pressed = self.press(keys)
        patience, looked = pressed + PATIENCE, 0
        while True:
            new, looked = self._frames.whole[looked:], len(self._frames.whole)
            for frame in new:
                if frame.began >= pressed and holds(frame.text):
                    return pressed, frame
            if self.ended is not None or not self._terminals.read(patience):
                raise Unseen(f"A key was not answered: {keys!r}. {self._account()}")

    def read_until(self, moment: float) -> None:
        """Read from all programs until a time (time.perf_counter)."""
        while time.perf_counter() < moment:
            self._terminals.read(moment)

    def rest(self) -> None:
        """Wait until no program shows anything new: a person is slower than a screen. Raises Unseen."""
        patience = time.perf_counter() + PATIENCE
        while self._terminals.read(time.perf_counter() + MOMENT):
            if time.perf_counter() > patience:
                raise Unseen("A flow did not get to its end: the screens never came to rest.")

    def wait_for(self, text: str) -> float:
        """The time at which it showed the text. Raises Unseen."""
        wanted, patience = text.encode(), time.perf_counter() + PATIENCE
        while self._shown.find(wanted, self._since) < 0:
            if self.ended is not None or not self._terminals.read(patience):
                raise Unseen(f"A flow did not get to its end: nothing showed {text!r}. {self._account()}")
        return time.perf_counter()

    def wait_end(self) -> float:
        """The time at which it ended with status 0. Raises Unseen."""
        patience = time.perf_counter() + PATIENCE
        while self.ended is None:
            if not self._terminals.read(patience):
                raise Unseen(f"A flow did not get to its end: a program went on. {self._account()}")
        if status := self._process.wait():
            raise Unseen(f"A flow did not get to its end: a program ended with {status}. {self._account()}")
        return self.ended

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self.wait_end()

    def take(self) -> bool:
        """Read available output, for `Terminals`; False at the end."""
        try:
            block = os.read(self.terminal, 1 << 16)
        except OSError:  # Linux's way to say that nobody has the other end open any more
            block = b""
        if not block:
            self._process.wait()
            self.ended = time.perf_counter()
            return False
        self._frames.hear(block, time.perf_counter())
        if QUESTION in block:
            os.write(self.terminal, ANSWER)
        self.hear(block)
        return True

    def hear(self, block: bytes) -> None:
        """Keep what is shown; of a sequence that is not whole the rest is still to come."""
        self._raw += block
        last = self._raw.rfind(b"\x1b")
        whole = len(self._raw) if last < 0 or ESCAPE.match(self._raw, last) else last
        self._shown += ESCAPE.sub(b"", self._raw[:whole])
        del self._raw[:whole]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self.terminal)

    def _account(self) -> str:
        shown = " ".join(self._shown[-400:].decode(errors="replace").split())
        return f"The last that it showed: {shown!r}"


def _open_terminal() -> tuple[int, int]:
    try:
        import termios

        ours, theirs = os.openpty()
    except (ImportError, AttributeError, OSError) as error:
        raise NotTaken(f"no pseudo-terminal can be had ({error})") from None
    termios.tcsetwinsize(theirs, _SIZE)
    return ours, theirs


def _take_terminal() -> None:
    """Make it the controlling terminal: if the measurement is killed, its programs end too."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _environment() -> dict[str, str]:
    """A usual terminal, without settings of this process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PARLOUR_", "TEXTUAL"))}
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        kept.pop(name, None)
    return {**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
