"""The bare libsodium calls that a row's work cannot do without: the floor that it is compared with.

Rules: C buffers made once; no header, no padding, no codec, no check but the tag.
The lengths are the padded ones that the session really sends, piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from protocol.primitives import Aead, Sodium

_KEY: Final = 32
_STEP: Final = 64
_ROOT_INPUT: Final = 96
_COUNTERS: Final = 8

Work = Callable[[], None]


class Bare:
    """Buffers and calls for payloads of given padded sizes under one AEAD."""

    def __init__(self, sodium: Sodium, aead: Aead, padded_sizes: Sequence[int]) -> None:
        self._lib, self._null, self._ffi = sodium.lib, sodium.ffi.NULL, sodium.ffi
        self._encrypt = getattr(sodium.lib, aead.sodium_name + "_encrypt")
        self._decrypt = getattr(sodium.lib, aead.sodium_name + "_decrypt")
        self._hash = sodium.lib.crypto_generichash_blake2b_salt_personal
        self._sizes, self._tag, largest = tuple(padded_sizes), aead.tag_size, max(padded_sizes)
        self._plain, self._sealed = self._buffer(largest), self._buffer(largest + aead.tag_size)
        self._nonce, self._counters = self._buffer(aead.nonce_size), self._buffer(_COUNTERS)
        self._label, self._secret = self._buffer(16), self._buffer(_KEY)
        self._chain, self._spare = self._buffer(_STEP), self._buffer(_STEP)
        self._ffi.buffer(self._secret)[:] = bytes(range(_KEY))

    def _buffer(self, size: int) -> Any:
        return self._ffi.new("unsigned char[]", size)

    def sealing(self) -> Work:
        """For every piece: chain step and seal."""
        step, encrypt, null, sizes = self._hash, self._encrypt, self._null, self._sizes
        plain, sealed, nonce, counters = self._plain, self._sealed, self._nonce, self._counters
        label, chain, key = self._label, self._chain, self._chain + _KEY

        def work() -> None:
            for size in sizes:
                step(chain, _STEP, null, 0, chain, _KEY, null, label)
                encrypt(sealed, null, plain, size, counters, _COUNTERS, null, nonce, key)

        return work

    def opening(self) -> Work:
        """For the last piece: chain step and open; what is opened was sealed before."""
        step, decrypt, null, size = self._hash, self._decrypt, self._null, self._sizes[-1] + self._tag
        plain, sealed, nonce, counters = self._plain, self._sealed, self._nonce, self._counters
        label, chain, spare, key = self._label, self._chain, self._spare, self._chain + _KEY
        self.sealing()()

        def work() -> None:
            # The step costs what it costs the receiver; its output is not used, so that the key stays right.
            step(spare, _STEP, null, 0, chain, _KEY, null, label)
            if decrypt(plain, null, null, sealed, size, counters, _COUNTERS, nonce, key):
                raise RuntimeError("libsodium did not open what it sealed")

        return work

    def one_way(self) -> Work:
        """For every piece: chain step and seal, chain step and open."""
        step, encrypt, decrypt, null = self._hash, self._encrypt, self._decrypt, self._null
        plain, sealed, nonce, counters = self._plain, self._sealed, self._nonce, self._counters
        label, chain, spare, key, tag = self._label, self._chain, self._spare, self._chain + _KEY, self._tag
        sizes = self._sizes

        def work() -> None:
            for size in sizes:
                step(chain, _STEP, null, 0, chain, _KEY, null, label)
                encrypt(sealed, null, plain, size, counters, _COUNTERS, null, nonce, key)
                step(spare, _STEP, null, 0, chain, _KEY, null, label)
                if decrypt(plain, null, null, sealed, size + tag, counters, _COUNTERS, nonce, key):
                    raise RuntimeError("libsodium did not open what it sealed")

        return work

    def ping_pong(self) -> Work:
        """Two messages, one each way: to one_way each adds a key pair, two DH and two root steps."""
        null, step, label, one_way = self._null, self._hash, self._label, self.one_way()
        multiply, base = self._lib.crypto_scalarmult, self._lib.crypto_scalarmult_base
        secret, public, given = self._secret, self._buffer(_KEY), self._buffer(_ROOT_INPUT)
        root = self._buffer(_STEP)

        def work() -> None:
            for _ in range(2):
                base(public, secret)
                for _ in range(2):
                    multiply(given, secret, public)
                    step(root, _STEP, given, _ROOT_INPUT, root, _KEY, null, label)
                one_way()

        return work

    def curve(self, dh: int, pairs: int) -> Work:
        """So many X25519, and so many public keys."""
        multiply, base = self._lib.crypto_scalarmult, self._lib.crypto_scalarmult_base
        secret, public, shared = self._secret, self._buffer(_KEY), self._buffer(_KEY)

        def work() -> None:
            for _ in range(pairs):
                base(public, secret)
            for _ in range(dh):
                multiply(shared, secret, public)

        return work
