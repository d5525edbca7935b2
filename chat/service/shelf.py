"""The sealed pieces of files that this terminal holds: which are open, and which go with their key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import BinaryIO, TypeVar

from chat.storage import files, pieces
from chat.storage.database import Store
from chat.storage.files import FileRow
from chat.storage.new_file import NewFile
from chat.storage.pieces import Made, Pieces, SealedFile
from chat.tasks import Runtime
from protocol.attachments import Shape, shape_of
from protocol.messages import PieceRange
from protocol.primitives import Aead

T = TypeVar("T")


async def _at_once() -> None:
    """A file on the disk can be read whenever one wants."""


class Volume:
    """The open pieces of the file of one entry, which one thread uses at a time. `gone`: its key is."""

    def __init__(self, row: FileRow, file: SealedFile) -> None:
        self.row, self.gone = row, False
        self._file, self._turn = file, asyncio.Lock()
        self.users = set[object]()

    @property
    def held(self) -> int:
        """Bytes of the content that are held."""
        return self._file.bytes_held

    @property
    def whole(self) -> bool:
        return self._file.whole

    def missing(self, most: int, apart: Collection[int]) -> list[PieceRange]:
        """The next ranges of pieces that are not held, without some."""
        return self._file.missing(0, most, apart)

    async def use(self, work: Callable[[SealedFile], T]) -> T | None:
        """Let a thread work on it; None once it is gone."""
        async with self._turn:
            if self.gone:
                return None
            done = asyncio.ensure_future(asyncio.to_thread(work, self._file))
            try:
                return await asyncio.shield(done)
            except asyncio.CancelledError:
                await asyncio.wait([done])  # the thread goes on, and needs the files open
                raise

    async def close(self, *, gone: bool) -> None:
        """Let go of its files, after what a thread does with it now."""
        async with self._turn:
            if not self.gone:
                self.gone = True
                await asyncio.to_thread(self._file.close, sync=not gone)


class Shelf:
    """All pieces of a profile. The files of a volume are open while it has users."""

    def __init__(self, runtime: Runtime, store: Store, profile: Path) -> None:
        self._runtime, self._store = runtime, store
        self._pieces = Pieces(profile, lambda: runtime.clock.boot()[0])
        self._open = dict[bytes, Volume]()
        self._opening = asyncio.Lock()
        self._dropping: asyncio.Task[None] | None = None

    def held(self, entry: bytes) -> int | None:
        """Bytes that are held of the content of an open volume; None where it is not open."""
        volume = self._open.get(entry)
        return None if volume is None else volume.held

    async def take(self, row: FileRow, user: object) -> Volume:
        """The volume of a file for a user, until `release`. Raises StorageFailure."""
        async with self._opening:
            volume = self._open.get(row.entry)
            if volume is None or volume.gone:
                file = await asyncio.to_thread(self._pieces.open, row.place, shape_of(row.body))
                volume = self._open[row.entry] = Volume(row, file)
            volume.users.add(user)
            return volume

    async def release(self, volume: Volume, user: object) -> None:
        """A user has no use for a volume any more. Raises StorageFailure."""
        async with self._opening:
            volume.users.discard(user)
            if not volume.users and self._open.get(volume.row.entry) is volume:
                del self._open[volume.row.entry]
                await volume.close(gone=False)

    async def require_room(self, shape: Shape) -> None:
        """Raises NoRoom unless the disk has room for a file."""
        await asyncio.to_thread(self._pieces.require_room, shape)

    async def seal(
        self, source: BinaryIO, key: bytes, aead: Aead, ready: Callable[[], Awaitable[None]] = _at_once
    ) -> Made:
        """Seal what a source has, up to its end. Raises NotSendable, StorageFailure, and as `ready`.

        `ready` waits before each read of a source that gives its content little by little.
        """
        place = self._runtime.random(16)
        sealing = await asyncio.to_thread(self._pieces.sealing, place, source, key, aead)
        try:
            await ready()
            while await asyncio.to_thread(sealing.step):
                await ready()
            size, root = await asyncio.to_thread(sealing.finish)
        except BaseException:
            sealing.close()
            self._pieces.delete(place)
            raise
        sealing.close()
        return Made(place, size, root)

    async def discard(self, made: Made) -> None:
        """What was sealed is not sent after all. Raises StorageFailure."""
        await asyncio.to_thread(self._pieces.delete, made.place)

    async def save(self, volume: Volume, target: NewFile) -> None:
        """Write the content of a whole volume for the person. Raises PieceDamaged, StorageFailure."""
        key = volume.row.body.key
        await volume.use(lambda file: pieces.save(file, key, target))

    # --- What goes with its key ---

    def drop(self) -> None:
        """Entries were deleted: delete the pieces whose key went with them."""
        if self._dropping is None or self._dropping.done():
            self._dropping = self._runtime.tasks.spawn(self.drop_gone())

    async def drop_gone(self) -> None:
        """The same, until none is left. Raises StorageFailure; the database knows what is due."""
        while due := await self._store.read(files.gone):
            for volume in [one for one in self._open.values() if one.row.place in due]:
                await volume.close(gone=True)
            for place in due:
                await asyncio.to_thread(self._pieces.delete, place)
            await self._store.write(files.forget_gone, due)

    async def sweep(self) -> None:
        """Delete what a crash left: pieces that no entry has. Raises StorageFailure."""
        await self.drop_gone()
        known = await self._store.read(files.places)
        for place in await asyncio.to_thread(self._pieces.strays, known):
            await asyncio.to_thread(self._pieces.delete, place)

    async def close(self) -> None:
        """Make durable what was written. Raises StorageFailure."""
        for volume in list(self._open.values()):
            await volume.close(gone=False)
        self._open.clear()
