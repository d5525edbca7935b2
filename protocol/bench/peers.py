"""Implementations by others, for comparison only; none is needed to run Parlour.

Rules: a peer that is not installed is left out, never guessed. Each does the least that a row asks: the same
content, to the bytes that travel and back from them, and no setup in the time measured unless it is the row.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Coroutine
from struct import Struct
from typing import Any

from protocol.primitives import system_random

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
    """A peer's module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


# --- vodozemac ---


def vodozemac_start(module: Any, alice: Any, bob: Any) -> tuple[Any, Any]:
    """Two new sessions of two accounts: Bob's one-time key, both ends, and one message to say so."""
    bob.generate_one_time_keys(1)
    (one_time,) = bob.one_time_keys.values()
    outbound = alice.create_outbound_session(bob.curve25519_key, one_time)
    first = module.AnyOlmMessage.from_parts(*outbound.encrypt(b"").to_parts()).to_pre_key()
    inbound, _ = bob.create_inbound_session(alice.curve25519_key, first)
    return outbound, inbound


def vodozemac_pair(module: Any) -> tuple[Any, Any]:
    """Two sessions that have heard each other."""
    outbound, inbound = vodozemac_start(module, module.Account(), module.Account())
    outbound.decrypt(inbound.encrypt(b"reply"))
    inbound.decrypt(outbound.encrypt(b"second"))
    return outbound, inbound


def vodozemac_one_way(module: Any, content: bytes) -> Work:
    """One message encrypted and decrypted."""
    alice, bob = vodozemac_pair(module)
    encrypt, decrypt, from_parts = alice.encrypt, bob.decrypt, module.AnyOlmMessage.from_parts
    return lambda: decrypt(from_parts(*encrypt(content).to_parts()))


def vodozemac_ping_pong(module: Any, content: bytes) -> Work:
    """Two messages, one each way: each makes a step of the DH ratchet."""
    alice, bob = vodozemac_pair(module)
    from_parts = module.AnyOlmMessage.from_parts

    def work() -> None:
        bob.decrypt(from_parts(*alice.encrypt(content).to_parts()))
        alice.decrypt(from_parts(*bob.encrypt(content).to_parts()))

    return work


def vodozemac_seal(module: Any, content: bytes) -> Work:
    """One message encrypted."""
    alice, _ = vodozemac_pair(module)
    return lambda: alice.encrypt(content).to_parts()


def vodozemac_open(module: Any, content: bytes) -> tuple[Work, Callable[[int], None]]:
    """One message decrypted, and what encrypts so many beforehand."""
    alice, bob = vodozemac_pair(module)
    decrypt, from_parts = bob.decrypt, module.AnyOlmMessage.from_parts
    sealed: list[tuple[int, bytes]] = []

    def prepare(count: int) -> None:
        sealed.extend(alice.encrypt(content).to_parts() for _ in range(count))
        sealed.reverse()

    return lambda: decrypt(from_parts(*sealed.pop())), prepare


def vodozemac_setup(module: Any) -> Work:
    """A session from accounts that are there, both sides."""
    alice, bob = module.Account(), module.Account()
    return lambda: vodozemac_start(module, alice, bob)


# --- python-olm ---


def olm_one_way(module: Any, content: bytes) -> Work:
    """One message encrypted and decrypted."""
    alice, bob = module.Account(), module.Account()
    bob.generate_one_time_keys(1)
    (one_time,) = bob.one_time_keys["curve25519"].values()
    outbound = module.OutboundSession(alice, bob.identity_keys["curve25519"], one_time)
    inbound = module.InboundSession(bob, outbound.encrypt("first"))
    outbound.decrypt(inbound.encrypt("reply"))
    text = content.decode("ascii")
    return lambda: inbound.decrypt(outbound.encrypt(text))


# --- doubleratchet ---


def _done(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing, without a loop around it."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return finished.value
    raise RuntimeError("the peer waits for something")


_HEADER = Struct(">32sII")


def double_ratchet_one_way(module: Any, content: bytes) -> Work:
    """One message encrypted, as header and ciphertext in a row, and decrypted."""
    alice, bob = _double_ratchets(module)
    message_of, header_of, size = module.EncryptedMessage, module.Header, _HEADER.size

    def work() -> object:
        header, ciphertext = _done(alice.encrypt_message(content, b""))
        wire = _HEADER.pack(*header) + ciphertext
        received = message_of(header_of(*_HEADER.unpack_from(wire)), wire[size:])
        return _done(bob.decrypt_message(received, b""))

    return work


def _double_ratchets(module: Any) -> tuple[Any, Any]:
    """Two ends with the functions that the library recommends."""
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


# --- noiseprotocol ---


def noise_pair(module: Any, name: str, statics: tuple[bytes, bytes]) -> tuple[Any, Any]:
    """Two connections that are about to shake hands."""
    static = module.Keypair.STATIC
    ends = []
    for secret, initiates in zip(statics, (True, False), strict=True):
        end = module.NoiseConnection.from_name(name.encode())
        end.set_as_initiator() if initiates else end.set_as_responder()
        end.set_keypair_from_private_bytes(static, secret)
        end.start_handshake()
        ends.append(end)
    return ends[0], ends[1]


def noise_shake(module: Any, name: str, statics: tuple[bytes, bytes]) -> tuple[Any, Any]:
    """Both sides of XX."""
    alice, bob = noise_pair(module, name, statics)
    bob.read_message(alice.write_message())
    alice.read_message(bob.write_message())
    bob.read_message(alice.write_message())
    return alice, bob


def noise_handshake(module: Any, name: str) -> Work:
    """XX, both sides, with static keys that are there."""
    statics = system_random(32), system_random(32)
    return lambda: noise_shake(module, name, statics)


def noise_transport(module: Any, name: str, content: bytes) -> Work:
    """One frame encrypted and decrypted."""
    alice, bob = noise_shake(module, name, (system_random(32), system_random(32)))
    return lambda: bob.decrypt(alice.encrypt(content))
