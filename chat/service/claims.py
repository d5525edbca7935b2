"""Keeps what a contact, or another own terminal, says that this person wrote (SPEC §11.2, *Claims*)."""

from __future__ import annotations

from collections.abc import Sequence

from chat.interface import EntryAdded, NotPermitted
from chat.network.links import LiveLink
from chat.service.events import ClaimsTaken, EventBus, SettlingDue
from chat.service.expiry import Expirer
from chat.service.keyring import REMOVED, Keyring
from chat.service.views import FILLED, Views
from chat.storage import claims, entries, repair
from chat.storage.database import Database, Store
from chat.storage.entries import BY_CONTACT, BY_OWN, EntryRow, Stored
from chat.tasks import Runtime
from protocol.entries_and_receipts import ParsedEntry, conversation_of_two

_Kept = tuple[list[tuple[Stored, EntryRow]], set[bytes], bool]
"""What is new, each as it is held, the ids of all that are held now, and whether any work is due."""


class Claims:
    """Stores claims apart from entries that count, and publishes them."""

    def __init__(
        self, runtime: Runtime, store: Store, bus: EventBus, keyring: Keyring, views: Views, expirer: Expirer
    ) -> None:
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._views, self._expirer = views, expirer

    async def keep(self, link: LiveLink, person: bytes, some: Sequence[ParsedEntry]) -> list[bytes]:
        """Store claims of the conversation with a contact.

        A header alone from the contact says nothing, and is passed over. So is what has no room. Another own
        terminal may hold no more than the header, and own terminals compare what they hold. Returns the ids
        of those whose body came.
        """
        by = BY_OWN if link.person == self._keyring.own.person else BY_CONTACT
        said = [entry for entry in some if entry.salt or by == BY_OWN]
        if not said:
            return []
        new, held, due = await self._store.write_once(_is_stored, self._insert, link, person, said, by)
        for one, row in new:
            view = self._views.entry(person, row)
            self._bus.publish(FILLED[one.returns](view) if one.filled else EntryAdded(view))
        if due:
            self._bus.signal(SettlingDue())
        if any(one.entry.header.timer for one, _ in new):
            self._expirer.begin()
        return [entry.id for entry in said if entry.salt and entry.id in held]

    async def take(self, person: bytes) -> int:
        """Sign what a contact has of this person from before the newest self key; returns how many entries.

        From then on they are own entries, on all terminals of this person. Raises NotPermitted (this terminal
        was removed), or a storage failure.
        """
        if self._keyring.is_removed:
            raise NotPermitted(REMOVED)
        own, taken = self._keyring.own, 0
        conversation = conversation_of_two(own.person, person)
        seed = own.signing_seed
        while some := await self._store.write(claims.take, conversation, own.terminal, seed):
            taken += some
            while await self.settle():
                pass
        if taken:
            self._bus.signal(SettlingDue())
            self._bus.signal(ClaimsTaken(person))
        return taken

    async def takeable(self, person: bytes) -> int:
        """How many entries `take` would sign; 0 where it would refuse. Raises a storage failure."""
        if self._keyring.is_removed:
            return 0
        own = self._keyring.own
        return await self._store.read(claims.takeable, conversation_of_two(own.person, person), own.terminal)

    async def settle(self) -> bool:
        """Decide about a piece of the claims that are due; whether any was. Raises a storage failure.

        A key that was stored and is not in memory yet waits until it is: what it makes an own entry would be
        shown as one of the contact.
        """
        known, newest = len(self._keyring.self_keys), self._keyring.newest_keys
        return await self._store.write(claims.settle_next, known, newest)

    def _insert(
        self, database: Database, link: LiveLink, person: bytes, some: Sequence[ParsedEntry], by: int
    ) -> _Kept:
        own = self._keyring.own
        new, held = claims.insert_all(
            database,
            some,
            own.terminal,
            contact=person,
            stored=self._runtime.clock.wall(),
            ours=self._keyring.own_terminals,
            by=by,
            carrier=self._keyring.at(link) if by == BY_OWN else b"",
            moment=self._expirer.moment(),
        )
        rows = ((one, entries.get(database, one.entry.id)) for one in new)
        return [(one, row) for one, row in rows if row is not None], held, entries.is_unsettled(database)


def _is_stored(database: Database, kept: _Kept) -> bool:
    """Whether an insert with this result is in force; False where it inserted none."""
    return bool(kept[0]) and repair.is_stored(database, ([one for one, _ in kept[0]],))
