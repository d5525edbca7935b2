"""Frames and pieces: any portions, one way to cut a message, limits before anything is kept."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LimitExceeded, LocalMisuse, Malformed
from protocol.limits import CONTENT_MAX, MESSAGE_BYTES_MAX
from protocol.link.framing import FRAME_MAX, LAST, MORE, PIECE_MAX, Assembler, FrameReader, length_of, pieces


def read_all(reader: FrameReader, data: bytes, limit: int = FRAME_MAX) -> list[bytes]:
    reader.feed(data)
    found = []
    while (frame := reader.next_frame(limit)) is not None:
        found.append(frame)
    reader.settle()
    return found


@given(bodies=st.lists(st.binary(min_size=1, max_size=300), max_size=8), data=st.data())
def test_frames_in_any_portions(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(length_of(body) + body for body in bodies)
    reader, found, start = FrameReader(), [], 0
    while start < len(stream):
        size = data.draw(st.integers(1, len(stream) - start))
        found += read_all(reader, stream[start : start + size])
        start += size
    assert found == bodies
    assert reader.pending == 0


def test_a_frame_of_every_boundary_size() -> None:
    for size in (1, 255, 256, FRAME_MAX):
        assert read_all(FrameReader(), length_of(bytes(size)) + bytes(size)) == [bytes(size)]


def test_no_frame_is_empty() -> None:
    with pytest.raises(Malformed):
        read_all(FrameReader(), b"\x00\x00")
    with pytest.raises(LocalMisuse):
        length_of(b"")


def test_too_long_is_refused_at_its_length() -> None:
    with pytest.raises(LimitExceeded):
        read_all(FrameReader(), (4_097).to_bytes(2, "big"), limit=4_096)


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


# --- Pieces ---

SIZES = [1, 2, PIECE_MAX - 1, PIECE_MAX, PIECE_MAX + 1, 2 * PIECE_MAX, 2 * PIECE_MAX + 1, MESSAGE_BYTES_MAX]


@pytest.mark.parametrize("size", SIZES)
def test_pieces_come_together(size: int) -> None:
    message = bytes(index % 251 for index in range(size))
    contents = list(pieces(message))
    assert all(len(content) <= CONTENT_MAX for content in contents)
    assert all(len(content) == CONTENT_MAX for content in contents[:-1])
    assembler = Assembler()
    assert [assembler.add(content) for content in contents[:-1]] == [None] * (len(contents) - 1)
    assert assembler.add(contents[-1]) == message


def test_one_message_after_another() -> None:
    assembler = Assembler()
    for message in (b"a" * (PIECE_MAX + 1), b"b", b"c" * (PIECE_MAX + 1)):
        assert [assembler.add(content) for content in pieces(message)][-1] == message


@pytest.mark.parametrize(
    "content", [b"", LAST, MORE, b"\x02x", b"\xffx", MORE + b"x", MORE + bytes(PIECE_MAX - 1)]
)
def test_what_is_no_piece(content: bytes) -> None:
    with pytest.raises(Malformed):
        Assembler().add(content)


def test_attack_36_a_message_without_end() -> None:
    assembler = Assembler()
    with pytest.raises(LimitExceeded):
        for _ in range(MESSAGE_BYTES_MAX // PIECE_MAX + 1):
            assert assembler.add(MORE + bytes(PIECE_MAX)) is None
    assert assembler._size <= MESSAGE_BYTES_MAX


def test_attack_36_a_last_piece_too_many() -> None:
    assembler = Assembler()
    for _ in range(MESSAGE_BYTES_MAX // PIECE_MAX):
        assembler.add(MORE + bytes(PIECE_MAX))
    left = MESSAGE_BYTES_MAX % PIECE_MAX
    with pytest.raises(LimitExceeded):
        assembler.add(LAST + bytes(left + 1))
    assert assembler.add(LAST + bytes(left)) == bytes(MESSAGE_BYTES_MAX)


def test_our_own_messages_have_a_limit_too() -> None:
    with pytest.raises(LocalMisuse):
        list(pieces(bytes(MESSAGE_BYTES_MAX + 1)))


def test_an_unfinished_message_is_forgotten() -> None:
    assembler = Assembler()
    assembler.add(MORE + bytes(PIECE_MAX))
    assembler.clear()
    assert assembler.add(LAST + b"x") == b"x"


@given(contents=st.lists(st.binary(max_size=64), max_size=20))
def test_any_contents_give_messages_or_a_typed_error(contents: list[bytes]) -> None:
    assembler = Assembler()
    with contextlib.suppress(Malformed, LimitExceeded):
        for content in contents:
            assembler.add(content)
