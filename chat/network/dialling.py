"""Reaching contacts: all addresses of one tried in parallel, and all relays that this person named.

Rules: only `Transport` opens connections; whoever answers without the contact's keys is no contact, whatever
the address or the relay promised; a direct link is never replaced by one through a relay while it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from chat.config import Config
from chat.network.directory import DialKeys, Directory
from chat.network.driver import Driver
from chat.network.links import Links
from chat.network.opening import Opening, Result
from chat.network.race import Race
from chat.network.relaying import Relaying
from chat.network.seeking import Detour, Seeker
from chat.ports import Clock, Connection, Random, Transport
from chat.tasks import Tasks
from protocol.handshake import Initiator
from protocol.link import Link
from protocol.relay_address import RelayAddress

STAGGER = 0.05
"""Seconds between the starts of two addresses of one contact (RFC 8305 names 0.25 s for the internet)."""

NEXT_WAITER = 0.5
"""Seconds that a terminal at a relay has to open a link before the next one on its token is tried too."""


@dataclass(frozen=True, slots=True)
class _Sought:
    """Who seeks one contact, and the tasks that do."""

    seeker: Seeker
    detour: Detour
    tasks: tuple[asyncio.Task[None], ...]


class Dialler:
    """All seekers, and the races of one contact's addresses and relays."""

    def __init__(
        self,
        directory: Directory,
        links: Links,
        transport: Transport,
        relaying: Relaying,
        clock: Clock,
        random: Random,
        config: Config,
        tasks: Tasks,
    ) -> None:
        self.links = links
        self.clock = clock
        self.config = config
        self.random = random
        self._directory = directory
        self._transport = transport
        self._relaying = relaying
        self._tasks = tasks
        self._sought: dict[bytes, _Sought] = {}
        links.missed, links.lost, links.detoured = self.missed, self.lost, self.detoured
        relaying.waits = self.seek_through_relays

    # Reasons to look.

    def follow(self, persons: Sequence[bytes]) -> None:
        """Seek exactly these contacts from now on."""
        for person in [person for person in self._sought if person not in persons]:
            for task in self._sought.pop(person).tasks:
                task.cancel()
        for person in persons:
            if person not in self._sought:
                seeker, detour = Seeker(person, self), Detour(person, self)
                tasks = (self._tasks.spawn(seeker.run()), self._tasks.spawn(detour.run()))
                self._sought[person] = _Sought(seeker, detour, tasks)
                seeker.wake()
                detour.wake()

    def seek(self, person: bytes) -> None:
        """There is reason to believe that this contact can be reached now."""
        if person in self._sought:
            self._sought[person].seeker.encourage()
            self._sought[person].detour.encourage()

    def missed(self, person: bytes) -> None:
        """A contact that was there does not answer, or its link grows old."""
        if person in self._sought:
            self._sought[person].seeker.missed()
            self._sought[person].detour.wake()

    def lost(self, person: bytes, lived: float) -> None:
        """A contact's last link ended."""
        if person in self._sought:
            self._sought[person].seeker.lost(lived)
            self._sought[person].detour.lost(lived)

    def detoured(self, person: bytes, direct_for: float | None) -> None:
        """A link with a contact has opened through a relay; `direct_for` as of Links."""
        if person in self._sought:
            self._sought[person].seeker.detoured(direct_for)

    def seek_all(self) -> None:
        """The network has changed."""
        for person in self._sought:
            self.seek(person)

    def seek_through_relays(self) -> None:
        """A relay can be reached, or there is another one."""
        for sought in self._sought.values():
            sought.detour.encourage()

    # What is wanted.

    def wanted(self, person: bytes) -> bool:
        needed = self.links.needs_link(person) or self.links.is_relayed(person)
        return needed and self.has_hints(person)

    def wants_detour(self, person: bytes) -> bool:
        return bool(self._relaying.named) and self.links.needs_detour(person)

    def has_hints(self, person: bytes) -> bool:
        return bool(self._directory.hints(person))

    def goes_second(self, person: bytes) -> bool:
        """Whether the other side is expected to dial first: the one with the lower key is."""
        keys = self._directory.dial_keys(person)
        return keys is not None and self._directory.identity.static.public > keys.terminal

    # Dialling.

    async def dial(self, person: bytes, timeout: float) -> Result | None:
        """Try all addresses; the first open link wins. None where nobody answered."""
        keys = self._directory.dial_keys(person)
        if keys is None:
            return None
        race = Race(self._tasks)
        for number, (host, port) in enumerate(self._directory.hints(person)):
            race.enter(self._directly(person, keys, host, port, timeout, STAGGER * number, race))
        return await race.result()

    async def dial_through_relays(self, person: bytes) -> Result | None:
        """Try all relays that this person named; the first open link wins. None where nobody was there."""
        keys = self._directory.dial_keys(person)
        if keys is None:
            return None
        race = Race(self._tasks, lambda: self.wants_detour(person))
        for relay in self._relaying.named:
            race.enter(self._through(person, keys, relay, 0, race))
        return await race.result()

    async def _directly(
        self, person: bytes, keys: DialKeys, host: str, port: int, timeout: float, delay: float, race: Race
    ) -> Result | None:
        await asyncio.sleep(delay)
        try:
            connection = await self._transport.connect(host, port, timeout)
        except OSError:
            return None
        return await self._open(person, keys, connection, race)

    async def _through(
        self, person: bytes, keys: DialKeys, relay: RelayAddress, place: int, race: Race
    ) -> Result | None:
        """Dial who waits at a place on the contact's tokens; after a moment, whoever waits there too."""
        if place:
            await asyncio.sleep(NEXT_WAITER)
        reached = await self._relaying.dial(
            relay, lambda day: self._directory.dial_tokens(person, relay.key, day), place
        )
        if reached is None:
            return None
        if reached.others > place:
            race.enter(self._through(person, keys, relay, place + 1, race))
        return await self._open(person, keys, reached.circuit, race)

    async def _open(self, person: bytes, keys: DialKeys, connection: Connection, race: Race) -> Result | None:
        opening = Opening(race.first(self.links.adopt))
        driver = Driver(connection, self._link(person, keys), self.clock, opening)
        running = self._tasks.spawn(driver.run())
        try:
            return await asyncio.shield(opening.result)
        except asyncio.CancelledError:
            driver.abort()
            await asyncio.wait([running])
            raise

    def _link(self, person: bytes, keys: DialKeys) -> Link:
        current = self.links.current(person)
        identity = self._directory.identity
        start = Initiator.contact(
            identity.static,
            keys.terminal,
            identity.person,
            person,
            keys.candidates,
            replaces=current.session if current is not None else b"",
            static_dh=identity.static_dh,
            random=self.random,
        )
        return Link(start, self.clock.monotonic())
