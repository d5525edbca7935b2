"""Clears conversations: begun at once, done in pieces, and gone on with after a crash."""

from __future__ import annotations

import asyncio
from functools import partial

from chat.interface import HistoryCleared, Notice
from chat.service.events import EventBus
from chat.service.keyring import Keyring
from chat.service.maintenance import Cleaner
from chat.service.state import ContactBook
from chat.service.views import Views
from chat.storage import clearing, receipts
from chat.storage.database import Store
from chat.storage.errors import StorageFailure
from chat.tasks import Runtime
from protocol.entries_and_receipts import conversation_of


class Clearing:
    """The use case *clear*."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        views: Views,
        cleaner: Cleaner,
    ) -> None:
        self._config, self._store, self._bus, self._keyring = runtime.config, store, bus, keyring
        self._book, self._views, self._cleaner = book, views, cleaner
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Do what an earlier engine left."""
        try:
            await self._store.with_reserve(self._work)
        except StorageFailure as failure:
            self._bus.publish(Notice(failure.phrase))

    async def clear(self, person: bytes) -> None:
        """Delete the content of all entries held of a conversation. Raises a storage failure.

        What is done then stays done, and the rest is done at the next start.
        """
        conversation = conversation_of(self._keyring.own.person, person)
        begin = partial(self._store.write, clearing.begin, conversation)
        await self._store.with_reserve(begin)
        await self._store.with_reserve(self._work)

    async def _work(self) -> None:
        async with self._turn:
            while (piece := await self._store.write(clearing.next_piece)) is not None:
                if piece.done == piece.total:
                    unread = await self._store.read(receipts.unread, piece.conversation)
                    self._ended(piece.contact, unread)
                self._bus.publish(HistoryCleared(piece.contact.hex(), piece.done, piece.total))
                await asyncio.sleep(self._config.ranks_every)

    def _ended(self, person: bytes, unread: int) -> None:
        if person in self._book.rows:
            self._book.unread[person] = unread
            self._views.publish_contact(person)
        self._cleaner.begin()
