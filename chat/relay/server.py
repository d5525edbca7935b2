"""The relay: accepts terminals, joins those that ask for each other, and forgets the rest.

Rules: one thread, no task a connection; whatever a terminal does ends at worst its own connection. What is
scarce is counted before it is given (quotas.py), and time is looked at for all together, twice a second.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from chat.network.connection import peer_host
from chat.ports import Clock
from chat.relay.backplane import Bus
from chat.relay.buffers import Buffers
from chat.relay.circuit import Circuit, End, Patience
from chat.relay.cluster import Cluster
from chat.relay.counters import Counters, Gauge
from chat.relay.far_circuit import FarCircuit
from chat.relay.hall import Hall
from chat.relay.passage import Passage
from chat.relay.quotas import Handshakes, Limits, Places, Shares, place_of
from chat.relay.visitor import Caller, Visitor, reset
from protocol.keys import X25519Pair
from protocol.relay import RelayEnd
from protocol.relay_cluster import ClusterKeys
from protocol.relay_states import Answers, Dials, RelayEnded, RelayEnding, RelayEvent, RelayState, Waits

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
        self._places: Places[Visitor] = Places(limits, _room(settings.descriptors))
        self._handshakes = Handshakes(limits)
        self._tokens = Shares(limits.tokens, limits.tokens_address)
        self._ends = Shares(2 * limits.connections, limits.circuits_address)
        keys = ClusterKeys(settings.pair)
        self.cluster = Cluster(keys, bus, self, self.counters) if bus is not None else None
        self._hall: Hall[Visitor] = (
            Hall(self.cluster.wait, self.cluster.leave) if self.cluster is not None else Hall()
        )
        self._visitors: dict[Visitor, None] = {}
        self._circuits: dict[Circuit | FarCircuit, tuple[Visitor, ...]] = {}
        self._of: dict[Visitor, Circuit | FarCircuit] = {}
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
        visitor = Visitor(self._loop, self, accepted, place, end)
        if not self._places.enter(visitor, place):
            return self._refuse(accepted, "connections")
        self._visitors[visitor] = None
        visitor.start()
        return None

    def _refuse(self, accepted: socket.socket, limit: str) -> None:
        self.counters.refused[limit] += 1
        reset(accepted)

    # --- What terminals say ---

    def heard(self, visitor: Visitor, events: list[RelayEvent]) -> None:
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

    def _waits(self, visitor: Visitor, tokens: tuple[bytes, ...]) -> None:
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

    def _dials(self, dialler: Visitor, dial: Dials) -> None:
        if not self._prove(dialler):
            return self._busy(dialler, "connections")
        dialler.dialled = (dial.token, dial.place, 0)
        self._dial(dialler)
        return None

    def _dial(self, dialler: Visitor) -> None:
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

    def call_for(self, waiter: Visitor, caller: Caller, token: bytes) -> None:
        self._stop_waiting(waiter)
        waiter.call(caller, token)

    def join(self, waiter: Visitor, dialler: Visitor) -> None:
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

    def dismiss(self, waiter: Visitor) -> None:
        self._forget(waiter)

    def unanswered(self, dialler: Visitor) -> None:
        """Whoever was called for a dialler of this relay did not answer: another may."""
        if dialler.dialled is not None and dialler.state is RelayState.DIALLING:
            self._dial(dialler)

    def _tell_joined(self, dialler: Visitor, others: int) -> None:
        dialler.join(others)
        dialler.dialled = None

    def _may_join(self, *visitors: Visitor) -> bool:
        """Count an end of a circuit for each, or for none of them."""
        for number, visitor in enumerate(visitors):
            if not self._ends.change(visitor.place, 1):
                for before in visitors[:number]:
                    self._ends.change(before.place, -1)
                return False
        return True

    def _begin(self, circuit: Circuit | FarCircuit, *visitors: Visitor) -> None:
        for visitor in visitors:
            del self._visitors[visitor]
            self._of[visitor] = circuit
        self._circuits[circuit] = visitors
        self.counters.joined += 1
        circuit.start()

    # --- Of other relays, told by the cluster ---

    def waiting_on(self, token: bytes) -> list[Visitor]:
        return self._hall.all(token)

    def nobody_elsewhere(self, dialler: Visitor) -> None:
        self.counters.absent += 1
        dialler.absent()

    def unanswered_elsewhere(self, dialler: Visitor) -> None:
        self.unanswered(dialler)

    def join_dialler(self, dialler: Visitor, others: int, passage: Passage) -> FarCircuit | None:
        if dialler.dialled is None or dialler.state is not RelayState.DIALLING:
            return None
        if not self._may_join(dialler):
            self._busy(dialler, "circuits")
            return None
        self._tell_joined(dialler, others)
        return self._begin_far(dialler, passage)

    def join_waiter(self, waiter: Visitor, passage: Passage) -> FarCircuit | None:
        return self._begin_far(waiter, passage) if self._may_join(waiter) else None

    def _begin_far(self, visitor: Visitor, passage: Passage) -> FarCircuit:
        ends = visitor.let_go(), passage
        circuit = FarCircuit(self._loop, ends, self._buffers, self.counters, self._circuit_ended)
        self.counters.far += 1
        self._begin(circuit, visitor)
        return circuit

    # --- Going ---

    def _answered(self, waiter: Visitor) -> None:
        caller, waiter.called_for = waiter.called_for, None
        if caller is not None:
            caller.answered(waiter)

    def _leave(self, visitor: Visitor, end: RelayEnded) -> None:
        """Its rendezvous is over without a circuit."""
        if end.error_class is not None:
            self.counters.wrong[end.error_class] += 1
            self._handshakes.fine(visitor.place)
        caller, visitor.called_for = visitor.called_for, None
        self._forget(visitor)
        if caller is not None:
            caller.unanswered()

    def _forget(self, visitor: Visitor) -> None:
        """Close its connection; nothing is left of it."""
        self._stop_waiting(visitor)
        if self.cluster is not None:
            self.cluster.forget(visitor)
        self._visitors.pop(visitor, None)
        self._places.leave(visitor, visitor.place)
        visitor.dialled = None
        visitor.close()

    def _stop_waiting(self, visitor: Visitor) -> None:
        if named := self._hall.leave(visitor):
            self._tokens.change(visitor.place, -named)

    def _circuit_ended(self, circuit: Circuit | FarCircuit, reason: End) -> None:
        self.counters.ended[reason.value] += 1
        for visitor in self._circuits.pop(circuit):
            del self._of[visitor]
            self._ends.change(visitor.place, -1)
            self._places.leave(visitor, visitor.place)

    def _busy(self, visitor: Visitor, limit: str) -> None:
        self.counters.refused[limit] += 1
        visitor.finish(RelayEnding.BUSY)

    def give_way(self, visitor: Visitor) -> None:
        self.counters.turned_out += 1
        if circuit := self._of.get(visitor):
            circuit.end(End.STOPPED)
        else:
            visitor.finish(RelayEnding.BUSY)

    def _prove(self, visitor: Visitor) -> bool:
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

    def _look_at(self, visitors: list[Visitor], now: float) -> None:
        """A part of a crowd that waits, so that nobody's frame waits for the whole of it."""
        for visitor in visitors[-LOOKED_AT_ONCE:]:
            visitor.check(now)
        del visitors[-LOOKED_AT_ONCE:]
        if visitors:
            self._loop.call_soon(self._look_at, visitors, now)


class _Dialler:
    """A dialler of this relay, for whom a terminal of this relay is called."""

    __slots__ = ("_dialler", "_relay")

    def __init__(self, relay: Relay, dialler: Visitor) -> None:
        self._relay, self._dialler = relay, dialler

    def answered(self, waiter: Visitor) -> None:
        self._relay.join(waiter, self._dialler)

    def unanswered(self) -> None:
        self._relay.unanswered(self._dialler)


_SPARE: Final = 64
"""Descriptors that are no terminal's: listening, metrics, the loop's own."""


def _room(descriptors: int) -> int | None:
    """How many connections the system lets in; None where it sets no bound."""
    return max(1, descriptors - _SPARE) if descriptors else None
