"""What `send --file` gives: a file, a folder as its files, or what a pipe brings."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from chat.cli.output import Stopped, note, one_line
from chat.cli.terminal import STDIN, Lines, confirmed, is_interactive
from chat.interface import (
    FEED_PART_MAX,
    ContactView,
    Door,
    EntryView,
    Guard,
    Messenger,
    OnlyAsOriginal,
    Outgoing,
    ParlourError,
    UsageError,
    hidden_names,
    outgoing,
    size_text,
)

TWICE: Final = "Standard input can be read once: use it for the text or for one file."
NAMELESS: Final = "A file from standard input has no name yet: add --name NAME."
ONE_NAME: Final = "--name names one file: use it with one --file, and not with a folder."
AT_TERMINAL: Final = (
    "Standard input is a terminal: give the file by a pipe, as in tar c FOLDER | parlour send …"
)
NOTHING: Final = (
    "Standard input brought nothing, so nothing is sent: look whether the command before the pipe failed. To"
    " send an empty file, name its path."
)
NOTHING_SENT: Final = "Nothing was sent."
QUIET: Final = 15.0
"""Seconds after which the engine hears that a pipe which brings nothing is still open."""

SHOWN: Final = 5  # of what is left out, each in a line of its own


async def text_of(lines: Lines, door: Door, said: Sequence[str]) -> str:
    """The text that a command names, where `-` is standard input.

    Raises UsageError where the passphrase was typed there: a command that needs none may look as if it asked.
    """
    if tuple(said) != (STDIN,):
        return " ".join(said)
    words = lines.rest().removesuffix("\n")
    if lines.at_terminal and (doubt := await Guard(door.is_passphrase).doubt(words)) is not None:
        raise UsageError(f"{doubt} {NOTHING_SENT}")
    return words


class ToSend(Struct, frozen=True):
    """One file to send. An empty `path` is standard input. `mark` makes its id out of that of the command."""

    path: str
    named: str
    mark: str


def check_input(lines: Lines, text: Sequence[str], paths: Sequence[Path], name: str | None) -> None:
    """Whether what the command names fits together. Raises UsageError."""
    piped = [path for path in paths if str(path) == STDIN]
    if len(piped) + (tuple(text) == (STDIN,)) > 1:
        raise UsageError(TWICE)
    if piped and not name:
        raise UsageError(NAMELESS)
    if piped and lines.at_terminal:
        raise UsageError(AT_TERMINAL)
    if name and (len(paths) != 1 or paths[0].is_dir()):
        raise UsageError(ONE_NAME)


def to_send(paths: Sequence[Path], name: str | None) -> list[ToSend]:
    """All files of these paths, in order. Says what of a folder is left out. Blocks. Raises UsageError."""
    files: list[ToSend] = []
    for number, path in enumerate(paths, 1):
        if str(path) == STDIN:
            files.append(ToSend("", name or "", str(number)))
            continue
        found = outgoing(path)
        for one in found.files:
            # Files that come or go in a folder change no id of the others.
            below = hashlib.blake2b(one.named.encode(errors="replace"), digest_size=8).hexdigest()
            mark = str(number) if path.is_file() else f"{number}/{below}"
            files.append(ToSend(one.path, name or (one.named if path.is_dir() else ""), mark))
        if path.is_dir():
            _say(path, found)
    return files


async def check_hidden(lines: Lines, files: Sequence[ToSend]) -> None:
    """Name the hidden files below the folders that are sent, and ask where somebody can answer.

    Raises Stopped after a no.
    """
    names = hidden_names(one.named for one in files)
    if not names:
        return
    for name in names[:SHOWN]:
        note(f"Hidden, and sent too: {one_line(name)}")
    if len(names) > SHOWN:
        note(f"Hidden, and sent too: {len(names) - SHOWN:,} others")
    if is_interactive() and not await confirmed(lines, "Send the hidden ones too? [y/n]"):
        raise Stopped("Nothing was sent.")


def _say(path: Path, found: Outgoing) -> None:
    note(f"{one_line(str(path))}: {len(found.files):,} files, {size_text(found.size)}, each sent by itself.")
    for one in found.left_out[:SHOWN]:
        note(f"Left out: {one_line(one.path)} ({one.why})")
    if len(found.left_out) > SHOWN:
        note(f"Left out: {len(found.left_out) - SHOWN:,} others")


@asynccontextmanager
async def naming_original(send_id: str) -> AsyncIterator[None]:
    """Say how a picture is sent whose metadata cannot be removed."""
    try:
        yield
    except OnlyAsOriginal as failure:
        again = f"Add --original --id {send_id} to send it so, and what was sent before it not twice."
        raise OnlyAsOriginal(f"{failure} {again}") from failure


async def give(
    opened: Messenger,
    lines: Lines,
    contact: ContactView,
    file: ToSend,
    send_id: str,
    *,
    original: bool = False,
) -> EntryView:
    """Send one file. Raises ParlourError. Cancelled while it is prepared, it is not sent."""
    try:
        if file.path:
            return await opened.send_file(contact.person, file.path, file.named, send_id, original)
        return await _give_input(opened, lines, contact, file, send_id, original=original)
    except asyncio.CancelledError:
        with suppress(ParlourError):  # it was sent already
            await opened.cancel_file(contact.person, send_id)
        raise


async def _give_input(
    opened: Messenger, lines: Lines, contact: ContactView, file: ToSend, send_id: str, *, original: bool
) -> EntryView:
    """Send what standard input brings."""
    feed = await opened.open_feed()
    sending = asyncio.create_task(
        opened.send_file(contact.person, feed, file.named, send_id, original=original)
    )
    feeding = asyncio.create_task(_feed(opened, lines, feed))
    try:
        await asyncio.wait({sending, feeding}, return_when=asyncio.FIRST_COMPLETED)
        if not sending.done() and feeding.exception() is not None:
            await asyncio.wait({sending}, timeout=1.0)  # it says best what is wrong
        if not sending.done():
            await feeding
        return await sending  # perhaps it was sent before, and nothing of this is read
    finally:
        feeding.cancel()
        sending.cancel()


async def _feed(opened: Messenger, lines: Lines, feed: str) -> None:
    """Pass standard input on, up to its end. Nothing that stops before it ends the feed.

    Raises UsageError where it has nothing: the program before the pipe has failed.
    """
    part: bytes | None = None
    given = False
    while part != b"":
        part = await lines.some(FEED_PART_MAX, QUIET)
        given = given or bool(part)
        if part == b"" and not given:
            raise UsageError(NOTHING)
        await opened.feed(feed, part or b"", end=part == b"")
