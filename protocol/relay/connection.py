"""Common base of both ends of a connection to a relay: frames, encryption, states and timers (SPEC §11.7)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Final

from protocol.errors import Malformed, ProtocolError
from protocol.limits import HANDSHAKE_FRAME_MAX
from protocol.link.framing import LENGTH_SIZE, FrameReader, NoMagic, OtherVersion, Refused, length_of
from protocol.noise import TAGLEN, Finished
from protocol.relay import states
from protocol.relay.messages import RelayMessage, pad_message
from protocol.relay.states import RelayEnding, RelayEvent, RelayRole, RelayState

_ENDINGS: Final[tuple[tuple[type[ProtocolError], RelayEnding], ...]] = (
    (OtherVersion, RelayEnding.VERSION),
    (NoMagic, RelayEnding.NOT_A_RELAY),
    (Refused, RelayEnding.REFUSED),
)


class RelayConnection(ABC):
    """One end of a connection to a relay. Times are in monotonic seconds.

    Bytes may arrive in any portions. Input of the other end never raises, and at worst results in RelayEnded.
    """

    role: ClassVar[RelayRole]
    sizes: ClassVar[tuple[int, ...]]
    """Permitted sizes of received padded messages."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._out: list[bytes] = []
        self._reader = FrameReader()
        self._noise: Finished | None = None
        self._state = RelayState.GREETING
        self._deadline: float | None = None

    @property
    def state(self) -> RelayState:
        return self._state

    @property
    def wanted(self) -> int:
        """Number of bytes to read next; 0 once this end reads nothing more.

        A caller that reads no more than this never consumes bytes of a circuit.
        """
        if self._over:
            return 0
        return self._unit_size() - self._reader.pending

    @property
    def _over(self) -> bool:
        return self._state in (RelayState.JOINED, RelayState.CLOSED)

    # --- Bytes ---

    def receive(self, data: bytes, now: float) -> list[RelayEvent]:
        """Process bytes from the other end. They are ignored once the connection is joined or closed."""
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
        return self._end(RelayEnding.CUT)

    def data_to_send(self) -> bytes:
        """Remove and return bytes for the other end. To be called a last time after RelayEnded."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    # --- Time ---

    def next_timer(self) -> float | None:
        """When to call `handle_timer`, to be asked again after every other call. None: never."""
        return None if self._over else self._deadline

    def handle_timer(self, now: float) -> list[RelayEvent]:
        """Act on elapsed time."""
        self._tick(now)
        due = self.next_timer()
        return [] if due is None or self._now < due else self._overdue()

    def _tick(self, now: float) -> None:
        # If a faulty clock steps back, no deadline may move.
        self._now = max(self._now, now)

    # --- For the two ends ---

    @abstractmethod
    def _accept(self, unit: bytes) -> list[RelayEvent]:
        """Process one unit."""

    @abstractmethod
    def _overdue(self) -> list[RelayEvent]:
        """Act on the deadline, which has passed."""

    def _unit_size(self) -> int:
        """Size of the next unit as far as it is known, including the length field."""
        beginning = self._reader.peek(LENGTH_SIZE)
        if len(beginning) < LENGTH_SIZE:
            return LENGTH_SIZE
        return LENGTH_SIZE + int.from_bytes(beginning)

    def _take(self) -> bytes | None:
        """The next unit, or None until all of it has arrived."""
        if self._over:
            return None
        if self._noise is None:
            return self._reader.next_frame(HANDSHAKE_FRAME_MAX)
        # A frame of a wrong size, such as a link's, is refused as soon as its length is known.
        beginning = self._reader.peek(LENGTH_SIZE)
        size = int.from_bytes(beginning) - TAGLEN
        if len(beginning) == LENGTH_SIZE and size < max(self.sizes) and size not in self.sizes:
            raise Malformed(f"a frame of {size + TAGLEN} bytes")
        return self._reader.next_frame(max(self.sizes) + TAGLEN)

    def _open(self, frame: bytes) -> bytes:
        """Decrypt a frame to a padded message. AuthenticationFailed with a wrong key."""
        assert self._noise is not None
        return self._noise.receive.decrypt_with_ad(b"", frame)

    def _send(self, message: RelayMessage) -> None:
        assert self._noise is not None
        self._put(self._noise.send.encrypt_with_ad(b"", pad_message(message)))

    def _put(self, body: bytes) -> None:
        self._out.append(length_of(body) + body)

    def _enter(self, following: RelayState, deadline: float | None = None) -> None:
        states.check_relay_follows(self.role, self._state, following)
        self._state, self._deadline = following, deadline

    def _join(self) -> bytes:
        """Begin the circuit and drop all keys. Returns bytes of the link that have arrived already."""
        self._enter(RelayState.JOINED)
        return self._forget()

    def _forget(self) -> bytes:
        rest = self._reader.take(self._reader.pending) or b""
        self._reader.clear()
        self._noise = None
        return rest

    def _fail(self, error: ProtocolError) -> list[RelayEvent]:
        """The other end broke the protocol. Nothing is sent, whatever the class (SPEC §15)."""
        endings = (ending for kind, ending in _ENDINGS if isinstance(error, kind))
        return self._end(next(endings, RelayEnding.ERROR), error.error_class)

    def _end(self, reason: RelayEnding, error_class: str | None = None) -> list[RelayEvent]:
        """Enter CLOSED. No event if the connection is joined or closed already."""
        if self._over:
            return []
        self._enter(RelayState.CLOSED)
        self._forget()
        return [states.RelayEnded(reason, error_class)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._state.value})"
