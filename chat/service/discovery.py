"""Announcing this terminal, recognising contacts' announcements, and the port and addresses (SPEC §13).

Announcements and addresses are only hints: the handshake of a link decides who is there.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from chat.errors import phrase
from chat.interface import CannotCreate, NearbyChanged, NearbyView, Notice, ParlourError, VisibilityChanged
from chat.looks import looks_same
from chat.network.links import LiveLink, Peer
from chat.ports import Announcement, Clock, Connection, Discovery, Listener, Transport
from chat.service.events import EventBus, NetworkChanged, TerminalFound
from chat.service.keyring import Address, Keyring, Visibility
from chat.service.state import ContactBook
from chat.storage import contacts, persons
from chat.storage.database import Store
from chat.storage.errors import StorageFull
from chat.storage.persons import AddressRow
from chat.storage.profile import Vault
from chat.tasks import Runtime
from protocol.discovery import SLOT_COUNTS, Known, make_slots, new_instance, recognise, slot, utc_day
from protocol.limits import SLOT_DAYS

DAYS_LOOKED = 31
"""Days in either direction that a wrong clock is searched for."""
SLOTS_TRIED = 20_000
"""Slots computed for that, some fifty milliseconds of work. Any machine on the network can use it up with
forged announcements; the days furthest away are then not searched."""
PLACES_FOUND = 64
"""Announced addresses kept in memory per terminal of a contact, those found last. Who recorded what
the terminal announced since the day before can fill them by repeating it. Each was tried when found."""
AGAIN = 5.0
"""Seconds after which a failed announcement is repeated."""


class Announcer:
    """Makes the engine's announcements, and takes those of others (ports.DiscoveryEvents)."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        visibility: Visibility,
        adding: Visibility,
        book: ContactBook,
        port: ListeningPort,
        transport: Transport,
        discovery: Discovery,
    ) -> None:
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._visibility, self._adding, self._book, self._port = visibility, adding, book, port
        self._transport, self._discovery = transport, discovery
        self._found: dict[str, Announcement] = {}
        self._contacts: dict[str, Peer] = {}  # by instance
        self._wanted, self._outdated = asyncio.Event(), asyncio.Event()
        self._day = utc_day(runtime.clock.wall())

    async def start(self) -> None:
        await self._discovery.start(self)
        self.renew()
        self._runtime.tasks.spawn(self._announce())
        self._runtime.tasks.spawn(self._recognise_all())

    def renew(self) -> None:
        """Announce again: contacts, network, day or visibility changed."""
        self._wanted.set()

    async def _announce(self) -> None:
        """Announce on each request; requests that come meanwhile make one more announcement."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._discovery.announce(await self._announcement())
            except (OSError, ParlourError):  # `doctor` explains the network's trouble, each write the disk's
                await asyncio.sleep(AGAIN)
                self.renew()

    async def _announcement(self) -> Announcement:
        keyring, port, random = self._keyring, self._port.number, self._runtime.random
        latest: list[bytes] = []
        if len(keyring.linkable()) > SLOT_COUNTS[-1]:  # then those written to last come first
            latest = await self._store.read(contacts.spoken_to, keyring.own.terminal)
        viewers = keyring.viewers(latest)
        # A new instance each time: otherwise two announcements could be linked to one terminal.
        instance, addresses = new_instance(random), self._transport.addresses()
        self._day = utc_day(self._runtime.clock.wall())
        static = keyring.identity.static.public
        slots = make_slots(viewers, self._day, static, instance, port, addresses, random)
        # A new terminal of this person finds this one by the name, too.
        name = keyring.own_log.name if self._visibility.visible or self._adding.visible else ""
        return Announcement(instance, addresses, port, slots, name)

    # Visibility.

    def set_visible(self, on: bool) -> None:
        """Show the name to strangers for a while, or stop."""
        before = self._visibility.visible
        if on:
            self._visibility.begin(self._runtime.clock.monotonic() + self._runtime.config.visible_for)
            self._runtime.beat.by(self._runtime.config.visible_for)
        else:
            self._visibility.end()
        if before != on:
            self.renew()
            self._bus.publish(VisibilityChanged(on))

    def tick(self) -> None:
        """End visibility when its time is over, and announce again on a new day."""
        now = self._runtime.clock.monotonic()
        if self._visibility.expired(now):
            if self._book.rows:
                self.set_visible(False)
            else:  # without contacts it stays visible
                self._visibility.extend(now + self._runtime.config.visible_for)
        if self._visibility.until is not None:
            self._runtime.beat.by(self._visibility.until - now)
        if utc_day(self._runtime.clock.wall()) != self._day:
            self.renew()

    # ports.DiscoveryEvents.

    def found(self, announcement: Announcement) -> None:
        before = self.nearby()
        self._found[announcement.instance] = announcement
        self._recognise(announcement)
        self._publish_nearby(before)

    def _recognise(self, announcement: Announcement) -> None:
        peer = self._peer(announcement)
        if peer is None:
            self._contacts.pop(announcement.instance, None)
            return
        self._contacts[announcement.instance] = peer
        # Anybody can repeat an announcement or say goodbye in another's name: neither takes an address away.
        places = *self._places(announcement.instance), *self._keyring.found.get(peer, ())
        self._keyring.found[peer] = tuple(dict.fromkeys(places))[:PLACES_FOUND]
        self._bus.signal(TerminalFound(peer))

    def _peer(self, announcement: Announcement) -> Peer | None:
        """The contact's terminal that made an announcement."""
        known = recognise(
            announcement.slots,
            announcement.instance,
            announcement.port,
            announcement.addresses,
            self._keyring.announcers(),
            utc_day(self._runtime.clock.wall()),
        )
        return Peer(known.person, known.static) if known is not None else None

    def recognise_again(self) -> None:
        """Contacts were added, removed or changed: check all announcements again."""
        self._outdated.set()

    async def _recognise_all(self) -> None:
        """Check the announcements one at a time: strangers make many, and a contact causes this often."""
        while True:
            await self._outdated.wait()
            self._outdated.clear()
            before = self.nearby()
            for instance in list(self._found):
                if (announcement := self._found.get(instance)) is not None:
                    self._recognise(announcement)
                await asyncio.sleep(0)
            self._publish_nearby(before)

    def lost(self, instance: str) -> None:
        before = self.nearby()
        self._found.pop(instance, None)
        self._contacts.pop(instance, None)
        self._publish_nearby(before)

    def network_changed(self) -> None:
        self.renew()
        self._bus.signal(NetworkChanged())

    # Strangers.

    def nearby(self) -> tuple[NearbyView, ...]:
        found_now = self._found.values()
        named = [found for found in found_now if found.name and found.instance not in self._contacts]
        named.sort(key=lambda found: (found.name.casefold(), found.instance))
        own = self._keyring.own_log.name
        return tuple(
            NearbyView(
                found.instance, found.name, self._book.namesakes(found.name, own), looks_same(found.name, own)
            )
            for found in named
        )

    @property
    def heard(self) -> int:
        """The number of other terminals that announce themselves now."""
        return len(self._found)

    def announced(self) -> dict[Peer, list[Address]]:
        """The addresses that contacts' terminals announce now."""
        announced: dict[Peer, list[Address]] = {}
        for instance, peer in self._contacts.items():
            announced.setdefault(peer, []).extend(self._places(instance))
        return announced

    def days_ahead(self) -> int | None:
        """The days by which a contact's clock is ahead of this one, negative if it is behind.

        0: contacts are recognised, so their clocks agree with this one. None: no contact announces itself.
        """
        known, tried = self._keyring.announcers(), 0
        unknown = [found for instance, found in self._found.items() if instance not in self._contacts]
        today = utc_day(self._runtime.clock.wall())
        for distance in range(SLOT_DAYS + 1, DAYS_LOOKED + 1):
            for ahead in (distance, -distance):
                if known and unknown and tried + len(known) * len(unknown) <= SLOTS_TRIED:
                    tried += len(known) * len(unknown)
                    if today + ahead >= 0 and any(is_of_day(each, known, today + ahead) for each in unknown):
                        return ahead
        return 0 if self._contacts else None

    def strangers(self) -> list[tuple[Address, ...]]:
        """The addresses that each terminal that is no contact's announces now."""
        return [tuple(self._places(instance)) for instance in self._found if instance not in self._contacts]

    def places(self, instance: str) -> tuple[str, list[Address]] | None:
        """Name and addresses of a visible stranger."""
        found = self._found.get(instance)
        if found is None or not found.name:
            return None
        return found.name, self._places(instance)

    def _places(self, instance: str) -> list[Address]:
        found = self._found[instance]
        return [(host, found.port) for host in found.addresses]

    def _publish_nearby(self, before: tuple[NearbyView, ...]) -> None:
        now = self.nearby()
        if now != before:
            self._bus.publish(NearbyChanged(now))


