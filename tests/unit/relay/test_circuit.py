"""Circuits on real sockets: what passes, what is felt, what is left behind, and how they end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from chat.relay.circuit import Buffers, End
from chat.service.transfers import RELAYED_ASKED, RELAYED_OPEN
from protocol.limits import PIECE_BYTES
from tests.unit.relay.circuits import Joined, Passage, Span, carried, pattern, read, reset, settle

Start = Callable[[Buffers], Joined]


@pytest.fixture(params=["at one relay", "between two"])
async def passage(request: pytest.FixtureRequest) -> AsyncIterator[Passage]:
    made: Joined | Span = Joined() if request.param == "at one relay" else Span()
    if isinstance(made, Joined):
        made.circuit.start()
    yield made
    made.close()


@pytest.fixture
async def joined() -> AsyncIterator[Joined]:
    made = Joined()
    yield made
    made.close()


async def test_what_one_sends_the_other_gets_both_ways(passage: Passage) -> None:
    assert await carried(passage.left, passage.right, 3_000_000)
    assert await carried(passage.right, passage.left, 3_000_000)
    await settle()
    assert {half.tally.forwarded for half in passage.halves} == {6_000_000}
    assert passage.is_clean()


async def test_a_slow_reader_is_felt_by_the_sender_and_one_buffer_is_held(passage: Passage) -> None:
    total = await passage.pressed()
    assert total < 1 << 26, "at some point nothing more is taken"
    lent = [half.buffers.lent for half in passage.halves]
    assert lent[-1] == sum(lent) == 1
    assert await read(passage.right, total) == pattern(total)
    await settle()
    assert passage.is_clean()


async def test_an_end_passes_to_the_other_side_after_the_last_byte(passage: Passage) -> None:
    total = await passage.pressed()
    passage.left.shutdown(socket.SHUT_WR)
    assert len(await read(passage.right, total + 1)) == total
    assert passage.ends == []
    passage.right.send(b"an answer")
    passage.right.shutdown(socket.SHUT_WR)
    assert await read(passage.left, 100) == b"an answer"
    await settle()
    assert passage.ends == [End.CLOSED]


async def test_what_breaks_ends_both_sides_and_leaves_nothing_held(passage: Passage) -> None:
    await passage.pressed()
    reset(passage.right)
    await settle()
    assert passage.ends == [End.BROKEN]
    assert passage.is_clean()


async def test_an_idle_circuit_ends(passage: Passage) -> None:
    now = asyncio.get_running_loop().time()
    await passage.check(now + 30)
    passage.left.send(b"x")
    await read(passage.right, 1)
    await passage.check(now + 59)
    await passage.check(now + 118)
    assert passage.ends == []
    await passage.check(now + 120)
    assert passage.ends == [End.IDLE]
    assert await read(passage.left, 1) == b""


async def test_a_reader_that_takes_a_drop_at_a_time_ends_it_too(passage: Passage) -> None:
    await passage.pressed()
    now = asyncio.get_running_loop().time()
    await passage.check(now)
    await read(passage.right, 1_000)
    await passage.check(now + 20)
    assert passage.ends == []
    await passage.check(now + 31)
    assert passage.ends == [End.SLOW]
    assert passage.is_clean()


async def test_a_circuit_with_one_end_left_does_not_last(passage: Passage) -> None:
    passage.left.shutdown(socket.SHUT_WR)
    await read(passage.right, 1)
    now = asyncio.get_running_loop().time()
    await passage.check(now + 1)
    assert passage.ends == []
    await passage.check(now + 11)
    assert passage.ends == [End.HALF_OPEN]


async def test_frames_that_wait_together_leave_in_one_write(joined: Joined) -> None:
    for _ in range(200):
        joined.left.send(bytes(256))
    joined.circuit.start()
    await read(joined.right, 51_200)
    assert joined.tally.writes < 10


@pytest.mark.parametrize("most", [1, 0], ids=["a buffer", "none left"])
async def test_what_leaves_in_many_parts_arrives_whole(most: int) -> None:
    joined = Joined(Buffers(most, 1 << 18))
    for end in (joined.one, joined.other):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    joined.right.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)  # less has the system delay its ACKs
    joined.circuit.start()
    assert await carried(joined.left, joined.right)
    assert joined.tally.writes > 3
    assert joined.is_clean()
    joined.close()


async def test_an_idle_circuit_holds_no_buffer_and_its_end_is_told_once(joined: Joined) -> None:
    joined.circuit.start()
    joined.left.send(b"something")
    await read(joined.right, 9)
    assert joined.buffers.lent == 0
    joined.circuit.end(End.STOPPED)
    joined.circuit.end(End.BROKEN)
    assert joined.ends == [End.STOPPED]


@pytest.fixture
def start() -> Iterator[Start]:
    """Circuits that begin at once, with given buffers."""
    begun: list[Joined] = []

    def make(buffers: Buffers) -> Joined:
        begun.append(Joined(buffers))
        begun[-1].circuit.start()
        return begun[-1]

    yield make
    for each in begun:
        each.close()


async def all_lent(start: Start) -> tuple[Buffers, Joined, int]:
    """The one buffer there is stands full before a slow reader; the bytes on their way to it."""
    buffers = Buffers(most=1, size=4_096)
    slow = start(buffers)
    total = await slow.pressed()
    assert buffers.lend() is None
    return buffers, slow, total


async def test_without_a_free_buffer_a_lane_goes_on_and_leaves_nothing(start: Start) -> None:
    buffers, slow, total = await all_lent(start)
    other = start(buffers)
    assert await carried(other.left, other.right)
    assert not any(buffers.spare)
    assert len(await read(slow.right, total)) == total


async def test_without_a_free_buffer_a_slow_reader_is_felt_all_the_same(start: Start) -> None:
    buffers, slow, _ = await all_lent(start)
    other = start(buffers)
    total = await other.pressed()
    assert not any(buffers.spare), "what is not sent stays with the system"
    now = asyncio.get_running_loop().time()
    slow.circuit.end(End.STOPPED)
    assert await read(other.right, total) == pattern(total)
    await other.check(now + 31)
    assert other.ends == []


async def test_without_a_free_buffer_a_reader_that_takes_nothing_ends_its_circuit(start: Start) -> None:
    buffers, _, _ = await all_lent(start)
    other = start(buffers)
    await other.pressed()
    await other.check(asyncio.get_running_loop().time() + 31)
    assert other.ends == [End.SLOW]


async def test_without_a_free_buffer_ends_pass_and_breaks_are_noticed(start: Start) -> None:
    buffers, _, _ = await all_lent(start)
    ended, broken = start(buffers), start(buffers)
    ended.left.send(b"last words")
    ended.left.shutdown(socket.SHUT_WR)
    assert await read(ended.right, 100) == b"last words"
    reset(broken.left)
    assert await read(broken.right, 1) == b""
    assert broken.ends == [End.BROKEN]


async def test_who_sends_a_file_to_a_slow_reader_keeps_the_circuit() -> None:
    """As many pieces wait as a terminal lets wait through a relay, and 5 KiB a second are read."""
    joined, size = Joined(), (PIECE_BYTES + 2_048) * RELAYED_OPEN * RELAYED_ASKED
    for end in (joined.one, joined.other):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    joined.right.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    joined.circuit.start()
    sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(joined.left, bytes(size)))
    await settle()
    began = asyncio.get_running_loop().time()
    for second in range(1, size // 5_120 + 1):
        await read(joined.right, 5_120)
        await joined.check(began + second)
    await sending
    assert joined.ends == []
    joined.close()
