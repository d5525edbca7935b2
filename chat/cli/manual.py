"""Manual pages, written from the commands themselves: `python -m chat.cli.manual FOLDER` (`make man`).

One page for each command and each command of a group, in the macros of man(7).
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, NoReturn

import click

from chat.cli.__main__ import program
from chat.cli.completing import PROGRAM

SECTION: Final = 1

_NOT_WRAPPED: Final = "\b"
"""The line by which click knows that a paragraph keeps its lines."""

_WIDTH: Final = 70

_STATUSES: Final = {
    0: "Done; for send: a device of the contact has stored the message.",
    1: "Any other failure.",
    64: "Incorrect usage.",
    65: "Invalid data.",
    69: "Nobody is reachable, for commands that need the other person now.",
    73: "A file or profile cannot be created.",
    75: "For send: stored, and it waits.",
    77: "Wrong passphrase, or the profile is locked.",
}


def date() -> str:
    """The day of SOURCE_DATE_EPOCH, so that a build can be repeated, or today's."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    when = datetime.fromtimestamp(int(given), UTC) if given.isdecimal() else datetime.now(UTC)
    return when.date().isoformat()


def pages(day: str) -> Iterator[tuple[str, str]]:
    """Name of the file and text of each page."""
    for context in _contexts(click.Context(program, info_name=PROGRAM)):
        name = _name(context)
        yield f"{name}.{SECTION}", "\n".join(_page(context, name, day)) + "\n"


def _contexts(context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            if (found := context.command.get_command(context, name)) is not None and not found.hidden:
                yield from _contexts(click.Context(found, info_name=name, parent=context))


def _name(context: click.Context) -> str:
    return context.command_path.replace(" ", "-")


def _page(context: click.Context, name: str, day: str) -> Iterator[str]:
    paragraphs = inspect.cleandoc(context.command.help or "").split("\n\n")
    yield f'.TH "{name.upper()}" "{SECTION}" "{day}" "Parlour {version("parlour")}" "Parlour"'
    yield ".SH NAME"
    yield f"{_text(name)} \\- {_text(_short(paragraphs[0]))}"
    yield ".SH SYNOPSIS"
    yield f".B {_text(context.command_path)}"
    if usage := context.command.collect_usage_pieces(context):
        yield _text(" ".join(usage))
    yield ".SH DESCRIPTION"
    yield from _paragraphs(paragraphs)
    if options := list(_options(context)):
        yield ".SH OPTIONS"
        yield from options
    if commands := list(_commands(context)):
        yield ".SH COMMANDS"
        yield from commands
    if context.parent is None:
        yield from _statuses()
        yield from _environment()
    if others := _others(context):
        yield ".SH SEE ALSO"
        yield " ,\n".join(f".BR {_text(other)} ({SECTION})" for other in others)


def _short(paragraph: str) -> str:
    """The first sentence, for the one line by which pages are found."""
    whole = " ".join(paragraph.split())
    return re.split(r"(?<=[.])\s", whole, maxsplit=1)[0].rstrip(".")


def _paragraphs(paragraphs: list[str]) -> Iterator[str]:
    first = True
    for paragraph in paragraphs:
        if not first:
            yield ".PP"
        first = False
        if paragraph.startswith(_NOT_WRAPPED):
            yield from (".nf", *map(_line, paragraph.split("\n")[1:]), ".fi")
        else:
            yield _wrapped(paragraph)


def _options(context: click.Context) -> Iterator[str]:
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            yield from (".TP", f".B {_text(record[0])}", _wrapped(record[1]))


def _commands(context: click.Context) -> Iterator[str]:
    if not isinstance(context.command, click.Group):
        return
    for name in context.command.list_commands(context):
        found = context.command.get_command(context, name)
        if found is not None and not found.hidden:
            short = _short(inspect.cleandoc(found.help or "").split("\n\n", 1)[0])
            yield from (".TP", f".B {_text(name)}", _wrapped(f"{short}."))


def _statuses() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for status, meaning in _STATUSES.items():
        yield from (".TP", f".B {status}", _wrapped(meaning))


def _environment() -> Iterator[str]:
    yield ".SH ENVIRONMENT"
    yield from (".TP", ".B PARLOUR_PROFILE", "The folder of the profile, where the line names none.")


def _others(context: click.Context) -> list[str]:
    """The pages above and below this one."""
    others = []
    if context.parent is not None:
        others.append(_name(context.parent))
    if isinstance(context.command, click.Group):
        others += [f"{_name(context)}-{name}" for name in context.command.list_commands(context)]
    return others


def _wrapped(text: str) -> str:
    """A paragraph in short lines, none of which begins as a request would."""
    lines = textwrap.wrap(" ".join(text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(_line, lines))


def _line(text: str) -> str:
    """A line of text; one that begins as a request would is text all the same."""
    said = _text(text)
    return f"\\&{said}" if said.startswith((".", "'")) else said


def _text(text: str) -> str:
    """Text in which nothing means anything to roff, with hyphens that can be copied."""
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")


def write(folder: Path) -> list[Path]:
    """Write all pages into a folder, which is made where it is missing. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages(date()):
        path = folder / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def main() -> NoReturn:
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "build/man"))
    sys.exit(0)


if __name__ == "__main__":
    main()
