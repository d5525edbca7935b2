"""Frames on a stream, messages in pieces, and the padding of what an envelope holds (SPEC §5.1, §9.5).

Rules: lengths are judged before anything is waited for or kept; at most one unfinished frame and one
unfinished message are held; a message has one way to be cut into pieces, every other is refused.
Padded payload = content length u16 big endian, content, zeros; its size is max(256, Padmé(2 + length)).
One content has one padded form: every other size or a non-zero filling is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from struct import Struct
from typing import Final

from protocol.errors import LimitExceeded, LocalMisuse, Malformed
from protocol.limits import CONTENT_MAX, MESSAGE_BYTES_MAX, PADDED_MAX, PADDED_MIN

LENGTH_SIZE: Final = 2
FRAME_MAX: Final = 65_535

LAST: Final = b"\x00"
"""Flag of the last or only piece of a message."""

MORE: Final = b"\x01"
"""Flag of a piece that another follows; it is always full."""

PIECE_MAX: Final = CONTENT_MAX - 1
"""Bytes of a message in one full piece: the content less its flag."""


def length_of(body: bytes) -> bytes:
    """The length field, 2 bytes, that goes before a frame's body of 1 to 65,535 bytes."""
    if not body:
        raise LocalMisuse("a frame is not empty")
    return len(body).to_bytes(LENGTH_SIZE, "big")


_SMALL_MAX: Final = PADDED_MIN - LENGTH_SIZE
_ZEROS: Final = bytes(PADDED_MAX)
# A format whose "s" field is filled up with zeros pads a small content in one call.
_pack_small: Final = Struct(f">H{_SMALL_MAX}s").pack


class FrameReader:
    """Cuts a stream, fed in any pieces, into frames."""

    __slots__ = ("_data", "_position")

    def __init__(self) -> None:
        self._data, self._position = b"", 0

    def feed(self, data: bytes) -> None:
        """Take bytes that arrived."""
        self._data, self._position = self._data[self._position :] + data, 0

    @property
    def pending(self) -> int:
        """Bytes fed and not yet taken."""
        return len(self._data) - self._position

    def peek(self, size: int) -> bytes:
        """The next bytes, at most size, without taking them."""
        return self._data[self._position : self._position + size]

    def take(self, size: int) -> bytes | None:
        """The next size bytes, or None if they are not all there."""
        if self.pending < size:
            return None
        self._position += size
        return self._data[self._position - size : self._position]

    def next_frame(self, limit: int) -> bytes | None:
        """The body of the next frame, or None if it is not all there.

        Malformed for an empty frame, LimitExceeded for one over limit bytes, as soon as its length is there.
        """
        data, start = self._data, self._position + LENGTH_SIZE
        if len(data) < start:
            return None
        size = data[start - 2] << 8 | data[start - 1]
        if not 0 < size <= limit:
            raise _bad_length(size, limit)
        end = start + size
        if len(data) < end:
            return None
        self._position = end
        return data[start:end]

    def settle(self) -> None:
        """Let go of what was taken, so that an idle link keeps nothing of it."""
        if self._position:
            self._data, self._position = self._data[self._position :], 0

    def clear(self) -> None:
        """Forget everything."""
        self._data, self._position = b"", 0


def _bad_length(size: int, limit: int) -> Malformed | LimitExceeded:
    if size == 0:
        return Malformed("a frame is not empty")
    return LimitExceeded(f"a frame of {size} bytes where {limit} are allowed")


def pieces(message: bytes) -> Iterator[bytes]:
    """The contents, at most 61,438 bytes each, of an encoded message. LocalMisuse over 300,000 bytes."""
    if len(message) > MESSAGE_BYTES_MAX:
        raise LocalMisuse(f"a message of {len(message)} bytes")
    start, whole = 0, memoryview(message)
    while len(message) - start > PIECE_MAX:
        yield b"".join((MORE, whole[start : start + PIECE_MAX]))
        start += PIECE_MAX
    yield b"".join((LAST, whole[start:]))


class Assembler:
    """Puts messages together from the contents of envelopes; keeps the pieces of at most one."""

    __slots__ = ("_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[memoryview] = []
        self._size = 0

    def add(self, content: bytes) -> bytes | None:
        """The encoded message that content completes, or None if more pieces follow.

        Malformed for an empty piece, an unknown flag, and a piece that another follows without being full;
        LimitExceeded before more than 300,000 bytes are kept.
        """
        if len(content) < 2:
            raise Malformed("a piece is not empty")
        last = content.startswith(LAST)
        if last and not self._parts:
            return content[1:]
        if not (last or content.startswith(MORE)):
            raise Malformed("not a piece of a message")
        piece = memoryview(content)[1:]
        if not last and len(piece) != PIECE_MAX:
            raise Malformed("a piece that another follows is not full")
        if self._size + len(piece) > MESSAGE_BYTES_MAX:
            raise LimitExceeded(f"a message of more than {MESSAGE_BYTES_MAX} bytes")
        self._parts.append(piece)
        self._size += len(piece)
        if not last:
            return None
        message = b"".join(self._parts)
        self.clear()
        return message

    def clear(self) -> None:
        """Forget the pieces of an unfinished message."""
        self._parts, self._size = [], 0


# --- Padding ---


def padme(size: int) -> int:
    """Padmé of a size of at least 2 bytes: at most 12 % more (Nikitin et al. 2019, §4)."""
    exponent = size.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (size + mask) & ~mask


@lru_cache(maxsize=4_096)
def padded_size(content_size: int) -> int:
    """Bytes of the padded payload of a content of content_size bytes (0 to CONTENT_MAX)."""
    return max(PADDED_MIN, padme(LENGTH_SIZE + content_size))


def pad(content: bytes) -> bytes:
    """The padded payload, 256 to 61,440 bytes. LocalMisuse for a content over CONTENT_MAX bytes."""
    size = len(content)
    if size <= _SMALL_MAX:
        return _pack_small(size, content)
    if size > CONTENT_MAX:
        raise LocalMisuse(f"a content of {size} bytes travels in pieces of at most {CONTENT_MAX}")
    return (size.to_bytes(LENGTH_SIZE, "big") + content).ljust(padded_size(size), b"\x00")


def unpad(padded: bytes) -> bytes:
    """The content. Malformed unless padded is exactly what `pad` makes of it."""
    total = len(padded)
    if not PADDED_MIN <= total <= PADDED_MAX:
        raise Malformed(f"padded payload of {total} bytes")
    size = padded[0] << 8 | padded[1]
    if total != (PADDED_MIN if size <= _SMALL_MAX else padded_size(size)):
        raise Malformed("padded payload has another size than its content demands")
    end = LENGTH_SIZE + size
    if not _ZEROS.startswith(padded[end:]):
        raise Malformed("padding is not zero")
    return padded[LENGTH_SIZE:end]
