"""Typed lines: the keys of a terminal, or the lines of a pipe or a file."""

from __future__ import annotations

import asyncio
import getpass
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from chat.interface import UsageError
from tui.linear.output import Output
from tui.text.translation import _

BYTES_MAX: Final = 1 << 20
_CHUNK: Final = 4096


class LineInput:
    """Lines of a descriptor. `output` shows what is typed at a terminal, and does not break into it.

    `modes`: of the terminal before the program used it; its own where a program before this one left them.
    """

    def __init__(
        self, descriptor: int = 0, output: Output | None = None, modes: list[Any] | None = None
    ) -> None:
        self.at_terminal = os.isatty(descriptor)
        self.modes = modes
        self._descriptor = descriptor
        self._echo = output if output is not None and output.at_terminal else Output(descriptor)
        self.editor = self._echo.editor
        self._keyboard = self.at_terminal and sys.platform != "win32"
        self._held = bytearray()
        self._ended = False
        self._too_long = False

    async def line(self) -> str | None:
        """The next line, None after the last. May be cancelled: what was read is kept.

        Raises UsageError for a line that is not text, or too long: it is never guessed.
        """
        while not self.editor.lines:
            if echo := self.editor.resume():
                await self._echo.echo(echo)
            if self.editor.lines:
                break
            line = self._take()
            if line is not None:
                try:
                    return line.decode()
                except UnicodeDecodeError:
                    raise _refusal() from None
            if self._ended:
                return None
            await self._read()
        typed = self.editor.lines.popleft()
        if typed is not None and "\ufffd" in typed:
            raise _refusal()
        return typed

    async def secret(self) -> str | None:
        """The same for a passphrase, inside `hidden`."""
        if self.at_terminal and not self._keyboard:
            return await asyncio.to_thread(getpass.getpass, "")
        return await self.line()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Show nothing that is typed, and drop a line that was begun at a terminal for something else.

        It begins before the question is written: an answer that comes at once would be seen otherwise.
        """
        self._drop_begun()
        self.editor.hidden = True
        try:
            yield
        finally:
            self.editor.hidden = False

    def _drop_begun(self) -> None:
        if self.editor.text:
            self.forget_typed()

    def forget_typed(self) -> None:
        """Drop what was typed ahead at a terminal. A pipe keeps its order and is left alone."""
        if self._keyboard:
            import termios

            with suppress(termios.error):  # it is gone, and the next read says so
                termios.tcflush(self._descriptor, termios.TCIFLUSH)
            self.editor.forget()

    def untaken(self) -> str:
        """What was read and is no line that was taken. A line that was begun at a terminal is dropped."""
        self._drop_begun()
        if self._keyboard:
            return self.editor.untaken()
        return self._held.decode("utf-8", "surrogateescape")

    def put_first(self, untaken: str) -> None:
        """Begin with what `untaken` returned."""
        if self._keyboard:
            self.editor.put_first(untaken)
        else:
            self._held[:0] = untaken.encode("utf-8", "surrogateescape")

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Read a terminal key by key; afterwards it has its `modes`."""
        if not self._keyboard:
            yield
            return
        loop = asyncio.get_running_loop()
        with self._keys() as take:
            loop.add_signal_handler(signal.SIGCONT, take)  # the shell had it meanwhile
            try:
                yield
            finally:
                loop.remove_signal_handler(signal.SIGCONT)

    @contextmanager
    def _keys(self) -> Iterator[Any]:
        """The terminal gives each key and shows none; what is yielded takes it again after a stop."""
        import termios

        gone = suppress(termios.error)

        def take() -> None:
            with gone:
                raw = termios.tcgetattr(self._descriptor)
                raw[3] &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
                raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
                termios.tcsetattr(self._descriptor, termios.TCSANOW, raw)

        with gone:
            self.modes = self.modes or termios.tcgetattr(self._descriptor)
        take()
        try:
            yield take
        finally:
            with gone:
                if self.modes:
                    termios.tcsetattr(self._descriptor, termios.TCSANOW, self.modes)

    def _take(self) -> bytes | None:
        end = self._held.find(b"\n")
        if end < 0 and len(self._held) > BYTES_MAX:
            self._too_long = True
            self._held.clear()
        if end < 0:
            if not self._ended or not self._held:
                return None
            end = len(self._held)
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        if self._too_long or len(line) > BYTES_MAX:
            self._too_long = False
            raise _refusal()
        return line.removesuffix(b"\r")

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._descriptor, ready.set)
        except NotImplementedError:  # Windows: its event loop waits for sockets only
            data = await asyncio.to_thread(self._chunk)
        except OSError:  # a file, which is always readable, or nothing at all
            data = self._chunk()
        else:
            try:
                await ready.wait()
            finally:
                loop.remove_reader(self._descriptor)
            # An interrupt drops what was typed before it: a read would wait, and the interrupt with it.
            if not select.select([self._descriptor], [], [], 0)[0]:
                return
            data = self._chunk()
        self._ended = not data
        if not self._keyboard:
            self._held += data
        elif echo := self.editor.feed(data):
            await self._echo.echo(echo)

    def _chunk(self) -> bytes:
        try:
            return os.read(self._descriptor, _CHUNK)
        except OSError:  # the terminal is gone, which is an end like another
            return b""


def _refusal() -> UsageError:
    return UsageError(_("This line is too long or not UTF-8 text: it was ignored."))
