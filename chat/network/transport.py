"""TCP as `ports.Transport`: the one place in the project that opens or accepts connections.

Rules: `connect` sends nothing to an address that is not local, and looks nothing up; a relay is reached,
and its name looked up, only while it is named; a stranger cannot take all connections, all memory or all
time; no failure to accept ends the listening.

Looking a name up: the one question to the system's resolver, asked for relays alone.

Rules: only `chat/network/transport.py` asks, and only for a relay that its person named; a resolver that
does not answer holds up nobody, not even the end of the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
import sys
import threading
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Final

from chat.network.connection import NotLocal, NotNamed, TcpConnection, listening_socket, peer_host
from chat.network.interfaces import own_addresses, scopes
from chat.network.limits import Gate
from chat.ports import Connection, RelayPlace
from protocol.addresses import canonical, is_link_local_v6, is_local

ADDRESSES_MAX: Final = 8
"""Addresses of one name that are tried."""


async def look_up(name: str) -> list[str]:
    """The IP addresses of a DNS name, of both families, at most 8; with scope where they have one.

    Raises OSError where there are none. Cancelling leaves the question behind in a thread of its own.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def ask() -> None:
        settle: Callable[[], None]
        try:
            settle = partial(_succeed, answer, _addresses(name))
        except (OSError, UnicodeError):
            settle = partial(_fail, answer)
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(settle)

    # A pool's threads are waited for at the end of the program; a resolver may take half a minute.
    threading.Thread(target=ask, name="look-up", daemon=True).start()
    return await answer


def _addresses(name: str) -> list[str]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    hosts = dict.fromkeys(str(address[0]) for *_, address in found)
    if not hosts:
        raise OSError(errno.EADDRNOTAVAIL, "the name has no address")
    return list(hosts)[:ADDRESSES_MAX]


def _succeed(answer: asyncio.Future[list[str]], found: list[str]) -> None:
    if not answer.done():
        answer.set_result(found)


def _fail(answer: asyncio.Future[list[str]]) -> None:
    if not answer.done():
        answer.set_exception(OSError(errno.EHOSTUNREACH, "the name is not known"))
        answer.exception()  # whoever asked may have gone: then nobody is to be told


Accept = Callable[[Connection], Awaitable[None]]
SocketAddress = tuple[str, int] | tuple[str, int, int, int]
Target = tuple[socket.AddressFamily, SocketAddress]
Place = tuple[socket.AddressFamily, str]

ACCEPTED_MAX: Final = 256
"""Connections accepted in total."""
ACCEPTED_FROM_ONE: Final = 16
"""Connections accepted from one address."""
UNACKNOWLEDGED_MAX: Final = 30_000
"""Milliseconds after which the system gives up on a peer that acknowledges nothing (TCP_USER_TIMEOUT)."""
EVERYWHERE: Final[Sequence[Place]] = ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))
_PAUSE: Final = 0.5  # seconds without accepting when the system has no descriptors or memory left
_BACKLOG: Final = 100
_FREE_PORT_ATTEMPTS: Final = 20
_NO_SUCH_FAMILY: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


