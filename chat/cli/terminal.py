"""The input of the program: lines, and passphrases from the terminal, a file or standard input."""

from __future__ import annotations

import asyncio
import getpass
import os
import select
import signal
import stat
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Final

from chat.cli.output import note, question
from chat.interface import SHORT_PASSPHRASE, NotPermitted, UsageError, passphrase_problem

_CHUNK: Final = 4096
LINE_BYTES_MAX: Final = 1 << 20  # a line of input; more is no answer to any question here


class Lines:
    """Lines of one descriptor, read without a buffer: a passphrase and later answers may share a pipe."""

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

    async def some(self, most: int, within: float) -> bytes | None:
        """The next bytes, at most so many, none at the end; None where none came within so many seconds."""
        if not (self._held or self._ended):
            with suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self._readable()
        while not self._ended and 0 < len(self._held) < most and self._has_more():
            self._fill()
        taken = bytes(self._held[:most])
        del self._held[: len(taken)]
        return taken if taken or self._ended else None

    def _has_more(self) -> bool:
        with suppress(OSError):  # Windows looks into sockets only
            return bool(select.select([self._descriptor], [], [], 0)[0])
        return False

    @property
    def at_terminal(self) -> bool:
        return os.isatty(self._descriptor)

    def forget_typed(self) -> None:
        """Drop what was typed ahead at a terminal; a pipe keeps its order and is left alone."""
        if self.at_terminal:
            self._held.clear()
            with suppress(ImportError):  # Windows: what was typed ahead stays
                import termios

                termios.tcflush(self._descriptor, termios.TCIFLUSH)

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
        # An interrupt drops what was typed before it: a read would wait, and the interrupt with it.
        if select.select([self._descriptor], [], [], 0)[0]:
            self._fill()


YES: Final = frozenset({"y", "yes"})


async def confirmed(lines: Lines, text: str) -> bool:
    """Ask a question; every answer but a yes is a no. What was typed before it is no answer to it."""
    lines.forget_typed()
    question(text)
    return (await lines.next_line() or "").strip().casefold() in YES


def ask_secret(prompt: str, option: str = "--passphrase-file") -> str:
    """A passphrase from the terminal, not echoed. Raises NotPermitted, which names the option that takes
    the file instead, where there is no terminal."""
    # The event loop's own handler of Ctrl-C would not end a read that blocks it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt, stream=None)
    except (EOFError, getpass.GetPassWarning) as error:
        raise NotPermitted(f"There is no terminal to ask for the passphrase: give {option} FILE.") from error
    finally:
        signal.signal(signal.SIGINT, before)


def is_interactive() -> bool:
    """Whether input and output are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


STDIN: Final = "-"
_BYTES_MAX: Final = 4096  # of a file that was named by mistake, no more than this is read
LOST_IS_LOST: Final = "The passphrase cannot be recovered. Without it, no one can open this profile."


def read_passphrase(
    source: str | None, lines: Lines, prompt: str = "Passphrase: ", option: str = "--passphrase-file"
) -> str:
    """The passphrase that `option` reads. Raises UsageError (no file, empty), NotPermitted (no terminal)."""
    if source is None:
        return _not_empty(ask_secret(prompt, option))
    if source != STDIN:
        return _not_empty(_from_file(Path(source)))
    line = lines.line()
    if line is None:
        raise NotPermitted("Standard input contains no passphrase: give it as the first line.")
    return _not_empty(line)


def read_new_passphrase(source: str | None, lines: Lines, option: str = "--passphrase-file") -> str:
    """A passphrase to be set. Raises like `read_passphrase`, and UsageError when two typed ones differ."""
    if source is not None:
        return read_passphrase(source, lines)
    note(LOST_IS_LOST)
    passphrase = _not_empty(ask_secret("New passphrase: ", option))
    while True:
        problem = passphrase_problem(passphrase, ask_secret("Repeat the passphrase: ", option))
        if problem is None:
            return passphrase
        if problem is not SHORT_PASSPHRASE:
            raise UsageError(f"{problem} Run the command again.")
        note(problem)
        other = ask_secret("New passphrase: ", option)
        if not other:
            return passphrase
        passphrase = other


_OTHERS: Final = 0o077


def check_private(path: Path, found: os.stat_result) -> None:
    """Raises UsageError where other users can read a passphrase file."""
    # systemd shows a credential to its service alone, by a list of rights that the mode does not tell.
    sealed = str(path.parent) == os.environ.get("CREDENTIALS_DIRECTORY")
    shown = sys.platform != "win32" and stat.S_ISREG(found.st_mode) and found.st_mode & _OTHERS
    if shown and not sealed:
        raise UsageError(f"Other users can read {path}: run 'chmod 600' on it.")


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            check_private(path, os.fstat(file.fileno()))
            data = file.read(_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"The passphrase file cannot be read ({error.strerror}): check its name.") from error
    line = data.split(b"\n", 1)[0].removesuffix(b"\r")
    if len(line) > _BYTES_MAX:
        raise UsageError(f"The passphrase file's first line is longer than {_BYTES_MAX} bytes.")
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise UsageError("The passphrase file is not UTF-8 text: is it the right file?") from error


def _not_empty(text: str) -> str:
    if not text:
        raise UsageError("The passphrase is empty: choose several words.")
    return text
