"""Reaching contacts: all addresses of one tried in parallel, and all relays that this person named.

Rules: only `Transport` opens connections; whoever answers without the contact's keys is no contact,
whatever the address or the relay promised; a direct link is never replaced by one through a relay while it
answers.

Who seeks a contact, and how long: one seeker for direct ways, one for the way through relays.

Rules: a seeker sleeps until there is a reason; a direct way is tried first and goes on being tried beside a
relayed link; a relay is asked only where there is no direct way, and never as often as an address.

Several attempts to link with one contact, of which one may win.

Rules: the first link that opens is taken, the others are given up; an attempt may enter others while the
race is on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from chat.config import Config
from chat.network.backoff import Backoff, Pauses
from chat.network.driver import Adopt, Driver, Handler, Opening, Result
from chat.network.links import DialKeys, Directory, Links
from chat.network.relay.client import RelayClient
from chat.ports import Clock, Connection, Random, Transport
from chat.tasks import Tasks
from protocol.link.handshake import Initiator
from protocol.link.link import Link
from protocol.link.states import Ending, LinkClosed, LinkOpen
from protocol.relay.rendezvous import RelayAddress

SHORT_LIFE = 2.0
"""Seconds that a link has to live to count as a success."""

STEADY = 30.0
"""Seconds that a direct link has to live: one that gave way to a relay sooner is not sought again at once."""

RELAPSES = (5.0, 600.0)
"""Least and most seconds until a direct way is tried again that did not last."""


class Dials(Protocol):
    """What seekers need of the dialler."""

    links: Links
    clock: Clock
    config: Config
    random: Random

    def wanted(self, person: bytes) -> bool:
        """Whether a direct link with a contact is wanted, and there is an address to try."""

    def wants_detour(self, person: bytes) -> bool:
        """Whether a link through a relay is wanted, and there is a relay to try."""

    def has_hints(self, person: bytes) -> bool:
        """Whether there is an address to try."""

    def goes_second(self, person: bytes) -> bool:
        """Whether the other side is expected to dial first."""

    async def dial(self, person: bytes, timeout: float) -> Result | None:
        """Try all addresses."""

    async def dial_through_relays(self, person: bytes) -> Result | None:
        """Try all relays."""


class Connector:
    """Keeps one contact linked while it can be reached, directly if that is possible."""

    def __init__(self, person: bytes, dialler: Dials) -> None:
        self.person = person
        self.pace = Backoff(dialler.config)
        self._dialler = dialler
        self._wake = asyncio.Event()
        self._better = Pauses(dialler.config.probe_every, dialler.config.direct_retry_most)
        self._relapses = Pauses(*RELAPSES)

    def wake(self) -> None:
        """Look again now."""
        self._wake.set()

    def encourage(self) -> None:
        """Look again now, as if nothing had been tried: the contact can probably be reached."""
        self.pace.encouraged(self._dialler.clock.monotonic())
        self._better.reset()
        self._wake.set()

    def detoured(self, direct_for: float | None) -> None:
        """A link through a relay is open: seek a direct way, without haste.

        `direct_for`: seconds since a direct link took the place of one through a relay, None if none did.
        """
        self.pace.opened(self._dialler.clock.monotonic())
        self._better.reset()
        if direct_for is not None and direct_for < STEADY:
            self._relapses.failed()
        elif direct_for is not None:
            self._relapses.reset()
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
            if self.pace.failures or self._is_detoured():
                await self._pause()
            await self._leave_the_first_move()
            while self._dialler.wanted(self.person) and await self._attempt():
                await self._pause()

    async def _leave_the_first_move(self) -> None:
        if self._dialler.goes_second(self.person) and self._dialler.links.current(self.person) is None:
            await asyncio.sleep(self._dialler.config.second_dialler_waits)

    def _is_detoured(self) -> bool:
        links = self._dialler.links
        return links.is_relayed(self.person) and not links.needs_link(self.person)

    def _relapsed(self) -> bool:
        """Whether a direct way would probably not last: going there and back costs seconds each time."""
        return self._is_detoured() and self._relapses.failures > 0

    def _delay(self) -> float:
        if self._is_detoured():
            return max(self._better.delay(1.0), self._relapses.delay(1.0))
        return self.pace.delay(self._dialler.clock.monotonic())

    async def _attempt(self) -> bool:
        """Try once; whether to go on trying."""
        detoured, now = self._is_detoured(), self._dialler.clock.monotonic()
        timeout = self._dialler.config.dial_timeout if detoured else self.pace.timeout(now)
        result = await self._dialler.dial(self.person, timeout)
        if isinstance(result, LinkOpen):
            self.pace.opened(self._dialler.clock.monotonic())
            return False
        if detoured:
            self._better.failed()
        else:
            self.pace.failed(isinstance(result, LinkClosed) and result.reason is Ending.ERROR)
        return True

    async def _pause(self) -> None:
        """Wait for the next attempt, less long when something happens."""
        # wait_for of Python 3.11 loses a cancellation that comes together with the wake.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._delay()):
                while await self._wake.wait():
                    self._wake.clear()
                    if not self.pace.stumbling and not self._relapsed():
                        return


class RelayFallback:
    """Keeps one contact linked through relays while there is no direct way to it."""

    def __init__(self, person: bytes, dialler: Dials) -> None:
        self.person = person
        self._dialler = dialler
        self._wake = asyncio.Event()
        config = dialler.config
        self._pauses = Pauses(config.relay_retry_least, config.relay_dials_most)

    def wake(self) -> None:
        """Look again now, unless it was in vain a moment ago."""
        self._wake.set()

    def encourage(self) -> None:
        """Look again now: the contact, or a relay, can probably be reached."""
        self._pauses.reset()
        self._wake.set()

    def lost(self, lived: float) -> None:
        """Its last link ended. A relay that joins, and cuts at once, is asked less and less often."""
        if lived >= SHORT_LIFE:
            self._pauses.reset()
        else:
            self._pauses.failed()
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._pause()
            await self._leave_the_first_move()
            while self._dialler.wants_detour(self.person) and await self._attempt():
                await self._pause()

    async def _leave_the_first_move(self) -> None:
        """To a direct link, where there is an address; and to the other side, as with direct links."""
        config, person = self._dialler.config, self.person
        if self._dialler.links.current(person) is None:
            wait = config.direct_head_start if self._dialler.has_hints(person) else 0.0
            wait += config.second_dialler_waits if self._dialler.goes_second(person) else 0.0
            await asyncio.sleep(wait)

    async def _attempt(self) -> bool:
        """Try once; whether to go on trying."""
        if isinstance(await self._dialler.dial_through_relays(self.person), LinkOpen):
            return False
        self._pauses.failed()
        return True

    async def _pause(self) -> None:
        """Wait for the next attempt; what encourages ends it."""
        delay = self._pauses.delay(self._dialler.random(1)[0] / 255)
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                while self._pauses.failures:
                    await self._wake.wait()
                    self._wake.clear()


Attempt = asyncio.Task[Result | None]


class Race:
    """`wanted` is asked before a link is taken."""

    def __init__(self, tasks: Tasks, wanted: Callable[[], bool] = lambda: True) -> None:
        self._tasks = tasks
        self._wanted = wanted
        self._running: set[Attempt] = set()
        self._won = False

    def enter(self, attempt: Coroutine[Any, Any, Result | None]) -> None:
        self._running.add(self._tasks.spawn(attempt))

    def first(self, adopt: Adopt) -> Adopt:
        """`adopt`, but only for the first that opens."""

        async def once(driver: Driver, opened: LinkOpen) -> Handler | None:
            if self._won or not self._wanted():
                return None
            self._won = True
            return await adopt(driver, opened)

        return once

    async def result(self) -> Result | None:
        """The open link, else the most telling failure; the losers are cancelled."""
        failure: Result | None = None
        try:
            while self._running:
                done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                self._running -= done
                results = [attempt.result() for attempt in done if not attempt.cancelled()]
                for result in results:
                    if isinstance(result, LinkOpen):
                        return result
                    failure = result or failure
            return failure
        finally:
            for attempt in self._running:
                attempt.cancel()


STAGGER = 0.05
"""Seconds between the starts of two addresses of one contact (RFC 8305 names 0.25 s for the internet)."""

NEXT_WAITER = 0.5
"""Seconds that a terminal at a relay has to open a link before the next one on its token is tried too."""


@dataclass(frozen=True, slots=True)
class _Sought:
    """Who seeks one contact, and the tasks that do."""

    seeker: Connector
    detour: RelayFallback
    tasks: tuple[asyncio.Task[None], ...]


class Dialer:
    """All seekers, and the races of one contact's addresses and relays."""

    def __init__(
        self,
        directory: Directory,
        links: Links,
        transport: Transport,
        relaying: RelayClient,
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
                seeker, detour = Connector(person, self), RelayFallback(person, self)
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
