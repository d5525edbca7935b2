"""Pairing two persons over an open link, nearby by words or by an invitation (SPEC §7.4, §7.5).

Rules: `TRANSITIONS` is the whole course, and what is not in it ends the pairing; a contact is handed out to
be stored before Accept leaves; our record leaves only with our person's consent; a peer sees one refusal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final, Self

from protocol import labels, primitives
from protocol.errors import AuthenticationFailed, LocalMisuse, ProtocolError, Unexpected
from protocol.identity.log import check_name
from protocol.identity.reduction import Foreign, reduce
from protocol.identity.safety import words
from protocol.link.states import PairingFacts, Role
from protocol.messages import Accept, Close, Commit, Message, Open, Record, Reveal
from protocol.pairing.record import (
    Held,
    Identity,
    PendingContact,
    RecordRules,
    Transcript,
    accept_tag,
    check_record,
    make_record,
)
from protocol.primitives import KEY_SIZE, Random

_REFUSED: Final = 3
"""The reason of Close for every pairing that fails (SPEC §6.7)."""

__all__ = [
    "Completed",
    "Held",
    "Identity",
    "JoinerKnown",
    "Pairing",
    "PairingEvent",
    "PairingFailed",
    "PendingContact",
    "PendingReady",
    "Step",
    "WordsReady",
]

# --- Events ---


@dataclass(frozen=True, slots=True)
class WordsReady:
    """The five words to compare with the other person's; `name` is peer text."""

    words: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class JoinerKnown:
    """Somebody used the invitation: is it the right person? `name` is peer text."""

    name: str
    person: bytes


@dataclass(frozen=True, slots=True)
class PendingReady:
    """Store this contact durably as pending, then call `stored`."""

    contact: PendingContact


@dataclass(frozen=True, slots=True)
class Completed:
    """The other side has the contact too: it is pending no more."""

    person: bytes


@dataclass(frozen=True, slots=True)
class PairingFailed:
    """It is over, and nothing but a pending contact stays.

    `error_class`: one of the five of SPEC §15, "refused" (the other side closed) or "cut" (the link ended).
    """

    error_class: str


PairingEvent = WordsReady | JoinerKnown | PendingReady | Completed | PairingFailed


@dataclass(frozen=True, slots=True)
class Step:
    """What follows an input: messages to send, in order, then events."""

    send: tuple[Message, ...] = ()
    events: tuple[PairingEvent, ...] = ()


# --- The course ---


class State(Enum):
    """Where a pairing stands, named after what has happened last."""

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
    """Inputs from this side: the person's confirmation, and the disk's."""

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
    # Records: a side sends its own once its person has confirmed; the other's may come before that.
    (State.COMPARING, Call.CONFIRM): State.OFFERED,
    (State.COMPARING, Record): State.RECEIVED,
    (State.INVITED, Record): State.RECEIVED,
    (State.RECEIVED, Call.CONFIRM): State.READY,
    (State.OFFERED, Record): State.READY,
    # Accept: sent once the contact is stored; the other's may come before that.
    (State.READY, Call.STORED): State.STORED,
    (State.READY, Accept): State.ACCEPTED,
    (State.ACCEPTED, Call.STORED): State.DONE,
    (State.STORED, Accept): State.DONE,
}
"""What may happen in each state and where it leads; nothing else may (SPEC §7.4)."""


def nothing_held(_person: bytes) -> Iterable[bytes]:
    """For whoever knows nobody yet: the operations held of any person are none."""
    return ()


def _person(identity: Identity) -> bytes:
    return reduce(identity.operations).person


