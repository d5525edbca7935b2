"""A person at a lab terminal: a client that is attached to its tmux, with a keyboard and a screen.

Rules: a lab terminal is detached until then, which the program in it may notice.
"""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Final

from tests.support.lab.deadlines import Deadline
from tests.support.lab.terminal import Terminal, Unseen

_PATIENCE: Final = 10.0


class Person:
    """Types into an attached client, and reads nothing."""

    def __init__(self, keyboard: int) -> None:
        self._keyboard = keyboard

    def type(self, keys: bytes) -> None:
        """Press keys, given as the bytes that a terminal sends for them."""
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
    screen = Thread(target=_read_all, args=(ours,))
    screen.start()
    try:
        wait_for_clients(terminal, 1)
        yield Person(ours)
    finally:
        client.terminate()
        client.wait(_PATIENCE)
        screen.join()
        os.close(ours)
    wait_for_clients(terminal, 0)


def wait_for_clients(terminal: Terminal, number: int) -> None:
    """Wait until so many clients are attached, which tmux tells by the mode of its socket too."""
    deadline = Deadline(_PATIENCE)
    while not (terminal.clients() == number and _executable(terminal.socket) == bool(number)):
        if deadline.left() == 0:
            raise Unseen(f"tmux did not have {number} clients in time")


def _executable(socket: Path) -> bool:
    return bool(socket.stat().st_mode & 0o100)


def _read_all(screen: int) -> None:
    """Read what tmux draws until its end, so that it never waits for the reader."""
    try:
        while os.read(screen, 1 << 16):
            pass
    except OSError:  # the end of a pseudo-terminal on Linux
        return
