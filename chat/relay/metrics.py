"""The relay's own page for whoever runs it: /metrics and /health, on a loopback address alone.

Rules: answers two paths and nothing else; a request is read to the end of its head, up to a bound and for a
few seconds; nothing of a request is kept, repeated or logged.

What a relay counts of itself, and how that is told: numbers, and nothing else about anybody.

Rules: no address, no key, no token, no size of a single thing: sums alone. The text is Prometheus'
exposition format; a label's values are words of this program.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

from chat.relay.circuit import Tally
from chat.relay.sandbox import Means

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Gauge = Callable[[], int]


class Counters(Tally):
    """Sums since the start."""

    __slots__ = (
        *(
            "absent",
            "accepted",
            "asked",
            "backplanes",
            "ended",
            "far",
            "forged",
            "handshakes",
            "joined",
            "refused",
        ),
        *("turned_out", "wrong"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self.turned_out = 0
        self.handshakes = 0
        self.wrong: Counter[str] = Counter()
        self.absent = 0
        self.joined = 0
        self.asked = self.far = self.forged = self.backplanes = 0
        self.ended: Counter[str] = Counter()


def exposition(counters: Counters, gauges: dict[str, Gauge], means: Sequence[Means]) -> str:
    """Everything that is counted, as Prometheus reads it."""
    return "\n".join([*_sums(counters), *_now(gauges), *_confinement(means), ""])


def _sums(counters: Counters) -> Iterator[str]:
    yield from _family("accepted_total", "counter", "Connections accepted.", counters.accepted)
    yield from _labelled("refused_total", "Connections closed by a limit.", "limit", counters.refused)
    yield from _family("turned_out_total", "counter", "Connections that made room.", counters.turned_out)
    yield from _family("handshakes_total", "counter", "Handshakes done.", counters.handshakes)
    yield from _labelled("wrong_total", "Connections closed by an error.", "class", counters.wrong)
    yield from _family("absent_total", "counter", "Diallers told that nobody waits.", counters.absent)
    yield from _family("joined_total", "counter", "Circuits begun.", counters.joined)
    yield from _family("asked_total", "counter", "Dials asked of other relays.", counters.asked)
    yield from _family("far_total", "counter", "Circuits begun with another relay.", counters.far)
    yield from _family(
        "forged_total", "counter", "Messages that were none of the cluster's.", counters.forged
    )
    yield from _family("backplanes_total", "counter", "Connections made to NATS.", counters.backplanes)
    yield from _labelled("ended_total", "Circuits ended.", "reason", counters.ended)
    yield from _family("forwarded_bytes_total", "counter", "Bytes forwarded.", counters.forwarded)
    yield from _family("writes_total", "counter", "Writes that forwarded them.", counters.writes)


def _now(gauges: dict[str, Gauge]) -> Iterator[str]:
    for name, gauge in gauges.items():
        yield from _family(name, "gauge", f"{name.replace('_', ' ').capitalize()} at the moment.", gauge())


def _confinement(means: Sequence[Means]) -> Iterator[str]:
    name = "parlour_relay_confined"
    yield f"# HELP {name} Whether a means of confinement holds."
    yield f"# TYPE {name} gauge"
    for one in means:
        yield f'{name}{{means="{one.name}"}} {int(one.holds)}'


def _family(name: str, kind: str, text: str, value: int) -> Iterator[str]:
    yield f"# HELP parlour_relay_{name} {text}"
    yield f"# TYPE parlour_relay_{name} {kind}"
    yield f"parlour_relay_{name} {value}"


def _labelled(name: str, text: str, label: str, values: Counter[str]) -> Iterator[str]:
    yield f"# HELP parlour_relay_{name} {text}"
    yield f"# TYPE parlour_relay_{name} counter"
    for value, count in sorted(values.items()):
        yield f'parlour_relay_{name}{{{label}="{value}"}} {count}'


HEAD_MAX: Final = 4_096
PATIENCE: Final = 5.0
AT_ONCE: Final = 16

Page = Callable[[], str]


def is_loopback(host: str) -> bool:
    """Whether an address stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Pages:
    """Serves `metrics` under /metrics, and ok under /health, on a listening socket."""

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
    """One connection, one answer."""

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
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method != b"GET":
            self._send("405 Method Not Allowed", "")
        elif path == b"/metrics":
            self._send("200 OK", self._metrics())
        elif path == b"/health":
            self._send("200 OK", "ok\n")
        else:
            self._send("404 Not Found", "")

    def _send(self, status: str, body: str) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        content = body.encode()
        head = [f"HTTP/1.1 {status}", f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {len(content)}"]
        head += ["Cache-Control: no-store", "Connection: close", "", ""]
        with contextlib.suppress(OSError):
            self._transport.write("\r\n".join(head).encode() + content)
        self._transport.close()
