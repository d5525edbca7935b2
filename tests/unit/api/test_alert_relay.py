"""The relay of alerts: what is no report of Alertmanager sends nothing to anybody."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from typing import Any

import pytest

from tests.architecture.imports import ROOT
from tests.support.api import PATIENCE


def example(name: str) -> Any:
    """An example as a module: no package has them."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RELAY = example("alert_relay")
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
REPORT = json.dumps({"alerts": [{"status": "firing"}]}).encode()
JSON = "Content-Type: application/json"


class Sent:
    """Stands for Parlour, and keeps what it is given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def send(self, contact: str, text: str, *, send_id: str) -> None:
        self.texts.append(text)


class Listening:
    """A relay on loopback."""

    def __init__(self, secret: str = "") -> None:
        self.sent = Sent()
        self._relay = RELAY.Relay(self.sent, "ben", secret)
        self.open: list[asyncio.StreamWriter] = []

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.append(writer)
        await self._relay.accept(reader, writer)

    async def ask(self, *fields: str, body: bytes = REPORT, host: str = "127.0.0.1:9099") -> str:
        """The status of the answer."""
        head = "\r\n".join(
            ("POST / HTTP/1.1", f"Host: {host}", *fields, f"Content-Length: {len(body)}", "", "")
        )
        return await self.say(head.encode() + body)

    async def say(self, data: bytes) -> str:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(data)
            async with asyncio.timeout(PATIENCE):
                status = (await reader.readline()).decode().strip()
            writer.transport.abort()
        assert all(one.is_closing() for one in self.open)
        return status.partition(" ")[2]


@pytest.fixture
def listening() -> Listening:
    return Listening()


async def test_a_page_in_a_browser_reports_nothing(listening: Listening) -> None:
    """It can send text to any address without asking, and JSON to a name of its own that leads here."""
    for fields, host in (
        (("Content-Type: text/plain",), "127.0.0.1:9099"),
        ((), "localhost"),
        ((JSON, "Origin: http://example.org"), "127.0.0.1:9099"),
        ((JSON,), "rebound.example.org:9099"),
    ):
        assert await listening.ask(*fields, host=host) == "403 Forbidden", (fields, host)
    assert listening.sent.texts == []
    assert await listening.ask(f"{JSON}; charset=utf-8") == "200 OK"
    assert listening.sent.texts == ["FIRING: alert"]


async def test_with_a_secret_another_user_reports_nothing() -> None:
    listening = Listening("s3cret")
    for fields in ((JSON,), (JSON, "Authorization: Bearer s3cre"), (JSON, "Authorization: Bearer \xff")):
        assert await listening.ask(*fields) == "403 Forbidden"
    assert listening.sent.texts == []
    assert await listening.ask(JSON, "Authorization: Bearer s3cret") == "200 OK"


async def test_a_report_that_is_not_stored_in_time_is_to_come_again(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alertmanager repeats what was answered by 503, and takes 400 for the end of it."""

    async def never(*_text: str, send_id: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(RELAY, "WITHIN", 0.05)
    monkeypatch.setattr(listening.sent, "send", never)
    assert await listening.ask(JSON) == "503 Service Unavailable"


@pytest.mark.parametrize(
    "body",
    [b"", b"[" * 100_000, b'{"alerts":' + b"[" * 100_000, b'{"alerts": 1}', b"\xff", b'{"alerts":[{}]}'],
)
async def test_what_is_no_report_is_answered_and_closed(listening: Listening, body: bytes) -> None:
    assert await listening.ask(JSON, body=body) == "400 Bad Request"
    assert listening.sent.texts == []


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nX: " + b"x" * (1 << 17) + b"\r\n\r\n",
        *(HEAD + size + b"\r\n\r\n" for size in (b"-1", b"2000000", b"x")),
    ],
)
async def test_a_head_that_is_none_is_answered_and_closed(listening: Listening, data: bytes) -> None:
    assert await listening.say(data) == "400 Bad Request"
