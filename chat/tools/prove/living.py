"""A terminal of a proof: one real engine on a throw-away profile, on loopback."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from chat.config import Config
from chat.engine import open_engine
from chat.ipc.server import ControlServer
from chat.network.transport import Accept, Place, TcpTransport
from chat.ports import Announcement, DiscoveryEvents, Listener, Ports, SystemClock
from chat.storage import folder as stored_folder
from chat.storage import profile

HERE: Final = "127.0.0.1"


class LoopbackTransport(TcpTransport):
    places: Sequence[Place] = ((socket.AF_INET, HERE),)

    def addresses(self) -> tuple[str, ...]:
        return (HERE,)


CONFIG: Final = replace(Config(), keep_port=True, clean_after=0.0)
Say = Callable[[dict[str, object]], None]


class BehindWire:
    """ports.Listener, reached at the port of the wire in front of it."""

    def __init__(self, inner: Listener, port: int) -> None:
        self._inner, self.port = inner, port

    async def close(self) -> None:
        await self._inner.close()


class WiredTransport(LoopbackTransport):
    """Behind a wire at this port."""

    def __init__(self, port: int, say: Say) -> None:
        super().__init__()
        self._port, self._say = port, say

    async def listen(self, port: int, accept: Accept) -> Listener:  # type: ignore[override]
        inner = await super().listen(0, accept)
        self._say({"listening": inner.port})
        return BehindWire(inner, self._port)


class Nobody:
    """ports.Discovery that announces nothing: temporary people must not appear nearby."""

    events: DiscoveryEvents | None = None

    async def start(self, events: DiscoveryEvents) -> None:
        self.events = events

    async def announce(self, announcement: Announcement | None) -> None:
        """To nobody."""

    async def close(self) -> None:
        self.events = None


async def serve(folder: Path, port: int, say: Say) -> None:
    """Run the engine until standard input ends. A line means that the network has changed."""
    lines = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(lines)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    passphrase = (await lines.readline()).decode().rstrip("\n")
    opened = await asyncio.to_thread(profile.unlock, folder, passphrase)
    discovery = Nobody()
    ports = Ports(SystemClock(), os.urandom, WiredTransport(port, say), discovery)
    config = replace(CONFIG, port=port)
    engine = await open_engine(opened, ports, config, ThreadPoolExecutor(1, "database"))
    try:
        await engine.start()
        await engine.serve(ControlServer(engine, folder / stored_folder.SOCKET))
        say({"ready": os.getpid()})
        while await lines.readline():
            if discovery.events is not None:
                discovery.events.network_changed()
    finally:
        await engine.close()
