"""Linkings between two terminals of one person, moved message by message."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from protocol.codec import encode
from protocol.identity.author import NewTerminal as Keys
from protocol.identity.author import add_operation
from protocol.identity.log import parse_operation, sign_add
from protocol.identity.reduction import reduce
from protocol.keys import X25519Pair
from protocol.link.states import PairingFacts, Role
from protocol.messages import (
    MESSAGE,
    LinkState,
    Message,
    SharedPairing,
    SharedRoot,
    SharedShare,
)
from protocol.pairing.handover import Handover, SharedContact
from protocol.pairing.linking import (
    AddDue,
    Adding,
    BeingAdded,
    HandoverDue,
    LinkingEvent,
    LinkingFailed,
    ProfileDue,
    Step,
)
from tests.support.protocol.pairings import ANNA, BOB, Person, Terminal, facts
from tests.support.protocol.samples import seeded

NEW = Terminal.named("laptop")
KEYS = Keys(NEW.id, NEW.signing, NEW.static, NEW.seed, X25519Pair(NEW.secret).reveal())


def handover(person: Person = ANNA, *contacts: Person) -> Handover:
    """What the terminals of a person share, who has these contacts."""
    told = []
    for contact in contacts or (BOB,):
        share = SharedShare(contact.id, seeded(f"share {contact.name}")(32))
        root = SharedRoot(seeded(f"root {contact.name}")(32), person.id, False, [share])
        said = "", True, False, False, 0, 0, False, False
        shared = SharedPairing(contact.id, [], [], *said, [], [], [root], [contact.first.static], [])
        told.append(SharedContact(tuple(contact.operations), shared))
    state = LinkState(person.id, person.first.id, [], [], [person.drawn], [], [], len(told))
    return Handover(tuple(person.operations), state, tuple(told))


def being_added(own: PairingFacts | None = None, name: str = "laptop") -> BeingAdded:
    return BeingAdded(own or facts(), KEYS, name, seeded("nonce new"))


def adding(own: PairingFacts | None = None, person: Person = ANNA) -> Adding:
    known = frozenset(key for one in person.operations for key in parse_operation(one).keys)
    own = own or facts(role=Role.RESPONDER)
    return Adding(own, person.name, lambda: known, seeded("nonce old"))


def act(machine: BeingAdded | Adding, step: Step, given: Handover) -> list[Step]:
    """What the disks and the log do after a step: share, sign and store."""
    steps = list[Step]()
    for event in step.events:
        if isinstance(event, HandoverDue) and isinstance(machine, Adding):
            log, new = reduce(given.operations), machine.new
            add = add_operation(log, given.state.terminal, new.signing, new.static, new.name)
            steps.append(machine.share(given, add))
        if isinstance(event, AddDue) and isinstance(machine, Adding):
            steps.append(machine.added(sign_add(event.add, ANNA.first.seed, event.signature)))
        if isinstance(event, ProfileDue) and isinstance(machine, BeingAdded):
            steps.append(machine.stored())
    return steps


@dataclass
class End:
    """One machine, what it told and what it has to send."""

    machine: BeingAdded | Adding
    given: Handover = field(default_factory=handover)
    events: list[LinkingEvent] = field(default_factory=list)
    outbox: deque[Message] = field(default_factory=deque)
    sent: list[Message] = field(default_factory=list)

    def take(self, step: Step) -> End:
        self.outbox.extend(step.send)
        self.sent.extend(step.send)
        self.events.extend(step.events)
        for following in act(self.machine, step, self.given):
            self.take(following)
        return self

    def receive(self, message: Message) -> End:
        return self.take(self.machine.receive(MESSAGE.decode(encode(message))))

    def confirm(self) -> End:
        return self.take(self.machine.confirm())

    def told(self, kind: type[LinkingEvent]) -> list[LinkingEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def failure(self) -> str:
        """The error class of its failure, or empty."""
        return "".join(one.error_class for one in self.events if isinstance(one, LinkingFailed))


@dataclass
class Linked:
    """The new terminal and the one that adds it, joined by nothing but `carry`."""

    new: End
    old: End

    @classmethod
    def begun(cls, own: PairingFacts | None = None, other: PairingFacts | None = None) -> Linked:
        both = cls(End(being_added(own)), End(adding(other)))
        for end in (both.new, both.old):
            end.take(end.machine.start())
        return both

    def carry(self, count: int = 1_000) -> Linked:
        """Move up to `count` messages, the new terminal's first."""
        while count and (self.new.outbox or self.old.outbox):
            source, target = (self.new, self.old) if self.new.outbox else (self.old, self.new)
            target.receive(source.outbox.popleft())
            count -= 1
        return self

    def finish(self) -> Linked:
        """Everything from the first message to the last, both people agreeing."""
        self.carry()
        self.new.confirm()
        self.old.confirm()
        return self.carry()
