"""A circuit: two joined sockets, and what one sends goes to the other.

Rules: one buffer a direction, lent while bytes stand in it; until they are all sent nothing more is read
from the sender, who feels that. What has arrived together leaves in one write. No transport, no stream, no
bytes object: each of them keeps copies. Whatever breaks or lasts too long ends the whole circuit, with its
reason.

The memory that forwarded bytes pass through: buffers lent for as long as bytes stand in them.

Rules: a buffer is zeroed before it is lent again, only as far as it was used; none is ever freed, so
nothing of what passed stays in memory that nobody owns; a lane holds one at most, and an idle circuit none.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from protocol import primitives

BUFFER_SIZE: Final = 1 << 18
"""Bytes of a buffer. Measured beside a bare splice, which reads as much: 64 KiB forward half as much."""
BUFFERS_MAX: Final = 128
"""Buffers in all: 32 MiB, of which a relay whose readers keep up uses one."""


class Buffers:
    """At most `most` buffers of `size` bytes each, made when they are first needed; and one for all."""

    __slots__ = ("_free", "_left", "_size", "_spare", "lent")

    def __init__(self, most: int = BUFFERS_MAX, size: int = BUFFER_SIZE) -> None:
        self._size, self._left = size, most
        self.lent = 0
        self._free: list[memoryview] = []
        self._spare: memoryview | None = None

    def lend(self) -> memoryview | None:
        """A buffer of zeros, or None while all are lent."""
        if self._free:
            self.lent += 1
            return self._free.pop()
        if not self._left:
            return None
        self._left -= 1
        self.lent += 1
        return memoryview(bytearray(self._size))

    def take_back(self, buffer: memoryview, used: int) -> None:
        """The end of a loan; the first `used` bytes were written to."""
        primitives.wipe(buffer[:used])
        self._free.append(buffer)
        self.lent -= 1

    @property
    def spare(self) -> memoryview:
        """The one that is never lent: whoever writes to it has wiped it before the next may."""
        if self._spare is None:
            self._spare = memoryview(bytearray(self._size))
        return self._spare

    def wipe(self) -> None:
        """Zero the spare one."""
        primitives.wipe(self.spare)


UNSENT_MAX: Final = 1 << 19
"""Bytes that the system may hold unsent for a slow reader, where it can be told so (TCP_NOTSENT_LOWAT).

Measured: twice a buffer; with less a reader that keeps up is waited for, with more nothing is gained.
"""


class End(Enum):
    """Why a circuit ended."""

    CLOSED = "closed"
    BROKEN = "broken"
    IDLE = "idle"
    SLOW = "slow"
    HALF_OPEN = "half_open"
    STOPPED = "stopped"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a circuit may last in a state in which it serves nobody."""

    idle: float = 60.0
    """Without a byte either way. Links say something every few seconds."""
    slow: float = 30.0
    """With one buffer that its reader has not emptied."""
    half_open: float = 10.0
    """With one direction ended and the other not."""


class Tally:
    """What all circuits together have forwarded: counts alone."""

    __slots__ = ("forwarded", "writes")

    def __init__(self) -> None:
        self.forwarded = 0
        self.writes = 0


