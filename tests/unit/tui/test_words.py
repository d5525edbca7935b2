"""In every visible text a device is a *device*, and a message a *message*."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import click

from chat.cli.__main__ import program
from tests.architecture.imports import ROOT, sources
from tests.support.catalogue import collected

_INTERNAL = re.compile(r"\b(entry|entries|terminals?)\b", re.IGNORECASE)
# The program that draws, a command of the shell, and what a keyring holds.
_MEANT = re.compile(
    r"(parlour|parlour --profile FOLDER) terminal\b"
    r"|[Tt]he terminal('s bell| itself|, which|\. \{key\}| allows| supports|:)"
    r"|if the terminal|to the terminal|a terminal does not send Alt|Only a terminal copies"
    r"|the terminal or the desktop|at a terminal you are asked"
    r"|This terminal (draws no|is not known)|the entry '\{entry\}' of 'parlour'"
)


def _without_values(text: str) -> str:
    return re.sub(r"\{[^{}]*\}", "", _MEANT.sub("", text))


def test_every_text_of_the_interface_says_device_and_message() -> None:
    texts = [part for one in collected().values() for part in (one.one, one.many)]
    assert [text for text in texts if _INTERNAL.search(_without_values(text))] == []


def _commands(command: click.Command, context: click.Context) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if (below := command.get_command(context, name)) is not None:
                yield from _commands(below, click.Context(below, context))


def test_the_help_of_every_command_says_device_and_message() -> None:
    commands = [*_commands(program, click.Context(program))]
    assert len(commands) > 50
    helps = [(one.help, *(getattr(given, "help", None) for given in one.params)) for one in commands]
    texts = [" ".join((text or "").split()) for some in helps for text in some]
    assert [text for text in texts if _INTERNAL.search(_without_values(text))] == []


def _said(folder: str) -> Iterator[str]:
    """Every sentence among the strings of a folder that is neither documentation nor SQL."""
    for path in sources(ROOT, folder):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documents = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
        joined = [part for part in ast.walk(tree) if isinstance(part, ast.JoinedStr)]
        inner = {id(one) for part in joined for one in ast.walk(part)}
        for part in joined:
            constants = (one.value for one in part.values if isinstance(one, ast.Constant))
            yield "{}".join(map(str, constants))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and id(node) not in documents | inner:
                yield str(node.value)


def test_a_proof_says_device_and_message() -> None:
    real = ("files and terminals", "files, pipes and terminals", "terminal or device")
    said = [text for text in _said("chat/tools/prove") if " " in text.strip() and "SELECT " not in text]
    assert len(said) > 100
    wrong = [text for text in said if _INTERNAL.search(text) and not any(one in text for one in real)]
    assert wrong == []
