"""Circuits, which forward bytes between two sockets, and the zeroed buffers that the bytes pass through.

No asyncio transports, streams or bytes objects, since each of them keeps copies of the data.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from enum import Enum
from typing import Final

from msgspec import Struct

from protocol import primitives

BUFFER_SIZE: Final = 1 << 18
"""Bytes per buffer. Measured against splice with the same size: 64 KiB have half the throughput."""
BUFFERS_MAX: Final = 128
"""Buffers in total, 32 MiB. A relay whose readers keep up uses one."""


class Buffers:
    """At most `most` buffers of `size` bytes, allocated on demand, and a shared spare one.

    A buffer's used part is zeroed before it is lent again. None is freed, so free memory has no link bytes.
    """

    __slots__ = ("_free", "_left", "_size", "_spare", "lent")

    def __init__(self, most: int = BUFFERS_MAX, size: int = BUFFER_SIZE) -> None:
        self._size, self._left = size, most
        self.lent = 0
        self._free: list[memoryview] = []
        self._spare: memoryview | None = None

    def lend(self) -> memoryview | None:
        """A zeroed buffer, or None while all are lent."""
        if self._free:
            self.lent += 1
            return self._free.pop()
        if not self._left:
            return None
        self._left -= 1
        self.lent += 1
        return memoryview(bytearray(self._size))

    def take_back(self, buffer: memoryview, used: int) -> None:
        """Return a buffer whose first `used` bytes were written to."""
        primitives.wipe(buffer[:used])
        self._free.append(buffer)
        self.lent -= 1

    @property
    def spare(self) -> memoryview:
        """A buffer that is never lent. Its user wipes it before returning to the event loop."""
        if self._spare is None:
            self._spare = memoryview(bytearray(self._size))
        return self._spare

    def wipe_spare(self) -> None:
        primitives.wipe(self.spare)


UNSENT_MAX: Final = 1 << 19
"""Unsent bytes that the system may hold for a slow reader (TCP_NOTSENT_LOWAT): twice a buffer.

Measured: less slows down readers that keep up, and more gains nothing.
"""


class End(Enum):
    CLOSED = "closed"
    BROKEN = "broken"
    IDLE = "idle"
    SLOW = "slow"
    HALF_OPEN = "half_open"
    STOPPED = "stopped"
    LOST = "lost"


class Patience(Struct, frozen=True):
    """Seconds after which a circuit ends in a state in which it is useless."""

    idle: float = 60.0
    """Without a byte in either direction. Links send something every few seconds."""
    slow: float = 30.0  # with a buffer that its reader has not emptied
    half_open: float = 10.0  # with only one direction ended


class Tally:
    __slots__ = ("forwarded", "writes")

    def __init__(self) -> None:
        self.forwarded = 0
        self.writes = 0

    def count(self, sent: int) -> None:
        self.forwarded += sent
        self.writes += 1


class Lane:
    """One direction of a circuit. `source` is not read while bytes wait to be sent to `sink`.

    So a slow reader slows down the sender. A lane holds at most one buffer, and an idle one none.
    """

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
        """Release both sockets, which the circuit closes, and the buffer."""
        self._loop.remove_reader(self._source)
        self._loop.remove_writer(self._sink)
        if self._held is not None:
            self._give_back(self._held)

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
            sent = 0  # a spurious wakeup, or no room at the other end
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
        """All buffers are lent to slow readers: send what the sink takes, and leave the rest in the system.

        That costs a second copy, but slow readers cannot block other circuits.
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
            self._buffers.wipe_spare()
        if sent:
            self._count(sent)
        if sent < count:
            self._wait_for_room()
        elif not count:
            self._end_of_source()

    def _send_of(self, spare: memoryview, count: int) -> int:
        """Send from `count` peeked bytes, and then consume those that were sent."""
        try:
            sent = self._sink.send(spare[:count])
        except BlockingIOError:
            return 0
        if self._source.recv_into(spare, sent) != sent:
            raise ConnectionError  # urgent data, which links do not use
        return sent

    def _wait_for_room(self) -> None:
        """Stop reading until the sink takes the rest."""
        self.full, self.full_since = True, self._loop.time()
        self._loop.remove_reader(self._source)
        self._loop.add_writer(self._sink, self._writable)

    def _writable(self) -> None:
        if self._held is not None:
            try:
                sent = self._sink.send(self._held[self._sent : self._stop])
            except BlockingIOError:
                return
            except OSError:
                self._circuit.end(End.BROKEN)
                return
            self._count(sent)
            self._sent += sent
            if self._sent < self._stop:
                return
            self._give_back(self._held)
        self.full = False
        self._loop.remove_writer(self._sink)
        self._loop.add_reader(self._source, self._readable)

    def _count(self, sent: int) -> None:
        self.moved = True
        self._tally.count(sent)

    def _give_back(self, held: memoryview) -> None:
        self._held = None
        self._buffers.take_back(held, self._stop)

    def _end_of_source(self) -> None:
        self.ended = True
        self._loop.remove_reader(self._source)
        with contextlib.suppress(OSError):  # the other lane notices that it is gone
            self._sink.shutdown(socket.SHUT_WR)
        self._circuit.half_ended()


class Circuit:
    """Joins two connected non-blocking sockets until one of them ends, and closes both."""

    __slots__ = ("_between", "_done", "_half_since", "_last", "buffers", "loop", "tally")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ends: tuple[socket.socket, socket.socket],
        buffers: Buffers,
        tally: Tally,
        done: Callable[[Circuit, End], None],
    ) -> None:
        """`done` is called once, after both sockets are closed. Nothing is forwarded before `start`."""
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
        """End the circuit if it has been useless for too long. Called about every second."""
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
        _, _, there, back = self._between
        if there.ended and back.ended:
            self.end(End.CLOSED)
        else:
            self._half_since = self.loop.time()

    def end(self, reason: End) -> None:
        """Zero the buffers and close both sockets. A second call does nothing."""
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
    """Send without delay, and limit what the system holds for a slow reader."""
    with contextlib.suppress(OSError):  # the peer may be gone
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if option := getattr(socket, "TCP_NOTSENT_LOWAT", None):
            end.setsockopt(socket.IPPROTO_TCP, option, UNSENT_MAX)
