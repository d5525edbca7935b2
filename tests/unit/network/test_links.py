"""The open links by terminal: what is asked of them, and what is signalled when they open, falter and end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from chat.config import Config
from chat.network import links
from chat.network.links import (
    REPLACED,
    LinkLost,
    LinkNeeded,
    Links,
    LiveLink,
    Peer,
    PresenceChanged,
    RelayedLinkOpened,
    RunsTwice,
    ToldTwice,
)
from chat.tasks import Beat
from protocol.link.states import ContactPsk, Ending, LinkClosed, LinkOpen, MessageReceived, PingAnswered, Role
from protocol.messages import Ping
from tests.support.engines.engines import in_virtual_time
from tests.support.protocol.links import NAME

OWN = b"m" * 32
BEN, EVE = b"b" * 32, b"e" * 32
FIRST, SECOND = Peer(BEN, b"1" * 32), Peer(BEN, b"2" * 32)
CONFIG = Config(suspect_after=1.25, absent_after=3.0)  # exact in binary


class Hall:
    """Links among mocks, and the signals since the last look."""

    def __init__(self) -> None:
        self.now = 100.0
        self._signals: list[Any] = []
        self.unwanted: set[Peer] = set()
        self.retired: set[tuple[ContactPsk | None, bool]] = set()
        self.beat = Beat()
        runtime: Any = SimpleNamespace(
            beat=self.beat, clock=SimpleNamespace(monotonic=lambda: self.now), config=CONFIG
        )
        directory: Any = SimpleNamespace(
            identity=SimpleNamespace(static=SimpleNamespace(public=OWN)),
            may_link=lambda peer: peer not in self.unwanted,
            holds=lambda person, psk, initiates: (psk, initiates) not in self.retired,
            is_dialled=lambda peer: True,
        )
        self.links = Links(runtime, directory, self._signals.append)
        self.events = mock.AsyncMock()
        self.pings = 0

    @property
    def signals(self) -> list[Any]:
        signals = list(self._signals)
        self._signals.clear()
        return signals

    async def open(
        self,
        peer: Peer = FIRST,
        *,
        relayed: bool = False,
        role: Role = Role.INITIATOR,
        replaces: bytes = b"",
        psk: ContactPsk | None = None,
    ) -> Any:
        """The driver of a link that opened."""
        driver: Any = mock.Mock(
            connection=SimpleNamespace(peer="" if relayed else "10.0.0.1"), close=mock.AsyncMock()
        )
        driver.ping = mock.AsyncMock(side_effect=self._ping)
        driver.link.unanswered_since = None
        driver.link.should_replace.return_value = False
        session = str(id(driver)).encode()
        opened = LinkOpen(session, role, 3, peer.static, peer.person, psk, replaces)
        driver.taken = await self.links.adopt(driver, opened, self.events) is self.links
        driver.session = session
        return driver

    async def _ping(self) -> int:
        self.pings += 1
        return self.pings

    async def ended(self, driver: Any) -> None:
        await self.links.on_events(driver, [LinkClosed()])


async def test_a_direct_link_makes_its_contact_present_and_its_end_absent() -> None:
    hall = Hall()
    driver = await hall.open()
    link = hall.links.current(FIRST)
    assert link is not None
    assert (link.driver, link.peer, link.began, link.relayed) == (driver, FIRST, True, False)
    assert (link.address, link.opened_at, link.terminal) == ("10.0.0.1", 100.0, FIRST.static)
    hall.events.opened.assert_awaited_once_with(link)
    assert hall.signals == [PresenceChanged(BEN)]
    assert (hall.links.is_present(BEN), hall.links.is_relayed(BEN), hall.links.is_heard(FIRST)) == (
        True, False, True
    )  # fmt: skip
    assert hall.links.all() == hall.links.of(BEN) == hall.links.sending(BEN) == [link]
    assert (hall.links.of(EVE), hall.links.sending(EVE), hall.links.current(SECOND)) == ([], [], None)
    hall.now += 7
    await hall.ended(driver)
    hall.events.ended.assert_awaited_once_with(link)
    assert hall.signals == [PresenceChanged(BEN), LinkLost(FIRST, 7.0)]
    assert not hall.links.is_heard(FIRST)
    assert (hall.links.all(), hall.links._sets, hall.links._shown, hall.links._asked) == ([], {}, {}, set())


async def test_a_link_that_is_not_wanted_is_not_taken() -> None:
    hall = Hall()
    hall.unwanted = {FIRST}
    assert not (await hall.open()).taken
    nobody = await hall.links.adopt(
        mock.Mock(), LinkOpen(bytes(16), Role.RESPONDER, 1, bytes(32)), hall.events
    )
    assert nobody is None
    assert (hall.signals, hall.links.all()) == ([], [])


async def test_a_link_whose_opening_fails_leaves_nothing() -> None:
    hall = Hall()
    hall.events.opened.side_effect = ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        await hall.open()
    hall.events.ended.assert_awaited_once()
    assert (hall.links.all(), hall.links.current(FIRST)) == ([], None)


async def test_messages_are_passed_on_together_and_a_link_that_speaks_is_heard() -> None:
    hall = Hall()
    driver = await hall.open()
    (link,) = hall.links.all()
    hall.links._heard.clear()
    hall.links._update(FIRST)
    assert hall.signals == [PresenceChanged(BEN)] * 2
    await hall.links.on_events(driver, [MessageReceived(Ping(1)), PingAnswered(9), MessageReceived(Ping(2))])
    hall.events.received.assert_awaited_once_with(link, [Ping(1), Ping(2)])
    assert hall.signals == [PresenceChanged(BEN)]
    await hall.links.on_events(driver, [PingAnswered(10)])
    hall.events.received.assert_awaited_once()
    assert hall.signals == []


async def test_the_end_of_a_link_that_was_not_heard_does_not_make_it_heard() -> None:
    hall = Hall()
    driver = await hall.open()
    hall.links._heard.clear()
    hall.links._update(FIRST)
    assert len(hall.signals) == 2
    await hall.ended(driver)
    assert hall.signals == [LinkLost(FIRST, 0.0)]


async def test_of_two_links_the_older_is_closed_after_a_ping_on_the_newer_was_answered() -> None:
    hall = Hall()
    old = await hall.open()
    assert hall.pings == 0
    new = await hall.open(replaces=old.session)
    assert (old.ping.await_count, new.ping.await_count) == (1, 1)
    assert hall.links._asked == {(old, 1), (new, 2)}
    await hall.links.on_events(new, [PingAnswered(1)])
    await hall.links.on_events(old, [PingAnswered(2)])
    old.close.assert_not_awaited()
    await hall.links.on_events(new, [PingAnswered(2)])
    old.close.assert_awaited_once_with(REPLACED)
    new.close.assert_not_awaited()
    await hall.links.on_events(new, [PingAnswered(2)])
    old.close.assert_awaited_once()
    hall.signals  # noqa: B018
    await hall.ended(old)
    assert hall.signals == []
    assert hall.links._asked == set()
    current = hall.links.current(FIRST)
    assert current is not None
    assert current.driver is new


async def test_a_link_that_ended_before_the_ping_is_not_waited_for() -> None:
    hall = Hall()
    old = await hall.open()
    old.ping.side_effect = None
    old.ping.return_value = None
    new = await hall.open()
    assert hall.links._asked == {(new, 1)}
    await hall.ended(new)
    assert hall.links._asked == set()


async def test_no_link_of_one_terminal_ends_presence_by_another() -> None:
    hall = Hall()
    first, _ = await hall.open(FIRST), await hall.open(SECOND)
    assert hall.signals == [PresenceChanged(BEN)]
    assert len(hall.links.sending(BEN)) == 2
    await hall.ended(first)
    assert hall.signals == [LinkLost(FIRST, 0.0)]
    assert hall.links.is_present(BEN)
    assert list(hall.links._sets[BEN]) == [SECOND.static]


async def test_a_contact_is_relayed_while_all_links_that_send_to_it_are() -> None:
    hall = Hall()
    relayed = await hall.open(FIRST, relayed=True)
    assert hall.signals == [RelayedLinkOpened(FIRST, None), PresenceChanged(BEN)]
    assert hall.links.is_relayed(BEN)
    assert hall.links.sends_by_relay(FIRST)
    assert not hall.links.sends_by_relay(SECOND)
    await hall.open(SECOND)
    assert hall.signals == [PresenceChanged(BEN)]
    assert not hall.links.is_relayed(BEN)
    await hall.ended(relayed)
    assert not hall.links.is_relayed(BEN)


async def test_how_long_a_direct_link_lasted_before_a_relay_is_signalled_once() -> None:
    hall = Hall()
    await hall.open(relayed=True)
    hall.now = 110.0
    await hall.open()
    hall.now = 135.0
    await hall.open(relayed=True)
    await hall.open(relayed=True)
    opened = [signal for signal in hall.signals if isinstance(signal, RelayedLinkOpened)]
    assert [signal.direct_for for signal in opened] == [None, 25.0, None]
    fresh = Hall()
    await fresh.open()
    await fresh.open(relayed=True)
    assert RelayedLinkOpened(FIRST, None) in fresh.signals


SUSPECT, ABSENT = CONFIG.suspect_after, CONFIG.absent_after


@pytest.mark.parametrize("relayed", [True, False])
@pytest.mark.parametrize("began", [True, False])
@pytest.mark.parametrize("ageing", [True, False])
@pytest.mark.parametrize(
    ("silent", "suspect", "absent"),
    [
        (None, False, False),
        (SUSPECT, False, False),
        (SUSPECT + 0.1, True, False),
        (ABSENT, True, False),
        (ABSENT + 0.1, True, True),
    ],
)
async def test_another_link_is_needed_when_one_is_silent_or_grows_old(
    relayed: bool, began: bool, ageing: bool, silent: float | None, suspect: bool, absent: bool
) -> None:
    hall = Hall()
    hall.now = 50.0
    assert hall.links.needs_link(FIRST)
    assert hall.links.needs_relayed_link(FIRST)
    driver = await hall.open(relayed=relayed, role=Role.INITIATOR if began else Role.RESPONDER)
    driver.link.unanswered_since = None if silent is None else 50.0 - silent
    driver.link.should_replace.return_value = ageing
    old = began and ageing
    assert hall.links.needs_link(FIRST) == (suspect or old)
    assert hall.links.needs_relayed_link(FIRST) == (absent or (relayed and old))
    if began and not suspect:
        driver.link.should_replace.assert_called_with(50.0)


@in_virtual_time
async def test_a_peer_is_not_silent_while_its_link_is_not_read() -> None:
    """It has sent more than its budget, so that its answer may wait among what is not read."""
    hall = Hall()
    driver = await hall.open()
    driver.link.unanswered_since = 100.0
    (link,) = hall.links.all()
    link.delayed = True
    hall.beat.late.set()
    watching = asyncio.get_running_loop().create_task(hall.links.watch())
    hall.signals  # noqa: B018
    hall.now = 100.0 + ABSENT + 0.1
    await asyncio.sleep(SUSPECT)
    assert hall.signals == []
    assert not hall.links.needs_relayed_link(FIRST)
    link.delayed = False
    await asyncio.sleep(SUSPECT / 4)
    assert hall.signals == [PresenceChanged(BEN), LinkNeeded(FIRST)]
    watching.cancel()


@in_virtual_time
async def test_links_that_send_are_watched() -> None:
    hall, loop = Hall(), asyncio.get_running_loop()
    old = await hall.open()
    driver = await hall.open()
    old.link.unanswered_since = driver.link.unanswered_since = 100.0
    watching = loop.create_task(hall.links.watch())
    hall.signals  # noqa: B018
    hall.now = 100.0 + SUSPECT
    hall.beat.late.set()
    await asyncio.sleep(SUSPECT)
    assert hall.signals == []
    hall.beat.late.set()
    hall.now = 100.0 + SUSPECT + 0.1
    await asyncio.sleep(SUSPECT / 4 + 0.01)
    assert hall.signals == [LinkNeeded(FIRST)], "the link that does not send is not watched"
    hall.now = 100.0 + ABSENT + 0.1
    await asyncio.sleep(SUSPECT / 4)
    assert hall.signals == [PresenceChanged(BEN), LinkNeeded(FIRST)]
    await asyncio.sleep(SUSPECT / 4)
    assert hall.signals == [LinkNeeded(FIRST)]
    old.link.unanswered_since = driver.link.unanswered_since = None
    driver.link.should_replace.return_value = True
    await asyncio.sleep(SUSPECT)
    hall.signals  # noqa: B018
    await asyncio.sleep(600)
    assert hall.signals == [], "nothing is looked at while no answer is late"
    watching.cancel()


async def test_a_link_that_grows_old_is_replaced_by_the_side_that_began_it() -> None:
    hall = Hall()
    begun, taken = await hall.open(FIRST), await hall.open(SECOND, role=Role.RESPONDER)
    hall.signals  # noqa: B018
    hall.links.replace_old()
    assert hall.signals == []
    begun.link.should_replace.return_value = taken.link.should_replace.return_value = True
    hall.links.replace_old()
    assert hall.signals == [LinkNeeded(FIRST)]


async def test_links_are_probed_and_closed_together_or_by_contact() -> None:
    hall = Hall()
    ben, eve = await hall.open(FIRST), await hall.open(Peer(EVE, FIRST.static))
    await hall.links.probe()
    assert (ben.ping.await_count, eve.ping.await_count) == (1, 1)
    await hall.links.close(BEN, 4)
    ben.close.assert_awaited_once_with(4)
    eve.close.assert_not_awaited()
    await hall.links.close_all(5)
    assert [one.close.await_args for one in (ben, eve)] == [mock.call(5)] * 2
    hall.unwanted = {FIRST}
    hall.links.close_unwanted()
    assert (ben.abort.call_count, eve.abort.call_count) == (1, 0)


async def test_case_90_a_link_under_a_retired_pairing_is_cut_and_not_taken() -> None:
    """One that was opening when its pairing was retired comes too late."""
    hall, earlier, newest = Hall(), ContactPsk(b"1" * 32, NAME, NAME), ContactPsk(b"2" * 32, NAME, NAME)
    begun, answered = await hall.open(psk=earlier), await hall.open(psk=earlier, role=Role.RESPONDER)
    spared = await hall.open(psk=newest)
    hall.retired = {(earlier, True), (earlier, False)}
    hall.links.close_unwanted()
    assert [driver.abort.call_count for driver in (begun, answered, spared)] == [1, 1, 0]
    for role in Role:
        assert not (await hall.open(psk=earlier, role=role)).taken
    assert (await hall.open(psk=newest)).taken


def test_a_live_link_knows_since_when_it_waits() -> None:
    driver: Any = mock.Mock()
    events: Any = mock.Mock()
    link = LiveLink(driver, b"s", BEN, FIRST.static, True, b"", "", 0.0, events)
    assert link.unanswered_since is driver.link.unanswered_since
    assert (link.relayed, link.peer) == (True, FIRST)


async def _twins(*roles: Role, replaces: bool = False) -> tuple[Hall, list[Any]]:
    """Links with one terminal that have stood for so long that one program would not keep them."""
    hall = Hall()
    drivers = [await hall.open(role=role) for role in roles[:1]]
    for role in roles[1:]:
        drivers.append(await hall.open(role=role, replaces=drivers[-1].session if replaces else b""))
    hall.now += links.TWICE_AFTER
    return hall, drivers


async def _proved(hall: Hall, drivers: Sequence[Any]) -> list[Any]:
    """What is signalled once the links have answered the Pings that are sent now."""
    before = hall.pings
    await hall.links.find_twins()
    hall.signals  # noqa: B018
    for number, driver in enumerate(drivers, before + 1):
        await hall.links.on_events(driver, [PingAnswered(number)])
    return hall.signals


@pytest.mark.parametrize("first", Role)
async def test_two_links_that_one_program_would_not_keep_tell_of_two_programs_once_both_answer(
    first: Role,
) -> None:
    hall, drivers = await _twins(first, Role.RESPONDER)
    assert await _proved(hall, drivers[:1]) == []
    assert await _proved(hall, drivers) == [RunsTwice(FIRST)]
    pings = hall.pings
    hall.now += links.TWICE_EVERY - 1
    assert await _proved(hall, drivers) == []
    assert hall.pings == pings, "it was told a while ago"
    hall.now += 1
    assert await _proved(hall, drivers) == [RunsTwice(FIRST)]


async def test_links_that_one_program_may_keep_tell_of_nothing() -> None:
    for hall, drivers in (
        await _twins(Role.RESPONDER),
        await _twins(Role.INITIATOR, Role.INITIATOR),
        await _twins(Role.RESPONDER, Role.RESPONDER, replaces=True),
    ):
        assert await _proved(hall, drivers) == []
    hall, drivers = await _twins(Role.RESPONDER, Role.RESPONDER)
    hall.now -= 1
    assert await _proved(hall, drivers) == []


async def test_a_link_that_answered_before_or_ends_meanwhile_proves_nothing() -> None:
    hall, (one, other) = await _twins(Role.RESPONDER, Role.RESPONDER)
    await hall.links.find_twins()
    hall.signals  # noqa: B018
    early = [PingAnswered(1), PingAnswered(2)]  # those of the moment in which the second one opened
    await hall.links.on_events(one, early)
    await hall.links.on_events(other, early)
    assert hall.signals == []
    await hall.links.on_events(one, [PingAnswered(3)])
    await hall.ended(one)
    await hall.links.on_events(other, [PingAnswered(4)])
    assert not [signal for signal in hall.signals if isinstance(signal, RunsTwice)]


async def test_who_is_told_of_two_programs_hears_of_it_and_who_tells_does_not() -> None:
    hall, (one, other) = await _twins(Role.RESPONDER, Role.RESPONDER)
    await hall.links.close_twins(FIRST)
    assert [driver.close.call_args.args for driver in (one, other)] == [(links.TWICE,)] * 2
    hall.signals  # noqa: B018
    await hall.links.on_events(one, [LinkClosed(Ending.TWICE, None, True)])
    assert not [signal for signal in hall.signals if isinstance(signal, ToldTwice)]
    told = await hall.open(SECOND)
    await hall.links.on_events(told, [LinkClosed(Ending.TWICE, None, True)])
    assert [signal for signal in hall.signals if isinstance(signal, ToldTwice)] == [ToldTwice(SECOND)]
