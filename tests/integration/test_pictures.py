"""Pictures and hostile names between engines: sent without metadata, shown, saved, and gone when deleted."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from chat.interface import DeletionScope, EntryView, FileState, ParlourError, UsageError
from protocol.limits import FILE_NAME_BYTES_MAX
from tests.integration.test_files import at, on_disk, private_bytes, saved, source_of, target_of
from tests.support.engines.engines import Person, in_virtual_time, two_contacts
from tests.support.pictures import SECRET, dressed_png, hostile

NAMES = json.loads((Path(__file__).parents[2] / "seeds/hostile/names.json").read_text())


async def send(
    person: Person, to: Person, folder: Path, data: bytes, name: str, *, original: bool = False
) -> EntryView:
    path = str(source_of(folder, data))
    return await person.engine.send_file(await person.contact(to), path, name, "", original)


def left_plain(folder: Path, words: bytes) -> list[Path]:
    """Files under a folder that contain these words."""
    return [path for path in folder.rglob("*") if path.is_file() and words in path.read_bytes()]


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


@in_virtual_time
async def test_a_picture_is_sent_without_its_metadata_unless_it_is_the_original(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        for original in (False, True):
            whole = at(ben, FileState.WHOLE)
            sent = await send(ada, ben, tmp_path, dressed_png(), "sunset.png", original=original)
            await whole
            came = await saved(ben, ada, sent.id, tmp_path)
            assert (SECRET in came) is original
            assert (came == dressed_png()) is original
            assert Image.open(io.BytesIO(came)).size == (8, 6)


@in_virtual_time
async def test_a_picture_is_shown_at_both_ends_and_nothing_plain_reaches_the_disk(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        whole = at(ben, FileState.WHOLE)
        sent = await send(ada, ben, tmp_path, dressed_png(), "sunset.png", original=True)
        await whole
        for person, other in ((ada, ben), (ben, ada)):
            shown = await person.engine.show_picture(await person.contact(other), sent.id, 80, 60)
            assert (shown.width, shown.height, set(shown.pixels)) == (6, 8, {0xE0, 0x20})
            assert not left_plain(person.folder, SECRET)
            assert not left_plain(person.folder, shown.pixels)


@in_virtual_time
async def test_case_75_nothing_of_a_deleted_picture_that_was_shown_is_left(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        whole = at(ben, FileState.WHOLE)
        sent = await send(ada, ben, tmp_path, dressed_png(), "sunset.png")
        await whole
        contact = await ben.contact(ada)
        await ben.engine.show_picture(contact, sent.id, 80, 60)
        before = {path for path in ben.folder.rglob("*") if path.is_file()}
        await ben.engine.delete(contact, sent.id, DeletionScope.HERE)
        await ben.engine.clean()
        assert not on_disk(ben)
        assert {path for path in ben.folder.rglob("*") if path.is_file()} <= before
        with pytest.raises(UsageError):
            await ben.engine.show_picture(contact, sent.id, 80, 60)


@in_virtual_time
async def test_case_33_and_80_hostile_pictures_arrive_are_shown_or_refused_and_leave_nothing(
    tmp_path: Path,
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        contact = await ben.contact(ada)
        for name, data in hostile().items():
            whole = at(ben, FileState.WHOLE)
            sent = await send(ada, ben, tmp_path, data, f"{name}.png", original=True)
            await whole
            files = on_disk(ben)
            try:
                shown = await ben.engine.show_picture(contact, sent.id, 40, 40)
                assert len(shown.pixels) == 3 * shown.width * shown.height
            except ParlourError as refused:
                assert str(refused).endswith((".", ")."))  # noqa: PT017 - both ends are allowed
            assert on_disk(ben) == files
            assert await saved(ben, ada, sent.id, tmp_path) == data


@in_virtual_time
async def test_case_80_files_of_hostile_names_are_saved_in_the_folder_alone(
    tmp_path: Path,
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        folder = target_of(ben, tmp_path)
        for number, name in enumerate(NAMES.values()):
            whole = at(ben, FileState.WHOLE)
            sent = await send(ada, ben, tmp_path, str(number).encode(), name)
            await whole
            entry = await ben.engine.entry(await ben.contact(ada), sent.id)
            assert entry is not None
            assert entry.file is not None
            path = Path(await ben.engine.save_file(await ben.contact(ada), sent.id, str(folder)))
            assert path.is_relative_to(folder)
            assert ".." not in path.parts
            assert private_bytes(path) == str(number).encode()
            for shown in (path.name, entry.file.name):
                assert len(shown.encode()) <= FILE_NAME_BYTES_MAX + len(" (99)")
                assert shown.isprintable()
                assert not shown.startswith((".", " "))
                assert not shown.endswith((".", " "))
        assert files_in(tmp_path) == ["source.bin"]
        assert sum(path.is_file() for path in folder.rglob("*")) == len(NAMES)


@in_virtual_time
async def test_what_is_not_here_or_no_picture_is_not_shown(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        whole = at(ben, FileState.WHOLE)
        sent = await send(ada, ben, tmp_path, b"#!/bin/sh\n", "photo.png")
        await whole
        contact = await ben.contact(ada)
        with pytest.raises(UsageError, match="not a picture"):
            await ben.engine.show_picture(contact, sent.id, 80, 60)
        with pytest.raises(UsageError, match="names no file"):
            await ben.engine.show_picture(contact, "00" * 32, 80, 60)
