"""Links: how they open, carry messages and end, whole or byte by byte, on both sides."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import product
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import LocalMisuse, Unexpected
from protocol.limits import HANDSHAKE_FRAME_MAX, HELD_BYTES_MAX, MESSAGE_BYTES_MAX
from protocol.link.framing import MORE, PIECE_MAX, REFUSAL, Pattern, length_of
from protocol.link.link import Link
from protocol.link.states import (
    CLOSE_REASONS,
    FOLLOWS,
    MESSAGES,
    Ending,
    Event,
    HandshakeAuthenticated,
    InvitationKeys,
    LinkClosed,
    LinkOpen,
    MessageReceived,
    NotParlour,
    Role,
    State,
    check_follows,
    check_message,
)
from protocol.messages import Close, Confirm, Entry, Features, Message, Ping, Pong
from tests.support.protocol.links import (
    ENTRY,
    GREETING,
    INVITATION,
    ONE_TIME,
    PATTERNS,
    START,
    TYPING,
    End,
    Pair,
    check_end,
    contacts,
    frames,
    open_pair,
    pair,
)

LARGE = Entry(b"h" * 2_048, b"s" * 16, bytes(index % 256 for index in range(131_072)))


# --- Opening ---


@pytest.mark.parametrize("portion", [0, 1, 7])
@pytest.mark.parametrize("aes", [True, False])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_both_ends_open(pattern: Pattern, aes: bool, portion: int) -> None:
    both = open_pair(pattern, aes=aes, portion=portion)
    ours, theirs = both.initiator.opened(), both.responder.opened()
    assert (ours.role, theirs.role) == (Role.INITIATOR, Role.RESPONDER)
    assert ours.session_id == theirs.session_id
    assert ours.pairing == theirs.pairing
    assert (ours.pairing is None) == (pattern is Pattern.IKPSK2)
    held = [event for event in both.responder.events if isinstance(event, HandshakeAuthenticated)]
    expected = [HandshakeAuthenticated(theirs.peer_static, INVITATION)] if pattern is Pattern.XXPSK0 else []
    assert held == expected
    assert theirs.invitation == (INVITATION if pattern is Pattern.XXPSK0 else None)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_responder_waits_for_confirm(pattern: Pattern) -> None:
    both = pair(pattern)
    both.step(3)
    assert both.initiator.link.is_open, "the initiator may send at once"
    stream = both.initiator.link.data_to_send()
    for size in range(0, len(stream) - 1, 13):
        assert not [event for event in both.responder.events if isinstance(event, LinkOpen)]
        both.deliver(both.responder, stream[size : min(size + 13, len(stream) - 1)])
    assert both.responder.link.state is State.CONFIRMING
    assert both.responder.link.data_to_send() == b""
    both.deliver(both.responder, stream[-1:])
    assert both.responder.link.is_open


def test_messages_right_behind_confirm() -> None:
    """A small frame limit holds until Confirm opened, and not one frame longer, even within one read."""
    both = pair()
    both.step(3)
    for message in (LARGE, ENTRY, TYPING):
        both.initiator.link.send(message, both.now)
    both.carry(both.initiator, both.responder)
    assert both.responder.messages() == [LARGE, ENTRY, TYPING]


# --- Messages ---


@pytest.mark.parametrize("message", [Confirm(b"", []), Ping(1), Pong(1), Close(0), Features([1])])
def test_the_links_own_messages_are_not_sent_from_outside(message: Message) -> None:
    with pytest.raises(LocalMisuse):
        open_pair().initiator.link.send(message, START)


def test_calls_before_and_after_open() -> None:
    both = pair()
    for end in both.ends:
        with pytest.raises(LocalMisuse):
            end.link.send(TYPING, START)
        with pytest.raises(LocalMisuse):
            end.link.ping(START)
        with pytest.raises(LocalMisuse):
            end.link.resume(START)
    both.run()
    with pytest.raises(LocalMisuse):
        both.responder.link.close(5)
    for end in both.ends:
        end.link.close(0)
        with pytest.raises(LocalMisuse):
            end.link.send(TYPING, START)
        assert end.link.resume(START) == []


# --- The table ---


def test_every_step_that_the_table_lacks_is_refused() -> None:
    for role, state, following in product(Role, State, State):
        if following in FOLLOWS.get((role, state), ()):
            check_follows(role, state, following)
        else:
            with pytest.raises(LocalMisuse):
                check_follows(role, state, following)


def test_every_state_can_end_and_none_begins_again() -> None:
    for following in FOLLOWS.values():
        assert State.CLOSED in following
        assert State.GREETING not in following
    assert not any(state is State.CLOSED for _, state in FOLLOWS)


def test_every_message_that_the_table_lacks_is_refused() -> None:
    for state, kind in product(State, get_args(Message)):
        if kind in MESSAGES[state]:
            check_message(state, kind)
        else:
            with pytest.raises(Unexpected):
                check_message(state, kind)
    assert MESSAGES[State.CONFIRMING] == {Confirm}
    assert MESSAGES[State.OPEN] == set(get_args(Message)) - {Confirm}


# --- The end ---


@pytest.mark.parametrize("reason", list(CLOSE_REASONS))
@pytest.mark.parametrize("closing", [0, 1])
def test_close_is_told_from_a_cut(closing: int, reason: Ending) -> None:
    both = open_pair()
    number = ["done", "replaced", "locked", "refused", "twice"].index(reason)
    both.ends[closing].tell(both.ends[closing].link.close(number))
    both.run()
    for end in both.ends:
        assert end.closed() == LinkClosed(reason, None, True)
        assert end.link.state is State.CLOSED
        assert end.link.end_of_stream() == []


def test_nothing_is_accepted_after_close() -> None:
    both = open_pair()
    late = [both.initiator.seal(b"\x00x") for _ in range(2)]
    both.responder.tell(both.responder.link.close(0))
    before = list(both.responder.events)
    both.inject(both.responder, *late)
    assert both.responder.events == before
    both.tick(10_000)
    assert both.responder.link.next_timer() is None
    assert both.responder.events == before
    assert both.responder.link.close(0) == []


def test_close_before_open_is_silent() -> None:
    for both in (pair(pattern) for pattern in PATTERNS):
        both.carry(both.responder, both.initiator)
        both.initiator.link.data_to_send()
        for end in both.ends:
            assert end.link.close(3) == [LinkClosed(Ending.REFUSED, None, False)]
            assert end.link.data_to_send() == b""


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_cut_at_every_frame(pattern: Pattern) -> None:
    """Whatever was lost, each end closes once, and the responder is open only if Confirm arrived."""
    whole = open_pair(pattern)
    count = sum(len(frames(data)) for end in whole.ends for data in end.sent) + 1
    for kept in range(count):
        both = pair(pattern)
        left = _carry_frames(both, kept)
        both.cut()
        assert left == 0
        for end in both.ends:
            assert end.closed() == LinkClosed(Ending.CUT, None, False)
        opened = [isinstance(event, LinkOpen) for event in both.responder.events]
        assert any(opened) == (kept == count - 1)


def _carry_frames(both: Pair, kept: int) -> int:
    """Carry the greeting and up to `kept` frames, in turns, and drop the rest."""
    source, target = both.responder, both.initiator
    both.carry(source, target)
    while kept:
        source, target = target, source
        sent = frames(source.link.data_to_send())
        both.inject(target, *sent[:kept])
        kept -= min(kept, len(sent))
    return kept


# --- Held ---


def held_pair() -> tuple[Pair, list[Event]]:
    """A pairing by invitation at the moment when message 3 has authenticated the joiner."""
    both = pair(Pattern.XXPSK0)
    both.step(3)
    both.initiator.link.send(ENTRY, both.now)
    return both, both.responder.link.receive(both.initiator.link.data_to_send(), both.now)


def test_a_held_link_reads_nothing_more() -> None:
    both, events = held_pair()
    assert [type(event) for event in events] == [HandshakeAuthenticated]
    assert both.responder.link.state is State.HELD
    assert both.responder.link.data_to_send() == b""
    assert both.responder.link.receive(b"", both.now) == []
    events = both.responder.link.resume(both.now)
    assert [type(event) for event in events] == [LinkOpen, MessageReceived]


def test_an_invitation_that_is_burned_already() -> None:
    both, _ = held_pair()
    assert both.responder.link.close(3) == [LinkClosed(Ending.REFUSED, None, False)]
    assert both.responder.link.data_to_send() == b""
    assert both.responder.link.resume(both.now) == []


def test_a_held_link_keeps_little() -> None:
    both, _ = held_pair()
    for _ in range(4):
        both.responder.tell(both.responder.link.receive(bytes(HELD_BYTES_MAX // 4), both.now))
    assert both.responder.closed() == LinkClosed(Ending.ERROR, "limit", False)


def test_a_held_link_has_the_deadline_of_all() -> None:
    both, _ = held_pair()
    both.tick(5.0)
    assert both.responder.closed() == LinkClosed(Ending.DEADLINE, None, False)


# --- Versions, refusals, strangers ---


def lone(side: int) -> End:
    """One end alone, whose peer is the test."""
    end = pair().ends[side]
    end.link.data_to_send()
    return end


def test_every_refusal_looks_alike() -> None:
    """Closed pairing, no such invitation, pattern, AEAD or version: one frame, then the end."""
    alice, bob = contacts()
    calls = [
        alice.calls(bob, Pattern.XX).begin(GREETING)[0],
        alice.calls(bob, Pattern.XXPSK0, psk=b"?" * 32).begin(GREETING)[0],
        b"\x01\x09\x02" + bytes(48),
        b"\x01\x01\x09" + bytes(48),
        b"\x07\x01\x02" + bytes(48),
    ]
    answers = set()
    for opened, call in product((False, True), calls):
        bob.policy.nearby = False
        bob.policy.invitations = [InvitationKeys(INVITATION, bytes(32), ONE_TIME)] if opened else []
        link = Link(bob.answers(), START)
        link.data_to_send()
        assert link.receive(len(call).to_bytes(2, "big") + call, START)[-1] == LinkClosed(
            Ending.VERSION if call[0] == 7 else Ending.REFUSED, "unexpected", False
        )
        answers.add(link.data_to_send())
    assert answers == {b"\x00\x03" + REFUSAL}


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400", b"SSH-2.0-", b"\x00", b"PARLOUT\x00", b"P\x00"])
@pytest.mark.parametrize("portion", [1, 100])
def test_something_else_answers(answer: bytes, portion: int) -> None:
    end = lone(0)
    for start in range(0, len(answer), portion):
        end.tell(end.link.receive(answer[start : start + portion], START))
    assert end.events == [NotParlour(), LinkClosed(Ending.NOT_PARLOUR, "malformed", False)]
    assert end.link.data_to_send() == b""


def test_two_initiators_and_two_responders_do_not_open() -> None:
    alice, bob = contacts()
    callers = Link(alice.calls(bob), START), Link(bob.calls(alice), START)
    assert [link.data_to_send() for link in callers] == [b"", b""]
    called = Link(alice.answers(), START), Link(bob.answers(), START)
    (event,) = called[0].receive(called[1].data_to_send(), START)
    assert isinstance(event, LinkClosed)


CALLS = st.lists(
    st.tuples(st.sampled_from(["send", "large", "ping", "carry", "tick", "close", "cut"]), st.integers(0, 1)),
    max_size=40,
)


@settings(max_examples=60)
@given(calls=CALLS, portion=st.sampled_from([0, 1_000]))
def test_any_calls_in_any_order(calls: list[tuple[str, int]], portion: int) -> None:
    """What arrives is what was sent, in order, and each end closes once."""
    both = open_pair(portion=portion)
    sent: tuple[list[Message], list[Message]] = ([], [])
    for number, (name, side) in enumerate(calls):
        end = both.ends[side]
        message = Entry(b"h", b"s", bytes(130_000 if name == "large" else number))
        if name in ("send", "large") and end.link.is_open:
            assert end.link.send(message, both.now)
            sent[side].append(message)
        elif name == "ping" and end.link.is_open:
            end.link.ping(both.now)
        elif name == "carry":
            both.carry(end, both.ends[1 - side])
        elif name == "tick":
            both.tick(2.0)
        elif name == "close":
            end.tell(end.link.close(side))
        elif name == "cut":
            end.tell(end.link.end_of_stream())
    for side, end in enumerate(both.ends):
        check_end(end.events)
        arrived = end.messages()
        assert arrived == sent[1 - side][: len(arrived)]
        assert (end.link.next_timer() is None) == (end.closed() is not None)


def growth(work: Callable[[], object]) -> int:
    """Bytes that work leaves allocated."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = work()
        after, _ = tracemalloc.get_traced_memory()
        assert kept is not None
        return after - before
    finally:
        tracemalloc.stop()


