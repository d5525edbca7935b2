"""One whole conversation of version 1 as bytes, with what each end makes of them.

Each end is replayed alone: it gets its recorded secrets, draws and received bytes, and must come to the
recorded events. What it sends today is not compared, so a later version may say more.

`python -m tests.interop.transcript` writes the file again. After the release of 0.1.0 the file is never
rewritten: what fails here then is a version that cannot talk to version 1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from protocol.codec import encode
from protocol.entries_and_receipts import (
    KIND_TEXT,
    READ,
    STORED,
    EntryPlace,
    Facts,
    ParsedEntry,
    accept_entry,
    accept_receipt,
    conversation_of_two,
    heads_hash,
    parse_entry,
    receipt_for,
    text_body,
    write_entry,
)
from protocol.history import opening
from protocol.identity.drawing import self_key
from protocol.identity.exchange import extend, missing
from protocol.identity.log import parse_operation
from protocol.identity.reduction import reduce
from protocol.keys import X25519Pair
from protocol.link.framing import Pattern
from protocol.link.handshake import Initiator, Responder
from protocol.link.link import Link
from protocol.link.states import (
    ContactPsk,
    Event,
    InvitationKeys,
    LinkClosed,
    LinkOpen,
    MessageReceived,
    PingAnswered,
    Role,
)
from protocol.messages import (
    MESSAGE,
    ContactHello,
    Entry,
    Head,
    Heads,
    HeadsHash,
    LogHeads,
    LogOperations,
    Message,
    Receipt,
    SharedDrawn,
    Typing,
)
from protocol.pairing.comparison import WordsReady
from protocol.pairing.contact_secret import Pair, own_share
from protocol.pairing.pairing import Completed, Pairing, PendingReady, Step
from protocol.pairing.record import Identity, PendingContact
from protocol.primitives import mlkem_encapsulate
from protocol.vectors.links import Draws, Encapsulation
from tests.support.protocol import pairings
from tests.support.protocol.samples import seeded

FILE: Final = Path(__file__).with_name("version_1.json")
TIME: Final = 1_767_225_600_000
"""Unix time of the entries, in milliseconds."""

Json = dict[str, Any]
Draw = Callable[[int], bytes]
Encapsulate = Callable[[bytes], tuple[bytes, bytes]]


@dataclass
class Self:
    """A person with one terminal, from the file."""

    operations: tuple[bytes, ...]
    signing_seed: bytes
    static: X25519Pair
    drawn: SharedDrawn
    later: tuple[bytes, ...] = ()
    """Operations that the person signs after the pairing."""
    contact: PendingContact | None = None
    """The other person, once paired."""

    @classmethod
    def read(cls, found: Json) -> Self:
        """The person of the file."""
        operations = tuple(map(bytes.fromhex, found["operations"]))
        names = ("signing_seed", "static_secret", "person", "drawn")
        seed, static, person, drawn = (bytes.fromhex(found[name]) for name in names)
        later = tuple(map(bytes.fromhex, found["later"]))
        return cls(operations, seed, X25519Pair(static), SharedDrawn(person, drawn), later)

    @property
    def person(self) -> bytes:
        """The person id."""
        return reduce(self.operations).person

    @property
    def self_key(self) -> bytes:
        """Its key of self tags."""
        return self_key(self.drawn.secret)

    @property
    def terminal(self) -> bytes:
        """The id of the terminal."""
        (terminal,) = reduce(self.operations).live
        return terminal

    def identity(self) -> Identity:
        """What a Record shows."""
        return Identity(self.operations, self.terminal, self.signing_seed, self.static, self.drawn)

    def friend(self) -> PendingContact:
        """The other person. It is an error to ask before the pairing."""
        assert self.contact is not None
        return self.contact

    def secrets(self) -> Pair:
        """The roots and shares of the pairing."""
        contact = self.friend()
        shares = (own_share(contact.root, self.drawn),), (contact.theirs,)
        firsts = contact.own, contact.theirs.operation
        return Pair(contact.root, self.person, contact.person, *shares, *firsts)


@dataclass
class Policy:
    """Takes pairings nearby, and calls of the contact."""

    own: Self

    def pairing_open(self) -> bool:
        """Always."""
        return True

    def linking_open(self) -> bool:
        """Never."""
        return False

    def open_invitations(self) -> Sequence[InvitationKeys]:
        """None."""
        return ()

    def contact_psk(self, static: bytes, hello: ContactHello) -> tuple[bytes, ContactPsk] | None:
        """The psk of the contact, if it calls."""
        psk = self.own.secrets().answer(hello.names)
        return None if psk is None else (hello.person, psk)


@dataclass
class End:
    """One end of a link, which takes the steps of the file and says what came of each."""

    own: Self
    pattern: Pattern
    role: Role
    draw: Draw
    encapsulate: Encapsulate
    held: list[ParsedEntry] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.pairing: Pairing | None = None
        self.sent: list[str] = []
        self.link = Link(self._initiator() if self.role is Role.INITIATOR else self._responder(), self.now)

    def _initiator(self) -> Initiator:
        if self.pattern is Pattern.XX:
            return Initiator.pairing(self.pattern, random=self.draw, aes=False, encapsulate=self.encapsulate)
        contact, own = self.own.friend(), self.own
        (terminal,) = contact.state.live.values()
        ends = own.static, terminal.static, own.person, contact.person
        return Initiator.contact(*ends, own.secrets().candidates(), random=self.draw, aes=False)

    def _responder(self) -> Responder:
        given: Any = {"random": self.draw, "aes": False, "encapsulate": self.encapsulate}
        return Responder(self.own.static, Policy(self.own), **given)

    # --- Steps ---

    def take(self, step: Json) -> list[Json]:
        """Take a step; the events that it causes."""
        match step["do"]:
            case "receive":
                events = self.link.receive(bytes.fromhex(step["stream"]), self.now)
                return [one for event in events for one in self._told(event)]
            case "send":
                self._send([MESSAGE.decode(bytes.fromhex(step["message"]))])
            case "ping":
                self.link.ping(self.now)
            case "close":
                return [one for event in self.link.close(0) for one in self._told(event)]
            case "confirm" | "stored" as call:
                assert self.pairing is not None
                return self._advance(self.pairing.confirm() if call == "confirm" else self.pairing.stored())
        return []

    def _send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            assert self.link.send(message, self.now)
            self.sent.append(encode(message).hex())

    def _advance(self, step: Step) -> list[Json]:
        self._send(step.send)
        told: list[Json] = []
        for event in step.events:
            match event:
                case WordsReady(words=words, name=name):
                    told.append({"words": list(words), "name": name})
                case PendingReady(contact):
                    self.own.contact = contact
                    told.append({"stores": contact.person.hex(), "name": contact.name})
                case Completed(person):
                    told.append({"paired": person.hex()})
                case _:
                    told.append({"pairing": str(event)})
        return told

    def _told(self, event: Event) -> list[Json]:
        match event:
            case LinkOpen(session_id=session, pairing=facts):
                opened = [{"open": session.hex()}]
                if facts is None:
                    return opened
                self.pairing = Pairing.nearby(facts, self.role, self.own.identity(), self.draw)
                return opened + self._advance(self.pairing.start())
            case MessageReceived(message) if self.pairing is not None:
                return [{"message": encode(message).hex()}, *self._advance(self.pairing.receive(message))]
            case MessageReceived(message):
                return [{"message": encode(message).hex()} | self._means(message)]
            case PingAnswered(number):
                return [{"answered": number}]
            case LinkClosed(reason, error_class, clean):
                return [{"closed": str(reason), "error": error_class, "clean": clean}]
        return [{"event": str(event)}]

    def _means(self, message: Message) -> Json:
        """What a message on a contact's link says to its reader."""
        own, contact = self.own, self.own.friend()
        match message:
            case Entry():
                entry = parse_entry(message)
                live = accept_entry(entry, self._facts())
                self.held.append(entry)
                said = entry.said
                text = None if said is None else said.text
                return {"entry": entry.id.hex(), "kind": entry.header.kind, "live": live, "text": text}
            case LogHeads(heads=heads):
                lacks = missing([*own.operations, *own.later], heads)
                return {"lacks": [parse_operation(signed).id.hex() for signed in lacks]}
            case LogOperations(operations=operations):
                state = extend(self._log(), operations).state
                return {"name": state.name, "terminals": [terminal.hex() for terminal in state.live]}
            case HeadsHash(conversation=conversation, hash=named):
                return {"same": named == heads_hash(conversation, self._heads())}
            case Receipt():
                return {"by": accept_receipt(message, contact.state, self._peer()).id.hex()}
        return {}

    def _log(self) -> tuple[bytes, ...]:
        return self.own.friend().operations

    def _peer(self) -> bytes:
        (terminal,) = self.own.friend().state.live.values()
        return terminal.static

    def _facts(self) -> Facts:
        own, contact = self.own, self.own.friend()
        return Facts(
            own_person=own.person,
            own_terminals={own.terminal},
            contact=contact.person,
            contact_terminals=set(contact.state.live),
            carrier=contact.person,
            self_keys=[own.self_key],
            welcome=True,
        )

    def _heads(self) -> list[Head]:
        named = {entry.header.previous for entry in self.held}
        ends = [entry for entry in self.held if entry.id not in named]
        return [Head(entry.header.author, entry.header.sequence, entry.id) for entry in ends]


