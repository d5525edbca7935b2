"""The relay server: accepts terminals and joins those with the same token.

It has one thread and no task per connection. Whatever a terminal does, at worst its own connection ends.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar

from msgspec import Struct, field

from chat.network.connection import peer_host, reset
from chat.ports import Clock
from chat.relay.circuit import Buffers, Circuit, End, Patience
from chat.relay.cluster import Cluster
from chat.relay.cluster.circuit import FarCircuit, RelayTunnel
from chat.relay.cluster.nats import Bus
from chat.relay.connection import Caller, ClientConnection
from chat.relay.metrics import Counters, Gauge
from chat.relay.quotas import Handshakes, Limits, Places, Shares, place_of
from protocol.keys import X25519Pair
from protocol.limits import RELAY_WAITERS_MAX
from protocol.relay.cluster import ClusterKeys
from protocol.relay.relay_end import RelayEnd
from protocol.relay.states import Answers, Dials, RelayEnded, RelayEnding, RelayEvent, RelayState, Waits

W = TypeVar("W")


class WaitRegistry(Generic[W]):
    """The waiting terminals by token, in memory only. On a token, a ninth replaces the oldest."""

    def __init__(
        self,
        gained: Callable[[bytes], None] = lambda _: None,
        lost: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """`gained` is called with each token that gets its first waiter, `lost` when its last one is gone."""
        self._gained, self._lost = gained, lost
        # Most tokens have one waiter, stored without a tuple: that saves a third of a terminal's memory.
        self._on: dict[bytes, W | tuple[W, ...]] = {}
        self._tokens: dict[W, tuple[bytes, ...]] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    def wait(self, who: W, tokens: Iterable[bytes]) -> None:
        """Register a terminal for exactly these tokens."""
        kept, before = tuple(tokens), self._tokens.get(who, ())
        for token in set(before).difference(kept):
            self._drop(who, token)
        for token in kept:
            waiting = self._waiting(token)
            if not waiting:
                self._gained(token)
            if who not in waiting:
                self._keep(token, (*waiting, who)[-RELAY_WAITERS_MAX:])
        self._tokens[who] = kept

    def leave(self, who: W) -> int:
        """Remove a terminal. Returns the number of its tokens."""
        tokens = self._tokens.pop(who, ())
        for token in tokens:
            self._drop(who, token)
        return len(tokens)

    def find(self, token: bytes, place: int) -> W | None:
        """The waiter of a token at a place, where 0 is the newest, or None."""
        waiting = self._waiting(token)
        return waiting[-1 - place] if place < len(waiting) else None

    def all(self, token: bytes) -> list[W]:
        """The waiters of a token, newest first."""
        return list(self._waiting(token))[::-1]

    def count(self, token: bytes) -> int:
        return len(self._waiting(token))

    def named(self, who: W) -> int:
        return len(self._tokens.get(who, ()))

    def _waiting(self, token: bytes) -> tuple[W, ...]:
        """The waiters of a token, newest last."""
        held = self._on.get(token)
        if held is None:
            return ()
        return held if isinstance(held, tuple) else (held,)

    def _drop(self, who: W, token: bytes) -> None:
        waiting = self._waiting(token)
        left = tuple(each for each in waiting if each is not who)
        self._keep(token, left)
        if waiting and not left:
            self._lost(token)

    def _keep(self, token: bytes, waiting: tuple[W, ...]) -> None:
        if len(waiting) > 1:
            self._on[token] = waiting
        elif waiting:
            self._on[token] = waiting[0]
        else:
            self._on.pop(token, None)


CHECK_EVERY: Final = 0.5  # seconds between two checks of timers
CHECKED_AT_ONCE: Final = 1_000
"""Connections checked per turn of the event loop, which takes half a millisecond."""
ACCEPTED_AT_ONCE: Final = 64  # connections accepted per turn of the event loop
CALLS_A_DIAL: Final = 2
"""Terminals called per dial. Each has 3 seconds to answer, and a dialler waits for ten."""
_PAUSE: Final = 0.5  # seconds without accepting after the system ran out of descriptors or memory
_SPARE: Final = 64  # descriptors for listening sockets, metrics and the event loop
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Settings(Struct, frozen=True):
    """Settings of a relay. `descriptors` is the system's limit, 0 for none."""

    pair: X25519Pair
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    descriptors: int = 0


