"""The rendezvous at a relay, both ends: waiting, dialling, and when a circuit begins (SPEC §11.7)."""

from __future__ import annotations

import pytest

from protocol.errors import LocalMisuse
from protocol.keys import X25519Pair
from protocol.limits import (
    DEAD_AFTER_SECONDS,
    HANDSHAKE_SECONDS,
    RELAY_ALIVE_SECONDS,
    RELAY_ANSWER_SECONDS,
    RELAY_DIALS_MAX,
    RELAY_SILENT_SECONDS,
    RELAY_TOKENS_MAX,
)
from protocol.link.framing import MAGIC as LINK_MAGIC
from protocol.link.framing import length_of
from protocol.relay import relay_end as relay_module
from protocol.relay.messages import (
    GREETING_SIZE,
    HELLO_SIZE,
    REFUSAL,
    Absent,
    Alive,
    Called,
    Dial,
    RelayGreeting,
    RelayMessage,
    Wait,
    Waiting,
    write_hello,
)
from protocol.relay.relay_end import RelayEnd
from protocol.relay.states import (
    Answers,
    Dials,
    RelayEnded,
    RelayEnding,
    RelayState,
    WaitBegun,
    Waits,
    WasAbsent,
    WasCalled,
    WasJoined,
    Welcomed,
)
from protocol.relay.terminal_end import RelayTerminal
from tests.support.protocol.links import RELAY, TIME, RelayPair, token

ERROR = RelayEnding.ERROR


@pytest.mark.parametrize("portion", [0, 1, 7])
def test_two_terminals_meet(portion: int) -> None:
    waiter, dialler = RelayPair("w", portion), RelayPair("d", portion)
    waiter.wait([token(2), token(1)])
    assert waiter.told == [Welcomed(TIME), WaitBegun()]
    assert waiter.heard == [Waits((token(1), token(2)))]
    dialler.dial(token(1))
    assert dialler.heard == [Dials(token(1), 0)]
    waiter.relay.call(token(1), waiter.now)
    waiter.run()
    assert waiter.told[-1] == WasCalled(token(1), b"")
    assert waiter.heard[-1] == Answers(b"")
    assert dialler.relay.join(others=0) == b""
    dialler.run()
    assert dialler.told == [Welcomed(TIME), WasJoined(0, b"")]
    ends = (waiter.terminal, waiter.relay, dialler.terminal, dialler.relay)
    assert {end.state for end in ends} == {RelayState.JOINED}
    assert {end.wanted for end in ends} == {0}
    assert [end.next_timer() for end in ends] == [None] * 4


def test_what_comes_with_the_answer_belongs_to_the_circuit() -> None:
    waiter, dialler = RelayPair("w").wait([token(1)]), RelayPair("d").dial(token(1))
    waiter.relay.call(token(1), waiter.now)
    waiter.told += waiter.terminal.receive(waiter.relay.data_to_send(), 0.0)
    both = waiter.terminal.data_to_send() + b"greeting of a link"
    assert waiter.relay.receive(both, 0.0) == [Answers(b"greeting of a link")]
    dialler.relay.join(others=9)
    joined = dialler.relay.data_to_send() + b"greeting of a link"
    assert dialler.terminal.receive(joined, 0.0) == [WasJoined(7, b"greeting of a link")]


def test_who_reads_what_is_wanted_takes_no_byte_of_the_circuit() -> None:
    waiter = RelayPair("w").wait([token(1)])
    waiter.relay.call(token(1), waiter.now)
    waiter.terminal.receive(waiter.relay.data_to_send(), 0.0)
    stream = waiter.terminal.data_to_send() + b"secret"
    events = []
    while wanted := waiter.relay.wanted:
        events += waiter.relay.receive(stream[:wanted], 0.0)
        stream = stream[wanted:]
    assert (events, stream) == ([Answers(b"")], b"secret")


def test_wanted_is_never_more_than_the_next_unit() -> None:
    pair = RelayPair("x")
    assert (pair.relay.wanted, pair.terminal.wanted) == (2, 28)
    pair.terminal.receive(pair.relay.data_to_send()[:20], 0.0)
    assert pair.terminal.wanted == 8


def test_absent_is_said_at_once_and_another_dial_may_follow() -> None:
    pair = RelayPair("d").dial(token(1))
    pair.relay.absent(pair.now)
    pair.run()
    assert pair.told[-1] == WasAbsent()
    pair.dial(token(2), place=3)
    assert pair.heard == [Dials(token(1), 0), Dials(token(2), 3)]