# --- Replaying ---


def replay(transcript: Json) -> None:
    """Both ends of every link, each alone. AssertionError where an event is another one than recorded."""
    for name in ("anna", "bob"):
        own, held = Self.read(transcript["persons"][name]), list[ParsedEntry]()
        for link in transcript["links"]:
            recorded = link["ends"][name]
            pattern, role = Pattern[link["pattern"]], Role[recorded["role"]]
            encapsulate = Encapsulation(link["kem_secret"], link["kem_ciphertext"])
            draws = Draws(*recorded["draws"])
            end = End(own, pattern, role, draws, encapsulate, held)
            for number, step in enumerate(recorded["steps"]):
                told = end.take(step)
                if told != step.get("events", []):
                    raise AssertionError(f"{name}, {link['pattern']}, step {number}: {told}")


# --- Recording ---


class Recorder:
    """Two ends, each of which takes steps that are written down."""

    def __init__(self, pattern: Pattern, initiator: Self, responder: Self, names: tuple[str, str]) -> None:
        self.names = names
        self.written: Json = {"pattern": pattern.name, "ends": {}}
        self.ends = [
            End(own, pattern, role, self._drawing(name, role, pattern), self._encapsulate)
            for name, own, role in zip(names, (initiator, responder), Role, strict=True)
        ]

    def _drawing(self, name: str, role: Role, pattern: Pattern) -> Draw:
        drawn: list[str] = []
        self.written["ends"][name] = {"role": role.name, "draws": drawn, "steps": []}
        source = seeded(f"transcript {name} {pattern.name}")

        def draw(size: int) -> bytes:
            value = source(size)
            drawn.append(value.hex())
            return value

        return draw

    def _encapsulate(self, key: bytes) -> tuple[bytes, bytes]:
        secret, ciphertext = mlkem_encapsulate(key)
        self.written |= {"kem_secret": secret.hex(), "kem_ciphertext": ciphertext.hex()}
        return secret, ciphertext

    def step(self, role: Role, do: str, **given: str) -> None:
        """One end takes a step."""
        step: Json = {"do": do, **given}
        end = self.ends[role]
        end.sent.clear()
        if events := end.take(step):
            step["events"] = events
        if end.sent:
            step["sends"] = list(end.sent)  # for a reader without a pairing of its own
        self.written["ends"][self.names[role]]["steps"].append(step)

    def carry(self) -> None:
        """Carry bytes until neither end has any."""
        moved = True
        while moved:
            moved = False
            for role in (Role.RESPONDER, Role.INITIATOR):
                if data := self.ends[role].link.data_to_send():
                    self.step(Role(1 - role), "receive", stream=data.hex())
                    moved = True

    def say(self, role: Role, *messages: Message) -> None:
        """One end sends messages, and both come to rest."""
        for message in messages:
            self.step(role, "send", message=encode(message).hex())
        self.carry()


