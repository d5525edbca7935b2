"""The commands that change entries: delete, edit."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from contextlib import aclosing
from itertools import count
from typing import Final

import click

from chat.cli.completing import ENTRY, OWN_TEXT, TALK
from chat.cli.entries import entry_line
from chat.cli.giving import text_of
from chat.cli.messages import PAGE, kept, state_within, within
from chat.cli.output import KEPT, SignOfLife, Stopped, find, held_line, note, talks
from chat.cli.session import Call, Feed, command, coroutine, messenger
from chat.cli.terminal import confirmed, is_interactive
from chat.interface import (
    GONE,
    DeletionScope,
    EntryKind,
    EntryState,
    EntryView,
    Messenger,
    NotPermitted,
    TerminalView,
    Unreachable,
    UsageError,
)

TICK: Final = 1  # seconds between two signs of life
LISTEN: Final = "leave Parlour open, or run 'parlour listen'."
SHOWN_MAX: Final = 240  # characters of the entry that the question shows: enough to know it by

ABSENT: Final = (
    "{number} of your other devices still {holds} it until they meet this one: leave Parlour open, or run"
    " 'parlour listen'. 'parlour terminal list' shows which ones are online."
)
DUE: Final = (
    "The history no longer shows it, but the profile file may still contain parts of it. Parlour erases them"
    " while it is open, or when you run the same command again."
)


@command("delete")
@click.argument("name", type=TALK)
@click.argument("id", type=ENTRY, required=False)
@click.option("--last", is_flag=True, help="The newest message that is not deleted yet, instead of an ID.")
@click.option("--here", "typed", flag_value="here", default="here", help="On this device (the default).")
@click.option("--all-mine", "typed", flag_value="mine", help="On all your devices; NAME is not notified.")
@click.option("--for-everyone", "typed", flag_value="everyone", help="On your devices and those of NAME.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--wait", type=click.FloatRange(0), default=5.0, metavar="SECONDS", show_default=True)
@coroutine
async def delete(
    call: Call, name: str, id: str | None, last: bool, typed: str, yes: bool, wait: float
) -> int | None:
    """Delete a message of the conversation with NAME: on this device, on all your devices or for everyone.

    'parlour history NAME --json' shows the ID. Any message can be deleted on all your devices: each of them
    deletes it as soon as it hears of it from another one, and NAME is not notified. Only your own messages
    can be deleted for everyone: the devices of the contact delete them, too, as soon as they are online.
    Nobody can take back what NAME has read or copied. In your notes (NAME is notes) both mean your devices.

    The command waits until the profile file no longer contains the message: about 30 seconds per million
    messages. If it is interrupted, Parlour finishes the work the next time it is open.

    Status 0: the profile file no longer contains the message, with --all-mine your other devices are online,
    and with --for-everyone a device of the contact knows. Status 75: the profile file does not contain it,
    and the contact or another device of yours does not know yet.
    """
    if (id is None) is not last:
        raise UsageError("Give the ID of a message, which 'parlour history NAME --json' shows, or --last.")
    if not yes and not is_interactive():
        raise UsageError("Confirmation needs a terminal: use --yes to delete without it.")
    scope = DeletionScope(typed)
    # Without the network, so that an entry that still waits does not leave in the meantime.
    async with messenger(call, offline=scope is DeletionScope.HERE) as opened:
        label, contact = find(await talks(opened), name)
        devices = await opened.terminals()
        if id is None:
            entry, which = await newest(opened, contact.person, scope), "nothing to delete"
        else:
            entry, which = await opened.entry(contact.person, id), "no such message"
        if entry is None:
            raise UsageError(
                f"There is {which} in the conversation with {label}: see 'parlour history NAME --json'."
            )
        if not yes and (entry.kind not in GONE or _fits(entry, scope)):
            await _confirm(call, label, entry, scope)
        fields: dict[str, object] = {"deleted": entry.id, "conversation": label, "scope": scope.value}
        if contact.notes or scope is not DeletionScope.EVERYONE:
            await opened.delete(contact.person, entry.id, scope)
            others = scope is not DeletionScope.HERE
            absent = await _absent(opened, wait) if others else []
            await until_clean(opened)
            fields |= {"absent": [view.terminal for view in absent]} if others else {}
            call.result(fields, "Deleted. The profile file no longer contains it.")
            if not absent:
                return None
            note(ABSENT.format(number=len(absent), holds="holds" if len(absent) == 1 else "hold"))
            return KEPT
        async with aclosing(Feed(opened)) as events:
            gone = await opened.delete(contact.person, entry.id, scope)
            state = await state_of_change(opened, events, gone, wait)
        await until_clean(opened)
        said = f"Deleted. The profile file no longer contains it. To {label}: {state.value}"
        call.result(fields | {"id": gone.change, "state": state.value}, said)
        waits = f"{label}'s device still holds it until it is there: {LISTEN}"
        return kept(state, devices, contact, held_line(label, contact), waits)


async def _absent(opened: Messenger, wait: float) -> list[TerminalView]:
    """The other devices of this person that are not online after `wait` seconds: they cannot know."""
    ends = asyncio.get_running_loop().time() + wait
    while absent := [one for one in await opened.terminals() if _is_other(one) and not one.present]:
        left = ends - asyncio.get_running_loop().time()
        if left <= 0:
            break
        await asyncio.sleep(min(TICK, left))
    return absent


def _is_other(device: TerminalView) -> bool:
    return device.is_live and not device.this


async def state_of_change(opened: Messenger, events: Feed, entry: EntryView, wait: float) -> EntryState:
    """The state of the edit or delete of an entry when it has arrived, or when the time is over."""
    change = await opened.entry(entry.contact, entry.change)
    return entry.state if change is None else await state_within(opened, events, change, wait)


@command("edit")
@click.argument("name", type=TALK)
@click.argument("text", type=OWN_TEXT, nargs=-1, required=True)
@click.option("--last", is_flag=True, help="Your newest message, instead of an ID before the TEXT.")
@click.option("--wait", type=click.FloatRange(0), default=5.0, metavar="SECONDS", show_default=True)
@coroutine
async def edit(call: Call, name: str, text: tuple[str, ...], last: bool, wait: float) -> int | None:
    """Replace a message of yours to NAME: parlour edit NAME ID TEXT…

    'parlour history NAME --json' shows the ID. The message keeps its place and its time, and is shown as
    edited. Its details show what it said before. If TEXT is -, the text comes from standard input.

    Status 0: a device of the contact has the edit. Status 75: it waits, as a message does.
    """
    id, said = ("", text) if last else (text[0], text[1:])
    if not said:
        raise UsageError("Give the ID of a message, or --last, and the new text after it.")
    async with messenger(call) as opened:
        label, contact = find(await talks(opened), name)
        devices = await opened.terminals()
        words = await text_of(call.lines, call.door(), said)
        if last:
            entry, which = await newest(opened, contact.person, text=True), "nothing to edit"
        else:
            entry, which = await opened.entry(contact.person, id), "no such message"
        if entry is None:
            raise UsageError(
                f"There is {which} in the conversation with {label}: see 'parlour history NAME --json'."
            )
        async with aclosing(Feed(opened)) as events:
            edited = await opened.edit(contact.person, entry.id, words, secrets.token_hex(16))
            waits_for = within(wait, contact, devices)
            state = await state_of_change(opened, events, edited, waits_for)
        fields = {"edited": entry.id, "id": edited.change, "state": state.value}
        call.result(fields, f"Edited. To {label}: {state.value}")
        waits = f"{label}'s device shows the old text until it is there: {LISTEN}"
        return kept(state, devices, contact, held_line(label, contact), waits)


async def newest(
    opened: Messenger, person: str, scope: DeletionScope = DeletionScope.EVERYONE, *, text: bool = False
) -> EntryView | None:
    """The newest entry that is not deleted yet, and can be in this scope: for everyone, an own one.

    With `text` it is a text.
    """
    before: str | None = None
    while page := await opened.history(person, PAGE, before):
        for entry in reversed(page):
            if entry.kind not in GONE and _fits(entry, scope) and (entry.kind is EntryKind.TEXT or not text):
                return entry
        before = page[0].id
    return None


def _fits(entry: EntryView, scope: DeletionScope) -> bool:
    """Whether an entry can be deleted in a scope; that of everyone is the whole one of a note."""
    whole = DeletionScope.MINE if entry.noted and scope is DeletionScope.EVERYONE else scope
    return whole in entry.scopes


async def _confirm(call: Call, label: str, entry: EntryView, scope: DeletionScope) -> None:
    line = entry_line(entry)
    note(line if len(line) <= SHOWN_MAX else f"{line[:SHOWN_MAX]}…")
    waits = entry.own and entry.state in (EntryState.QUEUED, EntryState.WITHDRAWN)
    where = "your copy" if scope is DeletionScope.HERE else "it on all your devices"
    if scope is DeletionScope.EVERYONE and not entry.noted:
        consequence = (
            f"Deletes it permanently for everyone. {label} sees that there was a message, and may have read"
            " or copied it."
        )
    elif entry.noted:
        others = "; your other devices keep it" if scope is DeletionScope.HERE else ""
        consequence = f"Deletes {where} permanently{others}."
    elif waits:
        consequence = (
            f"Deletes {where} permanently. {label} has not received it. If it still waits, {label} only"
            " learns that there was a message."
        )
    else:
        consequence = f"Deletes {where} permanently. {label} keeps theirs and is not notified."
    if not await confirmed(call.lines, f"{consequence} Delete it? [y/n]"):
        raise Stopped("Nothing was deleted: answer y to delete.")


async def until_clean(opened: Messenger) -> None:
    """Wait until the file is clean, with a sign of life. Raises what the cleaning raises, and Stopped."""
    await until_erased(opened.clean(), DUE)


async def until_erased(work: Awaitable[None], stopped: str) -> None:
    """Wait until what deletes has ended, with a sign of life. Raises what it raises, and Stopped."""
    cleaning = asyncio.ensure_future(work)
    sign = SignOfLife()
    try:
        for seconds in count(TICK, TICK):
            if (await asyncio.wait({cleaning}, timeout=TICK))[0]:
                break
            sign.show("Erasing it from the profile file…", f"{seconds} s")
        await cleaning
    except (asyncio.CancelledError, NotPermitted, Unreachable):  # Ctrl-C, or the engine was locked or ended
        raise Stopped(stopped) from None
    finally:
        sign.end()
        cleaning.cancel()
