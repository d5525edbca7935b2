"""Entries with a timer end at their moment; timers of conversations are kept up to date (SPEC §11.9)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from chat.interface import EntryDeleted, Notice
from chat.ports import Clock
from chat.service.events import EventBus
from chat.service.keyring import Keyring
from chat.service.maintenance import Cleaner
from chat.service.state import ContactBook
from chat.service.views import Views
from chat.storage import expiry, receipts
from chat.storage.database import Store
from chat.storage.errors import StorageFailure
from chat.storage.expiry import Ended, Moment
from chat.tasks import Runtime

PIECE: Final = 256
"""Entries that end in one piece of work on the disk, some milliseconds: users wait for it."""

AT_START: Final = 16
"""Pieces that end before an engine shows anything. What is left is not shown, and ends after the start."""

JUMP_MS: Final = 1_000
"""A wall clock that is off by more, against the time since the machine's start, was set."""


class AgeClock:
    """The profile's clock, which only grows: by the time since the machine's start or by the wall clock,
    whichever says more.

    So a wall clock that is set back delays nothing. Before this start of the machine only the wall clock is
    known.
    """

    def __init__(self, clock: Clock, saved: Moment | None) -> None:
        self._clock = clock
        boot, since = clock.boot()
        wall, age = clock.wall(), 0
        if saved is not None:
            ran = since - saved.since if boot and boot == saved.boot else 0
            age = saved.age + max(0, wall - saved.wall, ran)
        self._began, self._age = Moment(wall, age, boot, since), age

    def now(self) -> Moment:
        boot, since = self._clock.boot()
        wall, began = self._clock.wall(), self._began
        by_wall, by_boot = wall - began.wall, since - began.since
        self._age = max(self._age, began.age + max(by_wall, by_boot))
        now = Moment(wall, self._age, boot, since)
        if abs(by_wall - by_boot) > JUMP_MS:
            self._began = now
        return now


class Expirer:
    """The use case *expire*. Ends are in the database, so that no crash forgets one."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        views: Views,
        ages: AgeClock,
        cleaner: Cleaner,
    ) -> None:
        self._config, self._store, self._bus, self._keyring = runtime.config, store, bus, keyring
        self._book, self._views, self._ages, self._cleaner = book, views, ages, cleaner
        self._due = asyncio.Event()
        self._wakes: int | None = None  # the age at which there is something to do
        self._rereads, self._saved = False, 0
        self.awaited = False
        """Whether entries whose time is over wait until a terminal of the contact has them."""

    def moment(self) -> Moment:
        """Now."""
        return self._ages.now()

    def begin(self) -> None:
        """An entry got another end, or one that waited has arrived."""
        self._due.set()

    def follow_timers(self) -> None:
        """Which entries count may have changed, and with it the timers of conversations."""
        self._rereads = True
        self._due.set()

    def tick(self) -> None:
        """Look whether the machine slept, or its clock was set: the event loop notices neither."""
        if self._wakes is not None and self._ages.now().age >= self._wakes:
            self._due.set()

    async def before_anything_is_shown(self) -> None:
        """End what ended while no engine ran, a bounded number at once."""
        with suppress(StorageFailure):  # of a read-only profile nothing is shown that has ended, either
            for _ in range(AT_START):
                if not await self._end_some():
                    return

    async def save(self) -> None:
        """Store what has passed: the next engine may find a wall clock that was set back."""
        with suppress(StorageFailure):
            if await self._store.read(expiry.is_followed):
                await self._store.write(expiry.save_clock, self._ages.now())

    async def run(self) -> None:
        """End entries at their moment; never ends."""
        while True:
            self._due.clear()
            delay: float | None = self._config.clean_again
            try:
                delay = await self._until_next()
            except StorageFailure as failure:
                self._bus.publish(Notice(failure.phrase))
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._due.wait()

    async def _until_next(self) -> float | None:
        """End a piece of what is due; returns the seconds until the next one, None if nothing ends."""
        if self._rereads:
            self._rereads = False
            await self._reread()
        if await self._end_some():
            return self._config.ranks_every
        self.awaited = await self._store.read(expiry.is_awaited)
        self._wakes = await self._store.read(expiry.next_end)
        if self._wakes is None:
            return None
        now = self._ages.now()
        if now.age - self._saved >= self._config.clock_saved_every * 1_000:
            await self._store.write(expiry.save_clock, now)
            self._saved = now.age
        left = (self._wakes - now.age) / 1_000
        return min(max(self._config.ranks_every, left), self._config.clock_saved_every)

    async def _end_some(self) -> bool:
        """End a piece of what is due; whether more may be."""
        moment, end = self._ages.now(), await self._store.read(expiry.next_end)
        if end is None:
            return False
        ended, more = await self._store.free(expiry.expire, moment, PIECE)
        self._said(ended)
        await self._count({(one.contact, one.conversation) for one in ended})
        return more

    def _said(self, ended: Iterable[Ended]) -> None:
        for one in ended:
            self._bus.publish(EntryDeleted(one.contact.hex(), one.entry.hex(), expired=True))
            self._cleaner.begin()

    async def _count(self, conversations: Iterable[tuple[bytes, bytes]]) -> None:
        for person, conversation in conversations:
            unread = await self._store.read(receipts.unread, conversation)
            if self._book.counts(person, unread):
                self._views.publish_contact(person)

    async def _reread(self) -> None:
        for person, seconds in (await self._store.read(expiry.timers)).items():
            self.set_timer(person, seconds)

    def set_timer(self, person: bytes, seconds: int) -> None:
        """Keep the timer of a conversation as the database says, and publish it if it is another one."""
        if person in self._book.rows and self._book.timers.get(person, 0) != seconds:
            self._book.timers[person] = seconds
            self._views.publish_contact(person)
