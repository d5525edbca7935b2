"""`listen --save`: each file that came is saved once, whichever program had the engine, and within bounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from chat.cli.saving import AGAIN, PLACE, REPLACED, Saver
from chat.cli.session import Call
from chat.interface import (
    KEEP_MOST,
    WITHOUT_ASKING,
    AlertKind,
    AlertsChanged,
    ClientChanged,
    ClientView,
    DeletionScope,
    EntryView,
    FileProgress,
    FileState,
    ParlourError,
    Ready,
    UsageError,
)
from chat.platforms import files as platform_files
from chat.service import allowances
from chat.service.copies import UNFINISHED
from chat.storage import below
from chat.storage.alerts import AlertRow
from chat.storage.errors import StorageFailure, StorageFull
from chat.storage.new_file import NewFile
from chat.storage.pieces import SPARE, NoRoom
from tests.integration.test_files import LONG, at, content, send
from tests.support.engines.engines import Person, in_virtual_time, two_contacts


class Said(Call):
    """A call whose results are collected."""

    def __init__(self) -> None:
        self.saved: list[str] = []

    def result(self, fields: Mapping[str, object], text: str) -> None:
        self.saved.append(Path(str(fields["path"])).name)


def saver_of(person: Person, folder: Path) -> tuple[Saver, Said]:
    said = Said()
    return Saver(said, person.engine, folder), said


async def comes(ada: Person, ben: Person, folder: Path, name: str, size: int = 100_000) -> EntryView:
    """Ada sends a file, of which all is at Ben."""
    whole = at(ben, FileState.WHOLE)
    sent = await send(ada, ben, folder, content(size), name)
    await whole
    return sent


@asynccontextmanager
async def tries_again(saver: Saver) -> AsyncIterator[None]:
    """For the time of the block what failed is tried again, as `listen` does."""
    running = asyncio.ensure_future(saver.run())
    try:
        yield
    finally:
        running.cancel()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def whole_now(saver: Saver, ben: Person) -> None:
    """The saver hears what the last event said."""
    (*_, last) = [one for one in ben.seen if isinstance(one, FileProgress)]
    await saver.heed(last)


@in_virtual_time
async def test_what_came_while_nothing_was_saved_is_saved_once_at_the_next_start(tmp_path: Path) -> None:
    """The listener was killed before its copy, or another program held the engine."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        target = tmp_path / "saved"
        first, said = saver_of(ben, target)
        await first.begin()
        await comes(ada, ben, tmp_path, "one.bin")
        await comes(ada, ben, tmp_path, "two.bin")
        await ben.stop()
        await ben.start()
        assert said.saved == []
        later, said = saver_of(ben, target)
        await later.begin()
        assert said.saved == names(target) == ["one.bin", "two.bin"]
        await comes(ada, ben, tmp_path, "three.bin")
        await whole_now(later, ben)
        assert said.saved == ["one.bin", "two.bin", "three.bin"]
        assert names(target) == sorted(said.saved)
        other, said = saver_of(ben, tmp_path / "elsewhere")
        await other.begin()
        assert said.saved == []


