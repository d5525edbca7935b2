"""What the tests of links under attack share: true envelopes, spoiled ones, and a peer without manners."""

from __future__ import annotations

import struct

from protocol.link.link import Link
from protocol.link.states import Ending, LinkClosed
from protocol.messages import Entry, Typing
from protocol.ratchet import RatchetSession
from tests.support.engines.pair import START, End, contacts, frames

TYPING = Typing(bytes(32), True)
ENTRY = Entry(b"header", b"salt", b"body")
CLASSES = ("malformed", "unexpected", "authentication", "limit", "untrusted")


def error(name: str) -> LinkClosed:
    """The end of a link by a peer's fault of one of the five classes."""
    assert name in CLASSES
    return LinkClosed(Ending.ERROR, name, False)


def confirming() -> tuple[End, RatchetSession]:
    """A responder that waits for Confirm, and the session of its peer, whose first envelope is a test's."""
    alice, bob = contacts()
    responder = End(Link(bob.answers(), START))
    frame, answer = alice.calls(bob).begin(responder.link.data_to_send())
    responder.receive(frame)
    (reply,) = frames(responder.link.data_to_send())
    return responder, answer.read(reply)[1].session


def sealed_frames(end: End, *messages: Entry | Typing) -> list[bytes]:
    """Envelopes that end sends for messages, kept by whoever is in between."""
    for message in messages:
        assert end.link.send(message, START)
    return frames(end.link.data_to_send())


def with_counters(envelope: bytes, pn: int, n: int) -> bytes:
    """envelope with other counters in its header."""
    return envelope[:32] + struct.pack(">II", pn, n) + envelope[40:]
