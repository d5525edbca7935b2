"""Lets go of old texts that another terminal of the person keeps (SPEC §7.8.4)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from msgspec import Struct

from chat.errors import Phrase, phrase
from chat.interface import (
    KEPT_DAYS_MAX,
    EntriesKept,
    Notice,
    NotPermitted,
    ParlourError,
    RetentionView,
    UsageError,
)
from chat.network.links import Links, LiveLink
from chat.service.events import EntriesGone, EventBus, HoldingSaid, KeepingSaid
from chat.service.forwarding import Forwarding
from chat.service.keyring import Keyring, terminal_of
from chat.service.maintenance import Cleaner
from chat.service.reliance import Reliance
from chat.service.state import ContactBook
from chat.storage import retention
from chat.storage.database import Store
from chat.storage.expiry import Ended
from chat.storage.retention import Clock, Group, Kept
from chat.tasks import Runtime
from protocol.entries_and_receipts import STORED
from protocol.limits import RECEIPT_IDS_MAX
from protocol.messages import PassedReceipt
from protocol.own_terminals import NOT_HELD

EVERY: Final = 3_600.0
"""Seconds between two rounds: a text goes at the latest so long after its time."""

STEP: Final = 1.0
"""Seconds between two pieces of a round. Nobody waits for it."""

OPEN_MAX: Final = 16
"""Questions of a link that wait for an answer. The other side takes so many a second, and reads nothing else
while it delays them."""

OPEN_FOR: Final = 5.0
"""Seconds after which a question waits no longer. A terminal that keeps nothing of it does not answer."""

ASKED_MAX: Final = 64
"""Questions of a link whose answers still count. A terminal that keeps nothing of them does not answer."""

NO_SUCH_TIME: Final = phrase("Keep all messages, or those of 1 to {most} days.", most=KEPT_DAYS_MAX)


class Question(Struct, frozen=True):
    """What was asked of another terminal, `at` monotonic seconds."""

    conversation: bytes
    ids: frozenset[bytes]
    at: float


class Retention:
    """The use case *keep*. Nothing is let go of before another terminal has said that it keeps it."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        links: Links,
        forwarding: Forwarding,
        cleaner: Cleaner,
        reliance: Reliance,
    ) -> None:
        self._reliance = reliance
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._book, self._links, self._forwarding, self._cleaner = book, links, forwarding, cleaner
        self._due = asyncio.Event()
        self._answered = asyncio.Event()
        self._asked: dict[LiveLink, deque[Question]] = {}
        # In the order in which it came: what is not held any more comes behind the word that it is kept.
        self._hearing = asyncio.Lock()
        # What is answered on these was asked before this person chose otherwise.
        self._stale = set[LiveLink]()
        # A removal that was stored last time may not have been followed.
        self._live, self._looks = frozenset(keyring.own_log.live), True
        # By this time, in milliseconds of Unix time, the round says what is old.
        self._began = 0

    # The person.

    async def view(self) -> RetentionView:
        chosen = await self._store.read(retention.kept)
        stays = chosen.days > 0 and not chosen.alone and await self._reliance.is_of_no_use()
        return RetentionView(chosen.days, chosen.alone, await self._store.read(retention.count), stays)

    async def keep(self, days: int, *, alone: bool) -> RetentionView:
        """As interface.Messenger.keep."""
        if not 0 <= days <= KEPT_DAYS_MAX:
            raise UsageError(NO_SUCH_TIME)
        others = self._keyring.own_log.live.keys() - {self._keyring.own.terminal}
        if days and not alone and not others:
            raise NotPermitted(_alone(days))
        before = (await self._store.read(retention.kept)).days
        await self._store.free(retention.keep, days, self._clock(), alone=alone)
        wider = before > 0 and not 0 < days <= before
        for link, outgoing in list(self._forwarding.links.items()):
            if wider:
                link.driver.abort()  # what is on its way was left out by the choice before
            else:
                outgoing.compare([self._keyring.own.person])
        self._stale |= self._asked.keys()
        self._asked.clear()
        self._due.set()
        return await self.view()

    # Rounds.

    async def run(self) -> None:
        """Let go of what has become too old; never ends."""
        while True:
            self._due.clear()
            try:
                await self._round()
            except ParlourError as failure:
                self._bus.publish(Notice(failure.phrase))
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._due.wait()

    def own_log_changed(self) -> None:
        """What a terminal kept that was removed is wanted here again."""
        live = frozenset(self._keyring.own_log.live)
        if self._live - live:
            self._looks = True
            self._due.set()
        self._live = live

    async def _round(self) -> None:
        await asyncio.sleep(self._runtime.config.keep_round_after)
        chosen = await self._store.read(retention.kept)
        if chosen.widens or self._looks:
            await self._take_back(chosen)
        clock = self._clock()
        if not chosen.days or not await self._store.write(retention.is_steady, clock):
            return
        self._began = clock[0]
        self._stale &= self._forwarding.links.keys()
        for link in self._asked.keys() - self._forwarding.links.keys():
            del self._asked[link]
        if self._forwarding.links:
            await self._walk(alone=False)
        if await self._reliance.ask_again(
            chosen.before(self._began), self._ask_when_room, alone=chosen.alone
        ):
            self._begin_again()
        if chosen.alone:
            await asyncio.sleep(self._runtime.config.keep_round_after)  # who keeps some of it says so first
            await self._walk(alone=True)

    async def _walk(self, *, alone: bool) -> None:
        """Ask other terminals whether they keep what may go, or, `alone`, let go of it all the same."""
        after: int | None = 0
        while after is not None and not self._due.is_set():  # else another round begins
            groups, after = await self._store.read(retention.due, after, self._began, alone=alone)
            for conversation in {one.conversation for one in groups}:
                for ids in _questions([one for one in groups if one.conversation == conversation]):
                    if alone:
                        await self._let_go(ids, b"")
                    else:
                        await self._ask_when_room(conversation, ids)
            if groups:
                await asyncio.sleep(STEP)

    async def _ask_when_room(self, conversation: bytes, ids: list[bytes]) -> None:
        await self._has_room()
        self._ask(conversation, ids)

    def _ask(self, conversation: bytes, ids: list[bytes]) -> None:
        for link, outgoing in self._forwarding.links.items():
            terminal = terminal_of(self._keyring.own_log, link)
            if terminal and link not in self._stale:
                asked = self._asked.setdefault(link, deque(maxlen=ASKED_MAX))
                asked.append(Question(conversation, frozenset(ids), self._runtime.clock.monotonic()))
                outgoing.put(PassedReceipt(conversation, terminal, STORED, ids))

    async def _has_room(self) -> None:
        """Wait until each link has less than OPEN_MAX questions that wait for an answer."""
        while (left := self._until_room()) > 0:
            self._answered.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._answered.wait()

    def _until_room(self) -> float:
        """Seconds until a question can be asked, if none is answered before."""
        asked = [self._asked.get(link, deque[Question]()) for link in self._forwarding.links]
        last = [questions[-OPEN_MAX].at for questions in asked if len(questions) >= OPEN_MAX]
        return max(last) + OPEN_FOR - self._runtime.clock.monotonic() if last else 0.0

    async def _take_back(self, chosen: Kept) -> None:
        """What is wanted here again is missing, and comes from whom has it."""
        live = self._live
        after: int | None = 0
        number = 0
        while after is not None and not self._due.is_set():
            back, after = await self._store.write(retention.take_back, after, self._runtime.clock.wall())
            number += back
        while after is None and chosen.widens and not self._due.is_set():
            if not (back := await self._reliance.ask_own_again()):
                break
            number += back
        if after is None and await self._store.write(retention.taken_back, chosen):
            self._looks = self._live is not live
        else:
            self._due.set()
        if number:
            self._say(self._book.rows)
            self._begin_again()

    def _begin_again(self) -> None:
        for link in self._links.all():  # on which nothing is sent twice
            link.driver.abort()

    # What other terminals say.

    def hear(self, said: HoldingSaid) -> None:
        self._runtime.tasks.spawn(self._hear(said.link, said.message))

    def hear_keeping(self, said: KeepingSaid) -> None:
        self._runtime.tasks.spawn(self._hear_keeping(said))

    async def _hear_keeping(self, said: KeepingSaid) -> None:
        if await self._reliance.hear(said):
            self._due.set()  # what it kept for this one may be on no other terminal

    async def _hear(self, link: LiveLink, message: PassedReceipt) -> None:
        async with self._hearing:
            await self._hear_next(link, message)

    async def _hear_next(self, link: LiveLink, message: PassedReceipt) -> None:
        own, terminal = self._keyring.own.terminal, terminal_of(self._keyring.own_log, link)
        if link not in self._forwarding.links or not terminal:
            return
        if message.terminal == own:
            await self._reliance.answer(link, message)
        elif message.terminal == terminal and message.kind == NOT_HELD:
            self._take_answer(link, message, whole=True)
            if await self._reliance.lose(message):
                self._due.set()
        elif message.terminal == terminal:
            await self._reliance.rely(message, self._clock())
            if self._take_answer(link, message):
                await self._let_go(message.ids, terminal)

    def _take_answer(self, link: LiveLink, message: PassedReceipt, *, whole: bool = False) -> bool:
        """Whether entries are those of a question on this link, which is answered now, or all of its."""
        asked, ids = self._asked.get(link, deque[Question]()), set(message.ids)
        for question in asked:
            if question.conversation == message.conversation and question.ids >= ids:
                if whole and question.ids != ids:
                    return False
                asked.remove(question)
                self._answered.set()
                return True
        return False

    async def _let_go(self, ids: Sequence[bytes], holder: bytes) -> None:
        gone: list[Ended] = await self._store.free(retention.let_go, ids, holder, self._clock(), self._began)
        if gone:
            self._say({one.contact for one in gone})
            self._cleaner.begin()
            self._reliance.gone(EntriesGone(tuple(one.entry for one in gone)))

    def _say(self, persons: Iterable[bytes]) -> None:
        for person in persons:
            self._bus.publish(EntriesKept(person.hex()))

    def _clock(self) -> Clock:
        return (self._runtime.clock.wall(), *self._runtime.clock.boot())


def _questions(groups: Sequence[Group]) -> list[list[bytes]]:
    """The ids of groups for messages, ascending, no group in two: its answer has to name all of it."""
    found = list[list[bytes]]()
    for one in groups:
        if found and len(found[-1]) + len(one.ids) <= RECEIPT_IDS_MAX:
            found[-1] += one.ids
        else:
            found.append(list(one.ids))
    return [sorted(ids) for ids in found]


def _alone(days: int) -> Phrase:
    return phrase(
        "You have no other device. What this one does not keep would be gone for you: only your contacts "
        "would have it. Add a device that keeps all (parlour terminal add), or let it go all the same "
        "(parlour terminal keep {days}d --even-if-alone).",
        days=days,
    )
