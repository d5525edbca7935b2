"""Deleting a file, in every scope and by its timer: whole, in part, while it goes and while it is saved."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chat.interface import Cleaned, DeletionScope, FileProgress, FileState, UsageError
from chat.service import pace
from chat.service.events import EntriesGone
from chat.service.shelf import Volume
from chat.storage.files import FileRow, Standing
from chat.storage.pieces import Pieces, SealedFile
from chat.tasks import Tasks
from protocol.attachments import shape_of
from protocol.messages import AskPieces, FileBody, Message, Piece, PiecesEnd, StopPieces
from tests.integration.steps import current, note_sent
from tests.integration.test_expiry import ended, timed
from tests.integration.test_files import LONG, answers, at, content, on_disk, saved, send, target_of
from tests.integration.test_retention import DAY, chooses, kinds, pass_time
from tests.integration.test_shared_contacts import two_devices
from tests.support.engines.devices import device
from tests.support.engines.devices import link as link_device
from tests.support.engines.engines import Person, in_virtual_time, talk, two_contacts

SETTLED = 70.0
"""Seconds of virtual time after which whatever asks again has asked."""


def watch(person: Person, other: Person, *kinds: type[Message]) -> list[Message]:
    """What one sends to the other from now on, of these kinds."""
    found = list[Message]()

    def note(message: Message) -> None:
        if isinstance(message, kinds):
            found.append(message)

    note_sent(current(person, other).driver, note)
    return found


async def half(ada: Person, ben: Person, folder: Path) -> str:
    """Ada sends a file slowly, of which a part has come to Ben."""
    await talk(ada, ben, "hello")
    await ada.engine.limit_files(pace.COST)
    some = ben.wait(FileProgress, lambda event: event.file.held > 0)
    sent = await send(ada, ben, folder, content(LONG))
    await some
    assert len(on_disk(ben)) == 3
    return sent.id


def cleaned(*persons: Person) -> asyncio.Future[list[Cleaned]]:
    return asyncio.gather(*(person.wait(Cleaned) for person in persons))


@pytest.mark.parametrize("scope", [DeletionScope.HERE, DeletionScope.MINE, DeletionScope.EVERYONE])
@in_virtual_time
async def test_attack_75_a_file_that_its_sender_deletes_while_it_goes_stops_at_once(
    tmp_path: Path, scope: DeletionScope
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        entry = await half(ada, ben, tmp_path)
        wide = scope is DeletionScope.EVERYONE
        done = cleaned(ada, ben) if wide else cleaned(ada)
        await ada.engine.delete(await ada.contact(ben), entry, scope)
        sent = watch(ada, ben, Piece)
        asked = watch(ben, ada, AskPieces, StopPieces)
        await done
        await asyncio.sleep(SETTLED)
        assert sent == []
        assert on_disk(ada) == []
        assert (on_disk(ben) == []) is wide
        if wide:
            assert [one for one in asked if isinstance(one, AskPieces)] == []
        assert await answers(ben, ada, entry) == [PiecesEnd(bytes.fromhex(entry))]


@pytest.mark.parametrize("scope", [DeletionScope.HERE, DeletionScope.MINE])
@in_virtual_time
async def test_attack_75_a_file_that_its_receiver_deletes_while_it_comes_is_asked_for_no_more(
    tmp_path: Path, scope: DeletionScope
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        entry = await half(ada, ben, tmp_path)
        await ada.engine.limit_files(1)  # no piece comes any more that would show what is gone
        await talk(ada, ben, "behind the last piece")
        asked, done = watch(ben, ada, AskPieces, StopPieces), cleaned(ben)
        await ben.engine.delete(await ben.contact(ada), entry, scope)
        await talk(ben, ada, "behind what stops it")
        assert asked == [StopPieces(bytes.fromhex(entry))]
        await done
        sent = watch(ada, ben, Piece)
        await asyncio.sleep(SETTLED)
        assert asked == [StopPieces(bytes.fromhex(entry))]
        assert len(sent) <= 1
        assert (on_disk(ben), len(on_disk(ada))) == ([], 3)
        await talk(ada, ben, "still here")


@in_virtual_time
async def test_attack_75_a_deletion_on_all_of_a_persons_devices_takes_the_pieces_of_each(
    tmp_path: Path,
) -> None:
    """Of one that is whole, and of one of which a part is here."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        laptop = device(ada, tmp_path / "laptop", "10.0.0.9")
        await link_device(ada, laptop)
        try:
            await talk(ada, ben, "hello")
            whole = asyncio.gather(at(laptop, FileState.WHOLE), at(ada, FileState.WHOLE))
            first = await send(ben, ada, tmp_path, content(LONG))
            await whole
            await ben.engine.limit_files(pace.COST)
            some = [one.wait(FileProgress, lambda event: event.file.held > 0) for one in (ada, laptop)]
            second = await send(ben, ada, tmp_path, content(LONG))
            await asyncio.gather(*some)
            assert [len(on_disk(one)) for one in (ada, laptop)] == [6, 6]
            for entry in (first.id, second.id):
                done = cleaned(ada, laptop)
                await ada.engine.delete(await ada.contact(ben), entry, DeletionScope.MINE)
                await done
            await asyncio.sleep(SETTLED)
            assert [on_disk(one) for one in (ada, laptop)] == [[], []]
            assert len(on_disk(ben)) == 6
        finally:
            await laptop.stop()


