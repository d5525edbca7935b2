"""Hostile contacts, failing disks and impatient persons: the talk goes on, and no file is lost."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chat.interface import (
    FEED_PART_MAX,
    WITHOUT_ASKING,
    CannotCreate,
    DeletionScope,
    FileProgress,
    FileSealing,
    FileState,
    FileSupplied,
    Notice,
    ParlourError,
    UsageError,
)
from chat.service import feeds
from chat.service.shelf import AWAKE_MAX, Shelf, Volume
from chat.storage import files
from chat.storage.database import Database
from chat.storage.errors import StorageBroken
from chat.storage.files import FileRow
from chat.storage.new_file import NewFile
from chat.storage.pieces import Pieces, SealedFile
from protocol.limits import PIECE_BYTES
from protocol.messages import FileBody, Piece, PieceRange, PiecesEnd, WholeFile
from tests.integration.steps import current
from tests.integration.test_files import LONG, answers, at, content, on_disk, saved, send, target_of
from tests.integration.test_folders_and_feeds import bytes_at, sent_and_taken
from tests.support.engines.engines import Person, in_virtual_time, talk, two_contacts
from tests.support.machine import needs_names_of_descriptors

MANY = 8
OF_THE_SYSTEM = sorted(Path("/proc").glob("version"))  # Linux alone has it


async def slow_files(ada: Person, ben: Person, folder: Path) -> list[str]:
    """Files of which nothing comes, most of which wait for others."""
    await talk(ada, ben, "hello")
    await ada.engine.limit_files(1)
    sent = [(await send(ada, ben, folder, content(9))).id for _ in range(MANY)]
    await talk(ada, ben, "all came")
    return sent


def whole(person: Person, count: int) -> asyncio.Future[FileProgress]:
    """The moment when so many files are whole."""
    found = set[str]()

    def so_many(event: FileProgress) -> bool:
        if event.file.state is FileState.WHOLE:
            found.add(event.id)
        return len(found) == count

    return person.wait(FileProgress, so_many)


@in_virtual_time
async def test_attack_75_files_that_never_come_cost_neither_a_look_at_each_nor_their_bodies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, measure = list[bytes](), Pieces.measure

    def looking(some: Pieces, place: bytes, size: int) -> int:
        looked.append(place)
        return measure(some, place, size)

    monkeypatch.setattr(Pieces, "measure", looking)
    async with two_contacts(tmp_path) as (_, ada, ben):
        sent = await slow_files(ada, ben, tmp_path)
        waiting = ben.engine._use_cases.transfers._waiting
        assert len(waiting) == MANY - 2
        assert all(isinstance(contact, bytes) for contact in waiting._contacts.values())
        assert looked == []
        gone = next(iter(waiting._contacts))
        await ben.engine.delete(await ben.contact(ada), gone.hex(), DeletionScope.HERE)
        done = whole(ben, MANY - 1)
        await ada.engine.limit_files(0)
        await done
        assert len(waiting) == 0
        rest = [one for one in sent if one != gone.hex()]
        assert [await saved(ben, ada, one, tmp_path) for one in rest] == [content(9)] * (MANY - 1)


@in_virtual_time
async def test_a_file_whose_pieces_cannot_be_opened_ends_no_talk(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        done = at(ben, FileState.WHOLE)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await done
        await talk(ben, ada, "idle")
        held = on_disk(ada)[1]
        held.unlink()
        held.mkdir()
        link, told = current(ben, ada), ada.wait(Notice)
        assert await answers(ben, ada, sent.id, 4) == [PiecesEnd(bytes.fromhex(sent.id))]
        assert "disk" in (await told).text
        assert await answers(ben, ada, sent.id, 4) == [PiecesEnd(bytes.fromhex(sent.id))]
        await talk(ben, ada, "still here")
        assert current(ben, ada) is link


@in_virtual_time
async def test_pieces_that_the_disk_cannot_read_are_as_if_they_were_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> list[Piece]:
        raise StorageBroken

    async with two_contacts(tmp_path) as (_, ada, ben):
        done = at(ben, FileState.WHOLE)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await done
        link, told = current(ben, ada), ada.wait(Notice)
        with monkeypatch.context() as patched:
            patched.setattr(SealedFile, "read", fails)
            assert await answers(ben, ada, sent.id, 4) == [PiecesEnd(bytes.fromhex(sent.id))]
        assert "disk" in (await told).text
        assert len(await answers(ben, ada, sent.id, 4)) == 5
        assert current(ben, ada) is link


@in_virtual_time
async def test_a_disk_that_fails_at_the_start_keeps_no_file_of_later_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> list[bytes]:
        raise StorageBroken

    async with two_contacts(tmp_path) as (_, ada, ben):
        await ben.stop()
        with monkeypatch.context() as patched:
            patched.setattr(Pieces, "strays", fails)
            await ben.start()
            await talk(ada, ben, "hello")
        done = at(ben, FileState.WHOLE)
        await send(ada, ben, tmp_path, content(LONG))
        await done


@in_virtual_time
async def test_a_file_that_the_disk_damaged_is_taken_again_when_it_is_saved(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        done = at(ben, FileState.WHOLE)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await done
        data, held, tree = on_disk(ben)
        for path, place in ((data, 40 * (PIECE_BYTES + 32)), (data, 200 * (PIECE_BYTES + 32)), (tree, 7)):
            damaged = bytearray(path.read_bytes())
            damaged[place] ^= 1
            path.write_bytes(damaged)
        again = at(ben, FileState.WHOLE)
        with pytest.raises(ParlourError, match="taken again"):
            await saved(ben, ada, sent.id, tmp_path)
        assert list(target_of(ben, tmp_path).iterdir()) == []
        await again
        assert await saved(ben, ada, sent.id, tmp_path) == content(LONG)
        for path in (held, data):  # cut off
            os.truncate(path, 100)
        again = at(ben, FileState.WHOLE)
        with pytest.raises(ParlourError, match="taken again"):
            await ben.engine.save_file(await ben.contact(ada), sent.id, str(tmp_path))
        await again
        assert await saved(ben, ada, sent.id, tmp_path) == content(LONG)


@in_virtual_time
async def test_one_file_that_is_saved_twice_at_once_is_there_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, begun, together = Shelf.save, list[NewFile](), asyncio.Event()

    async def both(shelf: Shelf, volume: Volume, target: NewFile) -> None:
        begun.append(target)
        if len(begun) == 2:
            together.set()
        await together.wait()
        await write(shelf, volume, target)

    async with two_contacts(tmp_path) as (_, ada, ben):
        done = at(ben, FileState.WHOLE)
        first = await send(ada, ben, tmp_path, content(9))
        await done
        done = at(ben, FileState.WHOLE)
        second = await send(ada, ben, tmp_path, content(8))
        await done
        friend, target = await ben.contact(ada), str(target_of(ben, tmp_path))
        monkeypatch.setattr(Shelf, "save", both)
        saving = [ben.engine.save_file(friend, one.id, target) for one in (first, second)]
        paths = await asyncio.gather(*saving)
        assert sorted(map(bytes_at, paths)) == [content(8), content(9)]
        assert sorted(Path(path).name for path in paths) == ["report (2).bin", "report.bin"]


@in_virtual_time
async def test_attack_80_no_name_is_that_of_an_unfinished_file(tmp_path: Path) -> None:
    """Else a file that comes later would take its place."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        source, target = tmp_path / "source", target_of(ben, tmp_path)
        source.write_bytes(b"x")
        friend = await ben.contact(ada)
        for name in ("a.Parlour-Part", "a.parlour-part/b", "a"):
            sent = await sent_and_taken(ada, ben, source, name)
            await ben.engine.save_file(friend, sent.id, str(target))
        assert sorted(path.name for path in target.iterdir()) == ["a", "a.Parlour-Part_", "a.parlour-part_"]


