"""What is saved of real databases with a damaged page."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from chat.interface import EntryEdited, SalvageView, SettingsView
from chat.service import restore, restoring
from chat.storage import schema_pages
from chat.storage.backup_file import BackupReader
from chat.storage.database import Database
from protocol.backup.records import BackupContact, BackupEntry, BackupSetting, Record, RecordReader
from protocol.profile_header import CHEAPEST
from tests.integration.steps import in_touch
from tests.integration.test_backup import started
from tests.integration.test_damaged_profiles import flip, root_of
from tests.integration.test_expiry import timed
from tests.integration.test_removed_terminals import Second
from tests.support.engines.engines import PASSPHRASE, in_virtual_time, talk, two_contacts

OWN = "of the backup"
PAGE = 4096


def salvage(folder: Path, path: Path, *, recovery: bool = False) -> SalvageView:
    asked = restoring.Asked(path, OWN, recovery=recovery)
    return restoring.salvage_from(folder, PASSPHRASE, asked, 1_767_225_600_000, os.urandom)


def records(path: Path) -> list[Record]:
    pieces = BackupReader(path, OWN).read(RecordReader())
    return [record for piece in pieces for record, _ in piece]


@in_virtual_time
async def test_of_a_damaged_database_all_other_pages_are_saved(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        texts = [f"{number} " + "long " * 300 for number in range(24)]
        for text in texts:
            await talk(ada, ben, text)
        whole = await ada.engine.back_up(str(tmp_path / "whole"), OWN)
        words = (await ada.engine.recovery_words()).words
        root = await root_of(ada, "bodies") - 1
        await ada.stop()
        database = ada.folder / "history.db"
        data = database.read_bytes()
        view = await asyncio.to_thread(salvage, ada.folder, tmp_path / "sound")
        assert (view.backup.root, view.entries, view.bodies) == (whole.root, 0, 0)
        views, schema = list[SalvageView](), {number - 1 for number in schema_pages._copies(database)}
        for page in {*range(0, len(data) // PAGE, 6), root}:
            place = page * PAGE + PAGE // 2
            database.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            path = tmp_path / f"saved {page}"
            view = await asyncio.to_thread(salvage, ada.folder, path)
            if page == root:  # it alone says where the bodies are
                assert view.bodies == len(texts)
            else:
                views.append(view)
            assert view.backup.entries + view.entries == len(texts)
            assert (await asyncio.to_thread(restore.verify, path, OWN)).view.entries == view.backup.entries
            assert (database.read_bytes()[place] == data[place] ^ 1) is (page not in schema)
        damaged = [view for view in views if view.bodies]
        assert damaged
        worst = max(damaged, key=lambda view: view.bodies)
        assert 0 < worst.bodies < len(texts)
        asked = restoring.Asked(Path(worst.backup.path), OWN, words)
        restored = await asyncio.to_thread(
            restoring.restore_new, tmp_path / "new", PASSPHRASE, asked, os.urandom, CHEAPEST
        )
        assert restored.entries == worst.backup.entries


@in_virtual_time
async def test_a_profile_on_a_read_only_disk_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing disk is often mounted so."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "saved")
        whole = await ada.engine.back_up(str(tmp_path / "whole"), OWN)
        await ada.stop()
        opened = os.open

        def read_only(path: Path, flags: int, *mode: int) -> int:
            if Path(path).parent == ada.folder and flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
                raise OSError(errno.EROFS, "read-only")
            return opened(path, flags, *mode)

        monkeypatch.setattr(os, "open", read_only)
        view = await asyncio.to_thread(salvage, ada.folder, tmp_path / "saved")
        assert view.backup.root == whole.root


@in_virtual_time
async def test_what_is_saved_of_the_settings_reveals_no_more_than_they_did(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ada.engine.change_settings(SettingsView(False, True))
        await ada.engine.pin(await ada.contact(ben), True)
        await ada.engine.pin((await ada.engine.me()).person, True)
        page = await root_of(ada, "settings")
        await ada.stop()
        for path, typing in ((tmp_path / "sound", "on"), (tmp_path / "damaged", "off")):
            await asyncio.to_thread(salvage, ada.folder, path)
            kept = {one.name: one.value for one in records(path) if isinstance(one, BackupSetting)}
            assert (kept["read_receipts"], kept["typing"]) == ("off", typing)
            assert kept.get("notes_pinned", "off") == typing  # in the damaged one it cannot be read
            (friend,) = [one for one in records(path) if isinstance(one, BackupContact)]
            assert (friend.pinned, friend.muted) == (True, False)
            flip(ada.folder, page)


@in_virtual_time
async def test_what_is_saved_has_no_more_than_a_backup_has(tmp_path: Path) -> None:
    """The recovery seed is in it only if asked for, and no text that ends."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "stays")
        await timed(ada, ben, 60)
        ends = await talk(ben, ada, "ends in a minute")
        edited = ada.wait(EntryEdited)
        await ben.engine.edit(await ben.contact(ada), ends, "ends as well")
        await edited
        whole = await ada.engine.back_up(str(tmp_path / "whole"), OWN)
        await ada.stop()
        view = await asyncio.to_thread(salvage, ada.folder, tmp_path / "saved")
        assert (view.backup.root, view.backup.recovery, view.bodies) == (whole.root, False, 0)
        entries = [one for one in records(tmp_path / "saved") if isinstance(one, BackupEntry)]
        assert [bool(one.salt) for one in entries] == [True, True, False, False]
        with_seed = await asyncio.to_thread(salvage, ada.folder, tmp_path / "seed", recovery=True)
        assert with_seed.backup.recovery


@in_virtual_time
async def test_what_does_not_count_in_a_damaged_profile_does_not_count_in_what_is_saved(
    tmp_path: Path,
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        second = await Second.added(ben, ada)
        await second.passed(second.write("honest"))
        await second.removed()
        await second.passed(second.write("after the removal"))
        doubted = await talk(ben, ada, "passed on")
        doubt = "INSERT INTO uncovered (entry) SELECT number FROM entries WHERE id = ?"
        await ada.engine._use_cases.store.write(Database.run, doubt, bytes.fromhex(doubted))
        await talk(ada, ben, "own")
        pages = [await root_of(ada, table) for table in ("quarantine_by_rule", "uncovered")]
        await ada.stop()
        whole = (ada.folder / "history.db").read_bytes()
        for damaged in (None, *pages):
            (ada.folder / "history.db").write_bytes(whole)
            if damaged is not None:
                flip(ada.folder, damaged)
            folder = tmp_path / f"of {damaged}"
            path = folder.with_suffix(".backup")
            await asyncio.to_thread(salvage, ada.folder, path, recovery=True)
            asked = restoring.Asked(path, OWN)
            await asyncio.to_thread(restoring.restore_new, folder, PASSPHRASE, asked, os.urandom, CHEAPEST)
            other = await started(ada, folder)
            apart = [one.text for one in await other.history(ben) if one.quarantined]
            # Where nobody can say what counts, no entry of a removed terminal does.
            assert apart == (["honest"] if damaged == pages[0] else []) + ["after the removal"]
            assert (await other.engine.details(await other.contact(ben), doubted)).uncovered
            await other.stop()
