"""The driver of one link, on a connection and a link that are mocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any
from unittest import mock

import pytest

from chat.network.connection import TcpConnection
from chat.network.driver import CLOSE_WITHIN, EARLY, UNSENT_MAX, Driver, Opening, refuse_all
from chat.tasks import LEAD, LEADS_FROM, Beat
from protocol.limits import HELD_BYTES_MAX
from protocol.link.framing import Pattern
from protocol.link.states import (
    Ending,
    HandshakeAuthenticated,
    LinkClosed,
    LinkOpen,
    MessageReceived,
    NotParlour,
    PingAnswered,
    Role,
)
from protocol.messages import LogOperations, Ping
from tests.support.engines.engines import play
from tests.support.lab.virtual import VirtualClock
from tests.support.protocol.links import pair

OPEN = LinkOpen(bytes(16), Role.INITIATOR, 1, bytes(32))
CLOSED = LinkClosed(Ending.ERROR)
CUT = LinkClosed()


class Wire:
    """A connection whose reads the test gives, and whose writes wait while `free` is not set."""

    peer = "10.0.0.1"

    def __init__(self) -> None:
        self.reads: asyncio.Queue[bytes] = asyncio.Queue()
        self.free = asyncio.Event()
        self.free.set()
        self.written: list[bytes] = []
        self.closed = 0
        self.held: list[bool] = []
        self.wide = self.broken = False

    def widen(self) -> None:
        self.wide = True

    def hold(self, on: bool) -> None:
        self.held.append(on)

    async def read(self) -> bytes:
        return await self.reads.get()

    async def write(self, data: bytes) -> None:
        await self.free.wait()
        if self.broken:
            raise ConnectionResetError
        self.written.append(data)

    def close(self) -> None:
        self.closed += 1
        self.reads.put_nowait(b"")
        self.free.set()


class Handled:
    """A handler that keeps what it gets."""

    def __init__(self) -> None:
        self.events: list[Sequence[Any]] = []

    async def on_events(self, driver: Driver, events: Sequence[Any]) -> None:
        self.events.append(list(events))


class Parts:
    """A driver, its wire, and its link, whose events and output the test sets."""

    def __init__(self) -> None:
        loop: Any = asyncio.get_running_loop()
        self.wire, self.handled, self.link = Wire(), Handled(), mock.Mock()
        self.beat = Beat()
        self.end = CUT
        self.output: list[bytes] = []
        self.link.data_to_send.side_effect = self._take
        self.link.receive.return_value = []
        self.link.end_of_stream.side_effect = self._ended
        self.link.close.return_value = []
        self.link.handle_timer.return_value = []
        self.link.next_timer.return_value = None
        self.link.ping_early.return_value = False
        self.link.unanswered_since = None
        self.link.is_open = True
        self.link.unsent = 0
        self.driver = Driver(self.wire, self.link, VirtualClock(loop), self.beat, self.handled)

    def _ended(self) -> list[Any]:
        return [self.end] if self.driver._end is None else []

    def _take(self) -> bytes:
        return self.output.pop(0) if self.output else b""

    def timed(self, following: float) -> Callable[[float], list[Any]]:
        """The link's timer: the following one is at that second, but a second later at the earliest."""

        def handle(now: float) -> list[Any]:
            self.link.next_timer.return_value = max(now + 1, following)
            return []

        return handle

    def run(self) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(self.driver.run())


def run(scenario: Callable[[Parts], Coroutine[Any, Any, None]]) -> None:
    async def begin() -> None:
        await scenario(Parts())

    play(begin)


def test_it_writes_first_and_passes_events_on_until_the_link_ends() -> None:
    async def scenario(it: Parts) -> None:
        it.output = [b"hello", b"again"]
        running = it.run()
        await asyncio.sleep(1)
        assert it.wire.written == [b"hello", b"again"]
        it.link.receive.return_value = [OPEN, PingAnswered(1)]
        it.output = [b"answer"]
        it.wire.reads.put_nowait(b"data")
        await asyncio.sleep(1)
        it.link.receive.assert_called_once_with(b"data", 1.0)
        assert (it.handled.events, it.wire.written[2:]) == ([[OPEN, PingAnswered(1)]], [b"answer"])
        it.link.receive.return_value = []
        it.wire.reads.put_nowait(b"data")
        await asyncio.sleep(1)
        assert len(it.handled.events) == 1, "without an event nothing is passed on"
        it.link.receive.return_value = [PingAnswered(2), CLOSED]
        it.wire.reads.put_nowait(b"data")
        await running
        assert it.handled.events[1:] == [[PingAnswered(2)], [CLOSED]]
        assert it.wire.closed == 1

    run(scenario)


