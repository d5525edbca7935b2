"""A circuit between two relays on real sockets: what passes, what is felt, what a wire can do to it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from chat.relay.circuit import Buffers, End, Patience, Tally
from chat.relay.cluster import circuit
from chat.relay.cluster.circuit import CREDIT_FROM, LOST_AFTER, WINDOW, FarCircuit, RelayTunnel
from protocol.errors import ProtocolError
from protocol.keys import X25519Pair
from protocol.noise import Finished
from protocol.relay.cluster import ClusterKeys, Kind
from tests.support.relay.in_process import Tap, Wire
from tests.unit.relay.test_circuit import fill, read, settle, tcp_pair

PATIENCE = Patience(idle=60, slow=30, half_open=10)


class Half:
    def __init__(self, name: str, wire: Wire) -> None:
        self.name, self.buffers, self.tally = name, Buffers(), Tally()
        self.outer, self._inner = tcp_pair()
        self.ends: list[End] = []
        self.tap: Tap = wire.tap(self)
        self.tap.subscribe(name)
        self.circuit: FarCircuit

    def begin(self, finished: Finished, other: str) -> None:
        self.tunnel = RelayTunnel(self.tap, (self.name, other), finished, self.tap.unsubscribe)
        loop = asyncio.get_running_loop()
        ends = (self._inner, self.tunnel)
        self.circuit = FarCircuit(loop, ends, self.buffers, self.tally, lambda _, end: self.ends.append(end))
        self.circuit.start()

    def connected(self) -> None: ...

    def parted(self) -> None: ...

    def arrived(self, subject: str, payload: bytes) -> None:
        try:
            self.circuit.arrived(payload)
        except ProtocolError:
            self.circuit.spoiled()

    def nobody(self, subject: str) -> None:
        self.circuit.lost()

    def clean(self) -> bool:
        """Whether no buffer is lent, and every one is of zeros alone."""
        return not self.buffers.lent and not any(any(buffer) for buffer in self.buffers._free)

    def close(self) -> None:
        self.circuit.end(End.STOPPED)
        self.outer.close()


def keys() -> tuple[Finished, Finished]:
    pair = X25519Pair.generate()
    asking = ClusterKeys(pair).handshake(b"name", asking=True)
    answering = ClusterKeys(pair).handshake(b"name", asking=False)
    answering.read_message(asking.write_message())
    asking.read_message(answering.write_message())
    return asking.finish(), answering.finish()


@dataclass
class Span:
    wire: Wire = field(default_factory=Wire)

    def __post_init__(self) -> None:
        self.left, self.right = Half("left", self.wire), Half("right", self.wire)
        first, second = keys()
        self.left.begin(first, "right")
        self.right.begin(second, "left")

    def both(self) -> tuple[Half, Half]:
        return self.left, self.right

    def under_way(self) -> int:
        """Bytes that the wire was given towards the right, less overhead of frames."""
        return sum(len(frame) - 17 for subject, frame in self.wire.carried if is_data(subject, frame))


def is_data(subject: str, frame: bytes) -> bool:
    return subject == "right" and frame[0] == Kind.DATA


@pytest.fixture
async def span() -> AsyncIterator[Span]:
    made = Span()
    yield made
    for half in made.both():
        half.close()


async def pressed(span: Span) -> int:
    """Send from the left to a right end that reads nothing until nothing more is taken; returns how much."""
    total = 0
    for _ in range(10):
        total += fill(span.left.outer)
        await settle()
    return total


async def gone(half: Half) -> bool:
    return await asyncio.wait_for(read(half.outer, 1), 10) == b""


async def test_what_one_sends_the_other_gets_both_ways(span: Span) -> None:
    loop = asyncio.get_running_loop()
    for sender, reader in (span.both(), span.both()[::-1]):
        data = secrets.token_bytes(3_000_000)
        got, _ = await asyncio.gather(read(reader.outer, len(data)), loop.sock_sendall(sender.outer, data))
        assert got == data
    await settle()
    assert span.left.tally.forwarded == span.right.tally.forwarded == 6_000_000
    assert span.left.clean()
    assert span.right.clean()


async def test_a_slow_reader_is_felt_by_the_sender_and_a_window_is_all_that_waits(span: Span) -> None:
    total = await pressed(span)
    assert total < 1 << 26, "at some point nothing more is taken"
    waiting = span.under_way() - span.right.tally.forwarded
    assert 0 < waiting <= WINDOW
    assert (span.left.buffers.lent, span.right.buffers.lent) == (0, 1)
    got = await read(span.right.outer, total)
    assert got == (bytes(range(256)) * 256 * (total // 65_536 + 1))[:total]
    await settle()
    assert span.left.clean()
    assert span.right.clean()


async def test_without_a_window_what_waits_would_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault that the test above is to catch: a sender that does not count."""
    monkeypatch.setattr(circuit.Outbound, "_sent", lambda self, count: None)
    monkeypatch.setattr(circuit.Outbound, "credit", lambda self, more: None)
    span = Span()
    with contextlib.suppress(ConnectionError):
        await pressed(span)
    waiting = span.under_way() - span.right.tally.forwarded
    assert waiting > WINDOW
    assert span.right.ends == [End.BROKEN], "and the other relay does not take it"
    for half in span.both():
        half.close()


