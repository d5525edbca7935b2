"""The backplane at a real node of NATS: what breaks it, what it restarts, and what holds a sender back."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from chat.interface import UsageError
from chat.relay.cluster import nats
from chat.relay.cluster.nats import CROWDED, Nats, checked
from tests.support.network.sockets import until
from tests.support.relay.processes import Node, nodes

PATIENCE = 20.0
OWN = "parlour.relay.v1.to.a.b"
BLOCK = bytes(1 << 16)


class Heard:
    def __init__(self) -> None:
        self.connections = self.partings = 0
        self.messages: list[tuple[str, bytes]] = []
        self.nobodies: list[str] = []

    def connected(self) -> None:
        self.connections += 1

    def parted(self) -> None:
        self.partings += 1

    def arrived(self, subject: str, payload: bytes) -> None:
        self.messages.append((subject, payload))

    def nobody(self, subject: str) -> None:
        self.nobodies.append(subject)

    async def has_connected(self, times: int) -> None:
        await until(lambda: self.connections == times)


@pytest.fixture
def node() -> Iterator[Node]:
    with nodes(1) as (only,):
        yield only


@asynccontextmanager
async def bus(*urls: str) -> AsyncIterator[tuple[Nats, Heard, list[bool]]]:
    """A backplane once it is connected, what it hears, and what it says of itself."""
    said: list[bool] = []
    made, heard = Nats(urls, said.append), Heard()
    made.start(heard)
    try:
        await heard.has_connected(1)
        yield made, heard, said
    finally:
        await made.close()


async def crowd(one: Nats, node: Node) -> None:
    os.kill(node.pid, signal.SIGSTOP)
    async with asyncio.timeout(PATIENCE):
        while not one.is_crowded and one.is_connected:
            one.post("parlour.there", BLOCK, "")
            await asyncio.sleep(0)


async def subscribe(one: Nats, heard: Heard, subject: str) -> None:
    """Subscribe, and wait until the node has it: it answers a later message on the subject."""
    one.subscribe(subject)
    one.post("parlour.nowhere", b"is anybody there", subject)
    await until(lambda: bool(heard.nobodies))
    assert heard.nobodies == [subject]


async def test_messages_arrive_and_a_sender_that_named_a_subject_hears_that_nobody_did(node: Node) -> None:
    async with bus(node.url) as (one, hears, said), bus(node.url) as (other, listens, _):
        await subscribe(one, hears, OWN)
        await subscribe(other, listens, "parlour.there")
        other.post(OWN, b"from the other", "")
        await until(lambda: bool(hears.messages))
        assert hears.messages == [(OWN, b"from the other")]
        one.post("parlour.there", b"and back", OWN)
        await until(lambda: bool(listens.messages))
        assert listens.messages == [("parlour.there", b"and back")]
        other.unsubscribe("parlour.there")
        one.subscribe("parlour.own")
        one.post("parlour.own", b"to itself", OWN)  # what a relay asks itself, nobody hears
        await until(lambda: len(hears.nobodies) == 2)
        assert said == []


async def test_a_subject_that_cannot_be_read_reconnects(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library stops reading for good then. Its own look at the connection is turned off here."""
    monkeypatch.setattr(nats, "PING_SECONDS", 3_600)
    async with bus(node.url) as (one, hears, _):
        one.subscribe("parlour.relay.v1.to.a.*")
        one.post("parlour.nowhere", b"", "parlour.relay.v1.to.a.b")
        await until(lambda: bool(hears.nobodies))
        reader, writer = await asyncio.open_connection("127.0.0.1", int(node.url.rpartition(":")[2]))
        writer.write(b"CONNECT {}\r\nPUB parlour.relay.v1.to.a.\xff 2\r\nhi\r\nPING\r\n")
        await hears.has_connected(2)
        assert (hears.partings, hears.messages) == (1, [])
        writer.close()
        await writer.wait_closed()
        assert reader is not None


async def test_where_nats_does_not_keep_up_it_is_crowded_until_it_does(node: Node) -> None:
    async with bus(node.url) as (one, _, _):
        try:
            await crowd(one, node)
            assert one.is_crowded
            relieved = asyncio.Event()
            one.tell(relieved.set)
        finally:
            os.kill(node.pid, signal.SIGCONT)
        await asyncio.wait_for(relieved.wait(), PATIENCE)
        assert one._size <= CROWDED


async def test_a_sender_that_waits_for_room_is_woken_when_the_node_dies(node: Node) -> None:
    async with bus(node.url) as (one, hears, said):
        await crowd(one, node)
        assert one.is_crowded
        relieved = asyncio.Event()
        one.tell(relieved.set)
        node.kill()
        await asyncio.wait_for(relieved.wait(), PATIENCE)
        await until(lambda: hears.partings == 1)  # a transport that is closed may take what waits before
        assert (hears.partings, one.is_connected, one.is_crowded, one._size) == (1, False, False, 0)
        one.post("parlour.there", BLOCK, "")
        assert one._size == 0, "what nothing carries is not kept"
        await until(lambda: said == [False])


async def test_a_node_that_takes_nothing_is_given_up(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where its machine has gone without a word: what waits for it must not hold the relay."""
    monkeypatch.setattr(nats, "PING_SECONDS", 0.1)
    monkeypatch.setattr(nats, "PONG_SECONDS", 1)
    with nodes(1) as (second,):
        async with bus(node.url, second.url) as (one, hears, _):
            await crowd(one, node)
            await hears.has_connected(2)
            assert not one.is_crowded


async def test_it_ends_soon_where_a_node_takes_nothing_more(node: Node) -> None:
    async with bus(node.url) as (one, _, _):
        await crowd(one, node)
        assert one.is_crowded
        await asyncio.wait_for(one.close(), PATIENCE)


async def test_a_silent_address_is_passed_over(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        other = f"nats://127.0.0.1:{silent.getsockname()[1]}"
        async with bus("nats://127.0.0.1:1", other, node.url) as (_, _, said):
            assert said == []


@pytest.mark.parametrize("url", ["nats://127.0.0.1", "nats://relay.example.org:4222", "tls://[::1]:4222/"])
def test_addresses_of_nats(url: str) -> None:
    assert checked(url) == url


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:4222", "ws://h:1", "nats://", "nats://a:b@h:1", "nats://h:1/x", "nats://h:1\r\n"]
)
def test_what_is_no_address_of_nats(url: str) -> None:
    with pytest.raises(UsageError):
        checked(url)
