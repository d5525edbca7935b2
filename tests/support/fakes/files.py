"""Files of the fake messenger: a file that is sent is whole, and one that comes stands as the test says."""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec.structs import replace

from chat.errors import phrase
from chat.interface import (
    PICTURES_UNCONFINED,
    EntryAdded,
    EntryKind,
    EntryView,
    FileProgress,
    FileState,
    FileSupplied,
    FilesView,
    FileView,
    ParlourError,
    PictureView,
    Unconfined,
    UsageError,
)
from tests.support.fakes.clients import Clients

NO_FILE = "This message names no file that is known here."


class Files(Clients):
    """`contents`: by entry, what a file has in it. `pictures`: what is shown of it, `confines`: in a
    process that the system can confine.

    `limits`: the rates that were set. `sealed`: contact and id of those being sealed. `sealing`: where it is
    there, a file is sealed until it is cancelled, and this is set meanwhile.
    """

    def __init__(self, name: str = "Ann", *, prompt: bool = True, visible: bool = False) -> None:
        super().__init__(name, prompt=prompt, visible=visible)
        self.contents: dict[str, bytes] = {}
        self.limits: list[int] = []
        self.pictures: dict[str, PictureView] = {}
        self.confines = True
        self.sealed: set[tuple[str, str, str]] = set()
        self.sealing: asyncio.Event | None = None
        self._cancelling = asyncio.Event()
        self._feeds: dict[str, tuple[bytearray, asyncio.Event]] = {}

    def receive_file(self, person: str, file: FileView, content: bytes = b"") -> EntryView:
        """An entry of a contact names a file."""
        bare = self._entry(self._contacts[person], "", own=False, time=None)
        entry = replace(bare, kind=EntryKind.FILE, file=file)
        self._conversations[person].entries.append(entry)
        self._conversations[person].unread.add(entry.id)
        self.contents[entry.id] = content
        self.emit(EntryAdded(entry))
        self._count_unread(person)
        return entry

    def move_file(self, person: str, entry: str, state: FileState, held: int = 0, rate: int = 0) -> EntryView:
        """What is done with a file changes."""
        conversation = self._conversations[person]
        at = conversation.index(entry)
        before = conversation.entries[at]
        if before.file is None:
            raise UsageError(phrase(NO_FILE))
        held = before.file.size if state in (FileState.WHOLE, FileState.WITHHELD) else held
        file = replace(before.file, state=state, held=held, rate=rate)
        conversation.entries[at] = replace(before, file=file)
        self.emit(FileProgress(person, entry, file))
        return conversation.entries[at]

    async def send_file(
        self,
        contact: str,
        path: str,
        named: str = "",
        send_id: str = "",
        original: bool = False,
        voice: int = 0,
        client: str = "",
    ) -> EntryView:
        view, conversation = self._partner(contact), self._conversation(contact)
        if send_id and (contact, send_id, client) in self._sent_with:
            return self._sent_with[contact, send_id, client]
        data = await self._fed(path) if path in self._feeds else _read(Path(path))
        if self.sealing is not None:
            await self._seal(contact, send_id, client, self.sealing)
        folder, _slash, name = (named or Path(path).name).rpartition("/")
        file = FileView(name, "", len(data), FileState.WHOLE, len(data), 0, "", folder, voice)
        entry = replace(self._entry(view, "", own=True, time=None), kind=EntryKind.FILE, file=file)
        self._sent_with[contact, send_id, client] = entry
        self.contents[entry.id] = data
        conversation.entries.append(entry)
        self.emit(EntryAdded(entry))
        if view.present and self.prompt:
            self._deliver(contact)
            self.emit(FileSupplied(contact, entry.id, len(data), len(data), done=True))
        return entry

    async def _seal(self, contact: str, send_id: str, client: str, sealing: asyncio.Event) -> None:
        self.sealed.add((contact, send_id, client))
        sealing.set()
        while (contact, send_id, client) in self.sealed:
            self._cancelling.clear()
            await self._cancelling.wait()
        raise ParlourError(phrase("The file was not sent: that was cancelled."))

    async def cancel_file(self, contact: str, send_id: str, client: str = "") -> None:
        self._partner(contact)
        if (contact, send_id, client) not in self.sealed:
            raise UsageError(phrase("No such file is being prepared."))
        self.sealed.remove((contact, send_id, client))
        self._cancelling.set()

    async def open_feed(self) -> str:
        name = f"feed:{len(self._feeds)}"
        self._feeds[name] = (bytearray(), asyncio.Event())
        return name

    async def feed(self, name: str, part: bytes, end: bool = False) -> None:
        if name not in self._feeds:
            raise UsageError(phrase("There is no such feed."))
        held, ended = self._feeds[name]
        held += part
        if end:
            ended.set()

    async def _fed(self, name: str) -> bytes:
        held, ended = self._feeds[name]
        await ended.wait()
        return bytes(held)

    def _file(self, contact: str, id: str) -> FileView:
        conversation = self._conversation(contact)
        found = next((one.file for one in conversation.entries if one.id == id), None)
        if found is None:
            raise UsageError(phrase(NO_FILE))
        return found

    async def take_file(self, contact: str, id: str) -> EntryView:
        file = self._file(contact, id)
        whole = self.prompt or file.state is FileState.WITHHELD
        state = FileState.WHOLE if whole else FileState.TAKING
        return self.move_file(contact, id, state, file.held)

    async def pause_file(self, contact: str, id: str) -> EntryView:
        file = self._file(contact, id)
        paused = {FileState.TAKING: FileState.PAUSED, FileState.DIRECT: FileState.PAUSED}
        paused |= {FileState.WHOLE: FileState.WITHHELD}
        state = paused.get(file.state, file.state)
        return self.move_file(contact, id, state, file.held)

    async def let_go_of_file(self, contact: str, id: str) -> EntryView:
        self._file(contact, id)
        return self.move_file(contact, id, FileState.LET_GO)

    async def files(self) -> tuple[FilesView, ...]:
        named = {
            person: [one.file for one in conversation.entries if one.file is not None]
            for person, conversation in self._conversations.items()
        }
        return tuple(
            FilesView(person, len(some), held, sum(one.size for one in some) - held)
            for person, some in named.items()
            if some
            for held in (sum(one.held for one in some),)
        )

    async def limit_files(self, rate: int) -> None:
        self.limits.append(rate)

    async def save_file(self, contact: str, id: str, folder: str, unasked: bool = False) -> str:
        file = self._file(contact, id)
        if file.state not in (FileState.WHOLE, FileState.WITHHELD):
            raise UsageError(phrase("This file is not whole."))
        return str(_write(Path(folder), file.name, self.contents[id]))

    async def show_picture(self, contact: str, id: str, width: int, height: int) -> PictureView:
        file = self._file(contact, id)
        if file.state not in (FileState.WHOLE, FileState.WITHHELD):
            raise UsageError(phrase("This file is not whole."))
        if not self.confines and self._preferences.get(PICTURES_UNCONFINED) != "on":
            raise Unconfined(phrase("This system cannot confine what decodes a picture."))
        if id not in self.pictures:
            raise UsageError(phrase("This file is not a picture that can be shown."))
        return self.pictures[id]


def _read(path: Path) -> bytes:
    if not path.is_absolute() or not path.is_file():
        raise UsageError(phrase("This is not a file that can be sent."))
    return path.read_bytes()


def _write(folder: Path, name: str, data: bytes) -> Path:
    if not folder.is_absolute() or not folder.is_dir():
        raise UsageError(phrase("There is no such folder."))
    path = folder / name
    while path.exists():
        path = path.with_name(f"{path.stem} (2){path.suffix}")
    path.write_bytes(data)
    return path
