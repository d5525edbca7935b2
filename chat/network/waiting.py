"""Waiting at one relay: a line with this terminal's tokens of the day, kept up, and the circuits it brings.

Rules: a line that ends is begun anew, after pauses that grow while it does not last; a relay, or a contact,
that calls and calls is answered at a bounded pace; a new day has a line of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from chat.config import Config
from chat.interface import RelayStanding
from chat.network.admission import Bucket
from chat.network.callers import RESTS, Callers
from chat.network.circuit import Circuit
from chat.network.pace import Pauses
from chat.network.relay_line import Called, Lost, RelayLine
from chat.network.standing import standing_after
from chat.ports import Clock, Random, Transport
from protocol.limits import RELAY_TOKEN_BYTES, RELAY_TOKENS_MAX
from protocol.relay_address import RelayAddress
from protocol.relay_tokens import OtherDay, day_ends_in, relay_day

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


class Waiter:
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
        self._callers = Callers()

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