class Relay:
    """Serves on listening sockets from `start` to `stop`.

    With a `bus`, terminals can also be joined with those of other relays with the same key.
    """

    def __init__(self, settings: Settings, bus: Bus | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._settings, limits = settings, settings.limits
        self.counters = Counters()
        self._buffers = Buffers()
        connections = max(1, settings.descriptors - _SPARE) if settings.descriptors else None
        self._places: Places[ClientConnection] = Places(limits, connections)
        self._handshakes = Handshakes(limits)
        self._tokens = Shares(limits.tokens, limits.tokens_address)
        self._ends = Shares(2 * limits.connections, limits.circuits_address)
        keys = ClusterKeys(settings.pair)
        self.cluster = Cluster(keys, bus, self, self.counters) if bus is not None else None
        self._waiters: WaitRegistry[ClientConnection] = (
            WaitRegistry(self.cluster.wait, self.cluster.leave) if self.cluster else WaitRegistry()
        )
        self._clients: dict[ClientConnection, None] = {}
        self._circuits: dict[Circuit | FarCircuit, tuple[ClientConnection, ...]] = {}
        self._of: dict[ClientConnection, Circuit | FarCircuit] = {}
        self._servers: Sequence[socket.socket] = ()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, servers: Sequence[socket.socket]) -> None:
        """Accept on these sockets, which the relay closes."""
        self._servers = servers
        for server in servers:
            self._loop.add_reader(server, self._accept, server)
        self._timer = self._loop.call_later(CHECK_EVERY, self._check_timers)

    def stop(self) -> None:
        """End everything. Terminals without a circuit are informed."""
        if self._timer is not None:
            self._timer.cancel()
        for server in self._servers:
            self._loop.remove_reader(server)
            server.close()
        self._servers = ()
        for client in list(self._clients):
            client.called_for = None  # no other terminal is called for its dialler
            client.finish(RelayEnding.STOPPED)
        for circuit in list(self._circuits):
            circuit.end(End.STOPPED)

    def gauges(self) -> dict[str, Gauge]:
        return {
            "connections": lambda: len(self._places),
            "unproven_connections": lambda: self._places.unproven,
            "waiting_terminals": lambda: len(self._waiters),
            "tokens": lambda: self._tokens.count,
            "circuits": lambda: len(self._circuits),
            "buffers_lent": lambda: self._buffers.lent,
            "backplane_connected": lambda: int(self.cluster is not None and self.cluster.bus.is_connected),
        }

    # --- Connections ---

    def _accept(self, server: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, address = server.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    continue  # the peer is gone
                # Other connections stay in the backlog.
                self._loop.remove_reader(server)
                self._loop.call_later(_PAUSE, self._accept_again, server)
                return
            accepted.setblocking(False)
            self._take(accepted, place_of(peer_host(address)))

    def _accept_again(self, server: socket.socket) -> None:
        if server.fileno() >= 0:
            self._loop.add_reader(server, self._accept, server)

    def _take(self, accepted: socket.socket, place: str) -> None:
        now = self._loop.time()
        self.counters.accepted += 1
        if not self._handshakes.take(place, now):
            return self._refuse(accepted, "handshakes")
        end = RelayEnd(self._settings.pair, now, self._settings.clock.wall() // 1_000)
        client = ClientConnection(self._loop, self, accepted, place, end)
        if not self._places.enter(client, place):
            return self._refuse(accepted, "connections")
        self._clients[client] = None
        return client.start()

    def _refuse(self, accepted: socket.socket, limit: str) -> None:
        self.counters.refused[limit] += 1
        reset(accepted)

    # --- Events of terminals ---

    def heard(self, client: ClientConnection, events: list[RelayEvent]) -> None:
        for event in events:
            match event:
                case Waits():
                    self._waits(client, event.tokens)
                case Dials():
                    self._dials(client, event)
                case Answers():
                    caller, client.called_for = client.called_for, None
                    if caller is not None:
                        caller.answered(client)
                case RelayEnded():
                    self._leave(client, event)

    def _waits(self, client: ClientConnection, tokens: tuple[bytes, ...]) -> None:
        if not self._prove(client):
            return self._busy(client, "connections")
        if not self._take_tokens(client.place, len(tokens) - self._waiters.named(client)):
            return self._busy(client, "tokens")
        self._waiters.wait(client, tokens)
        return client.waiting()

    def _take_tokens(self, place: str, more: int) -> bool:
        """Take tokens from the quota. If it is used up, terminals of an address with far more give way."""
        while not self._tokens.change(place, more):
            richest = self._tokens.must_give(place, more)
            if richest is None:
                return False
            self.give_way(next(each for each in self._places.newest(richest) if self._waiters.named(each)))
        return True

    def _dials(self, dialler: ClientConnection, dial: Dials) -> None:
        if not self._prove(dialler):
            return self._busy(dialler, "connections")
        dialler.dialled = (dial.token, dial.place, 0)
        return self._dial(dialler)

    def _dial(self, dialler: ClientConnection) -> None:
        """Call a waiter here or at another relay, or report that there is none."""
        assert dialler.dialled is not None
        token, place, called = dialler.dialled
        if called >= CALLS_A_DIAL:
            return self.nobody_elsewhere(dialler)
        dialler.dialled = (token, place, called + 1)
        waiter, here = self._waiters.find(token, place), self._waiters.count(token)
        if waiter is not None:
            return self.call_for(waiter, _Dialler(self, dialler), token)
        if self.cluster is None or not self.cluster.ask(dialler, token, place - here, here):
            self.nobody_elsewhere(dialler)
        return None

    def call_for(self, waiter: ClientConnection, caller: Caller, token: bytes) -> None:
        self._stop_waiting(waiter)
        waiter.call(caller, token)

    def join(self, waiter: ClientConnection, dialler: ClientConnection) -> None:
        """A terminal that was called for a dialler of this relay answered."""
        if dialler.dialled is None or dialler.state is not RelayState.DIALLING:
            return self.dismiss(waiter)  # the dialler is gone
        if not self._may_join(waiter, dialler):
            self.dismiss(waiter)
            return self._busy(dialler, "circuits")
        self._tell_joined(dialler, self._waiters.count(dialler.dialled[0]))
        ends = waiter.let_go(), dialler.let_go()
        circuit = Circuit(self._loop, ends, self._buffers, self.counters, self._circuit_ended)
        return self._begin(circuit, waiter, dialler)

    def unanswered(self, dialler: ClientConnection) -> None:
        if dialler.dialled is not None and dialler.state is RelayState.DIALLING:
            self._dial(dialler)

    def _tell_joined(self, dialler: ClientConnection, others: int) -> None:
        dialler.join(others)
        dialler.dialled = None

    def _may_join(self, *clients: ClientConnection) -> bool:
        """Take an end of a circuit from the quota of each connection, or of none."""
        for number, client in enumerate(clients):
            if not self._ends.change(client.place, 1):
                for before in clients[:number]:
                    self._ends.change(before.place, -1)
                return False
        return True

    def _begin(self, circuit: Circuit | FarCircuit, *clients: ClientConnection) -> None:
        for client in clients:
            del self._clients[client]
            self._of[client] = circuit
        self._circuits[circuit] = clients
        self.counters.joined += 1
        circuit.start()

    # --- Calls of the cluster ---

    def waiting_on(self, token: bytes) -> list[ClientConnection]:
        return self._waiters.all(token)

    def nobody_elsewhere(self, dialler: ClientConnection) -> None:
        self.counters.absent += 1
        dialler.absent()

    def join_dialler(self, dialler: ClientConnection, others: int, tunnel: RelayTunnel) -> FarCircuit | None:
        if dialler.dialled is None or dialler.state is not RelayState.DIALLING:
            return None
        if not self._may_join(dialler):
            self._busy(dialler, "circuits")
            return None
        self._tell_joined(dialler, others)
        return self._begin_far(dialler, tunnel)

    def join_waiter(self, waiter: ClientConnection, tunnel: RelayTunnel) -> FarCircuit | None:
        return self._begin_far(waiter, tunnel) if self._may_join(waiter) else None

    def _begin_far(self, client: ClientConnection, tunnel: RelayTunnel) -> FarCircuit:
        ends = client.let_go(), tunnel
        circuit = FarCircuit(self._loop, ends, self._buffers, self.counters, self._circuit_ended)
        self.counters.far += 1
        self._begin(circuit, client)
        return circuit

    # --- Ends ---

    def _leave(self, client: ClientConnection, end: RelayEnded) -> None:
        if end.error_class is not None:
            self.counters.wrong[end.error_class] += 1
            self._handshakes.fine(client.place)
        caller, client.called_for = client.called_for, None
        self.dismiss(client)
        if caller is not None:
            caller.unanswered()

    def dismiss(self, client: ClientConnection) -> None:
        """Close a connection and remove it everywhere."""
        self._stop_waiting(client)
        if self.cluster is not None:
            self.cluster.forget(client)
        self._clients.pop(client, None)
        self._places.leave(client, client.place)
        client.dialled = None
        client.close()

    def _stop_waiting(self, client: ClientConnection) -> None:
        if named := self._waiters.leave(client):
            self._tokens.change(client.place, -named)

    def _circuit_ended(self, circuit: Circuit | FarCircuit, reason: End) -> None:
        self.counters.ended[reason.value] += 1
        for client in self._circuits.pop(circuit):
            del self._of[client]
            self._ends.change(client.place, -1)
            self._places.leave(client, client.place)

    def _busy(self, client: ClientConnection, limit: str) -> None:
        self.counters.refused[limit] += 1
        client.finish(RelayEnding.BUSY)

    def give_way(self, client: ClientConnection) -> None:
        self.counters.turned_out += 1
        if circuit := self._of.get(client):
            circuit.end(End.STOPPED)
        else:
            client.finish(RelayEnding.BUSY)

    def _prove(self, client: ClientConnection) -> bool:
        """Whether a connection may stay after its handshake."""
        if self._places.is_proven(client):
            return True
        self.counters.handshakes += 1
        return self._places.prove(client)

    # --- Time ---

    def _check_timers(self) -> None:
        # Scheduled first, so that an exception below does not end all later checks.
        self._timer = self._loop.call_later(CHECK_EVERY, self._check_timers)
        now, patience = self._loop.time(), self._settings.patience
        for circuit in list(self._circuits):
            circuit.check(now, patience)
        if self.cluster is not None:
            self.cluster.check(now)
        self._check_some(list(self._clients), now)

    def _check_some(self, clients: list[ClientConnection], now: float) -> None:
        """Check connections in portions, so that no frame is delayed by all of them."""
        for client in clients[-CHECKED_AT_ONCE:]:
            client.check(now)
        del clients[-CHECKED_AT_ONCE:]
        if clients:
            self._loop.call_soon(self._check_some, clients, now)


class _Dialler(Struct, frozen=True):
    """A call for a dialler of this relay."""

    relay: Relay
    dialler: ClientConnection

    def answered(self, waiter: ClientConnection) -> None:
        self.relay.join(waiter, self.dialler)

    def unanswered(self) -> None:
        self.relay.unanswered(self.dialler)