async def test_while_the_backplane_is_crowded_nothing_is_read(span: Span) -> None:
    span.left.tap.is_crowded = True
    span.left.outer.send(b"patience")
    await settle()
    assert span.wire.carried == []
    span.left.tap.relieve()
    assert await read(span.right.outer, 8) == b"patience"


async def test_frames_are_no_larger_than_nats_lets_pass(span: Span) -> None:
    span.left.tap.largest = 1_024
    data = secrets.token_bytes(50_000)
    await asyncio.get_running_loop().sock_sendall(span.left.outer, data)
    assert await read(span.right.outer, len(data)) == data
    assert max(len(payload) for _, payload in span.wire.carried) == 1_024


async def test_an_end_passes_to_the_other_side_after_the_last_byte(span: Span) -> None:
    total = await pressed(span)
    span.left.outer.shutdown(socket.SHUT_WR)
    assert len(await read(span.right.outer, total + 1)) == total
    assert span.left.ends == span.right.ends == []
    span.right.outer.send(b"an answer")
    span.right.outer.shutdown(socket.SHUT_WR)
    assert await read(span.left.outer, 100) == b"an answer"
    await settle()
    assert span.left.ends == span.right.ends == [End.CLOSED]


async def test_what_breaks_on_one_side_ends_both(span: Span) -> None:
    await pressed(span)
    span.right.outer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    span.right.outer.close()
    await settle()
    assert span.left.ends == span.right.ends == [End.BROKEN]
    assert span.left.clean()
    assert span.right.clean()


FRAMES = 5


def nth(change: Callable[[bytes], list[bytes]]) -> Callable[[bytes], list[bytes]]:
    seen = 0

    def changed(payload: bytes) -> list[bytes]:
        nonlocal seen
        seen += 1
        return change(payload) if seen == FRAMES else [payload]

    return changed


WRONGS: dict[str, Callable[[bytes], list[bytes]]] = {
    "altered": lambda frame: [frame[:-1] + bytes((frame[-1] ^ 1,))],
    "of another kind": lambda frame: [bytes((Kind.FINISHED,)) + frame[1:]],
    "of no kind": lambda frame: [b"\x63" + frame[1:]],
    "twice": lambda frame: [frame, frame],
    "lost": lambda frame: [],
    "empty": lambda frame: [b""],
    "too long": lambda frame: [frame + bytes(1 << 17)],
    "invented": lambda frame: [bytes((Kind.DATA,)) + secrets.token_bytes(40), frame],
}


@pytest.mark.parametrize("wrong", WRONGS)
async def test_attack_58_a_frame_that_is_not_the_next_one_ends_the_circuit(span: Span, wrong: str) -> None:
    """A forged frame reaches nobody; neither does anything after one that was lost."""
    span.wire.change = nth(WRONGS[wrong])
    sent = bytearray()
    loop = asyncio.get_running_loop()
    for number in range(2 * FRAMES):
        if span.left.ends:
            break
        block = bytes((number,)) * 100
        await loop.sock_sendall(span.left.outer, block)
        sent += block
        await settle()
    got = await read(span.right.outer, 1 << 16)
    assert span.right.ends == [End.BROKEN]
    assert span.left.ends == [End.BROKEN]
    assert bytes(sent).startswith(got)
    assert len(got) in (400, 500), "the frames before it, and itself where it came twice"
    assert span.right.clean()


async def test_attack_58_frames_in_another_order_end_the_circuit(span: Span) -> None:
    held: list[bytes] = []

    def swap(payload: bytes) -> list[bytes]:
        held.append(payload)
        return [held[1], held[0]] if len(held) == 2 else [] if len(held) == 1 else [payload]

    span.wire.change = swap
    for _ in range(2):
        span.left.outer.send(b"one after the other")
        await settle()
    assert await read(span.right.outer, 100) == b""
    assert span.right.ends == [End.BROKEN]


