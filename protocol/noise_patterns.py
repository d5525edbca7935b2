"""Names of Noise protocols with 25519 and ChaChaPoly, their patterns and hashes (Noise §4.3, §7 to §9)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from protocol.errors import LocalMisuse

# --- Hash functions and HKDF (Noise §4.3) ---

_IPAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OPAD: Final = bytes(byte ^ 0x5C for byte in range(256))


class Hash(Struct, frozen=True):
    """A hash function of Noise §12: HASHLEN and BLOCKLEN in bytes, and the constructor in hashlib."""

    hashlen: int
    blocklen: int
    new: Callable[[bytes], Any]

    def digest(self, data: bytes) -> bytes:
        """HASH, HASHLEN bytes."""
        digest: bytes = self.new(data).digest()
        return digest

    def hmac(self, key: bytes, data: bytes) -> bytes:
        """HMAC-HASH (RFC 2104) of HASHLEN bytes, with a key of at most BLOCKLEN bytes.

        Two calls of hashlib take half the time of hmac.digest, which looks up its hash at each call.
        """
        block, new = key.ljust(self.blocklen, b"\x00"), self.new
        inner = new(block.translate(_IPAD) + data).digest()
        outer: bytes = new(block.translate(_OPAD) + inner).digest()
        return outer

    def hkdf(self, chaining_key: bytes, input_key_material: bytes, num_outputs: int) -> tuple[bytes, ...]:
        """HKDF of Noise §4.3 with 2 or 3 outputs of HASHLEN bytes."""
        new = self.new
        block = self.hmac(chaining_key, input_key_material).ljust(self.blocklen, b"\x00")
        inner, outer = block.translate(_IPAD), block.translate(_OPAD)
        outputs = [new(outer + new(inner + b"\x01").digest()).digest()]
        for counter in (b"\x02", b"\x03")[: num_outputs - 1]:
            outputs.append(new(outer + new(inner + outputs[-1] + counter).digest()).digest())
        return tuple(outputs)


HASHES: Final[Mapping[str, Hash]] = {
    "BLAKE2b": Hash(64, 128, hashlib.blake2b),
    "BLAKE2s": Hash(32, 64, hashlib.blake2s),
    "SHA256": Hash(32, 64, hashlib.sha256),
}

# --- Handshake patterns (Noise §7) ---

_FUNDAMENTAL: Final[Mapping[str, tuple[str, ...]]] = {
    "N": ("e es",),
    "K": ("e es ss",),
    "X": ("e es s ss",),
    "NN": ("e", "e ee"),
    "NK": ("e es", "e ee"),
    "NX": ("e", "e ee s es"),
    "KN": ("e", "e ee se"),
    "KK": ("e es ss", "e ee se"),
    "KX": ("e", "e ee se s es"),
    "XN": ("e", "e ee", "s se"),
    "XK": ("e es", "e ee", "s se"),
    "XX": ("e", "e ee s es", "s se"),
    "IN": ("e s", "e ee se"),
    "IK": ("e es s ss", "e ee se"),
    "IX": ("e s", "e ee se s es"),
}
"""Messages of the patterns of Noise §7.4 and §7.5, the initiator's first. All others derive from these."""

_NAME: Final = re.compile(
    r"Noise_([NKX]|([NKXI])(1?)([NKX])(1?))(psk\d(?:\+psk\d)*)?_25519_ChaChaPoly_(BLAKE2b|BLAKE2s|SHA256)"
)


class Protocol(Struct, frozen=True):
    """A parsed protocol name: whose static key is known beforehand, tokens per message, psk mode and hash."""

    name: str
    initiator_known: bool
    responder_known: bool
    messages: tuple[tuple[str, ...], ...]
    psk: bool
    one_way: bool
    hash: Hash


def _defer(messages: list[list[str]], token: str) -> None:
    """Defer an authentication DH to the next message (Noise §7.6), before a static key sent there."""
    position = next(index for index, message in enumerate(messages) if token in message)
    messages[position].remove(token)
    if position + 1 == len(messages):
        messages.append([])
    following = messages[position + 1]
    following.insert(following.index("s") if "s" in following else len(following), token)
    for message in messages:
        if "ss" in message:
            message.remove("ss")


@lru_cache(maxsize=256)
def parse_name(name: str) -> Protocol:
    """The protocol of a name of Noise §8. LocalMisuse if it is unknown, since no peer ever sends a name."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise LocalMisuse(f"unknown Noise protocol {name}")
    pattern, first, first_deferred, second, second_deferred, modifiers, hash_name = match.groups()
    try:
        messages = [message.split() for message in _FUNDAMENTAL[pattern.replace("1", "")]]
        if first_deferred:
            _defer(messages, "se")
        if second_deferred:
            _defer(messages, "es")
        for modifier in modifiers.split("+") if modifiers else ():
            # psk0 begins the first message, and pskN ends message N (Noise §9.4).
            place = int(modifier.removeprefix("psk"))
            if place == 0:
                messages[0].insert(0, "psk")
            else:
                messages[place - 1].append("psk")
    except (KeyError, StopIteration, IndexError) as error:
        raise LocalMisuse(f"unknown Noise pattern {name}") from error
    one_way = second is None
    return Protocol(
        name,
        initiator_known=(first or pattern) == "K",
        responder_known=one_way or second == "K",
        messages=tuple(tuple(message) for message in messages),
        psk=modifiers is not None,
        one_way=one_way,
        hash=HASHES[hash_name],
    )
