"""Lets go of old texts and files that this person's keeper holds (SPEC §7.8.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from msgspec import Struct

from chat.errors import phrase
from chat.interface import KEPT_DAYS_MAX, EntriesKept, Notice, ParlourError, RetentionView, UsageError
from chat.network.links import Links, LiveLink
from chat.service.events import EventBus, HoldingSaid
from chat.service.forwarding import Forwarding
from chat.service.keyring import Keyring, terminal_of
from chat.service.maintenance import Cleaner
from chat.service.notes import Notes, Written
from chat.service.signing import NO_DEVICE
from chat.service.state import ContactBook
from chat.storage import retention, settings
from chat.storage.database import Database, Store
from chat.storage.retention import Asked
from chat.tasks import Runtime
from protocol.entries_and_receipts import STORED
from protocol.messages import PassedReceipt, SharedSetting
from protocol.notes import Register, write
from protocol.own_terminals import NOT_HELD

EVERY: Final = 3_600.0
"""Seconds between two rounds: a text goes at the latest so long after its time."""

SOON: Final = 10
"""Times as long as a round waits first: then the next one begins, if the keeper was sent what it lacked."""

STEP: Final = 1.0
"""Seconds between two pieces of a round. Nobody waits for it."""

ANSWER_IN: Final = 30.0
"""Seconds after which an answer counts no more. The keeper may be away, or reading much."""

UNSURE: Final = 4
"""Pieces of what is not here about which one round asks, the next ones in the round after it. Own terminals
and contacts fill it."""

NO_SUCH_TIME: Final = phrase("Keep all messages, or those of 1 to {most} days.", most=KEPT_DAYS_MAX)


class Question(Struct, frozen=True):
    """What the keeper is asked on a link. `left`: the ids of which it has said nothing."""

    link: LiveLink
    conversation: bytes
    left: set[bytes]
    over: asyncio.Event


class Retention:
    """The use cases *keep* and *choose keeper*. Nothing goes before the keeper has said that it holds it."""

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
        notes: Notes,
    ) -> None:
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._book, self._links, self._forwarding, self._cleaner = book, links, forwarding, cleaner
        self._notes = notes
        self._due = asyncio.Event()
        # In the order in which it came: what this terminal says it holds, it has not let go of since.
        self._hearing = asyncio.Lock()
        self._question: Question | None = None
        self._unsure, self._filled = 0, False

    # The person.

    async def view(self) -> RetentionView:
        def read(database: Database) -> RetentionView:
            keeper = retention.keeper(database).hex()
            return RetentionView(retention.days(database), keeper, retention.count(database))

        return await self._store.read(read)

    async def keep(self, days: int) -> RetentionView:
        """As interface.Messenger.keep."""
        if not 0 <= days <= KEPT_DAYS_MAX:
            raise UsageError(NO_SUCH_TIME)
        await self._store.free(retention.keep, days)
        self.changed()
        return await self.view()

    async def choose_keeper(self, terminal: str) -> RetentionView:
        """As interface.Messenger.choose_keeper."""
        if terminal and terminal not in {one.hex() for one in self._keyring.own_log.live}:
            raise UsageError(NO_DEVICE)

        def store(database: Database) -> Written:
            name, value = settings.name_keeper(database, terminal)
            setting = write(Register.SETTING, name.encode(), SharedSetting(name, value))
            return self._notes.write(database, [setting])

        written = await self._notes.store(store)
        self.changed()
        await self._notes.done(written)
        return await self.view()

    def changed(self) -> None:
        """The keeper, or what is kept here, may be another than before: what was asked counts no more."""
        if self._question is not None:
            self._question.over.set()
        self._question = None
        self._due.set()

    # Rounds.

    async def run(self) -> None:
        """Let go of what has become too old; never ends."""
        while True:
            self._due.clear()
            try:
                await self._round()
            except ParlourError as failure:
                self._bus.publish(Notice(failure.phrase))
            # What the keeper was just sent goes once it has that: each once on a link.
            soon = SOON * self._runtime.config.keep_round_after
            with suppress(TimeoutError):
                async with asyncio.timeout(soon if self._filled else EVERY):
                    await self._due.wait()

    async def _round(self) -> None:
        await asyncio.sleep(self._runtime.config.keep_round_after)
        self._filled = False
        await self._take_back()
        await self._walk(retention.due, 0)
        self._unsure = await self._walk(retention.unsure, self._unsure, UNSURE)

    async def _take_back(self) -> None:
        """What is wanted here again is missing, and comes from whom has it."""
        after: int | None = 0
        back = False
        while after is not None and not self._due.is_set():
            wanted, after = await self._store.read(retention.wanted, after, self._runtime.clock.wall())
            if wanted:
                await self._store.write(retention.miss, wanted)
                back = True
        if back:
            self._say(self._book.rows)
            self._compare_again()

    def _compare_again(self) -> None:
        for link in self._links.all():  # on which nothing is sent twice
            link.driver.abort()

    async def _walk(
        self, of: Callable[[Database, int, int], tuple[Asked, int | None]], after: int, pieces: int = -1
    ) -> int:
        """Ask the keeper about some pieces, or all, after a number; returns the last one, 0 at the end."""
        while pieces and not self._due.is_set():
            found, last = await self._store.read(of, after, self._runtime.clock.wall())
            for conversation, ids in found.items():
                if not await self._ask(conversation, ids):
                    return after
            if last is None:
                return 0
            after, pieces = last, pieces - 1
            if found:
                await asyncio.sleep(STEP)
        return after

    async def _ask(self, conversation: bytes, ids: list[bytes]) -> bool:
        """Ask the keeper what it holds, and follow its answer; whether there was one."""
        keeper, log = await self._store.read(retention.keeper), self._keyring.own_log
        links = [link for link in self._forwarding.links if terminal_of(log, link) == keeper != b""]
        if not links:
            return False
        self._question = asked = Question(links[0], conversation, set(ids), asyncio.Event())
        self._forwarding.links[links[0]].put(PassedReceipt(conversation, keeper, STORED, ids))
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_IN):
                await asked.over.wait()
        self._question = None
        return not asked.left

    # What own terminals say.

    def hear(self, said: HoldingSaid) -> None:
        self._runtime.tasks.spawn(self._hear(said.link, said.message))

    async def _hear(self, link: LiveLink, message: PassedReceipt) -> None:
        async with self._hearing:
            if message.terminal == self._keyring.own.terminal:
                await self._answer(link, message)
            elif (asked := self._question) is not None and _answers(asked, link, message):
                await self._follow(link, message)
                asked.left.difference_update(message.ids)
                if not asked.left:
                    asked.over.set()

    async def _answer(self, link: LiveLink, message: PassedReceipt) -> None:
        """Say what this terminal holds, and what not, if it is the keeper."""
        said = await self._store.read(retention.held_among, message.conversation, message.ids)
        outgoing, own = self._forwarding.links.get(link), self._keyring.own.terminal
        for kind, ids in zip((STORED, NOT_HELD), said, strict=True):
            if ids and outgoing is not None:
                outgoing.put(PassedReceipt(message.conversation, own, kind, ids))

    async def _follow(self, link: LiveLink, message: PassedReceipt) -> None:
        if message.kind == NOT_HELD:
            lost, held = await self._store.write(retention.lose, message.ids)
            self._say(lost)
            if held and (outgoing := self._forwarding.links.get(link)) is not None:
                # It asks nobody again who once lacked the body, too.
                contact = self._keyring.talks_with(message.conversation)
                self._filled |= outgoing.fill(message.conversation, contact, held)
            return
        now = self._runtime.clock.wall()
        gone = await self._store.free(retention.let_go, message.ids, message.terminal, now)
        if gone:
            self._say({contact for contact, _ in gone})
            self._cleaner.begin()

    def _say(self, persons: Iterable[bytes]) -> None:
        for person in persons:
            self._bus.publish(EntriesKept(person.hex()))


def _answers(asked: Question, link: LiveLink, message: PassedReceipt) -> bool:
    same = asked.link is link and asked.conversation == message.conversation
    return same and asked.left >= set(message.ids)
