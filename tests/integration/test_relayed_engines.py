"""Engines that reach only relays: they talk through them, and directly as soon as there is a way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chat.config import Config
from chat.interface import ContactChanged, EntryAdded, RelayStanding
from chat.ports import Connection
from protocol.relay.rendezvous import DAY_SECONDS
from tests.integration.steps import in_touch, in_touch_by_relay, late, meet, now, presence, say
from tests.support.engines.engines import (
    Person,
    apart,
    contact,
    delivered,
    in_virtual_time,
    invite,
    links,
    moved,
    named,
    people,
    same,
    stands,
    talk,
)
from tests.support.fakes.network import MemoryDiscovery, MemoryTransport
from tests.support.fakes.relay import MemoryRelay


def waited(person: Person, relay: MemoryRelay) -> list[bytes]:
    """The tokens that it should wait on now, without those that fill up."""
    day = relay.clock.wall() // 1_000 // DAY_SECONDS
    return list(person.engine._use_cases.keyring.waiting_tokens(relay.pair.public, day))


@in_virtual_time
async def test_two_who_reach_only_a_relay_talk_through_it(tmp_path: Path) -> None:
    async with apart(tmp_path) as (_, relay, ada, ben):
        await talk(ada, ben, "one")
        await talk(ben, ada, "two")
        assert (await contact(ada)).relayed
        assert (await contact(ben)).relayed
        await asyncio.sleep(60)
        assert links(ada) == links(ben) == 1
        assert len(relay.hall) == 2
        await same(ada, ben, "paired", "one", "two")
        for person in (ada, ben):  # where a terminal is, a relay does not tell
            places = person.engine._use_cases.keyring.remembered.values()
            assert {host for known in places for host, _ in known} <= {ada.host, ben.host}


@pytest.mark.parametrize("seed", range(3))
@in_virtual_time
async def test_a_link_moves_to_the_direct_way_and_back(tmp_path: Path, seed: int) -> None:
    async with in_touch_by_relay(tmp_path, seed=seed) as (network, relay, ada, ben):
        said = ["paired", "before"]
        for number in range(1, 9, 2):
            direct = moved(ada, relayed=False), moved(ben, relayed=False)
            network.join(ada.host, ben.host)
            await talk(ben, ada, str(number))
            await asyncio.wait_for(asyncio.gather(*direct), 3)
            circuits = len(relay.met)
            await asyncio.sleep(40)
            assert links(ada) == links(ben) == 1
            assert len(relay.met) == circuits
            through = moved(ada, relayed=True), moved(ben, relayed=True)
            network.part(ada.host, ben.host)
            await talk(ada, ben, str(number + 1))
            await asyncio.wait_for(asyncio.gather(*through), 12)
            said += [str(number), str(number + 1)]
        await asyncio.sleep(60)
        assert links(ada) == links(ben) == 1
        await same(ada, ben, *said)


@pytest.mark.parametrize("seed", range(3))
@in_virtual_time
async def test_nothing_said_while_a_link_moves_is_lost_doubled_or_reordered(
    tmp_path: Path, seed: int
) -> None:
    async with in_touch_by_relay(tmp_path, seed=seed) as (network, _, ada, ben):
        apart_ = True
        for number in range(1, 41):
            if number % 4 == seed:
                (network.join if apart_ else network.part)(ada.host, ben.host)
                apart_ = not apart_
            await asyncio.sleep(0.3 * (number % 5))
            await say(ada, ben, f"ada {number}")
            await say(ben, ada, f"ben {number}")
        done = delivered(ada, 1), delivered(ben, 1)
        await say(ada, ben, "the last of ada")
        await say(ben, ada, "the last of ben")
        await asyncio.gather(*done)
        await asyncio.sleep(60)
        said = [f"{name} {number}" for name in ("ada", "ben") for number in range(1, 41)]
        await same(ada, ben, "paired", "before", *said, "the last of ada", "the last of ben")
        for name, person in (("ada", ada), ("ben", ben)):
            own = [text for text in await person.texts(ada if person is ben else ben) if name in text]
            assert own == [*(f"{name} {number}" for number in range(1, 41)), f"the last of {name}"]
        assert links(ada) == links(ben) == 1


@in_virtual_time
async def test_a_direct_link_is_not_given_up_for_a_moment_of_silence(tmp_path: Path) -> None:
    async with apart(tmp_path) as (network, relay, ada, ben):
        network.join(ada.host, ben.host)
        await talk(ada, ben, "direct by now")
        await asyncio.sleep(30)
        circuits = len(relay.met)
        moment = ada.config.absent_after - ada.config.probe_timeout  # a probe under way may have to end first
        for _ in range(20):
            network.part(ada.host, ben.host)
            await asyncio.sleep(moment)
            network.join(ada.host, ben.host)
            await asyncio.sleep(20)
        assert len(relay.met) == circuits
        assert not (await contact(ada)).relayed


@in_virtual_time(limit=4000)
async def test_a_direct_way_that_never_lasts_is_tried_less_and_less_often(tmp_path: Path) -> None:
    """Going there and back costs seconds each time, in which nothing arrives."""
    async with in_touch_by_relay(tmp_path) as (network, _, ada, ben):
        moves: list[float] = []

        def look(event: object) -> None:
            if isinstance(event, ContactChanged) and event.contact.present:
                if not event.contact.relayed:
                    moves.append(now())
                    network.part(ada.host, ben.host)
                else:
                    network.join(ada.host, ben.host)

        ada.watch(look)
        network.join(ada.host, ben.host)
        await asyncio.sleep(3_000)
        pauses = [later - sooner for sooner, later in pairwise(moves)]
        assert 3 <= len(moves) <= 16
        assert max(pauses) > 300
        await talk(ada, ben, "still in touch")
        await same(ada, ben, "paired", "before", "still in touch")


@in_virtual_time
async def test_a_way_that_only_one_side_can_take_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch_by_relay(tmp_path) as (network, _, ada, ben):
        connect = MemoryTransport.connect

        async def one_way(transport: MemoryTransport, host: str, port: int, timeout: float) -> object:
            if host == ben.host:
                raise TimeoutError("a firewall")
            return await connect(transport, host, port, timeout)

        monkeypatch.setattr(MemoryTransport, "connect", one_way)
        direct = moved(ada, relayed=False), moved(ben, relayed=False)
        network.join(ada.host, ben.host)
        await asyncio.wait_for(asyncio.gather(*direct), 3)
        await asyncio.sleep(60)
        assert links(ada) == links(ben) == 1


@in_virtual_time
async def test_a_direct_way_that_nobody_announces_is_found_at_a_slow_pace(tmp_path: Path) -> None:
    async with in_touch_by_relay(tmp_path) as (network, _, ada, ben):
        await asyncio.sleep(300)
        direct = moved(ada, relayed=False)
        network.announced.clear()
        network.join(ada.host, ben.host)
        await asyncio.wait_for(direct, ada.config.direct_retry_most)


@pytest.mark.parametrize(("way", "relayed"), [(in_touch, False), (in_touch_by_relay, True)])
@in_virtual_time(limit=4 * 3600.0)
async def test_links_are_replaced_every_fifteen_minutes_and_nobody_notices(
    tmp_path: Path, way: Callable[[Path], AbstractAsyncContextManager[tuple[Any, ...]]], relayed: bool
) -> None:
    async with way(tmp_path) as (*_, ada, ben):
        sessions, before = set(), (len(ada.seen), len(ben.seen))
        for number in range(1, 60):
            await asyncio.sleep(180)
            await talk(*((ada, ben) if number % 2 else (ben, ada)), str(number))
            sessions |= {link.session for link in ada.engine._use_cases.links.all()}
            assert links(ada) == links(ben) == 1
        assert len(sessions) >= 3
        for person, start in zip((ada, ben), before, strict=True):
            went = [event.contact for event in person.seen[start:] if isinstance(event, ContactChanged)]
            assert all(view.present and view.relayed is relayed for view in went)
            assert person.shown_once(61 if relayed else 60)


@in_virtual_time
async def test_a_relay_that_nobody_answers_at_slows_no_direct_way(tmp_path: Path) -> None:
    """After a cut of the direct way the first waiting entry arrives within two seconds, as ever."""
    async with in_touch(tmp_path) as (network, ada, ben):
        relay = MemoryRelay(network)
        network.cut(relay.host)
        for person in (ada, ben):
            unreachable = stands(person, relay, RelayStanding.UNREACHABLE)
            await person.engine.add_relay(str(relay.address))
            await unreachable
        for _ in range(5):
            network.cut(ben.host)
            await say(ada, ben, "into the cut")
            await asyncio.sleep(24)
            first = ben.wait(EntryAdded)
            healed = now()
            network.heal(ben.host)
            await first
            assert now() - healed < 2.0


@in_virtual_time(limit=5000)
async def test_a_person_who_comes_back_to_a_relay_is_there_for_a_contact_who_waits(
    tmp_path: Path,
) -> None:
    """However long one was away: the other asks seldom by then, and does not have to."""
    async with in_touch_by_relay(tmp_path) as (_, relay, ada, ben):
        await ben.stop()
        await say(ada, ben, "while away")
        await asyncio.sleep(3_000)
        asked = relay.absent
        await asyncio.sleep(1_200)
        assert 5 <= relay.absent - asked <= 25
        done, began = delivered(ada, 1), now()
        await ben.start()
        await done
        assert now() - began < 2.0


async def _both(ada: Person, ben: Person, text: str) -> None:
    await talk(ada, ben, f"{text}, ada")
    await talk(ben, ada, f"{text}, ben")


@pytest.mark.parametrize("config", [Config(), Config(second_dial_delay=0.0)])
@in_virtual_time
async def test_a_relay_that_dies_and_comes_back(tmp_path: Path, config: Config) -> None:
    async with in_touch_by_relay(tmp_path, config) as (_, relay, ada, ben):
        for seconds in (1, 20, 600):
            away = stands(ada, relay, RelayStanding.UNREACHABLE)
            relay.stop()
            await away
            done = delivered(ada, 1)
            await say(ada, ben, f"away for {seconds}")
            await asyncio.sleep(seconds)
            began, waits = now(), stands(ada, relay, RelayStanding.WAITING)
            relay.start()
            await done
            assert now() - began < ada.config.relay_retry_most + 2.0
            await waits  # what Ben dials may come first
            await _both(ada, ben, f"after {seconds}")
        await asyncio.sleep(30)
        assert links(ada) == links(ben) == 1
        assert await ada.texts(ben) == await ben.texts(ada)
        assert ada.shown_once(11)
        assert ben.shown_once(11)


@in_virtual_time
async def test_a_relay_that_is_removed_is_used_no_more(tmp_path: Path) -> None:
    async with in_touch_by_relay(tmp_path) as (network, relay, ada, ben):
        gone = presence(ada, present=False)
        await ada.engine.remove_relay(str(relay.address))
        await gone
        await relay.until(lambda: {each.connection.peer for each in relay.visitors} == {ben.host})
        seen = len(network.seen)
        await asyncio.sleep(600)
        assert ada.host not in {here for here, _, _ in network.seen[seen:]}
        await named(ada, relay)
        await _both(ada, ben, "named again")


@in_virtual_time
async def test_a_new_day_has_tokens_of_its_own_and_no_link_notices(tmp_path: Path) -> None:
    async with in_touch_by_relay(tmp_path, later=16 * 3_600.0 - 1_000) as (_, relay, ada, ben):
        before = len(ada.seen)
        old = [waited(person, relay)[0] for person in (ada, ben)]
        await asyncio.sleep(1_000 + 15)
        new = [waited(person, relay)[0] for person in (ada, ben)]
        assert [relay.hall.count(token) for token in (*old, *new)] == [0, 0, 1, 1]
        assert all(event.contact.present for event in ada.seen[before:] if isinstance(event, ContactChanged))
        for visitor in list(relay.visitors):
            visitor.connection.close()  # links and lines
        await _both(ada, ben, "after")


@in_virtual_time
async def test_two_whose_clocks_differ_by_hours_meet_on_the_relays_day(tmp_path: Path) -> None:
    async with apart(tmp_path) as (_, _relay, ada, ben):
        await asyncio.gather(ada.stop(), ben.stop())
        ada.clock.offset_ms = -20 * 3_600_000
        ben.clock.offset_ms = +20 * 3_600_000
        for person in (ada, ben):
            await person.start()
        await _both(ada, ben, "at all hours")


@in_virtual_time
async def test_a_network_that_changed_has_new_lines_at_once(tmp_path: Path) -> None:
    async with in_touch_by_relay(tmp_path) as (network, _relay, ada, ben):
        network.cut(ada.host)
        await asyncio.sleep(300)
        network.down.discard(ada.host)  # old streams stay dead, as on another network
        for pipe in network.pipes:
            if ada.host in (pipe.here, pipe.peer):
                pipe.waiting.clear()
        network.watchers[ada.host].network_changed()
        began = now()
        await _both(ada, ben, "after")
        assert now() - began < 8.0


@in_virtual_time
async def test_two_meet_at_the_relay_that_both_have_named(tmp_path: Path) -> None:
    async with apart(tmp_path) as (network, common, ada, ben):
        others = [MemoryRelay(network, f"192.0.2.{number}").start() for number in (2, 3)]
        for person, other in zip((ada, ben), others, strict=True):
            await named(person, other)
            await person.stop()
        met = len(common.met)
        for person in (ada, ben):
            await person.start()
        await talk(ada, ben, "where both are")
        assert len(common.met) > met
        assert [other.met for other in others] == [[], []]
        assert any(other.absent for other in others)


@in_virtual_time
async def test_a_relay_that_hangs_or_is_away_holds_up_none_of_the_others(tmp_path: Path) -> None:
    async with apart(tmp_path) as (network, common, ada, ben):
        hanging = MemoryRelay(network, "192.0.2.2")

        async def say_nothing(connection: Connection) -> None:
            await connection.read()
            await asyncio.Event().wait()

        network.listeners[(hanging.host, hanging.port)] = say_nothing
        away = MemoryRelay(network, "192.0.2.3")
        network.cut(away.host)
        for person in (ada, ben):
            for relay in (hanging, away):
                unreachable = stands(person, relay, RelayStanding.UNREACHABLE)
                await person.engine.add_relay(str(relay.address))
                await unreachable
        await talk(ada, ben, "as ever")
        await asyncio.gather(ada.stop(), ben.stop())
        await asyncio.sleep(60)
        await ada.start()
        await say(ada, ben, "waiting")
        await asyncio.sleep(60)
        began = now()
        await ben.start()
        await talk(ben, ada, "at once")
        assert now() - began < 2.0
        await same(ada, ben, "paired", "as ever", "waiting", "at once")
        assert common.met


@in_virtual_time
async def test_when_one_relay_dies_another_takes_over(tmp_path: Path) -> None:
    async with apart(tmp_path) as (network, first, ada, ben):
        second = MemoryRelay(network, "192.0.2.2").start()
        for person in (ada, ben):
            await named(person, second)
        await talk(ada, ben, "before")
        relays = [first, second]
        for number in range(4):
            carrying = max(relays, key=lambda relay: len(relay.visitors))
            carrying.stop()
            began = now()
            await talk(*((ada, ben) if number % 2 else (ben, ada)), f"after {number}")
            assert now() - began < 3.0
            waits = [stands(person, carrying, RelayStanding.WAITING) for person in (ada, ben)]
            carrying.start()
            await asyncio.gather(*waits)
        assert (await contact(ada)).relayed
        await asyncio.sleep(60)
        assert links(ada) == links(ben) == 1
        await same(ada, ben, "paired", "before", *(f"after {number}" for number in range(4)))


@in_virtual_time
async def test_a_house_full_of_contacts_comes_back_with_its_relay(tmp_path: Path) -> None:
    """All dial all at once, each of them both ways; in the end each two have one link."""
    names = [f"Person {number}" for number in range(5)]
    async with people(tmp_path, *names) as (network, persons):
        relay = MemoryRelay(network).start()
        for index, one in enumerate(persons):
            for other in persons[index + 1 :]:
                await meet(one, other)
                network.part(one.host, other.host)
        for person in persons:
            await named(person, relay)
        await asyncio.sleep(60)
        for _ in range(2):
            assert [links(person) for person in persons] == [len(names) - 1] * len(names)
            gone = persons[0].wait(ContactChanged, lambda event: not event.contact.present)
            relay.stop()
            await gone
            relay.start()
            await asyncio.sleep(60)
        assert [links(person) for person in persons] == [len(names) - 1] * len(names)


@in_virtual_time
async def test_who_is_blocked_or_removed_finds_nobody(tmp_path: Path) -> None:
    async with in_touch_by_relay(tmp_path) as (_, relay, ada, ben):
        (token,) = waited(ada, relay)
        contact = await ada.contact(ben)
        for on in (True, False, True, False):
            await ada.engine.block(contact, on)
        await asyncio.sleep(1)
        assert relay.hall.count(token) == 1
        for change, known in ((True, False), (False, True), (None, False)):
            circuits = len(relay.met)
            if change is None:
                await ada.engine.remove(contact)
            else:
                await ada.engine.block(contact, change)
            await asyncio.sleep(1)
            assert relay.hall.count(token) == known
            await asyncio.sleep(150)
            assert (token in waited(ada, relay)) is known
            assert relay.hall.count(token) == known
            assert (len(relay.met) > circuits) is known
            assert links(ada) == links(ben) == known


@in_virtual_time(limit=4000)
async def test_an_invitation_is_waited_for_as_long_as_it_is_open(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (network, (ada,)):
        relay = MemoryRelay(network).start()
        await named(ada, relay)
        await ada.engine.invite()
        (token,) = waited(ada, relay)
        await relay.until(lambda: relay.hall.count(token) == 1)
        await asyncio.sleep(3_610)
        assert waited(ada, relay) == []
        assert relay.hall.count(token) == 0


@pytest.mark.parametrize("seed", range(1, 5))
@in_virtual_time(limit=30)
async def test_a_person_who_joined_dials_the_inviter_however_late_it_is_done_and_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """By the address of the invitation, where multicast is blocked."""

    async def unheard(*_: object) -> None:
        """Nothing gets through."""

    monkeypatch.setattr(MemoryDiscovery, "announce", unheard)
    async with people(tmp_path, "Ada", "Ben", seed=seed) as (_, (ada, ben)):
        late(ada.engine._use_cases.pending, "store", 1)
        await invite(ada, ben)
        await talk(ben, ada, "at once")
        await ben.stop()
        await ben.start()
        await talk(ben, ada, "after a restart")
