"""Dialling at one relay: lines on which contacts are asked for, one after the other.

Rules: where nobody is there, the line serves for whoever is asked for next, for a moment; a relay that does
not answer holds up few at once, and nobody but those who dial there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from chat.network.relay_line import Lost, Reached, RelayLine
from chat.network.waiting import Means
from protocol.limits import HANDSHAKE_SECONDS, RELAY_DIALS_MAX
from protocol.relay_address import RelayAddress
from protocol.relay_tokens import OtherDay, relay_day

LINES_AT_ONCE: Final = 4
"""Lines to one relay on which somebody is being dialled."""
IDLE_FOR: Final = HANDSHAKE_SECONDS / 2
"""Seconds that a line waits for the next dial: well below those that a relay allows."""

Tokens = Callable[[int], Sequence[bytes]]
"""A day's tokens on which somebody may wait, most likely first."""


class Caller:
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
