"""Checks the database at most once a day, while it is idle, for pages that are older than the others."""

from __future__ import annotations

import asyncio
from typing import Final

from chat.errors import NOTHING_SAID, Phrase, phrase
from chat.interface import DiagnosisView, FileCheckView, Notice, ParlourError
from chat.service.events import EventBus
from chat.storage import checks, second_reader, settings
from chat.storage.database import Database, Store
from chat.storage.errors import StorageFailure, StorageReadOnly
from chat.tasks import Runtime

DAY_MS: Final = 86_400_000
HOUR: Final = 3_600.0
PIECES_A_STEP: Final = 16
FILES: Final = phrase("profile files")
SECOND: Final = phrase("second library")
NOT_LOOKED: Final = phrase("not looked at by a second library: the profile can only be read")
_NOT_MENDED: Final = phrase("Restore the profile from a copy. Keep the damaged one until that has worked.")


class Checker:
    """What it finds, the store mends at once: a check that raises damage is done again on what was saved."""

    def __init__(self, runtime: Runtime, store: Store, bus: EventBus) -> None:
        self._runtime, self._store, self._bus = runtime, store, bus

    async def run(self) -> None:
        """Check when it is due; never ends."""
        await asyncio.sleep(self._runtime.config.check_after)
        while True:
            try:
                if await self._is_due():
                    await self.check()
            except ParlourError as failure:  # a full disk, or what cannot be mended
                self._bus.publish(Notice(failure.phrase))
            await asyncio.sleep(HOUR)

    async def check(self) -> None:
        """Check all rows in pieces between which others use the disk, then all pages. Raises ParlourError."""
        after: int | None = 0
        while after is not None:
            after = await self._store.read(checks.piece, after)
            await asyncio.sleep(self._runtime.config.ranks_every)
        try:
            await self._store.read(checks.structure, self._store.is_wanted)
        except StorageFailure:  # somebody uses the database: the next hour is as good
            return
        await self._store.write(settings.set_checked, self._runtime.clock.wall())

    async def step(self, after: int) -> FileCheckView:
        """Check some entries after one by number, or all pages after the last. Raises BadData."""
        last = await self._store.read(checks.last_entry)
        reached: int | None = max(0, min(after, last))
        for _ in range(PIECES_A_STEP):
            if reached is not None:
                reached = await self._store.read(checks.piece, reached)
        if reached is not None:
            return FileCheckView(min(100 * reached // max(last, 1), 99), reached)
        wrong = await self._store.read(Database.integrity)
        if wrong:
            await self._store.read(checks.structure, self._store.is_closing)  # which has it mended
            wrong = await self._store.read(Database.integrity)
        if wrong:
            return FileCheckView(100, None, (DiagnosisView(FILES, False, Phrase(wrong[0]), _NOT_MENDED),))
        held = await self._store.read(checks.census)
        said = phrase(
            "{pages} pages are intact and hold {entries} messages, of which {missing} wait for their content",
            pages=held.pages,
            entries=held.entries,
            missing=held.missing,
        )
        second = await self._second()
        return FileCheckView(100, None, (DiagnosisView(FILES, True, said), second))

    async def _second(self) -> DiagnosisView:
        """What a second library, which wrote none of the pages, finds."""
        try:
            good, said = await self._store.read(second_reader.compare, self._store.is_closing)
        except StorageReadOnly:  # the log cannot be emptied
            return DiagnosisView(SECOND, True, NOT_LOOKED)
        return DiagnosisView(SECOND, good, said, NOTHING_SAID if good else _NOT_MENDED)

    async def _is_due(self) -> bool:
        last, now = await self._store.read(settings.checked), self._runtime.clock.wall()
        return not last <= now < last + DAY_MS
