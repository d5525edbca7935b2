"""The server of one file: what it answers, whom it turns away, and when it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.ports import Connection
from chat.tools.share.serving import (
    CONNECTIONS_FROM_ONE,
    CONNECTIONS_MAX,
    HEAD_MAX,
    HEAD_WITHIN,
    LASTS,
    STALLED,
    LocalServer,
    Offer,
    random_path,
)
from tests.support.engines.engines import in_virtual_time
from tests.support.fakes.network import MemoryTransport, Network
from tests.support.machine import needs_rtnetlink
from tests.support.network.sockets import knock, read_all

PATH = "abcdefghij"
CONTENT = bytes(range(256)) * 1_000


class Neighbours:
    """An offer on one host, and the ways to it from others."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "file"
        self.file.write_bytes(CONTENT)
        self.said: list[str] = []
        self.network = Network()
        self.offer = Offer(self.file, "p.pyz", PATH, "<p>page</p>", self.said.append)

    async def connect(self, host: str = "ben") -> Connection:
        if not self.network.listeners:
            await MemoryTransport(self.network, "ada").listen(80, self.offer.serve)
        return await MemoryTransport(self.network, host).connect("ada", 80, 1)

    async def ask(self, request: bytes, host: str = "ben") -> tuple[str, bytes]:
        """Status and body of the answer, of which browsers read as much as it announces."""
        connection = await self.connect(host)
        await connection.write(request)
        answer, head, body = b"", b"", b""
        while part := await connection.read():
            answer += part
            head, _, body = answer.partition(b"\r\n\r\n")
            size = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
            if request.startswith(b"HEAD") or len(body) == size:
                break
        connection.close()
        return head.decode().split("\r\n")[0], body


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} /{path} HTTP/1.1\r\nHost: ada\r\n\r\n".encode()


@in_virtual_time
async def test_it_ends_after_one_whole_download(tmp_path: Path) -> None:
    them = Neighbours(tmp_path)
    ending = asyncio.create_task(them.offer.until_fetched())
    assert await them.ask(get(f"{PATH}/p.pyz", "HEAD")) == ("HTTP/1.1 200 OK", b"")
    for path in (PATH, f"{PATH}/"):
        assert await them.ask(get(path)) == ("HTTP/1.1 200 OK", b"<p>page</p>")
    assert not ending.done()
    assert await them.ask(get(f"{PATH}/p.pyz")) == ("HTTP/1.1 200 OK", CONTENT)
    assert await ending is True
    assert them.said == ["ben fetches it."]


@in_virtual_time
async def test_nothing_else_is_there(tmp_path: Path) -> None:
    them = Neighbours(tmp_path)
    for path in ("", "p.pyz", "abcdefghik/p.pyz", f"{PATH}/../file", f"{PATH}/file"):
        assert (await them.ask(get(path)))[0] == "HTTP/1.1 404 Not Found", path
    for request in (b"POST /abcdefghij HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"):
        assert (await them.ask(request))[0] == "HTTP/1.1 400 Bad Request", request
    assert (await them.ask(b"GET /" + b"a" * HEAD_MAX))[0] == "HTTP/1.1 400 Bad Request"
    assert them.said == []


@in_virtual_time
async def test_a_download_that_breaks_off_can_be_tried_again(tmp_path: Path) -> None:
    them = Neighbours(tmp_path)
    ending = asyncio.create_task(them.offer.until_fetched())
    them.network.break_next_after = (None, 2)
    assert len((await them.ask(get(f"{PATH}/p.pyz")))[1]) < len(CONTENT)
    assert not ending.done()
    assert (await them.ask(get(f"{PATH}/p.pyz"), "cem"))[1] == CONTENT
    assert await ending is True
    assert them.said == [
        "ben fetches it.",
        "ben did not get all of it, and can try again.",
        "cem fetches it.",
    ]


@in_virtual_time
async def test_one_fetches_it_at_a_time_and_not_for_ever(tmp_path: Path) -> None:
    them = Neighbours(tmp_path)
    holds = await them.connect()
    await holds.write(get(f"{PATH}/p.pyz"))
    assert await holds.read(), "the answer has begun"
    assert (await them.ask(get(f"{PATH}/p.pyz"), "cem"))[0] == "HTTP/1.1 503 Service Unavailable"
    await asyncio.sleep(STALLED)  # it has everything, and never hangs up
    assert (await them.ask(get(f"{PATH}/p.pyz"), "cem"))[1] == CONTENT


