"""When a link with a contact or another terminal of this person last lived: a lost device shows by that."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Final

from chat.network.links import Links
from chat.service.keyring import Keyring
from chat.service.state import ContactBook
from chat.storage import persons
from chat.storage.database import Store
from chat.storage.errors import StorageFailure
from chat.tasks import Runtime

KEPT_EVERY: Final = 900.0
"""Seconds after which it is stored again while a link lives. A crash makes it so much too early."""


class Attendance:
    """Keeps these times, in memory as the book's `seen`."""

    def __init__(
        self, runtime: Runtime, store: Store, keyring: Keyring, book: ContactBook, links: Links
    ) -> None:
        self._runtime, self._store, self._keyring = runtime, store, keyring
        self._book, self._links = book, links
        self._there, self._again = frozenset[bytes](), 0.0

    async def tick(self) -> None:
        """Note which terminals are there now. The disk hears of it when that changes, and now and then."""
        now = self._runtime.clock.monotonic()
        links = [link for link in self._links.all() if self._links.is_heard(link.peer)]
        there = frozenset(filter(None, map(self._keyring.at, links)))
        time = self._runtime.clock.wall()
        self._book.seen.update(dict.fromkeys(there, time))
        if there != self._there or (there and now >= self._again):
            before, self._there, self._again = self._there, there, now + KEPT_EVERY
            await self._keep(before | there)

    async def save(self) -> None:
        """Store what the links of now have proven; they are about to end."""
        await self.tick()
        await self._keep(self._there)

    async def _keep(self, terminals: frozenset[bytes]) -> None:
        seen = {terminal: self._book.seen[terminal] for terminal in terminals}
        with suppress(StorageFailure):  # then an older time stays, until the next one
            if seen:
                await self._store.write(partial(persons.keep_seen, seen=seen))
