"""Circuits between a socket and another relay, through a tunnel of encrypted frames over NATS.

At most a window of bytes is in transit per direction, and the remote relay extends it as its terminal reads.
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
    """The receiver of messages on one subject."""

    def arrived(self, frame: bytes) -> None:
        """A message arrived. Raises ProtocolError if it is invalid, and then `spoiled` follows."""

    def spoiled(self) -> None:
        """A message was forged, or one was lost."""

    def lost(self) -> None:
        """The other relay is gone, or NATS is disconnected."""


class RelayTunnel:
    """The keys of both directions, and the subjects `own` and `theirs`.

    A frame that is not the next one ends the tunnel. NATS can interrupt a tunnel, and nothing else.
    """

    __slots__ = ("_drop", "_opener", "_sealer", "_small", "bus", "own", "theirs")

    def __init__(
        self, bus: Bus, subjects: tuple[str, str], finished: Finished, drop: Callable[[str], None]
    ) -> None:
        """`drop` is called with our subject when the tunnel is closed."""
        self.bus, self._drop = bus, drop
        self.own, self.theirs = subjects
        self._sealer, self._opener = Sealer(finished.send), Opener(finished.receive)
        self._small = memoryview(bytearray(_SMALL))

    def send(self, kind: Kind, data: bytes | memoryview = b"") -> None:
        """Send a frame. `data` may be in memory that is reused at once."""
        self.bus.post(self.theirs, self._sealer.seal(kind, data), self.own)

    def open_into(self, frame: bytes, out: memoryview) -> None:
        """Decrypt a frame's link bytes into `out`. AuthenticationFailed if it is not the next one."""
        self._opener.open_into(frame, out)

    def content(self, frame: bytes) -> bytes:
        """The content of a small frame. AuthenticationFailed if it is not the next one."""
        return bytes(self._small[: self._opener.open_into(frame, self._small)])

    def end(self, reason: End) -> None:
        """Send END and close."""
        self.send(Kind.END, bytes((_REASONS.index(reason),)))
        self.close()

    def close(self) -> None:
        self._drop(self.own)


WINDOW: Final = 1 << 16
"""Bytes per direction that may be in transit or wait for the remote reader.

So a thousand busy circuits fit into the 64 MB that NATS holds for a client before it disconnects it.
"""
CREDIT_FROM: Final = WINDOW // 4  # bytes read by the terminal after which a CREDIT frame is sent
ALIVE_EVERY: Final = 3.0  # seconds between keepalive frames
LOST_AFTER: Final = 10.0  # seconds without a frame after which the other relay is considered gone


class Outbound:
    """Forwards from the socket to the tunnel within the window."""

    __slots__ = ("_circuit", "_reading", "_waits", "ended", "moved", "room")

    def __init__(self, circuit: FarCircuit) -> None:
        self._circuit = circuit
        self._reading = self._waits = self.ended = self.moved = False
        self.room = WINDOW

    def listen(self) -> None:
        """Read from the socket while the window is open and NATS keeps up."""
        wanted = not self.ended and self.room > 0 and not self._waits
        if wanted is not self._reading:
            self._reading = wanted
            circuit = self._circuit
            if wanted:
                circuit.loop.add_reader(circuit.socket, self._readable)
            else:
                circuit.loop.remove_reader(circuit.socket)

    def credit(self, more: int) -> None:
        """The remote terminal read so many bytes. LimitExceeded for more than were sent."""
        self.room += more
        if self.room > WINDOW:
            raise LimitExceeded("more credit than bytes were sent")
        self.listen()

    def stop(self) -> None:
        circuit = self._circuit
        circuit.loop.remove_reader(circuit.socket)
        if self._waits:
            circuit.tunnel.bus.forget(self._wake)
        self.ended = True

    def _readable(self) -> None:
        circuit = self._circuit
        if circuit.tunnel.bus.is_crowded:
            self._waits = True
            self.listen()
            return circuit.tunnel.bus.tell(self._wake)
        lent = circuit.buffers.lend()
        count = -1
        try:
            count = self._pass_on(circuit.buffers.spare if lent is None else lent)
        except BlockingIOError:
            pass  # a spurious wakeup
        except OSError:
            return circuit.end(End.BROKEN)
        finally:
            if lent is None:
                circuit.buffers.wipe_spare()
            else:
                circuit.buffers.take_back(lent, len(lent) if count < 0 else count)
        if count:
            return self._sent(count)
        self.ended = True
        self.listen()
        circuit.tunnel.send(Kind.FINISHED)
        return circuit.half_ended()

    def _pass_on(self, buffer: memoryview) -> int:
        circuit = self._circuit
        most = min(self.room, FRAME_BYTES_MAX, circuit.tunnel.bus.largest - FRAME_OVERHEAD)
        count = circuit.socket.recv_into(buffer[:most])
        if count:
            circuit.tunnel.send(Kind.DATA, buffer[:count])
        return count

    def _sent(self, count: int) -> None:
        if count > 0:
            self.moved = True
            self.room -= count
            self._circuit.tally.count(count)
            self.listen()

    def _wake(self) -> None:
        self._waits = False
        self.listen()


