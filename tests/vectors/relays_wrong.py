"""Vectors of relays in which something is refused: addresses, greeting, first frame, answer, messages.

One end is under test. `RelayPeer`, made of Noise and formulas alone, makes what it receives: it is written
after SPEC §11.7 and not with protocol/relay/connection.py, so that both must agree byte for byte. `before`
holds
once the steps that all tests of a group have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from protocol import labels
from protocol.codec import encode
from protocol.keys import X25519Pair
from protocol.noise import Finished, HandshakeState
from protocol.primitives import b2b
from protocol.relay.rendezvous import key_text
from protocol.vectors.frame import Json
from protocol.vectors.links import Draws, pair
from protocol.vectors.relays import ACTIONS, ONE, World
from tests.vectors.files import Group, Script, Seed
from tests.vectors.links_ends import frame
from tests.vectors.links_wrong import LOW_ORDER, NOT_CANONICAL, REFUSAL, flip

CHOICE: Final = b"\x01\x10"
SMALL: Final = 64
LARGE: Final = 2_320


def greeting(inputs: Json, connection: str = ONE) -> bytes:
    """The relay's greeting."""
    return b"PARELAY\x00\x01\x01\x00\x00" + bytes.fromhex(
        inputs["connections"][connection]["greeting_random"]
    )


def padded(content: Any, size: int = SMALL) -> bytes:
    """A message of any content (bytes: as they are), padded to a size."""
    encoded = content if isinstance(content, bytes) else encode(content)
    return (len(encoded).to_bytes(2, "big") + encoded).ljust(size, b"\x00")


class RelayPeer:
    """Both ends of one connection; what one of them seals, the end under test receives."""

    def __init__(self, inputs: Json, connection: str = ONE) -> None:
        drawn = inputs["connections"][connection]
        self.relay: X25519Pair = pair(inputs["relay_static"])
        self.greeting = greeting(inputs, connection)
        name, bound = "Noise_NK_25519_ChaChaPoly_BLAKE2b", b"parlour.relay.v1" + self.greeting + CHOICE
        ephemerals = [Draws(drawn[f"{end}_ephemeral"]) for end in ("terminal", "relay")]
        self._terminal = HandshakeState(
            name, initiator=True, prologue=bound, rs=self.relay.public, random=ephemerals[0]
        )
        self._relay = HandshakeState(
            name, initiator=False, prologue=bound, s=self.relay, random=ephemerals[1]
        )
        self._time = inputs["relay_time"]
        self._sealed: dict[str, Finished] = {}

    def mac(self, message: bytes) -> bytes:
        """What stands before a message 1."""
        data = self.greeting + CHOICE + message
        return b2b(data, personal=labels.RELAY_MAC, key=self.relay.public, size=16)

    def hello(self, message: bytes | None = None) -> bytes:
        """The body of the first frame, with the right mac of any message 1."""
        chosen = self._terminal.write_message() if message is None else message
        return CHOICE + self.mac(chosen) + chosen

    def reply(self, payload: bytes | None = None) -> bytes:
        """Message 2, with any payload."""
        self._relay.read_message(self.hello()[18:])
        return self._relay.write_message(padded([self._time]) if payload is None else payload)

    def welcomed(self) -> RelayPeer:
        """After the handshake."""
        self._terminal.read_message(self.reply())
        self._sealed = {"terminal": self._terminal.finish(), "relay": self._relay.finish()}
        return self

    def seals(self, end: str, content: bytes) -> bytes:
        """The next frame of an end, with any padded content."""
        return frame(self._sealed[end].send.encrypt_with_ad(b"", content))


_NOTHING: Final[Json] = {}


@dataclass(frozen=True)
class Refusal:
    """Comment, flag, rule and its class, the stream that breaks it, what is sent in answer."""

    comment: str
    flag: str
    rule: str
    expect: str
    stream: Any
    gives: Json | None = None


Steps = list[tuple[str, Json]]
"""Steps at the end under test: what is done, and what is given."""


