"""The state machine of a pairing over an open link, with words or an invitation (SPEC §7.4, §7.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Final, Self

from msgspec import Struct, structs
from msgspec.structs import replace

from protocol import primitives
from protocol.errors import AuthenticationFailed, LocalMisuse, ProtocolError, Unexpected
from protocol.identity.reduction import reduce
from protocol.limits import PENDING_SECONDS
from protocol.link.states import PairingFacts, Role
from protocol.messages import Accept, Close, Commit, LogOperations, Message, Open, Record, Reveal
from protocol.pairing import record
from protocol.pairing.comparison import Comparison, WordsReady
from protocol.pairing.record import HeldOperations, Identity, PendingContact
from protocol.primitives import KEY_SIZE, Random, ed25519_from_seed

_REFUSED: Final = 3
"""The reason of Close after every failure, so that a peer learns nothing from it (SPEC §6.7)."""


def goes_on(own: bytes, rival: bytes) -> bool:
    """Whether a link by words goes on where both persons began; the handshake hashes have 64 bytes."""
    return own < rival


def is_forgotten(stored: int, now: int) -> bool:
    """Whether a contact that has been pending since `stored` is forgotten; Unix times in milliseconds."""
    return now - stored >= PENDING_SECONDS * 1_000


# --- Events ---


class JoinerKnown(Struct, frozen=True):
    """A joiner used the invitation and waits for confirmation. `name` is text of the peer."""

    name: str
    person: bytes


class PendingReady(Struct, frozen=True):
    """The contact is to be stored durably as pending, then `stored` is to be called."""

    contact: PendingContact


class Completed(Struct, frozen=True):
    """The peer has stored the contact too, so it is no longer pending."""

    person: bytes


class PairingFailed(Struct, frozen=True):
    """The pairing failed. A contact that is already stored as pending remains.

    `error_class` is one of the five of SPEC §15, "refused" (the peer closed) or "cut" (the link ended).
    """

    error_class: str


PairingEvent = WordsReady | JoinerKnown | PendingReady | Completed | PairingFailed


class Step(Struct, frozen=True):
    """Result of an input: messages to send in order, and then events."""

    send: tuple[Message, ...] = ()
    events: tuple[PairingEvent, ...] = ()


# --- States ---


class State(Enum):
    """State of a pairing, named after the last thing that happened."""

    NEW = auto()
    INVITED = auto()
    LISTENING = auto()
    COMMITTED = auto()
    REVEALED = auto()
    COMPARING = auto()
    RECEIVED = auto()
    OFFERED = auto()
    READY = auto()
    ACCEPTED = auto()
    STORED = auto()
    DONE = auto()
    FAILED = auto()


class Call(Enum):
    """Local inputs: the person confirmed, or the contact was stored."""

    CONFIRM = auto()
    STORED = auto()


FINISHED: Final = frozenset({State.DONE, State.FAILED})
AWAITING_PERSON: Final = frozenset({State.COMPARING, State.RECEIVED})

Input = type[Message] | Call

TRANSITIONS: Final[Mapping[tuple[State, Input], State]] = {
    # Words: the initiator commits, the responder reveals, the initiator opens.
    (State.COMMITTED, Reveal): State.COMPARING,
    (State.LISTENING, Commit): State.REVEALED,
    (State.REVEALED, Open): State.COMPARING,
    # Records: a side sends its own after its person has confirmed. The peer's may come before that. The
    # beginning of a log that is too long for one comes before it.
    (State.COMPARING, Call.CONFIRM): State.OFFERED,
    (State.COMPARING, LogOperations): State.COMPARING,
    (State.INVITED, LogOperations): State.INVITED,
    (State.OFFERED, LogOperations): State.OFFERED,
    (State.COMPARING, Record): State.RECEIVED,
    (State.INVITED, Record): State.RECEIVED,
    (State.RECEIVED, Call.CONFIRM): State.READY,
    (State.OFFERED, Record): State.READY,
    # Accept: sent after the contact is stored. The peer's may come before that.
    (State.READY, Call.STORED): State.STORED,
    (State.READY, Accept): State.ACCEPTED,
    (State.ACCEPTED, Call.STORED): State.DONE,
    (State.STORED, Accept): State.DONE,
}
"""Every permitted input with the next state; any other message ends the pairing (SPEC §7.4)."""


def nothing_held(_person: bytes) -> Iterable[bytes]:
    """A `held` for a person without contacts."""
    return ()


class Pairing:
    """One side of one pairing. Every input gives a Step, and no peer can make one raise.

    After it has finished, whatever is received is ignored.
    """

    def __init__(
        self,
        first: State,
        facts: PairingFacts,
        role: Role,
        identity: Identity,
        held: HeldOperations,
        *,
        check: bytes = b"",
        nonce: bytes = b"",
    ) -> None:
        """Use `nearby`, `joiner` or `inviter`."""
        own = reduce(identity.operations)
        self.state = State.NEW
        self._first, self._identity = first, identity
        self._transcript = record.Transcript.of(facts, role)
        keys = frozenset((ed25519_from_seed(identity.signing_seed), identity.static.public))
        self._rules = record.RecordRules(own.person, keys, held, check)
        self._comparison = Comparison(self._transcript.t, own.name, nonce)
        self._record = record.make_record(identity, self._transcript)
        self._before: list[bytes] = []
        self._theirs: tuple[Record, PendingContact] | None = None

    @property
    def terminal(self) -> bytes:
        """The id of the own terminal, which the Record names."""
        return self._identity.terminal

    @classmethod
    def nearby(
        cls,
        facts: PairingFacts,
        role: Role,
        identity: Identity,
        random: Random,
        held: HeldOperations = nothing_held,
    ) -> Self:
        """Either side of a pairing with words."""
        first = State.COMMITTED if role is Role.INITIATOR else State.LISTENING
        return cls(first, facts, role, identity, held, nonce=random(KEY_SIZE))

    @classmethod
    def joiner(
        cls,
        facts: PairingFacts,
        identity: Identity,
        check: bytes,
        held: HeldOperations = nothing_held,
    ) -> Self:
        """The side that uses an invitation, whose `check` (32 bytes) the inviter must match."""
        return cls(State.OFFERED, facts, Role.INITIATOR, identity, held, check=check)

    @classmethod
    def inviter(cls, facts: PairingFacts, identity: Identity, held: HeldOperations = nothing_held) -> Self:
        """The side that created the invitation. Its person confirms the joiner."""
        return cls(State.INVITED, facts, Role.RESPONDER, identity, held)

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    @property
    def awaits_person(self) -> bool:
        """Whether `confirm` is due: the words or the joiner are displayed."""
        return self.state in AWAITING_PERSON

    # Inputs.

    def start(self) -> Step:
        """First step, to be called once when the link is open."""
        if self.state is not State.NEW:
            raise LocalMisuse("a pairing starts once")
        self.state = self._first
        if self.state is State.COMMITTED:
            return Step((self._comparison.begin(),))
        return Step(record.cut(self._record)) if self.state is State.OFFERED else Step()

    def receive(self, message: Message) -> Step:
        """Handle a message of the peer. A wrong one results in Close and PairingFailed."""
        if self.finished:
            return Step()
        if isinstance(message, Close):
            return self._fail("refused")
        try:
            return self._advance(message)
        except ProtocolError as error:
            return self._fail(error.error_class, Close(_REFUSED))

    def confirm(self) -> Step:
        """The person confirms that the words are equal, or that the joiner is the right person."""
        return self._advance(Call.CONFIRM)

    def stored(self) -> Step:
        """The contact of PendingReady is stored durably. No effect if the pairing failed meanwhile."""
        return Step() if self.state is State.FAILED else self._advance(Call.STORED)

    def refuse(self) -> Step:
        """The person refuses or cancels. The peer gets Close, and no event follows."""
        if self.finished:
            return Step()
        self.state = State.FAILED
        return Step((Close(_REFUSED),))

    def link_closed(self) -> Step:
        return Step() if self.finished else self._fail("cut")

    # Transitions.

    def _advance(self, cause: Message | Call) -> Step:
        following = TRANSITIONS.get((self.state, cause if isinstance(cause, Call) else type(cause)))
        if following is None and isinstance(cause, Call):
            raise LocalMisuse(f"{cause} does not fit {self.state}")
        if following is None:
            raise Unexpected(f"a message that does not fit {self.state}")
        step = self._act(cause, following)
        self.state = following
        return step

    def _act(self, cause: Message | Call, following: State) -> Step:
        match cause:
            case Commit():
                return Step((self._comparison.committed(cause),))
            case Reveal():
                message, words = self._comparison.revealed(cause)
                return Step((message,), (words,))
            case Open():
                return Step(events=(self._comparison.opened(cause),))
            case LogOperations():
                self._before = record.joined(self._before, cause)
                return Step()
            case Record():
                whole = structs.replace(cause, operations=record.joined(self._before, cause))
                rules = replace(self._rules, name=self._comparison.peer_name)
                contact = record.check_record(whole, self._transcript, self._identity.drawn.operation, rules)
                self._theirs = whole, contact
                if self.state is State.INVITED:
                    return Step(events=(JoinerKnown(contact.name, contact.person),))
                return Step(events=self._pending(following))
            case Accept():
                if not primitives.equal(self._tag(self._transcript.peer), cause.tag):
                    raise AuthenticationFailed("a tag over other records")
                return Step(events=self._completed(following))
            case Call.CONFIRM:
                return Step(record.cut(self._record), self._pending(following))
            case Call.STORED:
                return Step((Accept(self._tag(self._transcript.role)),), self._completed(following))
        raise LocalMisuse("a transition without an action")

    def _fail(self, error_class: str, *send: Message) -> Step:
        self.state = State.FAILED
        return Step(send, (PairingFailed(error_class),))

    def _pending(self, following: State) -> tuple[PairingEvent, ...]:
        return (PendingReady(self._their_part[1]),) if following is State.READY else ()

    def _completed(self, following: State) -> tuple[PairingEvent, ...]:
        return (Completed(self._their_part[1].person),) if following is State.DONE else ()

    @property
    def _their_part(self) -> tuple[Record, PendingContact]:
        if self._theirs is None:
            raise LocalMisuse("no record was received")
        return self._theirs

    # Values (SPEC §7.4).

    def _tag(self, role: Role) -> bytes:
        theirs, _ = self._their_part
        records = (self._record, theirs) if role is self._transcript.role else (theirs, self._record)
        return record.accept_tag(self._transcript.root, self._transcript.t, role, *records)
