"""Where a proof takes place: a private folder, two people, and the wire between them."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import struct
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chat.interface import EntryChanged, EntryState, EntryView, Event, FileSupplied, ParlourError
from chat.storage.folder import ProfileLock, make_private
from chat.tools.prove.findings import Record
from chat.tools.prove.programs import OWN, TERMINAL, Terminal, pair
from chat.tools.prove.tracing import Reached, obstacle
from chat.tools.prove.wire import Wire

PREFIX: Final = "parlour-prove-"
LOCK: Final = "lock"

SIDE: Final = 400
"""Pixels of each side of a picture that is sent, which is shown in its own size: some pieces of it."""


@contextmanager
def throw_away() -> Iterator[Path]:
    """A folder of mode 0700 for the block, in the temporary folder. Raises OSError."""
    for left in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")):
        _sweep(left)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as made:
        lock = ProfileLock(Path(made))
        try:
            yield Path(made).resolve()
        finally:
            lock.release()


def _sweep(folder: Path) -> None:
    """Remove a folder that an ended proof of this user left."""
    with suppress(OSError, ParlourError):
        own = not hasattr(os, "geteuid") or folder.lstat().st_uid == os.geteuid()
        if not own or folder.is_symlink() or not (folder / LOCK).is_file():
            return  # another user's, or one that begins this moment
        lock = ProfileLock(folder)
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


@dataclass
class Setting:
    """The programs of a proof, or a running relay. `traced`: whether strace records them if it can."""

    terminal: str = TERMINAL
    relay: Sequence[str] = OWN
    relay_pid: int | None = None
    traced: bool = True


@dataclass
class Stage:
    """Two people who have each other as contacts.

    `untraced`: why strace does not record them; empty if it does. `relays`: the relays of the two.
    `needle` and `deleted` are random words of this proof that appear only in what is said.
    """

    folder: Path
    wire: Wire
    ada: Terminal
    ben: Terminal
    setting: Setting
    untraced: str = ""
    relays: list[Reached] = field(default_factory=list)
    # Each is one word for an index, with enough randomness in each half to be found by it.
    needle: str = field(default_factory=lambda: f"needle{secrets.token_hex(16)}")
    deleted: str = field(default_factory=lambda: f"gone{secrets.token_hex(16)}")

    @property
    def both(self) -> tuple[Terminal, Terminal]:
        return self.ada, self.ben

    async def say(self, speaker: Terminal, *texts: str) -> list[EntryView]:
        """Send texts, and wait until the other side has them. Raises CannotShow."""
        speaker.mark()
        entries = [await speaker.messenger.send(speaker.contact, text) for text in texts]
        waiting = {entry.id for entry in entries}

        def delivered(event: Event) -> bool | None:
            if isinstance(event, EntryChanged) and event.state is EntryState.DELIVERED:
                waiting.discard(event.id)
            return None if waiting else True

        await speaker.expect(delivered, "what was said was not delivered")
        return entries

    async def give(self, speaker: Terminal, word: str) -> EntryView:
        """Send a picture full of a word, and wait until the other side has taken it. Raises CannotShow."""
        given = self.folder / "given.png"
        await asyncio.to_thread(given.write_bytes, _picture(word))
        speaker.mark()
        entry = await speaker.messenger.send_file(speaker.contact, str(given))
        await asyncio.to_thread(given.unlink)

        def taken(event: Event) -> bool | None:
            return True if isinstance(event, FileSupplied) and event.done and event.id == entry.id else None

        await speaker.expect(taken, "the file was not taken")
        return entry

    async def show(self, entry: EntryView, record: Record) -> None:
        """Let both terminals decode a picture, so that their memory has what no file may have."""
        for each in self.both:
            try:
                shown = await each.messenger.show_picture(each.contact, entry.id, SIDE, SIDE)
            except ParlourError as failure:
                record.did(f"{each.name}'s device showed no picture: {failure}")
            else:
                record.did(f"{each.name}'s device showed {shown.width} × {shown.height} pixels of it.")


def _picture(word: str) -> bytes:
    """A PNG whose bytes, and whose pixels, have a word in each row."""
    row = b"\0" + (f"{word} in a picture, ".encode() * SIDE)[: 3 * SIDE]

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(row * SIDE, 0)) + chunk(b"IEND", b"")


@asynccontextmanager
async def staged(setting: Setting) -> AsyncIterator[Stage]:
    """The stage for a block, with two linked contacts. Raises CannotShow, OSError."""
    make_private()
    with throw_away() as folder:
        wire = Wire()
        untraced = await asyncio.to_thread(obstacle) if setting.traced else "it was not asked for"
        ada, ben = (
            Terminal(name, folder / name, wire, not untraced, setting.terminal) for name in ("Ada", "Ben")
        )
        try:
            await asyncio.gather(ada.start(), ben.start())
            await pair(ada, ben)
            yield Stage(folder, wire, ada, ben, setting, untraced)
        finally:
            await asyncio.gather(ada.stop(), ben.stop(), return_exceptions=True)
            await wire.close()
