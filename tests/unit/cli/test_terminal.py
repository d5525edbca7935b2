"""Lines of input and passphrases: nothing is lost, nothing is echoed, nothing is taken too early."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chat.cli import terminal as module
from chat.cli.terminal import Lines, confirmed, read_new_passphrase, read_passphrase
from chat.interface import NotPermitted, UsageError
from tests.support.cli.line import piped
from tests.support.cli.terminals import heard_until, python_at, terminal, typed_is_dropped


def test_lines_come_in_order_whichever_method_reads_them() -> None:
    with piped("first\nsecond\r\nthird\nlast without end") as descriptor:
        lines = Lines(descriptor)
        assert lines.line() == "first"
        assert asyncio.run(lines.next_line()) == "second"
        assert lines.line() == "third"
        assert asyncio.run(lines.next_line()) == "last without end"
        assert lines.line() is None
        assert asyncio.run(lines.next_line()) is None
    with piped("secret\nline one\nline two\n") as descriptor:
        lines = Lines(descriptor)
        assert lines.line() == "secret"
        lines.forget_typed()  # drops nothing that came through a pipe
        assert lines.rest() == "line one\nline two\n"


async def test_waiting_for_a_line_can_be_given_up_without_losing_it() -> None:
    reading, writing = os.pipe()
    lines = Lines(reading)
    waiting = asyncio.create_task(lines.next_line())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    os.write(writing, b"kept\n")
    assert await lines.next_line() == "kept"
    os.close(writing)
    assert await lines.next_line() is None
    os.close(reading)


async def test_a_line_that_an_interrupt_drops_is_waited_for_no_longer() -> None:
    with terminal() as (person, program), typed_is_dropped(person, program):
        os.write(person, b"dropped\n")
        assert await Lines(program).next_line() == "kept"


def test_a_file_and_nothing_at_all_can_be_input(tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("y\n")
    descriptor = os.open(tmp_path / "answers", os.O_RDONLY)
    lines = Lines(descriptor)
    assert asyncio.run(lines.next_line()) == "y"
    assert asyncio.run(lines.next_line()) is None
    os.close(descriptor)
    assert asyncio.run(Lines(descriptor).next_line()) is None


def test_input_that_is_no_text_or_has_no_end_is_refused() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"\xff\xfe\n")
    with pytest.raises(UsageError, match="UTF-8"):
        Lines(reading).line()
    os.close(writing)
    os.close(reading)
    zeros = os.open("/dev/zero", os.O_RDONLY)
    with pytest.raises(UsageError, match="too long"):
        Lines(zeros).rest()
    os.close(zeros)


def test_what_was_typed_ahead_at_a_terminal_answers_no_later_question() -> None:
    with terminal() as (person, program):
        lines = Lines(program)
        os.write(person, b"y\ny\n")
        assert lines.line() == "y"
        lines.forget_typed()
        os.write(person, b"n\n")
        assert lines.line() == "n"


async def test_a_yes_typed_before_the_question_is_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with terminal() as (person, program):
        lines = Lines(program)
        os.write(person, b"word\ny\n")
        assert lines.line() == "word"
        monkeypatch.setattr("chat.cli.terminal.question", lambda _: os.write(person, b"n\n"))
        assert not await confirmed(lines, "Sure?")


def test_without_a_terminal_nothing_is_asked() -> None:
    program = """
from chat.cli.terminal import ask_secret
from chat.interface import NotPermitted
try:
    ask_secret("Passphrase: ")
except NotPermitted as refused:
    print(refused)
"""
    # A new session has no controlling terminal, whatever the tests were started from.
    ended = subprocess.run(
        [sys.executable, "-c", program],
        input="typed in clear\n",
        capture_output=True,
        text=True,
        start_new_session=True,
        check=True,
    )
    assert "--passphrase-file" in ended.stdout
    assert ended.stderr == ""


@pytest.mark.parametrize("content", [b"a b \xc3\xa9\n", b"a b \xc3\xa9", b"a b \xc3\xa9\r\nmore\n"])
def test_a_passphrase_is_the_first_line_as_it_stands(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").touch(0o600)
    (tmp_path / "file").write_bytes(content)
    assert read_passphrase(str(tmp_path / "file"), Lines(-1)) == "a b é"


def test_both_passphrases_may_come_through_one_pipe() -> None:
    with piped("old one\nnew one\n") as descriptor:
        lines = Lines(descriptor)
        assert read_passphrase("-", lines) == "old one"
        assert read_new_passphrase("-", lines) == "new one"
        with pytest.raises(NotPermitted):
            read_passphrase("-", lines)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\n", b"x" * 5000])
def test_a_file_without_a_passphrase_is_a_usage_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UsageError):
        read_passphrase(str(tmp_path / "file"), Lines(-1))
    with pytest.raises(UsageError):
        read_passphrase(str(tmp_path / "none"), Lines(-1))


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        (["the first one", "the first one"], "the first one"),
        (["the first one", "the second one"], None),
        # Enter confirms a short one.
        (["abc", "abc", ""], "abc"),
        (["abc", "abc", "the longer one", "the longer one"], "the longer one"),
        (["abc", "abc", "abcd", "abcd", ""], "abcd"),
    ],
)
def test_a_new_passphrase_is_typed_twice_and_confirmed_where_it_is_short(
    typed: list[str], taken: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(typed)
    monkeypatch.setattr(module, "ask_secret", lambda *_: next(answers))
    if taken is None:
        with pytest.raises(UsageError, match="differ"):
            read_new_passphrase(None, Lines(-1))
    else:
        assert read_new_passphrase(None, Lines(-1)) == taken
    assert next(answers, None) is None
    said = capsys.readouterr().err
    assert "cannot be recovered" in said
    assert ("Press Enter to use it anyway" in said) is (typed[0] == "abc")


def test_a_passphrase_typed_at_a_terminal_is_not_echoed() -> None:
    code = """
from chat.cli.terminal import ask_secret
print("It is", ask_secret("Passphrase: ")[::-1])
"""
    with terminal() as (person, program):
        running = python_at(program, "-c", code)
        shown = heard_until(person, b"Passphrase: ")
        os.write(person, b"never shown\n")
        shown = heard_until(person, b"nwohs reven", shown)
        assert running.wait() == 0
    assert b"never shown" not in shown
