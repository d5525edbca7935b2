"""Programs in terminals of their own, for measuring what a person waits for.

Rules: the program is the real one in a real pseudo-terminal; what it writes is read at once and stamped
when it came; nothing is left running.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

_ROWS_AND_COLUMNS: Final = (34, 110)
_ESCAPE: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|[ -/]*[0-OQ-Z\\^-~])"
)
"""CSI, OSC, DCS and two-character sequences of ECMA-48."""


class Unseen(Exception):
    """What was waited for did not appear in time."""


class Screen:
    """One program and the text that it has written so far, without what steers the terminal."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.inputs = 0
        """How often something was typed."""
        self._text, self._rest, self._came = "", "", time.perf_counter()
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._changed = threading.Condition()
        self._ended = False
        self._terminal, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", *_ROWS_AND_COLUMNS, 0, 0))
        self.started = time.perf_counter()
        self._program = subprocess.Popen(
            command, stdin=inner, stdout=inner, stderr=inner, env=environment, start_new_session=True
        )
        os.close(inner)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def press(self, keys: str) -> float:
        """Type keys as one input; when it was done (seconds of perf_counter)."""
        self.inputs += 1
        typed = time.perf_counter()
        os.write(self._terminal, keys.encode())
        return typed

    def mark(self) -> int:
        """A place in the text, for waiting for what comes after it."""
        with self._changed:
            return len(self._text)

    def wait(self, wanted: str, since: int = 0, seconds: float = 30.0) -> float:
        """When `wanted` had appeared after the place `since` (seconds of perf_counter). Raises Unseen."""

        def settled() -> bool:
            return wanted in self._text[since:] or self._ended

        with self._changed:
            self._changed.wait_for(settled, seconds)
            if wanted not in self._text[since:]:
                raise Unseen(f"{wanted!r} did not appear within {seconds:g} s")
            return self._came

    def close(self) -> None:
        """End the program and the terminal."""
        self._program.kill()
        self._program.wait()
        self._reader.join()
        os.close(self._terminal)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        while data := self._chunk():
            came = time.perf_counter()
            with self._changed:
                self._take(self._decode(data))
                self._came = came
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _chunk(self) -> bytes:
        try:
            return os.read(self._terminal, 1 << 16)
        except OSError:  # Linux's way to say that nobody writes any more
            return b""

    def _take(self, text: str) -> None:
        """Add text without its escape sequences; one that is not whole waits for its rest."""
        plain = _ESCAPE.sub("", self._rest + text)
        cut = plain.find("\x1b")
        self._rest = plain[cut:] if cut >= 0 else ""
        self._text += plain[:cut] if cut >= 0 else plain
