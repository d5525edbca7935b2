"""Stores pairings: pending contacts, and new keys of known ones (SPEC §7.4)."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from chat.network.links import Peer
from chat.ports import Clock
from chat.service import views
from chat.service.events import ContactReleased, ContactsChanged, EventBus
from chat.service.keyring import ContactKeys, Keyring, contact_keys
from chat.service.maintenance import Cleaner
from chat.service.notes import Notes, Written
from chat.service.state import ContactBook
from chat.service.verification import compared
from chat.service.views import Views
from chat.storage import contacts, keys, persons, sharing
from chat.storage import keys as stored_keys
from chat.storage.contacts import PAIRED, PENDING, ContactRow
from chat.storage.database import Database, Store
from chat.storage.keys import OwnRow, PairingRow, ShareRow
from chat.storage.sharing import Followed
from protocol.identity.exchange import changes
from protocol.identity.log import parse_operation
from protocol.identity.reduction import Cause, PersonState
from protocol.link.states import LinkOpen, Role
from protocol.pairing.pairing import is_forgotten
from protocol.pairing.record import PendingContact


class PendingContacts:
    """Stores contacts before the last message of pairing, completes them after it, and stores proven keys.

    This order makes a lost last message harmless: the first link with the pending contact completes it.
    """

    def __init__(
        self,
        clock: Clock,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        views: Views,
        cleaner: Cleaner,
        notes: Notes,
    ) -> None:
        self._notes = notes
        self._clock, self._store, self._bus, self._keyring = clock, store, bus, keyring
        self._book, self._views, self._cleaner = book, views, cleaner

    async def store(
        self, contact: PendingContact, verified: bool, meanwhile: Collection[bytes] = frozenset()
    ) -> None:
        """Store what a later link with this person needs; from now on such a link opens.

        `verified`: words were compared, also with a person who is a contact already. `meanwhile`: the roots
        of pairings that were stored since this one began.
        """
        before, own = self._keyring.contacts.get(contact.person), self._keyring.own
        old, now = before.state if before is not None else None, self._clock.wall()

        def store(database: Database) -> _Stored:
            row, keys, causes = _store_pending(database, own, contact, verified, old, now, meanwhile)
            shared = [] if row.state == PENDING else [[sharing.pairing(database, row.person, contact.root)]]
            if shared and verified:
                shared.append([sharing.standing(database, row)])
            return row, keys, causes, self._notes.write(database, *shared), contacts.digits(database)

        row, keys, causes, written, digits = await self._store.write_once(_is_stored, store)
        # Nothing may fail from here on, or a pairing would say that nothing was stored.
        if before is None or contact.person in self._keyring.contacts:
            self._keyring.contacts[contact.person] = keys
            self._prove(contact.person, contact.static)
        if row.person in self._book.rows:
            self._book.rows[row.person] = row
            self._book.digits.update(digits)
            self._views.publish_identity(row.person, causes)
        self._bus.signal(ContactsChanged())  # before anything is released: the links of a losing recovery end
        await self._notes.done(written)
        if row.person in self._book.rows and not row.waits:
            self._bus.signal(ContactReleased(row.person))

    async def retire(self, opened: LinkOpen) -> None:
        """Forget the pairings that another one supersedes, once a link opened under that (SPEC §7.6).

        The links that opened under them end.
        """
        keys = self._keyring.contacts.get(opened.person or b"")
        if keys is None or opened.contact_psk is None or len(keys.pairings) < 2:
            return
        # A thief that was removed may alone hold a later pairing, and others of its person the earlier ones.
        if not self._keyring.may_link(Peer(keys.state.person, opened.peer_static)):
            return
        psk, initiates = opened.contact_psk, opened.role is Role.INITIATOR
        person, pairs = keys.state.person, self._keyring.pairs(keys.state.person)
        under = next((pair for pair in pairs if pair.opened(psk, initiates=initiates)), None)
        if under is None:
            return
        root = under.root

        def retire(database: Database) -> Written | None:
            row, gone = contacts.get(database, person), sharing.superseded(database, person, root)
            if row is None or not gone:
                return None
            for one in gone:
                stored_keys.forget_pairing(database, person, one)
            if row.state == PENDING:  # nobody else knows of it
                return Written((), Followed())
            return self._notes.write(database, *sharing.retiring(gone))

        written = await self._store.write(retire)
        if written is None:
            return
        await self.reload(person)
        await self._notes.done(written)
        self._bus.signal(ContactsChanged())
        self._cleaner.begin()

    async def promote(self, person: bytes) -> None:
        """Complete a pending contact, which the other side has stored too."""
        keys = self._keyring.contacts.get(person)
        if keys is None or not keys.pending:
            return

        def promote(database: Database) -> tuple[ContactRow | None, Written, dict[bytes, int]]:
            contacts.set_state(database, person, PAIRED)
            shared = self._notes.write(database, *sharing.of_contact(database, person))
            return contacts.get(database, person), shared, contacts.digits(database)

        row, written, digits = await self._store.write_once(
            lambda db, result: contacts.get(db, person) == result[0], promote
        )
        assert row is not None, "a contact that was just changed is there"
        self._book.rows[person] = row
        self._book.digits.update(digits)
        self._keyring.contacts[person].pending = False
        self._bus.signal(ContactsChanged())
        self._views.publish_contact(person)
        self._views.publish_same_key(person)
        await self._notes.done(written)

    async def proved(self, person: bytes, static: bytes) -> None:
        """A contact has proven to hold a static key, by a Record or on a link (SPEC §7.1)."""
        if person in self._keyring.proven.get(static, ()):
            return

        def store(database: Database) -> bool:
            known = contacts.get(database, person) is not None
            if known:
                persons.add_proven_key(database, person, static)
            return known

        if await self._store.write(store):
            self._prove(person, static)

    def _prove(self, person: bytes, static: bytes) -> None:
        if person not in self._keyring.proven.get(static, ()):
            self._keyring.prove(person, static)
            self._views.publish_same_key(person)

    async def reload(self, person: bytes) -> None:
        """Read a person's keys again after a commit, unless the contact was removed meanwhile."""

        def read(database: Database) -> ContactKeys | None:
            row = contacts.get(database, person)
            return None if row is None else contact_keys(database, row)

        keys = await self._store.read(read)
        if keys is not None and person in self._keyring.contacts:
            self._keyring.contacts[person] = keys

    async def drop_old(self) -> None:
        if not any(contact.pending for contact in self._keyring.contacts.values()):
            return
        now = self._clock.wall()
        dropped = await self._store.write(contacts.drop_pending, lambda since: is_forgotten(since, now))
        for person in dropped:
            self._keyring.contacts.pop(person, None)
            self._keyring.forget_proofs(person)
        if dropped:
            self._bus.signal(ContactsChanged())
            self._cleaner.begin()


