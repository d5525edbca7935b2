"""One link from greeting to end, without I/O, and its phases before it is open (SPEC §6)."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from protocol.errors import LimitExceeded, LocalMisuse, ProtocolError
from protocol.limits import DEAD_AFTER_SECONDS, HANDSHAKE_FRAME_MAX, HANDSHAKE_SECONDS, HELD_BYTES_MAX
from protocol.link import framing, states
from protocol.link.agreement import Established
from protocol.link.envelopes import OWN_MESSAGES, OpenPhase
from protocol.link.framing import FrameReader
from protocol.link.handshake import AwaitReply, Finish, Initiator, Responder
from protocol.link.states import Ending, Event, LinkClosed, Phase, State, Unit
from protocol.messages import MESSAGE, Confirm, Message


def _put(out: list[bytes], body: bytes) -> None:
    out.append(framing.length_of(body))
    out.append(body)


class _Unconfirmed(Phase, Struct, frozen=True):
    """A phase before OPEN, with a deadline in monotonic seconds. It reads one unit and ends."""

    deadline: float

    def take(self, reader: FrameReader) -> bytes | None:
        return reader.next_frame(HANDSHAKE_FRAME_MAX)

    def accept(self, unit: Unit, now: float, out: list[bytes], events: list[Event]) -> Phase:
        return self.read(bytes(unit), now, out, events)

    def read(self, unit: bytes, now: float, out: list[bytes], events: list[Event]) -> Phase:
        """As `accept`."""
        raise LocalMisuse(f"nothing is read while {self.state.value}")

    def next_timer(self, lead: float, patience: float) -> float | None:
        return self.deadline

    def overdue(self, now: float) -> Ending | None:
        return Ending.DEADLINE if now >= self.deadline else None


class AwaitGreeting(_Unconfirmed, frozen=True):
    """The initiator waits for the greeting."""

    initiator: Initiator
    state: ClassVar[State] = State.GREETING

    def take(self, reader: FrameReader) -> bytes | None:
        """The greeting, 28 bytes. NoMagic at the first wrong byte."""
        framing.check_magic(reader.peek(framing.GREETING_SIZE))
        return reader.take(framing.GREETING_SIZE)

    def read(self, unit: bytes, now: float, out: list[bytes], events: list[Event]) -> Phase:
        frame, answer = self.initiator.begin(unit)
        _put(out, frame)
        return AwaitAnswer(self.deadline, answer, self.initiator.replaces, self.initiator.features)


class AwaitAnswer(_Unconfirmed, frozen=True):
    """The initiator waits for message 2 or a refusal."""

    answer: AwaitReply
    replaces: bytes
    features: list[int]
    state: ClassVar[State] = State.HANDSHAKE

    def read(self, unit: bytes, now: float, out: list[bytes], events: list[Event]) -> Phase:
        framing.check_refusal(unit)
        finish, established = self.answer.read(unit)
        if finish:
            _put(out, finish)
        pairing = established.is_pairing
        opened = OpenPhase(established.session, now, pairing=pairing, features=tuple(self.features))
        opened.confirm(self.replaces, self.features, out)
        events.append(established.confirmed(self.replaces, self.features))
        return opened


class AwaitCall(_Unconfirmed, frozen=True):
    """The responder has sent its greeting and waits for choice and message 1."""

    responder: Responder
    greeting: bytes
    state: ClassVar[State] = State.GREETING

    def read(self, unit: bytes, now: float, out: list[bytes], events: list[Event]) -> Phase:
        """Send message 2 or a refusal, which is the same for every reason."""
        try:
            message, following = self.responder.answer(self.greeting, unit)
        except (framing.OtherVersion, framing.Refused):
            _put(out, framing.REFUSAL)
            raise
        _put(out, message)
        if isinstance(following, Finish):
            named = self.responder.features_on(following.terms.pattern)
            return AwaitFinish(self.deadline, following, named)
        return Confirming(self.deadline, following, self.responder.features)


class AwaitFinish(_Unconfirmed, frozen=True):
    """The responder waits for message 3 of a pairing."""

    finish: Finish
    features: list[int]
    state: ClassVar[State] = State.HANDSHAKE

    def read(self, unit: bytes, now: float, out: list[bytes], events: list[Event]) -> Phase:
        established = self.finish.read(unit)
        if self.finish.invitation is None:
            return Confirming(self.deadline, established, self.features)
        events.append(states.HandshakeAuthenticated(established.event.peer_static, self.finish.invitation))
        return Held(self.deadline, established, self.features)


class Held(_Unconfirmed, frozen=True):
    """The responder waits until its owner has burned the invitation durably."""

    established: Established
    features: list[int]
    state: ClassVar[State] = State.HELD

    def take(self, reader: FrameReader) -> bytes | None:
        """Nothing. LimitExceeded if more than HELD_BYTES_MAX arrives."""
        if reader.pending > HELD_BYTES_MAX:
            raise LimitExceeded("too much before the link is open")
        return None

    def resume(self) -> Phase:
        return Confirming(self.deadline, self.established, self.features)

    def erase(self) -> None:
        self.established.session.erase()


class Confirming(_Unconfirmed, frozen=True):
    """The responder waits for Confirm. Until then message 1 may be a replay, so it emits nothing."""

    established: Established
    features: list[int]
    state: ClassVar[State] = State.CONFIRMING

    def read(self, unit: bytes, now: float, out: list[bytes], events: list[Event]) -> Phase:
        """Open the initiator's first envelope. Unexpected for anything but Confirm."""
        session = self.established.session
        encoded = framing.Assembler().add(session.decrypt(unit))
        assert encoded is not None, "a frame here is smaller than a piece that another follows"
        message = MESSAGE.decode(encoded)
        states.check_message(self.state, type(message))
        assert isinstance(message, Confirm), "the table allows nothing else"
        events.append(self.established.confirmed(message.replaces, message.features))
        pairing, theirs = self.established.is_pairing, tuple(message.features)
        named = tuple(self.features)
        opened = OpenPhase(session, now, pairing=pairing, received=1, features=named, peer_features=theirs)
        if self.features:
            opened.name(self.features, out)
        return opened

    def erase(self) -> None:
        self.established.session.erase()


