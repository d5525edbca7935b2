"""TCP as `ports.Transport`: the only module that opens or accepts connections, or looks up a name.

It connects to local addresses, and to relays while the user names them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from chat.network.connection import NotLocal, NotNamed, TcpConnection, listening_socket, peer_host, reset
from chat.network.interfaces import own_addresses, scopes
from chat.network.limits import Gate
from chat.ports import Connection, RelayPlace
from protocol.addresses import canonical, is_link_local_v6, is_local

ADDRESSES_MAX: Final = 8
"""Addresses tried per name."""


async def look_up(name: str) -> list[str]:
    """At most 8 IP addresses of a DNS name, with their scopes. Raises OSError.

    Cancelling leaves the lookup in its own thread.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def ask() -> None:
        hosts: list[str] = []
        with contextlib.suppress(OSError, UnicodeError):
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            hosts = list(dict.fromkeys(str(address[0]) for *_, address in found))[:ADDRESSES_MAX]
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(settle, hosts)

    def settle(hosts: list[str]) -> None:
        if not answer.done():
            answer.set_result(hosts)

    # A pool's threads are waited for at the end of the program; a resolver may take half a minute.
    threading.Thread(target=ask, name="look-up", daemon=True).start()
    if not (hosts := await answer):
        raise OSError(errno.EHOSTUNREACH, "the name is not known")
    return hosts


Accept = Callable[[Connection], Awaitable[None]]
SocketAddress = tuple[str, int] | tuple[str, int, int, int]
Target = tuple[socket.AddressFamily, SocketAddress]
Place = tuple[socket.AddressFamily, str]

ACCEPTED_MAX: Final = 256
"""Connections accepted in total. Any machines on the network can fill them; see limits.Gate."""
ACCEPTED_FROM_ONE: Final = 16
"""Connections accepted per address."""
UNACKNOWLEDGED_MAX: Final = 30_000
"""Milliseconds after which the system drops a peer that acknowledges nothing (TCP_USER_TIMEOUT)."""
EVERYWHERE: Final[Sequence[Place]] = ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))
_PAUSE: Final = 0.5  # seconds without accepting when the system has no descriptors or memory left
_BACKLOG: Final = 100
_FREE_PORT_ATTEMPTS: Final = 20
_NO_SUCH_FAMILY: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


class TcpTransport:
    """Implements `ports.Transport` over this machine's sockets. `places`: where it listens."""

    places: Sequence[Place] = EVERYWHERE

    def __init__(self, *, total: int = ACCEPTED_MAX, an_address: int = ACCEPTED_FROM_ONE) -> None:
        self._total, self._an_address = total, an_address
        self._gate: Gate | None = None
        self._named: frozenset[RelayPlace] = frozenset()

    async def listen(self, port: int, accept: Accept) -> TcpListener:
        """Listen on every IPv4 and IPv6 address; 0 takes a free port. Raises OSError (EADDRINUSE: taken).

        `accept` runs as one task per connection, and closes it. If it raises, the connection is closed and
        the loop's exception handler called. Peers that are not local are reset.
        """
        bound = _bind(port, self.places)
        self._gate = Gate(self._total, self._an_address, asyncio.get_running_loop().time)
        return TcpListener(bound, self._gate, accept)

    def keep(self, connection: Connection) -> None:
        """One that was accepted has proven what it is here for: however many come, it stays."""
        if self._gate is not None and isinstance(connection, TcpConnection):
            self._gate.keep(connection)

    async def connect(self, host: str, port: int, timeout: float) -> TcpConnection:
        """Connect to a local IP literal within `timeout` seconds.

        IPv6 link-local without a scope is tried through every interface in parallel. Raises NotLocal
        before anything is sent, TimeoutError, OSError.
        """
        targets = _targets(host, port)
        async with asyncio.timeout(timeout):
            return await _first(targets)

    def name_relays(self, relays: Collection[RelayPlace]) -> None:
        """Allow connections to exactly these from now on."""
        self._named = frozenset(relays)

    async def connect_relay(self, relay: RelayPlace, timeout: float) -> TcpConnection:
        """Connect to a relay within `timeout` seconds, after looking up its name if it has one.

        All its addresses are tried in parallel. Raises NotNamed before anything is looked up or sent,
        TimeoutError, OSError.
        """
        if relay not in self._named:
            raise NotNamed
        async with asyncio.timeout(timeout):
            return await _first(await _relay_targets(relay))

    def addresses(self) -> tuple[str, ...]:
        """The addresses of this machine for others: at most 8, without scope."""
        return own_addresses()


