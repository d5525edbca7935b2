"""Runs one link over one connection: bytes in, events out, and the link's timer (SPEC §6)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

from chat.errors import ParlourError
from chat.ports import Clock, Connection
from chat.tasks import Beat
from protocol.limits import DEAD_AFTER_SECONDS
from protocol.link.link import Link
from protocol.link.states import (
    Event,
    HandshakeAuthenticated,
    LinkClosed,
    LinkOpen,
    NotParlour,
    Role,
    VersionRefused,
)
from protocol.messages import Message

UNSENT_MAX: Final = 1 << 20
"""Bytes that may wait behind a write. A peer that asks and does not read can fill it, and loses the link."""

QUEUED_MAX: Final = 4_096
"""Messages queued per link. A peer that sends and never reads can fill the queue, and loses the link."""

TOGETHER: Final = 90_112
"""Bytes that are written at once where many messages go out: 290 short texts or so, which the other side
stores together."""

UNOPENED: Final = 65_536
"""Bytes of one read that a link gets at once until it is open: half of HELD_BYTES_MAX. A peer fills it."""

EARLY: Final = 4.0
"""Seconds by which a Ping may be early, so that the process wakes once for all links.

More than half of the time between two Pings: of two links, one is always near enough to the other to join it.
"""

CLOSE_WITHIN: Final = 1.0
"""Seconds that Close may wait for a peer that does not read."""


class Handler(Protocol):
    """Decides what the events of a link mean."""

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        """The events of one read, in order. A LinkClosed comes once, alone, as the last event."""


class Driver:
    """Runs one link over one connection until either ends; `run` returns then.

    The next read waits for the handler, so a slow disk slows the peer and does not fill the memory. Reading,
    timers and ending never wait for a write that waits for the peer.
    """

    def __init__(
        self, connection: Connection, link: Link, clock: Clock, beat: Beat, handler: Handler
    ) -> None:
        self.connection = connection
        self.link = link
        self._handler = handler
        self._clock = clock
        self._beat = beat
        self._joined = False
        self._patience = beat.patience
        self._writing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._end: LinkClosed | None = None
        self.aborted = False
        """Whether this side has ended it at once: nothing that came on it counts any more."""

    def hand_over(self, handler: Handler) -> None:
        """Let another handler take the events from the next read on: the link's purpose is known now."""
        self._handler = handler

    async def run(self) -> None:
        """Pass on events until the link or the connection ends, then the LinkClosed."""
        try:
            await self.flush()
            while self._end is None:
                data, now = await self.connection.read(), self._clock.monotonic()
                self._patience = self._beat.patience
                while not self._joined and len(data) > UNOPENED and self._end is None:
                    # A link that waits for its invitation to be burned keeps little, and ends for more.
                    await self._dispatch(self.link.receive(data[:UNOPENED], now))
                    data, now = data[UNOPENED:], self._clock.monotonic()
                events = self.link.receive(data, now) if data else self.link.end_of_stream()
                # What a link sends by itself, once it is open, is the answer to a Ping.
                pinged = self._joined and not events and self.link.unsent > 0
                await self._dispatch(events)
                if pinged:
                    self._beat.pinged()
        finally:
            self._disarm()
            self._beat.leave(self)
            self.connection.close()
            self._without_end(self.link.end_of_stream())
            await self._handler.on_events(self, [LinkClosed() if self._end is None else self._end])

    async def _dispatch(self, events: Sequence[Event]) -> None:
        left = self._without_end(events)
        await self._answer()
        if left:
            await self._handler.on_events(self, left)

    def _without_end(self, events: Sequence[Event]) -> list[Event]:
        left: list[Event] = []
        for event in events:
            if isinstance(event, LinkClosed):
                self._end = event
            else:
                left.append(event)
        return left

    async def resume(self) -> None:
        """Go on after HandshakeAuthenticated, when what must be on the disk first is there."""
        await self._dispatch(self.link.resume(self._clock.monotonic()))

    async def send(self, message: Message) -> None:
        """Seal a message and write it, waiting while the peer is slow. Does nothing if the link has ended."""
        if self.link.is_open:
            self.link.send(message, self._clock.monotonic())
            await self.flush()

    async def send_all(self, messages: Iterable[Message]) -> None:
        """As `send`, and what is small goes out together: a write for each would take most of the time."""
        for message in messages:
            if not self.link.is_open:
                return
            self.link.send(message, self._clock.monotonic())
            if self.link.unsent > TOGETHER:
                await self.flush(arm=False)
        await self.flush()

    async def ping(self) -> int | None:
        """Ping now; returns the number that comes back, None if the link has ended."""
        if not self.link.is_open:
            return None
        number = self.link.ping(self._clock.monotonic())
        await self._answer()
        return number

    async def flush(self, *, arm: bool = True) -> None:
        """Write the link's output. With `arm`, set the timer: who writes more soon does so the last time."""
        async with self._writing:
            while data := self.link.data_to_send():
                try:
                    await self.connection.write(data)
                except ConnectionError:
                    self.connection.close()
        if arm:
            self._arm()

    async def _answer(self) -> None:
        """Write the link's output, now or after the write under way."""
        # Waiting here would stop the reading: two sides with much to send would wait for each other.
        if not self._writing.locked():
            await self.flush()
        elif self.link.unsent > UNSENT_MAX:
            self.connection.close()
        else:
            self._flush_soon()

    def _flush_soon(self) -> None:
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.get_running_loop().create_task(self.flush())

    async def close(self, reason: int, *, heard: bool = False) -> None:
        """Send Close and end, within a second; `run` returns soon after.

        `heard`: the peer may be sending, and has to see the reason.
        """
        self._without_end(self.link.close(reason))
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await self.flush()
                # TCP resets a connection that is closed with bytes unread, and the peer loses Close with it.
                while heard and await self.connection.read():
                    pass
        self.connection.close()

    def abort(self) -> None:
        """End at once, without Close."""
        self.aborted = True
        self.connection.close()

    def _arm(self) -> None:
        self._disarm()
        due = self.link.next_timer(self._beat.lead, self._patience)
        if due is None:
            return
        if not self._joined and self.link.is_open:
            self._joined = True
            self.connection.widen()
            self._beat.join(self)
        delay = max(0.0, due - self._clock.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._due)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _due(self) -> None:
        now = self._clock.monotonic()
        self._without_end(self.link.handle_timer(now))
        if self._end is not None:
            self.connection.close()
            return
        since = self.link.unanswered_since
        if since is not None and now >= since + self._patience:
            self._patience = DEAD_AFTER_SECONDS  # until something is heard
            self._beat.late.set()
        self._arm()  # the write may take longer than until the next timer
        self._flush_soon()
        self._beat.strike()

    # tasks.Member.

    @property
    def begins(self) -> bool:
        return self.link.role is Role.INITIATOR

    def soon(self) -> bool:
        due = self.link.next_ping()
        return self._end is None and due is not None and due <= self._clock.monotonic() + EARLY

    def owed(self) -> bool:
        return self.link.unanswered_since is not None

    def struck(self) -> bool:
        if self._end is not None or not self.link.ping_early(self._clock.monotonic(), EARLY):
            return False
        self._arm()
        self._flush_soon()
        return True

    def hold(self, on: bool) -> None:
        self.connection.hold(on)


