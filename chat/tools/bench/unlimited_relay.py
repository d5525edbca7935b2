"""A relay whose limits are lifted, so that one machine can be a crowd: for measuring, not for serving.

Run as `python -m chat.tools.bench.unlimited_relay`. Rules: it is the relay's own server, on loopback
alone; it prints its
address and ends when its input does.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from chat.ports import SystemClock
from chat.relay.quotas import Limits
from chat.relay.run import listen, port_of
from chat.relay.server import Relay, Settings
from protocol.keys import X25519Pair
from protocol.relay.rendezvous import RelayAddress, format_relay

_CROWD: Final = 1 << 20

LIFTED: Final = Limits(
    connections=_CROWD,
    connections_address=_CROWD,
    unproven=_CROWD,
    unproven_address=_CROWD,
    circuits_address=_CROWD,
    tokens=_CROWD * 128,
    tokens_address=_CROWD * 128,
    handshakes=_CROWD,
    handshakes_address=_CROWD,
)


async def serve() -> None:
    """Until the end of standard input."""
    pair = X25519Pair.generate()
    servers = listen("127.0.0.1", 0)
    relay = Relay(Settings(pair, SystemClock(), LIFTED))
    address = RelayAddress("127.0.0.1", port_of(servers[0]), pair.public)
    relay.start(servers)
    sys.stdout.write(format_relay(address) + "\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, ended.set)
    await ended.wait()
    loop.remove_reader(sys.stdin)
    relay.stop()


if __name__ == "__main__":
    asyncio.run(serve())
