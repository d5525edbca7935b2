"""Persons who sign their own logs, and pairings between two of them, moved message by message."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from protocol import limits
from protocol.codec import encode
from protocol.identity.author import (
    add_operation,
    create_person,
    recover_operation,
    remove_operation,
    rename_operation,
    sign_recovery,
)
from protocol.identity.drawing import renew_operation
from protocol.identity.log import (
    Operation,
    Rename,
    TerminalKeys,
    load,
    parse_operation,
    sign_operation,
)
from protocol.identity.reduction import NO_PINS, PersonState, Pins, Reduction
from protocol.keys import X25519Pair
from protocol.link.states import LinkSecret, PairingFacts, Role
from protocol.messages import MESSAGE, Accept, Commit, Message, Open, Ping, Record, Reveal, SharedDrawn
from protocol.pairing.comparison import WordsReady
from protocol.pairing.contact_secret import Pair, own_share
from protocol.pairing.invitation import invitation_check
from protocol.pairing.pairing import (
    Completed,
    Pairing,
    PairingEvent,
    PairingFailed,
    PendingReady,
    State,
    Step,
    nothing_held,
)
from protocol.pairing.record import HeldOperations, Identity, PendingContact, Transcript, make_record
from tests.support.protocol.samples import seeded
from tests.vectors import persons_log, persons_signed


class Terminal(persons_log.Terminal):
    @classmethod
    def named(cls, label: str) -> Terminal:
        random = seeded(f"terminal {label}")
        return cls(random(32), random(32))


@dataclass
class Person:
    """A person who writes its own log; `first` is the founding terminal."""

    name: str = "Anna"
    operations: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.new = create_person(self.name, seeded(f"person {self.name}"))
        self.operations += self.new.operations
        self.first = Terminal(self.new.signing_seed, self.new.static_secret)

    @property
    def id(self) -> bytes:
        return self.new.person

    @property
    def drawn(self) -> SharedDrawn:
        """The secret of the genesis."""
        return SharedDrawn(self.id, self.new.drawn)

    @property
    def now(self) -> Reduction:
        return Reduction(load(self.operations))

    @property
    def state(self) -> PersonState:
        return self.now.state()

    def write(self, operation: Operation, *seeds: bytes) -> bytes:
        """Sign, append, and return the signed operation."""
        signed = sign_operation(operation, *seeds)
        self.operations.append(signed)
        return signed

    def add(self, by: Terminal, new: Terminal, upon: PersonState | None = None) -> bytes:
        operation = add_operation(upon or self.state, by.id, new.signing, new.static, "laptop")
        return self.write(operation, by.seed, new.seed)

    def rename(self, by: Terminal, name: str, upon: PersonState | None = None) -> bytes:
        return self.write(rename_operation(upon or self.state, by.id, name), by.seed)

    def later(self, by: Terminal, *fields: object, upon: PersonState | None = None) -> bytes:
        """An operation of a later version, with these further fields."""
        state = upon or self.state
        place = self.id, by.id, list(state.heads)
        self.operations.append(
            persons_signed.signed_bytes(encode([persons_log.LATER, *place, *fields]), by.seed)
        )
        return self.operations[-1]

    def remove(
        self,
        by: Terminal,
        removed: Terminal,
        keep: Sequence[bytes] | None = None,
        upon: Reduction | None = None,
    ) -> bytes:
        """`keep`: ids, by default all that the removed one signed."""
        upon = upon or self.now
        keep = last_of(upon, removed.id) if keep is None else keep
        return self.write(remove_operation(upon, by.id, removed.id, keep), by.seed)

    def renew(self, by: Terminal, upon: Reduction | None = None) -> bytes:
        random = seeded(f"renewal {len(self.operations)}")
        made = renew_operation(upon or self.now, by.id, self.new.self_key, random(32), random)
        return self.write(made, by.seed)

    def recover(
        self,
        removed: Mapping[Terminal, Sequence[bytes]] | None = None,
        new: Terminal | None = None,
        upon: Reduction | None = None,
        seeds: tuple[bytes, bytes] | None = None,
    ) -> bytes:
        """`seeds`: the present one and the next, by default twice that of the genesis."""
        present, following = seeds or (self.new.recovery_seed, self.new.recovery_seed)
        listed = {terminal.id: keep for terminal, keep in (removed or {}).items()}
        keys = TerminalKeys(new.signing, new.static) if new else None
        operation = recover_operation(upon or self.now, present, following, listed, keys)
        signed = sign_recovery(operation, present, *([new.seed] if new else []))
        self.operations.append(signed)
        return signed


def recovery(
    operations: Iterable[bytes],
    seed: bytes,
    removed: Mapping[bytes, Sequence[bytes]] | None = None,
    new: Terminal | None = None,
    pins: Pins = NO_PINS,
) -> bytes:
    """A signed Recover upon a log, which names the key of the same seed.

    `removed`: as `recover_operation`.
    """
    keys = TerminalKeys(new.signing, new.static) if new else None
    made = recover_operation(Reduction(load(operations), pins), seed, seed, removed or {}, keys)
    return sign_recovery(made, seed, *([new.seed] if new else []))


def removal(
    operations: Iterable[bytes], by: bytes, seed: bytes, removed: bytes, keep: Sequence[bytes] = ()
) -> bytes:
    """A Remove upon a log, signed with the seed of the terminal `by`."""
    return sign_operation(remove_operation(Reduction(load(operations)), by, removed, keep), seed)


def last_of(reduction: Reduction, terminal: bytes) -> tuple[bytes, ...]:
    """The last operations of a terminal, which keep all that it signed."""
    graph = reduction.graph
    own = graph.by_author.get(terminal, 0) & reduction.kept & reduction.view
    return graph.ids(graph.tips(own))[: limits.KEEP_MAX]


def id_of(signed: bytes) -> bytes:
    return parse_operation(signed).id


def chain(anna: Person, by: Terminal, count: int) -> list[bytes]:
    """So many renames, each upon the one before."""
    parent, made = list(anna.state.heads), []
    for number in range(count):
        made.append(sign_operation(Rename(anna.id, by.id, parent, f"n {number}"), by.seed))
        parent = [id_of(made[-1])]
    return made


SECOND, THIRD, FOURTH, THIEF = (Terminal.named(name) for name in ("second", "third", "fourth", "thief"))


def facts(label: str = "link", role: Role = Role.INITIATOR) -> PairingFacts:
    """What the two ends of one link agreed on, as the end of this role has it."""
    random = seeded(label)
    agreed = random(64), random(32), random(32), random(1184), random(1088), random(32)
    secret, pairs = LinkSecret(random(32)), (X25519Pair(random(32)), X25519Pair(random(32)))
    return PairingFacts(*agreed, secret, pairs[role], pairs[1 - role].public)


def identity(person: Person) -> Identity:
    """How a person shows itself, with the secret of its genesis."""
    static = X25519Pair(person.first.secret)
    return Identity(tuple(person.operations), person.first.id, person.first.seed, static, person.drawn)


@dataclass
class Side:
    """One machine, what it told and what it has to send."""

    machine: Pairing
    events: list[PairingEvent] = field(default_factory=list)
    outbox: deque[Message] = field(default_factory=deque)
    sent: list[Message] = field(default_factory=list)
    read: int = 0
    """Messages taken from its link, where there is a link."""

    def take(self, step: Step) -> Side:
        self.outbox.extend(step.send)
        self.sent.extend(step.send)
        self.events.extend(step.events)
        return self

    def receive(self, message: Message) -> Side:
        return self.take(self.machine.receive(MESSAGE.decode(encode(message))))

    @property
    def pending(self) -> PendingContact | None:
        """The contact that was to be stored, if there was one."""
        found = [event.contact for event in self.events if isinstance(event, PendingReady)]
        assert len(found) <= 1
        return found[0] if found else None

    @property
    def failure(self) -> str:
        """The error class of its failure, or empty."""
        return "".join(event.error_class for event in self.events if isinstance(event, PairingFailed))

    @property
    def completed(self) -> bytes:
        return b"".join(event.person for event in self.events if isinstance(event, Completed))

    @property
    def record(self) -> Record:
        (found,) = (message for message in self.sent if isinstance(message, Record))
        return found

    @property
    def accepted(self) -> bool:
        return any(isinstance(message, Accept) for message in self.sent)


@dataclass
class Meeting:
    """Initiator and responder, joined by nothing but `carry`."""

    initiator: Side
    responder: Side

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.initiator, self.responder

    def carry(self, count: int = 1_000) -> Meeting:
        """Move up to `count` messages, the initiator's first."""
        while count and (self.initiator.outbox or self.responder.outbox):
            source, target = self.sides if self.initiator.outbox else self.sides[::-1]
            target.receive(source.outbox.popleft())
            count -= 1
        return self

    def confirm(self) -> Meeting:
        """Both people say yes where they are asked."""
        for side in self.sides:
            if side.machine.awaits_person:
                side.take(side.machine.confirm())
        return self.carry()

    def store(self) -> Meeting:
        for side in self.sides:
            if side.pending:
                side.take(side.machine.stored())
        return self.carry()

    def finish(self) -> Meeting:
        """Everything from the first message to the last, both people agreeing."""
        return self.carry().confirm().confirm().store()


