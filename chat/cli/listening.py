"""The command listen."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import aclosing, suppress
from math import inf
from pathlib import Path
from typing import Any, Final

import click

from chat.cli.asking import Lines
from chat.cli.notices import Herald, configuration, outside
from chat.cli.output import contained, note, talks
from chat.cli.printing import Printer
from chat.cli.saving import Saver, make
from chat.cli.session import Call, Feed, command, coroutine, messenger, until_stopped
from chat.interface import (
    AlertsChanged,
    Closed,
    EntryView,
    Level,
    Messenger,
    Notice,
    NotPermitted,
    Outside,
    OwnLogChanged,
    QuestionsChanged,
    Ready,
    UsageError,
    notes_view,
)

HELD: Final = 32
"""Newest entries of each conversation by which `listen` knows what another engine stored without it."""
NEW_FOLDER: Final = click.Path(path_type=Path, file_okay=False, resolve_path=True)


@command("listen")
@click.option(
    "--save", "folder", type=NEW_FOLDER, metavar="FOLDER", help="Save each file that comes into it."
)
@click.option("--house", is_flag=True, help="Print no messages and no names, for a device that is always on.")
@click.option("--commands", is_flag=True, help="Take commands from standard input, one a line.")
@click.option(
    "--notify",
    type=click.Choice([level.value for level in Level]),
    help="Notify of messages: that one came, from whom, or with the text too.",
)
@coroutine
async def listen(call: Call, house: bool, commands: bool, folder: Path | None, notify: str | None) -> None:
    """Run without interface and print what happens.

    If another command stops the engine that this one uses, it continues with the next or starts its own.

    With --house this device receives messages and passes them on between your other devices and your
    contacts. It prints only what its owner must know about the device.

    With --save each file that comes is written into FOLDER as soon as all of it is here. FOLDER is made, for
    you alone, where it is missing. A file that came while this command did not run is written at its next
    start, into the folder of that run. No more is written than may be taken without asking: see 'parlour
    files'.

    With --commands each line of standard input is a command, and quit or the end of the input ends it:

    \b
      send NAME TEXT
      reply NAME ID TEXT    ID: of 'listen', at least 6 digits
      read NAME [ID]...     without an ID, all that came so far
      quit

    A NAME with spaces is in quotation marks. What is printed is only ever added to, in whole lines.

    With --notify you are notified of messages of contacts that are not muted, at most once in a burst, and of
    a text with @ and your name by itself. The program that the configuration names gets each as JSON on its
    standard input: notify = ["program", "argument"] in config.toml. Without one, the terminal or the desktop
    shows it. A notification is closed when you read the conversation on another device.
    """
    if house and folder is not None:
        raise UsageError("A house device saves no files: use --save without --house.")
    if house and commands:
        raise UsageError("A house device takes no commands: use --commands without --house.")
    if house and notify is not None:
        raise UsageError("A house device notifies of nothing: use --notify without --house.")
    way = outside() if notify is not None else None
    if notify is not None and way is None:
        raise UsageError(NO_WAY.format(path=configuration()))
    if folder is not None:
        await asyncio.to_thread(make, folder)
    await until_stopped(
        _serve_as_house(call)
        if house
        else _listen(call, folder, commands, Level(notify or Level.NOTHING), way)
    )


NO_WAY: Final = (
    "Nothing here shows notifications: there is no desktop, and the terminal is not known to. Name a program"
    ' in {path}: notify = ["program"]'
)
ALONE: Final = (
    "You have no other device yet: run 'parlour terminal add' here and 'parlour terminal link' on the other."
)
HOUSE: Final = (Ready, Notice, AlertsChanged, QuestionsChanged, OwnLogChanged)
"""What a house device prints. It may receive a whole history, of which nothing is printed."""


async def _serve_as_house(call: Call) -> None:
    """What is printed may end in a system's journal, which others can read."""
    async with messenger(call, patience=inf) as opened, aclosing(Feed(opened, HOUSE)) as events:
        printer = Printer(call, await opened.me(), (), ())
        printer.begin()
        printer.asked(await opened.questions())
        if not any(not one.this and one.is_live for one in await opened.terminals()):
            note(ALONE)
        while not isinstance(event := await events.next(), Closed):
            printer.print(event)
        note(f"The engine has stopped ({event.reason}).")


async def _listen(call: Call, folder: Path | None, commands: bool, level: Level, way: Outside | None) -> None:
    async with messenger(call, patience=inf) as opened, aclosing(Feed(opened)) as events:
        me = await opened.me()
        contacts = (*await opened.contacts(), notes_view(me))
        held = [entry for view in contacts for entry in await opened.history(view.person, HELD)]
        printer = Printer(call, me, contacts, held, ids=commands)
        printer.begin()
        printer.asked(await opened.questions())
        herald = Herald(level, way, me.name, call.turn) if way is not None else None
        if herald is not None:
            herald.know(contacts)
        saver = Saver(call, opened, folder) if folder is not None else None
        if saver is not None:
            await saver.begin()
        works = [_print_all(call, opened, events, printer, saver, herald)]
        works += [saver.run()] if saver is not None else []
        works += [Lines(call, opened).obey()] if commands else []
        try:
            await _until_one_ends(works)
        finally:
            if herald is not None:
                await herald.end()


async def _print_all(
    call: Call,
    opened: Messenger,
    events: Feed,
    printer: Printer,
    saver: Saver | None,
    herald: Herald | None,
) -> None:
    while not isinstance(event := await events.next(), Closed):
        printer.print(event)
        if herald is not None:
            contained(event, herald.heed, lambda: call.verbose)
        if saver is not None:
            await saver.heed(event)
        if isinstance(event, Ready):
            with suppress(NotPermitted):  # locked meanwhile: `Closed` follows
                await _resume(opened, printer)
    if herald is not None and event.locked:
        herald.locked()
    note(f"The engine has stopped ({event.reason}): nothing more is printed.")


async def _until_one_ends(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all works until one has ended, which ends the others. Raises what that one raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _resume(opened: Messenger, printer: Printer) -> None:
    """Print what happened between two engines, of which this command had no events."""
    contacts = await talks(opened)
    missed: list[EntryView] = []
    for view in contacts:
        entries = page = await opened.history(view.person, HELD)
        while page and not any(map(printer.is_known, page)):
            page = await opened.history(view.person, HELD, page[0].id)
            entries = page + entries
        missed += entries
    printer.resume(contacts, missed)
    printer.asked(await opened.questions())
