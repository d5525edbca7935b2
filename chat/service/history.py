"""Reading history: pages, positions, single entries and search, in the order of SPEC §11.3."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from chat.errors import phrase
from chat.interface import DetailsView, EntryKind, EntryView, Query, UsageError
from chat.service.views import Views
from chat.storage import amending, entries, positions, receipts, repair, search
from chat.storage import contacts as stored_contacts
from chat.storage.database import Database, Store
from chat.storage.entries import EntryRow
from chat.storage.receipts import ReceiptRow
from protocol.entries_and_receipts import KIND_BOT, KIND_CUT, KIND_STATE, conversation_of

NO_ENTRY = phrase("No such message on this device.")
BOTH = phrase("Ask for the messages before a message or after it, not both.")
ELSEWHERE = phrase("This searches one conversation, and in: names another: search all conversations.")
NO_ZONE = phrase("The time has no time zone: add one.")
ID_BYTES = 32
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Found = tuple[list[EntryRow], dict[bytes, list[ReceiptRow]]]


class History:
    """The use cases *history* and *search*."""

    def __init__(self, store: Store, own_person: bytes, views: Views) -> None:
        self._store = store
        self._own_person = own_person
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
        return conversation_of(self._own_person, person)

    async def page(
        self, person: bytes, limit: int, before: str | None, after: str | None
    ) -> tuple[EntryView, ...]:
        """The newest entries, or those before or after one; oldest first. Raises UsageError."""
        if before is not None and after is not None:
            raise UsageError(BOTH)
        named = after if after is not None else before
        place = self.entry_id(named) if named is not None else None
        is_after, conversation = after is not None, self._conversation(person)
        rows, acknowledged = await self._store.read(_page, conversation, limit, place, is_after)
        return tuple(self._views.entry(person, row, acknowledged.get(row.id, ())) for row in rows)

    async def latest(self) -> tuple[EntryView, ...]:
        """The last entry of each conversation, that which came last first."""
        found = await self._store.read(_search, entries.latest)
        found.sort(key=lambda each: (self._views.came(each[1], each[2]), each[1].id), reverse=True)
        return tuple(self._views.entry(person, row, known) for person, row, known in found)

    async def entry(self, person: bytes, entry: str) -> EntryView | None:
        """An entry of the conversation with a contact, None if it is not held."""
        try:
            row, known = await self._store.read(_one, self._conversation(person), self.entry_id(entry))
        except UsageError:
            return None
        return self._views.entry(person, row, known)

    async def details(self, person: bytes, entry: str) -> DetailsView:
        """An entry's details. Raises UsageError."""
        row, known = await self._store.read(_one, self._conversation(person), self.entry_id(entry))
        rivals = await self._store.read(entries.rivals, row.id)
        uncovered = await self._store.read(repair.is_uncovered, row.number)
        edits = await self._store.read(amending.edits_of, row.id) if row.amended is not None else []
        return self._views.details(person, row, known, rivals, edits, uncovered=uncovered)

    async def first_unread(self, person: bytes) -> str | None:
        found = await self._store.read(receipts.first_unread, self._conversation(person))
        return found.hex() if found is not None else None

    async def entry_at(self, person: bytes, time: datetime) -> str | None:
        """The first entry whose time is not before this one. Raises UsageError."""
        found = await self._store.read(positions.at_time, self._conversation(person), unix(time))
        return found.hex() if found is not None else None

    async def search(self, query: Query, person: bytes | None, limit: int) -> tuple[EntryView, ...]:
        """Entries that fit a query, in the conversation with a person or in all, oldest first.

        Raises UsageError for a name that nobody or several have.
        """
        if query == Query():
            return ()
        authors = {self._named(name) for name in query.authors}
        within = {self._named(name, own=False) for name in query.conversations}
        if person is not None:
            within = within & {person} if within else {person}
            if not within:
                raise UsageError(ELSEWHERE)
        own, theirs = self._own_person in authors, authors - {self._own_person}
        find = partial(
            search.find,
            terms=query.terms,
            conversations=[self._conversation(one) for one in within] if within else None,
            own=own,
            theirs=[self._conversation(one) for one in theirs],
            since=unix(query.since) if query.since is not None else None,
            until=unix(query.until) if query.until is not None else None,
            limit=limit,
        )
        found = await self._store.read(_search, find)
        views = [self._views.entry(contact, row, acknowledged) for contact, row, acknowledged in found]
        views = [view for view in views if view.kind is not EntryKind.EXPIRED]  # since the index was written
        # Another log can claim an own terminal, which only the entry itself tells.
        return tuple(view for view in views if not authors or (own if view.own else bool(theirs)))

    def _named(self, name: str, *, own: bool = True) -> bytes:
        """The person whom a typed name means. Raises UsageError."""
        found = self._views.named(name, own=own)
        if not found:
            raise UsageError(phrase("No contact is named {name}.", name=name))
        if len(found) > 1:
            raise UsageError(
                phrase("{name} matches more than one contact: type more of the name.", name=name)
            )
        return found.pop()


def unix(time: datetime) -> int:
    """Unix time in milliseconds, rounded up. Raises UsageError without a time zone."""
    if time.tzinfo is None:
        raise UsageError(NO_ZONE)
    return max(0, -((EPOCH - time) // timedelta(milliseconds=1)))


def held_in(database: Database, conversation: bytes, entry: bytes) -> EntryRow:
    """An entry of a conversation. Raises UsageError if it is not held, or is for terminals alone."""
    row = entries.get(database, entry)
    if row is None or row.conversation != conversation or row.kind == KIND_STATE:
        raise UsageError(NO_ENTRY)
    if row.kind in (KIND_BOT, KIND_CUT):
        talk = stored_contacts.conversation(database, conversation)
        if talk is not None and talk.kind == stored_contacts.NOTES:
            raise UsageError(NO_ENTRY)
    return row


def _page(database: Database, conversation: bytes, limit: int, place: bytes | None, is_after: bool) -> Found:
    position = held_in(database, conversation, place).position if place is not None else None
    if is_after and position is not None:
        rows = positions.page_after(database, conversation, limit, position)
    else:
        rows = entries.page(database, conversation, limit, position)
    return rows, receipts.of_rows(database, rows)


def _one(database: Database, conversation: bytes, entry: bytes) -> tuple[EntryRow, list[ReceiptRow]]:
    row = held_in(database, conversation, entry)
    return row, receipts.of(database, [entry]).get(entry, [])


def _search(
    database: Database, find: Callable[[Database], list[EntryRow]]
) -> list[tuple[bytes, EntryRow, list[ReceiptRow]]]:
    rows = find(database)
    talks = stored_contacts.conversations(database)
    persons = {row.id: stored_contacts.partner(database, row) for row in talks}
    acknowledged = receipts.of_rows(database, rows)
    return [
        (person, row, acknowledged.get(row.id, []))
        for row in rows
        if (person := persons.get(row.conversation)) is not None
    ]
