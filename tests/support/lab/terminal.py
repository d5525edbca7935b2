"""A terminal in tmux with a server of its own, and a client that attaches to it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import struct
import subprocess
import tempfile
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Self

from tests.support.lab.hosts import Host, LabError, end_processes
from tests.support.lab.programs import Deadline

Wanted = str | re.Pattern[str] | Callable[[str], bool]

_SETTINGS = """\
set -s escape-time 0
set -s set-clipboard off
set -g default-terminal tmux-256color
set -g remain-on-exit on
set -g remain-on-exit-format ''
set -g status off
"""


class Unseen(AssertionError):
    """The screen did not show in time what the test waits for; the text holds the last screen."""


class Terminal:
    """One program in a terminal of `columns` by `rows` cells, on this machine or on a lab host."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 100,
        rows: int = 30,
        host: Host | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="parlour-terminal-"))
        self._environment = {**os.environ, "LANG": "C.UTF-8", "COLORTERM": "truecolor", **(environment or {})}
        for name in ("TMUX", "COLUMNS", "LINES"):  # of the terminal in which the tests run, not of this one
            self._environment.pop(name, None)
        self._pipe, self._gate = self._fifo("output"), self._fifo("gate")
        self._output = bytearray()
        try:
            self._start(host.enter(*command) if host else list(command), columns, rows)
        except BaseException:
            self._release()
            raise
        self.pid = int(self._tmux("display-message", "-p", "#{pane_pid}"))

    def send(self, *keys: str) -> None:
        """Press keys by tmux's names: "Enter", "Escape", "Tab", "C-c", "Up", "a"."""
        self._tmux("send-keys", "--", *keys)

    def write(self, text: str) -> None:
        """Type text as it stands, key by key."""
        self._tmux("send-keys", "-l", "--", text)

    def burst(self, text: str) -> None:
        """Put all of the text's bytes into the keyboard at once, Enter as a carriage return."""
        self._tmux("send-keys", "-H", *(f"{byte:02x}" for byte in text.encode()))

    def paste(self, text: str) -> None:
        """Paste text, bracketed where the program asked for that."""
        self._tmux("load-buffer", "-", typed=text)
        self._tmux("paste-buffer", "-p", "-r", "-d")

    def screen(self) -> str:
        """What a person sees now, a line a row, without trailing blanks."""
        return self._tmux("capture-pane", "-p")

    def escapes(self) -> str:
        """The screen with trailing blanks, and with the sequences that give each cell its colours."""
        return self._tmux("capture-pane", "-p", "-e", "-N")

    def painted(self) -> list[str]:
        """The rows of `escapes`."""
        return self.escapes().rstrip("\n").split("\n")

    def shows_cursor(self) -> bool:
        return self._tmux("display-message", "-p", "#{cursor_flag}").strip() == "1"

    def cursor(self) -> tuple[int, int]:
        """Column and row of the cursor, from 0."""
        column, row = self._tmux("display-message", "-p", "#{cursor_x} #{cursor_y}").split()
        return int(column), int(row)

    def wait_for(self, wanted: Wanted, seconds: float = 10) -> str:
        """The first screen that shows `wanted` (a text, a pattern or a test of the screen). Raises Unseen."""
        deadline = Deadline(seconds)
        while not _shows(screen := self.screen(), wanted):
            if deadline.left() == 0:
                raise self._unseen(f"{seconds} s passed without {wanted!r}")
            if not self._wrote(deadline.left()) and self.exit_status() is not None:
                if _shows(screen := self.screen(), wanted):
                    return screen
                raise self._unseen(f"the program ended ({self.exit_status()}) without {wanted!r}")
        return screen

    def wait_quiet(self, quiet: float = 0.2, seconds: float = 10) -> None:
        """Wait until nothing was written for `quiet` seconds: what was drawn is whole. Raises Unseen."""
        deadline = Deadline(seconds)
        while self._wrote(quiet):
            if deadline.left() == 0:
                raise self._unseen(f"the program wrote without a pause for {seconds} s")

    def written(self) -> bytes:
        """Every byte, escapes included, that the program has written and that has come through."""
        self._keep_output()
        return bytes(self._output)

    def wait_written(self, needle: bytes, seconds: float = 10) -> bytes:
        """`written()` once `needle` is in it; what was written before is then in it too. Raises Unseen."""
        deadline = Deadline(seconds)
        while needle not in (written := self.written()):
            if deadline.left() == 0:
                raise self._unseen(f"{seconds} s passed and {needle!r} was not written")
            select.select([self._pipe], [], [], deadline.left())
        return written

    def wait_exit(self, seconds: float = 10) -> int:
        """The program's exit status (128 + N after signal N), once it has ended. Raises Unseen."""
        deadline = Deadline(seconds)
        while (status := self.exit_status()) is None:
            if deadline.left() == 0:
                raise self._unseen(f"no end after {seconds} s")
            self._wrote(deadline.left())
        return status

    def exit_status(self) -> int | None:
        """None while the program runs."""
        form = "#{pane_dead} #{pane_dead_status} #{pane_dead_signal}"
        dead, *status = self._tmux("display-message", "-p", form).rstrip("\n").split(" ")
        if dead != "1" or not any(status):  # tmux sees the end of the output before that of the process
            return None
        return int(status[0]) if status[0] else 128 + int(status[1])

    @property
    def tty(self) -> Path:
        return Path(self._tmux("display-message", "-p", "#{pane_tty}").strip())

    @property
    def socket(self) -> Path:
        return self._folder / "socket"

    def tmux_command(self, *words: str) -> list[str]:
        return ["tmux", "-u", "-S", str(self.socket), *words]

    def clients(self) -> int:
        return len(self._tmux("list-clients").splitlines())

    def kill(self) -> None:
        """kill -9 of the program, and wait until it is gone; its last screen stays."""
        end_processes([self.pid])

    def close(self) -> None:
        """End the program and the terminal. May be called twice."""
        if self._folder.exists():
            self.kill()
            end_processes([int(self._tmux("display-message", "-p", "#{pid}"))])
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _release(self) -> None:
        os.close(self._pipe)
        os.close(self._gate)
        shutil.rmtree(self._folder)

    def _fifo(self, name: str) -> int:
        """A named pipe, open at both ends: opening it never waits and its end never comes."""
        os.mkfifo(self._folder / name)
        return os.open(self._folder / name, os.O_RDWR | os.O_NONBLOCK)

    def _start(self, command: list[str], columns: int, rows: int) -> None:
        """Open the terminal; its program starts once all that it writes is being kept."""
        settings, gate, output = (str(self._folder / name) for name in ("settings", "gate", "output"))
        Path(settings).write_text(_SETTINGS)
        gated = f"read -r _ < {shlex.quote(gate)}; exec {shlex.join(command)}"
        size = ("-x", str(columns), "-y", str(rows))
        self._tmux("-f", settings, "new-session", "-d", *size, f"exec sh -c {shlex.quote(gated)}")
        self._tmux("pipe-pane", "-O", f"exec cat > {shlex.quote(output)}")
        os.write(self._gate, b"\n")

    def _wrote(self, seconds: float) -> bool:
        """Wait until the program writes, or a quarter of a second: not every change is output."""
        ready = select.select([self._pipe], [], [], min(seconds, 0.25))[0]
        if ready:
            self._keep_output()
        return bool(ready)

    def _unseen(self, why: str) -> Unseen:
        framed = "\n".join(f"| {line}" for line in self.screen().rstrip("\n").split("\n"))
        return Unseen(f"{why}; the screen is\n{framed}")

    def _keep_output(self) -> None:
        with suppress(BlockingIOError):  # all that there is has been read
            while block := os.read(self._pipe, 1 << 16):
                self._output += block

    def _tmux(self, *words: str, typed: str | None = None) -> str:
        line, environment = self.tmux_command(*words), self._environment
        done = subprocess.run(
            line, input=typed, capture_output=True, text=True, env=environment, timeout=30, check=False
        )
        if done.returncode:
            raise LabError(f"tmux {words[0]}: {done.stderr.strip()}")
        return done.stdout


