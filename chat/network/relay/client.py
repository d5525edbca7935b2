"""The relays that this person named: waiting at each, and dialling through each.

Rules: nothing is said to any other; all that comes through one goes the way of every accepted connection,
with the relay in the place of the address; a relay is one more wire: what it says decides about nothing.

How it stands with a relay after a line to it has ended (SPEC §11.7.4).

Who may call at a relay how often: a token that is called for too often is not waited on for a while.

Rules: counts and times only. A token stands for one contact or one invitation, so that whoever calls all
the time keeps itself away, and nobody else.

Waiting at one relay: a line with this terminal's tokens of the day, kept up, and the circuits it brings.

Rules: a line that ends is begun anew, after pauses that grow while it does not last; a relay, or a contact,
that calls and calls is answered at a bounded pace; a new day has a line of its own.

Dialling at one relay: lines on which contacts are asked for, one after the other.

Rules: where nobody is there, the line serves for whoever is asked for next, for a moment; a relay that does
not answer holds up few at once, and nobody but those who dial there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from chat.config import Config
from chat.interface import RelayStanding
from chat.network.backoff import Pauses
from chat.network.limits import Bucket
from chat.network.links import Directory
from chat.network.relay.connection import Called, Circuit, Lost, Reached, RelayLine
from chat.ports import Clock, Connection, Random, Transport
from chat.tasks import Tasks
from protocol.limits import HANDSHAKE_SECONDS, RELAY_DIALS_MAX, RELAY_TOKEN_BYTES, RELAY_TOKENS_MAX
from protocol.relay.rendezvous import OtherDay, RelayAddress, day_ends_in, relay_day
from protocol.relay.states import RelayEnding, RelayState

_SAID: Final[Mapping[RelayEnding, RelayStanding]] = {
    RelayEnding.BUSY: RelayStanding.REFUSED,
    RelayEnding.NOT_A_RELAY: RelayStanding.NO_RELAY,
    RelayEnding.VERSION: RelayStanding.OTHER_VERSION,
    RelayEnding.REFUSED: RelayStanding.OTHER_VERSION,
}


def standing_after(lost: Lost) -> RelayStanding:
    """What the end of a line says.

    A relay hangs up without a word on whoever calls it by a key that is not its own, after its greeting; one
    that has no room hangs up before.
    """
    if lost.reason in _SAID:
        return _SAID[lost.reason]
    if lost.before is RelayState.HANDSHAKE and lost.reason in (RelayEnding.CUT, RelayEnding.ERROR):
        return RelayStanding.OTHER_KEY
    if lost.before is RelayState.GREETING and lost.reason is RelayEnding.CUT:
        return RelayStanding.REFUSED
    if lost.reason is RelayEnding.ERROR:
        return RelayStanding.NO_RELAY
    return RelayStanding.UNREACHABLE


AT_ONCE: Final = 4.0
A_SECOND: Final = 0.1
"""Calls of one token: an honest contact calls once a link, and again where that one broke."""
RESTS: Final = 30.0
"""Seconds for which a token that was called for more often is not waited on."""
_SEEN_MAX: Final = 256


class TokenLimiter:
    """The calls of each token of late."""

    def __init__(self) -> None:
        self._calls: dict[bytes, Bucket] = {}
        self._rest: dict[bytes, float] = {}

    def called(self, token: bytes, now: float) -> bool:
        """It was called for; whether that was once too often, so that it rests for RESTS seconds."""
        bucket = self._calls.pop(token, None) or Bucket(A_SECOND, AT_ONCE, AT_ONCE, now)
        self._calls[token] = bucket
        if len(self._calls) > _SEEN_MAX:
            del self._calls[next(iter(self._calls))]
        if bucket.take(now):
            return False
        self._rest[token] = now + RESTS
        return True

    def heard(self, tokens: Sequence[bytes], now: float) -> list[bytes]:
        """Those of these tokens that do not rest."""
        self._rest = {token: until for token, until in self._rest.items() if until > now}
        return [token for token in tokens if token not in self._rest]


CALLS_A_SECOND: Final = 1.0
CALLS_AT_ONCE: Final = 32.0
"""How often a relay may call: an honest contact calls once a link, and many may come back at once."""

LASTS: Final = 10.0
"""Seconds that a line has to last to count as a success."""

AFTER_MIDNIGHT: Final = 10.0
"""Seconds over which the lines of a new day are spread: else a relay's terminals would all come at once."""

TOKEN_COUNTS: Final = (8, 16, 32, 64, RELAY_TOKENS_MAX)
"""How many tokens are named: the next of these that is enough."""


@dataclass(frozen=True, slots=True)
class Means:
    """What waiting takes from outside."""

    transport: Transport
    clock: Clock
    random: Random
    config: Config


