"""Targets of relays: their addresses, greeting, first frame and messages, and both ends as wholes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from protocol.codec import Wire
from protocol.errors import Malformed, ProtocolError
from protocol.limits import RELAY_ALIVE_SECONDS
from protocol.relay.cluster import (
    FRAME_BYTES_MAX,
    Kind,
    kind_of,
    own_subject,
    read_offer,
    size_of,
    write_offer,
)
from protocol.relay.connection import RelayConnection
from protocol.relay.messages import (
    GREETING_SIZE,
    Absent,
    Alive,
    Answer,
    Called,
    Dial,
    End,
    Hello,
    Joined,
    RelayGreeting,
    RelayMessage,
    Wait,
    Waiting,
    Welcome,
    check_magic,
    pad_message,
    read_from_relay,
    read_from_terminal,
    read_hello,
    read_welcome,
    write_hello,
)
from protocol.relay.rendezvous import parse_relay
from protocol.relay.states import (
    Answers,
    Dials,
    RelayEnded,
    RelayEvent,
    RelayState,
    Waits,
    WasCalled,
    WasJoined,
)
from tests.fuzz.links import EDITS, edited
from tests.fuzz.target import LENGTH, Target, cut, drawn, joined, published, text_of
from tests.support.protocol.links import RELAY, RelayPair, token

GREETING: Final = RelayGreeting(bytes(16)).encode()
JOINED: Final = (Answers, WasCalled, WasJoined)
KINDS: Final = (read_from_terminal, read_from_relay, read_welcome)
"""What a padded message may be read as."""


def _greeting(data: bytes) -> RelayGreeting:
    """As a terminal reads it: the magic at its first bytes, the rest when all of it is there."""
    check_magic(data)
    if len(data) != GREETING_SIZE:
        raise Malformed("not the bytes of a greeting")
    return RelayGreeting.decode(data)


def _hello(data: bytes) -> Hello:
    return read_hello(RELAY.public, GREETING, data)


def _hello_bytes(hello: Hello) -> bytes:
    return write_hello(RELAY.public, GREETING, hello.message)[LENGTH:]


def _hellos() -> dict[str, bytes]:
    return {"right": write_hello(RELAY.public, GREETING, drawn("hello")(48))[LENGTH:]}


def _message(data: bytes) -> tuple[int, Wire]:
    """The first byte says which is expected, the rest is the padded message."""
    kind = data[0] if data else 0
    return kind, KINDS[kind % len(KINDS)](data[1:])


def _messages() -> dict[str, bytes]:
    said: dict[int, tuple[Any, ...]] = {
        0: (Wait([token(1), token(2)]), Alive(), Dial(token(1), 0), Answer()),
        1: (Waiting(), Alive(), Absent(), Called(token(1)), Joined(0), End(1)),
        2: (Welcome(1_767_225_600),),
    }
    return {
        f"{kind}-{type(message).__name__.lower()}": bytes([kind]) + pad_message(message)
        for kind, messages in said.items()
        for message in messages
    }


def _offers() -> dict[str, bytes]:
    subject = own_subject("a" * 26, "b" * 26)
    return {f"of-{count}": write_offer(subject, range(count)) for count in (1, 8)}


def _cluster_frame(data: bytes) -> Kind:
    """What a frame is by its first byte and its size; its place in a passage is for the key."""
    kind = kind_of(data)
    assert 0 <= size_of(data) <= FRAME_BYTES_MAX
    return kind


def _cluster_frames() -> dict[str, bytes]:
    draw, sizes = drawn("cluster"), {Kind.CALL: 70, Kind.DATA: 300, Kind.CREDIT: 4, Kind.END: 1}
    return {kind.name.lower(): bytes([kind]) + draw(16 + sizes.get(kind, 0)) for kind in Kind}


@lru_cache
def _recording(side: int, dials: bool) -> tuple[bytes, ...]:
    """What the terminal (0) or the relay (1) receives, which needs no decision of its own between."""
    pair = RelayPair("fuzz")
    received: list[bytes] = []
    ends: tuple[RelayConnection, RelayConnection] = (pair.terminal, pair.relay)
    for source, target in ((1, 0), (0, 1), (1, 0)):
        _move(ends[source], ends[target], received if target == side else [])
    for step in _wishes(pair, dials):
        step()
        for source, target in ((0, 1), (1, 0)):
            _move(ends[source], ends[target], received if target == side else [])
    return tuple(received)


def _wishes(pair: RelayPair, dials: bool) -> list[Any]:
    if dials:
        return [lambda: pair.terminal.dial(token(1), 0.0), lambda: pair.relay.join(0)]
    return [
        lambda: pair.terminal.wait([token(1)], 0.0),
        pair.relay.waiting,
        lambda: pair.terminal.wait([token(1), token(2)], 0.0),
        lambda: pair.terminal.handle_timer(RELAY_ALIVE_SECONDS),
    ]


def _move(source: RelayConnection, target: RelayConnection, received: list[bytes]) -> None:
    if data := source.data_to_send():
        received.append(data)
        target.receive(data, 0.0)


def _end(side: int) -> RelayConnection:
    pair = RelayPair("fuzz")
    return pair.relay if side else pair.terminal


def _feed(end: RelayConnection, data: bytes, portion: int) -> list[RelayEvent]:
    """What bytes in portions come to."""
    events: list[RelayEvent] = []
    for start in range(0, len(data), portion):
        events += end.receive(data[start : start + portion], 0.0)
    _check(end, events)
    return events


def _check(end: RelayConnection, events: list[RelayEvent]) -> None:
    last = [place for place, event in enumerate(events) if isinstance(event, (RelayEnded, *JOINED))]
    assert last in ([], [len(events) - 1])
    over = end.state in (RelayState.JOINED, RelayState.CLOSED)
    assert (end.wanted == 0) == over
    assert (end._noise is None) == (over or end.state in (RelayState.GREETING, RelayState.HANDSHAKE))
    assert over or end.state is RelayState.DIALLING or end.next_timer() is not None


def _any_bytes(data: bytes) -> None:
    """The first byte says whose end, the second how far it has come; then anything comes."""
    side, far = (data[0] & 1, data[1:2] > b"\x7f") if data else (0, False)
    told = []
    for portion in (max(1, len(data)), 1):
        end = _end(side)
        for received in _recording(side, False)[: 1 + far]:
            end.receive(received, 0.0)
        events = _feed(end, data[2:], portion)
        assert not any(isinstance(event, (*JOINED, Waits, Dials)) for event in events)
        told.append((events, end.data_to_send()))
    assert told[0] == told[1]


def _beginnings() -> dict[str, bytes]:
    draw = drawn("relays")
    return {
        f"{name}-{far}": bytes((side, far)) + draw(2) + joined(draw(64), draw(80))
        for side, name in enumerate(("terminal", "relay"))
        for far in (0, 255)
    }


def _spoiled(data: bytes) -> int:
    """The first byte says whose recording, the second in what portions it comes, then come edits.

    Gives the events but for an end.
    """
    flags = data[0] if data else 1
    stream = edited(b"".join(_recording(1, bool(flags & 2))), data[2:])
    ends = _end(1), _end(1)
    whole = _feed(ends[0], stream, max(1, len(stream)))
    assert whole == _feed(ends[1], stream, 1 + int.from_bytes(data[1:2], "big"))
    assert ends[0].data_to_send() == ends[1].data_to_send()
    return sum(not isinstance(event, RelayEnded) for event in whole)


def _edits() -> dict[str, bytes]:
    found = {f"unspoiled-{number}": bytes((2 * number, 9)) for number in range(2)}
    return found | {f"edit-{number}": bytes((0, 40, number, 80, 1, 50)) for number in range(len(EDITS))}


def _with_keys(data: bytes) -> int:
    """The first byte says whose end is fed and what it does by itself; the script has what the other seals.

    A part of no byte lets the own side act (the relay calls or joins, the terminal waits or dials), one of
    one byte lets so many seconds pass. Gives how many events came but for an end.
    """
    flags = data[0] if data else 0
    pair = RelayPair("fuzz").run()
    end, other = (pair.relay, pair.terminal) if flags & 1 else (pair.terminal, pair.relay)
    sealing, now, events = other._noise, 0.0, list[RelayEvent]()
    assert sealing is not None
    for part in cut(data[1:]):
        if len(part) > 1:
            body = sealing.send.encrypt_with_ad(b"", part[:65_519])
            events += end.receive(len(body).to_bytes(LENGTH, "big") + body, now)
        elif part:
            now += part[0]
            events += end.handle_timer(now)
        else:
            _acts(pair, flags, now)
        end.data_to_send()
    _check(end, events)
    return sum(not isinstance(event, RelayEnded) for event in events)


def _acts(pair: RelayPair, flags: int, now: float) -> None:
    """What the own side may do in this state, as the flags say."""
    if flags & 1 and pair.relay.state is RelayState.WAITING:
        pair.relay.waiting()
        if flags & 2:
            pair.relay.call(token(1), now)
    elif flags & 1 and pair.relay.state is RelayState.DIALLING:
        if flags & 2:
            pair.relay.join(0)
        else:
            pair.relay.absent(now)
    elif not flags & 1 and pair.terminal.state is RelayState.READY:
        if flags & 2:
            pair.terminal.dial(token(1), now)
        else:
            pair.terminal.wait([token(1)], now)


def _scripts() -> dict[str, bytes]:
    def said(flags: int, *parts: RelayMessage | bytes) -> bytes:
        return bytes((flags,)) + joined(
            *(part if isinstance(part, bytes) else pad_message(part) for part in parts)
        )

    wait, dial = Wait([token(1), token(2)]), Dial(token(1), 0)
    return {
        "relay-is-waited-at": said(1, wait, b"", Alive(), wait, b"\x14", Alive()),
        "relay-calls": said(3, wait, b"", wait, Alive(), Answer()),
        "relay-is-dialled": said(1, dial, b"", Dial(token(2), 7), b"", dial, b""),
        "terminal-waits": said(0, b"", Waiting(), b"\x1a", Alive(), Called(token(1))),
        "terminal-dials": said(2, b"", Absent(), b"", Joined(3)),
        "terminal-is-told": said(0, b"", Waiting(), End(0)),
    }


TARGETS: Final[Mapping[str, Target]] = {
    "relay-address": Target(
        lambda data: parse_relay(text_of(data)),
        (ProtocolError,),
        published("relays", "Address", "parse_address", "text"),
        lambda relay: str(relay).encode(),
    ),
    "relay-greeting": Target(
        _greeting, (ProtocolError,), lambda: {"right": GREETING}, RelayGreeting.encode, False
    ),
    "relay-hello": Target(_hello, (ProtocolError,), _hellos, _hello_bytes),
    "relay-message": Target(
        _message, (ProtocolError,), _messages, lambda read: bytes([read[0]]) + pad_message(read[1])
    ),
    "relay-offer": Target(
        read_offer, (ProtocolError,), _offers, lambda offer: write_offer(offer[1], offer[0])
    ),
    "relay-cluster-frame": Target(_cluster_frame, (ProtocolError,), _cluster_frames),
    "relay-bytes": Target(_any_bytes, (), _beginnings, slow=True),
    "relay-recording": Target(_spoiled, (), _edits, slow=True),
    "relay-contents": Target(_with_keys, (), _scripts, slow=True),
}
