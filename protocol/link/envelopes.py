"""An open link: messages in envelopes both ways, keepalive, end of life (SPEC §6.5 to §6.7, §9)."""

from __future__ import annotations

from typing import ClassVar, Final

from protocol.codec import check_ascending, encode
from protocol.errors import LimitExceeded, Malformed, Unexpected
from protocol.limits import (
    DEAD_AFTER_SECONDS,
    LINK_ENVELOPES_MAX,
    LINK_ENVELOPES_REPLACE,
    LINK_SECONDS_MAX,
    LINK_SECONDS_REPLACE,
    PING_AFTER_SECONDS,
    RESPONDER_PING_AFTER_SECONDS,
)
from protocol.link import states
from protocol.link.framing import FRAME_MAX, LARGE, LAST, PIECE_MAX, Assembler, FrameReader, cut, length_of
from protocol.link.states import Ending, Event, MessagePassedOver, MessageReceived, Phase, State, Unit
from protocol.messages import MESSAGE, Close, Confirm, Entry, Features, Message, Ping, Pong, unknown_number
from protocol.ratchet import RatchetSession

OWN_MESSAGES: Final[frozenset[type[Message]]] = frozenset({Confirm, Ping, Pong, Close, Features})
"""The messages that the link sends and answers itself."""

_ALLOWED: Final = states.MESSAGES[State.OPEN]
_ALLOWED_TO_CONTACTS: Final = _ALLOWED - states.PAIRING_MESSAGES


class Keepalive:
    """When the peer was last heard, and what it owes (SPEC §6.6). Times are monotonic seconds.

    The responder pings later, so that the two ends do not both ping.
    """

    __slots__ = ("_answered", "_asked", "_heard", "_ping_after", "_pings", "unanswered_since")

    def __init__(self, now: float, *, responds: bool) -> None:
        self._ping_after = RESPONDER_PING_AFTER_SECONDS if responds else PING_AFTER_SECONDS
        self._heard = now
        self._asked = False
        self._pings = self._answered = 0
        self.unanswered_since: float | None = None

    def heard(self, now: float) -> None:
        """An envelope opened: it answers whatever was sent before. Bytes that arrived prove nothing."""
        self._heard, self._asked, self.unanswered_since = now, False, None

    def owes(self, now: float) -> None:
        """Something was sent that the peer has to answer."""
        if self.unanswered_since is None:
            self.unanswered_since = now

    def ping(self, now: float) -> int:
        """Count a Ping; its number."""
        self._asked = True
        self.owes(now)
        self._pings += 1
        return self._pings

    def pong(self, number: int) -> None:
        """Unexpected unless number is that of the oldest Ping not yet answered."""
        if not self._answered + 1 == number <= self._pings:
            raise Unexpected("a Pong that answers no Ping")
        self._answered = number

    def next_timer(self, lead: float, patience: float) -> float:
        """When to ping, `lead` seconds early, when an answer is late by `patience`, or the peer dead."""
        ping = self._heard + self._ping_after - lead
        if self.unanswered_since is None:
            return ping
        late = self.unanswered_since + patience
        return late if self._asked else min(ping, late)

    def next_ping(self) -> float | None:
        """When to ping, None while a Ping waits for an answer."""
        return None if self._asked else self._heard + self._ping_after

    def dead(self, now: float) -> bool:
        """Whether the peer has owed an answer for too long."""
        return self.unanswered_since is not None and now >= self.unanswered_since + DEAD_AFTER_SECONDS

    def ping_due(self, now: float) -> bool:
        """Whether there was silence for long enough and no Ping since."""
        due = self.next_ping()
        return due is not None and now >= due