@in_virtual_time
async def test_paths_that_no_system_has_are_refused(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend, source = await ada.contact(ben), tmp_path / "source"
        source.write_bytes(b"x")
        for path in ("/a\0b", f"/{'x' * 300}"):
            with pytest.raises(UsageError, match="cannot be read"):
                await ada.engine.send_file(friend, path)
        sent = await ada.engine.send_file(friend, str(source))
        for folder in (f"/{'x' * 300}", "/a\0b"):
            with pytest.raises(UsageError, match="no such folder"):
                await ada.engine.save_file(friend, sent.id, folder)


@in_virtual_time
async def test_a_feed_that_is_let_go_of_while_a_thread_reads_it_has_no_end() -> None:
    feed = feeds.Feed()
    await feed.put(b"half", end=False)
    await feed.ready()
    feed.close()
    with pytest.raises(OSError, match="broken"):
        feed.read(9)


@in_virtual_time
async def test_a_start_reads_the_bodies_of_no_files_that_wait_and_their_rows_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contact can have very many taken, each in folders with long names, and supply none."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        sent = await slow_files(ada, ben, tmp_path)
        await ben.stop()
        bodies, parts = list[object](), list[int]()
        read_file, part_of = files.read_file, files.part_of

        def reads(body: bytes) -> FileBody:
            bodies.append(body)
            return read_file(body)

        def part(*arguments: Any) -> list[files.FilePlace]:
            found = part_of(*arguments)
            parts.append(len(found))
            return found

        monkeypatch.setattr(files, "PART", 3)
        monkeypatch.setattr(files, "read_file", reads)
        monkeypatch.setattr(files, "part_of", part)
        await ben.start()
        waiting = ben.engine._use_cases.transfers._waiting
        await talk(ada, ben, "he is back")
        assert len(waiting) == MANY - 2
        assert parts == [3, 3, 2, 0]
        assert len(set(bodies)) <= 2
        done = whole(ben, MANY)
        await ada.engine.limit_files(0)
        await done
        assert [await saved(ben, ada, one, tmp_path) for one in sent] == [content(9)] * MANY
        (seen,) = await ben.engine.files()
        assert (seen.number, seen.held, seen.lacking) == (MANY, 9 * MANY, 0)


def descriptors_of(person: Person) -> int:
    """Files of pieces that this process has open for a person."""
    folder, found = person.folder / "files", 0
    for one in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found += one.readlink().parent == folder
    return found


@in_virtual_time
async def test_few_files_are_open_however_many_are_asked_for_and_all_of_them_come(tmp_path: Path) -> None:
    needs_names_of_descriptors()
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ben.engine.set_preference(WITHOUT_ASKING, "0")  # asks go out by hand, one for each file
        sent = [await send(ada, ben, tmp_path, content(3 * PIECE_BYTES), f"{n}.bin") for n in range(16)]
        await talk(ada, ben, "all came")
        link = current(ben, ada)
        demand = ben.engine._use_cases.transfers._ends[link].demand
        most = 0

        def look(kind: type[SealedFile]) -> None:
            read = kind.read

            def reads(self: SealedFile, entry: bytes, first: int, count: int) -> list[Piece]:
                nonlocal most
                most = max(most, descriptors_of(ada))
                return read(self, entry, first, count)

            patch.setattr(kind, "read", reads)

        with pytest.MonkeyPatch.context() as patch:
            look(SealedFile)
            for one in sent:
                await link.driver.send(demand.ask(bytes.fromhex(one.id), [PieceRange(0, 3)]))
            async with asyncio.timeout(600):
                while any(demand.waits(bytes.fromhex(one.id)) for one in sent):  # noqa: ASYNC110 - no event
                    await asyncio.sleep(1)
        assert 0 < most <= 3 * AWAKE_MAX
        assert descriptors_of(ada) == 0


@in_virtual_time
async def test_an_ask_for_what_is_not_there_costs_no_turn_of_a_thread(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        whole_there = at(ben, FileState.WHOLE)
        small = await send(ada, ben, tmp_path, b"x")
        await whole_there
        link = current(ben, ada)
        demand, used = ben.engine._use_cases.transfers._ends[link].demand, list[Volume]()
        use = Volume.use

        async def counted(self: Volume, work: Callable[[SealedFile], object]) -> object:
            used.append(self)
            return await use(self, work)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Volume, "use", counted)
            for entry in (bytes.fromhex(small.id), b"?" * 32):
                await link.driver.send(
                    demand.ask(entry, [PieceRange(1_000 + 256 * n, 256) for n in range(16)])
                )
                async with asyncio.timeout(600):
                    while demand.waits(entry):  # noqa: ASYNC110 - no event
                        await asyncio.sleep(1)
        assert used == []


@in_virtual_time
async def test_who_says_again_and_again_that_it_has_a_file_costs_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted, held_at = list[bytes](), files.held_at

    def noting(db: Database, entry: bytes, terminal: bytes) -> None:
        noted.append(entry)
        held_at(db, entry, terminal)

    monkeypatch.setattr(files, "held_at", noting)
    async with two_contacts(tmp_path) as (_, ada, ben):
        done = ada.wait(FileSupplied, lambda event: event.done)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await done
        driver = current(ben, ada).driver
        for _ in range(9):
            await driver.send(WholeFile(bytes.fromhex(sent.id)))
        await talk(ben, ada, "again")
        assert noted == [bytes.fromhex(sent.id)]


@in_virtual_time
async def test_what_is_sealed_while_the_start_looks_for_strays_stays(tmp_path: Path) -> None:
    """A command sends as soon as its engine runs."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        shelf, name = ada.engine._use_cases.shelf, await ada.engine.open_feed()
        sending = asyncio.create_task(ada.engine.send_file(await ada.contact(ben), name, "x"))
        sealing = ada.wait(FileSealing)
        await ada.engine.feed(name, content(FEED_PART_MAX))
        await sealing
        assert len(on_disk(ada)) == 2
        await shelf.sweep()
        await ada.engine.feed(name, b"end", end=True)
        sent = await sending
        await shelf.sweep()
        assert await saved(ada, ben, sent.id, tmp_path) == content(FEED_PART_MAX) + b"end"
        assert shelf._making == set()


@in_virtual_time
async def test_names_that_are_too_long_where_they_are_saved_say_so(tmp_path: Path) -> None:
    """A contact may choose 17 names of 200 bytes, which fit near the root of a disk alone."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        source, target, deep = tmp_path / "source", target_of(ben, tmp_path), tmp_path
        source.write_bytes(b"x")
        friend = await ben.contact(ada)
        for _number in range(4):
            deep /= "y" * 250
            deep.mkdir()
        long = await sent_and_taken(ada, ben, source, "/".join(["x" * 200] * 17))
        with pytest.raises(CannotCreate, match="choose another place"):
            await ben.engine.save_file(friend, long.id, str(deep))
        path = Path(await ben.engine.save_file(friend, long.id, str(target)))
        assert len(path.relative_to(target).parts) == 17
        with pytest.raises(CannotCreate, match="choose another place"):
            await ben.engine.save_file(friend, long.id, "/proc")


@in_virtual_time
async def test_a_file_that_is_paused_just_as_its_turn_comes_stays_paused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, paused = Shelf.take, list[str]()

    async with two_contacts(tmp_path) as (_, ada, ben):
        friend = await ben.contact(ada)

        async def pausing(shelf: Shelf, row: FileRow, user: object) -> Volume:
            volume = await take(shelf, row, user)
            if not paused and user is ben.engine._use_cases.transfers:
                paused.append(row.entry.hex())
                await ben.engine.pause_file(friend, row.entry.hex())
            return volume

        sent = await slow_files(ada, ben, tmp_path)
        monkeypatch.setattr(Shelf, "take", pausing)
        done = whole(ben, MANY - 1)
        await ada.engine.limit_files(0)
        await done
        shown = [await ben.engine.entry(friend, one) for one in sent]
        states = [one.file.state for one in shown if one is not None and one.file is not None]
        assert sorted(states) == sorted([FileState.WHOLE] * (MANY - 1) + [FileState.PAUSED])
        again = at(ben, FileState.WHOLE)
        await ben.engine.take_file(friend, paused[0])
        await again


@in_virtual_time
async def test_a_file_that_cannot_be_opened_or_closed_keeps_no_other_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, release, failed = Shelf.take, Shelf.release, list[str]()

    async with two_contacts(tmp_path) as (_, ada, ben):

        async def failing(shelf: Shelf, row: FileRow, user: object) -> Volume:
            if user is ben.engine._use_cases.transfers and len(failed) < 2:
                failed.append("opened")
                raise StorageBroken
            return await take(shelf, row, user)

        async def not_closing(shelf: Shelf, volume: Volume, user: object) -> None:
            await release(shelf, volume, user)
            if not failed:
                failed.append("closed")
                raise StorageBroken

        await slow_files(ada, ben, tmp_path)
        transfers, friend = ben.engine._use_cases.transfers, await ben.contact(ada)
        stopped = {taking.row.entry.hex() for taking in transfers._taking.values()}
        monkeypatch.setattr(Shelf, "take", failing)
        monkeypatch.setattr(Shelf, "release", not_closing)
        for entry in stopped:
            with suppress(StorageBroken):
                await ben.engine.pause_file(friend, entry)
        assert failed == ["closed", "opened"]
        assert len(transfers._taking) == 2
        done = whole(ben, MANY - 3)
        await ada.engine.limit_files(0)
        await done


@in_virtual_time
async def test_a_disk_that_damages_much_of_a_file_says_so_once(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ben.engine.set_preference(WITHOUT_ASKING, "0")
        asked = at(ben, FileState.ASKS)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await asked
        await talk(ben, ada, "idle")
        os.truncate(on_disk(ada)[0], 9 * (PIECE_BYTES + 32))
        again, before = at(ada, FileState.TAKING), len(ada.seen)
        assert len(await answers(ben, ada, sent.id, 256)) == 10
        await again
        told = [one.text for one in ada.seen[before:] if isinstance(one, Notice)]
        assert ["damaged" in text for text in told] == [True]


@in_virtual_time
async def test_a_pipe_that_gives_nothing_can_be_cancelled(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend, name = await ada.contact(ben), await ada.engine.open_feed()
        sending = asyncio.create_task(ada.engine.send_file(friend, name, "x", "an id"))
        sealing = ada.wait(FileSealing)
        await ada.engine.feed(name, content(9))
        await sealing
        await ada.engine.cancel_file(friend, "an id")
        with pytest.raises(ParlourError, match="cancelled"):
            await asyncio.wait_for(sending, 1)
        assert on_disk(ada) == []
        with pytest.raises(UsageError, match="broken off"):
            await ada.engine.feed(name, b"more")


@in_virtual_time
async def test_a_file_of_the_system_that_has_no_size_is_sent(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        for path in OF_THE_SYSTEM:
            sent = await sent_and_taken(ada, ben, path, "version")
            assert await saved(ben, ada, sent.id, tmp_path) == bytes_at(str(path))
            with pytest.raises(UsageError, match="cannot be read"):
                await ada.engine.send_file(await ada.contact(ben), str(path.with_name("self") / "mem"))
