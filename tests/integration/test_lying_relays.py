"""Relays that lie to whole engines: nothing is lost, shown twice, called delivered or done in haste.

Rules: persons who reach nothing but one relay, which lies for three minutes and then keeps to the protocol;
what a liar does is written out, once for each lie.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from chat.interface import EntryState, RelayStanding
from chat.network.relay import client
from protocol.relay.relay_end import RelayEnd
from protocol.relay.rendezvous import DAY_SECONDS
from protocol.relay.states import Dials, RelayEnding, RelayEvent, Waits
from tests.support.engines.engines import DEFAULTS, Person, SeeingRelay, in_virtual_time, pair, people, talk
from tests.support.fakes.network import Network
from tests.support.fakes.relay import MemoryRelay, Visitor

LIES_FOR = 180.0
CONNECTIONS_A_SECOND = 1.5
"""Of each terminal: it waits on one, dials on another, and pauses grow but where a call is answered."""


class Liar(MemoryRelay):
    """Lies until it is told to stop."""

    lies = True

    def stop_lying(self) -> None:
        self.lies = False
        self.carry = lambda visitor, data: [data]
        self.clock.offset_ms = 0


class Reflecting(Liar):
    """Joins every dialler with itself, where it waits too."""

    async def call(self, dialler: Visitor) -> None:
        here = dialler.connection.peer
        own = [each for each in self.visitors if each.connection.peer == here and each is not dialler]
        self._own = next((each for each in own if self.hall.named(each)), None)
        await super().call(dialler)

    def find(self, token: bytes, place: int) -> Visitor | None:
        return self._own if self.lies else super().find(token, place)


class Mistaking(Liar):
    """Joins every dialler with whoever waits longest, but for those it asked for."""

    def find(self, token: bytes, place: int) -> Visitor | None:
        right = super().find(token, place)
        others = [each for each in self.visitors if self.hall.named(each) and each is not right]
        return next(iter(others), None) if self.lies else right


class Spoiling(Liar, ABC):
    """Does something to the bytes of every circuit."""

    chance = 0.1
    """Of each portion: most links open, and none lasts."""

    @abstractmethod
    def spoiled(self, data: bytes) -> list[bytes]:
        """What is forwarded in place of some bytes."""

    def start(self) -> MemoryRelay:
        dice = Random(1)
        self.carry = lambda visitor, data: self.spoiled(data) if dice.random() < self.chance else [data]
        return super().start()


class Flipping(Spoiling):
    """Now and then a bit is another one."""

    def spoiled(self, data: bytes) -> list[bytes]:
        return [data[:-1] + bytes([data[-1] ^ 1])]


class Dropping(Spoiling):
    """Now and then nothing comes."""

    def spoiled(self, data: bytes) -> list[bytes]:
        return []


class Repeating(Spoiling):
    """Now and then something comes twice."""

    def spoiled(self, data: bytes) -> list[bytes]:
        return [data, data]


class Babbling(Spoiling):
    """Something else comes."""

    chance = 1.0

    def spoiled(self, data: bytes) -> list[bytes]:
        return [self.random(len(data))]


class Silent(Spoiling):
    """Nothing comes, and nothing ends."""

    chance = 1.0

    def spoiled(self, data: bytes) -> list[bytes]:
        return []


class Turning(Liar):
    """Has no room, as soon as somebody wants something."""

    async def heard(self, visitor: Visitor, event: RelayEvent) -> None:
        if self.lies and isinstance(event, Waits | Dials):
            visitor.end.end(RelayEnding.BUSY)
            visitor.decided.set()
        else:
            await super().heard(visitor, event)


class Calling(Liar):
    """Calls whoever waits, at once, and says whatever comes to its mind."""

    async def heard(self, visitor: Visitor, event: RelayEvent) -> None:
        await super().heard(visitor, event)
        if self.lies and isinstance(event, Waits):
            await visitor.flush()
            visitor.end.call(event.tokens[0], asyncio.get_running_loop().time())
            await visitor.flush()
            await visitor.connection.write(self.random(200))
            visitor.connection.close()


class Stalling(Liar):
    """Answers no dial."""

    async def call(self, dialler: Visitor) -> None:
        if not self.lies:
            await super().call(dialler)


class OfAnotherDay(Liar):
    """Tells one terminal that it is tomorrow, the next one that it was yesterday, and so on."""

    def end(self, now: float) -> RelayEnd:
        if self.lies:
            self.clock.offset_ms = DAY_SECONDS * 1_000 * (1 - 2 * (self.accepted % 2))
        return super().end(now)


class OfAnotherWeek(Liar):
    """Tells everybody that it is next week."""

    def end(self, now: float) -> RelayEnd:
        if self.lies:
            self.clock.offset_ms = 7 * DAY_SECONDS * 1_000
        return super().end(now)


class AtMidnight(Liar):
    """Tells everybody that the day is over in a second."""

    def end(self, now: float) -> RelayEnd:
        if self.lies:
            self.clock.offset_ms = 0
            self.clock.offset_ms = DAY_SECONDS * 1_000 - 1_000 - self.clock.wall() % (DAY_SECONDS * 1_000)
        return super().end(now)


LIARS: list[Callable[[Network], Liar]] = [
    Reflecting, Mistaking, Flipping, Dropping, Repeating, Babbling, Silent, Turning, Calling, Stalling,
    OfAnotherDay, OfAnotherWeek, AtMidnight,
]  # fmt: skip


async def state(person: Person, other: Person, text: str) -> EntryState | None:
    return next((view.state for view in await person.history(other) if view.text == text), None)


@pytest.mark.parametrize("liar", LIARS)
@in_virtual_time
async def test_a_lie_is_no_more_than_a_cut_wire(tmp_path: Path, liar: Callable[[Network], Liar]) -> None:
    problems: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    async with people(tmp_path, "Ada", "Ben", "Cyd") as (network, (ada, ben, cyd)):
        await pair(ada, ben)
        await pair(ben, cyd)
        await talk(ada, ben, "before")
        relay = liar(network)
        relay.start()
        for one, other in ((ada, ben), (ben, cyd), (ada, cyd)):
            network.part(one.host, other.host)
        for person in (ada, ben, cyd):
            await person.engine.add_relay(str(relay.address))
        await ada.engine.send(await ada.contact(ben), "through a liar")
        await asyncio.sleep(LIES_FOR)
        assert relay.accepted <= 3 * LIES_FOR * CONNECTIONS_A_SECOND
        if await state(ada, ben, "through a liar") in (EntryState.DELIVERED, EntryState.READ):
            assert "through a liar" in await ben.texts(ada)
        relay.stop_lying()
        await asyncio.sleep(DEFAULTS.relay_dials_most)
        assert await state(ada, ben, "through a liar") is EntryState.DELIVERED
        await talk(ben, cyd, "after")
        assert await ada.texts(ben) == await ben.texts(ada) == ["before", "through a liar"]
        assert ada.shown_once(2)
        assert problems == []


@pytest.mark.parametrize("careless", [False, True])
@in_virtual_time
async def test_a_relay_of_another_week_gets_no_token_and_its_date_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, careless: bool
) -> None:
    """But from terminals that take any day, which are planted."""
    if careless:
        for module in (client, client):
            monkeypatch.setattr(module, "relay_day", lambda time, own: time // DAY_SECONDS)
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        await pair(ada, ben)
        network.part(ada.host, ben.host)
        relay = SeeingRelay(network).start()
        relay.clock.offset_ms = 7 * DAY_SECONDS * 1_000
        for person in (ada, ben):
            await person.engine.add_relay(str(relay.address))
        await asyncio.sleep(LIES_FOR)
        assert bool(relay.sight.tokens) is careless
        (view,) = await ada.engine.relays()
        assert (view.standing is RelayStanding.OTHER_DATE) is not careless