def test_no_connection_dials_for_ever() -> None:
    pair = RelayPair("d")
    for _ in range(RELAY_DIALS_MAX):
        pair.dial(token(1)).relay.absent(pair.now)
    pair.dial(token(1))
    assert pair.heard[-1] == RelayEnded(ERROR, "limit")


def test_another_wait_takes_the_place_of_the_first() -> None:
    pair = RelayPair("w").wait([token(1)]).wait([token(1), token(3)])
    assert pair.heard == [Waits((token(1),)), Waits((token(1), token(3)))]
    assert pair.told == [Welcomed(TIME), WaitBegun(), WaitBegun()]


def test_a_wait_that_crosses_the_call_is_passed_over() -> None:
    pair = RelayPair("w").wait([token(1)])
    pair.relay.call(token(1), pair.now)
    pair.terminal.wait([token(2)], pair.now)
    pair.run()
    assert pair.told[-1] == WasCalled(token(1), b"")
    assert pair.heard == [Waits((token(1),)), Answers(b"")]


# --- What the wire shows ---


def test_sizes_tell_no_number_of_tokens() -> None:
    sizes = []
    for count in (1, RELAY_TOKENS_MAX):
        pair = RelayPair("w").wait([token(index) for index in range(count)])
        sizes.append([len(data) for data in pair.on_the_wire])
    assert sizes[0] == sizes[1]


def test_no_token_is_on_the_wire() -> None:
    waiter, dialler = RelayPair("w").wait([token(1)]), RelayPair("d").dial(token(1))
    assert all(token(1) not in data for data in (*waiter.on_the_wire, *dialler.on_the_wire))


def test_no_key_is_held_once_a_circuit_begins() -> None:
    waiter, dialler = RelayPair("w").wait([token(1)]), RelayPair("d").dial(token(1))
    waiter.relay.call(token(1), waiter.now)
    waiter.run()
    dialler.relay.join(others=0)
    dialler.run()
    for end in (waiter.terminal, waiter.relay, dialler.terminal, dialler.relay):
        assert end._noise is None
        assert end._reader.pending == 0


def test_nothing_prints_a_token() -> None:
    shown = repr((Waits((token(1),)), Dials(token(1), 0), Answers(b"link"), WasJoined(0, b"link")))
    assert repr(token(1)) not in shown
    assert "link" not in shown


# --- Time ---


def test_a_waiting_terminal_gives_signs_of_life() -> None:
    pair = RelayPair("w").wait([token(1)])
    for _ in range(4):
        pair.now += RELAY_ALIVE_SECONDS
        assert pair.terminal.next_timer() == pair.now
        assert pair.terminal.handle_timer(pair.now) == []
        pair.run()
    assert pair.told == [Welcomed(TIME), WaitBegun()]
    assert pair.relay.next_timer() == pair.now + RELAY_SILENT_SECONDS


def test_a_relay_that_does_not_answer_is_gone() -> None:
    pair = RelayPair("w").wait([token(1)])
    pair.terminal.handle_timer(RELAY_ALIVE_SECONDS)
    assert pair.terminal.handle_timer(RELAY_ALIVE_SECONDS + DEAD_AFTER_SECONDS - 0.1) == []
    ended = pair.terminal.handle_timer(RELAY_ALIVE_SECONDS + DEAD_AFTER_SECONDS)
    assert ended == [RelayEnded(RelayEnding.SILENT)]


def test_a_terminal_that_is_silent_is_gone() -> None:
    pair = RelayPair("w").wait([token(1)])
    assert pair.relay.handle_timer(RELAY_SILENT_SECONDS - 0.1) == []
    assert pair.relay.handle_timer(RELAY_SILENT_SECONDS) == [RelayEnded(RelayEnding.SILENT)]
    assert pair.relay.handle_timer(RELAY_SILENT_SECONDS) == []


def test_a_terminal_that_does_not_answer_a_call_is_gone() -> None:
    pair = RelayPair("w").wait([token(1)])
    pair.relay.call(token(1), 1.0)
    assert pair.relay.handle_timer(1.0 + RELAY_ANSWER_SECONDS) == [RelayEnded(RelayEnding.SILENT)]