def _group(section: str, inputs: Json, actor: str, before: Steps, rows: Iterable[Refusal]) -> Group:
    script = Script(ACTIONS, World(inputs))
    script.take("begin", actor=actor)
    for do, given in before:
        script.take(do, actor=actor, **given)
    group = Group(section, inputs | {"before": script.steps})
    for row in rows:
        stream = row.stream.hex() if isinstance(row.stream, bytes) else row.stream
        step = {"do": "receive", "actor": actor, "stream": stream}
        gives = {"gives": row.gives | {"state": "CLOSED"}} if row.gives else {}
        group.add(row.comment, [row.flag], row.expect, [step | gives], rule=row.rule)
    return group


def _receives(stream: bytes) -> tuple[str, Json]:
    return "receive", {"stream": stream.hex()}


def wrong_groups(seed: Seed, inputs: Json) -> list[Group]:
    """What is refused."""
    return [
        _addresses(seed),
        _group("11.7.2", inputs, "terminal", [], _greetings(inputs)),
        _group("11.7.2", inputs, "relay", [], [*_hellos(inputs), *_frames("where the first frame is due")]),
        _group("11.7.2", inputs, "terminal", [_receives(greeting(inputs))], _replies(inputs)),
        *_messages_to_relay(seed, inputs),
        *_messages_to_terminal(seed, inputs),
        *_lengths(inputs),
    ]


# --- Addresses (SPEC §11.7.1) ---


def _addresses(seed: Seed) -> Group:
    group, key = Group("11.7.1", {}), key_text(pair(seed.bytes("relay").hex()).public)
    rows = [*_bad_forms(key), *_bad_hosts(key), *_bad_ports(key), *_bad_keys(key)]
    for rule, comment, text in rows:
        expect = "limit" if rule == "V-RA-01" else "malformed"
        group.add(comment, ["Address"], expect, [{"do": "parse_address", "text": text}], rule=rule)
    return group


def _bad_forms(key: str) -> Iterator[tuple[str, str, str]]:
    label = "a" * 63
    yield "V-RA-01", "256 characters", f"parlour-relay:{label}.{label}.{'b' * 55}:65535#{key}"
    yield "V-RA-01", "256 characters of anything", "x" * 256
    for comment, text in (
        ("nothing", ""),
        ("another beginning", f"PARLOUR-RELAY:h:1#{key}"),
        ("no beginning", f"h:1#{key}"),
        ("no port", f"parlour-relay:h#{key}"),
        ("no key", "parlour-relay:h:1"),
        ("a space before it", f" parlour-relay:h:1#{key}"),
        ("a line break after it", f"parlour-relay:h:1#{key}\n"),
        ("an upper-case letter in the host", f"parlour-relay:H:1#{key}"),
        ("a scope", f"parlour-relay:[fe80::1%2]:1#{key}"),
        ("a user before the host", f"parlour-relay:u@h:1#{key}"),
        ("no host", f"parlour-relay::1#{key}"),
        ("a digit of the port that is not ASCII", f"parlour-relay:h:٣#{key}"),
        ("a sign before the port", f"parlour-relay:h:+1#{key}"),
    ):
        yield "V-RA-02", comment, text


def _bad_hosts(key: str) -> Iterator[tuple[str, str, str]]:
    hosts = (
        "h..example", ".h", "h.", "-h", "h-", "a" * 64, "10.0.0.01", "10.0.1", "1", "0x7f000001", "1.2.3.0x4",
        "1.2.3.4.5", "[10.0.0.1]", "[::01]", "[::ffff:10.0.0.1]", "[1.2]", "[:]",
    )  # fmt: skip
    for host in hosts:
        yield "V-RA-03", f"host {host}", f"parlour-relay:{host}:1#{key}"


def _bad_ports(key: str) -> Iterator[tuple[str, str, str]]:
    for port in ("0", "01", "65536", "100000"):
        yield "V-RA-04", f"port {port}", f"parlour-relay:h:{port}#{key}"


def _bad_keys(key: str) -> Iterator[tuple[str, str, str]]:
    for comment, written in (
        ("an empty key", ""),
        ("a key of 51 characters", key[:-1]),
        ("a key of 53 characters", key + "a"),
        ("a key in upper case", key.upper()),
        ("a key with a digit that base32 has not", key[:-1] + "1"),
        ("a key with its padding", key + "===="),
        ("a key with bits behind its last byte", key[:-1] + ("b" if key[-1] == "a" else "r")),
    ):
        yield "V-RA-05", comment, f"parlour-relay:h:1#{written}"
    for comment, wrong in (
        ("a key of small order", LOW_ORDER),
        ("another key of small order", b"\x01" + bytes(31)),
        ("a key that is not canonical", NOT_CANONICAL),
        ("a key with bit 255 set", b"\xff" * 32),
    ):
        yield "V-RA-06", comment, f"parlour-relay:h:1#{key_text(wrong)}"


