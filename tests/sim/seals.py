"""What a terminal encrypts and for which terminal, noted where the driver of a link seals it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chat.network.driver import Driver, Opening
from chat.network.links import Peer
from protocol.link.states import LinkOpen
from protocol.messages import Message
from tests.sim.loop import LIFE


class Seals:
    """`watch` gets the host, the terminal at the other end and the message, before it is sealed."""

    def __init__(self) -> None:
        self.watch: Callable[[str, Peer, Message], None] = lambda host, peer, message: None


def _watched() -> Seals:
    """Every driver of this process says what it seals on a link of known persons."""
    seals, opened, send = Seals(), Opening._opened, Driver.send

    async def noting(self: Opening, driver: Any, event: LinkOpen, rest: Sequence[Any]) -> None:
        if event.person is not None:
            driver.sealed_for = Peer(event.person, event.peer_static)
        await opened(self, driver, event, rest)

    async def watched(self: Any, message: Message) -> None:
        peer, life = getattr(self, "sealed_for", None), LIFE.get()
        closed = getattr(self.connection, "closed", False)  # nothing leaves any more
        if self.link.is_open and not closed and peer is not None and life is not None:
            seals.watch(life.host, peer, message)
        await send(self, message)

    Opening._opened = noting  # type: ignore[method-assign]
    Driver.send = watched  # type: ignore[method-assign]
    return seals


SEALS = _watched()
