"""Handshakes under attack, by the numbers of the attack list: keys, reflection, replay, downgrade, flips."""

from __future__ import annotations

from contextlib import suppress

import pytest

from protocol.codec import encode
from protocol.errors import AuthenticationFailed, ProtocolError
from protocol.keys import X25519Pair
from protocol.limits import INVITATIONS_TRIED_MAX
from protocol.link.agreement import one_time_hash
from protocol.link.framing import GREETING_SIZE, Pattern, Refused
from protocol.link.handshake import Finish, Initiator
from protocol.link.states import InvitationKeys
from protocol.messages import ContactHello, PairingFinish, PairingReply
from protocol.noise import HandshakeState
from protocol.primitives import mlkem_generate
from tests.support.protocol.links import (
    GREETING,
    INVITATION,
    NAMES,
    ONE_TIME,
    PAIRING,
    PATTERNS,
    PSK,
    FakePair,
    Party,
    Steps,
    choice,
    contacts,
    hello_call,
    payload,
    state,
)
from tests.support.protocol.samples import LOW_ORDER, NOT_CANONICAL, flipped, seeded, spoiled, u

BAD_KEYS = [pytest.param(u(value), id=f"{value:x}") for value in (*LOW_ORDER, *NOT_CANONICAL)]


@pytest.mark.parametrize("bad", BAD_KEYS)
def test_attack_04_static_of_a_caller(bad: bytes) -> None:
    """Each DH with a low-order key is zeros, so that a stranger who names one could else authenticate."""
    alice, bob = contacts()
    hello = encode(ContactHello(alice.person, NAMES, mlkem_generate()[1], bytes(32)))
    with pytest.raises(ProtocolError):
        bob.answers().answer(GREETING, hello_call(alice, bob, hello, FakePair(bad)))
    assert not bob.policy.asked


@pytest.mark.parametrize("bad", BAD_KEYS)
@pytest.mark.parametrize("pattern", PAIRING)
def test_attack_04_static_of_a_joiner(pattern: Pattern, bad: bytes) -> None:
    bob = Party("bob")
    psk = PSK if pattern is Pattern.XXPSK0 else None
    call = state(pattern, True, FakePair(bad), psk=psk)
    reply, finish = bob.answers().answer(GREETING, choice(pattern) + call.write_message())
    call.read_message(reply)
    assert isinstance(finish, Finish)
    with pytest.raises(ProtocolError):
        finish.read(call.write_message(payload(PairingFinish(bytes(1088), bytes(32)))))


@pytest.mark.parametrize("bad", BAD_KEYS)
@pytest.mark.parametrize("pattern", PAIRING)
def test_attack_04_static_of_the_called(pattern: Pattern, bad: bytes) -> None:
    psk, answering = (PSK, one_time_hash(bad)) if pattern is Pattern.XXPSK0 else (None, b"")
    call, answer = Initiator.pairing(pattern, psk, responder=answering, aes=False).begin(GREETING)
    responder = state(pattern, False, FakePair(bad), psk=psk)
    responder.read_message(call[3:])
    reply = PairingReply(mlkem_generate()[1], bytes(32), X25519Pair.generate().public)
    with pytest.raises(ProtocolError):
        answer.read(responder.write_message(payload(reply)))


@pytest.mark.parametrize("pattern", PAIRING)
def test_attack_06_our_own_message_2_as_message_3(pattern: Pattern) -> None:
    steps = Steps(pattern)
    assert isinstance(steps.following, Finish)
    with pytest.raises(ProtocolError):
        steps.following.read(steps.reply)


@pytest.mark.parametrize("pattern", [Pattern.XXPSK0, Pattern.IKPSK2])
def test_attack_07_message_1_again(pattern: Pattern) -> None:
    """Each greeting is new, so that a recorded first frame opens on no other link."""
    steps = Steps(pattern)
    steps.bob.policy.asked.clear()
    again = steps.bob.answers()
    with pytest.raises((AuthenticationFailed, Refused)):
        again.answer(again.greet(), steps.call)
    assert not steps.bob.policy.asked


def test_attack_07_xx_again() -> None:
    """Message 1 of XX is a bare key that anybody can send; the recorded message 3 finishes no other link."""
    steps = Steps(Pattern.XX)
    last, _ = steps.answer.read(steps.reply)
    again = steps.bob.answers()
    _, finish = again.answer(again.greet(), steps.call)
    assert isinstance(finish, Finish)
    with pytest.raises(AuthenticationFailed):
        finish.read(last)


