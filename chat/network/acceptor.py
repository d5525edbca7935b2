"""Answering those who dial: admission, the responder's handshake, and who takes the open link.

Rules: nothing is shown and nothing is closed before a link is open; a stranger learns that Parlour is here,
and the name only of whoever is visible.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from chat.config import Config
from chat.network.driver import Driver, Handler, Opening
from chat.network.limits import Admission
from chat.network.links import Directory, Links
from chat.ports import Clock, Connection, Random
from protocol.link.framing import Pattern
from protocol.link.handshake import Responder
from protocol.link.link import Link
from protocol.link.states import HandshakeAuthenticated, LinkOpen

PairingOpened = Callable[[Driver, LinkOpen], Awaitable[Handler | None]]
Burn = Callable[[HandshakeAuthenticated], Awaitable[bool]]


class Acceptor:
    """Accepts connections: contacts' links go to `Links`, others to `pairing`."""

    def __init__(
        self,
        directory: Directory,
        links: Links,
        clock: Clock,
        random: Random,
        config: Config,
        pairing: PairingOpened,
        burn: Burn,
    ) -> None:
        self._directory = directory
        self._links = links
        self._clock = clock
        self._random = random
        self._pairing = pairing
        self._burn = burn
        self._admission = Admission(config.handshakes_total, config.handshakes_address, config.handshake_rate)
        self._opening: set[Driver] = set()
        self._stopped = False

    def accept(self, connection: Connection, relay: str = "") -> Coroutine[Any, Any, None]:
        """What serves one connection until its link ends. `relay`: through which it came, a named one."""
        address = relay or connection.peer
        known = bool(relay) or address.partition("%")[0] in self._directory.known_addresses()
        if self._stopped or not self._admission.enter(address, known, self._clock.monotonic()):
            connection.close()
            return asyncio.sleep(0)
        opening = Opening(self._adopt, self._burn)
        driver = Driver(connection, self._link(), self._clock, opening)
        self._opening.add(driver)
        opening.result.add_done_callback(lambda _: self._left(driver, address))
        return driver.run()

    def _left(self, driver: Driver, address: str) -> None:
        self._opening.discard(driver)
        self._admission.leave(address)

    def stop(self) -> None:
        """Answer nobody any more; who has only begun is cut off."""
        self._stopped = True
        for driver in self._opening:
            driver.abort()

    def _link(self) -> Link:
        identity = self._directory.identity
        start = Responder(identity.static, self._directory, static_dh=identity.static_dh, random=self._random)
        return Link(start, self._clock.monotonic())

    async def _adopt(self, driver: Driver, opened: LinkOpen) -> Handler | None:
        if self._stopped:
            return None
        if opened.pattern is Pattern.IKPSK2:
            return await self._links.adopt(driver, opened)
        if opened.pattern is Pattern.XX and not driver.connection.peer:
            return None  # whoever pairs nearby is nearby
        return await self._pairing(driver, opened)
