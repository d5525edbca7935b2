"""Shares that removals renew: taken and handed on (SPEC §7.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from chat.errors import ParlourError
from chat.network.driver import Driver, Handler
from chat.network.limits import Bucket, Buckets
from chat.network.links import LinkLost, Links, LiveLink, Peer
from chat.service.drawing import add_share, read_pairs
from chat.service.events import ContactsChanged, EventBus, SecretsRenewed
from chat.service.keyring import ContactKeys, Keyring
from chat.service.maintenance import Cleaner
from chat.service.person_logs import PersonLogs, log_budget
from chat.storage import keys, persons
from chat.storage.database import Database, Store
from chat.storage.keys import OWN, THEIRS
from chat.tasks import Runtime
from protocol.errors import ProtocolError
from protocol.identity.exchange import farewell, in_messages
from protocol.identity.reduction import PersonState, Pins
from protocol.link.states import Event, LinkClosed, LinkOpen, MessageReceived, PingAnswered, Role
from protocol.messages import DrawnSecret, LogHeads, LogOperations, Message, RenewedShare
from protocol.pairing.contact_secret import Pair
from protocol.pairing.renewal import (
    Drawn,
    Measure,
    Taken,
    check_persons,
    drawn_in,
    pairing_id,
    share_message,
)

LINKS_MAX: Final = 32
"""Links under superseded secrets. Who has a key of a contact's terminal fills them; the oldest gives way."""

LINGERS: Final = 2.0
"""Seconds from the answer to what this side sent on such a link until it ends."""

ENDS_AFTER: Final = 30.0
"""Seconds after which such a link ends in any case: the next one goes on."""

WAITING_MAX: Final = 8
"""Renewals per link that wait for operations. The other side fills it; they come again with the next link."""

RENEWALS_AT_ONCE: Final = 256.0
RENEWALS_A_SECOND: Final = 32.0
"""Rate of renewals per terminal, of which each may cause a signature to be verified and a write. More of them
delay the reading of their link."""

TOLD_EVERY: Final = 60.0
"""Seconds in which a terminal that was removed hears of that once. It alone can ask for it more often."""

DONE: Final = 0