@in_virtual_time
async def test_attack_75_a_timer_takes_the_pieces_at_both_ends_while_they_go(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "hello")
        await timed(ada, ben, 60)
        entry = await half(ada, ben, tmp_path)
        gone = asyncio.gather(ended(ada, entry), ended(ben, entry))
        friend = await ben.contact(ada)
        await ben.engine.mark_read(friend, (entry,))
        await gone
        sent, asked = watch(ada, ben, Piece), watch(ben, ada, AskPieces)
        await asyncio.sleep(SETTLED)
        assert (sent, asked) == ([], [])
        assert (on_disk(ada), on_disk(ben)) == ([], [])


@in_virtual_time
async def test_attack_75_a_file_that_is_deleted_while_it_is_saved_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        whole = at(ben, FileState.WHOLE)
        sent = await send(ada, ben, tmp_path, content(LONG))
        await whole
        friend, target = await ben.contact(ada), target_of(ben, tmp_path)
        contents = SealedFile.contents

        def deleted_meanwhile(file: SealedFile, key: bytes) -> Iterator[bytes]:
            parts = contents(file, key)
            yield next(parts)
            assert [path.suffix for path in target.iterdir()] == [".parlour-part"]
            ben.engine._use_cases.bus.signal(EntriesGone((bytes.fromhex(sent.id),)))
            yield from parts

        with monkeypatch.context() as patched:
            patched.setattr(SealedFile, "contents", deleted_meanwhile)
            with pytest.raises(UsageError, match="deleted here before"):
                await ben.engine.save_file(friend, sent.id, str(target))
        assert list(target.iterdir()) == []


async def test_what_is_deleted_says_so_to_the_thread_that_reads_it(tmp_path: Path) -> None:
    body = FileBody("a", "", 3, 2, bytes(32), bytes(32), [], 0)
    row = FileRow(1, bytes(32), bytes(32), None, bytes(16), Standing.WHOLE, body, 0)
    file = Pieces(tmp_path, lambda: "a start").open(row.place, shape_of(body))
    volume, reached, go_on = (
        Volume(row, file, Tasks(lambda error: pytest.fail(str(error)))),
        asyncio.Event(),
        threading.Event(),
    )
    loop = asyncio.get_running_loop()

    def read(_file: SealedFile) -> bool:
        loop.call_soon_threadsafe(reached.set)
        go_on.wait()
        return volume.going

    reading = asyncio.ensure_future(volume.use(read))
    await reached.wait()
    closing = asyncio.ensure_future(volume.close(gone=True))
    await asyncio.sleep(0)
    go_on.set()
    assert await reading is True
    await closing
    assert await volume.use(read) is None


@in_virtual_time
async def test_a_file_that_is_taken_just_as_it_is_deleted_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deletion finds nothing open, and what opens it comes later."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        sent = await send(ada, ben, tmp_path, content(LONG))
        await at(ben, FileState.WHOLE)
        friend = await ben.contact(ada)
        files, shelf = ben.engine._use_cases.files, ben.engine._use_cases.shelf
        row = await files._row(bytes.fromhex(friend), bytes.fromhex(sent.id))
        done = cleaned(ben)
        await ben.engine.delete(friend, sent.id)
        await done
        volume = await shelf.take(row, self := object())
        assert (volume.gone, on_disk(ben)) == (True, [])
        await shelf.release(volume, self)


# --- What a device keeps ---


@asynccontextmanager
async def with_an_old_file(folder: Path) -> AsyncIterator[tuple[Person, Person, Person, str]]:
    """Ada's desk and laptop, and Ben, who sent a file two days ago that both hold and she has read."""
    async with two_devices(folder) as (_, desk, laptop, ben, _):
        whole = asyncio.gather(at(desk, FileState.WHOLE), at(laptop, FileState.WHOLE))
        sent = await send(ben, desk, folder, content(LONG))
        await whole
        await desk.engine.mark_all_read(await desk.contact(ben))
        await asyncio.sleep(SETTLED)
        pass_time(2 * DAY, desk, laptop, ben)
        await talk(ben, desk, "young")
        await chooses(desk, desk)
        yield desk, laptop, ben, sent.id


@in_virtual_time(limit=8 * 3_600)
async def test_an_old_file_leaves_one_device_and_comes_back_when_all_is_kept_again(tmp_path: Path) -> None:
    async with with_an_old_file(tmp_path) as (desk, laptop, ben, entry):
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        assert await kinds(laptop, ben) == ["elsewhere", "text"]
        assert (on_disk(laptop), len(on_disk(desk))) == ([], 3)
        whole = at(laptop, FileState.WHOLE)
        await laptop.engine.keep(0)
        await whole
        assert await saved(laptop, ben, entry, tmp_path) == content(LONG)


@in_virtual_time(limit=8 * 3_600)
async def test_attack_75_a_file_stays_unless_another_device_holds_all_of_it(tmp_path: Path) -> None:
    async with with_an_old_file(tmp_path) as (desk, laptop, ben, entry):
        await desk.engine.let_go_of_file(await desk.contact(ben), entry)
        await laptop.engine.keep(1)
        await asyncio.sleep(2 * 3_600)
        assert await kinds(laptop, ben) == ["file", "text"]
        assert len(on_disk(laptop)) == 3


@in_virtual_time(limit=8 * 3_600)
async def test_what_the_keeper_deletes_comes_back_to_who_had_let_go_of_it(tmp_path: Path) -> None:
    async with with_an_old_file(tmp_path) as (desk, laptop, ben, entry):
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        assert on_disk(laptop) == []
        whole = at(laptop, FileState.WHOLE)
        await desk.engine.let_go_of_file(await desk.contact(ben), entry)
        await whole
        assert await kinds(laptop, ben) == ["file", "text"]
