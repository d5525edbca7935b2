"""Deleting an entry for oneself: delete.

Rules: it is asked first, with what stays where, and never done unasked but with --yes; where no engine runs
it is done without the network, so that an entry that waits does not leave meanwhile; *deleted* is said only
when the profile's file is clean.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Final

import click

from chat.cli.dialogue import YES
from chat.cli.events import entry_line
from chat.cli.failures import DONE, Stopped
from chat.cli.options import TEXT, command
from chat.cli.output import SignOfLife, note, question
from chat.cli.people import find
from chat.cli.session import Call
from chat.cli.terminal import is_interactive
from chat.interface import EntryState, EntryView, Messenger, NotPermitted, Unreachable, UsageError

PAGE: Final = 200
TICK: Final = 1
"""Seconds between two signs of life."""

SHOWN_MAX: Final = 240
"""Characters of the entry that the question shows: enough to know it by."""

DELETED: Final = "deleted"
DUE: Final = (
    "It is gone from the history, but the profile's file may still hold words of it. They leave it while"
    " Parlour is open, or when you run the same line again."
)


@command("delete")
@click.argument("name", type=TEXT)
@click.argument("id", type=TEXT, required=False)
@click.option("--last", is_flag=True, help="The newest entry that is not deleted yet, instead of an ID.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(call: Call, name: str, id: str | None, last: bool, yes: bool) -> int:
    """Delete an entry of the conversation with NAME, on this terminal alone.

    'parlour history NAME --json' tells the ID.

    Waits until nothing of it is left in the profile's file: about half a minute a million entries. Stopped
    before, it stays due: Parlour does it when it is next open, and so does the same line again.

    Status 0: nothing of it is left.
    """
    if (id is None) is not last:
        raise UsageError("Name an entry by its ID, which 'parlour history NAME --json' tells, or say --last.")
    if not yes and not is_interactive():
        raise UsageError("Nobody can be asked here: say --yes to delete it unasked.")
    return call.run(lambda opened: _delete(call, opened, name, id, yes), offline=True)


async def _delete(call: Call, opened: Messenger, name: str, wanted: str | None, yes: bool) -> int:
    label, contact = find(await opened.contacts(), name)
    entry = await _entry(opened, contact.person, label, wanted)
    if not yes and entry.kind != DELETED:
        await _confirm(call, label, entry)
    await opened.delete(contact.person, entry.id)
    await _until_clean(opened)
    fields = {"deleted": entry.id, "conversation": label}
    call.result(fields, "Deleted: nothing of it is left in the profile's file.")
    return DONE


async def _entry(opened: Messenger, person: str, label: str, wanted: str | None) -> EntryView:
    """The entry that is meant. Raises UsageError where there is none."""
    entry = await opened.entry(person, wanted) if wanted is not None else await _newest(opened, person)
    if entry is None:
        which = "no such entry" if wanted is not None else "nothing to delete"
        raise UsageError(
            f"There is {which} in the conversation with {label}: see 'parlour history NAME --json'."
        )
    return entry


async def _newest(opened: Messenger, person: str) -> EntryView | None:
    """The newest entry that is not deleted yet."""
    before: str | None = None
    while page := await opened.history(person, PAGE, before):
        for entry in reversed(page):
            if entry.kind != DELETED:
                return entry
        before = page[0].id
    return None


async def _confirm(call: Call, label: str, entry: EntryView) -> None:
    line = entry_line(entry)
    note(line if len(line) <= SHOWN_MAX else f"{line[:SHOWN_MAX]}…")
    call.lines.forget_typed()
    question(f"{_consequence(label, entry)} Delete it? [y/n]")
    answer = await call.lines.next_line() or ""
    if answer.strip().casefold() not in YES:
        raise Stopped("Nothing was deleted: answer y to delete.")


def _consequence(label: str, entry: EntryView) -> str:
    if entry.own and entry.state is EntryState.QUEUED:
        return (
            f"Its words go from this terminal, for good. {label} has not received it: if it still waits,"
            f" {label} gets no more than that something was deleted."
        )
    return f"Its words go from this terminal, for good. Only here: {label} keeps it, and is told nothing."


async def _until_clean(opened: Messenger) -> None:
    """Wait until the file is clean, showing that it goes on. Raises what the cleaning raises, and Stopped."""
    cleaning = asyncio.ensure_future(opened.clean())
    sign = SignOfLife()
    try:
        for seconds in count(TICK, TICK):
            if (await asyncio.wait({cleaning}, timeout=TICK))[0]:
                break
            sign.show("Taking it out of the profile's file…", f"{seconds} s")
        await cleaning
    except (asyncio.CancelledError, NotPermitted, Unreachable):  # Ctrl-C, or the engine was locked or ended
        raise Stopped(DUE) from None
    finally:
        sign.end()
        cleaning.cancel()
