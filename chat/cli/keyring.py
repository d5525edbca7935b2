"""The command about the system's keyring."""

from __future__ import annotations

from typing import Final

import click

from chat.cli.output import note, one_line
from chat.cli.session import Call, command, coroutine, existing
from chat.cli.terminal import read_passphrase
from chat.interface import Kept, UsageError

RISK: Final = (
    "Anybody who uses your account, and every program that runs in it, can then open this profile while the"
    " system's keyring is unlocked. The keyring may ask you to unlock it now."
)
SAID: Final = {
    Kept.NO: "Parlour asks for the passphrase. 'parlour keyring --save' saves it in the system's keyring.",
    Kept.YES: "The system's keyring opens this profile. 'parlour keyring --remove' takes the passphrase out.",
    Kept.PAUSED: "This profile was locked: Parlour asks for the passphrase once, then the system's keyring"
    " opens the profile again.",
}


@command("keyring")
@click.option(
    "--save", is_flag=True, help="Save the passphrase in the system's keyring, which then opens it."
)
@click.option("--remove", is_flag=True, help="Remove the passphrase from the system's keyring.")
@coroutine
async def keyring(call: Call, save: bool, remove: bool) -> None:
    """Show whether the system's keyring has the passphrase, save it there or remove it.

    After a lock, Parlour asks for the passphrase all the same.
    """
    if save and remove:
        raise UsageError("Give --save or --remove, not both.")
    door, _ = await existing(call)
    if save:
        note(RISK)
        name = one_line(await door.keep(read_passphrase(call.passphrase_file, call.lines)))
        said = f"The passphrase is in the system's keyring ({name}), which opens this profile from now on."
        call.result({"keyring": Kept.YES.value, "name": name}, said)
        return
    if remove:
        await door.forget()
    kept = await door.kept()
    call.result({"keyring": kept.value}, SAID[kept])
