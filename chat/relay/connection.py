"""A terminal's connection to the relay, until it becomes one end of a circuit."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final, Protocol

from chat.network.limits import Bucket
from chat.relay.circuit import tune
from protocol.relay.relay_end import RelayEnd
from protocol.relay.states import RelayEnding, RelayEvent, RelayState

UNACKNOWLEDGED_MAX: Final = 30_000
"""Milliseconds without an acknowledgement after which the system drops a connection (TCP_USER_TIMEOUT)."""
READS_AT_ONCE: Final = 64.0
READS_A_SECOND: Final = 4.0
"""Rate limit of reads until a circuit opens. A message takes two, a waiting terminal sends one per 25 s."""
_PAUSE: Final = 1.0  # seconds without reading after the rate limit was reached


class Host(Protocol):
    """The relay, as a connection needs it."""

    def heard(self, client: ClientConnection, events: list[RelayEvent]) -> None:
        """Handle events of a connection."""

    def give_way(self, client: ClientConnection) -> None:
        """Close a connection to make room for another."""


class Caller(Protocol):
    """The reason for which a waiting terminal is called: a dialler here or at another relay."""

    def answered(self, waiter: ClientConnection) -> None:
        """The waiter answered, so its circuit can begin."""

    def unanswered(self) -> None:
        """The waiter did not answer, or is gone."""


class ClientConnection:
    """A terminal's connection.

    `place` is the address for quotas, `called_for` the reason of a call. `dialled` is the token and the place
    that a dialler asked for, and the number of terminals called so far. `since` is when it began to wait.
    """

    __slots__ = (
        *("_end", "_host", "_limit", "_loop", "_pause"),
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
        self._limit = Bucket(READS_A_SECOND, READS_AT_ONCE, READS_AT_ONCE, loop.time())
        self._pause: asyncio.TimerHandle | None = None

    @property
    def state(self) -> RelayState:
        return self._end.state

    def start(self) -> None:
        """Send the greeting and begin to read."""
        accepted = self.socket
        tune(accepted)
        with contextlib.suppress(OSError):  # the peer may be gone
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if option := getattr(socket, "TCP_USER_TIMEOUT", None):
                accepted.setsockopt(socket.IPPROTO_TCP, option, UNACKNOWLEDGED_MAX)
        self._loop.add_reader(accepted, self._readable)
        self._flush()

    def waiting(self) -> None:
        """The tokens are registered."""
        self.since = self.since or self._loop.time()
        self._end.waiting()
        self._flush()

    def call(self, caller: Caller, token: bytes) -> None:
        """A terminal dials this token, on which this one waits."""
        self.called_for = caller
        self._end.call(token, self._loop.time())
        self._flush()

    def absent(self) -> None:
        self.dialled = None
        self._end.absent(self._loop.time())
        self._flush()
        self._listen()

    def join(self, others: int) -> None:
        """The circuit begins; `others` more terminals wait on the token."""
        self._end.join(others)
        self._flush()

    def finish(self, reason: RelayEnding) -> None:
        """End the connection, with a message if the protocol has one for the reason."""
        self._report(self._end.end(reason))

    def check(self, now: float) -> None:
        due = self._end.next_timer()
        if due is not None and due <= now:
            self._report(self._end.handle_timer(now))

    def give_way(self) -> None:
        self._host.give_way(self)

    def let_go(self) -> socket.socket:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self.socket)
        return self.socket

    def close(self) -> None:
        self.let_go().close()

    def _readable(self) -> None:
        if not self._limit.take(self._loop.time()):
            self._loop.remove_reader(self.socket)
            self._pause = self._loop.call_later(_PAUSE, self._listen)
            return
        wanted = self._end.wanted  # reading no more leaves the bytes of a circuit in the socket
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
        # Nothing is read while a dial is pending, and after the circuit has begun.
        if self.state in (RelayState.DIALLING, RelayState.JOINED):
            self._loop.remove_reader(self.socket)
        if events:
            self._host.heard(self, events)

    def _flush(self) -> None:
        """Send the pending messages. A connection without room for their few hundred bytes is closed."""
        data = self._end.data_to_send()
        if not data:
            return
        try:
            sent = self.socket.send(data)
        except OSError:
            sent = 0
        if sent < len(data):
            self._loop.call_soon(lambda: self._report(self._end.end_of_stream()))
