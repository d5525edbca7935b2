"""Which files are saved together, and the folder that is proposed for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from chat.interface import GONE, CannotCreate, EntryKind, EntryView, Messenger
from tui.text.safe import safe_line
from tui.text.translation import _

_TOGETHER_MAX: Final = 1_000
"""Files of one folder that are saved at once on either side of a message. The contact fills it."""

_SAYS_NOTHING: Final = frozenset((*GONE, EntryKind.MISSING, EntryKind.ELSEWHERE))


def top_folder(entry: EntryView) -> str:
    """The name of the folder that was sent, of which the file of an entry is a part; empty for none."""
    return entry.file.folder.partition("/")[0] if entry.file is not None else ""


async def of_one_folder(messenger: Messenger, entry: EntryView) -> list[EntryView]:
    """The entry and those around it whose files are of the same folder, the oldest first.

    The folder ends where its author wrote something else. Raises ParlourError.
    """
    before, after = list[EntryView](), list[EntryView]()
    page = await messenger.history(entry.contact, before=entry.id)
    while _follows(entry, reversed(page), before):
        page = await messenger.history(entry.contact, before=page[0].id)
    page = await messenger.history(entry.contact, after=entry.id)
    while _follows(entry, page, after):
        page = await messenger.history(entry.contact, after=page[-1].id)
    return [*reversed(before), entry, *after]


def _follows(entry: EntryView, page: Iterable[EntryView], found: list[EntryView]) -> bool:
    """Add what a page has of the folder of an entry; whether the next page may have more."""
    empty = True
    for one in page:
        empty = False
        if one.own != entry.own or one.author != entry.author or one.kind in _SAYS_NOTHING:
            continue
        if top_folder(one) != top_folder(entry) or len(found) >= _TOGETHER_MAX:
            return False
        found.append(one)
    return not empty


async def make_proposed(folder: Path) -> None:
    """Make a folder that Parlour itself proposed. Raises CannotCreate."""
    try:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        said = _("The folder {folder} cannot be made: {reason}.")
        raise CannotCreate(said.format(folder=safe_line(str(folder)), reason=reason)) from None
