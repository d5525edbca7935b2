"""The bare libsodium calls that a session's work cannot do without: the floor that it is compared with.

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


class Bare:
    """Buffers and calls for payloads of given padded sizes under one AEAD."""

    def __init__(self, sodium: Sodium, aead: Aead, padded_sizes: Sequence[int]) -> None:
        self._lib, self._null, self._ffi, self._aead = sodium.lib, sodium.ffi.NULL, sodium.ffi, aead
        self._sizes = tuple(padded_sizes)
        self._label = self._buffer(16)
        self._chain, self._spare = self._buffer(_STEP), self._buffer(_STEP)
        self._secret = self._buffer(_KEY)
        self._ffi.buffer(self._secret)[:] = bytes(range(_KEY))

    def _buffer(self, size: int) -> Any:
        return self._ffi.new("unsigned char[]", size)

    def one_way(self) -> Callable[[], None]:
        """For every piece: chain step and seal, chain step and open."""
        lib, null, sizes, tag = self._lib, self._null, self._sizes, self._aead.tag_size
        encrypt = getattr(lib, self._aead.sodium_name + "_encrypt")
        decrypt = getattr(lib, self._aead.sodium_name + "_decrypt")
        step, label, chain, spare = self._step, self._label, self._chain, self._spare
        plain, sealed = self._buffer(max(sizes)), self._buffer(max(sizes) + tag)
        nonce, counters, key = self._buffer(self._aead.nonce_size), self._buffer(8), chain + _KEY

        def work() -> None:
            for size in sizes:
                step(chain, _STEP, null, 0, chain, _KEY, null, label)
                encrypt(sealed, null, plain, size, counters, 8, null, nonce, key)
                # The receiver's step costs the same; its output is not used, so that the key stays right.
                step(spare, _STEP, null, 0, chain, _KEY, null, label)
                if decrypt(plain, null, null, sealed, size + tag, counters, 8, nonce, key):
                    raise RuntimeError("libsodium did not open what it sealed")

        return work

    def ping_pong(self) -> Callable[[], None]:
        """The same, and what a step of the DH ratchet adds: a key pair, two DH and two root steps."""
        null, step, label, one_way = self._null, self._step, self._label, self.one_way()
        multiply, base = self._lib.crypto_scalarmult, self._lib.crypto_scalarmult_base
        secret, public, given = self._secret, self._buffer(_KEY), self._buffer(_ROOT_INPUT)
        root = self._buffer(_STEP)

        def work() -> None:
            base(public, secret)
            for _ in range(2):
                multiply(given, secret, public)
                step(root, _STEP, given, _ROOT_INPUT, root, _KEY, null, label)
            one_way()

        return work

    @property
    def _step(self) -> Callable[..., int]:
        step: Callable[..., int] = self._lib.crypto_generichash_blake2b_salt_personal
        return step
