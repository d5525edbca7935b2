"""Frames on a stream, messages in pieces, and the padding of what an envelope holds (SPEC §5.1, §9.5).

Rules: lengths are judged before anything is waited for or kept; at most one unfinished frame and one
unfinished message are held; a message has one way to be cut into pieces, every other is refused.
Padded payload = content length u16 big endian, content, zeros; its size is max(256, Padmé(2 + length)).
One content has one padded form: every other size or a non-zero filling is refused.

How a link begins, before any cryptography: greeting, choice, refusal (SPEC §5.1).

Rules: bytes and numbers only, no keys; greeting and choice go into the prologue as they were on the wire,
so whoever alters one bit of them ends the handshake. The version is looked at before any other field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from typing import Final, Self

from protocol.errors import LimitExceeded, LocalMisuse, Malformed, Unexpected
from protocol.limits import CONTENT_MAX, MESSAGE_BYTES_MAX, PADDED_MAX, PADDED_MIN
from protocol.primitives import AEGIS256, CHACHA20POLY1305, Aead

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


MAGIC: Final = b"PARLOUR\x00"
VERSION: Final = 1
GREETING_SIZE: Final = 28
GREETING_RANDOM_SIZE: Final = 16
CHOICE_SIZE: Final = 3
REFUSAL_SIZE: Final = 3
REFUSAL: Final = bytes((0, VERSION, VERSION))
"""Body of the frame that refuses a choice; no choice and no Noise message begins with its first byte."""

_PROLOGUE: Final = b"parlour.link.v1"
_FIELDS: Final = Struct(">8sBBBB16s")

AEADS: Final[Mapping[int, Aead]] = {aead.id: aead for aead in (AEGIS256, CHACHA20POLY1305)}
"""Payload AEADs by their number on the wire; number n is bit n-1 of the greeting's mask."""


class Pattern(IntEnum):
    """The handshake patterns by their number on the wire (SPEC §6.2)."""

    XX = 1
    XXPSK0 = 2
    IKPSK2 = 3


_PATTERNS: Final[Mapping[int, Pattern]] = {pattern.value: pattern for pattern in Pattern}


class NoMagic(Malformed):
    """What answers is not Parlour."""


class OtherVersion(Unexpected):
    """No common version: the other side speaks `minimum` to `maximum`."""

    def __init__(self, minimum: int, maximum: int) -> None:
        super().__init__(f"versions {minimum} to {maximum}")
        self.minimum, self.maximum = minimum, maximum


class Refused(Unexpected):
    """A choice that is not accepted here and now; the one answer to all of them is REFUSAL."""


def _bit(aead: Aead) -> int:
    return 1 << (aead.id - 1)


def _check_range(minimum: int, maximum: int) -> None:
    """Malformed unless a range of versions, OtherVersion unless ours is in it."""
    if not 1 <= minimum <= maximum:
        raise Malformed("not a range of versions")
    if not minimum <= VERSION <= maximum:
        raise OtherVersion(minimum, maximum)


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a responder says first: the mask of its payload AEADs and 16 random bytes."""

    aeads: int
    random: bytes

    @classmethod
    def new(cls, random: bytes, aes: bool) -> Self:
        """A greeting with fresh random bytes; AEGIS-256 is offered only where there are AES instructions."""
        return cls(_bit(CHACHA20POLY1305) | (_bit(AEGIS256) if aes else 0), random)

    def encode(self) -> bytes:
        """The 28 bytes of the wire."""
        return _FIELDS.pack(MAGIC, VERSION, VERSION, self.aeads, 0, self.random)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The greeting in 28 bytes that begin with the magic.

        OtherVersion if there is no common one; Malformed for an impossible range, a reserved byte that is not
        zero, and a mask without ChaCha20-Poly1305, which everybody has.
        """
        _, minimum, maximum, aeads, reserved, random = _FIELDS.unpack(data)
        _check_range(minimum, maximum)
        if reserved or not aeads & _bit(CHACHA20POLY1305):
            raise Malformed("not a greeting of this version")
        return cls(aeads, random)

    def best_aead(self, aes: bool) -> Aead:
        """AEGIS-256 where both ends have AES instructions, else ChaCha20-Poly1305."""
        return AEGIS256 if aes and self.offers(AEGIS256) else CHACHA20POLY1305

    def offers(self, aead: Aead) -> bool:
        """Whether the mask names aead."""
        return bool(self.aeads & _bit(aead))


def check_magic(beginning: bytes) -> None:
    """NoMagic unless beginning, the first bytes received, can become a greeting."""
    if not MAGIC.startswith(beginning[: len(MAGIC)]):
        raise NoMagic("no greeting")


@dataclass(frozen=True, slots=True)
class Choice:
    """What the initiator takes of the greeting; its 3 bytes begin the initiator's first frame."""

    pattern: Pattern
    aead: Aead

    def encode(self) -> bytes:
        """The 3 bytes of the wire."""
        return bytes((VERSION, self.pattern, self.aead.id))

    @classmethod
    def decode(cls, frame: bytes, greeting: Greeting) -> Self:
        """The choice that begins a frame, if greeting allows it.

        Malformed for too few bytes, OtherVersion, or Refused for a number that is not in the greeting.
        """
        if len(frame) < CHOICE_SIZE or frame[0] == 0:
            raise Malformed("not a choice")
        version, pattern, number = frame[:CHOICE_SIZE]
        _check_range(version, version)
        aead = AEADS.get(number)
        known = _PATTERNS.get(pattern)
        if known is None or aead is None or not greeting.offers(aead):
            raise Refused("a choice that was not offered")
        return cls(known, aead)


def check_refusal(frame: bytes) -> None:
    """Refused or OtherVersion if frame, which answers a choice, refuses it; Malformed if it is senseless."""
    if len(frame) == REFUSAL_SIZE and frame[0] == 0:
        _check_range(frame[1], frame[2])
        raise Refused("the other side does not go on")


def prologue(greeting: bytes, choice: bytes) -> bytes:
    """The Noise prologue: both as they were on the wire (28 and 3 bytes)."""
    return _PROLOGUE + greeting + choice
