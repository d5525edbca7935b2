"""Orders and forms of ids that several modules share (SPEC §3.3, §7.6).

Rules: ids are 32 bytes and compare as bytes; a list of ids has one form only, strictly ascending;
nothing here knows what an id names.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from protocol.errors import LocalMisuse, Malformed

ID_SIZE = 32


def low_high(a: bytes, b: bytes) -> tuple[bytes, bytes]:
    """Two persons in the order of their ids, the same for both of them. LocalMisuse for one person twice."""
    if a == b:
        raise LocalMisuse("two persons are needed, not one twice")
    return (a, b) if a < b else (b, a)


def check_ascending(ids: Sequence[bytes]) -> None:
    """Malformed unless strictly ascending: one set of ids has one encoding."""
    if any(first >= second for first, second in pairwise(ids)):
        raise Malformed("ids are not strictly ascending")


def check_empty_or_id(value: bytes) -> None:
    """Malformed unless empty or an id, 32 bytes."""
    if len(value) not in (0, ID_SIZE):
        raise Malformed(f"{len(value)} bytes where 0 or {ID_SIZE} are allowed")
