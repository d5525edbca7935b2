"""Bytes to structs and back (SPEC §3.3): MessagePack arrays, one encoding per value, one form of ids (§7.6).

Rules: no cryptography here; a decoder accepts only bytes that encode back to themselves, so that one
content never has two ids; input is bounded by the caller's frame before it is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import ge
from typing import Generic, TypeVar

import msgspec

from protocol.errors import LimitExceeded, LocalMisuse, Malformed

T = TypeVar("T")


class Wire(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of everything that is encoded: an array of its fields, no more and no fewer."""


_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
"""encode(value) -> its one encoding."""


class Codec(Generic[T]):
    """Decodes one type (or tagged union) of at most `limit` bytes.

    Errors: LimitExceeded (too long), Malformed (anything else that is not the canonical encoding).
    """

    def __init__(self, kind: object, limit: int) -> None:
        self._decode: Callable[[bytes], T] = msgspec.msgpack.Decoder(kind).decode
        self.limit = limit

    def decode(self, data: bytes) -> T:
        """Return the value that `data` is the canonical encoding of."""
        if len(data) > self.limit:
            raise LimitExceeded(f"{len(data)} bytes where {self.limit} are allowed")
        try:
            value = self._decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
            raise Malformed("not a value of the expected shape") from None
        if encode(value) != data:
            raise Malformed("not the canonical encoding")
        return value


# --- Orders and forms of ids ---

ID_SIZE = 32


def low_high(a: bytes, b: bytes) -> tuple[bytes, bytes]:
    """Two persons in the order of their ids, the same for both of them. LocalMisuse for one person twice."""
    if a == b:
        raise LocalMisuse("two persons are needed, not one twice")
    return (a, b) if a < b else (b, a)


def check_ascending(ids: Sequence[bytes]) -> None:
    """Malformed unless strictly ascending: one set of ids has one encoding."""
    if len(ids) > 1 and any(map(ge, ids, ids[1:])):
        raise Malformed("ids are not strictly ascending")


def check_empty_or_id(value: bytes) -> None:
    """Malformed unless empty or an id, 32 bytes."""
    if len(value) not in (0, ID_SIZE):
        raise Malformed(f"{len(value)} bytes where 0 or {ID_SIZE} are allowed")