def test_the_end_of_the_stream_ends_the_link() -> None:
    async def scenario(it: Parts) -> None:
        it.end = CLOSED
        running = it.run()
        it.wire.reads.put_nowait(b"")
        await running
        it.link.receive.assert_not_called()
        assert it.handled.events == [[CLOSED]]

    run(scenario)


def test_a_cancelled_driver_closes_and_reports_a_cut() -> None:
    async def scenario(it: Parts) -> None:
        it.link.next_timer.return_value = 5.0
        running = it.run()
        await asyncio.sleep(1)
        running.cancel()
        await asyncio.wait([running])
        assert (it.handled.events, it.wire.closed) == ([[CUT]], 1)
        await asyncio.sleep(10)
        it.link.handle_timer.assert_not_called()

    run(scenario)


def test_sending_and_pinging_on_a_link_that_is_not_open_does_nothing() -> None:
    async def scenario(it: Parts) -> None:
        it.link.ping.return_value = 7
        it.output = [b"sealed"]
        await it.driver.send(Ping(1))
        it.link.send.assert_called_once_with(Ping(1), 0.0)
        assert it.wire.written == [b"sealed"]
        it.output = [b"ping"]
        assert await it.driver.ping() == 7
        assert it.wire.written == [b"sealed", b"ping"]
        it.link.is_open = False
        await it.driver.send(Ping(2))
        assert await it.driver.ping() is None
        assert (it.link.send.call_count, it.link.ping.call_count) == (1, 1)

    run(scenario)


def test_reading_goes_on_while_a_write_waits_up_to_a_bound() -> None:
    async def scenario(it: Parts) -> None:
        it.wire.free.clear()
        it.output = [b"slow"]
        it.run()
        sending = asyncio.create_task(it.driver.send(Ping(1)))
        await asyncio.sleep(1)
        it.wire.free.set()
        await sending
        it.wire.free.clear()
        it.output = [b"slow"]
        sending = asyncio.create_task(it.driver.send(Ping(1)))
        await asyncio.sleep(1)
        it.link.unsent = UNSENT_MAX
        for _ in range(2):
            it.output.append(b"answer")
            it.wire.reads.put_nowait(b"data")
            await asyncio.sleep(1)
        assert (it.link.receive.call_count, it.wire.closed) == (2, 0)
        it.wire.free.set()
        await asyncio.sleep(1)
        assert it.wire.written == [b"slow", b"slow", b"answer", b"answer"]
        it.wire.free.clear()
        it.output = [b"slow"]
        asyncio.create_task(it.driver.send(Ping(1))).add_done_callback(lambda _: None)
        await asyncio.sleep(1)
        it.link.unsent = UNSENT_MAX + 1
        it.wire.reads.put_nowait(b"data")
        await asyncio.sleep(1)
        assert it.wire.closed > 0

    run(scenario)


def test_a_broken_connection_is_closed() -> None:
    async def scenario(it: Parts) -> None:
        it.wire.broken = True
        it.output = [b"lost"]
        await it.driver.flush()
        assert it.wire.closed == 1

    run(scenario)


def test_the_timer_of_the_link_is_kept() -> None:
    async def scenario(it: Parts) -> None:
        it.link.next_timer.return_value = 4.0
        running = it.run()
        await asyncio.sleep(1)
        it.link.next_timer.return_value = 6.0
        await it.driver.flush()
        await asyncio.sleep(4)
        it.link.handle_timer.assert_not_called()
        it.output = [b"ping"]
        it.link.handle_timer.side_effect = it.timed(9.0)
        await asyncio.sleep(2)
        it.link.handle_timer.assert_called_once_with(6.0)
        assert (it.wire.written, it.wire.closed) == ([b"ping"], 0)
        it.link.handle_timer.side_effect = lambda now: [CLOSED]
        await running
        assert asyncio.get_running_loop().time() == 9.0
        assert it.handled.events == [[CLOSED]]

    run(scenario)


