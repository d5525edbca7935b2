"""Work on the database that may wait: deleted content (attack 75), ranks, and what cuts leave out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from chat.errors import phrase
from chat.interface import Cleaned, Cleaning, EntriesMarked, EntriesMoved, Notice, NotPermitted, ParlourError
from chat.service.amending import Amendments
from chat.service.events import EventBus, RanksSettled
from chat.service.shelf import Shelf
from chat.storage import contacts, entries, ordering, quarantine, secure_deletion
from chat.storage.database import Store
from chat.storage.errors import (
    StorageBroken,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
)
from chat.tasks import Runtime

FULL = phrase(
    "The disk is full. Deleted messages are still in the profile file. Free some space; Parlour then tries "
    "again."
)


BROKEN = phrase(
    "The disk cannot be read or written. What you deleted is no longer shown, but is still in the profile "
    "file. Check the disk; Parlour tries again."
)


class NotCleaned(ParlourError):
    """The file could not be cleaned; nothing was lost, and it stays marked."""

    def __init__(self, cause: StorageFailure) -> None:
        if isinstance(cause, StorageFull):
            super().__init__(FULL)
        elif isinstance(cause, StorageBroken | StorageReadOnly):
            super().__init__(BROKEN)  # their own texts say that nothing was stored, and the deletion is
        else:
            super().__init__(
                phrase(
                    "Deleted messages are still in the profile file; Parlour tries again. {reason}",
                    reason=cause.phrase,
                )
            )


class Cleaner:
    """The use case *clean*. The database marks that cleaning is due, so a crash does not forget it."""

    def __init__(self, runtime: Runtime, store: Store, bus: EventBus, shelf: Shelf) -> None:
        self._runtime = runtime
        self._store = store
        self._bus, self._shelf = bus, shelf
        self._due = asyncio.Event()
        self._round: asyncio.Task[ParlourError | None] | None = None
        self._deletions = 0

    def begin(self) -> None:
        """Something was deleted: clean when the deletions have stopped for a while."""
        self._deletions += 1
        self._due.set()
        self._shelf.drop()

    async def run(self) -> None:
        """Clean whenever it is due, also what an earlier engine left; never ends."""
        if await self._is_due():
            self.begin()
        while True:
            await self._due.wait()
            self._due.clear()
            await self._quiet()
            await self._until_clean()

    async def clean(self) -> None:
        """Clean now if it is due. Raises NotCleaned, and NotPermitted once the database is closed."""
        while await self._is_due():
            # A deletion during a round sets the mark again, which begins another.
            if self._round is None or self._round.done():
                self._round = self._runtime.tasks.spawn(self._one_round())
            failure = await asyncio.shield(self._round)
            if isinstance(failure, StorageFailure):
                raise NotCleaned(failure)
            if failure is not None:
                raise failure

    async def _is_due(self) -> bool:
        return await self._store.read(secure_deletion.cleaning_is_due)

    async def _quiet(self) -> None:
        """Wait, for a bounded time, until nothing is deleted and the database is idle."""
        seen = (-1, -1)
        for _ in range(self._runtime.config.clean_patience):
            now = (self._deletions, self._store.asked)
            if now == seen:
                return
            seen = now
            await asyncio.sleep(self._runtime.config.clean_after)

    async def _until_clean(self) -> None:
        said = ""
        while True:
            try:
                return await self.clean()
            except NotCleaned as failure:
                if said != failure.phrase:
                    said = failure.phrase
                    self._bus.publish(Notice(failure.phrase))
            await asyncio.sleep(self._runtime.config.clean_again)

    async def _one_round(self) -> ParlourError | None:
        """Clean once; returns the failure. Other work on the database waits for one step at most."""
        store, loop, every = self._store, asyncio.get_running_loop(), self._runtime.config.clean_told
        told = loop.time()
        try:
            await self._shelf.drop_gone()
            steps = await store.read(secure_deletion.clean_in_steps)
            while (done := await store.run(partial(next, steps, None))) is not None:
                if loop.time() >= told + every:
                    told = loop.time()
                    self._bus.publish(Cleaning(done))
            if await self._is_due():  # the file was mended meanwhile, and is cleaned again
                return None
        except (StorageFailure, NotPermitted) as failure:
            return failure
        self._bus.publish(Cleaned())
        return None


class Settler:
    """Does, piece by piece, what one entry may ask of a whole history.

    It raises the ranks of entries that arrived before one that they name (SPEC §11.3), decides which claims
    are own entries and which entries of removed terminals count, and follows deletes and edits (SPEC §11.2).
    It publishes whose entries have other marks or may stand elsewhere, and what deletes and edits changed.
    """

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        amendments: Amendments,
        settle_claims: Callable[[], Awaitable[bool]],
    ) -> None:
        self._config, self._store, self._bus = runtime.config, store, bus
        self._amendments, self._settle_claims = amendments, settle_claims
        self._due = asyncio.Event()
        self._moved: set[int] = set()  # conversations in which ranks were raised, and nobody knows yet

    def begin(self) -> None:
        """Something may be due."""
        self._due.set()

    async def run(self) -> None:
        """Do what is due, also what an earlier engine left; never ends."""
        self.begin()
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                if await self._store.read(entries.is_unsettled):
                    await self._settle()
                    self._bus.signal(RanksSettled())
                await self._amendments.clean_if_due()
            except StorageFailure as failure:
                self._bus.publish(Notice(failure.phrase))
                await asyncio.sleep(self._config.clean_again)
                self.begin()

    async def _settle(self) -> None:
        conversation: int | None = 0
        rule: int | None = 0
        amends: int | None = 0
        claimed = True
        while claimed or conversation is not None or rule is not None or amends is not None:
            claimed = await self._settle_claims()
            conversation = await self._store.write(ordering.settle_next, conversation or 0)
            if conversation is not None:
                self._moved.add(conversation)
            rule, changed = await self._store.write(quarantine.settle_next, rule or 0)
            for contact in changed:
                self._bus.publish(EntriesMarked(contact.hex()))
            amends = await self._amendments.follow(amends or 0)
            await asyncio.sleep(self._config.ranks_every)
        for number in list(self._moved):
            person = await self._store.read(contacts.partner_in, number)
            self._moved.discard(number)
            if person is not None:
                self._bus.publish(EntriesMoved(person.hex()))
