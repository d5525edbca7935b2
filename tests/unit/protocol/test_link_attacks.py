"""Links under attack, by the numbers of the attack list."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from msgspec.structs import replace

from protocol import primitives
from protocol.codec import encode
from protocol.errors import AuthenticationFailed, LocalMisuse, ProtocolError
from protocol.limits import MESSAGE_BYTES_MAX
from protocol.link.framing import LAST, MORE, PIECE_MAX, Pattern, padded_size, pieces
from protocol.link.link import Link
from protocol.link.states import Ending, LinkClosed, LinkOpen, MessagePassedOver, State
from protocol.messages import (
    Accept,
    Close,
    Commit,
    Confirm,
    ContactHello,
    Entry,
    Message,
    Ping,
    Pong,
    Receipt,
    Typing,
)
from protocol.primitives import mlkem_generate
from tests.support.protocol.links import (
    CONTACT_PSK,
    ENTRY,
    NAMES,
    PATTERNS,
    PSK,
    START,
    TYPING,
    End,
    FakePair,
    Pair,
    Party,
    choice,
    confirming,
    contacts,
    error,
    frames,
    open_pair,
    pair,
    payload,
    sealed_frames,
    state,
    with_counters,
)
from tests.support.protocol.samples import spoiled

# --- Reflection, replay, order ---


@pytest.mark.parametrize("side", [0, 1])
def test_attack_06_envelopes_come_back(side: int) -> None:
    both = open_pair()
    both.send(both.initiator, TYPING)
    both.send(both.responder, TYPING)
    end = both.ends[side]
    both.inject(end, *sealed_frames(end, ENTRY))
    assert end.closed() == error("unexpected")
    assert end.messages() == [TYPING]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_attack_07_a_whole_recording_is_played_again(pattern: Pattern) -> None:
    """No link, no event of an invitation used, nothing kept, nothing sent but what any stranger is sent."""
    alice, bob = contacts()
    recorded = Pair(alice.calls(bob, pattern), bob.answers()).run()
    again = End(Link(bob.answers(), START))
    greeting = again.link.data_to_send()
    for data in recorded.initiator.sent:
        again.tell(again.link.receive(data, START))
    assert [type(event) for event in again.events] == [LinkClosed]
    assert greeting != recorded.responder.sent[0][:28]


def test_attack_18_both_call_at_once() -> None:
    """Both links open, each names what it replaces, and either can end the other's; no message is lost."""
    alice, bob = contacts()
    first = Pair(alice.calls(bob), bob.answers()).run()
    living = first.initiator.opened().session_id
    there = Pair(alice.calls(bob, replaces=living), bob.answers())
    back = Pair(bob.calls(alice, replaces=living), alice.answers())
    for _ in range(4):
        for both in (there, back):
            both.step(2)
    ids = {both.responder.opened().session_id for both in (first, there, back)}
    assert len(ids) == 3
    assert there.responder.opened().replaces == back.responder.opened().replaces == living
    for both in (first, there, back):
        both.send(both.initiator, ENTRY)
        both.send(both.responder, ENTRY)
    first.initiator.tell(first.initiator.link.close(1))
    first.run()
    assert first.responder.closed() == LinkClosed(Ending.REPLACED, None, True)
    assert there.initiator.link.is_open
    assert back.initiator.link.is_open


@pytest.mark.parametrize("lost", range(5))
def test_attack_18_with_loss_at_every_step(lost: int) -> None:
    """One of two that begin at once is cut anywhere: the other opens all the same."""
    alice, bob = contacts()
    there = Pair(alice.calls(bob), bob.answers())
    back = Pair(bob.calls(alice), alice.answers())
    there.step(lost)
    there.cut()
    back.run()
    assert back.initiator.link.is_open
    assert back.responder.link.is_open


@pytest.mark.parametrize("pattern", [Pattern.XX, Pattern.IKPSK2])
@pytest.mark.parametrize("source", [0, 1])
def test_attack_19_every_byte_of_a_stream(source: int, pattern: Pattern) -> None:
    """A flip anywhere, lengths and greeting included: the responder never opens, nor do messages pass."""
    size = sum(map(len, open_pair(pattern).ends[source].sent))
    for position in range(size):
        both = pair(pattern)
        _run_with_a_flip(both, source, position)
        both.tick(5.0)
        both.tick(15.0)
        assert not any(isinstance(event, LinkOpen) for event in both.responder.events), position
        assert both.responder.closed() is not None
        assert both.responder.closed() != LinkClosed(Ending.DONE, None, True)


