"""Signed operations taken apart and put together, whatever is wrong with them."""

from __future__ import annotations

import msgspec

from protocol import labels
from protocol.codec import encode
from protocol.identity.log import operation_id, parse_operation
from protocol.primitives import ed25519_sign


def signed_bytes(operation: bytes, *seeds: bytes, genesis: bool = False) -> bytes:
    """Any bytes in the place of an operation, truly signed, whatever is wrong with them."""
    identity = operation_id(operation, genesis=genesis)
    return encode([operation, [ed25519_sign(seed, labels.SIGN_OPERATION + identity) for seed in seeds]])


def with_signatures(signed: bytes, *signatures: bytes) -> bytes:
    """The operation of a signed one under other signatures."""
    operation, _ = msgspec.msgpack.decode(signed)
    return encode([operation, list(signatures)])


def signatures_of(signed: bytes) -> list[bytes]:
    """The signatures of an operation: 64 bytes each, of ML-DSA-65 3,309."""
    return list(parse_operation(signed).signatures)
