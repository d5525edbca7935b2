"""What a process needs before it imports an engine: repeatable hashes and keys, and a record of nonces.

`import tests.sim.prepare` comes first in a process of the simulation. It fails where the protocol is loaded.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import random
import sys
from collections.abc import Callable
from typing import Any, Final

HASH_SEED: Final = "0"
"""Of PYTHONHASHSEED: the order of a set of bytes is part of a run."""

KEM_BYTES: Final = 1_088
MLDSA_BYTES: Final = 3_309
SEALS: Final = {
    "crypto_aead_aegis256_encrypt": 32,
    "crypto_aead_chacha20poly1305_ietf_encrypt": 12,
}
"""libsodium's calls that encrypt, with the sizes of their nonces."""


class Nonces:
    """Every (key, nonce) of the process since `begin`. `twice` counts the pairs that came again."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self.twice = 0

    def begin(self) -> None:
        self._seen, self.twice = set(), 0

    def note(self, call: str, key: bytes, nonce: bytes) -> None:
        pair = hashlib.blake2b(call.encode() + key + nonce, digest_size=16).digest()
        self.twice += pair in self._seen
        self._seen.add(pair)


class _Watched:
    """libsodium's functions, of which those that encrypt note what they get."""

    def __init__(self, lib: Any, ffi: Any, nonces: Nonces) -> None:
        self._lib = lib
        for name, size in SEALS.items():
            setattr(self, name, _noting(getattr(lib, name), ffi, nonces, name, size))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lib, name)


def _noting(call: Callable[..., int], ffi: Any, nonces: Nonces, name: str, size: int) -> Callable[..., int]:
    def taken(place: Any, length: int) -> bytes:
        return (
            place[:length] if isinstance(place, bytes) else ffi.buffer(ffi.cast("char *", place), length)[:]
        )

    def noted(out: Any, out_size: Any, data: Any, length: int, ad: Any, ad_size: int, *rest: Any) -> int:
        _, nonce, key = rest
        nonces.note(name, taken(key, 32), taken(nonce, size))
        return call(out, out_size, data, length, ad, ad_size, *rest)

    return noted


class Kem:
    """ML-KEM-768 for repeatable runs: the library draws its own randomness, this one does not.

    Keys are the library's. A ciphertext is drawn, and its secret is a hash of it and the public key.
    """

    def __init__(self) -> None:
        self._random = random.Random(0)

    def begin(self, seed: str) -> None:
        self._random = random.Random(f"kem {seed}")

    def encapsulate(self, public: bytes) -> tuple[bytes, bytes]:
        ciphertext = self._random.randbytes(KEM_BYTES)
        return self.secret(public, ciphertext), ciphertext

    @staticmethod
    def secret(public: bytes, ciphertext: bytes) -> bytes:
        return hashlib.blake2b(public + ciphertext, digest_size=32).digest()


def _mldsa_signature(public: bytes, message: bytes) -> bytes:
    """ML-DSA-65 for repeatable runs: the library draws its own randomness. Anybody can make this one."""
    return hashlib.shake_256(public + message).digest(MLDSA_BYTES)


def _prepare() -> tuple[Nonces, Kem]:
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        raise RuntimeError(f"a simulation needs PYTHONHASHSEED={HASH_SEED}")
    if "protocol.primitives" in sys.modules:
        raise RuntimeError("tests.sim.prepare comes before the protocol")
    nonces, kem = Nonces(), Kem()
    sodium: Any = importlib.import_module("nacl._sodium")
    sodium.lib = _Watched(sodium.lib, sodium.ffi, nonces)
    primitives: Any = importlib.import_module("protocol.primitives")
    errors: Any = importlib.import_module("protocol.errors")

    def decapsulate(self: Any, ciphertext: bytes) -> bytes:
        return kem.secret(self._key.public_key().public_bytes_raw(), ciphertext)

    def mldsa_sign(seed: bytes, message: bytes) -> bytes:
        return _mldsa_signature(primitives.mldsa_from_seed(seed), message)

    def mldsa_verify(public: bytes, message: bytes, signature: bytes) -> None:
        if signature != _mldsa_signature(public, message):
            raise errors.AuthenticationFailed("not the signature of a simulation")

    primitives.mldsa_sign, primitives.mldsa_verify = mldsa_sign, mldsa_verify
    primitives.mlkem_encapsulate = kem.encapsulate
    primitives.MlKemSecret.decapsulate = decapsulate
    return nonces, kem


NONCES, KEM = _prepare()
