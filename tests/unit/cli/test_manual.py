"""The manual pages: one for each command, without a fault that a formatter finds."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from chat.cli.__main__ import program
from chat.cli.manual import _text, _wrapped, date, pages, write
from tests.support import machine as needs


def commands(context: click.Context) -> Iterator[click.Context]:
    yield context
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(click.Context(below, info_name=name, parent=context))


@pytest.fixture
def written(tmp_path: Path) -> list[Path]:
    return write(tmp_path / "man")


def test_every_command_has_a_page_with_its_options(written: list[Path]) -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in written}
    every = list(commands(click.Context(program, info_name="parlour")))
    assert len(every) == len(texts) > 50
    for context in every:
        text = texts[f"{context.command_path.replace(' ', '-')}.1"]
        for parameter in context.command.get_params(context):
            record = parameter.get_help_record(context)
            if isinstance(parameter, click.Option) and record is not None:
                assert f".B {_text(record[0])}\n" in text
                assert record[1]
        assert (context.command.help or "").split()[0] in text


def test_a_formatter_finds_no_fault(written: list[Path]) -> None:
    needs.needs_mandoc()
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *map(str, written)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_man_shows_a_page(written: list[Path]) -> None:
    needs.needs_man()
    (page,) = [path for path in written if path.name == "parlour-history.1"]
    done = subprocess.run(
        ["man", "--warnings", "-l", str(page)],
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "MANWIDTH": "100", "MANPAGER": "cat"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert "from:NAME  from:me   who wrote it" in done.stdout


def test_a_text_is_no_request() -> None:
    text = dict(pages("2026-01-01"))["parlour.1"]
    requests = {line.split()[0] for line in text.splitlines() if line.startswith((".", "'"))}
    assert requests == {".TH", ".SH", ".B", ".BR", ".PP", ".TP"}
    assert _wrapped(". 'a") == "\\&. \\(aqa"
    assert _wrapped("'a\\b-") == "\\(aqa\\eb\\-"


def test_a_build_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert date() == "1970-01-02"
