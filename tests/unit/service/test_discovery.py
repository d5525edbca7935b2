"""Announcements of this terminal and of others, its port, and the addresses of contacts."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine, Sequence
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace

from chat.config import Config
from chat.errors import CannotCreate, UsageError
from chat.interface import NearbyChanged, NearbyView, Notice, VisibilityChanged
from chat.network.links import Peer
from chat.ports import Announcement
from chat.service import discovery as module
from chat.service.discovery import AGAIN, AddressBook, Announcer, ListeningPort
from chat.service.events import NetworkChanged, TerminalFound
from chat.service.keyring import Visibility
from chat.service.state import ContactBook
from chat.storage import contacts, persons
from chat.storage.errors import StorageFull
from chat.storage.persons import AddressRow
from chat.tasks import Beat, Tasks
from protocol.discovery import Known, make_slots, utc_day
from tests.support.engines.engines import play
from tests.support.lab.virtual import EPOCH_MS, VirtualClock, seeded

KNOWN = Known(b"person", b"terminal", b"static", b"k" * 32)
PEER = Peer(KNOWN.person, KNOWN.static)
DAY_MS = 86_400_000
TODAY = utc_day(EPOCH_MS)


class Parts:
    """An announcer among mocks, on virtual time."""

    def __init__(self) -> None:
        loop: Any = asyncio.get_running_loop()
        self.clock = VirtualClock(loop)
        self.failed, self.bus, self.store, self.discovery = (mock.Mock() for _ in range(4))
        runtime: Any = SimpleNamespace(
            beat=Beat(),
            clock=self.clock,
            config=Config(),
            random=seeded("discovery"),
            tasks=Tasks(self.failed),
        )
        self.discovery.start, self.discovery.announce = mock.AsyncMock(), mock.AsyncMock()
        self.store.read = mock.AsyncMock(return_value=["latest"])
        self.keyring = mock.Mock(found={}, remembered={})
        self.keyring.announcers.return_value = [KNOWN]
        self.keyring.linkable.return_value = []
        self.keyring.viewers.return_value = []
        self.keyring.own_log.name = "Ada"
        self.keyring.identity.static.public = b"own"
        self.visibility = Visibility()
        book = self.book = ContactBook({}, {})
        self.transport = mock.Mock()
        self.transport.addresses.return_value = ("10.0.0.1",)
        port: Any = SimpleNamespace(number=4747)
        self.announcer = Announcer(
            runtime, self.store, self.bus, self.keyring, self.visibility, Visibility(), book, port,
            self.transport, self.discovery,
        )  # fmt: skip

    @property
    def announced(self) -> list[Announcement]:
        return [call.args[0] for call in self.discovery.announce.await_args_list]

    @property
    def published(self) -> list[Any]:
        """The events since the last look."""
        calls = [call.args[0] for call in self.bus.publish.call_args_list]
        self.bus.publish.reset_mock()
        return calls

    @property
    def signals(self) -> list[Any]:
        """The signals since the last look."""
        calls = [call.args[0] for call in self.bus.signal.call_args_list]
        self.bus.signal.reset_mock()
        return calls


def run(scenario: Callable[[Parts], Coroutine[Any, Any, None]]) -> None:
    async def begin() -> None:
        parts = Parts()
        await scenario(parts)
        parts.failed.assert_not_called()

    play(begin, limit=3 * 86_400)


def of_contact(
    instance: str, hosts: Sequence[str] = ("10.0.0.7",), day: int = TODAY, name: str = ""
) -> Announcement:
    slots = make_slots([KNOWN.key], day, KNOWN.static, instance, 4747, hosts, seeded(instance))
    return Announcement(instance, tuple(hosts), 4747, slots, name)


def of_stranger(instance: str, name: str = "") -> Announcement:
    return Announcement(instance, ("10.0.0.9",), 4748, (bytes(8),) * 32, name)


def test_it_announces_at_the_start_and_once_for_all_requests_that_come_meanwhile() -> None:
    async def scenario(parts: Parts) -> None:
        await parts.announcer.start()
        parts.discovery.start.assert_awaited_once_with(parts.announcer)
        await asyncio.sleep(1)
        (first,) = parts.announced
        assert (first.addresses, first.port, first.name, len(first.slots)) == (("10.0.0.1",), 4747, "", 32)
        for _ in range(3):
            parts.announcer.renew()
        await asyncio.sleep(1)
        parts.announcer.network_changed()
        assert parts.signals == [NetworkChanged()]
        await asyncio.sleep(1)
        assert len({one.instance for one in parts.announced}) == len(parts.announced) == 3

    run(scenario)


@pytest.mark.parametrize("error", [OSError(), UsageError("no")])
def test_an_announcement_that_fails_is_repeated(error: Exception) -> None:
    async def scenario(parts: Parts) -> None:
        parts.discovery.announce.side_effect = [error, None]
        await parts.announcer.start()
        await asyncio.sleep(AGAIN - 0.1)
        assert len(parts.announced) == 1
        await asyncio.sleep(0.2)
        assert len(parts.announced) == 2
        await asyncio.sleep(100)
        assert len(parts.announced) == 2

    run(scenario)


@pytest.mark.parametrize(("count", "asks"), [(128, False), (129, True)])
def test_those_written_to_last_are_asked_for_when_not_all_find_a_slot(count: int, asks: bool) -> None:
    async def scenario(parts: Parts) -> None:
        parts.keyring.linkable.return_value = [bytes(32)] * count
        await parts.announcer._announcement()
        parts.keyring.viewers.assert_called_once_with(["latest"] if asks else [])
        asked = [mock.call(contacts.spoken_to, parts.keyring.own.terminal)] if asks else []
        assert parts.store.read.await_args_list == asked

    run(scenario)


def test_the_name_is_shown_while_it_is_visible() -> None:
    async def scenario(parts: Parts) -> None:
        await parts.announcer.start()
        parts.book.rows[b"person"] = mock.Mock()
        await asyncio.sleep(1)
        for on in (True, True, False, False):
            parts.announcer.set_visible(on)
            await asyncio.sleep(1)
        assert [one.name for one in parts.announced] == ["", "Ada", ""]
        assert parts.published == [VisibilityChanged(True), VisibilityChanged(False)]
        parts.announcer.set_visible(True)
        await asyncio.sleep(60)
        parts.announcer.set_visible(True)
        await asyncio.sleep(Config().visible_for - 0.1)
        parts.announcer.tick()
        assert parts.visibility.visible
        await asyncio.sleep(0.2)
        parts.announcer.tick()
        assert not parts.visibility.visible
        assert parts.published == [VisibilityChanged(True), VisibilityChanged(False)]

    run(scenario)


def test_without_contacts_it_stays_visible() -> None:
    async def scenario(parts: Parts) -> None:
        parts.announcer.set_visible(True)
        for _ in range(3):
            await asyncio.sleep(Config().visible_for)
            parts.announcer.tick()
            assert parts.visibility.visible
            assert not parts.visibility.expired(parts.clock.monotonic() + Config().visible_for - 1)
        assert parts.published == [VisibilityChanged(True)]

    run(scenario)


def test_a_new_day_makes_a_new_announcement() -> None:
    async def scenario(parts: Parts) -> None:
        await parts.announcer.start()
        await asyncio.sleep(1)
        parts.announcer.tick()
        await asyncio.sleep(1)
        assert len(parts.announced) == 1
        parts.clock.offset_ms = DAY_MS
        for _ in range(3):
            parts.announcer.tick()
            await asyncio.sleep(1)
        assert len(parts.announced) == 2

    run(scenario)


def test_a_contact_is_found_with_its_addresses_the_newest_first_and_a_goodbye_takes_none_away() -> None:
    async def scenario(parts: Parts) -> None:
        announcer = parts.announcer
        announcer.found(of_contact("one", ["10.0.0.7", "10.0.0.8"]))
        announcer.found(of_contact("two", ["10.0.0.8", "10.0.0.9"]))
        assert parts.signals == [TerminalFound(PEER)] * 2
        hosts = ["10.0.0.8", "10.0.0.9", "10.0.0.7"]
        assert parts.keyring.found[PEER] == tuple((host, 4747) for host in hosts)
        assert announcer.announced() == {
            PEER: [(host, 4747) for host in ("10.0.0.7", "10.0.0.8", "10.0.0.8", "10.0.0.9")]
        }
        assert (announcer.heard, announcer.strangers(), announcer.days_ahead()) == (2, [], 0)
        announcer.lost("two")
        announcer.lost("two")
        assert parts.keyring.found[PEER][0] == ("10.0.0.8", 4747)
        assert list(announcer.announced()) == [PEER]
        announcer.lost("one")
        assert (announcer.announced(), announcer.heard) == ({}, 0)
        assert parts.published == []

    run(scenario)


def test_addresses_found_are_kept_within_a_bound() -> None:
    async def scenario(parts: Parts) -> None:
        for number in range(module.PLACES_FOUND + 2):
            parts.announcer.found(of_contact(f"n{number}", [f"10.0.0.{number}"]))
        found = parts.keyring.found[PEER]
        assert [host for host, _ in found] == [f"10.0.0.{number}" for number in range(65, 1, -1)]

    run(scenario)


def test_strangers_that_show_a_name_are_nearby_in_order() -> None:
    async def scenario(parts: Parts) -> None:
        announcer = parts.announcer
        announcer.found(of_stranger("z", "bob"))
        announcer.found(of_stranger("y", "Ada"))
        announcer.found(of_stranger("x", "Bob"))
        announcer.found(of_stranger("hidden"))
        announcer.found(of_contact("contact", name="Ben"))
        views = NearbyView("y", "Ada", mine=True), NearbyView("x", "Bob"), NearbyView("z", "bob")
        assert announcer.nearby() == views
        assert len(parts.published) == 3, "the hidden one and the contact change nothing"
        announcer.found(of_stranger("z", "bob"))
        assert parts.published == []
        assert announcer.places("z") == ("bob", [("10.0.0.9", 4748)])
        assert (announcer.places("hidden"), announcer.places("gone")) == (None, None)
        assert announcer.strangers() == [(("10.0.0.9", 4748),)] * 4
        announcer.lost("x")
        assert parts.published == [NearbyChanged((views[0], views[2]))]

    run(scenario)


def test_contacts_that_are_added_or_removed_are_recognised_again() -> None:
    async def scenario(parts: Parts) -> None:
        parts.keyring.announcers.return_value = []
        await parts.announcer.start()
        ben = of_contact("ben", name="Ben")
        parts.announcer.found(ben)
        assert parts.published == [NearbyChanged((NearbyView("ben", "Ben"),))]
        assert parts.announcer.days_ahead() is None
        parts.keyring.announcers.return_value = [KNOWN]
        parts.announcer.recognise_again()
        await asyncio.sleep(1)
        assert (parts.signals, parts.published) == ([TerminalFound(PEER)], [NearbyChanged(())])
        parts.keyring.announcers.return_value = []
        parts.announcer.recognise_again()
        await asyncio.sleep(1)
        assert parts.published == [NearbyChanged((NearbyView("ben", "Ben"),))]
        assert parts.announcer.announced() == {}

    run(scenario)


@pytest.mark.parametrize(
    ("day", "ahead"), [(2, 2), (-2, -2), (31, 31), (-31, -31), (32, None), (-32, None), (1, 0), (-1, 0)]
)
def test_the_days_by_which_clocks_differ_are_found_within_a_month(day: int, ahead: int | None) -> None:
    async def scenario(parts: Parts) -> None:
        parts.announcer.found(of_stranger("stranger"))
        parts.announcer.found(of_contact("contact", day=TODAY + day))
        assert parts.announcer.days_ahead() == ahead

    run(scenario)


def test_no_day_before_the_first_is_tried() -> None:
    async def scenario(parts: Parts) -> None:
        parts.clock.offset_ms = DAY_MS * 2 - EPOCH_MS
        parts.announcer.found(of_contact("contact", day=0))
        assert parts.announcer.days_ahead() == -2
        parts.clock.offset_ms = DAY_MS - EPOCH_MS
        parts.announcer._contacts.clear()
        assert parts.announcer.days_ahead() is None

    run(scenario)


def test_the_search_for_a_day_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = mock.Mock(return_value=False)
    monkeypatch.setattr(module, "is_of_day", looks)

    async def scenario(parts: Parts) -> None:
        parts.keyring.announcers.return_value = [replace(KNOWN, key=bytes([each]) * 32) for each in range(20)]
        for number in range(100):
            parts.announcer.found(of_stranger(f"n{number}"))
        parts.announcer.days_ahead()
        assert looks.call_count == 1_000, "10 days of 2,000 slots"
        looks.reset_mock()
        parts.keyring.announcers.return_value = []
        parts.announcer.days_ahead()
        looks.assert_not_called()

    run(scenario)


class Port:
    """A port among mocks; `taken` maps ports to the number of the error."""

    def __init__(self, kept: int = 0, **config: Any) -> None:
        self.taken: dict[int, int] = {}
        self.vault = mock.Mock(port=kept)
        self.bus = mock.Mock()
        self.store = mock.Mock(run=mock.AsyncMock(side_effect=lambda work: work()))
        self.listener = mock.Mock(close=mock.AsyncMock())
        self.tried: list[int] = []
        runtime: Any = SimpleNamespace(config=Config(**config))
        transport = mock.Mock(listen=self._listen)
        self.port = ListeningPort(runtime, self.store, self.bus, self.vault, transport)

    async def _listen(self, port: int, accept: Any) -> Any:
        assert accept == "accept"
        self.tried.append(port)
        if port in self.taken:
            raise OSError(self.taken[port], "no")
        self.listener.port = port
        return self.listener

    async def open(self) -> None:
        accept: Any = "accept"
        await self.port.open(accept)


async def test_the_first_port_is_kept_from_the_first_start_on() -> None:
    first = Port()
    assert first.port.number == 0
    await first.port.close()
    await first.open()
    assert (first.port.number, first.tried) == (4747, [4747])
    first.vault.set_port.assert_called_once_with(4747)
    first.bus.publish.assert_not_called()
    await first.port.close()
    first.listener.close.assert_awaited_once_with()
    second = Port(kept=5000)
    await second.open()
    assert second.tried == [5000]
    second.vault.set_port.assert_not_called()
    second.bus.publish.assert_not_called()
    chosen = Port(kept=5000, port=6000, keep_port=True)
    await chosen.open()
    assert chosen.tried == [6000]


@pytest.mark.parametrize("number", [errno.EADDRINUSE, errno.EACCES])
async def test_a_port_that_is_taken_is_followed_by_the_next_free_one(number: int) -> None:
    moved = Port(kept=5000)
    moved.taken = {5000: number, 5001: number}
    await moved.open()
    assert (moved.port.number, moved.tried) == (5002, [5000, 5001, 5002])
    moved.vault.set_port.assert_called_once_with(5002)
    (notice,) = [call.args[0] for call in moved.bus.publish.call_args_list]
    assert isinstance(notice, Notice)
    assert "5000" in str(notice.text)
    assert "5002" in str(notice.text)


async def test_a_full_disk_that_keeps_no_port_keeps_nobody_out() -> None:
    """Who wants to delete something needs the engine; a later start keeps the port."""
    moved = Port(kept=5000)
    moved.taken = {5000: errno.EADDRINUSE}
    moved.vault.set_port.side_effect = StorageFull
    await moved.open()
    assert moved.port.number == 5001
    *_, last = [call.args[0] for call in moved.bus.publish.call_args_list]
    assert last == Notice(StorageFull().phrase)


@pytest.mark.parametrize(
    ("config", "taken", "tried"),
    [
        ({"keep_port": True, "port": 6000}, {6000: errno.EADDRINUSE}, [6000]),
        ({}, {4747: errno.EADDRNOTAVAIL}, [4747]),
        ({"ports_tried": 3}, dict.fromkeys(range(4747, 4760), errno.EADDRINUSE), [4747, 4748, 4749]),
        ({"port": 65_534}, dict.fromkeys(range(65_530, 65_540), errno.EADDRINUSE), [65_534, 65_535]),
    ],
)
async def test_without_a_port_the_engine_does_not_start(
    config: dict[str, Any], taken: dict[int, int], tried: list[int]
) -> None:
    port = Port(**config)
    port.taken = taken
    with pytest.raises(CannotCreate):
        await port.open()
    assert port.tried == tried
    port.vault.set_port.assert_not_called()


class Book:
    """An address book among mocks, with a contact that has one terminal."""

    def __init__(self) -> None:
        self.terminal = SimpleNamespace(id=b"terminal", static=PEER.static)
        self.keyring = mock.Mock(remembered={})
        self.keyring.log.return_value.live = {b"terminal": self.terminal}
        self.store = mock.Mock(write=mock.AsyncMock())
        self.book = AddressBook(mock.Mock(wall=lambda: 7), self.store, self.keyring)

    @property
    def written(self) -> list[AddressRow]:
        calls = [call.args for call in self.store.write.await_args_list]
        assert all(work is persons.add_address for work, _ in calls)
        return [row for _, row in calls]


async def test_an_address_at_which_a_terminal_was_dialled_is_kept_once() -> None:
    it = Book()
    assert await it.book.met(b"person", b"terminal", "10.0.0.1", 1) == PEER
    assert await it.book.met(b"person", b"terminal", "10.0.0.1", 1) == PEER
    assert it.written == [AddressRow(b"terminal", "10.0.0.1", 1, 7)]
    assert await it.book.met(b"person", b"gone", "10.0.0.1", 1) is None
    for number in (2, 3, 2, *range(4, 11)):
        await it.book.met(b"person", b"terminal", "10.0.0.1", number)
    assert [port for _, port in it.keyring.remembered[PEER]] == [10, 9, 8, 7, 6, 5, 4, 2]
    assert len(it.written) == 11


async def test_the_address_of_a_direct_link_is_kept_with_the_port_that_the_terminal_names() -> None:
    it = Book()
    link: Any = SimpleNamespace(
        person=PEER.person, terminal=PEER.static, peer=PEER, address="10.0.0.1", relayed=False
    )
    await it.book.reached(link, 5)
    assert it.written == [AddressRow(b"terminal", "10.0.0.1", 5, 7)]
    link.relayed = True
    await it.book.reached(link, 6)
    link.relayed, link.terminal = False, b"removed"
    await it.book.reached(link, 7)
    assert len(it.written) == 1
