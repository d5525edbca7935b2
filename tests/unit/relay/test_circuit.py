"""A circuit on real sockets: what passes, what is felt, what is left behind, and how it ends."""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from chat.relay.circuit import Buffers, Circuit, End, Patience, Tally

PATIENCE = Patience(idle=60, slow=30, half_open=10)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    for end in (one, other):
        end.setblocking(False)
    return one, other


@dataclass
class Joined:
    left: socket.socket
    right: socket.socket
    circuit: Circuit
    buffers: Buffers
    tally: Tally
    ends: list[End] = field(default_factory=list)

    def clean(self) -> bool:
        """Whether every buffer that is not lent is of zeros alone."""
        return not any(any(buffer) for buffer in [*self.buffers._free, self.buffers.spare])


class Table:
    def __init__(self) -> None:
        self._open: list[socket.socket] = []
        self._circuits: list[Circuit] = []

    def join(self, buffers: Buffers | None = None) -> Joined:
        (left, one), (right, other) = tcp_pair(), tcp_pair()
        self._open += [left, right]
        buffers, tally, ends = buffers or Buffers(), Tally(), list[End]()
        loop = asyncio.get_running_loop()
        circuit = Circuit(loop, (one, other), buffers, tally, lambda _, reason: ends.append(reason))
        self._circuits.append(circuit)
        return Joined(left, right, circuit, buffers, tally, ends)

    def start(self, buffers: Buffers | None = None) -> Joined:
        joined = self.join(buffers)
        joined.circuit.start()
        return joined

    def close(self) -> None:
        for circuit in self._circuits:
            circuit.end(End.STOPPED)
        for each in self._open:
            each.close()


@pytest.fixture
async def table() -> AsyncIterator[Table]:
    made = Table()
    yield made
    made.close()


@pytest.fixture
async def joined(table: Table) -> Joined:
    return table.start()


async def read(end: socket.socket, size: int) -> bytes:
    """Exactly so many bytes, or fewer at the end of the stream."""
    loop, data = asyncio.get_running_loop(), bytearray()
    async with asyncio.timeout(60):
        while len(data) < size:
            part = await loop.sock_recv(end, size - len(data))
            if not part:
                break
            data += part
    return bytes(data)


def fill(end: socket.socket, most: int = 1 << 26) -> int:
    """Send until nothing more is taken; returns how much was."""
    block, sent = bytes(range(256)) * 256, 0
    while sent < most:
        try:
            sent += end.send(block)
        except BlockingIOError:
            break
    return sent