def test_attack_08_kci_as_the_called() -> None:
    """A thief of the initiator's static key who knows the psk cannot answer in a contact's name."""
    alice, bob = contacts(aes=False)
    call, _ = alice.calls(bob).begin(GREETING)
    forged = FakePair(bob.static.public, {alice.static.public: alice.static.dh(bob.static.public)})
    responder = state(Pattern.IKPSK2, False, forged, psk=PSK)
    with pytest.raises(AuthenticationFailed):
        responder.read_message(call[3:])


def test_attack_12_key_and_ciphertext_are_in_the_transcript() -> None:
    """The same KEM secret behind other bytes on the wire gives another h, and so another secret."""
    hashes = set()
    for n in range(3):
        call = state(Pattern.XX, True, X25519Pair(bytes([7]) * 32))
        other = state(Pattern.XX, False, X25519Pair(bytes([8]) * 32))
        call._random, other._random = seeded("call"), seeded("other")
        other.read_message(call.write_message())
        kem_key = b"k" * 1184 if n != 1 else b"K" * 1184
        call.read_message(other.write_message(payload(PairingReply(kem_key, bytes(32), bytes(32)))))
        ciphertext = b"c" * 1088 if n != 2 else b"C" * 1088
        call.write_message(payload(PairingFinish(ciphertext, bytes(32))))
        hashes.add(call.handshake_hash)
    assert len(hashes) == 3


@pytest.mark.parametrize("position", range(8, GREETING_SIZE))
@pytest.mark.parametrize("pattern", PATTERNS)
def test_attack_13_an_altered_greeting(pattern: Pattern, position: int) -> None:
    """Version range, AEAD mask, reserved byte and random bytes are all in the prologue."""
    alice, bob = contacts()
    responder = bob.answers()
    greeting = responder.greet()
    for bit in range(8):
        with pytest.raises(ProtocolError):
            call, answer = alice.calls(bob, pattern).begin(flipped(greeting, 8 * position + bit))
            answer.read(responder.answer(greeting, call)[0])


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize("pattern", PATTERNS)
def test_attack_13_an_altered_choice(pattern: Pattern, position: int) -> None:
    steps = Steps(pattern)
    for value in range(256):
        altered = bytearray(steps.call)
        if altered[position] == value:
            continue
        altered[position] = value
        with pytest.raises(ProtocolError):
            steps.altered(bytes(altered))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_attack_19_every_flip_and_cut_of_a_handshake(pattern: Pattern) -> None:
    """All are refused with a typed error, and the step goes on with the true message afterwards."""
    steps = Steps(pattern)
    for call in spoiled(steps.call):
        with pytest.raises(ProtocolError):
            steps.altered(call)
    for reply in spoiled(steps.reply):
        with pytest.raises(ProtocolError):
            steps.answer.read(reply)
    last, initiator = steps.answer.read(steps.reply)
    if isinstance(steps.following, Finish):
        for finish in spoiled(last):
            with pytest.raises(ProtocolError):
                steps.following.read(finish)
        responder = steps.following.read(last)
    else:
        responder = steps.following
    assert responder.session.decrypt(initiator.session.encrypt(b"x")) == b"x"


@pytest.mark.parametrize("opened", range(5))
@pytest.mark.parametrize("psk", [PSK, bytes(32)])
def test_case_85_the_time_of_a_refusal_does_not_show_whether_an_invitation_is_open(
    monkeypatch: pytest.MonkeyPatch, opened: int, psk: bytes
) -> None:
    """As many first messages are tried, whatever is open, and whichever fits."""
    alice, bob = contacts()
    others = [InvitationKeys(bytes([number]) * 32, bytes([number]) * 32, ONE_TIME) for number in range(1, 4)]
    bob.policy.invitations = [InvitationKeys(INVITATION, PSK, ONE_TIME), *others][:opened]
    responder, tried = bob.answers(), list[bytes]()
    greeting = responder.greet()
    frame, _ = alice.calls(bob, Pattern.XXPSK0, psk=psk).begin(greeting)
    real = HandshakeState.read_message

    def counted(self: HandshakeState, message: bytes) -> bytes:
        tried.append(message)
        return real(self, message)

    monkeypatch.setattr(HandshakeState, "read_message", counted)
    with suppress(Refused):
        responder.answer(greeting, frame)
    assert len(tried) == INVITATIONS_TRIED_MAX
