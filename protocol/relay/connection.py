"""What both ends of a connection to a relay have in common, sans-IO: frames, sealing, states (SPEC §11.7).

Rules: bytes may come in any portions: the events are the same. Whatever the other end sends ends at worst in
RelayEnded, never in an exception. Once a circuit begins, no key of the rendezvous is held any more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Final

from protocol.errors import Malformed, ProtocolError
from protocol.limits import HANDSHAKE_FRAME_MAX
from protocol.link.framing import LENGTH_SIZE, FrameReader, NoMagic, OtherVersion, Refused, length_of
from protocol.noise import TAGLEN, Finished
from protocol.relay.messages import RelayMessage, pad_message
from protocol.relay.states import (
    RelayEnded,
    RelayEnding,
    RelayEvent,
    RelayRole,
    RelayState,
    check_relay_follows,
)

_ENDINGS: Final[tuple[tuple[type[ProtocolError], RelayEnding], ...]] = (
    (OtherVersion, RelayEnding.VERSION),
    (NoMagic, RelayEnding.NOT_A_RELAY),
    (Refused, RelayEnding.REFUSED),
)


class RelayConnection(ABC):
    """One end of a connection to a relay. Times are monotonic seconds."""

    role: ClassVar[RelayRole]
    sizes: ClassVar[tuple[int, ...]]
    """Bytes of the padded messages that may come here."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._out: list[bytes] = []
        self._reader = FrameReader()
        self._noise: Finished | None = None
        self._state = RelayState.GREETING
        self._deadline: float | None = None

    @property
    def state(self) -> RelayState:
        """Where this end stands."""
        return self._state

    @property
    def wanted(self) -> int:
        """Bytes that the next unit still needs: whoever reads no more never takes a byte of a circuit in.

        0 once this end reads nothing more.
        """
        if self._over:
            return 0
        return self._unit_size() - self._reader.pending

    @property
    def _over(self) -> bool:
        return self._state in (RelayState.JOINED, RelayState.CLOSED)

    # --- Bytes ---

    def receive(self, data: bytes, now: float) -> list[RelayEvent]:
        """What bytes from the other end mean. Nothing is read once the connection is joined or closed."""
        self._tick(now)
        events = self.handle_timer(now)
        if self._over:
            return events
        self._reader.feed(data)
        try:
            while (unit := self._take()) is not None:
                events += self._accept(unit)
            self._reader.settle()
        except ProtocolError as error:
            events += self._fail(error)
        return events

    def end_of_stream(self) -> list[RelayEvent]:
        """The other end ended the stream."""
        return self._end(RelayEnding.CUT)

    def data_to_send(self) -> bytes:
        """Bytes for the other end, which are then forgotten here; to be asked for once more after the end."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    # --- Time ---

    def next_timer(self) -> float | None:
        """When to call `handle_timer`; asked anew after every other call. None: never."""
        return None if self._over else self._deadline

    def handle_timer(self, now: float) -> list[RelayEvent]:
        """Do what time demands."""
        self._tick(now)
        due = self.next_timer()
        return [] if due is None or self._now < due else self._overdue()

    def _overdue(self) -> list[RelayEvent]:
        return self._end(RelayEnding.DEADLINE)

    def _tick(self, now: float) -> None:
        # A monotonic clock that steps back must not bring a deadline nearer or move it away.
        self._now = max(self._now, now)

    # --- For the two ends ---

    @abstractmethod
    def _accept(self, unit: bytes) -> list[RelayEvent]:
        """Read one unit."""

    def _unit_size(self) -> int:
        """Bytes of the next unit, as far as they are known; the frame's length field counts."""
        beginning = self._reader.peek(LENGTH_SIZE)
        if len(beginning) < LENGTH_SIZE:
            return LENGTH_SIZE
        return LENGTH_SIZE + int.from_bytes(beginning)

    def _take(self) -> bytes | None:
        """The next unit, or None if it is not all there."""
        if self._over:
            return None
        if self._noise is None:
            return self._reader.next_frame(HANDSHAKE_FRAME_MAX)
        self._check_length()
        return self._reader.next_frame(max(self.sizes) + TAGLEN)

    def _check_length(self) -> None:
        """Malformed for a frame of another size, as soon as its length is there.

        What is none of the rendezvous's, a link's frame say, is then not taken in before it is refused.
        """
        beginning = self._reader.peek(LENGTH_SIZE)
        size = int.from_bytes(beginning) - TAGLEN
        if len(beginning) == LENGTH_SIZE and size < max(self.sizes) and size not in self.sizes:
            raise Malformed(f"a frame of {size + TAGLEN} bytes")

    def _open(self, frame: bytes) -> bytes:
        """The padded message in a frame. AuthenticationFailed for another key."""
        assert self._noise is not None
        return self._noise.receive.decrypt_with_ad(b"", frame)

    def _send(self, message: RelayMessage) -> None:
        assert self._noise is not None
        self._put(self._noise.send.encrypt_with_ad(b"", pad_message(message)))

    def _put(self, body: bytes) -> None:
        self._out.append(length_of(body) + body)

    def _enter(self, following: RelayState, deadline: float | None = None) -> None:
        check_relay_follows(self.role, self._state, following)
        self._state, self._deadline = following, deadline

    def _join(self) -> bytes:
        """Begin the circuit: what has come of it already; everything else is let go of."""
        self._enter(RelayState.JOINED)
        return self._forget()

    def _forget(self) -> bytes:
        rest = self._reader.take(self._reader.pending) or b""
        self._reader.clear()
        self._noise = None
        return rest

    def _fail(self, error: ProtocolError) -> list[RelayEvent]:
        """The other end broke the protocol. It is told nothing, whatever the class (SPEC §15)."""
        endings = (ending for kind, ending in _ENDINGS if isinstance(error, kind))
        return self._end(next(endings, RelayEnding.ERROR), error.error_class)

    def _end(self, reason: RelayEnding, error_class: str | None = None) -> list[RelayEvent]:
        """Enter CLOSED, unless there is nothing to end any more."""
        if self._over:
            return []
        self._enter(RelayState.CLOSED)
        self._forget()
        return [RelayEnded(reason, error_class)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._state.value})"
