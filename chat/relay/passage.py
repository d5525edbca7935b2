"""One circuit's way to another relay: sealed frames over the backplane, in their order.

Rules: a frame that does not open in its place ends the passage; what it carries is read into memory of the
caller's and never printed. Whoever carries the frames can break a passage, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from chat.relay.backplane import Bus
from chat.relay.circuit import End
from protocol.noise import Finished
from protocol.relay_cluster import Kind, Opener, Sealer

_REASONS: Final = tuple(End)
_SMALL: Final = 128


class Receiver(Protocol):
    """Who is answered on one subject."""

    def arrived(self, frame: bytes) -> None:
        """A message, as it came. ProtocolError for one that is not what should come: `spoiled` follows."""

    def spoiled(self) -> None:
        """What came there was forged, or some of it was lost."""

    def lost(self) -> None:
        """Nobody is at the other end any more, or no message passes."""


class Passage:
    """The keys of both directions, and the two subjects: one's own, and the other relay's."""

    __slots__ = ("_bus", "_drop", "_opener", "_sealer", "_small", "own", "theirs")

    def __init__(
        self, bus: Bus, subjects: tuple[str, str], finished: Finished, drop: Callable[[str], None]
    ) -> None:
        """`drop` is told the own subject when nothing is to come there any more."""
        self._bus, self._drop = bus, drop
        self.own, self.theirs = subjects
        self._sealer, self._opener = Sealer(finished.send), Opener(finished.receive)
        self._small = memoryview(bytearray(_SMALL))

    @property
    def bus(self) -> Bus:
        return self._bus

    def send(self, kind: Kind, data: bytes | memoryview = b"") -> None:
        """The next frame. Link bytes may stand in memory that is used again at once."""
        self._bus.post(self.theirs, self._sealer.seal(kind, data), self.own)

    def open_into(self, frame: bytes, out: memoryview) -> None:
        """Put a frame's link bytes into `out`. AuthenticationFailed if it is not the next one."""
        self._opener.open_into(frame, out)

    def content(self, frame: bytes) -> bytes:
        """What a small frame carries. AuthenticationFailed if it is not the next one."""
        return bytes(self._small[: self._opener.open_into(frame, self._small)])

    def end(self, reason: End) -> None:
        """Say that it is over, and hear no more."""
        self.send(Kind.END, bytes((_REASONS.index(reason),)))
        self.close()

    def close(self) -> None:
        """Hear no more."""
        self._drop(self.own)


def reason_in(content: bytes) -> End:
    """Why the other relay ended a circuit, as far as it is known here."""
    return _REASONS[content[0]] if content[0] < len(_REASONS) else End.BROKEN
