"""After a lock the program starts again in its process: what it hands over, and what the terminal keeps."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import termios
from itertools import count
from typing import NoReturn

import pytest
from msgspec.structs import asdict, replace

from chat.interface import NotPermitted
from tests.support.cli.terminals import heard_until, python_at, terminal
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.tui.driving import chatting, until, until_shown, with_bob, write
from tests.support.tui.linear.played import OPTIONS, Others, Played, Recorder
from tui import app
from tui import terminal as terminals
from tui.linear import program as linear
from tui.linear.program import Program
from tui.preferences import Options
from tui.terminal import NOT_AGAIN, Handover
from tui.text.translation import use

PATIENCE = 30.0
HANDED = Handover(
    "Locked.", "ab" * 32, {"theme": "light"}, None, (("a", "a"), ("enter", "\r"), ("", "宽\ud83d"))
)

# Starts again once, with a signal that comes in between, and says what it found.
TWICE = """
import asyncio, json, os, signal, sys
from msgspec.structs import asdict
from pathlib import Path
from tui.terminal import Handover, heed_signals, start_again, taken_over

async def leave():
    asked = asyncio.Event()
    os.kill(os.getpid(), signal.SIGTERM)
    heed_signals(asked.set)
    await asked.wait()

handed = taken_over()
if handed is None:
    start_again(Handover(**json.loads(sys.stdin.readline())))
