"""Writing and deleting entries, and cutting removed terminals: committed first, then passed on."""

from __future__ import annotations

from chat.errors import phrase
from chat.interface import EntryAdded, EntryDeleted, EntryView, UsageError
from chat.service.events import CutsFollowed, EventBus
from chat.service.history import held_in
from chat.service.keyring import Keyring
from chat.service.maintenance import Cleaner
from chat.service.state import ContactBook
from chat.service.sync import Synchronizer
from chat.service.views import Views
from chat.storage import contacts, entries, persons, quarantine, receipts
from chat.storage.database import Database, Store
from chat.storage.entries import EntryRow
from chat.storage.receipts import ReceiptRow
from chat.tasks import Runtime
from protocol.entries_and_receipts import (
    KIND_CUT,
    KIND_TEXT,
    EntryPlace,
    ParsedEntry,
    conversation_of_two,
    cut_body,
    text_body,
    write_entry,
)
from protocol.identity.reduction import PersonState
from protocol.limits import TEXT_CHARACTERS_MAX

EMPTY = phrase("There is nothing to send: write some text.")
TOO_LONG = phrase(
    "The text is longer than {number} characters: send it in parts.", number=TEXT_CHARACTERS_MAX
)
NOT_TEXT = phrase("The text contains characters that are not Unicode text: remove them.")
BLOCKED = phrase("This contact is blocked: unblock it first.")


class Messages:
    """The use cases *send* and *delete*, and the cuts that follow a removal."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        views: Views,
        sync: Synchronizer,
        cleaner: Cleaner,
    ) -> None:
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._book, self._views, self._sync, self._cleaner = book, views, sync, cleaner
        self._incarnation = runtime.random(8)  # drawn at each start (SPEC §11.1)
        self._cut_for: PersonState | None = None  # the own log for which every cut that is due is written

    async def send(self, person: bytes, text: str, reply: bytes = b"") -> EntryView:
        """Commit a text entry for a contact and send it. Raises UsageError, or a storage failure.

        `reply` is the id of an entry held of this conversation, or empty.
        """
        if not text.strip():
            raise UsageError(EMPTY)
        if len(text) > TEXT_CHARACTERS_MAX:
            raise UsageError(TOO_LONG)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(NOT_TEXT) from None
        if self._book.rows[person].blocked:
            raise UsageError(BLOCKED)
        entry = await self._store.write(self._append, person, text, reply)
        view = self._views.added(person, entry)
        self._bus.publish(EntryAdded(view))
        self._sync.send(person, entry)
        return view

    def _append(self, database: Database, person: bytes, text: str, reply: bytes) -> ParsedEntry:
        if reply:
            held_in(database, conversation_of_two(self._keyring.own.person, person), reply)
        return self._commit(database, person, KIND_TEXT, text_body(text, reply))

    def _commit(self, database: Database, person: bytes, kind: int, body: bytes) -> ParsedEntry:
        own = self._keyring.own
        conversation = conversation_of_two(own.person, person)
        last = entries.last_by(database, conversation, own.terminal)
        place = EntryPlace(
            conversation=conversation,
            author=own.terminal,
            incarnation=self._incarnation,
            previous=(last.sequence, last.id) if last is not None else None,
            parents=entries.tips(database, conversation),
            membership=self._keyring.own_log.heads,
        )
        now, random = self._runtime.clock.wall(), self._runtime.random
        entry = write_entry(place, now, kind, body, own.self_key, random)
        entries.insert_all(database, [entry], own.terminal, contact=person)
        return entry

    async def cut_removed(self) -> None:
        """Write and send the cuts of own terminals that were removed (SPEC §11.2). Raises a storage failure.

        What is due is computed from the log and the entries, so a crash loses none and repeats none.
        """
        log = self._keyring.own_log
        if log is self._cut_for:
            return
        for person, entry in await self._store.write(self._append_cuts, log):
            self._bus.publish(EntryAdded(self._views.added(person, entry)))
            self._sync.send(person, entry)
        self._cut_for = log
        self._bus.signal(CutsFollowed())

    def _append_cuts(self, database: Database, log: PersonState) -> list[tuple[bytes, ParsedEntry]]:
        persons.replace_terminals(database, log.person, persons.terminal_rows(log))
        written: list[tuple[bytes, ParsedEntry]] = []
        for conversation, removed in quarantine.due(database, self._keyring.own.terminal):
            row = contacts.conversation(database, conversation)
            if removed not in log.frozen and row is not None and row.contact is not None:
                body = cut_body(removed, quarantine.heads(database, conversation, removed))
                written.append((row.contact, self._commit(database, row.contact, KIND_CUT, body)))
        return written

    async def delete(self, person: bytes, entry: bytes) -> EntryView:
        """Delete the content of an entry here; its place stays. Raises UsageError, or a storage failure."""
        conversation = conversation_of_two(self._keyring.own.person, person)
        row, receipts_of, unread, deleted = await self._store.write(_delete, conversation, entry)
        if deleted:
            self._sync.deleted.add(entry)
            self._bus.publish(EntryDeleted(person.hex(), entry.hex()))
            if person in self._book.rows and self._book.unread.get(person, 0) != unread:
                self._book.unread[person] = unread
                self._views.publish_contact(person)
            self._cleaner.begin()
        return self._views.entry(person, row, receipts_of)


def _delete(
    database: Database, conversation: bytes, entry: bytes
) -> tuple[EntryRow, list[ReceiptRow], int, bool]:
    """The entry as it is now, its receipts, the number of unread entries, and whether it was deleted now."""
    held_in(database, conversation, entry)
    deleted = entries.destroy(database, entry)
    row = held_in(database, conversation, entry)
    receipts_of = receipts.of(database, [entry]).get(entry, [])
    return row, receipts_of, receipts.unread(database, conversation), deleted
