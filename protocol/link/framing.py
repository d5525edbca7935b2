"""Frames, pieces of messages and padding; greeting, choice and refusal of a link (SPEC §5.1, §5.2, §9.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from typing import Final, Self

import msgspec

from protocol.errors import LimitExceeded, LocalMisuse, Malformed, Unexpected
from protocol.limits import CONTENT_MAX, MESSAGE_BYTES_MAX, PADDED_MAX, PADDED_MIN
from protocol.primitives import AEGIS256, CHACHA20POLY1305, Aead

LENGTH_SIZE: Final = 2
FRAME_MAX: Final = 65_535

LAST: Final = b"\x00"  # flag of the last piece of a message, or of the only one
MORE: Final = b"\x01"  # flag of every other piece, which is always full
LARGE: Final = 4_096
"""Bytes from which on a copy takes longer than a view."""
PIECE_MAX: Final = CONTENT_MAX - 1  # bytes of a message in a full piece: the content without its flag


def length_of(body: bytes) -> bytes:
    """The length field, 2 bytes, of a frame with a body of 1 to 65,535 bytes."""
    if not body:
        raise LocalMisuse("a frame is not empty")
    return len(body).to_bytes(LENGTH_SIZE, "big")


_SMALL_MAX: Final = PADDED_MIN - LENGTH_SIZE
_ZEROS: Final = bytes(PADDED_MAX)
# The format "s" fills up with zeros, so one call pads a small content.
_pack_small: Final = Struct(f">H{_SMALL_MAX}s").pack


class FrameReader:
    """Splits a stream, received in any portions, into frames."""

    __slots__ = ("_data", "_position")

    def __init__(self) -> None:
        self._data, self._position = b"", 0

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        if self._position < len(self._data):
            data = self._data[self._position :] + data
        self._data, self._position = data, 0

    @property
    def pending(self) -> int:
        """Number of bytes fed and not yet taken."""
        return len(self._data) - self._position

    def peek(self, size: int) -> bytes:
        """The next bytes, at most `size`, without taking them."""
        return self._data[self._position : self._position + size]

    def take(self, size: int) -> bytes | None:
        """The next `size` bytes, or None until all of them have arrived."""
        if self.pending < size:
            return None
        self._position += size
        return self._data[self._position - size : self._position]

    def next_frame(self, limit: int) -> bytes | None:
        """The body of the next frame, or None until all of it has arrived.

        As soon as the length is known: Malformed for an empty frame, LimitExceeded for over `limit` bytes.
        """
        found = self.next_view(limit)
        return None if found is None else bytes(found)

    def next_view(self, limit: int) -> bytes | memoryview | None:
        """As `next_frame`; a large one is a view of what was fed, without a copy."""
        data, start = self._data, self._position + LENGTH_SIZE
        if len(data) < start:
            return None
        size = data[start - 2] << 8 | data[start - 1]
        if not 0 < size <= limit:
            if not size:
                raise Malformed("a frame is not empty")
            raise LimitExceeded(f"a frame of {size} bytes where {limit} are allowed")
        end = start + size
        if len(data) < end:
            return None
        self._position = end
        return data[start:end] if size < LARGE else memoryview(data)[start:end]

    def settle(self) -> None:
        """Free the bytes that were taken, so that an idle link keeps none of them."""
        if self._position:
            self._data, self._position = self._data[self._position :], 0

    def clear(self) -> None:
        self._data, self._position = b"", 0


def pieces(message: bytes) -> Iterator[bytes]:
    """The contents, at most 61,438 bytes each, of an encoded message. LocalMisuse over 300,000 bytes."""
    return map(b"".join, cut(message))


def cut(message: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """The flags and pieces of those contents, without a copy."""
    if len(message) > MESSAGE_BYTES_MAX:
        raise LocalMisuse(f"a message of {len(message)} bytes")
    start, whole = 0, memoryview(message)
    while len(message) - start > PIECE_MAX:
        yield MORE, whole[start : start + PIECE_MAX]
        start += PIECE_MAX
    yield LAST, whole[start:]


class Assembler:
    """Assembles messages from the contents of envelopes. Keeps the pieces of at most one message."""

    __slots__ = ("_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[memoryview] = []
        self._size = 0

    def is_whole(self, content: bytes) -> bool:
        """Whether a content is a message by itself, after its flag: then `add` needs not copy it."""
        return not self._parts and content.startswith(LAST)

    def add(self, content: bytes) -> bytes | None:
        """The encoded message that `content` completes, or None if more pieces follow.

        Malformed for an empty piece, an unknown flag, and a piece with MORE that is not full, since a message
        has only one division into pieces. LimitExceeded before more than 300,000 bytes are kept.
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
        self._parts, self._size = [], 0


# --- Padding: content length (u16, big endian), content, zeros; max(256, Padmé(2 + length)) bytes ---


def padme(size: int) -> int:
    """Padmé of a size of at least 2 bytes, which adds at most 12 % (Nikitin et al. 2019, §4)."""
    exponent = size.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (size + mask) & ~mask


@lru_cache(maxsize=4_096)
def padded_size(content_size: int) -> int:
    """Size of the padded payload for a content of 0 to CONTENT_MAX bytes."""
    return max(PADDED_MIN, padme(LENGTH_SIZE + content_size))


def pad(content: bytes) -> bytes:
    """The padded payload, 256 to 61,440 bytes. LocalMisuse for a content over CONTENT_MAX."""
    size = len(content)
    if size <= _SMALL_MAX:
        return _pack_small(size, content)
    if size > CONTENT_MAX:
        raise LocalMisuse(f"a content of {size} bytes travels in pieces of at most {CONTENT_MAX}")
    return (size.to_bytes(LENGTH_SIZE, "big") + content).ljust(padded_size(size), b"\x00")


