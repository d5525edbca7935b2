"""Links in time: keepalive, silence, deadlines, age, and clocks that jump."""

from __future__ import annotations

import pytest

from protocol.link import envelopes
from protocol.link.framing import Pattern
from protocol.link.states import Ending, LinkClosed, PingAnswered, State
from protocol.messages import Entry
from tests.support.protocol.links import ENTRY, START, TYPING, Pair, frames, open_pair, pair

YEAR = 365 * 86_400.0
DEAD = LinkClosed(Ending.DEAD, None, False)
AGED = LinkClosed(Ending.AGED, None, False)


def answered(both: Pair, side: int) -> list[int]:
    return [event.number for event in both.ends[side].events if isinstance(event, PingAnswered)]


# --- Keepalive ---


def test_an_idle_link_asks_and_is_answered() -> None:
    both = open_pair()
    for _ in range(100):
        both.tick(1.0)
        both.run()
    assert both.initiator.closed() is None
    assert both.responder.closed() is None
    for side in (0, 1):
        pings = [16, 0][side]
        assert len(answered(both, side)) == pings, "the initiator every six seconds, so the responder never"


def test_a_link_in_use_does_not_ask() -> None:
    both = open_pair()
    for _ in range(20):
        both.tick(3.0)
        both.send(both.initiator, TYPING)
        both.send(both.responder, TYPING)
    assert answered(both, 0) == answered(both, 1) == []


def test_the_timer_says_when() -> None:
    both = open_pair()
    link = both.initiator.link
    assert link.next_timer() == link.next_ping() == START + 6
    assert link.handle_timer(START + 5.9) == []
    assert link.data_to_send() == b""
    assert link.handle_timer(START + 6) == []
    assert len(frames(link.data_to_send())) == 1
    assert (link.next_timer(), link.next_ping()) == (START + 16, None)
    assert link.unanswered_since == START + 6
    assert link.handle_timer(START + 15.9) == []
    assert link.data_to_send() == b"", "one ping is enough"
    assert link.handle_timer(START + 16) == [DEAD]
    assert link.next_timer() is link.next_ping() is None


def test_the_responder_asks_half_a_second_later() -> None:
    both = open_pair()
    link = both.responder.link
    assert link.next_timer() == link.next_ping() == START + 6.5
    link.handle_timer(START + 6.4)
    assert link.data_to_send() == b""
    link.handle_timer(START + 6.5)
    assert len(frames(link.data_to_send())) == 1


def test_a_ping_may_be_early_but_not_twice() -> None:
    both = open_pair()
    link = both.initiator.link
    assert not link.ping_early(START + 3.9, 2.0)
    assert link.data_to_send() == b""
    assert link.ping_early(START + 4, 2.0)
    assert len(frames(link.data_to_send())) == 1
    assert not link.ping_early(START + 20, 2.0), "one waits for its answer"
    assert link.next_timer() == START + 14
    assert not pair().initiator.link.ping_early(START + 20, 2.0), "no link is open"


def test_an_entry_waits_for_an_answer() -> None:
    both = open_pair()
    link = both.initiator.link
    assert link.unanswered_since is None
    link.send(TYPING, START + 1)
    assert link.unanswered_since is None
    link.send(ENTRY, START + 2)
    link.send(ENTRY, START + 3)
    assert link.unanswered_since == START + 2
    assert link.next_timer() == START + 6, "a ping is answered even if the peer's disk is slow"
    link.handle_timer(START + 6)
    assert link.next_timer() == START + 12
    assert link.handle_timer(START + 12) == [DEAD]


def test_any_envelope_answers() -> None:
    both = open_pair()
    both.initiator.link.send(ENTRY, both.now)
    both.responder.link.send(TYPING, both.now)
    both.now += 1
    both.run()
    assert both.initiator.link.unanswered_since is None
    assert both.initiator.link.next_timer() == both.now + 6


def test_bytes_that_do_not_open_answer_nothing() -> None:
    both = open_pair()
    both.initiator.link.send(ENTRY, both.now)
    both.responder.link.send(TYPING, both.now)
    half = both.responder.link.data_to_send()[:-1]
    both.now += 1
    both.deliver(both.initiator, half)
    assert both.initiator.link.unanswered_since == START


def test_probes_are_answered_by_their_number() -> None:
    both = open_pair()
    numbers = [both.initiator.link.ping(both.now) for _ in range(3)]
    assert numbers == [1, 2, 3]
    assert both.initiator.link.unanswered_since == START
    both.run()
    assert answered(both, 0) == numbers
    assert both.initiator.link.ping(both.now) == 4


def test_attack_27_one_way_traffic_still_steps() -> None:
    """Ten thousand entries one way: keepalives bring a new ratchet key every few seconds."""
    both = open_pair()
    keys = set()
    for number in range(10_000):
        both.tick(0.01)
        both.initiator.link.send(ENTRY, both.now)
        stream = both.initiator.link.data_to_send()
        keys |= {frame[:32] for frame in frames(stream)}
        both.deliver(both.responder, stream)
        both.carry(both.responder, both.initiator)
        assert both.initiator.closed() is None, number
    assert len(keys) >= 100 / 6 - 2
    assert len(both.responder.messages()) == 10_000


# --- Deadlines ---


@pytest.mark.parametrize("pattern", list(Pattern))
def test_a_handshake_has_five_seconds(pattern: Pattern) -> None:
    """Both ends, at whatever step they hang."""
    for steps in range(4):
        both = pair(pattern)
        both.step(steps)
        both.tick(4.99)
        assert all(end.closed() is None for end in both.ends)
        unfinished = [end for end in both.ends if not end.link.is_open]
        both.tick(0.01)
        for end in unfinished:
            assert end.closed() == LinkClosed(Ending.DEADLINE, None, False)
            assert end.link.state is State.CLOSED


