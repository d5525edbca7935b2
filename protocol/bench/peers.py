"""Implementations by others, for comparison only; none is needed to run Parlour.

Rules: a peer that is not installed is left out, never guessed. Each does the least that it can: the same
content, message objects handed over without a wire format, and no setup in the time measured.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

VODOZEMAC_NOTE = "Olm, in Rust; encrypts and decrypts the content alone, without codec and padding"


def load(name: str) -> Any | None:
    """A peer's module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def vodozemac_pair(module: Any) -> tuple[Any, Any]:
    """Two sessions that have heard each other."""
    alice, bob = module.Account(), module.Account()
    bob.generate_one_time_keys(1)
    (one_time,) = bob.one_time_keys.values()
    outbound = alice.create_outbound_session(bob.curve25519_key, one_time)
    first = outbound.encrypt(b"first").to_pre_key()
    inbound, _ = bob.create_inbound_session(alice.curve25519_key, first)
    outbound.decrypt(inbound.encrypt(b"reply"))
    return outbound, inbound


def vodozemac_one_way(module: Any, content: bytes) -> Callable[[], object]:
    """One message encrypted and decrypted."""
    alice, bob = vodozemac_pair(module)
    bob.decrypt(alice.encrypt(content))
    encrypt, decrypt = alice.encrypt, bob.decrypt
    return lambda: decrypt(encrypt(content))


def vodozemac_ping_pong(module: Any, content: bytes) -> Callable[[], object]:
    """Two messages, one each way: each makes a step of the DH ratchet."""
    alice, bob = vodozemac_pair(module)

    def work() -> None:
        bob.decrypt(alice.encrypt(content))
        alice.decrypt(bob.encrypt(content))

    return work
