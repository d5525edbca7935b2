"""Two engines that reach only a relay: they talk through it, and directly as soon as there is a way."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from chat.config import Config
from chat.interface import ContactChanged, EntryAdded, RelayStanding
from protocol.limits import PING_AFTER_SECONDS
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
    two_contacts,
)
from tests.support.fakes.network import MemoryTransport
from tests.support.fakes.relay import MemoryRelay


def now() -> float:
    return asyncio.get_running_loop().time()


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
    async with apart(tmp_path, seed=seed) as (network, relay, ada, ben):
        await talk(ada, ben, "0")
        said = ["paired", "0"]
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
    async with apart(tmp_path, seed=seed) as (network, _, ada, ben):
        await talk(ada, ben, "0")
        apart_ = True
        for number in range(1, 41):
            if number % 4 == seed:
                (network.join if apart_ else network.part)(ada.host, ben.host)
                apart_ = not apart_
            await asyncio.sleep(0.3 * (number % 5))
            await ada.engine.send(await ada.contact(ben), f"ada {number}")
            await ben.engine.send(await ben.contact(ada), f"ben {number}")
        done = delivered(ada, 1), delivered(ben, 1)
        await ada.engine.send(await ada.contact(ben), "the last of ada")
        await ben.engine.send(await ben.contact(ada), "the last of ben")
        await asyncio.gather(*done)
        await asyncio.sleep(60)
        said = [f"{name} {number}" for name in ("ada", "ben") for number in range(1, 41)]
        await same(ada, ben, "paired", "0", *said, "the last of ada", "the last of ben")
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
        for _ in range(20):
            network.part(ada.host, ben.host)
            await asyncio.sleep(PING_AFTER_SECONDS / 2)
            network.join(ada.host, ben.host)
            await asyncio.sleep(20)
        assert len(relay.met) == circuits
        assert not (await contact(ada)).relayed


@in_virtual_time(limit=4000)
async def test_a_direct_way_that_never_lasts_is_tried_less_and_less_often(tmp_path: Path) -> None:
    """Going there and back costs seconds each time, in which nothing arrives."""
    async with apart(tmp_path) as (network, _, ada, ben):
        await talk(ada, ben, "through the relay")
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
        await same(ada, ben, "paired", "through the relay", "still in touch")


@in_virtual_time
async def test_a_way_that_only_one_side_can_take_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with apart(tmp_path) as (network, _, ada, ben):
        await talk(ada, ben, "through the relay")
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
    async with apart(tmp_path) as (network, _, ada, ben):
        await talk(ada, ben, "through the relay")
        await asyncio.sleep(300)
        direct = moved(ada, relayed=False)
        network.announced.clear()
        network.join(ada.host, ben.host)
        await asyncio.wait_for(direct, ada.config.direct_retry_most)


@in_virtual_time(limit=4 * 3600.0)
async def test_a_link_through_a_relay_is_replaced_within_the_hour_and_nobody_notices(tmp_path: Path) -> None:
    async with apart(tmp_path) as (_, _relay, ada, ben):
        await talk(ada, ben, "0")
        sessions, before = set(), len(ada.seen)
        for number in range(1, 13):
            await asyncio.sleep(700)
            await talk(*((ada, ben) if number % 2 else (ben, ada)), str(number))
            sessions |= {link.session for link in ada.engine._use_cases.links.all()}
            assert links(ada) == links(ben) == 1
        assert len(sessions) >= 3
        assert all(
            event.contact.present and event.contact.relayed
            for event in ada.seen[before:]
            if isinstance(event, ContactChanged)
        )


@in_virtual_time
async def test_an_invitation_pairs_two_who_reach_only_a_relay(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        relay = MemoryRelay(network).start()
        network.part(ada.host, ben.host)
        await named(ada, relay)
        await invite(ada, ben)
        assert [view.address for view in await ben.engine.relays()] == [str(relay.address)]
        await talk(ben, ada, "joined")
        await talk(ada, ben, "welcome")
        assert (await contact(ada)).relayed
        direct = moved(ada, relayed=False)  # by what the invitation said of addresses
        network.announced.clear()
        network.join(ada.host, ben.host)
        await asyncio.wait_for(direct, 35)


@in_virtual_time
async def test_a_relay_that_nobody_answers_at_slows_no_direct_way(tmp_path: Path) -> None:
    """After a cut of the direct way the first waiting entry arrives within two seconds, as ever."""
    async with two_contacts(tmp_path) as (network, ada, ben):
        await talk(ada, ben, "before")
        relay = MemoryRelay(network)
        network.cut(relay.host)
        for person in (ada, ben):
            unreachable = stands(person, relay, RelayStanding.UNREACHABLE)
            await person.engine.add_relay(str(relay.address))
            await unreachable
        for _ in range(5):
            network.cut(ben.host)
            await ada.engine.send(await ada.contact(ben), "into the cut")
            await asyncio.sleep(24)
            first = ben.wait(EntryAdded)
            healed = now()
            network.heal(ben.host)
            await first
            assert now() - healed < 2.0


@in_virtual_time(limit=5000)
async def test_whoever_comes_back_to_a_relay_is_there_for_whoever_waits(tmp_path: Path) -> None:
    """However long one was away: the other asks seldom by then, and does not have to."""
    async with apart(tmp_path) as (_, relay, ada, ben):
        await talk(ada, ben, "before")
        await ben.stop()
        await ada.engine.send(await ada.contact_known("Ben"), "while away")
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
    async with apart(tmp_path, config) as (_, relay, ada, ben):
        await _both(ada, ben, "before")
        for seconds in (1, 20, 600):
            away = stands(ada, relay, RelayStanding.UNREACHABLE)
            relay.stop()
            await away
            done = delivered(ada, 1)
            await ada.engine.send(await ada.contact(ben), f"away for {seconds}")
            await asyncio.sleep(seconds)
            began = now()
            relay.start()
            await done
            assert now() - began < ada.config.relay_retry_most + 2.0
            await _both(ada, ben, f"after {seconds}")
        await asyncio.sleep(30)
        assert links(ada) == links(ben) == 1
        assert await ada.texts(ben) == await ben.texts(ada)
        assert ada.shown_once(12)
        assert ben.shown_once(12)


@in_virtual_time
async def test_a_relay_that_is_removed_is_used_no_more(tmp_path: Path) -> None:
    async with apart(tmp_path) as (network, relay, ada, ben):
        await _both(ada, ben, "before")
        gone = ada.wait(ContactChanged, lambda event: not event.contact.present)
        await ada.engine.remove_relay(str(relay.address))
        await gone
        await relay.until(lambda: {each.connection.peer for each in relay.visitors} == {ben.host})
        seen = len(network.seen)
        await asyncio.sleep(600)
        assert ada.host not in {here for here, _, _ in network.seen[seen:]}
        await named(ada, relay)
        await _both(ada, ben, "named again")


@in_virtual_time
async def test_whoever_is_blocked_is_not_waited_for(tmp_path: Path) -> None:
    async with apart(tmp_path) as (_, relay, ada, ben):
        await _both(ada, ben, "before")
        day = int(relay.clock.wall() // 86_400_000)
        waits = ada.engine._use_cases.keyring.waiting_tokens(relay.address.key, day)
        assert all(relay.hall.count(token) == 1 for token in waits)
        await ada.engine.block(await ada.contact(ben), True)
        await relay.until(
            lambda: len(relay.hall) == 2 and not any(relay.hall.count(token) for token in waits)
        )
        await asyncio.sleep(600)
        assert links(ada) == links(ben) == 0


@in_virtual_time
async def test_a_new_day_has_tokens_of_its_own_and_no_link_notices(tmp_path: Path) -> None:
    async with apart(tmp_path, later=16 * 3_600.0 - 1_000) as (_, relay, ada, ben):
        await _both(ada, ben, "before")
        before = len(ada.seen)
        day = int(relay.clock.wall() // 86_400_000)
        await asyncio.sleep(1_000 + 15)
        for person in (ada, ben):
            ring = person.engine._use_cases.keyring
            old, new = (ring.waiting_tokens(relay.address.key, each)[0] for each in (day, day + 1))
            assert (relay.hall.count(old), relay.hall.count(new)) == (0, 1)
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
    async with apart(tmp_path) as (network, _relay, ada, ben):
        await _both(ada, ben, "before")
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
