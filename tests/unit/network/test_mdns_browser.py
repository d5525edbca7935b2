"""The bounds of the mDNS browser, against thousands of forged packets and names; and the table of peers."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from unittest import mock

import pytest
from msgspec.structs import replace
from zeroconf import ServiceStateChange, Zeroconf, current_time_millis
from zeroconf._dns import DNSPointer, DNSQuestion
from zeroconf._protocol.outgoing import DNSOutgoing
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from chat.network import mdns_browser as bounds
from chat.network.mdns_browser import Browser, Gate, PeerTable, Resolver, Senders
from chat.ports import Announcement
from chat.tasks import Tasks
from protocol.discovery import SERVICE
from tests.support.engines.engines import in_virtual_time
from tests.support.network.mdns import OTHER_SERVICE, packet_of, packets, pointers, response, whole

HONEST, FLOODER = "10.77.0.2", "10.77.0.3"
RECORDS_EACH = 4 + bounds.HOST_ADDRESSES_MAX


class Listening:
    def __init__(self, zeroconf: Zeroconf, tasks: Tasks) -> None:
        self.zeroconf = zeroconf
        self.changes: list[tuple[str, ServiceStateChange]] = []
        started = tasks.spawn(zeroconf.async_wait_for_start())
        self.browser = Browser(zeroconf, self._browsed, tasks, started)

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

    def expired(self) -> Iterable[object]:
        return self.zeroconf.cache.async_expire(current_time_millis() + 5_000_000)

    def is_whole(self, instance: str) -> bool:
        return AsyncServiceInfo(SERVICE, f"{instance}.{SERVICE}").load_from_cache(self.zeroconf)


def aliases(records: Iterable[object]) -> list[str]:
    return [record.alias for record in records if isinstance(record, DNSPointer)]


@pytest.fixture
async def heard() -> AsyncIterator[Listening]:
    failed: list[BaseException] = []
    zeroconf, tasks = AsyncZeroconf(interfaces=["127.0.0.1"]), Tasks(failed.append)
    heard = Listening(zeroconf.zeroconf, tasks)
    await zeroconf.zeroconf.async_wait_for_start()
    heard.browser._guard()
    yield heard
    heard.browser.stop()
    await tasks.stop()
    await zeroconf.async_close()
    assert not failed


@pytest.mark.parametrize("senders", [1, 300])
async def test_attack_16_a_flood_leaves_few_records_and_who_was_known(heard: Listening, senders: int) -> None:
    turn = itertools.cycle(f"10.77.{number // 250}.{number % 250}" for number in range(1000, 1000 + senders))
    heard.hear(whole("honest", SERVICE), HONEST)
    for _, packet in itertools.islice(packets(), 6_000):
        heard.hear(packet, next(turn))
        assert heard.records <= bounds.INSTANCES_MAX * RECORDS_EACH
    assert len(heard.browser._instances) <= bounds.INSTANCES_MAX
    assert len(heard.zeroconf.cache._expire_heap) <= 2 * bounds.INSTANCES_MAX * RECORDS_EACH + 100
    if senders == 1:
        assert heard.is_whole("honest")
        assert ("honest", ServiceStateChange.Removed) not in heard.changes
    heard.hear(whole("late", SERVICE), "10.77.0.4")
    assert heard.is_whole("late")


async def test_attack_16_a_host_keeps_the_newest_of_many_addresses(heard: Listening) -> None:
    given = [f"10.77.5.{number}" for number in range(1, 4 * bounds.HOST_ADDRESSES_MAX)]
    for address in given:
        heard.hear(response("flooder", addresses=[address], text=b"x"), FLOODER)
    found = AsyncServiceInfo(SERVICE, f"flooder.{SERVICE}")
    assert found.load_from_cache(heard.zeroconf)
    assert set(found.parsed_addresses()) == set(given[-bounds.HOST_ADDRESSES_MAX :])
    assert heard.records == RECORDS_EACH - 1


async def test_records_of_other_services_and_hosts_are_not_kept(heard: Listening) -> None:
    for number in range(100):
        heard.hear(whole(f"printer{number}", OTHER_SERVICE), FLOODER)
    assert heard.records == 0
    assert heard.changes == []


async def test_a_goodbye_leaves_nothing(heard: Listening) -> None:
    heard.hear(whole("honest", SERVICE), HONEST)
    heard.hear(whole("honest", SERVICE, ttl=0), HONEST)
    assert heard.records == 0
    assert heard.changes == [("honest", ServiceStateChange.Added), ("honest", ServiceStateChange.Removed)]


@pytest.mark.parametrize(
    ("name", "kind"), [(OTHER_SERVICE, 12), (SERVICE, 5)], ids=["another service", "alias"]
)
async def test_attack_16_a_goodbye_of_another_pointer_takes_nobody_away(
    heard: Listening, name: str, kind: int
) -> None:
    """Its sender chooses its name, its type and what it points to."""
    heard.hear(whole("honest", SERVICE), HONEST)
    for lifetime in (4_500, 0):
        forged = DNSPointer(name, kind, 1, lifetime, f"honest.{SERVICE}")
        heard.hear(packet_of([forged]), FLOODER)
    assert heard.is_whole("honest")
    assert heard.changes == [("honest", ServiceStateChange.Added)]


async def test_attack_16_a_forged_flush_of_all_pointers_expires_none(heard: Listening) -> None:
    """A pointer with the cache-flush bit makes zeroconf give all others a second to live."""
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


@pytest.mark.parametrize("is_known", [False, True])
async def test_attack_16_a_record_that_is_repeated_expires_once(heard: Listening, is_known: bool) -> None:
    """zeroconf's cleanup removed such a record twice, failed and never ran again."""
    out, full = DNSOutgoing(0x8400), f"forged.{SERVICE}"
    for lifetime in (1200, 1300, 1200):
        out.add_answer_at_time(DNSPointer(SERVICE, 12, 1, lifetime, full), 0)
    if is_known:
        heard.hear(pointers(["forged"]), FLOODER)
    heard.hear(bytes(out.packets()[0]), FLOODER)
    assert aliases(heard.expired()) == [full]
    assert heard.records == 0