@in_virtual_time
async def test_of_two_that_ask_at_once_one_gets_it_and_nobody_afterwards(tmp_path: Path) -> None:
    them = Neighbours(tmp_path)
    ending = asyncio.create_task(them.offer.until_fetched())
    both = [await them.connect(host) for host in ("ben", "cem")]
    await asyncio.gather(*(one.write(get(f"{PATH}/p.pyz")) for one in both))
    assert sorted([(await one.read())[:12] for one in both]) == [b"HTTP/1.1 200", b"HTTP/1.1 503"]
    for one in both:
        one.close()
    assert await ending is True
    assert await them.ask(get(f"{PATH}/p.pyz"), "dan") == ("HTTP/1.1 410 Gone", b"")


@in_virtual_time
async def test_only_a_connection_that_named_the_path_is_kept(tmp_path: Path) -> None:
    them, kept = Neighbours(tmp_path), list[Connection]()
    them.offer = Offer(them.file, "p.pyz", PATH, "", keep=kept.append)
    await them.ask(get("abcdefghik/p.pyz"))
    assert kept == []
    await them.ask(get(f"{PATH}/p.pyz"))
    assert len(kept) == 1


@in_virtual_time
async def test_who_says_nothing_is_hung_up_on(tmp_path: Path) -> None:
    connection = await Neighbours(tmp_path).connect()
    await connection.write(b"GET /")
    assert await read_all(connection) == b""
    assert HEAD_WITHIN <= asyncio.get_running_loop().time() < HEAD_WITHIN + 1


@in_virtual_time
async def test_it_ends_when_nobody_comes(tmp_path: Path) -> None:
    assert await Neighbours(tmp_path).offer.until_fetched() is False
    assert asyncio.get_running_loop().time() == LASTS


@in_virtual_time
async def test_a_download_that_began_in_time_is_waited_for(tmp_path: Path) -> None:
    them = Neighbours(tmp_path)
    ending = asyncio.create_task(them.offer.until_fetched())
    await asyncio.sleep(LASTS - 1)
    them.network.latency_of_next = 0.8
    assert (await them.ask(get(f"{PATH}/p.pyz")))[1] == CONTENT
    assert await ending is True
    assert asyncio.get_running_loop().time() > LASTS


@in_virtual_time
async def test_a_file_that_became_shorter_is_not_fetched_whole(tmp_path: Path) -> None:
    them = Neighbours(tmp_path)
    them.file.write_bytes(CONTENT[:10])
    ending = asyncio.create_task(them.offer.until_fetched())
    assert (await them.ask(get(f"{PATH}/p.pyz")))[1] == CONTENT[:10]
    assert not ending.done()
    assert asyncio.get_running_loop().time() < STALLED
    ending.cancel()


async def test_it_listens_on_its_addresses_alone_for_a_few_of_each_machine(tmp_path: Path) -> None:
    them = Neighbours(tmp_path)
    listener = await LocalServer(["127.0.0.1"]).listen(0, them.offer.serve)
    (server,) = listener._sockets
    assert server.getsockname()[0] == "127.0.0.1"
    strangers = [await knock(listener.port) for _ in range(CONNECTIONS_FROM_ONE + 1)]
    with pytest.raises(ConnectionResetError):
        await asyncio.get_running_loop().sock_recv(strangers[-1], 1)
    for stranger in strangers:
        stranger.close()
    await listener.close()


async def test_many_addresses_that_know_nothing_cut_no_download(tmp_path: Path) -> None:
    needs_rtnetlink()  # all of 127.0.0.0/8 is this machine's on Linux alone
    file = tmp_path / "file"
    file.write_bytes(bytes(32 << 20))  # more than the buffers of sockets hold
    server = LocalServer(["127.0.0.1"])
    offer = Offer(file, "p.pyz", PATH, "", keep=server.keep)
    ending = asyncio.create_task(offer.until_fetched())
    listener = await server.listen(0, offer.serve)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(get(f"{PATH}/p.pyz"))
    await reader.readuntil(b"\r\n\r\n")
    floods = [
        await asyncio.open_connection("127.0.0.1", listener.port, local_addr=(f"127.0.1.{number}", 0))
        for number in range(1, 2 * CONNECTIONS_MAX)
    ]
    assert len(await reader.readexactly(32 << 20)) == 32 << 20
    for _, flood in floods:
        flood.transport.abort()
    writer.close()
    assert await ending is True
    await listener.close()


def test_a_path_is_of_letters_that_look_different() -> None:
    paths = {random_path() for _ in range(100)}
    assert len(paths) == 100
    assert {len(path) for path in paths} == {10}
    assert not set("".join(paths)) & set("ilo01")