class Renewals:
    """Takes what other terminals drew, and hands on what they lack of it.

    A link under a superseded secret carries logs and renewals alone, and one that takes it over follows.
    """

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        links: Links,
        logs: PersonLogs,
        cleaner: Cleaner,
    ) -> None:
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._open, self._logs, self._cleaner = links, logs, cleaner
        self._rates = Buckets(RENEWALS_A_SECOND, RENEWALS_AT_ONCE)
        self._links: dict[Driver, _Superseded] = {}
        self._measures: dict[bytes, tuple[PersonState, Measure]] = {}
        self._waiting: dict[Driver, list[RenewedShare]] = {}
        self._told: dict[Peer, float] = {}

    # Taking.

    async def take(self, driver: Driver, peer: Peer, message: RenewedShare) -> Taken:
        """Store a share that is newer than what is held. Raises ProtocolError."""
        await self._affords(peer)
        own = self._keyring.own.person
        check_persons(message, own, peer.person)
        taken = Taken.PASSED_OVER
        if message.person == own or message.person in self._keyring.contacts:
            taken = await self._take(message)
        if taken is Taken.WAITS:
            waiting = self._waiting.setdefault(driver, [])
            if len(waiting) < WAITING_MAX and message not in waiting:
                waiting.append(message)
        elif taken is Taken.NEWER:
            self._hand_on(driver, message)
        return taken

    async def _affords(self, peer: Peer) -> None:
        now = self._runtime.clock.monotonic()
        await asyncio.sleep(self._rates.of(peer, now).reserve(now))

    async def operations_came(self, driver: Driver, peer: Peer) -> bool:
        """Decide again about what waited on a link; whether something was taken. Raises ProtocolError."""
        waiting = self._waiting.pop(driver, [])
        return Taken.NEWER in [await self.take(driver, peer, message) for message in waiting]

    def ended(self, driver: Driver) -> None:
        """A link ended."""
        self._waiting.pop(driver, None)
        self._links.pop(driver, None)

    async def _measure(self, person: bytes) -> Measure:
        """That of a log as it is held now."""
        state = self._keyring.log(person)
        held = self._measures.get(person)
        if held is None or held[0] is not state:
            operations, pins = await self._store.read(_log, person)
            held = state, await self._runtime.worker.run(Measure, operations, pins)
            self._measures = {person: held}  # one alone: a log may be long
        return held[1]

    async def _take(self, message: RenewedShare) -> Taken:
        measure, own = await self._measure(message.person), self._keyring.own.person

        def store(database: Database) -> Taken:
            return _store_share(database, own, measure, message)

        def is_stored(database: Database, decided: Taken) -> bool:
            return decided is not Taken.NEWER or _holds(database, own, message)

        taken = await self._store.write_once(is_stored, store)
        unknown = taken is Taken.PASSED_OVER and not self._knows(message)
        # What is stored and not known here would open no link with those who know it.
        if taken is Taken.NEWER or (unknown and await self._store.read(_holds, own, message)):
            await self._reload([message.person, message.contact])
        return taken

    def _knows(self, message: RenewedShare) -> bool:
        """Whether it is in memory. The disk may have failed to read it when it was stored."""
        own = self._keyring.own.person
        contact = self._keyring.contacts.get(message.contact if message.person == own else message.person)
        return contact is None or any(
            share.share == message.share for pair in contact.pairs for share in (*pair.own, *pair.theirs)
        )

    async def _reload(self, persons: Sequence[bytes]) -> None:
        known = [person for person in persons if person in self._keyring.contacts]
        self._keyring.take_renewed(await self._store.read(read_pairs, known))
        self._bus.signal(SecretsRenewed())

    def _hand_on(self, source: Driver, message: RenewedShare) -> None:
        """Own terminals get it at once, also what a contact drew: it may not reach each of them."""
        own = self._keyring.own.person
        links = self._open.sending(own)
        if message.person == own:
            links += self._open.sending(message.contact)
        for link in links:
            if link.driver is not source:
                self._runtime.tasks.spawn(link.driver.send(message))

    # Handing on.

    def hand_out(self) -> None:
        """Send what this person drew to its terminals, and to all who have a link under an earlier secret."""
        own = self._keyring.own.person
        for link in self._open.all():
            lacks = link.person == own or self._keyring.is_superseded(link.person, link.psk)
            if lacks and self._open.keeps(link):
                self._runtime.tasks.spawn(self.send(link.driver, link.peer))

    async def send(self, driver: Driver, peer: Peer) -> None:
        """Send what the other end of a link may lack."""
        own, contacts = self._keyring.own.person, self._keyring.contacts
        persons = list(contacts) if peer.person == own else [peer.person]
        for person in persons:
            if (contact := contacts.get(person)) is not None:
                for share in _shares(own, person, contact):
                    if not self._keyring.may_link(peer):  # its removal came meanwhile
                        return
                    await driver.send(share)
        if peer.person == own:
            await self._send_drawn(driver, peer)

    async def _send_drawn(self, driver: Driver, peer: Peer) -> None:
        """A terminal that was linked while another one renewed the keys was sealed nothing."""
        drawn = self._keyring.own_log.drawn
        for one in self._keyring.own.drawn:
            if one.operation in drawn and one.operation != self._keyring.own.person:
                if not self._keyring.may_link(peer):
                    return
                await driver.send(DrawnSecret(one.operation, one.secret))

    async def take_drawn(self, peer: Peer, message: DrawnSecret) -> None:
        """Store a secret that an own terminal hands on."""
        await self._affords(peer)
        await self._logs.own.take_drawn(message)

    # Links under superseded secrets.

    async def keyed(self, opened: LinkOpen) -> None:
        """A contact's link opened: its terminal holds the shares of the secret.

        Once all live terminals of the contact hold the newest, those before are erased.
        """
        person, psk = opened.person or b"", opened.contact_psk
        contact = self._keyring.contacts.get(person)
        if contact is None or psk is None or not self._keyring.may_link(Peer(person, opened.peer_static)):
            return
        names = (psk.own, psk.theirs)
        for pair in contact.pairs:
            if len(pair.own) + len(pair.theirs) > 2 and pair.holds(*names):
                live = {one.static for one in contact.state.live.values()}
                settle = partial(_acknowledge, person, opened.peer_static, names, pair, live)
                if await self._store.write(settle):
                    await self._reload([person])
                    self._bus.signal(ContactsChanged())
                    self._cleaner.begin()
                return

    def superseded(self, driver: Driver, opened: LinkOpen) -> Handler | None:
        """Take a link under a superseded secret, None for any other link."""
        if opened.person is None or not self._keyring.is_superseded(opened.person, opened.contact_psk):
            return None
        peer = Peer(opened.person, opened.peer_static)
        began = opened.role is Role.INITIATOR
        if not (
            self._keyring.may_link(peer)
            and self._keyring.holds(opened.person, opened.contact_psk, initiates=began)
        ):
            return None
        while len(self._links) >= LINKS_MAX:
            oldest = next(iter(self._links))
            self._links.pop(oldest)
            oldest.abort()
        now = self._runtime.clock.monotonic()
        self._links[driver] = handler = _Superseded(self, peer, now, log_budget(now))
        self._runtime.tasks.spawn(self._greet(driver, peer, handler))
        return handler

    async def _greet(self, driver: Driver, peer: Peer, handler: _Superseded) -> None:
        """Ask for what is lacking of the logs, and send what the other side lacks."""
        states = [self._keyring.own_log]
        if (contact := self._keyring.contacts.get(peer.person)) is not None:
            states.append(contact.state)
        for state in states:
            await driver.send(LogHeads(state.person, list(state.heads)))
        await self.send(driver, peer)
        handler.expect(await driver.ping())
        await asyncio.sleep(ENDS_AFTER)
        await driver.close(DONE)

    async def end_soon(self, driver: Driver) -> None:
        """The other side has read what was sent. What it sent itself may still be on its way."""
        await asyncio.sleep(LINGERS)
        await driver.close(DONE)

    def spawn_end(self, driver: Driver) -> None:
        self._runtime.tasks.spawn(self.end_soon(driver))

    async def received(self, driver: Driver, peer: Peer, budget: Bucket, message: Message) -> bool:
        """Handle a log or a renewal, and pass over all else; whether the link has done its work.

        Raises ProtocolError, ParlourError.
        """
        match message:
            case LogHeads():
                await asyncio.sleep(budget.reserve(self._runtime.clock.monotonic()))
                for operations in await self._logs.named(peer, message.person, message.heads):
                    await driver.send(operations)
            case LogOperations():
                await asyncio.sleep(budget.reserve(self._runtime.clock.monotonic()))
                await self._logs.received(peer, message.operations)
                return await self.operations_came(driver, peer)
            case RenewedShare():
                return await self.take(driver, peer, message) is Taken.NEWER
        return False

    def lost(self, peer: Peer, lived: float) -> None:
        """Such a link ended, and the next one may be one under the newest secret.

        `lived`: seconds; 0 for one that brought nothing, so that the next one waits longer and longer.
        """
        self._bus.signal(LinkLost(peer, lived))

    def now(self) -> float:
        return self._runtime.clock.monotonic()

    def settle(self) -> None:
        """End such links with terminals that may have none any more."""
        for driver, handler in list(self._links.items()):
            if not self._keyring.may_link(handler.peer):
                driver.abort()

    # Terminals that were removed.

    def removed(self, driver: Driver, opened: LinkOpen) -> Handler | None:
        """Tell a terminal that was removed, and nothing else; None for a link with any other one."""
        person = opened.person
        if person is None or opened.role is not Role.RESPONDER:
            return None
        peer = Peer(person, opened.peer_static)
        if not self._keyring.was_removed(peer) or self.now() < self._told.get(peer, 0.0):
            return None
        self._runtime.tasks.spawn(self._tell(driver, peer))
        return _NOTHING

    async def _tell(self, driver: Driver, peer: Peer) -> None:
        self._told[peer] = self.now() + TOLD_EVERY
        operations, pins = await self._store.read(_log, peer.person)
        with suppress(ProtocolError):
            for message in in_messages(
                await self._runtime.worker.run(farewell, operations, peer.static, pins)
            ):
                await driver.send(message)
        await driver.close(DONE)

    def part(self, link: LiveLink) -> bool:
        """Tell a terminal that was just removed on the link it has, which then ends; whether it was."""
        if not self._keyring.was_removed(link.peer):
            return False
        self._runtime.tasks.spawn(self._tell(link.driver, link.peer))
        return True


