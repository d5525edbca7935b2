"""The rows relay.forward and relay.latency: frames through a relay, beside a bare splice and a NATS server.

Rules: each subject is a program of its own that takes its turn in every round; the two ends are here and have
the same cores. What is not there is named as left out, with the reason.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any, Final

from chat.bench import between
from chat.bench.between import Way
from chat.bench.report import NotTaken
from protocol.bench import peers
from protocol.bench.measure import Sample, Subject, interleave, rows
from protocol.bench.row import left_out
from protocol.frames import LENGTH_SIZE

FORWARD: Final = "relay.forward"
LATENCY: Final = "relay.latency"
SIZES: Final = {256: 65_536, 61_440: 256}
"""Bytes of a frame, and how many wait together: 16 MiB, so that what sockets hold is a small part of it."""
LATENCY_SIZE: Final = 256
ROUNDS: Final = 11

_AT_ONCE: Final = 1 << 20
"""Bytes that are published in one go: of more the library drops some."""
_PINGS: Final = 200
"""Frames of one round of relay.latency, one after the other."""

_NOTES: Final = {
    "parlour": "the real program, confined; one buffer a direction, zeroed behind every write",
    "tcp": "a bare asyncio splice (Protocol to transport.write), which zeroes nothing",
    "nats": "nats-server, the same through nats-py with a connection at either end",
}


class Flow:
    """Sends many frames into one end and takes them from the other; the sender has a thread of its own."""

    def __init__(self, way: Way, size: int) -> None:
        self._sender, self._reader = way
        self._block = bytes((LENGTH_SIZE + size) * SIZES[size])
        self._room = bytearray(1 << 20)
        self._go = threading.Semaphore(0)
        self._ended = False
        threading.Thread(target=self._send, daemon=True).start()

    def __call__(self) -> None:
        """All of them, from one end to the other."""
        self._go.release()
        left = len(self._block)
        while left:
            count = self._reader.recv_into(self._room)
            if not count:
                raise ConnectionError("what stands between has gone")
            left -= count

    def end(self) -> None:
        self._ended = True
        self._go.release()

    def _send(self) -> None:
        while self._go.acquire() and not self._ended:
            self._sender.sendall(self._block)


class Pings:
    """One frame at a time; `spans` gives the seconds that each took from one end to the other."""

    def __init__(self, way: Way) -> None:
        self._sender, self._reader = way
        self._frame = bytes(LENGTH_SIZE + LATENCY_SIZE)

    def spans(self) -> list[float]:
        return [self._one() for _ in range(_PINGS)]

    def _one(self) -> float:
        began, left = time.perf_counter(), len(self._frame)
        self._sender.sendall(self._frame)
        while left:
            left -= len(self._reader.recv(left)) or left
        return time.perf_counter() - began


class Nats:
    """A publisher and a subscriber, as two terminals would be, on an event loop of their own."""

    def __init__(self, module: Any, address: str, size: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._frame = bytes(LENGTH_SIZE + size)
        self._all, self._once = SIZES[size], _AT_ONCE // size
        self._left, self._came = 0, asyncio.Event()
        self._publisher, self._subscriber = self._loop.run_until_complete(self._connect(module, address))

    async def _connect(self, module: Any, address: str) -> tuple[Any, Any]:
        publisher, subscriber = await module.connect(address), await module.connect(address)
        await subscriber.subscribe("parlour", cb=self._heard)
        await subscriber.flush()
        return publisher, subscriber

    def __call__(self) -> None:
        """As many as a Flow has, from one end to the other."""
        for done in range(0, self._all, self._once):
            self._loop.run_until_complete(self._forward(min(self._once, self._all - done)))

    def spans(self) -> list[float]:
        return self._loop.run_until_complete(self._spans())

    async def _spans(self) -> list[float]:
        found = []
        for _ in range(_PINGS):
            began = time.perf_counter()
            await self._forward(1)
            found.append(time.perf_counter() - began)
        return found

    async def _forward(self, count: int) -> None:
        self._left = count
        self._came.clear()
        for _ in range(count):
            await self._publisher.publish("parlour", self._frame)
        await self._came.wait()

    async def _heard(self, _: Any) -> None:
        self._left -= 1
        if not self._left:
            self._came.set()

    def end(self) -> None:
        async def close() -> None:
            await self._publisher.close()
            await self._subscriber.close()

        self._loop.run_until_complete(close())
        self._loop.close()


@contextmanager
def _nats(size: int) -> Iterator[Nats]:
    """Raises NotTaken where the server or its client is lacking."""
    module = peers.load("nats")
    if module is None:
        raise NotTaken("nats-py is not installed")
    with between.nats_server() as server:
        made = Nats(module, f"nats://127.0.0.1:{server.port}", size)
        try:
            yield made
        finally:
            made.end()


@contextmanager
def _flow(way: Way, size: int) -> Iterator[Flow]:
    made = Flow(way, size)
    try:
        yield made
    finally:
        made.end()


def forward(
    *, peers: bool = False, rounds: int = ROUNDS, seconds: float = 0.15, **_: Any
) -> list[dict[str, Any]]:
    """relay.forward: frames a second, at both sizes."""
    return [row for size in SIZES for row in _forward(size, peers, rounds, seconds)]


def _forward(size: int, with_peers: bool, rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    lacking = ""
    with ExitStack() as stack:
        enter = stack.enter_context
        flows: dict[str, Flow | Nats] = {
            "parlour": enter(_flow(enter(between.parlour()), size)),
            "tcp": enter(_flow(enter(between.splice()), size)),
        }
        try:
            flows |= {"nats": enter(_nats(size))} if with_peers else {}
        except NotTaken as told:
            lacking = str(told)
        subjects = [Subject(name, flow, _NOTES[name]) for name, flow in flows.items()]
        samples = interleave(subjects, units=SIZES[size], rounds=rounds, seconds=seconds)
    yield from rows(FORWARD, size, "frames/s", samples)
    if lacking:
        yield left_out(FORWARD, size, "nats", "frames/s", lacking)


def latency(*, peers: bool = False, rounds: int = ROUNDS, **_: Any) -> list[dict[str, Any]]:
    """relay.latency: one over the median that a relay adds to a direct link."""
    lacking = ""
    with ExitStack() as stack:
        enter = stack.enter_context
        plain = Pings(enter(between.direct()))
        ways: dict[str, Pings | Nats] = {
            "parlour": Pings(enter(between.parlour())),
            "tcp": Pings(enter(between.splice())),
        }
        try:
            ways |= {"nats": enter(_nats(LATENCY_SIZE))} if peers else {}
        except NotTaken as told:
            lacking = str(told)
        added = _added(plain, ways, rounds)
    found = rows(LATENCY, LATENCY_SIZE, "1/s", [_sample(name, spans) for name, spans in added.items()])
    return [*found, left_out(LATENCY, LATENCY_SIZE, "nats", "1/s", lacking)] if lacking else found


Spans = list[tuple[float, float]]
"""Of each round, what is added at the median and at the 99th percentile, in seconds."""


def _added(plain: Pings, ways: dict[str, Pings | Nats], rounds: int) -> dict[str, Spans]:
    added: dict[str, Spans] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        direct = _percentiles(plain.spans())
        for name, way in ways.items():
            through = _percentiles(way.spans())
            added[name].append((through[0] - direct[0], through[1] - direct[1]))
    return {name: spans[1:] for name, spans in added.items()}


def _percentiles(spans: list[float]) -> tuple[float, float]:
    ordered = sorted(spans)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]


def _sample(name: str, spans: Spans) -> Sample:
    middle, late = (median(column) * 1e6 for column in zip(*spans, strict=True))
    note = (
        f"adds p50 {middle:.1f} µs, p99 {late:.1f} µs to a direct link, one frame at a time; {_NOTES[name]}"
    )
    rates = tuple(1 / max(half, 1e-9) for half, _ in spans)
    return Sample(Subject(name, lambda: None, note), rates)
