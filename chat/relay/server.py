"""The relay: accepts terminals, joins those that ask for each other, and forgets the rest.

Rules: one thread, no task a connection; whatever a terminal does ends at worst its own connection. What is
scarce is counted before it is given (quotas.py), and time is looked at for all together, twice a second.

Who waits on which token: the one table that a relay has, in memory and as long as people wait.

Rules: a token is a number that means nothing here; the newest on a token comes first, the ninth drives the
oldest out; nothing is kept of a token once nobody waits on it.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from chat.network.connection import peer_host
from chat.ports import Clock
from chat.relay.circuit import Buffers, Circuit, End, Patience
from chat.relay.cluster import Cluster
from chat.relay.cluster.circuit import FarCircuit, RelayTunnel
from chat.relay.cluster.nats import Bus
from chat.relay.connection import Caller, ClientConnection, reset
from chat.relay.metrics import Counters, Gauge
from chat.relay.quotas import Handshakes, Limits, Places, Shares, place_of
from protocol.keys import X25519Pair
from protocol.limits import RELAY_WAITERS_MAX
from protocol.relay.cluster import ClusterKeys
from protocol.relay.relay_end import RelayEnd
from protocol.relay.states import Answers, Dials, RelayEnded, RelayEnding, RelayEvent, RelayState, Waits

W = TypeVar("W")


def _ignored(token: bytes) -> None:
    """Nobody wants to know."""


class WaitRegistry(Generic[W]):
    """Those who wait, each on tokens of its own choice."""

    def __init__(
        self, gained: Callable[[bytes], None] = _ignored, lost: Callable[[bytes], None] = _ignored
    ) -> None:
        """`gained` is told each token on which nobody waited before, `lost` each on which nobody does now."""
        self._gained, self._lost = gained, lost
        # Most tokens have one who waits, which needs no list: at 128 tokens a third of what a terminal costs.
        self._on: dict[bytes, W | tuple[W, ...]] = {}
        self._tokens: dict[W, tuple[bytes, ...]] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._tokens)

    def wait(self, who: W, tokens: Iterable[bytes]) -> None:
        """From now on it waits on these tokens, and on no others."""
        kept, before = tuple(tokens), self._tokens.get(who, ())
        for token in set(before).difference(kept):
            self._drop(who, token)
        for token in kept:
            self._add(who, token)
        self._tokens[who] = kept

    def leave(self, who: W) -> int:
        """It waits no more; returns how many tokens it named."""
        tokens = self._tokens.pop(who, ())
        for token in tokens:
            self._drop(who, token)
        return len(tokens)

    def find(self, token: bytes, place: int) -> W | None:
        """Who waits on a token: the newest at place 0, the one before it at 1; None if nobody does there."""
        waiting = self._waiting(token)
        return waiting[-1 - place] if place < len(waiting) else None

    def all(self, token: bytes) -> list[W]:
        """Who waits on a token, the newest first."""
        return list(self._waiting(token))[::-1]

    def count(self, token: bytes) -> int:
        """How many wait on a token."""
        return len(self._waiting(token))

    def named(self, who: W) -> int:
        """How many tokens it named."""
        return len(self._tokens.get(who, ()))

    def _waiting(self, token: bytes) -> tuple[W, ...]:
        """Who waits there, the newest last."""
        held = self._on.get(token)
        if held is None:
            return ()
        return held if isinstance(held, tuple) else (held,)

    def _add(self, who: W, token: bytes) -> None:
        waiting = self._waiting(token)
        if not waiting:
            self._gained(token)
        if who not in waiting:
            self._keep(token, (*waiting, who)[-RELAY_WAITERS_MAX:])

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


LOOK_EVERY: Final = 0.5
"""Seconds between two looks at what has lasted too long."""
LOOKED_AT_ONCE: Final = 1_000
"""Terminals that wait, looked at before everybody else gets a turn again: half a millisecond."""
ACCEPTED_AT_ONCE: Final = 64
"""Connections taken in before everybody else gets a turn again."""
CALLS_A_DIAL: Final = 2
"""Terminals called for one dial, each of which has 3 seconds to answer: a dialler waits for ten."""
_PAUSE: Final = 0.5  # seconds without accepting when the system has no descriptors or memory left
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a relay is made with. `descriptors` is how many the system lets it open, 0 for no bound."""

    pair: X25519Pair
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    descriptors: int = 0