def nearby(
    anna: Person,
    bob: Person,
    *,
    annas: PairingFacts | None = None,
    bobs: PairingFacts | None = None,
    held: HeldOperations = nothing_held,
) -> Meeting:
    """Anna begins, Bob answers; they have the facts of one link unless told otherwise."""
    initiator = Pairing.nearby(annas or facts(), Role.INITIATOR, identity(anna), seeded("nonce a"), held)
    responder = Pairing.nearby(
        bobs or facts(role=Role.RESPONDER), Role.RESPONDER, identity(bob), seeded("nonce b"), held
    )
    return started(initiator, responder)


def invited(joiner: Person, inviter: Person, *, check: bytes = b"") -> Meeting:
    """The joiner begins, with the inviter's check unless told otherwise."""
    check = check or invitation_check(inviter.id, inviter.first.static)
    return started(
        Pairing.joiner(facts(), identity(joiner), check),
        Pairing.inviter(facts(role=Role.RESPONDER), identity(inviter)),
    )


def started(initiator: Pairing, responder: Pairing) -> Meeting:
    meeting = Meeting(Side(initiator), Side(responder))
    for side in meeting.sides:
        side.take(side.machine.start())
    return meeting


def secret_pair(own: Person, contact: PendingContact) -> Pair:
    shares = (own_share(contact.root, own.drawn),), (contact.theirs,)
    return Pair(contact.root, own.id, contact.person, *shares, contact.own, contact.theirs.operation)


