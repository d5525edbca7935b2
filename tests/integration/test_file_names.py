"""Names of files and folders: they are found, and nothing of them is left, nor do they lead anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.interface import BadData, DeletionScope, EntryDeleted, FileState, UsageError
from chat.service import files
from chat.storage.backup_file import WrongBackupPassphrase
from chat.storage.folder import DATABASE
from protocol import attachments
from tests.integration.test_backup import back_up, restore_new, started
from tests.integration.test_expiry import timed
from tests.integration.test_files import at, on_disk, source_of
from tests.integration.test_pictures import left_plain
from tests.support.engines.engines import Person, in_virtual_time, two_contacts
from tests.support.lab.inspection import residues
from tests.support.pictures import SECRET, dressed_png

NAME, FOLDER = "zyxhippopotamusqwv.png", "vwqsumatopoppihxyz"
HOSTILE = ("../../elsewhere", "/elsewhere", "..")
TAILS = (NAME.encode(), b"potamusqwv", b"poppihxyz", FOLDER.encode())


async def send_picture(ada: Person, ben: Person, folder: Path) -> str:
    """Both have it, both have seen it, and both find it by the names that only it has."""
    path, whole = str(source_of(folder, dressed_png())), at(ben, FileState.WHOLE)
    sent = await ada.engine.send_file(await ada.contact(ben), path, f"{FOLDER}/{NAME}", "", True)
    await whole
    for person, other in ((ada, ben), (ben, ada)):
        contact = await person.contact(other)
        await person.engine.show_picture(contact, sent.id, 80, 60)
        for typed in ("zyxhippopotamusqwv", "vwqsum*", "zyxhippopotamusqwv png"):
            assert [one.id for one in await person.engine.search(typed)] == [sent.id]
        assert set(left_in(person)) != set()
    return sent.id


def left_in(person: Person) -> Iterator[str]:
    """Where the names, or what the picture says, are in the pages, frames and files of a person."""
    key = person.engine._vault._open_key().reveal()
    for tail in (*TAILS, SECRET):
        yield from residues(person.folder / DATABASE, key, tail)
        yield from map(str, left_plain(person.folder, tail))


def below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def gone_at(person: Person, entry: str) -> asyncio.Future[EntryDeleted]:
    return person.wait(EntryDeleted, lambda event: event.id == entry)


@pytest.mark.parametrize("way", ["deleted", "expired"])
@in_virtual_time
async def test_case_75_names_thumbnails_and_pieces_of_an_attachment_are_gone_on_both_sides(
    tmp_path: Path, way: str
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        if way == "expired":
            await timed(ada, ben, 60)
        entry = await send_picture(ada, ben, tmp_path)
        gone = asyncio.gather(gone_at(ada, entry), gone_at(ben, entry))
        if way == "expired":
            await ben.engine.mark_all_read(await ben.contact(ada))
        else:
            await ada.engine.delete(await ada.contact(ben), entry, DeletionScope.EVERYONE)
        await gone
        for person, other in ((ada, ben), (ben, ada)):
            await person.engine.clean()
            assert list(left_in(person)) == []
            assert on_disk(person) == []
            assert await person.engine.search("zyxhippopotamusqwv") == ()
            with pytest.raises(UsageError):
                await person.engine.show_picture(await person.contact(other), entry, 80, 60)


@in_virtual_time
async def test_case_76_a_backup_with_attachments_is_refused_whole_or_restored_within_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names that lead elsewhere, which a program of the attacker's wrote into it, are nowhere a path."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        await send_picture(ada, ben, tmp_path)
        path, spoilt, new = tmp_path / "ben.backup", tmp_path / "spoilt", tmp_path / "new"
        made = await back_up(ben, path)
        with monkeypatch.context() as patched:
            patched.setattr(files, "_safe_names", lambda name: [name])
            patched.setattr(attachments, "_check", lambda body: None)
            for name in HOSTILE:
                whole, source = at(ben, FileState.WHOLE), str(source_of(tmp_path, b"content"))
                await ada.engine.send_file(await ada.contact(ben), source, name)
                await whole
            hostile = tmp_path / "hostile.backup"
            await back_up(ben, hostile)
        await ben.stop()
        data, before = path.read_bytes(), below(tmp_path)
        cuts = (data[:-1], data + b"\0", data[:-100] + bytes([data[-100] ^ 1]) + data[-99:])
        for one in (*cuts, hostile.read_bytes()):
            spoilt.write_bytes(one)
            with pytest.raises(BadData):
                await asyncio.to_thread(restore_new, new, spoilt)
            assert not new.exists()
        spoilt.unlink()
        with pytest.raises(WrongBackupPassphrase):
            await asyncio.to_thread(restore_new, new, path, passphrase="another passphrase")
        assert below(tmp_path) == before
        assert (await asyncio.to_thread(restore_new, new, path)).root == made.root
        other = await started(ben, new)
        try:
            (found,) = await other.engine.search(NAME)
            assert found.file is not None
            assert (found.file.path, on_disk(other)) == (f"{FOLDER}/{NAME}", [])
            assert all(one.is_relative_to(new) for one in below(tmp_path) - before)
        finally:
            await other.stop()