def is_of_day(announcement: Announcement, known: Sequence[Known], day: int) -> bool:
    """Whether one of these contacts made the announcement on this day."""
    present, listed = set(announcement.slots), announcement.addresses
    return any(
        slot(each.key, day, each.static, announcement.instance, announcement.port, listed) in present
        for each in known
    )


class ListeningPort:
    """The one port of a profile: kept from the first start on, the next free one if it is taken.

    `number` is 0 before `open`.
    """

    def __init__(
        self, runtime: Runtime, store: Store, bus: EventBus, vault: Vault, transport: Transport
    ) -> None:
        self._config = runtime.config
        self._store, self._bus, self._vault, self._transport = store, bus, vault, transport
        self._listener: Listener | None = None
        self.number = 0

    async def open(self, accept: Callable[[Connection], Awaitable[None]]) -> None:
        """Listen on the port and keep it. Raises CannotCreate."""
        config, kept = self._config, self._vault.port
        first = config.port if config.keep_port or not kept else kept
        for port in range(first, min(first + config.ports_tried, 65_536)):
            try:
                self._listener = await self._transport.listen(port, accept)
                break
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    reason = str(error.strerror)
                    refused = phrase("Cannot listen on port {port}: {reason}.", port=port, reason=reason)
                    raise CannotCreate(refused) from error
                if config.keep_port:
                    taken = phrase(
                        "Port {port} is in use by another program: stop it, or choose another with --port.",
                        port=port,
                    )
                    raise CannotCreate(taken) from error
        else:
            none_free = phrase("No port from {port} on is free: choose one with --port.", port=first)
            raise CannotCreate(none_free)
        self.number = self._listener.port
        if kept not in (0, self.number):
            moved = phrase(
                "Port {old} is in use. Parlour now listens on {new}, and contacts find it automatically.",
                old=kept,
                new=self.number,
            )
            self._bus.publish(Notice(moved))
        if kept != self.number:
            try:
                await self._store.run(partial(self._vault.set_port, self.number))
            except StorageFull as full:  # who wants to delete something has to get in
                self._bus.publish(Notice(full.phrase))

    async def close(self) -> None:
        if self._listener is not None:
            await self._listener.close()


