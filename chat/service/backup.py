"""The use case *back up*: an encrypted file of everything that a person has (SPEC §21.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from chat.errors import phrase
from chat.interface import BackupView, CannotCreate, NotPermitted, UsageError
from chat.service.events import EventBus
from chat.service.keyring import Keyring
from chat.service.progress import Progress
from chat.service.readable import NOT_ABSOLUTE
from chat.service.recovery import ERASED, OUTDATED
from chat.storage import backup, removal
from chat.storage.backup import Scope
from chat.storage.backup_file import BackupReader, BackupWriter
from chat.storage.database import Store
from chat.storage.entries import BEGINNING
from chat.storage.errors import StorageFailure
from chat.storage.profile import Vault
from chat.tasks import Runtime
from protocol.backup.records import (
    BackupConversation,
    BackupEnd,
    BackupEntry,
    BackupRoot,
    Record,
    RecordReader,
)
from protocol.backup.root import NOT_HELD, RootHash, history_root
from protocol.entries_and_receipts import ParsedEntry
from protocol.messages import ENTRY_HEADER

ATTEMPTS: Final = 4
"""Times that a backup is begun, each time because the history that it had changed meanwhile."""

CHANGES = phrase("The history changed again and again while the backup was written: try again later.")
BUSY = phrase("Another backup is being written: wait until it is done.")


class _Changed(Exception):
    """What was written is not what is held any more."""


class Backup:
    """Writes backups, one at a time, in pieces between which others use the database."""

    def __init__(self, runtime: Runtime, store: Store, bus: EventBus, vault: Vault, keyring: Keyring) -> None:
        self._runtime, self._store, self._bus, self._vault = runtime, store, bus, vault
        self._keyring = keyring
        self._busy = False

    async def write(self, path: Path, passphrase: str, *, recovery: bool) -> BackupView:
        """As interface.Messenger.back_up."""
        if not path.is_absolute():
            raise UsageError(NOT_ABSOLUTE)
        if self._busy:
            raise CannotCreate(BUSY)
        self._busy = True
        try:
            for _ in range(ATTEMPTS):
                with suppress(_Changed):
                    return await self._attempt(path, passphrase, recovery=recovery)
        finally:
            self._busy = False
        raise CannotCreate(CHANGES)

    async def _attempt(self, path: Path, passphrase: str, *, recovery: bool) -> BackupView:
        of = await self._store.read(backup.scope, self._runtime.clock.wall(), recovery=recovery)
        if recovery and not self._keyring.keeps_seed:
            raise NotPermitted(OUTDATED if of.start.recovery else ERASED)
        cost, random = self._vault.cost, self._runtime.random
        writer = await asyncio.to_thread(BackupWriter, path, passphrase, cost, random)
        try:
            end = await self._fill(writer, of)
            unfinished = await asyncio.to_thread(writer.end)
            await self._check(unfinished, passphrase, of, end)
            await asyncio.to_thread(writer.finish)
        except BaseException:
            with suppress(StorageFailure):
                writer.abandon()
            raise
        return BackupView(
            str(path), end.entries, len(of.conversations), end.root.hex(), bool(of.start.recovery)
        )

    async def _fill(self, writer: BackupWriter, of: Scope) -> BackupEnd:
        store = self._store
        await asyncio.to_thread(writer.add, [of.start])
        for person in of.persons:
            await asyncio.to_thread(writer.add, await store.read(backup.log_records, person))
        await asyncio.to_thread(writer.add, await store.read(backup.facts, of))
        with suppress(StorageFailure):  # a disk that is full or read-only can still be read
            while await store.read(removal.is_due):  # what was deleted before is known at the end only
                await store.write(removal.next_piece)
        after = b""
        while deleted := await store.read(backup.deletions, after):
            await asyncio.to_thread(writer.add, backup.deletion_records(deleted))
            after = deleted[-1][0]
        entries, roots, progress = 0, list[tuple[bytes, bytes]](), Progress(self._bus, of.last)
        for conversation, contact in of.conversations:
            root = await self._talk(writer, of, conversation, contact, progress, entries)
            entries += root.count
            roots.append((conversation, root.root))
        end = BackupEnd(entries, history_root(roots))
        await asyncio.to_thread(writer.add, [end])
        return end

    async def _talk(
        self,
        writer: BackupWriter,
        of: Scope,
        conversation: bytes,
        contact: bytes,
        progress: Progress,
        before: int,
    ) -> RootHash:
        await asyncio.to_thread(writer.add, [BackupConversation(contact)])
        root, place = RootHash(conversation), BEGINNING
        while True:
            found, following = await self._store.read(backup.entries, conversation, place, of.last)
            await asyncio.to_thread(_add, writer, root, found)
            progress.say(before + root.count)
            if following is None:
                break
            place = following
        await asyncio.to_thread(writer.add, [BackupRoot(root.count, root.root)])
        return root

    async def _check(self, unfinished: Path, passphrase: str, of: Scope, end: BackupEnd) -> None:
        """Read the whole file again, and compare it with what is held now. Raises BadData, _Changed.

        What was deleted meanwhile is in the file, and an entry that arrived may have moved others.
        """
        reader, records = await asyncio.to_thread(BackupReader, unfinished, passphrase), RecordReader()
        pieces, done, progress = reader.read(records), 0, Progress(self._bus, end.entries)
        while (more := await asyncio.to_thread(_count_next, pieces)) is not None:
            done += more
            progress.say(done, checking=True)
        for conversation, _ in of.conversations:
            root, place = RootHash(conversation), BEGINNING
            while (
                following := await self._store.read(backup.hash_piece, conversation, root, place, of.last)
            ) is not None:
                place = following
            if (root.count, root.root) != records.roots[conversation]:
                raise _Changed
        if await self._store.read(backup.is_outdated, of):
            raise _Changed


def _add(writer: BackupWriter, root: RootHash, found: list[tuple[bytes, BackupEntry]]) -> None:
    for entry, record in found:
        root.add(entry, ENTRY_HEADER.decode(record.header).content if record.salt else NOT_HELD)
    writer.add(record for _, record in found)


def _count_next(pieces: Iterator[list[tuple[Record, ParsedEntry | None]]]) -> int | None:
    """How many entries the next piece of a file has; None at its end."""
    found = next(pieces, None)
    return None if found is None else sum(entry is not None for _, entry in found)