def _run_with_a_flip(both: Pair, source: int, position: int) -> None:
    done = 0
    for number in range(6):
        sender, receiver = both.ends[(number + 1) % 2], both.ends[number % 2]
        data = bytearray(sender.link.data_to_send())
        if sender is both.ends[source]:
            if done <= position < done + len(data):
                data[position - done] ^= 1 << (position % 8)
            done += len(data)
        both.deliver(receiver, bytes(data))


@pytest.mark.parametrize("aes", [True, False])
def test_attack_19_every_flip_of_an_envelope(aes: bool) -> None:
    both = open_pair(aes=aes)
    (envelope,) = sealed_frames(both.initiator, ENTRY)
    session = both.responder.link._phase._session  # type: ignore[attr-defined]
    for wrong in spoiled(envelope):
        with pytest.raises(ProtocolError):
            session.decrypt(wrong)
    both.inject(both.responder, envelope)
    assert both.responder.messages() == [ENTRY]


def test_attack_20_within_and_across_links() -> None:
    alice, bob = contacts()
    first, second = (Pair(alice.calls(bob), bob.answers()).run() for _ in range(2))
    (envelope,) = sealed_frames(first.initiator, ENTRY)
    first.inject(first.responder, envelope)
    first.inject(first.responder, envelope)
    assert first.responder.messages() == [ENTRY]
    assert first.responder.closed() == error("unexpected")
    second.inject(second.responder, envelope)
    assert second.responder.messages() == []
    assert second.responder.closed() is not None


def test_attack_20_confirm_of_another_link() -> None:
    alice, bob = contacts()
    first = Pair(alice.calls(bob), bob.answers()).run()
    confirm = frames(first.initiator.sent[-1])[-1]
    second = Pair(alice.calls(bob), bob.answers())
    second.step(2)
    second.inject(second.responder, confirm)
    assert second.responder.closed() == error("authentication")


def test_attack_21_reordered() -> None:
    both = open_pair()
    first, second = sealed_frames(both.initiator, ENTRY, TYPING)
    both.inject(both.responder, second, first)
    assert both.responder.messages() == []
    assert both.responder.closed() == error("unexpected")


def test_attack_22_duplicate() -> None:
    both = open_pair()
    (envelope,) = sealed_frames(both.initiator, ENTRY)
    both.inject(both.responder, envelope, envelope)
    assert both.responder.messages() == [ENTRY]
    assert both.responder.closed() == error("unexpected")


