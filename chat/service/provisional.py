"""Links with terminals that are none of their person's by the log held here (SPEC §7.8.2).

Operations of that log alone pass on them: what brings the terminal in, or what took it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from chat.errors import ParlourError
from chat.network.driver import Driver, Handler
from chat.network.links import LiveLink, Peer
from chat.service.keyring import Keyring
from chat.service.person_logs import Intake, PersonLogs, log_intake
from chat.storage import persons
from chat.storage.database import Store
from chat.tasks import Runtime
from protocol.errors import ProtocolError
from protocol.identity.exchange import farewell, in_messages
from protocol.link.states import Event, LinkClosed, LinkOpen, MessageReceived, Role
from protocol.messages import LogHeads, LogOperations

LINKS_MAX: Final = 8
"""Provisional links. Who holds a secret of this person or of a contact fills them: the oldest gives way."""

TOLD_EVERY: Final = 60.0
"""Seconds in which a terminal that was removed hears of that once. It alone can ask for it more often."""

DONE: Final = 0


class Provisional:
    """The links of terminals that no log names here yet, and of those that a log names as gone."""

    def __init__(self, runtime: Runtime, store: Store, keyring: Keyring, logs: PersonLogs) -> None:
        self._runtime, self._store, self._keyring, self._logs = runtime, store, keyring, logs
        self._links: dict[Driver, _OnlyLogs] = {}
        self._told: dict[Peer, float] = {}

    def take(self, driver: Driver, opened: LinkOpen) -> Handler | None:
        """Take a link that has just opened, None where its terminal may not have one."""
        if opened.person is None or opened.role is not Role.RESPONDER:
            return None
        peer = Peer(opened.person, opened.peer_static)
        if self._keyring.was_removed(peer) and self._now() >= self._told.get(peer, 0.0):
            self._runtime.tasks.spawn(self._tell(driver, peer))
            return _NOTHING
        if not self._keyring.is_provisional(peer):
            return None
        while len(self._links) >= LINKS_MAX:
            oldest = next(iter(self._links))
            self._links.pop(oldest)
            oldest.abort()
        self._links[driver] = handler = _OnlyLogs(self, peer, log_intake(self._now()))
        self._runtime.tasks.spawn(self._greet(driver, peer))
        return handler

    def settle(self) -> None:
        """End the links of terminals that may have another one now, or none: the other side dials again."""
        for driver, handler in list(self._links.items()):
            if not self._keyring.is_provisional(handler.peer):
                self._links.pop(driver)
                driver.abort()

    def part(self, link: LiveLink) -> bool:
        """Tell a terminal that was just removed on the link it has, which then ends; whether it was."""
        if not self._keyring.was_removed(link.peer):
            return False
        self._runtime.tasks.spawn(self._tell(link.driver, link.peer))
        return True

    async def _tell(self, driver: Driver, peer: Peer) -> None:
        self._told[peer] = self._now() + TOLD_EVERY
        operations, pins = await self._store.read(persons.log_of, peer.person)
        with suppress(ProtocolError):
            said = await self._runtime.worker.run(farewell, operations, peer.static, pins)
            for message in in_messages(said):
                await driver.send(message)
        await driver.close(DONE)

    async def _greet(self, driver: Driver, peer: Peer) -> None:
        """Say what is held of the log, so that the other side sends what is lacking."""
        log = self._keyring.log(peer.person)
        await driver.send(LogHeads(log.person, list(log.heads)))

    async def received(
        self, driver: Driver, peer: Peer, message: LogHeads | LogOperations, intake: Intake
    ) -> None:
        """Answer heads of the log, and store operations of it. Raises ProtocolError, ParlourError."""
        cost = intake.cost(message) if isinstance(message, LogOperations) else 1
        await asyncio.sleep(intake.reserve(self._now(), cost))
        if isinstance(message, LogOperations):
            await self._logs.received(peer, message.operations, intake)
        elif message.person == peer.person:
            for operations in await self._logs.named(peer, message.person, message.heads):
                await driver.send(operations)

    def ended(self, driver: Driver) -> None:
        self._links.pop(driver, None)

    def _now(self) -> float:
        return self._runtime.clock.monotonic()


class _OnlyLogs:
    """network.driver.Handler of a provisional link: every other message is passed over."""

    def __init__(self, links: Provisional, peer: Peer, intake: Intake) -> None:
        self._links, self.peer, self._intake = links, peer, intake

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, LinkClosed):
                self._links.ended(driver)
            elif isinstance(event, MessageReceived) and isinstance(event.message, LogHeads | LogOperations):
                try:
                    await self._links.received(driver, self.peer, event.message, self._intake)
                except (ProtocolError, ParlourError):
                    driver.abort()


class _Nothing:
    """network.driver.Handler of a link on which nothing that comes is heard."""

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        pass


_NOTHING: Final = _Nothing()