class Relay:
    """Serves on listening sockets from `start` to `stop`.

    With a `bus` it serves with other relays of the same key, whose terminals its own can be joined with.
    """

    def __init__(self, settings: Settings, bus: Bus | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._settings, limits = settings, settings.limits
        self.counters = Counters()
        self._buffers = Buffers()
        self._places: Places[ClientConnection] = Places(limits, _room(settings.descriptors))
        self._handshakes = Handshakes(limits)
        self._tokens = Shares(limits.tokens, limits.tokens_address)
        self._ends = Shares(2 * limits.connections, limits.circuits_address)
        keys = ClusterKeys(settings.pair)
        self.cluster = Cluster(keys, bus, self, self.counters) if bus is not None else None
        self._hall: WaitRegistry[ClientConnection] = (
            WaitRegistry(self.cluster.wait, self.cluster.leave)
            if self.cluster is not None
            else WaitRegistry()
        )
        self._visitors: dict[ClientConnection, None] = {}
        self._circuits: dict[Circuit | FarCircuit, tuple[ClientConnection, ...]] = {}
        self._of: dict[ClientConnection, Circuit | FarCircuit] = {}
        self._servers: Sequence[socket.socket] = ()
        self._look: asyncio.TimerHandle | None = None

    def start(self, servers: Sequence[socket.socket]) -> None:
        """Accept on these sockets, which are the relay's to close."""
        self._servers = servers
        for server in servers:
            self._loop.add_reader(server, self._accept, server)
        self._look = self._loop.call_later(LOOK_EVERY, self._look_around)

    def stop(self) -> None:
        """End everything; terminals that are no circuit's are told."""
        if self._look is not None:
            self._look.cancel()
        for server in self._servers:
            self._loop.remove_reader(server)
            server.close()
        self._servers = ()
        for visitor in list(self._visitors):
            visitor.called_for = None  # nobody else is called for its dialler
            visitor.finish(RelayEnding.STOPPED)
        for circuit in list(self._circuits):
            circuit.end(End.STOPPED)

    def gauges(self) -> dict[str, Gauge]:
        """What there is at the moment: numbers by name."""
        return {
            "connections": lambda: len(self._places),
            "unproven_connections": lambda: self._places.unproven,
            "waiting_terminals": lambda: len(self._hall),
            "tokens": lambda: self._tokens.count,
            "circuits": lambda: len(self._circuits),
            "buffers_lent": lambda: self._buffers.lent,
            "backplane_connected": lambda: int(self.cluster is not None and self.cluster.bus.is_connected),
        }

    # --- Coming in ---

    def _accept(self, server: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, address = server.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    continue  # it has gone while it waited
                # Whoever waits stays in the backlog.
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
        visitor = ClientConnection(self._loop, self, accepted, place, end)
        if not self._places.enter(visitor, place):
            return self._refuse(accepted, "connections")
        self._visitors[visitor] = None
        visitor.start()
        return None

    def _refuse(self, accepted: socket.socket, limit: str) -> None:
        self.counters.refused[limit] += 1
        reset(accepted)

    # --- What terminals say ---

    def heard(self, visitor: ClientConnection, events: list[RelayEvent]) -> None:
        for event in events:
            match event:
                case Waits():
                    self._waits(visitor, event.tokens)
                case Dials():
                    self._dials(visitor, event)
                case Answers():
                    self._answered(visitor)
                case RelayEnded():
                    self._leave(visitor, event)

    def _waits(self, visitor: ClientConnection, tokens: tuple[bytes, ...]) -> None:
        if not self._prove(visitor):
            return self._busy(visitor, "connections")
        if not self._take_tokens(visitor.place, len(tokens) - self._hall.named(visitor)):
            return self._busy(visitor, "tokens")
        self._hall.wait(visitor, tokens)
        visitor.waiting()
        return None

    def _take_tokens(self, place: str, more: int) -> bool:
        """Room for so many; where all are taken, terminals of an address that has far more give way."""
        while not self._tokens.change(place, more):
            richest = self._tokens.must_give(place, more)
            if richest is None:
                return False
            self.give_way(next(each for each in self._places.newest(richest) if self._hall.named(each)))
        return True

    def _dials(self, dialler: ClientConnection, dial: Dials) -> None:
        if not self._prove(dialler):
            return self._busy(dialler, "connections")
        dialler.dialled = (dial.token, dial.place, 0)
        self._dial(dialler)
        return None

    def _dial(self, dialler: ClientConnection) -> None:
        """Call whoever waits there, here or at another relay, or say that nobody does."""
        assert dialler.dialled is not None
        token, place, called = dialler.dialled
        if called >= CALLS_A_DIAL:
            return self.nobody_elsewhere(dialler)
        dialler.dialled = (token, place, called + 1)
        waiter, here = self._hall.find(token, place), self._hall.count(token)
        if waiter is not None:
            return self.call_for(waiter, _Dialler(self, dialler), token)
        if self.cluster is None or not self.cluster.ask(dialler, token, place - here, here):
            self.nobody_elsewhere(dialler)
        return None

    def call_for(self, waiter: ClientConnection, caller: Caller, token: bytes) -> None:
        self._stop_waiting(waiter)
        waiter.call(caller, token)

    def join(self, waiter: ClientConnection, dialler: ClientConnection) -> None:
        """Whoever was called for a dialler of this relay has answered."""
        if dialler.dialled is None or dialler.state is not RelayState.DIALLING:
            return self.dismiss(waiter)  # the dialler has gone meanwhile
        if not self._may_join(waiter, dialler):
            self.dismiss(waiter)
            return self._busy(dialler, "circuits")
        self._tell_joined(dialler, self._hall.count(dialler.dialled[0]))
        ends = waiter.let_go(), dialler.let_go()
        circuit = Circuit(self._loop, ends, self._buffers, self.counters, self._circuit_ended)
        return self._begin(circuit, waiter, dialler)

    def dismiss(self, waiter: ClientConnection) -> None:
        self._forget(waiter)

    def unanswered(self, dialler: ClientConnection) -> None:
        """Whoever was called for a dialler of this relay did not answer: another may."""
        if dialler.dialled is not None and dialler.state is RelayState.DIALLING:
            self._dial(dialler)

    def _tell_joined(self, dialler: ClientConnection, others: int) -> None:
        dialler.join(others)
        dialler.dialled = None

    def _may_join(self, *visitors: ClientConnection) -> bool:
        """Count an end of a circuit for each, or for none of them."""
        for number, visitor in enumerate(visitors):
            if not self._ends.change(visitor.place, 1):
                for before in visitors[:number]:
                    self._ends.change(before.place, -1)
                return False
        return True

    def _begin(self, circuit: Circuit | FarCircuit, *visitors: ClientConnection) -> None:
        for visitor in visitors:
            del self._visitors[visitor]
            self._of[visitor] = circuit
        self._circuits[circuit] = visitors
        self.counters.joined += 1
        circuit.start()

    # --- Of other relays, told by the cluster ---

    def waiting_on(self, token: bytes) -> list[ClientConnection]:
        return self._hall.all(token)

    def nobody_elsewhere(self, dialler: ClientConnection) -> None:
        self.counters.absent += 1
        dialler.absent()

    def unanswered_elsewhere(self, dialler: ClientConnection) -> None:
        self.unanswered(dialler)

    def join_dialler(self, dialler: ClientConnection, others: int, passage: RelayTunnel) -> FarCircuit | None:
        if dialler.dialled is None or dialler.state is not RelayState.DIALLING:
            return None
        if not self._may_join(dialler):
            self._busy(dialler, "circuits")
            return None
        self._tell_joined(dialler, others)
        return self._begin_far(dialler, passage)

    def join_waiter(self, waiter: ClientConnection, passage: RelayTunnel) -> FarCircuit | None:
        return self._begin_far(waiter, passage) if self._may_join(waiter) else None

    def _begin_far(self, visitor: ClientConnection, passage: RelayTunnel) -> FarCircuit:
        ends = visitor.let_go(), passage
        circuit = FarCircuit(self._loop, ends, self._buffers, self.counters, self._circuit_ended)
        self.counters.far += 1
        self._begin(circuit, visitor)
        return circuit

    # --- Going ---

    def _answered(self, waiter: ClientConnection) -> None:
        caller, waiter.called_for = waiter.called_for, None
        if caller is not None:
            caller.answered(waiter)

    def _leave(self, visitor: ClientConnection, end: RelayEnded) -> None:
        """Its rendezvous is over without a circuit."""
        if end.error_class is not None:
            self.counters.wrong[end.error_class] += 1
            self._handshakes.fine(visitor.place)
        caller, visitor.called_for = visitor.called_for, None
        self._forget(visitor)
        if caller is not None:
            caller.unanswered()

    def _forget(self, visitor: ClientConnection) -> None:
        """Close its connection; nothing is left of it."""
        self._stop_waiting(visitor)
        if self.cluster is not None:
            self.cluster.forget(visitor)
        self._visitors.pop(visitor, None)
        self._places.leave(visitor, visitor.place)
        visitor.dialled = None
        visitor.close()

    def _stop_waiting(self, visitor: ClientConnection) -> None:
        if named := self._hall.leave(visitor):
            self._tokens.change(visitor.place, -named)

    def _circuit_ended(self, circuit: Circuit | FarCircuit, reason: End) -> None:
        self.counters.ended[reason.value] += 1
        for visitor in self._circuits.pop(circuit):
            del self._of[visitor]
            self._ends.change(visitor.place, -1)
            self._places.leave(visitor, visitor.place)

    def _busy(self, visitor: ClientConnection, limit: str) -> None:
        self.counters.refused[limit] += 1
        visitor.finish(RelayEnding.BUSY)

    def give_way(self, visitor: ClientConnection) -> None:
        self.counters.turned_out += 1
        if circuit := self._of.get(visitor):
            circuit.end(End.STOPPED)
        else:
            visitor.finish(RelayEnding.BUSY)

    def _prove(self, visitor: ClientConnection) -> bool:
        """Whether it may stay, now that it has shaken hands."""
        if self._places.is_proven(visitor):
            return True
        self.counters.handshakes += 1
        return self._places.prove(visitor)

    # --- Time ---

    def _look_around(self) -> None:
        # First, so that a fault below ends one look, and not all.
        self._look = self._loop.call_later(LOOK_EVERY, self._look_around)
        now, patience = self._loop.time(), self._settings.patience
        for circuit in list(self._circuits):
            circuit.check(now, patience)
        if self.cluster is not None:
            self.cluster.check(now)
        self._look_at(list(self._visitors), now)

    def _look_at(self, visitors: list[ClientConnection], now: float) -> None:
        """A part of a crowd that waits, so that nobody's frame waits for the whole of it."""
        for visitor in visitors[-LOOKED_AT_ONCE:]:
            visitor.check(now)
        del visitors[-LOOKED_AT_ONCE:]
        if visitors:
            self._loop.call_soon(self._look_at, visitors, now)


class _Dialler:
    """A dialler of this relay, for whom a terminal of this relay is called."""

    __slots__ = ("_dialler", "_relay")

    def __init__(self, relay: Relay, dialler: ClientConnection) -> None:
        self._relay, self._dialler = relay, dialler

    def answered(self, waiter: ClientConnection) -> None:
        self._relay.join(waiter, self._dialler)

    def unanswered(self) -> None:
        self._relay.unanswered(self._dialler)


_SPARE: Final = 64
"""Descriptors that are no terminal's: listening, metrics, the loop's own."""


def _room(descriptors: int) -> int | None:
    """How many connections the system lets in; None where it sets no bound."""
    return max(1, descriptors - _SPARE) if descriptors else None
