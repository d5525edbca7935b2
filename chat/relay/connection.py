"""One connection at the relay, until it is one end of a circuit.

Rules: no more is read than the rendezvous wants next, so that no byte of a link ever comes in here; what the
other side does not take at once it does not get, and is gone. Decisions are the relay's, told by its calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Final, Protocol

from chat.network.limits import Bucket
from chat.relay.circuit import tune
from protocol.relay.relay_end import RelayEnd
from protocol.relay.states import RelayEnding, RelayEvent, RelayState

UNACKNOWLEDGED_MAX: Final = 30_000
"""Milliseconds after which the system gives up on a peer that acknowledges nothing (TCP_USER_TIMEOUT)."""
READS_AT_ONCE: Final = 64.0
READS_A_SECOND: Final = 4.0
"""How often a connection is read before its circuit: a message is two reads, and a terminal that waits says
one in 25 seconds. Who says more is read later, so that one costs no more than it is worth."""
_REST: Final = 1.0  # seconds for which nothing is read of who has said too much
_RESET: Final = struct.pack("ii", 1, 0)


class Host(Protocol):
    """What a visitor needs of its relay."""

    def heard(self, visitor: ClientConnection, events: list[RelayEvent]) -> None:
        """Something came of what it said, or of time."""

    def give_way(self, visitor: ClientConnection) -> None:
        """It has to make room for another."""


class Caller(Protocol):
    """For whom a terminal that waits is called, here or at another relay."""

    def answered(self, waiter: ClientConnection) -> None:
        """It has answered: its circuit can begin."""

    def unanswered(self) -> None:
        """It did not, or is gone."""


class ClientConnection:
    """A terminal's connection. `place` is what its address counts as, `called_for` who has it called.

    `dialled`, of a dialler: the token and the place that it asked for, and how many were called for that;
    `since`: when it began to wait.
    """

    __slots__ = (
        *("_end", "_host", "_loop", "_pace", "_rest"),
        *("called_for", "dialled", "place", "since", "socket"),
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, host: Host, accepted: socket.socket, place: str, end: RelayEnd
    ) -> None:
        self._loop, self._host, self._end = loop, host, end
        self.socket, self.place = accepted, place
        self.called_for: Caller | None = None
        self.dialled: tuple[bytes, int, int] | None = None
        self.since = 0.0
        self._pace = Bucket(READS_A_SECOND, READS_AT_ONCE, READS_AT_ONCE, loop.time())
        self._rest: asyncio.TimerHandle | None = None

    @property
    def state(self) -> RelayState:
        return self._end.state

    def start(self) -> None:
        """Greet, and listen."""
        accepted = self.socket
        tune(accepted)
        with contextlib.suppress(OSError):  # it may have gone by itself
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if option := getattr(socket, "TCP_USER_TIMEOUT", None):
                accepted.setsockopt(socket.IPPROTO_TCP, option, UNACKNOWLEDGED_MAX)
        self._loop.add_reader(accepted, self._readable)
        self._flush()

    def waiting(self) -> None:
        """Its tokens are held."""
        self.since = self.since or self._loop.time()
        self._end.waiting()
        self._flush()

    def call(self, caller: Caller, token: bytes) -> None:
        """Somebody dials this token of its own."""
        self.called_for = caller
        self._end.call(token, self._loop.time())
        self._flush()

    def absent(self) -> None:
        """Nobody waits where it dialled."""
        self.dialled = None
        self._end.absent(self._loop.time())
        self._flush()
        self._listen()

    def join(self, others: int) -> None:
        """Its circuit begins; `others` wait on the token still."""
        self._end.join(others)
        self._flush()

    def finish(self, reason: RelayEnding) -> None:
        """End the connection, saying so where the protocol has a word for it."""
        self._report(self._end.end(reason))

    def check(self, now: float) -> None:
        """Do what time demands."""
        due = self._end.next_timer()
        if due is not None and due <= now:
            self._report(self._end.handle_timer(now))

    def give_way(self) -> None:
        self._host.give_way(self)

    def let_go(self) -> socket.socket:
        """Stop listening, and hand over the socket."""
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self.socket)
        return self.socket

    def close(self) -> None:
        """Stop listening, and close."""
        self.let_go().close()

    def _readable(self) -> None:
        if not self._pace.take(self._loop.time()):
            self._loop.remove_reader(self.socket)
            self._rest = self._loop.call_later(_REST, self._listen)
            return
        wanted = self._end.wanted
        try:
            data = self.socket.recv(wanted) if wanted else b""
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._report(self._end.receive(data, self._loop.time()))
        else:
            self._report(self._end.end_of_stream())

    def _listen(self) -> None:
        if self._end.wanted:
            self._loop.add_reader(self.socket, self._readable)

    def _report(self, events: list[RelayEvent]) -> None:
        self._flush()
        # While it waits for an answer to its dial, and once it has answered itself, nothing is read.
        if self.state in (RelayState.DIALLING, RelayState.JOINED):
            self._loop.remove_reader(self.socket)
        if events:
            self._host.heard(self, events)

    def _flush(self) -> None:
        """Send what the rendezvous has to say: a few hundred bytes, for which there is room."""
        data = self._end.data_to_send()
        if not data:
            return
        try:
            sent = self.socket.send(data)
        except OSError:
            sent = 0
        if sent < len(data):
            self._loop.call_soon(self._cut_off)

    def _cut_off(self) -> None:
        if events := self._end.end_of_stream():
            self._host.heard(self, events)


def reset(refused: socket.socket) -> None:
    """Close without the minute of TIME_WAIT, of which a flood would leave thousands."""
    with contextlib.suppress(OSError):  # it may have gone by itself
        refused.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    refused.close()