class _Superseded:
    """network.driver.Handler of a link under a superseded secret."""

    def __init__(self, renewals: Renewals, peer: Peer, opened_at: float, budget: Bucket) -> None:
        self._renewals, self.peer, self._opened_at, self._budget = renewals, peer, opened_at, budget
        self._asked: int | None = None
        self._took = False

    def expect(self, answer: int | None) -> None:
        """All that the other side may lack was sent before the Ping with this number."""
        self._asked = answer

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        renewals = self._renewals
        for event in events:
            if isinstance(event, LinkClosed):
                renewals.ended(driver)
                renewals.lost(self.peer, renewals.now() - self._opened_at if self._took else 0.0)
            elif isinstance(event, PingAnswered) and event.number == self._asked:
                renewals.spawn_end(driver)
            elif isinstance(event, MessageReceived):
                try:
                    if await renewals.received(driver, self.peer, self._budget, event.message):
                        self._took = True
                        await driver.close(DONE)
                except (ProtocolError, ParlourError):
                    driver.abort()


class _Nothing:
    """network.driver.Handler of a link on which nothing that comes is heard."""

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        pass


_NOTHING: Final = _Nothing()


def _shares(own: bytes, person: bytes, contact: ContactKeys) -> Iterator[RenewedShare]:
    for pair in contact.pairs:
        for owner, other, shares in ((own, person, pair.own), (person, own, pair.theirs)):
            newest = shares[0]
            drawn = Drawn(newest.share, newest.heads, newest.terminal, newest.signature)
            if (message := share_message(owner, other, pair.root, drawn)) is not None:
                yield message


