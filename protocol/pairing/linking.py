"""The state machines of linking a terminal of one's own, over an open link of pattern LINKING (SPEC §7.8.1).

`BeingAdded` is the new terminal, which begins the link, `Adding` one that the person has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Final

from msgspec import Struct

from protocol import labels, primitives
from protocol.codec import encode
from protocol.errors import LocalMisuse, Malformed, ProtocolError, Unexpected, Untrusted
from protocol.identity.author import NewTerminal as Keys
from protocol.identity.author import add_operation
from protocol.identity.exchange import extend
from protocol.identity.log import Add, operation_id, parse_operation, read_operation
from protocol.identity.names import is_terminal_name
from protocol.link.states import PairingFacts, Role
from protocol.messages import (
    Addition,
    Close,
    Commit,
    Consent,
    LinkState,
    LogOperations,
    Message,
    NewTerminal,
    Open,
    Reveal,
    SharedPairing,
)
from protocol.pairing.comparison import Comparison, WordsReady
from protocol.pairing.handover import Handover, HandoverReader, pins_of
from protocol.pairing.new_terminal import check_new_terminal, make_new_terminal
from protocol.pairing.record import Transcript
from protocol.primitives import KEY_SIZE, Random
from protocol.redacting import Redacted, Redacting

_DONE: Final = 0
_REFUSED: Final = 3
"""Reasons of Close. After every failure it is the same one, so that a peer learns nothing from it."""


# --- Events ---


class HandoverDue(Struct, frozen=True):
    """Both persons said yes, and the new terminal has shown its keys: `share` is to be called."""


class AddDue(Struct, frozen=True):
    """The new terminal consents by its `signature` (64 bytes). Sign `add`, store it, and call `added`."""

    add: Add
    signature: bytes


class ProfileDue(Redacting, frozen=True):
    """The person has added this terminal: make its profile, durably, and call `stored`.

    `signed` is the Add, by both, upon the log in the handover.
    """

    keys: Redacted[Keys]
    handover: Redacted[Handover]
    signed: bytes


class Linked(Struct, frozen=True):
    """The other side has all it needs, too."""


class LinkingFailed(Struct, frozen=True):
    """The linking failed. `unsure`: the Add is stored, and nobody knows whether the new terminal got it.

    `error_class` is one of the five of SPEC §15, "refused" (the peer closed) or "cut" (the link ended).
    """

    error_class: str
    unsure: bool = False


LinkingEvent = WordsReady | HandoverDue | AddDue | ProfileDue | Linked | LinkingFailed


class Step(Struct, frozen=True):
    """Result of an input: messages to send in order, and then events."""

    send: tuple[Message, ...] = ()
    events: tuple[LinkingEvent, ...] = ()


# --- States ---


class State(Enum):
    """State of a linking, named after the last thing that happened."""

    NEW = auto()
    COMMITTED = auto()
    LISTENING = auto()
    REVEALED = auto()
    COMPARING = auto()
    CONFIRMED = auto()
    OFFERED = auto()
    TOLD = auto()
    SHARING = auto()
    SHARED = auto()
    CONSENTED = auto()
    READY = auto()
    ADDED = auto()
    DONE = auto()
    FAILED = auto()


class Call(Enum):
    """Local inputs: the person confirmed; what is shared is there; the Add or the profile is stored."""

    CONFIRM = auto()
    SHARE = auto()
    STORED = auto()


FINISHED: Final = frozenset({State.DONE, State.FAILED})

Input = type[Message] | Call

BEING_ADDED: Final[Mapping[tuple[State, Input], State]] = {
    (State.COMMITTED, Reveal): State.COMPARING,
    (State.COMPARING, Call.CONFIRM): State.OFFERED,
    (State.OFFERED, LogOperations): State.OFFERED,
    (State.OFFERED, LinkState): State.TOLD,
    (State.TOLD, LogOperations): State.TOLD,
    (State.TOLD, SharedPairing): State.TOLD,
    (State.TOLD, Addition): State.CONSENTED,
    (State.CONSENTED, LogOperations): State.READY,
    (State.READY, Call.STORED): State.DONE,
}
"""Every permitted input of the new terminal with the next state (SPEC §7.8.1)."""

ADDING: Final[Mapping[tuple[State, Input], State]] = {
    (State.LISTENING, Commit): State.REVEALED,
    (State.REVEALED, Open): State.COMPARING,
    # The new terminal may speak before this person has confirmed. Nothing is shared before.
    (State.COMPARING, Call.CONFIRM): State.CONFIRMED,
    (State.COMPARING, NewTerminal): State.OFFERED,
    (State.CONFIRMED, NewTerminal): State.SHARING,
    (State.OFFERED, Call.CONFIRM): State.SHARING,
    (State.SHARING, Call.SHARE): State.SHARED,
    (State.SHARED, Consent): State.READY,
    (State.READY, Call.STORED): State.ADDED,
    (State.ADDED, Close): State.DONE,
}
"""The same of the terminal that adds."""


class Linking(ABC):
    """One side of one linking. Every input gives a Step, and no peer can make one raise.

    After it has finished, whatever is received is ignored.
    """

    def __init__(
        self,
        transitions: Mapping[tuple[State, Input], State],
        facts: PairingFacts,
        role: Role,
        name: str,
        random: Random,
    ) -> None:
        """Use `BeingAdded` or `Adding`."""
        self.state = State.NEW
        self._transitions = transitions
        self._transcript = Transcript.of(facts, role)
        self._comparison = Comparison(self._transcript.t, name, random(KEY_SIZE))

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    @property
    def awaits_person(self) -> bool:
        """Whether `confirm` is due: the words are displayed, and this person has not answered."""
        return (self.state, Call.CONFIRM) in self._transitions

    # Inputs.

    def start(self) -> Step:
        """First step, to be called once when the link is open."""
        if self.state is not State.NEW:
            raise LocalMisuse("a linking starts once")
        if self._transcript.role is Role.RESPONDER:
            self.state = State.LISTENING
            return Step()
        self.state = State.COMMITTED
        return Step((self._comparison.begin(),))

    def receive(self, message: Message) -> Step:
        """Handle a message of the peer. A wrong one results in Close and LinkingFailed."""
        if self.finished:
            return Step()
        if isinstance(message, Close) and not (self.state is State.ADDED and message.reason == _DONE):
            return self._fail("refused")
        try:
            return self._advance(message)
        except ProtocolError as error:
            return self._fail(error.error_class, Close(_REFUSED))

    def confirm(self) -> Step:
        """The person confirms that the words are equal."""
        return self._advance(Call.CONFIRM)

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
        following = self._transitions.get((self.state, cause if isinstance(cause, Call) else type(cause)))
        if following is None and isinstance(cause, Call):
            raise LocalMisuse(f"{cause} does not fit {self.state}")
        if following is None:
            raise Unexpected(f"a message that does not fit {self.state}")
        step = self._act(cause, following)
        self.state = following
        return step

    @abstractmethod
    def _act(self, cause: Message | Call, following: State) -> Step:
        """What an input does that leads to another state."""

    def _fail(self, error_class: str, *send: Message) -> Step:
        unsure, self.state = self.state is State.ADDED, State.FAILED
        return Step(send, (LinkingFailed(error_class, unsure),))


class BeingAdded(Linking):
    """The new terminal: it begins the link, and has no profile before the person has added it."""

    def __init__(self, facts: PairingFacts, keys: Keys, name: str, random: Random) -> None:
        """`keys` were drawn for this terminal, `name` is what its person calls it.

        LocalMisuse unless is_terminal_name(name).
        """
        if not is_terminal_name(name):
            raise LocalMisuse("not a terminal's name: ask is_terminal_name first")
        super().__init__(BEING_ADDED, facts, Role.INITIATOR, name, random)
        self._keys, self._name = keys, name
        self._reader = HandoverReader("")
        self._add = b""

    @property
    def has_consented(self) -> bool:
        """Whether the other side may have signed the Add, which then counts."""
        return bool(self._add)

    def stored(self) -> Step:
        """The profile of ProfileDue is stored durably. No effect if the linking failed meanwhile."""
        return Step() if self.state is State.FAILED else self._advance(Call.STORED)

    def _act(self, cause: Message | Call, following: State) -> Step:
        match cause:
            case Reveal():
                message, words = self._comparison.revealed(cause)
                self._reader = HandoverReader(words.name)
                return Step((message,), (words,))
            case Call.CONFIRM:
                return Step((make_new_terminal(self._keys, self._name, self._transcript),))
            case LogOperations() if following is State.READY:
                return Step(events=(self._added(cause),))
            case LogOperations() | LinkState() | SharedPairing():
                self._reader.take(cause)
                return Step()
            case Addition():
                return Step((self._consent(cause),))
            case Call.STORED:
                return Step((Close(_DONE),), (Linked(),))
        raise LocalMisuse("a transition without an action")

    def _consent(self, message: Addition) -> Consent:
        """The signature on the one Add that the other terminal may ask for."""
        handover = self._reader.whole()
        add, log, keys = read_operation(message.operation), self._reader.log, self._keys
        if not isinstance(add, Add):
            raise Malformed("an operation that adds nobody")
        if add != add_operation(log, handover.state.terminal, keys.signing, keys.static, self._name):
            raise Untrusted("not the Add of this terminal upon the log that came")
        self._add = message.operation
        identity = operation_id(message.operation, genesis=False)
        return Consent(primitives.ed25519_sign(keys.signing_seed, labels.SIGN_OPERATION + identity))

    def _added(self, message: LogOperations) -> ProfileDue:
        handover, keys = self._reader.whole(), self._keys
        logged = parse_operation(message.operations[0])
        if len(message.operations) > 1 or logged.id != operation_id(self._add, genesis=False):
            raise Untrusted("another operation than the Add that was consented to")
        found = extend(handover.operations, [logged.signed], pins_of(handover.state))
        if keys.id not in found.state.live:
            raise Untrusted("an Add that adds nobody")
        return ProfileDue(keys, handover, logged.signed)


class Adding(Linking):
    """A terminal that the person has: it answers the link, and shares what the person's terminals share."""

    def __init__(
        self, facts: PairingFacts, name: str, known: Callable[[], frozenset[bytes]], random: Random
    ) -> None:
        """`name` is the person's own, `known` gives the public keys that its log has introduced."""
        super().__init__(ADDING, facts, Role.RESPONDER, name, random)
        self._known = known
        self._new: NewTerminal | None = None
        self._add: Add | None = None

    @property
    def new(self) -> NewTerminal:
        """The keys and the name of the new terminal, which it has proven."""
        if self._new is None:
            raise LocalMisuse("the new terminal has not shown its keys")
        return self._new

    def share(self, handover: Handover, add: Add) -> Step:
        """What the person's terminals share, and the Add of `new` upon the log in it, not signed yet.

        No effect if the linking failed meanwhile.
        """
        if self.state is State.FAILED:
            return Step()
        self._add = add
        step = self._advance(Call.SHARE)
        return Step((*handover.messages(), *step.send))

    def added(self, signed: bytes) -> Step:
        """The Add of AddDue, signed by both, is stored durably. No effect if the linking failed meanwhile."""
        if self.state is State.FAILED:
            return Step()
        self._advance(Call.STORED)
        return Step((LogOperations([signed]),))

    def _act(self, cause: Message | Call, following: State) -> Step:
        match cause:
            case Commit():
                reveal = self._comparison.committed(cause)
                if not is_terminal_name(cause.name):
                    raise Malformed("a name too long for a terminal")
                return Step((reveal,))
            case Open():
                return Step(events=(self._comparison.opened(cause),))
            case NewTerminal():
                check_new_terminal(cause, self._transcript, self._comparison.peer_name, self._known())
                self._new = cause
                return Step(events=_due(following))
            case Call.CONFIRM:
                return Step(events=_due(following))
            case Call.SHARE:
                return Step((Addition(encode(self._asked)),))
            case Consent():
                self._check_consent(cause)
                return Step(events=(AddDue(self._asked, cause.signature),))
            case Call.STORED:
                return Step()
            case Close():
                return Step(events=(Linked(),))
        raise LocalMisuse("a transition without an action")

    @property
    def _asked(self) -> Add:
        if self._add is None:
            raise LocalMisuse("no Add was made")
        return self._add

    def _check_consent(self, message: Consent) -> None:
        """AuthenticationFailed for a signature that is not the new terminal's on the Add."""
        identity = operation_id(encode(self._asked), genesis=False)
        primitives.ed25519_verify(self.new.signing, labels.SIGN_OPERATION + identity, message.signature)


def _due(following: State) -> tuple[LinkingEvent, ...]:
    return (HandoverDue(),) if following is State.SHARING else ()