def test_a_timer_that_is_due_strikes_all_links_and_leads_with_many() -> None:
    async def scenario(it: Parts) -> None:
        others = [mock.Mock(struck=mock.Mock(return_value=False)) for _ in range(LEADS_FROM)]
        it.link.next_timer.return_value = 6.0
        for other in others:
            it.beat.join(other)
        await it.driver.flush()
        assert len(it.beat) == 1 + LEADS_FROM
        await it.driver.flush()
        it.link.next_timer.assert_called_with(LEAD, it.beat.patience)
        it.link.handle_timer.side_effect = it.timed(20.0)
        await asyncio.sleep(5.9)
        it.link.handle_timer.assert_not_called()
        await asyncio.sleep(0.2)
        it.link.handle_timer.assert_called_once_with(6.0)
        it.link.ping_early.assert_called_once_with(6.0, EARLY)
        for other in others:
            other.struck.assert_called_once_with()

    run(scenario)


def test_a_late_answer_is_told_once_until_something_is_heard() -> None:
    async def scenario(it: Parts) -> None:
        it.link.unanswered_since = 1.0
        it.link.next_timer.side_effect = lambda lead, patience: 1.0 + patience
        it.output = [b"ping"]
        running = it.run()
        await asyncio.sleep(1.0 + it.beat.patience - 0.1)
        assert not it.beat.late.is_set()
        await asyncio.sleep(0.2)
        assert it.beat.late.is_set()
        it.beat.late.clear()
        await asyncio.sleep(5)
        assert not it.beat.late.is_set()
        assert it.link.handle_timer.call_count == 1
        it.wire.reads.put_nowait(b"answer")
        await asyncio.sleep(0)
        it.link.unanswered_since = asyncio.get_running_loop().time()
        it.link.next_timer.side_effect = lambda lead, patience: it.link.unanswered_since + patience
        await it.driver.flush()
        await asyncio.sleep(it.beat.patience + 0.1)
        assert it.beat.late.is_set()
        it.driver.abort()
        await running

    run(scenario)


def test_a_struck_link_pings_and_one_that_has_ended_does_not() -> None:
    async def scenario(it: Parts) -> None:
        assert not it.driver.struck(), "no Ping is due soon"
        it.link.ping_early.return_value, it.output = True, [b"ping"]
        assert it.driver.struck()
        await asyncio.sleep(0)
        assert it.wire.written == [b"ping"]
        it.driver.hold(on=True)
        it.driver.hold(on=False)
        assert it.wire.held == [True, False]
        it.link.next_timer.return_value = 6.0
        running = it.run()
        await asyncio.sleep(1)
        assert len(it.beat) == 1
        it.driver.abort()
        await running
        assert len(it.beat) == 0
        assert not it.driver.struck()

    run(scenario)


def test_a_link_says_when_a_ping_is_due_and_an_answer_owed() -> None:
    async def scenario(it: Parts) -> None:
        it.link.role = Role.RESPONDER
        assert not it.driver.begins
        it.link.role = Role.INITIATOR
        assert it.driver.begins
        for due, soon in ((None, False), (EARLY, True), (EARLY + 0.1, False)):
            it.link.next_ping.return_value = due
            assert it.driver.soon() is soon
        assert not it.driver.owed()
        it.link.unanswered_since = 0.0
        assert it.driver.owed()
        it.link.next_ping.return_value = 0.0
        it.driver._end = CUT
        assert not it.driver.soon()

    run(scenario)