def _log(database: Database, person: bytes) -> tuple[list[bytes], Pins]:
    return persons.operations_of(database, person), persons.pins_of(database, person)


def _holds(database: Database, own: bytes, message: RenewedShare) -> bool:
    """Whether the share is stored."""
    contact = message.contact if message.person == own else message.person
    return any(row.share == message.share for row in keys.shares_of(database, contact))


def _store_share(database: Database, own: bytes, measure: Measure, message: RenewedShare) -> Taken:
    owner, contact = (OWN, message.contact) if message.person == own else (THEIRS, message.person)
    rows = [
        row
        for row in keys.shares_of(database, contact)
        if row.owner == owner and pairing_id(row.root) == message.pairing
    ]
    if not rows:  # a pairing that this terminal does not have, or that is over
        return Taken.PASSED_OVER
    taken = measure.take(message, [row.drawn for row in rows])
    if taken is Taken.NEWER:
        add_share(database, contact, owner, rows[0].root, drawn_in(message))
    return taken


def _acknowledge(
    person: bytes, static: bytes, names: tuple[bytes, bytes], pair: Pair, live: set[bytes], database: Database
) -> bool:
    """Store which shares a terminal holds, and erase those that no live one needs; whether there were any."""
    keys.acknowledge(database, person, static, names)
    erased = False
    for owner, shares in ((OWN, pair.own), (THEIRS, pair.theirs)):
        if len(shares) > 1 and live <= keys.acknowledged(database, person, shares[0].name):
            erased |= keys.forget_shares(database, person, pair.root, owner, 1)
    return erased
