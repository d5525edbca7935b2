"""A circuit that leaves at another relay: one socket, and a passage in place of the second.

Rules: as for any circuit, nothing is read that cannot go on: at most a window of bytes is under way in a
direction, and the reader at the far end opens it again by what it takes. Buffers are lent, and zeroed
behind.

One circuit's way to another relay: sealed frames over the backplane, in their order.

Rules: a frame that does not open in its place ends the passage; what it carries is read into memory of the
caller's and never printed. Whoever carries the frames can break a passage, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final, Protocol

from chat.relay.circuit import Buffers, End, Patience, Tally, tune
from chat.relay.cluster.nats import Bus
from protocol.errors import LimitExceeded, Unexpected
from protocol.noise import Finished
from protocol.relay.cluster import FRAME_BYTES_MAX, FRAME_OVERHEAD, Kind, Opener, Sealer, kind_of, size_of

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


class RelayTunnel:
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


WINDOW: Final = 1 << 16
"""Bytes of a direction that may be under way or wait for the far reader.

A thousand circuits in full flood then fit into what NATS holds for a client (64 MB) before it cuts that off.
"""
CREDIT_FROM: Final = WINDOW // 4
"""Bytes taken by the reader that are told in one frame."""
ALIVE_EVERY: Final = 3.0
"""Seconds without a frame after which one is sent."""
LOST_AFTER: Final = 10.0
"""Seconds without a frame after which the other relay counts as gone."""


class Leaving:
    """From the socket into the passage, as far as the far reader has made room."""

    __slots__ = ("_circuit", "_reading", "_waits", "ended", "moved", "room")

    def __init__(self, circuit: FarCircuit) -> None:
        self._circuit = circuit
        self._reading = self._waits = self.ended = self.moved = False
        self.room = WINDOW

    def listen(self) -> None:
        """Read where there is something to be read and room for it."""
        wanted = not self.ended and self.room > 0 and not self._waits
        if wanted is not self._reading:
            self._reading = wanted
            circuit = self._circuit
            if wanted:
                circuit.loop.add_reader(circuit.socket, self._readable)
            else:
                circuit.loop.remove_reader(circuit.socket)

    def credit(self, more: int) -> None:
        """The far reader has taken so many bytes. LimitExceeded for more than were sent."""
        self.room += more
        if self.room > WINDOW:
            raise LimitExceeded("more was taken than was sent")
        self.listen()

    def stop(self) -> None:
        circuit = self._circuit
        circuit.loop.remove_reader(circuit.socket)
        if self._waits:
            circuit.passage.bus.forget(self._wake)
        self.ended = True

    def _readable(self) -> None:
        circuit = self._circuit
        if circuit.passage.bus.is_crowded:
            return self._wait()
        lent = circuit.buffers.lend()
        count = -1
        try:
            count = self._pass_on(circuit.buffers.spare if lent is None else lent)
        except BlockingIOError:
            pass  # nothing there after all
        except OSError:
            return circuit.end(End.BROKEN)
        finally:
            if lent is None:
                circuit.buffers.wipe()
            else:
                circuit.buffers.take_back(lent, len(lent) if count < 0 else count)
        return self._sent(count) if count else self._end_of_source()

    def _pass_on(self, buffer: memoryview) -> int:
        """One frame, if there is anything; returns its bytes."""
        circuit = self._circuit
        most = min(self.room, FRAME_BYTES_MAX, circuit.passage.bus.largest - FRAME_OVERHEAD)
        count = circuit.socket.recv_into(buffer[:most])
        if count:
            circuit.passage.send(Kind.DATA, buffer[:count])
        return count

    def _sent(self, count: int) -> None:
        if count > 0:
            self.moved = True
            self.room -= count
            self._circuit.count(count)
            self.listen()

    def _end_of_source(self) -> None:
        self.ended = True
        self.listen()
        self._circuit.passage.send(Kind.FINISHED)
        self._circuit.half_ended()

    def _wait(self) -> None:
        self._waits = True
        self.listen()
        self._circuit.passage.bus.tell(self._wake)

    def _wake(self) -> None:
        self._waits = False
        self.listen()


class Arriving:
    """From the passage into the socket; what the socket does not take at once stands in one buffer."""

    __slots__ = (
        *("_circuit", "_due", "_held", "_room", "_sent", "_stop", "_writing"),
        *("_finishing", "_mark", "_taken", "ended", "moved"),
    )

    def __init__(self, circuit: FarCircuit) -> None:
        self._circuit = circuit
        self._held: memoryview | None = None
        self._sent = self._stop = self._due = self._taken = 0
        self._room = WINDOW
        self._writing = self._finishing = self.ended = self.moved = False
        self._mark = (0, 0.0)

    def data(self, frame: bytes) -> None:
        """Take a frame of link bytes. LimitExceeded over the window, Unexpected after the end."""
        size = size_of(frame)
        if self._finishing:
            raise Unexpected("link bytes after the end")
        if size > self._room:
            raise LimitExceeded("more link bytes than there is room for")
        circuit = self._circuit
        if self._held is None and (lent := circuit.buffers.lend()) is not None:
            self._held, self._sent, self._stop = lent, 0, 0
            self._mark = (self._taken + size, circuit.loop.time())
        if self._held is None:
            return self._pass_on(frame, size)
        self._make_room(self._held, size)
        circuit.passage.open_into(frame, self._held[self._stop :])
        self._stop += size
        self._room -= size
        return None if self._writing else self._write()

    def _pass_on(self, frame: bytes, size: int) -> None:
        """All buffers are lent: who takes this at once goes on, who does not is of those that hold them."""
        circuit, spare = self._circuit, self._circuit.buffers.spare
        sent = 0
        try:
            circuit.passage.open_into(frame, spare)
            sent = circuit.socket.send(spare[:size])
        except BlockingIOError:
            pass
        except OSError:
            return circuit.end(End.BROKEN)
        finally:
            circuit.buffers.wipe()
        if sent < size:
            return circuit.end(End.SLOW)
        self._room -= size
        return self._took(sent)

    def finish(self) -> None:
        """Nothing more comes: the socket is told so after the last byte. Unexpected a second time."""
        if self._finishing:
            raise Unexpected("an end after the end")
        self._finishing = True
        if self._held is None:
            self._end_of_sink()

    def stop(self) -> None:
        self._circuit.loop.remove_writer(self._circuit.socket)
        if self._held is not None:
            self._give_back(self._held)

    def is_slow(self, now: float, patience: float) -> bool:
        """Whether what waited then still waits, so many seconds later."""
        goal, since = self._mark
        if self._held is None:
            return False
        if self._taken >= goal:
            self._mark = (self._taken + self._stop - self._sent, now)
            return False
        return now - since > patience

    def _make_room(self, held: memoryview, size: int) -> None:
        if self._stop + size > len(held):
            left = self._stop - self._sent
            held[:left] = held[self._sent : self._stop]
            held[left : self._stop] = bytes(self._stop - left)
            self._sent, self._stop = 0, left

    def _write(self) -> None:
        if self._held is None:
            return
        try:
            sent = self._circuit.socket.send(self._held[self._sent : self._stop])
        except BlockingIOError:
            sent = 0
        except OSError:
            self._circuit.end(End.BROKEN)
            return
        self._took(sent)
        done = self._sent == self._stop
        if done:
            self._give_back(self._held)
        self._watch(writing=not done)
        if done and self._finishing:
            self._end_of_sink()

    def _took(self, sent: int) -> None:
        if sent:
            self.moved = True
            self._circuit.count(sent)
        self._sent += sent
        self._taken += sent
        self._due += sent
        if self._due >= CREDIT_FROM:
            self._circuit.passage.send(Kind.CREDIT, self._due.to_bytes(4))
            self._room += self._due
            self._due = 0

    def _watch(self, *, writing: bool) -> None:
        if writing is not self._writing:
            self._writing = writing
            circuit = self._circuit
            if writing:
                circuit.loop.add_writer(circuit.socket, self._write)
            else:
                circuit.loop.remove_writer(circuit.socket)

    def _give_back(self, held: memoryview) -> None:
        self._held = None
        self._circuit.buffers.take_back(held, self._stop)

    def _end_of_sink(self) -> None:
        self.ended = True
        with contextlib.suppress(OSError):  # it has gone already: the reading side says so
            self._circuit.socket.shutdown(socket.SHUT_WR)
        self._circuit.half_ended()


class FarCircuit:
    """Joins a connected non-blocking socket with a passage until either ends; both are closed with it."""

    __slots__ = (
        *("_arriving", "_done", "_half_since", "_heard", "_last", "_leaving", "_said", "_tally"),
        *("buffers", "loop", "passage", "socket"),
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ends: tuple[socket.socket, RelayTunnel],
        buffers: Buffers,
        tally: Tally,
        done: Callable[[FarCircuit, End], None],
    ) -> None:
        """`done` is called once, when the socket is closed. Nothing is forwarded before `start`."""
        self.socket, self.passage = ends
        self.loop, self.buffers, self._tally = loop, buffers, tally
        self._done: Callable[[FarCircuit, End], None] | None = done
        self._half_since = 0.0
        self._last = self._heard = self._said = loop.time()
        self._leaving, self._arriving = Leaving(self), Arriving(self)

    def start(self) -> None:
        tune(self.socket)
        self._leaving.listen()

    # --- From the passage ---

    def arrived(self, frame: bytes) -> None:
        """A frame of the passage. ProtocolError for one that should not come."""
        if self._done is None:
            return
        kind = kind_of(frame)
        self._heard = self.loop.time()
        match kind:
            case Kind.DATA:
                self._arriving.data(frame)
            case Kind.CREDIT:
                self._leaving.credit(int.from_bytes(self.passage.content(frame)))
            case Kind.FINISHED:
                self.passage.content(frame)
                self._arriving.finish()
            case Kind.ALIVE:
                self.passage.content(frame)
            case Kind.END:
                self._close(reason_in(self.passage.content(frame)))
            case _:
                raise Unexpected(f"{kind.name} in a circuit")

    def spoiled(self) -> None:
        self.end(End.BROKEN)

    def lost(self) -> None:
        self._close(End.LOST)

    # --- From its lanes, and from the relay ---

    def count(self, size: int) -> None:
        """So many bytes have passed."""
        self._tally.forwarded += size
        self._tally.writes += 1

    def half_ended(self) -> None:
        """A lane has nothing more to send."""
        if self._leaving.ended and self._arriving.ended:
            self._close(End.CLOSED)
        else:
            self._half_since = self.loop.time()

    def check(self, now: float, patience: Patience) -> None:
        """End it if it has served nobody for too long, and say that it lives; called every second or so."""
        leaving, arriving = self._leaving, self._arriving
        if leaving.moved or arriving.moved:
            self._last = now
            leaving.moved = arriving.moved = False
        if now - self._heard > LOST_AFTER:
            self.lost()
        elif arriving.is_slow(now, patience.slow):
            self.end(End.SLOW)
        elif self._half_since and now - self._half_since > patience.half_open:
            self.end(End.HALF_OPEN)
        elif now - self._last > patience.idle:
            self.end(End.IDLE)
        elif now - self._said > ALIVE_EVERY:
            self._said = now
            self.passage.send(Kind.ALIVE)

    def end(self, reason: End) -> None:
        """Zero what is held, close the socket and tell the other relay; a second call does nothing."""
        if self._done is not None:
            self.passage.end(reason)
            self._close(reason)

    def _close(self, reason: End) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        self._leaving.stop()
        self._arriving.stop()
        self.socket.close()
        self.passage.close()
        done(self, reason)
