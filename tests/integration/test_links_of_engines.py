"""Links between two engines: begun at once, broken at every frame, replaced in time, cut and healed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from chat.config import Config
from chat.interface import ContactChanged, EntryAdded, EntryChanged, EntryState
from chat.network.driver import Driver
from chat.network.links import Links, LiveLink
from protocol.limits import PING_AFTER_SECONDS
from protocol.link.link import Link
from protocol.link.states import Event, LinkClosed, LinkOpen, MessageReceived
from protocol.messages import Entry, LogOperations, Message, Receipt
from tests.support.engines.engines import Person, delivered, in_virtual_time, talk, two_contacts
from tests.support.lab.virtual import VirtualClock, run_virtual
from tests.support.protocol.links import contacts

EAGER = Config(second_dial_delay=0.0)


def links(person: Person) -> int:
    return len(person.engine._use_cases.links.all())


def shown_once(person: Person, number: int) -> bool:
    added = [event.entry.id for event in person.seen if isinstance(event, EntryAdded)]
    return len(added) == len(set(added)) == number


async def same_order(ada: Person, ben: Person, number: int) -> bool:
    mine, theirs = await ada.history(ben), await ben.history(ada)
    return [view.id for view in mine] == [view.id for view in theirs] and len(mine) == number


@pytest.mark.parametrize("seed", range(6))
@in_virtual_time
async def test_attack_18_links_begun_from_both_ends_at_once_become_one(tmp_path: Path, seed: int) -> None:
    async with two_contacts(tmp_path, config=EAGER, seed=seed) as (_, ada, ben):
        await talk(ada, ben, "paired")
        await asyncio.gather(ada.stop(), ben.stop())
        await ada.start()
        waiting = await ada.engine.send(await ada.contact_known("Ben"), "while away")
        done = delivered(ada, 1)
        await ben.start()
        assert (await done).id == waiting.id
        await asyncio.sleep(15)
        assert links(ada) == links(ben) == 1
        await talk(ben, ada, "one link")
        assert shown_once(ada, 3)
        assert shown_once(ben, 3)


@pytest.mark.parametrize("answering", [False, True])
@pytest.mark.parametrize("frames", range(14))
@in_virtual_time
async def test_a_link_broken_at_any_frame_loses_and_doubles_nothing(
    tmp_path: Path, frames: int, answering: bool
) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await talk(ada, ben, "paired")
        await ben.stop()
        await ada.engine.send(await ada.contact_known("Ben"), "one")
        await ada.engine.send(await ada.contact_known("Ben"), "two")
        network.break_next_after = (None, frames) if answering else (frames, None)
        done = delivered(ada, 2)
        await ben.start()
        await ben.engine.send(await ben.contact_known("Ada"), "three")
        await done
        await talk(ben, ada, "four")
        assert await same_order(ada, ben, 5)
        assert shown_once(ada, 5)
        assert shown_once(ben, 5)


@in_virtual_time(limit=6 * 3600.0)
async def test_links_are_replaced_within_the_hour_and_nobody_notices(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "0")
        sessions = set()
        before = len(ada.seen), len(ben.seen)
        for number in range(1, 60):
            await asyncio.sleep(180)
            await talk(*((ada, ben) if number % 2 else (ben, ada)), str(number))
            sessions |= {link.session for link in ada.engine._use_cases.links.all()}
            assert links(ada) == links(ben) == 1
        assert len(sessions) >= 3
        for person, start in ((ada, before[0]), (ben, before[1])):
            went = [event for event in person.seen[start:] if isinstance(event, ContactChanged)]
            assert all(event.contact.present for event in went)
            assert shown_once(person, 60)


@pytest.mark.parametrize("seconds", [3, 5, 9, 20, 21, 22, 23, 24, 90, 400])
@in_virtual_time
async def test_after_a_cut_the_first_waiting_entry_arrives_within_two_seconds(
    tmp_path: Path, seconds: int
) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await talk(ada, ben, "before")
        network.cut("10.0.0.2")
        for number in range(5):
            await ada.engine.send(await ada.contact(ben), f"ada {number}")
            await ben.engine.send(await ben.contact(ada), f"ben {number}")
            await asyncio.sleep(seconds / 5)
        first = ben.wait(EntryAdded, lambda event: not event.entry.own)
        mine, theirs = delivered(ada, 5), delivered(ben, 5)
        healed = asyncio.get_running_loop().time()
        network.heal("10.0.0.2")
        await first
        assert asyncio.get_running_loop().time() - healed < 2.0
        await asyncio.gather(mine, theirs)
        assert await same_order(ada, ben, 11)
        assert shown_once(ada, 11)
        assert shown_once(ben, 11)
        await asyncio.sleep(60)
        assert links(ada) == links(ben) == 1


@in_virtual_time
async def test_presence_comes_from_the_keepalive(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await talk(ada, ben, "before")
        gone = ada.wait(ContactChanged, lambda event: not event.contact.present)
        network.cut("10.0.0.2")
        await asyncio.wait_for(gone, PING_AFTER_SECONDS + ada.config.absent_after + 1)
        back = ada.wait(ContactChanged, lambda event: event.contact.present)
        network.heal("10.0.0.2")
        await asyncio.wait_for(back, 2)


@in_virtual_time
async def test_sent_is_said_only_while_the_link_that_carried_the_entry_lives(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await talk(ada, ben, "before")
        network.cut("10.0.0.2")
        sent = ada.wait(EntryChanged, lambda event: event.state is EntryState.SENT)
        queued = ada.wait(EntryChanged, lambda event: event.state is EntryState.QUEUED)
        view = await ada.engine.send(await ada.contact(ben), "into the cut")
        assert (await sent).id == (await queued).id == view.id


@in_virtual_time
async def test_attack_27_one_way_traffic_still_turns_the_ratchet(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await talk(ada, ben, "paired")
        network.seen.clear()
        for number in range(100):
            await talk(ada, ben, str(number))
        frames = [data for here, _, data in network.seen if here == ada.host]
        keys = {frame[2:34] for frame in frames}
        assert len(keys) >= 50


@in_virtual_time
async def test_attack_31_a_resent_entry_keeps_its_id_under_a_new_envelope(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await talk(ada, ben, "paired")
        network.cut("10.0.0.2")
        view = await ada.engine.send(await ada.contact(ben), "again and again")
        done = delivered(ada, 1)
        await asyncio.sleep(20)
        network.heal("10.0.0.2")
        assert (await done).id == view.id
        await asyncio.sleep(60)  # what TCP still brings of the old streams
        bodies = [data for here, _, data in network.seen if here == ada.host and len(data) > 100]
        assert len(bodies) == len(set(bodies))
        assert shown_once(ben, 2)


@pytest.mark.parametrize("seed", range(4))
@in_virtual_time
async def test_nothing_said_on_a_link_that_is_being_replaced_is_lost(tmp_path: Path, seed: int) -> None:
    async with two_contacts(tmp_path, seed=seed) as (_, ada, ben):
        await talk(ada, ben, "0")
        for number in range(1, 60):
            dialler = (ada, ben)[number % 2].engine._use_cases.dialer
            other = await (ada.contact(ben) if number % 2 == 0 else ben.contact(ada))
            dialled = asyncio.ensure_future(dialler.dial(bytes.fromhex(other), 1.0))
            arrives = ben.wait(EntryAdded)
            for wait in range(number % 7):
                await asyncio.sleep(0.001 * wait)
            await ada.engine.send(await ada.contact(ben), str(number))
            event = await arrives
            await ben.engine.mark_read(await ben.contact(ada), (event.entry.id,))
            await dialled
        await asyncio.sleep(9)  # within the life of the last link
        assert [view.state for view in await ada.history(ben)] == [EntryState.DELIVERED] + [
            EntryState.READ
        ] * 59
        assert [view.text for view in await ben.history(ada)] == [str(number) for number in range(60)]


@in_virtual_time
async def test_what_waited_for_a_link_that_ended_goes_on_the_one_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await talk(ada, ben, "before")
        monkeypatch.setattr(Links, "_answered", _closes_nothing)
        await ada.engine._use_cases.dialer.dial(bytes.fromhex(await ada.contact(ben)), 1.0)
        await asyncio.sleep(0.1)
        assert links(ada) == links(ben) == 2
        newest = ben.engine._use_cases.links.current(bytes.fromhex(await ben.contact(ada)))
        assert newest is not None
        monkeypatch.setattr(newest.driver, "send", _stuck)
        arrives = ben.wait(EntryAdded)
        view = await ada.engine.send(await ada.contact(ben), "unanswered")
        await ben.engine.mark_read(await ben.contact(ada), ((await arrives).entry.id,))
        read = ada.wait(EntryChanged, lambda event: event.id == view.id and event.state is EntryState.READ)
        network.pipes[-1].break_now()
        await asyncio.wait_for(read, 5)
        assert links(ada) == links(ben) == 1


async def _closes_nothing(links: Links, link: LiveLink, number: int) -> None:
    """Both links stay, as they do while the keepalive that decides is under way."""


async def _stuck(message: Message) -> None:
    """A connection that takes nothing more."""
    await asyncio.Event().wait()


@in_virtual_time
async def test_an_entry_that_has_arrived_by_one_link_is_not_called_sent_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        monkeypatch.setattr(Links, "_answered", both_stay)
        slow_on_second_link(monkeypatch, current(ada, await ada.contact(ben)))
        view = await ada.engine.send(await ada.contact(ben), "by both")
        await ada.engine._use_cases.dialer.dial(bytes.fromhex(await ada.contact(ben)), 1.0)
        await asyncio.sleep(5)
        states = [
            event.state for event in ada.seen if isinstance(event, EntryChanged) and event.id == view.id
        ]
        assert states == [EntryState.SENT, EntryState.DELIVERED]


def current(person: Person, other: str) -> Driver:
    link = person.engine._use_cases.links.current(bytes.fromhex(other))
    assert link is not None
    return link.driver


def slow_on_second_link(monkeypatch: pytest.MonkeyPatch, first: Driver) -> None:
    """Receipts wait half a second, and entries a whole one on all links but the first."""
    send = Driver.send

    async def slowly(self: Driver, message: Message) -> None:
        if isinstance(message, Receipt):
            await asyncio.sleep(0.5)
        if isinstance(message, Entry) and self is not first:
            await asyncio.sleep(1)
        await send(self, message)

    monkeypatch.setattr(Driver, "send", slowly)


async def both_stay(links: Links, link: object, number: int) -> None:
    """No link is closed, as while the keepalive that decides is under way."""


@in_virtual_time
async def test_a_contact_that_went_away_is_not_shown_present_when_its_link_ends(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await talk(ada, ben, "before")
        gone = ada.wait(ContactChanged, lambda event: not event.contact.present)
        network.cut(ben.host)
        await gone
        since = len(ada.seen)
        await asyncio.sleep(60)
        later = [event.contact for event in ada.seen[since:] if isinstance(event, ContactChanged)]
        assert not any(contact.present for contact in later)
        assert not ada.engine._use_cases.links.all()


HELD = 200_000
LARGE = 50_000


class Narrow:
    """One end of a stream of which each direction holds so many bytes; `write` waits beyond that.

    It waits until little is left, as asyncio's transports do.
    """

    peer = "10.0.0.9"

    def __init__(self) -> None:
        self.other: Narrow
        self.unread = bytearray()
        self.closed = False
        self.reads = True
        self.changed = asyncio.Event()

    async def read(self) -> bytes:
        while not (self.unread and self.reads) and not self._over():
            await self._change()
        data = bytes(self.unread[:65_536])
        del self.unread[:65_536]
        self.other.changed.set()
        return b"" if self.closed else data

    async def write(self, data: bytes) -> None:
        if self._over():
            raise ConnectionResetError("closed")
        self.other.unread += data
        self.other.changed.set()
        full = len(self.other.unread) > HELD
        while full and len(self.other.unread) > HELD // 4:
            await self._change()
            if self._over():
                raise ConnectionResetError("closed")

    def _over(self) -> bool:
        return self.closed or self.other.closed

    async def _change(self) -> None:
        self.changed.clear()
        await self.changed.wait()

    def close(self) -> None:
        self.closed = True
        self.changed.set()
        self.other.changed.set()


class Keeper:
    """A handler that keeps what happens."""

    def __init__(self) -> None:
        self.opened, self.closed = asyncio.Event(), asyncio.Event()
        self.messages: list[Message] = []

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, LinkOpen):
                self.opened.set()
            elif isinstance(event, MessageReceived):
                self.messages.append(event.message)
            elif isinstance(event, LinkClosed):
                self.closed.set()


async def linked(clock: VirtualClock) -> tuple[tuple[Driver, Narrow, Keeper], tuple[Driver, Narrow, Keeper]]:
    """Two drivers of an open link."""
    ada, ben = contacts()
    mine, theirs = Narrow(), Narrow()
    mine.other, theirs.other = theirs, mine
    ends = []
    for start, stream in ((ada.calls(ben), mine), (ben.answers(), theirs)):
        keeper = Keeper()
        driver = Driver(stream, Link(start, clock.monotonic()), clock, keeper)
        ends.append((driver, stream, keeper))
        asyncio.get_running_loop().create_task(driver.run())
    await asyncio.gather(*(keeper.opened.wait() for _, _, keeper in ends))
    return ends[0], ends[1]


def large() -> LogOperations:
    return LogOperations([bytes(1_000)] * (LARGE // 1_000))


def test_two_sides_that_have_much_to_say_do_not_wait_for_each_other() -> None:
    async def scenario(clock: VirtualClock) -> None:
        one, other = await linked(clock)

        async def say_much(driver: Driver) -> None:
            for _ in range(100):
                await driver.send(large())

        await asyncio.wait_for(asyncio.gather(say_much(one[0]), say_much(other[0])), 30)
        await asyncio.sleep(1)
        assert len(one[2].messages) == len(other[2].messages) == 100

    run_virtual(scenario, 60)


def test_a_link_whose_peer_stops_reading_is_given_up_in_time() -> None:
    async def scenario(clock: VirtualClock) -> None:
        one, other = await linked(clock)
        other[1].reads = False
        forget_time(other[0])
        talking = asyncio.ensure_future(say_for_ever(one[0]))
        await asyncio.wait_for(one[2].closed.wait(), 30)
        talking.cancel()

    run_virtual(scenario, 60)


def test_closing_does_not_wait_for_a_peer_that_stopped_reading() -> None:
    async def scenario(clock: VirtualClock) -> None:
        one, other = await linked(clock)
        other[1].reads = False
        talking = asyncio.ensure_future(say_for_ever(one[0]))
        await asyncio.sleep(0.5)
        await asyncio.wait_for(one[0].close(2), 3)
        await asyncio.wait_for(one[2].closed.wait(), 3)
        talking.cancel()

    run_virtual(scenario, 60)


def test_a_peer_that_asks_and_never_reads_costs_bounded_memory() -> None:
    async def scenario(clock: VirtualClock) -> None:
        one, other = await linked(clock)
        other[1].reads = False
        talking = asyncio.ensure_future(say_for_ever(one[0]))
        most = 0
        for _ in range(300):
            if not other[0].link.is_open:
                break
            for _ in range(100):
                other[0].link.ping(clock.monotonic())
            with suppress(ConnectionError):
                await other[1].write(other[0].link.data_to_send())
            most = max(most, one[0].link.unsent)
        talking.cancel()
        assert most < 2_000_000

    run_virtual(scenario, 600)


def forget_time(driver: Driver) -> None:
    """A peer whose link never gives up by itself."""
    driver._disarm()
    driver._arm = lambda: None  # type: ignore[method-assign]


async def say_for_ever(driver: Driver) -> None:
    while driver.link.is_open:
        await driver.send(large())


@in_virtual_time
async def test_a_new_link_does_not_wait_for_the_old_one_that_is_stuck(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await talk(ada, ben, "before")
        (old,) = ada.engine._use_cases.links.all()
        await old.driver._writing.acquire()  # a write that waits for a full connection
        network.cut("10.0.0.2")
        await ada.engine.send(await ada.contact(ben), "into the cut")
        done = delivered(ada, 1)
        await asyncio.sleep(5)
        first = ben.wait(EntryAdded)
        network.heal("10.0.0.2")
        await asyncio.wait_for(first, 2)
        await asyncio.wait_for(done, 2)
        old.driver._writing.release()


@in_virtual_time
async def test_locking_does_not_wait_for_a_contact_that_does_not_read(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        (link,) = ada.engine._use_cases.links.all()
        await link.driver._writing.acquire()  # a write that waits for a full connection
        await asyncio.wait_for(ada.engine.lock(), 5)
