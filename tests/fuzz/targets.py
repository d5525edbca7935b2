"""What is fuzzed: every decoder of bytes that come from outside, with the starting inputs in seeds/fuzz.

Rules: a target takes bytes and gives a value or one of its typed errors, never anything else; inputs are
what the program itself makes, from a public label, so that they can be made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from chat.network import addresses, records
from chat.ports import Announcement
from chat.storage import header
from protocol import messages as m
from protocol.agreement import CONTACT_HELLO, CONTACT_REPLY, PAIRING_FINISH, PAIRING_REPLY
from protocol.codec import encode
from protocol.errors import ProtocolError
from protocol.invitation import format_invitation, make_invitation, parse_invitation
from protocol.person_author import NewPerson, create_person
from protocol.person_log import parse_operation
from tests.architecture.imports import ROOT

FOLDER: Final = ROOT / "seeds" / "fuzz"
PHRASE: Final = "Parlour fuzzing inputs, first edition"


def drawn(label: str) -> Callable[[int], bytes]:
    """Bytes from the public phrase and a label, as many as are asked for."""
    counter = 0

    def draw(size: int) -> bytes:
        nonlocal counter
        out = b""
        while len(out) < size:
            out += sha256(f"{PHRASE}\0{label}\0{counter}".encode()).digest()
            counter += 1
        return out[:size]

    return draw


@dataclass(frozen=True)
class Target:
    """A decoder, what it may raise, and its starting inputs by name."""

    decode: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    inputs: Callable[[], Mapping[str, bytes]]


def person() -> NewPerson:
    return create_person("Ada", drawn("person"))


def _messages() -> dict[str, bytes]:
    draw, ada = drawn("message"), person()
    conversation = draw(32)
    made: list[m.Message] = [
        m.Confirm(b""),
        m.Ping(7),
        m.Pong(7),
        m.Close(1),
        m.Commit(draw(32), "Ada"),
        m.Reveal(draw(32), "小雨"),
        m.Open(draw(32)),
        m.Record(list(ada.operations), ada.terminal, 1, draw(32), [draw(32)], draw(64)),
        m.Accept(draw(32)),
        m.LogHeads([draw(32)]),
        m.LogOperations(list(ada.operations)),
        m.Reachable(4747),
        m.HeadsHash(conversation, draw(32)),
        m.Heads(conversation, [m.Head(draw(32), 3, draw(32))]),
        m.Entry(_entry()["header"], draw(16), _entry()["body"]),
        m.Receipt(1, [draw(32), draw(32)]),
        m.Typing(conversation, True),
    ]
    return {type(message).__name__.lower(): encode(message) for message in made}


def _entry() -> dict[str, bytes]:
    draw = drawn("entry")
    made = m.EntryHeader(
        conversation=draw(32),
        author=draw(32),
        incarnation=draw(8),
        sequence=2,
        previous=draw(32),
        parents=[draw(32)],
        membership=[draw(32)],
        time=1_795_000_000_000,
        kind=1,
        content=draw(32),
        self_tag=draw(32),
    )
    return {"header": encode(made), "body": encode(m.TextBody("Good morning, 小雨 🙂", draw(32)))}


def _handshake() -> dict[str, bytes]:
    draw = drawn("handshake")
    return {
        "hello": encode(m.ContactHello(draw(32), m.ShareNumbers([2, 1], [1]), draw(1184), draw(32))),
        "reply": encode(m.ContactReply(draw(1088), draw(32), draw(32))),
        "pairing-reply": encode(m.PairingReply(draw(1184), draw(32), draw(32))),
        "pairing-finish": encode(m.PairingFinish(draw(1088), draw(32))),
    }


def _any_handshake(data: bytes) -> None:
    """All four payloads: which one is expected depends on the pattern alone."""
    refused = []
    for codec in (CONTACT_HELLO, CONTACT_REPLY, PAIRING_REPLY, PAIRING_FINISH):
        try:
            codec.decode(data)
        except ProtocolError as error:
            refused.append(error)
    if len(refused) == 4:
        raise refused[0]


def _invitations() -> dict[str, bytes]:
    draw = drawn("invitation")
    places = ["192.168.1.20:4747", "[fe80::1c2d]:4747"]
    made = make_invitation(draw(32), draw(32), 1_795_000_000, places, (), draw)
    return {"two-addresses": format_invitation(made).encode()}


def _operations() -> dict[str, bytes]:
    genesis, rename = person().operations
    return {"genesis": genesis, "rename": rename}


def _headers() -> dict[str, bytes]:
    draw = drawn("header")
    key = header.DatabaseKey(draw(32))
    return {"cheapest": header.wrap(key, "correct horse", header.CHEAPEST, 4747, draw).to_bytes()}


def _announcements() -> dict[str, bytes]:
    draw = drawn("announcement")
    slots = tuple(draw(8) for _ in range(32))
    announced = Announcement("a1b2c3", ("192.168.1.20",), 4747, slots)
    visible = Announcement("a1b2c3", ("192.168.1.20",), 4747, slots, "Ada 小雨")
    return {"hidden": records.encode_text(announced), "visible": records.encode_text(visible)}


TARGETS: Final[Mapping[str, Target]] = {
    "message": Target(m.MESSAGE.decode, (ProtocolError,), _messages),
    "entry-header": Target(m.ENTRY_HEADER.decode, (ProtocolError,), lambda: {"text": _entry()["header"]}),
    "text-body": Target(m.TEXT_BODY.decode, (ProtocolError,), lambda: {"text": _entry()["body"]}),
    "handshake-payload": Target(_any_handshake, (ProtocolError,), _handshake),
    "operation": Target(parse_operation, (ProtocolError,), _operations),
    "invitation": Target(
        lambda data: parse_invitation(data.decode("latin-1")), (ProtocolError,), _invitations
    ),
    "announcement": Target(
        lambda data: records.decode("a1b2c3", 4747, ["192.168.1.20"], data), (ProtocolError,), _announcements
    ),
    "address": Target(
        lambda data: addresses.parse(data.decode("latin-1")),
        (ValueError,),
        lambda: {"ipv4": b"192.168.1.20:4747", "ipv6": b"[fe80::1%eth0]:4747"},
    ),
    "profile-header": Target(header.parse, (ProtocolError,), _headers),
}