_Stored = tuple[ContactRow, ContactKeys, tuple[Cause, ...], Written, dict[bytes, int]]
"""A contact as it was stored, its keys, what changed, what other terminals get, the digits of all labels."""


def _is_stored(database: Database, result: tuple[ContactRow, ContactKeys, *tuple[object, ...]]) -> bool:
    row, stored, *_ = result
    held = keys.pairings_of(database, row.person)
    return contacts.get(database, row.person) == row and held == stored.pairings


def _store_pending(
    database: Database,
    own: OwnRow,
    contact: PendingContact,
    verified: bool,
    before: PersonState | None,
    now: int,
    meanwhile: Collection[bytes],
) -> tuple[ContactRow, ContactKeys, tuple[Cause, ...]]:
    """Add a pending contact, or new keys to an existing contact; with what changed since `before`.

    The contact is held if its identity has changed, and no words were compared. It is held, a new one too,
    while recoveries contest each other. It stays held if the record that the words cover lacks a recovery in
    force.
    """
    known = contacts.get(database, contact.person)
    if known is None:
        new = ContactRow(
            person=contact.person,
            name=contact.name,
            petname="",
            state=PENDING,
            verified=False,
            blocked=False,
            held=False,
            since=now,
        )
        contacts.add(database, new)
    elif known.state == PENDING:
        contacts.add(database, replace(known, since=now))  # from which it is forgotten, SPEC §7.4
    for operation in contact.operations:
        persons.add_operation(database, contact.person, parse_operation(operation).id, operation)
    if verified:
        # The words cover the record. Its terminal may not know a recovery by a thief of the seed.
        persons.pin(database, contact.person, contact.recoveries, confirmed=True)
    state = persons.pinned(database, contact.person)
    verified = verified and not state.contested and state.path == contact.recoveries
    causes = changes(before, state) if before is not None else ()
    hold = views.holds(causes, state) and not verified
    theirs = (ShareRow(contact.theirs.operation, contact.theirs.share),)
    keys.add_pairing(database, PairingRow(contact.person, contact.root, contact.own, theirs), meanwhile)
    persons.add_proven_key(database, contact.person, contact.static)
    contacts.set_name(database, contact.person, state.name)
    if verified:
        contacts.add_comparison(database, compared(state, by_words=True, time=now))
    contacts.vouch_here(database, contact.person, own.terminal, compared=verified)
    if verified or hold:
        contacts.set_verified(database, contact.person, verified)
        contacts.set_held(database, contact.person, hold)
    stored = contacts.get(database, contact.person)
    assert stored is not None, "a contact that was just stored is there"
    return stored, contact_keys(database, stored), causes
