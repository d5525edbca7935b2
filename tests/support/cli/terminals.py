"""Pseudo-terminals: both ends of one, a program of Python at it, and what is said there."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.lab.programs import Deadline

PATIENCE = 60.0
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
