"""Links in memory: parties, joined ends, handshakes step by step, attackers, and relay connections."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from protocol.codec import Wire, encode
from protocol.keys import X25519Pair
from protocol.link.agreement import Established, one_time_hash
from protocol.link.envelopes import OpenPhase
from protocol.link.framing import GREETING_SIZE, Pattern, length_of, pad
from protocol.link.handshake import Finish, Initiator, Responder
from protocol.link.link import Link
from protocol.link.states import (
    ContactPsk,
    Ending,
    Event,
    HandshakeAuthenticated,
    InvitationKeys,
    LinkClosed,
    LinkOpen,
    MessageReceived,
)
from protocol.messages import ContactHello, Entry, Message, ShareNames, Typing
from protocol.noise import HandshakeState
from protocol.primitives import Random, b2b, system_random
from protocol.ratchet import RatchetSession
from protocol.relay.connection import RelayConnection
from protocol.relay.relay_end import RelayEnd
from protocol.relay.states import RelayEvent
from protocol.relay.terminal_end import RelayTerminal
from tests.support.protocol.samples import seeded

START = 1_000.0
PSK = bytes(range(32))
INVITATION = b"invitation".ljust(32, b".")
ONE_TIME = X25519Pair(seeded("one-time")(32))
ONE_TIME_HASH = one_time_hash(ONE_TIME.public)
NAME = bytes(16)
"""Of the one share that each person has."""
CONTACT_PSK = ContactPsk(PSK, NAME, NAME)


@dataclass
class OpenPolicy:
    """A responder's answers as plain fields."""

    nearby: bool = True
    adding: bool = True
    invitations: Sequence[InvitationKeys] = (InvitationKeys(INVITATION, PSK, ONE_TIME),)
    contacts: dict[bytes, tuple[bytes, ContactPsk]] = field(default_factory=dict)
    asked: list[ContactHello] = field(default_factory=list)

    def pairing_open(self) -> bool:
        return self.nearby

    def linking_open(self) -> bool:
        return self.adding

    def open_invitations(self) -> Sequence[InvitationKeys]:
        return self.invitations

    def contact_psk(self, static: bytes, hello: ContactHello) -> tuple[bytes, ContactPsk] | None:
        self.asked.append(hello)
        person, psk = self.contacts.get(static, (b"", None))
        return (person, psk) if psk is not None and person == hello.person else None


@dataclass
class Party:
    """A terminal of a person with one contact; its link is made by `Pair`."""

    name: str
    aes: bool = True
    random: Random = system_random

    def __post_init__(self) -> None:
        self.static = X25519Pair.generate(self.random)
        self.person = b2b(self.name.encode(), personal=b"tests.person")
        self.policy = OpenPolicy()
        self.static_dh: dict[bytes, bytes] = {}
        self.features: set[int] = set()

    def knows(self, other: Party, psk: bytes = PSK) -> None:
        self.policy.contacts[other.static.public] = (other.person, ContactPsk(psk, NAME, NAME))

    def calls(
        self,
        other: Party,
        pattern: Pattern = Pattern.IKPSK2,
        *,
        candidates: Sequence[ContactPsk] = (CONTACT_PSK,),
        psk: bytes = PSK,
        replaces: bytes = b"",
    ) -> Initiator:
        common: dict[str, Any] = {"random": self.random, "aes": self.aes, "features": self.features}
        if pattern is not Pattern.IKPSK2:
            secrets = (psk, ONE_TIME_HASH) if pattern is Pattern.XXPSK0 else (None, b"")
            return Initiator.pairing(pattern, secrets[0], responder=secrets[1], **common)
        common |= {"replaces": replaces, "static_dh": self.static_dh}
        parties = self.static, other.static.public, self.person, other.person
        return Initiator.contact(*parties, candidates, **common)

    def answers(self) -> Responder:
        own: dict[str, Any] = {"random": self.random, "aes": self.aes, "features": self.features}
        return Responder(self.static, self.policy, **own)


def contacts(*, aes: bool = True, seed: str = "") -> tuple[Party, Party]:
    """Two parties who are contacts; with a seed their randomness is fixed (but for ML-KEM encapsulation)."""
    names = ("anna", "berta")
    alice, bob = (Party(name, aes, seeded(seed + name) if seed else system_random) for name in names)
    alice.knows(bob)
    bob.knows(alice)
    return alice, bob


