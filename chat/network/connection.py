"""One TCP connection as `ports.Connection`, bounded in both directions; and how addresses are written."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from protocol.addresses import TEXT_MAX, canonical, is_link_local_v6, literal

_PORT: Final = re.compile(r"[0-9]{1,5}")


class NotLocal(OSError):
    """The address is not local, so nothing is sent to it."""

    def __init__(self, host: str) -> None:
        shown = host if literal(host) else "that"
        super().__init__(errno.EACCES, f"{shown} is not a local IP address")


class NotNamed(OSError):
    """The user does not name this relay, so nothing is sent to it or looked up."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "that is no relay that was named here")


def parse(text: str) -> tuple[str, int]:
    """(host, port) of "10.0.0.1:4747", "[fe80::1]:4747" or "[fe80::1%eth0]:4747", local or not.

    Raises ValueError with one line for the user.
    """
    host, colon, port = text.strip()[: TEXT_MAX + 1].rpartition(":")
    if not colon or not _PORT.fullmatch(port) or not 0 < int(port) < 65_536:
        raise ValueError("write the address as HOST:PORT, for example 192.168.1.20:4747")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    address = literal(bare)
    if address is None or bracketed != (":" in bare):
        raise ValueError("the host must be an IP address; IPv6 needs brackets: [fe80::1%eth0]:4747")
    return str(address), int(port)


def format_address(host: str, port: int) -> str:
    """The inverse of `parse`: HOST:PORT, with IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


UNKNOWN_MAX: Final = 64 * 1024
"""Bytes of one read, and unread bytes at which reading stops, while the other end is not known. Everybody on
the network can fill them, twice per connection, and then waits."""
UNREAD_MAX: Final = 256 * 1024
"""Unread bytes at which reading stops once it is. A peer can fill them, and then waits."""
UNREAD_LOW: Final = 64 * 1024
READ_MAX: Final = 512 * 1024
"""Bytes of one read then. A peer that sends fast can fill it, before reading stops at UNREAD_MAX."""
LINGER: Final = 2.0
"""Seconds to send what was written before the end."""


_ROOM: Final = memoryview(bytearray(READ_MAX))
"""Where the system puts what arrives, for all connections: each takes its bytes out of it at once."""


class TcpConnection(asyncio.BufferedProtocol):
    """An accepted or opened connection; `lost` is called once, when its socket is closed."""

    def __init__(self, lost: Callable[[TcpConnection], None] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._unread = deque[bytes]()
        self._unread_bytes = 0
        self._wide = False
        self._reading_paused = False
        self._held = False
        self._writing_paused = False
        self._ended = False
        self._waiting: set[asyncio.Future[None]] = set()
        self._linger: asyncio.TimerHandle | None = None

    @property
    def peer(self) -> str:
        """The other end's IP address; IPv6 link-local with %interface."""
        return self._peer

    async def read(self) -> bytes:
        """The next 1 to 524,288 bytes, or b"" when the stream has ended."""
        while not self._unread and not self._ended:
            await self._change()
        data = self._unread.popleft() if self._unread else b""
        self._unread_bytes -= len(data)
        if self._reading_paused and self._unread_bytes <= UNREAD_LOW:
            self._reading_paused = False
            self._read_on()
        return data

    def widen(self) -> None:
        """Let more bytes arrive at once from now on: the other end is known."""
        self._wide = True

    def hold(self, on: bool) -> None:
        """Let what arrives wait in the kernel from now on, or not any longer."""
        self._held = on
        if not on:
            self._read_on()
        elif self._transport is not None:
            self._transport.pause_reading()

    def _read_on(self) -> None:
        if self._transport is not None and not self._held and not self._reading_paused:
            self._transport.resume_reading()

    async def write(self, data: bytes) -> None:
        """Write bytes; waits until the system has taken them all. Raises ConnectionError."""
        if self._ended or self._transport is None:
            raise ConnectionResetError("the connection has ended")
        self._transport.write(data)
        # This write may have met the reset, of which the event loop learns next.
        if self._transport.is_closing():
            raise ConnectionResetError("the connection was reset")
        while self._writing_paused:
            await self._change()
            if self._ended:
                raise ConnectionResetError("the connection ended while data waited to be sent")

    def close(self) -> None:
        """End the stream; what was written is still sent, for two seconds, and a pending read returns b""."""
        self._forget()
        self._end()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the stream at once; unsent bytes are dropped."""
        self._forget()
        self._end()
        if self._transport is not None:
            self._transport.abort()

    def _forget(self) -> None:
        self._unread.clear()
        self._unread_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)
        self._peer = peer_host(transport.get_extra_info("peername"))
        if self._ended:
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return _ROOM if self._wide else _ROOM[:UNKNOWN_MAX]

    def buffer_updated(self, nbytes: int) -> None:
        if self._ended:
            return
        self._unread.append(bytes(_ROOM[:nbytes]))
        self._unread_bytes += nbytes
        most = UNREAD_MAX if self._wide else UNKNOWN_MAX
        if not self._reading_paused and self._unread_bytes >= most and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._end()
        return False  # the transport sends what is left, then closes

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._transport = None
        if self._linger is not None:
            self._linger.cancel()
        if self._lost is not None:
            self._lost(self)

    def _end(self) -> None:
        """Take no more bytes in or out; a peer that does not read cannot keep the socket open."""
        if not self._ended:
            self._ended = True
            if self._transport is not None:
                self._linger = self._loop.call_later(LINGER, self._transport.abort)
        self._wake()

    async def _change(self) -> None:
        change: asyncio.Future[None] = self._loop.create_future()
        self._waiting.add(change)
        try:
            await change
        finally:
            self._waiting.discard(change)

    def _wake(self) -> None:
        for change in self._waiting:
            if not change.done():
                change.set_result(None)


def peer_host(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """The canonical host of a socket address, with %interface if it is link-local."""
    host = canonical(address[0].partition("%")[0])
    if len(address) == 4 and is_link_local_v6(host):
        try:
            return f"{host}%{socket.if_indextoname(address[3])}"
        except OSError:  # the interface has gone meanwhile
            return f"{host}%{address[3]}"
    return host


def reset(refused: socket.socket) -> None:
    """Close with RST, since a flood would otherwise leave thousands of sockets in TIME_WAIT."""
    with contextlib.suppress(OSError):  # the peer may be gone
        refused.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    refused.close()


def listening_socket(
    family: socket.AddressFamily, address: tuple[str, int] | tuple[str, int, int, int], backlog: int
) -> socket.socket:
    """A socket that listens on one address of one family. Raises OSError."""
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        server.setblocking(False)
        if os.name == "posix":
            # On Windows this option would let another program take over the port.
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.bind(address)
        server.listen(backlog)
    except OSError:
        server.close()
        raise
    return server
