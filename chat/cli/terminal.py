"""What a person types: lines from standard input and passphrases from the terminal.

Rules: input is read from the descriptor itself, so that a passphrase and the answers after it may come
through one pipe; waiting for a line never blocks the engine; a passphrase is never echoed.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from chat.interface import NotPermitted, UsageError

_CHUNK: Final = 4096
LINE_BYTES_MAX: Final = 1 << 20
"""A line of input; more is no answer to any question here."""


class Lines:
    """Lines of one descriptor, for questions asked while an engine runs and for those before."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._held = bytearray()
        self._ended = False

    def line(self) -> str | None:
        """The next line without its end, or None after the last. Blocks."""
        while (line := self._take()) is None and not self._ended:
            self._fill()
        return line

    async def next_line(self) -> str | None:
        """The same without blocking. May be cancelled: what was read is kept."""
        while (line := self._take()) is None and not self._ended:
            await self._readable()
        return line

    def rest(self) -> str:
        """Everything to the end of the input. Raises UsageError when it is too long."""
        while not self._ended:
            self._fill()
        text, self._held = self._decode(bytes(self._held)), bytearray()
        return text

    def forget_typed(self) -> None:
        """Drop what was typed ahead at a terminal; a pipe keeps its order and is left alone."""
        if os.isatty(self._descriptor):
            self._held.clear()
            _flush(self._descriptor)

    def _take(self) -> str | None:
        end = self._held.find(b"\n")
        if end < 0:
            if not self._ended or not self._held:
                return None
            end = len(self._held)
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        return self._decode(line.removesuffix(b"\r"))

    def _decode(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise UsageError("The input is not UTF-8 text: convert it and try again.") from error

    def _fill(self) -> None:
        try:
            data = os.read(self._descriptor, _CHUNK)
        except OSError:  # closed, or no terminal any more: the same as its end
            data = b""
        self._held += data
        self._ended = not data
        if len(self._held) > LINE_BYTES_MAX:
            raise UsageError(f"The input is too long: at most {LINE_BYTES_MAX} bytes.")

    async def _readable(self) -> None:
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


def _flush(descriptor: int) -> None:
    try:
        import termios
    except ImportError:  # Windows: what was typed ahead stays
        return
    termios.tcflush(descriptor, termios.TCIFLUSH)


def ask_secret(prompt: str) -> str:
    """A passphrase from the terminal, not echoed. Raises NotPermitted where there is no terminal."""
    try:
        with warnings.catch_warnings(), _interruptible():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt, stream=None)
    except (EOFError, getpass.GetPassWarning) as error:
        raise NotPermitted(
            "There is no terminal to ask for the passphrase: give --passphrase-file FILE."
        ) from error


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a read that blocks the event loop, whose own handler would only note it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def is_interactive() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()
