"""What a relay lets happen, over real sockets: bounds an address and in all, shares, and who learns what."""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest

from chat.relay.connection import READS_A_SECOND, READS_AT_ONCE
from chat.relay.quotas import Limits
from protocol.limits import RELAY_TOKENS_MAX
from protocol.link.framing import length_of
from protocol.relay.states import RelayEnding, WaitBegun, WasAbsent, WasCalled, WasJoined, Welcomed
from tests.support.relay.in_process import Guest, House, house, token

HERE, THERE, ELSEWHERE = "127.0.0.1", "127.0.0.2", "127.0.0.3"
GREETING = 28
WELCOME = 114 - 68
"""By so much the relay's part of a handshake is longer than the terminal's."""
MANY = 1e6


def limits(**changed: float) -> Limits:
    """Without bounds on handshakes but those of a test."""
    return Limits(**{"handshakes": MANY, "handshakes_address": MANY, **changed})  # type: ignore[arg-type]


async def called(made: House, one: str, other: str) -> tuple[Guest, Guest]:
    wanted = token()
    waiter = await made.waiter(wanted, source=other)
    dialler = await made.welcomed(one)
    await dialler.dial(wanted)
    await waiter.expect(WasCalled)
    return dialler, waiter


async def test_an_address_has_so_many_connections_and_another_is_let_in() -> None:
    async with house(limits(connections_address=2)) as made:
        for _ in range(2):
            await made.waiter(token(), source=HERE)
        third = await made.guest(HERE)
        assert await third.read(1) == b""
        assert made.relay.counters.refused == {"connections": 1}
        await made.waiter(token(), source=THERE)


async def test_connections_that_say_nothing_are_bounded_and_make_room() -> None:
    async with house(limits(unproven=2, unproven_address=2)) as made:
        first = await made.guest(HERE)
        assert len(await first.exactly(GREETING)) == GREETING
        for source in (THERE, ELSEWHERE):
            assert len(await (await made.guest(source)).exactly(GREETING)) == GREETING
        assert await first.read(1) == b"", "the oldest went"
        assert made.relay.counters.turned_out == 1
        assert made.now()["unproven_connections"] == 2


@pytest.mark.parametrize(
    ("bounds", "descriptors"), [({"connections": 4, "unproven": 1}, 0), ({}, 64 + 4)], ids=["full", "few"]
)
async def test_without_places_or_descriptors_it_is_busy(bounds: dict[str, float], descriptors: int) -> None:
    async with house(limits(**bounds), descriptors=descriptors) as made:
        for source in (HERE, THERE, ELSEWHERE):
            await made.waiter(token(), source=source)
        fourth = await (await made.welcomed("127.0.0.4")).dial(token())
        assert await fourth.ending() is RelayEnding.BUSY
        assert made.relay.counters.refused == {"connections": 1}


async def test_a_full_relay_takes_from_the_address_that_has_far_more() -> None:
    async with house(limits(connections=7, unproven=1)) as made:
        dialler, waiter = await made.circuit(HERE, HERE)
        crowd = [await made.waiter(token(), source=HERE) for _ in range(3)]
        await made.waiter(token(), source=THERE)
        await made.waiter(token(), source=ELSEWHERE)
        assert await crowd[-1].ending() is RelayEnding.BUSY
        assert made.relay.counters.turned_out == 1
        await dialler.say(b"the circuit lives")
        assert await waiter.exactly(17) == b"the circuit lives"


async def test_a_circuit_makes_room_too() -> None:
    async with house(limits(connections=7, unproven=1)) as made:
        for _ in range(2):
            await made.circuit(HERE, HERE)
        dialler, waiter = await made.circuit(HERE, HERE)
        await made.waiter(token(), source=THERE)
        assert (await dialler.read(1), await waiter.read(1)) == (b"", b"")
        assert made.relay.counters.ended == {"stopped": 1}
        assert made.now()["connections"] == 5


async def test_an_address_waits_on_so_many_tokens() -> None:
    async with house(limits(tokens_address=3)) as made:
        waiter = await made.waiter(token(), token())
        second = await made.welcomed()
        await second.wait(token(), token())
        assert await second.ending() is RelayEnding.BUSY
        assert made.relay.counters.refused == {"tokens": 1}
        await waiter.wait(*(token() for _ in range(3)))
        await waiter.expect(WaitBegun)
        assert made.now()["tokens"] == 3, "those before are let go"
        await waiter.wait(*(token() for _ in range(4)))
        assert await waiter.ending() is RelayEnding.BUSY


async def test_where_all_tokens_are_taken_the_address_that_has_far_more_gives_back() -> None:
    async with house(limits(tokens=10)) as made:
        several = [await made.waiter(*(token() for _ in range(4)), source=HERE) for _ in range(2)]
        await made.waiter(token(), token(), source=THERE)
        wanted = token()
        await made.waiter(wanted, source=ELSEWHERE)
        assert await several[1].ending() is RelayEnding.BUSY
        assert made.now()["tokens"] == 7
        fourth = await made.welcomed("127.0.0.4")
        await fourth.wait(*(token() for _ in range(4)))
        assert await fourth.ending() is RelayEnding.BUSY, "nobody has over twice as many"


async def test_an_address_has_so_many_ends_of_circuits() -> None:
    async with house(limits(circuits_address=2)) as made:
        await made.circuit(HERE, THERE)
        await made.circuit(HERE, ELSEWHERE)
        dialler, waiter = await called(made, HERE, THERE)
        assert await dialler.ending() is RelayEnding.BUSY
        assert await waiter.read(1) == b""
        assert made.relay.counters.refused == {"circuits": 1}


