"""A relay that does what it likes: a lie is no more than a cut wire, and what it costs is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import combinations
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chat.interface import EntryAdded, EntryChanged, EntryState, PairingChanged, RelayStanding
from chat.network.driver import Driver, Opening
from chat.network.links import RELAYED_MOST
from chat.network.relay import client
from chat.network.relay.client import A_SECOND
from chat.network.relay.connection import RelayLine
from chat.tasks import Beat
from protocol.keys import X25519Pair
from protocol.link.framing import Pattern
from protocol.link.handshake import Initiator
from protocol.link.link import Link
from protocol.link.states import Event, LinkOpen
from protocol.relay.relay_end import RelayEnd
from protocol.relay.rendezvous import DAY_SECONDS
from protocol.relay.states import Dials, RelayEnding, RelayEvent, Waits
from tests.integration.steps import in_touch, in_touch_by_relay, join, now, say
from tests.support.engines.engines import (
    DEFAULTS,
    Person,
    SeeingRelay,
    apart,
    delivered,
    in_virtual_time,
    invite,
    links,
    moved,
    named,
    pair,
    people,
    same,
    stands,
    talk,
)
from tests.support.fakes.network import MemoryTransport, Network
from tests.support.fakes.relay import MemoryRelay, Visitor
from tests.support.lab.virtual import seeded


def believes_only_what_is_so(one: Person, other: Person) -> list[str]:
    """Entries of `one` that were called delivered before `other` had them; filled as it happens."""
    lies: list[str] = []

    def look(event: object) -> None:
        if isinstance(event, EntryChanged) and event.state in (EntryState.DELIVERED, EntryState.READ):
            shown = {seen.entry.id for seen in other.seen if isinstance(seen, EntryAdded)}
            lies.extend([event.id] if event.id not in shown else [])

    one.watch(look)
    return lies


@pytest.mark.parametrize("waiter", [False, True])
@pytest.mark.parametrize("portions", range(9))
@in_virtual_time
async def test_attack_58_a_relay_that_cuts_at_every_frame(
    tmp_path: Path, portions: int, waiter: bool
) -> None:
    """Of what the one that dialled sends, or of what the one that waited does."""
    async with apart(tmp_path) as (_, relay, ada, ben):
        lies = believes_only_what_is_so(ada, ben)
        await asyncio.gather(ada.stop(), ben.stop())
        cuts: list[float] = []

        def cut(visitor: Visitor, data: bytes) -> list[bytes]:
            if visitor.carried > portions and (visitor.dialled is None) is waiter and len(cuts) < 4:
                cuts.append(now())
                raise ConnectionResetError("cut by the relay")
            return [data]

        relay.carry = cut
        for person in (ada, ben):
            await person.start()
        await say(ada, ben, "one")
        await say(ben, ada, "two")
        done = delivered(ada, 1)
        await say(ada, ben, "three")
        await done
        await asyncio.sleep(120)
        await talk(ben, ada, "four")
        await same(ada, ben, "paired", "one", "two", "three", "four")
        assert lies == []
        assert cuts


@in_virtual_time
async def test_attack_58_a_relay_that_cuts_every_circuit_at_once_is_asked_less_and_less(
    tmp_path: Path,
) -> None:
    async with in_touch_by_relay(tmp_path) as (network, relay, ada, ben):

        def cut(visitor: Visitor, data: bytes) -> list[bytes]:
            if visitor.carried > 4:
                raise ConnectionResetError("cut by the relay")
            return [data]

        relay.carry = cut
        for visitor in list(relay.visitors):
            visitor.connection.close()
        await asyncio.sleep(60)
        before = relay.accepted
        await asyncio.sleep(600)
        assert relay.accepted - before < 60
        direct = moved(ada, relayed=False)
        network.join(ada.host, ben.host)
        await asyncio.wait_for(direct, 35)  # a liar keeps nobody from the direct way
        await talk(ada, ben, "after")


# --- What a relay can do to a rendezvous ---


@pytest.mark.parametrize("says_that_it_is_there", [False, True])
@in_virtual_time
async def test_attack_61_of_an_absent_contact_a_relay_is_given_nothing(
    tmp_path: Path, says_that_it_is_there: bool
) -> None:
    """A relay that says that the contact is there joins the dialler with itself."""
    async with in_touch_by_relay(tmp_path) as (network, relay, ada, ben):
        await ben.stop()
        await asyncio.sleep(20)
        if says_that_it_is_there:
            relay.find = lambda token, place: next(iter(relay.hall._tokens), None)  # type: ignore[method-assign]
        forwarded, seen = relay.forwarded, len(network.seen)
        view = await say(ada, ben, "kept at home")
        await asyncio.sleep(900)
        if says_that_it_is_there:
            assert (ada.host, ada.host) in relay.met
        else:
            assert relay.absent > 3
            assert relay.forwarded == forwarded
        assert max(len(data) for here, _, data in network.seen[seen:] if here == ada.host) < 2_500
        changes = [event for event in ada.seen if isinstance(event, EntryChanged) and event.id == view.id]
        assert {event.state for event in changes} <= {EntryState.QUEUED}
        assert links(ada) == 0
        done = delivered(ada, 1)
        vars(relay).pop("find", None)
        await ben.start()
        assert (await done).id == view.id


@in_virtual_time
async def test_a_relay_that_joins_the_wrong_people_makes_no_link(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (network, (ada, ben, cleo)):
        relay = MemoryRelay(network).start()
        for one, other in combinations((ada, ben, cleo), 2):
            network.part(one.host, other.host)
        for person in (ada, ben, cleo):
            await named(person, relay)
        await invite(ada, ben)
        await invite(ada, cleo)
        await talk(ada, ben, "for Ben")
        await talk(cleo, ada, "from Cleo")
        wrong = {ada.host: cleo.host, ben.host: cleo.host, cleo.host: ben.host}

        def find(token: bytes, place: int) -> Visitor | None:
            right = relay.hall.find(token, place)
            host = wrong[right.connection.peer] if right is not None else ""
            return next((one for one in relay.hall._tokens if one.connection.peer == host), None)

        relay.find = find  # type: ignore[method-assign]
        joined = len(relay.met)
        for visitor in list(relay.visitors):
            visitor.connection.close()
        await say(ada, ben, "for Ben alone")
        await asyncio.sleep(120)
        assert len(relay.met) > joined + 10
        assert [links(person) for person in (ada, ben, cleo)] == [0, 0, 0]
        assert [view.name for view in await cleo.engine.contacts()] == ["Ada"]
        assert await cleo.texts(ada) == ["from Cleo"]
        assert await ben.texts(ada) == ["for Ben"]
        done = delivered(ada, 1)
        del relay.find
        await done
        assert await ben.texts(ada) == ["for Ben", "for Ben alone"]


@in_virtual_time
async def test_a_relay_that_calls_and_calls_costs_a_bounded_number_of_handshakes(tmp_path: Path) -> None:
    async with in_touch_by_relay(tmp_path) as (network, relay, ada, ben):
        served = 0
        accept = ada.engine._use_cases.acceptor.accept

        async def counting(*connection: Any) -> None:
            nonlocal served
            served += 1
            await accept(*connection)

        ada.engine._use_cases.relay_client._accept = counting
        flood = relay.waiting

        def call_at_once(visitor: Visitor) -> None:
            flood(visitor)
            if visitor.connection.peer == ada.host:
                visitor.end.call(bytes(16), now())

        relay.waiting = call_at_once  # type: ignore[method-assign]
        for visitor in list(relay.hall._tokens):
            visitor.connection.close()
        began = now()
        await asyncio.sleep(200)
        assert 100 < served <= client.CALLS_AT_ONCE + client.CALLS_A_SECOND * (now() - began) + 1
        await talk(ada, ben, "the link goes on")
        network.join(ada.host, ben.host)
        await talk(ben, ada, "and so does the direct way")


@asynccontextmanager
async def squatted(network: Network, relay: MemoryRelay, waits: Person) -> AsyncIterator[list[object]]:
    """Two others wait on the token of a person's, and say nothing on the circuits that they get."""
    transport = MemoryTransport(network, "10.0.0.66")
    transport.name_relays([relay.address])
    day = int(relay.clock.wall() // 86_400_000)
    token = waits.engine._use_cases.keyring.waiting_tokens(relay.address.key, day)[0]
    circuits = list[object]()

    async def squat() -> None:
        while True:
            line = await RelayLine.open(transport, relay.address, waits.clock, seeded("squatter"))
            line.wait([token])
            while (circuit := await line.called()) is None:
                pass
            circuits.append(circuit)

    tasks = [asyncio.ensure_future(squat()) for _ in range(2)]
    await relay.until(lambda: relay.hall.count(token) == 3)  # and the person, the oldest
    yield circuits
    for task in tasks:
        task.cancel()


@in_virtual_time
async def test_a_squatter_on_a_token_delays_a_link_by_a_moment(tmp_path: Path) -> None:
    """A peer that holds the contact secret, as a stolen terminal does, can be in front of the right one."""
    async with in_touch_by_relay(tmp_path) as (network, relay, ada, ben):
        await ada.stop()
        async with squatted(network, relay, ben) as circuits:
            began = now()
            await ada.start()
            await talk(ada, ben, "past them")
            assert now() - began < 3.0
            assert len(circuits) >= 2


@in_virtual_time
async def test_who_waits_on_the_token_of_an_invitation_keeps_nobody_from_the_inviter(tmp_path: Path) -> None:
    """Anybody who saw the invitation can."""
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        relay = MemoryRelay(network).start()
        network.part(ada.host, ben.host)
        await named(ada, relay)
        text = (await ada.engine.invite()).text
        async with squatted(network, relay, ada) as circuits:
            await join(ada, ben, text)
            await talk(ben, ada, "past them")
            assert circuits


# --- What somebody can do who is rightly called through one ---


class Idle:
    """A handler that takes what comes and does nothing."""

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        return None


async def link_through(one: Person, other: Person, relay: MemoryRelay, start: Initiator) -> Driver:
    """A link of somebody who keeps to no rule but the protocol's, as far as it opens."""

    async def adopt(driver: Driver, opened: LinkOpen) -> Idle:
        return Idle()

    parts = one.engine._use_cases
    keyring = parts.keyring
    reached = await parts.relay_client.dial(
        relay.address, lambda day: keyring.dial_tokens(other.peer, relay.address.key, day)
    )
    assert reached is not None
    opening = Opening(adopt)
    driver = Driver(reached.circuit, Link(start, one.clock.monotonic()), one.clock, Beat(), opening)
    parts.runtime.tasks.spawn(driver.run())
    assert isinstance(await opening.result, LinkOpen)
    return driver


@in_virtual_time
async def test_nobody_pairs_nearby_through_a_relay(tmp_path: Path) -> None:
    async with in_touch_by_relay(tmp_path) as (_, relay, ada, ben):
        await ada.engine.set_visible(True)
        before = len(ada.seen)
        start = Initiator.pairing(Pattern.XX, random=seeded("nearby"))
        driver = await link_through(ben, ada, relay, start)
        await asyncio.sleep(10)
        assert not driver.link.is_open
        assert not [event for event in ada.seen[before:] if isinstance(event, PairingChanged)]
        assert (await ada.engine.me()).visible  # the one attempt that people nearby have is left


@in_virtual_time
async def test_a_contact_that_opens_link_upon_link_through_a_relay_gets_eight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.network.links.TWICE_AFTER", inf)  # else they end, as of two programs
    async with in_touch_by_relay(tmp_path) as (_, relay, ada, ben):
        keyring = ben.engine._use_cases.keyring
        psks, own, peer = keyring.dial_psks(ada.peer), keyring.identity, ada.peer
        for number in range(RELAYED_MOST + 4):
            start = Initiator.contact(
                own.static, peer.static, own.person, peer.person, tuple(psks), random=seeded(number)
            )
            await link_through(ben, ada, relay, start)
            await asyncio.sleep(1.0 / A_SECOND + 1.0)  # as often as a token may be called for
            assert links(ada) <= RELAYED_MOST
        assert links(ada) == RELAYED_MOST
        await talk(ben, ada, "in touch all the same")


# --- What is no relay, or not the one ---


@in_virtual_time
async def test_a_relay_with_another_key_is_told_and_given_no_token(tmp_path: Path) -> None:
    async with in_touch_by_relay(tmp_path) as (_, relay, ada, ben):
        right = relay.pair
        other = stands(ada, relay, RelayStanding.OTHER_KEY)
        relay.stop()
        relay.pair = X25519Pair(bytes(range(1, 33)))
        relay.start()
        await other
        await asyncio.sleep(60)
        assert len(relay.hall) == 0
        address = relay.address
        relay.pair = right
        assert relay.address != address
        await stands(ada, relay, RelayStanding.WAITING)
        await talk(ada, ben, "after")


@pytest.mark.parametrize(
    "says", [b"", b"HTTP/1.0 400 Bad Request\r\n\r\n", b"PARLOUR\x00" + bytes(20), bytes(5_000)]
)
@in_virtual_time
async def test_what_is_no_relay_is_told_and_asked_seldom(tmp_path: Path, says: bytes) -> None:
    async with people(tmp_path, "Ada") as (network, (ada,)):
        relay = MemoryRelay(network)
        asked = 0

        async def answer(connection: object) -> None:
            nonlocal asked
            asked += 1
            if says:
                await connection.write(says)  # type: ignore[attr-defined]
            await connection.read()  # type: ignore[attr-defined]

        network.listeners[(relay.host, relay.port)] = answer
        expected = RelayStanding.NO_RELAY if says else RelayStanding.UNREACHABLE
        told = stands(ada, relay, expected)
        await ada.engine.add_relay(str(relay.address))
        await told
        await asyncio.sleep(600)
        assert 10 < asked < 60


LIES_FOR = 180.0
DAY_MS = DAY_SECONDS * 1_000
CONNECTIONS_A_SECOND = 1.5
"""Of each terminal: it waits on one, dials on another, and pauses grow but where a call is answered."""


class Liar(MemoryRelay):
    """Lies until `stop_lying` is called."""

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
    """Joins every dialler with the terminal that has waited longest, except the one it asked for."""

    def find(self, token: bytes, place: int) -> Visitor | None:
        right = super().find(token, place)
        others = [each for each in self.visitors if self.hall.named(each) and each is not right]
        return next(iter(others), None) if self.lies else right


Spoil = Callable[[Visitor, bytes], list[bytes]]


def reorder(visitor: Visitor, data: bytes) -> list[bytes]:
    held, visitor.held = visitor.held, b"" if visitor.held else data
    return [data, held] if held else []


SPOILS: dict[str, Spoil] = {
    "flip": lambda _, data: [data[:-1] + bytes([data[-1] ^ 1])],
    "drop": lambda _, data: [],
    "repeat": lambda _, data: [data, data],
    "reverse": lambda _, data: [data[::-1]],
    "reorder": reorder,
    "flood": lambda _, data: [data, bytes(range(256)) * 256],
    "replace": lambda visitor, data: [Random(visitor.carried).randbytes(len(data))],
}


def spoiling(name: str, chance: float = 0.1) -> Callable[[Network], Liar]:
    """A relay that spoils portions of every circuit: by default most links open, and none lasts."""

    def made(network: Network) -> Liar:
        relay, dice = Liar(network), Random(1)
        relay.carry = lambda visitor, data: SPOILS[name](visitor, data) if dice.random() < chance else [data]
        return relay

    made.__name__ = f"{name}-{chance}"
    return made


class Turning(Liar):
    """Has no room, as soon as somebody wants something."""

    async def heard(self, visitor: Visitor, event: RelayEvent) -> None:
        if self.lies and isinstance(event, Waits | Dials):
            visitor.end.end(RelayEnding.BUSY)
            visitor.decided.set()
        else:
            await super().heard(visitor, event)


class Calling(Liar):
    """Calls every terminal that waits, at once, and then sends random bytes."""

    async def heard(self, visitor: Visitor, event: RelayEvent) -> None:
        await super().heard(visitor, event)
        if self.lies and isinstance(event, Waits):
            await visitor.flush()
            visitor.end.call(event.tokens[0], now())
            await visitor.flush()
            await visitor.connection.write(self.random(200))
            visitor.connection.close()


class Stalling(Liar):
    """Answers no dial."""

    async def call(self, dialler: Visitor) -> None:
        if not self.lies:
            await super().call(dialler)


def dated(name: str, offset_ms: Callable[[Liar], int]) -> type[Liar]:
    """A relay that tells a wrong time, which it makes up for each connection."""

    class Dated(Liar):
        def end(self, now: float) -> RelayEnd:
            if self.lies:
                self.clock.offset_ms = 0
                self.clock.offset_ms = offset_ms(self)
            return super().end(now)

    Dated.__name__ = name
    return Dated


LIARS: list[Callable[[Network], Liar]] = [
    *map(spoiling, ("flip", "drop", "repeat", "reverse", "reorder", "flood")),
    spoiling("replace", 1.0), spoiling("drop", 1.0),
    Reflecting, Mistaking, Turning, Calling, Stalling,
    dated("TomorrowAndYesterday", lambda relay: DAY_MS * (1 - 2 * (relay.accepted % 2))),
    dated("OfAnotherWeek", lambda relay: 7 * DAY_MS),
    dated("AtMidnight", lambda relay: DAY_MS - 1_000 - relay.clock.wall() % DAY_MS),
]  # fmt: skip


@pytest.mark.parametrize("liar", LIARS, ids=lambda liar: liar.__name__)
@in_virtual_time
async def test_attack_58_a_lie_is_no_more_than_a_cut_wire(
    tmp_path: Path, liar: Callable[[Network], Liar]
) -> None:
    problems: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    async with people(tmp_path, "Ada", "Ben", "Cyd") as (network, (ada, ben, cyd)):
        await pair(ada, ben)
        await pair(ben, cyd)
        await talk(ada, ben, "before")
        relay = liar(network)
        relay.start()
        for one, other in combinations((ada, ben, cyd), 2):
            network.part(one.host, other.host)
        for person in (ada, ben, cyd):
            await person.engine.add_relay(str(relay.address))
        lies = believes_only_what_is_so(ada, ben), believes_only_what_is_so(ben, ada)
        await say(ada, ben, "through a liar")
        await say(ben, ada, "and back")
        await asyncio.sleep(LIES_FOR)
        assert relay.accepted <= 3 * LIES_FOR * CONNECTIONS_A_SECOND
        relay.stop_lying()
        await asyncio.sleep(DEFAULTS.relay_dials_most)
        states = {view.text: view.state for view in await ada.history(ben)}
        assert states["through a liar"] is EntryState.DELIVERED
        assert lies == ([], [])
        await talk(ben, cyd, "after")
        assert await ada.texts(ben) == await ben.texts(ada)
        assert sorted(await ada.texts(ben)) == ["and back", "before", "through a liar"]
        assert (ada.shown_once(3), ben.shown_once(4)) == (True, True)
        assert problems == []


@pytest.mark.parametrize("careless", [False, True])
@in_virtual_time
async def test_a_relay_of_another_week_gets_no_token_and_its_date_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, careless: bool
) -> None:
    """But from terminals that take any day, which are planted."""
    if careless:
        monkeypatch.setattr(client, "relay_day", lambda time, own: time // DAY_SECONDS)
    async with in_touch(tmp_path) as (network, ada, ben):
        network.part(ada.host, ben.host)
        relay = SeeingRelay(network).start()
        relay.clock.offset_ms = 7 * DAY_MS
        for person in (ada, ben):
            await person.engine.add_relay(str(relay.address))
        await asyncio.sleep(LIES_FOR)
        assert bool(relay.sight.tokens) is careless
        (view,) = await ada.engine.relays()
        assert (view.standing is RelayStanding.OTHER_DATE) is not careless
