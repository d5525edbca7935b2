"""Archives: what can be read of a backup whose recovery words are missing, with real profiles."""

from __future__ import annotations

import asyncio
import inspect
import os
from pathlib import Path
from typing import Any

import pytest

from chat.archive import READS, Archive
from chat.assemble import door
from chat.errors import ARCHIVED
from chat.interface import CannotCreate, DoorState, Messenger, NotPermitted, RestoreView, UsageError
from chat.service import restoring
from chat.service.restoring import ArchiveExists
from chat.storage import folder as stored_folder
from chat.storage import keys, profile
from chat.storage.errors import ProfileInUse, WrongPassphrase
from protocol.profile_header import CHEAPEST
from tests.contract.subject import RELAY
from tests.integration.test_backup import BACKUP, back_up, restore_new, shown
from tests.support.engines.engines import PASSPHRASE, Person, in_virtual_time, people, talk, two_contacts


async def an_archive(ada: Person, ben: Person, tmp_path: Path) -> tuple[RestoreView, str, Any]:
    """Ada's backup without words as an archive, the root hash of the backup, and Ada's history with Ben."""
    await talk(ada, ben, "from Ada")
    unread = await talk(ben, ada, "from Ben")
    await ada.engine.add_relay(RELAY)
    await ada.engine.send((await ada.engine.me()).person, "a note")
    made = await back_up(ada, tmp_path / "ada.backup", recovery=False)
    history = await ada.history(ben)
    assert history[-1].id == unread
    await ada.stop()
    view = await asyncio.to_thread(restore_new, tmp_path / "new", tmp_path / "ada.backup")
    return view, made.root, history


def opened(view: RestoreView) -> Any:
    return door(Path(view.archive), cost=CHEAPEST).unlock(PASSPHRASE)


@in_virtual_time
async def test_a_backup_without_words_becomes_an_archive_that_reads_searches_and_exports(
    tmp_path: Path,
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        (known,) = await ada.engine.contacts()
        assert known.verified
        view, root, history = await an_archive(ada, ben, tmp_path)
        assert (view.new, view.root, view.entries) == (False, root, view.backup.entries)
        assert Path(view.archive).parent == tmp_path / "new" / stored_folder.ARCHIVES
        # The folder has no profile yet: a person can begin there.
        assert stored_folder.state(tmp_path / "new") is stored_folder.ProfileState.NEW
        archive = await opened(view)
        try:
            me, (contact,) = await archive.me(), await archive.contacts()
            assert (me.name, me.archived is not None, me.keeps_seed) == ("Ada", True, False)
            assert (contact.name, contact.past, contact.verified, contact.unread) == ("Ben", True, False, 0)
            assert shown(await archive.history(contact.person)) == shown(history)
            assert [one.text for one in await archive.history(me.person)] == ["a note"]
            assert [one.text for one in await archive.search("from")] == ["from Ada", "from Ben"]
            assert await archive.relays() == ()
            read = await archive.export(str(tmp_path / "ada.html"), "html", None)
            assert read.root == root
            again = await archive.back_up(str(tmp_path / "again.backup"), BACKUP)
            assert again.root == root
        finally:
            await archive.close()
        # What was written of it restores as the first backup does: here as the archive that is there.
        with pytest.raises(ArchiveExists):
            await asyncio.to_thread(restore_new, tmp_path / "new", tmp_path / "again.backup")


@in_virtual_time
async def test_an_archive_says_nothing_and_has_no_key(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        view, _, _ = await an_archive(ada, ben, tmp_path)
        archive = await opened(view)
        try:
            (contact,) = await archive.contacts()
            for refused in (
                archive.send(contact.person, "hello"),
                archive.set_visible(True),
                archive.invite(),
                archive.verify(contact.person, "1"),
                archive.mark_all_read(contact.person),
                archive.clear(contact.person),
                archive.recovery_words(),
            ):
                with pytest.raises(NotPermitted, match=str(ARCHIVED)):
                    await refused
            # Its engine does not listen.
            assert (await archive.me()).port == 0
        finally:
            await archive.close()
        with profile.unlock(Path(view.archive), PASSPHRASE) as vault:
            database = vault.database()
            own = keys.read_own(database)
            database.close()
        assert own.archived
        assert (own.signing_seed, own.static_secret) == (keys.NO_KEY, keys.NO_KEY)


@in_virtual_time
async def test_the_backup_of_another_identity_becomes_an_archive_and_leaves_the_profile_as_it_is(
    tmp_path: Path,
) -> None:
    async with people(tmp_path, "Ada", "Eve") as (_, (ada, eve)):
        await ada.engine.send((await ada.engine.me()).person, "a note")
        await back_up(ada, tmp_path / "ada.backup", recovery=True)
        before = await eve.engine.me()
        await eve.stop()
        asked = restoring.Asked(tmp_path / "ada.backup", BACKUP)
        restore = restoring.restore_into
        view = await asyncio.to_thread(restore, eve.folder, PASSPHRASE, asked, os.urandom, CHEAPEST)
        assert (view.name, view.person) == ("Ada", (await ada.engine.me()).person)
        assert [view.archive] == list(await door(eve.folder).archives())
        await eve.start()
        assert (await eve.engine.me()).person == before.person
        assert await eve.engine.contacts() == ()
        # With the passphrase of another profile nothing is made.
        with pytest.raises((WrongPassphrase, ProfileInUse)):
            await asyncio.to_thread(restore, eve.folder, "wrong", asked, os.urandom, CHEAPEST)
        assert [view.archive] == list(await door(eve.folder).archives())


@in_virtual_time
async def test_nothing_is_added_to_an_archive_and_wipe_destroys_it_with_its_profile(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        view, _, _ = await an_archive(ada, ben, tmp_path)
        asked, place = restoring.Asked(tmp_path / "ada.backup", BACKUP), Path(view.archive)
        with pytest.raises(UsageError):
            await asyncio.to_thread(restoring.restore_into, place, PASSPHRASE, asked, os.urandom, CHEAPEST)
        outer = door(tmp_path / "new", cost=CHEAPEST)
        assert await outer.state() is DoorState.NEW
        with profile.unlock(place, PASSPHRASE), pytest.raises(CannotCreate):
            await outer.wipe()
        assert stored_folder.holds_any(place)
        await outer.wipe()
        assert not (tmp_path / "new").exists()


def test_an_archive_allows_calls_by_name_alone() -> None:
    """A call that somebody adds is refused until it is found to read only."""
    calls = {name for name, call in vars(Messenger).items() if inspect.iscoroutinefunction(call)}
    assert calls >= READS
    assert not READS & {"send", "send_file", "edit", "delete", "recover", "pair_nearby", "listen", "verify"}
    assert all(hasattr(Archive, name) for name in calls)
