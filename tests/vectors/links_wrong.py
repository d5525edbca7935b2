"""Vectors of links on which something is refused, before and after they are open (SPEC §5, §6).

One end is under test. Its peer is Noise and a session alone, so that it can say anything; `before` holds once
the steps that all tests of a group have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from protocol.codec import Wire, encode
from protocol.keys import X25519Pair
from protocol.limits import HELD_BYTES_MAX, LINK_ENVELOPES_MAX
from protocol.link.framing import LAST, MORE, pad
from protocol.messages import (
    Accept,
    Close,
    Commit,
    Confirm,
    ContactHello,
    ContactReply,
    Features,
    Message,
    Open,
    PairingFinish,
    PairingReply,
    Ping,
    Pong,
    Record,
    Reveal,
    Typing,
)
from protocol.vectors.frame import Json
from protocol.vectors.links import pair
from tests.vectors.files import Group
from tests.vectors.links_ends import (
    ClaimedPair,
    Life,
    Peer,
    confirmed,
    envelope,
    finished,
    frame,
    greeting,
    invitation,
    link_inputs,
    padded,
    said,
)

LOW_ORDER: Final = bytes(32)
NOT_CANONICAL: Final = (2**255 - 10).to_bytes(32, "little")
REFUSAL: Final = "0003000101"
NOT_REDUCED: Final = b"\xff" * 1_152 + bytes(32)


@dataclass(frozen=True)
class Refusal:
    """Comment, flag, rule and its class, the stream that breaks it, what is sent in answer, inputs."""

    comment: str
    flag: str
    rule: str
    expect: str
    stream: Any
    gives: Json | None = None
    inputs: Json | None = None


def refusing(section: str, inputs: Json, actor: str, *streams: bytes) -> tuple[Group, Life]:
    """A group whose tests begin with one end that has received these streams."""
    life = Life(inputs)
    life.take("begin", actor=actor)
    for stream in streams:
        life.take("receive", actor=actor, stream=stream.hex())
    return Group(section, inputs | {"before": life.steps}), life


def add_refusal(group: Group, actor: str, refusal: Refusal) -> None:
    """One test, which has nothing but the step that is refused."""
    written = refusal.stream.hex() if isinstance(refusal.stream, bytes) else refusal.stream
    step = {"actor": actor, "do": "receive", "stream": written}
    gives = {"gives": refusal.gives | {"state": "CLOSED"}} if refusal.gives else {}
    changed = refusal.inputs or {}
    flags, rule = [refusal.flag], refusal.rule
    group.add(refusal.comment, flags, refusal.expect, [step | gives], rule=rule, **changed)


def _group(section: str, inputs: Json, actor: str, before: list[bytes], rows: Iterator[Refusal]) -> Group:
    group, _ = refusing(section, inputs, actor, *before)
    for row in rows:
        add_refusal(group, actor, row)
    return group


def wrong_groups(phrase: str) -> list[Group]:
    """What is refused before a link is open."""
    nearby, invited, contact = (link_inputs(phrase, name) for name in ("XX", "XXpsk0", "IKpsk2"))
    greeted = greeting(nearby)
    return [
        _group("5.1", nearby, "initiator", [], _greetings(greeted)),
        _group("5.1", contact, "responder", [], _choices(contact)),
        _no_aegis(link_inputs(phrase, "IKpsk2", aes=(True, False))),
        _group("5.1", nearby, "responder", [], _nearby_calls(nearby)),
        _group("5.1", invited, "responder", [], _invited_calls(invited)),
        _group("5.1", nearby, "initiator", [greeted], _refusals()),
        *_frames(nearby, invited, contact),
        _group("6.3", contact, "responder", [], _contact_calls(contact)),
        _group("6.3", nearby, "initiator", [greeted], _pairing_replies(nearby)),
        _group("6.3", contact, "initiator", [greeting(contact)], _contact_replies(contact)),
        _finishes(nearby),
        _confirms(contact),
        _pairing_confirms(nearby),
    ]


# --- Greeting, choice, refusal (SPEC §5.1) ---


def _greetings(right: bytes) -> Iterator[Refusal]:
    def greeted(*fields: int) -> bytes:
        return right[:8] + bytes(fields) + right[12:]

    malformed = ("Greeting", "V-GR-01", "malformed")
    yield Refusal("another first byte", *malformed, b"H")
    yield Refusal("another program", *malformed, b"SSH-2.0-OpenSSH")
    yield Refusal("another eighth byte", *malformed, right[:7] + b"\x01")
    for low, high in ((0, 1), (0, 0), (2, 1)):
        stream = greeted(low, high, 3, 0)
        yield Refusal(f"versions {low} to {high}", "Greeting", "V-GR-02", "malformed", stream)
    for low, high, reserved in ((2, 2, 0), (2, 3, 0), (2, 9, 1)):
        comment = f"versions {low} to {high}, reserved {reserved}"
        gives = {"versions": [low, high]}
        stream = greeted(low, high, 3, reserved)
        yield Refusal(comment, "Version", "V-GR-03", "unexpected", stream, gives)
    for aeads, reserved in ((3, 1), (1, 0), (0, 0), (0xFC, 0)):
        comment = f"AEADs {aeads:#x}, reserved {reserved}"
        yield Refusal(comment, "Greeting", "V-GR-04", "malformed", greeted(1, 1, aeads, reserved))


def _choices(inputs: Json) -> Iterator[Refusal]:
    call = Peer("initiator", inputs).call()
    for size in (1, 2):
        yield Refusal(f"{size} bytes", "Frame", "V-CH-01", "malformed", frame(call[:size]))
    yield Refusal("version 0", "Version", "V-CH-01", "malformed", frame(b"\x00" + call[1:]))
    sends = {"sends": REFUSAL}
    for version in (2, 255):
        gives = sends | {"versions": [version, version]}
        stream = frame(bytes([version]) + call[1:])
        yield Refusal(f"version {version}", "Version", "V-CH-02", "unexpected", stream, gives)
    for pattern, aead in ((0, 1), (4, 1), (3, 0), (3, 3)):
        stream = frame(bytes((1, pattern, aead)) + call[3:])
        comment = f"pattern {pattern}, AEAD {aead}"
        yield Refusal(comment, "Refused", "V-CH-03", "unexpected", stream, sends)
    yield Refusal("the choice alone", "Truncated", "V-HS-01", "malformed", frame(call[:3]))


def _no_aegis(inputs: Json) -> Group:
    call = Peer("initiator", inputs).call()
    stream = frame(bytes((1, 3, 1)) + call[3:])
    row = Refusal("AEGIS-256, not offered", "Refused", "V-CH-03", "unexpected", stream, {"sends": REFUSAL})
    return _group("5.1", inputs, "responder", [], iter([row]))


def _nearby_calls(inputs: Json) -> Iterator[Refusal]:
    call = Peer("initiator", inputs).call()
    hidden = {"responder_visible": False}
    sends = {"sends": REFUSAL}
    refused = ("Refused", "V-CH-04", "unexpected")
    yield Refusal("not visible", *refused, frame(call), sends, hidden)
    yield Refusal("not visible, and message 1 is cut", *refused, frame(call[:10]), sends, hidden)
    yield Refusal("message 1 without its last byte", "Truncated", "V-HS-01", "malformed", frame(call[:-1]))
    stream = frame(Peer("initiator", inputs).call(b"\x00"))
    yield Refusal("message 1 with a payload", "Payload", "V-HS-04", "malformed", stream)
    yield from _keys("the ephemeral key", lambda key: frame(call[:3] + key))


def _keys(name: str, stream: Callable[[bytes], bytes]) -> Iterator[Refusal]:
    yield Refusal(f"{name} not canonical", "Key", "V-KY-01", "malformed", stream(NOT_CANONICAL))
    yield Refusal(f"{name} of small order", "Key", "V-KY-02", "authentication", stream(LOW_ORDER))


def _invited_calls(inputs: Json) -> Iterator[Refusal]:
    call, spare = Peer("initiator", inputs).call(), inputs["greeting_random"] * 2
    missing = [*inputs["missing_psks"], spare]

    def row(comment: str, stream: bytes, **changed: Any) -> Refusal:
        sends = {"sends": REFUSAL}
        return Refusal(comment, "Refused", "V-CH-05", "unexpected", stream, sends, changed or None)

    yield row("another psk", frame(Peer("initiator", inputs | {"initiator_psk": spare}).call()))
    yield row("no invitation is open", frame(call), responder_invitations=[], missing_psks=missing)
    others = [invitation(psk, inputs["initiator_static"]) for psk in missing]
    fifth = [*others, *inputs["responder_invitations"]]
    yield row("the fifth of five invitations", frame(call), responder_invitations=fifth, missing_psks=[])
    yield row("message 1 with a payload", frame(Peer("initiator", inputs).call(b"\x00")))
    yield row("message 1 without its last byte", frame(call[:-1]))
    yield row("an ephemeral key that is not canonical", frame(call[:3] + NOT_CANONICAL + call[35:]))


def _refusals() -> Iterator[Refusal]:
    for low, high in ((0, 1), (2, 1)):
        stream = frame(bytes((0, low, high)))
        yield Refusal(f"versions {low} to {high}", "Version", "V-RF-01", "malformed", stream)
    stream = frame(bytes((0, 2, 3)))
    yield Refusal("versions 2 to 3", "Version", "V-RF-02", "unexpected", stream, {"versions": [2, 3]})
    for high in (1, 9):
        stream = frame(bytes((0, 1, high)))
        yield Refusal(f"versions 1 to {high}", "Refused", "V-RF-03", "unexpected", stream)


# --- Frames (SPEC §5.1) ---


def _frames(nearby: Json, invited: Json, contact: Json) -> Iterator[Group]:
    call = frame(Peer("initiator", contact).call())
    places: list[tuple[str, str, Json, list[bytes]]] = [
        ("where the choice is due", "responder", contact, []),
        ("where message 2 is due", "initiator", nearby, [greeting(nearby)]),
        ("where Confirm is due", "responder", contact, [call]),
    ]
    for place, actor, inputs, before in places:
        rows = (
            Refusal(f"length 0 {place}", "Frame", "V-FR-01", "malformed", b"\x00\x00"),
            Refusal(f"length 4,097 {place}", "Frame", "V-FR-02", "limit", b"\x10\x01"),
            Refusal(f"length 65,535 {place}", "Frame", "V-FR-02", "limit", b"\xff\xff"),
        )
        yield _group("5.1", inputs, actor, before, iter(rows))
    before = [frame(body) for body in finished(invited)[2][::2]]
    too_much = [{"hex": "00", "times": HELD_BYTES_MAX + 1}]
    row = Refusal("131,073 bytes while HELD", "Limit", "V-FR-03", "limit", too_much)
    yield _group("5.1", invited, "responder", before, iter([row]))


# --- Handshake messages (SPEC §6.3) ---


def flip(message: bytes, place: int) -> bytes:
    """The message with one bit of a byte changed."""
    changed = bytearray(message)
    changed[place] ^= 1
    return bytes(changed)


def _payloads(struct: Wire, stream: Callable[[bytes], bytes]) -> Iterator[Refusal]:
    """What is wrong with any payload, sealed as its message demands."""
    right = encode(struct)
    for comment, payload in (
        ("a payload of nothing", b""),
        ("a payload that is not padded", right),
        ("a payload with a filling that is not zero", pad(right)[:-1] + b"\x01"),
        ("a payload of another padded size", pad(right) + bytes(64)),
    ):
        yield Refusal(comment, "Payload", "V-HS-05", "malformed", stream(payload))
    rows = (
        ("a payload of 2,049 bytes", "V-CD-01", "limit", right.ljust(2_049, b"\x00")),
        ("a struct with a byte after it", "V-CD-02", "malformed", right + b"\x00"),
        ("an empty struct", "V-CD-02", "malformed", b"\x90"),
        ("a struct as array 16", "V-CD-04", "malformed", b"\xdc\x00" + bytes([right[0] & 15]) + right[1:]),
    )
    for comment, rule, expect, content in rows:
        yield Refusal(comment, "Payload", rule, expect, stream(pad(content)))


def _contact_calls(inputs: Json) -> Iterator[Refusal]:
    """Message 1 of IKpsk2."""
    call, hello = Peer("initiator", inputs).call(), Peer("initiator", inputs).payloads.hello
    assert isinstance(hello, ContactHello)

    def sealed(payload: bytes) -> bytes:
        return frame(Peer("initiator", inputs).call(payload))

    for comment, size in (("its ephemeral key", 3 + 31), ("its static key", 3 + 32 + 47)):
        yield Refusal(f"cut within {comment}", "Truncated", "V-HS-01", "malformed", frame(call[:size]))
    tampered = ("Tampered", "V-HS-02", "authentication")
    yield Refusal("cut within its payload's tag", *tampered, frame(call[: 3 + 80 + 15]))
    for comment, place in (("the ephemeral key", 3), ("the static key", 3 + 40), ("the payload", -1)):
        yield Refusal(f"one bit of {comment}", *tampered, frame(flip(call, place)))
    other = flip(greeting(inputs), 27)
    yield Refusal("another greeting was seen", *tampered, frame(Peer("initiator", inputs, wire=other).call()))
    yield from _keys("the ephemeral key", lambda key: frame(call[:3] + key + call[35:]))
    yield from _keys("the static key", lambda key: _claimed_call(inputs, key))
    yield from _payloads(hello, sealed)
    stream = sealed(padded(replace(hello, kem_key=NOT_REDUCED)))
    yield Refusal("a KEM key that is not reduced", "Key", "V-KY-04", "malformed", stream)
    own_static = Peer("initiator", inputs, static=pair(inputs["responder_static"])).call()
    yield Refusal("the responder's own static key", "Reflected", "V-HS-07", "unexpected", frame(own_static))


def _claimed_call(inputs: Json, key: bytes) -> bytes:
    return frame(Peer("initiator", inputs, static=ClaimedPair(key)).call())


def _replies(inputs: Json) -> tuple[bytes, Callable[[bytes], bytes], Callable[..., bytes]]:
    """Message 2: the right one, the bytes of one with any payload, and a frame with any static key."""

    def reply(payload: bytes | None = None, static: X25519Pair | None = None) -> bytes:
        responder = Peer("responder", inputs, static=static)
        responder.read(Peer("initiator", inputs).call()[3:])
        return responder.write(padded(responder.payloads.reply) if payload is None else payload)

    return reply(), lambda payload: frame(reply(payload)), lambda key: frame(reply(None, ClaimedPair(key)))


def _pairing_replies(inputs: Json) -> Iterator[Refusal]:
    """Message 2 of XX."""
    right, sealed, claimed = _replies(inputs)
    reply = Peer("responder", inputs).payloads.reply
    assert isinstance(reply, PairingReply)
    own = pair(inputs["initiator_ephemeral"]).public
    for comment, size in (("its ephemeral key", 31), ("its static key", 79)):
        yield Refusal(f"cut within {comment}", "Truncated", "V-HS-01", "malformed", frame(right[:size]))
    tampered = ("Tampered", "V-HS-02", "authentication")
    yield Refusal("cut within its payload's tag", *tampered, frame(right[:95]))
    for comment, place in (("the static key", 40), ("the payload", -1)):
        yield Refusal(f"one bit of {comment}", *tampered, frame(flip(right, place)))
    yield Refusal(
        "the initiator's own ephemeral key", "Reflected", "V-HS-03", "unexpected", frame(own + right[32:])
    )
    yield from _keys("the ephemeral key", lambda key: frame(key + right[32:]))
    yield from _keys("the static key", claimed)
    yield from _payloads(reply, sealed)

    def of(kem_key: bytes, ratchet: bytes) -> bytes:
        return sealed(padded(PairingReply(kem_key, reply.share, ratchet)))

    yield from _keys("the ratchet key", lambda key: of(reply.kem_key, key))
    stream = of(NOT_REDUCED, reply.ratchet_key)
    yield Refusal("a KEM key that is not reduced", "Key", "V-KY-04", "malformed", stream)


def _contact_replies(inputs: Json) -> Iterator[Refusal]:
    """Message 2 of IKpsk2."""
    right, sealed, _ = _replies(inputs)
    reply = Peer("responder", inputs).payloads.reply
    assert isinstance(reply, ContactReply)
    own = pair(inputs["initiator_ephemeral"]).public
    yield Refusal("cut within its ephemeral key", "Truncated", "V-HS-01", "malformed", frame(right[:31]))
    yield Refusal(
        "the initiator's own ephemeral key", "Reflected", "V-HS-03", "unexpected", frame(own + right[32:])
    )
    yield from _keys("the ephemeral key", lambda key: frame(key + right[32:]))
    yield from _payloads(reply, sealed)
    refused = ("Tampered", "V-HS-08", "authentication")
    other = inputs | {
        "responder_pairs": [inputs["responder_pairs"][0] | {"own": "66" * 16}],
        "initiator_pairs": [inputs["initiator_pairs"][0] | {"contact_secret": inputs["stranger_psk"]}],
    }
    responder = Peer("responder", other)
    responder.read(Peer("initiator", inputs).call()[3:])
    yield Refusal("sealed under another psk", *refused, frame(responder.write(padded(reply))))
    yield Refusal("one bit of the payload", *refused, frame(flip(right, -1)))
    yield Refusal("cut within its payload's tag", *refused, frame(right[:47]))

    def ratchet(key: bytes) -> bytes:
        return sealed(padded(ContactReply(reply.kem_ciphertext, reply.share, key)))

    yield from _keys("the ratchet key", ratchet)


def _finishes(inputs: Json) -> Group:
    """Message 3 of XX."""

    def finish(payload: bytes | None = None, static: X25519Pair | None = None) -> bytes:
        initiator, responder = Peer("initiator", inputs, static=static), Peer("responder", inputs)
        responder.read(initiator.call()[3:])
        initiator.read(responder.write(padded(responder.payloads.reply)))
        assert initiator.payloads.finish is not None
        return initiator.write(padded(initiator.payloads.finish) if payload is None else payload)

    struct = Peer("initiator", inputs).payloads.finish
    assert isinstance(struct, PairingFinish)
    before = [frame(Peer("initiator", inputs).call())]
    rows = _finish_rows(finish(), lambda key: frame(finish(None, ClaimedPair(key))))
    payloads = _payloads(struct, lambda payload: frame(finish(payload)))
    return _group("6.3", inputs, "responder", before, iter([*rows, *payloads]))


def _finish_rows(right: bytes, claimed: Callable[[bytes], bytes]) -> Iterator[Refusal]:
    yield Refusal("cut within its static key", "Truncated", "V-HS-01", "malformed", frame(right[:47]))
    for comment, place in (("the static key", 0), ("the payload", -1)):
        stream = frame(flip(right, place))
        yield Refusal(f"one bit of {comment}", "Tampered", "V-HS-02", "authentication", stream)
    yield from _keys("the static key", claimed)


# --- Confirm (SPEC §5.3, §6.4) ---


def _confirms(inputs: Json) -> Group:
    """The first envelope, on a contact's link."""

    def first(content: bytes) -> bytes:
        return envelope(finished(inputs)[0].established(), content)

    call = finished(inputs)[2][0]
    right = said(finished(inputs)[0].established(), Confirm(b"", []))
    other = finished(inputs)[0].established(bytes.fromhex(inputs["stranger_psk"]))
    group = _group("5.3", inputs, "responder", [frame(call)], _confirm_rows(first))
    for comment, stream in (
        ("Confirm of another KEM secret", said(other, Confirm(b"", []))),
        ("one bit of Confirm's tag", flip(right, -1)),
        ("one bit of Confirm's ratchet key", flip(right, 2)),
    ):
        row = Refusal(comment, "Tampered", "V-EN-10", "authentication", stream)
        add_refusal(group, "responder", row)
    return group


