"""Person logs on links (SPEC §7.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from msgspec import field

from chat.network.limits import Bucket, Turns
from chat.network.links import Links, LiveLink, Peer
from chat.service import views
from chat.service.events import ContactsChanged, EventBus
from chat.service.keyring import ContactKeys, Keyring, contact_keys, terminal_at
from chat.service.notes import Notes
from chat.service.own_log import OwnLog
from chat.service.pairing.storage import PendingContacts
from chat.service.state import ContactBook
from chat.service.views import Views
from chat.storage import contacts, persons, sharing
from chat.storage.contacts import ContactRow
from chat.storage.database import Database, Store
from chat.tasks import Runtime
from protocol.errors import LimitExceeded, Malformed
from protocol.identity.exchange import Extension, changes, extend, in_messages, missing, owner_named
from protocol.identity.log import parse_operation
from protocol.identity.reduction import NO_PINS, Pins
from protocol.limits import LOG_MESSAGE_BYTES, LOG_OPERATIONS_MAX
from protocol.messages import LogHeads, LogOperations

LOGS_A_SECOND: Final = 1.0
LOGS_AT_ONCE: Final = 8.0
"""Rate of LogOperations, and of LogHeads unlike those held, per link, which are computed from the whole log.
What comes more often delays the reading of that link. A removal that was ignored would leave a thief's
terminal live, and one that waited for a rate of the terminal would wait for the copies of its key."""

REFUSED_BYTES: Final = 16 * LOG_MESSAGE_BYTES
"""Operations of one link that wait for what follows on it. The terminal at its other end fills it."""


class Intake(Bucket):
    """What a link may have worked on, and what came on it that the bounds of its log had no room for.

    A thief shows each holder of a log other operations, up to the bounds. The removal that makes room for
    those of another holder follows them, in a message of its own.
    """

    refused: dict[bytes, list[bytes]] = field(default_factory=dict)
    """By person, the operations in the order in which they came."""

    def cost(self, message: LogOperations) -> int:
        """How many messages of operations are worked on with this one."""
        waiting = sum(map(len, self.refused.values()))
        return 1 + (waiting + len(message.operations)) // LOG_OPERATIONS_MAX if waiting else 1

    def joined(self, person: bytes, operations: Sequence[bytes]) -> list[bytes]:
        """Operations after those that wait, which wait no more."""
        return list(dict.fromkeys((*self.refused.pop(person, ()), *operations)))

    def keep(self, person: bytes, operations: list[bytes]) -> None:
        """These wait. Those of the persons of whom they came first go where there is no room."""
        self.refused[person] = operations
        while sum(len(one) for each in self.refused.values() for one in each) > REFUSED_BYTES:
            del self.refused[next(iter(self.refused))]


def log_intake(now: float) -> Intake:
    """That of a link that opens."""
    return Intake(LOGS_A_SECOND, LOGS_AT_ONCE, LOGS_AT_ONCE, now)


class PersonLogs:
    """Exchanges the operations of both persons of a link, and stores what is new of the contact's log.

    `own`: this person's own log.
    """

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        links: Links,
        views: Views,
        pending: PendingContacts,
        own: OwnLog,
        notes: Notes,
    ) -> None:
        self._notes = notes
        self._worker, self._clock = runtime.worker, runtime.clock
        self._store, self._bus, self._keyring = store, bus, keyring
        self._book, self._links, self._views, self._pending, self.own = book, links, views, pending, own
        self._turns = Turns(runtime.random)  # what two links bring builds on one log
        self._refused: set[Peer] = set()

    async def answer(
        self, link: LiveLink, newest: Callable[[], LogHeads], budget: Bucket
    ) -> list[LogOperations]:
        """What a peer lacks that names heads unlike those held, in its turn, after the delay that it costs.

        `newest` takes the heads that the peer has named last. Raises ProtocolError.
        """
        await asyncio.sleep(budget.reserve(self._clock.monotonic()))
        goes_on = partial(self._links.keeps, link)
        async with self._turns.turn(link.person, link.address, goes_on, outlives=False) as granted:
            message = newest()
            return await self.named(link.peer, message.person, message.heads) if granted else []

    async def store(self, link: LiveLink, message: LogOperations, intake: Intake) -> None:
        """Store what is new of the operations, in their turn, after the delay that they cost.

        Raises ProtocolError.
        """
        goes_on = partial(self._links.keeps, link)
        if not goes_on():  # so links that give way leave no more work than one message each
            return
        await link.delay(intake.reserve(self._clock.monotonic(), intake.cost(message)))
        async with self._turns.turn(link.person, link.address, goes_on, outlives=True) as granted:
            if granted:
                await self.received(link.peer, message.operations, intake)

    def are_current(self, peer: Peer, message: LogHeads) -> bool:
        """Whether nothing is to be done: these are the heads of a log as it is held here, or nobody's here.

        Raises Untrusted unless the log is this person's or the peer's; an own terminal may name any.
        """
        own = self._keyring.own.person
        if self._owner(peer, message.person) == own:
            state = self._keyring.own_log
        elif (contact := self._keyring.contacts.get(message.person)) is not None:
            state = contact.state
        else:  # a stolen own terminal could name any number of persons, each of which would wait for its turn
            return True
        return sorted(message.heads) == sorted(state.heads)

    def is_own(self, person: bytes) -> bool:
        return person == self._keyring.own.person

    def heads(self, person: bytes) -> Sequence[bytes] | None:
        """Those of a contact's log, None for anybody else."""
        contact = self._keyring.contacts.get(person)
        return None if contact is None else contact.state.heads

    async def lacking(self, link: LiveLink, heads: Sequence[bytes]) -> list[LogOperations]:
        """What a live terminal of a contact with these heads of its own log lacks."""
        if not terminal_at(self._keyring.contacts.get(link.person), link):
            return []
        return await self.named(link.peer, link.person, heads)

    def _owner(self, peer: Peer, person: bytes) -> bytes:
        own = self._keyring.own.person
        return person if peer.person == own else owner_named(person, own, peer.person)

    async def named(self, peer: Peer, person: bytes, heads: Sequence[bytes]) -> list[LogOperations]:
        """The operations that a peer with these heads of a person's log lacks.

        Raises Untrusted unless the person is this one or the peer's; an own terminal may name any.
        """
        own = self._keyring.own.person
        if self._owner(peer, person) == own:
            return await self.own.missing(heads)
        contact = self._keyring.contacts.get(person)
        if contact is None or sorted(heads) == sorted(contact.state.heads):
            return []
        return in_messages(await self._worker.run(missing, contact.operations, heads, contact.pins))

    async def received(self, peer: Peer, operations: Sequence[bytes], intake: Intake) -> None:
        """Store the new operations of a contact's log or of the own one, one call at a time.

        What exceeds the bounds waits for what follows it, and is passed over in the end: a thief can fill a
        log, which must not end the links of the owner's terminals. Raises ProtocolError.
        """
        try:
            person, own = parse_operation(operations[0]).person, self._keyring.own.person
            operations = intake.joined(person, operations)
            if person == own:
                whole = await self.own.received(operations)
            elif peer.person != own:
                whole = await self._receive(peer.person, operations)
            elif person in self._keyring.contacts:
                whole = await self._receive(person, operations)
            elif person in self._keyring.awaited:
                whole = await self._take_in(person, operations)
            else:  # a contact of the other terminal alone
                whole = True
        except Malformed:
            if peer not in self._refused:
                raise
        else:
            if not whole:
                self._refused.add(peer)
                intake.keep(person, operations)

    async def _take_in(self, person: bytes, operations: Sequence[bytes]) -> bool:
        """The log of a contact of another own terminal; whether there is room for all."""
        try:
            found = await self._worker.run(extend, (), operations, NO_PINS)
        except LimitExceeded:
            return False
        await self._notes.take_in(person, found)
        return found.whole

    async def _receive(self, person: bytes, operations: Sequence[bytes]) -> bool:
        """Whether there is room for all."""
        keyring = self._keyring
        before, held, pins = keyring.log(person), keyring.held(person), keyring.pins(person)
        if set(held).issuperset(operations):
            return True
        try:
            found = await self._worker.run(extend, held, operations, pins)
        except LimitExceeded:
            return False
        if not found.new:
            return found.whole
        causes = await self._worker.run(changes, before, found.state)
        hold, read = views.holds(causes, found.state), (list(held), pins)

        def is_stored(database: Database, _: object) -> bool:
            return set(persons.operations_of(database, person)).issuperset(found.new)

        try:
            # What is stored and not known here would leave a removed terminal its links.
            stored = await self._store.write_once(
                is_stored, _store, keyring.own.person, person, found, hold, read, before.newest
            )
        except _Outdated:  # a comparison or a pairing came in between, which is in memory next
            await self._pending.reload(person)
            return await self._receive(person, operations)
        if stored is None:
            return True
        row, keys, digits = stored
        keyring.contacts[person] = keys
        if person in self._book.rows:
            self._book.rows[person] = row
            self._book.digits.update(digits)
            self._views.publish_identity(person, causes)
        self._bus.signal(ContactsChanged())
        return found.whole


def owner_of(message: LogOperations) -> bytes:
    """The person of operations that were stored."""
    return parse_operation(message.operations[0]).person


class _Outdated(Exception):
    """The log or its pins have changed since they were read."""


def _store(
    database: Database,
    own: bytes,
    person: bytes,
    found: Extension,
    hold: bool,
    read: tuple[list[bytes], Pins],
    newest: bytes,
) -> tuple[ContactRow, ContactKeys, dict[bytes, int]] | None:
    """The contact as it is now, with the digits of all labels; None if it was removed meanwhile.

    `own`: this person's id. `found` was made of what was read. `newest`: the newest recovery that was in
    force before.

    Raises _Outdated, and stores nothing, if that has changed.
    """
    if contacts.get(database, person) is None:
        return None
    if persons.log_of(database, person) != read:
        raise _Outdated
    persons.store(database, person, found)
    contacts.set_name(database, person, found.state.name)
    if hold:
        contacts.forget_comparisons(database, person)
        contacts.set_held(database, person, True)
    if found.state.newest != newest:
        sharing.renew_standing(database, person)
    row = contacts.get(database, person)
    return None if row is None else (row, contact_keys(database, row), contacts.digits(database))