class Link:
    """One endpoint of a link. A responder has its greeting to send at once.

    `now` is in monotonic seconds. Bytes may arrive in any portions. Input of a peer never raises, and at
    worst results in LinkClosed. LocalMisuse means that the caller is wrong.
    """

    __slots__ = ("_now", "_out", "_phase", "_reader", "role")

    def __init__(self, start: Initiator | Responder, now: float) -> None:
        self.role: states.Role = start.role
        self._now = now
        self._reader = FrameReader()
        self._out: list[bytes] = []
        self._phase: Phase
        if isinstance(start, Initiator):
            self._phase = AwaitGreeting(now + HANDSHAKE_SECONDS, start)
        else:
            greeting = start.greet()
            self._out.append(greeting)
            self._phase = AwaitCall(now + HANDSHAKE_SECONDS, start, greeting)

    @property
    def state(self) -> State:
        return self._phase.state

    @property
    def is_open(self) -> bool:
        """Whether `send` and `ping` are allowed."""
        return isinstance(self._phase, OpenPhase)

    @property
    def unanswered_since(self) -> float | None:
        """Time of the oldest Ping or Entry that no envelope of the peer has answered."""
        return self._phase.keepalive.unanswered_since if isinstance(self._phase, OpenPhase) else None

    @property
    def peer_features(self) -> tuple[int, ...]:
        """The features that the other end has named, ascending; empty unless the link is open (SPEC §5.3)."""
        return self._phase.peer_features if isinstance(self._phase, OpenPhase) else ()

    @property
    def common_features(self) -> frozenset[int]:
        """The features that both ends have named on this link; empty unless it is open."""
        return self._phase.common_features if isinstance(self._phase, OpenPhase) else frozenset()

    # --- Bytes ---

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Process bytes from the peer. They are ignored once the link is closed."""
        events: list[Event] = []
        now = self._tick(now)
        ending = self._phase.overdue(now)
        if ending is not None:
            return self._end(LinkClosed(ending))
        if self._phase.state is not State.CLOSED:
            self._reader.feed(data)
            self._process(now, events)
        return events

    def end_of_stream(self) -> list[Event]:
        """The connection ended. Without a preceding Close, the link was cut."""
        return self._end(LinkClosed(Ending.CUT))

    def data_to_send(self) -> bytes:
        """Remove and return bytes for the peer. To be called a last time after LinkClosed."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    @property
    def unsent(self) -> int:
        """Number of bytes that wait for `data_to_send`."""
        return sum(map(len, self._out))

    def _process(self, now: float, events: list[Event]) -> None:
        reader, out = self._reader, self._out
        try:
            while (unit := self._phase.take(reader)) is not None:
                following = self._phase.accept(unit, now, out, events)
                if following is not self._phase:
                    self._enter(following)
            reader.settle()
        except ProtocolError as error:
            events.extend(self._fail(error))

    def _enter(self, following: Phase) -> None:
        states.check_follows(self.role, self._phase.state, following.state)
        if following.state is State.CLOSED:
            self._phase.erase()
            self._reader.clear()
        self._phase = following

    def _fail(self, error: ProtocolError) -> list[Event]:
        """The peer broke the protocol. Nothing is sent, whatever the class (SPEC §15)."""
        if isinstance(error, framing.OtherVersion):
            refused = states.VersionRefused(error.minimum, error.maximum)
            return [refused, *self._end(LinkClosed(Ending.VERSION, error.error_class))]
        if isinstance(error, framing.NoMagic):
            return [states.NotParlour(), *self._end(LinkClosed(Ending.NOT_PARLOUR, error.error_class))]
        ending = Ending.REFUSED if isinstance(error, framing.Refused) else Ending.ERROR
        return self._end(LinkClosed(ending, error.error_class))

    def _end(self, event: LinkClosed) -> list[Event]:
        """Enter CLOSED. No event if the link is closed already."""
        if self._phase.state is State.CLOSED:
            return []
        self._enter(states.Closed())
        return [event]

    # --- Calls ---

    def send(self, message: Message, now: float) -> bool:
        """Seal a message of at most 300,000 encoded bytes, in pieces if necessary.

        False, and nothing is sent, if the link has too few envelopes left. It then ends at the next timer.
        LocalMisuse unless the link is open, and for the link's own messages.
        """
        if message.__class__ in OWN_MESSAGES:
            raise LocalMisuse(f"{type(message).__name__} is the link's own message")
        return self._open_phase().send(message, self._tick(now), self._out)

    def ping(self, now: float) -> int:
        """Send a Ping and return its number, which PingAnswered repeats. LocalMisuse unless open."""
        return self._open_phase().ping(self._tick(now), self._out)

    def resume(self, now: float) -> list[Event]:
        """Continue after HandshakeAuthenticated, with the invitation burned. LocalMisuse unless held."""
        if self._phase.state is State.CLOSED:
            return []
        if not isinstance(self._phase, Held):
            raise LocalMisuse("the link is not held")
        events: list[Event] = []
        self._enter(self._phase.resume())
        self._process(self._tick(now), events)
        return events

    def close(self, reason: int) -> list[Event]:
        """End the link with a reason of Close (0 to 4), which is sent to the peer if the link is open."""
        if reason not in range(len(states.CLOSE_REASONS)):
            raise LocalMisuse(f"{reason} is no reason to close")
        clean = isinstance(self._phase, OpenPhase)
        if isinstance(self._phase, OpenPhase):
            self._phase.close(reason, self._out)
        return self._end(LinkClosed(states.CLOSE_REASONS[reason], clean=clean))

    def should_replace(self, now: float) -> bool:
        """Whether to replace the link: after 13 minutes or 2^20 - 2^14 envelopes in one direction."""
        return isinstance(self._phase, OpenPhase) and self._phase.should_replace(self._tick(now))

    def _open_phase(self) -> OpenPhase:
        if not isinstance(self._phase, OpenPhase):
            raise LocalMisuse(f"the link is not open but {self._phase.state.value}")
        return self._phase

    # --- Time ---

    def next_timer(self, lead: float = 0.0, patience: float = DEAD_AFTER_SECONDS) -> float | None:
        """When to call `handle_timer`, to be asked again after every other call. None once closed.

        `lead`: seconds by which a Ping is to be early. `patience`: seconds after which the caller wants to
        know that an answer is late, until then it has no other effect.
        """
        return self._phase.next_timer(lead, patience)

    def next_ping(self) -> float | None:
        """When the next Ping is due; None while one waits for an answer, and unless open."""
        return self._phase.keepalive.next_ping() if isinstance(self._phase, OpenPhase) else None

    def ping_early(self, now: float, most: float) -> bool:
        """Send the next Ping now if it is due within `most` seconds; whether it was sent."""
        due = self.next_ping()
        if due is None or due > self._tick(now) + most:
            return False
        self.ping(now)
        return True

    def handle_timer(self, now: float) -> list[Event]:
        """Act on elapsed time: send a keepalive or end the link."""
        now = self._tick(now)
        ending = self._phase.overdue(now) or self._phase.handle_timer(now, self._out)
        return [] if ending is None else self._end(LinkClosed(ending))

    def _tick(self, now: float) -> float:
        # If a faulty clock steps back, no deadline may pass later.
        if now > self._now:
            self._now = now
        return self._now

    def __repr__(self) -> str:
        return f"Link({self.role.name.lower()}, {self.state.value})"
