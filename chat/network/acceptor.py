"""Accepts connections: admission, the responder's handshake, and who takes the open link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from chat.network.driver import Adopt, Burn, Driver, Handler, Opening
from chat.network.limits import Admission
from chat.network.links import Directory
from chat.ports import Connection
from chat.tasks import Runtime
from protocol.link.framing import Pattern
from protocol.link.handshake import Responder
from protocol.link.link import Link
from protocol.link.states import LinkOpen


class Acceptor:
    """Answers connections: links of contacts go to `adopt`, those of strangers to `pair`.

    A stranger learns that this is Parlour, and the name only while it is visible. `comparing` gives the
    features of the lists of words that this person reads.
    """

    def __init__(
        self,
        runtime: Runtime,
        directory: Directory,
        adopt: Adopt,
        pair: Adopt,
        burn: Burn,
        comparing: Callable[[], Collection[int]] = tuple,
    ) -> None:
        config = runtime.config
        self._clock, self._beat, self._tasks = runtime.clock, runtime.beat, runtime.tasks
        self._random, self._features = runtime.random, config.features
        self._directory, self._comparing = directory, comparing
        self._adopt_contact = adopt
        self._pair = pair
        self._burn = burn
        self._admission = Admission(config.handshakes_total, config.handshakes_address, config.handshake_rate)
        self._opening: set[Driver] = set()
        self._stopped = False

    def accept(self, connection: Connection, relay: str = "") -> Coroutine[Any, Any, None]:
        """Serve one connection until its link ends. `relay`: the named relay through which it came."""
        address = relay or connection.peer
        peers = self._directory.known_at(address.partition("%")[0])
        known, now = bool(relay or peers), self._clock.monotonic()
        dialled = [peer for peer in peers if self._directory.is_dialled(peer)]
        entered = None if self._stopped else self._admission.enter(address, known, now, dialled)
        if entered is None:
            connection.close()
            return asyncio.sleep(0)
        opening, identity = Opening(self._adopt, self._burn), self._directory.identity
        start = Responder(
            identity.static,
            self._directory,
            random=self._random,
            features=self._features,
            comparing=self._comparing(),
        )
        link = Link(start, self._clock.monotonic())
        driver = Driver(connection, link, self._clock, self._beat, opening)

        def opened(_: object) -> None:
            self._opening.discard(driver)
            self._admission.leave(entered)

        self._opening.add(driver)
        opening.result.add_done_callback(opened)
        return self._serve(driver)

    async def _serve(self, driver: Driver) -> None:
        """Run a driver as a task of the engine, whose clients hear of a failure."""
        task = self._tasks.spawn(driver.run())
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()

    def stop(self) -> None:
        """Accept nothing more, and cut the connections whose link is not open yet."""
        self._stopped = True
        for driver in self._opening:
            driver.abort()

    async def _adopt(self, driver: Driver, opened: LinkOpen) -> Handler | None:
        if self._stopped:
            return None
        if opened.pattern is Pattern.IKPSK2:
            return await self._adopt_contact(driver, opened)
        if opened.pattern in (Pattern.XX, Pattern.LINKING) and not driver.connection.peer:
            return None  # neither is possible through a relay
        return await self._pair(driver, opened)