def unpad(padded: bytes) -> bytes:
    """The content of a padded payload. Malformed unless `padded` is exactly `pad` of the content."""
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


MAGIC: Final = b"PARLOUR\x00"
VERSION: Final = 1
GREETING_SIZE: Final = 28
GREETING_RANDOM_SIZE: Final = 16
CHOICE_SIZE: Final = 3
REFUSAL_SIZE: Final = 3
REFUSAL: Final = bytes((0, VERSION, VERSION))
"""Body of the frame that refuses a choice. No choice and no Noise message begins with its first byte."""

_PROLOGUE: Final = b"parlour.link.v1"
_FIELDS: Final = Struct(">8sBBBB16s")

AEADS: Final[Mapping[int, Aead]] = {aead.id: aead for aead in (AEGIS256, CHACHA20POLY1305)}
"""Payload AEADs by their number on the wire. Number n is bit n-1 of the mask in the greeting."""


class Pattern(IntEnum):
    """Handshake patterns by their number on the wire (SPEC §6.2). LINKING is XX for an own terminal."""

    XX = 1
    XXPSK0 = 2
    IKPSK2 = 3
    LINKING = 8


_PATTERNS: Final[Mapping[int, Pattern]] = {pattern.value: pattern for pattern in Pattern}


class NoMagic(Malformed):
    """The peer does not speak this protocol."""


class OtherVersion(Unexpected):
    """There is no common version: the peer speaks `minimum` to `maximum`."""

    def __init__(self, minimum: int, maximum: int) -> None:
        super().__init__(f"versions {minimum} to {maximum}")
        self.minimum, self.maximum = minimum, maximum


class Refused(Unexpected):
    """A choice that is not accepted. The reply is always REFUSAL, whatever the reason."""


def _bit(aead: Aead) -> int:
    return 1 << (aead.id - 1)


def check_range(minimum: int, maximum: int, own: int) -> None:
    """Malformed for an invalid range of versions, OtherVersion if it does not include our own."""
    if not 1 <= minimum <= maximum:
        raise Malformed("not a range of versions")
    if not minimum <= own <= maximum:
        raise OtherVersion(minimum, maximum)


class Greeting(msgspec.Struct, frozen=True):
    """The responder's first message: the mask of its payload AEADs and 16 random bytes."""

    aeads: int
    random: bytes

    @classmethod
    def new(cls, random: bytes, aes: bool) -> Self:
        """A greeting with these 16 random bytes. It offers AEGIS-256 if the CPU has AES instructions."""
        return cls(_bit(CHACHA20POLY1305) | (_bit(AEGIS256) if aes else 0), random)

    def encode(self) -> bytes:
        return _FIELDS.pack(MAGIC, VERSION, VERSION, self.aeads, 0, self.random)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The greeting in 28 bytes that begin with MAGIC.

        OtherVersion without a common version. Malformed for an invalid range, a reserved byte that is not
        zero, or a mask without ChaCha20-Poly1305, which is mandatory.
        """
        # The version comes first, since the other fields of another version may mean something else.
        _, minimum, maximum, aeads, reserved, random = _FIELDS.unpack(data)
        check_range(minimum, maximum, VERSION)
        if reserved or not aeads & _bit(CHACHA20POLY1305):
            raise Malformed("not a greeting of this version")
        return cls(aeads, random)

    def best_aead(self, aes: bool) -> Aead:
        """AEGIS-256 if both ends have AES instructions, else ChaCha20-Poly1305."""
        return AEGIS256 if aes and self.offers(AEGIS256) else CHACHA20POLY1305

    def offers(self, aead: Aead) -> bool:
        return bool(self.aeads & _bit(aead))


def check_magic(beginning: bytes) -> None:
    """NoMagic unless `beginning`, the first bytes received, can be the start of a greeting."""
    if not MAGIC.startswith(beginning[: len(MAGIC)]):
        raise NoMagic("no greeting")


class Choice(msgspec.Struct, frozen=True):
    """The initiator's choice, the first 3 bytes of its first frame."""

    pattern: Pattern
    aead: Aead

    def encode(self) -> bytes:
        return bytes((VERSION, self.pattern, self.aead.id))

    @classmethod
    def decode(cls, frame: bytes, greeting: Greeting) -> Self:
        """The choice that begins a frame. Malformed if too short, OtherVersion, Refused if not offered."""
        if len(frame) < CHOICE_SIZE or frame[0] == 0:
            raise Malformed("not a choice")
        version, pattern, number = frame[:CHOICE_SIZE]
        check_range(version, version, VERSION)
        aead = AEADS.get(number)
        known = _PATTERNS.get(pattern)
        if known is None or aead is None or not greeting.offers(aead):
            raise Refused("a choice that was not offered")
        return cls(known, aead)


def check_refusal(frame: bytes) -> None:
    """Refused or OtherVersion if `frame` refuses our choice, Malformed if its range is invalid."""
    if len(frame) == REFUSAL_SIZE and frame[0] == 0:
        check_range(frame[1], frame[2], VERSION)
        raise Refused("the other side does not go on")


def prologue(greeting: bytes, choice: bytes) -> bytes:
    """The Noise prologue from both as on the wire, 28 and 3 bytes, so that no bit of them can be altered."""
    return _PROLOGUE + greeting + choice