async def test_attack_58_frames_of_one_circuit_do_not_open_in_another(span: Span) -> None:
    other = Span()
    span.left.outer.send(b"of this circuit")
    await settle()
    ((_, frame),) = [each for each in span.wire.carried if is_data(*each)]
    other.wire.carry(None, "right", frame, "")
    assert await gone(other.right)
    assert other.right.ends == [End.BROKEN]
    for half in other.both():
        half.close()


async def test_a_relay_that_sends_over_the_window_is_not_waited_for(span: Span) -> None:
    await pressed(span)
    span.left.tunnel.send(Kind.DATA, bytes(CREDIT_FROM + 1))
    await settle()
    assert span.right.ends == [End.BROKEN]


async def test_more_credit_than_was_used_ends_it(span: Span) -> None:
    span.right.tunnel.send(Kind.CREDIT, (1).to_bytes(4))
    await settle()
    assert span.left.ends == [End.BROKEN]


async def test_bytes_after_the_end_end_it(span: Span) -> None:
    span.left.tunnel.send(Kind.FINISHED)
    span.left.tunnel.send(Kind.DATA, b"still")
    await settle()
    assert span.right.ends == [End.BROKEN]


async def test_a_relay_that_is_gone_is_noticed_by_the_next_frame(span: Span) -> None:
    span.right.tap.is_connected = False
    span.left.outer.send(b"is anybody there")
    assert await gone(span.left)
    assert span.left.ends == [End.LOST]


async def test_a_relay_that_says_nothing_is_given_up(span: Span) -> None:
    span.wire.change = lambda payload: []
    now = asyncio.get_running_loop().time()
    span.left.circuit.check(now + LOST_AFTER - 1, PATIENCE)
    assert span.left.ends == []
    span.left.circuit.check(now + LOST_AFTER + 1, PATIENCE)
    assert span.left.ends == [End.LOST]


async def test_an_idle_circuit_says_that_it_lives_and_then_ends(span: Span) -> None:
    now = asyncio.get_running_loop().time()
    for second in range(4, 60, 4):
        for half in span.both():
            half.circuit._heard = now + second  # the wire carries at once what the clock here has skipped
            half.circuit.check(now + second, PATIENCE)
        await settle()
    assert span.left.ends == span.right.ends == []
    assert {payload[0] for _, payload in span.wire.carried} == {Kind.ALIVE}
    span.left.circuit._heard = now + 61
    span.left.circuit.check(now + 61, PATIENCE)
    await settle()
    assert span.left.ends == span.right.ends == [End.IDLE]


async def test_a_reader_that_takes_a_drop_at_a_time_ends_it_too(span: Span) -> None:
    await pressed(span)
    now = asyncio.get_running_loop().time()
    span.right.circuit._heard = now + 40
    span.right.circuit.check(now, PATIENCE)
    await read(span.right.outer, 1_000)
    span.right.circuit.check(now + 29, PATIENCE)
    assert span.right.ends == []
    span.right.circuit.check(now + 31, PATIENCE)
    assert span.right.ends == [End.SLOW]
    await settle()
    assert span.left.ends == [End.SLOW]
    assert span.right.clean()


async def test_a_circuit_with_one_end_left_does_not_last(span: Span) -> None:
    span.left.outer.shutdown(socket.SHUT_WR)
    assert await gone(span.right)
    for half, seconds in ((span.left, 9), (span.right, 11)):
        now = asyncio.get_running_loop().time()
        half.circuit._heard = now + seconds
        half.circuit.check(now + seconds, PATIENCE)
    await settle()
    assert span.right.ends == [End.HALF_OPEN]
    assert span.left.ends == [End.HALF_OPEN]


async def test_nothing_of_a_link_stands_in_what_the_wire_carries(span: Span) -> None:
    needle = secrets.token_bytes(32)
    span.left.outer.send(needle * 100)
    assert await read(span.right.outer, 3_200) == needle * 100
    assert not any(needle in payload or needle[:8] in payload for _, payload in span.wire.carried)


async def test_where_all_buffers_are_lent_a_quick_reader_goes_on_and_a_slow_one_goes(span: Span) -> None:
    for half in span.both():
        while half.buffers.lend() is not None:
            pass
    loop, data = asyncio.get_running_loop(), secrets.token_bytes(1_000_000)
    got, _ = await asyncio.gather(read(span.right.outer, len(data)), loop.sock_sendall(span.left.outer, data))
    assert got == data
    with contextlib.suppress(ConnectionError):
        await pressed(span)
    assert span.right.ends == [End.SLOW]
    assert not any(span.right.buffers.spare)
    assert not any(span.left.buffers.spare)