# --- Beginning (SPEC §11.7.2) ---


def _greetings(inputs: Json) -> Iterator[Refusal]:
    right = greeting(inputs)
    magic = ("Greeting", "V-RG-01", "malformed")
    yield Refusal("another first byte", *magic, b"H")
    yield Refusal("a terminal's greeting, at its fourth byte", *magic, b"PARL")
    yield Refusal("another eighth byte", *magic, right[:7] + b"\x01")
    for low, high in ((0, 1), (0, 0), (2, 1)):
        stream = right[:8] + bytes((low, high)) + right[10:]
        yield Refusal(f"versions {low} to {high}", "Version", "V-RG-02", "malformed", stream)
    for low, high, reserved in ((2, 2, 0), (2, 9, 1)):
        stream = right[:8] + bytes((low, high, 0, reserved)) + right[12:]
        comment = f"versions {low} to {high}, reserved {reserved}"
        yield Refusal(comment, "Version", "V-RG-03", "unexpected", stream)
    for reserved in (1, 256):
        stream = right[:10] + reserved.to_bytes(2, "big") + right[12:]
        yield Refusal(f"reserved {reserved}", "Greeting", "V-RG-04", "malformed", stream)


def _hellos(inputs: Json) -> Iterator[Refusal]:
    right = RelayPeer(inputs).hello()
    hello = ("Hello", "V-RH-01", "malformed")
    yield Refusal("one byte", *hello, frame(right[:1]))
    yield Refusal("version 0", *hello, frame(b"\x00" + right[1:]))
    yield Refusal("version 0, and of another size", *hello, frame(b"\x00\x10"))
    sends = {"sends": REFUSAL}
    for version in (2, 255):
        stream = frame(bytes([version]) + right[1:])
        yield Refusal(f"version {version}", "Version", "V-RH-02", "unexpected", stream, sends)
    stream = frame(b"\x02\x11")
    yield Refusal(
        "version 2, pattern 17, and of another size", "Version", "V-RH-02", "unexpected", stream, sends
    )
    for pattern in (0, 3, 17):
        stream = frame(bytes((1, pattern)) + right[2:])
        yield Refusal(f"pattern {pattern}", "Version", "V-RH-03", "unexpected", stream, sends)
    for comment, body in (
        ("the choice alone", right[:2]),
        ("a byte less", right[:-1]),
        ("a byte more", right + b"\x00"),
    ):
        yield Refusal(comment, "Hello", "V-RH-04", "malformed", frame(body))
    yield from _macs(inputs, right)
    yield from _first_keys(inputs)


def _macs(inputs: Json, right: bytes) -> Iterator[Refusal]:
    mac = ("Mac", "V-RH-05", "authentication")
    for comment, place in (("the mac", 2), ("the ephemeral key", 18), ("the last byte", -1)):
        yield Refusal(f"one bit of {comment}", *mac, frame(flip(right, place)))
    yield Refusal("zeros", *mac, frame(b"\x01\x10" + bytes(64)))
    yield Refusal("another greeting was seen", *mac, frame(RelayPeer(inputs, "waiter").hello()))
    other = RelayPeer(inputs | {"relay_static": inputs["connections"]["waiter"]["relay_ephemeral"]})
    yield Refusal("another relay was meant", *mac, frame(other.hello()))


def _first_keys(inputs: Json) -> Iterator[Refusal]:
    """What is wrong with message 1 under a right mac."""
    message = RelayPeer(inputs).hello()[18:]
    for comment, rule, expect, key in (
        ("not canonical", "V-KY-01", "malformed", NOT_CANONICAL),
        ("of small order", "V-KY-02", "authentication", LOW_ORDER),
    ):
        stream = frame(RelayPeer(inputs).hello(key + message[32:]))
        yield Refusal(f"an ephemeral key {comment}", "Key", rule, expect, stream)
    stream = frame(RelayPeer(inputs).hello(flip(message, -1)))
    yield Refusal("message 1 with another tag", "Tampered", "V-HS-02", "authentication", stream)


