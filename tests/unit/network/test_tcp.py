"""TCP over real sockets on loopback: what arrives, which ports, and what is never dialled."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import socket

import pytest

from chat.network import connection, transport
from chat.network.connection import NotLocal, TcpConnection
from chat.network.transport import TcpTransport
from chat.ports import Connection
from tests.support.network.sockets import SECONDS, gone, read_all, read_exactly, serving, until

ANYONE = TcpTransport()


async def ignore(connection: Connection) -> None:
    """For a listener that only takes the port."""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_both_families_on_one_port_and_bytes_both_ways(host: str) -> None:
    async with serving(ANYONE) as server:
        ours = await ANYONE.connect(host, server.port, SECONDS)
        theirs = await server.take()
        assert ours.peer == theirs.peer == host.removeprefix("::ffff:")
        await ours.write(b"question")
        assert await read_exactly(theirs, 8) == b"question"
        await theirs.write(b"answer")
        theirs.close()
        assert await read_all(ours) == b"answer"
        await gone([ours])


async def test_a_slow_reader_slows_the_writer_and_loses_nothing() -> None:
    size, chunk = 48 << 20, bytes(range(256)) * 256
    async with serving(ANYONE) as server:
        ours = await ANYONE.connect("127.0.0.1", server.port, SECONDS)
        theirs = await server.take()
        handed_over = 0

        async def write() -> None:
            nonlocal handed_over
            for _ in range(size // len(chunk)):
                await ours.write(chunk)
                handed_over += len(chunk)
            ours.close()

        writing = asyncio.create_task(write())
        await until(lambda: theirs._reading_paused and ours._writing_paused)
        assert handed_over < size
        seen, expected = hashlib.sha256(), hashlib.sha256(chunk * (size // len(chunk)))
        while part := await asyncio.wait_for(theirs.read(), SECONDS):
            seen.update(part)
        await writing
        assert seen.digest() == expected.digest()


async def test_a_port_that_is_taken_is_said_to_be_and_is_free_after_close() -> None:
    async with serving(ANYONE) as server:
        with pytest.raises(OSError) as caught:
            await ANYONE.listen(server.port, ignore)
        assert caught.value.errno == errno.EADDRINUSE
    again = await ANYONE.listen(server.port, ignore)
    await again.close()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_a_port_that_is_taken_in_one_family_alone_is_taken(family: socket.AddressFamily) -> None:
    """Two terminals on one port would each get half of the calls."""
    with socket.socket(family, socket.SOCK_STREAM) as other:
        other.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError) as caught:
            await ANYONE.listen(other.getsockname()[1], ignore)
        assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize("missing", [socket.AF_INET, socket.AF_INET6])
async def test_one_family_is_enough(missing: socket.AddressFamily, monkeypatch: pytest.MonkeyPatch) -> None:
    real = connection.listening_socket

    def without(family: socket.AddressFamily, address: tuple[str, int], backlog: int) -> socket.socket:
        if family == missing:
            raise OSError(errno.EAFNOSUPPORT, "no such family")
        return real(family, address, backlog)

    monkeypatch.setattr(transport, "listening_socket", without)
    async with serving(ANYONE) as server:
        there = "127.0.0.1" if missing == socket.AF_INET6 else "::1"
        await gone([await ANYONE.connect(there, server.port, SECONDS)])


@pytest.mark.parametrize("turns", range(6))
async def test_a_caller_in_the_moment_of_closing_disturbs_nothing(turns: int, faults: list[object]) -> None:
    """Closing meets the caller at each step: in the backlog, seen, accepted, being wrapped, served."""
    listener = await ANYONE.listen(0, ignore)
    await asyncio.sleep(0)  # it waits for callers now
    with socket.create_connection(("127.0.0.1", listener.port)):
        for _ in range(turns):
            await asyncio.sleep(0)
        await listener.close()
        await listener.close()
    await gone(each for each in listener._gate._inside if isinstance(each, TcpConnection))
    assert faults == []


async def test_after_close_nobody_gets_in_and_who_is_in_stays() -> None:
    async with serving(ANYONE) as server:
        ours = await ANYONE.connect("127.0.0.1", server.port, SECONDS)
        theirs = await server.take()
        await server.listener.close()
        with pytest.raises(ConnectionRefusedError):
            await ANYONE.connect("127.0.0.1", server.port, SECONDS)
        await theirs.write(b"still open")
        assert await read_exactly(ours, 10) == b"still open"
        await gone([ours])


NOT_LOCAL = [
    *("8.8.8.8", "2001:db8::1", "0.0.0.0", "::", "::ffff:8.8.8.8", "224.0.0.251", "localhost"),
    *("printer.local", "", "10.0.0.1 "),
]


@pytest.mark.parametrize("host", NOT_LOCAL)
async def test_what_is_not_local_gets_no_socket_let_alone_a_packet(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    with pytest.raises(NotLocal):
        await ANYONE.connect(host, 4747, SECONDS)


def forbidden(*_: object, **__: object) -> socket.socket:
    raise AssertionError("a socket was made or a name looked up")


async def test_a_local_address_is_dialled_without_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(ANYONE) as server:
        monkeypatch.setattr(socket, "getaddrinfo", forbidden)
        for host in ("127.0.0.1", "::1"):
            await gone([await ANYONE.connect(host, server.port, SECONDS)])


async def test_where_no_way_opens_the_reason_is_given() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            await ANYONE.connect("127.0.0.1", unused.getsockname()[1], SECONDS)
    with pytest.raises(ConnectionRefusedError):
        await transport._first([(socket.AF_INET, ("127.0.0.1", 1)), (socket.AF_INET, ("127.0.0.2", 1))])
    with pytest.raises(OSError):
        await ANYONE.connect("fe80::1%nosuch0", 4747, SECONDS)


async def test_link_local_without_a_scope_is_tried_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "scopes", lambda: (3, 5))
    scoped = [address for _, address in transport._targets("fe80::1", 9)]
    assert scoped == [("fe80::1", 9, 0, 3), ("fe80::1", 9, 0, 5)]
    assert transport._targets("fe80::1%7", 9) == [(socket.AF_INET6, ("fe80::1", 9, 0, 7))]
    assert transport._targets("fd00::1", 9) == [(socket.AF_INET6, ("fd00::1", 9, 0, 0))]
    monkeypatch.setattr(transport, "scopes", lambda: ())
    with pytest.raises(OSError):
        transport._targets("fe80::1", 9)


async def test_of_several_ways_the_first_that_opens_is_taken_and_the_others_are_closed() -> None:
    async with serving(ANYONE) as server:
        refused: transport.Target = (socket.AF_INET, ("127.0.0.3", 1))
        good: transport.Target = (socket.AF_INET, ("127.0.0.1", server.port))
        ours = await transport._first([refused, good, good])
        await ours.write(b"x")
        taken = [await server.take(), await server.take()]
        assert sorted([await asyncio.wait_for(each.read(), SECONDS) for each in taken]) == [b"", b"x"]
        await gone([ours])