class Pairing:
    """One side of one pairing. Every input gives a Step, and no peer can make one raise.

    After it has finished, whatever is received is ignored.
    """

    def __init__(
        self, first: State, transcript: Transcript, identity: Identity, rules: RecordRules, nonce: bytes
    ) -> None:
        """Use `nearby`, `joiner` or `inviter`."""
        self.state = State.NEW
        self._first = first
        self._transcript = transcript
        self._identity = identity
        self._rules = rules
        self._nonce = nonce
        self._commitment = b""
        self._their_name = ""
        self._own_name = reduce(identity.operations).name
        self._record = make_record(identity, transcript)
        self._theirs: tuple[Record, PendingContact] | None = None

    @classmethod
    def nearby(
        cls,
        facts: PairingFacts,
        role: Role,
        identity: Identity,
        foreign: Foreign,
        random: Random,
        held: Held = nothing_held,
    ) -> Self:
        """Either side of a pairing by words."""
        first = State.COMMITTED if role is Role.INITIATOR else State.LISTENING
        rules = RecordRules(_person(identity), foreign, held)
        return cls(first, Transcript.of(facts, role), identity, rules, random(KEY_SIZE))

    @classmethod
    def joiner(
        cls,
        facts: PairingFacts,
        identity: Identity,
        foreign: Foreign,
        check: bytes,
        held: Held = nothing_held,
    ) -> Self:
        """The side that used an invitation, whose `check` (32 bytes) the inviter must meet."""
        rules = RecordRules(_person(identity), foreign, held, check=check)
        return cls(State.OFFERED, Transcript.of(facts, Role.INITIATOR), identity, rules, b"")

    @classmethod
    def inviter(
        cls, facts: PairingFacts, identity: Identity, foreign: Foreign, held: Held = nothing_held
    ) -> Self:
        """The side that made the invitation; its person says whether the joiner is the right one."""
        rules = RecordRules(_person(identity), foreign, held)
        return cls(State.INVITED, Transcript.of(facts, Role.RESPONDER), identity, rules, b"")

    @property
    def finished(self) -> bool:
        """Whether nothing more can happen."""
        return self.state in FINISHED

    @property
    def awaits_person(self) -> bool:
        """Whether `confirm` is due: the words are shown, or the joiner is."""
        return self.state in AWAITING_PERSON

    # Inputs.

    def start(self) -> Step:
        """The link is open: the first step, once."""
        if self.state is not State.NEW:
            raise LocalMisuse("a pairing starts once")
        self.state = self._first
        if self.state is State.COMMITTED:
            return Step((Commit(self._commit(self._nonce), self._own_name),))
        return Step((self._record,)) if self.state is State.OFFERED else Step()

    def receive(self, message: Message) -> Step:
        """What a message of the other side leads to; for a wrong one Close in `send` and PairingFailed."""
        if self.finished:
            return Step()
        if isinstance(message, Close):
            return self._fail("refused")
        try:
            return self._advance(message)
        except ProtocolError as error:
            return self._fail(error.error_class, Close(_REFUSED))

    def confirm(self) -> Step:
        """The person says that the words are the same, or that the joiner is the right one."""
        return self._advance(Call.CONFIRM)

    def stored(self) -> Step:
        """The contact of PendingReady is durably stored as pending. Without effect if it failed meanwhile."""
        return Step() if self.state is State.FAILED else self._advance(Call.STORED)

    def refuse(self) -> Step:
        """The person refuses or gives up: the other side is told, and no event follows."""
        if self.finished:
            return Step()
        self.state = State.FAILED
        return Step((Close(_REFUSED),))

    def link_closed(self) -> Step:
        """The link has ended."""
        return Step() if self.finished else self._fail("cut")

    # The course.

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
                return self._on_commit(cause)
            case Reveal():
                return self._on_reveal(cause)
            case Open():
                return self._on_open(cause)
            case Record():
                return self._on_record(cause, following)
            case Accept():
                return self._on_accept(cause, following)
            case Call.CONFIRM:
                return Step((self._record,), self._pending(following))
            case Call.STORED:
                return Step((Accept(self._tag(self._transcript.role)),), self._completed(following))
        raise LocalMisuse("a transition that nobody acts on")

    def _fail(self, error_class: str, *send: Message) -> Step:
        self.state = State.FAILED
        return Step(send, (PairingFailed(error_class),))

    def _on_commit(self, message: Commit) -> Step:
        check_name(message.name)
        self._commitment, self._their_name = message.commitment, message.name
        return Step((Reveal(self._nonce, self._own_name),))

    def _on_reveal(self, message: Reveal) -> Step:
        check_name(message.name)
        self._their_name = message.name
        return Step((Open(self._nonce),), (self._words(self._nonce, message.nonce),))

    def _on_open(self, message: Open) -> Step:
        if not primitives.equal(self._commit(message.nonce), self._commitment):
            raise AuthenticationFailed("not the nonce that was committed to")
        return Step(events=(self._words(message.nonce, self._nonce),))

    def _on_record(self, message: Record, following: State) -> Step:
        rules = replace(self._rules, name=self._their_name)
        contact = check_record(message, self._transcript, self._identity.share, rules)
        self._theirs = message, contact
        if self.state is State.INVITED:
            return Step(events=(JoinerKnown(contact.name, contact.person),))
        return Step(events=self._pending(following))

    def _on_accept(self, message: Accept, following: State) -> Step:
        if not primitives.equal(self._tag(self._transcript.peer), message.tag):
            raise AuthenticationFailed("a tag over other records")
        return Step(events=self._completed(following))

    def _pending(self, following: State) -> tuple[PairingEvent, ...]:
        return (PendingReady(self._their_part[1]),) if following is State.READY else ()

    def _completed(self, following: State) -> tuple[PairingEvent, ...]:
        return (Completed(self._their_part[1].person),) if following is State.DONE else ()

    @property
    def _their_part(self) -> tuple[Record, PendingContact]:
        if self._theirs is None:
            raise LocalMisuse("no record has come")
        return self._theirs

    # Values (SPEC §7.4).

    def _commit(self, nonce: bytes) -> bytes:
        return primitives.b2b(self._transcript.t + nonce, personal=labels.COMMITMENT)

    def _words(self, initiator_nonce: bytes, responder_nonce: bytes) -> WordsReady:
        data = self._transcript.t + initiator_nonce + responder_nonce
        return WordsReady(words(primitives.b2b(data, personal=labels.WORDS, size=5)), self._their_name)

    def _tag(self, role: Role) -> bytes:
        theirs, _ = self._their_part
        records = (self._record, theirs) if role is self._transcript.role else (theirs, self._record)
        return accept_tag(self._transcript, role, *records)
