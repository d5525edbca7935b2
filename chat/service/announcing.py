"""Being found and finding: slots for contacts, a name for strangers only while visible (SPEC §13).

Rules: an announcement is a hint and never more; a new instance is drawn whenever the contacts, the network,
the day or the visibility change, so that two announcements cannot be told to be one terminal's.
"""

from __future__ import annotations

import asyncio

from chat.interface import NearbyChanged, NearbyView, VisibilityChanged
from chat.network.dialling import Dialler
from chat.ports import Announcement, Discovery, Transport
from chat.service.world import World
from protocol.discovery import make_slots, new_instance, recognise, utc_day


class Announcing:
    """ports.DiscoveryEvents of the engine, and the author of its announcements."""

    def __init__(self, world: World, discovery: Discovery, transport: Transport, dialler: Dialler) -> None:
        self._world = world
        self._discovery = discovery
        self._transport = transport
        self._dialler = dialler
        self._found: dict[str, Announcement] = {}
        self._wanted = asyncio.Event()
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
            await self._discovery.announce(self._announcement())

    def _announcement(self) -> Announcement:
        world = self._world
        instance, addresses = new_instance(world.random), self._transport.addresses()
        self._day = utc_day(world.clock.wall())
        static = world.keyring.identity.static.public
        slots = make_slots(
            world.keyring.viewers(), self._day, static, instance, world.port, addresses, world.random
        )
        name = world.keyring.own.name if world.visibility.visible else ""
        return Announcement(instance, addresses, world.port, slots, name)

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
        """Time has passed: end visibility, renew at the change of the day."""
        if self._world.visibility.expired(self._world.clock.monotonic()):
            self.set_visible(False)
        if utc_day(self._world.clock.wall()) != self._day:
            self.renew()

    # What is found (ports.DiscoveryEvents).

    def found(self, announcement: Announcement) -> None:
        before = self._found.get(announcement.instance)
        self._found[announcement.instance] = announcement
        person = self._person(announcement)
        if person is not None:
            self._hint(person, announcement)
        if (before.name if before else "") != announcement.name:
            self._tell_nearby()

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

    def _hint(self, person: bytes, announcement: Announcement) -> None:
        places = tuple((host, announcement.port) for host in announcement.addresses)
        self._world.keyring.found[person] = places
        self._dialler.seek(person)

    def recognise_again(self) -> None:
        """A contact was gained: perhaps it has been announcing itself already."""
        for announcement in list(self._found.values()):
            if (person := self._person(announcement)) is not None:
                self._hint(person, announcement)

    def lost(self, instance: str) -> None:
        if (announcement := self._found.pop(instance, None)) is not None and announcement.name:
            self._tell_nearby()

    def network_changed(self) -> None:
        self.renew()
        self._dialler.seek_all()
        self._world.tasks.spawn(self._world.links.probe())

    # Strangers.

    def nearby(self) -> tuple[NearbyView, ...]:
        """Who is visible now, by name."""
        named = [found for found in self._found.values() if found.name]
        named.sort(key=lambda found: (found.name.casefold(), found.instance))
        return tuple(NearbyView(found.instance, found.name) for found in named)

    def places(self, instance: str) -> tuple[str, list[tuple[str, int]]] | None:
        """Name and addresses of a visible stranger."""
        found = self._found.get(instance)
        if found is None or not found.name:
            return None
        return found.name, [(host, found.port) for host in found.addresses]

    def _tell_nearby(self) -> None:
        self._world.hub.publish(NearbyChanged(self.nearby()))