class OpenPhase(Phase):
    """A confirmed link, for pairing or with a contact."""

    state: ClassVar[State] = State.OPEN
    __slots__ = (
        "_allowed", "_assembler", "_features", "_opened_at", "_pairing", "_received", "_responder", "_sent",
        "_session", "_used_up", "keepalive", "peer_features",
    )  # fmt: skip

    def __init__(
        self,
        session: RatchetSession,
        now: float,
        *,
        pairing: bool,
        received: int = 0,
        features: tuple[int, ...] = (),
        peer_features: tuple[int, ...] = (),
    ) -> None:
        self._session, self._pairing = session, pairing
        self._responder = received > 0  # which opens by the first envelope that it receives
        self._allowed = _ALLOWED if pairing else _ALLOWED_TO_CONTACTS
        self._features, self.peer_features = features, peer_features
        self._opened_at = now
        self._sent, self._received = 0, received
        self._used_up = False
        self._assembler = Assembler()
        self.keepalive = Keepalive(now, responds=self._responder)

    @property
    def common_features(self) -> frozenset[int]:
        """The features that both ends have named so far."""
        return frozenset(self._features).intersection(self.peer_features)

    # --- Receiving ---

    def take(self, reader: FrameReader) -> Unit | None:
        """The next envelope."""
        return reader.next_view(FRAME_MAX)

    def accept(self, unit: Unit, now: float, out: list[bytes], events: list[Event]) -> Phase:
        """Open an envelope (SPEC §9.4).

        LimitExceeded over 2^20 envelopes. Unexpected for a Confirm, a Pong that answers nothing, Features
        that are not the responder's first message, and a message of pairing on a contact's link. Others as
        RatchetSession.decrypt, Assembler.add and Codec.decode; a contact's message of an unknown number is no
        error.
        """
        if self._received >= LINK_ENVELOPES_MAX:
            raise LimitExceeded("the link's envelopes are used up")
        content = self._session.decrypt(unit)
        self._received += 1
        self.keepalive.heard(now)
        start = len(LAST) if len(content) >= LARGE and self._assembler.is_whole(content) else 0
        encoded = content if start else self._assembler.add(content)
        if encoded is None:
            return self
        try:
            message = MESSAGE.decode(encoded, start)
        except Malformed:
            # Nothing may be left out of a pairing: both sides confirm all that was said.
            number = None if self._pairing else unknown_number(encoded[start:])
            if number is None:
                raise
            events.append(MessagePassedOver(number))
            return self
        kind = message.__class__
        if kind not in self._allowed:
            states.check_message(State.OPEN, kind)
            raise Unexpected("a message of pairing on a contact's link")
        if kind in OWN_MESSAGES:
            return self._accept_own(message, out, events)
        events.append(MessageReceived(message))
        return self

    def _accept_own(self, message: Message, out: list[bytes], events: list[Event]) -> Phase:
        match message:
            case Ping(number):
                self._seal_own(Pong(number), out)
            case Pong(number):
                self.keepalive.pong(number)
                events.append(states.PingAnswered(number))
            case Close(reason):
                if reason >= len(states.CLOSE_REASONS):
                    raise Malformed("not a reason to close")
                events.append(states.LinkClosed(states.CLOSE_REASONS[reason], clean=True))
                return states.Closed()
            case Features(features):
                if self._responder or self._received != 1:
                    raise Unexpected("features that do not come first, or from the initiator")
                check_ascending(features)
                self.peer_features = tuple(features)
        return self

    # --- Sending ---

    def send(self, message: Message, now: float, out: list[bytes]) -> bool:
        """Seal a message, in pieces if it is large. False, and nothing sent, if envelopes are used up."""
        encoded = encode(message)
        if len(encoded) > PIECE_MAX:
            parts = list(cut(encoded))
            if not self._have(len(parts)):
                return False
            for flag, piece in parts:
                self._seal(piece, out, flag)
        elif not self._have(1):
            return False
        elif len(encoded) < LARGE:
            self._seal(LAST + encoded, out)
        else:
            self._seal(encoded, out, LAST)
        if message.__class__ is Entry:
            self.keepalive.owes(now)
        return True

    def _have(self, envelopes: int) -> bool:
        """Whether so many are left; the last one of a direction is kept for Close."""
        if self._sent + envelopes < LINK_ENVELOPES_MAX:
            return True
        self._used_up = True
        return False

    def _seal(self, content: bytes | memoryview, out: list[bytes], flag: bytes = b"") -> None:
        self._sent += 1
        envelope = self._session.encrypt(content, flag)
        out.append(length_of(envelope))
        out.append(envelope)

    def _seal_own(self, message: Message, out: list[bytes]) -> None:
        if self._have(1):
            self._seal(LAST + encode(message), out)

    def confirm(self, replaces: bytes, features: list[int], out: list[bytes]) -> None:
        """Send the initiator's first message; `replaces` is a session id or empty."""
        self._seal_own(Confirm(replaces, features), out)

    def name(self, features: list[int], out: list[bytes]) -> None:
        """Send the responder's features, at least one, as its first message."""
        self._seal_own(Features(features), out)

    def ping(self, now: float, out: list[bytes]) -> int:
        """Send a Ping; its number, from 1."""
        number = self.keepalive.ping(now)
        self._seal_own(Ping(number), out)
        return number

    def close(self, reason: int, out: list[bytes]) -> None:
        """Send Close, the last envelope."""
        self._seal(LAST + encode(Close(reason)), out)

    # --- Time ---

    def next_timer(self, lead: float, patience: float) -> float | None:
        """The next ping, a late answer, the peer's death or the end of the link's life."""
        if self._used_up:
            return self._opened_at
        return min(self.keepalive.next_timer(lead, patience), self._opened_at + LINK_SECONDS_MAX)

    def overdue(self, now: float) -> Ending | None:
        """AGED after 15 minutes, or when the envelopes to send are used up."""
        return Ending.AGED if self._used_up or now >= self._opened_at + LINK_SECONDS_MAX else None

    def handle_timer(self, now: float, out: list[bytes]) -> Ending | None:
        """DEAD if the peer owes an answer for too long; a Ping after silence."""
        if self.keepalive.dead(now):
            return Ending.DEAD
        if self.keepalive.ping_due(now):
            self.ping(now, out)
        return None

    def should_replace(self, now: float) -> bool:
        """Whether the link nears the end of its life (SPEC §6.5)."""
        envelopes = max(self._sent, self._received)
        return envelopes >= LINK_ENVELOPES_REPLACE or now >= self._opened_at + LINK_SECONDS_REPLACE

    def erase(self) -> None:
        """Wipe the session and forget the pieces of an unfinished message."""
        self._session.erase()
        self._assembler.clear()

    def __repr__(self) -> str:
        return f"OpenPhase(sent={self._sent}, received={self._received})"
