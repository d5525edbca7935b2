"""Being found and finding: slots for contacts, a name for strangers only while visible (SPEC §13).

Rules: an announcement is a hint and never more; a new instance is drawn whenever the contacts, the network,
the day or the visibility change, so that two announcements cannot be told to be one terminal's.

The one port of a profile: kept from the first start on, the next free one if it is taken.

Where contacts were reached, for the next start: discovery takes a moment, a kept address does not.

Rules: an address is a hint; the host is where a link came from, only the port is the contact's word.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Sequence

from chat.errors import phrase
from chat.interface import CannotCreate, NearbyChanged, NearbyView, Notice, ParlourError, VisibilityChanged
from chat.network.connector import Dialer
from chat.network.links import LiveLink
from chat.ports import Announcement, Connection, Discovery, Listener, Transport
from chat.service.state import EngineState
from chat.storage import contacts, persons
from chat.storage.persons import AddressRow
from chat.storage.profile import Vault
from protocol.discovery import SLOT_COUNTS, Known, make_slots, new_instance, recognise, slot, utc_day
from protocol.limits import SLOT_DAYS

Place = tuple[str, int]
DAYS_LOOKED = 31
"""Days in either direction in which a clock that is wrong is looked for."""
SLOTS_TRIED = 20_000
"""Slots made for that, some fifty milliseconds of work. Any machine on the network can use it up by forged
announcements; the days furthest away are then not looked at."""
AGAIN = 5.0
"""Seconds after which an announcement that failed is made once more."""


class Announcer:
    """ports.DiscoveryEvents of the engine, and the author of its announcements.

    `moved` is called when the network is another.
    """

    def __init__(
        self, world: EngineState, discovery: Discovery, transport: Transport, dialler: Dialer
    ) -> None:
        self._world = world
        self._discovery = discovery
        self._transport = transport
        self._dialler = dialler
        self._found: dict[str, Announcement] = {}
        self._contacts: set[str] = set()
        self._wanted = asyncio.Event()
        self.moved: Callable[[], None] = lambda: None
        self._day = utc_day(world.clock.wall())

    async def start(self) -> None:
        """Listen to announcements and make one's own."""
        await self._discovery.start(self)
        self.renew()
        self._world.tasks.spawn(self._announcer())

    def renew(self) -> None:
        """Something that an announcement depends on has changed."""
        self._wanted.set()

    async def _announcer(self) -> None:
        """Announces whenever it is wanted; what changes meanwhile makes one more announcement, not ten."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._discovery.announce(await self._announcement())
            except (OSError, ParlourError):  # `doctor` explains the network's trouble, every write the disk's
                await asyncio.sleep(AGAIN)
                self.renew()

    async def _announcement(self) -> Announcement:
        world = self._world
        viewers = world.keyring.viewers(await self._spoken_to())
        instance, addresses = new_instance(world.random), self._transport.addresses()
        self._day = utc_day(world.clock.wall())
        static = world.keyring.identity.static.public
        slots = make_slots(viewers, self._day, static, instance, world.port, addresses, world.random)
        name = world.keyring.own.name if world.visibility.visible else ""
        return Announcement(instance, addresses, world.port, slots, name)

    async def _spoken_to(self) -> list[bytes]:
        """The contacts that this person wrote to last, first; read where not all of them can get a slot."""
        world = self._world
        if len(world.keyring.linkable()) <= SLOT_COUNTS[-1]:
            return []
        return await world.store.read(contacts.spoken_to, world.own.terminal)

    # Visibility.

    def set_visible(self, on: bool) -> None:
        """Show the name to strangers for a while, or stop."""
        before = self._world.visibility.visible
        if on:
            until = self._world.clock.monotonic() + self._world.config.visible_for
            self._world.visibility.begin(until)
        else:
            self._world.visibility.end()
        if before != on:
            self.renew()
            self._world.hub.publish(VisibilityChanged(on))

    def tick(self) -> None:
        """Time has passed: end visibility, renew at the change of the day.

        Whoever has no contact yet stays visible until there is one.
        """
        now = self._world.clock.monotonic()
        if self._world.visibility.expired(now):
            if self._world.contacts:
                self.set_visible(False)
            else:
                self._world.visibility.extend(now + self._world.config.visible_for)
        if utc_day(self._world.clock.wall()) != self._day:
            self.renew()

    # What is found (ports.DiscoveryEvents).

    def found(self, announcement: Announcement) -> None:
        before = self.nearby()
        self._found[announcement.instance] = announcement
        self._recognise(announcement)
        self._tell_nearby(before)

    def _recognise(self, announcement: Announcement) -> None:
        """Take a contact's announcement as a hint where it is."""
        person = self._person(announcement)
        if person is None:
            self._contacts.discard(announcement.instance)
            return
        self._contacts.add(announcement.instance)
        places = tuple((host, announcement.port) for host in announcement.addresses)
        self._world.keyring.found[person] = places
        self._dialler.seek(person)

    def _person(self, announcement: Announcement) -> bytes | None:
        known = recognise(
            announcement.slots,
            announcement.instance,
            announcement.port,
            announcement.addresses,
            self._world.keyring.announcers(),
            utc_day(self._world.clock.wall()),
        )
        return known.person if known is not None else None

    def recognise_again(self) -> None:
        """Contacts were gained or lost: who announces itself is looked at anew."""
        before = self.nearby()
        for announcement in list(self._found.values()):
            self._recognise(announcement)
        self._tell_nearby(before)

    def lost(self, instance: str) -> None:
        before = self.nearby()
        self._found.pop(instance, None)
        self._contacts.discard(instance)
        self._tell_nearby(before)

    def network_changed(self) -> None:
        self.renew()
        self.moved()
        self._dialler.seek_all()
        self._world.tasks.spawn(self._world.links.probe())

    # Strangers.

    def nearby(self) -> tuple[NearbyView, ...]:
        """Strangers who are visible now, by name."""
        found_now = self._found.values()
        named = [found for found in found_now if found.name and found.instance not in self._contacts]
        named.sort(key=lambda found: (found.name.casefold(), found.instance))
        return tuple(NearbyView(found.instance, found.name) for found in named)

    @property
    def heard(self) -> int:
        """How many other terminals announce themselves now."""
        return len(self._found)

    def announced(self) -> dict[bytes, list[Place]]:
        """Where contacts announce themselves now."""
        contacts = ((self._person(self._found[instance]), instance) for instance in self._contacts)
        return {person: self._places(instance) for person, instance in contacts if person is not None}

    def days_ahead(self) -> int | None:
        """By how many days a contact's clock is ahead of this one, negative if it is behind.

        0: contacts are recognised, so their clocks agree with this one. None: no contact announces itself.
        """
        known, tried = self._world.keyring.announcers(), 0
        unknown = [found for instance, found in self._found.items() if instance not in self._contacts]
        today = utc_day(self._world.clock.wall())
        for distance in range(SLOT_DAYS + 1, DAYS_LOOKED + 1):
            for ahead in (distance, -distance):
                if known and unknown and tried + len(known) * len(unknown) <= SLOTS_TRIED:
                    tried += len(known) * len(unknown)
                    if today + ahead >= 0 and any(is_of_day(each, known, today + ahead) for each in unknown):
                        return ahead
        return 0 if self._contacts else None

    def strangers(self) -> list[tuple[Place, ...]]:
        """Where others who are no contacts announce themselves now."""
        return [tuple(self._places(instance)) for instance in self._found if instance not in self._contacts]

    def places(self, instance: str) -> tuple[str, list[Place]] | None:
        """Name and addresses of a visible stranger."""
        found = self._found.get(instance)
        if found is None or not found.name:
            return None
        return found.name, self._places(instance)

    def _places(self, instance: str) -> list[Place]:
        found = self._found[instance]
        return [(host, found.port) for host in found.addresses]

    def _tell_nearby(self, before: tuple[NearbyView, ...]) -> None:
        now = self.nearby()
        if now != before:
            self._world.hub.publish(NearbyChanged(now))


