"""Connecting to relays over real sockets: none that was not named, names of no others looked up."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from chat.network.connection import NotLocal, NotNamed
from chat.network.transport import TcpTransport
from protocol.relay.rendezvous import RelayAddress
from tests.support.network.sockets import SECONDS, gone, serving

KEY = bytes(range(32))
FAR = RelayAddress("192.0.2.1", 4746, KEY)
ANYONE = TcpTransport()


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