class Lane:
    """One direction. `source` is read only while nothing waits to be sent to `sink`."""

    __slots__ = (
        *("_buffers", "_circuit", "_held", "_loop", "_sent", "_sink", "_source", "_stop", "_tally"),
        *("ended", "full", "full_since", "moved"),
    )

    def __init__(self, circuit: Circuit, source: socket.socket, sink: socket.socket) -> None:
        self._circuit, self._source, self._sink = circuit, source, sink
        self._loop, self._buffers, self._tally = circuit.loop, circuit.buffers, circuit.tally
        self._held: memoryview | None = None
        self._sent = self._stop = 0
        self.ended = self.moved = self.full = False
        self.full_since = 0.0

    def start(self) -> None:
        self._loop.add_reader(self._source, self._readable)

    def stop(self) -> None:
        """Let go of both sockets and of the buffer; the sockets are the circuit's to close."""
        self._loop.remove_reader(self._source)
        self._loop.remove_writer(self._sink)
        if self._held is not None:
            self._give_back(self._held, self._stop)

    def _readable(self) -> None:
        buffer = self._buffers.lend()
        if buffer is None:
            self._pass_on()
            return
        count = -1
        try:
            count = self._source.recv_into(buffer)
            sent = self._sink.send(buffer[:count]) if count else 0
        except BlockingIOError:
            sent = 0  # nothing there after all, or no room at the other end
        except OSError:
            self._buffers.take_back(buffer, len(buffer))
            self._circuit.end(End.BROKEN)
            return
        if sent:
            self._count(sent)
        if sent < count:
            self._held, self._sent, self._stop = buffer, sent, count
            self._wait_for_room()
            return
        self._buffers.take_back(buffer, sent)
        if not count:
            self._end_of_source()

    def _pass_on(self) -> None:
        """All buffers are lent: send what there is room for, and leave the rest with the system.

        It costs a second copy; who holds the buffers, slow readers, cannot make anybody else wait.
        """
        spare = self._buffers.spare
        try:
            count = self._source.recv_into(spare, 0, socket.MSG_PEEK)
            sent = self._send_of(spare, count) if count else 0
        except BlockingIOError:
            return
        except OSError:
            self._circuit.end(End.BROKEN)
            return
        finally:
            self._buffers.wipe()
        if sent:
            self._count(sent)
        if sent < count:
            self._wait_for_room()
        elif not count:
            self._end_of_source()

    def _send_of(self, spare: memoryview, count: int) -> int:
        """Send what is taken of so many bytes, and only then take it from the system."""
        try:
            sent = self._sink.send(spare[:count])
        except BlockingIOError:
            return 0
        if self._source.recv_into(spare, sent) != sent:
            raise ConnectionError  # urgent data in between: no link has any
        return sent

    def _wait_for_room(self) -> None:
        """Read nothing more until the other end takes what there is."""
        self.full, self.full_since = True, self._loop.time()
        self._loop.remove_reader(self._source)
        self._loop.add_writer(self._sink, self._writable)

    def _writable(self) -> None:
        if self._held is not None and not self._has_sent(self._held):
            return
        self.full = False
        self._loop.remove_writer(self._sink)
        self._loop.add_reader(self._source, self._readable)

    def _has_sent(self, held: memoryview) -> bool:
        """Whether the rest of it has left now."""
        try:
            sent = self._sink.send(held[self._sent : self._stop])
        except BlockingIOError:
            return False
        except OSError:
            self._circuit.end(End.BROKEN)
            return False
        self._count(sent)
        self._sent += sent
        if self._sent < self._stop:
            return False
        self._give_back(held, self._stop)
        return True

    def _count(self, sent: int) -> None:
        self.moved = True
        self._tally.forwarded += sent
        self._tally.writes += 1

    def _give_back(self, buffer: memoryview, used: int) -> None:
        self._held = None
        self._buffers.take_back(buffer, used)

    def _end_of_source(self) -> None:
        self.ended = True
        self._loop.remove_reader(self._source)
        with contextlib.suppress(OSError):  # it has gone already: its own lane says so
            self._sink.shutdown(socket.SHUT_WR)
        self._circuit.half_ended()


class Circuit:
    """Joins two connected non-blocking sockets until either ends; both are closed with it."""

    __slots__ = ("_between", "_done", "_half_since", "_last", "buffers", "loop", "tally")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ends: tuple[socket.socket, socket.socket],
        buffers: Buffers,
        tally: Tally,
        done: Callable[[Circuit, End], None],
    ) -> None:
        """`done` is called once, when both sockets are closed. Nothing is forwarded before `start`."""
        one, other = ends
        self.loop, self.buffers, self.tally = loop, buffers, tally
        self._done: Callable[[Circuit, End], None] | None = done
        self._half_since = 0.0
        self._last = loop.time()
        self._between = (one, other, Lane(self, one, other), Lane(self, other, one))

    def start(self) -> None:
        one, other, there, back = self._between
        for end in (one, other):
            tune(end)
        there.start()
        back.start()

    def check(self, now: float, patience: Patience) -> None:
        """End it if it has served nobody for too long; called every second or so."""
        _, _, *lanes = self._between
        if any(lane.moved for lane in lanes):
            self._last = now
            for lane in lanes:
                lane.moved = False
        if any(lane.full and now - lane.full_since > patience.slow for lane in lanes):
            self.end(End.SLOW)
        elif self._half_since and now - self._half_since > patience.half_open:
            self.end(End.HALF_OPEN)
        elif now - self._last > patience.idle:
            self.end(End.IDLE)

    def half_ended(self) -> None:
        """A lane has nothing more to send."""
        _, _, there, back = self._between
        if there.ended and back.ended:
            self.end(End.CLOSED)
        else:
            self._half_since = self.loop.time()

    def end(self, reason: End) -> None:
        """Zero what is held and close both sockets; a second call does nothing."""
        done, self._done = self._done, None
        if done is None:
            return
        one, other, there, back = self._between
        there.stop()
        back.stop()
        one.close()
        other.close()
        done(self, reason)


def tune(end: socket.socket) -> None:
    """Send at once, and let the system hold little for a reader that is slow."""
    with contextlib.suppress(OSError):  # it may have gone by itself
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if option := getattr(socket, "TCP_NOTSENT_LOWAT", None):
            end.setsockopt(socket.IPPROTO_TCP, option, UNSENT_MAX)
