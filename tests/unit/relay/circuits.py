"""Circuits on real sockets, at one relay and between two, with what their tests have in common."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from chat.relay.circuit import Buffers, Circuit, End, Patience, Tally
from chat.relay.cluster.circuit import FarCircuit, RelayTunnel
from protocol.errors import ProtocolError
from protocol.keys import X25519Pair
from protocol.noise import Finished
from protocol.relay.cluster import ClusterKeys, Kind
from tests.support.relay.in_process import Tap, Wire

PATIENCE = Patience(idle=60, slow=30, half_open=10)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    for end in (one, other):
        end.setblocking(False)
    return one, other


async def read(end: socket.socket, size: int) -> bytes:
    """Exactly so many bytes, or fewer at the end of the stream."""
    loop, data = asyncio.get_running_loop(), bytearray()
    async with asyncio.timeout(60):
        while len(data) < size and (part := await loop.sock_recv(end, size - len(data))):
            data += part
    return bytes(data)


async def carried(sender: socket.socket, reader: socket.socket, size: int = 300_000) -> bool:
    """Whether so many bytes that one end sends arrive at the other as they were."""
    data = secrets.token_bytes(size)
    sending = asyncio.get_running_loop().sock_sendall(sender, data)
    got, _ = await asyncio.gather(read(reader, len(data)), sending)
    return got == data


def pattern(size: int, start: int = 0) -> bytes:
    """The bytes from a place on that `pressed` sends."""
    return (bytes(range(256)) * (size // 256 + 2))[start % 256 :][:size]


def reset(end: socket.socket) -> None:
    """Close so that the other side sees a broken connection."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@dataclass
class Half:
    """A circuit of one relay, with its buffers, its counts, and why it ended."""

    buffers: Buffers = field(default_factory=Buffers)
    tally: Tally = field(default_factory=Tally)
    ends: list[End] = field(default_factory=list)
    circuit: Circuit | FarCircuit = field(init=False)

    def done(self, _: object, reason: End) -> None:
        self.ends.append(reason)

    def is_clean(self) -> bool:
        """Whether no buffer is lent, and every one is of zeros alone."""
        return not self.buffers.lent and not any(map(any, (*self.buffers._free, self.buffers.spare)))


class Passage:
    """The outer ends of a circuit, and what joins them at one relay or at two."""

    def __init__(self, left: socket.socket, right: socket.socket, halves: Sequence[Half]) -> None:
        self.left, self.right, self.halves = left, right, halves

    @property
    def ends(self) -> list[End]:
        """Why it ended, in which its halves agree."""
        one, other = self.halves[0].ends, self.halves[-1].ends
        assert one == other
        return one

    def is_clean(self) -> bool:
        return all(half.is_clean() for half in self.halves)

    async def pressed(self) -> int:
        """Send to the right, which reads nothing, until the left end feels it; returns how much."""
        total = 0
        for _ in range(10):
            with contextlib.suppress(BlockingIOError):
                while total < 1 << 26:
                    total += self.left.send(pattern(65_536, total))
            await settle()
        return total

    async def check(self, now: float) -> None:
        """Let a clock show this time; the wire carries at once what the clock has skipped."""
        for half in self.halves:
            if isinstance(half.circuit, FarCircuit):
                half.circuit._heard = now
            half.circuit.check(now, PATIENCE)
        await settle()

    def close(self) -> None:
        for half in self.halves:
            half.circuit.end(End.STOPPED)
        self.left.close()
        self.right.close()


class Joined(Passage):
    """A circuit at one relay, which does not begin by itself."""

    def __init__(self, buffers: Buffers | None = None) -> None:
        (left, self.one), (right, self.other) = tcp_pair(), tcp_pair()
        half = Half(buffers or Buffers())
        self.buffers, self.tally = half.buffers, half.tally
        loop, inner = asyncio.get_running_loop(), (self.one, self.other)
        self.circuit = half.circuit = Circuit(loop, inner, half.buffers, half.tally, half.done)
        super().__init__(left, right, [half])


class FarHalf(Half):
    """One relay's part of a circuit between two, which listens to the wire."""

    def __init__(self, wire: Wire, name: str, other: str, inner: socket.socket, finished: Finished) -> None:
        super().__init__()
        self.tap: Tap = wire.tap(self)
        self.tap.subscribe(name)
        self.tunnel = RelayTunnel(self.tap, (name, other), finished, self.tap.unsubscribe)
        loop = asyncio.get_running_loop()
        self.far = FarCircuit(loop, (inner, self.tunnel), self.buffers, self.tally, self.done)
        self.circuit = self.far
        self.far.start()

    def connected(self) -> None: ...
    def parted(self) -> None: ...

    def arrived(self, subject: str, payload: bytes) -> None:
        try:
            self.far.arrived(payload)
        except ProtocolError:
            self.far.spoiled()

    def nobody(self, subject: str) -> None:
        self.far.lost()


class Span(Passage):
    """A circuit between two relays, and the wire between them."""

    def __init__(self) -> None:
        self.wire = Wire()
        (left, one), (right, other) = tcp_pair(), tcp_pair()
        pair = X25519Pair.generate()
        asking, answering = (ClusterKeys(pair).handshake(b"name", asking=asks) for asks in (True, False))
        answering.read_message(asking.write_message())
        asking.read_message(answering.write_message())
        self.one = FarHalf(self.wire, "left", "right", one, asking.finish())
        self.other = FarHalf(self.wire, "right", "left", other, answering.finish())
        super().__init__(left, right, [self.one, self.other])

    def frames(self) -> list[bytes]:
        """The frames of link bytes that the wire was given towards the right."""
        return [frame for subject, frame in self.wire.carried if subject == "right" and frame[0] == Kind.DATA]

    def waiting(self) -> int:
        """Bytes of links between the left relay and the right terminal."""
        return sum(len(frame) - 17 for frame in self.frames()) - self.other.tally.forwarded
