"""Reaching contacts: one seeker a contact, all its addresses tried in parallel, probes after a loss.

Rules: a seeker sleeps until there is a reason; only `Transport.connect` opens connections; whoever answers
without the contact's keys is no contact, whatever the address promised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from chat.config import Config
from chat.network.directory import DialKeys, Directory
from chat.network.driver import Driver, Handler
from chat.network.links import Links
from chat.network.opening import Adopt, Opening, Result
from chat.network.pace import Pace
from chat.ports import Clock, Random, Transport
from chat.tasks import Tasks
from protocol.events import Ending, LinkClosed, LinkOpen
from protocol.handshake import Initiator
from protocol.link import Link

STAGGER = 0.05
"""Seconds between the starts of two addresses of one contact (RFC 8305 names 0.25 s for the internet)."""

SHORT_LIFE = 2.0
"""Seconds that a link has to live to count as a success."""


class Seeker:
    """Keeps one contact linked while it can be reached."""

    def __init__(self, person: bytes, dialler: Dialler) -> None:
        self.person = person
        self.pace = Pace(dialler.config)
        self._dialler = dialler
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look again now."""
        self._wake.set()

    def encourage(self) -> None:
        """Look again now, as if nothing had been tried: the contact can probably be reached."""
        self.pace.encouraged(self._dialler.clock.monotonic())
        self._wake.set()

    def missed(self) -> None:
        """The contact was there a moment ago."""
        self.pace.heard(self._dialler.clock.monotonic())
        self._wake.set()

    def lost(self, lived: float) -> None:
        """Its last link ended. One that lived for a moment only is no success: do not race in circles."""
        self.pace.ended(lasted=lived >= SHORT_LIFE)
        self.missed()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self.pace.failures:
                await self._pause()
            await self._leave_the_first_move()
            while self._dialler.wanted(self.person) and await self._attempt():
                await self._pause()

    async def _leave_the_first_move(self) -> None:
        if self._dialler.goes_second(self.person) and self._dialler.links.current(self.person) is None:
            await asyncio.sleep(self._dialler.config.second_dialler_waits)

    async def _attempt(self) -> bool:
        """Try once; whether to go on trying."""
        now = self._dialler.clock.monotonic()
        result = await self._dialler.dial(self.person, self.pace.timeout(now))
        if isinstance(result, LinkOpen):
            self.pace.opened(self._dialler.clock.monotonic())
            return False
        refused = isinstance(result, LinkClosed) and result.reason is Ending.ERROR
        self.pace.failed(refused)
        return True

    async def _pause(self) -> None:
        """Wait for the next attempt, less long when something happens."""
        delay = self.pace.delay(self._dialler.clock.monotonic())
        # wait_for of Python 3.11 loses a cancellation that comes together with the wake.
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                while await self._wake.wait():
                    self._wake.clear()
                    if not self.pace.stumbling:
                        return


class Dialler:
    """All seekers, and the race of one contact's addresses."""

    def __init__(
        self,
        directory: Directory,
        links: Links,
        transport: Transport,
        clock: Clock,
        random: Random,
        config: Config,
        tasks: Tasks,
    ) -> None:
        self.links = links
        self.clock = clock
        self.config = config
        self._directory = directory
        self._transport = transport
        self._random = random
        self._tasks = tasks
        self._seekers: dict[bytes, tuple[Seeker, asyncio.Task[None]]] = {}
        links.missed, links.lost = self.missed, self.lost

    def follow(self, persons: Sequence[bytes]) -> None:
        """Seek exactly these contacts from now on."""
        for person in [person for person in self._seekers if person not in persons]:
            self._seekers.pop(person)[1].cancel()
        for person in persons:
            if person not in self._seekers:
                seeker = Seeker(person, self)
                self._seekers[person] = (seeker, self._tasks.spawn(seeker.run()))
                seeker.wake()

    def seek(self, person: bytes) -> None:
        """There is reason to believe that this contact can be reached now."""
        if person in self._seekers:
            self._seekers[person][0].encourage()

    def missed(self, person: bytes) -> None:
        """A contact that was there does not answer, or its link grows old."""
        if person in self._seekers:
            self._seekers[person][0].missed()

    def lost(self, person: bytes, lived: float) -> None:
        """A contact's last link ended."""
        if person in self._seekers:
            self._seekers[person][0].lost(lived)

    def seek_all(self) -> None:
        """The network has changed."""
        for seeker, _ in self._seekers.values():
            seeker.encourage()

    def wanted(self, person: bytes) -> bool:
        return bool(self._directory.hints(person)) and self.links.needs_link(person)

    def goes_second(self, person: bytes) -> bool:
        """Whether the other side is expected to dial first: the one with the lower key is."""
        keys = self._directory.dial_keys(person)
        return keys is not None and self._directory.identity.static.public > keys.terminal

    async def dial(self, person: bytes, timeout: float) -> Result | None:
        """Try all addresses; the first open link wins. None where nobody answered."""
        keys = self._directory.dial_keys(person)
        if keys is None:
            return None
        race = _Race(self._tasks)
        for number, (host, port) in enumerate(self._directory.hints(person)):
            race.enter(self._one(person, keys, host, port, timeout, STAGGER * number, race))
        return await race.result()

    async def _one(
        self, person: bytes, keys: DialKeys, host: str, port: int, timeout: float, delay: float, race: _Race
    ) -> Result | None:
        await asyncio.sleep(delay)
        try:
            connection = await self._transport.connect(host, port, timeout)
        except OSError:
            return None
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
            random=self._random,
        )
        return Link(start, self.clock.monotonic())


class _Race:
    """Several attempts of which one may win."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._attempts: list[asyncio.Task[Result | None]] = []
        self._won = False

    def enter(self, attempt: Coroutine[Any, Any, Result | None]) -> None:
        self._attempts.append(self._tasks.spawn(attempt))

    def first(self, adopt: Adopt) -> Adopt:
        """`adopt`, but only for the first that opens."""

        async def once(driver: Driver, opened: LinkOpen) -> Handler | None:
            if self._won:
                return None
            self._won = True
            return await adopt(driver, opened)

        return once

    async def result(self) -> Result | None:
        """The open link, else the most telling failure; the losers are cancelled."""
        failure: Result | None = None
        try:
            for next_done in asyncio.as_completed(self._attempts):
                result = await next_done
                if isinstance(result, LinkOpen):
                    return result
                failure = result or failure
            return failure
        finally:
            for attempt in self._attempts:
                attempt.cancel()
