"""`listen --save`: each file that came whole is saved once, whatever program had the engine when it came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from chat.cli.output import note, one_line
from chat.cli.session import Call
from chat.interface import (
    AlertsChanged,
    ArrivalView,
    CannotCreate,
    ClientChanged,
    EntryView,
    Event,
    FileProgress,
    FileState,
    Messenger,
    NotPermitted,
    ParlourError,
    Ready,
    UsageError,
)

PLACE: Final = "listen-save"
"""The name of the place in what came, as programs at the API have one: one per profile, for all folders."""

PAGE: Final = 100
AGAIN: Final = 60.0
"""Seconds after which a save is tried again that the disk did not take. Until then nothing else is: each
file that comes would try all of them again."""
SAID_MAX: Final = 1_024
"""Failures that are not said again. Contacts fill it, with the names of files."""

_HERE: Final = (FileState.WHOLE, FileState.WITHHELD)
REPLACED: Final = (
    "Another 'listen --save' goes on from here, or its place was revoked: this one saves nothing more."
)


def make(folder: Path) -> None:
    """Make a folder for this user alone where it is missing. Raises CannotCreate."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as failure:
        why = failure.strerror or "an error of the disk"
        raise CannotCreate(f"{folder} cannot be made ({why}): choose another folder.") from failure


class Saver:
    """Saves files into a folder. A failure is said once, and ends nothing."""

    def __init__(self, call: Call, opened: Messenger, folder: Path) -> None:
        self._call, self._opened, self._folder = call, opened, folder
        self._turn = ""
        self._said = set[str]()
        self._failed, self._working = asyncio.Event(), asyncio.Lock()

    async def run(self) -> None:
        """Try again what the disk did not take: nothing says when it has room again. Never ends."""
        while True:
            await self._failed.wait()
            await asyncio.sleep(AGAIN)
            if self._failed.is_set():  # else another run has taken the turn meanwhile
                await self._attempt(self._save_all if self._turn else self._begin)

    async def begin(self) -> None:
        """Save what came meanwhile: at the start, and after another engine began."""
        await self._attempt(self._begin)

    async def heed(self, event: Event) -> None:
        """Save what an event says is here."""
        match event:
            case Ready():
                await self.begin()
            case ClientChanged(client=name) if name == PLACE and self._turn:
                await self._attempt(self._save_all)
                if not self._turn:
                    self._say(REPLACED)
            case AlertsChanged() if self._turn:  # an older copy saves nothing until its person has seen that
                await self._attempt(self._save_all)
            case FileProgress(file=file) if file.state in _HERE and self._turn and not self._failed.is_set():
                await self._attempt(self._save_all)

    async def _attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            async with self._working:
                self._failed.clear()
                await work()
        except NotPermitted:  # locked, another run took the turn, or `Ready` of another engine follows
            self._turn = ""
            self._failed.clear()
        except ParlourError as failure:
            self._failed.set()
            self._say(f"Files are not saved for now: {failure}")

    async def _begin(self) -> None:
        await self._opened.follow(PLACE)
        self._turn = await self._opened.take_turn(PLACE)
        await self._save_all()

    async def _save_all(self) -> None:
        """Save what came up to now. What the disk did not take comes again, behind that."""
        # Without `follow`, which would make a place that was revoked again.
        place = next((one for one in await self._opened.clients() if one.name == PLACE), None)
        if place is None:
            raise NotPermitted(REPLACED)
        after = place.acknowledged
        while True:
            found = await self._opened.arrivals(PLACE, after, PAGE, self._turn)
            for one in found.arrivals:
                if one.position <= place.last and _came(one):
                    await self._save(one.entry)
                    await self._opened.acknowledge(PLACE, one.position, self._turn)
            before, after = after, min(found.position, place.last)
            if after == before:  # what came then is gone with its conversation, or this is an older copy
                return
            await self._opened.acknowledge(PLACE, after, self._turn)

    async def _save(self, entry: EntryView) -> None:
        """Raises ParlourError where no file can be saved now."""
        assert entry.file is not None, "an entry of a file"
        await asyncio.to_thread(make, self._folder)
        try:
            path = await self._opened.save_file(entry.contact, entry.id, str(self._folder), unasked=True)
        except ParlourError as failure:
            if not isinstance(failure, UsageError):  # of the disk: it comes again
                self._failed.set()
            self._say(f"{one_line(entry.file.path)} was not saved: {failure}")
        else:
            self._call.result({"event": "saved", "id": entry.id, "path": path}, f"Saved {one_line(path)}")

    def _say(self, text: str) -> None:
        if len(self._said) >= SAID_MAX:
            self._said.clear()
        if text not in self._said:
            self._said.add(text)
            note(text)


def _came(arrival: ArrivalView) -> bool:
    """Whether all of a file came after its entry did. One that is sent is whole when its entry comes."""
    file = arrival.entry.file
    return file is not None and file.state in _HERE and arrival.came < arrival.position