def _person(name: str) -> Json:
    made = pairings.Person(name)
    operations = [signed.hex() for signed in made.operations]
    renamed = made.rename(made.first, f"{name} of version 1")
    secrets = {"signing_seed": made.first.seed, "static_secret": made.first.secret}
    secrets["drawn"] = made.new.drawn
    named = {key: value.hex() for key, value in secrets.items()}
    return {
        "person": made.id.hex(),
        "operations": operations,
        "later": [renamed.hex()],
        **named,
    }


def record() -> Json:
    """A pairing by words, and a conversation on a link of the two."""
    persons = {"anna": _person("Anna"), "bob": _person("Bob")}
    anna, bob = (Self.read(persons[name]) for name in ("anna", "bob"))
    names, initiator, responder = ("anna", "bob"), Role.INITIATOR, Role.RESPONDER
    pairing = Recorder(Pattern.XX, anna, bob, names)
    pairing.carry()
    for do in ("confirm", "stored"):
        for role in (initiator, responder):
            pairing.step(role, do)
            pairing.carry()
    pairing.step(initiator, "close")
    pairing.carry()
    link = Recorder(Pattern.IKPSK2, bob, anna, ("bob", "anna"))
    (psk,) = bob.secrets().candidates()
    link.written |= {"psk": psk.psk.hex(), "shares": [psk.own.hex(), psk.theirs.hex()]}
    link.carry()
    conversation = conversation_of_two(anna.person, bob.person)
    for role, own in ((initiator, bob), (responder, anna)):
        logs = [LogHeads(log.person, list(log.heads)) for log in (own.friend().state, reduce(own.operations))]
        link.say(role, *opening(logs, conversation, [], 4_747, []))
        link.say(role, LogOperations(list(own.later)))
    first = _entry(anna, conversation, None, (), "Good morning, Bob: 早上好 ☀")
    link.say(responder, first.message(), Typing(conversation, True))
    link.say(initiator, receipt_for(STORED, [first.id]), receipt_for(READ, [first.id]))
    answer = _entry(bob, conversation, None, (first.id,), "And to you", first.id)
    second = _entry(anna, conversation, (1, first.id), (answer.id,), "A long text. " * 100)
    link.say(initiator, answer.message())
    link.say(responder, receipt_for(STORED, [answer.id]), second.message(), second.message())
    link.step(initiator, "ping")
    link.carry()
    head = Head(bob.terminal, 1, answer.id)
    link.say(responder, Heads(conversation, b"", [head], more=False))
    link.say(responder, Entry(second.header_bytes, b"", b""))
    link.step(responder, "ping")
    link.carry()
    link.step(responder, "close")
    link.carry()
    return {"version": 1, "persons": persons, "links": [pairing.written, link.written]}


def _entry(
    own: Self,
    conversation: bytes,
    previous: tuple[int, bytes] | None,
    parents: Sequence[bytes],
    text: str,
    reply: bytes = b"",
) -> ParsedEntry:
    heads = reduce(own.operations).heads
    place = EntryPlace(conversation, own.terminal, b"version1", previous, parents, heads)
    body, random = text_body(text, reply), seeded(f"salt {text}")
    return write_entry(place, TIME, KIND_TEXT, body, own.self_key, random)


if __name__ == "__main__":
    FILE.write_text(json.dumps(record(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