ANNA, BOB, MALLORY = Person("Anna"), Person("Bob"), Person("Mallory")

EXAMPLES: dict[type[Message], Message] = {
    Commit: Commit(bytes(32), "Bob"),
    Reveal: Reveal(bytes(32), "Bob"),
    Open: Open(bytes(32)),
    Record: make_record(identity(BOB), Transcript.of(facts(role=Role.RESPONDER), Role.RESPONDER)),
    Accept: Accept(bytes(32)),
    Ping: Ping(1),
}


def reach(state: State) -> Side:
    """A machine that has come to a state in the ordinary way."""
    if state is State.INVITED:
        return invited(ANNA, BOB).responder
    if state in (State.LISTENING, State.REVEALED):
        return nearby(ANNA, BOB).carry(0 if state is State.LISTENING else 1).responder
    meeting = nearby(ANNA, BOB)
    initiator, responder = meeting.sides
    if state is State.COMMITTED:
        return initiator
    meeting.carry()
    if state in (State.RECEIVED, State.READY, State.ACCEPTED, State.STORED, State.DONE):
        initiator.receive(responder.take(responder.machine.confirm()).outbox.popleft())
    if state in (State.OFFERED, State.READY, State.ACCEPTED, State.STORED, State.DONE):
        initiator.take(initiator.machine.confirm())
    if state in (State.ACCEPTED, State.DONE):
        responder.receive(initiator.outbox.popleft())
        initiator.receive(responder.take(responder.machine.stored()).outbox.popleft())
    if state in (State.STORED, State.DONE):
        initiator.take(initiator.machine.stored())
    assert initiator.machine.state is state
    return initiator


REACHABLE = [state for state in State if state not in (State.NEW, State.FAILED)]


def words_of(side: Side) -> tuple[str, ...]:
    (event,) = (event for event in side.events if isinstance(event, WordsReady))
    return event.words
