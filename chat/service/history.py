"""Reading what was said: pages, places, single entries and search.

Rules: the order is the conversation's (SPEC §11.3), the same on every terminal.

Deleting an entry for oneself: its content goes at once, its place stays, the file is cleaned later.

Rules: commit first, then memory, then clients; a link that has read the entry before does not carry it
after.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from chat.errors import phrase
from chat.interface import ContactChanged, DetailsView, EntryDeleted, EntryView, UsageError
from chat.service.maintenance import Cleaner
from chat.service.state import EngineState
from chat.service.views import Views, with_receipts
from chat.storage import contacts as stored_contacts
from chat.storage import entries, receipts, search
from chat.storage.database import Database
from chat.storage.entries import EntryRow
from chat.storage.receipts import ReceiptRow
from protocol.entries import conversation_of_two

NO_ENTRY = phrase("No such message on this device.")
BOTH = phrase("Ask for the messages before a message or after it, not both.")
NO_ZONE = phrase("The time has no time zone: add one.")
ID_BYTES = 32
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Found = tuple[list[EntryRow], dict[bytes, list[ReceiptRow]]]


class History:
    """The use cases *history* and *search*."""

    def __init__(self, world: EngineState, views: Views) -> None:
        self._world = world
        self._views = views

    @staticmethod
    def entry_id(text: str) -> bytes:
        """An entry's id, 32 bytes, from its hex digits. Raises UsageError."""
        try:
            found = bytes.fromhex(text)
        except ValueError:
            found = b""
        if len(found) != ID_BYTES:
            raise UsageError(NO_ENTRY)
        return found

    def _conversation(self, person: bytes) -> bytes:
        return conversation_of_two(self._world.own.person, person)

    async def page(
        self, person: bytes, limit: int, before: str | None, after: str | None
    ) -> tuple[EntryView, ...]:
        """The newest entries, those before one, or those after one; oldest first. Raises UsageError."""
        if before is not None and after is not None:
            raise UsageError(BOTH)
        work, named = (_page_after, after) if after is not None else (_page, before)
        place = self.entry_id(named) if named is not None else None
        rows, acknowledged = await self._world.store.read(work, self._conversation(person), limit, place)
        return self._views.entries(person, rows, acknowledged)

    async def entry(self, person: bytes, entry: str) -> EntryView | None:
        """An entry of the conversation with a contact, None where it is not held."""
        try:
            row, known = await self._world.store.read(_one, self._conversation(person), self.entry_id(entry))
        except UsageError:
            return None
        return self._views.entry(person, row, known)

    async def details(self, person: bytes, entry: str) -> DetailsView:
        """What is known of an entry. Raises UsageError."""
        row, known = await self._world.store.read(_one, self._conversation(person), self.entry_id(entry))
        return self._views.details(person, row, known)

    async def first_unread(self, person: bytes) -> str | None:
        """The first entry, in order, that this person has not read."""
        found = await self._world.store.read(receipts.first_unread, self._conversation(person))
        return found.hex() if found is not None else None

    async def entry_at(self, person: bytes, time: datetime) -> str | None:
        """The first entry, in order, whose time is not before this one. Raises UsageError."""
        found = await self._world.store.read(entries.at_time, self._conversation(person), unix(time))
        return found.hex() if found is not None else None

    async def search(self, words: str, person: bytes | None, limit: int) -> tuple[EntryView, ...]:
        """Entries that hold all the words, oldest first."""
        conversation = self._conversation(person) if person is not None else None
        found = await self._world.store.read(_search, words, conversation, limit)
        return tuple(self._views.entry(contact, row, acknowledged) for contact, row, acknowledged in found)


def unix(time: datetime) -> int:
    """Milliseconds of Unix time, not before the moment that is meant. Raises UsageError without a zone."""
    if time.tzinfo is None:
        raise UsageError(NO_ZONE)
    return max(0, -((EPOCH - time) // timedelta(milliseconds=1)))


def held_in(database: Database, conversation: bytes, entry: bytes) -> EntryRow:
    """An entry that is held of a conversation. Raises UsageError."""
    row = entries.get(database, entry)
    if row is None or row.conversation != conversation:
        raise UsageError(NO_ENTRY)
    return row


def _page(database: Database, conversation: bytes, limit: int, place: bytes | None) -> Found:
    before = held_in(database, conversation, place).position if place is not None else None
    return with_receipts(database, entries.page(database, conversation, limit, before))


def _page_after(database: Database, conversation: bytes, limit: int, place: bytes | None) -> Found:
    after = held_in(database, conversation, place or b"").position
    return with_receipts(database, entries.page_after(database, conversation, limit, after))


def _one(database: Database, conversation: bytes, entry: bytes) -> tuple[EntryRow, list[ReceiptRow]]:
    row = held_in(database, conversation, entry)
    return row, receipts.of(database, [entry]).get(entry, [])


def _search(
    database: Database, words: str, conversation: bytes | None, limit: int
) -> list[tuple[bytes, EntryRow, list[ReceiptRow]]]:
    rows = search.find(database, words, conversation=conversation, limit=limit)
    contacts = {row.id: row.contact for row in stored_contacts.conversations(database)}
    acknowledged = receipts.of(database, [row.id for row in rows])
    return [
        (contact, row, acknowledged.get(row.id, []))
        for row in rows
        if (contact := contacts.get(row.conversation)) is not None
    ]


class Deleting:
    """The use case *delete*."""

    def __init__(self, world: EngineState, views: Views, cleaning: Cleaner) -> None:
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
