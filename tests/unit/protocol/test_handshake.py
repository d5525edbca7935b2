"""Greeting, choice and handshake, step by step, and what both sides agree on."""

from __future__ import annotations

import pytest
from msgspec.structs import astuple

from protocol.errors import AuthenticationFailed, LocalMisuse
from protocol.keys import X25519Pair
from protocol.link.framing import Pattern
from protocol.link.handshake import Finish, Initiator
from protocol.link.states import ContactPsk
from tests.support.protocol.links import (
    CONTACT_PSK,
    INVITATION,
    NAME,
    ONE_TIME_HASH,
    PAIRING,
    PSK,
    Party,
    Steps,
    contacts,
)


def test_contacts_know_each_other() -> None:
    steps = Steps(Pattern.IKPSK2)
    initiator, responder = steps.finish()
    assert initiator.event.peer_static == steps.bob.static.public
    assert responder.event.peer_static == steps.alice.static.public
    assert initiator.event.person == steps.bob.person
    assert responder.event.person == steps.alice.person
    assert initiator.event.pairing is None


@pytest.mark.parametrize("pattern", PAIRING)
def test_pairing_uses_static_keys_once(pattern: Pattern) -> None:
    seen = set()
    for _ in range(2):
        steps = Steps(pattern)
        for established in steps.finish():
            assert established.event.person is None
            assert established.event.pairing is not None
            seen.add(established.event.peer_static)
        assert not seen & {steps.alice.static.public, steps.bob.static.public}
    assert len(seen) == (3 if pattern is Pattern.XXPSK0 else 4)  # an invitation has one key for all attempts


def test_a_joiner_may_keep_its_one_time_key() -> None:
    static = X25519Pair.generate()
    bob = Party("bob")
    for _ in range(2):
        responder = bob.answers()
        greeting = responder.greet()
        call, answer = Initiator.pairing(Pattern.XXPSK0, PSK, responder=ONE_TIME_HASH, static=static).begin(
            greeting
        )
        reply, finish = responder.answer(greeting, call)
        assert isinstance(finish, Finish)
        event = finish.read(answer.read(reply)[0]).event
        assert event.peer_static == static.public
        assert event.invitation == INVITATION


def test_facts_do_not_show_secrets() -> None:
    initiator, _ = Steps(Pattern.XX).finish()
    facts = initiator.event.pairing
    assert facts is not None
    shown = f"{initiator.event!r} {facts!r} {CONTACT_PSK!r}"
    for secret in (facts.secret.reveal(), facts.share_initiator, facts.share_responder, PSK):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


@pytest.mark.parametrize(
    "candidates",
    [
        [],
        [ContactPsk(PSK, bytes([n]) * 16, NAME) for n in range(5)],
        [ContactPsk(PSK, NAME, bytes([n]) * 16) for n in range(5)],
        [CONTACT_PSK] * 17,
    ],
)
def test_psks_that_message_1_cannot_name(candidates: list[ContactPsk]) -> None:
    alice, bob = contacts()
    with pytest.raises(LocalMisuse):
        alice.calls(bob, candidates=candidates)


def test_wrong_calls_of_ours() -> None:
    alice, bob = contacts()
    with pytest.raises(LocalMisuse):
        alice.calls(bob, replaces=b"short")
    for pattern, psk, answering in (
        (Pattern.XX, PSK, b""),
        (Pattern.XX, None, ONE_TIME_HASH),
        (Pattern.XXPSK0, None, ONE_TIME_HASH),
        (Pattern.XXPSK0, PSK, b""),
        (Pattern.IKPSK2, PSK, ONE_TIME_HASH),
    ):
        with pytest.raises(LocalMisuse):
            Initiator.pairing(pattern, psk, responder=answering)


def test_the_initiator_keeps_the_static_dh_once_the_answer_opened() -> None:
    steps = Steps(Pattern.IKPSK2)
    shared = steps.alice.static.dh(steps.bob.static.public)
    assert not steps.alice.static_dh
    steps.finish()
    assert steps.alice.static_dh == {steps.bob.static.public: shared}


def test_the_kept_static_dh_is_used() -> None:
    alice, bob = contacts()
    alice.static_dh[bob.static.public] = bytes(32)
    responder = bob.answers()
    greeting = responder.greet()
    with pytest.raises(AuthenticationFailed):
        responder.answer(greeting, alice.calls(bob).begin(greeting)[0])


def test_events_hold_values_only() -> None:
    initiator, _ = Steps(Pattern.IKPSK2).finish()
    assert all(not hasattr(value, "encrypt") for value in astuple(initiator.event))
