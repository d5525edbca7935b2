"""Reads one conversation from the messenger into a `Window`, one read at a time.

Rules: after something new its place is read anew, never guessed; a change of state that comes while a
page is on its way is applied to the page as well. Calls may raise `ParlourError`.
"""

from __future__ import annotations

import asyncio

from chat.interface import EntryState, Messenger
from tui.window import PAGE, Window

_TAIL = 40
_TAIL_MAX = 200


class Conversation:
    """The open conversation with one contact (person id)."""

    def __init__(self, messenger: Messenger, person: str) -> None:
        self.person = person
        self.window = Window()
        self._messenger = messenger
        self._reading = asyncio.Lock()
        self._awaited: set[str] = set()
        self._moved: dict[str, EntryState] = {}

    async def open(self) -> None:
        """Read the newest page."""
        async with self._reading:
            page = await self._messenger.history(self.person, PAGE)
            self.window.prepend(page, PAGE)
            self._apply_moved()

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

    async def catch_up(self, entry: str) -> bool:
        """Take in a new entry where the messenger has it; False when an earlier read already did."""
        self._awaited.add(entry)
        async with self._reading:
            if entry in self.window:
                self._awaited.discard(entry)
            if entry not in self._awaited:
                return False
            awaited = set(self._awaited)
            asked = max(_TAIL, min(len(self.window) + len(awaited), _TAIL_MAX))
            while not self.window.take_newest(
                await self._messenger.history(self.person, asked), asked, awaited
            ):
                asked *= 4
            self._awaited -= awaited
            self._apply_moved()
        return True

    def moved(self, entry: str, state: EntryState) -> bool:
        """One's own entry came to another state; True when that can be drawn now."""
        if self._reading.locked() or entry not in self.window:
            self._moved[entry] = state
        return self.window.change_state(entry, state)

    def _apply_moved(self) -> None:
        for entry, state in self._moved.items():
            self.window.change_state(entry, state)
        self._moved.clear()
