"""Programs that forward while a relay is measured: `python -m chat.tools.bench.forwarders splice|relay`.

`splice` joins two connections with bare asyncio protocols. `relay` is the relay's server without limits, so
that one machine can be a crowd. Both listen on loopback and print where.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final, cast

from chat.ports import SystemClock
from chat.relay.quotas import Limits
from chat.relay.run import listen, port_of
from chat.relay.server import Relay, Settings
from protocol.keys import X25519Pair
from protocol.relay.rendezvous import RelayAddress, format_relay

_CROWD: Final = 1 << 20

UNLIMITED: Final = Limits(
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


class Splice(asyncio.Protocol):
    """One of the two connections. A slow reader stops the other side, as with any honest forwarder."""

    def __init__(self, ended: asyncio.Event, met: list[Splice]) -> None:
        self._ended, self._met = ended, met
        self.transport: asyncio.Transport | None = None
        self.early = b""  # what came before the other side
        met.append(self)

    @property
    def _other(self) -> Splice | None:
        return next((one for one in self._met[:2] if one is not self), None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self._other is not None:
            self.transport.write(self._other.early)

    def data_received(self, data: bytes) -> None:
        if self._other is not None and self._other.transport is not None:
            self._other.transport.write(data)
        else:
            self.early += data

    def pause_writing(self) -> None:
        if self._other is not None and self._other.transport is not None:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and self._other.transport is not None:
            self._other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()


def _say(place: object) -> None:
    sys.stdout.write(f"{place}\n")
    sys.stdout.flush()


async def splice() -> None:
    """Join the first two connections until one of them ends."""
    ended, met = asyncio.Event(), list[Splice]()
    server = await asyncio.get_running_loop().create_server(lambda: Splice(ended, met), "127.0.0.1", 0)
    _say(server.sockets[0].getsockname()[1])
    await ended.wait()
    server.close()


async def relay() -> None:
    """Serve until standard input ends."""
    pair = X25519Pair.generate()
    servers = listen("127.0.0.1", 0)
    server = Relay(Settings(pair, SystemClock(), UNLIMITED))
    server.start(servers)
    _say(format_relay(RelayAddress("127.0.0.1", port_of(servers[0]), pair.public)))
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, ended.set)
    await ended.wait()
    loop.remove_reader(sys.stdin)
    server.stop()


if __name__ == "__main__":
    asyncio.run({"splice": splice, "relay": relay}[sys.argv[1]]())
