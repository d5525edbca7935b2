"""A messenger behind its socket, for the tests of both ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chat.interface import Messenger
from chat.ipc.client import RemoteMessenger
from chat.ipc.server import ControlServer
from tests.support.fakes.messenger import FakeMessenger


@asynccontextmanager
async def served(messenger: Messenger, path: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(messenger, path)
    await server.start()
    try:
        yield server
    finally:
        await messenger.close()
        await server.close()


Both = tuple[FakeMessenger, RemoteMessenger]
"""A fake, and a client of it with the socket between them."""


@asynccontextmanager
async def fake_and_client(path: Path) -> AsyncIterator[Both]:
    """Both, with the socket at `path`."""
    messenger = FakeMessenger()
    async with served(messenger, path):
        client = await RemoteMessenger.open(path)
        yield messenger, client
        await client.close()
