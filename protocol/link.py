"""One link, from greeting to end, sans-IO: bytes in, events and bytes out (SPEC §6).

Rules: no clock and no I/O: `now` is an argument, in monotonic seconds. Whatever a peer sends ends at worst
in LinkClosed, never in an exception; LocalMisuse means that our own code is wrong.
Bytes may come in any portions: the events are the same.
"""

from __future__ import annotations

from protocol.envelopes import OWN_MESSAGES, OpenPhase
from protocol.errors import LocalMisuse, ProtocolError
from protocol.events import (
    CLOSE_REASONS,
    Ending,
    Event,
    LinkClosed,
    NotParlour,
    Role,
    VersionRefused,
)
from protocol.frames import FrameReader
from protocol.greeting import NoMagic, OtherVersion, Refused
from protocol.handshake import Initiator, Responder
from protocol.limits import HANDSHAKE_SECONDS
from protocol.messages import Message
from protocol.phases import AwaitCall, AwaitGreeting, Held
from protocol.states import Closed, Phase, State, check_follows


class Link:
    """One end of a link. It begins with its construction; a responder has its greeting to send at once."""

    __slots__ = ("_now", "_out", "_phase", "_reader", "role")

    def __init__(self, start: Initiator | Responder, now: float) -> None:
        self.role: Role = start.role
        self._now = now
        self._reader = FrameReader()
        self._out: list[bytes] = []
        self._phase: Phase = self._first_phase(start, now + HANDSHAKE_SECONDS)

    def _first_phase(self, start: Initiator | Responder, deadline: float) -> Phase:
        if isinstance(start, Initiator):
            return AwaitGreeting(deadline, start)
        greeting = start.greet()
        self._out.append(greeting)
        return AwaitCall(deadline, start, greeting)

    @property
    def state(self) -> State:
        """Where the link stands."""
        return self._phase.state

    @property
    def is_open(self) -> bool:
        """Whether `send` and `ping` are allowed."""
        return isinstance(self._phase, OpenPhase)

    @property
    def unanswered_since(self) -> float | None:
        """Time of the oldest Ping or Entry that no envelope of the peer has answered yet."""
        return self._phase.keepalive.unanswered_since if isinstance(self._phase, OpenPhase) else None

    # --- Bytes ---

    def receive(self, data: bytes, now: float) -> list[Event]:
        """What bytes from the peer mean. Nothing is read once the link is closed."""
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
        """The connection ended: without a Close before, the link was cut."""
        return self._end(LinkClosed(Ending.CUT))

    def data_to_send(self) -> bytes:
        """Bytes for the peer, which are then forgotten here; to be asked for once more after the end."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    @property
    def unsent(self) -> int:
        """Bytes that wait for `data_to_send`."""
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
        check_follows(self.role, self._phase.state, following.state)
        if following.state is State.CLOSED:
            self._phase.erase()
            self._reader.clear()
        self._phase = following

    def _fail(self, error: ProtocolError) -> list[Event]:
        """The peer broke the protocol. It is told nothing, whatever the class (SPEC §15)."""
        if isinstance(error, OtherVersion):
            refused = VersionRefused(error.minimum, error.maximum)
            return [refused, *self._end(LinkClosed(Ending.VERSION, error.error_class))]
        if isinstance(error, NoMagic):
            return [NotParlour(), *self._end(LinkClosed(Ending.NOT_PARLOUR, error.error_class))]
        ending = Ending.REFUSED if isinstance(error, Refused) else Ending.ERROR
        return self._end(LinkClosed(ending, error.error_class))

    def _end(self, event: LinkClosed) -> list[Event]:
        """Enter CLOSED, unless already there; then there is nothing to tell."""
        if self._phase.state is State.CLOSED:
            return []
        self._enter(Closed())
        return [event]

    # --- Calls ---

    def send(self, message: Message, now: float) -> bool:
        """Seal a message, of at most 300,000 encoded bytes, in pieces if need be.

        False, and nothing sent, if the link has too few envelopes left: it ends at the next timer.
        LocalMisuse unless open, and for the link's own messages.
        """
        if message.__class__ in OWN_MESSAGES:
            raise LocalMisuse(f"{type(message).__name__} is the link's own message")
        return self._open_phase().send(message, self._tick(now), self._out)

    def ping(self, now: float) -> int:
        """Send a Ping at once, to probe; its number comes back in PingAnswered. LocalMisuse unless open."""
        return self._open_phase().ping(self._tick(now), self._out)

    def resume(self, now: float) -> list[Event]:
        """Go on after HandshakeAuthenticated: the invitation is burned durably. LocalMisuse unless held."""
        if self._phase.state is State.CLOSED:
            return []
        if not isinstance(self._phase, Held):
            raise LocalMisuse("the link waits for nothing")
        events: list[Event] = []
        self._enter(self._phase.resume())
        self._process(self._tick(now), events)
        return events

    def close(self, reason: int) -> list[Event]:
        """End the link for a reason of Close (0 to 3): said to the peer if it is open, else in silence."""
        if reason not in range(len(CLOSE_REASONS)):
            raise LocalMisuse(f"{reason} is no reason to close")
        clean = isinstance(self._phase, OpenPhase)
        if isinstance(self._phase, OpenPhase):
            self._phase.close(reason, self._out)
        return self._end(LinkClosed(CLOSE_REASONS[reason], clean=clean))

    def should_replace(self, now: float) -> bool:
        """Whether another link should take over: from 55 minutes or 2^20 - 2^14 envelopes of a direction."""
        return isinstance(self._phase, OpenPhase) and self._phase.should_replace(self._tick(now))

    def _open_phase(self) -> OpenPhase:
        if not isinstance(self._phase, OpenPhase):
            raise LocalMisuse(f"the link is not open but {self._phase.state.value}")
        return self._phase

    # --- Time ---

    def next_timer(self) -> float | None:
        """When to call `handle_timer`; asked anew after every other call. None once closed."""
        return self._phase.next_timer()

    def handle_timer(self, now: float) -> list[Event]:
        """Do what time demands: a keepalive goes to data_to_send, or the link ends."""
        now = self._tick(now)
        ending = self._phase.overdue(now) or self._phase.handle_timer(now, self._out)
        return [] if ending is None else self._end(LinkClosed(ending))

    def _tick(self, now: float) -> float:
        # A monotonic clock that steps back must not make a deadline pass later or an age shrink.
        if now > self._now:
            self._now = now
        return self._now

    def __repr__(self) -> str:
        return f"Link({self.role.name.lower()}, {self.state.value})"