class End:
    """One link, what it told and what it sent."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.events: list[Event] = []
        self.sent: list[bytes] = []

    def tell(self, events: Sequence[Event]) -> None:
        self.events.extend(events)

    def receive(self, body: bytes) -> None:
        """Receive one frame of a peer that is no link but a test."""
        self.tell(self.link.receive(length_of(body) + body, START))

    def seal(self, content: bytes) -> bytes:
        """An envelope of the link's own session with any content: a peer with the keys and no manners."""
        phase = self.link._phase
        assert isinstance(phase, OpenPhase)
        phase._sent += 1
        return phase._session.encrypt(content)

    def opened(self) -> LinkOpen:
        (event,) = (event for event in self.events if isinstance(event, LinkOpen))
        return event

    def closed(self) -> LinkClosed | None:
        """The one LinkClosed, which is the last event, or None."""
        ends = [event for event in self.events if isinstance(event, LinkClosed)]
        assert len(ends) <= 1
        assert not ends or self.events[-1] is ends[0]
        return ends[0] if ends else None

    def messages(self) -> list[Message]:
        return [event.message for event in self.events if isinstance(event, MessageReceived)]


class Pair:
    """An initiator and a responder; `now` stands still unless a test moves it."""

    def __init__(self, initiator: Initiator, responder: Responder, *, portion: int = 0) -> None:
        self.now = START
        self.portion = portion
        self.initiator = End(Link(initiator, self.now))
        self.responder = End(Link(responder, self.now))

    @property
    def ends(self) -> tuple[End, End]:
        return self.initiator, self.responder

    def deliver(self, end: End, data: bytes) -> None:
        """Let end receive data, whole or in portions; a held link goes on."""
        end.tell(feed(end.link, data, self.portion or max(1, len(data)), self.now))

    def carry(self, source: End, target: End) -> bool:
        """Carry what source has to send to target; whether there was anything."""
        data = source.link.data_to_send()
        if data:
            source.sent.append(data)
            self.deliver(target, data)
        return bool(data)

    def step(self, count: int) -> Pair:
        """Carry so many times, in turns; the responder's greeting is the first."""
        for number in range(count):
            self.carry(self.ends[(number + 1) % 2], self.ends[number % 2])
        return self

    def run(self) -> Pair:
        """Carry until neither has anything to send."""
        left, right = self.ends
        while self.carry(right, left) | self.carry(left, right):
            pass
        return self

    def send(self, source: End, message: Message) -> None:
        assert source.link.send(message, self.now)
        self.run()

    def tick(self, seconds: float) -> None:
        """Let time pass and both timers fire where they are due."""
        self.now += seconds
        for end in self.ends:
            if (due := end.link.next_timer()) is not None and due <= self.now:
                end.tell(end.link.handle_timer(self.now))

    def inject(self, target: End, *bodies: bytes) -> None:
        """Let target receive frames that its peer's link never made."""
        for body in bodies:
            self.deliver(target, length_of(body) + body)

    def cut(self) -> None:
        for end in self.ends:
            end.tell(end.link.end_of_stream())


def feed(link: Link, stream: bytes, portion: int, now: float = START) -> list[Event]:
    """Everything that a stream does to a link, which goes on at once where it is held."""
    events: list[Event] = []
    for start in range(0, len(stream), portion):
        told = link.receive(stream[start : start + portion], now)
        if any(isinstance(event, HandshakeAuthenticated) for event in told):
            told += link.resume(now)
        events += told
    return events


def check_end(events: list[Event]) -> None:
    """At most one LinkClosed, and nothing after it."""
    ends = [place for place, event in enumerate(events) if isinstance(event, LinkClosed)]
    assert ends in ([], [len(events) - 1])


def frames(stream: bytes) -> list[bytes]:
    """The bodies of the frames in a stream; a greeting at its beginning is left out."""
    if stream.startswith(b"PARLOUR"):
        stream = stream[GREETING_SIZE:]
    found = []
    while stream:
        size = 2 + int.from_bytes(stream[:2], "big")
        found.append(stream[2:size])
        stream = stream[size:]
    return found


def pair(pattern: Pattern = Pattern.IKPSK2, *, aes: bool = True, portion: int = 0) -> Pair:
    """Two fresh links of a pattern, with nothing carried yet."""
    alice, bob = contacts(aes=aes)
    return Pair(alice.calls(bob, pattern), bob.answers(), portion=portion)


def open_pair(pattern: Pattern = Pattern.IKPSK2, *, aes: bool = True, portion: int = 0) -> Pair:
    both = pair(pattern, aes=aes, portion=portion).run()
    assert both.initiator.link.is_open
    assert both.responder.link.is_open
    return both


_OF_NOISE = {Pattern.XX: "XX", Pattern.XXPSK0: "XXpsk0", Pattern.IKPSK2: "IKpsk2"}
GREETING = b"PARLOUR\x00" + bytes((1, 1, 3, 0)) + b"sixteen bytes...."[:16]
CHACHA = 2


def choice(pattern: Pattern, aead: int = CHACHA, version: int = 1) -> bytes:
    """The three bytes that begin an initiator's first frame."""
    return bytes((version, pattern, aead))


