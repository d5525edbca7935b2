"""What the browser keeps of packets: forged ones in their thousands, and those of one honest neighbour."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator

import pytest
from zeroconf import ServiceStateChange, Zeroconf, current_time_millis
from zeroconf._dns import DNSPointer, DNSQuestion
from zeroconf._protocol.outgoing import DNSOutgoing
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from chat.network.browser import (
    HOST_ADDRESSES_MAX,
    INSTANCES_MAX,
    PACKET_MAX,
    PACKETS_AT_ONCE,
    QUESTIONS_KEPT,
    SENDERS_MAX,
    TRUNCATED_A_SECOND,
    Browser,
    Gate,
    Senders,
)
from chat.network.records import SERVICE
from chat.tasks import Tasks
from tests.support.network.mdns import OTHER_SERVICE, packets, pointers, whole

HONEST, FLOODER = "10.77.0.2", "10.77.0.3"
RECORDS_EACH = 4 + HOST_ADDRESSES_MAX


class Listening:
    """A browser, and the gate of its first socket."""

    def __init__(self, zeroconf: Zeroconf, tasks: Tasks) -> None:
        self.zeroconf = zeroconf
        self.changes: list[tuple[str, ServiceStateChange]] = []
        self.browser = Browser(zeroconf, self._browsed, tasks)

    def _browsed(self, _: Zeroconf, service: str, name: str, change: ServiceStateChange) -> None:
        assert service == SERVICE
        self.changes.append((name.partition(".")[0], change))

    def hear(self, packet: bytes, sender: str) -> None:
        gate = self.zeroconf.engine.readers[0].transport.get_protocol()
        assert isinstance(gate, Gate)
        gate.datagram_received(packet, (sender, 5353))

    @property
    def records(self) -> int:
        return sum(len(each) for each in self.zeroconf.cache.cache.values())

    def is_whole(self, instance: str) -> bool:
        return AsyncServiceInfo(SERVICE, f"{instance}.{SERVICE}").load_from_cache(self.zeroconf)


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Listening]:
    failed: list[BaseException] = []
    zeroconf, tasks = AsyncZeroconf(interfaces=["127.0.0.1"]), Tasks(failed.append)
    heard = Listening(zeroconf.zeroconf, tasks)
    await zeroconf.zeroconf.async_wait_for_start()
    heard.browser._guard()
    try:
        yield heard
    finally:
        heard.browser.stop()
        await tasks.stop()
        await zeroconf.async_close()
        assert not failed


@pytest.mark.parametrize("senders", [1, 300])
async def test_attack_16_a_flood_leaves_few_records_and_who_was_known(senders: int) -> None:
    """What is kept does not depend on how much comes, from one address or from many."""
    turn = itertools.cycle(f"10.77.{number // 250}.{number % 250}" for number in range(1000, 1000 + senders))
    async with listening() as heard:
        heard.hear(whole("honest", SERVICE), HONEST)
        for _, packet in itertools.islice(packets(), 6_000):
            heard.hear(packet, next(turn))
            assert heard.records <= INSTANCES_MAX * RECORDS_EACH
        assert len(heard.browser._instances) <= INSTANCES_MAX
        assert len(heard.zeroconf.cache._expire_heap) <= 2 * INSTANCES_MAX * RECORDS_EACH + 100
        if senders == 1:
            assert heard.is_whole("honest")
            assert ("honest", ServiceStateChange.Removed) not in heard.changes
        heard.hear(whole("late", SERVICE), "10.77.0.4")
        assert heard.is_whole("late")


async def test_records_of_other_services_and_hosts_are_not_kept() -> None:
    async with listening() as heard:
        for number in range(100):
            heard.hear(whole(f"printer{number}", OTHER_SERVICE), FLOODER)
        assert heard.records == 0
        assert heard.changes == []


async def test_a_goodbye_leaves_nothing() -> None:
    async with listening() as heard:
        heard.hear(whole("honest", SERVICE), HONEST)
        heard.hear(whole("honest", SERVICE, ttl=0), HONEST)
        assert heard.records == 0
        assert heard.changes == [
            ("honest", ServiceStateChange.Added),
            ("honest", ServiceStateChange.Removed),
        ]


async def test_attack_16_a_forged_flush_of_all_pointers_expires_none() -> None:
    """A pointer with the cache-flush bit makes zeroconf give all others a second to live."""
    async with listening() as heard:
        heard.hear(whole("honest", SERVICE), HONEST)
        cache = heard.zeroconf.cache
        pointer = cache.entries_with_name(SERVICE)[0]
        cache._async_set_created_ttl(pointer, current_time_millis() - 5_000, 1)
        heard.zeroconf.engine._async_cache_cleanup()
        assert heard.is_whole("honest")
        (pointer,) = cache.entries_with_name(SERVICE)
        assert not pointer.is_expired(current_time_millis())
        assert heard.changes == [("honest", ServiceStateChange.Added)]
        heard.hear(whole("honest", SERVICE, ttl=0), HONEST)
        assert heard.changes[-1] == ("honest", ServiceStateChange.Removed)


async def test_a_name_in_capitals_does_not_take_the_place_of_one() -> None:
    async with listening() as heard:
        heard.hear(whole("honest", SERVICE), HONEST)
        heard.hear(pointers(["HONEST", "OTHER"]), FLOODER)
        (pointer,) = heard.zeroconf.cache.entries_with_name(SERVICE)
        assert isinstance(pointer, DNSPointer)
        assert pointer.alias == f"honest.{SERVICE}"
        assert heard.changes == [("honest", ServiceStateChange.Added)]


async def test_attack_16_questions_with_long_lists_of_answers_are_not_remembered_for_long() -> None:
    """Each packet asks in a class of its own, with 50 known answers."""
    async with listening() as heard:
        own = AsyncServiceInfo(SERVICE, f"own.{SERVICE}", port=1, server="own.local.", addresses=[bytes(4)])
        await heard.zeroconf.async_register_service(own, cooperating_responders=True)
        for number in range(4 * QUESTIONS_KEPT):
            out = DNSOutgoing(0)
            out.add_question(DNSQuestion(SERVICE, 12, number + 2))
            for each in range(50):
                out.add_answer_at_time(DNSPointer(SERVICE, 12, 1, 4500, f"x{number}x{each}.{SERVICE}"), 0)
            heard.hear(out.packets()[0], FLOODER)
            assert len(heard.zeroconf.question_history._history) <= QUESTIONS_KEPT


def test_attack_16_one_sender_does_not_use_up_what_others_may_send() -> None:
    senders = Senders(0.0)
    flooded = sum(senders.admit(b"\0\0\x84", FLOODER, 0.0) for _ in range(5_000))
    assert flooded == PACKETS_AT_ONCE
    assert senders.admit(b"\0\0\x84", HONEST, 0.0)
    assert senders.admit(b"\0\0\x84", FLOODER, 1.0)


def test_attack_16_senders_are_counted_within_a_bound() -> None:
    senders = Senders(0.0)
    for number in range(3 * SENDERS_MAX):
        senders.admit(b"\0\0\x84", f"10.0.{number // 256}.{number % 256}", 0.0)
    assert len(senders._buckets) <= SENDERS_MAX


def test_attack_16_long_packets_and_many_cut_questions_are_not_read() -> None:
    """zeroconf would keep each cut question for half a second, for its other half."""
    senders = Senders(0.0)
    assert not senders.admit(bytes(PACKET_MAX + 1), HONEST, 0.0)
    cut = [senders.admit(b"\0\0\x02", f"10.0.0.{number}", 0.0) for number in range(200)]
    assert sum(cut) == TRUNCATED_A_SECOND
    assert senders.admit(b"\0\0\0", HONEST, 0.0)
