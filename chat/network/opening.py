"""The handler of a link that is not open yet: waits for LinkOpen, then hands the driver on.

Rules: what a closed or refused handshake means is decided by whoever waits on `result`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from chat.network.driver import Driver, Handler
from protocol.events import Event, HandshakeAuthenticated, LinkClosed, LinkOpen, NotParlour, VersionRefused

Result = LinkOpen | LinkClosed | VersionRefused | NotParlour
Adopt = Callable[[Driver, LinkOpen], Awaitable[Handler | None]]
Burn = Callable[[HandshakeAuthenticated], Awaitable[bool]]


async def refuse_all(event: HandshakeAuthenticated) -> bool:
    """For links on which nobody can use an invitation."""
    return False


class Opening:
    """Waits for a link to open. `adopt` gives the handler that follows, None to close the link again.

    `result` is the first of: the link is open, it closed, the other side is of another version or is not
    Parlour.
    """

    def __init__(self, adopt: Adopt, burn: Burn = refuse_all) -> None:
        self.result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._adopt = adopt
        self._burn = burn

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        for index, event in enumerate(events):
            if isinstance(event, LinkOpen):
                return await self._opened(driver, event, events[index + 1 :])
            if isinstance(event, HandshakeAuthenticated):
                await self._authenticated(driver, event)
            elif isinstance(event, LinkClosed | VersionRefused | NotParlour):
                self._settle(event)
        return None

    async def _opened(self, driver: Driver, event: LinkOpen, rest: Sequence[Event]) -> None:
        handler = await self._adopt(driver, event)
        if handler is None:
            await driver.close(0)
        else:
            driver.handler = handler
        self._settle(event)
        if handler is not None and rest:
            await handler.on_events(driver, rest)

    async def _authenticated(self, driver: Driver, event: HandshakeAuthenticated) -> None:
        if await self._burn(event):
            await driver.resume()
        else:
            driver.abort()

    def _settle(self, result: Result) -> None:
        if not self.result.done():
            self.result.set_result(result)
