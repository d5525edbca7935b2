"""Greeting, choice and handshake, step by step, and what both sides agree on."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from protocol.errors import AuthenticationFailed, LocalMisuse, Malformed
from protocol.keys import X25519Pair
from protocol.link.agreement import Established
from protocol.link.framing import MAGIC, Greeting, Pattern, Refused
from protocol.link.handshake import Finish, Initiator
from protocol.link.states import ContactPsk, Role
from protocol.messages import ShareNumbers
from protocol.primitives import AEGIS256, CHACHA20POLY1305
from tests.support.protocol.links import INVITATION, PAIRING, PATTERNS, PSK, Party, Steps, contacts

# --- Greeting, choice, refusal ---


@pytest.mark.parametrize(("ours", "theirs"), [(True, True), (True, False), (False, True), (False, False)])
def test_aegis_only_where_both_have_aes(ours: bool, theirs: bool) -> None:
    greeting = Greeting.decode(Greeting.new(bytes(16), aes=theirs).encode())
    assert greeting.best_aead(ours) is (AEGIS256 if ours and theirs else CHACHA20POLY1305)


def test_a_later_version_may_offer_more() -> None:
    assert Greeting.decode(MAGIC + bytes((1, 9, 0xFE, 0)) + bytes(16)).best_aead(True) is CHACHA20POLY1305


@pytest.mark.parametrize("aes", [True, False])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_both_sides_agree(pattern: Pattern, aes: bool) -> None:
    steps = Steps(pattern, aes=aes)
    initiator, responder = steps.finish()
    ours, theirs = initiator.event, responder.event
    assert ours.session_id == theirs.session_id
    assert len(ours.session_id) == 16
    assert ours.pairing == theirs.pairing
    assert (ours.role, theirs.role) == (Role.INITIATOR, Role.RESPONDER)
    assert responder.session.decrypt(initiator.session.encrypt(b"there")) == b"there"
    assert initiator.session.decrypt(responder.session.encrypt(b"back")) == b"back"


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
    assert len(seen) == 4


def test_a_joiner_may_keep_its_one_time_key() -> None:
    static = X25519Pair.generate()
    bob = Party("bob")
    for _ in range(2):
        responder = bob.answers()
        greeting = responder.greet()
        call, answer = Initiator.pairing(Pattern.XXPSK0, PSK, static=static).begin(greeting)
        reply, finish = responder.answer(greeting, call)
        assert isinstance(finish, Finish)
        event = finish.read(answer.read(reply)[0]).event
        assert event.peer_static == static.public
        assert event.invitation == INVITATION


def test_facts_do_not_show_secrets() -> None:
    initiator, _ = Steps(Pattern.XX).finish()
    facts = initiator.event.pairing
    assert facts is not None
    shown = f"{initiator.event!r} {facts!r} {ContactPsk(PSK, 1, 1)!r}"
    for secret in (facts.secret.reveal(), facts.share_initiator, facts.share_responder, PSK):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


def test_the_newest_shares_that_both_hold() -> None:
    """The responder holds an older share of its own than the initiator knows of another pair."""
    candidates = [
        ContactPsk(bytes([own * 16 + theirs]) * 32, own, theirs) for own in (3, 2) for theirs in (5, 4)
    ]
    for agreed in candidates:
        alice, bob = contacts()
        bob.knows(alice, agreed.psk, own=agreed.theirs, theirs=agreed.own)
        responder = bob.answers()
        greeting = responder.greet()
        call, answer = alice.calls(bob, candidates=candidates).begin(greeting)
        reply, established = responder.answer(greeting, call)
        assert bob.policy.asked[0].numbers == ShareNumbers([3, 2], [5, 4])
        assert answer.read(reply)[1].event.contact_psk == agreed
        assert isinstance(established, Established)
        assert established.event.contact_psk == ContactPsk(agreed.psk, agreed.theirs, agreed.own)


def test_no_psk_in_common() -> None:
    steps = Steps(Pattern.IKPSK2, candidates=[ContactPsk(bytes([n]) * 32, n, 1) for n in (9, 8, 7)])
    with pytest.raises(AuthenticationFailed):
        steps.answer.read(steps.reply)


@pytest.mark.parametrize(
    "candidates",
    [
        [],
        [ContactPsk(PSK, n, 1) for n in range(5, 0, -1)],
        [ContactPsk(PSK, 1, n) for n in range(5, 0, -1)],
        [ContactPsk(PSK, 1, 1)] * 17,
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
    for pattern, psk in ((Pattern.XX, PSK), (Pattern.XXPSK0, None), (Pattern.IKPSK2, PSK)):
        with pytest.raises(LocalMisuse):
            Initiator.pairing(pattern, psk)


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


def test_what_a_link_may_replace() -> None:
    contact, pairing = Steps(Pattern.IKPSK2).finish()[1], Steps(Pattern.XX).finish()[1]
    assert contact.confirmed(bytes(16)).replaces == bytes(16)
    assert contact.confirmed(b"").replaces == b""
    assert pairing.confirmed(b"").replaces == b""
    for established, replaces in ((contact, bytes(15)), (contact, b"x"), (pairing, bytes(16))):
        with pytest.raises(Malformed):
            established.confirmed(replaces)


def test_an_invitation_of_several_opens() -> None:
    bob = Party("bob")
    psks = [(bytes([n]) * 32, bytes([n + 100]) * 32) for n in range(5)]
    bob.policy.invitations = psks
    for invitation, psk in psks:
        responder = bob.answers()
        greeting = responder.greet()
        call, _ = Initiator.pairing(Pattern.XXPSK0, psk).begin(greeting)
        if invitation == psks[4][0]:
            with pytest.raises(Refused):
                responder.answer(greeting, call)
        else:
            finish = responder.answer(greeting, call)[1]
            assert isinstance(finish, Finish)
            assert finish.invitation == invitation


def test_attack_64_a_stranger_is_answered_like_a_contact() -> None:
    replies = []
    for known in (True, False):
        steps_alice, bob = contacts()
        if not known:
            bob.policy.contacts.clear()
        responder = bob.answers()
        greeting = responder.greet()
        call, answer = steps_alice.calls(bob).begin(greeting)
        reply, following = responder.answer(greeting, call)
        replies.append((type(following), len(reply)))
        if not known:
            assert isinstance(following, Established)
            assert following.event.person is None
            with pytest.raises(AuthenticationFailed):
                answer.read(reply)
    assert replies[0] == replies[1]


def test_events_hold_values_only() -> None:
    initiator, _ = Steps(Pattern.IKPSK2).finish()
    assert all(not hasattr(value, "encrypt") for value in astuple(initiator.event))
