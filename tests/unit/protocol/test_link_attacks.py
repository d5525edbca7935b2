"""Links under attack, by the numbers of the attack list: reflection, replay, flips, order, gaps."""

from __future__ import annotations

import pytest

from protocol.errors import ProtocolError
from protocol.link.framing import LAST, Pattern
from protocol.link.link import Link
from protocol.link.states import Ending, LinkClosed, LinkOpen
from tests.support.protocol.links import (
    ENTRY,
    START,
    TYPING,
    End,
    Pair,
    contacts,
    error,
    frames,
    open_pair,
    pair,
    sealed_frames,
    with_counters,
)

PATTERNS = list(Pattern)


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
    bob.static_dh.clear()
    again = End(Link(bob.answers(), START))
    greeting = again.link.data_to_send()
    for data in recorded.initiator.sent:
        again.tell(again.link.receive(data, START))
    assert [type(event) for event in again.events] == [LinkClosed]
    assert not bob.static_dh
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
            both.carry(both.responder, both.initiator)
            both.carry(both.initiator, both.responder)
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
    for number in range(lost):
        there.carry(there.ends[(number + 1) % 2], there.ends[number % 2])
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
    for position in range(len(envelope) * 8):
        spoiled = bytearray(envelope)
        spoiled[position // 8] ^= 1 << (position % 8)
        with pytest.raises(ProtocolError):
            session.decrypt(bytes(spoiled))
    for size in range(len(envelope)):
        with pytest.raises(ProtocolError):
            session.decrypt(envelope[:size])
    both.inject(both.responder, envelope)
    assert both.responder.messages() == [ENTRY]


@pytest.mark.parametrize("spoil", ["flip", "cut", "longer", "empty"])
def test_attack_19_a_spoiled_envelope_ends_the_link(spoil: str) -> None:
    both = open_pair()
    first, second = sealed_frames(both.initiator, ENTRY, ENTRY)
    spoiled = {
        "flip": first[:-1] + bytes((first[-1] ^ 1,)),
        "cut": first[:-1],
        "longer": first + b"\x00",
        "empty": b"\x00",
    }[spoil]
    both.inject(both.responder, spoiled, first, second)
    assert both.responder.messages() == []
    assert both.responder.closed() is not None
    assert both.responder.link.data_to_send() == b""


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
    second.carry(second.responder, second.initiator)
    second.carry(second.initiator, second.responder)
    second.inject(second.responder, confirm)
    assert second.responder.closed() == error("authentication")


def test_attack_21_reordered() -> None:
    both = open_pair()
    first, second = sealed_frames(both.initiator, ENTRY, TYPING)
    both.inject(both.responder, second, first)
    assert both.responder.messages() == []
    assert both.responder.closed() == error("unexpected")


def test_attack_21_across_a_ratchet_step() -> None:
    both = open_pair()
    old = sealed_frames(both.initiator, ENTRY)
    both.responder.link.send(TYPING, START)
    both.carry(both.responder, both.initiator)
    new = sealed_frames(both.initiator, ENTRY)
    both.inject(both.responder, *new, *old)
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
    monkeypatch.setattr("protocol.ratchet.RatchetSession._skip_message_keys", None)
    both.inject(both.responder, with_counters(envelope, 0, n))
    assert both.responder.closed() == error("unexpected")


@pytest.mark.parametrize(("pn", "n"), [(0, 2**32 - 1), (2**32 - 1, 1), (2**32 - 1, 2**32 - 1)])
def test_attack_26_the_last_counter(pn: int, n: int) -> None:
    both = open_pair()
    (envelope,) = sealed_frames(both.initiator, ENTRY)
    both.inject(both.responder, with_counters(envelope, pn, n))
    assert both.responder.closed() == error("limit")


@pytest.mark.parametrize("number", [b"\xff", b"\xcc\x01", b"\xcf" + b"\xff" * 8, b"\xcb" + bytes(8)])
def test_attack_26_numbers_in_messages(number: bytes) -> None:
    """Negative, not the shortest form, too large, not whole: the number of a Ping."""
    both = open_pair()
    both.inject(both.responder, both.initiator.seal(LAST + b"\x92\x02" + number))
    assert both.responder.closed() == error("malformed")
