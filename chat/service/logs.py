"""Person logs over links: each side brings what the other lacks (SPEC §7.2).

Rules: an operation counts only after `extend` has checked it; a change of identity without a signed cause
cannot happen here, and a recovery or a fork holds sending until this person has looked.
"""

from __future__ import annotations

from collections.abc import Sequence

from chat.service import identities
from chat.service.pending import PendingContacts, terminal_rows
from chat.service.views import Views
from chat.service.world import World
from chat.storage import contacts, logs, terminals
from chat.storage.contacts import ContactRow
from chat.storage.database import Database
from protocol.limits import LOG_OPERATIONS_MAX
from protocol.messages import LogOperations
from protocol.person import Extension, changes, extend, missing
from protocol.person_log import parse_operation


class Logs:
    """The use case of person logs."""

    def __init__(self, world: World, views: Views, pending: PendingContacts) -> None:
        self._world = world
        self._views = views
        self._pending = pending

    async def missing(self, held: Sequence[bytes]) -> list[LogOperations]:
        """Operations of one's own log for somebody who holds these heads; none when nothing lacks."""
        if sorted(held) == sorted(self._world.keyring.own.heads):
            return []
        operations = await self._world.store.read(logs.of, self._world.own.person)
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
        row = await self._world.store.write(_store, person, found, identities.holds(causes))
        if row is None:
            return
        await self._pending.reload(person)
        if person in self._world.contacts:
            self._world.contacts[person] = row
            identities.tell(self._world, self._views, person, causes)
        self._pending.changed()


def _store(database: Database, person: bytes, found: Extension, hold: bool) -> ContactRow | None:
    """The contact as it is now, None where it was removed meanwhile."""
    if contacts.get(database, person) is None:
        return None
    for operation in found.new:
        logs.add(database, person, parse_operation(operation).id, operation)
    terminals.replace(database, person, terminal_rows(found.state))
    contacts.set_name(database, person, found.state.name)
    if hold:
        contacts.set_verified(database, person, False)
        contacts.set_held(database, person, True)
    return contacts.get(database, person)
