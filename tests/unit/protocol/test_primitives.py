"""What primitives.py refuses, and that its two routes to libsodium are one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from protocol import primitives
from protocol.errors import AuthenticationFailed, LocalMisuse, Malformed
from protocol.primitives import AEGIS256, CHACHA20POLY1305, Aead
from tests.support.protocol.samples import LOW_ORDER, NOT_CANONICAL, P, seeded, u

# Points of small order, and encodings of them that are not canonical (sign of x = 0 set, y >= p).
SMALL_ED25519 = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("value", LOW_ORDER)
def test_attack_04_low_order_point(value: int) -> None:
    primitives.check_x25519_public(u(value))
    with pytest.raises(AuthenticationFailed):
        primitives.x25519(bytes(range(32)), u(value))


@pytest.mark.parametrize("value", NOT_CANONICAL)
def test_attack_04_not_canonical(value: int) -> None:
    with pytest.raises(Malformed):
        primitives.x25519(bytes(range(32)), u(value))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_attack_04_wrong_size(size: int) -> None:
    with pytest.raises(Malformed):
        primitives.x25519(bytes(range(32)), bytes([9]) * size)


def test_both_routes_of_x25519_give_the_same() -> None:
    low, plain = primitives.make_x25519(primitives.SODIUM), primitives.make_x25519(None)
    for number in range(20):
        mine, theirs = (seeded(f"{role} {number}")(32) for role in ("mine", "theirs"))
        public = low.base(theirs)
        assert public == plain.base(theirs)
        assert low.multiply(mine, public) == plain.multiply(mine, public)


@pytest.mark.parametrize("value", LOW_ORDER)
@pytest.mark.parametrize("binding", [primitives.SODIUM, None], ids=["low-level", "plain"])
def test_attack_04_neither_route_takes_an_all_zero_result(
    binding: Any, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(primitives, "_X25519", primitives.make_x25519(binding))
    with pytest.raises(AuthenticationFailed):
        primitives.x25519(bytes(range(32)), u(value))


def test_x25519_secret_of_wrong_size_is_our_fault() -> None:
    with pytest.raises(LocalMisuse):
        primitives.x25519_public(bytes(31))
    with pytest.raises(LocalMisuse):
        primitives.x25519(bytes(33), u(9))


def _point(encoded: bytes) -> tuple[int, int]:
    """The affine point of an encoding, by the curve equation of RFC 8032 §5.1.3."""
    d = -121665 * pow(121666, -1, P) % P
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    square = (y * y - 1) * pow(d * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (P - x if x % 2 != encoded[31] >> 7 else x), y


def _mixed_order(public: bytes) -> bytes:
    """A key plus the point of order two (0, -1): on the curve, and outside the prime-order group."""
    x, y = _point(public)
    return u((P - y) | (((P - x) % 2) << 255))


@pytest.mark.parametrize("encoded", SMALL_ED25519)
def test_attack_05_small_order_or_not_canonical(encoded: str) -> None:
    with pytest.raises(Malformed):
        primitives.check_ed25519_public(bytes.fromhex(encoded))


def test_attack_05_mixed_order() -> None:
    for n in range(20):
        public = primitives.ed25519_from_seed(seeded(f"mixed {n}")(32))
        primitives.check_ed25519_public(public)
        with pytest.raises(Malformed):
            primitives.check_ed25519_public(_mixed_order(public))


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_attack_05_wrong_size(size: int) -> None:
    with pytest.raises(Malformed):
        primitives.check_ed25519_public(bytes(size))


def test_ed25519_signs_and_verifies() -> None:
    seed = bytes(range(32))
    public, signature = primitives.ed25519_from_seed(seed), primitives.ed25519_sign(seed, b"message")
    primitives.ed25519_verify(public, b"message", signature)
    for wrong in (signature[:-1], signature + b"\x00", bytes(64), b""):
        with pytest.raises(AuthenticationFailed):
            primitives.ed25519_verify(public, b"message", wrong)
    with pytest.raises(AuthenticationFailed):
        primitives.ed25519_verify(public, b"messagf", signature)
    with pytest.raises(AuthenticationFailed):
        primitives.ed25519_verify(public[:-1], b"message", signature)


def test_ed25519_does_not_take_the_message_from_the_signature() -> None:
    """A longer signature and a shorter message make the same input for the library's call."""
    seed = bytes(range(32))
    signature = primitives.ed25519_sign(seed, b"message")
    with pytest.raises(AuthenticationFailed):
        primitives.ed25519_verify(primitives.ed25519_from_seed(seed), b"essage", signature + b"m")