@pytest.mark.parametrize("n", [2, 1_000, 1_001, 2**31, 2**32 - 2])
def test_attack_23_a_gap_of_any_size(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before a single key of it is derived."""
    both = open_pair()
    (envelope,) = sealed_frames(both.initiator, ENTRY)
    monkeypatch.setattr("protocol.ratchet.RatchetSession._message_keys", None)
    both.inject(both.responder, with_counters(envelope, 0, n))
    assert both.responder.closed() == error("unexpected")


# --- What is seen on the wire ---


def test_attack_29_sizes() -> None:
    both = open_pair()
    seen = set()
    for size in range(200):
        (frame,) = sealed_frames(both.initiator, Entry(b"", b"", bytes(size)))
        seen.add(len(frame))
    assert seen == {40 + 256 + 32}
    for size in range(200, 4_000, 7):
        message = Entry(b"", b"", bytes(size))
        (frame,) = sealed_frames(both.initiator, message)
        assert len(frame) == 40 + padded_size(1 + len(encode(message))) + 32


def test_attack_29_pieces_are_full() -> None:
    both = open_pair()
    sizes = {len(frame) for frame in sealed_frames(both.initiator, Entry(b"h", b"s", bytes(131_000)))[:-1]}
    assert sizes == {40 + 61_440 + 32}


def test_attack_29_the_links_own_messages_look_alike() -> None:
    both = open_pair()
    both.initiator.link.ping(START)
    both.initiator.link.send(TYPING, START)
    both.initiator.link.close(0)
    assert {len(frame) for frame in frames(both.initiator.link.data_to_send())} == {328}
    assert len(frames(both.initiator.sent[-1])[-1]) == 328, "Confirm too"


def test_attack_35_nothing_is_compressed() -> None:
    both = open_pair()
    plain = sealed_frames(both.initiator, Entry(b"h", b"s", bytes(50_000)))
    noise = sealed_frames(both.initiator, Entry(b"h", b"s", primitives.system_random(50_000)))
    assert [len(frame) for frame in plain] == [len(frame) for frame in noise]


def _offences(both: Pair) -> dict[str, bytes]:
    """A frame for each class of error that a link itself can find."""
    envelope = both.initiator.seal(b"\x07")
    return {
        "malformed": envelope,
        "unexpected": with_counters(envelope, 0, 5),
        "authentication": envelope[:-1] + bytes((envelope[-1] ^ 1,)),
        "limit": with_counters(envelope, 0, 2**32 - 1),
    }


@pytest.mark.parametrize("name", ["malformed", "unexpected", "authentication", "limit"])
def test_attack_30_the_peer_sees_one_error(name: str) -> None:
    """Whatever the class: not one byte, no further reading, the same end; only we know which it was."""
    both = open_pair()
    offence, later = _offences(both)[name], sealed_frames(both.initiator, ENTRY)
    both.inject(both.responder, offence, *later)
    assert both.responder.messages() == []
    assert both.responder.closed() == error(name)
    assert both.responder.link.data_to_send() == b""
    assert both.responder.link.next_timer() is None
    assert both.responder.link.state is State.CLOSED


# --- Plaintext, sizes, shapes ---


@pytest.mark.parametrize("message", [ENTRY, TYPING, Close(0), Ping(1)])
def test_attack_34_plaintext_in_an_open_link(message: Entry | Typing | Close | Ping) -> None:
    for body in (encode(message), LAST + encode(message), bytes(40) + encode(message)):
        both = open_pair()
        both.inject(both.responder, body)
        assert both.responder.events[-1].__class__ is LinkClosed
        assert both.responder.messages() == []
        assert both.responder.closed() != LinkClosed(Ending.DONE, None, True)


def test_attack_34_link_encryption_alone() -> None:
    """What Noise's own transport keys seal is no envelope: the handshake's cipher states are not used."""
    alice, bob = contacts(aes=False)
    responder = End(Link(bob.answers(), START))
    greeting = responder.link.data_to_send()
    call = alice.calls(bob)
    frame, answer = call.begin(greeting)
    responder.receive(frame)
    (reply,) = frames(responder.link.data_to_send())
    noise = answer.state.fork(psks=[PSK])  # type: ignore[attr-defined]
    noise.read_message(reply)
    sealed = noise.finish().send.encrypt_with_ad(b"", LAST + encode(Confirm(b"", [])))
    responder.receive(sealed)
    assert responder.events == [error("malformed")]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_attack_34_plaintext_before_confirm(pattern: Pattern) -> None:
    both = pair(pattern)
    both.step(3)
    stream = both.initiator.link.data_to_send()
    if pattern is not Pattern.IKPSK2:
        both.inject(both.responder, frames(stream)[0])
    assert both.responder.link.state is State.CONFIRMING
    both.inject(both.responder, LAST + encode(Confirm(b"", [])))
    assert not any(isinstance(event, LinkOpen) for event in both.responder.events)
    assert both.responder.closed() == error("malformed")


@pytest.mark.parametrize("size", [4_097, 65_535])
@pytest.mark.parametrize("steps", range(4))
@pytest.mark.parametrize("pattern", PATTERNS)
def test_attack_36_a_large_frame_before_confirm(pattern: Pattern, steps: int, size: int) -> None:
    """Refused at its length, before any of it is kept."""
    both = pair(pattern)
    both.step(steps)
    end = both.responder if steps % 2 == 0 else both.initiator
    if end.link.is_open or (end is both.initiator and end.link.state is State.GREETING):
        return
    both.deliver(end, size.to_bytes(2, "big"))
    assert end.closed() == error("limit")


def test_attack_36_a_message_larger_than_any() -> None:
    both = open_pair()
    count = MESSAGE_BYTES_MAX // PIECE_MAX
    both.inject(both.responder, *(both.initiator.seal(MORE + bytes(PIECE_MAX)) for _ in range(count)))
    assert both.responder.closed() is None
    both.inject(both.responder, both.initiator.seal(MORE + bytes(PIECE_MAX)))
    assert both.responder.closed() == error("limit")
    with pytest.raises(LocalMisuse):
        both.initiator.link.send(Entry(b"", b"", bytes(MESSAGE_BYTES_MAX)), START)


def _raw(tag: int, *fields: object) -> bytes:
    return msgspec.msgpack.encode([tag, *fields])


SHAPES = {
    "name too long": _raw(16, bytes(32), "n" * 65),
    "too deep": b"\x92\x02" + b"\x91" * 5_000 + b"\x01",
    "an array of 4 billion": b"\x93\x33\x01\xdd\xff\xff\xff\xff",
    "4 billion bytes": b"\x94\x32\xc6\xff\xff\xff\xff",
    "trailing byte": _raw(2, 1) + b"\x00",
    "Confirm": encode(Confirm(b"", [])),
    "Pong for nothing": encode(Pong(1)),
}
"""codec.json has all others."""


@pytest.mark.parametrize("shape", SHAPES)
def test_attack_36_and_78_shapes(shape: str) -> None:
    """A typed error and the end of the link, never another exception; no peer's text and no key in it."""
    both = open_pair()
    for content in pieces(SHAPES[shape]):
        both.inject(both.responder, both.initiator.seal(content))
    expected = "unexpected" if shape in ("Confirm", "Pong for nothing") else "malformed"
    assert both.responder.closed() == error(expected)
    assert both.responder.messages() == []
    ending = repr(both.responder.closed())
    assert "nnn" not in ending
    assert both.initiator.opened().session_id.hex() not in ending + repr(both.responder.link)


FIRST = [TYPING, Ping(1), Close(0), Accept(bytes(32)), Commit(bytes(32), "n"), Receipt(1, [bytes(32)])]


@pytest.mark.parametrize("message", FIRST)
def test_attack_34_any_message_but_confirm_first(message: Message) -> None:
    responder, session = confirming()
    for content in pieces(encode(message)):
        responder.receive(session.encrypt(content))
    assert responder.events == [error("unexpected")]


# --- Later versions ---

LATER = [6, 15, 26, 53, 128, 143, 255, 65_535]
"""Numbers of messages that this version does not know."""


@pytest.mark.parametrize("number", LATER)
@pytest.mark.parametrize("side", [0, 1], ids=["to the initiator", "to the responder"])
def test_case_97_a_message_of_a_later_version_is_passed_over(number: int, side: int) -> None:
    both = open_pair()
    target, source = both.ends[side], both.ends[1 - side]
    both.send(both.initiator, TYPING)
    both.send(both.responder, TYPING)
    before = len(target.messages())
    for content in (
        LAST + _raw(number),
        LAST + _raw(number, bytes(32), True),
        LAST + _raw(number) + b"\xc0",
    ):
        both.inject(target, source.seal(content))
    assert target.events[-3:] == [MessagePassedOver(number)] * 3
    assert target.link.data_to_send() == b"", "it is not answered"
    both.inject(target, source.seal(LAST + encode(TYPING)))
    assert len(target.messages()) == before + 1
    assert target.closed() is None


def test_case_97_the_largest_message_of_a_later_version_is_passed_over_and_no_larger_one() -> None:
    both = open_pair()
    head = _raw(53)
    for content in pieces(head + bytes(MESSAGE_BYTES_MAX - len(head))):
        both.inject(both.responder, both.initiator.seal(content))
    assert both.responder.events[-1] == MessagePassedOver(53)
    for content in (*[MORE + bytes(PIECE_MAX)] * 4, MORE + bytes(PIECE_MAX)):
        both.inject(both.responder, both.initiator.seal(content))
    assert both.responder.closed() == error("limit")


@pytest.mark.parametrize("pattern", [Pattern.XX, Pattern.XXPSK0])
@pytest.mark.parametrize("number", LATER)
def test_case_97_nothing_is_passed_over_in_a_pairing(pattern: Pattern, number: int) -> None:
    both = open_pair(pattern)
    both.inject(both.responder, both.initiator.seal(LAST + _raw(number)))
    assert both.responder.closed() == error("malformed")


@pytest.mark.parametrize("number", LATER)
def test_case_97_nothing_is_passed_over_before_a_link_is_open(number: int) -> None:
    responder, session = confirming()
    responder.receive(session.encrypt(LAST + _raw(number)))
    assert responder.events == [error("malformed")]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_case_97_each_end_knows_the_features_of_the_other_one(pattern: Pattern) -> None:
    alice, bob = contacts()
    alice.features, bob.features = {9, 1, 65_535}, {4}
    both = Pair(alice.calls(bob, pattern), bob.answers()).run()
    assert both.responder.link.peer_features == (1, 9, 65_535)
    assert both.initiator.link.peer_features == (4,)
    both.send(both.initiator, ENTRY)
    assert both.responder.messages() == ([ENTRY] if pattern is Pattern.IKPSK2 else both.responder.messages())
    both.cut()
    assert [end.link.peer_features for end in both.ends] == [(), ()]


@pytest.mark.parametrize("features", [range(33), [65_536], [-1]], ids=["too many", "too high", "negative"])
def test_features_that_no_end_may_name(features: Sequence[int]) -> None:
    alice, bob = contacts()
    alice.features = bob.features = set(features)
    with pytest.raises(LocalMisuse):
        alice.calls(bob)
    with pytest.raises(LocalMisuse):
        bob.answers()


# --- Between lookup and sealing; strangers ---


def test_attack_39_the_contact_changes_during_the_handshake() -> None:
    """Keys are looked up once and belong to the link: whatever replaces them later, it reads nothing."""
    alice, bob = contacts()
    mallory = Party("mallory")
    both = Pair(alice.calls(bob), bob.answers())
    both.step(2)
    bob.policy.contacts[alice.static.public] = (alice.person, replace(CONTACT_PSK, psk=b"?" * 32))
    bob.policy.contacts[mallory.static.public] = (alice.person, replace(CONTACT_PSK, psk=b"?" * 32))
    both.run()
    opened = both.responder.opened()
    assert opened.peer_static == alice.static.public
    assert opened.contact_psk == CONTACT_PSK
    assert len(bob.policy.asked) == 1


def test_attack_39_a_closed_link_seals_nothing() -> None:
    both = open_pair()
    both.responder.link.end_of_stream()
    with pytest.raises(LocalMisuse):
        both.responder.link.send(ENTRY, START)
    assert both.responder.link.data_to_send() == b""


@pytest.mark.parametrize("known", [True, False])
def test_attack_64_no_sign_of_life_before_confirm(known: bool) -> None:
    """A stranger, somebody blocked and a contact get as many bytes, and then silence, timers included."""
    alice, bob = contacts()
    if not known:
        bob.policy.contacts.clear()
    both = Pair(alice.calls(bob), bob.answers())
    both.step(2)
    reply = both.responder.link.data_to_send()
    assert len(reply) == 2 + 32 + padded_size(3 + 3 + 1_088 + 2 * 34) + 16
    for _ in range(3):
        both.now += 2.0
        both.responder.tell(both.responder.link.handle_timer(both.now))
        assert both.responder.link.data_to_send() == b""
    assert both.responder.events == [LinkClosed(Ending.DEADLINE, None, False)]


def test_attack_64_a_stranger_never_opens() -> None:
    """Answered under a key that nobody has: neither end gets anywhere."""
    alice, bob = contacts()
    bob.policy.contacts.clear()
    both = Pair(alice.calls(bob), bob.answers()).run()
    assert both.initiator.events == [error("authentication")]
    both.cut()
    assert both.responder.events == [LinkClosed(Ending.CUT, None, False)]


def test_attack_08_a_forged_message_1_opens_nothing() -> None:
    """KCI: the responder's static key and the psk forge message 1 of anybody, and no more."""
    alice, bob = contacts(aes=False)
    responder = End(Link(bob.answers(), START))
    greeting = responder.link.data_to_send()
    forged = FakePair(alice.static.public, {bob.static.public: bob.static.dh(alice.static.public)})
    call = state(Pattern.IKPSK2, True, forged, greeting=greeting, rs=bob.static.public)
    hello = ContactHello(alice.person, NAMES, mlkem_generate()[1], bytes(32))
    responder.receive(choice(Pattern.IKPSK2) + call.write_message(payload(hello)))
    assert responder.link.state is State.CONFIRMING, "which message 1 cannot prevent"
    (reply,) = frames(responder.link.data_to_send())
    with pytest.raises(AuthenticationFailed):
        call.fork(psks=[PSK]).read_message(reply)
    responder.receive(bytes(328))
    assert responder.events == [error("authentication")]
