"""Other implementations and bare libsodium calls, for comparison only.

Each does the least that a row asks for. A peer that is not installed is left out.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Coroutine, Sequence
from struct import Struct
from typing import Any, Final

from protocol.primitives import Aead, Sodium, system_random

Work = Callable[[], object]

VODOZEMAC_NOTE = (
    "Olm, in Rust, to wire bytes and back (to_parts, from_parts); the content alone, no codec, no padding;"
    " derives its ratchet's public key at every seal"
)
OLM_NOTE = "Olm, in C, to wire text and back; the content alone, no codec, no padding"
DOUBLERATCHET_NOTE = (
    "in Python, with its recommended SHA-256 and AES-CBC; the content alone, header and ciphertext in a row"
)
NOISE_NOTE = "in Python on OpenSSL; one fixed key for all frames"


def load(name: str) -> Any | None:
    """A peer's module, or None if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def vodozemac_start(module: Any, alice: Any, bob: Any) -> tuple[Any, Any]:
    """Two new sessions, and the message that starts them."""
    bob.generate_one_time_keys(1)
    (one_time,) = bob.one_time_keys.values()
    outbound = alice.create_outbound_session(bob.curve25519_key, one_time)
    first = module.AnyOlmMessage.from_parts(*outbound.encrypt(b"").to_parts()).to_pre_key()
    inbound, _ = bob.create_inbound_session(alice.curve25519_key, first)
    return outbound, inbound


def vodozemac_pair(module: Any) -> tuple[Any, Any]:
    """Two sessions that have heard from each other."""
    outbound, inbound = vodozemac_start(module, module.Account(), module.Account())
    outbound.decrypt(inbound.encrypt(b"reply"))
    inbound.decrypt(outbound.encrypt(b"second"))
    return outbound, inbound


def vodozemac_one_way(module: Any, content: bytes) -> Work:
    alice, bob = vodozemac_pair(module)
    encrypt, decrypt, from_parts = alice.encrypt, bob.decrypt, module.AnyOlmMessage.from_parts
    return lambda: decrypt(from_parts(*encrypt(content).to_parts()))


def vodozemac_ping_pong(module: Any, content: bytes) -> Work:
    alice, bob = vodozemac_pair(module)
    from_parts = module.AnyOlmMessage.from_parts

    def work() -> None:
        bob.decrypt(from_parts(*alice.encrypt(content).to_parts()))
        alice.decrypt(from_parts(*bob.encrypt(content).to_parts()))

    return work


def vodozemac_seal(module: Any, content: bytes) -> Work:
    alice, _ = vodozemac_pair(module)
    return lambda: alice.encrypt(content).to_parts()


def vodozemac_open(module: Any, content: bytes) -> tuple[Work, Callable[[int], None]]:
    """Decrypts one message; `prepare` encrypts as many as it will decrypt."""
    alice, bob = vodozemac_pair(module)
    decrypt, from_parts = bob.decrypt, module.AnyOlmMessage.from_parts
    sealed: list[tuple[int, bytes]] = []

    def prepare(count: int) -> None:
        sealed.extend(alice.encrypt(content).to_parts() for _ in range(count))
        sealed.reverse()

    return lambda: decrypt(from_parts(*sealed.pop())), prepare


def vodozemac_setup(module: Any) -> Work:
    alice, bob = module.Account(), module.Account()
    return lambda: vodozemac_start(module, alice, bob)


def olm_one_way(module: Any, content: bytes) -> Work:
    alice, bob = module.Account(), module.Account()
    bob.generate_one_time_keys(1)
    (one_time,) = bob.one_time_keys["curve25519"].values()
    outbound = module.OutboundSession(alice, bob.identity_keys["curve25519"], one_time)
    inbound = module.InboundSession(bob, outbound.encrypt("first"))
    outbound.decrypt(inbound.encrypt("reply"))
    text = content.decode("ascii")
    return lambda: inbound.decrypt(outbound.encrypt(text))


