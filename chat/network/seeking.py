"""Who seeks a contact, and how long: one seeker for direct ways, one for the way through relays.

Rules: a seeker sleeps until there is a reason; a direct way is tried first and goes on being tried beside a
relayed link; a relay is asked only where there is no direct way, and never as often as an address.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

from chat.config import Config
from chat.network.links import Links
from chat.network.opening import Result
from chat.network.pace import Pace, Pauses
from chat.ports import Clock, Random
from protocol.events import Ending, LinkClosed, LinkOpen

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


class Seeker:
    """Keeps one contact linked while it can be reached, directly if that is possible."""

    def __init__(self, person: bytes, dialler: Dials) -> None:
        self.person = person
        self.pace = Pace(dialler.config)
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


class Detour:
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
