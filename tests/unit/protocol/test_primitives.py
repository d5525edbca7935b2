"""What primitives.py refuses, and that its two routes to libsodium are one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from protocol import primitives
from protocol.errors import AuthenticationFailed, LocalMisuse
from protocol.primitives import AEGIS256, CHACHA20POLY1305, Aead
from tests.support.protocol.samples import LOW_ORDER, seeded, spoiled, u


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


@pytest.mark.parametrize(
    "call",
    [
        lambda: primitives.x25519_public(bytes(31)),
        lambda: primitives.x25519(bytes(33), u(9)),
        lambda: primitives.mlkem_from_seed(bytes(63)),
        lambda: primitives.argon2id(b"passphrase", bytes(15), 1, 8192),
        lambda: primitives.argon2id(b"passphrase", bytes(16), 0, 8192),
        lambda: primitives.argon2id(b"passphrase", bytes(16), 1, 100),
    ],
)
def test_wrong_parameters_are_our_fault(call: Callable[[], object]) -> None:
    with pytest.raises(LocalMisuse):
        call()


def test_a_key_of_another_size_verifies_nothing() -> None:
    seed = bytes(range(32))
    public, signature = primitives.ed25519_from_seed(seed), primitives.ed25519_sign(seed, b"message")
    with pytest.raises(AuthenticationFailed):
        primitives.ed25519_verify(public[:-1], b"message", signature)


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
    assert aead.check(key, nonce, ad, sealed)
    assert other.check(key, nonce, ad, sealed)


@AEADS
@pytest.mark.parametrize("route", [lambda aead: aead, by_bindings], ids=["low-level", "bindings"])
def test_every_flip_and_every_cut_is_refused(aead: Aead, route: Callable[[Aead], Aead]) -> None:
    aead, random = route(aead), seeded("flip")
    key, nonce, ad = random(32), random(aead.nonce_size), b"associated"
    sealed = aead.seal(key, nonce, ad, b"plaintext")
    for wrong in spoiled(sealed):
        with pytest.raises(AuthenticationFailed):
            aead.open(key, nonce, ad, wrong)
        assert not aead.check(key, nonce, ad, wrong)
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
        with pytest.raises(LocalMisuse):
            aead.check(key, wrong_nonce, b"", bytes(64))


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


@pytest.mark.parametrize("size", [16, 32, 64])
def test_what_is_long_is_hashed_alike_with_and_without_the_binding(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    for data in (bytes(16_383), bytes(16_384), bytes(range(256)) * 300):
        with_it = primitives.b2b(data, personal=b"parlour.aleaf", size=size)
        with monkeypatch.context() as without:
            without.setattr(primitives, "SODIUM", None)
            assert primitives.b2b(data, personal=b"parlour.aleaf", size=size) == with_it


def test_without_the_low_level_binding_no_instructions_are_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(primitives, "SODIUM", None)
    assert primitives.aes_instructions() is False


@pytest.mark.parametrize("binding", [primitives.SODIUM, None], ids=["low-level", "plain"])
def test_wipe(binding: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(primitives, "SODIUM", binding)
    buffer = bytearray(b"secret")
    primitives.wipe(buffer)
    assert buffer == bytes(6)
    primitives.wipe(bytearray())
