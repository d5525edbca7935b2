"""A server for one file: over HTTP, on local addresses, under a random path, until it was fetched once.

It is no web server: it answers one request per connection, and only two paths. Others on the network can
reach it, and see what passes. What they can take is one of a few connections, for seconds.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from chat.network.connection import format_address
from chat.network.interfaces import own_addresses
from chat.network.transport import Place, TcpTransport
from chat.ports import Connection, Random
from protocol.addresses import is_link_local_v6
from protocol.primitives import system_random

LASTS: Final = 600.0
"""Seconds for which a download may begin, and which one may take."""
CONNECTIONS_MAX: Final = 64
CONNECTIONS_FROM_ONE: Final = 4
"""Connections at the same time, in total and per address. A machine with many addresses can fill the first.
The oldest connection then makes room (see limits.Gate), but for one that has named the path."""
HEAD_MAX: Final = 8_192
HEAD_WITHIN: Final = 10.0
"""Bytes of a request, and seconds in which they come. Any machine on the network can use them up."""
STALLED: Final = 30.0
"""Seconds in which a block of the file is taken, or the download has failed."""

_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that look alike on a screen."""
_PATH: Final = 10
_BLOCK: Final = 65_536
_REQUEST: Final = re.compile(rb"(GET|HEAD) (/[a-z0-9./]{0,80}) HTTP/1\.[01]\r?\n")


def random_path(random: Random = system_random) -> str:
    """Ten letters that nobody guesses in ten minutes: 49 bits."""
    return "".join(_LETTERS[int.from_bytes(random(8)) % len(_LETTERS)] for _ in range(_PATH))


class LocalServer(TcpTransport):
    """Listens on these addresses of this machine alone. What is not local is reset, as everywhere."""

    def __init__(self, addresses: Iterable[str]) -> None:
        super().__init__(total=CONNECTIONS_MAX, an_address=CONNECTIONS_FROM_ONE)
        self.places: tuple[Place, ...] = tuple(
            (socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in addresses
        )

    @classmethod
    def of_this_machine(cls) -> LocalServer:
        """On the addresses that this machine announces, but for those that need an interface's name."""
        return cls(address for address in own_addresses() if not is_link_local_v6(address))


def addresses(server: LocalServer, port: int, path: str) -> list[str]:
    """Where the offer is, for each address of this machine."""
    return [f"http://{format_address(host, port)}/{path}" for _, host in server.places]


class Offer:
    """One file, under its `name` below `path`, and a `page` for browsers at the path itself.

    `say` gets a line where somebody begins to fetch it, or breaks off. `keep` gets each connection that has
    named the path.
    """

    def __init__(
        self,
        file: Path,
        name: str,
        path: str,
        page: str,
        say: Callable[[str], None] = lambda text: None,
        keep: Callable[[Connection], None] = lambda connection: None,
    ) -> None:
        self._file, self._size = file, file.stat().st_size
        self._targets = {f"/{path}/{name}": self._send_file, f"/{path}": self._send_page}
        self._targets[f"/{path}/"] = self._send_page
        self._page, self._say, self._keep = page.encode(), say, keep
        self._busy = False
        self._fetched = asyncio.Event()

    async def until_fetched(self) -> bool:
        """Wait until the file was fetched whole. False: nobody fetched it in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LASTS):
                await self._fetched.wait()
        if self._busy:
            with suppress(TimeoutError):
                async with asyncio.timeout(LASTS):
                    await self._fetched.wait()
        return self._fetched.is_set()

    async def serve(self, connection: Connection) -> None:
        """Answer one connection, and close it."""
        try:
            with suppress(TimeoutError, ConnectionError):
                await self._answer(connection)
        finally:
            connection.close()

    async def _answer(self, connection: Connection) -> None:
        async with asyncio.timeout(HEAD_WITHIN):
            head = await _head(connection)
        request = _REQUEST.match(head)
        if request is None:
            return await _respond(connection, "400 Bad Request", 0)
        send = self._targets.get(request[2].decode())
        if send is None:
            return await _respond(connection, "404 Not Found", 0)
        self._keep(connection)
        return await send(connection, request[1] == b"GET")

    async def _send_page(self, connection: Connection, whole: bool) -> None:
        await _respond(connection, "200 OK", len(self._page), "text/html; charset=utf-8")
        if whole:
            await connection.write(self._page)

    async def _send_file(self, connection: Connection, whole: bool) -> None:
        if self._fetched.is_set():
            return await _respond(connection, "410 Gone", 0)
        if not whole:
            return await _respond(connection, "200 OK", self._size, "application/octet-stream")
        if self._busy:
            return await _respond(connection, "503 Service Unavailable", 0)
        self._busy = True
        self._say(f"{connection.peer} fetches it.")
        try:
            await _respond(connection, "200 OK", self._size, "application/octet-stream")
            await self._copy(connection)
        except (TimeoutError, OSError):
            self._say(f"{connection.peer} did not get all of it, and can try again.")
            raise
        finally:
            self._busy = False
        self._fetched.set()
        return None

    async def _copy(self, connection: Connection) -> None:
        """Send the file, and wait until the other side hangs up: only then has it everything."""
        with self._file.open("rb") as file:
            left = self._size
            while left:
                block = file.read(min(_BLOCK, left))
                if not block:
                    raise ConnectionError("the file became shorter")
                async with asyncio.timeout(STALLED):
                    await connection.write(block)
                left -= len(block)
        async with asyncio.timeout(STALLED):
            while await connection.read():
                pass


async def _head(connection: Connection) -> bytes:
    head = b""
    while b"\n\r\n" not in head and b"\n\n" not in head and len(head) <= HEAD_MAX:
        part = await connection.read()
        if not part:
            break
        head += part
    return head


async def _respond(connection: Connection, status: str, size: int, kind: str = "text/plain") -> None:
    fields = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {size}",
        "Connection: close",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Content-Security-Policy: default-src 'none'",
    )
    await connection.write("\r\n".join((*fields, "", "")).encode("ascii"))