class TcpListener:
    """Implements `ports.Listener`; made by `TcpTransport.listen`."""

    def __init__(self, sockets: Sequence[socket.socket], gate: Gate, accept: Accept) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = tuple(sockets)
        self._port = int(self._sockets[0].getsockname()[1])
        self._gate = gate
        self._accept = accept
        self._running: set[asyncio.Task[None]] = set()
        self._loops = [self._loop.create_task(self._accept_all(server)) for server in self._sockets]

    @property
    def port(self) -> int:
        return self._port

    async def close(self) -> None:
        """Stop listening. Accepted connections and their tasks go on."""
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        _close_all(self._sockets)

    async def _accept_all(self, server: socket.socket) -> None:
        failing = False
        while True:
            try:
                accepted, address = await self._next(server)
            except OSError as error:
                # Mostly out of descriptors or memory: connections stay in the backlog meanwhile.
                if not failing:
                    self._tell("no connection can be accepted at the moment", error)
                failing = True
                await asyncio.sleep(_PAUSE)
                continue
            failing = False
            await self._take(accepted, peer_host(address))
            await asyncio.sleep(0)  # under a flood all other tasks still get a turn

    async def _next(self, server: socket.socket) -> tuple[socket.socket, SocketAddress]:
        """Accept one connection; asyncio's own accept may lose one when it is cancelled."""
        if sys.platform == "win32":
            return await self._loop.sock_accept(server)  # its event loop has no readers
        while True:
            try:
                accepted, address = server.accept()
            except BlockingIOError:
                ready = asyncio.Event()
                self._loop.add_reader(server, ready.set)
                try:
                    await ready.wait()
                finally:
                    self._loop.remove_reader(server)
            else:
                accepted.setblocking(False)
                return accepted, address

    async def _take(self, accepted: socket.socket, host: str) -> None:
        connection = TcpConnection(self._gate.left)
        if not is_local(host) or not self._gate.enter(connection, host):
            return reset(accepted)
        try:
            _tune(accepted)
            await self._loop.connect_accepted_socket(lambda: connection, accepted)
        except OSError:
            self._gate.left(connection)  # it was reset meanwhile
            return accepted.close()
        task = self._loop.create_task(self._serve(connection))
        self._running.add(task)
        task.add_done_callback(lambda done: self._served(done, connection))
        return None

    async def _serve(self, connection: TcpConnection) -> None:
        await self._accept(connection)

    def _served(self, task: asyncio.Task[None], connection: TcpConnection) -> None:
        self._running.discard(task)
        if task.cancelled():
            connection.close()
        elif (error := task.exception()) is not None:
            connection.close()
            self._tell("a connection could not be served", error)

    def _tell(self, message: str, error: BaseException) -> None:
        self._loop.call_exception_handler({"message": message, "exception": error})


def _bind(port: int, places: Sequence[Place]) -> list[socket.socket]:
    for _ in range(_FREE_PORT_ATTEMPTS - 1):
        try:
            return _bind_all(port, places)
        except OSError as error:
            # The free port of one family can be taken in the other: try another free port.
            if port or error.errno != errno.EADDRINUSE:
                raise
    return _bind_all(port, places)


def _bind_all(port: int, places: Sequence[Place]) -> list[socket.socket]:
    """Listening sockets of this machine's address families, all on one port."""
    bound: list[socket.socket] = []
    missing: OSError | None = None
    for family, host in places:
        try:
            address = (host, bound[0].getsockname()[1] if bound else port)
            bound.append(listening_socket(family, address, _BACKLOG))
        except OSError as error:
            if error.errno not in _NO_SUCH_FAMILY:
                _close_all(bound)
                raise
            missing = error
    if not bound and missing is not None:
        raise missing
    return bound


def _targets(host: str, port: int) -> list[Target]:
    """Socket addresses to try, all local. Raises NotLocal, OSError for an unknown interface."""
    if not is_local(host):
        raise NotLocal(host)
    return _addressed(host, port)


async def _relay_targets(relay: RelayPlace) -> list[Target]:
    """Socket addresses of a relay to try, local or not. Raises OSError for an unknown name."""
    hosts = await look_up(relay.host) if relay.is_name else [relay.host]
    return [target for host in hosts for target in _addressed(host, relay.port)]


def _addressed(host: str, port: int) -> list[Target]:
    """Socket addresses to try. Raises OSError for an unknown interface."""
    plain, _, scope = canonical(host).partition("%")
    if ":" not in plain:
        return [(socket.AF_INET, (plain, port))]
    if not is_link_local_v6(plain):
        return [(socket.AF_INET6, (plain, port, 0, 0))]
    if scope:
        indexes: Sequence[int] = [int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)]
    else:
        indexes = scopes()
    if not indexes:
        raise OSError(errno.ENETUNREACH, "no interface has IPv6")
    return [(socket.AF_INET6, (plain, port, 0, index)) for index in indexes]


async def _first(targets: Sequence[Target]) -> TcpConnection:
    """The first connection that opens; the others are dropped. Raises the last OSError if none does."""
    attempts = [asyncio.create_task(_open(*target)) for target in targets]
    winner: TcpConnection | None = None
    pending = set(attempts)
    error: BaseException = OSError(errno.ENETUNREACH, "no route")
    try:
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                if (failure := attempt.exception()) is None:
                    winner = attempt.result()
                    return winner
                error = failure
        raise error
    finally:
        for attempt in attempts:
            attempt.cancel()
        for late in await asyncio.gather(*attempts, return_exceptions=True):
            if isinstance(late, TcpConnection) and late is not winner:
                late.abort()


async def _open(family: socket.AddressFamily, address: SocketAddress) -> TcpConnection:
    loop = asyncio.get_running_loop()
    connection = TcpConnection()
    outgoing = socket.socket(family, socket.SOCK_STREAM)
    try:
        outgoing.setblocking(False)
        _tune(outgoing)
        await loop.sock_connect(outgoing, address)
        await loop.create_connection(lambda: connection, sock=outgoing)
    except BaseException:
        outgoing.close()
        raise
    return connection


def _tune(connected: socket.socket) -> None:
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MAX)


def _close_all(sockets: Sequence[socket.socket]) -> None:
    for each in sockets:
        each.close()
