"""Typed calls of libsodium (PyNaCl), and of ML-KEM-768 and ML-DSA-65 (cryptography) (SPEC §4.1).

A wrong size of our own secret is LocalMisuse. Everything that a peer can cause is a ProtocolError.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from nacl import bindings
from nacl.exceptions import CryptoError

from protocol.errors import AuthenticationFailed, LocalMisuse, Malformed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

Random = Callable[[int], bytes]
"""A source of n random bytes: the system's by default, seeded in vectors and simulations."""

system_random: Random = os.urandom

KEY_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64
MLKEM_SEED_SIZE: Final = 64
MLKEM_PUBLIC_SIZE: Final = 1_184
MLKEM_CIPHERTEXT_SIZE: Final = 1_088
MLDSA_SEED_SIZE: Final = 32
MLDSA_PUBLIC_SIZE: Final = 1_952
MLDSA_SIGNATURE_SIZE: Final = 3_309

_P25519: Final = 2**255 - 19
_ZERO_KEY: Final = bytes(KEY_SIZE)

_LOW_LEVEL_NAMES: Final = (
    "crypto_aead_aegis256_encrypt",
    "crypto_aead_aegis256_decrypt",
    "crypto_aead_chacha20poly1305_ietf_encrypt",
    "crypto_aead_chacha20poly1305_ietf_decrypt",
    "crypto_generichash_blake2b_salt_personal",
    "crypto_scalarmult",
    "crypto_scalarmult_base",
    "sodium_memzero",
)


class Sodium(Struct, frozen=True):
    """PyNaCl's low-level binding: cffi's `ffi` and libsodium's `lib`. Callers must check all sizes."""

    ffi: Any
    lib: Any


def load_sodium(names: tuple[str, ...] = _LOW_LEVEL_NAMES) -> Sodium | None:
    """The low-level binding, or None if this PyNaCl lacks it or one of `names`."""
    try:
        module = importlib.import_module("nacl._sodium")
        binding = Sodium(module.ffi, module.lib)
    except (ImportError, AttributeError):
        return None
    return binding if all(hasattr(binding.lib, name) for name in names) else None


SODIUM: Final = load_sodium()


def _require(name: str, value: bytes, size: int) -> None:
    if len(value) != size:
        raise LocalMisuse(f"{name} has {len(value)} bytes, not {size}")


# --- Hash ---


def b2b(data: bytes, *, personal: bytes, key: bytes = b"", size: int = 32) -> bytes:
    """BLAKE2b with a label of labels.py (16 bytes), a key (0 to 64) and an output of 1 to 64 bytes."""
    if key:
        return hashlib.blake2b(data, digest_size=size, key=key, person=personal).digest()
    if SODIUM is not None and len(data) >= _LONG:
        return _b2b_of_sodium(SODIUM, data, personal, size)
    state = _unkeyed(personal, size).copy()
    state.update(data)
    return state.digest()


_LONG: Final = 16_384
"""Bytes from which on libsodium hashes: with AVX2 1.4 times as fast as hashlib for a piece of a file."""


def _b2b_of_sodium(sodium: Sodium, data: bytes, personal: bytes, size: int) -> bytes:
    ffi, null = sodium.ffi, sodium.ffi.NULL
    out, label = ffi.new("unsigned char[]", size), personal.ljust(16, b"\0")
    call = sodium.lib.crypto_generichash_blake2b_salt_personal
    if call(out, size, ffi.from_buffer(data), len(data), null, 0, null, label) != 0:
        raise LocalMisuse(f"no hash of {size} bytes")
    digest: bytes = ffi.buffer(out)[:]
    return digest


@lru_cache(maxsize=64)
def _unkeyed(personal: bytes, size: int) -> hashlib.blake2b:
    """BLAKE2b before any data. Setting the parameters costs as much as hashing an entry."""
    return hashlib.blake2b(digest_size=size, person=personal)


