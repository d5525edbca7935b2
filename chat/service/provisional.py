"""Links with own terminals that no log names here yet, on which operations pass alone (SPEC §7.8)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from chat.errors import ParlourError
from chat.network.driver import Driver, Handler
from chat.network.limits import Bucket
from chat.network.links import Peer
from chat.service.keyring import Keyring
from chat.service.own_log import OwnLog
from chat.service.person_logs import log_budget
from chat.tasks import Runtime
from protocol.errors import ProtocolError
from protocol.link.states import Event, LinkClosed, MessageReceived
from protocol.messages import LogHeads, LogOperations

LINKS_MAX: Final = 4
"""Links of this kind. Who holds the self key fills them: the oldest gives way to a new one."""


class Provisional:
    """The links of this kind, and what passes on them."""

    def __init__(self, runtime: Runtime, keyring: Keyring, log: OwnLog) -> None:
        self._runtime, self._keyring, self._log = runtime, keyring, log
        self._links: dict[Driver, _OnlyLogs] = {}

    def take(self, driver: Driver, static: bytes) -> Handler | None:
        """Take a link that has just opened, None where this terminal may not have one."""
        if not self._keyring.is_provisional(static):
            return None
        while len(self._links) >= LINKS_MAX:
            oldest = next(iter(self._links))
            self._links.pop(oldest)
            oldest.abort()
        budget = log_budget(self._runtime.clock.monotonic())
        self._links[driver] = handler = _OnlyLogs(self, Peer(self._keyring.own.person, static), budget)
        self._runtime.tasks.spawn(self.greet(driver))
        return handler

    async def greet(self, driver: Driver) -> None:
        """Say what is held of the own log, so that the other side sends what is lacking."""
        log = self._keyring.own_log
        await driver.send(LogHeads(log.person, list(log.heads)))

    async def delay(self, budget: Bucket) -> None:
        await asyncio.sleep(budget.reserve(self._runtime.clock.monotonic()))

    async def received(self, driver: Driver, peer: Peer, message: LogHeads | LogOperations) -> None:
        """Answer heads of the own log, and store operations of it. Raises ProtocolError, ParlourError."""
        if isinstance(message, LogOperations):
            await self._log.received(message.operations)
        elif message.person == self._keyring.own.person:
            for operations in await self._log.missing(message.heads):
                await driver.send(operations)

    def ended(self, driver: Driver) -> None:
        self._links.pop(driver, None)

    def settle(self) -> None:
        """End the links of terminals that may have another one now, or none: the other side dials again."""
        for driver, handler in list(self._links.items()):
            if not self._keyring.is_provisional(handler.peer.static):
                self._links.pop(driver)
                driver.abort()


class _OnlyLogs:
    """network.driver.Handler of one such link: every other message is passed over."""

    def __init__(self, links: Provisional, peer: Peer, budget: Bucket) -> None:
        self._links, self.peer, self._budget = links, peer, budget

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, LinkClosed):
                self._links.ended(driver)
            elif isinstance(event, MessageReceived) and isinstance(event.message, LogHeads | LogOperations):
                await self._links.delay(self._budget)
                try:
                    await self._links.received(driver, self.peer, event.message)
                except (ProtocolError, ParlourError):
                    driver.abort()
