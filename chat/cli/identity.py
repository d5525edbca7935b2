"""Commands about this person and terminal: init, passphrase, lock.

Rules: nothing is made over anything found; a passphrase is asked for before any work is done.
"""

from __future__ import annotations

from contextlib import suppress

import click

from chat.cli.output import DONE, note
from chat.cli.session import TEXT, Call, command, existing, messenger
from chat.cli.terminal import read_new_passphrase, read_passphrase
from chat.interface import CannotCreate, DoorState, Unreachable


@command("init")
@click.option("--name", required=True, type=TEXT, help="The name that contacts see.")
@click.pass_obj
def init(call: Call, name: str) -> int:
    """Create a profile with a new identity on this device."""
    return call.run_alone(lambda: _init(call, name))


async def _init(call: Call, name: str) -> int:
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
    return DONE


@command("passphrase")
@click.option(
    "--new-passphrase-file", metavar="FILE", help="Read the new passphrase from a file; - is standard input."
)
@click.pass_obj
def passphrase(call: Call, new_passphrase_file: str | None) -> int:
    """Change the passphrase."""
    return call.run_alone(lambda: _change_passphrase(call, new_passphrase_file))


async def _change_passphrase(call: Call, source: str | None) -> int:
    await existing(call)
    old = read_passphrase(call.passphrase_file, call.lines, "Current passphrase: ")
    new = read_new_passphrase(source, call.lines)
    async with messenger(call, old) as opened:
        await opened.change_passphrase(old, new)
    call.result({"changed": True}, "The passphrase was changed.")
    return DONE


@command("lock")
@click.pass_obj
def lock(call: Call) -> int:
    """Lock the profile: stop the engine that runs on it."""
    return call.run_alone(lambda: _lock(call))


async def _lock(call: Call) -> int:
    door, state = await existing(call)
    locked = False
    while not locked and state is DoorState.RUNNING:
        with suppress(Unreachable):  # it ended by itself, and another command may go on with the next
            running = await door.attach()
            try:
                await running.lock()
                locked = True
            finally:
                await running.close()
        if not locked:
            state = await door.state()
    if not locked:
        note("No engine was running with this profile.")
    call.result({"locked": True}, "The profile is locked.")
    return DONE
