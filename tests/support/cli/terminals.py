"""Pseudo-terminals: both ends of one, a program of Python at it, and what is said there."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from tests.support.lab.programs import Deadline

PATIENCE = 60.0
_LATE = 5.0
# The terminal becomes the process's own, so that its keys are its signals.
_AT_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """The two ends: what a person has, and what a program has."""
    person, program = os.openpty()
    try:
        yield person, program
    finally:
        os.close(person)
        os.close(program)


@contextmanager
def typed_is_dropped(person: int, program: int) -> Iterator[None]:
    """Once a reader knows that it can read, what was typed is dropped, as by an interrupt. Then `kept` comes.

    A read that waits all the same gets `late`.
    """
    late = threading.Timer(_LATE, os.write, (person, b"late\n"))

    class Dropping(asyncio.Event):
        def set(self) -> None:
            if not late.is_alive():
                termios.tcflush(program, termios.TCIFLUSH)
                asyncio.get_running_loop().call_later(0, os.write, person, b"kept\n")
                late.start()
            super().set()

    with mock.patch.object(asyncio, "Event", Dropping):
        try:
            yield
        finally:
            late.cancel()
            late.join()


def python_at(program: int, *arguments: str) -> subprocess.Popen[bytes]:
    """Start Python at the program's end, which is its controlling terminal."""
    command = [sys.executable, "-c", _AT_TERMINAL, *arguments]
    return subprocess.Popen(command, stdin=program, stdout=program, stderr=program, start_new_session=True)


def heard_until(person: int, wanted: bytes, heard: bytes = b"") -> bytes:
    """Everything that a terminal shows until something wanted is in it."""
    deadline = Deadline(PATIENCE)
    while wanted not in heard:
        assert select.select([person], [], [], deadline.left())[0], (wanted, heard)
        heard += os.read(person, 65_536)
    return heard
