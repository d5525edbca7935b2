"""A circuit between two relays: its window, what the wire can do to it, and who is given up."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable

import pytest

from chat.relay.circuit import End
from chat.relay.cluster import circuit
from chat.relay.cluster.circuit import CREDIT_FROM, LOST_AFTER, WINDOW
from protocol.relay.cluster import Kind
from tests.unit.relay.circuits import PATIENCE, Span, carried, read, settle


@pytest.fixture
async def span() -> AsyncIterator[Span]:
    made = Span()
    yield made
    made.close()


async def test_a_window_is_all_that_waits(span: Span) -> None:
    await span.pressed()
    assert 0 < span.waiting() <= WINDOW


async def test_without_a_window_what_waits_would_grow(span: Span, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault that the test above is to catch: a sender that does not count."""
    monkeypatch.setattr(circuit.Outbound, "_sent", lambda self, count: None)
    monkeypatch.setattr(circuit.Outbound, "credit", lambda self, more: None)
    with contextlib.suppress(ConnectionError):
        await span.pressed()
    assert span.waiting() > WINDOW
    assert span.other.ends == [End.BROKEN], "and the other relay does not take it"


async def test_while_the_backplane_is_crowded_nothing_is_read(span: Span) -> None:
    span.one.tap.is_crowded = True
    span.left.send(b"patience")
    await settle()
    assert span.wire.carried == []
    span.one.tap.relieve()
    assert await read(span.right, 8) == b"patience"


async def test_frames_are_no_larger_than_nats_lets_pass(span: Span) -> None:
    span.one.tap.largest = 1_024
    assert await carried(span.left, span.right, 50_000)
    assert max(map(len, span.frames())) == 1_024


FRAMES = 5
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
    seen, sent = 0, bytearray()

    def change_the_fifth(frame: bytes) -> list[bytes]:
        nonlocal seen
        seen += 1
        return WRONGS[wrong](frame) if seen == FRAMES else [frame]

    span.wire.change = change_the_fifth
    for number in range(2 * FRAMES):
        if span.one.ends:
            break
        block = bytes((number,)) * 100
        await asyncio.get_running_loop().sock_sendall(span.left, block)
        sent += block
        await settle()
    got = await read(span.right, 1 << 16)
    assert span.ends == [End.BROKEN]
    assert bytes(sent).startswith(got)
    assert len(got) in (400, 500), "the frames before it, and itself where it came twice"
    assert span.other.is_clean()


async def test_attack_58_frames_in_another_order_end_the_circuit(span: Span) -> None:
    held: list[bytes] = []

    def swap(payload: bytes) -> list[bytes]:
        held.append(payload)
        return [held[1], held[0]] if len(held) == 2 else [] if len(held) == 1 else [payload]

    span.wire.change = swap
    for _ in range(2):
        span.left.send(b"one after the other")
        await settle()
    assert await read(span.right, 100) == b""
    assert span.other.ends == [End.BROKEN]


async def test_attack_58_frames_of_one_circuit_do_not_open_in_another(span: Span) -> None:
    other = Span()
    span.left.send(b"of this circuit")
    await settle()
    (frame,) = span.frames()
    other.wire.carry(None, "right", frame, "")
    assert await read(other.right, 1) == b""
    assert other.other.ends == [End.BROKEN]
    other.close()


AGAINST_THE_RULES: dict[str, list[tuple[Kind, bytes]]] = {
    "over the window": [(Kind.DATA, bytes(CREDIT_FROM + 1))],
    "more credit than was used": [(Kind.CREDIT, (1).to_bytes(4))],
    "bytes after the end": [(Kind.FINISHED, b""), (Kind.DATA, b"still")],
}


@pytest.mark.parametrize("wrong", AGAINST_THE_RULES)
async def test_a_relay_that_breaks_the_rules_ends_the_circuit(span: Span, wrong: str) -> None:
    await span.pressed()
    for kind, data in AGAINST_THE_RULES[wrong]:
        span.one.tunnel.send(kind, data)
    await settle()
    assert span.other.ends == [End.BROKEN]


async def test_a_relay_that_is_gone_is_noticed_by_the_next_frame(span: Span) -> None:
    span.other.tap.is_connected = False
    span.left.send(b"is anybody there")
    assert await read(span.left, 1) == b""
    assert span.one.ends == [End.LOST]


async def test_a_relay_that_says_nothing_is_given_up(span: Span) -> None:
    span.wire.change = lambda payload: []
    now = asyncio.get_running_loop().time()
    span.one.circuit.check(now + LOST_AFTER - 1, PATIENCE)
    assert span.one.ends == []
    span.one.circuit.check(now + LOST_AFTER + 1, PATIENCE)
    assert span.one.ends == [End.LOST]


async def test_an_idle_circuit_says_that_it_lives(span: Span) -> None:
    now = asyncio.get_running_loop().time()
    for second in range(4, 60, 4):
        await span.check(now + second)
    assert span.ends == []
    assert {payload[0] for _, payload in span.wire.carried} == {Kind.ALIVE}


async def test_nothing_of_a_link_stands_in_what_the_wire_carries(span: Span) -> None:
    needle = secrets.token_bytes(32)
    span.left.send(needle * 100)
    assert await read(span.right, 3_200) == needle * 100
    assert not any(needle in payload or needle[:8] in payload for _, payload in span.wire.carried)


async def test_where_all_buffers_are_lent_a_quick_reader_goes_on_and_a_slow_one_goes(span: Span) -> None:
    for half in (span.one, span.other):
        while half.buffers.lend() is not None:
            pass
    assert await carried(span.left, span.right, 1_000_000)
    with contextlib.suppress(ConnectionError):
        await span.pressed()
    assert span.other.ends == [End.SLOW]
    assert not any((*span.one.buffers.spare, *span.other.buffers.spare))
