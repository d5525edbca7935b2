"""The commands about files that came: save, files."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from pathlib import Path

import click

from chat.cli.messages import FOLDER, file_fields, file_text
from chat.cli.output import KEPT, find, note, one_line, talks
from chat.cli.session import TEXT, Call, Feed, command, coroutine, messenger
from chat.interface import (
    DEFAULT_MIB,
    WITHOUT_ASKING,
    Closed,
    EntryView,
    FileProgress,
    FileState,
    Messenger,
    UsageError,
)

NO_FILE = "That message of {label} names no file: see 'parlour history NAME --json'."


@command("save")
@click.argument("name", type=TEXT)
@click.argument("id", type=TEXT)
@click.option("--to", "folder", type=FOLDER, default=".", metavar="FOLDER", show_default="this folder")
@click.option("--wait", type=click.FloatRange(0), default=5.0, metavar="SECONDS", show_default=True)
@coroutine
async def save(call: Call, name: str, id: str, folder: Path, wait: float) -> int | None:
    """Save the file of a message of the conversation with NAME into a folder.

    'parlour history NAME --json' shows the ID. A file that is not here is taken first, which lasts while a
    device that has it is online. Nothing is overwritten: where there is such a file, the new one gets a
    number. Only you may read it.

    Status 0: the file is saved. Status 75: nobody who has it is online, and it is taken later.
    """
    async with messenger(call) as opened:
        label, contact = find(await talks(opened), name)
        entry = await opened.entry(contact.person, id)
        if entry is None or entry.file is None:
            raise UsageError(NO_FILE.format(label=label))
        if not await _whole_within(opened, entry, wait):
            now = await opened.entry(contact.person, id)
            file = now.file if now is not None and now.file is not None else entry.file
            call.result({"id": id, **file_fields(file)}, file_text(file))
            note("Nobody who has the rest is online: it is taken as soon as that is so. Then run this again.")
            return KEPT
        path = await opened.save_file(contact.person, id, str(folder))
        call.result({"id": id, "path": path}, f"Saved {one_line(path)}")
        return None


async def _whole_within(opened: Messenger, entry: EntryView, wait: float) -> bool:
    """Take a file; whether all of it is here. Waits while it comes, and so many seconds for its next part."""
    if entry.file is not None and entry.file.state is FileState.WITHHELD:
        return True
    async with aclosing(Feed(opened)) as events:
        taken = await opened.take_file(entry.contact, entry.id)
        if taken.file is not None and taken.file.state is FileState.WHOLE:
            return True
        held = -1
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(wait):
                    while True:
                        event = await events.next()
                        if isinstance(event, Closed):
                            return False
                        if isinstance(event, FileProgress) and event.id == entry.id:
                            if event.file.state is FileState.WHOLE:
                                return True
                            if event.file.held > held:
                                held = event.file.held
                                break
    return False


@command("files")
@click.option("--without-asking", "most", type=click.IntRange(0), metavar="MIB")
@coroutine
async def files(call: Call, most: int | None) -> None:
    """Show or set the size up to which this device takes files without asking, in MiB.

    Larger ones are shown, and 'parlour save' takes them. With 0 each file is asked for.
    """
    async with messenger(call, offline=True) as opened:
        if most is not None:
            await opened.set_preference(WITHOUT_ASKING, str(most))
        chosen = (await opened.preferences()).get(WITHOUT_ASKING, str(DEFAULT_MIB))
        call.result({"without_asking": int(chosen)}, f"Files up to {chosen} MiB are taken without asking.")