async def test_a_name_in_capitals_does_not_take_the_place_of_one(heard: Listening) -> None:
    heard.hear(whole("honest", SERVICE), HONEST)
    heard.hear(pointers(["HONEST", "OTHER"]), FLOODER)
    assert aliases(heard.zeroconf.cache.entries_with_name(SERVICE)) == [f"honest.{SERVICE}"]
    assert heard.changes == [("honest", ServiceStateChange.Added)]


async def test_attack_16_a_record_whose_name_was_repeated_in_capitals_expires_once(heard: Listening) -> None:
    heard.hear(pointers(["honest"]), HONEST)
    for _ in range(3):
        heard.hear(pointers(["HONEST"]), FLOODER)
    assert aliases(heard.expired()) == [f"honest.{SERVICE}"]


async def test_attack_16_questions_with_long_lists_of_answers_are_soon_forgotten(heard: Listening) -> None:
    """Each packet asks in a class of its own, with 50 known answers."""
    own = AsyncServiceInfo(SERVICE, f"own.{SERVICE}", port=1, server="own.local.", addresses=[bytes(4)])
    await heard.zeroconf.async_register_service(own, cooperating_responders=True)
    for number in range(4 * bounds.QUESTIONS_KEPT):
        out = DNSOutgoing(0)
        out.add_question(DNSQuestion(SERVICE, 12, number + 2))
        for each in range(50):
            out.add_answer_at_time(DNSPointer(SERVICE, 12, 1, 4500, f"x{number}x{each}.{SERVICE}"), 0)
        heard.hear(out.packets()[0], FLOODER)
        assert len(heard.zeroconf.question_history._history) <= bounds.QUESTIONS_KEPT


def test_attack_16_one_sender_does_not_use_up_what_others_may_send() -> None:
    senders = Senders(0.0)
    flooded = sum(senders.admit(b"\0\0\x84", FLOODER, 0.0) for _ in range(5_000))
    assert flooded == bounds.PACKETS_AT_ONCE
    assert senders.admit(b"\0\0\x84", HONEST, 0.0)
    assert senders.admit(b"\0\0\x84", FLOODER, 1.0)


def test_attack_16_senders_are_counted_within_a_bound() -> None:
    senders = Senders(0.0)
    for number in range(3 * bounds.SENDERS_MAX):
        senders.admit(b"\0\0\x84", f"10.0.{number // 256}.{number % 256}", 0.0)
    assert len(senders._buckets) <= bounds.SENDERS_MAX


def test_attack_16_long_packets_and_many_cut_questions_are_not_read() -> None:
    """zeroconf would keep each cut question for half a second, for its other half."""
    senders = Senders(0.0)
    assert not senders.admit(bytes(bounds.PACKET_MAX + 1), HONEST, 0.0)
    cut = [senders.admit(b"\0\0\x02", f"10.0.0.{number}", 0.0) for number in range(200)]
    assert sum(cut) == bounds.TRUNCATED_A_SECOND
    assert senders.admit(b"\0\0\0", HONEST, 0.0)


