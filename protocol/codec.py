"""Bytes to structs and back (SPEC §3.3): MessagePack arrays, one encoding for each value.

Rules: no cryptography here; a decoder accepts only bytes that encode back to themselves, so that one
content never has two ids; input is bounded by the caller's frame before it is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from protocol.errors import LimitExceeded, Malformed

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
