"""Many terminals at a relay that wait, dial, answer or not, and leave, in an order that a seed decides."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

import pytest

from chat.relay.quotas import Limits
from protocol.limits import RELAY_ANSWER_SECONDS
from protocol.relay.states import RelayEnded, WasAbsent, WasCalled, WasJoined
from tests.support.relay.in_process import Guest, House, house, token

GUESTS = 60
MANY = 1e6


class Crowd:
    def __init__(self, made: House, dice: Random) -> None:
        self.made, self.dice = made, dice
        self.tokens = [token() for _ in range(6)]
        self.met: list[bytes] = []
        self.absent = 0
        self.patience = 40
        self.waiters: list[asyncio.Task[None]] = []
        self.diallers: list[asyncio.Task[None]] = []

    async def waiter(self) -> None:
        own = self.dice.sample(self.tokens, self.dice.randint(1, 4))
        mute = self.dice.random() < 0.2
        guest = await self.made.waiter(*own)
        if self.dice.random() < 0.3:
            other = self.dice.sample(self.tokens, 2)
            await guest.wait(*other)  # and until that has arrived it may be called for the first
            own = [*own, *other]
        self.waiters.append(asyncio.ensure_future(self._called(guest, own, mute)))

    async def _called(self, guest: Guest, own: list[bytes], mute: bool) -> None:
        await guest.hear()
        while not isinstance(guest._events[0], WasCalled | RelayEnded):
            guest._events.pop(0)
            await guest.hear()
        if mute or isinstance(guest._events[0], RelayEnded):
            return guest.close()  # without its answer, where it is called
        await guest.expect(WasCalled)
        wanted = await guest.exactly(16)
        assert wanted in own or not wanted
        await guest.say(wanted)
        return guest.close()

    async def dialler(self) -> None:
        guest = await self.made.welcomed()
        self.diallers.append(asyncio.ensure_future(self._dialled(guest, self.dice.randint(1, 6))))

    async def _dialled(self, guest: Guest, times: int) -> None:
        for _ in range(times):
            wanted = self.dice.choice(self.tokens)
            await guest.dial(wanted, self.dice.choice((0, 0, 0, 1, 7)))
            if self.dice.random() < 0.1:
                return guest.close()
            await guest.hear()
            event = guest._events.pop(0)
            if isinstance(event, WasJoined):
                await guest.say(wanted)
                assert await guest.exactly(16) in (wanted, b"")
                self.met.append(wanted)
                return guest.close()
            if isinstance(event, RelayEnded):
                return guest.close()
            assert isinstance(event, WasAbsent)
            self.absent += 1
        return guest.close()

    async def end(self) -> None:
        while not all(dialler.done() for dialler in self.diallers) and self.patience:
            self.patience -= 1
            await self.made.later(RELAY_ANSWER_SECONDS + 0.5)
        for dialler in self.diallers:
            await asyncio.wait_for(dialler, 20)
        for guest in self.made._guests:
            with contextlib.suppress(OSError):
                guest.socket.shutdown(2)
        for waiter in self.waiters:
            await asyncio.wait_for(waiter, 20)


@pytest.mark.parametrize("seed", range(4))
async def test_a_terminal_that_is_joined_asked_for_the_other(seed: int) -> None:
    dice = Random(seed)
    async with house(Limits(handshakes=MANY, handshakes_address=MANY)) as made:
        crowd = Crowd(made, dice)
        for _ in range(GUESTS):
            await (crowd.waiter() if dice.random() < 0.5 else crowd.dialler())
            if dice.random() < 0.1:
                await made.later(dice.choice((0.5, 3.5)))
        await crowd.end()
        assert len(crowd.met) > 5
        assert crowd.absent > 5
