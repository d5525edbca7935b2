"""Noise beyond vectors: names, turns, forks, refusals that change nothing, nonces that end."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.errors import (
    AuthenticationFailed,
    LimitExceeded,
    LocalMisuse,
    Malformed,
    ProtocolError,
)
from protocol.keys import X25519Pair
from protocol.limits import NOISE_MESSAGE_MAX, NOISE_NONCE_MAX
from protocol.noise import CipherState, Finished, HandshakeState
from protocol.noise_patterns import parse_name
from tests.support.protocol.links import FakePair
from tests.support.protocol.samples import LOW_ORDER, NOT_CANONICAL, seeded, spoiled, u

XX = "Noise_XX_25519_ChaChaPoly_BLAKE2b"
XXPSK0 = "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b"
IKPSK2 = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b"
PSK = bytes(range(32))


def pair(name: str, **changes: Any) -> tuple[HandshakeState, HandshakeState]:
    """Initiator and responder of a pattern with fixed keys; `changes` go to the responder."""
    alice, bob = X25519Pair(seeded("alice")(32)), X25519Pair(seeded("bob")(32))
    psks = [PSK] if "psk" in name else []
    common: dict[str, Any] = {"prologue": b"prologue", "psks": psks}
    known = bob.public if name == IKPSK2 else None
    initiator = HandshakeState(name, True, s=alice, rs=known, random=seeded("alice e"), **common)
    return initiator, HandshakeState(name, False, s=bob, random=seeded("bob e"), **(common | changes))


def run(initiator: HandshakeState, responder: HandshakeState) -> tuple[Finished, Finished]:
    """The whole handshake."""
    writer, reader = initiator, responder
    while not initiator.finished:
        assert reader.read_message(writer.write_message(b"payload")) == b"payload"
        writer, reader = reader, writer
    return initiator.finish(), responder.finish()


@pytest.mark.parametrize(
    "name",
    [
        "Noise_XX_448_ChaChaPoly_BLAKE2b",
        "Noise_XX_25519_AESGCM_BLAKE2b",
        "Noise_XX_25519_ChaChaPoly_SHA512",
        "Noise_XY_25519_ChaChaPoly_BLAKE2b",
        "Noise_N1N_25519_ChaChaPoly_BLAKE2b",
        "Noise_XN1_25519_ChaChaPoly_BLAKE2b",
        "Noise_XXpsk9_25519_ChaChaPoly_BLAKE2b",
        "Noise_XXfallback_25519_ChaChaPoly_BLAKE2b",
        "Noise_XX_25519_ChaChaPoly_BLAKE2b\n",
        "",
    ],
)
def test_unknown_names_are_our_fault(name: str) -> None:
    with pytest.raises(LocalMisuse):
        parse_name(name)


def test_turns_are_kept_and_a_finished_handshake_is_over() -> None:
    initiator, responder = pair(XX)
    for call in (responder.write_message, lambda: initiator.read_message(bytes(32)), initiator.finish):
        with pytest.raises(LocalMisuse):
            call()
    run(initiator, responder)
    for call in (initiator.finish, initiator.write_message, lambda: initiator.read_message(bytes(64))):
        with pytest.raises(LocalMisuse):
            call()


def test_missing_keys_are_our_fault() -> None:
    with pytest.raises(LocalMisuse):
        HandshakeState(IKPSK2, True, s=X25519Pair(bytes(32)))
    without_psk = HandshakeState(XXPSK0, True, s=X25519Pair(bytes(32)))
    with pytest.raises(LocalMisuse):
        without_psk.write_message()
    with pytest.raises(LocalMisuse):
        HandshakeState(XXPSK0, True, s=X25519Pair(bytes(32)), psks=[bytes(31)])


def test_every_flip_and_every_cut_is_refused_and_changes_nothing() -> None:
    """The reader goes on with the true message afterwards, as if nothing had come."""
    initiator, responder = pair(IKPSK2)
    writer, reader = initiator, responder
    while not initiator.finished:
        message = writer.write_message(b"payload")
        before = reader.handshake_hash
        for wrong in spoiled(message, 7):
            with pytest.raises((AuthenticationFailed, Malformed)):
                reader.read_message(wrong)
        assert reader.handshake_hash == before
        assert reader.read_message(message) == b"payload"
        writer, reader = reader, writer
    assert initiator.finish().handshake_hash == responder.finish().handshake_hash


def test_each_psk_token_has_the_psk_of_its_place() -> None:
    name, second = "Noise_XXpsk0+psk3_25519_ChaChaPoly_BLAKE2b", bytes(32)
    both = [PSK, second]
    initiator, responder = pair(name, psks=both)
    run(initiator.fork(psks=both), responder)
    initiator, responder = pair(name, psks=[second, PSK])
    with pytest.raises(AuthenticationFailed):
        responder.read_message(initiator.fork(psks=both).write_message(b"first"))
    initiator, responder = pair(name, psks=[PSK, PSK])
    initiator = initiator.fork(psks=both)
    assert responder.read_message(initiator.write_message(b"first")) == b"first"
    assert initiator.read_message(responder.write_message(b"second")) == b"second"
    with pytest.raises(AuthenticationFailed):
        responder.read_message(initiator.write_message(b"third"))


def test_several_psks_are_tried_on_forks() -> None:
    initiator, responder = pair(IKPSK2, psks=())
    responder.read_message(initiator.write_message(b""))
    reply = responder.fork(psks=[PSK]).write_message(b"reply")
    for wrong in (bytes(32), bytes(31) + b"\x01"):
        with pytest.raises(AuthenticationFailed):
            initiator.fork(psks=[wrong]).read_message(reply)
    right = initiator.fork(psks=[PSK])
    assert right.read_message(reply) == b"reply"
    assert right.finished
    assert not initiator.finished


def test_a_kept_static_dh_gives_the_same_handshake() -> None:
    alice, bob = X25519Pair(seeded("alice")(32)), X25519Pair(seeded("bob")(32))
    kept = {alice.public: bob.dh(alice.public)}
    first, second = run(*pair(IKPSK2)), run(*pair(IKPSK2, static_dh=kept))
    assert first[0].handshake_hash == second[0].handshake_hash
    initiator, responder = pair(IKPSK2, static_dh={alice.public: bytes(32)})
    with pytest.raises(AuthenticationFailed):
        responder.read_message(initiator.write_message(b""))


def test_message_limits() -> None:
    initiator, responder = pair(XX)
    with pytest.raises(LocalMisuse):
        initiator.write_message(bytes(NOISE_MESSAGE_MAX - 31))
    with pytest.raises(LimitExceeded):
        responder.read_message(bytes(NOISE_MESSAGE_MAX + 1))
    assert len(initiator.write_message(bytes(NOISE_MESSAGE_MAX - 32))) == NOISE_MESSAGE_MAX


def test_randomness_that_fails_changes_nothing() -> None:
    def empty(size: int) -> bytes:
        raise OSError("no entropy")

    initiator = HandshakeState(XX, True, s=X25519Pair(bytes(32)), random=empty)
    before = initiator.handshake_hash
    with pytest.raises(OSError, match="no entropy"):
        initiator.write_message(b"")
    assert initiator.handshake_hash == before
    with pytest.raises(OSError, match="no entropy"):  # it is still the initiator's turn
        initiator.write_message(b"")


def refuse(reader: HandshakeState, message: bytes, *errors: type[ProtocolError]) -> None:
    """Reading raises one of errors and changes nothing."""
    before = reader.handshake_hash
    with pytest.raises(errors):
        reader.read_message(message)
    assert reader.handshake_hash == before


@pytest.mark.parametrize("name", [XX, XXPSK0, IKPSK2])
@pytest.mark.parametrize("value", LOW_ORDER + NOT_CANONICAL)
def test_attack_04_ephemeral_slots(name: str, value: int) -> None:
    """A bad point as e of message 1 and of message 2, with the rest as it was."""
    initiator, responder = pair(name)
    first = initiator.write_message(b"")
    bad = u(value) + first[32:]
    if name == XX and value in LOW_ORDER:
        # XX has no DH before its second message, which is where the responder finds it out.
        responder.read_message(bad)
        with pytest.raises(AuthenticationFailed):
            responder.write_message(b"")
        initiator, responder = pair(name)
        first = initiator.write_message(b"")
    else:
        refuse(responder, bad, AuthenticationFailed, Malformed)
    responder.read_message(first)
    refuse(initiator, u(value) + responder.write_message(b"")[32:], AuthenticationFailed, Malformed)


@pytest.mark.parametrize("value", LOW_ORDER + NOT_CANONICAL)
def test_attack_04_static_slot(value: int) -> None:
    """A bad point sealed as s by somebody who knows the keys of the handshake, and each DH with it: zeros."""
    bob, liar = X25519Pair(seeded("bob")(32)), FakePair(u(value))
    initiator = HandshakeState(IKPSK2, True, s=liar, rs=bob.public, psks=[PSK], random=seeded("e"))
    responder = HandshakeState(IKPSK2, False, s=bob, psks=[PSK])
    refuse(responder, initiator.write_message(b""), AuthenticationFailed, Malformed)


@pytest.mark.parametrize("value", LOW_ORDER + NOT_CANONICAL)
def test_attack_04_known_static_key(value: int) -> None:
    """A bad point that somebody gave us as the responder's: the handshake cannot begin."""
    with pytest.raises((AuthenticationFailed, Malformed)):
        HandshakeState(IKPSK2, True, s=X25519Pair(bytes(32)), rs=u(value), psks=[PSK]).write_message(b"")


def test_attack_40_nonce_wrap() -> None:
    """2^64-2 is the last nonce; the reserved one is refused on both sides and nothing wraps to 0."""
    sender, receiver = CipherState(bytes(32)), CipherState(bytes(32))
    for cipher in (sender, receiver):
        cipher.set_nonce(NOISE_NONCE_MAX - 1)
    last = sender.encrypt_with_ad(b"", b"last")
    assert receiver.decrypt_with_ad(b"", last) == b"last"
    for _ in range(2):
        with pytest.raises(LimitExceeded):
            sender.encrypt_with_ad(b"", b"one more")
        with pytest.raises(LimitExceeded):
            receiver.decrypt_with_ad(b"", last)


def test_a_forged_transport_message_does_not_use_up_a_nonce() -> None:
    alice, bob = run(*pair(XX))
    message = alice.send.encrypt_with_ad(b"", b"message")
    with pytest.raises(AuthenticationFailed):
        bob.receive.decrypt_with_ad(b"", bytes(len(message)))
    assert bob.receive.decrypt_with_ad(b"", message) == b"message"
    with pytest.raises(AuthenticationFailed):
        bob.receive.decrypt_with_ad(b"", message)
