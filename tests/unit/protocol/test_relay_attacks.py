"""Attacks on the rendezvous: by strangers, and between a terminal and its relay (SPEC §11.7)."""

from __future__ import annotations

import pytest

from protocol.keys import X25519Pair
from protocol.limits import HANDSHAKE_FRAME_MAX
from protocol.link.framing import MAGIC as LINK_MAGIC
from protocol.link.framing import length_of
from protocol.relay import relay_end as relay_module
from protocol.relay.messages import GREETING_SIZE, HELLO_SIZE, REFUSAL, RelayGreeting, write_hello
from protocol.relay.states import RelayEnded, RelayEnding, RelayState
from tests.support.protocol.links import RELAY, RelayPair, token

ERROR = RelayEnding.ERROR
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
    ("body", "error_class"),
    [
        (b"\x01", "malformed"),
        (b"\x00\x10" + bytes(64), "malformed"),
        (b"\x01\x10" + bytes(63), "malformed"),
        (b"\x01\x10" + bytes(65), "malformed"),
    ],
)
def test_what_is_no_first_frame_is_answered_by_silence(body: bytes, error_class: str) -> None:
    pair = RelayPair("x")
    pair.relay.data_to_send()
    assert pair.relay.receive(_framed(body), 0.0) == [RelayEnded(ERROR, error_class)]
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


@pytest.mark.parametrize("size", [0, HANDSHAKE_FRAME_MAX + 1])
def test_lengths_are_judged_before_anything_is_waited_for(size: int) -> None:
    pair = RelayPair("x")
    expected = "limit" if size else "malformed"
    assert pair.relay.receive(size.to_bytes(2), 0.0) == [RelayEnded(ERROR, expected)]


def test_a_terminal_is_told_from_a_relay() -> None:
    pair = RelayPair("x")
    assert pair.terminal.receive(LINK_MAGIC[:1], 0.0) == []
    assert pair.terminal.receive(LINK_MAGIC[1:4], 0.0) == [RelayEnded(RelayEnding.NOT_A_RELAY, "malformed")]


@pytest.mark.parametrize(
    ("position", "value", "ending", "error_class"),
    [
        (8, 2, RelayEnding.ERROR, "malformed"),
        (9, 0, RelayEnding.ERROR, "malformed"),
        (10, 1, RelayEnding.ERROR, "malformed"),
        (11, 1, RelayEnding.ERROR, "malformed"),
    ],
)
def test_a_greeting_that_is_none(position: int, value: int, ending: RelayEnding, error_class: str) -> None:
    greeting = GREETING[:position] + bytes([value]) + GREETING[position + 1 :]
    assert RelayPair("x").terminal.receive(greeting, 0.0) == [RelayEnded(ending, error_class)]


def test_a_relay_of_another_version_is_told() -> None:
    greeting = GREETING[:8] + b"\x02\x03" + GREETING[10:]
    assert RelayPair("x").terminal.receive(greeting, 0.0) == [RelayEnded(RelayEnding.VERSION, "unexpected")]


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
