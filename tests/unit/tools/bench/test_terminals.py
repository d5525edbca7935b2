"""The instrument of the flows: programs in terminals, and waiting for what they show."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from chat.tools.bench import terminals as module
from chat.tools.bench.measure import NotTaken
from chat.tools.bench.terminals import Program, Terminals, Unseen

ECHO = r"""
import sys
sys.stdout.write("\x1b[2J\x1b]0;title\x07\x1bPquery\x1b\\\x1b[1;31mre\x1b[")
sys.stdout.flush()
sys.stdout.write("0mady é\n")
sys.stdout.flush()
for line in sys.stdin:
    print("heard", line.strip(), flush=True)
"""


@pytest.fixture
def terminals() -> Iterator[Terminals]:
    with Terminals() as opened:
        yield opened


def start(terminals: Terminals, program: str) -> Program:
    return terminals.start([sys.executable, "-u", "-c", program])


def test_text_is_seen_after_a_key_and_without_what_steers_the_terminal(
    terminals: Terminals, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = start(terminals, ECHO)
    assert program.wait_for("ready é") >= program.started
    assert b"title" not in program._shown
    assert b"query" not in program._shown
    typed = program.press("ok\r")
    assert program.wait_for("heard ok") >= typed
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with pytest.raises(Unseen, match="nothing showed 'ready'"):
        program.wait_for("ready")


def test_a_sequence_in_two_pieces_is_no_text(terminals: Terminals) -> None:
    program = start(terminals, "input()")
    for piece in (b"one\x1b", b"[1;3", b"1mtwo\x1b]0;ti", b"tle", b"\x07three"):
        program.hear(piece)
    assert bytes(program._shown).endswith(b"onetwothree")


def test_a_program_that_has_ended_is_not_waited_for_and_may_not_fail(terminals: Terminals) -> None:
    program = start(terminals, "print('gone')")
    program.wait_for("gone")
    with pytest.raises(Unseen, match="The last that it showed: 'gone'"):
        program.wait_for("never")
    assert program.wait_end() >= program.started
    with pytest.raises(Unseen, match="ended with 3"):
        start(terminals, "raise SystemExit(3)").wait_end()


def test_a_full_terminal_stops_nobody(terminals: Terminals) -> None:
    loud = start(terminals, "print('x' * 1_000_000, flush=True); print('done')")
    quiet = start(terminals, "input(); print('typed')")
    loud.wait_for("done")
    quiet.press("\r")
    quiet.wait_for("typed")


def test_at_rest_everything_is_shown(terminals: Terminals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOMENT", 0.5)  # the printing program may have to wait for its turn
    program = start(terminals, "input(); print(*range(100_000), 'end', flush=True); input()")
    program.press("\r")
    program.wait_for("0 1 2")
    program.rest()
    assert b"99999 end" in program._shown


def test_what_never_rests_is_not_waited_for(terminals: Terminals, monkeypatch: pytest.MonkeyPatch) -> None:
    program = start(terminals, "while True: print('again')")
    program.wait_for("again")
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    with pytest.raises(Unseen, match="never came to rest"):
        program.rest()


def test_what_still_runs_at_the_end_is_gone() -> None:
    with Terminals() as terminals:
        program = start(terminals, "import os; print('pid', os.getpid(), 'end'); input()")
        program.wait_for("end")
        pid = int(program._shown.split()[1])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_closed_terminal_ends_what_runs_in_it(terminals: Terminals) -> None:
    """As when the measurement itself is killed."""
    program = start(terminals, "print('ready'); input()")
    program.wait_for("ready")
    os.close(program.terminal)
    program.terminal = os.open(os.devnull, os.O_RDONLY)
    assert program._process.wait(30) == -signal.SIGHUP


def test_without_terminals_there_is_no_figure(terminals: Terminals, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> tuple[int, int]:
        raise OSError("out of pty devices")

    monkeypatch.setattr(os, "openpty", none_left)
    with pytest.raises(NotTaken, match="out of pty devices"):
        start(terminals, "")


def test_a_program_has_no_setting_of_ours(terminals: Terminals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLOUR_PROFILE", "ours")
    monkeypatch.setenv("NO_COLOR", "1")
    program = start(terminals, "import os; print(*sorted(os.environ), 'end')")
    program.wait_for("end")
    names = program._shown.decode().split()
    assert "TERM" in names
    assert not {"PARLOUR_PROFILE", "NO_COLOR"} & set(names)
