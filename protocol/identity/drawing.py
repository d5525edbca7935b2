"""The secrets that operations draw, what derives from them, and how a Renew hands them over (SPEC §7.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from protocol import labels, limits
from protocol.codec import check_ascending
from protocol.errors import AuthenticationFailed, Malformed, Untrusted
from protocol.identity import log
from protocol.identity.reduction import Reduction, Terminal
from protocol.messages import SharedDrawn
from protocol.primitives import CHACHA20POLY1305, KEY_SIZE, Random, b2b, equal, x25519, x25519_generate

_NONCE: Final = bytes(CHACHA20POLY1305.nonce_size)
"""A key seals once, so that the nonce is constant."""


def commitment(drawn: bytes) -> bytes:
    """What an operation says of the secret (32 bytes) that it draws."""
    return b2b(drawn, personal=labels.DRAWN)


def self_key(drawn: bytes) -> bytes:
    """The key, 32 bytes, of the self tags on entries (SPEC §11.1)."""
    return b2b(b"", personal=labels.SELF_KEY, key=drawn)


def share_of(drawn: bytes, pairing: bytes) -> bytes:
    """The share, 32 bytes, of the drawing person in a pairing (id of 32 bytes)."""
    return b2b(pairing, personal=labels.DRAWN_SHARE, key=drawn)


def share_name(share: bytes, operation: bytes = b"") -> bytes:
    """The name, 16 bytes, by which message 1 says that a share is held: of the operation that drew it."""
    return b2b(operation, personal=labels.SHARE_NAME, key=share, size=16)


def check_drawn(operations: Iterable[bytes], person: bytes, drawn: Sequence[SharedDrawn]) -> None:
    """Check the secrets that come with a log.

    Malformed unless their operations ascend and have the genesis among them (V-DW-01); Untrusted unless each
    is what an operation of the log commits to (V-DW-02).
    """
    check_ascending([one.operation for one in drawn])
    if all(one.operation != person for one in drawn):
        raise Malformed("no secret of the genesis")
    committed = {
        one.id: one.operation.drawn
        for one in map(log.parse_operation, operations)
        if isinstance(one.operation, log.Genesis | log.Renew)
    }
    if not all(equal(committed.get(one.operation, b""), commitment(one.secret)) for one in drawn):
        raise Untrusted("a secret that no operation of the log draws")


def renew_operation(
    reduction: Reduction, terminal: bytes, first_self_key: bytes, drawn: bytes, random: Random
) -> log.Renew:
    """`terminal` draws a secret and hands it to each terminal that is live after what it follows.

    `first_self_key` is the self key of the genesis, which keeps the secret from those who have no part in the
    person: who breaks X25519 alone does not open it.
    """
    secret, once = x25519_generate(random)
    heads, terminals = list(reduction.heads()), reduction.terminals()
    # A thief alone has more terminals. It adds them, so they are the most junior ones.
    statics = [terminals[one].static for one in reduction.live_upto(heads)[: limits.SEALED_MAX]]
    keys = [_key(first_self_key, secret, static, once, static) for static in statics]
    sealed = [CHACHA20POLY1305.seal(key, _NONCE, b"", drawn) for key in keys]
    return log.Renew(reduction.graph.order[0].id, terminal, heads, commitment(drawn), once, sealed)


def open_renew(
    reduction: Reduction, operation: bytes, terminal: Terminal, first_self_key: bytes, static_secret: bytes
) -> bytes | None:
    """The secret that a Renew (id) hands to a terminal; None where it hands it none that fits."""
    graph = reduction.graph
    renew = graph.order[graph.position[operation]].operation
    assert isinstance(renew, log.Renew)
    sealed = dict(zip(reduction.live_upto(renew.parents), renew.sealed, strict=False))
    try:
        key = _key(first_self_key, static_secret, renew.once, renew.once, terminal.static)
        drawn = CHACHA20POLY1305.open(key, _NONCE, b"", sealed.get(terminal.id, b""))
    except (AuthenticationFailed, Malformed):  # `once` may be no public key
        return None
    return drawn if len(drawn) == KEY_SIZE and equal(commitment(drawn), renew.drawn) else None


def _key(first_self_key: bytes, secret: bytes, public: bytes, once: bytes, static: bytes) -> bytes:
    """The key of one terminal. AuthenticationFailed for a public key of small order."""
    return b2b(x25519(secret, public) + once + static, personal=labels.SEAL, key=first_self_key)
