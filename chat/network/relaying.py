"""The relays that this person named: waiting at each, and dialling through each.

Rules: nothing is said to any other; all that comes through one goes the way of every accepted connection,
with the relay in the place of the address; a relay is one more wire: what it says decides about nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chat.config import Config
from chat.interface import RelayStanding
from chat.network.calling import Caller, Tokens
from chat.network.circuit import Circuit
from chat.network.directory import Directory
from chat.network.relay_line import Reached
from chat.network.waiting import Means, Waiter
from chat.ports import Clock, Connection, Random, Transport
from chat.tasks import Tasks
from protocol.limits import RELAY_TOKENS_MAX
from protocol.relay_address import RelayAddress

Accept = Callable[[Connection, str], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class _Place:
    """What goes on at one relay."""

    waiters: list[Waiter]
    tasks: list[asyncio.Task[None]]


class Relaying:
    """Waits and dials at the named relays.

    `accept` serves a circuit whose other end has dialled, given what stands for the address. `told` hears of
    each change of a relay's standing, `waits` is called when a relay can be waited at anew.
    """

    def __init__(
        self,
        directory: Directory,
        transport: Transport,
        clock: Clock,
        random: Random,
        config: Config,
        tasks: Tasks,
    ) -> None:
        self._directory = directory
        self._means = Means(transport, clock, random, config)
        self._tasks = tasks
        self._places: dict[RelayAddress, _Place] = {}
        self._standing: dict[RelayAddress, RelayStanding] = {}
        self._borrowed: Counter[RelayAddress] = Counter()
        self._callers: dict[RelayAddress, Caller] = {}
        self._circuits: dict[RelayAddress, set[Circuit]] = {}
        self._stopped = False
        self.accept: Accept = _nobody
        self.told: Callable[[RelayAddress, RelayStanding], None] = lambda relay, standing: None
        self.waits: Callable[[], None] = lambda: None

    @property
    def named(self) -> tuple[RelayAddress, ...]:
        return tuple(self._places)

    def standing(self, relay: RelayAddress) -> RelayStanding:
        """How it stands with a relay."""
        return self._standing.get(relay, RelayStanding.CONNECTING)

    def name(self, relays: Sequence[RelayAddress]) -> None:
        """Wait at exactly these from now on; what goes through others ends."""
        for relay in [relay for relay in self._places if relay not in relays]:
            self._leave(relay)
            self._standing.pop(relay, None)
            for circuit in list(self._circuits.get(relay, ())):
                circuit.close()
        for relay in relays:
            if relay not in self._places and not self._stopped:
                self._places[relay] = _Place([], [])
                self._staff(relay)
        self._permit()

    @contextmanager
    def borrowed(self, relays: Iterable[RelayAddress]) -> Iterator[None]:
        """Dial through these too for the time of a joining: whoever joins by an invitation names them so."""
        borrowed = Counter(relays)
        self._borrowed += borrowed
        self._permit()
        try:
            yield
        finally:
            self._borrowed -= borrowed
            self._permit()

    def _permit(self) -> None:
        for relay in self._callers.keys() - self._places.keys() - self._borrowed.keys():
            self._callers.pop(relay).close()
        self._means.transport.name_relays({*self._places, *self._borrowed})

    def renew(self) -> None:
        """Contacts or invitations came or went."""
        for relay, place in self._places.items():
            self._staff(relay)
            for waiter in place.waiters:
                waiter.renew()

    def network_changed(self) -> None:
        """What stood may stand on a network that is gone: begin anew, now."""
        named = self.named
        for relay in named:
            self._leave(relay)
            self._stands(relay, RelayStanding.CONNECTING)
        self.name(named)

    def stop(self) -> None:
        """Wait nowhere any more."""
        self._stopped = True
        for relay in self.named:
            self._leave(relay)
        for caller in self._callers.values():
            caller.close()

    def _leave(self, relay: RelayAddress) -> None:
        for task in self._places.pop(relay).tasks:
            task.cancel()

    # Waiting.

    def _staff(self, relay: RelayAddress) -> None:
        """As many lines as the tokens need, 128 on each."""
        place = self._places[relay]
        needed = max(1, -(-len(self._directory.waiting_tokens(relay.key, 0)) // RELAY_TOKENS_MAX))
        while len(place.waiters) > needed:
            place.waiters.pop()
            place.tasks.pop().cancel()
        while len(place.waiters) < needed:
            waiter = self._waiter(relay, len(place.waiters))
            place.waiters.append(waiter)
            place.tasks.append(self._tasks.spawn(waiter.run()))

    def _waiter(self, relay: RelayAddress, number: int) -> Waiter:
        def tokens(day: int) -> Sequence[bytes]:
            own = self._directory.waiting_tokens(relay.key, day)[number * RELAY_TOKENS_MAX :]
            return own[:RELAY_TOKENS_MAX]

        waiter = Waiter(relay, self._means, tokens)
        waiter.brings = lambda circuit: self._bring(relay, circuit)
        if number == 0:  # the others stand as the first does
            waiter.stands = lambda standing: self._stands(relay, standing)
        self._standing.setdefault(relay, RelayStanding.CONNECTING)
        return waiter

    def _bring(self, relay: RelayAddress, circuit: Circuit) -> None:
        self._hold(relay, circuit)
        self._tasks.spawn(self.accept(circuit, str(relay)))

    def _stands(self, relay: RelayAddress, standing: RelayStanding) -> None:
        before = self.standing(relay)
        self._standing[relay] = standing
        if standing is not before:
            self.told(relay, standing)
            if standing is RelayStanding.WAITING:
                self.waits()

    # Dialling.

    async def dial(self, relay: RelayAddress, tokens: Tokens, place: int = 0) -> Reached | None:
        """Dial who waits at a place on the first of a day's tokens on which anybody does; None: nobody."""
        if relay not in self._places and relay not in self._borrowed:
            return None
        caller = self._callers.setdefault(relay, Caller(relay, self._means))
        reached = await caller.dial(tokens, place)
        if reached is not None:
            self._hold(relay, reached.circuit)
        return reached

    def _hold(self, relay: RelayAddress, circuit: Circuit) -> None:
        held = self._circuits.setdefault(relay, set())
        held.add(circuit)
        circuit.closed = lambda: held.discard(circuit)


async def _nobody(connection: Connection, through: str) -> None:
    """Nothing is accepted before the engine listens."""
    connection.close()