def _frames(where: str) -> Iterator[Refusal]:
    yield Refusal(f"length 0 {where}", "Frame", "V-FR-01", "malformed", b"\x00\x00")
    yield Refusal(f"length 4,097 {where}", "Frame", "V-FR-02", "limit", b"\x10\x01")


def _replies(inputs: Json) -> Iterator[Refusal]:
    right = RelayPeer(inputs).reply()
    for low, high in ((0, 1), (2, 1)):
        stream = frame(bytes((0, low, high)))
        yield Refusal(f"refusal, {low} to {high}", "Version", "V-RF-01", "malformed", stream)
    yield Refusal("refusal, 2 to 3", "Version", "V-RF-02", "unexpected", frame(bytes((0, 2, 3))))
    yield Refusal("refusal, 1 to 1", "Version", "V-RF-03", "unexpected", frame(bytes((0, 1, 1))))
    yield from _frames("where message 2 is due")
    stream = frame(right[:31])
    yield Refusal("message 2 cut within its key", "Tampered", "V-HS-01", "malformed", stream)
    tampered = ("Tampered", "V-HS-02", "authentication")
    yield Refusal("message 2 cut within its tag", *tampered, frame(right[:47]))
    yield Refusal("one bit of message 2", *tampered, frame(flip(right, 40)))
    own = pair(inputs["connections"]["one"]["terminal_ephemeral"]).public
    stream = frame(own + right[32:])
    yield Refusal("the terminal's own ephemeral key", "Key", "V-HS-03", "unexpected", stream)
    for comment, rule, expect, key in (
        ("not canonical", "V-KY-01", "malformed", NOT_CANONICAL),
        ("of small order", "V-KY-02", "authentication", LOW_ORDER),
    ):
        stream = frame(key + right[32:])
        yield Refusal(f"the relay's ephemeral key {comment}", "Key", rule, expect, stream)
    yield from _welcomes(inputs)


def _welcomes(inputs: Json) -> Iterator[Refusal]:
    time = inputs["relay_time"]
    for comment, rule, payload in (
        ("a Welcome of nothing", "V-RM-04", b""),
        ("a Welcome whose length goes beyond it", "V-RM-04", b"\x00\x3f" + padded([time])[2:]),
        ("a Welcome with filling", "V-RM-04", padded([time])[:-1] + b"\x01"),
        ("a Welcome with two times", "V-CD-02", padded([time, time])),
        ("a Welcome with a greater time", "V-CD-03", padded([2**32])),
        ("a Welcome in a longer encoding", "V-CD-04", padded(b"\xdc\x00\x01\x00")),
        ("a Welcome in the padding of Wait", "V-RM-06", padded([time], LARGE)),
        ("a Welcome in a byte less", "V-RM-06", padded([time], SMALL - 1)),
    ):
        yield Refusal(comment, "Padding", rule, "malformed", frame(RelayPeer(inputs).reply(payload)))


# --- Messages (SPEC §11.7.3, §11.7.4) ---

_TOKEN: Final = bytes(range(16))
_LATER: Final = bytes(range(1, 17))
_WAIT, _WAITING, _ALIVE, _DIAL, _ABSENT, _CALLED, _ANSWER, _JOINED, _END = range(128, 137)


def _sealing(inputs: Json, end: str, *before: Any) -> Callable[[bytes], bytes]:
    """The next frame of an end that has sent these contents already."""

    def seals(content: bytes) -> bytes:
        peer = RelayPeer(inputs).welcomed()
        for each in before:
            peer.seals(end, each)
        return peer.seals(end, content)

    return seals


def _forms(end: str, seals: Callable[[bytes], bytes], right: bytes) -> Iterator[Refusal]:
    """What is wrong with frames and paddings, whoever receives them."""
    largest = 2_336 if end == "terminal" else 80
    yield Refusal("an empty frame", "Frame", "V-FR-01", "malformed", b"\x00\x00")
    for size in (largest + 1, 65_535):
        stream = size.to_bytes(2, "big")
        yield Refusal(f"length {size:,}", "Frame", "V-RM-01", "limit", stream)
    sizes = (16, 79, *((81, 2_335) if end == "terminal" else ()))
    for size in sizes:
        yield Refusal(f"a frame of {size:,} bytes", "Frame", "V-RM-02", "malformed", frame(bytes(size)))
    tampered = ("Tampered", "V-RM-03", "authentication")
    yield Refusal("one bit of a frame", *tampered, flip(seals(right), 10))
    yield Refusal("zeros", *tampered, frame(bytes(80)))
    for comment, content in (
        ("a length beyond the padding", b"\x00\x3f" + right[2:]),
        ("a filling that is not zero", right[:-1] + b"\x01"),
    ):
        yield Refusal(comment, "Padding", "V-RM-04", "malformed", seals(content))


