"""Canonical MessagePack encoding of structs (SPEC §3.3), the beginning of unknown ones, and checks of ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import ge
from typing import Final, Generic, TypeVar

import msgspec

from protocol.errors import LimitExceeded, LocalMisuse, Malformed

T = TypeVar("T")


class Wire(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of every encoded struct: an array of exactly its fields."""


_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode  # encode(value) -> its canonical encoding


class Codec(Generic[T]):
    """Decodes one type or tagged union from at most `limit` bytes."""

    def __init__(self, kind: object, limit: int) -> None:
        self._decode: Callable[[bytes | memoryview], T] = msgspec.msgpack.Decoder(kind).decode
        self.limit = limit

    def decode(self, data: bytes, start: int = 0) -> T:
        """The value of a canonical encoding, which begins at `start`.

        Errors: LimitExceeded (too long), Malformed (anything else).
        """
        size = len(data) - start
        if size > self.limit:
            raise LimitExceeded(f"{size} bytes where {self.limit} are allowed")
        try:
            value = self._decode(memoryview(data)[start:] if start else data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
            raise Malformed("not a value of the expected shape") from None
        # A second encoding of the same content would give it a second id.
        encoded = encode(value)
        if len(encoded) != size or not data.endswith(encoded):
            raise Malformed("not the canonical encoding")
        return value

    def decode_checked(self, data: bytes) -> T:
        """The value of bytes that `decode` took before, such as stored ones whose hash was compared."""
        return self._decode(data)


# --- Structs of which only the first fields are known ---

ID_SIZE = 32


class Beginning:
    """Reads the first elements of an array whose other elements a later version defines (SPEC §3.3).

    Malformed for anything but the shortest encoding of what is asked for. The elements that are not read stay
    opaque.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise Malformed("bytes are missing")
        self._at += size
        return taken

    def array(self) -> int:
        """The number of elements of the array that begins here."""
        head = self._take(1)[0]
        if 0x90 <= head <= 0x9F:
            return head - 0x90
        count = int.from_bytes(self._take({0xDC: 2, 0xDD: 4}.get(head, 0)))
        if count < {0xDC: 0x10, 0xDD: 0x10000}.get(head, 1):
            raise Malformed("not an array in its shortest encoding")
        return count

    def integer(self) -> int:
        """The integer that begins here, at most 2^32-1."""
        start = self._at
        head = self._take(1)[0]
        number = head if head < 0x80 else int.from_bytes(self._take({0xCC: 1, 0xCD: 2, 0xCE: 4}.get(head, 0)))
        if encode(number) != self._data[start : self._at]:
            raise Malformed("not an integer in its shortest encoding")
        return number

    def id(self) -> bytes:
        """The byte string of 32 bytes that begins here."""
        if self._take(2) != _ID_HEAD:
            raise Malformed("another type or size than expected")
        return self._take(ID_SIZE)


_ID_HEAD: Final = bytes((0xC4, ID_SIZE))


# --- Ids ---


def low_high(a: bytes, b: bytes) -> tuple[bytes, bytes]:
    """Two person ids in ascending order, which is the same for both persons. LocalMisuse if equal."""
    if a == b:
        raise LocalMisuse("two persons are needed, not one twice")
    return (a, b) if a < b else (b, a)


def check_ascending(ids: Sequence[bytes] | Sequence[int]) -> None:
    """Malformed unless strictly ascending, since a set of ids or numbers has only one encoding."""
    if len(ids) > 1 and any(map(ge, ids, ids[1:])):
        raise Malformed("ids are not strictly ascending")


def check_empty_or_id(value: bytes) -> None:
    """Malformed unless empty or an id of 32 bytes."""
    if len(value) not in (0, ID_SIZE):
        raise Malformed(f"{len(value)} bytes where 0 or {ID_SIZE} are allowed")
