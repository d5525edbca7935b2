"""Attacks on the time in which pieces are made durable: what closes, goes or fails meanwhile."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest import mock

import pytest

from chat.interface import FileState, Notice, UsageError
from chat.network.links import LiveLink
from chat.service import transfers
from chat.service.shelf import Shelf, Volume
from chat.storage import pieces
from chat.storage.errors import StorageBroken, StorageFailure
from chat.storage.files import FileRow, Standing
from chat.storage.pieces import Pieces, SealedFile, Sync
from chat.tasks import Tasks
from protocol.attachments import Proven, seal_piece, shape_of
from protocol.limits import PIECE_BYTES
from protocol.messages import FileBody, Piece
from tests.integration.steps import current
from tests.integration.test_files import (
    LONG,
    Writes,
    answers,
    at,
    content,
    numbers,
    saved,
    send,
    taken_whole,
)
from tests.support.engines.engines import in_virtual_time, talk, two_contacts


class Flushes:
    """Holds up each flush of a volume until it is let go on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._loop, self._flush = asyncio.get_running_loop(), SealedFile.flush
        self.begun, self.go_on = asyncio.Event(), threading.Event()
        patch.setattr(SealedFile, "flush", lambda file: self._held_up(file))

    def _held_up(self, file: SealedFile) -> None:
        self._loop.call_soon_threadsafe(self.begun.set)
        self.go_on.wait()
        self._flush(file)


@asynccontextmanager
async def volume_that_flushes(
    folder: Path, patch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Volume, Flushes]]:
    """A volume of which much was written, while that is made durable."""
    body = FileBody("a", "", 3 * PIECE_BYTES, 2, bytes(32), bytes(32), [], 0)
    row = FileRow(1, bytes(32), bytes(32), None, bytes(16), Standing.TAKEN, body, 0)
    file = Pieces(folder, lambda: "a start").open(row.place, shape_of(body))
    patch.setattr(SealedFile, "sync_due", property(lambda self: self._written > self._synced))
    volume = Volume(row, file, Tasks(lambda error: pytest.fail(str(error))))
    flushes = Flushes(patch)

    def write(file: SealedFile) -> None:
        file._written += 1

    await volume.use(write)
    await flushes.begun.wait()
    try:
        yield volume, flushes
    finally:
        flushes.go_on.set()


@pytest.mark.parametrize("gone", [True, False])
async def test_no_descriptor_is_closed_while_what_it_names_is_made_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    """Its number would be that of another file then, into which the note of what is durable would go."""
    async with volume_that_flushes(tmp_path, monkeypatch) as (volume, flushes):
        first = volume._syncing
        closing = asyncio.ensure_future(volume.close(gone=gone))
        using = asyncio.ensure_future(volume.use(lambda file: setattr(file, "_written", 9)))
        again = asyncio.ensure_future(volume.close(gone=True))
        await asyncio.sleep(0)
        closed, close, end = list[bool](), SealedFile.close, SealedFile.end_sync

        def closes(file: SealedFile, *, sync: bool = True) -> None:
            closed.append(True)
            close(file, sync=False)

        def notes(file: SealedFile, begun: Sync) -> None:
            closed.append(False)
            end(file, begun)

        monkeypatch.setattr(SealedFile, "close", closes)
        monkeypatch.setattr(SealedFile, "end_sync", notes)
        flushes.go_on.set()
        await asyncio.gather(closing, using, again)
        assert first is not None
        assert first.done()
        assert volume._syncing is None or volume._syncing.done()
        assert closed.count(True) == 1
        assert closed[-1] is True
        assert await volume.use(lambda _: 1) is None


async def test_a_volume_that_cannot_be_made_durable_says_so_when_it_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with volume_that_flushes(tmp_path, monkeypatch) as (volume, flushes):
        fsync, failed = os.fsync, list[int]()

        def failing(descriptor: int) -> None:
            if not failed:
                failed.append(descriptor)
                raise OSError(errno.EIO, "lost")
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", failing)
        flushes.go_on.set()
        assert volume._syncing is not None
        await volume._syncing
        with pytest.raises(StorageFailure):
            await volume.close(gone=False)
        await volume.close(gone=False)