def _confirm_rows(first: Callable[[bytes], bytes]) -> Iterator[Refusal]:
    for size in (1, 15):
        stream = first(b"\x00" + encode(Confirm(bytes(size), [])))
        yield Refusal(f"replaces of {size} bytes", "Confirm", "V-CF-01", "malformed", stream)
    for comment, rule, features in (
        ("features not ascending", "V-CF-05", [3, 2]),
        ("a feature twice", "V-CF-05", [3, 3]),
        ("33 features", "V-CD-03", list(range(33))),
        ("feature 65,536", "V-CD-03", [65_536]),
    ):
        stream = first(b"\x00" + encode(Confirm(b"", features)))
        yield Refusal(f"Confirm with {comment}", "Confirm", rule, "malformed", stream)
    for number in (6, 53):
        stream = first(b"\x00" + encode([number, 1]))
        comment = f"message {number}, which is unknown, before OPEN"
        yield Refusal(comment, "Message", "V-MS-01", "malformed", stream)
    yield Refusal(
        "Features before OPEN", "Message", "V-CF-03", "unexpected", first(b"\x00" + encode(Features([1])))
    )
    stream = first(b"\x00" + encode(Ping(1)))
    yield Refusal("a Ping first", "Confirm", "V-CF-03", "unexpected", stream)
    stream = first(b"\x00" + encode(Typing(bytes(32), True)))
    yield Refusal("a Typing before OPEN", "Message", "V-MS-02", "unexpected", stream)
    stream = first(MORE + encode(Confirm(b"", [])))
    yield Refusal("Confirm as a piece that is not full", "Confirm", "V-PC-02", "malformed", stream)
    yield Refusal("nothing in the first envelope", "Confirm", "V-PC-01", "malformed", first(b""))


