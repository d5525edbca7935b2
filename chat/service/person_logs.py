"""The exchange of person logs over links (SPEC §7.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from chat.service import views
from chat.service.events import ContactsChanged, EventBus
from chat.service.keyring import Keyring
from chat.service.pairing.storage import PendingContacts
from chat.service.state import ContactBook
from chat.service.views import Views
from chat.storage import contacts, persons
from chat.storage.contacts import ContactRow
from chat.storage.database import Database, Store
from chat.tasks import Worker
from protocol.identity.exchange import Extension, changes, extend, missing
from protocol.identity.log import parse_operation
from protocol.identity.reduction import Pins
from protocol.limits import LOG_OPERATIONS_MAX
from protocol.messages import LogOperations


class PersonLogs:
    """Sends the operations that contacts lack of this person's log, and stores those of their logs."""

    def __init__(
        self,
        worker: Worker,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        views: Views,
        pending: PendingContacts,
    ) -> None:
        self._worker, self._store, self._bus, self._keyring = worker, store, bus, keyring
        self._book, self._views, self._pending = book, views, pending
        self._turn = asyncio.Lock()  # what two links bring builds on one log

    async def missing(self, held: Sequence[bytes]) -> list[LogOperations]:
        """The operations of this person's log that a holder of these heads lacks."""
        if sorted(held) == sorted(self._keyring.own_log.heads):
            return []
        own = self._keyring.own.person

        def held_here(database: Database) -> tuple[list[bytes], Pins]:
            return persons.operations_of(database, own), persons.pins_of(database, own)

        operations, pins = await self._store.read(held_here)
        lacking = await self._worker.run(missing, operations, held, pins)
        starts = range(0, len(lacking), LOG_OPERATIONS_MAX)
        return [LogOperations(list(lacking[start : start + LOG_OPERATIONS_MAX])) for start in starts]

    async def received(self, person: bytes, operations: Sequence[bytes]) -> None:
        """Store the new operations of a contact's log. Raises ProtocolError."""
        async with self._turn:
            await self._receive(person, operations)

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


def _store(database: Database, person: bytes, found: Extension, hold: bool) -> ContactRow | None:
    """The contact as it is now, None if it was removed meanwhile."""
    if contacts.get(database, person) is None:
        return None
    for operation in found.new:
        persons.add_operation(database, person, parse_operation(operation).id, operation)
    persons.drop_operations(database, person, found.dropped)
    persons.pin(database, person, found.state.path, confirmed=False)
    persons.replace_terminals(database, person, persons.terminal_rows(found.state))
    contacts.set_name(database, person, found.state.name)
    if hold:
        contacts.set_verified(database, person, False)
        contacts.set_held(database, person, True)
    return contacts.get(database, person)
