"""A terminal that vanishes without a signal: the program ends, and so locks the profile."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import termios
from functools import partial

import pytest

from tests.support.cli.terminals import heard_until
from tui.terminal import Watched, heed_signals

PATIENCE = 60.0
START = """\
import os, signal, sys
if sys.argv[1] != "elsewhere":
    os.close(os.open(os.ttyname(0), os.O_RDWR))  # the first that a new session opens is its own
if sys.argv[1] == "ignored":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execv(sys.executable, sys.argv[2:])
"""


@pytest.fixture
def terminal() -> tuple[int, int]:
    """Both ends of a pseudo-terminal: what shows it, and what a program has."""
    return os.openpty()


def test_a_terminal_is_gone_once_nobody_shows_it(terminal: tuple[int, int]) -> None:
    shown, programs = terminal
    watched = Watched(programs)
    assert not watched.gone()
    os.close(shown)
    assert watched.gone()
    os.close(programs)


def test_a_terminal_that_went_before_anybody_looked_is_gone(terminal: tuple[int, int]) -> None:
    shown, programs = terminal
    os.close(shown)
    assert Watched(programs).gone()
    os.close(programs)


def test_what_is_no_terminal_is_never_gone() -> None:
    reading, writing = os.pipe()
    watched = Watched(reading)
    os.close(writing)
    assert not watched.gone()
    os.close(reading)


async def test_signals_that_end_programs_are_heeded_but_one_that_is_ignored() -> None:
    before, asked = signal.signal(signal.SIGHUP, signal.SIG_IGN), asyncio.Queue[str]()
    try:
        heed_signals(partial(asked.put_nowait, "to leave"))
        for number in (signal.SIGHUP, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert await asked.get() == "to leave"
        assert asked.empty(), "both came in one turn of the loop"
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.terminal
@pytest.mark.parametrize("signals", ["heeded", "ignored", "elsewhere"])
def test_the_program_ends_with_its_terminal(terminal: tuple[int, int], signals: str) -> None:
    """A hang-up sends SIGHUP and SIGCONT to whom the terminal belongs, and nothing to others."""
    shown, programs = terminal
    talk = [sys.executable, "-m", "tests.support.tui.program", "talk", ""]
    process = subprocess.Popen(
        [sys.executable, "-c", START, signals, *talk],
        stdin=programs,
        stdout=programs,
        stderr=programs,
        start_new_session=True,
    )
    try:
        os.close(programs)
        heard_until(shown, b"Contacts")
        os.close(shown)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.terminal
def test_a_program_that_was_stopped_from_outside_goes_on_with_one_reader(terminal: tuple[int, int]) -> None:
    """SIGSTOP cannot be heeded; the shell takes its modes back meanwhile, as it does for a job."""
    shown, programs = terminal
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.tui.program", "talk", ""],
        stdin=programs,
        stdout=programs,
        stderr=programs,
        start_new_session=True,
    )
    try:
        before = termios.tcgetattr(programs)
        heard_until(shown, b"Contacts")
        raw = termios.tcgetattr(programs)
        assert raw[3] != before[3]
        for _ in range(2):
            os.kill(process.pid, signal.SIGSTOP)
            termios.tcsetattr(programs, termios.TCSANOW, before)
            os.kill(process.pid, signal.SIGCONT)
            heard_until(shown, b"\x1b[?1049l")
            heard_until(shown, b"Contacts")
            assert termios.tcgetattr(programs)[3] == raw[3]
        os.write(shown, b"\x1bs")
        heard_until(shown, b"\x1b[?1007l")
        os.write(shown, b"\x11")
        heard_until(shown, b"Quit now?")
        os.write(shown, b"\x11")
        assert b"\x1b[?1007r" in heard_until(shown, b"\x1b[?1049l"), "other programs have their wheel again"
        assert process.wait(PATIENCE) == 0
        assert termios.tcgetattr(programs)[3] == before[3]
    finally:
        process.kill()
        process.wait()
        os.close(programs)
        os.close(shown)
