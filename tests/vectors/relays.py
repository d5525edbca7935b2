"""Makes the vectors of relays: first what succeeds, then what is refused.

Rules: the order of groups and tests fixes the ids; what is new stands at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from protocol.relay.rendezvous import DAY_SECONDS, RelayAddress, format_relay
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.links import pair
from protocol.vectors.relays import ACTIONS, AREA, ONE, World
from tests.vectors.files import Group, Script, Seed, build_file, one_step
from tests.vectors.relays_wrong import wrong_groups

NOTES: Final = {
    "Address": ("BASIC", "The one text of a relay, and what only looks like one."),
    "Token": (
        "CONFIDENTIALITY",
        "What a token binds: pair and direction, day, relay, terminal or invitation.",
    ),
    "Day": ("EDGE_CASE", "The relay's day, within one of the own."),
    "Meeting": ("BASIC", "Two terminals meet, from the greetings to the first bytes of their link."),
    "Bytewise": ("EDGE_CASE", "Every byte arrives alone."),
    "Circuit": ("EDGE_CASE", "Bytes of the link arrive together with the last message before it."),
    "Waiting": ("BASIC", "Wait, Waiting, Alive."),
    "Dialling": ("BASIC", "Dial, Absent, Joined."),
    "Time": ("EDGE_CASE", "A timer of either end."),
    "End": ("BASIC", "How a connection ends without a circuit."),
    "Size": ("CONFIDENTIALITY", "Sizes tell nothing about the number of tokens."),
    "Greeting": ("MALFORMED", "A greeting that is none."),
    "Hello": ("MALFORMED", "A first frame that is none."),
    "Version": ("EDGE_CASE", "Another version, or another pattern."),
    "Mac": ("AUTHENTICITY", "Whoever does not know the relay's key, or has seen another greeting."),
    "Key": ("MALFORMED", "A key that is not canonical, of small order, or one's own."),
    "Tampered": ("AUTHENTICITY", "What came was altered, repeated, or is one's own."),
    "Frame": ("RESOURCES", "A frame of a length that is not allowed."),
    "Padding": ("MALFORMED", "A padding that is not the one of its message."),
    "Message": ("MALFORMED", "A message that is not one of the table."),
    "Order": ("MALFORMED", "A message that may not come now."),
    "Limit": ("RESOURCES", "More than a connection may ask for."),
}
CONNECTIONS: Final = (ONE, "waiter", "dialler")


def relay_inputs(seed: Seed) -> Json:
    """The relay, its clock, and what each connection draws."""

    def drawn(name: str) -> Json:
        return {
            "greeting_random": seed.bytes(f"{name} greeting")[:16].hex(),
            "terminal_ephemeral": seed.bytes(f"{name} terminal").hex(),
            "relay_ephemeral": seed.bytes(f"{name} relay").hex(),
        }

    return {
        "relay_static": seed.bytes("relay").hex(),
        "relay_time": 1_767_225_600 + 3_600,
        "connections": {name: drawn(name) for name in CONNECTIONS},
    }


class Meeting(Script[World]):
    """Connections of one test, as their steps are taken."""

    def __init__(self, inputs: Json, seed: Seed) -> None:
        super().__init__(ACTIONS, World(inputs))
        self.seed = seed

    def token(self, number: int) -> str:
        """One of some tokens."""
        return self.seed.bytes(f"token {number}")[:16].hex()

    def at(self, connection: str, actor: str, do: str, **given: Any) -> Json:
        """A step at one end of a connection; ONE is not named."""
        named = {} if connection == ONE else {"connection": connection}
        return self.take(do, **named, actor=actor, **given)

    def hear(self, connection: str, actor: str, receive: str = "receive", **more: Any) -> Json:
        """An end receives what the other one sent last."""
        other = "relay" if actor == "terminal" else "terminal"
        return self.at(connection, actor, receive, sent_by=other, **more)

    def ready(self, connection: str = ONE, receive: str = "receive") -> Meeting:
        """From the greeting to READY on both sides."""
        self.at(connection, "relay", "begin")
        for actor in ("terminal", "relay", "terminal"):
            self.hear(connection, actor, receive)
        return self

    def waits(self, *tokens: int, connection: str = ONE, receive: str = "receive") -> Meeting:
        """The terminal waits on these tokens, and the relay holds them."""
        listed = [self.token(number) for number in tokens]
        self.at(connection, "terminal", "wait_on", tokens=listed)
        self.hear(connection, "relay", receive)
        self.at(connection, "relay", "waiting")
        self.hear(connection, "terminal", receive)
        return self

    def dials(self, number: int, place: int = 0, connection: str = ONE, receive: str = "receive") -> Meeting:
        """The terminal asks for somebody."""
        self.at(connection, "terminal", "dial", token=self.token(number), place=place)
        self.hear(connection, "relay", receive)
        return self

    def absent(self, connection: str = ONE) -> Meeting:
        """Nobody waits there."""
        self.at(connection, "relay", "absent")
        self.hear(connection, "terminal")
        return self


def _meets(seed: Seed, inputs: Json) -> Group:
    group = Group("11.7.4", inputs)
    for receive, flag in (("receive", "Meeting"), ("receive_bytewise", "Bytewise")):
        meeting = Meeting(inputs, seed).ready("waiter", receive)
        meeting.waits(1, 2, connection="waiter", receive=receive).ready("dialler", receive)
        meeting.dials(2, connection="dialler", receive=receive)
        meeting.at("waiter", "relay", "call", token=meeting.token(2))
        meeting.hear("waiter", "terminal", receive)
        meeting.hear("waiter", "relay", receive)
        meeting.at("dialler", "relay", "join", others=0)
        meeting.hear("dialler", "terminal", receive)
        group.add(f"two terminals meet: {flag.lower()}", [flag], SUCCESS, meeting.steps)
    meeting = Meeting(inputs, seed).ready().waits(1)
    meeting.at(ONE, "relay", "call", token=meeting.token(1))
    meeting.hear(ONE, "terminal")
    meeting.hear(ONE, "relay", stream=b"greeting of a link".hex())
    group.add("the link's first bytes come with Answer", ["Circuit"], SUCCESS, meeting.steps)
    meeting = Meeting(inputs, seed).ready().dials(1)
    meeting.at(ONE, "relay", "join", others=0)
    meeting.hear(ONE, "terminal", stream=b"greeting of a link".hex())
    group.add("the link's first bytes come with Joined", ["Circuit"], SUCCESS, meeting.steps)
    return group


def _waits(seed: Seed, inputs: Json) -> Group:
    group = Group("11.7.4", inputs)
    meeting = Meeting(inputs, seed).ready().waits(3).waits(4, 3)
    group.add("a second Wait takes the place of the first", ["Waiting"], SUCCESS, meeting.steps)
    meeting = Meeting(inputs, seed).ready().waits(*range(128))
    group.add("128 tokens: bytes of the same number as one", ["Size"], SUCCESS, meeting.steps)
    meeting = Meeting(inputs, seed).ready().waits(5)
    meeting.at(ONE, "relay", "call", token=meeting.token(5))
    meeting.at(ONE, "terminal", "wait_on", tokens=[meeting.token(6)])
    meeting.hear(ONE, "relay")
    meeting.at(ONE, "terminal", "cut")
    group.add("a Wait that crosses Called is passed over", ["Waiting"], SUCCESS, meeting.steps)
    meeting = Meeting(inputs, seed).ready().waits(7)
    for until in (25, 50):
        meeting.at(ONE, "terminal", "wait", until=until)
        meeting.hear(ONE, "relay")
        meeting.hear(ONE, "terminal")
    meeting.at(ONE, "relay", "wait", until=109.9)
    meeting.at(ONE, "relay", "wait", until=110)
    group.add("Alive keeps a connection for 60 s more", ["Waiting", "Time"], SUCCESS, meeting.steps)
    return group


def _dials(seed: Seed, inputs: Json) -> Group:
    group = Group("11.7.4", inputs)
    meeting = Meeting(inputs, seed).ready().dials(1).absent().dials(2, 7).absent()
    group.add("nobody is there, twice", ["Dialling"], SUCCESS, meeting.steps)
    for others, told in ((1, 1), (7, 7), (8, 7)):
        meeting = Meeting(inputs, seed).ready().dials(1)
        meeting.at(ONE, "relay", "join", others=others)
        meeting.hear(ONE, "terminal")
        comment = f"{others} others wait: {told} are told"
        group.add(comment, ["Dialling"], SUCCESS, meeting.steps)
    meeting = Meeting(inputs, seed).ready()
    for _ in range(16):
        meeting.dials(1).absent()
    group.add("16 Dials", ["Limit"], SUCCESS, meeting.steps)
    return group


def _times(seed: Seed, inputs: Json) -> Group:
    group = Group("11.7.4", inputs)
    meeting = Meeting(inputs, seed)
    for actor in ("relay", "terminal"):
        meeting.at(ONE, actor, "begin")
    for actor, until in (("relay", 4.9), ("relay", 5), ("terminal", 5)):
        meeting.at(ONE, actor, "wait", until=until)
    group.add("no handshake within 5 s", ["Time"], SUCCESS, meeting.steps)
    meeting = Meeting(inputs, seed).ready()
    for actor in ("relay", "terminal"):
        meeting.at(ONE, actor, "wait", until=5)
    group.add("neither Wait nor Dial within 5 s", ["Time"], SUCCESS, meeting.steps)
    meeting = Meeting(inputs, seed).ready().dials(1)
    for until in (9.9, 10):
        meeting.at(ONE, "terminal", "wait", until=until)
    group.add("no answer to Dial within 10 s", ["Time"], SUCCESS, meeting.steps)
    meeting = Meeting(inputs, seed).ready().waits(1)
    for until in (25, 34.9, 35):
        meeting.at(ONE, "terminal", "wait", until=until)
    group.add("no answer to Alive within 10 s", ["Time"], SUCCESS, meeting.steps)
    meeting = Meeting(inputs, seed).ready().waits(1)
    meeting.at(ONE, "relay", "call", token=meeting.token(1))
    for until in (2.9, 3):
        meeting.at(ONE, "relay", "wait", until=until)
    group.add("no Answer within 3 s", ["Time"], SUCCESS, meeting.steps)
    return group


def _ends(seed: Seed, inputs: Json) -> Group:
    group = Group("11.7.4", inputs)
    for reason, word in enumerate(("busy", "stopped")):
        for state, meeting in (
            ("READY", Meeting(inputs, seed).ready()),
            ("WAITING", Meeting(inputs, seed).ready().waits(1)),
            ("DIALLING", Meeting(inputs, seed).ready().dials(1)),
        ):
            meeting.at(ONE, "relay", "end", reason=reason)
            meeting.hear(ONE, "terminal")
            group.add(f"the relay is {word}, {state}", ["End"], SUCCESS, meeting.steps)
    meeting = Meeting(inputs, seed).ready().waits(1)
    meeting.at(ONE, "terminal", "close")
    meeting.at(ONE, "relay", "cut")
    group.add("the terminal goes in silence", ["End"], SUCCESS, meeting.steps)
    return group


# --- One step each ---


def _single(do: str, **given: Any) -> list[Json]:
    return one_step(ACTIONS, World({}), do, **given)


def _addresses(seed: Seed) -> Group:
    group, key = Group("11.7.1", {}), pair(seed.bytes("relay").hex()).public
    label = "a" * 63
    for comment, host, port in (
        ("an IPv4 address", "192.0.2.7", 4746),
        ("an IPv6 address", "2001:db8::7", 1),
        ("a name", "relay.example.org", 65_535),
        ("a name of one label", "localhost", 4746),
        ("a label that begins with a digit", "3com.example", 4746),
        ("a last label of 0, x and more before it", "0x1.x0", 4746),
        ("a label of 63 characters", f"{label}.example", 4746),
        ("a text of 255 characters", f"{label}.{label}.{'b' * 54}", 65_535),
    ):
        text = format_relay(RelayAddress(host, port, key))
        group.add(comment, ["Address"], SUCCESS, _single("parse_address", text=text))
        steps = _single("format_address", host=host, port=port, relay=key.hex())
        group.add(f"{comment}, written", ["Address"], SUCCESS, steps)
    return group


def _tokens(seed: Seed) -> Group:
    group = Group("11.7.5", {})
    secret, first, second = (seed.bytes(name).hex() for name in ("contact secret", "first", "second"))
    for comment, waiter, dialler in (("one direction", first, second), ("the other one", second, first)):
        steps = _single("meeting_key", contact_secret=secret, waiter=waiter, dialler=dialler)
        group.add(f"meeting key, {comment}", ["Token"], SUCCESS, steps)
    bound: Json = {name: seed.bytes(name).hex() for name in ("meeting_key", "relay", "static")} | {
        "day": 20_454
    }
    for comment, changes in _token_changes(seed):
        group.add(comment, ["Token"], SUCCESS, _single("token", **(bound | changes)))
    invited: Json = {"secret": seed.bytes("secret")[:16].hex(), "check": seed.bytes("check").hex()}
    invited |= {"expires": 1_767_229_200, "relay": bound["relay"], "day": 20_454}
    for comment, changes in (
        ("token of an invitation", {}),
        ("token of an invitation that is open at midnight", {"day": 20_455}),
        ("token of an invitation, another relay", {"relay": seed.bytes("other relay").hex()}),
        ("token of an invitation, another check", {"check": seed.bytes("other check").hex()}),
        ("token of an invitation, a second later", {"expires": 1_767_229_201}),
        ("token of an invitation, another secret", {"secret": seed.bytes("other secret")[:16].hex()}),
    ):
        group.add(comment, ["Token"], SUCCESS, _single("invitation_token", **(invited | changes)))
    return group


def _token_changes(seed: Seed) -> Iterable[tuple[str, Json]]:
    yield "a token", {}
    for name in ("meeting_key", "relay", "static"):
        yield f"a token, another {name}", {name: seed.bytes(f"other {name}").hex()}
    yield "a token of the next day", {"day": 20_455}
    yield "a token of the first day", {"day": 0}


def _days() -> Group:
    group, noon = Group("11.7.5", {}), 20_454 * DAY_SECONDS + DAY_SECONDS // 2
    for comment, time, own in (
        ("the same day", noon, noon + 60),
        ("the relay is a day behind", noon - DAY_SECONDS, noon),
        ("the relay is a day ahead", noon + DAY_SECONDS, noon),
        ("the last second of a day", 20_455 * DAY_SECONDS - 1, noon),
        ("the first second of a day", 20_455 * DAY_SECONDS, noon),
        (
            "almost two days apart, but days that follow",
            noon + DAY_SECONDS * 3 // 2 - 1,
            noon - DAY_SECONDS // 2,
        ),
    ):
        group.add(comment, ["Day"], SUCCESS, _single("day", time=time, own_time=own))
    for days in (-2, 2, -20_000):
        step = {"do": "day", "time": noon + days * DAY_SECONDS, "own_time": noon}
        group.add(f"{days} days apart", ["Day"], "unexpected", [step], rule="V-RT-01")
    return group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    inputs = relay_inputs(seed)
    courses = [make(seed, inputs) for make in (_meets, _waits, _dials, _times, _ends)]
    groups = [*courses, _addresses(seed), _tokens(seed), _days(), *wrong_groups(seed, inputs)]
    return build_file(seed, NOTES, groups)