async def _wake() -> None:
    """Nothing: it wakes what waits for the queue."""


class Outgoing:
    """The sending side of one open link: pieces of work, each of which sends something, in their order."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._queue: asyncio.Queue[Callable[[], Awaitable[object]]] = asyncio.Queue()
        self._below: Callable[[], Awaitable[bool]] | None = None

    def put(self, message: Message) -> None:
        """Send a message after what is queued already."""
        self._put(partial(self._driver.send, message))

    def _put(self, work: Callable[[], Awaitable[object]]) -> None:
        if self._queue.qsize() >= QUEUED_MAX:
            self._driver.abort()
        else:
            self._queue.put_nowait(work)

    def below(self, step: Callable[[], Awaitable[bool]]) -> None:
        """Do such steps whenever nothing is queued, until one says that it was the last.

        A step sends another message only while `is_idle`: one at most may come between two others.
        """
        if self._below is None:
            self._below = step
            self._put(_wake)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is queued."""
        return self._queue.empty()

    async def sent(self) -> None:
        """Wait until all that is queued was sent, or the link has ended."""
        await self._queue.join()

    async def _begin(self) -> None:
        """Send what comes first on a link."""

    async def run(self) -> None:
        """Begin, then serve the queue."""
        try:
            await self._begin()
            while True:
                while self._below is not None and self._queue.empty():
                    if not await self._below():
                        self._below = None
                work = await self._queue.get()
                try:
                    await work()
                finally:
                    self._queue.task_done()
        except ParlourError:
            self._driver.abort()  # a silent link would look alive
            raise
        finally:
            while not self._queue.empty():  # nobody waits for what is never sent
                self._queue.get_nowait()
                self._queue.task_done()

    def ask_log(self) -> None:
        """Ask for operations that name the author of an entry that has come."""


Result = LinkOpen | LinkClosed | VersionRefused | NotParlour
Adopt = Callable[[Driver, LinkOpen], Awaitable[Handler | None]]
Burn = Callable[[HandshakeAuthenticated], Awaitable[bool]]


async def refuse_all(event: HandshakeAuthenticated) -> bool:
    """For links on which no invitation can be used."""
    return False


class Opening:
    """The handler until a link opens. `adopt` returns the next one, None to close the link again.

    `result`: the link opened or closed, the other side has another version, or is not Parlour.
    """

    def __init__(self, adopt: Adopt, burn: Burn = refuse_all) -> None:
        self.result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._adopt = adopt
        self._burn = burn

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        for index, event in enumerate(events):
            if isinstance(event, LinkOpen):
                return await self._opened(driver, event, events[index + 1 :])
            if isinstance(event, HandshakeAuthenticated):
                if await self._burn(event):
                    await driver.resume()
                else:
                    driver.abort()
            elif isinstance(event, LinkClosed | VersionRefused | NotParlour):
                self._settle(event)
        return None

    async def _opened(self, driver: Driver, event: LinkOpen, rest: Sequence[Event]) -> None:
        handler = await self._adopt(driver, event)
        if handler is None:
            await driver.close(0)
        else:
            driver.hand_over(handler)
        self._settle(event)
        if handler is not None and rest:
            await handler.on_events(driver, rest)

    def _settle(self, result: Result) -> None:
        if not self.result.done():
            self.result.set_result(result)
