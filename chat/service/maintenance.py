"""Takes what was deleted out of the file, when there is time (attack 75).

Rules: what is due stands in the database and not here, so that a crash loses nothing of it; a cleaning is one
piece of work on the database, which gives way to what people wait for, and to a lock; one that fails is said
once and tried again until it is done.
"""

from __future__ import annotations

import asyncio

from chat.errors import phrase
from chat.interface import Cleaned, Notice, ParlourError
from chat.service.state import EngineState
from chat.storage import search_index
from chat.storage.errors import StorageFailure, StorageFull, StorageGivenUp

FULL = phrase(
    "The disk is full. Deleted messages are still in the profile file. Free as much space as the profile "
    "uses; Parlour then tries again."
)


class NotCleaned(ParlourError):
    """The disk did not let the file be cleaned; nothing was lost, and what is due stays marked."""

    def __init__(self, cause: StorageFailure) -> None:
        if isinstance(cause, StorageFull):
            super().__init__(FULL)
        else:
            super().__init__(
                phrase(
                    "Deleted messages are still in the profile file; Parlour tries again. {reason}",
                    reason=cause.phrase,
                )
            )


class Cleaner:
    """The use case *clean*."""

    def __init__(self, world: EngineState) -> None:
        self._world = world
        self._due = asyncio.Event()
        self._round: asyncio.Task[StorageFailure | None] | None = None
        self._deletions = 0

    def begin(self) -> None:
        """Something was deleted: clean once nothing more has been for a while."""
        self._deletions += 1
        self._due.set()

    async def run(self) -> None:
        """Clean whenever it is due, from what an engine before left undone on; never ends."""
        if await self._is_due():
            self.begin()
        while True:
            await self._due.wait()
            self._due.clear()
            await self._quiet()
            await self._until_clean()

    async def clean(self) -> None:
        """Clean now what is due. Raises NotCleaned; the mark stays then."""
        patience = self._world.config.clean_patience
        while await self._is_due():
            # Whoever deletes during a round finds the mark again, and begins another.
            if self._round is None or self._round.done():
                self._round = self._world.tasks.spawn(self._one_round(gives_way=patience > 0))
            failure = await asyncio.shield(self._round)
            if isinstance(failure, StorageGivenUp):
                patience -= 1
                await self._quiet()
            elif failure is not None:
                raise NotCleaned(failure)

    async def _is_due(self) -> bool:
        return await self._world.store.read(search_index.cleaning_is_due)

    async def _quiet(self) -> None:
        """Wait until nothing was deleted, or wanted of the database, for a while; not for ever."""
        seen = (-1, -1)
        for _ in range(self._world.config.clean_patience):
            now = (self._deletions, self._world.store.asked)
            if now == seen:
                return
            seen = now
            await asyncio.sleep(self._world.config.clean_after)

    async def _until_clean(self) -> None:
        said = ""
        while True:
            try:
                return await self.clean()
            except NotCleaned as failure:
                if said != failure.phrase:
                    said = failure.phrase
                    self._world.hub.publish(Notice(failure.phrase))
            await asyncio.sleep(self._world.config.clean_again)

    async def _one_round(self, *, gives_way: bool) -> StorageFailure | None:
        """Clean once; the failure is the answer, since whoever waits says it."""
        store = self._world.store
        try:
            cleaned = await store.read(
                search_index.clean_file, store.is_wanted if gives_way else store.is_closing
            )
        except StorageFailure as failure:
            return failure
        if cleaned:
            self._world.hub.publish(Cleaned())
        return None
