"""A link before it is open: greeting, handshake, confirmation (SPEC §6.4).

Rules: each phase is one wait of one role, made from the one before; it reads one unit and is then over.
Until Confirm opened, a responder tells nothing of the peer and sends nothing beyond its handshake message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocol.agreement import Established
from protocol.envelopes import OpenPhase
from protocol.errors import LimitExceeded
from protocol.events import Ending, Event, HandshakeAuthenticated
from protocol.frames import Assembler, FrameReader, length_of
from protocol.greeting import GREETING_SIZE, REFUSAL, OtherVersion, Refused, check_magic, check_refusal
from protocol.handshake import Answer, Finish, Initiator, Responder
from protocol.limits import HANDSHAKE_FRAME_MAX, HELD_BYTES_MAX
from protocol.messages import MESSAGE, Confirm
from protocol.states import Phase, State, check_message


def _put(out: list[bytes], body: bytes) -> None:
    out.append(length_of(body))
    out.append(body)


@dataclass(slots=True)
class _Unconfirmed:
    """What every phase before OPEN has: a deadline, in monotonic seconds."""

    deadline: float

    def take(self, reader: FrameReader) -> bytes | None:
        """The next frame, which may not be larger than a handshake needs."""
        return reader.next_frame(HANDSHAKE_FRAME_MAX)

    def next_timer(self) -> float | None:
        """The deadline."""
        return self.deadline

    def overdue(self, now: float) -> Ending | None:
        """DEADLINE once it has passed."""
        return Ending.DEADLINE if now >= self.deadline else None

    def handle_timer(self, now: float, out: list[bytes]) -> Ending | None:
        """Nothing but the deadline counts here."""
        return None

    def erase(self) -> None:
        """The keys of a handshake are objects that go with the phase."""


@dataclass(slots=True)
class AwaitGreeting(_Unconfirmed):
    """The initiator waits for the greeting."""

    initiator: Initiator
    state: ClassVar[State] = State.GREETING

    def take(self, reader: FrameReader) -> bytes | None:
        """The greeting, 28 bytes. NoMagic at the first byte that is not Parlour's."""
        check_magic(reader.peek(GREETING_SIZE))
        return reader.take(GREETING_SIZE)

    def accept(self, unit: bytes, now: float, out: list[bytes], events: list[Event]) -> Phase:
        """Send the choice with message 1."""
        frame, answer = self.initiator.begin(unit)
        _put(out, frame)
        return AwaitAnswer(self.deadline, answer, self.initiator.replaces)


@dataclass(slots=True)
class AwaitAnswer(_Unconfirmed):
    """The initiator waits for message 2, or a refusal."""

    answer: Answer
    replaces: bytes
    state: ClassVar[State] = State.HANDSHAKE

    def accept(self, unit: bytes, now: float, out: list[bytes], events: list[Event]) -> Phase:
        """Send message 3 if the pattern has one, and Confirm: the link is open."""
        check_refusal(unit)
        finish, established = self.answer.read(unit)
        if finish:
            _put(out, finish)
        opened = OpenPhase(established.session, now, pairing=established.is_pairing)
        opened.confirm(self.replaces, out)
        events.append(established.confirmed(self.replaces))
        return opened


@dataclass(slots=True)
class AwaitCall(_Unconfirmed):
    """The responder has greeted (28 bytes) and waits for choice and message 1."""

    responder: Responder
    greeting: bytes
    state: ClassVar[State] = State.GREETING

    def accept(self, unit: bytes, now: float, out: list[bytes], events: list[Event]) -> Phase:
        """Send message 2, or the refusal that is the same for every reason."""
        try:
            message, following = self.responder.answer(self.greeting, unit)
        except (OtherVersion, Refused):
            _put(out, REFUSAL)
            raise
        _put(out, message)
        if isinstance(following, Finish):
            return AwaitFinish(self.deadline, following)
        return Confirming(self.deadline, following)


@dataclass(slots=True)
class AwaitFinish(_Unconfirmed):
    """The responder waits for message 3 of a pairing."""

    finish: Finish
    state: ClassVar[State] = State.HANDSHAKE

    def accept(self, unit: bytes, now: float, out: list[bytes], events: list[Event]) -> Phase:
        """Tell of whoever used an invitation, and hold until it is burned."""
        established = self.finish.read(unit)
        if self.finish.invitation is None:
            return Confirming(self.deadline, established)
        events.append(HandshakeAuthenticated(established.event.peer_static, self.finish.invitation))
        return Held(self.deadline, established)


@dataclass(slots=True)
class Held(_Unconfirmed):
    """The responder waits for its own side to burn the invitation."""

    established: Established
    state: ClassVar[State] = State.HELD

    def take(self, reader: FrameReader) -> bytes | None:
        """Nothing yet. LimitExceeded if more arrives than one read after another can bring."""
        if reader.pending > HELD_BYTES_MAX:
            raise LimitExceeded("too much before the link is open")
        return None

    def accept(self, unit: bytes, now: float, out: list[bytes], events: list[Event]) -> Phase:
        """Never reached, since `take` gives nothing."""
        return self

    def resume(self) -> Phase:
        """The invitation is burned."""
        return Confirming(self.deadline, self.established)

    def erase(self) -> None:
        """Wipe the session that is not to be."""
        self.established.session.erase()


@dataclass(slots=True)
class Confirming(_Unconfirmed):
    """The responder waits for Confirm, without which message 1 may be forged or replayed."""

    established: Established
    state: ClassVar[State] = State.CONFIRMING

    def accept(self, unit: bytes, now: float, out: list[bytes], events: list[Event]) -> Phase:
        """Open the initiator's first envelope: the link is open. Unexpected for anything but Confirm."""
        session = self.established.session
        encoded = Assembler().add(session.decrypt(unit))
        assert encoded is not None, "a frame here is smaller than a piece that another follows"
        message = MESSAGE.decode(encoded)
        check_message(self.state, type(message))
        assert isinstance(message, Confirm), "the table allows nothing else"
        events.append(self.established.confirmed(message.replaces))
        return OpenPhase(session, now, pairing=self.established.is_pairing, received=1)

    def erase(self) -> None:
        """Wipe the session that is not to be."""
        self.established.session.erase()
