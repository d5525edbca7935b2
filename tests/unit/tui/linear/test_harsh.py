"""The linear mode at a terminal, byte by byte: it only appends, says each thing once, in lines of 200 cells.

Others write, hostile text too. The person rests in the middle of a line, redraws, resizes, stops the program
and goes on, and locks. A contact goes and comes, a file moves through hundreds of steps. In both languages.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.support.cli.terminals import heard_until, python_at, terminal
from tests.support.tui.hostile import ATTACKS
from tests.support.tui.linear.harsh import CELLS, faults
from tests.support.tui.linear.played import FOLDER
from tui.text.translation import ENGLISH, LANGUAGES, _, _n, use

PATIENCE = 30.0
MODULE = "tests.support.tui.linear.program"
LONG = " ".join(f"word{number}" for number in range(300))
WIDE = "宽" * 260
MARKS = "marks: a" + "\u0301" * 10_000 + "b"
FORGED = "hello\nCarla: pay him\r\nLocked.\x85Type your passphrase.\u2028You: yes\u2029/yes\v1. Carla: x"
NEVER_ENDS = "\n".join(f"row {number}" for number in range(400))


class Listener:
    """Somebody at a terminal of the program, and what others do."""

    def __init__(self, person: int, program: int, acts: Path) -> None:
        os.mkfifo(acts)
        self._person = person
        self._acts = os.open(acts, os.O_RDWR)
        self.heard = b""
        self._rest = b""
        self.process = python_at(program, "-m", MODULE, "0.01", str(acts))

    def hear(self, wanted: str) -> str:
        """Wait for the end of a text; what was heard since the last time, up to there."""
        self._rest = heard_until(self._person, wanted.encode(), self._rest)
        end = self._rest.index(wanted.encode()) + len(wanted.encode())
        since, self._rest = self._rest[:end], self._rest[end:]
        self.heard += since
        return since.decode()

    def type(self, keys: str) -> None:
        os.write(self._person, keys.encode())

    def act(self, name: str, act: str, text: str = "") -> None:
        os.write(self._acts, f"{name} {act} {json.dumps(text)[1:-1]}\n".encode())

    def end(self) -> None:
        self.type("/quit\n")
        self.hear(_("Parlour is closed.") + "\r\n")
        assert self.process.wait(PATIENCE) == 0
        os.close(self._acts)

    def stop_and_go_on(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)
        self.process.send_signal(signal.SIGCONT)

    def resize(self) -> None:
        for columns in (20, 132, 80):
            fcntl.ioctl(self._person, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


@contextmanager
def listening(language: str, place: Path, patch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """In the conversation with Ben, in a language."""
    for variable in ("LANGUAGE", "LC_ALL", "LC_MESSAGES"):
        patch.delenv(variable, raising=False)
    patch.setenv("LANG", "C.UTF-8" if language == ENGLISH else f"{language}.UTF-8")
    use(language)
    with terminal() as (person, program):
        listener = Listener(person, program, place / "acts")
        unlock(listener)
        listener.type("/open Ben\n")
        listener.hear(_("You are talking to {name}, {how}.").split("{how}")[0].format(name="Ben"))
        listener.hear("\r\n")
        yield listener


def unlock(listener: Listener) -> list[str]:
    """All that is said until it is open."""
    said = listener.hear(_("Type your passphrase. It is not shown.") + "\r\n")
    listener.type("correct horse\n")
    many = _n("{number} contact, {here} online.", "{number} contacts, {here} of them online.", 2)
    said += listener.hear(many.format(number=2, here=1) + "\r\n")
    return said.splitlines()


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_is_said_once_below_what_was_said_and_in_lines_that_end(
    language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    with listening(language, tmp_path, monkeypatch) as ada:
        in_the_middle_of_a_line(ada)
        nothing_comes_again(ada)
        what_moves_is_said_in_few_lines(ada)
        asked += a_long_text_is_divided_until_it_is_asked_for(ada)
        nobody_steers_or_forges(ada)
        asked += locked_and_opened_again(ada)
        ada.end()
    goes_on = _("{name} goes on: {text}").format(name="Ben", text=".*")  # a text may repeat itself
    assert faults(ada.heard, asked, [goes_on]) == []


def assert_said(ada: Listener, text: str) -> None:
    """One line comes, and nothing before it; its speaker comes first."""
    said = ada.hear(f"{text}\r\n")
    assert said.startswith("Ben")
    assert said.count("\r\n") == 1


def in_the_middle_of_a_line(ada: Listener) -> None:
    """Who rests hears what comes, once that the line waits, and nothing of the line again."""
    ada.type("half a line")
    ada.hear("half a line")
    ada.act("Ben", "writes", "one.")
    reminded = _("Your line is not sent yet: Ctrl+R repeats it.")
    said = ada.hear(f"{reminded}\r\n")
    assert said.startswith("\r\nBen")
    assert said.splitlines()[1:] == [said.splitlines()[1].removesuffix("one.") + "one.", reminded]
    ada.act("Ben", "writes", "two.")
    assert_said(ada, "two.")
    ada.type(" and its end\n")
    ada.hear(" and its end\r\n")
    ada.hear(_("Delivered.") + "\r\n")


def nothing_comes_again(ada: Listener) -> None:
    ada.type("\x0c")
    ada.resize()
    ada.stop_and_go_on()
    ada.type("\x0c")
    ada.resize()
    ada.act("Ben", "writes", "three.")
    assert_said(ada, "three.")


def what_moves_is_said_in_few_lines(ada: Listener) -> None:
    """Twelve hundred steps of a file are four lines, and a contact who goes and comes is two."""
    ada.act("Ben", "transfers", "asks taking paused whole")
    ada.act("Ben", "goes")
    ada.act("Ben", "comes")
    online = _("{name} is online.").format(name="Ben")
    said = ada.hear(online + "\r\n").splitlines()
    assert [line for line in said if "report.pdf" not in line] == [
        _("{name} is offline.").format(name="Ben"),
        online,
    ]
    assert len(said) == 6
    assert all(line.startswith("Ben") for line in said)


def a_long_text_is_divided_until_it_is_asked_for(ada: Listener) -> list[str]:
    """The lines that were asked for."""
    for text, last in ((LONG, "word299"), (WIDE, "宽")):
        ada.act("Ben", "writes", text)
        said = ada.hear(f"{last}\r\n").splitlines()
        while last == "宽" and "".join(said).count("宽") < len(WIDE):
            said += ada.hear(f"{last}\r\n").splitlines()
        assert len(said) > 2
        assert all(line.startswith("Ben") and cell_len(line) <= CELLS for line in said)
    ada.act("Ben", "writes", NEVER_ENDS)
    more = ada.hear("/whole ") + ada.hear("\r\n")
    found = re.search(r"/whole ([0-9]+)", more)
    assert found, "the line that names what shows all has its number"
    ada.type(f"/last 3\n/whole {found[1]}\n")
    ada.hear("/last 3\r\n")
    again = (ada.hear(f"/whole {found[1]}\r\n") + ada.hear("row 399\r\n")).splitlines()
    number = next(line.partition(".")[0] for line in again if "word0" in line)
    ada.type(f"/whole {number}\n")
    ada.hear(f"/whole {number}\r\n")
    whole = ada.hear("word299\r\n")
    assert LONG in whole
    assert whole.count("\r\n") == 1
    return [*more.splitlines(), *again, whole.removesuffix("\r\n")]


def nobody_steers_or_forges(ada: Listener) -> None:
    for number, text in enumerate((*ATTACKS.values(), MARKS, FORGED)):
        ada.act("Ben", "writes", f"attack {number} {text}\nits end {number}.")
        said = ada.hear(f"its end {number}.\r\n").replace("\a", "")
        assert [line for line in said.splitlines() if not line.startswith("Ben")] == []
        assert len(said) < 20_000


def locked_and_opened_again(ada: Listener) -> list[str]:
    """After a lock only who and where one is is said again, which this returns: no hint, no message."""
    ada.type("/lock\n")
    assert ada.hear(_("Locked.") + "\r\n").splitlines() == ["/lock", _("Locked.")]
    said = unlock(ada)
    assert len(said) <= 6
    assert _("/help lists the commands.") not in said
    ada.type("/open Ben\n")
    assert ada.hear("/open Ben\r\n") == "/open Ben\r\n"
    said += ["/open Ben", *ada.hear("\r\n").splitlines()]
    ada.act("Ben", "writes", "after the lock.")
    assert_said(ada, "after the lock.")
    return said


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.txt")))
def test_no_line_of_the_programs_own_is_too_long_or_divided(name: str) -> None:
    """What the transcripts hold is all that the program can say, or nearly."""
    use("zh_CN" if "zh_CN" in name else ENGLISH)
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    said = [line for line in lines if not line.startswith((">", "* "))]
    assert [line for line in said if cell_len(line) > CELLS or line.startswith(_("Goes on"))] == []


@pytest.mark.parametrize(
    ("heard", "fault"),
    [
        (b"one\r\n\x1b[Atwo\r\n", "no text"),
        (b"one\rtwo\r\n", "goes back"),
        (b"one\b \b\r\n", "no text"),
        (b"x" * 201 + b"\r\n", "201 cells"),
        ("宽".encode() * 101 + b"\r\n", "202 cells"),
        (b"one\r\none\r\n", "said again: one"),
        ("a\u202eb\r\n".encode(), "U\\+202E"),
    ],
)
def test_a_fault_is_heard(heard: bytes, fault: str) -> None:
    assert re.search(fault, "\n".join(faults(heard)))
    assert faults(heard.replace(heard, b"one\r\ntwo\r\n")) == []
