"""Real sockets for tests: a listener whose connections are taken one by one, and strangers who knock."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterable

from chat.network.connection import TcpConnection
from chat.network.transport import TcpListener, TcpTransport
from chat.ports import Connection

SECONDS = 20.0  # until a test that hangs is ended


class Server:
    def __init__(self, listener: TcpListener, accepted: asyncio.Queue[TcpConnection]) -> None:
        self.listener = listener
        self.port = listener.port
        self._accepted = accepted

    async def take(self) -> TcpConnection:
        return await asyncio.wait_for(self._accepted.get(), SECONDS)

    async def take_from(self, stranger: socket.socket) -> TcpConnection:
        """The connection of that stranger; those before it are passed over."""
        while (connection := await self.take()) is not None:
            wire = connection._transport
            if wire is not None and wire.get_extra_info("peername") == stranger.getsockname():
                return connection
        raise AssertionError("unreachable")


@contextlib.asynccontextmanager
async def serving(transport: TcpTransport) -> AsyncIterator[Server]:
    accepted: asyncio.Queue[TcpConnection] = asyncio.Queue()
    everyone: list[TcpConnection] = []

    async def accept(connection: Connection) -> None:
        assert isinstance(connection, TcpConnection)
        everyone.append(connection)
        accepted.put_nowait(connection)

    listener = await transport.listen(0, accept)
    try:
        yield Server(listener, accepted)
    finally:
        await listener.close()
        await gone(everyone)


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop run until something that it brings about is so."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110  # what is waited for sets no event
            await asyncio.sleep(0)


async def gone(connections: Iterable[TcpConnection]) -> None:
    """Drop connections and wait until their sockets are closed."""
    left = list(connections)
    for connection in left:
        connection.abort()
    await until(lambda: all(connection._transport is None for connection in left))


async def read_exactly(connection: Connection, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += (part := await asyncio.wait_for(connection.read(), SECONDS))
        assert part, "the stream ended early"
    return data


async def read_all(connection: Connection) -> bytes:
    data = b""
    while part := await asyncio.wait_for(connection.read(), SECONDS):
        data += part
    return data


async def knock(port: int, source: str = "127.0.0.1") -> socket.socket:
    """A stranger: a socket of its own, from an address of its choice, to this machine's port."""
    stranger = socket.socket()
    stranger.setblocking(False)
    stranger.bind((source, 0))
    await asyncio.get_running_loop().sock_connect(stranger, ("127.0.0.1", port))
    return stranger


async def is_reset(stranger: socket.socket) -> bool:
    """Whether the other side hangs up without a word."""
    loop = asyncio.get_running_loop()
    with stranger:
        try:
            return await asyncio.wait_for(loop.sock_recv(stranger, 1), SECONDS) == b""
        except ConnectionResetError:
            return True
