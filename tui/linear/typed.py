"""What a person types, a line at a time: at a terminal as the terminal edits it, or from a pipe or a file.

Rules: the terminal stays as it is (no editing of ours, so no control sequence and no redraw under a screen
reader); only a passphrase is not echoed; a line that may be cut or is no text is refused, never guessed.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from chat.interface import UsageError
from tui.texts import _

LINE_MAX: Final = 1 << 20
TERMINAL_LINE: Final = 4095
"""Bytes of a line that Linux keeps while it is edited; it drops what is typed beyond."""

_CHUNK: Final = 4096


class Typed:
    """Lines of a descriptor."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._held = bytearray()
        self._ended = False
        self._too_long = False
        self.at_terminal = os.isatty(descriptor)

    async def line(self) -> str | None:
        """The next line, None after the last. May be cancelled: what was read is kept.

        Raises UsageError for a line that is no text, too long, or cut by the terminal.
        """
        while (line := self._take()) is None and not self._ended:
            await self._read()
        return None if line is None else self._text(line)

    async def secret(self) -> str | None:
        """The same for a passphrase, to be called inside `hidden`."""
        if self.at_terminal and sys.platform == "win32":
            return await asyncio.to_thread(getpass.getpass, "")
        return await self.line()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """While it lasts a terminal echoes nothing; what was typed ahead is dropped. A pipe keeps its order.

        It begins before the question is put: who answers at once would be seen otherwise.
        """
        if not self.at_terminal or sys.platform == "win32":
            yield
            return
        self._held.clear()
        with _unechoed(self._descriptor):
            yield

    def _take(self) -> bytes | None:
        end = self._held.find(b"\n")
        if end < 0 and len(self._held) > LINE_MAX:
            self._too_long = True
            self._held.clear()
        if end < 0:
            if not self._ended or not self._held:
                return None
            end = len(self._held)
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        if self._too_long or len(line) > LINE_MAX:
            self._too_long = False
            raise UsageError(_("This line is too long: nothing of it was taken."))
        return line.removesuffix(b"\r")

    def _text(self, line: bytes) -> str:
        if self.at_terminal and len(line) >= TERMINAL_LINE:
            raise UsageError(
                _("The terminal cuts lines that are so long: nothing was taken. /write takes several lines.")
            )
        try:
            return line.decode()
        except UnicodeDecodeError:
            raise UsageError(_("This line is not text in UTF-8: nothing of it was taken.")) from None

    async def _read(self) -> None:
        """Wait until there is something, and take it."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._descriptor, ready.set)
        except NotImplementedError:  # Windows: its event loop waits for sockets only
            await asyncio.to_thread(self._fill)
            return
        except OSError:  # a file, which is always readable, or nothing at all
            self._fill()
            return
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._descriptor)
        self._fill()

    def _fill(self) -> None:
        try:
            data = os.read(self._descriptor, _CHUNK)
        except OSError:  # the terminal is gone, which is an end like another
            data = b""
        self._held += data
        self._ended = not data


@contextmanager
def _unechoed(descriptor: int) -> Iterator[None]:
    """A terminal that shows nothing of what is typed but the end of the line."""
    import termios

    gone = suppress(termios.error)  # then the next read says so
    before: list[Any] = []
    with gone:
        before = termios.tcgetattr(descriptor)
        hidden = [*before]
        hidden[3] = (hidden[3] & ~termios.ECHO) | termios.ECHONL
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, hidden)  # half a line that stood there is dropped
    try:
        yield
    finally:
        with gone:
            if before:
                termios.tcsetattr(descriptor, termios.TCSANOW, before)
