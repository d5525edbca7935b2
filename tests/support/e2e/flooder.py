"""Floods a port from many addresses, with connections of a kind: `… flooder KIND HOST PORT` counts them."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count, cycle

from protocol.link.framing import Pattern
from tests.support.protocol.links import choice

WORKERS = 48
HELD = 3_000
"""Silent connections that are kept open; the oldest are ended for new ones."""
EVERY = 200
"""Connections between two lines of output."""
SOURCES = [f"10.77.0.{number}" for number in range(100, 140)]

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def silence(stream: Stream, held: deque[asyncio.StreamWriter]) -> None:
    """Hold the connection and say nothing."""
    held.append(stream[1])
    if len(held) > HELD:
        held.popleft().close()


async def garbage(stream: Stream, held: deque[asyncio.StreamWriter]) -> None:
    """Say what is no protocol, until the other side has enough."""
    _, writer = stream
    for _ in range(64):
        writer.write(os.urandom(16_384))
        await writer.drain()
    writer.close()


async def half(stream: Stream, held: deque[asyncio.StreamWriter]) -> None:
    """Announce the largest frame, send a part of it, and hold the connection."""
    reader, writer = stream
    await reader.readexactly(28)
    writer.write(b"\xff\xff" + choice(Pattern.IKPSK2) + os.urandom(40_000))
    await writer.drain()
    await silence(stream, held)


async def handshakes(stream: Stream, held: deque[asyncio.StreamWriter]) -> None:
    """Begin handshakes that cost the other side its keys' work and lead nowhere."""
    reader, writer = stream
    await reader.readexactly(28)
    message = choice(Pattern.IKPSK2) + os.urandom(1500)
    writer.write(len(message).to_bytes(2, "big") + message)
    await writer.drain()
    await reader.read(4096)
    writer.close()


Kind = Callable[[Stream, deque[asyncio.StreamWriter]], Awaitable[None]]
KINDS: dict[str, Kind] = {one.__name__: one for one in (silence, garbage, half, handshakes)}


async def flood(kind: Kind, host: str, port: int) -> None:
    sources, numbers = cycle(SOURCES), count(1)
    held: deque[asyncio.StreamWriter] = deque()

    async def work() -> None:
        while True:
            try:
                stream = await asyncio.open_connection(host, port, local_addr=(next(sources), 0))
                await kind(stream, held)
            except (OSError, EOFError):
                await asyncio.sleep(0)  # refused, which is what the other side should do
            if (number := next(numbers)) % EVERY == 0:
                sys.stdout.write(f"{number}\n")
                sys.stdout.flush()

    await asyncio.gather(*(work() for _ in range(WORKERS)))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    asyncio.run(flood(KINDS[sys.argv[1]], sys.argv[2], int(sys.argv[3])))