@in_virtual_time
async def test_what_came_before_a_piece_that_ends_the_link_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, came = Writes(monkeypatch), taken_whole(monkeypatch)
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "hello")
        take, wrong = transfers.Transfers.take_pieces, list[int]()

        async def with_another(self: transfers.Transfers, link: LiveLink, some: list[Piece]) -> None:
            end = self._ends.get(link)
            idle = end is not None and (end.storing is None or end.storing.done())
            if self is ben.engine._use_cases.transfers and idle and len(some) > 1 and not wrong:
                wrong.append(1)
                some = [*some, Piece(b"e" * 32, 0, [], bytes(50))]
            await take(self, link, some)

        monkeypatch.setattr(transfers.Transfers, "take_pieces", with_another)
        whole = at(ben, FileState.WHOLE)
        await send(ada, ben, tmp_path, content(LONG))
        await whole
        assert wrong
        assert sorted(came) == list(range(301))
        assert len(writes.stored) >= 301


@in_virtual_time
async def test_attack_33_a_file_that_opens_for_nobody_is_not_taken_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its author proved what no key opens: no disk has damaged it."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "hello")
        monkeypatch.setattr(
            pieces, "seal_piece", lambda aead, key, number, data: seal_piece(aead, bytes(32), number, data)
        )
        whole = at(ben, FileState.WHOLE)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await whole
        before = len(ben.seen)
        assert numbers(await answers(ada, ben, sent.id, 8)) == list(range(8))
        await talk(ben, ada, "still here")
        assert [one for one in ben.seen[before:] if isinstance(one, Notice)] == []
        assert current(ben, ada) is not None
        for _ in range(2):
            with pytest.raises(UsageError, match="made it wrongly"):
                await saved(ben, ada, sent.id, tmp_path)


async def test_a_link_whose_storing_fails_is_read_on() -> None:
    end, begun = transfers._End(mock.Mock()), list[asyncio.Task[None]]()
    count = transfers.PENDING_MAX + 8
    end.pending = [Proven(Piece(bytes(32), number, [], b""), b"") for number in range(count)]

    async def storing() -> None:
        await asyncio.sleep(0)
        end.stored(end.pending[:4])
        raise StorageBroken

    def store() -> asyncio.Task[None]:
        begun.append(asyncio.ensure_future(storing()))
        return begun[-1]

    reading = asyncio.ensure_future(end.store(store))
    for _ in range(40):
        await asyncio.sleep(0)
    assert reading.done()
    assert len(end.pending) < transfers.PENDING_MAX
    await asyncio.gather(*begun, return_exceptions=True)


@in_virtual_time
async def test_a_served_file_that_cannot_be_closed_ends_no_talk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, failed = Shelf.release, list[str]()

    async def not_closing(shelf: Shelf, volume: Volume, user: object) -> None:
        await release(shelf, volume, user)
        if not failed:
            failed.append("closed")
            raise StorageBroken

    async with two_contacts(tmp_path) as (_, ada, ben):
        whole = at(ben, FileState.WHOLE)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await whole
        await talk(ben, ada, "idle")
        link, told = current(ben, ada), ada.wait(Notice)
        monkeypatch.setattr(Shelf, "release", not_closing)
        assert numbers(await answers(ben, ada, sent.id, 8)) == list(range(8))
        assert "disk" in (await told).text
        await talk(ben, ada, "still here")
        assert current(ben, ada) is link


@in_virtual_time
async def test_a_file_that_can_be_neither_written_nor_closed_is_paused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> int:
        raise StorageBroken

    close = SealedFile.close

    def not_closing(file: SealedFile, *, sync: bool = True) -> None:
        close(file, sync=False)
        raise StorageBroken

    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "hello")
        paused = at(ben, FileState.PAUSED)
        with monkeypatch.context() as patched:
            patched.setattr(SealedFile, "write", fails)
            patched.setattr(SealedFile, "close", not_closing)
            sent = await send(ada, ben, tmp_path, content(LONG))
            await paused
            await talk(ada, ben, "still here")
        whole = at(ben, FileState.WHOLE)
        await ben.engine.take_file(await ben.contact(ada), sent.id)
        await whole
