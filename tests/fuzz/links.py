"""Targets of whole links: any bytes in any state, a recording that is spoiled, a peer with the keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from protocol.codec import encode
from protocol.link.framing import LAST, Pattern
from protocol.link.link import Link
from protocol.link.states import LinkOpen, MessageReceived
from protocol.messages import Close, Confirm, Entry, Features, Ping, Pong, Typing
from tests.fuzz.streams import contents
from tests.fuzz.target import Target, drawn, joined
from tests.support.protocol.links import START, Pair, check_end, contacts, feed, open_pair

ENTRY: Final = Entry(b"header", b"salt", b"body")
TYPING: Final = Typing(bytes(32), True)
BEGINNINGS: Final = [(pattern, side) for pattern in Pattern for side in (0, 1)]
"""Each pattern, and whose link is fed: the initiator's (0) or the responder's (1)."""


def _pair(pattern: Pattern) -> Pair:
    """Two links whose randomness is fixed, but for ML-KEM encapsulation."""
    alice, bob = contacts(seed="fuzz")
    return Pair(alice.calls(bob, pattern), bob.answers())


@lru_cache(maxsize=len(BEGINNINGS))
def _recording(pattern: Pattern, side: int) -> tuple[bytes, ...]:
    """All that one end receives in a handshake and a short talk, portion by portion."""
    both = _pair(pattern).run()
    for message in (ENTRY, TYPING, ENTRY):
        for end in both.ends:
            both.send(end, message)
    source = both.ends[1 - side]
    source.link.ping(START)
    source.link.close(0)
    both.run()
    return tuple(source.sent)


def _link(pattern: Pattern, side: int) -> Link:
    """The link that made the recording, at its beginning again."""
    return _pair(pattern).ends[side].link


def _any_bytes(data: bytes) -> None:
    """The first byte says which link, the second how far it has come; then anything comes."""
    pattern, side = BEGINNINGS[data[0] % len(BEGINNINGS)] if data else BEGINNINGS[0]
    told = []
    for portion in (max(1, len(data)), 1):
        link = _link(pattern, side)
        for received in _recording(pattern, side)[: int.from_bytes(data[1:2], "big") % 6]:
            feed(link, received, len(received))
        events = feed(link, data[2:], portion)
        check_end(events)
        assert not any(isinstance(event, LinkOpen | MessageReceived) for event in events)
        told.append(events)
    assert told[0] == told[1]


def _beginnings() -> dict[str, bytes]:
    draw = drawn("links")
    found = {}
    for number, (pattern, side) in enumerate(BEGINNINGS):
        name = f"{pattern.name.lower()}-{('initiator', 'responder')[side]}"
        found[name] = bytes((number, number)) + joined(draw(96), draw(300))
    return found


# The recordings that open each time, because their reader encapsulates nothing.
REPLAYED: Final = ((Pattern.XX, 1), (Pattern.XXPSK0, 1), (Pattern.IKPSK2, 0))

EDITS: Final[tuple[Callable[[bytes, int, int], bytes], ...]] = (
    lambda stream, at, value: stream[:at] + bytes((stream[at] ^ (value or 1),)) + stream[at + 1 :],
    lambda stream, at, value: stream[:at],
    lambda stream, at, value: stream[:at] + stream[at + value :],
    lambda stream, at, value: stream[:at] + bytes(value) + stream[at:],
    lambda stream, at, value: stream[: at + value] + stream[at:],
)
"""A bit turned, the rest cut off, some left out, zeros put in, some repeated."""
EDIT_SIZE: Final = 4
EDITS_MAX: Final = 8


def edited(stream: bytes, script: bytes) -> bytes:
    """The stream after edits of 4 bytes: which, where in 65,536ths of the stream (two bytes), a value."""
    for place in range(0, min(len(script), EDITS_MAX * EDIT_SIZE) - EDIT_SIZE + 1, EDIT_SIZE):
        which, *where, value = script[place : place + EDIT_SIZE]
        at = int.from_bytes(bytes(where), "big") * len(stream) >> 16
        stream = EDITS[which % len(EDITS)](stream, at, value) if stream else stream
    return stream


def _spoiled(data: bytes) -> int:
    """The first byte says which recording, the second in what portions it comes, then come edits.

    Gives the messages that arrived.
    """
    pattern, side = REPLAYED[data[0] % len(REPLAYED)] if data else REPLAYED[0]
    stream = edited(b"".join(_recording(pattern, side)), data[2:])
    links = _link(pattern, side), _link(pattern, side)
    whole = feed(links[0], stream, max(1, len(stream)))
    assert whole == feed(links[1], stream, 1 + int.from_bytes(data[1:2], "big"))
    assert links[0].data_to_send() == links[1].data_to_send()
    check_end(whole)
    return sum(isinstance(event, MessageReceived) for event in whole)


def _edits() -> dict[str, bytes]:
    found = {f"unspoiled-{number}": bytes((number, 9)) for number in range(len(REPLAYED))}
    for number in range(len(EDITS)):
        found[f"edit-{number}"] = bytes((number, 40, number, 90 + 30 * number, 1, 50))
    return found


def _with_keys(data: bytes) -> int:
    """The first byte says whose link is fed; the script has the contents that the other one seals.

    Gives the messages that arrived after the first.
    """
    both = open_pair()
    side = data[0] & 1 if data else 0
    target, source = both.ends[side], both.ends[1 - side]
    both.send(both.initiator, TYPING)
    both.send(both.responder, TYPING)
    for content in contents(data[1:]):
        both.inject(target, source.seal(content))
    check_end(target.events)
    return len(target.messages()) - 1


def _sealed() -> dict[str, bytes]:
    said = [LAST + encode(message) for message in (ENTRY, Ping(1), TYPING, Close(0), TYPING)]
    return {
        "talk": b"\x00" + joined(*said),
        "in-pieces": b"\x01" + joined(b"", LAST + b"end"),
        "not-now": b"\x00" + joined(LAST + encode(Confirm(b"", []))),
        "later": b"\x00"
        + joined(LAST + b"\x92\x35\xc0", LAST + b"\x92\xcd\xff\xff\x01", LAST + encode(TYPING)),
        "features": b"\x00" + joined(LAST + encode(Features([1, 258]))),
        "unasked": b"\x01" + joined(LAST + encode(Pong(1))),
        "too-large": b"\x01" + joined(*[b""] * 5),
    }


TARGETS: Final[Mapping[str, Target]] = {
    "link-bytes": Target(_any_bytes, (), _beginnings, slow=True),
    "link-recording": Target(_spoiled, (), _edits, slow=True),
    "link-contents": Target(_with_keys, (), _sealed, slow=True),
}
