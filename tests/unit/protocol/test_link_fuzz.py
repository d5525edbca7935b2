"""Any bytes, any portions, any calls: events and a typed end, nothing else, and never much memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.limits import HANDSHAKE_FRAME_MAX, MESSAGE_BYTES_MAX
from protocol.link.framing import MORE, PIECE_MAX, Pattern, length_of
from protocol.link.link import Link
from protocol.link.states import Ending, LinkClosed, LinkOpen
from protocol.messages import Entry, Message, Typing
from tests.support.protocol.links import START, End, Pair, check_end, contacts, feed, open_pair, pair

PATTERNS = st.sampled_from(list(Pattern))
TYPING = Typing(bytes(32), True)
ENTRY = Entry(b"header", b"salt", b"body")


@given(garbage=st.binary(max_size=3_000), steps=st.integers(0, 5), side=st.integers(0, 1), pattern=PATTERNS)
def test_garbage_in_every_state(garbage: bytes, steps: int, side: int, pattern: Pattern) -> None:
    both = pair(pattern)
    for number in range(steps):
        both.carry(both.ends[(number + 1) % 2], both.ends[number % 2])
    end = both.ends[side]
    before = len(end.messages())
    both.deliver(end, garbage)
    assert len(end.messages()) == before
    check_end(end.events)


BODIES = st.lists(st.binary(min_size=1, max_size=400), max_size=6)


@given(bodies=BODIES, side=st.integers(0, 1), pattern=PATTERNS)
def test_frames_of_garbage(bodies: list[bytes], side: int, pattern: Pattern) -> None:
    both = pair(pattern)
    both.carry(both.responder, both.initiator)
    end = both.ends[side]
    both.inject(end, *bodies)
    assert not any(isinstance(event, LinkOpen) for event in end.events)
    check_end(end.events)


@given(contents=st.lists(st.binary(max_size=300), min_size=1, max_size=6), side=st.integers(0, 1))
def test_garbage_of_a_peer_with_the_keys(contents: list[bytes], side: int) -> None:
    both = open_pair()
    both.send(both.initiator, TYPING)
    both.send(both.responder, TYPING)
    target = both.ends[1 - side]
    both.inject(target, *(both.ends[side].seal(content) for content in contents))
    check_end(target.events)


# --- One recorded conversation, spoiled ---


def recorded_responder() -> End:
    """The responder of the recording: with its randomness fixed, the recording opens on it every time."""
    _, bob = contacts(seed="recording")
    return End(Link(bob.answers(), START))


@lru_cache(maxsize=2)
def recording(pattern: Pattern) -> bytes:
    """All that an initiator sends in a pairing and a short talk."""
    alice, bob = contacts(seed="recording")
    both = Pair(alice.calls(bob, pattern), bob.answers()).run()
    for message in (ENTRY, TYPING, ENTRY):
        both.send(both.initiator, message)
    both.initiator.link.ping(START)
    both.initiator.link.close(0)
    both.run()
    return b"".join(both.initiator.sent)


EDITS: dict[str, Callable[[bytes, int, int], bytes]] = {
    "flip": lambda data, at, value: data[:at] + bytes((data[at] ^ (value or 1),)) + data[at + 1 :],
    "cut": lambda data, at, value: data[:at],
    "drop": lambda data, at, value: data[:at] + data[at + value :],
    "insert": lambda data, at, value: data[:at] + bytes(value) + data[at:],
    "repeat": lambda data, at, value: data[: at + value] + data[at:],
}

Edit = tuple[str, float, int]
edits = st.lists(
    st.tuples(st.sampled_from(sorted(EDITS)), st.floats(0, 0.999), st.integers(0, 255)), max_size=3
)


def test_the_recording_opens_when_nothing_is_spoiled() -> None:
    for pattern in (Pattern.XX, Pattern.XXPSK0):
        responder = recorded_responder()
        responder.tell(feed(responder.link, recording(pattern), 1))
        assert responder.messages() == [ENTRY, TYPING, ENTRY]
        assert responder.closed() == LinkClosed(Ending.DONE, None, True)


@given(edits=edits, portion=st.integers(1, 700), pattern=st.sampled_from([Pattern.XX, Pattern.XXPSK0]))
def test_a_spoiled_recording_in_any_portions(edits: list[Edit], portion: int, pattern: Pattern) -> None:
    stream = recording(pattern)
    for name, place, value in edits:
        stream = EDITS[name](stream, int(place * len(stream)), value) if stream else stream
    whole, portions = recorded_responder(), recorded_responder()
    whole.tell(feed(whole.link, stream, max(1, len(stream))))
    portions.tell(feed(portions.link, stream, portion))
    assert whole.events == portions.events
    assert whole.link.data_to_send() == portions.link.data_to_send()
    check_end(whole.events)


# --- Any calls ---

CALLS = st.lists(
    st.tuples(st.sampled_from(["send", "large", "ping", "carry", "tick", "close", "cut"]), st.integers(0, 1)),
    max_size=40,
)


@settings(max_examples=60)
@given(calls=CALLS, portion=st.sampled_from([0, 1_000]))
def test_any_calls_in_any_order(calls: list[tuple[str, int]], portion: int) -> None:
    """What arrives is what was sent, in order, and each end is told of its end once."""
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


# --- Memory ---


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