def test_a_peers_ping_on_an_open_link_is_a_tick_and_nothing_else_is() -> None:
    async def scenario(it: Parts) -> None:
        pinged = mock.Mock()
        it.beat.pinged = pinged  # type: ignore[method-assign]
        running = it.run()

        async def read(events: list[Any], unsent: int) -> None:
            it.link.receive.return_value, it.link.unsent = events, unsent
            it.output = [b"pong"] * bool(unsent)
            it.wire.reads.put_nowait(b"bytes")
            await asyncio.sleep(1)

        await read([], 4)
        pinged.assert_not_called()  # a handshake goes on, of anybody
        it.link.next_timer.return_value = 60.0
        await it.driver.flush()
        for events, unsent in (([OPEN], 4), ([], 0)):
            await read(events, unsent)
        pinged.assert_not_called()
        pinged.side_effect = lambda: told.append(list(it.wire.written))
        told: list[list[bytes]] = []
        await read([], 4)
        assert told == [[b"pong"] * 3], "the answer went first"
        it.driver.abort()
        await running

    run(scenario)


def test_a_timer_that_is_overdue_runs_at_once_and_a_slow_write_does_not_stop_it() -> None:
    async def scenario(it: Parts) -> None:
        await asyncio.sleep(5)
        it.link.next_timer.return_value = 1.0
        it.link.handle_timer.side_effect = it.timed(1.0)
        it.wire.free.clear()
        await it.driver.flush()
        it.output = [b"slow"]
        await asyncio.sleep(3.5)
        assert [call.args[0] for call in it.link.handle_timer.call_args_list] == [5.0, 6.0, 7.0, 8.0]

    run(scenario)


def test_closing_takes_a_second_at_most() -> None:
    async def scenario(it: Parts) -> None:
        it.link.close.return_value = [CLOSED]
        it.output = [b"close"]
        running = it.run()
        await asyncio.sleep(1)
        it.wire.free.clear()
        it.output = [b"close"]
        await it.driver.close(3)
        it.link.close.assert_called_once_with(3)
        assert asyncio.get_running_loop().time() == 1 + CLOSE_WITHIN
        await running
        assert it.handled.events == [[CLOSED]]

    run(scenario)


def test_a_close_that_is_to_be_heard_reads_to_the_end_within_a_second() -> None:
    async def scenario(it: Parts) -> None:
        it.link.close.return_value = [CLOSED]
        closing = asyncio.get_running_loop().create_task(it.driver.close(1, heard=True))
        it.wire.reads.put_nowait(b"unread")
        await asyncio.sleep(CLOSE_WITHIN - 0.1)
        assert (it.wire.reads.empty(), it.wire.closed) == (True, 0)
        await closing
        assert it.wire.closed == 1

    run(scenario)


async def test_a_peer_that_is_sending_hears_why_its_link_ends() -> None:
    """On sockets: a reset would take what it has not read yet."""
    loop, accepted = asyncio.get_running_loop(), asyncio.Queue[TcpConnection]()

    def accept() -> TcpConnection:
        accepted.put_nowait(connection := TcpConnection())
        return connection

    server = await loop.create_server(accept, "127.0.0.1", 0)
    transport, peer = await loop.create_connection(TcpConnection, *server.sockets[0].getsockname())
    transport.pause_reading()  # it is busy
    await peer.write(b"first")
    link, clock = mock.Mock(), mock.Mock()
    link.close.return_value, link.next_timer.return_value = [CLOSED], None
    link.data_to_send.side_effect = [b"the reason", b""]
    connection = await accepted.get()
    assert await connection.read() == b"first"
    closing = loop.create_task(Driver(connection, link, clock, Beat(), Handled()).close(1, heard=True))
    for _ in range(10):
        await asyncio.sleep(0)
    await peer.write(b"second")
    await peer.write(b"third")
    transport.resume_reading()
    assert await peer.read() == b"the reason"
    peer.close()
    await closing
    server.close()
    await server.wait_closed()


def test_an_aborted_driver_ends_without_a_close() -> None:
    async def scenario(it: Parts) -> None:
        running = it.run()
        await asyncio.sleep(1)
        it.driver.abort()
        await running
        it.link.close.assert_not_called()

    run(scenario)