def _done(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never waits, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return finished.value
    raise RuntimeError("the peer waits for something")


_HEADER = Struct(">32sII")


def double_ratchet_one_way(module: Any, content: bytes) -> Work:
    alice, bob = _double_ratchets(module)
    message_of, header_of, size = module.EncryptedMessage, module.Header, _HEADER.size

    def work() -> object:
        header, ciphertext = _done(alice.encrypt_message(content, b""))
        wire = _HEADER.pack(*header) + ciphertext
        received = message_of(header_of(*_HEADER.unpack_from(wire)), wire[size:])
        return _done(bob.decrypt_message(received, b""))

    return work


def _double_ratchets(module: Any) -> tuple[Any, Any]:
    associated = {"_build_associated_data": staticmethod(lambda data, header: data + _HEADER.pack(*header))}
    ratchet: Any = type("Ratchet", (module.DoubleRatchet,), associated)
    settings, private = _recommended(), system_random(32)
    common = {"shared_secret": system_random(32), "associated_data": b"", **settings}
    public = settings["diffie_hellman_ratchet_class"]._derive_pub(private)
    alice, first = _done(
        ratchet.encrypt_initial_message(recipient_ratchet_pub=public, message=b"first", **common)
    )
    bob, _ = _done(ratchet.decrypt_initial_message(own_ratchet_priv=private, message=first, **common))
    return alice, bob


def _recommended() -> dict[str, Any]:
    def part(module: str, name: str) -> Any:
        return getattr(importlib.import_module(f"doubleratchet.recommended.{module}"), name)

    sha256 = importlib.import_module("doubleratchet.recommended").HashFunction.SHA_256
    hashed = {"_get_hash_function": staticmethod(lambda: sha256)}
    named = {**hashed, "_get_info": staticmethod(lambda: b"bench")}
    return {
        "diffie_hellman_ratchet_class": part("diffie_hellman_ratchet_curve25519", "DiffieHellmanRatchet"),
        "root_chain_kdf": type("RootKdf", (part("kdf_hkdf", "KDF"),), named),
        "message_chain_kdf": type("MessageKdf", (part("kdf_separate_hmacs", "KDF"),), hashed),
        "message_chain_constant": b"\x01\x02",
        "dos_protection_threshold": 100,
        "max_num_skipped_message_keys": 1_000,
        "aead": type("Aead", (part("aead_aes_hmac", "AEAD"),), named),
    }


def noise_shake(module: Any, name: str, statics: tuple[bytes, bytes]) -> tuple[Any, Any]:
    """Two connections after their handshake."""
    static = module.Keypair.STATIC
    ends = []
    for secret, initiates in zip(statics, (True, False), strict=True):
        end = module.NoiseConnection.from_name(name.encode())
        end.set_as_initiator() if initiates else end.set_as_responder()
        end.set_keypair_from_private_bytes(static, secret)
        end.start_handshake()
        ends.append(end)
    alice, bob = ends
    bob.read_message(alice.write_message())
    alice.read_message(bob.write_message())
    bob.read_message(alice.write_message())
    return alice, bob


def noise_handshake(module: Any, name: str) -> Work:
    statics = system_random(32), system_random(32)
    return lambda: noise_shake(module, name, statics)


def noise_transport(module: Any, name: str, content: bytes) -> Work:
    alice, bob = noise_shake(module, name, (system_random(32), system_random(32)))
    return lambda: bob.decrypt(alice.encrypt(content))


_KEY: Final = 32
_STEP: Final = 64
_ROOT_INPUT: Final = 96
_COUNTERS: Final = 8


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
        """Chain step and seal per piece."""
        step, encrypt, null, sizes = self._hash, self._encrypt, self._null, self._sizes
        plain, sealed, nonce, counters = self._plain, self._sealed, self._nonce, self._counters
        label, chain, key = self._label, self._chain, self._chain + _KEY

        def work() -> None:
            for size in sizes:
                step(chain, _STEP, null, 0, chain, _KEY, null, label)
                encrypt(sealed, null, plain, size, counters, _COUNTERS, null, nonce, key)

        return work

    def opening(self) -> Work:
        """Chain step and open for the last piece, which was sealed before."""
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
        """Chain step and seal, chain step and open per piece."""
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
        """Two messages, one each way; each adds a key pair, two DH and two root steps to one_way."""
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
        multiply, base = self._lib.crypto_scalarmult, self._lib.crypto_scalarmult_base
        secret, public, shared = self._secret, self._buffer(_KEY), self._buffer(_KEY)

        def work() -> None:
            for _ in range(pairs):
                base(public, secret)
            for _ in range(dh):
                multiply(shared, secret, public)

        return work