def state(
    pattern: Pattern,
    initiator: bool,
    static: X25519Pair,
    *,
    greeting: bytes = GREETING,
    rs: bytes | None = None,
    psk: bytes | None = None,
) -> HandshakeState:
    """A Noise state over the prologue of greeting and choice."""
    prologue = b"parlour.link.v1" + greeting + choice(pattern)
    psks = [] if psk is None else [psk]
    name = f"Noise_{_OF_NOISE[pattern]}_25519_ChaChaPoly_BLAKE2b"
    return HandshakeState(name, initiator, prologue=prologue, s=static, rs=rs, psks=psks)


def payload(message: Wire) -> bytes:
    return pad(encode(message))


class FakePair(X25519Pair):
    """A public key that nobody has the secret of, with whatever DH its bearer claims: zeros, by default."""

    __slots__ = ("claimed",)

    def __init__(self, public: bytes, claimed: dict[bytes, bytes] | None = None) -> None:
        super().__init__(bytes(32))
        self.public = public
        self.claimed = claimed or {}

    def dh(self, public: bytes) -> bytes:
        return self.claimed.get(public, bytes(32))


PATTERNS = list(Pattern)
PAIRING = [Pattern.XX, Pattern.XXPSK0]
NAMES = ShareNames([NAME], [NAME])


class Steps:
    """A handshake by its steps: the frames, and the objects that wait for them."""

    def __init__(self, pattern: Pattern, *, aes: bool = True, **options: Any) -> None:
        self.alice, self.bob = contacts(aes=aes)
        self.initiator: Initiator = self.alice.calls(self.bob, pattern, **options)
        self.responder: Responder = self.bob.answers()
        self.greeting = self.responder.greet()
        self.call, self.answer = self.initiator.begin(self.greeting)
        self.reply, self.following = self.responder.answer(self.greeting, self.call)

    def altered(self, call: bytes) -> None:
        """What becomes of another first frame: message 1 of XX holds no key, so only its answer can fail."""
        self.answer.read(self.responder.answer(self.greeting, call)[0])

    def finish(self) -> tuple[Established, Established]:
        """What both sides have in the end, the initiator first."""
        last, initiator = self.answer.read(self.reply)
        if isinstance(self.following, Finish):
            return initiator, self.following.read(last)
        return initiator, self.following


def hello_call(alice: Party, bob: Party, content: bytes, static: X25519Pair | None = None) -> bytes:
    """A first frame of IKpsk2 whose payload is whatever a test wants."""
    call = state(Pattern.IKPSK2, True, static or alice.static, rs=bob.static.public)
    return choice(Pattern.IKPSK2) + call.write_message(pad(content))


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
    """Envelopes that end sends for messages, kept by an observer in between."""
    for message in messages:
        assert end.link.send(message, START)
    return frames(end.link.data_to_send())


def with_counters(envelope: bytes, pn: int, n: int) -> bytes:
    return envelope[:32] + struct.pack(">II", pn, n) + envelope[40:]


RELAY = X25519Pair(bytes(range(32)))
TIME = 20_000 * 86_400 + 3_600
"""The relay's clock: an hour into a day."""


def token(index: int) -> bytes:
    return bytes([index]) * 16


class RelayPair:
    """One connection: both ends, and what each was told."""

    def __init__(self, label: str = "x", portion: int = 0, relay: bytes = RELAY.public) -> None:
        self.terminal = RelayTerminal(relay, 0.0, seeded(f"terminal {label}"))
        self.relay = RelayEnd(RELAY, 0.0, TIME, seeded(f"relay {label}"))
        self.portion, self.now = portion, 0.0
        self.told: list[RelayEvent] = []  # the terminal
        self.heard: list[RelayEvent] = []  # the relay
        self.on_the_wire: list[bytes] = []

    def run(self) -> RelayPair:
        relay, terminal = self.relay, self.terminal
        while self._carry(relay, terminal, self.told) | self._carry(terminal, relay, self.heard):
            pass
        return self

    def _carry(self, source: RelayConnection, target: RelayConnection, events: list[RelayEvent]) -> bool:
        if data := source.data_to_send():
            self.on_the_wire.append(data)
        size = self.portion or len(data) or 1
        for start in range(0, len(data), size):
            events += target.receive(data[start : start + size], self.now)
        return bool(data)

    def wait(self, tokens: Iterable[bytes]) -> RelayPair:
        """The terminal waits, and the relay holds its tokens."""
        self.run().terminal.wait(tokens, self.now)
        self.run().relay.waiting()
        return self.run()

    def dial(self, wanted: bytes, place: int = 0) -> RelayPair:
        self.run().terminal.dial(wanted, self.now, place)
        return self.run()