def is_of_day(announcement: Announcement, known: Sequence[Known], day: int) -> bool:
    """Whether one of these contacts made the announcement on this very day."""
    present, listed = set(announcement.slots), announcement.addresses
    return any(
        slot(each.key, day, each.static, announcement.instance, announcement.port, listed) in present
        for each in known
    )


async def listen(
    transport: Transport, vault: Vault, world: EngineState, accept: Callable[[Connection], Awaitable[None]]
) -> Listener:
    """Listen on the profile's port, or the next free one, and keep it. Raises CannotCreate."""
    config = world.config
    first = config.port if config.keep_port or not vault.port else vault.port
    for port in range(first, min(first + config.ports_tried, 65_536)):
        try:
            listener = await transport.listen(port, accept)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise _refused(port, str(error.strerror)) from error
            if config.keep_port:
                raise _taken(port) from error
            continue
        await _keep(vault, world, listener.port)
        return listener
    raise CannotCreate(phrase("No port from {port} on is free: choose one with --port.", port=first))


def _refused(port: int, reason: str) -> CannotCreate:
    return CannotCreate(phrase("Cannot listen on port {port}: {reason}.", port=port, reason=reason))


def _taken(port: int) -> CannotCreate:
    said = phrase(
        "Port {port} is in use by another program: stop it, or choose another with --port.", port=port
    )
    return CannotCreate(said)


async def _keep(vault: Vault, world: EngineState, port: int) -> None:
    if vault.port not in (0, port):
        moved = phrase(
            "Port {old} is in use. Parlour now listens on {new}, and contacts find it automatically.",
            old=vault.port,
            new=port,
        )
        world.hub.publish(Notice(moved))
    if vault.port != port:
        await world.store.set_port(vault, port)


KEPT = 8
"""Addresses kept in memory a contact."""


class AddressBook:
    """Keeps the addresses of contacts."""

    def __init__(self, world: EngineState) -> None:
        self._world = world

    async def met(self, person: bytes, host: str, port: int) -> None:
        """A contact was dialled here to pair: without discovery there may be no other way to it."""
        if (terminal := self._world.keyring.contacts[person].terminal()) is not None:
            await self._keep(person, terminal.id, (host, port))

    async def reached(self, link: LiveLink, port: int) -> None:
        """A contact's terminal says on which port it listens: keep that beside the address of the link.

        Through a relay there is no address: where the terminal is, only the relay knows.
        """
        if not link.relayed and (terminal := self._terminal(link)) is not None:
            await self._keep(link.person, terminal, (link.address, port))

    async def _keep(self, person: bytes, terminal: bytes, place: tuple[str, int]) -> None:
        kept = self._world.keyring.remembered.get(person, ())
        if kept[:1] == (place,):
            return
        row = AddressRow(terminal, *place, self._world.clock.wall())
        await self._world.store.write(persons.add_address, row)
        self._world.keyring.remembered[person] = tuple(dict.fromkeys((place, *kept)))[:KEPT]

    def _terminal(self, link: LiveLink) -> bytes | None:
        live = self._world.keyring.log(link.person).live.values()
        return next((terminal.id for terminal in live if terminal.static == link.terminal), None)
