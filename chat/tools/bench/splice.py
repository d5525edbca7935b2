"""The bare splice that the relay is measured against: two connections, asyncio's own protocols, nothing else.

Run as `python -m chat.tools.bench.splice`. It prints its port, joins the first two connections and ends with
them. A slow reader stops the other side, as with any honest forwarder.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast


class Splice(asyncio.Protocol):
    """One of the two connections; writes to the other one what it reads."""

    def __init__(self, ended: asyncio.Event, met: list[Splice]) -> None:
        self._ended, self._met = ended, met
        self.transport: asyncio.Transport | None = None
        met.append(self)

    @property
    def _other(self) -> asyncio.Transport | None:
        return next((one.transport for one in self._met[:2] if one is not self), None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if (other := self._other) is not None:
            other.write(data)

    def pause_writing(self) -> None:
        if (other := self._other) is not None:
            other.pause_reading()

    def resume_writing(self) -> None:
        if (other := self._other) is not None:
            other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()


async def serve() -> None:
    """Until one of the two has gone."""
    ended, met = asyncio.Event(), list[Splice]()
    server = await asyncio.get_running_loop().create_server(lambda: Splice(ended, met), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
