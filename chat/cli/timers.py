"""The commands `timer` and `clear`: messages that disappear, and a conversation without its past."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Final

import click

from chat.cli.changes import until_clean
from chat.cli.completing import CONTACT
from chat.cli.devices import named_devices, other_devices
from chat.cli.output import SignOfLife, Stopped, find, note
from chat.cli.session import TEXT, Call, Feed, command, coroutine, messenger
from chat.cli.terminal import confirmed, is_interactive
from chat.interface import (
    Closed,
    HistoryCleared,
    Messenger,
    NotPermitted,
    Unreachable,
    UsageError,
    parse_timer,
    timer_text,
)

CLEARED: Final = (
    "Cleared. The content of all messages with {label} is gone here, and the profile file no longer contains"
    " it."
)
DUE: Final = (
    "The conversation is not cleared yet. Parlour goes on while it is open, or when you run the same command"
    " again."
)


@command("timer")
@click.argument("name", type=CONTACT)
@click.argument("time", type=TEXT, required=False)
@coroutine
async def timer(call: Call, name: str, time: str | None) -> None:
    """Show or set the timer of the conversation with NAME.

    New messages of both disappear that long after they were read. TIME is off, or a number with s, m, h, d or
    w: 30s, 5m, 1h, 1d, 1w. The longest is a year.

    The timer holds for new messages only: 'parlour clear NAME' deletes those that are there. What is not read
    disappears four weeks later. The other person can still copy a message before that.
    """
    seconds = None if time is None else parse_timer(time)
    async with messenger(call) as opened:
        label, contact = find(await opened.contacts(), name)
        if seconds is None:
            seconds = contact.timer
            said = f"Messages with {label} stay." if not seconds else _says(label, seconds)
            call.result({"conversation": label, "timer": seconds}, said)
            return
        changed = await opened.set_timer(contact.person, seconds) is not None
        # The contact's own choice can stand after this one.
        seconds = find(await opened.contacts(), contact.person)[1].timer
        call.result({"conversation": label, "timer": seconds}, _says(label, seconds))
        if changed:
            note(f"Only new messages follow it: 'parlour clear {label}' deletes those that are there.")


def _says(label: str, seconds: int) -> str:
    if not seconds:
        return f"New messages with {label} stay."
    return f"New messages with {label} disappear {timer_text(seconds)} after they were read."


@command("clear")
@click.argument("name", type=CONTACT)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@coroutine
async def clear(call: Call, name: str, yes: bool) -> None:
    """Delete the content of all messages with NAME, on this device alone: your other devices keep theirs.

    The contact, the timer and the places of the messages stay. If the command is interrupted, Parlour
    finishes the work the next time it is open.

    Status 0: the profile file no longer contains the messages.
    """
    if not yes and not is_interactive():
        raise UsageError("Confirmation needs a terminal: use --yes to clear without it.")
    # Without the network, so that what still waits does not leave in the meantime.
    async with messenger(call, offline=True) as opened:
        label, contact = find(await opened.contacts(), name)
        if not yes:
            consequence = (
                f"Deletes all messages with {label} on this device permanently. {label} keeps theirs and is"
                " not notified."
            )
            if others := other_devices(await named_devices(opened)):
                consequence += f" Your other devices ({others}) keep their copies: clear them there."
            if not await confirmed(call.lines, f"{consequence} Clear the conversation here? [y/n]"):
                raise Stopped("Nothing was deleted: answer y to clear the conversation.")
        await _clear(opened, contact.person)
        await until_clean(opened)
        call.result({"cleared": label}, CLEARED.format(label=label))


async def _clear(opened: Messenger, person: str) -> None:
    """Clear, with progress. Raises what clearing raises, and Stopped."""
    sign = SignOfLife()
    async with aclosing(Feed(opened)) as events:
        clearing = asyncio.ensure_future(opened.clear(person))
        showing = asyncio.ensure_future(_show(events, person, sign))
        try:
            await clearing
        except (
            asyncio.CancelledError,
            NotPermitted,
            Unreachable,
        ):  # Ctrl-C, or the engine was locked or ended
            raise Stopped(DUE) from None
        finally:
            for task in (clearing, showing):
                task.cancel()
            sign.end()


async def _show(events: Feed, person: str, sign: SignOfLife) -> None:
    while not isinstance(event := await events.next(), Closed):
        if isinstance(event, HistoryCleared) and event.contact == person and event.done < event.total:
            sign.show("Clearing the conversation…", f"{100 * event.done // event.total} %")
