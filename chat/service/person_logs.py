"""Person logs on links, and what this terminal signs in its own person's log (SPEC §7.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from chat.errors import phrase
from chat.interface import NO_NAME, Notice, NotPermitted, NotSynced, UsageError
from chat.network.links import Peer
from chat.service import views
from chat.service.events import ContactsChanged, EventBus, OwnLogChanged, OwnLogGrew
from chat.service.keyring import Keyring
from chat.service.pairing.pending import PendingContacts
from chat.service.state import ContactBook
from chat.service.views import Views
from chat.storage import contacts, persons
from chat.storage.contacts import ContactRow
from chat.storage.database import Database, Store
from chat.tasks import Worker
from protocol.errors import LimitExceeded
from protocol.identity.author import rename_operation
from protocol.identity.exchange import Extension, changes, extend, missing, owner_named
from protocol.identity.log import parse_operation, sign_operation
from protocol.identity.names import is_name
from protocol.identity.reduction import PersonState, Pins
from protocol.limits import LOG_OPERATIONS_MAX
from protocol.messages import LogOperations

NOT_SYNCED = phrase(
    "No contact has been reached since Parlour started. If this profile is an older copy, it lacks changes "
    "that you signed later, and your contacts shut this device out when you sign others. Wait until a "
    "contact is online."
)
NOT_LIVE = phrase("This device was removed from your identity or has been copied: it can sign nothing.")
LOG_FULL = phrase("Your identity has reached its limit of changes: the name cannot be changed any more.")
OWN_LOG_FULL = phrase(
    "A contact holds more changes of your identity than there is room for. Was this device copied?"
)


class OwnLog:
    """This person's own log: what this terminal signs, and what contacts bring back of it.

    A restored profile lacks what it signed after the copy was made, and would sign again under the same
    numbers, which is a fork (attack 92). So nothing is signed before a contact has returned what it holds.
    A person without contacts signs at once: no contact can bring anything back, and the first one gets this
    log by pairing.
    """

    def __init__(self, worker: Worker, store: Store, bus: EventBus, keyring: Keyring) -> None:
        self._worker, self._store, self._bus, self._keyring = worker, store, bus, keyring
        self._turn = asyncio.Lock()  # what is signed builds on all that came before
        self._sought: dict[Peer, set[bytes]] = {}
        self._synced = False

    @property
    def may_sign(self) -> bool:
        """Whether a contact's terminal has returned what it holds of this log since the start."""
        return self._synced or not self._keyring.contacts

    async def missing(self, held: Sequence[bytes]) -> list[LogOperations]:
        """The operations of this person's log that a holder of these heads lacks."""
        if sorted(held) == sorted(self._keyring.own_log.heads):
            return []
        operations, pins = await self._store.read(_held, self._keyring.own.person)
        return _messages(await self._worker.run(missing, operations, held, pins))

    async def named(self, peer: Peer, heads: Sequence[bytes]) -> None:
        """A contact's terminal holds this log up to these heads; what is unknown of it comes next."""
        unknown = await self._store.read(persons.unknown, heads)
        self._sought[peer] = unknown
        self._synced = self._synced or not unknown

    async def received(self, peer: Peer, operations: Sequence[bytes]) -> None:
        """Store operations of this log that a contact returned. Raises ProtocolError.

        What exceeds the bounds is passed over: a thief's operations must not end the links with contacts.
        """
        try:
            async with self._turn:
                await self._extend(operations)
        except LimitExceeded:
            self._bus.publish(Notice(OWN_LOG_FULL))
            return
        sought = self._sought.get(peer, set())
        if sought:
            sought.difference_update(parse_operation(operation).id for operation in operations)
            self._synced = self._synced or not sought

    async def _extend(self, operations: Sequence[bytes]) -> None:
        before, found = self._keyring.own_log, await self._add(operations)
        if found.new:
            for cause in changes(before, found.state):
                self._bus.signal(OwnLogChanged(cause))
                self._bus.publish(views.own_change(cause))

    async def _add(self, operations: Sequence[bytes], confirmed: Iterable[bytes] = ()) -> Extension:
        """Store what is new in the own log. `confirmed`: recoveries that this person made."""
        person = self._keyring.own.person
        held, pins = await self._store.read(_held, person)
        pins = Pins(pins.seen, pins.confirmed.union(confirmed))
        found = await self._worker.run(extend, held, operations, pins=pins)
        if found.new:
            await self._store.write(_store_operations, person, found)
            await self._store.write(persons.pin, person, confirmed, confirmed=True)
            self._keyring.follow_own_log(found.state)
            self._bus.signal(OwnLogGrew())
        return found

    async def rename(self, name: str, *, force: bool) -> None:
        """Sign another name of this person. Raises UsageError, NotSynced, NotPermitted."""
        if not is_name(name):
            raise UsageError(NO_NAME)
        own = self._keyring.own
        await self._sign(
            lambda state: sign_operation(rename_operation(state, own.terminal, name), own.signing_seed),
            force=force,
        )

    async def _sign(self, sign: Callable[[PersonState], bytes], *, force: bool) -> None:
        """Sign one operation, store it, and send it to contacts. `force`: also before this log is synced."""
        async with self._turn:
            if not force and not self.may_sign:
                raise NotSynced(NOT_SYNCED)
            state = self._keyring.own_log
            if self._keyring.own.terminal not in state.live:
                raise NotPermitted(NOT_LIVE)
            held, _ = await self._store.read(_held, state.person)
            if len(held) >= LOG_OPERATIONS_MAX:  # a longer log does not fit into a Record
                raise NotPermitted(LOG_FULL)
            await self._add([sign(state)])