def _pairing_confirms(inputs: Json) -> Group:
    """The first envelope, on a link for pairing."""
    initiator, _, bodies = finished(inputs)
    stream = said(initiator.established(), Confirm(bytes(16), []))
    row = Refusal("a pairing that replaces", "Confirm", "V-CF-02", "malformed", stream)
    return _group("5.3", inputs, "responder", [frame(body) for body in bodies[::2]], iter([row]))


TYPING: Final = Typing(bytes(32), True)
_ID: Final = bytes(32)
PAIRING: Final[tuple[Message, ...]] = (
    Commit(_ID, "Anna"),
    Reveal(_ID, "Bob"),
    Open(_ID),
    Record([b"\x00"], _ID, _ID, _ID, _ID, bytes(64)),
    Accept(_ID),
)


def open_groups(phrase: str) -> list[Group]:
    """What is refused once a link is open."""
    inputs = link_inputs(phrase, "IKpsk2")
    nearby = link_inputs(phrase, "XX")
    groups = [_responder(inputs), _initiator(inputs), _late_features(inputs)]
    return [*groups, _pongs(inputs), _counted(inputs), _unknown_in_a_pairing(nearby)]


def _unknown_in_a_pairing(inputs: Json) -> Group:
    """Both sides of a pairing confirm all that was said, so nothing of it is passed over."""
    frames = confirmed(inputs)[2]
    group, _ = refusing("5.2", inputs, "responder", *(frames[place] for place in (0, 2, 3)))
    for number in (6, 26, 53, 200):
        stream = envelope(confirmed(inputs)[0], LAST + encode([number, 1]))
        row = Refusal(f"message {number} in a pairing", "Message", "V-MS-01", "malformed", stream)
        add_refusal(group, "responder", row)
    return group


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

    for number in (0, 65_536, 2**32):
        stream = next_one(LAST + encode([number, 1]))
        yield Refusal(f"message {number}", "Message", "V-MS-01", "malformed", stream)
    for comment, rule, content in (
        ("an unknown number in a longer encoding", "V-CD-04", "92cc3501"),
        ("an unknown number in an array in a longer encoding", "V-CD-04", "dc00023501"),
        ("no array", "V-CD-02", "35"),
        ("an array of nothing", "V-CD-02", "9035"),
        ("a number that ends early", "V-CD-02", "92cd01"),
        ("a negative number", "V-CD-02", "92ff01"),
        ("a text where the number is due", "V-CD-02", "92a135"),
        ("a known message with a field more", "V-CD-02", "93020101"),
        ("a known message with a field less", "V-CD-02", "9102"),
    ):
        yield Refusal(comment, "Message", rule, "malformed", next_one(LAST + bytes.fromhex(content)))
    features = says(Features([1]))
    yield Refusal("Features from the initiator", "Features", "V-FE-02", "unexpected", features)
    for message in PAIRING:
        comment = f"a {type(message).__name__} from a contact"
        yield Refusal(comment, "Message", "V-MS-03", "unexpected", says(message))
    yield Refusal("a second Confirm", "Confirm", "V-CF-04", "unexpected", says(Confirm(b"", [])))
    yield Refusal("a Pong to no Ping", "Message", "V-PO-01", "unexpected", says(Pong(1)))
    yield Refusal("a Pong of number 0", "Message", "V-PO-01", "unexpected", says(Pong(0)))
    for reason in (5, 255):
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
        Refusal("Confirm from the responder", "Confirm", "V-CF-04", "unexpected", next_one(Confirm(b"", []))),
        Refusal("a Record from a contact", "Message", "V-MS-03", "unexpected", next_one(PAIRING[3])),
        Refusal("a Pong to no Ping", "Message", "V-PO-01", "unexpected", next_one(Pong(1))),
        Refusal("Close 5", "Message", "V-CL-01", "malformed", next_one(Close(5))),
        Refusal("Features not ascending", "Features", "V-FE-01", "malformed", next_one(Features([2, 1]))),
        Refusal("a feature twice", "Features", "V-FE-01", "malformed", next_one(Features([2, 2]))),
        Refusal("Features without any", "Features", "V-CD-03", "malformed", next_one(Features([]))),
        Refusal("33 features", "Features", "V-CD-03", "malformed", next_one(Features(list(range(33))))),
        Refusal("feature 65,536", "Features", "V-CD-03", "malformed", next_one(Features([65_536]))),
    ):
        add_refusal(group, "initiator", row)
    return group


def _late_features(inputs: Json) -> Group:
    """Features of a responder that said something before."""
    group = Group("5.3", inputs)
    for comment, first in (("after a Typing", TYPING), ("twice", Features([1]))):
        life = Life(inputs).open()
        _, called, _ = confirmed(inputs)
        life.take("receive", actor="initiator", stream=said(called, first).hex())
        stream = said(called, Features([1])).hex()
        steps = life.refused("receive", actor="initiator", stream=stream)
        group.add(f"Features {comment}", ["Features"], "unexpected", steps, rule="V-FE-02")
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