class TcpTransport:
    """Implements `ports.Transport` over this machine's sockets. `places`: where it listens, by family."""

    places: Sequence[Place] = EVERYWHERE

    def __init__(self, *, total: int = ACCEPTED_MAX, an_address: int = ACCEPTED_FROM_ONE) -> None:
        self._total, self._an_address = total, an_address
        self._named: frozenset[RelayPlace] = frozenset()

    async def listen(self, port: int, accept: Accept) -> TcpListener:
        """Listen on every IPv4 and IPv6 address; 0 takes a free port. Raises OSError (EADDRINUSE: taken).

        `accept` runs as a task a connection; the connection is its to close. If it raises, the
        connection is closed and the loop's exception handler told. Peers that are not local are reset.
        """
        gate = Gate(self._total, self._an_address, asyncio.get_running_loop().time)
        return TcpListener(_bind(port, self.places), gate, accept)

    async def connect(self, host: str, port: int, timeout: float) -> TcpConnection:
        """Connect to a local IP literal within `timeout` seconds.

        IPv6 link-local without a scope is tried through every interface in parallel. Raises NotLocal
        before anything is sent, TimeoutError, OSError.
        """
        targets = _targets(host, port)
        async with asyncio.timeout(timeout):
            return await _first(targets)

    def name_relays(self, relays: Collection[RelayPlace]) -> None:
        """From now on exactly these may be connected to, wherever they are."""
        self._named = frozenset(relays)

    async def connect_relay(self, relay: RelayPlace, timeout: float) -> TcpConnection:
        """Connect to a relay within `timeout` seconds, its name looked up if it is one.

        All its addresses, of both families, are tried in parallel. Raises NotNamed before anything is looked
        up or sent, TimeoutError, OSError.
        """
        if relay not in self._named:
            raise NotNamed
        async with asyncio.timeout(timeout):
            return await _first(await _relay_targets(relay))

    def addresses(self) -> tuple[str, ...]:
        """The addresses under which others may reach this machine: at most 8, without scope."""
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
        """Stop listening. Connections accepted before live on, and so do their tasks."""
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
                # Out of descriptors or memory, most often: whoever waits stays in the backlog.
                if not failing:
                    self._tell("no connection can be accepted at the moment", error)
                failing = True
                await asyncio.sleep(_PAUSE)
                continue
            failing = False
            await self._take(accepted, peer_host(address))
            await asyncio.sleep(0)  # under a flood everybody else still gets a turn

    async def _next(self, server: socket.socket) -> tuple[socket.socket, SocketAddress]:
        """Accept one. asyncio's own accept loses a caller who comes in the moment of its cancellation."""
        if sys.platform == "win32":
            return await self._loop.sock_accept(server)  # its event loop has no readers
        while True:
            try:
                accepted, address = server.accept()
            except BlockingIOError:
                await self._readable(server)
            else:
                accepted.setblocking(False)
                return accepted, address

    async def _readable(self, server: socket.socket) -> None:
        ready = asyncio.Event()
        self._loop.add_reader(server, ready.set)
        try:
            await ready.wait()
        finally:
            self._loop.remove_reader(server)

    async def _take(self, accepted: socket.socket, host: str) -> None:
        connection = TcpConnection(self._gate.left)
        if not is_local(host) or not self._gate.enter(connection, host):
            _reset(accepted)
            return
        try:
            _tune(accepted)
            await self._loop.connect_accepted_socket(lambda: connection, accepted)
        except OSError:
            self._gate.left(connection)  # it went away before it was ours
            accepted.close()
            return
        self._run(connection)

    def _run(self, connection: TcpConnection) -> None:
        task = self._loop.create_task(self._serve(connection))
        self._running.add(task)
        task.add_done_callback(lambda done: self._served(done, connection))

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
            # The free port of one family can be taken in the other: then another free port is.
            if port or error.errno != errno.EADDRINUSE:
                raise
    return _bind_all(port, places)


def _bind_all(port: int, places: Sequence[Place]) -> list[socket.socket]:
    """Listening sockets of the families that this machine has, all on one port."""
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
    """Socket addresses of a relay to try, local or not. Raises OSError for a name that nobody knows."""
    hosts = await look_up(relay.host) if relay.is_name else [relay.host]
    return [target for host in hosts for target in _addressed(host, relay.port)]


def _addressed(host: str, port: int) -> list[Target]:
    plain, _, scope = canonical(host).partition("%")
    if ":" not in plain:
        return [(socket.AF_INET, (plain, port))]
    if not is_link_local_v6(plain):
        return [(socket.AF_INET6, (plain, port, 0, 0))]
    indexes = [_scope_index(scope)] if scope else scopes()
    if not indexes:
        raise OSError(errno.ENETUNREACH, "no interface has IPv6")
    return [(socket.AF_INET6, (plain, port, 0, index)) for index in indexes]


def _scope_index(scope: str) -> int:
    return int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)


async def _first(targets: Sequence[Target]) -> TcpConnection:
    """The first connection that opens; the others are given up. Raises the last OSError if none does."""
    attempts = [asyncio.create_task(_open(*target)) for target in targets]
    winner: TcpConnection | None = None
    try:
        winner = await _winner(set(attempts))
        return winner
    finally:
        for attempt in attempts:
            attempt.cancel()
        for late in await asyncio.gather(*attempts, return_exceptions=True):
            if isinstance(late, TcpConnection) and late is not winner:
                late.abort()


async def _winner(pending: set[asyncio.Task[TcpConnection]]) -> TcpConnection:
    error: BaseException = OSError(errno.ENETUNREACH, "no way there")
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for attempt in done:
            if (failure := attempt.exception()) is None:
                return attempt.result()
            error = failure
    raise error


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


def _reset(refused: socket.socket) -> None:
    """Close without the minute of TIME_WAIT, of which a flood would leave thousands."""
    with contextlib.suppress(OSError):  # it may have gone by itself
        refused.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    refused.close()


def _close_all(sockets: Sequence[socket.socket]) -> None:
    for each in sockets:
        each.close()
