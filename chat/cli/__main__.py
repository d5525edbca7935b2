"""The `parlour` program: its commands, and the terminal interface where the line has no command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from chat.cli.output import DONE, exit_status, quieten
from chat.cli.session import Call, Group
from chat.cli.terminal import is_interactive
from chat.interface import Door, Turn, UsageError

COMMANDS: Final = {
    "init": "people",
    "invite": "pairing",
    "join": "pairing",
    "pair": "pairing",
    "rename": "people",
    "terminal": "devices",
    "recovery": "recovery",
    "contacts": "people",
    "verify": "people",
    "send": "messages",
    "record": "voice",
    "listen": "listening",
    "api": "api",
    "history": "messages",
    "read": "asking",
    "save": "files",
    "files": "files",
    "delete": "changes",
    "edit": "changes",
    "timer": "timers",
    "clear": "timers",
    "export": "backup",
    "import": "backup",
    "passphrase": "people",
    "keyring": "keyring",
    "lock": "people",
    "wipe": "people",
    "doctor": "tools",
    "vectors": "tools",
    "bench": "tools",
    "demo": "tools",
    "relay": "relays",
    "relays": "relays",
    "prove": "tools",
    "share": "sharing",
    "bot": "bots",
    "service": "service",
    "profiles": "service",
    "completion": "completing",
}
"""Every command, in the order of the help, with the module that has it."""

_NAMED: Final = {"import": "import_backup"}
"""Commands whose name is no name in Python."""


class Program(Group):
    """The whole program; a command's module is imported when the command is on the line."""

    shown = True

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        commands: dict[str, Any] = vars(import_module(f"chat.cli.{COMMANDS[cmd_name]}"))
        found: click.Command = commands[_NAMED.get(cmd_name, cmd_name)]
        return found


@click.group("parlour", cls=Program, invoke_without_command=True)
@click.version_option(package_name="parlour")
@click.option("--linear", is_flag=True, help="Open the line-by-line interface for screen readers.")
@click.pass_context
def program(ctx: click.Context, linear: bool) -> int | None:
    """An end-to-end encrypted messenger for people on the same network.

    Without a command, Parlour opens its interface.
    """
    call: Call = ctx.obj
    call.linear = linear
    if ctx.invoked_subcommand is None:
        if call.json or call.passphrase_file is not None:
            raise UsageError(
                "--json and --passphrase-file need a command: 'parlour --help' lists the commands."
            )
        return show(call, call.door(), "")
    if linear and ctx.invoked_subcommand != "demo":
        raise UsageError("--linear opens the interface: use it without a command, or with demo.")
    return None


def show(call: Call, door: Door, demo: str) -> int | None:
    """Open the interface on a door. `demo`: the passphrase of a demo, which the interface shows."""
    from chat.cli.notices import outside_of_terminal
    from tui.preferences import Options

    # The other people of a demo are in this process; Windows starts a program only in another one.
    outside = None if demo else outside_of_terminal()
    options = Options(
        demo=demo,
        starts_again=not demo and sys.platform != "win32",
        outside=outside,
        turn=None if demo else call.turn,
    )
    if call.linear:
        from tui.linear import run as talk

        return talk(door, options)
    if not is_interactive():
        raise UsageError(
            "The interface needs a terminal: 'parlour --help' lists commands that work without one."
        )
    import tui

    tui.run(door, options)
    return None


def open_door(profile: Path, port: int | None) -> Door:
    """The door of a profile folder, from the composition root."""
    from chat.assemble import door

    return door(profile, port=port, hidden=True)


def open_turn(profile: Path) -> Turn:
    """Whose turn it is to notify of a profile, from the composition root."""
    from chat.assemble import turn

    return turn(profile)


def run(arguments: Sequence[str], call: Call) -> int:
    """Run one line; returns the exit status. Nothing is raised."""
    if "_PARLOUR_COMPLETE" in os.environ:
        from chat.cli.completing import use

        use()
    try:
        status = program.main(list(arguments), "parlour", standalone_mode=False, obj=call)
    except SystemExit as end:  # click's way out when the help's reader has gone
        return int(end.code or 0)
    except Exception as error:  # noqa: BLE001 - the one handler above all
        return exit_status(error, verbose=call.verbose)
    return status or DONE


TURN: Final = 0.000_5
"""Seconds for which one thread keeps the interpreter while another waits for it. By default they are ten
times as many, which the disk's thread waits after each of its statements while the event loop is at work."""


def main() -> NoReturn:
    sys.setswitchinterval(TURN)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")  # a terminal that lacks a letter is no reason to fail
    call = Call(open_door, show, open_turn=open_turn)
    quieten(lambda: call.verbose)
    sys.exit(run(sys.argv[1:], call))


if __name__ == "__main__":
    main()