def _shows(screen: str, wanted: Wanted) -> bool:
    if isinstance(wanted, str):
        return wanted in screen
    if isinstance(wanted, re.Pattern):
        return wanted.search(screen) is not None
    return wanted(screen)


class Person:
    def __init__(self, keyboard: int) -> None:
        self._keyboard = keyboard

    def type(self, keys: bytes) -> None:
        os.write(self._keyboard, keys)


@contextmanager
def attached(terminal: Terminal, *, columns: int = 80, rows: int = 24) -> Iterator[Person]:
    """Attach a client of this size to a terminal, and detach it at the end. Raises Unseen."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
    client = subprocess.Popen(
        terminal.tmux_command("attach-session"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "TMUX": ""},
    )
    os.close(theirs)
    screen = Thread(target=_drain, args=(ours,))
    screen.start()
    try:
        wait_for_clients(terminal, 1)
        yield Person(ours)
    finally:
        client.terminate()
        client.wait(10)
        screen.join()
        os.close(ours)
    wait_for_clients(terminal, 0)


def wait_for_clients(terminal: Terminal, number: int) -> None:
    """Wait until so many clients are attached, which tmux tells by the mode of its socket too."""
    deadline = Deadline(10)
    while terminal.clients() != number or bool(terminal.socket.stat().st_mode & 0o100) != bool(number):
        if deadline.left() == 0:
            raise Unseen(f"tmux did not have {number} clients in time")


def _drain(screen: int) -> None:
    """Read what tmux draws until its end, so that it never waits for the reader."""
    with suppress(OSError):  # the end of a pseudo-terminal on Linux
        while os.read(screen, 1 << 16):
            pass