class Answers:
    """Answers a question after a second, with what `answers` says for a name at an attempt."""

    def __init__(self, good_at: int = 1) -> None:
        self.good_at = good_at
        self.asked: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self.failed: list[BaseException] = []
        self.tasks = Tasks(self.failed.append)
        self.resolver = Resolver(self.resolve, self.tasks)

    async def resolve(self, name: str) -> bool:
        self.asked[name] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(1.0)
        finally:
            self.at_once -= 1
        return self.asked[name] >= self.good_at


async def played(names: list[str], good_at: int) -> Answers:
    """What was asked when these names were wanted and a thousand seconds have passed."""
    network = Answers(good_at)
    for name in names:
        network.resolver.want(name)
    await asyncio.sleep(1000)
    await network.tasks.stop()
    assert not network.failed
    return network


@in_virtual_time
async def test_a_name_is_asked_for_until_it_answers_or_four_times() -> None:
    for wanted, good_at, asked in ((1, 1, 1), (10, 1, 1), (1, 3, 3), (1, 99, bounds.ATTEMPTS)):
        assert (await played(["a"] * wanted, good_at)).asked == {"a": asked}


@in_virtual_time
async def test_attack_16_a_flood_of_names_makes_few_questions() -> None:
    """A packet full of invented names must not turn this terminal into a source of questions."""
    names = [f"n{number}" for number in range(5000)]
    network = await played(names, good_at=99)
    assert network.most_at_once == bounds.AT_ONCE
    assert sum(network.asked.values()) <= (bounds.AT_ONCE + bounds.WAITING_MAX) * bounds.ATTEMPTS
    assert "n4999" in network.asked


@in_virtual_time
async def test_what_is_forgotten_is_asked_no_more() -> None:
    network = Answers(good_at=99)
    for number in range(bounds.AT_ONCE + 2):
        network.resolver.want(f"n{number}")
    await asyncio.sleep(0.5)
    network.resolver.forget("n0")
    await asyncio.sleep(0.5)
    network.resolver.forget_all()
    await asyncio.sleep(100)
    assert not network.failed
    assert list(network.asked.values()) == [1] * (bounds.AT_ONCE + 1)


@in_virtual_time
async def test_attack_16_names_that_come_and_go_make_few_questions() -> None:
    """A flood that evicts its own names gives their turns to the next ones."""
    network = Answers(good_at=99)
    for number in range(1000):
        network.resolver.want(f"n{number}", "flooder")
        await asyncio.sleep(0.01)
        network.resolver.forget(f"n{number}")
    network.resolver.forget_all()
    await network.tasks.stop()
    assert sum(network.asked.values()) <= bounds.BEGUN_AT_ONCE + bounds.A_SECOND * 10


@in_virtual_time
async def test_senders_of_names_take_turns() -> None:
    network = Answers()
    for number in range(bounds.WAITING_MAX):
        network.resolver.want(f"n{number}", "flooder")
    network.resolver.want("honest", "neighbour")
    await asyncio.sleep(2.5)
    network.resolver.forget_all()
    await network.tasks.stop()
    assert network.asked["honest"] == 1


ONE = Announcement("one", ("10.0.0.1",), 4747, (bytes(8),) * 32)


def test_each_thing_is_told_once() -> None:
    ears = mock.Mock()
    peers, moved = PeerTable(ears), replace(ONE, port=4748)
    for announcement in (ONE, ONE, moved, moved):
        peers.found(announcement)
    for instance in ("one", "one", "never seen"):
        peers.lost(instance)
    assert ears.mock_calls == [mock.call.found(ONE), mock.call.found(moved), mock.call.lost("one")]


def test_attack_16_a_flood_pushes_out_the_oldest_and_keeps_no_more() -> None:
    ears = mock.Mock()
    peers = PeerTable(ears)
    for number in range(bounds.KNOWN_MAX + 10):
        peers.found(replace(ONE, instance=f"n{number}"))
        assert len(peers) <= bounds.KNOWN_MAX
    assert ears.lost.mock_calls == [mock.call(f"n{number}") for number in range(10)]


def test_after_a_change_of_network_only_who_is_heard_again_stays() -> None:
    ears, two = mock.Mock(), replace(ONE, instance="two")
    peers = PeerTable(ears)
    peers.found(ONE)
    peers.found(two)
    peers.doubt()
    peers.found(two)
    peers.found(replace(ONE, instance="three"))
    ears.reset_mock()
    for _ in range(2):
        peers.settle()
    assert ears.mock_calls == [mock.call.lost("one")]
