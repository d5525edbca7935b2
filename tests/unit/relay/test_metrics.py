"""The page for the operator of a relay: what Prometheus reads there, and what nobody can."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from chat.relay.metrics import AT_ONCE, HEAD_MAX, PATIENCE, Counters, Pages, exposition
from chat.relay.quotas import Limits
from chat.relay.run import listen
from chat.relay.sandbox import Means
from protocol.addresses import is_loopback
from protocol.relay.states import RelayEnding
from tests.support.relay.in_process import House, house, token

SAMPLE = re.compile(r'(parlour_relay_[a-z_]+)(?:\{([a-z]+)="([a-z_]+)"\})? (\d+)')


class Page:
    def __init__(self, port: int) -> None:
        self._port = port

    async def raw(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(request)
        answer = await reader.read()
        await shut(writer)
        return answer

    async def get(self, path: str, method: str = "GET") -> tuple[str, str]:
        answer = await self.raw(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = answer.decode().partition("\r\n\r\n")
        assert f"Content-Length: {len(body)}" in head
        return head.partition("\r\n")[0], body


async def shut(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    server = listen("127.0.0.1", 0)[0]
    served = Pages(server, lambda: "counts\n")
    await served.start()
    yield Page(server.getsockname()[1])
    served.close()
    for _ in range(5):
        await asyncio.sleep(0)


def samples(text: str) -> dict[str, int]:
    found = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            found[match[1] + (f" {match[3]}" if match[3] else "")] = int(match[4])
    return found


async def test_it_has_two_paths(page: Page) -> None:
    assert await page.get("/metrics") == ("HTTP/1.1 200 OK", "counts\n")
    assert await page.get("/health") == ("HTTP/1.1 200 OK", "ok\n")
    assert await page.get("/metrics?a=b") == ("HTTP/1.1 200 OK", "counts\n")
    assert await page.get("/") == ("HTTP/1.1 404 Not Found", "")
    assert await page.get("/metrics/..") == ("HTTP/1.1 404 Not Found", "")
    assert await page.get("/health", "POST") == ("HTTP/1.1 405 Method Not Allowed", "")


async def test_a_head_without_end_is_refused_and_garbage_is_answered_without_itself(page: Page) -> None:
    assert b" 431 " in await page.raw(b"GET /" + b"x" * HEAD_MAX)
    answer = await page.raw(b"\xff\x00planted needle\r\n\r\n")
    assert b" 405 " in answer
    assert b"planted" not in answer


async def test_who_asks_nothing_is_gone_in_time_and_holds_nobody_up(made: House, page: Page) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", page._port) for _ in range(AT_ONCE)]
    await made.settle()
    assert await page.raw(b"GET /health HTTP/1.1\r\n\r\n") == b"", "one too many"
    await made.later(PATIENCE + 1)
    for reader, writer in idle:
        assert await reader.read() == b""
        await shut(writer)
    assert await page.get("/health") == ("HTTP/1.1 200 OK", "ok\n")


def test_only_this_machine_can_ask() -> None:
    hosts = ("127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "10.0.0.1", "", "localhost")
    assert [host for host in hosts if is_loopback(host)] == ["127.0.0.1", "127.9.9.9", "::1"]


async def test_what_happened_is_counted_and_nobody_is_named(made: House) -> None:
    await made.waiter(token(), token())
    dialler, waiter = await made.circuit("127.0.0.8", "127.0.0.9")
    await dialler.say(b"x" * 500)
    await waiter.exactly(500)
    await (await made.guest()).say(b"\x00\x00")
    absent = await made.welcomed()
    await absent.dial(token())
    await made.settle()
    means = (Means("landlock", True, "it holds"), Means("swap", False, "this machine has swap"))
    text = exposition(made.relay.counters, made.relay.gauges(), means)
    found = samples(text)
    assert found["parlour_relay_writes_total"] >= 1
    expected = {"accepted_total": 5, "handshakes_total": 4, "joined_total": 1, "absent_total": 1}
    expected |= {"forwarded_bytes_total": 500, "wrong_total malformed": 1, "waiting_terminals": 1}
    expected |= {"tokens": 2, "circuits": 1, "confined landlock": 1, "confined swap": 0}
    assert {name: found[f"parlour_relay_{name}"] for name in expected} == expected
    assert "127.0.0" not in text


async def test_every_ending_is_counted_with_its_reason() -> None:
    async with house(Limits(tokens=1)) as made:
        dialler, waiter = await made.circuit()
        dialler.close()
        waiter.close()
        await made.settle()
        await made.waiter(token())
        busy = await made.welcomed()
        await busy.wait(token())
        assert await busy.ending() is RelayEnding.BUSY
        found = samples(exposition(made.relay.counters, made.relay.gauges(), ()))
        assert sum(value for name, value in found.items() if "ended_total" in name) == 1
        assert found["parlour_relay_refused_total tokens"] == 1


def test_every_sample_has_its_help_and_its_kind() -> None:
    counters = Counters()
    counters.refused["tokens"] += 1
    text = exposition(counters, {"circuits": lambda: 3}, (Means("core", True, "none"),))
    for name in {sample.partition(" ")[0] for sample in samples(text)}:
        assert text.index(f"# HELP {name} ") < text.index(f"# TYPE {name} ") < text.index(f"\n{name}")
    assert text.endswith("\n")