def test_attack_36_strangers_that_say_too_little() -> None:
    """A hundred links, each with the largest unfinished frame that it waits for."""
    _, bob = contacts()
    links = [Link(bob.answers(), START) for _ in range(100)]

    def flood() -> list[Link]:
        for link in links:
            link.receive((HANDSHAKE_FRAME_MAX).to_bytes(2, "big") + bytes(HANDSHAKE_FRAME_MAX - 1), START)
        return links

    assert growth(flood) / len(links) < 2 * HANDSHAKE_FRAME_MAX
    assert all(link.receive(b"", START) == [] for link in links)


@pytest.mark.parametrize("beginning", [b"\x10\x00", b"\xff\xff"])
def test_attack_36_strangers_that_say_too_much(beginning: bytes) -> None:
    """Much into each of a hundred links leaves nothing: a frame of garbage, or a piece of too large a one."""
    _, bob = contacts()
    links = [Link(bob.answers(), START) for _ in range(100)]

    def flood() -> list[Link]:
        for link in links:
            assert isinstance(link.receive(beginning + bytes(60_000), START)[-1], LinkClosed)
            assert link.receive(bytes(60_000), START) == []
        return links

    assert growth(flood) / len(links) < 2_000


def test_attack_36_a_contact_that_never_finishes_a_message() -> None:
    both = open_pair()
    frames = [both.initiator.seal(MORE + bytes(PIECE_MAX)) for _ in range(4)]

    def unfinished() -> Pair:
        both.inject(both.responder, *frames)
        both.deliver(both.responder, b"\xff\xff" + bytes(65_534))
        return both

    assert growth(unfinished) < MESSAGE_BYTES_MAX + 70_000 + 61_600
    both.cut()
    assert both.responder.link.state.value == "closed"


def test_an_idle_link_keeps_no_ciphertext() -> None:
    both = open_pair()
    envelope = both.initiator.seal(MORE + bytes(PIECE_MAX))
    both.deliver(both.responder, length_of(envelope) + envelope)
    assert both.responder.link._reader.pending == 0
    assert both.responder.link._reader._data == b""