class PersonLogs:
    """Exchanges the operations of both persons of a link, and stores what is new of the contact's log.

    `own`: this person's own log.
    """

    def __init__(
        self,
        worker: Worker,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        views: Views,
        pending: PendingContacts,
        own: OwnLog,
    ) -> None:
        self._worker, self._store, self._bus, self._keyring = worker, store, bus, keyring
        self._book, self._views, self._pending, self.own = book, views, pending, own
        self._turn = asyncio.Lock()  # what two links bring builds on one log

    async def named(self, peer: Peer, person: bytes, heads: Sequence[bytes]) -> list[LogOperations]:
        """The operations that a peer with these heads of a person's log lacks.

        Raises Untrusted unless the person is this one or the peer's.
        """
        own = self._keyring.own.person
        if owner_named(person, own, peer.person) == own:
            await self.own.named(peer, heads)
            return await self.own.missing(heads)
        contact = self._keyring.contacts.get(person)
        if contact is None or sorted(heads) == sorted(contact.state.heads):
            return []
        return _messages(await self._worker.run(missing, contact.operations, heads, contact.pins))

    async def received(self, peer: Peer, operations: Sequence[bytes]) -> None:
        """Store the new operations of a contact's log or of the own one. Raises ProtocolError."""
        if parse_operation(operations[0]).person == self._keyring.own.person:
            await self.own.received(peer, operations)
            return
        async with self._turn:
            await self._receive(peer.person, operations)

    async def _receive(self, person: bytes, operations: Sequence[bytes]) -> None:
        keyring = self._keyring
        before, held, pins = keyring.log(person), keyring.held(person), keyring.pins(person)
        if set(held).issuperset(operations):
            return
        found = await self._worker.run(extend, held, operations, keyring.foreign, pins)
        if not found.new:
            return
        causes = await self._worker.run(changes, before, found.state)
        row = await self._store.write(_store, person, found, views.holds(causes, found.state))
        if row is None:
            return
        await self._pending.reload(person)
        if person in self._book.rows:
            self._book.rows[person] = row
            self._views.publish_identity(person, causes)
        self._bus.signal(ContactsChanged())


def _held(database: Database, person: bytes) -> tuple[list[bytes], Pins]:
    return persons.operations_of(database, person), persons.pins_of(database, person)


def _messages(lacking: Sequence[bytes]) -> list[LogOperations]:
    starts = range(0, len(lacking), LOG_OPERATIONS_MAX)
    return [LogOperations(list(lacking[start : start + LOG_OPERATIONS_MAX])) for start in starts]


def _store(database: Database, person: bytes, found: Extension, hold: bool) -> ContactRow | None:
    """The contact as it is now, None if it was removed meanwhile."""
    if contacts.get(database, person) is None:
        return None
    _store_operations(database, person, found)
    contacts.set_name(database, person, found.state.name)
    if hold:
        contacts.set_verified(database, person, False)
        contacts.set_held(database, person, True)
    return contacts.get(database, person)


def _store_operations(database: Database, person: bytes, found: Extension) -> None:
    for operation in found.new:
        persons.add_operation(database, person, parse_operation(operation).id, operation)
    persons.drop_operations(database, person, found.dropped)
    persons.pin(database, person, found.state.path, confirmed=False)
    persons.replace_terminals(database, person, persons.terminal_rows(found.state))