def equal(a: bytes, b: bytes) -> bool:
    """Equality in constant time for equal lengths."""
    return hmac.compare_digest(a, b)


def wipe(buffer: bytearray | memoryview) -> None:
    """Overwrite with zeros in place. Copies that Python made elsewhere remain (SPEC §18)."""
    if SODIUM is None:
        buffer[:] = bytes(len(buffer))
    else:
        SODIUM.lib.sodium_memzero(SODIUM.ffi.from_buffer(buffer), len(buffer))


# --- X25519 (RFC 7748) ---


class X25519(Struct, frozen=True):
    """The two calls of X25519, with sizes checked by the caller. RuntimeError for an all-zero result."""

    base: Callable[[bytes], bytes]
    multiply: Callable[[bytes, bytes], bytes]


def make_x25519(sodium: Sodium | None) -> X25519:
    """X25519 through the low-level binding, or through nacl.bindings where sodium is None."""
    if sodium is None:
        return X25519(bindings.crypto_scalarmult_base, bindings.crypto_scalarmult)
    new, view, array = sodium.ffi.new, sodium.ffi.buffer, sodium.ffi.typeof("unsigned char[32]")
    base_call, multiply_call = sodium.lib.crypto_scalarmult_base, sodium.lib.crypto_scalarmult

    def base(secret: bytes) -> bytes:
        out = new(array)
        base_call(out, secret)
        public: bytes = view(out)[:]
        return public

    def multiply(secret: bytes, public: bytes) -> bytes:
        out = new(array)
        if multiply_call(out, secret, public) != 0:
            raise RuntimeError("all-zero X25519 result")
        seen = view(out)
        shared: bytes = seen[:]
        seen[:] = _ZERO_KEY
        return shared

    return X25519(base, multiply)


_X25519: Final = make_x25519(SODIUM)


def check_x25519_public(public: bytes) -> None:
    """Malformed unless 32 bytes, bit 255 clear and u < p, since a key must have only one encoding."""
    # A last byte below that of p suffices for u < p.
    if len(public) != KEY_SIZE or (public[-1] >= 0x7F and int.from_bytes(public, "little") >= _P25519):
        raise Malformed("not a canonical X25519 public key")


def x25519_generate(random: Random) -> tuple[bytes, bytes]:
    """A new (secret 32 bytes, public 32 bytes)."""
    secret = random(KEY_SIZE)
    return secret, x25519_public(secret)


def x25519_public(secret: bytes) -> bytes:
    """The public key, 32 bytes, of a secret of any 32 bytes, which is clamped here."""
    _require("X25519 secret", secret, KEY_SIZE)
    return _X25519.base(secret)


def x25519(secret: bytes, public: bytes) -> bytes:
    """The shared secret, 32 bytes. Malformed for a key not canonical, AuthenticationFailed for low order."""
    if len(secret) != KEY_SIZE:
        raise LocalMisuse(f"X25519 secret has {len(secret)} bytes, not {KEY_SIZE}")
    check_x25519_public(public)
    multiply = _X25519.multiply
    try:
        return multiply(secret, public)
    except (CryptoError, RuntimeError) as error:
        raise AuthenticationFailed("low-order X25519 public key") from error


# --- Ed25519 (RFC 8032) ---


def _ed25519_expand(seed: bytes) -> bytes:
    """libsodium's 64-byte secret key (seed, public) of a 32-byte seed."""
    _require("Ed25519 seed", seed, KEY_SIZE)
    return bindings.crypto_sign_seed_keypair(seed)[1]


def ed25519_from_seed(seed: bytes) -> bytes:
    """The public key, 32 bytes, of a 32-byte seed."""
    return _ed25519_expand(seed)[KEY_SIZE:]


def ed25519_sign(seed: bytes, message: bytes) -> bytes:
    """A signature, 64 bytes, over message."""
    return bindings.crypto_sign(message, _ed25519_expand(seed))[:SIGNATURE_SIZE]


