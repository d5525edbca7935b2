"""C5: deleted is deleted.

Rules: the databases are decrypted here, page by page and frame by frame, by code that is not the database's
own; before the deletion the same search finds what is to be gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chat.interface import EntryView
from chat.prove import files
from chat.prove.findings import CannotShow, Record
from chat.prove.pages import Stored, Unreadable
from chat.prove.people import Terminal
from chat.prove.stage import Stage

ENTRIES: Final = 12


@dataclass(frozen=True, slots=True)
class Search:
    """Of one database: how many pages and frames were decrypted, and where any of the needles was."""

    pages: int
    frames: int
    found: tuple[str, ...]


async def show(stage: Stage, record: Record) -> None:
    """Say things, delete them on both sides, clean, and look for them in all that the databases hold."""
    needles = _needles(stage)
    texts = [f"{stage.deleted} {number} to be deleted, among other words" for number in range(ENTRIES)]
    entries = [*await stage.say(stage.ada, *texts), *await stage.say(stage.ben, *texts[:3])]
    record.did(f"{len(entries)} entries with another random word were said, and found in both databases.")
    before = await _search_both(stage, needles)
    if not all(one.found for one in before):
        raise CannotShow("the search of pages does not find what is there: this is a fault of Parlour")
    record.measure("places_before", sum(len(one.found) for one in before), "pages and frames had it before")
    for each in stage.both:
        await _delete(each, entries, record)
    record.did(
        "Both people deleted all of them, each for themselves, and waited until it was said to be done."
    )
    after = await _search_both(stage, needles)
    await stage.say(stage.ada, "what is said afterwards")
    later = await _search_both(stage, needles)
    record.did(
        "Every page and every frame of the log was then decrypted and searched, and again after more was"
        " said."
    )
    _tell(record, stage, [*zip(stage.both, after, strict=True), *zip(stage.both, later, strict=True)])
    await _look_at_files(stage, record)


def _needles(stage: Stage) -> tuple[bytes, ...]:
    """The word, and its end: the index of words keeps the beginning of neighbouring words only once."""
    word = stage.deleted.encode()
    return word, word[len(word) // 2 :]


async def _delete(terminal: Terminal, entries: Sequence[EntryView], record: Record) -> None:
    for entry in entries:
        await terminal.messenger.delete(terminal.contact, entry.id)
    await terminal.messenger.clean()
    left = {entry.id: entry for entry in await terminal.history()}
    for entry in entries:
        kept = left.get(entry.id)
        record.require(kept is not None, f"at {terminal.name}'s the place of a deleted entry is gone")
        if kept is not None and (kept.kind != "deleted" or kept.text):
            record.violated(f"at {terminal.name}'s a deleted entry is still shown")


async def _search_both(stage: Stage, needles: tuple[bytes, ...]) -> list[Search]:
    return [await asyncio.to_thread(search, each, needles) for each in stage.both]


def search(terminal: Terminal, needles: tuple[bytes, ...]) -> Search:
    """Decrypt and search all of a terminal's database, which its engine has open. Raises CannotShow."""
    try:
        stored, pages = Stored.read_whole(terminal.database, terminal.key)
    except Unreadable as page:
        raise CannotShow(f"{page} of {terminal.name}'s database cannot be decrypted") from None
    found = tuple(page.place for page in pages if any(needle in page.plain for needle in needles))
    return Search(len(pages) - stored.frames, stored.frames, found)


def _tell(record: Record, stage: Stage, searches: Sequence[tuple[Terminal, Search]]) -> None:
    for terminal, one in searches:
        for place in one.found:
            record.violated(f"{place} of {terminal.name}'s database still holds what was deleted")
    record.measure("pages_decrypted", sum(one.pages for _, one in searches), "pages decrypted and searched")
    record.measure(
        "wal_frames_decrypted", sum(one.frames for _, one in searches), "frames of the logs as well"
    )
    record.measure("places_after", sum(len(one.found) for _, one in searches), "of them had it afterwards")


async def _look_at_files(stage: Stage, record: Record) -> None:
    looked = [
        await asyncio.to_thread(files.look, each.folder, {"the word": stage.deleted}) for each in stage.both
    ]
    record.measure("files_searched", sum(one.files for one in looked), "files searched for it in clear")
    for place in (place for one in looked for place in one.found):
        record.violated(place)