class Inbound:
    """Forwards from the tunnel to the socket. One buffer holds what the socket does not take at once."""

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
        """Handle a DATA frame. LimitExceeded over the window, Unexpected after FINISHED."""
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
        if self._stop + size > len(self._held):
            left = self._stop - self._sent
            self._held[:left] = self._held[self._sent : self._stop]
            self._held[left : self._stop] = bytes(self._stop - left)
            self._sent, self._stop = 0, left
        circuit.tunnel.open_into(frame, self._held[self._stop :])
        self._stop += size
        self._room -= size
        return None if self._writing else self._write()

    def _pass_on(self, frame: bytes, size: int) -> None:
        """All buffers are lent: a socket that does not take the frame at once loses its circuit."""
        circuit, spare = self._circuit, self._circuit.buffers.spare
        sent = 0
        try:
            circuit.tunnel.open_into(frame, spare)
            sent = circuit.socket.send(spare[:size])
        except BlockingIOError:
            pass
        except OSError:
            return circuit.end(End.BROKEN)
        finally:
            circuit.buffers.wipe_spare()
        if sent < size:
            return circuit.end(End.SLOW)
        self._room -= size
        return self._took(sent)

    def finish(self) -> None:
        """Handle FINISHED: shut down the socket after the last byte. Unexpected a second time."""
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
        """Whether bytes have been waiting for more than `patience` seconds."""
        goal, since = self._mark
        if self._held is None:
            return False
        if self._taken >= goal:
            self._mark = (self._taken + self._stop - self._sent, now)
            return False
        return now - since > patience

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
        if done is self._writing:
            self._writing = not done
            loop, end = self._circuit.loop, self._circuit.socket
            loop.remove_writer(end) if done else loop.add_writer(end, self._write)
        if done and self._finishing:
            self._end_of_sink()

    def _took(self, sent: int) -> None:
        if sent:
            self.moved = True
            self._circuit.tally.count(sent)
        self._sent += sent
        self._taken += sent
        self._due += sent
        if self._due >= CREDIT_FROM:
            self._circuit.tunnel.send(Kind.CREDIT, self._due.to_bytes(4))
            self._room += self._due
            self._due = 0

    def _give_back(self, held: memoryview) -> None:
        self._held = None
        self._circuit.buffers.take_back(held, self._stop)

    def _end_of_sink(self) -> None:
        self.ended = True
        with contextlib.suppress(OSError):  # the reading side notices that it is gone
            self._circuit.socket.shutdown(socket.SHUT_WR)
        self._circuit.half_ended()


class FarCircuit:
    """Joins a connected non-blocking socket and a tunnel until one of them ends, and closes both."""

    __slots__ = (
        *("_inbound", "_done", "_half_since", "_heard", "_last", "_outbound", "_said"),
        *("buffers", "loop", "socket", "tally", "tunnel"),
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ends: tuple[socket.socket, RelayTunnel],
        buffers: Buffers,
        tally: Tally,
        done: Callable[[FarCircuit, End], None],
    ) -> None:
        """`done` is called once, after the socket is closed. Nothing is forwarded before `start`."""
        self.socket, self.tunnel = ends
        self.loop, self.buffers, self.tally = loop, buffers, tally
        self._done: Callable[[FarCircuit, End], None] | None = done
        self._half_since = 0.0
        self._last = self._heard = self._said = loop.time()
        self._outbound, self._inbound = Outbound(self), Inbound(self)

    def start(self) -> None:
        tune(self.socket)
        self._outbound.listen()

    # --- Calls of the cluster ---

    def arrived(self, frame: bytes) -> None:
        """Handle a frame. ProtocolError if it is invalid."""
        if self._done is None:
            return
        kind = kind_of(frame)
        self._heard = self.loop.time()
        match kind:
            case Kind.DATA:
                self._inbound.data(frame)
            case Kind.CREDIT:
                self._outbound.credit(int.from_bytes(self.tunnel.content(frame)))
            case Kind.FINISHED:
                self.tunnel.content(frame)
                self._inbound.finish()
            case Kind.ALIVE:
                self.tunnel.content(frame)
            case Kind.END:
                reason = self.tunnel.content(frame)[0]
                self._close(_REASONS[reason] if reason < len(_REASONS) else End.BROKEN)
            case _:
                raise Unexpected(f"{kind.name} in a circuit")

    def spoiled(self) -> None:
        self.end(End.BROKEN)

    def lost(self) -> None:
        self._close(End.LOST)

    # --- Calls of the directions and of the relay ---

    def half_ended(self) -> None:
        if self._outbound.ended and self._inbound.ended:
            self._close(End.CLOSED)
        else:
            self._half_since = self.loop.time()

    def check(self, now: float, patience: Patience) -> None:
        """End the circuit if it is useless for too long, or send a keepalive. Called about every second."""
        outbound, inbound = self._outbound, self._inbound
        if outbound.moved or inbound.moved:
            self._last = now
            outbound.moved = inbound.moved = False
        if now - self._heard > LOST_AFTER:
            self.lost()
        elif inbound.is_slow(now, patience.slow):
            self.end(End.SLOW)
        elif self._half_since and now - self._half_since > patience.half_open:
            self.end(End.HALF_OPEN)
        elif now - self._last > patience.idle:
            self.end(End.IDLE)
        elif now - self._said > ALIVE_EVERY:
            self._said = now
            self.tunnel.send(Kind.ALIVE)

    def end(self, reason: End) -> None:
        """Zero the buffers, close the socket and inform the other relay. A second call does nothing."""
        if self._done is not None:
            self.tunnel.end(reason)
            self._close(reason)

    def _close(self, reason: End) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        self._outbound.stop()
        self._inbound.stop()
        self.socket.close()
        self.tunnel.close()
        done(self, reason)
