"""A peer that does not read holds up nobody: neither reading, nor ending, nor the other links.

Rules: real drivers and links over streams that hold as much as a kernel would; whoever waits too long in
virtual time has shown the defect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from chat.interface import EntryAdded
from chat.network.driver import Driver
from protocol.link.link import Link
from protocol.link.states import Event, LinkClosed, LinkOpen, MessageReceived
from protocol.messages import LogOperations, Message
from tests.support.engines.engines import delivered, in_virtual_time, pair, people, talk
from tests.support.lab.virtual import VirtualClock, run_virtual
from tests.support.protocol.links import contacts

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
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        await pair(ada, ben)
        await talk(ada, ben, "before")
        (old,) = ada.engine._world.links.all()
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
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await pair(ada, ben)
        await talk(ada, ben, "before")
        (link,) = ada.engine._world.links.all()
        await link.driver._writing.acquire()  # a write that waits for a full connection
        await asyncio.wait_for(ada.engine.lock(), 5)
