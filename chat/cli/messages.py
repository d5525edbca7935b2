"""The commands about messages: send, history."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final

import click

from chat.cli.asking import entry_named
from chat.cli.completing import ENTRY, TALK
from chat.cli.entries import entry_fields, entry_line
from chat.cli.giving import (
    ToSend,
    check_hidden,
    check_input,
    give,
    naming_original,
    text_of,
    to_send,
)
from chat.cli.limits import limited
from chat.cli.output import KEPT, exit_status, find, held_line, label_among, note, one_line, talks
from chat.cli.session import TEXT, Call, Feed, command, coroutine, messenger
from chat.interface import (
    Closed,
    ContactView,
    EntryChanged,
    EntryState,
    EntryView,
    FileSupplied,
    Messenger,
    NotPermitted,
    OutcomeUnknown,
    Ready,
    TerminalState,
    TerminalView,
    Unreachable,
    UsageError,
    parse_query,
    pattern,
    size_text,
)

PAGE: Final = 200  # entries per request, so that a long history is never in memory as a whole


FILE: Final = click.Path(path_type=Path, exists=True, allow_dash=True)
FOLDER: Final = click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True)


ARRIVED: Final = frozenset({EntryState.DELIVERED, EntryState.READ})


SHUT_OUT: Final = (
    "No contact takes messages of this device: it was removed from your identity. Use another"
    " device of yours, or run 'parlour recovery use' and pair again with your contacts. The message waits."
)
MAYBE_SENT: Final = (OutcomeUnknown, Unreachable, NotPermitted)


@command("send")
@click.argument("name", type=TALK)
@click.argument("text", type=TEXT, nargs=-1)
@click.option("--file", "paths", type=FILE, multiple=True, metavar="PATH", help="Send this; repeatable.")
@click.option("--name", "named", type=TEXT, metavar="NAME", help="The name of the one file that is sent.")
@click.option("--original", is_flag=True, help="Send pictures with their metadata: place, time, camera.")
@click.option("--wait", type=click.FloatRange(0), default=5.0, metavar="SECONDS", show_default=True)
@click.option("--id", "send_id", type=TEXT, metavar="ID", help="Send nothing where ID was used before.")
@click.option("--reply-to", type=ENTRY, metavar="ID", help="Answer the message with this id.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="KIB", help="Send files at KIB a second until this ends."
)
@coroutine
async def send(
    call: Call,
    name: str,
    text: tuple[str, ...],
    paths: tuple[Path, ...],
    named: str | None,
    original: bool,
    wait: float,
    send_id: str | None,
    reply_to: str | None,
    limit: int | None,
) -> int | None:
    """Send TEXT, or files, or both to the contact NAME.

    If TEXT is -, the text comes from standard input. The NAME notes stands for yourself: your notes are on
    your devices only, whatever a contact is called.

    With --reply-to the text answers a message, whose ID 'parlour history NAME --json' shows; the first 6
    digits of a recent one are enough.

    A repeat with the same --id is harmless: a message is sent once per contact and ID. Without --id, Parlour
    draws one, and prints it where it does not know whether the message was stored.

    A file goes with --file PATH, which may stand several times. Each is a message of its own, after the text.
    The command waits while a device of the contact takes it; who wants it later takes it while Parlour is
    open here. With --id a repeat sends no file twice.

    A folder is sent as its files, at most 1,000, each a message of its own; saving makes the folder again.
    Hidden files go too: they are named, and at a terminal you are asked. Symbolic links below it are left
    out. If PATH is -, the file comes from standard input, is sealed as it comes and never stored in plain,
    and --name names it:

    \b
      tar c photos | parlour send --file - --name photos.tar NAME

    What a PNG, JPEG, GIF or WebP picture says besides itself, such as its place, time, camera and comments,
    is left out; with --original it stays. Other kinds of files are sent as they are.

    Status 0: a device of the contact has the message, and all of each file. Status 75: it waits until the
    contact is online, or until you compare the contact's identity, which has changed, or the contact has not
    taken a file yet. A note is stored with status 0.
    """
    if not text and not paths:
        raise UsageError("There is nothing to send: write some text, or name a file with --file PATH.")
    if reply_to is not None and not text:
        raise UsageError("Only a text answers a message: give one.")
    check_input(call.lines, text, paths, named)
    drawn = send_id or secrets.token_hex(16)
    async with messenger(call) as opened, naming_original(drawn):
        label, contact = find(await talks(opened), name)
        files = await asyncio.to_thread(to_send, paths, named)
        await check_hidden(call.lines, files)
        devices = await opened.terminals()
        words = await text_of(call.lines, call.door(), text)
        if not text:
            async with limited(opened, limit) as lasts:
                wait = wait and wait + lasts
                return await send_files(call, opened, label, contact, files, wait, drawn, original=original)
        reply = (await entry_named(opened, label, contact, reply_to)).id if reply_to else ""
        async with aclosing(Feed(opened)) as events:
            try:
                entry = await opened.send(contact.person, words, reply, drawn)
            except MAYBE_SENT as failure:
                if isinstance(failure, NotPermitted) and _is_removed(devices):
                    raise  # nothing was sent, and no repeat sends it
                kind = next(one for one in MAYBE_SENT if isinstance(failure, one))
                raise kind(f"{failure} Add --id {drawn} to send it again, but not twice.") from failure
            state = await state_within(opened, events, entry, within(wait, contact, devices))
        fields = {"id": entry.id, "state": state.value, "conversation": label, "reply": entry.reply}
        call.result(fields, f"To {label}: {state.value}")
        waits = f"The message waits until {label} is online: leave Parlour open, or run 'parlour listen'."
        status = kept(state, devices, contact, held_line(label, contact), waits)
        if not files:
            return status
        async with limited(opened, limit) as lasts:
            wait = wait and wait + lasts
            some = await send_files(call, opened, label, contact, files, wait, drawn, original=original)
        return some or status


async def send_files(
    call: Call,
    opened: Messenger,
    label: str,
    contact: ContactView,
    files: Iterable[ToSend],
    wait: float,
    send_id: str,
    *,
    original: bool = False,
) -> int | None:
    """Send files one after the other, each until it is taken; after one that is not, nothing waits."""
    status: int | None = None
    for file in files:
        async with aclosing(Feed(opened)) as events:
            one = f"{send_id[: 63 - len(file.mark)]}/{file.mark}"
            entry = await give(opened, call.lines, contact, file, one, original=original)
            devices = await opened.terminals()
            taken = await taken_within(events, entry, 0 if status else within(wait, contact, devices))
            now = await opened.entry(contact.person, entry.id) or entry
        fields = {"id": entry.id, "state": now.state.value, "conversation": label, "taken": taken}
        size = size_text(entry.file.size) if entry.file is not None else ""
        named = one_line(entry.file.path) if entry.file is not None else file.named
        said = "taken" if taken else now.state.value
        call.result(fields, f"To {label}: {named}, {size}: {said}")
        if not taken and not contact.notes and status is None:
            note(f"{label} takes {named} while Parlour is open here: leave it open, or run 'parlour listen'.")
            status = KEPT
    return status


async def taken_within(events: Feed, entry: EntryView, wait: float) -> bool:
    """Whether a terminal takes all of a file. Waits while it does, and so many seconds for its next part."""
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(wait):
                event = await events.next()
                while not (isinstance(event, FileSupplied) and event.id == entry.id):
                    if isinstance(event, Closed):
                        return False
                    event = await events.next()
                if event.done:
                    return True
    return False


def _is_removed(devices: Iterable[TerminalView]) -> bool:
    return any(view.this and view.state is TerminalState.REMOVED for view in devices)


def kept(
    state: EntryState, devices: Iterable[TerminalView], contact: ContactView, held: str, waits: str
) -> int | None:
    """The status for an entry in a state, and a note that says why it waits."""
    if state in ARRIVED or contact.notes:
        return None
    if not any(view.this and view.is_live for view in devices):
        note(SHUT_OUT)
    elif contact.held:
        note(f"{held} Use 'parlour verify', or pair again by words.")
    else:
        note(waits)
    return KEPT


def within(wait: float, contact: ContactView, devices: Iterable[TerminalView]) -> float:
    """Seconds to wait for a state: a note of a person without another device has its last one at once."""
    others = any(one.is_live and not one.this for one in devices)
    return wait if others or not contact.notes else 0


async def state_within(opened: Messenger, events: Feed, entry: EntryView, wait: float) -> EntryState:
    """The state of the entry when it has arrived, or when the time is over."""
    state = entry.state
    try:
        async with asyncio.timeout(wait):
            while state not in ARRIVED:
                event = await events.next()
                if isinstance(event, EntryChanged) and event.id == entry.id:
                    state = event.state
                elif isinstance(event, Ready):  # of another engine, and what the one before did is stored
                    held = await opened.entry(entry.contact, entry.id)
                    state = held.state if held is not None else state
                elif isinstance(event, Closed):
                    break
    except TimeoutError:
        return state
    except Exception as failure:  # noqa: BLE001 - the entry is committed: nothing may hide its id and state
        exit_status(failure, verbose=False)
    return state


@command("history")
@click.argument("name", type=TALK, required=False)
@click.option("--search", type=TEXT, metavar="WORDS", help="Only messages that match, see above.")
@click.option("--limit", type=click.IntRange(1), default=100, metavar="N", show_default=True)
@coroutine
async def history(call: Call, name: str | None, search: str | None, limit: int) -> None:
    """Print the newest messages with NAME, oldest first.

    Without NAME, --search covers all conversations. It finds messages with all the WORDS: whole words in any
    order, case aside. Chinese, Japanese and Korean text is found by any part of it. A file is found by its
    name and those of its folders.

    \b
      meet*                the beginning of a word
      "good morning"       a phrase, with its quotation marks
      from:NAME  from:me   who wrote it
      in:NAME              the conversation; in:notes your notes
      before:DATE          before that day, month or year began
      after:DATE           after it ended

    A DATE is 2026, 2026-11 or 2026-11-25. A NAME with spaces is in quotation marks, as in from:"Ada L".
    """
    if name is None and search is None:
        raise UsageError("Name a contact, or search all conversations with --search WORDS.")
    async with messenger(call, offline=True) as opened:
        contacts = await talks(opened)
        person = find(contacts, name)[1].person if name is not None else None
        entries: tuple[EntryView, ...] = ()
        wanted = pattern(parse_query(search or "").terms)
        if search is not None:
            entries = await opened.search(search, person, limit)
            if elsewhere := (await opened.retention()).elsewhere:
                note(f"Not on this device, and not searched: {elsewhere}. 'parlour terminal keep' says more.")
        elif person is not None:
            while len(entries) < limit:
                before = entries[0].id if entries else None
                page = await opened.history(person, min(PAGE, limit - len(entries)), before)
                if not page:
                    break
                entries = page + entries
        for entry in entries:
            conversation = label_among(contacts, entry.contact) if person is None else ""
            call.result(entry_fields(entry), entry_line(entry, conversation, wanted))
        if not entries:
            call.nothing(
                "No message was found." if search is not None else f"There are no messages with {name} yet."
            )
