"""Greeting, choice and handshake, step by step, and what both sides agree on."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest

from protocol.codec import encode
from protocol.errors import AuthenticationFailed, LocalMisuse, Malformed, ProtocolError
from protocol.keys import X25519Pair
from protocol.link.agreement import Established, agree
from protocol.link.framing import (
    GREETING_SIZE,
    MAGIC,
    REFUSAL,
    Choice,
    Greeting,
    NoMagic,
    OtherVersion,
    Pattern,
    Refused,
    check_magic,
    check_refusal,
)
from protocol.link.handshake import Finish, Initiator
from protocol.link.states import ContactPsk, Role
from protocol.messages import ContactHello, ShareNumbers
from protocol.primitives import AEGIS256, CHACHA20POLY1305, b2b, mlkem_generate
from protocol.ratchet import RatchetSession, parlour_parameters
from tests.support.protocol.links import (
    GREETING,
    INVITATION,
    NUMBERS,
    PAIRING,
    PATTERNS,
    PSK,
    Party,
    Steps,
    choice,
    contacts,
    hello_call,
    state,
)

# --- Greeting, choice, refusal ---


def test_greeting_to_the_byte() -> None:
    assert Greeting.new(bytes(range(16)), aes=True).encode() == MAGIC + b"\x01\x01\x03\x00" + bytes(range(16))
    assert Greeting.new(bytes(16), aes=False).encode()[8:12] == b"\x01\x01\x02\x00"
    assert len(GREETING) == GREETING_SIZE


def test_choice_and_refusal_to_the_byte() -> None:
    assert Choice(Pattern.IKPSK2, AEGIS256).encode() == b"\x01\x03\x01"
    assert Choice(Pattern.XX, CHACHA20POLY1305).encode() == b"\x01\x01\x02"
    assert REFUSAL == b"\x00\x01\x01"


@pytest.mark.parametrize("size", range(1, 9))
def test_what_is_not_parlour_shows_at_once(size: int) -> None:
    check_magic(MAGIC[:size])
    with pytest.raises(NoMagic):
        check_magic(MAGIC[: size - 1] + b"\xff")
    with pytest.raises(NoMagic):
        check_magic(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize(("ours", "theirs"), [(True, True), (True, False), (False, True), (False, False)])
def test_aegis_only_where_both_have_aes(ours: bool, theirs: bool) -> None:
    greeting = Greeting.decode(Greeting.new(bytes(16), aes=theirs).encode())
    assert greeting.best_aead(ours) is (AEGIS256 if ours and theirs else CHACHA20POLY1305)


@pytest.mark.parametrize(("minimum", "maximum"), [(2, 2), (2, 255), (3, 9)])
def test_another_version_is_named(minimum: int, maximum: int) -> None:
    with pytest.raises(OtherVersion) as caught:
        Greeting.decode(MAGIC + bytes((minimum, maximum, 0xFF, 0xFF)) + bytes(16))
    assert (caught.value.minimum, caught.value.maximum) == (minimum, maximum)


@pytest.mark.parametrize("fields", [(0, 1, 3, 0), (0, 0, 3, 0), (2, 1, 3, 0), (1, 1, 3, 1), (1, 1, 1, 0)])
def test_senseless_greetings(fields: tuple[int, int, int, int]) -> None:
    with pytest.raises(Malformed):
        Greeting.decode(MAGIC + bytes(fields) + bytes(16))


def test_a_later_version_may_offer_more() -> None:
    assert Greeting.decode(MAGIC + bytes((1, 9, 0xFE, 0)) + bytes(16)).best_aead(True) is CHACHA20POLY1305


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b"", Malformed),
        (b"\x01\x01", Malformed),
        (b"\x00\x01\x01", Malformed),
        (b"\x02\x01\x01", OtherVersion),
        (b"\x01\x00\x01", Refused),
        (b"\x01\x04\x01", Refused),
        (b"\x01\x01\x00", Refused),
        (b"\x01\x01\x03", Refused),
        (b"\x01\x01\x01", Refused),  # AEGIS-256, which this greeting does not offer
    ],
)
def test_choices_out_of_range(frame: bytes, error: type[ProtocolError]) -> None:
    with pytest.raises(error):
        Choice.decode(frame, Greeting.new(bytes(16), aes=False))


def test_refusals() -> None:
    check_refusal(b"\x01\x02\x03")
    check_refusal(bytes(96))
    with pytest.raises(Refused):
        check_refusal(REFUSAL)
    with pytest.raises(OtherVersion):
        check_refusal(b"\x00\x02\x04")
    with pytest.raises(Malformed):
        check_refusal(b"\x00\x04\x02")


# --- What both sides agree on ---


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


def test_the_root_to_the_byte() -> None:
    """S, session id and session root as SPEC §8 has them, computed here a second time."""
    steps = Steps(Pattern.XX)
    initiator, responder = steps.finish()
    facts = initiator.event.pairing
    assert facts is not None
    kem_secret, shares, h = bytes(range(32)), (b"i" * 32, b"r" * 32), b"h" * 64
    kem = (facts.kem_key, facts.kem_ciphertext, kem_secret)
    secret = agree(h, shares, kem, facts.ratchet_key).secret.reveal()
    assert secret == b2b(b"i" * 32 + b"r" * 32 + h, personal=b"parlour.linkroot", key=kem_secret)
    own = facts.secret.reveal()
    session_id = b2b(facts.handshake_hash, personal=b"parlour.sess.id", key=own, size=16)
    assert initiator.event.session_id == session_id
    statics = responder.event.peer_static + initiator.event.peer_static
    root = b2b(statics + session_id, personal=b"parlour.sessroot", key=own)
    assert isinstance(steps.following, Finish)
    bob = RatchetSession.init_bob(root, steps.following.ratchet, parameters=parlour_parameters(AEGIS256))
    assert bob.decrypt(initiator.session.encrypt(b"there")) == b"there"


def test_every_part_reaches_the_secret() -> None:
    base: list[Any] = [bytes(64), (bytes(32), bytes(32)), (b"", b"", bytes(32)), b""]
    changes: list[tuple[int, Any]] = [
        (0, bytes(63) + b"\x01"),
        (1, (bytes(31) + b"\x01", bytes(32))),
        (1, (bytes(32), bytes(31) + b"\x01")),
        (2, (b"", b"", bytes(31) + b"\x01")),
    ]
    parts = [base] + [[*base[:index], value, *base[index + 1 :]] for index, value in changes]
    secrets = {agree(h, shares, kem, key).secret.reveal() for h, shares, kem, key in parts}
    assert len(secrets) == 1 + len(changes)


def test_facts_do_not_show_secrets() -> None:
    initiator, _ = Steps(Pattern.XX).finish()
    facts = initiator.event.pairing
    assert facts is not None
    shown = f"{initiator.event!r} {facts!r} {ContactPsk(PSK, 1, 1)!r}"
    for secret in (facts.secret.reveal(), facts.share_initiator, facts.share_responder, PSK):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


# --- Contacts: psks, numbers, the kept DH ---


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


def test_the_static_dh_is_kept_after_confirmation_only() -> None:
    steps = Steps(Pattern.IKPSK2)
    initiator, responder = steps.finish()
    assert not steps.bob.static_dh
    shared = steps.alice.static.dh(steps.bob.static.public)
    initiator.confirmed(b"")
    responder.confirmed(b"")
    assert steps.alice.static_dh == {steps.bob.static.public: shared}
    assert steps.bob.static_dh == {steps.alice.static.public: shared}


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


@pytest.mark.parametrize(
    "numbers", [ShareNumbers([0], [1]), ShareNumbers([1, 2], [1]), ShareNumbers([1], [2, 2])]
)
def test_numbers_are_newest_first(numbers: ShareNumbers) -> None:
    alice, bob = contacts()
    message = hello_call(
        alice, bob, encode(ContactHello(alice.person, numbers, mlkem_generate()[1], bytes(32)))
    )
    with pytest.raises(Malformed):
        bob.answers().answer(GREETING, message)
    assert not bob.policy.asked


def test_payloads_have_one_form() -> None:
    alice, bob = contacts()
    hello = encode(ContactHello(alice.person, NUMBERS, mlkem_generate()[1], bytes(32)))
    bob.answers().answer(GREETING, hello_call(alice, bob, hello))
    for content in (
        hello + b"\x00",
        hello[:-1],
        b"",
        b"\x90",
        hello.replace(b"\x91\x01", b"\x91\xcc\x01", 1),
    ):
        with pytest.raises(Malformed):
            bob.answers().answer(GREETING, hello_call(alice, bob, content))


def test_message_1_of_xx_carries_nothing() -> None:
    call = choice(Pattern.XX) + state(Pattern.XX, True, X25519Pair.generate()).write_message(b"x")
    with pytest.raises(Malformed):
        Party("bob").answers().answer(GREETING, call)


# --- Strangers ---


@pytest.mark.parametrize("pattern", PAIRING)
def test_closed_pairing_is_refused_like_an_unknown_pattern(pattern: Pattern) -> None:
    alice, bob = contacts()
    bob.policy.nearby, bob.policy.invitations = False, ()
    responder = bob.answers()
    greeting = responder.greet()
    call, _ = alice.calls(bob, pattern).begin(greeting)
    with pytest.raises(Refused):
        responder.answer(greeting, call)


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
