"""The commands about files that came: save, files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final

import click

from chat.cli.completing import FILE_ENTRY, TALK
from chat.cli.entries import file_fields, file_text
from chat.cli.messages import FOLDER
from chat.cli.output import KEPT, find, labels, note, one_line, talks
from chat.cli.session import TEXT, Call, Feed, command, coroutine, messenger
from chat.interface import (
    DEFAULT_MIB,
    FILES_LIMIT,
    FILES_RELAYED,
    KEEP_MOST,
    KEEP_MOST_MIB,
    PICTURES_SHOWN,
    RELAYED_MIB,
    WITHOUT_ASKING,
    Closed,
    ContactView,
    EntryView,
    FileProgress,
    FileState,
    Messenger,
    UsageError,
    size_text,
)

MOST: Final = 99_999_999

NOT_FOR_ONE = (
    "Only --without-asking, --relayed and --pictures can be those of one contact, whom NAME names; --pictures"
    " and --as-usual need NAME."
)
ONE_OF = "Name the ID of each message whose file is saved, or give --all."
NO_FILES = "No message of {label} names a file."
NOT_HERE = "These are not on this device: name their IDs to take and save them."
NOBODY_HAS = "Nobody who has the rest is online: it is taken as soon as that is so. Then run this again."
NO_FILE = "That message of {label} names no file: see 'parlour history NAME --json'."


@command("save")
@click.argument("name", type=TALK)
@click.argument("ids", type=FILE_ENTRY, nargs=-1, metavar="[ID]...")
@click.option("--all", "every", is_flag=True, help="Save each file of the conversation that is here.")
@click.option("--to", "folder", type=FOLDER, default=".", metavar="FOLDER", show_default="this folder")
@click.option("--wait", type=click.FloatRange(0), default=5.0, metavar="SECONDS", show_default=True)
@coroutine
async def save(
    call: Call, name: str, ids: tuple[str, ...], every: bool, folder: Path, wait: float
) -> int | None:
    """Save the files of messages of the conversation with NAME into a folder.

    'parlour history NAME --json' shows each ID. A file that is not here is taken first, which lasts while a
    device that has it is online; --all takes none. The files of a folder that was sent come into a folder of
    its name. Nothing is overwritten: where there is such a file, the new one gets a number. Only you may
    read it.

    Status 0: the files are saved. Status 75: at least one is not here, and is not saved.
    """
    if bool(ids) == every:
        raise UsageError(ONE_OF)
    async with messenger(call) as opened:
        label, contact = find(await talks(opened), name)
        entries = await (_of_all(opened, contact) if every else _of_ids(opened, contact, ids, label))
        lacking = list[EntryView]()
        for entry in entries:
            if _is_whole(entry) if every else await _whole_within(opened, entry, wait):
                path = await opened.save_file(contact.person, entry.id, str(folder))
                call.result({"id": entry.id, "path": path}, f"Saved {one_line(path)}")
            else:
                lacking.append(await opened.entry(contact.person, entry.id) or entry)
        for entry in lacking:
            if entry.file is not None:
                call.result({"id": entry.id, **file_fields(entry.file)}, file_text(entry.file))
        if lacking:
            note(NOT_HERE if every else NOBODY_HAS)
        elif not entries:
            call.nothing(NO_FILES.format(label=label))
        return KEPT if lacking else None


async def _of_ids(opened: Messenger, contact: ContactView, ids: Iterable[str], label: str) -> list[EntryView]:
    """The messages of these ids, each once. UsageError, before any is saved, for one that has no file."""
    entries = [await opened.entry(contact.person, id) for id in dict.fromkeys(ids)]
    named = [entry for entry in entries if entry is not None and entry.file is not None]
    if len(named) < len(entries):
        raise UsageError(NO_FILE.format(label=label))
    return named


async def _of_all(opened: Messenger, contact: ContactView) -> list[EntryView]:
    """Each message of a conversation that names a file, the oldest first."""
    found, page = list[EntryView](), await opened.history(contact.person)
    while page:
        found[:0] = [entry for entry in page if entry.file is not None]
        page = await opened.history(contact.person, before=page[0].id)
    return found


def _is_whole(entry: EntryView) -> bool:
    return entry.file is not None and entry.file.state in (FileState.WHOLE, FileState.WITHHELD)


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
@click.argument("name", type=TALK, required=False)
@click.option("--without-asking", type=click.IntRange(0, MOST), metavar="MIB", help="Take files up to MIB.")
@click.option("--relayed", type=click.IntRange(0, MOST), metavar="MIB", help="Files up to MIB use relays.")
@click.option(
    "--pictures/--no-pictures", default=None, help="Show pictures of NAME as they come, or when asked for."
)
@click.option("--as-usual", is_flag=True, help="Let both be for NAME as they are for all.")
@click.option("--keep-most", type=click.IntRange(0, MOST), metavar="MIB", help="Ask above MIB in total.")
@click.option("--limit", type=click.IntRange(0, MOST), metavar="KIB", help="Send KIB a second; 0: no limit.")
@click.option("--let-go", type=(TEXT, TEXT), metavar="NAME ID", help="Delete a file on this device alone.")
@coroutine
async def files(
    call: Call,
    name: str | None,
    without_asking: int | None,
    relayed: int | None,
    pictures: bool | None,
    as_usual: bool,
    keep_most: int | None,
    limit: int | None,
    let_go: tuple[str, str] | None,
) -> None:
    """Show the files of each conversation on this device, and what they may use; or set that.

    Files up to a size are taken without asking, for all or for the contact NAME. With 0 each is asked for.
    Larger ones are shown, and 'parlour save' takes them. So it is above what this device keeps at most.
    Nothing that is here is deleted for that: --let-go deletes a file on this device, and its message stays.

    A file goes through a relay up to a size that both sides allow. All this holds for this device alone.

    The interfaces show a picture when you ask for it, and with --pictures those of NAME as they come. Then
    somebody else chooses what is decoded here, in a confined process.
    """
    for_all = (keep_most, limit, let_go) != (None, None, None)
    if ((as_usual or pictures is not None) and name is None) or (for_all and name is not None):
        raise UsageError(NOT_FOR_ONE)
    async with messenger(call, offline=True) as opened:
        people = await talks(opened)
        label, contact = find(people, name) if name is not None else ("", None)
        ending = f".{contact.person}" if contact is not None else ""
        for key, value in ((WITHOUT_ASKING, without_asking), (FILES_RELAYED, relayed)):
            if value is not None or as_usual:
                await opened.set_preference(key + ending, "" if value is None else str(value))
        if pictures is not None:
            await opened.set_preference(PICTURES_SHOWN + ending, "on" if pictures else "")
        for key, value in ((KEEP_MOST, keep_most), (FILES_LIMIT, limit)):
            if value is not None:
                await opened.set_preference(key, str(value))
        if let_go is not None:
            await _let_go(call, opened, *let_go)
        elif contact is not None:
            chosen = await opened.preferences()
            sizes, shown = _sizes(chosen, ending), chosen.get(PICTURES_SHOWN + ending) == "on"
            when = "as they come" if shown else "when you ask for one"
            lines = [*_sizes_text(sizes, f" with {label}"), f"Pictures of {label} are shown {when}."]
            call.result({"name": label, **sizes, "pictures": shown}, "\n".join(lines))
        else:
            await _overview(call, opened, people)


async def _let_go(call: Call, opened: Messenger, name: str, id: str) -> None:
    label, contact = find(await talks(opened), name)
    entry = await opened.entry(contact.person, id)
    if entry is None or entry.file is None:
        raise UsageError(NO_FILE.format(label=label))
    now = (await opened.let_go_of_file(contact.person, entry.id)).file or entry.file
    call.result({"id": entry.id, **file_fields(now)}, file_text(now))


async def _overview(call: Call, opened: Messenger, people: Iterable[ContactView]) -> None:
    chosen = await opened.preferences()
    sizes = _sizes(chosen, "")
    most, rate = _number(chosen, KEEP_MOST, KEEP_MOST_MIB), _number(chosen, FILES_LIMIT, 0)
    named = {view.person: label for label, view in labels(people).items()}
    lines = [
        *_sizes_text(sizes, ""),
        f"Above {most} MiB on this device each file is asked for.",
        f"Files are sent at {rate} KiB a second." if rate else "Files are sent as fast as they go.",
    ]
    fields = list[dict[str, object]]()
    for one in await opened.files():
        label = named.get(one.contact, one.contact)
        fields.append({"name": label, "files": one.number, "held": one.held, "lacking": one.lacking})
        here, elsewhere = size_text(one.held), size_text(one.lacking)
        lines.append(f"{label}: {one.number} files, {here} here, {elsewhere} not here")
    call.result({**sizes, "keep_most": most, "limit": rate, "conversations": fields}, "\n".join(lines))


def _sizes(chosen: Mapping[str, str], ending: str) -> dict[str, int]:
    usual = {"without_asking": (WITHOUT_ASKING, DEFAULT_MIB), "relayed": (FILES_RELAYED, RELAYED_MIB)}
    return {name: _number(chosen, key, most, ending) for name, (key, most) in usual.items()}


def _number(chosen: Mapping[str, str], key: str, usual: int, ending: str = "") -> int:
    value = chosen.get(key + ending) or chosen.get(key, "")
    return int(value) if value.isdecimal() else usual


def _sizes_text(sizes: Mapping[str, int], whose: str) -> list[str]:
    return [
        f"Files{whose} up to {sizes['without_asking']} MiB are taken without asking.",
        f"Files{whose} up to {sizes['relayed']} MiB go through relays.",
    ]
