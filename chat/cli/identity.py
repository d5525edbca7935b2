"""The commands about this person and terminal: init, passphrase, lock."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import click

from chat.cli.output import note
from chat.cli.session import TEXT, Call, command, coroutine, existing, messenger
from chat.cli.terminal import read_new_passphrase, read_passphrase
from chat.interface import CannotCreate, DoorState, Unreachable

ENDS_WITHIN: Final = 15.0
"""Seconds in which a command that has the profile open without an engine ends, or offers one."""

NOT_LOCKED: Final = (
    "Another Parlour has this profile open and does not answer, so it is not locked: end that one, then try"
    " again."
)


@command("init")
@click.option("--name", required=True, type=TEXT, help="The name that contacts see.")
@coroutine
async def init(call: Call, name: str) -> None:
    """Create a person and this terminal."""
    door = call.door()
    if await door.state() is not DoorState.NEW:
        raise CannotCreate(
            f"There is already a profile at {call.folder}: choose another folder with --profile."
        )
    made = await door.create(name, read_new_passphrase(call.passphrase_file, call.lines))
    try:
        me = await made.me()
    finally:
        await made.close()
    fields = {"person": me.person, "terminal": me.terminal, "port": me.port}
    call.result(fields, f"The profile is at {call.folder}. This device listens on port {me.port}.")


@command("passphrase")
@click.option(
    "--new-passphrase-file",
    metavar="FILE",
    help=("Read the new passphrase from a file; - is standard input."),
)
@coroutine
async def passphrase(call: Call, new_passphrase_file: str | None) -> None:
    """Change the passphrase."""
    await existing(call)
    old = read_passphrase(call.passphrase_file, call.lines, "Current passphrase: ")
    new = read_new_passphrase(new_passphrase_file, call.lines)
    async with messenger(call, old) as opened:
        await opened.change_passphrase(old, new)
    call.result({"changed": True}, "The passphrase was changed.")


@command("lock")
@coroutine
async def lock(call: Call) -> None:
    """Stop the engine that runs on the profile."""
    door, state = await existing(call)
    now = asyncio.get_running_loop().time
    until = now() + ENDS_WITHIN
    while state is DoorState.RUNNING or await door.is_held():
        with suppress(Unreachable):  # it ended by itself, and another command may go on with the next
            running = await door.attach()
            try:
                await running.lock()
                break
            finally:
                await running.close()
        if state is not DoorState.RUNNING and now() > until:
            raise Unreachable(NOT_LOCKED)
        state = await door.state()
    else:
        note("No engine was running with this profile.")
    call.result({"locked": True}, "The profile is locked.")
