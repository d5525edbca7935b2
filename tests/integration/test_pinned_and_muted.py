"""Pinned and muted conversations on the devices of a person, and in a backup (SPEC §11.10)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chat.interface import ContactChanged, NotesPinned
from chat.storage.database import Database
from tests.integration.test_backup import back_up, restore_into, restore_new, started
from tests.integration.test_linking import laptop_of
from tests.integration.test_shared_contacts import SETTLED, agree, two_devices, view_of
from tests.support.engines import devices
from tests.support.engines.engines import in_virtual_time, invite, people, talk, two_contacts


def states(database: Database) -> int:
    return int(database.value("SELECT count(*) FROM entries WHERE kind = 6"))


@in_virtual_time
async def test_a_new_device_lists_and_mutes_what_the_others_do(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cat") as (_, (desk, ben, cat)):
        await invite(desk, ben)
        await invite(desk, cat)
        await desk.engine.pin(await desk.contact(ben), True)
        await desk.engine.mute(await desk.contact(cat), True)
        await desk.engine.pin((await desk.engine.me()).person, True)
        laptop = laptop_of(desk, tmp_path)
        await devices.link(desk, laptop)
        views = [await view_of(laptop, friend) for friend in (ben, cat)]
        assert [(view.pinned, view.muted) for view in views] == [(True, False), (False, True)]
        assert (await laptop.engine.me()).notes_pinned, "before any entry of the notes has come"
        await asyncio.sleep(SETTLED)
        await agree(desk, laptop)
        await laptop.stop()
        await laptop.start()
        assert (await view_of(laptop, ben)).pinned
        assert (await laptop.engine.me()).notes_pinned
        await laptop.engine.close()


@in_virtual_time
async def test_another_device_says_at_once_what_changed_and_neither_writes_it_twice(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        friend, own = await desk.contact(ben), (await desk.engine.me()).person
        muted = laptop.wait(ContactChanged, lambda event: event.contact.muted)
        pinned = laptop.wait(NotesPinned)
        await desk.engine.mute(friend, True)
        await desk.engine.pin(own, True)
        assert (await muted).contact.person == friend
        assert (await pinned).on
        written = await laptop.engine._use_cases.store.read(states)
        for one in (desk, laptop):
            await one.engine.mute(friend, True)
            await one.engine.pin(friend, False)
            await one.engine.pin(own, True)
        await asyncio.sleep(SETTLED)
        await agree(desk, laptop)
        assert await laptop.engine._use_cases.store.read(states) == written
        await talk(ben, laptop, "a muted contact is heard of as before")


@in_virtual_time
async def test_a_backup_has_what_is_pinned_and_muted(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend, own = await ada.contact(ben), (await ada.engine.me()).person
        for pinned in (True, False):
            await ada.engine.pin(friend, pinned)
            await ada.engine.mute(friend, not pinned)
            await ada.engine.pin(own, pinned)
            path, folder = tmp_path / f"{pinned}.backup", tmp_path / f"{pinned}"
            await back_up(ada, path)
            await asyncio.to_thread(restore_new, folder, path)
            there = await started(ada, folder)
            (view,) = await there.engine.contacts()
            assert (view.pinned, view.muted) == (pinned, not pinned)
            assert (await there.engine.me()).notes_pinned == pinned
            await there.engine.close()
        await ada.stop()
        await asyncio.to_thread(restore_into, ada.folder, tmp_path / "True.backup")
        await ada.start()
        (view,) = await ada.engine.contacts()
        assert (view.pinned, view.muted) == (False, True), "its own marks of a contact stay"
