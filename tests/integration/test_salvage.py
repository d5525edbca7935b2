"""What is saved of real databases with a damaged page."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from chat.interface import BadData, SalvageView
from chat.service import restore, restoring
from protocol.profile_header import CHEAPEST
from tests.support.engines.engines import PASSPHRASE, in_virtual_time, talk, two_contacts

OWN = "of the backup"
PAGE = 4096


def salvage(folder: Path, path: Path) -> SalvageView:
    return restoring.salvage_from(
        folder, PASSPHRASE, restoring.Asked(path, OWN), 1_767_225_600_000, os.urandom
    )


@in_virtual_time
async def test_of_a_damaged_database_all_other_pages_are_saved(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        texts = [f"{number} " + "long " * 300 for number in range(24)]
        for text in texts:
            await talk(ada, ben, text)
        whole = await ada.engine.back_up(str(tmp_path / "whole"), OWN)
        words = (await ada.engine.recovery_words()).words
        await ada.stop()
        database = ada.folder / "history.db"
        data = database.read_bytes()
        view = await asyncio.to_thread(salvage, ada.folder, tmp_path / "sound")
        assert (view.backup.root, view.entries, view.bodies) == (whole.root, 0, 0)
        views, refused = list[SalvageView](), 0
        for page in range(0, len(data) // PAGE, 12):
            place = page * PAGE + PAGE // 2
            database.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            path = tmp_path / f"saved {page}"
            try:
                view = await asyncio.to_thread(salvage, ada.folder, path)
            except BadData:
                refused += 1
                continue
            views.append(view)
            assert view.backup.entries + view.entries == len(texts)
            assert (await asyncio.to_thread(restore.verify, path, OWN)).view.entries == view.backup.entries
            assert database.read_bytes()[place] == data[place] ^ 1
        damaged = [view for view in views if view.bodies]
        assert damaged
        assert refused < len(views)
        worst = max(damaged, key=lambda view: view.bodies)
        assert 0 < worst.bodies < len(texts)
        asked = restoring.Asked(Path(worst.backup.path), OWN, words)
        restored = await asyncio.to_thread(
            restoring.restore_new, tmp_path / "new", PASSPHRASE, asked, os.urandom, CHEAPEST
        )
        assert restored.entries == worst.backup.entries
