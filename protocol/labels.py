"""The one registry of domain-separation labels (SPEC §4): every use of B2b and every signature has its own.

A label is made here and nowhere else; registering one twice, or a hash label over 16 bytes, fails at import.
No label is the beginning of another signature's prefix: prefixes end in a zero byte.
"""

from __future__ import annotations

from typing import Final

from protocol.errors import LocalMisuse

PERSONAL_SIZE: Final = 16
"""Bytes of BLAKE2b's `personal` parameter; shorter labels are filled with zeros (RFC 7693, BLAKE2 §2.8)."""

_registered: dict[bytes, str] = {}


def _register(label: bytes, use: str) -> bytes:
    if label in _registered:
        raise LocalMisuse(f"label {label!r} is registered twice")
    _registered[label] = use
    return label


def _personal(name: str, use: str) -> bytes:
    """`parlour.` and name, at most 16 bytes ASCII, for B2b's `personal`. LocalMisuse if longer or taken."""
    label = b"parlour." + name.encode("ascii")
    if len(label) > PERSONAL_SIZE:
        raise LocalMisuse(f"label {label!r} is longer than {PERSONAL_SIZE} bytes")
    return _register(label, use)


def _signature(name: str, use: str) -> bytes:
    """The prefix `parlour.sign.` name 0x00 of a signed message. LocalMisuse if taken."""
    return _register(b"parlour.sign." + name.encode("ascii") + b"\x00", use)


def registry() -> dict[bytes, str]:
    """A copy of all labels with their use in one line each, as the table of SPEC §4 shows them."""
    return dict(_registered)


# Sessions (SPEC §9)
CHAIN: Final = _personal("chain", "chain step: chain key and message key")
RATCHET: Final = _personal("ratchet", "root step: root key and chain key")
