"""A circuit through a relay as `ports.Connection`: what the rendezvous has read too far comes first.

Rules: from here on the bytes are a link's and the relay is a wire; whose address is at the other end, nobody
here knows.
"""

from __future__ import annotations

from collections.abc import Callable

from chat.ports import Connection


class Circuit:
    """The stream of a connection to a relay, once it has joined two terminals. `rest`: bytes of the link.

    `closed` is called when this side ends it.
    """

    peer = ""

    def __init__(self, connection: Connection, rest: bytes) -> None:
        self._connection = connection
        self._rest = rest
        self.closed: Callable[[], None] = lambda: None

    async def read(self) -> bytes:
        """As ports.Connection."""
        rest, self._rest = self._rest, b""
        return rest or await self._connection.read()

    async def write(self, data: bytes) -> None:
        """As ports.Connection."""
        await self._connection.write(data)

    def close(self) -> None:
        """As ports.Connection."""
        self._rest = b""
        self._connection.close()
        self.closed()