def _to_relay_forms(seals: Callable[[bytes], bytes]) -> Iterator[Refusal]:
    for number in (_WAITING, _ABSENT, _CALLED):
        yield Refusal(f"message {number}", "Message", "V-RM-05", "malformed", seals(padded([number])))
    for number in (0, 1, 137):
        yield Refusal(f"message {number}", "Message", "V-RM-05", "malformed", seals(padded([number, 0])))
    dial = [_DIAL, _TOKEN, 0]
    for comment, rule, content in (
        ("an empty content", "V-CD-02", padded(b"")),
        ("a Dial without a place", "V-CD-02", padded(dial[:2])),
        ("a byte after a Dial", "V-CD-02", padded(b"\x93\xcc\x83\xc4\x10" + _TOKEN + b"\x00\x00")),
        ("a Dial for place 8", "V-CD-03", padded([_DIAL, _TOKEN, 8])),
        ("a token of 15 bytes", "V-CD-03", padded([_DIAL, _TOKEN[:15], 0])),
        ("a Wait on nothing", "V-CD-03", padded([_WAIT, []], LARGE)),
        ("Alive in a longer encoding", "V-CD-04", padded(b"\xdc\x00\x01\xcc\x82")),
    ):
        yield Refusal(comment, "Message", rule, "malformed", seals(content))
    wait = [_WAIT, [_TOKEN]]
    yield Refusal("a Wait in 64 bytes", "Padding", "V-RM-06", "malformed", seals(padded(wait)))
    yield Refusal("a Dial in 2,320 bytes", "Padding", "V-RM-06", "malformed", seals(padded(dial, LARGE)))
    for comment, tokens in (("descending", [_LATER, _TOKEN]), ("twice the same", [_TOKEN, _TOKEN])):
        stream = seals(padded([_WAIT, tokens], LARGE))
        yield Refusal(f"tokens: {comment}", "Message", "V-RM-07", "malformed", stream)


def _order(named: str, seals: Callable[[bytes], bytes], *messages: tuple[str, bytes]) -> Iterator[Refusal]:
    for name, content in messages:
        yield Refusal(f"{name} {named}", "Order", "V-RM-08", "unexpected", seals(content))


def _messages_to_relay(seed: Seed, inputs: Json) -> Iterator[Group]:
    tokens = [seed.bytes("token 1")[:16]]
    wait, dial = padded([_WAIT, tokens], LARGE), padded([_DIAL, tokens[0], 0])
    alive, answer = padded([_ALIVE]), padded([_ANSWER])
    waits, dials, alives, answers = ("Wait", wait), ("Dial", dial), ("Alive", alive), ("Answer", answer)

    def stage(before: Steps, rows: Iterable[Refusal]) -> Group:
        return _group("11.7.4", inputs, "relay", [_receives(frame(RelayPeer(inputs).hello())), *before], rows)

    def heard(*contents: bytes) -> Steps:
        peer = RelayPeer(inputs).welcomed()
        return [_receives(peer.seals("terminal", content)) for content in contents]

    ready, then = _sealing(inputs, "terminal"), _sealing(inputs, "terminal", wait)
    own = RelayPeer(inputs).welcomed().seals("relay", padded([_WAITING]))
    yield stage(
        [],
        [
            *_forms("terminal", ready, alive),
            Refusal("a frame of its own", "Tampered", "V-RM-03", "authentication", own),
            *_to_relay_forms(ready),
            *_order("while READY", ready, alives, answers),
        ],
    )
    again = Refusal("Wait's frame again", "Tampered", "V-RM-03", "authentication", ready(wait))
    yield stage(heard(wait), [again, *_order("while WAITING", then, dials, answers)])
    yield stage([*heard(wait), ("call", {"token": tokens[0].hex()})], _order("while CALLED", then, dials))
    dialled = _sealing(inputs, "terminal", dial)
    yield stage(heard(dial), _order("while DIALLING", dialled, waits, dials, alives, answers))
    late = Refusal("Wait after Dial", "Order", "V-RM-09", "unexpected", dialled(wait))
    yield stage([*heard(dial), ("absent", _NOTHING)], [late])
    all_dials = heard(*[dial] * 16)
    before = [step for each in all_dials for step in (each, ("absent", _NOTHING))]
    more = _sealing(inputs, "terminal", *[dial] * 16)(dial)
    yield stage(before, [Refusal("a 17th Dial", "Limit", "V-RM-10", "limit", more)])