class RelayListener:
    """One line at a relay. Calls `stands` with each change of its standing, `brings` with each circuit.

    `tokens`: those of a day, 128 at most.
    """

    def __init__(self, relay: RelayAddress, means: Means, tokens: Callable[[int], Sequence[bytes]]) -> None:
        self.relay = relay
        self.stands: Callable[[RelayStanding], None] = lambda standing: None
        self.brings: Callable[[Circuit], None] = lambda circuit: None
        self._means = means
        self._tokens = tokens
        self._line: RelayLine | None = None
        self._day = 0
        self._said: list[bytes] = []
        self._filling: list[bytes] = []
        config, now = means.config, means.clock.monotonic()
        self._pauses = Pauses(config.relay_retry_least, config.relay_retry_most)
        self._calls = Bucket(CALLS_A_SECOND, CALLS_AT_ONCE, CALLS_AT_ONCE, now)
        self._callers = TokenLimiter()

    async def run(self) -> None:
        """Wait until it is cancelled."""
        while True:
            began = self._means.clock.monotonic()
            try:
                await self._wait()
            except OSError:
                self.stands(RelayStanding.UNREACHABLE)
            except Lost as lost:
                self.stands(standing_after(lost))
            except OtherDay:
                self.stands(RelayStanding.OTHER_DATE)
            else:
                continue
            if self._means.clock.monotonic() - began >= LASTS:
                self._pauses.reset()
            self._pauses.failed()
            await asyncio.sleep(self._pauses.delay(self._fraction()))

    def renew(self) -> None:
        """The tokens may be others now."""
        if self._line is not None and (tokens := self._filled()) != self._said:
            self._said = tokens
            self._line.wait(tokens)

    def _filled(self) -> list[bytes]:
        """The day's tokens, filled up with random ones so that how many there are does not show."""
        tokens = self._callers.heard(self._tokens(self._day), self._means.clock.monotonic())
        wanted = next(size for size in TOKEN_COUNTS if size >= len(tokens))
        return [*tokens, *self._filling[: wanted - len(tokens)]]

    async def _wait(self) -> None:
        """One line, until it brings a circuit or its day is over. Raises OSError, Lost, OtherDay."""
        means = self._means
        self._line = line = await RelayLine.open(means.transport, self.relay, means.clock, means.random)
        try:
            self._day = relay_day(line.time, means.clock.wall() // 1_000)
            left = day_ends_in(line.time) + 1.0 + AFTER_MIDNIGHT * self._fraction()
            self._filling = [means.random(RELAY_TOKEN_BYTES) for _ in range(RELAY_TOKENS_MAX // 2)]
            self._said = self._filled()
            line.wait(self._said)
            called = await self._called(line, left)
        except BaseException:
            line.close()
            raise
        finally:
            self._line = None
        if called is None:
            line.close()
        else:
            await self._bring(called)

    async def _called(self, line: RelayLine, left: float) -> Called | None:
        """Who calls within so many seconds, or None."""
        try:
            async with asyncio.timeout(left):
                while (called := await line.called()) is None:
                    self.stands(RelayStanding.WAITING)
                return called
        except TimeoutError:
            return None

    async def _bring(self, called: Called) -> None:
        self.brings(called.circuit)
        if self._callers.called(called.token, self._means.clock.monotonic()):
            asyncio.get_running_loop().call_later(RESTS + 1.0, self.renew)
        while not self._calls.take(self._means.clock.monotonic()):  # noqa: ASYNC110  # a bucket sets no event
            await asyncio.sleep(1.0 / CALLS_A_SECOND)

    def _fraction(self) -> float:
        return self._means.random(1)[0] / 255


LINES_AT_ONCE: Final = 4
"""Lines to one relay on which somebody is being dialled."""
IDLE_FOR: Final = HANDSHAKE_SECONDS / 2
"""Seconds that a line waits for the next dial: well below those that a relay allows."""

Tokens = Callable[[int], Sequence[bytes]]
"""A day's tokens on which somebody may wait, most likely first."""


class RelayDialer:
    """Dials at one relay."""

    def __init__(self, relay: RelayAddress, means: Means) -> None:
        self._relay = relay
        self._means = means
        self._free = asyncio.Semaphore(LINES_AT_ONCE)
        self._idle: list[RelayLine] = []

    async def dial(self, tokens: Tokens, place: int = 0) -> Reached | None:
        """Dial who waits at a place on the first token on which anybody does.

        None where nobody does, and where the relay cannot be reached or is not what it should be.
        """
        async with self._free:
            try:
                return await self._dial(tokens, place)
            except (OSError, Lost, OtherDay):
                return None

    async def _dial(self, tokens: Tokens, place: int) -> Reached | None:
        if self._idle:
            try:
                return await self._on(self._idle.pop(), tokens, place)
            except Lost:
                pass  # the relay has let go of it meanwhile
        means = self._means
        line = await RelayLine.open(means.transport, self._relay, means.clock, means.random)
        return await self._on(line, tokens, place)

    async def _on(self, line: RelayLine, tokens: Tokens, place: int) -> Reached | None:
        reached, kept = None, False
        try:
            for token in tokens(relay_day(line.time, self._means.clock.wall() // 1_000)):
                if (reached := await line.dial(token, place)) is not None:
                    return reached
            kept = line.dials <= RELAY_DIALS_MAX // 2
        finally:
            if kept:
                self._keep(line)
            elif reached is None:
                line.close()
        return None

    def _keep(self, line: RelayLine) -> None:
        self._idle.append(line)
        asyncio.get_running_loop().call_later(IDLE_FOR, self._let_go, line)

    def _let_go(self, line: RelayLine) -> None:
        if line in self._idle:
            self._idle.remove(line)
            line.close()

    def close(self) -> None:
        """Let go of the lines on which nobody is dialled."""
        while self._idle:
            self._idle.pop().close()


Accept = Callable[[Connection, str], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class _Place:
    """What goes on at one relay."""

    waiters: list[RelayListener]
    tasks: list[asyncio.Task[None]]


class RelayClient:
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
        self._callers: dict[RelayAddress, RelayDialer] = {}
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

    def _waiter(self, relay: RelayAddress, number: int) -> RelayListener:
        def tokens(day: int) -> Sequence[bytes]:
            own = self._directory.waiting_tokens(relay.key, day)[number * RELAY_TOKENS_MAX :]
            return own[:RELAY_TOKENS_MAX]

        waiter = RelayListener(relay, self._means, tokens)
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
        caller = self._callers.setdefault(relay, RelayDialer(relay, self._means))
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
