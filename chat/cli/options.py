"""Commands and groups on which the options for all commands may stand anywhere on the line.

Rules: what such an option says is kept in the `Call` of the run; the last one on the line counts; help
lists them once, for the program itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from chat.cli.session import Call


class UnicodeText(click.ParamType[str]):
    """Words that can be stored and sent: an argument in another encoding is a usage error."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            str(value).encode()
        except UnicodeEncodeError:
            self.fail("is not UTF-8 text: set the terminal to UTF-8.", param, ctx)
        return str(value)


TEXT = UnicodeText()


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    call = ctx.find_object(Call)
    if call is not None and value not in (None, False):
        setattr(call, str(param.name), value)


def _options(*, hidden: bool) -> list[click.Parameter]:
    def option(*names: str, **settings: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_remember, hidden=hidden, **settings)

    folder = click.Path(path_type=Path, file_okay=False)
    return [
        option(
            "--profile", type=folder, help="The profile's folder, else PARLOUR_PROFILE, else the usual one."
        ),
        option("--json", is_flag=True, help="Print JSON lines with stable fields."),
        option(
            "--passphrase-file",
            metavar="FILE",
            help="Read the passphrase from a file's first line, - is stdin.",
        ),
        option("--port", type=click.IntRange(1, 65535), help="Listen on this port from now on."),
        option("--verbose", is_flag=True, help="Log to standard error; never a peer's text."),
    ]


class Command(click.Command):
    """A command that takes the options for all commands too."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *_options(hidden=True)]


class Group(click.Group):
    """A group of commands that takes them too, before and after a command's name."""

    command_class = Command
    shown = False

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *_options(hidden=not self.shown)]


Body = Callable[..., int | None]


def command(name: str) -> Callable[[Body], Command]:
    """A command of the program; its body returns the exit status."""
    return click.command(name, cls=Command)


def group(name: str) -> Callable[[Body], Group]:
    """A command that lists by itself and has commands of its own."""
    return click.group(name, cls=Group, invoke_without_command=True)
