"""Canonical MessagePack encoding of structs (SPEC §3.3), and checks of ids (SPEC §7.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import ge
from typing import Generic, TypeVar

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
        self._decode: Callable[[bytes], T] = msgspec.msgpack.Decoder(kind).decode
        self.limit = limit

    def decode(self, data: bytes) -> T:
        """The value of a canonical encoding. Errors: LimitExceeded (too long), Malformed (anything else)."""
        if len(data) > self.limit:
            raise LimitExceeded(f"{len(data)} bytes where {self.limit} are allowed")
        try:
            value = self._decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
            raise Malformed("not a value of the expected shape") from None
        # A second encoding of the same content would give it a second id.
        if encode(value) != data:
            raise Malformed("not the canonical encoding")
        return value


# --- Ids ---

ID_SIZE = 32


def low_high(a: bytes, b: bytes) -> tuple[bytes, bytes]:
    """Two person ids in ascending order, which is the same for both persons. LocalMisuse if equal."""
    if a == b:
        raise LocalMisuse("two persons are needed, not one twice")
    return (a, b) if a < b else (b, a)


def check_ascending(ids: Sequence[bytes]) -> None:
    """Malformed unless strictly ascending, since a set of ids has only one encoding."""
    if len(ids) > 1 and any(map(ge, ids, ids[1:])):
        raise Malformed("ids are not strictly ascending")


def check_empty_or_id(value: bytes) -> None:
    """Malformed unless empty or an id of 32 bytes."""
    if len(value) not in (0, ID_SIZE):
        raise Malformed(f"{len(value)} bytes where 0 or {ID_SIZE} are allowed")
