"""Lines in and out of pipes and terminals, and the mode as a program: nothing is echoed, it leaves well."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import termios
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chat.interface import UsageError
from tests.support.cli.line import piped
from tests.support.cli.terminals import heard_until, python_at, terminal, typed_is_dropped
from tests.support.fakes.messenger import WRONG
from tui.linear.input import BYTES_MAX, LineInput
from tui.linear.output import Output

PATIENCE = 30.0
MODULE = ("-m", "tests.support.tui.linear.program")
PROGRAM = [sys.executable, *MODULE]


async def test_lines_of_a_pipe_come_in_order_and_its_end_after_them() -> None:
    with piped("one\r\n\ntwo 宽\nlast") as descriptor:
        typed = LineInput(descriptor)
        assert not typed.at_terminal
        assert [await typed.line() for _ in range(5)] == ["one", "", "two 宽", "last", None]


async def test_a_line_that_is_no_text_or_has_no_end_is_refused_whole() -> None:
    reading, writing = os.pipe()
    typed = LineInput(reading)
    os.write(writing, b"\xff\xfe\nafter\n")
    with pytest.raises(UsageError, match="UTF-8"):
        await typed.line()
    assert await typed.line() == "after"
    line = asyncio.create_task(typed.line())
    await asyncio.to_thread(os.write, writing, b"x" * (BYTES_MAX + 1))
    os.write(writing, b"end\nafter\n")
    with pytest.raises(UsageError, match="it was ignored"):
        await line
    assert await typed.line() == "after"
    os.close(reading)
    os.close(writing)


async def test_waiting_for_a_line_can_be_given_up_without_losing_it() -> None:
    reading, writing = os.pipe()
    typed = LineInput(reading)
    os.write(writing, b"ke")
    waiting = asyncio.create_task(typed.line())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    os.write(writing, b"pt\n")
    assert await typed.line() == "kept"
    os.close(reading)
    os.close(writing)


async def test_a_terminal_takes_a_line_that_is_longer_than_it_could_edit_itself() -> None:
    with terminal() as (person, program):
        output = Output(program)
        typed = LineInput(program, output)
        with typed.attended():
            for part in range(5):
                os.write(person, b"x" * 2000)
                while len(typed.editor.text) < 2000 * (part + 1):
                    await typed._read()
                os.read(person, 4096)
            os.write(person, b"\n\xff\n")
            assert len(await typed.line() or "") == 10_000
            with pytest.raises(UsageError, match="UTF-8"):
                await typed.line()


async def test_what_was_typed_before_a_passphrase_is_asked_for_is_no_part_of_it() -> None:
    with terminal() as (person, program):
        output = Output(program)
        typed = LineInput(program, output)
        with typed.attended():
            os.write(person, b"to Ben")
            await typed._read()
            os.write(person, b", who")
            with typed.hidden():
                await output.say("Type it.")
                os.write(person, b"secret\n")
                assert await typed.secret() == "secret"
            assert heard_until(person, b"it.\r\n\r\n") == b"to Ben\r\nType it.\r\n\r\n"


async def test_a_line_that_an_interrupt_drops_is_waited_for_no_longer() -> None:
    with terminal() as (person, program), typed_is_dropped(person, program):
        typed = LineInput(program, Output(program))
        with typed.attended():
            os.write(person, b"dropped\n")
            assert await typed.line() == "kept"


async def test_a_passphrase_that_comes_with_the_line_before_it_is_taken_and_not_shown() -> None:
    with terminal() as (person, program):
        output = Output(program)
        typed = LineInput(program, output)
        with typed.attended():
            os.write(person, b"Ann\nsecret\nsecret\nto Ben\n")
            assert await typed.line() == "Ann"
            with typed.hidden():
                await output.say("Type it.")
                assert [await typed.secret() for _ in range(2)] == ["secret", "secret"]
            assert await typed.line() == "to Ben"
            shown = heard_until(person, b"to Ben\r\n")
            assert shown == b"Ann\r\nType it.\r\n\r\n\r\nto Ben\r\n"


async def test_a_voice_that_nobody_hears_says_so_and_goes_on() -> None:
    reading, writing = os.pipe()
    output = Output(writing)
    await output.say("one\ntwo\x1b[2J\x85", "宽\ud83d")
    assert os.read(reading, 100) == "one two [2J \n宽\\ud83d\n".encode()
    await output.ring()
    os.close(reading)
    await output.say("three")
    assert output.gone.is_set()
    await output.say("four")
    os.close(writing)


class Talk:
    """The mode in a process of its own, at a terminal."""

    def __init__(self, person: int, program: int, *options: str) -> None:
        self._person = person
        self.heard = b""
        self._rest = b""
        self.process = python_at(program, *MODULE, *options)

    def hear(self, wanted: bytes) -> bytes:
        """Wait until something was said; what was heard since the last time, up to its end."""
        self._rest = heard_until(self._person, wanted, self._rest)
        end = self._rest.index(wanted) + len(wanted)
        since, self._rest = self._rest[:end], self._rest[end:]
        self.heard += since
        return since

    def type(self, keys: bytes) -> None:
        os.write(self._person, keys)

    def begin(self) -> None:
        """Unlock the profile and open the conversation with Ben."""
        self.hear(b"It is not shown.\r\n")
        self.type(b"correct horse\n")
        self.hear(b"1 of them online.\r\n")
        self.type(b"/open Ben\n")
        self.hear(b"You are talking to Ben, online, not verified.\r\n")


@pytest.mark.parametrize("leaving", [b"\x03", b"\x04", b"/quit\n", signal.SIGHUP, signal.SIGTERM])
def test_a_terminal_shows_no_passphrase_and_every_way_out_closes_the_profile(
    leaving: bytes | signal.Signals,
) -> None:
    """The program's status says that Textual was not loaded and that the messenger was closed."""
    with terminal() as (person, program):
        talk = Talk(person, program)
        talk.hear(b"It is not shown.\r\n")
        talk.type(b"not this one\n")
        talk.hear(f"{WRONG}\r\nType your passphrase. ".encode())
        talk.begin()
        if isinstance(leaving, bytes):
            talk.type(leaving)
        else:
            talk.process.send_signal(leaving)
        assert talk.process.wait(PATIENCE) == 0
    assert b"horse" not in talk.heard
    assert b"this one" not in talk.heard
    assert not [byte for byte in talk.heard if byte < 0x20 and byte not in b"\r\n"]