def test_who_says_nothing_is_ended() -> None:
    for end in (RelayEnd(RELAY, 0.0, TIME), RelayTerminal(RELAY.public, 0.0)):
        assert end.next_timer() == HANDSHAKE_SECONDS
        assert end.handle_timer(HANDSHAKE_SECONDS) == [RelayEnded(RelayEnding.DEADLINE)]
    pair = RelayPair("x").run()
    assert pair.relay.receive(b"late", HANDSHAKE_SECONDS) == [RelayEnded(RelayEnding.DEADLINE)]
    assert pair.terminal.handle_timer(HANDSHAKE_SECONDS) == [RelayEnded(RelayEnding.DEADLINE)]
    dialler = RelayPair("d").dial(token(1))
    assert dialler.terminal.handle_timer(DEAD_AFTER_SECONDS) == [RelayEnded(RelayEnding.DEADLINE)]
    assert dialler.relay.next_timer() is None


# --- Ends ---


@pytest.mark.parametrize("reason", [RelayEnding.BUSY, RelayEnding.STOPPED])
def test_a_relay_says_why_it_ends(reason: RelayEnding) -> None:
    for pair in (RelayPair("r").run(), RelayPair("w").wait([token(1)]), RelayPair("d").dial(token(1))):
        assert pair.relay.end(reason) == [RelayEnded(reason)]
        assert pair.relay.end(reason) == []
        pair.run()
        assert pair.told[-1] == RelayEnded(reason)


def test_the_end_of_the_stream() -> None:
    pair = RelayPair("w").wait([token(1)])
    assert pair.relay.end_of_stream() == [RelayEnded(RelayEnding.CUT)]
    assert pair.terminal.close() == [RelayEnded(RelayEnding.DONE)]
    assert pair.terminal.end_of_stream() == []
    assert pair.terminal.receive(b"more", 0.0) == []


# --- What each end may say when ---


def _says(pair: RelayPair, message: RelayMessage, of_terminal: bool) -> list[object]:
    """Another message than this program would send, sealed as it is due."""
    source, target = (pair.terminal, pair.relay) if of_terminal else (pair.relay, pair.terminal)
    source._send(message)
    return list(target.receive(source.data_to_send(), pair.now))


@pytest.mark.parametrize("message", [Alive(), Waiting(), Absent()])
def test_a_relay_hears_nothing_out_of_turn(message: RelayMessage) -> None:
    expected = "unexpected" if isinstance(message, Alive) else "malformed"
    assert _says(RelayPair("r").run(), message, True) == [RelayEnded(ERROR, expected)]


def test_who_waits_does_not_dial_and_who_dialled_does_not_wait() -> None:
    unexpected = [RelayEnded(ERROR, "unexpected")]
    assert _says(RelayPair("w").wait([token(1)]), Dial(token(1), 0), True) == unexpected
    pair = RelayPair("d").dial(token(1))
    pair.relay.absent(pair.now)
    assert _says(pair.run(), Wait([token(1)]), True) == unexpected
    assert _says(RelayPair("d").dial(token(1)), Dial(token(2), 0), True) == unexpected


@pytest.mark.parametrize("message", [Waiting(), Alive(), Called(token(1)), Absent()])
def test_a_terminal_hears_nothing_out_of_turn(message: RelayMessage) -> None:
    unexpected = [RelayEnded(ERROR, "unexpected")]
    assert _says(RelayPair("r").run(), message, False) == unexpected
    if not isinstance(message, Called):
        assert _says(RelayPair("w").wait([token(1)]), message, False) == unexpected


def test_calls_out_of_turn_are_our_own_mistake() -> None:
    pair = RelayPair("r")
    for call in (
        lambda: pair.terminal.wait([token(1)], 0.0),
        lambda: pair.terminal.dial(token(1), 0.0),
        pair.relay.waiting,
        lambda: pair.relay.absent(0.0),
        lambda: pair.relay.call(token(1), 0.0),
        lambda: pair.relay.join(0),
        lambda: pair.run().terminal.wait([], 0.0),
    ):
        with pytest.raises(LocalMisuse):
            call()


GREETING = RelayGreeting(bytes(16)).encode()


def _framed(body: bytes) -> bytes:
    return length_of(body) + body


def _called(pair: RelayPair) -> bytes:
    """The terminal's first frame."""
    pair.terminal.receive(pair.relay.data_to_send(), 0.0)
    return pair.terminal.data_to_send()


def _flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


# --- Strangers ---


def test_garbage_costs_no_work_with_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a handshake was begun")

    monkeypatch.setattr(relay_module, "HandshakeState", fail)
    for hello in (
        write_hello(X25519Pair(bytes(32)).public, GREETING, bytes(48)),
        write_hello(RELAY.public, GREETING, bytes(48)),
        _framed(b"\x01\x10" + bytes(64)),
    ):
        pair = RelayPair("x")
        pair.relay.data_to_send()
        assert pair.relay.receive(hello, 0.0) == [RelayEnded(ERROR, "authentication")]
        assert pair.relay.data_to_send() == b""