def check_ed25519_public(public: bytes) -> None:
    """Malformed unless a canonical point of the prime-order group. Every received key passes this check.

    Correct only since PyNaCl 1.6.2; earlier versions accept points of mixed order (CVE-2025-69277).
    """
    if len(public) != KEY_SIZE or not bindings.crypto_core_ed25519_is_valid_point(public):
        raise Malformed("not a valid Ed25519 public key")


def ed25519_verify(public: bytes, message: bytes, signature: bytes) -> None:
    """AuthenticationFailed unless `signature` (64 bytes) is valid. `public` (32 bytes) must be checked."""
    if len(public) != KEY_SIZE or len(signature) != SIGNATURE_SIZE:
        raise AuthenticationFailed("signature does not verify")
    try:
        bindings.crypto_sign_open(signature + message, public)
    except CryptoError as error:
        raise AuthenticationFailed("signature does not verify") from error


# --- AEADs ---

AeadCall = Callable[[bytes, bytes, bytes, bytes], bytes]
VerifyCall = Callable[[bytes, bytes, bytes, bytes], bool]
"""(data, associated data, nonce, key) to the result, with checked sizes. CryptoError if not authentic."""


class Aead(Struct, frozen=True):
    """An AEAD of libsodium: sizes in bytes, number on the wire, and the calls behind `seal` and `open`."""

    name: str
    id: int
    key_size: int
    nonce_size: int
    tag_size: int
    sodium_name: str
    encrypt: AeadCall
    decrypt: AeadCall
    verify: VerifyCall | None = None

    def seal(self, key: bytes, nonce: bytes, ad: bytes, plaintext: bytes) -> bytes:
        """The ciphertext, `tag_size` bytes longer. LocalMisuse for a wrong size of key or nonce."""
        if len(key) != self.key_size or len(nonce) != self.nonce_size:
            raise LocalMisuse(f"{self.name} key of {len(key)} bytes, nonce of {len(nonce)}")
        encrypt = self.encrypt
        return encrypt(plaintext, ad, nonce, key)

    def open(self, key: bytes, nonce: bytes, ad: bytes, ciphertext: bytes) -> bytes:
        """The plaintext. AuthenticationFailed if not authentic or shorter than a tag."""
        if len(key) != self.key_size or len(nonce) != self.nonce_size:
            raise LocalMisuse(f"{self.name} key of {len(key)} bytes, nonce of {len(nonce)}")
        if len(ciphertext) < self.tag_size:
            raise AuthenticationFailed("ciphertext does not open")
        decrypt = self.decrypt
        try:
            return decrypt(ciphertext, ad, nonce, key)
        except CryptoError as error:
            raise AuthenticationFailed("ciphertext does not open") from error

    def check(self, key: bytes, nonce: bytes, ad: bytes, ciphertext: bytes) -> bool:
        """Whether `open` would return a plaintext. LocalMisuse for a wrong size of key or nonce."""
        verify = self.verify
        if verify is None or len(ciphertext) < self.tag_size:
            try:
                self.open(key, nonce, ad, ciphertext)
            except AuthenticationFailed:
                return False
            return True
        if len(key) != self.key_size or len(nonce) != self.nonce_size:
            raise LocalMisuse(f"{self.name} key of {len(key)} bytes, nonce of {len(nonce)}")
        return verify(ciphertext, ad, nonce, key)


