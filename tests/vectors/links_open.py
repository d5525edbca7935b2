"""Vectors of open links on which something is refused: messages, Pongs, Close, pieces, limits.

Rules: one end is under test; its peer is Noise and a session alone, so that it can say anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from protocol.codec import encode
from protocol.frames import LAST, MORE
from protocol.limits import LINK_ENVELOPES_MAX
from protocol.messages import (
    Accept,
    Close,
    Commit,
    Confirm,
    Message,
    Open,
    Ping,
    Pong,
    Record,
    Reveal,
    Typing,
)
from protocol.vectors.frame import Json
from tests.vectors.files import Group
from tests.vectors.links_ends import confirmed, envelope, greeting, said
from tests.vectors.links_life import Life, link_inputs
from tests.vectors.links_wrong import Refusal, add_refusal, refusing

TYPING: Final = Typing(bytes(32), True)
_ID: Final = bytes(32)
PAIRING: Final[tuple[Message, ...]] = (
    Commit(_ID, "Anna"),
    Reveal(_ID, "Bob"),
    Open(_ID),
    Record([b"\x00"], _ID, 1, _ID, [], bytes(64)),
    Accept(_ID),
)


def open_groups(phrase: str) -> list[Group]:
    """All groups of this file."""
    inputs = link_inputs(phrase, "IKpsk2")
    return [_responder(inputs), _initiator(inputs), _pongs(inputs), _counted(inputs)]


def _responder(inputs: Json) -> Group:
    """A responder whose peer has just confirmed."""
    frames = confirmed(inputs)[2]
    group, _ = refusing("6.4", inputs, "responder", frames[0], frames[-1])

    def next_one(content: bytes) -> bytes:
        return envelope(confirmed(inputs)[0], content)

    for row in (*_messages(next_one), *_pieces(next_one), *_envelopes(inputs)):
        add_refusal(group, "responder", row)
    return group


def _messages(next_one: Callable[[bytes], bytes]) -> Iterator[Refusal]:
    def says(message: Message) -> bytes:
        return next_one(LAST + encode(message))

    for number in (0, 5, 53, 127):
        stream = next_one(LAST + encode([number, 1]))
        yield Refusal(f"message {number}", "Message", "V-MS-01", "malformed", stream)
    for message in PAIRING:
        comment = f"a {type(message).__name__} from a contact"
        yield Refusal(comment, "Message", "V-MS-03", "unexpected", says(message))
    yield Refusal("a second Confirm", "Confirm", "V-CF-04", "unexpected", says(Confirm(b"")))
    yield Refusal("a Pong to no Ping", "Message", "V-PO-01", "unexpected", says(Pong(1)))
    yield Refusal("a Pong of number 0", "Message", "V-PO-01", "unexpected", says(Pong(0)))
    for reason in (4, 255):
        yield Refusal(f"Close {reason}", "Message", "V-CL-01", "malformed", says(Close(reason)))
    longer = next_one(LAST + bytes.fromhex("9202cc01"))
    yield Refusal("a Ping in a longer encoding", "Message", "V-CD-04", "malformed", longer)
    yield Refusal(
        "a Ping with a byte after it", "Message", "V-CD-02", "malformed", next_one(LAST + b"\x92\x02\x01\x00")
    )
    yield Refusal("an empty frame", "Frame", "V-FR-01", "malformed", b"\x00\x00")


def _pieces(next_one: Callable[[bytes], bytes]) -> Iterator[Refusal]:
    ping = encode(Ping(1))
    for comment, content, rule in (
        ("no flag", b"", "V-PC-01"),
        ("a flag alone", LAST, "V-PC-01"),
        ("flag 0x02", b"\x02" + ping, "V-PC-01"),
        ("a piece that is not full", MORE + ping, "V-PC-02"),
    ):
        yield Refusal(comment, "Message", rule, "malformed", next_one(content))


def _envelopes(inputs: Json) -> Iterator[Refusal]:
    """Envelopes that came before, that are missing, or that are one's own."""
    calling, called, frames = confirmed(inputs)
    yield Refusal("Confirm's envelope again", "Replayed", "V-EN-05", "unexpected", frames[-1])
    said(calling, TYPING)
    yield Refusal("an envelope is missing", "Replayed", "V-EN-06", "unexpected", said(calling, TYPING))
    own = said(called, TYPING)
    yield Refusal("an envelope of the responder's own", "Reflected", "V-EN-03", "unexpected", own)


def _initiator(inputs: Json) -> Group:
    """An initiator that is open, and has heard nothing yet."""
    frames = confirmed(inputs)[2]
    group, _ = refusing("6.4", inputs, "initiator", greeting(inputs), frames[1])

    def next_one(message: Message) -> bytes:
        return said(confirmed(inputs)[1], message)

    for row in (
        Refusal("Confirm from the responder", "Confirm", "V-CF-04", "unexpected", next_one(Confirm(b""))),
        Refusal("a Record from a contact", "Message", "V-MS-03", "unexpected", next_one(PAIRING[3])),
        Refusal("a Pong to no Ping", "Message", "V-PO-01", "unexpected", next_one(Pong(1))),
        Refusal("Close 4", "Message", "V-CL-01", "malformed", next_one(Close(4))),
        Refusal(
            "message 5",
            "Message",
            "V-MS-01",
            "malformed",
            envelope(confirmed(inputs)[1], LAST + b"\x92\x05\x01"),
        ),
    ):
        add_refusal(group, "initiator", row)
    return group


def _pongs(inputs: Json) -> Group:
    """Pongs that answer another Ping than the oldest."""
    group = Group("5.5", inputs)
    for comment, pings, pongs in (
        ("of the second Ping", 2, (2,)),
        ("twice", 1, (1, 1)),
        ("of no Ping yet", 1, (2,)),
    ):
        life = Life(inputs).open()
        calling, called, _ = confirmed(inputs)
        for number in range(1, pings + 1):
            life.take("send", actor="initiator", message=encode(Ping(number)).hex())
            called.decrypt(calling.encrypt(LAST + encode(Ping(number))))
        for number in pongs[:-1]:
            life.take("receive", actor="initiator", stream=said(called, Pong(number)).hex())
        stream = said(called, Pong(pongs[-1])).hex()
        steps = life.refused("receive", actor="initiator", stream=stream)
        group.add(f"a Pong {comment}", ["Message"], "unexpected", steps, rule="V-PO-01")
    return group


def _counted(inputs: Json) -> Group:
    """The last envelope of a direction, and one more."""
    group = Group("6.5", inputs)
    calling, _, _ = confirmed(inputs)
    life = Life(inputs).open()
    life.take("count", actor="responder", received=LINK_ENVELOPES_MAX - 1)
    life.take("receive", actor="responder", stream=said(calling, TYPING).hex())
    steps = life.refused("receive", actor="responder", stream=said(calling, TYPING).hex())
    group.add("one envelope more than 2^20", ["Limit"], "limit", steps, rule="V-EL-01")
    return group