async def test_an_end_of_a_circuit_is_given_back_with_it() -> None:
    async with house(limits(circuits_address=2)) as made:
        for _ in range(3):
            dialler, waiter = await made.circuit()
            dialler.close()
            assert await waiter.read(1) == b""
            waiter.close()
            await made.settle()
        assert made.relay.counters.joined == 3


async def test_an_address_begins_so_many_handshakes_a_second() -> None:
    async with house(Limits(handshakes_address=2)) as made:
        for _ in range(10):
            await made.welcomed(HERE)
        refused = await made.guest(HERE)
        assert await refused.read(1) == b""
        assert made.relay.counters.refused == {"handshakes": 1}
        await made.welcomed(THERE)
        await made.later(0.6)
        await made.welcomed(HERE)


async def test_a_terminal_dials_so_often_on_one_connection(made: House) -> None:
    dialler = await made.welcomed()
    for _ in range(16):
        await dialler.dial(token())
        await dialler.expect(WasAbsent)
    await dialler.dial(token())
    assert await dialler.ending() is RelayEnding.CUT
    assert made.relay.counters.wrong == {"limit": 1}


async def test_each_who_waits_on_one_token_is_reached_and_the_ninth_drives_the_first_out(made: House) -> None:
    wanted = token()
    waiters = [await made.waiter(wanted) for _ in range(9)]
    dialler = await made.welcomed()
    await dialler.dial(wanted, 7)
    await waiters[1].expect(WasCalled)
    assert (await dialler.expect(WasJoined)).others == 7
    nobody = await made.welcomed()
    await nobody.dial(wanted, 7)
    await nobody.expect(WasAbsent)
    assert made.now()["waiting_terminals"] == 8


async def test_attack_63_an_open_relay_gives_nobody_more_than_a_share() -> None:
    bounds = limits(connections=8, connections_address=6, unproven=2, tokens=8, tokens_address=6)
    async with house(bounds) as made:
        for _ in range(6):
            await made.waiter(token(), source=HERE)
        assert await (await made.guest(HERE)).read(1) == b""
        dialler, waiter = await made.circuit(THERE, ELSEWHERE)
        await dialler.say(b"through")
        assert await waiter.exactly(7) == b"through"


async def test_attack_63_nobody_is_sent_more_than_came_from_there_but_for_the_beginning(made: House) -> None:
    dialler = await made.welcomed()
    for _ in range(16):
        await dialler.dial(token())
        await dialler.expect(WasAbsent)
    waiter = await made.waiter(*(token() for _ in range(RELAY_TOKENS_MAX)))
    for guest in (dialler, waiter):
        assert 0 < guest.received <= guest.sent + GREETING + WELCOME
    for garbage in (b"", b"\x00", b"\x00\x42\x01\x10" + bytes(64), b"\x00\x42\x02\x10" + bytes(64)):
        stranger = await made.guest()
        await stranger.say(garbage)
        stranger.socket.shutdown(1)
        while await stranger.read(1_000):
            pass
        assert stranger.received <= GREETING + len(garbage)


async def test_attack_63_who_talks_all_the_time_is_listened_to_at_a_walk(made: House) -> None:
    """Each Wait costs a relay a tenth of a millisecond, and a cluster 128 names."""
    guest, waiters = await made.waiter(token()), made.relay._waiters

    async def talks() -> None:
        for _ in range(200):
            await guest.wait(token())

    with mock.patch.object(waiters, "wait", wraps=waiters.wait) as heard:
        flood = asyncio.ensure_future(talks())
        for _ in range(50):
            await made.settle()
        assert READS_AT_ONCE / 4 <= heard.call_count <= READS_AT_ONCE / 2
        await made.circuit(THERE, ELSEWHERE)
        heard.reset_mock()
        await made.later(1.0)
        assert 0 < heard.call_count <= READS_A_SECOND
        flood.cancel()


async def test_attack_63_relays_that_are_led_to_each_other_part_at_once() -> None:
    """A client that splices two relays together, A to B to A, has two greetings and the end."""
    async with house(limits()) as one, house(limits()) as other:
        first, second = await one.guest(), await other.guest()
        await second.say(await first.exactly(GREETING))
        await first.say(await second.exactly(GREETING))
        assert (await first.read(1), await second.read(1)) == (b"", b"")
        assert one.relay.counters.wrong == other.relay.counters.wrong == {"limit": 1}


async def test_attack_63_who_calls_itself_uses_up_its_own_share_and_forwards_nothing_by_itself() -> None:
    async with house(limits(circuits_address=4)) as made:
        for _ in range(2):
            await made.circuit(HERE, HERE)
        dialler, _ = await called(made, HERE, HERE)
        assert await dialler.ending() is RelayEnding.BUSY
        await made.settle()
        assert made.relay.counters.forwarded == 0


async def test_attack_63_garbage_costs_its_sender_more_and_the_relay_no_work_with_keys() -> None:
    async with house(Limits(handshakes_address=2)) as made:
        body = b"\x01\x10" + bytes(64)
        for _ in range(5):
            stranger = await made.guest(HERE)
            await stranger.exactly(GREETING)
            await stranger.say(length_of(body) + body)
            assert await stranger.read(1) == b""
        assert await (await made.guest(HERE)).read(1) == b"", "five have cost as much as ten"
        assert made.relay.counters.wrong == {"authentication": 5}
        assert made.relay.counters.handshakes == 0
        await (await made.guest(THERE)).expect(Welcomed)
