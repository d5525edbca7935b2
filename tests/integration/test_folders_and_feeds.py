"""The files of a folder, and what a program gives part by part, between engines."""

from __future__ import annotations

import asyncio
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from chat.interface import (
    FEED_PART_MAX,
    EntryView,
    FileProgress,
    FileState,
    OnlyAsOriginal,
    UsageError,
    outgoing,
)
from chat.pictures.metadata import without_metadata
from chat.service import feeds, files
from protocol.errors import LocalMisuse
from tests.support.engines.engines import Person, in_virtual_time, two_contacts
from tests.support.pictures import SECRET, dressed_png


def at(person: Person, state: FileState) -> asyncio.Future[FileProgress]:
    return person.wait(FileProgress, lambda event: event.file.state is state)


def bytes_at(path: str) -> bytes:
    return Path(path).read_bytes()


def a_folder(place: Path) -> Path:
    """A folder with a file, a hidden one, one in a folder below, a link to a secret, and a pipe."""
    folder = place / "photos"
    (folder / "2026").mkdir(parents=True)
    (folder / "cat.txt").write_bytes(b"cat")
    (folder / ".hidden").write_bytes(b"hidden")
    (folder / "2026" / "dog.txt").write_bytes(b"dog")
    (folder / "nothing").mkdir()
    (place / "secret").write_bytes(b"secret")
    (folder / "link").symlink_to(place / "secret")
    (folder / "2026" / "up").symlink_to(place)
    os.mkfifo(folder / "pipe")
    return folder


async def sent_and_taken(ada: Person, ben: Person, path: Path, named: str) -> EntryView:
    whole = at(ben, FileState.WHOLE)
    sent = await ada.engine.send_file(await ada.contact(ben), str(path), named)
    await whole
    return sent


