"""Metrics of a relay in the format of Prometheus, and their HTTP pages /metrics and /health on loopback.

Metrics are sums only, without addresses, keys, tokens or sizes of single items. Nothing of a request is
repeated or logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, cast

from chat.relay.circuit import Tally
from chat.relay.sandbox import Means

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Gauge = Callable[[], int]


class Counters(Tally):
    __slots__ = (
        *("absent", "accepted", "asked", "backplanes", "ended", "far"),
        *("forged", "handshakes", "joined", "refused", "turned_out", "wrong"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.accepted = self.turned_out = self.handshakes = self.absent = self.joined = 0
        self.asked = self.far = self.forged = self.backplanes = 0
        self.refused, self.wrong, self.ended = Counter[str](), Counter[str](), Counter[str]()


def exposition(counters: Counters, gauges: dict[str, Gauge], means: Sequence[Means]) -> str:
    one = counters
    lines = [
        *_metric("accepted_total", "Connections accepted.", one.accepted),
        *_metric("refused_total", "Connections closed by a limit.", one.refused, label="limit"),
        *_metric("turned_out_total", "Connections that made room.", one.turned_out),
        *_metric("handshakes_total", "Handshakes done.", one.handshakes),
        *_metric("wrong_total", "Connections closed by an error.", one.wrong, label="class"),
        *_metric("absent_total", "Diallers told that nobody waits.", one.absent),
        *_metric("joined_total", "Circuits begun.", one.joined),
        *_metric("asked_total", "Dials asked of other relays.", one.asked),
        *_metric("far_total", "Circuits begun with another relay.", one.far),
        *_metric("forged_total", "Messages that were none of the cluster's.", one.forged),
        *_metric("backplanes_total", "Connections made to NATS.", one.backplanes),
        *_metric("ended_total", "Circuits ended.", one.ended, label="reason"),
        *_metric("forwarded_bytes_total", "Bytes forwarded.", one.forwarded),
        *_metric("writes_total", "Writes that forwarded them.", one.writes),
    ]
    for name, gauge in gauges.items():
        lines += _metric(name, f"{name.replace('_', ' ').capitalize()} at the moment.", gauge(), "gauge")
    held = Counter({mean.name: int(mean.holds) for mean in means})
    lines += _metric("confined", "Whether a means of confinement holds.", held, "gauge", label="means")
    return "\n".join([*lines, ""])


def _metric(
    name: str, text: str, value: int | Counter[str], kind: str = "counter", label: str = ""
) -> list[str]:
    name = f"parlour_relay_{name}"
    samples = [f"{name} {value}"]
    if isinstance(value, Counter):
        samples = [f'{name}{{{label}="{one}"}} {count}' for one, count in sorted(value.items())]
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *samples]


HEAD_MAX: Final = 4_096
PATIENCE: Final = 5.0
AT_ONCE: Final = 16

Page = Callable[[], str]


class Pages:
    """Serves `metrics` as /metrics and "ok" as /health on a listening socket."""

    def __init__(self, server: socket.socket, metrics: Page) -> None:
        self._socket, self._metrics = server, metrics
        self._server: asyncio.Server | None = None
        self._open: set[_Request] = set()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Request(self._open, self._metrics), sock=self._socket
        )

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for request in list(self._open):
            request.drop()


class _Request(asyncio.Protocol):
    def __init__(self, open_now: set[_Request], metrics: Page) -> None:
        self._open, self._metrics = open_now, metrics
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._end = asyncio.get_running_loop().call_later(PATIENCE, self.drop)
        self._open.add(self)
        if len(self._open) > AT_ONCE:
            self.drop()

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head:
            self._answer(self._head.partition(b"\r\n")[0])
        elif len(self._head) > HEAD_MAX:
            self._send("431 Request Header Fields Too Large", "")

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)
        if self._end is not None:
            self._end.cancel()

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, line: bytes) -> None:
        method, _, rest = line.partition(b" ")
        pages: dict[bytes, Page] = {b"/metrics": self._metrics, b"/health": lambda: "ok\n"}
        page = pages.get(rest.partition(b" ")[0].partition(b"?")[0])
        if method != b"GET":
            self._send("405 Method Not Allowed", "")
        elif page is None:
            self._send("404 Not Found", "")
        else:
            self._send("200 OK", page())

    def _send(self, status: str, body: str) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        content = body.encode()
        head = [f"HTTP/1.1 {status}", f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {len(content)}"]
        head += ["Cache-Control: no-store", "Connection: close", "", ""]
        with contextlib.suppress(OSError):
            self._transport.write("\r\n".join(head).encode() + content)
        self._transport.close()