KEPT = 8
"""Addresses kept in memory per terminal of a contact, where it was reached last. It alone can fill them."""


class AddressBook:
    """Keeps the addresses of contacts for the next start, when discovery has not found them yet."""

    def __init__(self, clock: Clock, store: Store, keyring: Keyring) -> None:
        self._clock = clock
        self._store = store
        self._keyring = keyring

    async def met(self, person: bytes, terminal: bytes, host: str, port: int) -> Peer | None:
        """Keep where a contact's terminal was dialled to pair, maybe its only address. None if it is gone."""
        one = self._keyring.log(person).live.get(terminal)
        if one is None:
            return None
        peer = Peer(person, one.static)
        await self._keep(peer, terminal, (host, port))
        return peer

    async def reached(self, link: LiveLink, port: int) -> None:
        """Keep a link's address with the port that the contact's terminal says it listens on.

        A link through a relay has no address.
        """
        live = self._keyring.log(link.person).live.values()
        terminal = next((one.id for one in live if one.static == link.terminal), None)
        if not link.relayed and terminal is not None:
            await self._keep(link.peer, terminal, (link.address, port))

    async def _keep(self, peer: Peer, terminal: bytes, place: Address) -> None:
        kept = self._keyring.remembered.get(peer, ())
        if kept[:1] == (place,):
            return
        await self._store.write(persons.add_address, AddressRow(terminal, *place, self._clock.wall()))
        self._keyring.remembered[peer] = tuple(dict.fromkeys((place, *kept)))[:KEPT]
