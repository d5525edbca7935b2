"""Person logs over links: each side brings what the other lacks (SPEC §7.2).

Rules: an operation counts only after `extend` has checked it; a change of identity without a signed cause
cannot happen here, and a recovery or a fork holds sending until this person has looked.

Contacts on their way in: stored before the last message of pairing, complete after it (SPEC §7.4).

Rules: the order "store, then say Accept" makes a lost last message harmless: the first link that opens with
the pending contact completes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chat.interface import ContactChanged
from chat.service import views
from chat.service.keyring import ContactKeys, contact_keys
from chat.service.state import EngineState
from chat.service.views import Views
from chat.storage import contacts, keys, persons
from chat.storage.contacts import PAIRED, PENDING, ContactRow
from chat.storage.database import Database
from chat.storage.keys import OWN, THEIRS, ShareRow
from chat.storage.persons import TerminalRow
from protocol.identity.log import parse_operation
from protocol.identity.reduction import Extension, PersonState, changes, extend, missing
from protocol.limits import LOG_OPERATIONS_MAX
from protocol.messages import LogOperations
from protocol.pairing.contact_secret import Share
from protocol.pairing.record import PendingContact

PENDING_FOR = 24 * 3600 * 1000
"""Milliseconds after which a pairing that never completed is forgotten."""


class PendingContacts:
    """Stores pending contacts and promotes them.

    `changed` is called when the set of contacts has changed, `released` when a contact is held no more,
    `deleted` when something went that the file may still hold.
    """

    def __init__(self, world: EngineState, views: Views) -> None:
        self._world = world
        self._views = views
        self.changed: Callable[[], None] = lambda: None
        self.deleted: Callable[[], None] = lambda: None
        self.released: Callable[[bytes], None] = lambda person: None

    async def store(self, contact: PendingContact, verified: bool) -> None:
        """Keep what a later link with this person needs; from now on such a link opens.

        `verified`: words were compared, which covers a person already known too.
        """
        before = self._world.keyring.contacts.get(contact.person)
        causes = changes(before.state, contact.state) if before is not None else ()
        hold, now = views.holds(causes) and not verified, self._world.clock.wall()
        row = await self._world.store.write(_store_pending, contact, verified, hold, now)
        await self.reload(contact.person, new=before is None)
        if row.person in self._world.contacts:
            self._world.contacts[row.person] = row
            views.tell(self._world, self._views, row.person, causes)
            if verified:
                self.released(row.person)
        self.changed()

    async def promote(self, person: bytes) -> None:
        """The other side has it too: the person is a contact now. Does nothing for one that is."""
        keys = self._world.keyring.contacts.get(person)
        if keys is None or not keys.pending:
            return
        row = await self._world.store.write(_promote, person)
        self._world.contacts[person] = row
        keys.pending = False
        self.changed()
        self._world.hub.publish(ContactChanged(self._views.contact(person)))

    async def reload(self, person: bytes, new: bool = False) -> None:
        """Read a person's keys again after a commit; a contact that was removed meanwhile stays so."""
        keys = await self._world.store.read(_keys, self._world.own.person, person)
        if keys is not None and (new or person in self._world.keyring.contacts):
            self._world.keyring.contacts[person] = keys

    async def drop_old(self) -> None:
        """Forget pairings that never completed. The disk is touched only where there is one."""
        if not any(contact.pending for contact in self._world.keyring.contacts.values()):
            return
        before = self._world.clock.wall() - PENDING_FOR
        dropped = await self._world.store.write(contacts.drop_pending, before)
        for person in dropped:
            self._world.keyring.contacts.pop(person, None)
        if dropped:
            self.changed()
            self.deleted()


def _keys(database: Database, own: bytes, person: bytes) -> ContactKeys | None:
    row = contacts.get(database, person)
    return None if row is None else contact_keys(database, own, row)


def _store_pending(
    database: Database, contact: PendingContact, verified: bool, hold: bool, now: int
) -> ContactRow:
    """A new person becomes a pending contact; a known one gets the new keys beside the old.

    `hold`: its identity has changed, and no words were compared.
    """
    if contacts.get(database, contact.person) is None:
        contacts.add(database, _new_row(contact, now))
    for operation in contact.operations:
        persons.add_operation(database, contact.person, parse_operation(operation).id, operation)
    persons.replace_terminals(database, contact.person, terminal_rows(contact.state))
    for owner, share in ((OWN, contact.own), (THEIRS, contact.theirs)):
        keys.add_share(database, _share_row(contact, owner, share))
    contacts.set_name(database, contact.person, contact.name)
    if verified or hold:
        contacts.set_verified(database, contact.person, verified)
        contacts.set_held(database, contact.person, hold)
    row = contacts.get(database, contact.person)
    assert row is not None, "a contact that was just stored is there"
    return row


def _new_row(contact: PendingContact, now: int) -> ContactRow:
    return ContactRow(
        person=contact.person,
        name=contact.name,
        petname="",
        state=PENDING,
        verified=False,
        blocked=False,
        held=False,
        since=now,
    )


def _share_row(contact: PendingContact, owner: str, share: Share) -> ShareRow:
    return ShareRow(contact.person, owner, share.number, share.share, list(share.heads), contact.root)


def terminal_rows(state: PersonState) -> list[TerminalRow]:
    """The terminals of a log's reduction as rows."""
    return [
        TerminalRow(
            state.person,
            terminal.id,
            terminal.signing,
            terminal.static,
            terminal.id in state.live,
            terminal.depth,
        )
        for terminal in (*state.live.values(), *state.removed.values())
    ]


def _promote(database: Database, person: bytes) -> ContactRow:
    contacts.set_state(database, person, PAIRED)
    row = contacts.get(database, person)
    assert row is not None, "a contact that was just changed is there"
    return row


class PersonLogs:
    """The use case of person logs."""

    def __init__(self, world: EngineState, views: Views, pending: PendingContacts) -> None:
        self._world = world
        self._views = views
        self._pending = pending

    async def missing(self, held: Sequence[bytes]) -> list[LogOperations]:
        """Operations of one's own log for somebody who holds these heads; none when nothing lacks."""
        if sorted(held) == sorted(self._world.keyring.own.heads):
            return []
        operations = await self._world.store.read(persons.operations_of, self._world.own.person)
        lacking = missing(operations, held)
        starts = range(0, len(lacking), LOG_OPERATIONS_MAX)
        return [LogOperations(list(lacking[start : start + LOG_OPERATIONS_MAX])) for start in starts]

    async def received(self, person: bytes, operations: Sequence[bytes]) -> None:
        """Take what is new of a contact's log. Raises ProtocolError."""
        before = self._world.keyring.log(person)
        found = extend(self._world.keyring.held(person), operations, self._world.keyring.foreign)
        if not found.new:
            return
        causes = changes(before, found.state)
        row = await self._world.store.write(_store, person, found, views.holds(causes))
        if row is None:
            return
        await self._pending.reload(person)
        if person in self._world.contacts:
            self._world.contacts[person] = row
            views.tell(self._world, self._views, person, causes)
        self._pending.changed()


def _store(database: Database, person: bytes, found: Extension, hold: bool) -> ContactRow | None:
    """The contact as it is now, None where it was removed meanwhile."""
    if contacts.get(database, person) is None:
        return None
    for operation in found.new:
        persons.add_operation(database, person, parse_operation(operation).id, operation)
    persons.replace_terminals(database, person, terminal_rows(found.state))
    contacts.set_name(database, person, found.state.name)
    if hold:
        contacts.set_verified(database, person, False)
        contacts.set_held(database, person, True)
    return contacts.get(database, person)
