"""Deleting an entry for oneself: its content goes at once, its place stays, the file is cleaned later.

Rules: commit first, then memory, then clients; a link that has read the entry before does not carry it after.
"""

from __future__ import annotations

from chat.interface import ContactChanged, EntryDeleted, EntryView
from chat.service.cleaning import Cleaning
from chat.service.history import held_in
from chat.service.views import Views
from chat.service.world import World
from chat.storage import entries, receipts
from chat.storage.database import Database
from chat.storage.entries import EntryRow
from chat.storage.receipts import ReceiptRow
from protocol.entries import conversation_of_two


class Deleting:
    """The use case *delete*."""

    def __init__(self, world: World, views: Views, cleaning: Cleaning) -> None:
        self._world = world
        self._views = views
        self._cleaning = cleaning

    async def delete(self, person: bytes, entry: bytes) -> EntryView:
        """Delete an entry of the conversation with a contact. Raises UsageError, or a storage failure."""
        conversation = conversation_of_two(self._world.own.person, person)
        row, known, unread, deleted = await self._world.store.write(_delete, conversation, entry)
        if deleted:
            self._world.deleted.add(entry)
            self._world.hub.publish(EntryDeleted(person.hex(), entry.hex()))
            self._count(person, unread)
            self._cleaning.begin()
        return self._views.entry(person, row, known)

    def _count(self, person: bytes, unread: int) -> None:
        """What was deleted unread is not unread any more."""
        if person in self._world.contacts and self._world.unread.get(person, 0) != unread:
            self._world.unread[person] = unread
            self._world.hub.publish(ContactChanged(self._views.contact(person)))


def _delete(
    database: Database, conversation: bytes, entry: bytes
) -> tuple[EntryRow, list[ReceiptRow], int, bool]:
    """The entry as it is now, its receipts, how many are unread, and whether there was anything to delete."""
    held_in(database, conversation, entry)
    deleted = entries.destroy(database, entry)
    row = held_in(database, conversation, entry)
    known = receipts.of(database, [entry]).get(entry, [])
    return row, known, receipts.unread(database, conversation), deleted
