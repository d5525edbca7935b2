"""Contacts after pairing: rename, block, pin, mute, remove, read; committed before anything follows."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from msgspec.structs import replace

from chat.interface import NO_NAME, EntriesTimed, UsageError
from chat.network.links import Links
from chat.ports import Clock
from chat.service.events import ContactsChanged, EventBus
from chat.service.expiry import Expirer
from chat.service.keyring import Keyring
from chat.service.maintenance import Cleaner
from chat.service.notes import Notes, Written
from chat.service.settings import Privacy
from chat.service.state import ContactBook
from chat.service.sync import Synchronizer
from chat.service.views import Views
from chat.storage import contacts, expiry, keys, receipts, sharing
from chat.storage.database import Database, Store
from chat.storage.sharing import Followed
from protocol.entries_and_receipts import conversation_of_two
from protocol.identity.names import is_name
from protocol.messages import PetnameValue, RegisterValue, SwitchValue, Typing
from protocol.notes import Register, write


class People:
    """The use cases about one contact."""

    def __init__(
        self,
        clock: Clock,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        links: Links,
        views: Views,
        sync: Synchronizer,
        privacy: Privacy,
        cleaner: Cleaner,
        expirer: Expirer,
        notes: Notes,
    ) -> None:
        self._expirer, self._notes = expirer, notes
        self._clock, self._store, self._bus, self._keyring = clock, store, bus, keyring
        self._book, self._links, self._views, self._sync = book, links, views, sync
        self._privacy, self._cleaner = privacy, cleaner

    async def rename(self, person: bytes, name: str) -> None:
        """Give a contact another name here. Raises UsageError."""
        if not is_name(name):
            raise UsageError(NO_NAME)
        digits = dict[bytes, int]()

        def store(database: Database) -> None:
            contacts.give_name(database, person, name)
            digits.update(contacts.digits(database))

        written = await self._notes.store(self._share, person, store, Register.PETNAME, PetnameValue(name))
        self._book.digits.update(digits)
        self._update(person, petname=name)
        await self._notes.done(written)

    async def block(self, person: bytes, on: bool) -> None:
        """Block or unblock; a blocked contact's links end, and it gets no more answers."""
        store = partial(contacts.set_blocked, person=person, on=on)
        share = partial(self._notes.store, self._share, person, store, Register.BLOCKED, SwitchValue(on))
        written = await self._store.with_reserve(share)
        if (keys := self._keyring.contacts.get(person)) is not None:
            keys.blocked = on
        self._update(person, blocked=on)
        if on:
            await self._links.close(person, 0)
        self._bus.signal(ContactsChanged())
        await self._notes.done(written)

    async def pin(self, person: bytes, on: bool) -> None:
        """List the conversation before others, or no more."""
        store = partial(contacts.set_pinned, person=person, on=on)
        await self._set(person, store, Register.PINNED, SwitchValue(on), pinned=on)

    async def mute(self, person: bytes, on: bool) -> None:
        """Let what comes in the conversation make no sound, or a sound again."""
        store = partial(contacts.set_muted, person=person, on=on)
        await self._set(person, store, Register.MUTED, SwitchValue(on), muted=on)

    async def _set(
        self,
        person: bytes,
        store: Callable[[Database], None],
        register: Register,
        value: RegisterValue,
        **shown: object,
    ) -> None:
        """Store what all own terminals are to have of a contact, show it, and let them have it."""
        written = await self._notes.store(self._share, person, store, register, value)
        self._update(person, **shown)
        await self._notes.done(written)

    def _share(
        self,
        database: Database,
        person: bytes,
        store: Callable[[Database], None],
        register: Register,
        value: RegisterValue,
    ) -> Written:
        """Store a change of a contact, unless it was removed meanwhile, with what tells other terminals."""
        before = contacts.get(database, person)
        if before is None:
            return Written((), Followed())
        store(database)
        if contacts.get(database, person) == before:
            return Written((), Followed())  # each write is kept for good
        return self._notes.write(database, [write(register, person, value)])

    def _forget(self, database: Database, person: bytes) -> Written:
        roots = keys.roots_of(database, person)
        contacts.remove(database, person)
        return self._notes.write(database, *sharing.removal(roots, person))

    async def remove(self, person: bytes) -> None:
        written = await self._store.with_reserve(partial(self._notes.store, self._forget, person))
        await self._notes.removed(person)
        self._bus.signal(ContactsChanged())
        await self._notes.done(written)
        await self._cleaner.clean()

    def _update(self, person: bytes, **changed: object) -> None:
        if (row := self._book.rows.get(person)) is not None:  # it may have been removed meanwhile
            self._book.rows[person] = replace(row, **changed)
            self._views.publish_contact(person)

    async def mark_read(self, person: bytes, entries: Collection[bytes]) -> None:
        """Mark these entries as read, with read receipts if the settings allow them."""
        await self._read(person, partial(receipts.mark_read, ids=entries))

    async def mark_all_read(self, person: bytes) -> None:
        """Mark all entries of the contact as read, with read receipts if the settings allow them."""
        await self._read(person, receipts.mark_all_read)

    async def _read(self, person: bytes, mark: Callable[..., list[bytes]]) -> None:
        receipted = self._privacy.settings.read_receipts and not self._book.rows[person].blocked
        own, now = self._keyring.own, self._clock.wall()
        conversation = conversation_of_two(own.person, person)

        moment = self._expirer.moment()

        def store(database: Database) -> tuple[list[bytes], int, bool]:
            ids = mark(database, conversation, terminal=own.terminal, time=now, told=receipted)
            timed = expiry.count_from_now(database, ids, moment)
            return ids, receipts.unread(database, conversation), timed

        ids, unread, timed = await self._store.write(store)
        if timed:
            self._expirer.begin()
            self._bus.publish(EntriesTimed(person.hex()))
        if not ids or person not in self._book.rows:
            return
        self._book.unread[person] = unread
        self._views.publish_contact(person)
        self._sync.read(person, ids, told=receipted)

    def typing(self, person: bytes, on: bool) -> None:
        """Send a typing mark, if the settings allow it."""
        if self._privacy.settings.typing and not self._book.rows[person].blocked:
            self._sync.put(person, Typing(conversation_of_two(self._keyring.own.person, person), on))