@pytest.mark.parametrize(
    ("choice", "ending"), [(b"\x02\x10", RelayEnding.VERSION), (b"\x01\x03", RelayEnding.REFUSED)]
)
def test_another_version_or_pattern_is_refused(choice: bytes, ending: RelayEnding) -> None:
    pair = RelayPair("x")
    _called(pair)
    assert pair.relay.receive(_framed(choice + bytes(64)), 0.0) == [RelayEnded(ending, "unexpected")]
    assert pair.relay.data_to_send() == _framed(REFUSAL)
    told = pair.terminal.receive(_framed(REFUSAL), 0.0)
    assert told == [RelayEnded(RelayEnding.REFUSED, "unexpected")]


def test_a_terminal_is_told_from_a_relay() -> None:
    pair = RelayPair("x")
    assert pair.terminal.receive(LINK_MAGIC[:1], 0.0) == []
    assert pair.terminal.receive(LINK_MAGIC[1:4], 0.0) == [RelayEnded(RelayEnding.NOT_A_RELAY, "malformed")]


# --- Somebody between the two ---


def test_another_relay_cannot_stand_for_the_one_that_was_named() -> None:
    named = X25519Pair(bytes([9]) * 32).public
    pair = RelayPair("x", relay=named).run()
    assert pair.heard == [RelayEnded(ERROR, "authentication")]
    assert pair.told == []


def test_a_greeting_that_was_changed_ends_the_handshake() -> None:
    for position in range(12, GREETING_SIZE):
        pair = RelayPair("x")
        greeting = pair.relay.data_to_send()
        pair.terminal.receive(_flipped(greeting, position), 0.0)
        ended = pair.relay.receive(pair.terminal.data_to_send(), 0.0)
        assert ended == [RelayEnded(ERROR, "authentication")]


def test_a_first_frame_that_was_changed_is_refused() -> None:
    for position in range(4, 2 + HELLO_SIZE, 5):
        pair = RelayPair("x")
        ended = pair.relay.receive(_flipped(_called(pair), position), 0.0)
        assert ended == [RelayEnded(ERROR, "authentication")]


def test_a_first_frame_fits_one_connection() -> None:
    first, second = RelayPair("x"), RelayPair("y")
    hello = _called(first)
    second.relay.data_to_send()
    assert second.relay.receive(hello, 0.0) == [RelayEnded(ERROR, "authentication")]


def test_a_welcome_that_was_changed_is_refused() -> None:
    for position in range(2, 114, 7):
        pair = RelayPair("x")
        pair.relay.receive(_called(pair), 0.0)
        told = pair.terminal.receive(_flipped(pair.relay.data_to_send(), position), 0.0)
        assert [type(event) for event in told] == [RelayEnded]
        assert pair.terminal.state is RelayState.CLOSED


def test_frames_that_are_changed_repeated_or_of_another_size_are_refused() -> None:
    refused = [RelayEnded(ERROR, "authentication")]
    for position in (2, 50, -1):
        pair = RelayPair("w").run()
        pair.terminal.wait([token(1)], 0.0)
        frame = pair.terminal.data_to_send()
        assert pair.relay.receive(_flipped(frame, position % len(frame)), 0.0) == refused
    pair = RelayPair("w").run()
    pair.terminal.wait([token(1)], 0.0)
    frame = pair.terminal.data_to_send()
    assert len(pair.relay.receive(frame + frame, 0.0)) == 2
    assert pair.relay.state is RelayState.CLOSED
    pair = RelayPair("w").run()
    assert pair.relay.receive(_framed(bytes(81)), 0.0) == [RelayEnded(ERROR, "malformed")]


@pytest.mark.parametrize("size", [1, 16, 79, 81, 330, 2_335])
def test_attack_61_what_is_no_message_of_the_rendezvous_is_not_even_read(size: int) -> None:
    """A link's frame, say, that is sent although nobody was there: its length is enough to refuse it."""
    pair = RelayPair("x").run()
    assert pair.relay.wanted == 2
    assert pair.relay.receive(size.to_bytes(2, "big"), 0.0) == [RelayEnded(ERROR, "malformed")]
    assert (pair.relay.wanted, pair.relay.state) == (0, RelayState.CLOSED)


@pytest.mark.parametrize("size", [80, 2_336])
def test_a_message_of_the_rendezvous_is_waited_for(size: int) -> None:
    pair = RelayPair("x").run()
    assert pair.relay.receive(size.to_bytes(2, "big"), 0.0) == []
    assert pair.relay.wanted == size
