"""Padding, frames and pieces: one form per content, and limits before anything is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalMisuse, Malformed
from protocol.limits import CONTENT_MAX, MESSAGE_BYTES_MAX, PADDED_MAX, PADDED_MIN
from protocol.link.framing import (
    FRAME_MAX,
    LAST,
    MORE,
    PIECE_MAX,
    Assembler,
    FrameReader,
    length_of,
    pad,
    padded_size,
    padme,
    pieces,
    unpad,
)
from tests.support.protocol.samples import flipped


def test_padme_keeps_the_leading_bits_that_its_definition_says() -> None:
    """For L of E + 1 bits only the first S + 1 with S = floor(log2 E) + 1 may be set (Padmé)."""
    for size in range(2, 70_000):
        padded = padme(size)
        exponent = padded.bit_length() - 1
        free = exponent - exponent.bit_length()
        assert size <= padded
        assert padded % (1 << free) == 0
        assert padded == size or padme(padded) == padded


def test_overhead_is_at_most_twelve_percent() -> None:
    assert max(padme(size) / size for size in range(256, PADDED_MAX + 1)) < 1.12


def test_the_largest_content_fills_the_largest_payload() -> None:
    assert len(pad(bytes(CONTENT_MAX))) == PADDED_MAX
    with pytest.raises(LocalMisuse):
        pad(bytes(CONTENT_MAX + 1))


@given(st.integers(0, CONTENT_MAX))
def test_round_trip_of_every_size(size: int) -> None:
    content = b"\x01" * size
    padded = pad(content)
    assert len(padded) == padded_size(size) <= PADDED_MAX
    assert unpad(padded) == content


def test_attack_29_few_sizes_are_seen() -> None:
    """All contents up to 254 bytes look alike, and of 61,439 sizes under 150 are left."""
    sizes = {padded_size(size) for size in range(CONTENT_MAX + 1)}
    assert {padded_size(size) for size in range(255)} == {PADDED_MIN}
    assert len(sizes) < 150


def test_attack_29_every_byte_of_the_filling_counts() -> None:
    padded = pad(b"content")
    for position in range(2 + len(b"content"), len(padded)):
        with pytest.raises(Malformed):
            unpad(flipped(padded, 8 * position))


def read_all(reader: FrameReader, data: bytes, limit: int = FRAME_MAX) -> list[bytes]:
    reader.feed(data)
    found = []
    while (frame := reader.next_frame(limit)) is not None:
        found.append(frame)
    reader.settle()
    return found


def test_the_limit_is_that_of_the_moment() -> None:
    reader = FrameReader()
    reader.feed(length_of(bytes(10)) + bytes(10) + length_of(bytes(5_000)) + bytes(5_000))
    assert reader.next_frame(4_096) == bytes(10)
    assert reader.next_frame(FRAME_MAX) == bytes(5_000)


def test_take_and_peek() -> None:
    reader = FrameReader()
    reader.feed(b"abc")
    assert reader.peek(5) == b"abc"
    assert reader.take(4) is None
    reader.feed(b"de")
    assert reader.take(4) == b"abcd"
    assert reader.peek(5) == b"e"
    reader.clear()
    assert reader.pending == 0


def test_an_idle_reader_keeps_nothing_of_what_it_gave() -> None:
    reader = FrameReader()
    read_all(reader, length_of(bytes(60_000)) + bytes(60_000) + b"\x00")
    assert reader.pending == 1
    assert len(reader._data) == 1


def test_our_own_messages_have_a_limit_too() -> None:
    with pytest.raises(LocalMisuse):
        list(pieces(bytes(MESSAGE_BYTES_MAX + 1)))


def test_an_unfinished_message_is_forgotten() -> None:
    assembler = Assembler()
    assembler.add(MORE + bytes(PIECE_MAX))
    assembler.clear()
    assert assembler.add(LAST + b"x") == b"x"
