"""Commands for entries: send, listen, history.

Rules: the state that is printed is the one that is known, never the one hoped for; `send` is done only
when a terminal of the contact has stored the entry.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import inf
from typing import Final

import click

from chat.cli.events import Printer, entry_fields, entry_line
from chat.cli.failures import DONE, KEPT
from chat.cli.options import TEXT, command
from chat.cli.output import note
from chat.cli.people import find, label_among
from chat.cli.session import Call, Feed, feed, messenger, until_stopped
from chat.interface import (
    Closed,
    EntryChanged,
    EntryState,
    EntryView,
    Messenger,
    NotPermitted,
    ParlourError,
    Ready,
    UsageError,
)

PAGE: Final = 200
"""Entries asked for at once, so that a long history is never in memory as a whole."""

HELD: Final = 32
"""Newest entries of each conversation by which `listen` knows what another engine stored without it."""

ARRIVED: Final = frozenset({EntryState.DELIVERED, EntryState.READ})
FROM_INPUT: Final = ("-",)


@command("send")
@click.argument("name", type=TEXT)
@click.argument("text", type=TEXT, nargs=-1, required=True)
@click.option("--wait", type=click.FloatRange(0), default=5.0, metavar="SECONDS", show_default=True)
@click.pass_obj
def send(call: Call, name: str, text: tuple[str, ...], wait: float) -> int:
    """Send TEXT to the contact NAME.

    A TEXT of - alone is read from standard input.

    Status 0: a terminal of the contact has it. 75: it is kept and goes when the contact is there.
    """
    return call.run(lambda opened: _send(call, opened, name, text, wait))


async def _send(call: Call, opened: Messenger, name: str, text: tuple[str, ...], wait: float) -> int:
    label, contact = find(await opened.contacts(), name)
    words = call.lines.rest().removesuffix("\n") if text == FROM_INPUT else " ".join(text)
    async with feed(opened) as events:
        entry = await opened.send(contact.person, words)
        state = await _state_within(opened, events, entry, wait)
    call.result({"id": entry.id, "state": state.value}, f"To {label}: {state.value}")
    if state in ARRIVED:
        return DONE
    note(f"It is kept here and goes when {label} is there: leave Parlour open, or run 'parlour listen'.")
    return KEPT


async def _state_within(opened: Messenger, events: Feed, entry: EntryView, wait: float) -> EntryState:
    """The entry's state once it has arrived, or when the time is over.

    The entry is committed: whatever fails from here on, its id and state are the command's result.
    """
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
    except ParlourError as failure:
        note(str(failure))
    return state


@command("listen")
@click.pass_obj
def listen(call: Call) -> int:
    """Run without interface and print what happens.

    Where another command ends the engine that this one uses, it goes on with the next or opens its own.
    """
    return call.run_alone(lambda: until_stopped(_listen(call)))


async def _listen(call: Call) -> None:
    async with messenger(call, patience=inf) as opened, feed(opened) as events:
        contacts = await opened.contacts()
        held = [entry for view in contacts for entry in await opened.history(view.person, HELD)]
        printer = Printer(call, await opened.me(), contacts, held)
        printer.begin()
        while not isinstance(event := await events.next(), Closed):
            printer.print(event)
            if isinstance(event, Ready):
                with suppress(NotPermitted):  # locked meanwhile: `Closed` follows
                    await _resume(opened, printer)
        note(f"The engine has ended ({event.reason}): nothing more is printed.")


async def _resume(opened: Messenger, printer: Printer) -> None:
    """Print what happened between two engines: the events of that time went to nobody here."""
    contacts = await opened.contacts()
    missed: list[EntryView] = []
    for view in contacts:
        page = await opened.history(view.person, HELD)
        entries = page
        while page and not any(map(printer.is_known, page)):
            page = await opened.history(view.person, HELD, page[0].id)
            entries = page + entries
        missed += entries
    printer.resume(contacts, missed)


@command("history")
@click.argument("name", type=TEXT, required=False)
@click.option("--search", type=TEXT, metavar="WORDS", help="Only entries in which all these words occur.")
@click.option("--limit", type=click.IntRange(1), default=100, metavar="N", show_default=True)
@click.pass_obj
def history(call: Call, name: str | None, search: str | None, limit: int) -> int:
    """Print the newest entries with NAME, oldest first.

    Without NAME: what --search finds in all conversations.
    """
    if name is None and search is None:
        raise UsageError("Name a contact, or say with --search WORDS what to find in all conversations.")
    return call.run(lambda opened: _history(call, opened, name, search, limit), offline=True)


async def _history(call: Call, opened: Messenger, name: str | None, search: str | None, limit: int) -> int:
    contacts = await opened.contacts()
    person = find(contacts, name)[1].person if name is not None else None
    if search is not None:
        entries = await opened.search(search, person, limit)
    else:
        entries = await _newest(opened, person or "", limit)
    for entry in entries:
        conversation = label_among(contacts, entry.contact) if person is None else ""
        call.result(entry_fields(entry), entry_line(entry, conversation))
    return DONE


async def _newest(opened: Messenger, person: str, limit: int) -> tuple[EntryView, ...]:
    """The newest entries of one conversation, oldest first, in pages from the end."""
    entries: tuple[EntryView, ...] = ()
    while limit > len(entries):
        before = entries[0].id if entries else None
        page = await opened.history(person, min(PAGE, limit - len(entries)), before)
        if not page:
            break
        entries = page + entries
    return entries