def _low_level_calls(sodium: Sodium, name: str, tag: int) -> tuple[AeadCall, AeadCall, VerifyCall]:
    """Calls through the low-level binding, which take 0.6 instead of 3.7 microseconds for 64 bytes."""
    new, null, view = sodium.ffi.new, sodium.ffi.NULL, sodium.ffi.buffer
    array = sodium.ffi.typeof("unsigned char[]")
    encrypt_call = getattr(sodium.lib, name + "_encrypt")
    decrypt_call = getattr(sodium.lib, name + "_decrypt")

    def encrypt(plaintext: bytes, ad: bytes, nonce: bytes, key: bytes) -> bytes:
        out = new(array, len(plaintext) + tag)
        encrypt_call(out, null, plaintext, len(plaintext), ad, len(ad), null, nonce, key)
        ciphertext: bytes = view(out)[:]
        return ciphertext

    def decrypt(ciphertext: bytes, ad: bytes, nonce: bytes, key: bytes) -> bytes:
        size = len(ciphertext) - tag
        out = new(array, size or 1)
        if decrypt_call(out, null, null, ciphertext, len(ciphertext), ad, len(ad), nonce, key) != 0:
            raise CryptoError("not authentic")
        plaintext: bytes = view(out, size)[:]
        return plaintext

    def verify(ciphertext: bytes, ad: bytes, nonce: bytes, key: bytes) -> bool:
        # Without a place for the plaintext libsodium compares the tag alone.
        failed: int = decrypt_call(null, null, null, ciphertext, len(ciphertext), ad, len(ad), nonce, key)
        return not failed

    return encrypt, decrypt, verify


def make_aead(
    sodium: Sodium | None, name: str, identifier: int, nonce: int, tag: int, sodium_name: str
) -> Aead:
    """An Aead through the low-level binding, or through nacl.bindings where sodium is None."""
    if sodium is None:
        calls = (getattr(bindings, sodium_name + "_encrypt"), getattr(bindings, sodium_name + "_decrypt"))
        return Aead(name, identifier, KEY_SIZE, nonce, tag, sodium_name, *calls)
    return Aead(
        name, identifier, KEY_SIZE, nonce, tag, sodium_name, *_low_level_calls(sodium, sodium_name, tag)
    )


AEGIS256: Final = make_aead(SODIUM, "AEGIS-256", 1, 32, 32, "crypto_aead_aegis256")
CHACHA20POLY1305: Final = make_aead(
    SODIUM, "ChaCha20-Poly1305", 2, 12, 16, "crypto_aead_chacha20poly1305_ietf"
)

chacha_seal = CHACHA20POLY1305.seal
"""(key 32, nonce 12, ad, plaintext) to ciphertext with a 16-byte tag: the AEAD of Noise's ChaChaPoly."""

chacha_open = CHACHA20POLY1305.open
"""(key 32, nonce 12, ad, ciphertext) to plaintext; AuthenticationFailed if not authentic."""


def chacha_seal_from(key: bytes, nonce: bytes, ad: bytes, data: bytes | memoryview) -> bytes:
    """chacha_seal of data in the caller's memory, without a copy if the low-level binding is available."""
    if SODIUM is None:
        return chacha_seal(key, nonce, ad, bytes(data))
    return chacha_seal(key, nonce, ad, SODIUM.ffi.from_buffer(data))


def chacha_open_into(key: bytes, nonce: bytes, ad: bytes, ciphertext: bytes, out: memoryview) -> int:
    """chacha_open into the caller's memory. Returns the size of the plaintext.

    AuthenticationFailed if not authentic; `out` is then unchanged or zeroed. LocalMisuse if it is too small.
    """
    size = len(ciphertext) - CHACHA20POLY1305.tag_size
    if len(key) != KEY_SIZE or len(nonce) != CHACHA20POLY1305.nonce_size or len(out) < size:
        raise LocalMisuse(f"a key of {len(key)} bytes, a nonce of {len(nonce)}, room for {len(out)}")
    if size < 0:
        raise AuthenticationFailed("ciphertext does not open")
    if SODIUM is None:
        out[:size] = chacha_open(key, nonce, ad, ciphertext)
        return size
    ffi, call = SODIUM.ffi, SODIUM.lib.crypto_aead_chacha20poly1305_ietf_decrypt
    into = ffi.from_buffer("unsigned char[]", out, require_writable=True)
    if call(into, ffi.NULL, ffi.NULL, ciphertext, len(ciphertext), ad, len(ad), nonce, key) != 0:
        raise AuthenticationFailed("ciphertext does not open")
    return size


