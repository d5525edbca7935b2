"""Reading what was said: pages and search.

Rules: the order is the conversation's (SPEC §11.3), the same on every terminal.
"""

from __future__ import annotations

from chat.interface import EntryView, UsageError
from chat.service.views import Views
from chat.service.world import World
from chat.storage import conversations, entries, receipts, search
from chat.storage.database import Database
from chat.storage.entries import EntryRow
from chat.storage.receipts import ReceiptRow
from protocol.entries import conversation_of_two

NO_ENTRY = "There is no such entry here."
Found = tuple[list[EntryRow], dict[bytes, list[ReceiptRow]]]


class History:
    """The use cases *history* and *search*."""

    def __init__(self, world: World, views: Views) -> None:
        self._world = world
        self._views = views

    @staticmethod
    def entry_id(text: str) -> bytes:
        """An entry's id from its hex digits. Raises UsageError."""
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise UsageError(NO_ENTRY) from None

    async def page(self, person: bytes, limit: int, before: str | None) -> tuple[EntryView, ...]:
        """The newest entries before one, oldest first. Raises UsageError."""
        place = self.entry_id(before) if before is not None else None
        conversation = conversation_of_two(self._world.own.person, person)
        rows, acknowledged = await self._world.store.read(_page, conversation, limit, place)
        return self._views.entries(person, rows, acknowledged)

    async def search(self, words: str, person: bytes | None, limit: int) -> tuple[EntryView, ...]:
        """Entries that hold all the words, oldest first."""
        conversation = conversation_of_two(self._world.own.person, person) if person is not None else None
        found = await self._world.store.read(_search, words, conversation, limit)
        return tuple(self._views.entry(contact, row, acknowledged) for contact, row, acknowledged in found)


def _page(database: Database, conversation: bytes, limit: int, place: bytes | None) -> Found:
    if conversations.get(database, conversation) is None:
        return [], {}
    before = None
    if place is not None:
        row = entries.get(database, place)
        if row is None or row.conversation != conversation:
            raise UsageError(NO_ENTRY)
        before = row.position
    rows = entries.page(database, conversation, limit, before)
    return rows, receipts.of(database, [row.id for row in rows])


def _search(
    database: Database, words: str, conversation: bytes | None, limit: int
) -> list[tuple[bytes, EntryRow, list[ReceiptRow]]]:
    rows = search.find(database, words, conversation=conversation, limit=limit)
    contacts = {row.id: row.contact for row in conversations.all(database)}
    acknowledged = receipts.of(database, [row.id for row in rows])
    return [
        (contact, row, acknowledged.get(row.id, []))
        for row in rows
        if (contact := contacts.get(row.conversation)) is not None
    ]
