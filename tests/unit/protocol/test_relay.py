"""The rendezvous at a relay, both ends: waiting, dialling, and when a circuit begins (SPEC §11.7)."""

from __future__ import annotations

import pytest

from protocol.errors import LocalMisuse
from protocol.keys import X25519Pair
from protocol.link.framing import length_of
from protocol.relay import relay_end as relay_module
from protocol.relay.messages import GREETING_SIZE, HELLO_SIZE, Alive, RelayGreeting, write_hello
from protocol.relay.states import (
    Answers,
    Dials,
    RelayEnded,
    RelayEnding,
    RelayEvent,
    RelayState,
    WaitBegun,
    Waits,
    WasCalled,
    WasJoined,
    Welcomed,
)
from tests.support.protocol.links import RELAY, TIME, RelayPair, token
from tests.support.protocol.samples import flipped

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


def test_the_end_of_the_stream() -> None:
    pair = RelayPair("w").wait([token(1)])
    assert pair.relay.end_of_stream() == [RelayEnded(RelayEnding.CUT)]
    assert pair.terminal.close() == [RelayEnded(RelayEnding.DONE)]
    assert pair.terminal.end_of_stream() == []
    assert pair.terminal.receive(b"more", 0.0) == []


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


def test_a_sign_of_life_that_crosses_a_call_changes_nothing() -> None:
    pair = RelayPair("w").wait([token(1)])
    pair.relay.call(token(1), pair.now)
    pair.relay.data_to_send()
    due = pair.relay.next_timer()
    pair.terminal._send(Alive())
    assert pair.relay.receive(pair.terminal.data_to_send(), pair.now + 1) == []
    assert (pair.relay.state, pair.relay.next_timer()) == (RelayState.CALLED, due)
    assert pair.relay.data_to_send() == b""


GREETING = RelayGreeting(bytes(16)).encode()


def test_garbage_costs_no_work_with_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a handshake was begun")

    monkeypatch.setattr(relay_module, "HandshakeState", fail)
    for hello in (
        write_hello(X25519Pair(bytes(32)).public, GREETING, bytes(48)),
        write_hello(RELAY.public, GREETING, bytes(48)),
        length_of(bytes(66)) + b"\x01\x10" + bytes(64),
    ):
        pair = RelayPair("x")
        pair.relay.data_to_send()
        assert pair.relay.receive(hello, 0.0) == [RelayEnded(ERROR, "authentication")]
        assert pair.relay.data_to_send() == b""


FLIGHTS = [range(12, GREETING_SIZE), range(4, 2 + HELLO_SIZE, 5), range(2, 114, 7)]
"""Places in the greeting, the first frame and the answer where a change makes no other size or version."""


@pytest.mark.parametrize("flight", range(3))
def test_a_handshake_that_was_changed_is_refused(flight: int) -> None:
    for position in FLIGHTS[flight]:
        pair = RelayPair("x")
        ends, told = (pair.relay, pair.terminal), list[RelayEvent]()
        for number in range(max(flight, 1) + 1):
            data = ends[number % 2].data_to_send()
            changed = flipped(data, 8 * position) if number == flight else data
            told = ends[1 - number % 2].receive(changed, 0.0)
        assert [type(event) for event in told] == [RelayEnded]
        assert flight == 2 or told == [RelayEnded(ERROR, "authentication")]