def test_an_entry_is_copied_by_the_terminals_own_sequence() -> None:
    with terminal() as (person, program):
        talk = Talk(person, program)
        talk.begin()
        talk.type(b"hello\n")
        talk.hear(b"hello\r\n")
        talk.type(b"/copy\n")
        talk.hear(f"\x1b]52;c;{b64encode(b'hello').decode()}\a".encode())
        talk.hear(b"Copied.\r\n")
        talk.type(b"/quit\n")
        assert talk.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("leaving", [b"\x03", b"\x04", b"/quit\n", b"/lock\n", signal.SIGHUP, signal.SIGTERM])
def test_every_way_out_takes_the_recovery_words_off_the_screen(leaving: bytes | signal.Signals) -> None:
    with terminal() as (person, program):
        talk = Talk(person, program)
        talk.begin()
        talk.type(b"/recovery\n")
        talk.hear(b"erases all here.\r\n")
        if isinstance(leaving, bytes):
            talk.type(leaving)
        else:
            talk.process.send_signal(leaving)
        talk.hear(b"\x1b[H\x1b[2J\x1b[3J")
        if leaving == b"/lock\n":
            talk.hear(b"It is not shown.\r\n")
            talk.type(b"\x04")
        assert talk.process.wait(PATIENCE) == 0
    assert talk.heard.count(b"\x1b") == 3


@pytest.mark.parametrize("typed", [b"/recovery acorn a b c\n", b"/recovery use acorn\n"])
def test_words_that_are_refused_are_taken_off_the_screen_too(typed: bytes) -> None:
    """They may be the right ones but for a slip."""
    with terminal() as (person, program):
        talk = Talk(person, program)
        talk.begin()
        talk.type(typed)
        talk.hear(typed.strip() + b"\r\n")
        talk.type(b"/lock\n")
        talk.hear(b"\x1b[H\x1b[2J\x1b[3J")
        talk.hear(b"It is not shown.\r\n")
        talk.type(b"\x04")
        assert talk.process.wait(PATIENCE) == 0


@contextmanager
def talking(every: float) -> Iterator[Talk]:
    """In the conversation with Ben; it must end well at the end of the input."""
    with terminal() as (person, program):
        talk = Talk(person, program, str(every))
        talk.begin()
        yield talk
        talk.type(b"\x04")
        assert talk.process.wait(PATIENCE) == 0


def test_nobody_is_interrupted_in_the_middle_of_a_line() -> None:
    with talking(every=3600.0) as talk:
        talk.type("half a messx\x7f宽x\x7f\x7f".encode())
        talk.hear(b"\b \b\b \b\b \b")
        talk.process.send_signal(signal.SIGUSR1)
        talk.type(b"age\x1b[D\n")
        assert talk.hear(b"Ben, 09:01: from Ben\r\n").startswith(b"age\r\n")
        talk.hear(b"Delivered.\r\n")
        talk.type(b"/last 4\n")
        assert b"2. You, 09:02: half a message\r\n" in talk.hear(b"half a message\r\n")


def test_who_rests_in_the_middle_of_a_line_is_told_and_the_line_is_repeated_where_that_is_asked_for() -> None:
    with talking(every=0.01) as talk:
        talk.type(b"and another")
        talk.hear(b"and another")
        talk.process.send_signal(signal.SIGUSR1)
        reminded = b"Your line is not sent yet: Ctrl+R repeats it.\r\n"
        assert talk.hear(reminded) == b"\r\nBen, 09:01: from Ben\r\n" + reminded
        talk.type(b" one")  # of which this is all that can be erased on its row
        assert talk.hear(b" one") == b" one"
        talk.process.send_signal(signal.SIGUSR1)
        assert talk.hear(b"from Ben\r\n") == b"\r\nBen, 09:02: from Ben\r\n"
        talk.type(b"x\x17\x12")
        assert talk.hear(b"another") == b"x\b \band another"
        talk.type(b"\x17\x15")
        talk.hear(b"\b \b" * len("and another"))


def test_at_the_passphrase_an_interrupt_gives_the_terminal_back_as_it_was() -> None:
    with terminal() as (person, program):
        before = termios.tcgetattr(program)
        talk = Talk(person, program)
        talk.hear(b"It is not shown.\r\n")
        talk.type(b"half a passph\x03")
        assert talk.process.wait(PATIENCE) == 0
        assert termios.tcgetattr(program) == before


def test_a_pipe_is_enough_and_a_reader_who_has_gone_is_an_end() -> None:
    script = "correct horse\n/open Ben\nhello\n/last 1\n"
    ended = subprocess.run(PROGRAM, input=script, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-3:] == ["Delivered.", "1. You, 09:01: hello", "Parlour is closed."]
    assert ended.stderr == ""
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(PROGRAM, stdin=subprocess.PIPE, stdout=writing) as running:
        os.close(writing)
        assert running.wait(PATIENCE) == 0  # although its input has not ended