AEADS = pytest.mark.parametrize("aead", [AEGIS256, CHACHA20POLY1305], ids=lambda aead: str(aead.name))


def by_bindings(aead: Aead) -> Aead:
    """The same AEAD by the other route."""
    return primitives.make_aead(None, aead.name, aead.id, aead.nonce_size, aead.tag_size, aead.sodium_name)


@AEADS
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 64, 1_000, 61_440])
def test_both_routes_are_one(aead: Aead, size: int) -> None:
    random, other = seeded(f"{aead.name} {size}"), by_bindings(aead)
    key, nonce, ad, plaintext = random(32), random(aead.nonce_size), random(size % 50), random(size)
    sealed = aead.seal(key, nonce, ad, plaintext)
    assert sealed == other.seal(key, nonce, ad, plaintext)
    assert len(sealed) == size + aead.tag_size
    assert aead.open(key, nonce, ad, sealed) == other.open(key, nonce, ad, sealed) == plaintext


@AEADS
@pytest.mark.parametrize("route", [lambda aead: aead, by_bindings], ids=["low-level", "bindings"])
def test_every_flip_and_every_cut_is_refused(aead: Aead, route: Callable[[Aead], Aead]) -> None:
    aead, random = route(aead), seeded("flip")
    key, nonce, ad = random(32), random(aead.nonce_size), b"associated"
    sealed = aead.seal(key, nonce, ad, b"plaintext")
    for position in range(len(sealed)):
        flipped = bytearray(sealed)
        flipped[position] ^= 1
        for wrong in (bytes(flipped), sealed[:position]):
            with pytest.raises(AuthenticationFailed):
                aead.open(key, nonce, ad, wrong)
    with pytest.raises(AuthenticationFailed):
        aead.open(key, nonce, b"associatee", sealed)


@AEADS
def test_key_and_nonce_of_wrong_size_are_our_fault(aead: Aead) -> None:
    nonce = bytes(aead.nonce_size)
    for key, wrong_nonce in ((bytes(31), nonce), (bytes(33), nonce), (bytes(32), nonce[1:])):
        with pytest.raises(LocalMisuse):
            aead.seal(key, wrong_nonce, b"", b"")
        with pytest.raises(LocalMisuse):
            aead.open(key, wrong_nonce, b"", bytes(64))


def test_a_binding_that_lacks_a_name_is_not_used() -> None:
    assert primitives.load_sodium() is not None
    assert primitives.load_sodium(("crypto_of_another_world",)) is None


def test_the_binding_hashes_as_hashlib_does() -> None:
    """The ratchet's hot path takes BLAKE2b from libsodium, everything else from hashlib."""
    sodium = primitives.load_sodium()
    assert sodium is not None
    out = sodium.ffi.new("unsigned char[]", 64)
    label, key = b"parlour.chain".ljust(16, b"\x00"), bytes(range(32))
    null = sodium.ffi.NULL
    sodium.lib.crypto_generichash_blake2b_salt_personal(out, 64, null, 0, key, 32, null, label)
    assert bytes(sodium.ffi.buffer(out)) == primitives.b2b(b"", personal=b"parlour.chain", key=key, size=64)


@pytest.mark.parametrize("binding", [primitives.SODIUM, None], ids=["low-level", "plain"])
def test_wipe(binding: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(primitives, "SODIUM", binding)
    buffer = bytearray(b"secret")
    primitives.wipe(buffer)
    assert buffer == bytes(6)
    primitives.wipe(bytearray())


def test_mlkem_refuses_what_is_no_key_or_ciphertext() -> None:
    secret, public = primitives.mlkem_generate(seeded("kem"))
    # FIPS 203 §7.2: a coefficient over the modulus must be found, not reduced.
    for wrong in (public[:-1], public + b"\x00", b"\xff" * 3 + public[3:], b""):
        with pytest.raises(Malformed):
            primitives.mlkem_encapsulate(wrong)
    for wrong in (bytes(1087), bytes(1089), b""):
        with pytest.raises(Malformed):
            secret.decapsulate(wrong)
    with pytest.raises(LocalMisuse):
        primitives.mlkem_from_seed(bytes(63))


@pytest.mark.parametrize("parameters", [(bytes(15), 1, 8192), (bytes(16), 0, 8192), (bytes(16), 1, 100)])
def test_argon2id_with_wrong_parameters_is_our_fault(parameters: tuple[bytes, int, int]) -> None:
    salt, operations, memory = parameters
    with pytest.raises(LocalMisuse):
        primitives.argon2id(b"passphrase", salt, operations, memory)
