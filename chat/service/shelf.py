"""The sealed pieces of files that this terminal holds: which are open, and which go with their key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from chat.errors import UsageError, phrase
from chat.storage import files, pieces
from chat.storage.database import Store
from chat.storage.errors import StorageFailure
from chat.storage.files import FilePlace, FileRow, Standing
from chat.storage.new_file import NewFile
from chat.storage.pieces import Made, Pieces, SealedFile, Sealing
from chat.tasks import Runtime, Tasks
from protocol.attachments import Shape, shape_of
from protocol.messages import PieceRange
from protocol.primitives import Aead

T = TypeVar("T")

AWAKE_MAX: Final = 8
"""Volumes whose three files each are open at a time, beyond those that are at work or not durable yet."""

DELETED = phrase("This file was deleted here before all of it was saved: nothing is left of it.")


class Deleted(UsageError):
    """The pieces of a file went while it was saved."""

    def __init__(self) -> None:
        super().__init__(DELETED)


async def _in_thread(work: Callable[[], T]) -> T:
    """Let a thread work, and wait for it also where this task is cancelled: it needs its files open."""
    done = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.wait([done])
        raise


async def _at_once() -> None:
    """A file on the disk can be read whenever one wants."""


class Volume:
    """The open pieces of the file of one entry, which one thread uses at a time.

    `gone`: its key is. `going`: so it is as soon as the thread that uses it lets go of it.
    """

    def __init__(
        self, row: FileRow, file: SealedFile, tasks: Tasks, used: Callable[[Volume], None] = lambda _: None
    ) -> None:
        """`used` hears each time before its files are needed."""
        self.row, self.gone, self.going, self._closed = row, False, False, False
        self._file, self._turn, self._closing = file, asyncio.Lock(), asyncio.Lock()
        self._tasks, self._used = tasks, used
        self._syncing: asyncio.Task[None] | None = None
        self._failure: StorageFailure | None = None  # of making durable, which nobody waits for
        self.users = set[object]()

    @property
    def held(self) -> int:
        """Bytes of the content that are held."""
        return self._file.bytes_held

    @property
    def whole(self) -> bool:
        return self._file.whole

    @property
    def shape(self) -> Shape:
        return self._file.shape

    def holds(self, first: int, count: int) -> bool:
        """Whether any of so many pieces is held."""
        return any(map(self._file.has, range(first, min(first + count, self.shape.count))))

    def missing(self, most: int, apart: Collection[int]) -> list[PieceRange]:
        """The next ranges of pieces that are not held, without some."""
        return self._file.missing(0, most, apart)

    async def use(self, work: Callable[[SealedFile], T]) -> T | None:
        """Let a thread work on it; None once it is gone. Raises StorageFailure, of an earlier call, too."""
        async with self._turn:
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            if self.gone:
                return None
            self._used(self)
            done = await _in_thread(partial(self._work, work))
            if self._file.sync_due and (self._syncing is None or self._syncing.done()):
                self._syncing = self._tasks.spawn(self._sync())
            return done

    def _work(self, work: Callable[[SealedFile], T]) -> T:
        self._file.wake()
        return work(self._file)

    def rest(self) -> bool:
        """Close its files until they are needed again; False where they are needed now."""
        return not self._turn.locked() and not self.gone and self._file.rest()

    async def _sync(self) -> None:
        """Make durable what was written so far, while others write."""
        async with self._turn:
            if self.gone:
                return
            begun = self._file.begin_sync()
        try:
            await _in_thread(self._file.flush)  # `close` waits for it
            async with self._turn:
                await _in_thread(partial(self._file.end_sync, begun))
        except StorageFailure as failure:
            self._failure = failure
            async with self._turn:
                with suppress(StorageFailure):  # of the same disk
                    await _in_thread(self._file.distrust)

    async def close(self, *, gone: bool) -> None:
        """Let go of its files, after what a thread does with it now.

        Raises StorageFailure, also where an earlier one was of making durable and nobody has heard of it.
        """
        self.going = self.going or gone
        async with self._closing:
            if self._closed:
                return
            async with self._turn:
                self.gone = True  # from now on nobody uses it, and nothing else begins to make it durable
            # Its descriptors stay open until then: their numbers may be those of other files afterwards.
            if self._syncing is not None and not self._syncing.done():
                await asyncio.wait([self._syncing])
            self._closed = True
            await _in_thread(partial(self._file.close, sync=not gone))
        if self._failure is not None and not gone:
            failure, self._failure = self._failure, None
            raise failure


class Shelf:
    """All pieces of a profile. A volume is open while it has users, of its files those used last.

    So few descriptors are open, however much others ask for at a time.
    """

    def __init__(self, runtime: Runtime, store: Store, profile: Path) -> None:
        self._runtime, self._store = runtime, store
        self._pieces = Pieces(profile, lambda: runtime.clock.boot()[0])
        self._open = dict[bytes, Volume]()
        self._awake = dict[Volume, None]()  # those whose files are open, the ones used last at the end
        self._opening = asyncio.Lock()
        self._dropping: asyncio.Task[None] | None = None
        self._making = set[bytes]()  # places of what is sealed, which no entry has yet

    def held(self, entry: bytes) -> int | None:
        """Bytes that are held of the content of an open volume; None where it is not open."""
        volume = self._open.get(entry)
        return None if volume is None else volume.held

    async def take(self, row: FileRow, user: object) -> Volume:
        """The volume of a file for a user, until `release`; `gone` if its key is. Raises StorageFailure."""
        async with self._opening:
            volume = self._open.get(row.entry)
            if volume is None or volume.gone:
                file = await asyncio.to_thread(self._pieces.open, row.place, shape_of(row.body))
                volume = self._open[row.entry] = Volume(row, file, self._runtime.tasks, self._used)
                self._used(volume)
                # A deletion that came before this had nothing to close, and one that comes after it finds it.
                if not await self._store.read(files.has_place, row.place):
                    await volume.close(gone=True)
                    await asyncio.to_thread(self._pieces.delete, row.place)
            volume.users.add(user)
            return volume

    def _used(self, volume: Volume) -> None:
        """The files of a volume are needed now. Those of the ones used longest ago are closed for them."""
        self._awake.pop(volume, None)
        self._awake[volume] = None
        for other in list(self._awake)[:-1]:
            if other.gone or (len(self._awake) > AWAKE_MAX and other.rest()):
                del self._awake[other]

    async def release(self, volume: Volume, user: object) -> None:
        """A user has no use for a volume any more. Raises StorageFailure."""
        async with self._opening:
            volume.users.discard(user)
            if not volume.users and self._open.get(volume.row.entry) is volume:
                del self._open[volume.row.entry]
                self._awake.pop(volume, None)
                await volume.close(gone=False)

    async def require_room(self, shape: Shape, promised: int = 0) -> None:
        """Raises NoRoom unless the disk has room for a file, and for so many bytes of others."""
        await asyncio.to_thread(self._pieces.require_room, shape, promised)

    async def measure(self, row: FilePlace) -> int:
        """Bytes of the content of a file that are held here. Raises StorageFailure."""
        whole = row.standing in (Standing.WHOLE, Standing.WITHHELD)
        held = row.size if whole else self.held(row.entry)
        if held is None:
            held = await asyncio.to_thread(self._pieces.measure, row.place, row.size)
        return held

    async def places(self, some: Standing | None = None) -> AsyncIterator[FilePlace]:
        """All files, or those of a standing, the newest entries first. In memory there is a part of them."""
        last: int | None = None
        while part := await self._store.read(files.part_of, last, some):
            for row in part:
                yield row
            last = part[-1].number

    async def lacking(self, apart: bytes = b"") -> int:
        """Bytes still to come of the files that are taken, `apart` from one (id). Raises StorageFailure."""
        return sum(
            [
                row.size - await self.measure(row)
                async for row in self.places(Standing.TAKEN)
                if row.entry != apart
            ]
        )

    async def seal(
        self,
        source: BinaryIO,
        key: bytes,
        aead: Aead,
        sealed: Callable[[int], None],
        ready: Callable[[], Awaitable[None]] = _at_once,
    ) -> Made:
        """Seal what a source has, up to its end. `sealed` hears how many bytes are, and ends it by raising.

        `ready` waits before each read of a source that gives its content little by little. Raises
        NotSendable, NoRoom, StorageFailure, and what `sealed` and `ready` raise: then nothing is left of it.
        `settled` says later that an entry has it, or none will.
        """
        place = self._runtime.random(16)
        self._making.add(place)
        try:
            return await self._seal(place, source, key, aead, sealed, ready)
        except BaseException:
            self._making.discard(place)
            raise

    async def _seal(
        self,
        place: bytes,
        source: BinaryIO,
        key: bytes,
        aead: Aead,
        sealed: Callable[[int], None],
        ready: Callable[[], Awaitable[None]],
    ) -> Made:
        sealing = await asyncio.to_thread(self._pieces.sealing, place, source, key, aead)
        try:
            await ready()
            while await _in_thread(sealing.step):
                sealed(sealing.done)
                await ready()
            size, root = await _in_thread(sealing.finish)
            await _in_thread(sealing.close)
            sealed(size)  # last: who ends it in this moment was told that it is not sent
        except BaseException:
            await _in_thread(partial(self._remove, sealing, place))
            raise
        return Made(place, size, root)

    def _remove(self, sealing: Sealing, place: bytes) -> None:
        sealing.close()
        self._pieces.delete(place)

    def settled(self, made: Made) -> None:
        """An entry has what was sealed, or none ever will."""
        self._making.discard(made.place)

    async def discard(self, made: Made) -> None:
        """What was sealed is not sent after all. Raises StorageFailure."""
        await asyncio.to_thread(self._pieces.delete, made.place)

    async def save(self, volume: Volume, target: NewFile) -> None:
        """Write the content of a whole volume for the person.

        Raises PieceDamaged, Deleted (its message was meanwhile), StorageFailure.
        """
        key = volume.row.body.key

        if not await volume.use(lambda file: pieces.save(file, key, target, lambda: volume.going)):
            raise Deleted

    # --- What goes with its key ---

    def mark(self, entries: Iterable[bytes]) -> list[bytes]:
        """The keys of entries are destroyed: nothing of them leaves from now on. Returns what is open."""
        found = [entry for entry in entries if entry in self._open]
        for entry in found:
            self._open[entry].going = True
        return found

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
            await self._store.free(files.forget_gone, due)

    async def sweep(self) -> None:
        """Delete what a crash left: pieces that no entry has. Raises StorageFailure."""
        await self.drop_gone()
        # First what is there, then what is known of it: what is begun meanwhile is no stray.
        found = await asyncio.to_thread(self._pieces.strays, ())
        making = self._making.copy()
        known = await self._store.read(files.places)
        for place in sorted(set(found) - making - known):
            await asyncio.to_thread(self._pieces.delete, place)

    async def close(self) -> None:
        """Make durable what was written. Raises StorageFailure."""
        failures = list[StorageFailure]()
        for volume in list(self._open.values()):
            try:
                await volume.close(gone=False)
            except StorageFailure as failure:  # of this file: the others may be sound
                failures.append(failure)
        self._open.clear()
        if failures:
            raise failures[0]