def aes_instructions() -> bool:
    """Whether this CPU has AES instructions. Without them AEGIS-256 is slow and not constant-time.

    PyNaCl only exports libsodium's test for AES-256-GCM, which needs the same instructions.
    """
    return SODIUM is not None and bool(SODIUM.lib.crypto_aead_aes256gcm_is_available())


# --- ML-KEM-768 (FIPS 203) ---
# Its library is loaded at the first use: to read the header of a profile takes none of it.


class MlKemSecret:
    """A decapsulation key as an object of the library. repr hides it."""

    __slots__ = ("_key",)

    def __init__(self, key: MLKEM768PrivateKey) -> None:
        self._key = key

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The shared secret, 32 bytes. Malformed unless 1088 bytes. A wrong ciphertext yields another."""
        if len(ciphertext) != MLKEM_CIPHERTEXT_SIZE:
            raise Malformed("ML-KEM-768 ciphertext has a wrong size")
        return self._key.decapsulate(ciphertext)

    def __repr__(self) -> str:
        return "MlKemSecret(<redacted>)"


def mlkem_from_seed(seed: bytes) -> tuple[MlKemSecret, bytes]:
    """The key pair (secret, public 1184 bytes) of a 64-byte seed (d, z)."""
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

    _require("ML-KEM seed", seed, MLKEM_SEED_SIZE)
    key = MLKEM768PrivateKey.from_seed_bytes(seed)
    return MlKemSecret(key), key.public_key().public_bytes_raw()


def mlkem_generate(random: Random = system_random) -> tuple[MlKemSecret, bytes]:
    """A new key pair (secret, public 1184 bytes)."""
    return mlkem_from_seed(random(MLKEM_SEED_SIZE))


def mlkem_encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """Shared secret (32 bytes) and ciphertext (1088 bytes). Malformed if the key fails FIPS 203 §7.2.

    The library draws the randomness itself.
    """
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey

    try:
        return MLKEM768PublicKey.from_public_bytes(public).encapsulate()
    except ValueError as error:
        raise Malformed("not a valid ML-KEM-768 public key") from error


# --- ML-DSA-65 (FIPS 204) ---


def mldsa_from_seed(seed: bytes) -> bytes:
    """The public key, 1952 bytes, of a 32-byte seed."""
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

    _require("ML-DSA seed", seed, MLDSA_SEED_SIZE)
    return MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


def mldsa_sign(seed: bytes, message: bytes) -> bytes:
    """A signature, 3309 bytes, over message, with an empty context. The library draws the randomness."""
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

    _require("ML-DSA seed", seed, MLDSA_SEED_SIZE)
    return MLDSA65PrivateKey.from_seed_bytes(seed).sign(message)


def mldsa_verify(public: bytes, message: bytes, signature: bytes) -> None:
    """AuthenticationFailed unless `signature` (3309 bytes) is valid under `public` (1952 bytes)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

    try:
        MLDSA65PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise AuthenticationFailed("signature does not verify") from error


# --- Argon2id (RFC 9106) ---


def argon2id(passphrase: bytes, salt: bytes, operations: int, memory_bytes: int, size: int = 32) -> bytes:
    """`size` bytes from a passphrase and a salt of 16 bytes, with one lane. LocalMisuse if Argon2id fails."""
    _require("Argon2id salt", salt, bindings.crypto_pwhash_SALTBYTES)
    try:
        return bindings.crypto_pwhash_alg(
            size, passphrase, salt, operations, memory_bytes, bindings.crypto_pwhash_ALG_ARGON2ID13
        )
    except (CryptoError, RuntimeError, ValueError, MemoryError) as error:
        raise LocalMisuse(f"Argon2id cannot do {operations} passes over {memory_bytes} bytes") from error
