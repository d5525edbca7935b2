"""The relay's own page for whoever runs it: /metrics and /health, on a loopback address alone.

Rules: answers two paths and nothing else; a request is read to the end of its head, up to a bound and for a
few seconds; nothing of a request is kept, repeated or logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable
from typing import Final, cast

from chat.relay.counters import CONTENT_TYPE

HEAD_MAX: Final = 4_096
PATIENCE: Final = 5.0
AT_ONCE: Final = 16

Page = Callable[[], str]


def is_loopback(host: str) -> bool:
    """Whether an address stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Pages:
    """Serves `metrics` under /metrics, and ok under /health, on a listening socket."""

    def __init__(self, server: socket.socket, metrics: Page) -> None:
        self._socket, self._metrics = server, metrics
        self._server: asyncio.Server | None = None
        self._open: set[_Request] = set()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Request(self._open, self._metrics), sock=self._socket
        )

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for request in list(self._open):
            request.drop()


class _Request(asyncio.Protocol):
    """One connection, one answer."""

    def __init__(self, open_now: set[_Request], metrics: Page) -> None:
        self._open, self._metrics = open_now, metrics
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._end = asyncio.get_running_loop().call_later(PATIENCE, self.drop)
        self._open.add(self)
        if len(self._open) > AT_ONCE:
            self.drop()

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head:
            self._answer(self._head.partition(b"\r\n")[0])
        elif len(self._head) > HEAD_MAX:
            self._send("431 Request Header Fields Too Large", "")

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)
        if self._end is not None:
            self._end.cancel()

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, line: bytes) -> None:
        method, _, rest = line.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method != b"GET":
            self._send("405 Method Not Allowed", "")
        elif path == b"/metrics":
            self._send("200 OK", self._metrics())
        elif path == b"/health":
            self._send("200 OK", "ok\n")
        else:
            self._send("404 Not Found", "")

    def _send(self, status: str, body: str) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        content = body.encode()
        head = [f"HTTP/1.1 {status}", f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {len(content)}"]
        head += ["Cache-Control: no-store", "Connection: close", "", ""]
        with contextlib.suppress(OSError):
            self._transport.write("\r\n".join(head).encode() + content)
        self._transport.close()
