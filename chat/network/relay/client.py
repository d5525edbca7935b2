"""Waits at the relays that the user named, and dials through them (SPEC §11.7).

A relay is one more wire: what comes through it is treated like every accepted connection.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final
from weakref import WeakSet

from msgspec import Struct

from chat.interface import RelayStanding
from chat.network.backoff import Pauses
from chat.network.limits import Bucket
from chat.network.links import Directory
from chat.network.relay.connection import Called, Circuit, Lost, Reached, RelayLine
from chat.ports import Connection, Transport
from chat.tasks import Runtime
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
    """A relay's standing after a line to it has ended (SPEC §11.7.4)."""
    # After its greeting, a relay cuts a terminal that uses another relay's key; one without room cuts before.
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
"""Rate of calls per token. A contact can exceed it; an honest one calls once per link."""
RESTS: Final = 30.0
"""Seconds without waiting on a token that was called more often."""
_SEEN_MAX: Final = 256


class TokenLimiter:
    """Limits the calls per token: one contact or invitation that calls too often keeps only itself away."""

    def __init__(self) -> None:
        self._calls: dict[bytes, Bucket] = {}
        self._rest: dict[bytes, float] = {}

    def called(self, token: bytes, now: float) -> bool:
        """Count a call; whether it was too many, so that the token rests for RESTS seconds."""
        bucket = self._calls.pop(token, None) or Bucket(A_SECOND, AT_ONCE, AT_ONCE, now)
        self._calls[token] = bucket
        if len(self._calls) > _SEEN_MAX:
            del self._calls[next(iter(self._calls))]
        if bucket.take(now):
            return False
        self._rest[token] = now + RESTS
        return True

    def allowed(self, tokens: Sequence[bytes], now: float) -> list[bytes]:
        self._rest = {token: until for token, until in self._rest.items() if until > now}
        return [token for token in tokens if token not in self._rest]


CALLS_A_SECOND: Final = 1.0
CALLS_AT_ONCE: Final = 32.0
"""Rate of calls per relay, which can exceed it. Honest contacts call once per link, and many may return at
once."""

LASTS: Final = 10.0
"""Seconds that a line must last to count as a success."""

AFTER_MIDNIGHT: Final = 10.0
"""Seconds over which the lines of a new day are spread, so that terminals do not all come at once."""

TOKEN_COUNTS: Final = (8, 16, 32, 64, RELAY_TOKENS_MAX)
"""The number of tokens named is the next of these, filled up with random ones, so that it does not show."""


