"""The use cases of files: send one, decide about one that came, take, pause and save it (SPEC §12)."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import stat
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import BinaryIO, Final, cast

from msgspec import Struct

from chat.errors import phrase
from chat.interface import (
    PICTURES_UNCONFINED,
    EntryView,
    FileProgress,
    FileSealing,
    FileState,
    FilesView,
    Notice,
    ParlourError,
    PictureView,
    UsageError,
)
from chat.pictures.bounds import INPUT_MAX
from chat.platforms.files import open_source
from chat.service import allowances
from chat.service.copies import Copies
from chat.service.events import EventBus
from chat.service.feeds import Feed, Feeds
from chat.service.history import held_in
from chat.service.keyring import Keyring
from chat.service.messages import Messages
from chat.service.pictures import TOO_LARGE, Pictures
from chat.service.shelf import Shelf, Volume
from chat.service.transfers import TOLD_EVERY, Transfers
from chat.service.views import Views
from chat.storage import clients, files, receipts, settings
from chat.storage.below import NotAFolder, make_below
from chat.storage.database import Database, Store
from chat.storage.errors import StorageUnsure
from chat.storage.files import FileRow, Standing
from chat.storage.new_file import FileExists, NewFile, finished_name
from chat.storage.pieces import CHANGED, NOT_A_FILE, NoRoom, NotSendable, PieceDamaged, room_for
from chat.tasks import Runtime
from protocol.attachments import Shape, file_body, safe_media, safe_name, shape_of, usual_aead
from protocol.entries_and_receipts import conversation_of
from protocol.limits import FILE_FOLDERS_MAX, VOICE_SECONDS_MAX
from protocol.messages import FileBody
from protocol.primitives import KEY_SIZE

NO_FILE = phrase("This message names no file that is known here.")
NOT_WHOLE = phrase("This file is not whole on this device yet: take it, and wait until it is here.")
SEALED_WRONG = phrase(
    "This file does not open: the device that sent it made it wrongly. Ask for it to be sent again."
)
NOT_WHOLE_PATH = phrase("Name the whole path of the file, from the root of the disk.")
TOO_DEEP = phrase("This file is in more than 16 folders of the folder that is sent: send it by itself.")
NO_FOLDER = phrase("There is no such folder: choose another one.")
TOO_LONG_A_VOICE = phrase("A voice message is at most an hour long: send this as a file.")
CANCELLED = phrase("The file was not sent: that was cancelled.")
NOT_SEALED = phrase("No such file is being prepared: it was sent already, or failed.")
DECIDED_AT_ONCE: Final = 256
"""Files about which is decided together: contacts can name thousands at once, and each total of the disk is
a look at all files."""

NAMES_TRIED: Final = 1_000
ALL_TAKEN = phrase("Too many files in that folder have this name: choose another folder.")


class _Sealing(Struct, eq=False):
    """A file that is being sealed: whether the person cancelled it, and when it was last told of.

    `feed`: what a program gives, perhaps nothing for long.
    """

    feed: Feed | None = None
    cancelled: bool = False
    told: float = -TOLD_EVERY


class Files:
    """Files of conversations, for the person. `Transfers` brings their pieces."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        views: Views,
        shelf: Shelf,
        transfers: Transfers,
        messages: Messages,
        feeds: Feeds,
        copies: Copies,
    ) -> None:
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._views, self._shelf, self._transfers, self._messages = views, shelf, transfers, messages
        self._copies = copies
        self._feeds, self._due, self._deciding = feeds, asyncio.Event(), asyncio.Lock()
        self._pictures = Pictures()
        self._naming, self._writing = asyncio.Lock(), list[tuple[str, Path]]()
        self._sealings = dict[tuple[bytes, str, str], list[_Sealing]]()  # by person, send id and client

    # --- Sending ---

    async def send(
        self,
        person: bytes,
        path: Path,
        name: str = "",
        send_id: str = "",
        *,
        original: bool = False,
        voice: int = 0,
        client: str = "",
    ) -> EntryView:
        """As interface.Messenger.send_file."""
        if not 0 <= voice <= VOICE_SECONDS_MAX:
            raise UsageError(TOO_LONG_A_VOICE)
        if (before := await self._messages.sent_file(person, send_id, client)) is not None:
            return before
        *folder, shown = _safe_names(name or path.name)
        feed = self._feeds.take(str(path))
        source = cast(BinaryIO, feed) if feed is not None else await asyncio.to_thread(_open_source, path)
        key, aead = self._runtime.random(KEY_SIZE), usual_aead()
        try:
            with self._sealed_under(person, send_id, client, feed) as sealed:
                if feed is not None:
                    sealed(0, 0)  # it can be cancelled while it has no beginning yet
                content = source if original else await self._cleaned(source if feed is None else feed)
                fed = feed if isinstance(content, Feed) else None
                size = _size_of(content) if fed is None else 0
                sealed(0, size)
                await self._shelf.require_room(Shape(size, aead))
                ready = [] if fed is None else [fed.ready]
                made = await self._shelf.seal(content, key, aead, lambda done: sealed(done, size), *ready)
        finally:
            source.close()
        media = safe_media(mimetypes.guess_type(shown)[0] or "")
        body = FileBody(shown, media, made.size, aead.id, key, made.root, folder, voice)
        try:
            return await self._messages.send_file(person, file_body(body), made.place, send_id, client)
        except StorageUnsure:
            raise  # it may be stored: the next start deletes the pieces if it is not
        except ParlourError:
            await self._shelf.discard(made)
            raise
        finally:
            self._shelf.settled(made)

    async def _cleaned(self, source: BinaryIO | Feed) -> BinaryIO:
        try:
            if isinstance(source, Feed):
                return await self._pictures.cleaned_feed(source)
            return await self._pictures.cleaned(source)
        except OSError:
            raise NotSendable(CHANGED) from None

    @contextmanager
    def _sealed_under(
        self, person: bytes, send_id: str, client: str, feed: Feed | None
    ) -> Iterator[Callable[[int, int], None]]:
        """For the time of the block a file is prepared, of which others hear, and which `cancel` ends."""
        sealing, place = _Sealing(feed), (person, send_id, client)
        self._sealings.setdefault(place, []).append(sealing)

        def sealed(done: int, size: int) -> None:
            if sealing.cancelled:
                raise ParlourError(CANCELLED)
            if (now := self._runtime.clock.monotonic()) >= sealing.told + TOLD_EVERY:
                sealing.told = now
                self._bus.publish(FileSealing(person.hex(), send_id, min(done, size) if size else done, size))

        try:
            yield sealed
        except ParlourError:
            if sealing.cancelled:
                raise ParlourError(CANCELLED) from None
            raise
        finally:
            left = self._sealings[place]
            left.remove(sealing)
            if not left:
                del self._sealings[place]

    def cancel(self, person: bytes, send_id: str, client: str = "") -> None:
        """As interface.Messenger.cancel_file."""
        if not (under_way := self._sealings.get((person, send_id, client))):
            raise UsageError(NOT_SEALED)
        for sealing in under_way:
            sealing.cancelled = True
            if sealing.feed is not None:
                sealing.feed.close()

    # --- What came ---

    def came(self) -> None:
        """Entries came that name files."""
        self._due.set()

    async def run(self) -> None:
        """Delete what a crash left, go on with what was taken, and decide about what comes; never ends."""
        await self._try(self._shelf.sweep)
        await self._try(self._copies.sweep)
        await self._try(self._go_on)
        self._due.set()
        while True:
            await self._due.wait()
            self._due.clear()
            await self._try(self._decide_all)

    async def _go_on(self) -> None:
        """Take what an earlier engine began with, a few at a time: the others wait by their ids alone."""
        async for row in self._shelf.places(Standing.TAKEN):
            await self._try(partial(self._transfers.go_on, row))

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        """A disk that fails once, or with one file, keeps no other file from this person."""
        try:
            await work()
        except ParlourError as failure:
            self._bus.publish(Notice(failure.phrase))

    async def _decide_all(self) -> None:
        more = True
        while more:
            async with self._deciding:  # the person can decide between the parts of many
                rows = await self._store.read(files.standing, Standing.NEW, DECIDED_AT_ONCE)
                if more := bool(rows):
                    await self._decide(rows)

    async def _decide(self, rows: list[FileRow]) -> None:
        asked = await self._store.read(allowances.ask, rows, self._keyring.own_terminals)
        await self._ask(*asked)
        left = [row for row in rows if row not in asked]
        try:
            await self._require_room_for_all(left)
        except NoRoom:
            await self._begin_those_with_room(left)
            return
        await self._begin_all(left)

    async def _ask(self, *rows: FileRow) -> None:
        if rows:
            await self._store.write(files.stand_all, [row.entry for row in rows], Standing.ASKS)
        for row in rows:
            self._transfers.publish(row, FileState.ASKS, 0)

    async def _begin_all(self, rows: list[FileRow]) -> None:
        if rows:
            await self._store.write(files.stand_all, [row.entry for row in rows], Standing.TAKEN)
        for row in rows:
            await self._try(partial(self._transfers.begin, row))

    async def _require_room_for_all(self, rows: list[FileRow]) -> None:
        """Raises NoRoom unless all of these surely have room."""
        if rows:
            others = sum(room_for(shape_of(row.body)) for row in rows[1:])
            promised = await self._store.read(files.promised)
            await self._shelf.require_room(shape_of(rows[0].body), promised + others)

    async def _begin_those_with_room(self, rows: list[FileRow]) -> None:
        """Take one after the other, and ask about each that has no room."""
        lacking = await self._shelf.lacking()
        for row in rows:
            try:
                await self._shelf.require_room(shape_of(row.body), lacking)
            except NoRoom as failure:
                await self._ask(row)
                self._bus.publish(Notice(failure.phrase))
            else:
                lacking += row.body.size
                await self._begin_all([row])

    async def _begin(self, row: FileRow) -> None:
        await self._require_room(shape_of(row.body), row)
        await self._store.write(files.stand, row.entry, Standing.TAKEN)
        await self._transfers.begin(row)

    async def _require_room(self, shape: Shape, row: FileRow | None = None) -> None:
        """Raises NoRoom unless there is room for a file and what is still to come of others.

        `row`: of one that comes, of which a part may be here.
        """
        with suppress(NoRoom):  # without a look at each of the others, of which a contact can send many
            await self._shelf.require_room(shape, await self._store.read(files.promised))
            return
        promised = await self._shelf.lacking(row.entry if row is not None else b"")
        held = 0 if row is None else await self._shelf.measure(row.at)  # it needs no room again
        await self._shelf.require_room(shape, promised - held)

    # --- The person ---

    async def take(self, person: bytes, entry: bytes) -> EntryView:
        """As interface.Messenger.take_file."""
        async with self._deciding:
            row = await self._row(person, entry)
            if row.standing is Standing.WITHHELD:
                await self._store.write(files.stand, entry, Standing.WHOLE)
                self._transfers.publish(row, FileState.WHOLE, row.body.size)
            elif row.standing is not Standing.WHOLE:
                await self._begin(row)
        return await self._store.read(self._shown, person, entry)

    async def pause(self, person: bytes, entry: bytes) -> EntryView:
        """As interface.Messenger.pause_file."""
        async with self._deciding:
            row = await self._row(person, entry)
            if row.standing is Standing.WHOLE:
                await self._store.free(files.stand, entry, Standing.WITHHELD)
                await self._transfers.withhold(entry)
                self._transfers.publish(row, FileState.WITHHELD, row.body.size)
            if row.standing in (Standing.NEW, Standing.TAKEN):
                held = self._shelf.held(entry) or 0
                await self._store.free(files.stand, entry, Standing.PAUSED)
                await self._transfers.stop(entry)
                self._transfers.publish(row, FileState.PAUSED, held)
        return await self._store.read(self._shown, person, entry)

    async def let_go(self, person: bytes, entry: bytes) -> EntryView:
        """As interface.Messenger.let_go_of_file."""
        async with self._deciding:
            row = await self._row(person, entry)
            if row.standing in files.ON_DISK:
                await self._transfers.stop(entry)  # or what comes last would call it whole again
                await self._store.free(files.let_go, entry)
                await self._shelf.drop_gone()
        shown = await self._store.read(self._shown, person, entry)
        if shown.file is not None:
            self._bus.publish(FileProgress(person.hex(), entry.hex(), shown.file))
        return shown

    async def overview(self) -> tuple[FilesView, ...]:
        """As interface.Messenger.files."""
        found = defaultdict[str, list[tuple[int, int]]](list)
        async for row in self._shelf.places():
            held = await self._shelf.measure(row) if row.standing in files.ON_DISK else 0
            found[(row.contact or self._keyring.own.person).hex()].append((row.size, held))
        views = list[FilesView]()
        for person, some in found.items():
            size, held = (sum(one) for one in zip(*some, strict=True))
            views.append(FilesView(person, len(some), held, size - held))
        return tuple(sorted(views, key=lambda one: -one.held))

    async def save(self, person: bytes, entry: bytes, folder: Path, *, unasked: bool = False) -> Path:
        """As interface.Messenger.save_file."""
        row = await self._row(person, entry)
        if row.standing not in (Standing.WHOLE, Standing.WITHHELD):
            raise UsageError(NOT_WHOLE)
        if not folder.is_absolute() or not await asyncio.to_thread(os.path.isdir, folder):
            raise UsageError(NO_FOLDER)
        if not unasked:
            return await self._copy(row, folder)
        await self._copies.require_allowed(row, folder)
        try:
            path = await self._copy(row, folder)
        except (UsageError, NotAFolder):  # a contact chose the names
            raise
        except ParlourError:  # of the disk: the next time may be better
            await self._store.write(clients.comes_again, entry)
            raise
        await self._copies.count(row)
        return path

    async def _copy(self, row: FileRow, folder: Path) -> Path:
        entry = row.entry
        volume = await self._shelf.take(row, entry)
        try:
            names = [finished_name(safe_name(name)) for name in (*row.body.folder, row.body.name)]
            below = await asyncio.to_thread(make_below, folder, names[:-1])
            async with self._target(below, names[-1]) as target:
                await self._shelf.save(volume, target)
                await asyncio.to_thread(target.finish, islice(_names(names[-1]), NAMES_TRIED))
        except PieceDamaged:
            await self._look_through(volume)
            raise
        finally:
            await self._shelf.release(volume, entry)
        return target.path

    async def _look_through(self, volume: Volume) -> None:
        """Let what the disk has damaged be taken again. UsageError where the author sealed it so."""
        entry, body = volume.row.entry, volume.row.body
        if await volume.use(lambda file: file.check(body.key, body.root)) == 0:
            raise UsageError(SEALED_WRONG)
        await self._transfers.lost(entry)

    async def show(self, person: bytes, entry: bytes, width: int, height: int) -> PictureView:
        """As interface.Messenger.show_picture."""
        row = await self._row(person, entry)
        if row.standing not in (Standing.WHOLE, Standing.WITHHELD):
            raise UsageError(NOT_WHOLE)
        if row.body.size > INPUT_MAX:
            raise UsageError(TOO_LARGE)
        volume = await self._shelf.take(row, user := object())
        try:
            data = await volume.use(lambda file: b"".join(file.contents(row.body.key)))
        except PieceDamaged:
            await self._look_through(volume)
            raise
        finally:
            await self._shelf.release(volume, user)
        if data is None:
            raise UsageError(NO_FILE)
        unconfined = (await self._store.read(settings.preferences)).get(PICTURES_UNCONFINED) == "on"
        return await self._pictures.show(data, width, height, unconfined=unconfined)

    @asynccontextmanager
    async def _target(self, folder: Path, name: str) -> AsyncIterator[NewFile]:
        """A new file, under a name that no other call writes now. Removed if the block fails."""
        where = await asyncio.to_thread(os.path.realpath, folder)
        async with self._naming:
            taken = [path.name for at, path in self._writing if at == where]
            target = await asyncio.to_thread(_free_target, folder, name, taken)
            self._writing.append((where, target.path))
        try:
            await self._copies.begin(target)
            yield target
        except BaseException:
            target.abandon()
            raise
        finally:
            self._writing.remove((where, target.path))
            await self._copies.end(target)

    async def _row(self, person: bytes, entry: bytes) -> FileRow:
        """The file of an entry of the conversation with a person. Raises UsageError."""
        row = await self._store.read(files.get, entry)
        if row is None or row.conversation != conversation_of(self._keyring.own.person, person):
            raise UsageError(NO_FILE)
        return row

    def _shown(self, database: Database, person: bytes, entry: bytes) -> EntryView:
        row = held_in(database, conversation_of(self._keyring.own.person, person), entry)
        return self._views.entry(person, row, receipts.of(database, [entry]).get(entry, []))