@in_virtual_time
async def test_a_file_that_takes_long_is_saved_although_later_ones_were_before(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ben.engine.set_preference(WITHOUT_ASKING, "1")
        saver, said = saver_of(ben, tmp_path / "saved")
        await saver.begin()
        asks = at(ben, FileState.ASKS)
        large = await send(ada, ben, tmp_path, content(LONG), "large.bin")
        await asks
        await comes(ada, ben, tmp_path, "small.bin")
        await whole_now(saver, ben)
        assert said.saved == ["small.bin"]
        whole = at(ben, FileState.WHOLE)
        await ben.engine.take_file(await ben.contact(ada), large.id)
        await whole
        again, said = saver_of(ben, tmp_path / "saved")
        await again.begin()
        assert said.saved == ["large.bin"]


@in_virtual_time
async def test_what_this_person_sends_is_not_saved(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        saver, said = saver_of(ben, tmp_path / "saved")
        await saver.begin()
        await send(ben, ada, tmp_path, content(100), "mine.bin")
        await saver.begin()
        assert said.saved == []


@in_virtual_time
async def test_of_two_runs_the_later_one_saves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        first, one = saver_of(ben, tmp_path / "one")
        await first.begin()
        second, other = saver_of(ben, tmp_path / "other")
        await second.begin()
        for saver in (first, second):
            await saver.heed(ClientChanged(PLACE))
        assert capsys.readouterr().err.splitlines() == [REPLACED]
        await comes(ada, ben, tmp_path, "a.bin")
        for saver in (first, second):
            await whole_now(saver, ben)
        assert (one.saved, other.saved) == ([], ["a.bin"])
        await ben.stop()
        await ben.start()
        second._opened = ben.engine
        await second.heed(Ready(()))
        await comes(ada, ben, tmp_path, "b.bin")
        await whole_now(second, ben)
        assert other.saved == ["a.bin", "b.bin"]


@in_virtual_time
async def test_a_folder_that_went_is_made_again_and_one_that_cannot_be_made_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        target = tmp_path / "saved"
        saver, said = saver_of(ben, target)
        await saver.begin()
        target.write_text("in its place")
        await comes(ada, ben, tmp_path, "a.bin")
        await whole_now(saver, ben)
        assert said.saved == []
        assert f"{target} cannot be made" in capsys.readouterr().err
        target.unlink()
        async with tries_again(saver):
            await comes(ada, ben, tmp_path, "b.bin")
            await whole_now(saver, ben)
            await asyncio.sleep(AGAIN + 1)
        assert said.saved == names(target) == ["a.bin", "b.bin"]


@in_virtual_time
async def test_an_older_copy_saves_once_its_person_has_seen_that_it_is_one(tmp_path: Path) -> None:
    """Until then `arrivals` holds everything, and a run that asked on and on printed nothing more."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        saver, said = saver_of(ben, tmp_path / "saved")
        await saver.begin()
        await ben.engine._use_cases.alerts.add(AlertRow(AlertKind.OLD_COPY, 1))
        await comes(ada, ben, tmp_path, "a.bin")
        await whole_now(saver, ben)
        assert said.saved == []
        changed = ben.wait(AlertsChanged)
        await ben.engine.dismiss_alerts()
        await saver.heed(await changed)
        assert said.saved == ["a.bin"]


@in_virtual_time
async def test_what_came_and_is_gone_with_its_contact_holds_nothing_up(tmp_path: Path) -> None:
    """Its places in what came are given, and nothing has them."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        saver, said = saver_of(ben, tmp_path / "saved")
        await saver.begin()
        await comes(ada, ben, tmp_path, "a.bin")
        await ben.engine.remove(await ben.contact(ada))
        await saver.begin()
        assert said.saved == []


@contextmanager
def free(monkeypatch: pytest.MonkeyPatch, *free: int) -> Iterator[None]:
    """Where copies are written, the disk has so many bytes, the last of them from then on."""
    left = list(free)
    with monkeypatch.context() as patch:
        patch.setattr(NewFile, "free", lambda _: left.pop(0) if len(left) > 1 else left[0])
        yield


@pytest.mark.parametrize("before", [100_000 + SPARE - 1, 100_000 + SPARE])
@pytest.mark.parametrize("unasked", [False, True])
@in_virtual_time
async def test_a_copy_leaves_what_the_history_needs(
    unasked: bool, before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at before a copy, and while it is written."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        sent = await comes(ada, ben, tmp_path, "a.bin")
        friend, target = await ben.contact(ada), tmp_path / "saved"
        target.mkdir()
        with free(monkeypatch, before, SPARE - 1), pytest.raises(NoRoom):
            await ben.engine.save_file(friend, sent.id, str(target), unasked)
        assert names(target) == []
        with free(monkeypatch, 100_000 + SPARE, SPARE):
            await ben.engine.save_file(friend, sent.id, str(target), unasked)
        assert names(target) == ["a.bin"]


@in_virtual_time
async def test_the_room_is_that_of_the_disk_of_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        sent = await comes(ada, ben, tmp_path, "a.bin")
        friend, target = await ben.contact(ada), tmp_path / "saved"
        target.mkdir()
        asked = list[Path]()

        def free_bytes(_: int, folder: Path) -> int:
            asked.append(folder)
            return SPARE

        monkeypatch.setattr(platform_files, "free_bytes", free_bytes)
        with pytest.raises(NoRoom):
            await ben.engine.save_file(friend, sent.id, str(target))
        assert asked == [target]


@in_virtual_time
async def test_what_the_disk_did_not_take_comes_again_and_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        saver, said = saver_of(ben, tmp_path / "saved")
        await saver.begin()
        await comes(ada, ben, tmp_path, "large.bin", 1_000_000)
        await comes(ada, ben, tmp_path, "small.bin")
        async with tries_again(saver):
            with free(monkeypatch, 500_000 + SPARE):
                await whole_now(saver, ben)
                await asyncio.sleep(AGAIN + 1)
                assert said.saved == ["small.bin"]
            assert capsys.readouterr().err.count("large.bin was not saved: ") == 1
            await asyncio.sleep(AGAIN)
            assert said.saved == ["small.bin", "large.bin"], "although nothing else came"


@in_virtual_time
async def test_what_cannot_be_saved_is_not_tried_again_with_each_file_that_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contact sends thousands of small files, and on a full disk each would try all before it."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        saver, said = saver_of(ben, tmp_path / "saved")
        await saver.begin()
        tried, save_file = list[str](), ben.engine.save_file

        async def tries(contact: str, id: str, folder: str, unasked: bool = False) -> str:
            tried.append(id)
            return await save_file(contact, id, folder, unasked)

        monkeypatch.setattr(ben.engine, "save_file", tries)
        async with tries_again(saver):
            with free(monkeypatch, 0):
                for number in range(4):
                    await comes(ada, ben, tmp_path, f"{number}.bin", 10)
                    await whole_now(saver, ben)
                assert len(tried) == 1
            await asyncio.sleep(AGAIN + 1)
        assert sorted(said.saved) == [f"{number}.bin" for number in range(4)]


@in_virtual_time
async def test_a_first_run_on_a_full_disk_saves_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        saver, said = saver_of(ben, tmp_path / "saved")

        async def full(name: str) -> ClientView:
            raise StorageFull

        async with tries_again(saver):
            with monkeypatch.context() as patch:
                patch.setattr(ben.engine, "follow", full)
                await saver.begin()
            await asyncio.sleep(AGAIN + 1)
            await comes(ada, ben, tmp_path, "a.bin")
            await whole_now(saver, ben)
        assert said.saved == ["a.bin"]


@in_virtual_time
async def test_a_run_whose_turn_was_taken_takes_none_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the disk had not taken what it was to save."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        first, one = saver_of(ben, tmp_path / "one")
        await first.begin()
        async with tries_again(first):
            with free(monkeypatch, 0):
                await comes(ada, ben, tmp_path, "a.bin")
                await whole_now(first, ben)
            second, other = saver_of(ben, tmp_path / "other")
            await second.begin()
            await first.heed(ClientChanged(PLACE))
            await asyncio.sleep(AGAIN + 1)
        assert (one.saved, other.saved) == ([], ["a.bin"])


@in_virtual_time
async def test_the_file_of_one_contact_keeps_no_folder_of_another_from_being_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        target = tmp_path / "saved"
        saver, said = saver_of(ben, target)
        await saver.begin()
        for name in ("photos", "photos/a.jpg", "photos/b.jpg"):
            await comes(ada, ben, tmp_path, name, 10)
            await whole_now(saver, ben)
        assert said.saved == ["photos", "a.jpg", "b.jpg"]
        assert sorted(path.name for path in (target / "photos (2)").iterdir()) == ["a.jpg", "b.jpg"]
        monkeypatch.setattr(below, "NAMES_TRIED", 2)
        await comes(ada, ben, tmp_path, "photos/c.jpg", 10)
        await whole_now(saver, ben)
        assert "photos is in the way" in capsys.readouterr().err
        again, said = saver_of(ben, target)
        await again.begin()
        assert said.saved == []
        assert "in the way" not in capsys.readouterr().err, (
            "a contact chose the names: it does not come again"
        )


@in_virtual_time(limit=7_200)
async def test_a_contact_fills_no_more_than_it_may_without_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A deletion gives the room of the pieces back, and not that of the copies."""
    monkeypatch.setattr(allowances, "WITHOUT_ASKING_IN_ALL", 1)
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ben.engine.set_preference(WITHOUT_ASKING, "1")
        target = tmp_path / "saved"
        saver, said = saver_of(ben, target)
        await saver.begin()

        async def round_of(name: str) -> EntryView:
            sent = await comes(ada, ben, tmp_path, name, 400_000)
            await whole_now(saver, ben)
            await ada.engine.delete(await ada.contact(ben), sent.id, DeletionScope.EVERYONE)
            return sent

        for number in range(5):
            await round_of(f"{number}.bin")
            await asyncio.sleep(10)
        assert said.saved == ["0.bin", "1.bin"]
        assert "2.bin was not saved: What was saved" in capsys.readouterr().err
        await ben.stop()
        await ben.start()
        saver, said = saver_of(ben, target)
        await saver.begin()
        await round_of("5.bin")
        assert said.saved == [], "a restart changes nothing"
        await asyncio.sleep(10)
        (target / "0.bin").rename(tmp_path / "moved.bin")
        await round_of("6.bin")
        assert said.saved == ["6.bin"], "this person took one out of the folder"
        await asyncio.sleep(10)
        sent = await comes(ada, ben, tmp_path, "7.bin", 400_000)
        await ben.engine.save_file(await ben.contact(ada), sent.id, str(target))
        assert "7.bin" in names(target), "what this person asks for is not bounded"


@in_virtual_time(limit=7_200)
async def test_all_conversations_together_are_bounded(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ben.engine.set_preference(KEEP_MOST, "1")
        friend, target = await ben.contact(ada), tmp_path / "saved"
        target.mkdir()
        for number, refused in enumerate((False, False, True)):
            sent = await comes(ada, ben, tmp_path, f"{number}.bin", 400_000)
            if refused:
                with pytest.raises(UsageError, match="What was saved"):
                    await ben.engine.save_file(friend, sent.id, str(target), True)
            else:
                await ben.engine.save_file(friend, sent.id, str(target), True)
            await ada.engine.delete(await ada.contact(ben), sent.id, DeletionScope.EVERYONE)
            await asyncio.sleep(10)


@in_virtual_time
async def test_the_next_start_removes_what_a_killed_one_left_of_a_copy(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, _ada, ben):
        target, copies = NewFile(tmp_path / "a.bin"), ben.engine._use_cases.files._copies
        target.write(b"plain")
        await copies.begin(target)
        (kept,) = json.loads((await ben.engine.preferences())[UNFINISHED])
        other = tmp_path / "other.bin"
        other.write_text("of this person")
        await ben.engine.set_preference(UNFINISHED, json.dumps([kept, str(other), str(tmp_path / "gone"), 7]))
        await ben.crash()
        target._file.close()
        assert target.unfinished.exists()
        await ben.start()
        await asyncio.sleep(60)  # of the virtual clock
        assert UNFINISHED not in await ben.engine.preferences()
        assert not target.unfinished.exists()
        assert other.exists()


@in_virtual_time
async def test_what_cannot_be_removed_keeps_nothing_else_from_being_removed(tmp_path: Path) -> None:
    """A file stands where the folder of a copy was, and another folder has one of its name."""
    async with two_contacts(tmp_path) as (_, _ada, ben):
        left = [tmp_path / "was" / "a.parlour-part", tmp_path / "b.parlour-part", tmp_path / "c.parlour-part"]
        left[0].parent.write_text("in its place")
        left[1].mkdir()
        left[2].write_text("plain")
        await ben.engine.set_preference(UNFINISHED, json.dumps([*map(str, left)]))
        with pytest.raises(StorageFailure):
            await ben.engine._use_cases.files._copies.sweep()
        assert not left[2].exists()
        assert json.loads((await ben.engine.preferences())[UNFINISHED]) == [str(left[1])]


@in_virtual_time
async def test_a_place_that_was_revoked_is_not_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else what comes would be noted for it from then on, and nobody would take that away."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        saver, said = saver_of(ben, tmp_path / "saved")
        await saver.begin()
        await ben.engine.forget_client(PLACE)
        await saver.heed(ClientChanged(PLACE))
        assert capsys.readouterr().err.splitlines() == [REPLACED]
        await comes(ada, ben, tmp_path, "a.bin")
        await whole_now(saver, ben)
        assert said.saved == []
        assert await ben.engine.clients() == ()


@in_virtual_time
async def test_a_copy_that_fails_or_is_written_leaves_no_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        sent = await comes(ada, ben, tmp_path, "a.bin")
        noted, write = list[str](), NewFile.write

        def looked(target: NewFile, data: bytes) -> None:
            noted.append(str(target.unfinished))
            write(target, data)

        monkeypatch.setattr(NewFile, "write", looked)
        friend = await ben.contact(ada)
        with free(monkeypatch, 0), pytest.raises(ParlourError):
            await ben.engine.save_file(friend, sent.id, str(tmp_path))
        await ben.engine.save_file(friend, sent.id, str(tmp_path))
        assert noted
        assert UNFINISHED not in await ben.engine.preferences()
