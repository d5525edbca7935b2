"""Padding of payloads, so that an envelope's size tells little of its content's (SPEC §9.5).

Padded payload = content length u16 big endian, content, zeros; its size is max(256, Padmé(2 + length)).
One content has one padded form: every other size or a non-zero filling is refused.
Larger contents travel in pieces and never reach this file.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Final

from protocol.errors import LocalMisuse, Malformed
from protocol.limits import CONTENT_MAX, PADDED_MAX, PADDED_MIN

LENGTH_SIZE: Final = 2

_SMALL_MAX: Final = PADDED_MIN - LENGTH_SIZE
_ZEROS: Final = bytes(PADDED_MAX)
# A format whose "s" field is filled up with zeros pads a small content in one call.
_pack_small: Final = Struct(f">H{_SMALL_MAX}s").pack


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