class RelayListener:
    """Keeps one line at a relay, with a new one per day, after pauses that grow while lines do not last.

    `tokens`: those of a day, 128 at most. `stands` gets each standing, `brings` each circuit.
    """

    def __init__(
        self,
        runtime: Runtime,
        transport: Transport,
        relay: RelayAddress,
        tokens: Callable[[int], Sequence[bytes]],
        stands: Callable[[RelayStanding], None],
        brings: Callable[[Circuit], None],
    ) -> None:
        self._clock, self._random = runtime.clock, runtime.random
        self._transport, self._relay, self._tokens = transport, relay, tokens
        self._stands, self._brings = stands, brings
        self._line: RelayLine | None = None
        self._day = 0
        self._said: list[bytes] = []
        self._filling: list[bytes] = []
        config, now = runtime.config, runtime.clock.monotonic()
        self._pauses = Pauses(config.relay_retry_least, config.relay_retry_most)
        self._calls = Bucket(CALLS_A_SECOND, CALLS_AT_ONCE, CALLS_AT_ONCE, now)
        self._limiter = TokenLimiter()

    async def run(self) -> None:
        while True:
            began = self._clock.monotonic()
            try:
                await self._wait()
            except OSError:
                self._stands(RelayStanding.UNREACHABLE)
            except Lost as lost:
                self._stands(standing_after(lost))
            except OtherDay:
                self._stands(RelayStanding.OTHER_DATE)
            else:
                continue
            if self._clock.monotonic() - began >= LASTS:
                self._pauses.reset()
            self._pauses.failed()
            await asyncio.sleep(self._pauses.delay(self._fraction()))

    def renew(self) -> None:
        if self._line is not None and (tokens := self._filled()) != self._said:
            self._said = tokens
            self._line.wait(tokens)

    def _filled(self) -> list[bytes]:
        tokens = self._limiter.allowed(self._tokens(self._day), self._clock.monotonic())
        wanted = next(size for size in TOKEN_COUNTS if size >= len(tokens))
        return [*tokens, *self._filling[: wanted - len(tokens)]]

    async def _wait(self) -> None:
        """Keep one line until it brings a circuit or its day is over. Raises OSError, Lost, OtherDay."""
        line = await RelayLine.open(self._transport, self._relay, self._clock, self._random)
        self._line, called = line, None
        try:
            self._day = relay_day(line.time, self._clock.wall() // 1_000)
            left = day_ends_in(line.time) + 1.0 + AFTER_MIDNIGHT * self._fraction()
            self._filling = [self._random(RELAY_TOKEN_BYTES) for _ in range(RELAY_TOKENS_MAX // 2)]
            self._said = self._filled()
            line.wait(self._said)
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    while (called := await line.called()) is None:
                        self._stands(RelayStanding.WAITING)
        except BaseException:
            line.close()
            raise
        finally:
            self._line = None
        if called is None:
            line.close()
        else:
            await self._bring(called)

    async def _bring(self, called: Called) -> None:
        self._brings(called.circuit)
        if self._limiter.called(called.token, self._clock.monotonic()):
            asyncio.get_running_loop().call_later(RESTS + 1.0, self.renew)
        while not self._calls.take(self._clock.monotonic()):  # noqa: ASYNC110  # a bucket sets no event
            await asyncio.sleep(1.0 / CALLS_A_SECOND)

    def _fraction(self) -> float:
        return self._random(1)[0] / 255


LINES_AT_ONCE: Final = 4
"""Lines per relay that dial at the same time: a relay that does not answer delays only dials through it."""
IDLE_FOR: Final = HANDSHAKE_SECONDS / 2
"""Seconds that an idle line is kept for the next dial, well below a relay's limit."""

Tokens = Callable[[int], Sequence[bytes]]
"""A day's tokens to dial, most likely first."""


class RelayDialer:
    """Dials at one relay. A line that found no terminal is kept for a moment for the next dial."""

    def __init__(self, runtime: Runtime, transport: Transport, relay: RelayAddress) -> None:
        self._clock, self._random = runtime.clock, runtime.random
        self._transport = transport
        self._relay = relay
        self._free = asyncio.Semaphore(LINES_AT_ONCE)
        self._idle: list[RelayLine] = []

    async def dial(self, tokens: Tokens, place: int = 0) -> Reached | None:
        """Dial the terminal at a place on the first token on which any terminal waits.

        None if there is none, or the relay cannot be reached or is not what it should be.
        """
        async with self._free:
            with suppress(OSError, Lost, OtherDay):
                if self._idle:
                    with suppress(Lost):  # the relay may have closed it meanwhile
                        return await self._on(self._idle.pop(), tokens, place)
                line = await RelayLine.open(self._transport, self._relay, self._clock, self._random)
                return await self._on(line, tokens, place)
        return None

    async def _on(self, line: RelayLine, tokens: Tokens, place: int) -> Reached | None:
        reached, kept = None, False
        try:
            for token in tokens(relay_day(line.time, self._clock.wall() // 1_000)):
                if (reached := await line.dial(token, place)) is not None:
                    return reached
            kept = line.dials <= RELAY_DIALS_MAX // 2
        finally:
            if kept:
                self._idle.append(line)
                asyncio.get_running_loop().call_later(IDLE_FOR, self._let_go, line)
            elif reached is None:
                line.close()
        return None

    def _let_go(self, line: RelayLine) -> None:
        if line in self._idle:
            self._idle.remove(line)
            line.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


AcceptCircuit = Callable[[Connection, str], Coroutine[Any, Any, None]]


class RelayStands(Struct, frozen=True):
    """A relay's standing changed."""

    relay: RelayAddress
    standing: RelayStanding


class _Listening(Struct, frozen=True):
    """The listeners at one relay, 128 tokens each, and their tasks."""

    listeners: list[RelayListener]
    tasks: list[asyncio.Task[None]]


class RelayClient:
    """Waits and dials at the named relays, and speaks to no other.

    `accept` serves a circuit from a terminal that dialled, with the relay as address. `signal` publishes
    RelayStands.
    """

    def __init__(
        self,
        runtime: Runtime,
        directory: Directory,
        transport: Transport,
        accept: AcceptCircuit,
        signal: Callable[[RelayStands], None],
    ) -> None:
        self._runtime, self._directory, self._transport = runtime, directory, transport
        self._accept, self._signal = accept, signal
        self._listening: dict[RelayAddress, _Listening] = {}
        self._standing: dict[RelayAddress, RelayStanding] = {}
        self._borrowed: Counter[RelayAddress] = Counter()
        self._dialers: dict[RelayAddress, RelayDialer] = {}
        self._circuits: dict[RelayAddress, WeakSet[Circuit]] = {}
        self._stopped = False

    @property
    def named(self) -> tuple[RelayAddress, ...]:
        return tuple(self._listening)

    def standing(self, relay: RelayAddress) -> RelayStanding:
        return self._standing.get(relay, RelayStanding.CONNECTING)

    def name(self, relays: Sequence[RelayAddress]) -> None:
        """Wait at exactly these from now on; circuits through others are closed."""
        for relay in [relay for relay in self._listening if relay not in relays]:
            self._leave(relay)
            self._standing.pop(relay, None)
            for circuit in list(self._circuits.get(relay, ())):
                circuit.close()
        for relay in relays:
            if relay not in self._listening and not self._stopped:
                self._listening[relay] = _Listening([], [])
                self._listen(relay)
        self._permit()

    @contextmanager
    def borrowed(self, relays: Iterable[RelayAddress]) -> Iterator[None]:
        """Allow dials through these too while the user joins with an invitation that has them."""
        borrowed = Counter(relays)
        self._borrowed += borrowed
        self._permit()
        try:
            yield
        finally:
            self._borrowed -= borrowed
            self._permit()

    def _permit(self) -> None:
        for relay in self._dialers.keys() - self._listening.keys() - self._borrowed.keys():
            self._dialers.pop(relay).close()
        self._transport.name_relays({*self._listening, *self._borrowed})

    def renew(self) -> None:
        """Wait on the tokens of now: contacts or invitations were added or removed."""
        for relay, listening in self._listening.items():
            self._listen(relay)
            for listener in listening.listeners:
                listener.renew()

    def network_changed(self) -> None:
        """Connect again at once: the lines may be on a network that is gone."""
        named = self.named
        for relay in named:
            self._leave(relay)
            self._set_standing(relay, RelayStanding.CONNECTING)
        self.name(named)

    def stop(self) -> None:
        self._stopped = True
        for relay in self.named:
            self._leave(relay)
        for dialer in self._dialers.values():
            dialer.close()

    def _leave(self, relay: RelayAddress) -> None:
        for task in self._listening.pop(relay).tasks:
            task.cancel()

    def _listen(self, relay: RelayAddress) -> None:
        listening = self._listening[relay]
        needed = max(1, -(-len(self._directory.waiting_tokens(relay.key, 0)) // RELAY_TOKENS_MAX))
        while len(listening.listeners) > needed:
            listening.listeners.pop()
            listening.tasks.pop().cancel()
        while len(listening.listeners) < needed:
            listener = self._listener(relay, len(listening.listeners))
            listening.listeners.append(listener)
            listening.tasks.append(self._runtime.tasks.spawn(listener.run()))

    def _listener(self, relay: RelayAddress, number: int) -> RelayListener:
        def tokens(day: int) -> Sequence[bytes]:
            own = self._directory.waiting_tokens(relay.key, day)[number * RELAY_TOKENS_MAX :]
            return own[:RELAY_TOKENS_MAX]

        def stands(standing: RelayStanding) -> None:
            if number == 0:  # the others stand as the first does
                self._set_standing(relay, standing)

        def brings(circuit: Circuit) -> None:
            self._hold(relay, circuit)
            self._runtime.tasks.spawn(self._accept(circuit, str(relay)))

        self._standing.setdefault(relay, RelayStanding.CONNECTING)
        return RelayListener(self._runtime, self._transport, relay, tokens, stands, brings)

    def _set_standing(self, relay: RelayAddress, standing: RelayStanding) -> None:
        before = self.standing(relay)
        self._standing[relay] = standing
        if standing is not before:
            self._signal(RelayStands(relay, standing))

    async def dial(self, relay: RelayAddress, tokens: Tokens, place: int = 0) -> Reached | None:
        """Dial the terminal at a place on the first of a day's tokens with any; None if there is none."""
        if relay not in self._listening and relay not in self._borrowed:
            return None
        dialer = self._dialers.setdefault(relay, RelayDialer(self._runtime, self._transport, relay))
        reached = await dialer.dial(tokens, place)
        if reached is not None:
            self._hold(relay, reached.circuit)
        return reached

    def _hold(self, relay: RelayAddress, circuit: Circuit) -> None:
        """Remember an open circuit, to close it when the relay is removed."""
        self._circuits.setdefault(relay, WeakSet()).add(circuit)
