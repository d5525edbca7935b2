"""Plain copies of files outside of the profile: what may be written unasked, and what a crash left of one."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from chat.errors import UsageError, phrase
from chat.interface import FILES
from chat.service import allowances
from chat.service.keyring import Keyring
from chat.storage import files, settings
from chat.storage.database import Database, Store
from chat.storage.errors import StorageFailure
from chat.storage.files import FileRow
from chat.storage.folder import system_failures
from chat.storage.new_file import NewFile, is_unfinished

UNFINISHED: Final = f"{FILES}unfinished"
"""The preference with the paths of copies that are being written, as JSON."""

MUCH = phrase(
    "What was saved of this conversation, or of all, has reached what may be taken without asking: save this"
    " file with 'parlour save', move saved files out of the folder, or allow more with 'parlour files'."
)


class Copies:
    """One engine has a profile at a time: what an earlier one noted as begun was left by a crash."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store, self._keyring = store, keyring
        self._begun = set[Path]()  # by this engine: the first copy may begin before the sweep does

    async def require_allowed(self, row: FileRow, folder: Path) -> None:
        """Raises UsageError where a copy needs the word of this person.

        What this person moved out of the folder counts no more. It is looked at once the bound is reached.
        """
        if await self._fits(row):
            return
        with system_failures():
            there = await asyncio.to_thread(_bytes_in, folder)
        await self._store.write(allowances.copied_at_most, there)
        if not await self._fits(row):
            raise UsageError(MUCH)

    async def _fits(self, row: FileRow) -> bool:
        return await self._store.read(allowances.may_copy, row, self._keyring.own_terminals)

    async def count(self, row: FileRow) -> None:
        """A copy was written unasked."""
        await self._store.write(allowances.copied, row, self._keyring.own_terminals)

    # What a crash leaves.

    async def begin(self, target: NewFile) -> None:
        """A copy is about to be written: if this program is killed, the next start removes what there is."""
        self._begun.add(target.unfinished)
        await self._store.write(_note, str(target.unfinished), on=True)

    async def end(self, target: NewFile) -> None:
        """The copy has its name, or is given up."""
        self._begun.discard(target.unfinished)
        await self._store.free(_note, str(target.unfinished), on=False)

    async def sweep(self) -> None:
        """Remove what killed engines left. Raises StorageFailure, after all that can be removed is."""
        failed: StorageFailure | None = None
        for path in await self._store.read(_noted):
            if Path(path) in self._begun:
                continue
            # A preference is no proof of who wrote it: nothing else than an unfinished file goes.
            if is_unfinished(Path(path)):
                try:
                    with system_failures(), suppress(FileNotFoundError, NotADirectoryError):
                        await asyncio.to_thread(Path(path).unlink)
                except StorageFailure as failure:  # of that folder: the next start tries again
                    failed = failure
                    continue
            await self._store.free(_note, path, on=False)
        if failed is not None:
            raise failed


def _noted(db: Database) -> list[str]:
    with suppress(ValueError):
        found = json.loads(settings.preferences(db).get(UNFINISHED, "[]"))
        if isinstance(found, list):
            return [one for one in found if isinstance(one, str)]
    return []


def _note(db: Database, path: str, *, on: bool) -> None:
    left = [one for one in _noted(db) if one != path] + [path] * on
    settings.set_preference(db, UNFINISHED, json.dumps(left) if left else "")


def _bytes_in(folder: Path) -> int:
    """Bytes that the files in a folder and below count for."""
    total = 0
    for above, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # it went meanwhile
                total += files.on_disk(os.lstat(os.path.join(above, name)).st_size)  # noqa: PTH118 - quick
    return total
