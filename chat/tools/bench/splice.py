"""The bare splice that the relay is measured against: two connections, asyncio's own protocols, nothing else.

Run as `python -m chat.tools.bench.splice`. Rules: prints its port, joins the first two that come, ends
with them;
what a slow reader has not taken stops the other side, as with any honest forwarder.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast


class Splice(asyncio.Protocol):
    """One of the two: what it hears the other one says."""

    def __init__(self, ended: asyncio.Event, met: list[Splice]) -> None:
        self._ended = ended
        self.other: Splice | None = None
        self.transport: asyncio.Transport | None = None
        met.append(self)
        if len(met) == 2:
            self.other, met[0].other = met

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

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