def _safe_names(name: str) -> list[str]:
    """The names of the folders and of the file, made safe. Raises NotSendable."""
    names = [safe_name(one) for one in name.split("/")]
    if len(names) > FILE_FOLDERS_MAX + 1:
        raise NotSendable(TOO_DEEP)
    return names


def _open_source(path: Path) -> BinaryIO:
    """A file of this person, to be read. Raises NotSendable."""
    if not path.is_absolute():
        raise NotSendable(NOT_WHOLE_PATH)
    try:
        source = open_source(path)
    except IsADirectoryError:
        raise NotSendable(NOT_A_FILE) from None
    except (OSError, ValueError):  # also a NUL in a pasted path
        raise NotSendable(CHANGED) from None
    if not stat.S_ISREG(os.fstat(source).st_mode):
        os.close(source)
        raise NotSendable(NOT_A_FILE)
    return os.fdopen(source, "rb", buffering=0)


def _size_of(content: BinaryIO) -> int:
    """Bytes that a file seems to have, 0 where the system does not say. It stands at its beginning then."""
    try:
        content.seek(0)
        return content.seek(0, os.SEEK_END)
    except OSError:
        return 0  # some files of the system have a content, and no end to seek
    finally:
        content.seek(0)


def _names(name: str) -> Iterator[str]:
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    yield name
    yield from (f"{stem} ({number}){dot}{suffix}" for number in count(2))


def _free_target(folder: Path, name: str, taken: Iterable[str]) -> NewFile:
    """A new file of this name, or of one with a number where there is one. Raises UsageError, as NewFile.

    `taken`: names of files that are being written there, which a repeat would remove.
    """
    written = {one.casefold() for one in taken}
    for _, one in zip(range(NAMES_TRIED), _names(name), strict=False):
        if one.casefold() in written:
            continue
        try:
            return NewFile(folder / one)
        except FileExists:
            continue
    raise UsageError(ALL_TAKEN)
