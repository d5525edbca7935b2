"""Writing and deleting entries, and cutting removed terminals: committed first, then passed on."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Final

from chat.errors import phrase
from chat.interface import (
    ClientRights,
    DeletedBy,
    EntryAdded,
    EntryDeleted,
    EntryKind,
    EntryView,
    NotPermitted,
    UsageError,
)
from chat.service.amending import Amendments, Changed, follow
from chat.service.events import CutsFollowed, EventBus
from chat.service.expiry import Expirer
from chat.service.history import held_in
from chat.service.keyring import REMOVED, Keyring
from chat.service.maintenance import Cleaner
from chat.service.notes import Notes, Written
from chat.service.state import ContactBook
from chat.service.sync import Synchronizer
from chat.service.views import Views, deleted_by
from chat.storage import amendments, claims, contacts, entries, expiry, files, persons, quarantine, receipts
from chat.storage.database import Database, Store
from chat.storage.entries import EntryRow
from chat.storage.errors import SendUnsure, StorageUnsure
from chat.storage.receipts import ReceiptRow
from chat.tasks import Runtime
from protocol.amendments import KEPT_KINDS
from protocol.entries_and_receipts import (
    KIND_BOT,
    KIND_CUT,
    KIND_DELETE,
    KIND_EDIT,
    KIND_FILE,
    KIND_TEXT,
    KIND_TIMER,
    ParsedEntry,
    conversation_of,
    conversation_of_two,
    cut_body,
    delete_body,
    edit_body,
    sign_entry,
    text_body,
    timer_body,
    write_entry,
)
from protocol.identity.reduction import PersonState
from protocol.limits import TEXT_CHARACTERS_MAX, TIMER_SECONDS_MAX
from protocol.notes import deletion

EMPTY = phrase("There is nothing to send: write some text.")
TOO_LONG = phrase(
    "The text is longer than {number} characters: send it in parts.", number=TEXT_CHARACTERS_MAX
)
NOT_TEXT = phrase("The text contains characters that are not Unicode text: remove them.")
BAD_SEND_ID = phrase("The id of this message is not 1 to 64 ASCII characters: choose another one.")
USED = phrase("Another message to this contact was sent with this id: choose another one.")
TOO_LATE = phrase("The longest timer is a year.")
BLOCKED = phrase("This contact is blocked: unblock it first.")

NOT_YOURS = phrase("Somebody else wrote this message: you can delete it on your own devices only.")
IN_FORCE = phrase("This message holds for other messages: you can delete it on this device only.")
NO_TEXT = phrase("Only your own messages whose text is on this device can be edited.")
NOT_SENT_HERE = phrase("The token of this program edits only what it sent itself with a send_id.")

CUTS_AT_ONCE: Final = 32
"""Cuts of removed terminals that one piece of work writes: some milliseconds, for which users wait."""

SEND_ID_MAX: Final = 64

SETTLES_IN: Final = 1.0
"""Seconds until it is read again whether a text was stored."""


class _SentBefore(Exception):
    """Undoes a transaction: this client has sent an entry to this contact with this id."""


class Messages:
    """The use cases *send*, *edit* and *delete*, and the cuts that follow a removal."""

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
        expirer: Expirer,
        amendments: Amendments,
        notes: Notes,
    ) -> None:
        self._notes = notes
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._book, self._views, self._sync, self._cleaner = book, views, sync, cleaner
        self._expirer, self._amendments = expirer, amendments
        self._incarnation = runtime.random(8)  # drawn at each start (SPEC §11.1)
        # (person, send id, client) of texts that may be stored unannounced: one per failed commit.
        self._unsure: set[tuple[bytes, str, str]] = set()
        self._cut_for: PersonState | None = None  # the own log for which the cuts are written
        # Persons whose conversations await a cut, are being compared for one, and were compared.
        self._awaited, self._comparing, self._compared = set[bytes](), set[bytes](), set[bytes]()

    async def send(
        self, person: bytes, text: str, reply: bytes = b"", send_id: str = "", client: str = ""
    ) -> EntryView:
        """Commit a text entry for a contact, or for the notes of this person, and send it.

        Raises UsageError, NotPermitted (this terminal was removed), or a storage failure.

        `reply` is the id of an entry held of this conversation, or empty. With a `send_id` that was used
        before, the entry of that time is returned.
        """
        self._check(person, text, send_id, client)
        try:
            entry = await self._store.write_once(_is_held, self._append, person, text, reply, send_id, client)
        except _SentBefore:
            return await self._sent_before(person, text_body(text, reply), send_id, client)
        except StorageUnsure:
            if not send_id:
                raise
            self._unsure.add((person, send_id, client))
            self._runtime.beat.by(SETTLES_IN)
            raise SendUnsure from None
        self._unsure.discard((person, send_id, client))
        return self._written(person, entry)

    def _written(self, person: bytes, entry: ParsedEntry) -> EntryView:
        """Show and send an entry that was committed."""
        view = self._views.added(person, entry)
        self._bus.publish(EntryAdded(view))
        self._sync.send(person, entry)
        if entry.header.timer:
            self._expirer.begin()
        return view

    async def sent_file(self, person: bytes, send_id: str, client: str = "") -> EntryView | None:
        """The entry that names a file and was sent with this id before, if there is one.

        Raises as `send`, and UsageError where the id was used for something else.
        """
        self._check(person, EntryKind.FILE, send_id, client)
        found = await self._store.read(_sent_with, self._keyring.own.person, person, send_id, client)
        if not send_id or found is None:
            return None
        if found[0].kind != KIND_FILE:
            raise UsageError(USED)
        return self._views.entry(person, *found)

    async def send_file(
        self, person: bytes, body: bytes, place: bytes, send_id: str = "", client: str = ""
    ) -> EntryView:
        """Commit and send an entry that names a file, whose pieces stand under `place`; raises as `send`."""
        self._check(person, EntryKind.FILE, send_id, client)
        try:
            entry = await self._store.write_once(
                _is_held, self._append_file, person, body, place, send_id, client
            )
        except _SentBefore:
            raise UsageError(USED) from None  # by another call at the same time
        return self._written(person, entry)

    def _append_file(
        self, database: Database, person: bytes, body: bytes, place: bytes, send_id: str, client: str
    ) -> ParsedEntry:
        timer = self._book.timers.get(person, 0) if person != self._keyring.own.person else 0
        entry = self._commit(database, person, KIND_FILE, body, timer)
        files.hold(database, entry.id, place)
        if send_id and not receipts.remember_send(database, send_id, entry.id, client):
            raise _SentBefore
        return entry

    async def set_timer(self, person: bytes, seconds: int) -> EntryView | None:
        """Set the timer of a conversation, 0 for none; None where it is that. Raises as `send`."""
        if not 0 <= seconds <= TIMER_SECONDS_MAX:
            raise UsageError(TOO_LATE)
        if self._keyring.is_removed:
            raise NotPermitted(REMOVED)
        if self._book.rows[person].blocked:
            raise UsageError(BLOCKED)
        if self._book.timers.get(person, 0) == seconds:
            return None
        body = timer_body(seconds)
        entry = await self._store.write_once(_is_held, self._commit, person, KIND_TIMER, body)
        # An entry of the contact that this one does not name can stand after it.
        self._expirer.set_timer(person, await self._store.read(expiry.timer_of, entry.header.conversation))
        view = self._views.added(person, entry)
        self._bus.publish(EntryAdded(view))
        self._sync.send(person, entry)
        return view

    async def declare(self, person: bytes, body: bytes) -> None:
        """Commit and send a declaration of a bot to a contact. Raises as `set_timer`."""
        if self._keyring.is_removed:
            raise NotPermitted(REMOVED)
        if self._book.rows[person].blocked:
            raise UsageError(BLOCKED)
        self._written(person, await self._store.write_once(_is_held, self._commit, person, KIND_BOT, body))

    def _check(self, person: bytes, text: str, send_id: str, client: str) -> None:
        """Raises UsageError for what cannot be sent to a contact, NotPermitted once this one is removed."""
        if not text.strip():
            raise UsageError(EMPTY)
        if len(text) > TEXT_CHARACTERS_MAX:
            raise UsageError(TOO_LONG)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(NOT_TEXT) from None
        if self._keyring.is_removed:
            raise NotPermitted(REMOVED)
        if person != self._keyring.own.person and self._book.rows[person].blocked:
            raise UsageError(BLOCKED)
        if max(len(send_id), len(client)) > SEND_ID_MAX or not (send_id + client).isascii():
            raise UsageError(BAD_SEND_ID)

    async def edit(
        self, person: bytes, entry: bytes, text: str, send_id: str = "", client: str = ""
    ) -> EntryView:
        """Commit an edit of an own text, and send it. Raises UsageError, or a storage failure.

        With a `send_id` that was used before, the entry is returned as it is.
        """
        self._check(person, text, send_id, client)
        try:
            written, changed = await self._store.write_once(
                _is_amended, self._append_edit, person, entry, text, send_id, client
            )
        except _SentBefore:
            await self._sent_before(person, edit_body(entry, text), send_id, client)
            return await self._store.read(self._shown, person, entry)
        except StorageUnsure:
            if not send_id:
                raise
            self._unsure.add((person, send_id, client))
            self._runtime.beat.by(SETTLES_IN)
            raise SendUnsure from None
        self._unsure.discard((person, send_id, client))
        self._amendments.publish(changed)
        self._sync.send(person, written)
        return await self._store.read(self._shown, person, entry)

    def _append_edit(
        self, database: Database, person: bytes, entry: bytes, text: str, send_id: str, client: str
    ) -> tuple[ParsedEntry, list[Changed]]:
        row = held_in(database, conversation_of(self._keyring.own.person, person), entry)
        if row.kind != KIND_TEXT or not row.salt or not self._views.is_own(row):
            raise UsageError(NO_TEXT)
        if receipts.is_of_another(database, client, ClientRights.SEND.value, entry):
            raise NotPermitted(NOT_SENT_HERE)
        written = self._commit(database, person, KIND_EDIT, edit_body(entry, text))
        if send_id and not receipts.remember_send(database, send_id, written.id, client):
            raise _SentBefore
        return written, follow(database, written.id)[0]

    def _shown(self, database: Database, person: bytes, entry: bytes) -> EntryView:
        row = held_in(database, conversation_of(self._keyring.own.person, person), entry)
        return self._views.entry(person, row, receipts.of(database, [entry]).get(entry, []))

    def _append(
        self, database: Database, person: bytes, text: str, reply: bytes, send_id: str, client: str = ""
    ) -> ParsedEntry:
        if reply:
            held_in(database, conversation_of(self._keyring.own.person, person), reply)
        timer = self._book.timers.get(person, 0)
        entry = self._commit(database, person, KIND_TEXT, text_body(text, reply), timer)
        if send_id and not receipts.remember_send(database, send_id, entry.id, client):
            raise _SentBefore
        return entry

    async def _sent_before(self, person: bytes, body: bytes, send_id: str, client: str) -> EntryView:
        """The entry that was sent with this id. Raises UsageError where that has another body."""
        found = await self._store.read(_sent_with, self._keyring.own.person, person, send_id, client)
        if found is None or (found[0].salt and found[0].body != body):
            raise UsageError(USED)
        self._announce_stored(person, *found, send_id, client)
        return self._views.entry(person, *found)

    def _announce_stored(
        self, person: bytes, row: EntryRow, receipts_of: list[ReceiptRow], send_id: str, client: str
    ) -> None:
        """Do what a commit of which the disk reported an error left undone."""
        if (person, send_id, client) in self._unsure:
            self._unsure.discard((person, send_id, client))
            if row.kind == KIND_TEXT:
                self._bus.publish(EntryAdded(self._views.entry(person, row, receipts_of)))
            self._sync.catch_up(person)

    async def settle(self) -> None:
        """Announce and send the texts that turn out to be stored, once that can be read. Raises as a read."""
        for person, send_id, client in list(self._unsure):
            found = await self._store.read(_sent_with, self._keyring.own.person, person, send_id, client)
            known = person in self._book.rows or person == self._keyring.own.person
            if found is not None and known:
                self._announce_stored(person, *found, send_id, client)
            self._unsure.discard((person, send_id, client))

    def _commit(
        self, database: Database, person: bytes, kind: int, body: bytes, timer: int = 0
    ) -> ParsedEntry:
        own = self._keyring.own
        if person == own.person:
            return self._notes.commit(database, kind, body)
        conversation = conversation_of_two(own.person, person)
        heads = self._keyring.own_log.heads
        place = entries.next_place(database, conversation, own.terminal, self._incarnation, heads)
        now, random = self._runtime.clock.wall(), self._runtime.random
        entry = write_entry(place, now, kind, body, self._keyring.self_keys[0], random, timer)
        entry = sign_entry(entry, own.signing_seed)
        moment = self._expirer.moment() if timer else None
        entries.insert_all(database, [entry], own.terminal, contact=person, moment=moment)
        return entry

    async def cut_removed(self) -> None:
        """Write and send the cuts that are due of own terminals (SPEC §11.2). Raises a storage failure.

        Each is due until it is written, so a crash loses none and repeats none.
        """
        log, own = self._keyring.own_log, self._keyring.own.person
        compared = self._compared | ({own} if self._sync.has_notes else set())
        written = log is not self._cut_for or bool(self._awaited & compared)
        while written:
            append = partial(self._append_cuts, log=log, compared=compared)
            cuts, self._awaited = await self._store.write_once(_are_cut, append)
            for person, entry in cuts:
                if person != own:  # notes are not shown
                    self._bus.publish(EntryAdded(self._views.added(person, entry)))
                self._sync.send(person, entry)
            self._cut_for = log
            self._bus.signal(CutsFollowed())
            written = bool(cuts)
        self._compared &= self._awaited
        for person in self._awaited - self._comparing - self._compared - {own}:
            self._comparing.add(person)
            self._runtime.tasks.spawn(self._compare(person))

    async def _compare(self, person: bytes) -> None:
        """Get what a contact holds of removed terminals of this person, which the cut is to keep."""
        try:
            if await self._sync.compare(person):
                self._compared.add(person)
                self._runtime.beat.by(0.0)
        finally:
            self._comparing.discard(person)

    def _append_cuts(
        self, database: Database, log: PersonState, compared: Collection[bytes]
    ) -> tuple[list[tuple[bytes, ParsedEntry]], set[bytes]]:
        """Some of the cuts that are due, and the persons in whose conversations others are."""
        if log is not self._cut_for:
            persons.replace_terminals(database, log.person, persons.terminal_rows(log))
        cuts, awaited = list[tuple[bytes, ParsedEntry]](), set[bytes]()
        for one in quarantine.due(database, self._keyring.own.terminal):
            row = contacts.conversation(database, one.conversation)
            person = None if row is None else contacts.partner(database, row)
            if person is None:
                continue
            if len(cuts) >= CUTS_AT_ONCE or (one.body is None and person not in compared):
                awaited.add(person)
                continue
            body = one.body
            if body is None:
                body = cut_body(one.terminal, claims.cut_heads(database, one.conversation, one.terminal))
            cuts.append((person, self._commit(database, person, KIND_CUT, body)))
            quarantine.written(database, one.conversation, one.terminal)
        return cuts, awaited

    async def delete(self, person: bytes, entry: bytes) -> EntryView:
        """Delete the content of an entry and of its edits here; its place stays.

        Raises UsageError, or a storage failure.
        """
        conversation = conversation_of(self._keyring.own.person, person)
        delete = partial(self._store.write_once, _is_deleted, _delete, conversation, entry)
        row, receipts_of, unread, deleted, changed = await self._store.with_reserve(delete)
        if deleted:
            self._amendments.publish(changed)
            self._bus.publish(EntryDeleted(person.hex(), entry.hex()))
            if self._book.counts(person, unread):
                self._views.publish_contact(person)
            self._cleaner.begin()
        return self._views.entry(person, row, receipts_of)

    async def delete_on_all(self, person: bytes, entry: bytes) -> EntryView:
        """Delete an entry on all terminals of this person. Raises UsageError, NotPermitted (this terminal was
        removed), or a storage failure."""
        if self._keyring.is_removed:
            raise NotPermitted(REMOVED)
        delete = partial(self._store.write_once, _are_noted, self._erase, person, entry)
        await self._notes.done(await self._store.with_reserve(delete))
        return await self._store.read(self._shown, person, entry)

    def _erase(self, database: Database, person: bytes, entry: bytes) -> Written:
        row = held_in(database, conversation_of(self._keyring.own.person, person), entry)
        if row.kind in KEPT_KINDS:
            raise UsageError(IN_FORCE)
        if deleted_by(row) is DeletedBy.MINE:  # what its author deleted here may not be deleted on the others
            return self._notes.write(database)
        return self._notes.write(database, [deletion(entry)])

    async def delete_for_all(self, person: bytes, entry: bytes) -> EntryView:
        """Commit a delete of an own entry, which destroys it here, and send it.

        An entry of the notes is deleted on all terminals of this person. Raises UsageError, or a storage
        failure.
        """
        if person == self._keyring.own.person:
            return await self.delete_on_all(person, entry)
        if self._keyring.is_removed:
            raise NotPermitted(REMOVED)
        delete = partial(self._store.write_once, _is_amended, self._append_delete, person, entry)
        written, changed = await self._store.with_reserve(delete)
        if written is not None:
            self._amendments.publish(changed)
            self._sync.send(person, written)
        return await self._store.read(self._shown, person, entry)

    def _append_delete(
        self, database: Database, person: bytes, entry: bytes
    ) -> tuple[ParsedEntry | None, list[Changed]]:
        """The delete, None where there is one, and what it changed."""
        row = held_in(database, conversation_of(self._keyring.own.person, person), entry)
        if not self._views.is_own(row):
            raise UsageError(NOT_YOURS)
        if row.kind in KEPT_KINDS:
            raise UsageError(IN_FORCE)
        if row.deleted and row.amended is not None:
            return None, []
        written = self._commit(database, person, KIND_DELETE, delete_body([entry]))
        return written, follow(database, written.id)[0]


def _is_held(database: Database, entry: ParsedEntry) -> bool:
    return entries.get(database, entry.id) is not None


def _are_noted(database: Database, written: Written) -> bool:
    return all(_is_held(database, entry) for entry in written.entries)


def _are_cut(database: Database, done: tuple[list[tuple[bytes, ParsedEntry]], set[bytes]]) -> bool:
    return all(_is_held(database, entry) for _, entry in done[0])


def _sent_with(
    database: Database, own: bytes, person: bytes, send_id: str, client: str
) -> tuple[EntryRow, list[ReceiptRow]] | None:
    conversation = conversation_of(own, person)
    entry = receipts.sent_with(database, conversation, send_id, client)
    if entry is None:
        return None
    return held_in(database, conversation, entry), receipts.of(database, [entry]).get(entry, [])


def _is_amended(database: Database, result: tuple[ParsedEntry | None, list[Changed]]) -> bool:
    return result[0] is None or _is_held(database, result[0])


def _is_deleted(database: Database, result: tuple[EntryRow, *tuple[object, ...]]) -> bool:
    row = entries.get(database, result[0].id)
    return row is not None and row.deleted


def _delete(
    database: Database, conversation: bytes, entry: bytes
) -> tuple[EntryRow, list[ReceiptRow], int, bool, list[Changed]]:
    """The entry as it is now, its receipts, the number of unread entries, whether it was deleted now, and
    what that changed."""
    held_in(database, conversation, entry)
    deleted, changed = entries.destroy(database, entry), list[Changed]()
    if deleted:
        amendments.wake(database, entry)
        changed, _ = follow(database, entry)
    row = held_in(database, conversation, entry)
    receipts_of = receipts.of(database, [entry]).get(entry, [])
    return row, receipts_of, receipts.unread(database, conversation), deleted, changed