def test_after_a_pause_for_the_disk_the_link_goes_on() -> None:
    async def scenario(it: Parts) -> None:
        it.link.resume.return_value = [OPEN]
        it.output = [b"message 2"]
        await it.driver.resume()
        it.link.resume.assert_called_once_with(0.0)
        assert (it.handled.events, it.wire.written) == ([[OPEN]], [b"message 2"])

    run(scenario)


AUTHENTICATED = HandshakeAuthenticated(bytes(32), bytes(16))


@pytest.mark.parametrize("burned", [True, False])
async def test_an_invitation_that_cannot_be_burned_ends_the_link(burned: bool) -> None:
    driver = mock.Mock(resume=mock.AsyncMock())
    opening = Opening(mock.AsyncMock(), mock.AsyncMock(return_value=burned))
    await opening.on_events(driver, [AUTHENTICATED])
    assert (driver.resume.await_count, driver.abort.call_count) == (int(burned), int(not burned))
    assert not opening.result.done()
    assert await refuse_all(AUTHENTICATED) is False


async def test_what_a_joiner_sends_at_once_waits_while_its_invitation_is_burned() -> None:
    """A person with a long log sends more in one read than a link keeps until then."""
    both = pair(Pattern.XXPSK0)
    both.step(3)
    sent = [both.initiator.link.data_to_send()]
    for _ in range(300):
        both.initiator.link.send(LogOperations([bytes(1_000)]), both.now)
        sent.append(both.initiator.link.data_to_send())
    wire, handled, clock = Wire(), Handled(), mock.Mock()
    clock.monotonic.return_value = both.now

    class Burning(Handled):
        async def on_events(self, driver: Driver, events: Sequence[Any]) -> None:
            await handled.on_events(driver, events)
            if any(isinstance(one, HandshakeAuthenticated) for one in events):
                assert not wire.wide, "an invitation may be refused yet"
                await driver.resume()

    wire.reads.put_nowait(b"".join(sent))
    wire.reads.put_nowait(b"")
    assert len(b"".join(sent)) > 2 * HELD_BYTES_MAX
    await Driver(wire, both.responder.link, clock, Beat(), Burning()).run()
    came = [one for events in handled.events for one in events]
    assert sum(isinstance(one, MessageReceived) for one in came) == 300
    assert wire.wide
    assert came[-1] == LinkClosed(Ending.CUT)


async def test_links_without_invitations_refuse_all() -> None:
    driver = mock.Mock(resume=mock.AsyncMock())
    await Opening(mock.AsyncMock()).on_events(driver, [AUTHENTICATED])
    driver.abort.assert_called_once_with()


async def test_an_open_link_is_handed_over_with_the_events_that_follow() -> None:
    driver, handler = mock.Mock(close=mock.AsyncMock()), Handled()
    adopt = mock.AsyncMock(return_value=handler)
    opening = Opening(adopt)
    await opening.on_events(driver, [OPEN, PingAnswered(1), PingAnswered(2)])
    adopt.assert_awaited_once_with(driver, OPEN)
    driver.hand_over.assert_called_once_with(handler)
    driver.close.assert_not_awaited()
    assert handler.events == [[PingAnswered(1), PingAnswered(2)]]
    assert opening.result.result() is OPEN
    alone = Handled()
    await Opening(mock.AsyncMock(return_value=alone)).on_events(driver, [OPEN])
    assert alone.events == []


async def test_an_open_link_that_nobody_wants_is_closed() -> None:
    driver = mock.Mock(close=mock.AsyncMock())
    opening = Opening(mock.AsyncMock(return_value=None))
    await opening.on_events(driver, [OPEN, PingAnswered(1)])
    driver.close.assert_awaited_once_with(0)
    driver.hand_over.assert_not_called()
    assert opening.result.result() is OPEN


@pytest.mark.parametrize("end", [CLOSED, NotParlour(), CUT])
async def test_the_first_end_is_the_result(end: Any) -> None:
    opening = Opening(mock.AsyncMock())
    await opening.on_events(mock.Mock(), [PingAnswered(1)])
    assert not opening.result.done()
    await opening.on_events(mock.Mock(), [end])
    await opening.on_events(mock.Mock(), [LinkClosed(Ending.DEADLINE)])
    assert opening.result.result() is end
