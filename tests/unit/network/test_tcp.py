"""TCP over real sockets on loopback, also to relays: what arrives, and what is never dialled or looked up."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from chat.network import connection, transport
from chat.network.connection import NotLocal, NotNamed, TcpConnection
from chat.network.transport import TcpTransport
from chat.ports import Connection
from protocol.relay.rendezvous import RelayAddress
from tests.support.network.sockets import SECONDS, gone, knock, read_all, read_exactly, serving, until

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


async def test_the_write_that_finds_a_reset_raises_before_the_event_loop_turns() -> None:
    """Else a sender that is never paused goes on to the end, and takes a cut download for a whole one."""
    async with serving(ANYONE) as server:
        stranger = await knock(server.port)
        theirs = await server.take()
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stranger.close()
        with pytest.raises(ConnectionResetError):
            await theirs.write(b"x")


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


KEY = bytes(range(32))
FAR = RelayAddress("192.0.2.1", 4746, KEY)


class LookUps:
    """The system's resolver, which answers as a test says and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: list[str] = []
        self.answering = threading.Event()
        self.answering.set()

    def getaddrinfo(self, host: str, port: object, **options: object) -> list[tuple[object, ...]]:
        self.asked.append(host)
        self.answering.wait(SECONDS)
        if not self.answers:
            raise socket.gaierror("unknown")
        return [(0, 0, 0, "", (answer, 0)) for answer in self.answers]


def naming(*relays: RelayAddress) -> TcpTransport:
    transport = TcpTransport()
    transport.name_relays(relays)
    return transport


@pytest.fixture
def look_ups(monkeypatch: pytest.MonkeyPatch) -> Iterator[LookUps]:
    resolver = LookUps()
    monkeypatch.setattr(socket, "getaddrinfo", resolver.getaddrinfo)
    yield resolver
    resolver.answering.set()


async def test_a_relay_that_is_not_named_is_neither_looked_up_nor_reached(look_ups: LookUps) -> None:
    async with serving(ANYONE) as server:
        transport = TcpTransport()
        near = RelayAddress("127.0.0.1", server.port, KEY)
        by_name = RelayAddress("localhost", server.port, KEY)
        look_ups.answers = ["127.0.0.1"]
        for others in ((), (FAR,), (RelayAddress("127.0.0.1", server.port, bytes(32)),)):
            transport.name_relays(others)
            for relay in (near, by_name):
                with pytest.raises(NotNamed):
                    await transport.connect_relay(relay, SECONDS)
        assert look_ups.asked == []
        transport.name_relays([near])
        ours = await transport.connect_relay(near, SECONDS)
        await server.take()  # the first that came at all
        transport.name_relays([])
        with pytest.raises(NotNamed):
            await transport.connect_relay(near, SECONDS)
        await gone([ours])


async def test_a_named_relay_opens_no_other_way_to_its_address() -> None:
    with pytest.raises(NotLocal):
        await naming(FAR).connect(FAR.host, FAR.port, SECONDS)


@pytest.mark.parametrize("alive", ["127.0.0.1", "::1"])
async def test_all_addresses_of_a_name_are_tried_in_both_families(look_ups: LookUps, alive: str) -> None:
    async with serving(ANYONE) as server:
        relay = RelayAddress("relay.example.org", server.port, KEY)
        look_ups.answers = ["192.0.2.77", "100::77", alive]  # nothing ever answers at the first two
        ours = await naming(relay).connect_relay(relay, SECONDS)
        assert ours.peer == alive
        assert look_ups.asked == ["relay.example.org"]
        await gone([ours])


async def test_a_name_that_nobody_knows_is_no_place(look_ups: LookUps) -> None:
    relay = RelayAddress("nowhere.example.org", 4746, KEY)
    with pytest.raises(OSError, match="not known"):
        await naming(relay).connect_relay(relay, SECONDS)


def test_a_resolver_that_hangs_holds_up_nobody(look_ups: LookUps) -> None:
    look_ups.answering.clear()

    async def ask() -> None:
        relay = RelayAddress("slow.example.org", 4746, KEY)
        with pytest.raises(TimeoutError):
            await naming(relay).connect_relay(relay, 0.05)

    asyncio.run(ask())  # and it ends, although the question is still open
    assert not look_ups.answering.is_set()
    assert look_ups.asked == ["slow.example.org"]