asyncio.run(leave())
seen = Path("/proc/self/cmdline").read_text() + Path("/proc/self/environ").read_text()
files = sorted(os.listdir("/proc/self/fd"))
print(json.dumps([os.getpid(), asdict(handed), handed.reason in seen, taken_over() is None, files]))
"""


def twice(handed: Handover) -> tuple[Handover, subprocess.Popen[str], list[object]]:
    """What arrives, the process, and the rest of what the second start says."""
    fields = json.dumps({**asdict(handed), "typed": ()})
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", TWICE], stdin=pipe, stdout=pipe, text=True)
    said, _ = process.communicate(f"{fields}\n", timeout=PATIENCE)
    pid, arrived, *rest = json.loads(said)
    return Handover(**{**arrived, "typed": ()}), process, [pid == process.pid, *rest]


def test_the_process_is_the_same_and_a_signal_between_the_starts_is_heeded_by_the_second() -> None:
    handed = replace(HANDED, typed=())
    arrived, process, rest = twice(handed)
    assert (arrived, process.returncode) == (handed, 0)
    assert rest[:3] == [True, False, True]
    assert rest[3] == ["0", "1", "2", "3"], "and the folder of descriptors itself"


def round_trip(monkeypatch: pytest.MonkeyPatch, handed: Handover) -> Handover | None:
    """What the next start takes over."""

    def begin(_path: str, _line: list[str], environment: dict[str, str]) -> NoReturn:
        taken.append(int(environment["PARLOUR_HANDED_OVER"]))
        kept.append(os.dup(taken[0]))
        raise FileNotFoundError

    taken, kept = list[int](), list[int]()
    monkeypatch.setattr(os, "execve", begin)
    with pytest.raises(FileNotFoundError):
        terminals.start_again(handed)
    monkeypatch.setenv("PARLOUR_HANDED_OVER", str(kept[0]))
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(taken[0])
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    return terminals.taken_over()


def test_what_is_handed_over_arrives_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal() as (_person, program):
        handed = replace(HANDED, modes=termios.tcgetattr(program))
    assert round_trip(monkeypatch, handed) == handed
    assert terminals.taken_over() is None


def test_more_keys_than_fit_are_left_out_and_the_rest_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    assert round_trip(monkeypatch, replace(HANDED, typed=(("", "x" * 20_000),))) == replace(HANDED, typed=())


@pytest.mark.parametrize("named", ["", "x", "0", "-1", "9999", "pipe"])
def test_what_somebody_else_named_is_no_handover(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    if named == "pipe":
        reading, writing = os.pipe()
        os.write(writing, b'{"typed": [[1]], "modes": [3]}')
        os.close(writing)
        named = str(reading)
    monkeypatch.setenv("PARLOUR_HANDED_OVER", named)
    assert terminals.taken_over() is None


@pytest.mark.parametrize(
    ("module", "asked", "lock", "quits"),
    [
        (["tests.support.tui.program", "locked"], b"Enter your passphrase", b"\x1bl\x1bl", b"\x11"),
        (["tests.support.tui.linear.program", "again"], b"It is not shown.", b"/lock\n", b"\x04"),
    ],
    ids=["drawn", "linear"],
)
@pytest.mark.parametrize("ends", ["key", "signal"])
def test_the_terminal_has_its_modes_back_at_the_end(
    module: list[str], asked: bytes, lock: bytes, quits: bytes, ends: str
) -> None:
    with terminal() as (person, program):
        before = termios.tcgetattr(program)
        process = python_at(program, "-m", *module)
        heard_until(person, asked)
        os.write(person, b"correct horse\r")
        heard_until(person, b"Bob" if quits == b"\x11" else b"online.")
        os.write(person, lock)
        heard = heard_until(person, asked)
        assert not termios.tcgetattr(program)[3] & termios.ECHO
        assert b"\x1b[?1049l" not in heard
        if ends == "key":
            os.write(person, quits)
        else:
            process.send_signal(signal.SIGTERM)
        heard_until(person, b"\x1b[?1049l" if quits == b"\x11" else b"")
        assert process.wait(PATIENCE) == 0
        assert termios.tcgetattr(program) == before


class Starts:
    """Records what is handed over instead of starting again, which then fails."""

    def __init__(self) -> None:
        self.handed: list[Handover] = []

    def __call__(self, handed: Handover) -> NoReturn:
        self.handed.append(handed)
        raise FileNotFoundError


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Starts:
    starts = Starts()
    monkeypatch.setattr(app, "start_again", starts)
    monkeypatch.setattr(linear, "start_again", starts)
    return starts


@pytest.mark.parametrize("why", ["key", "idle", "command", "ended"])
async def test_every_way_in_which_the_drawn_interface_locks_starts_again(starts: Starts, why: str) -> None:
    messenger, bob = with_bob()
    messenger._preferences.update(autolock="1", theme="light")
    clock = [1000.0]
    async with chatting(messenger, monotonic=lambda: clock[0], starts_again=True) as pilot:
        await write(pilot, "half a")
        match why:
            case "key":
                await pilot.press("alt+l")
            case "idle":
                clock[0] += 60
            case _:
                messenger._end("It is over.", locked=why == "command")
        await until(pilot, lambda: starts.handed != [])
        await until(pilot, lambda: pilot.app.return_code is not None)
    (handed,) = starts.handed
    reasons = {"key": "Locked.", "idle": "Locked after inactivity."}
    assert handed == Handover(reasons.get(why, "It is over."), bob.person, {"theme": "light"})
    if why in ("key", "idle"):  # else the engine took no draft any more
        assert messenger._preferences[f"draft.{bob.person}"] == "half a"
    assert messenger.called("close") == [()]


async def test_a_new_start_shows_why_and_takes_keys_and_looks_over() -> None:
    messenger, bob = with_bob()
    typed = (*((letter, letter) for letter in "correct"), ("", " horse"))
    handed = Handover("Locked.", bob.person, {"theme": "light"}, None, typed)
    async with app.ParlourApp(FakeDoor(messenger), Options(), handed).run_test() as pilot:
        await until_shown(pilot, "Locked.")
        assert pilot.app.theme == "parlour-light"
        await pilot.press("enter")
        await until_shown(pilot, "Write to Bob")


@pytest.mark.parametrize("why", ["line", "idle", "command"])
async def test_every_way_in_which_the_linear_mode_locks_starts_again(starts: Starts, why: str) -> None:
    messenger = FakeMessenger("Ada")
    messenger._preferences.update(autolock="1", language="en")
    clock = count() if why == "idle" else iter(lambda: 0, 1)
    steps = iter([">> correct horse", "> /lock" if why == "line" else "> /me"])

    class Waiting(Played):
        async def line(self) -> str | None:
            if (line := await super().line()) is None:
                if why == "command":
                    messenger._end("It is over.", locked=True)
                await asyncio.Event().wait()
            return line

    output = Recorder()
    played = Waiting(steps, Others(messenger), output)
    options = replace(OPTIONS, monotonic=lambda: next(clock), starts_again=True)
    assert await Program(FakeDoor(messenger), options, played, output, every=0.0).run() == 1
    assert starts.handed == [Handover(looks={"language": "en"}, typed=(("", ""),))]
    assert output.take()[-1] == NOT_AGAIN


async def test_a_lock_keeps_the_language_that_was_chosen_since_it_opened(starts: Starts) -> None:
    steps = iter([">> correct horse", "> /settings language zh_CN", "> /lock"])
    messenger, output = FakeMessenger("Ada"), Recorder()
    played = Played(steps, Others(messenger), output)
    options = replace(OPTIONS, starts_again=True)
    try:
        await Program(FakeDoor(messenger), options, played, output, every=0.0).run()
    finally:
        use("en")
    assert [handed.looks for handed in starts.handed] == [{"language": "zh_CN"}]


async def test_a_profile_that_is_locked_while_it_opens_starts_again(starts: Starts) -> None:
    messenger = FakeMessenger("Ada")
    messenger.failures["me"] = NotPermitted("It was locked.")
    output = Recorder()
    played = Played(iter([">> correct horse"]), Others(messenger), output)
    program = Program(FakeDoor(messenger), replace(OPTIONS, starts_again=True), played, output)
    assert await program.run() == 1
    assert len(starts.handed) == 1