def test_a_deadline_holds_without_a_timer() -> None:
    """A driver whose timer is late reads nothing more."""
    both = pair()
    both.now += 5
    greeting = both.responder.link.data_to_send()
    assert both.initiator.link.receive(greeting, both.now) == [LinkClosed(Ending.DEADLINE, None, False)]


def test_a_slow_peer_does_not_move_the_deadline() -> None:
    both = pair()
    greeting = both.responder.link.data_to_send()
    for position in range(len(greeting) - 1):
        both.now += 0.1
        both.deliver(both.initiator, greeting[position : position + 1])
        assert both.initiator.link.next_timer() == START + 5


# --- Age ---


def test_a_link_is_replaced_before_the_end_of_its_life() -> None:
    both = open_pair()
    for end in both.ends:
        assert not end.link.should_replace(START + 779)
        assert end.link.should_replace(START + 780)


def _kept_alive(both: Pair, until: float) -> None:
    while both.now + 3 < until:
        both.tick(3.0)
        both.send(both.initiator, TYPING)
        both.send(both.responder, TYPING)


def test_a_link_ends_after_fifteen_minutes() -> None:
    both = open_pair()
    _kept_alive(both, START + 900)
    both.now = START + 899.9
    both.send(both.initiator, TYPING)
    assert both.responder.link.next_timer() == START + 900
    both.now = START + 900
    both.initiator.link.send(TYPING, START + 899.95)
    stream = both.initiator.link.data_to_send()
    assert both.responder.link.receive(stream, both.now) == [AGED], "refused at either end"
    assert both.initiator.link.handle_timer(both.now) == [AGED]


def test_should_replace_says_no_before_and_after() -> None:
    both = pair()
    assert not both.initiator.link.should_replace(START + 1e9)
    both.cut()
    assert not both.initiator.link.should_replace(START + 1e9)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten envelopes a direction."""
    monkeypatch.setattr(envelopes, "LINK_ENVELOPES_MAX", 10)
    monkeypatch.setattr(envelopes, "LINK_ENVELOPES_REPLACE", 7)


@pytest.mark.usefixtures("few")
def test_attack_40_the_sender_stops() -> None:
    both = open_pair()
    for sent in range(2, 10):  # Confirm was the first
        assert both.initiator.link.send(ENTRY, both.now)
        assert both.initiator.link.should_replace(both.now) == (sent >= 7)
    assert not both.initiator.link.send(ENTRY, both.now), "the last envelope is kept for Close"
    assert both.initiator.link.next_timer() is not None
    assert both.initiator.link.next_timer() <= both.now  # type: ignore[operator]
    assert both.initiator.link.handle_timer(both.now) == [AGED]
    both.run()
    assert len(both.responder.messages()) == 8
    assert both.responder.link.should_replace(both.now)


@pytest.mark.usefixtures("few")
def test_attack_40_a_large_message_is_sent_whole_or_not_at_all() -> None:
    both = open_pair()
    for _ in range(7):
        assert both.initiator.link.send(TYPING, both.now)
    large = Entry(b"h", b"s", bytes(131_072))
    assert not both.initiator.link.send(large, both.now)
    both.run()
    assert both.responder.messages() == [TYPING] * 7


@pytest.mark.usefixtures("few")
def test_attack_40_pings_and_pongs_stop_too() -> None:
    both = open_pair()
    for _ in range(20):
        both.initiator.link.ping(both.now)
    both.run()
    handshake = 1
    assert len(frames(b"".join(both.initiator.sent))) == handshake + 9
    assert both.initiator.closed() == AGED


# --- Clocks that jump ---


@pytest.mark.parametrize("jump", [-YEAR, -1.0, 0.0])
def test_attack_41_a_clock_that_stands_or_goes_back(jump: float) -> None:
    """Nothing dies, nothing is younger than it was, messages pass."""
    both = open_pair()
    both.now = START + 800
    for end in both.ends:
        end.tell(end.link.handle_timer(both.now))
    both.run()
    both.now += jump
    for _ in range(3):
        both.tick(0.0)
        both.send(both.initiator, ENTRY)
        both.send(both.responder, ENTRY)
    assert len(both.initiator.messages()) == len(both.responder.messages()) == 3
    for end in both.ends:
        assert end.closed() is None
        assert end.link.should_replace(both.now)
    both.now = START + 900
    assert both.initiator.link.handle_timer(both.now) == [AGED]


def test_attack_41_a_clock_a_year_ahead() -> None:
    """As after a long sleep: the link is too old on both sides, and says so."""
    both = open_pair()
    both.initiator.link.send(ENTRY, both.now)
    both.tick(YEAR)
    for end in both.ends:
        assert end.closed() == AGED
        assert end.link.state is State.CLOSED


def test_attack_41_a_short_sleep_is_asked_about() -> None:
    both = open_pair()
    both.tick(600.0)
    both.run()
    assert both.initiator.closed() is None
    assert answered(both, 0) + answered(both, 1)


@pytest.mark.parametrize("jump", [-YEAR, YEAR])
def test_attack_41_a_jump_within_a_handshake(jump: float) -> None:
    both = pair()
    both.carry(both.responder, both.initiator)
    both.now += jump
    both.run()
    assert both.initiator.link.is_open == both.responder.link.is_open == (jump < 0)