@in_virtual_time
async def test_a_folder_comes_again_below_the_folder_that_was_chosen(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        target = tmp_path / "target"
        target.mkdir()
        for one in outgoing(a_folder(tmp_path)).files:
            sent = await sent_and_taken(ada, ben, Path(one.path), one.named)
            path = await ben.engine.save_file(await ben.contact(ada), sent.id, str(target))
            assert bytes_at(path) == bytes_at(one.path)
        made = sorted(target.rglob("*"))
        below = [str(path.relative_to(target)) for path in made]
        assert below == ["photos", "photos/2026", "photos/2026/dog.txt", "photos/cat.txt", "photos/hidden"]
        for found in made:
            assert stat.S_IMODE(found.stat().st_mode) == (0o700 if found.is_dir() else 0o600)
        shown = (await ben.history(ada))[-1]
        again = await ben.engine.save_file(await ben.contact(ada), shown.id, str(target))
        assert Path(again).name == "dog (2).txt"
        assert shown.file is not None
        assert shown.file.path == "photos/2026/dog.txt"


@in_virtual_time
async def test_attack_80_a_saved_folder_goes_through_no_link_and_over_no_file(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        source, target, outside = tmp_path / "source", tmp_path / "target", tmp_path / "outside"
        source.write_bytes(b"planted")
        target.mkdir()
        outside.mkdir()
        (target / "in").symlink_to(outside)
        (target / "over").write_bytes(b"mine")
        friend = await ben.contact(ada)
        for folder, made in (("in/", "in (2)"), ("over/", "over (2)"), ("in/deeper/", "in (2)/deeper")):
            sent = await sent_and_taken(ada, ben, source, f"{folder}x")
            assert await ben.engine.save_file(friend, sent.id, str(target)) == str(target / made / "x")
        assert list(outside.iterdir()) == []
        assert (target / "over").read_bytes() == b"mine"


@in_virtual_time
async def test_attack_80_the_names_of_folders_are_made_safe(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(b"x")
        target.mkdir()
        sent = await sent_and_taken(ada, ben, source, "../.ssh/C:\\con/nul.txt")
        path = Path(await ben.engine.save_file(await ben.contact(ada), sent.id, str(target)))
        assert path.is_relative_to(target)
        assert path.relative_to(target).parts == ("file", "ssh", "C__con", "_nul.txt")
        friend = await ada.contact(ben)
        with pytest.raises(UsageError, match="16 folders"):
            await ada.engine.send_file(friend, str(source), "a/" * 17 + "x")


@in_virtual_time
async def test_attack_80_a_sender_that_does_not_clean_the_names_of_folders_gains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_safe_names", lambda name: name.split("/"))
    async with two_contacts(tmp_path) as (_, ada, ben):
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(b"x")
        target.mkdir()
        sent = await sent_and_taken(ada, ben, source, ".ssh/con/a\u202eb/x")
        path = Path(await ben.engine.save_file(await ben.contact(ada), sent.id, str(target)))
        assert path.relative_to(target).parts == ("ssh", "_con", "ab", "x")
        with pytest.raises(LocalMisuse):
            await ada.engine.send_file(await ada.contact(ben), str(source), "a/../x")


@in_virtual_time
async def test_what_a_program_gives_part_by_part_arrives_whole(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend, whole = await ada.contact(ben), at(ben, FileState.WHOLE)
        name = await ada.engine.open_feed()
        sending = asyncio.create_task(ada.engine.send_file(friend, name, "backup.tar"))
        parts = [os.urandom(FEED_PART_MAX), b"", b"some", os.urandom(FEED_PART_MAX), b"end"]
        for part in parts:
            await ada.engine.feed(name, part)
        await ada.engine.feed(name, b"", end=True)
        sent = await sending
        await whole
        path = await ben.engine.save_file(await ben.contact(ada), sent.id, str(tmp_path))
        assert bytes_at(path) == b"".join(parts)
        with pytest.raises(UsageError):
            await ada.engine.feed(name, b"more")
        with pytest.raises(UsageError):
            await ada.engine.send_file(friend, name, "backup.tar")


async def fed(ada: Person, friend: str, content: bytes, *, original: bool = False) -> EntryView:
    """Send what a program gives in parts, the first of them a few bytes."""
    name = await ada.engine.open_feed()
    sending = asyncio.create_task(ada.engine.send_file(friend, name, "photo", original=original))
    with suppress(UsageError):  # it is refused before its end
        for part in (content[:5], content[5:]):
            await ada.engine.feed(name, part)
        await ada.engine.feed(name, b"", end=True)
    return await sending


@in_virtual_time
async def test_a_picture_from_a_pipe_is_cleaned_as_a_file_is(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend, back = await ada.contact(ben), await ben.contact(ada)
        for content, original in ((dressed_png(), False), (dressed_png(), True), (b"text " + SECRET, False)):
            whole = at(ben, FileState.WHOLE)
            sent = await fed(ada, friend, content, original=original)
            await whole
            came = bytes_at(await ben.engine.save_file(back, sent.id, str(tmp_path)))
            if original or content != dressed_png():
                assert came == content
            else:
                assert came == without_metadata(content)
        for beginning in (b"II*\0\x08\0\0\0", b"\x89PNG\r\n\x1a\n damaged"):
            with pytest.raises(OnlyAsOriginal):
                await fed(ada, friend, beginning + SECRET)


@in_virtual_time
async def test_a_feed_that_breaks_off_sends_nothing(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        name = await ada.engine.open_feed()
        await ada.engine.feed(name, b"half of what comes")
        with pytest.raises(UsageError):
            await ada.engine.send_file(await ada.contact(ben), name, "half.tar")
        with pytest.raises(UsageError):
            await ada.engine.feed(name, b"the rest", end=True)
        assert await ada.history(ben) == ()
        assert list((ada.folder / "files").iterdir()) == []


@in_virtual_time
async def test_a_feed_that_no_call_reads_makes_room_for_another(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, _ben):
        first = await ada.engine.open_feed()
        others = [await ada.engine.open_feed() for _number in range(feeds.FEEDS_MAX)]
        with pytest.raises(UsageError):
            await ada.engine.feed(first, b"late")
        await ada.engine.feed(others[-1], b"in time")
        with pytest.raises(UsageError, match="too long"):
            await ada.engine.feed(others[-1], bytes(FEED_PART_MAX + 1))