def reset(end: socket.socket) -> None:
    """Close so that the other side is told of a broken connection."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def pressed(joined: Joined) -> int:
    """Send to the right, which reads nothing, until the left end feels it; returns the bytes under way."""
    total = 0
    for _ in range(10):
        total += fill(joined.left)
        await settle()
    return total


async def test_what_one_sends_the_other_gets_both_ways(joined: Joined) -> None:
    loop = asyncio.get_running_loop()
    for sender, reader in ((joined.left, joined.right), (joined.right, joined.left)):
        data = secrets.token_bytes(300_000)
        got, _ = await asyncio.gather(read(reader, len(data)), loop.sock_sendall(sender, data))
        assert got == data
    assert joined.tally.forwarded == 600_000
    assert joined.clean()


async def test_frames_that_wait_together_leave_in_one_write(table: Table) -> None:
    joined = table.join()
    for _ in range(200):
        joined.left.send(bytes(256))
    joined.circuit.start()
    await read(joined.right, 51_200)
    assert joined.tally.writes < 10


async def test_a_slow_reader_is_felt_by_the_sender_and_one_buffer_is_held(joined: Joined) -> None:
    total = await pressed(joined)
    assert total < 1 << 26, "at some point nothing more is taken"
    assert joined.buffers.lent == 1
    got = await read(joined.right, total)
    assert got == (bytes(range(256)) * 256 * (total // 65_536 + 1))[:total]
    await settle()
    assert joined.buffers.lent == 0
    assert joined.clean()


@pytest.mark.parametrize("most", [1, 0], ids=["a buffer", "none left"])
async def test_what_leaves_in_many_parts_arrives_whole(table: Table, most: int) -> None:
    joined = table.join(Buffers(most, 1 << 18))
    for end in joined.circuit._between[:2]:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    joined.right.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    joined.circuit.start()
    loop, data = asyncio.get_running_loop(), secrets.token_bytes(200_000)
    got, _ = await asyncio.gather(read(joined.right, len(data)), loop.sock_sendall(joined.left, data))
    assert got == data
    assert joined.tally.writes > 3
    assert joined.clean()


async def test_an_idle_circuit_holds_no_buffer(joined: Joined) -> None:
    joined.left.send(b"something")
    await read(joined.right, 9)
    assert joined.buffers.lent == 0


async def all_lent(table: Table) -> tuple[Buffers, Joined, int]:
    """The one buffer there is stands full before a slow reader; the bytes on their way to it."""
    buffers = Buffers(most=1, size=4_096)
    slow = table.start(buffers)
    total = await pressed(slow)
    assert buffers.lend() is None
    return buffers, slow, total


async def test_without_a_free_buffer_a_lane_goes_on_and_leaves_nothing(table: Table) -> None:
    buffers, slow, total = await all_lent(table)
    other = table.start(buffers)
    loop, data = asyncio.get_running_loop(), secrets.token_bytes(300_000)
    got, _ = await asyncio.gather(read(other.right, len(data)), loop.sock_sendall(other.left, data))
    assert got == data
    assert not any(buffers.spare)
    assert len(await read(slow.right, total)) == total


async def test_without_a_free_buffer_a_slow_reader_is_felt_all_the_same(table: Table) -> None:
    buffers, slow, _ = await all_lent(table)
    other = table.start(buffers)
    total = await pressed(other)
    assert not any(buffers.spare), "what is not sent stays with the system"
    now = asyncio.get_running_loop().time()
    slow.circuit.end(End.STOPPED)
    got = await read(other.right, total)
    assert got == (bytes(range(256)) * 256 * (total // 65_536 + 1))[:total]
    other.circuit.check(now + 31, PATIENCE)
    assert other.ends == []


async def test_without_a_free_buffer_a_reader_that_takes_nothing_ends_its_circuit(table: Table) -> None:
    buffers, _, _ = await all_lent(table)
    other = table.start(buffers)
    await pressed(other)
    other.circuit.check(asyncio.get_running_loop().time() + 31, PATIENCE)
    assert other.ends == [End.SLOW]


async def test_without_a_free_buffer_ends_pass_and_breaks_are_noticed(table: Table) -> None:
    buffers, _, _ = await all_lent(table)
    ended, broken = table.start(buffers), table.start(buffers)
    ended.left.send(b"last words")
    ended.left.shutdown(socket.SHUT_WR)
    assert await read(ended.right, 100) == b"last words"
    reset(broken.left)
    assert await read(broken.right, 1) == b""
    assert broken.ends == [End.BROKEN]


async def test_an_end_passes_to_the_other_side_after_the_last_byte(joined: Joined) -> None:
    joined.left.send(b"last words")
    joined.left.shutdown(socket.SHUT_WR)
    assert await read(joined.right, 100) == b"last words"
    assert joined.ends == []
    joined.right.send(b"an answer")
    joined.right.shutdown(socket.SHUT_WR)
    assert await read(joined.left, 100) == b"an answer"
    await settle()
    assert joined.ends == [End.CLOSED]


async def test_what_breaks_ends_both_sides_and_leaves_nothing_held(joined: Joined) -> None:
    await pressed(joined)
    reset(joined.right)
    await settle()
    assert joined.ends == [End.BROKEN]
    assert (joined.buffers.lent, joined.clean()) == (0, True)


async def test_an_idle_circuit_ends(joined: Joined) -> None:
    now = asyncio.get_running_loop().time()
    joined.circuit.check(now + 30, PATIENCE)
    joined.left.send(b"x")
    await read(joined.right, 1)
    joined.circuit.check(now + 59, PATIENCE)
    joined.circuit.check(now + 118, PATIENCE)
    assert joined.ends == []
    joined.circuit.check(now + 120, PATIENCE)
    assert joined.ends == [End.IDLE]
    assert await read(joined.left, 1) == b""


async def test_a_reader_that_takes_a_drop_at_a_time_ends_it_too(joined: Joined) -> None:
    await pressed(joined)
    now = asyncio.get_running_loop().time()
    await read(joined.right, 1_000)
    joined.circuit.check(now + 1, PATIENCE)
    assert joined.ends == []
    joined.circuit.check(now + 31, PATIENCE)
    assert joined.ends == [End.SLOW]
    assert (joined.buffers.lent, joined.clean()) == (0, True)


async def test_a_circuit_with_one_end_left_does_not_last(joined: Joined) -> None:
    joined.left.shutdown(socket.SHUT_WR)
    await read(joined.right, 1)
    now = asyncio.get_running_loop().time()
    joined.circuit.check(now + 1, PATIENCE)
    assert joined.ends == []
    joined.circuit.check(now + 11, PATIENCE)
    assert joined.ends == [End.HALF_OPEN]


async def test_an_end_is_told_once(joined: Joined) -> None:
    joined.circuit.end(End.STOPPED)
    joined.circuit.end(End.BROKEN)
    assert joined.ends == [End.STOPPED]
