"""Crashes, restored copies, full disks and wrong clocks, with two engines in virtual time."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chat.interface import EntryAdded, EntryState, Notice, PairingStage
from chat.storage import entries, profile
from chat.storage.errors import StorageFull
from protocol.pairing.record import PendingContact
from tests.support.engines.engines import (
    PASSPHRASE,
    Person,
    delivered,
    in_virtual_time,
    pair,
    people,
    talk,
    two_contacts,
)

YEAR_MS = 366 * 24 * 3600 * 1000


@pytest.mark.parametrize("slower", [0, 1])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("frames", range(2, 16))
@in_virtual_time
async def test_a_crash_at_any_frame_of_pairing_leaves_it_complete_or_repeatable(
    tmp_path: Path, frames: int, side: int, slower: int
) -> None:
    """Both disks take their time, one of them longer: a crash may come before, between and after both."""
    async with people(tmp_path, "Ada", "Ben") as (_network, (ada, ben)):
        victim = (ada, ben)[side]
        slow_to_store((ada, ben)[slower], 0.1)
        slow_to_store((ada, ben)[1 - slower], 0.05)
        crashed = asyncio.ensure_future(_crash_after(victim, frames))
        attempt = asyncio.ensure_future(pair(ada, ben))
        await asyncio.wait([crashed])
        await asyncio.sleep(30)
        attempt.cancel()
        await victim.start()
        await asyncio.sleep(60)
        if not (await ada.engine.contacts() and await ben.engine.contacts()):
            assert await ada.engine.contacts() == await ben.engine.contacts() == ()
            await ada.engine.set_visible(True)
            await ben.engine.set_visible(True)
            await pair(ada, ben)
        await talk(ada, ben, "whole again")
        await talk(ben, ada, "so it is")


def slow_to_store(person: Person, seconds: float) -> None:
    """Let the disk begin late with what a pairing has to keep."""
    pending = person.engine._use_cases.pending
    store = pending.store

    async def slowly(contact: PendingContact, verified: bool) -> None:
        await asyncio.sleep(seconds)
        await store(contact, verified)

    pending.store = slowly  # type: ignore[method-assign]


async def _crash_after(victim: Person, frames: int) -> None:
    """Kill an engine when so many writes have gone over the wire."""
    while len(victim.network.seen) < frames:
        await asyncio.sleep(0.0005)
        if asyncio.get_running_loop().time() > 20:
            break
    await victim.crash()


@in_virtual_time
async def test_with_everything_but_entries_and_receipts_deleted_the_same_entries_go(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "delivered before")
        await ben.stop()
        for number in range(3):
            await ada.engine.send(await ada.contact_known("Ben"), f"waiting {number}")
        await ada.stop()
        _forget_all_but_history(ada.folder)
        await ada.start()
        done = delivered(ada, 3)
        await ben.start()
        await done
        assert await ben.texts(ada) == ["delivered before", "waiting 0", "waiting 1", "waiting 2"]
        shown = [event for event in ben.seen if isinstance(event, EntryAdded)]
        assert len(shown) == 4


KEPT = {
    # who this is and whom it knows, without which there is nobody to deliver to
    *("own", "self_keys", "operations", "terminals", "contacts", "shares", "conversations", "migrations"),
    *("entries", "bodies", "receipts"),
}


def _forget_all_but_history(folder: Path) -> None:
    opened = profile.unlock(folder, PASSPHRASE)
    database = opened.database()
    with database.transaction():
        for (table,) in database.rows(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            " AND name NOT LIKE 'search%'"
        ):
            if table not in KEPT:
                database.run(f"DELETE FROM {table}")
    database.close()
    opened.close()


@in_virtual_time
async def test_attack_66_a_restored_copy_reuses_nothing_and_gets_back_what_was_lost(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "kept")
        await ada.stop()
        shutil.copytree(ada.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("engine.sock"))
        await ada.start()
        for text in ("lost 1", "lost 2"):
            await talk(ada, ben, text)
        await ada.stop()
        shutil.rmtree(ada.folder)
        shutil.copytree(tmp_path / "copy", ada.folder)
        await ada.start()
        written = await ada.engine.send(await ada.contact_known("Ben"), "after the restore")
        back = [ada.wait(EntryAdded, _says(text)) for text in ("lost 1", "lost 2")]
        await asyncio.gather(*back)
        await talk(ben, ada, "end")
        assert written.state is EntryState.QUEUED
        mine, theirs = await ada.history(ben), await ben.history(ada)
        assert [view.id for view in mine] == [view.id for view in theirs]
        assert sorted(await ada.texts(ben)) == ["after the restore", "end", "kept", "lost 1", "lost 2"]
        places = await ada.engine._use_cases.store.read(entries.evidence)
        assert places == []


def _says(text: str) -> Callable[[EntryAdded], bool]:
    return lambda event: event.entry.text == text


@in_virtual_time
async def test_attack_74_what_a_full_disk_could_not_store_is_not_acknowledged_and_comes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        full = {"disk": True}
        insert_all = entries.insert_all

        def refused(database, new, own_terminal, **options):  # type: ignore[no-untyped-def]
            if full["disk"] and own_terminal == ben.engine._use_cases.keyring.own.terminal:
                raise StorageFull()
            return insert_all(database, new, own_terminal, **options)

        monkeypatch.setattr(entries, "insert_all", refused)
        said = ben.wait(Notice)
        view = await ada.engine.send(await ada.contact(ben), "no room")
        assert "disk" in (await said).text
        await asyncio.sleep(30)
        assert (await ada.history(ben))[-1].state in (EntryState.QUEUED, EntryState.SENT)
        done = delivered(ada, 1)
        full["disk"] = False
        assert (await done).id == view.id
        assert await ben.texts(ada) == ["before", "no room"]


@in_virtual_time
async def test_attack_74_an_own_entry_that_could_not_be_stored_is_an_error_and_goes_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")

        def refused(*args: object, **named: object) -> bool:
            raise StorageFull()

        with monkeypatch.context() as patch:
            patch.setattr(entries, "insert_all", refused)
            with pytest.raises(StorageFull):
                await ada.engine.send(await ada.contact(ben), "no room")
        await talk(ada, ben, "after")
        assert await ben.texts(ada) == await ada.texts(ben) == ["before", "after"]


@pytest.mark.parametrize("jump", [YEAR_MS, -YEAR_MS])
@in_virtual_time(limit=3 * 3600.0)
async def test_attack_41_a_clock_that_jumps_a_year_breaks_neither_order_nor_links(
    tmp_path: Path, jump: int
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "one")
        ada.clock.offset_ms = jump
        await talk(ada, ben, "two")
        await talk(ben, ada, "three")
        await asyncio.gather(ada.stop(), ben.stop())
        await asyncio.gather(ada.start(), ben.start())
        await talk(ada, ben, "four")
        ada.clock.offset_ms = 0
        await asyncio.sleep(4000)
        await talk(ben, ada, "five")
        assert await ada.texts(ben) == await ben.texts(ada) == ["one", "two", "three", "four", "five"]


@in_virtual_time(limit=30 * 3600.0)
async def test_a_pairing_that_never_completed_is_not_shown_and_is_forgotten(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        words = ada.stage(PairingStage.WORDS), ben.stage(PairingStage.WORDS)
        found = await ada.sees("Ben")
        await ada.engine.pair_nearby(found.instance)
        mine, theirs = await asyncio.gather(*words)
        slow_to_store(ben, 60)  # of Ben's side no word comes that it has stored
        await ada.engine.answer_pairing(mine.pairing.id, True)
        await ben.engine.answer_pairing(theirs.pairing.id, True)
        await asyncio.sleep(30)
        await ben.crash()
        assert [keys.pending for keys in ada.engine._use_cases.keyring.contacts.values()] == [True]
        assert await ada.engine.contacts() == ()
        await asyncio.sleep(26 * 3600)
        assert ada.engine._use_cases.keyring.contacts == {}
        await ben.start()
