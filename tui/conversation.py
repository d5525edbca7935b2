"""Reads one conversation from the messenger into a `Window`, one read at a time.

Rules: after something new its place is read anew, never guessed; a change of state that comes while a
page is on its way is applied to the page as well, as is a deletion. Calls may raise `ParlourError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from chat.interface import EntryState, EntryView, Messenger
from tui.window import PAGE, Window

_TAIL = 40
_TAIL_MAX = 200
_GAP = 20


class Conversation:
    """The open conversation with one contact (person id)."""

    def __init__(self, messenger: Messenger, person: str) -> None:
        self.person = person
        self.window = Window()
        self._messenger = messenger
        self._reading = asyncio.Lock()
        self._awaited: dict[str, EntryView] = {}
        self._moved: dict[str, EntryState] = {}
        self._erased: set[str] = set()

    async def open(self) -> None:
        """Read the newest page, in the place of whatever is held."""
        async with self._reading:
            page = await self._messenger.history(self.person, PAGE)
            self.window.replace(page, complete=len(page) < PAGE, last=True)
            self._apply_moved()

    async def around(self, entry: str) -> bool:
        """Read the entries around one, in the place of whatever is held; False where it does not exist."""
        half = PAGE // 2
        async with self._reading:
            found = await self._messenger.entry(self.person, entry)
            if found is None:
                return False
            before = await self._messenger.history(self.person, half, before=entry)
            after = await self._messenger.history(self.person, half, after=entry)
            page = (*before, found, *after)
            self.window.replace(page, complete=len(before) < half, last=len(after) < half)
            self._apply_moved()
        return True

    async def older(self) -> bool:
        """Read the page before the oldest entry held; False when there is none."""
        async with self._reading:
            oldest = self.window.oldest
            if self.window.complete or oldest is None:
                return False
            page = await self._messenger.history(self.person, PAGE, oldest)
            self.window.prepend(page, PAGE)
            self._apply_moved()
        return bool(page)

    async def newer(self) -> bool:
        """Read the page after the newest entry held; False when there is none."""
        async with self._reading:
            newest = self.window.newest
            if self.window.last or newest is None:
                return False
            page = await self._messenger.history(self.person, PAGE, after=newest)
            self.window.append(page, PAGE)
            self._apply_moved()
        return bool(page)

    async def catch_up(self, entry: EntryView) -> tuple[EntryView, ...]:
        """Take in a new entry where the messenger has it, and those that came meanwhile.

        Returns the new ones; an earlier call may have taken in this one. One that stands after the end of
        the window is only counted there.
        """
        self._awaited[entry.id] = entry
        async with self._reading:
            awaited, self._awaited = self._awaited, {}
            if not all(new in self.window for new in awaited):
                try:
                    await self._take_in(awaited)
                except BaseException:
                    self._awaited = awaited | self._awaited
                    raise
            self._apply_moved()
        return tuple(awaited.values())

    async def read_origins(self, entries: Iterable[str]) -> None:
        """Read entries that held ones answer."""
        for entry in entries:
            if self.window.get(entry) is None and entry not in self.window.origins:
                self.window.origins[entry] = await self._messenger.entry(self.person, entry)
        self._apply_erased()

    def moved(self, entry: str, state: EntryState) -> bool:
        """One's own entry came to another state; True when that can be drawn now."""
        if self._reading.locked() or entry not in self.window:
            self._moved[entry] = state
        return self.window.change_state(entry, state)

    def erased(self, entry: str) -> bool:
        """An entry was deleted; True when that can be drawn now."""
        self._erased.add(entry)
        return self.window.erase(entry)

    def trim(self, around: int) -> None:
        """Let go of what is far from a place; not while a page is on its way, which has to fit."""
        if not self._reading.locked():
            self.window.trim(around)

    async def _take_in(self, awaited: dict[str, EntryView]) -> None:
        if not self.window.last:
            for entry in reversed(awaited):  # so that a later one is known to stand after the end
                await self._take_in_between(entry)
            return
        asked = max(_TAIL, min(len(self.window) + len(awaited), _TAIL_MAX))
        while not self.window.take_newest(await self._messenger.history(self.person, asked), asked, awaited):
            asked *= 4

    async def _take_in_between(self, entry: str) -> None:
        """Where the window ends before the newest entry, a new one most likely stands after its end."""
        after = await self._messenger.history(self.person, PAGE, after=entry)
        if not any(view.id in self.window for view in after) and (
            len(after) < PAGE or after[-1].id in self.window.beyond
        ):
            self.window.beyond.add(entry)
            return
        before = await self._messenger.history(self.person, 1, before=entry)
        if not before or before[0].id not in self.window or entry in self.window:
            return
        asked = _GAP
        while not self.window.join(
            before[0].id, await self._messenger.history(self.person, asked, after=before[0].id), asked
        ):
            asked *= 4

    def _apply_moved(self) -> None:
        for entry, state in self._moved.items():
            self.window.change_state(entry, state)
        self._moved.clear()
        self._apply_erased()

    def _apply_erased(self) -> None:
        """What was read before a deletion may come after it."""
        for entry in self._erased:
            self.window.erase(entry)
