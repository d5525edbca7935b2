"""Reconnects contacts' terminals: all addresses of one in parallel, and relays when no address answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct

from chat.interface import RelayStanding
from chat.network.backoff import Backoff, Pauses
from chat.network.driver import Adopt, Driver, Handler, Opening, Result
from chat.network.links import Directory, LinkLost, LinkNeeded, Links, Peer, RelayedLinkOpened
from chat.network.relay.client import RelayClient, RelayStands
from chat.ports import Connection, Transport
from chat.tasks import Runtime, Tasks
from protocol.link.handshake import Initiator
from protocol.link.link import Link
from protocol.link.states import ContactPsk, Ending, LinkClosed, LinkOpen
from protocol.relay.rendezvous import RelayAddress

SHORT_LIFE = 2.0
"""Seconds that a link must live to count as a success."""

STEADY = 30.0
"""Seconds that a direct link must live: one that gave way to a relay sooner is not tried again at once."""

RELAPSES = (5.0, 600.0)
"""Least and most seconds until a direct link that did not last is tried again."""


class Connector:
    """Keeps one terminal of a contact linked directly, and retries next to a link through a relay."""

    def __init__(self, peer: Peer, dialer: Dialer) -> None:
        self._peer = peer
        self._dialer = dialer
        self._links = dialer.links
        self._clock, self._config = dialer.runtime.clock, dialer.runtime.config
        self._backoff = Backoff(self._config)
        self._wake = asyncio.Event()
        self._better = Pauses(self._config.probe_every, self._config.direct_retry_most)
        self._relapses = Pauses(*RELAPSES)
        self._turn = 0

    def wake(self) -> None:
        """Try again now."""
        self._wake.set()

    def encourage(self) -> None:
        """Try again now without backoff: the terminal can probably be reached."""
        self._backoff.encouraged(self._clock.monotonic())
        self._better.reset()
        self._turn = 0
        self._wake.set()

    def relayed(self, direct_for: float | None) -> None:
        """A link through a relay is open: retry slowly. `direct_for` as in RelayedLinkOpened."""
        self._backoff.opened(self._clock.monotonic())
        self._better.reset()
        if direct_for is not None and direct_for < STEADY:
            self._relapses.failed()
        elif direct_for is not None:
            self._relapses.reset()
        self._wake.set()

    def missed(self) -> None:
        self._backoff.heard(self._clock.monotonic())
        self._wake.set()

    def lost(self, lived: float) -> None:
        self._backoff.ended(lasted=lived >= SHORT_LIFE)
        self.missed()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._backoff.failures or self._is_relayed():
                await self._pause()
            if self._dialer.goes_second(self._peer) and self._links.current(self._peer) is None:
                await asyncio.sleep(self._config.second_dial_delay)
            while self._dialer.wants_direct(self._peer) and await self._attempt():
                await self._pause()

    def _is_relayed(self) -> bool:
        """Whether the terminal has a good link through a relay."""
        return self._links.sends_by_relay(self._peer) and not self._links.needs_link(self._peer)

    async def _attempt(self) -> bool:
        """Try once; whether to go on trying."""
        relayed, now = self._is_relayed(), self._clock.monotonic()
        timeout = self._config.dial_timeout if relayed else self._backoff.timeout(now)
        result = await self._dialer.dial(self._peer, timeout, self._turn)
        self._turn += 1
        if isinstance(result, LinkOpen):
            self._backoff.opened(self._clock.monotonic())
            return False
        if relayed:
            self._better.failed()
        else:
            self._backoff.failed(isinstance(result, LinkClosed) and result.reason is Ending.ERROR)
        return True

    async def _pause(self) -> None:
        """Wait for the next attempt, or until a wake, unless links or direct links have not lasted."""
        if self._is_relayed():
            delay = max(self._better.delay(1.0), self._relapses.delay(1.0))
        else:
            delay = self._backoff.delay(self._clock.monotonic())
        # wait_for of Python 3.11 loses a cancellation that comes together with the wake.
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                while await self._wake.wait():
                    self._wake.clear()
                    relapsed = self._is_relayed() and self._relapses.failures > 0
                    if not self._backoff.stumbling and not relapsed:
                        return


class RelayFallback:
    """Keeps one terminal of a contact linked through relays while there is no direct link."""

    def __init__(self, peer: Peer, dialer: Dialer) -> None:
        self._peer = peer
        self._dialer = dialer
        self._wake = asyncio.Event()
        self._config = dialer.runtime.config
        self._pauses = Pauses(self._config.relay_retry_least, self._config.relay_dials_most)

    def wake(self) -> None:
        """Try again now, unless an attempt failed a moment ago."""
        self._wake.set()

    def encourage(self) -> None:
        """Try again now: the terminal, or a relay, can probably be reached."""
        self._pauses.reset()
        self._wake.set()

    def lost(self, lived: float) -> None:
        """Its last link ended. A relay that cuts each link at once is asked less and less often."""
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
            await self._wait_for_others()
            while self._dialer.wants_relayed(self._peer) and await self._attempt():
                await self._pause()

    async def _wait_for_others(self) -> None:
        """Give a direct link, and the other side, the time to come first."""
        peer = self._peer
        if self._dialer.links.current(peer) is None:
            wait = self._config.direct_head_start if self._dialer.has_hints(peer) else 0.0
            wait += self._config.second_dial_delay if self._dialer.goes_second(peer) else 0.0
            await asyncio.sleep(wait)

    async def _attempt(self) -> bool:
        """Try once; whether to go on trying."""
        if isinstance(await self._dialer.dial_through_relays(self._peer), LinkOpen):
            return False
        self._pauses.failed()
        return True

    async def _pause(self) -> None:
        """Wait for the next attempt, or until `encourage`."""
        delay = self._pauses.delay(self._dialer.runtime.random(1)[0] / 255)
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                while self._pauses.failures:
                    await self._wake.wait()
                    self._wake.clear()


Attempt = asyncio.Task[Result | None]


class Race:
    """Attempts to link with one terminal: the first link that opens is taken, if it is still wanted."""

    def __init__(self, tasks: Tasks, wanted: Callable[[], bool] = lambda: True) -> None:
        self._tasks = tasks
        self._wanted = wanted
        self._running: set[Attempt] = set()
        self._won = False

    def enter(self, attempt: Coroutine[Any, Any, Result | None]) -> None:
        self._running.add(self._tasks.spawn(attempt))

    def first(self, adopt: Adopt) -> Adopt:
        """`adopt`, but only for the first link that opens."""

        async def once(driver: Driver, opened: LinkOpen) -> Handler | None:
            if self._won or not self._wanted():
                return None
            self._won = True
            return await adopt(driver, opened)

        return once

    async def result(self) -> Result | None:
        """The open link, else the latest failure; the losers are cancelled."""
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
"""Seconds between the starts of two addresses of one terminal (RFC 8305 names 0.25 s for the internet)."""

PLACES_AT_ONCE = 16
"""Addresses of one terminal that one attempt tries."""

NEXT_TERMINAL = 0.5
"""Seconds that a terminal at a relay has to open a link before the next one on its token is tried too."""


def places_of_turn(places: Sequence[tuple[str, int]], turn: int) -> Sequence[tuple[str, int]]:
    """The addresses that one attempt tries: always the first one, and the others in turns."""
    rest = places[1:]
    if len(places) <= PLACES_AT_ONCE:
        return places
    start = turn * (PLACES_AT_ONCE - 1) % len(rest)
    return [places[0], *rest[start:], *rest[:start]][:PLACES_AT_ONCE]


class _Reconnecting(Struct, frozen=True):
    """The two that reconnect one terminal, and their tasks."""

    connector: Connector
    fallback: RelayFallback
    tasks: tuple[asyncio.Task[None], ...]


class Dialer:
    """Dials contacts' terminals; one connector and one relay fallback per terminal decide when.

    `adopt` takes an open link. Whatever answers without the terminal's keys gets none.
    """

    def __init__(
        self,
        runtime: Runtime,
        directory: Directory,
        links: Links,
        adopt: Adopt,
        relay_client: RelayClient,
        transport: Transport,
    ) -> None:
        self.runtime = runtime
        self.links = links
        self._directory, self._adopt, self._relay_client = directory, adopt, relay_client
        self._transport = transport
        self._peers: dict[Peer, _Reconnecting] = {}

    # Reasons to dial.

    def follow(self, peers: Sequence[Peer]) -> None:
        """Reconnect exactly these terminals from now on."""
        for peer in [peer for peer in self._peers if peer not in peers]:
            for task in self._peers.pop(peer).tasks:
                task.cancel()
        for peer in peers:
            if peer not in self._peers:
                connector, fallback = Connector(peer, self), RelayFallback(peer, self)
                spawn = self.runtime.tasks.spawn
                tasks = (spawn(connector.run()), spawn(fallback.run()))
                self._peers[peer] = _Reconnecting(connector, fallback, tasks)
                connector.wake()
                fallback.wake()

    def seek(self, peer: Peer) -> None:
        """Dial a terminal that can probably be reached now."""
        if (one := self._peers.get(peer)) is not None:
            one.connector.encourage()
            one.fallback.encourage()

    def seek_all(self) -> None:
        """Dial all terminals: the network has changed."""
        for peer in self._peers:
            self.seek(peer)

    def needed(self, signal: LinkNeeded) -> None:
        if (one := self._peers.get(signal.peer)) is not None:
            one.connector.missed()
            one.fallback.wake()

    def lost(self, signal: LinkLost) -> None:
        if (one := self._peers.get(signal.peer)) is not None:
            one.connector.lost(signal.lived)
            one.fallback.lost(signal.lived)

    def relayed(self, signal: RelayedLinkOpened) -> None:
        if (one := self._peers.get(signal.peer)) is not None:
            one.connector.relayed(signal.direct_for)

    def relay_stands(self, signal: RelayStands) -> None:
        """Dial through relays again when one is ready."""
        if signal.standing is RelayStanding.WAITING:
            for one in self._peers.values():
                one.fallback.encourage()

    # What connectors ask.

    def wants_direct(self, peer: Peer) -> bool:
        """Whether a direct link is wanted, and there is an address to try."""
        wanted = self.links.needs_link(peer) or self.links.sends_by_relay(peer)
        return wanted and self.has_hints(peer)

    def wants_relayed(self, peer: Peer) -> bool:
        """Whether a link through a relay is wanted, and there is a relay to try."""
        return bool(self._relay_client.named) and self.links.needs_relayed_link(peer)

    def has_hints(self, peer: Peer) -> bool:
        return bool(self._directory.hints(peer))

    def goes_second(self, peer: Peer) -> bool:
        """Whether the other side dials first: the one with the lower key does."""
        return self._directory.identity.static.public > peer.static

    # Dialling.

    async def dial(self, peer: Peer, timeout: float, turn: int = 0) -> Result | None:
        """Try addresses; the first open link wins. None if none answered. `turn`: as for `places_of_turn`."""
        psks = self._directory.dial_psks(peer)
        if not psks:
            return None
        race = Race(self.runtime.tasks)
        for number, (host, port) in enumerate(places_of_turn(self._directory.hints(peer), turn)):
            race.enter(self._directly(peer, psks, host, port, timeout, STAGGER * number, race))
        return await race.result()

    async def dial_through_relays(self, peer: Peer) -> Result | None:
        """Try all named relays; the first open link wins. None if the terminal waits at none."""
        psks = self._directory.dial_psks(peer)
        if not psks:
            return None
        race = Race(self.runtime.tasks, lambda: self.wants_relayed(peer))
        for relay in self._relay_client.named:
            race.enter(self._through(peer, psks, relay, 0, race))
        return await race.result()

    async def _directly(
        self,
        peer: Peer,
        psks: Sequence[ContactPsk],
        host: str,
        port: int,
        timeout: float,
        delay: float,
        race: Race,
    ) -> Result | None:
        await asyncio.sleep(delay)
        try:
            connection = await self._transport.connect(host, port, timeout)
        except OSError:
            return None
        return await self._open(peer, psks, connection, race)

    async def _through(
        self, peer: Peer, psks: Sequence[ContactPsk], relay: RelayAddress, place: int, race: Race
    ) -> Result | None:
        """Dial the terminal at a place on the peer's tokens; after a moment, the next one on it too."""
        if place:
            await asyncio.sleep(NEXT_TERMINAL)
        reached = await self._relay_client.dial(
            relay, lambda day: self._directory.dial_tokens(peer, relay.key, day), place
        )
        if reached is None:
            return None
        if reached.others > place:
            race.enter(self._through(peer, psks, relay, place + 1, race))
        return await self._open(peer, psks, reached.circuit, race)

    async def _open(
        self, peer: Peer, psks: Sequence[ContactPsk], connection: Connection, race: Race
    ) -> Result | None:
        opening = Opening(race.first(self._adopt))
        driver = Driver(connection, self._link(peer, psks), self.runtime.clock, self.runtime.beat, opening)
        running = self.runtime.tasks.spawn(driver.run())
        try:
            return await asyncio.shield(opening.result)
        except asyncio.CancelledError:
            driver.abort()
            await asyncio.wait([running])
            raise

    def _link(self, peer: Peer, psks: Sequence[ContactPsk]) -> Link:
        current = self.links.current(peer)
        identity = self._directory.identity
        start = Initiator.contact(
            identity.static,
            peer.static,
            identity.person,
            peer.person,
            psks,
            replaces=current.session if current is not None else b"",
            static_dh=identity.static_dh,
            random=self.runtime.random,
            features=self.runtime.config.features,
        )
        return Link(start, self.runtime.clock.monotonic())
