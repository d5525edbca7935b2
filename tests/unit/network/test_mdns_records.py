"""What the mDNS browser keeps, drops, reports and asks, record by record."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from types import SimpleNamespace
from unittest import mock

import pytest
from msgspec.structs import replace
from zeroconf import ServiceStateChange, Zeroconf, current_time_millis
from zeroconf._dns import DNSAddress, DNSPointer, DNSRecord, DNSService, DNSText
from zeroconf._protocol.incoming import DNSIncoming
from zeroconf._protocol.outgoing import DNSOutgoing
from zeroconf.asyncio import AsyncZeroconf

from chat.network import mdns_browser as module
from chat.network.mdns_browser import Browser, Gate, PeerTable, Resolver, Senders
from chat.ports import Announcement
from chat.tasks import Tasks
from protocol.discovery import SERVICE, TEXT_MAX
from tests.support.engines.engines import in_virtual_time
from tests.support.lab.virtual import VirtualClock, run_virtual
from tests.support.network.mdns import packet_of

ADDED, UPDATED, REMOVED = ServiceStateChange.Added, ServiceStateChange.Updated, ServiceStateChange.Removed
HERE, THERE = "10.77.0.2", "10.77.0.3"
Change = tuple[str, ServiceStateChange]


def name(instance: str) -> str:
    return f"{instance}.{SERVICE}"


def pointer(instance: str, ttl: int = 4500) -> DNSPointer:
    return DNSPointer(SERVICE, 12, 1, ttl, name(instance))


def service(instance: str, host: str, port: int = 1, ttl: int = 4500) -> DNSService:
    return DNSService(name(instance), 33, 1, ttl, 0, 0, port, host)


def text(instance: str, value: bytes = b"\1a", ttl: int = 4500) -> DNSText:
    return DNSText(name(instance), 16, 1, ttl, value)


def address(host: str, last: int = 1, ttl: int = 4500) -> DNSAddress:
    return DNSAddress(host, 1, 1, ttl, bytes([10, 0, 0, last]))


class Listening:
    """A browser without its questions, on a zeroconf that hears what the test says."""

    def __init__(self, zeroconf: Zeroconf) -> None:
        self.zeroconf = zeroconf
        self._changes: list[Change] = []
        tasks = mock.Mock(spawn=lambda work: work.close() or mock.Mock())
        self.browser = Browser(zeroconf, self._browsed, tasks, mock.Mock())
        self.browser._guard()

    def _browsed(self, _: Zeroconf, service: str, name: str, change: ServiceStateChange) -> None:
        assert service == SERVICE
        self._changes.append((name.partition(".")[0], change))

    def hear(self, *records: DNSRecord, sender: str = HERE) -> list[Change]:
        """The changes that a packet with these records brings."""
        gate = self.zeroconf.engine.readers[0].transport.get_protocol()
        assert isinstance(gate, Gate)
        gate.datagram_received(packet_of(records), (sender, 5353))
        changes, self._changes = self._changes, []
        return changes

    @property
    def cached(self) -> set[str]:
        """What the cache has: the kind, and what tells it from others of its kind."""
        records = [record for each in self.zeroconf.cache.cache.values() for record in each]
        return {_short(record) for record in records}


def _short(record: DNSRecord) -> str:
    if isinstance(record, DNSPointer):
        return f"pointer {record.alias.partition('.')[0]}"
    if isinstance(record, DNSService):
        return f"service {record.key.partition('.')[0]} {record.server}"
    if isinstance(record, DNSText):
        return f"text {record.key.partition('.')[0]} {record.text.decode()}"
    assert isinstance(record, DNSAddress)
    return f"address {record.key} {record.address[-1]}"


@pytest.fixture
async def heard() -> AsyncIterator[Listening]:
    zeroconf = AsyncZeroconf(interfaces=["127.0.0.1"])
    await zeroconf.zeroconf.async_wait_for_start()
    listening = Listening(zeroconf.zeroconf)
    yield listening
    listening.browser.stop()
    await zeroconf.async_close()


async def test_each_new_record_of_an_instance_is_reported_and_repetitions_are_not(heard: Listening) -> None:
    assert heard.hear(pointer("a")) == [("a", ADDED)]
    assert heard.hear(text("a"), service("a", "h.local.")) == [("a", UPDATED)]
    assert heard.hear(address("h.local.")) == [("a", UPDATED)]
    assert heard.hear(address("h.local."), text("a"), service("a", "h.local."), pointer("a")) == []
    assert heard.cached == {"pointer a", "text a \1a", "service a h.local.", "address h.local. 1"}
    assert heard.browser.sender(name("a")) == HERE
    assert heard.browser.sender(name("b")) == ""


async def test_records_in_any_order_within_a_packet_make_an_instance_that_was_added(heard: Listening) -> None:
    whole = [address("h.local."), text("a"), service("a", "h.local."), pointer("a")]
    assert heard.hear(*whole) == [("a", ADDED)]
    assert len(heard.cached) == 4


async def test_the_sender_is_the_first_one(heard: Listening) -> None:
    heard.hear(pointer("a"))
    heard.hear(pointer("a"), text("a"), sender=THERE)
    assert heard.browser.sender(name("a")) == HERE


@pytest.mark.parametrize(
    "record",
    [
        text("stranger"),
        service("stranger", "h.local."),
        address("h.local."),
        DNSPointer(SERVICE, 12, 3, 4500, name("a")),
        DNSPointer("_ipp._tcp.local.", 12, 1, 4500, name("a")),
        DNSPointer(SERVICE, 12, 1, 4500, "other.local."),
        DNSPointer(SERVICE, 5, 1, 4500, name("a")),
        DNSText(name("known"), 16, 3, 4500, b"\1a"),
    ],
)
async def test_a_record_of_no_instance_is_not_kept(heard: Listening, record: DNSRecord) -> None:
    heard.hear(pointer("known"))
    assert heard.hear(record) == []
    assert heard.cached == {"pointer known"}


async def test_a_text_longer_than_any_announcement_is_not_kept(heard: Listening) -> None:
    heard.hear(pointer("a"))
    assert heard.hear(text("a", b"x" * TEXT_MAX)) == [("a", UPDATED)]
    assert heard.hear(text("a", b"x" * (TEXT_MAX + 1))) == []
    assert heard.cached == {"pointer a", f"text a {'x' * TEXT_MAX}"}


async def test_a_changed_record_replaces_the_old_one_in_the_cache(heard: Listening) -> None:
    heard.hear(pointer("a"), text("a"), service("a", "h.local."), address("h.local."))
    assert heard.hear(text("a", b"\1b")) == [("a", UPDATED)]
    assert heard.hear(service("a", "h.local.", port=2)) == [("a", UPDATED)]
    assert heard.cached == {"pointer a", "text a \1b", "service a h.local.", "address h.local. 1"}
    assert len(heard.zeroconf.cache.entries_with_name(name("a"))) == 2
    assert heard.hear(service("a", "new.local.")) == [("a", UPDATED)]
    assert heard.cached == {"pointer a", "text a \1b", "service a new.local."}
    assert heard.hear(address("h.local.")) == []
    assert heard.hear(address("new.local.", 2)) == [("a", UPDATED)]


async def test_two_instances_on_one_host_share_its_addresses(heard: Listening) -> None:
    heard.hear(*(pointer(each) for each in "ab"), *(service(each, "h.local.") for each in "ab"))
    assert sorted(heard.hear(address("h.local."))) == [("a", UPDATED), ("b", UPDATED)]
    assert heard.hear(pointer("a", ttl=0)) == [("a", REMOVED)]
    assert heard.cached == {"pointer b", "service b h.local.", "address h.local. 1"}
    assert heard.hear(pointer("b", ttl=0)) == [("b", REMOVED)]
    assert heard.cached == set()
    assert (heard.browser._hosts, heard.browser._instances, len(heard.browser._known)) == ({}, {}, 0)


async def test_a_host_keeps_its_newest_addresses(heard: Listening) -> None:
    heard.hear(pointer("a"), service("a", "h.local."))
    for last in range(module.HOST_ADDRESSES_MAX):
        heard.hear(address("h.local.", last))
    heard.hear(address("h.local.", 0, ttl=4400))
    assert len(heard.cached) == 2 + module.HOST_ADDRESSES_MAX
    heard.hear(address("h.local.", 200))
    assert len(heard.cached) == 2 + module.HOST_ADDRESSES_MAX
    assert {"address h.local. 0", "address h.local. 200"} < heard.cached
    assert "address h.local. 1" not in heard.cached


@pytest.mark.parametrize(
    ("gone", "again"),
    [
        (text("a", ttl=0), text("a")),
        (service("a", "h.local.", ttl=0), service("a", "h.local.")),
        (address("h.local.", ttl=0), address("h.local.")),
    ],
    ids=["text", "service", "address"],
)
async def test_a_record_that_is_withdrawn_alone_is_dropped_alone(
    heard: Listening, gone: DNSRecord, again: DNSRecord
) -> None:
    heard.hear(pointer("a"), text("a"), service("a", "h.local."), address("h.local."))
    assert heard.hear(gone) == []
    instance = heard.browser._instances[name("a")]
    assert (instance.text is None) is isinstance(gone, DNSText)
    assert (instance.service is None) is isinstance(gone, DNSService)
    assert ("h.local." in heard.browser._hosts) is not isinstance(gone, DNSService)
    assert ("address h.local. 1" in heard.cached) is isinstance(gone, DNSText)
    assert heard.hear(again) == [("a", UPDATED)]


async def test_a_withdrawal_of_what_is_not_kept_changes_nothing(heard: Listening) -> None:
    heard.hear(pointer("a"), text("a"), service("a", "h.local."), address("h.local."))
    others = [
        pointer("b", ttl=0),
        text("b", ttl=0),
        text("a", b"\1b", ttl=0),
        service("a", "h.local.", port=9, ttl=0),
        address("other.local.", ttl=0),
        DNSPointer("_ipp._tcp.local.", 12, 1, 0, name("a")),
    ]
    assert [heard.hear(other) for other in others] == [[]] * 6
    assert heard.cached == {"pointer a", "text a \1a", "service a h.local.", "address h.local. 1"}
    assert heard.browser._instances[name("a")].text is not None
    assert heard.browser._instances[name("a")].service is not None


async def test_a_pointer_that_expires_takes_its_instance_with_it(heard: Listening) -> None:
    heard.hear(pointer("a", ttl=4500), text("a"), service("a", "h.local."), address("h.local."))
    browser, now = heard.browser, current_time_millis()
    left = (browser._instances[name("a")].until - now) / 1000
    assert 4_400 < left < 4_501
    browser._drop_pointer(name("a"), was_withdrawn=False, now=now + 4_600_000)
    assert heard.cached == set()
    assert browser._changes == {name("a"): REMOVED}


async def test_a_pointer_that_zeroconf_removed_too_early_gets_the_rest_of_its_life_back(
    heard: Listening,
) -> None:
    heard.hear(pointer("a"))
    instance, now = heard.browser._instances[name("a")], current_time_millis()
    instance.until = now + 77_900
    heard.zeroconf.cache.async_remove_records((instance.pointer,))
    heard.browser._drop_pointer(name("a"), was_withdrawn=False, now=now)
    (again,) = heard.zeroconf.cache.entries_with_name(SERVICE)
    assert isinstance(again, DNSPointer)
    assert (again.alias, again.ttl, again.created) == (name("a"), 77, now)
    assert heard.browser._instances[name("a")].pointer is again
    instance.until = now + 999
    heard.browser._drop_pointer(name("a"), was_withdrawn=False, now=now)
    assert name("a") not in heard.browser._instances


async def test_what_is_added_or_removed_is_not_reported_as_updated(heard: Listening) -> None:
    browser = heard.browser
    for first, second, said in [
        (ADDED, UPDATED, ADDED), (REMOVED, UPDATED, REMOVED), (UPDATED, ADDED, ADDED),
        (UPDATED, REMOVED, REMOVED), (ADDED, REMOVED, REMOVED), (UPDATED, UPDATED, UPDATED),
    ]:  # fmt: skip
        browser._note("a", first)
        browser._note("a", second)
        assert browser._changes.pop("a") is said


async def test_a_stopped_browser_hears_nothing_and_asks_nothing() -> None:
    zeroconf, asking = mock.Mock(), mock.Mock()
    tasks = mock.Mock(spawn=lambda work: work.close() or asking)
    browser = Browser(zeroconf, mock.Mock(), tasks, mock.Mock())
    zeroconf.async_add_listener.assert_called_once_with(browser, None)
    browser.stop()
    zeroconf.async_remove_listener.assert_called_once_with(browser)
    asking.cancel.assert_called_once_with()


def _asked(seconds: float, *instances: tuple[str, float]) -> list[tuple[float, bool, list[str]]]:
    """Each question within these seconds: the time, whether by unicast, and the instances named as known."""

    async def scenario(clock: VirtualClock) -> list[tuple[float, bool, list[str]]]:
        asked: list[tuple[float, bool, list[str]]] = []

        def send(out: DNSOutgoing) -> None:
            read = DNSIncoming(out.packets()[0])
            (question,) = read.questions
            assert (question.name, question.type, question.class_) == (SERVICE, 12, 1)
            assert read.is_query()
            known = [record.alias for record in read.answers() if isinstance(record, DNSPointer)]
            asked.append((round(clock.monotonic(), 6), question.unicast, known))

        zeroconf = mock.Mock(async_send=send, engine=SimpleNamespace(readers=[]))
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        browser = Browser(zeroconf, mock.Mock(), Tasks(mock.Mock()), started)  # type: ignore[arg-type]
        now = current_time_millis()
        for instance, age in instances:
            record = DNSPointer(SERVICE, 12, 1, 4500, name(instance), now - age * 1000)
            browser._instances[name(instance)] = module._Instance("", record, 0.0)
        await asyncio.sleep(5)
        assert asked == []
        started.set_result(None)
        await asyncio.sleep(seconds)
        return asked

    return run_virtual(scenario)


def test_it_asks_often_at_first_and_then_twice_in_the_life_of_a_pointer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spread = mock.Mock(return_value=0.1)
    monkeypatch.setattr(random, "uniform", spread)
    times = [5.1, 5.1, 6.1, 10.1, 19.1, 559.1, 1099.1]
    asked = _asked(1100)
    assert [time for time, _, _ in asked] == times
    assert [unicast for _, unicast, _ in asked] == [True] + [False] * 6
    spread.assert_called_once_with(0.02, 0.12)


def test_it_names_what_it_knows_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda *ends: 0.1)
    asked = _asked(0.5, ("young", 2_000.0), ("old", 2_400.0))
    assert [known for _, _, known in asked] == [[name("young")], [name("young")]]


async def test_a_gate_notes_the_sender_for_the_time_of_a_packet_only() -> None:
    listener, senders, history = mock.Mock(), Senders(0.0), mock.Mock()
    gate = Gate(listener, senders, history)
    seen: list[str] = []
    listener.datagram_received.side_effect = lambda data, addr: seen.append(senders.current)
    gate.datagram_received(b"\0\0\0", (HERE, 5353))
    listener.datagram_received.side_effect = ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        gate.datagram_received(b"\0\0\0", (HERE, 5353))
    assert (seen, senders.current) == ([HERE], "")
    error = OSError()
    gate.error_received(error)
    gate.connection_lost(error)
    listener.error_received.assert_called_once_with(error)
    listener.connection_lost.assert_called_once_with(error)


@pytest.mark.parametrize(
    ("data", "counts"), [(b"\0\0\0", True), (b"\0\0\x03", True), (b"\0\0\x80", False), (b"\0\0", False)]
)
async def test_after_so_many_questions_zeroconf_forgets_them(data: bytes, counts: bool) -> None:
    history = mock.Mock()
    gate = Gate(mock.Mock(), Senders(0.0), history)
    for _ in range(2 * module.QUESTIONS_KEPT - 1):
        gate.datagram_received(data, (HERE, 5353))
    assert history.clear.call_count == counts


async def test_gates_stand_before_all_sockets_once(heard: Listening) -> None:
    gates = [reader.transport.get_protocol() for reader in heard.zeroconf.engine.readers]
    assert gates
    assert all(isinstance(gate, Gate) for gate in gates)
    heard.browser._guard()
    assert [reader.transport.get_protocol() for reader in heard.zeroconf.engine.readers] == gates


@pytest.mark.parametrize(
    ("data", "admitted"),
    [
        (bytes(module.PACKET_MAX), 1_000),
        (bytes(module.PACKET_MAX + 1), 0),
        (b"\0\0\x02", 64),
        (b"\0\0\x03", 64),
        (b"\0\0\x82", 1_000),
        (b"\0\0\x80", 1_000),
        (b"\0\0", 1_000),
        (b"", 1_000),
    ],
    ids=repr,
)
def test_packets_of_each_kind_are_admitted_up_to_their_rate(data: bytes, admitted: int) -> None:
    senders = Senders(5.0)
    assert sum(senders.admit(data, HERE, 5.0) for _ in range(2_000)) == admitted


def test_the_sender_not_heard_for_longest_is_forgotten() -> None:
    senders = Senders(0.0)
    for sender in ("first", "second", *(f"{number}" for number in range(module.SENDERS_MAX - 2))):
        for _ in range(int(module.PACKETS_AT_ONCE) if sender in ("first", "second") else 1):
            assert senders.admit(b"\0\0\0", sender, 0.0)
    assert not senders.admit(b"\0\0\0", "first", 0.0)
    assert senders.admit(b"\0\0\0", "new", 0.0)
    assert not senders.admit(b"\0\0\0", "first", 0.0), "it was heard since"
    assert senders.admit(b"\0\0\0", "second", 0.0), "it was forgotten"


def test_an_instance_found_again_with_a_change_is_the_newest() -> None:
    ears = mock.Mock()
    peers = PeerTable(ears)
    one = Announcement("0", ("10.0.0.1",), 4747, (bytes(8),) * 32)
    for number in range(module.KNOWN_MAX):
        peers.found(replace(one, instance=str(number)))
    peers.found(replace(one, port=1))
    peers.found(replace(one, instance="new"))
    assert ears.lost.mock_calls == [mock.call("1")]
    assert len(peers) == module.KNOWN_MAX


def _resolved(wanted: Iterable[tuple[float, str, str]], until: float = 1_000) -> list[tuple[float, str]]:
    """The attempts, none of which succeeds, when names are wanted at these times by these senders."""

    async def scenario(clock: VirtualClock) -> list[tuple[float, str]]:
        attempts: list[tuple[float, str]] = []

        async def resolve(name: str) -> bool:
            attempts.append((round(clock.monotonic(), 6), name))
            return False

        resolver = Resolver(resolve, Tasks(mock.Mock()))
        for time, name_, sender in wanted:
            await asyncio.sleep(time - clock.monotonic())
            resolver.want(name_, sender)
        await asyncio.sleep(until - clock.monotonic())
        return attempts

    return run_virtual(scenario)


def test_pauses_between_the_attempts_double() -> None:
    assert _resolved([(2.0, "a", HERE)]) == [(2.0, "a"), (3.0, "a"), (5.0, "a"), (9.0, "a")]
    again = _resolved([(2.0, "a", HERE), (2.5, "a", HERE), (9.5, "a", HERE)])
    assert [time for time, _ in again] == [2.0, 3.0, 5.0, 9.0, 9.5, 10.5, 12.5, 16.5]


def test_names_wait_for_a_place_and_for_their_turn() -> None:
    names = [(0.0, f"n{number}", HERE) for number in range(module.AT_ONCE)]
    attempts = _resolved([*names, (0.0, "late", HERE), (0.0, "other", THERE), (0.5, "late", HERE)])
    begun = {name: time for time, name in reversed(attempts)}
    assert [begun[f"n{number}"] for number in range(module.AT_ONCE)] == [0.0] * module.AT_ONCE
    assert begun["late"] == begun["other"] == 7.0


@in_virtual_time
async def test_names_beyond_the_rate_are_begun_at_the_rate() -> None:
    begun: list[float] = []
    loop = asyncio.get_running_loop()

    async def resolve(name: str) -> bool:
        begun.append(loop.time())
        return True

    resolver = Resolver(resolve, Tasks(mock.Mock()))
    for number in range(40):
        resolver.want(f"n{number}", str(number))
        await asyncio.sleep(0)
    await asyncio.sleep(1.9)
    assert begun == pytest.approx([0.0] * 32 + [0.25 * each for each in range(1, 8)])
    assert resolver._timer is not None
    resolver.forget_all()
    assert resolver._timer is None
    await asyncio.sleep(10)
    assert len(begun) == 39