def _to_terminal_forms(seals: Callable[[bytes], bytes]) -> Iterator[Refusal]:
    for number in (_ANSWER, 0, 137):
        yield Refusal(f"message {number}", "Message", "V-RM-05", "malformed", seals(padded([number])))
    stream = seals(padded([_DIAL, _TOKEN, 0]))
    yield Refusal("a Dial", "Message", "V-RM-05", "malformed", stream)
    for comment, rule, content in (
        ("Waiting with a field", "V-CD-02", padded([_WAITING, 0])),
        ("Joined with 8 others", "V-CD-03", padded([_JOINED, 8])),
        ("End 2", "V-CD-03", padded([_END, 2])),
        ("Called without its token", "V-CD-02", padded([_CALLED])),
        ("Called with a token of 17 bytes", "V-CD-03", padded([_CALLED, bytes(17)])),
        ("Absent in a longer encoding", "V-CD-04", padded(b"\xdc\x00\x01\xcc\x84")),
    ):
        yield Refusal(comment, "Message", rule, "malformed", seals(content))


def _messages_to_terminal(seed: Seed, inputs: Json) -> Iterator[Group]:
    token = seed.bytes("token 1")[:16].hex()
    waiting, alive, absent = padded([_WAITING]), padded([_ALIVE]), padded([_ABSENT])
    called, joined = padded([_CALLED, bytes.fromhex(token)]), padded([_JOINED, 0])
    waits, dials = ("wait_on", {"tokens": [token]}), ("dial", {"token": token, "place": 0})

    def stage(before: Steps, rows: Iterable[Refusal]) -> Group:
        begun = [_receives(greeting(inputs)), _receives(frame(RelayPeer(inputs).reply()))]
        return _group("11.7.4", inputs, "terminal", [*begun, *before], rows)

    ready, then = _sealing(inputs, "relay"), _sealing(inputs, "relay", waiting)
    said = [
        ("Waiting", waiting),
        ("Alive", alive),
        ("Absent", absent),
        ("Called", called),
        ("Joined", joined),
    ]
    yield stage(
        [],
        [
            *_forms("relay", ready, waiting),
            *_to_terminal_forms(ready),
            *_order("while READY", ready, *said),
        ],
    )
    not_due = ("Order", "V-RM-11", "unexpected")
    early = Refusal("Alive where Waiting is due", *not_due, ready(alive))
    yield stage([waits], [*_order("while WAITING", ready, said[2], said[4]), early])
    held = [waits, _receives(RelayPeer(inputs).welcomed().seals("relay", waiting))]
    rows = [Refusal(f"{name} that nothing asked for", *not_due, then(content)) for name, content in said[:2]]
    yield stage(held, rows)
    alive_due = Refusal("Waiting where Alive is due", *not_due, then(waiting))
    yield stage([*held, ("wait", {"until": 25})], [alive_due])
    yield stage([dials], _order("while DIALLING", ready, *said[:2], said[3]))


def _lengths(inputs: Json) -> Iterator[Group]:
    """Lengths that no message has, with nothing behind them yet."""
    begun: dict[str, Steps] = {
        "relay": [_receives(frame(RelayPeer(inputs).hello()))],
        "terminal": [_receives(greeting(inputs)), _receives(frame(RelayPeer(inputs).reply()))],
    }
    for actor, sizes in (("relay", (1, 79, 81, 2_335)), ("terminal", (1, 79))):
        rows = [
            Refusal(f"length {size:,} alone", "Frame", "V-RM-02", "malformed", size.to_bytes(2, "big"))
            for size in sizes
        ]
        yield _group("11.7.3", inputs, actor, begun[actor], rows)
