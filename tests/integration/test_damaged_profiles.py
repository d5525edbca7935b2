"""Profiles with damaged pages: what can be read is read, the rest comes back, and everything goes on."""

from __future__ import annotations

import asyncio
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chat.engine import Engine, open_engine
from chat.interface import (
    AlertKind,
    AlertsChanged,
    EntryFilled,
    EntryKind,
    EntryState,
    FileCheckView,
    SettingsView,
)
from chat.storage import profile
from chat.storage.database import Database
from chat.storage.errors import IdentityLost
from chat.storage.pages import PAGE_SIZE
from tests.integration.steps import in_touch, now, presence
from tests.integration.test_expiry import timed
from tests.integration.test_removed_terminals import Second, synced
from tests.support.engines.engines import PASSPHRASE, Person, in_virtual_time, talk, two_contacts
from tests.support.storage.samples import rewrite


async def root_of(person: Person, table: str) -> int:
    """The first page of a table, which is the only one while it is small."""
    store = person.engine._use_cases.store
    number: int = await store.read(Database.value, "SELECT rootpage FROM sqlite_master WHERE name = ?", table)
    return number


def flip(folder: Path, page: int) -> None:
    """Change one bit of a page in the file."""
    with (folder / "history.db").open("r+b") as file:
        place = (page - 1) * PAGE_SIZE + 1_000
        (byte,) = os.pread(file.fileno(), 1, place)
        os.pwrite(file.fileno(), bytes([byte ^ 0x10]), place)


def alarm(person: Person, kind: AlertKind) -> asyncio.Future[AlertsChanged]:
    return person.wait(AlertsChanged, lambda event: kind in [one.kind for one in event.alerts])


async def said(one: Person, other: Person) -> list[str]:
    for number in range(6):
        await talk(one, other, f"one {number}")
        await talk(other, one, f"other {number}")
    return await one.texts(other)


def kinds(person: Person) -> list[AlertKind]:
    return [alert.kind for alert in person.engine._use_cases.alerts.views()]


@pytest.mark.parametrize("table", ["bodies", "entries", "receipts", "edges", "contacts"])
@in_virtual_time
async def test_case_70_one_flipped_bit_costs_no_history_and_stops_nothing(tmp_path: Path, table: str) -> None:
    """Found at the start or when the page is read; what was lost comes back by repair."""
    async with in_touch(tmp_path) as (_, ada, ben):
        before = await said(ada, ben)
        page, known = await root_of(ada, table), await ada.contact(ben)
        await ada.stop()
        flip(ada.folder, page)
        met = presence(ada, present=True)
        await ada.start()
        if table == "contacts":  # of which nothing else says who they are
            assert kinds(ada) == [AlertKind.DAMAGED]
            assert await ada.engine.contacts() == ()
            return
        await met
        await ada.engine.history(known, 100)
        await talk(ada, ben, "sending goes on")
        await talk(ben, ada, "receiving, too")
        assert await ada.texts(ben) == [*before, "sending goes on", "receiving, too"]
        assert {view.state for view in await ada.history(ben) if view.own} == {EntryState.DELIVERED}
        assert kinds(ada) == [AlertKind.DAMAGED]
        assert (ada.folder / "damaged.db").exists()
        await ada.engine.dismiss_alerts()
        assert not (ada.folder / "damaged.db").exists()
        assert await ada.engine._use_cases.store.read(Database.integrity) == ()


@in_virtual_time
async def test_case_70_the_first_page_costs_nothing_and_the_person_hears_of_it(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        before = await said(ada, ben)
        for _ in range(2):
            await ada.stop()
            flip(ada.folder, 1)
            met = presence(ada, present=True)
            await ada.start()
            assert kinds(ada) == [AlertKind.DAMAGED]
            assert await ada.texts(ben) == before
            await met
            await talk(ada, ben, "it goes on")
            before.append("it goes on")
            await ada.engine.dismiss_alerts()
        assert await ada.engine._use_cases.store.read(Database.integrity) == ()


@in_virtual_time
async def test_case_70_a_page_that_is_damaged_while_the_engine_runs_is_mended_at_once(
    tmp_path: Path,
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        before = await said(ada, ben)
        store = ada.engine._use_cases.store
        await store.read(rewrite)
        page = await root_of(ada, "bodies")
        flip(ada.folder, page)
        await store.read(lambda database: database.rows("PRAGMA shrink_memory"))
        count, met, began = itertools.count(1), presence(ada, present=True), now()
        filled = ada.wait(EntryFilled, lambda event: next(count) == len(before))
        assert [view.kind for view in await ada.history(ben)].count(EntryKind.MISSING) == len(before)
        await asyncio.gather(met, filled)
        assert now() - began < 60
        await talk(ada, ben, "it goes on")
        assert await ada.texts(ben) == [*before, "it goes on"]
        assert kinds(ada) == [AlertKind.DAMAGED]


@in_virtual_time
async def test_case_70_without_its_own_keys_a_profile_says_what_to_do(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, _ben):
        page = await root_of(ada, "own")
        await ada.stop()
        flip(ada.folder, page)
        before = (ada.folder / "history.db").read_bytes()
        with pytest.raises(IdentityLost, match="create a new profile"):
            await ada.start()
        assert (ada.folder / "history.db").read_bytes() == before


@in_virtual_time
async def test_the_deep_check_mends_and_says_what_was_saved(tmp_path: Path) -> None:
    """In an engine that is not started, too, which is how a command opens the profile."""
    async with in_touch(tmp_path) as (_, ada, ben):
        await said(ada, ben)
        page = await root_of(ada, "bodies")
        line, second = (await _checked(ada)).lines
        assert line.good
        assert second.good
        assert "counts the same" in second.found
        assert "hold 13 messages, of which 0 wait" in line.found
        await ada.stop()
        flip(ada.folder, page)
        ada.engine = await opened(ada)
        damage, sound, second = (await _checked(ada)).lines
        assert (damage.good, sound.good, second.good) == (False, True, True)
        assert "13 messages are affected" in damage.found
        assert "hold 13 messages, of which 13 wait" in sound.found


async def opened(person: Person) -> Engine:
    """An engine that does not begin to listen or dial."""
    vault = profile.unlock(person.folder, PASSPHRASE)
    return await open_engine(vault, person.ports(), person.config, ThreadPoolExecutor(1))


async def _checked(person: Person) -> FileCheckView:
    view = await person.engine.check_files()
    while view.after is not None:
        view = await person.engine.check_files(view.after)
    return view


@in_virtual_time(limit=90_000)
async def test_case_68_an_idle_engine_finds_an_older_page_within_a_day(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        store = ada.engine._use_cases.store
        before = await said(ada, ben)
        told = alarm(ada, AlertKind.MENDED)
        await store.write(lambda database: database.run("DELETE FROM bodies WHERE entry % 3 = 0"))
        assert "" in await ada.texts(ben)
        count = itertools.count(1)
        filled = ada.wait(EntryFilled, lambda event: next(count) == len(before) // 3)
        await asyncio.gather(told, filled)
        await talk(ben, ada, "it goes on")
        assert await ada.texts(ben) == [*before, "it goes on"]
        assert kinds(ada) == [AlertKind.MENDED]


@in_virtual_time
@pytest.mark.parametrize("table", ["expiring", "profile_clock", "timers"])
async def test_case_70_what_ends_does_so_where_its_end_was_lost(tmp_path: Path, table: str) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await timed(ada, ben, 60)
        await asyncio.sleep(20)  # of virtual time, which the profile's clock has counted
        await talk(ben, ada, "read before")
        await ada.engine.mark_all_read(await ada.contact(ben))
        await talk(ada, ben, "own")
        await talk(ben, ada, "not read yet")
        page = await root_of(ada, table)
        await ada.stop()
        flip(ada.folder, page)
        await ada.start()
        view = [(one.kind, one.expires is not None) for one in await ada.history(ben)]
        assert view == [("timer", False), *[("text", True)] * 3]
        await asyncio.sleep(61)  # of virtual time: what has a timer of a minute has ended by then
        assert [one.kind for one in await ada.history(ben)] == ["timer", "expired", "expired", "text"]
        (contact,) = await ada.engine.contacts()
        assert contact.timer == 60


@in_virtual_time
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("table", ["quarantine", "rules", "cuts"])
async def test_case_70_no_damage_lets_in_what_a_removed_terminal_wrote(
    tmp_path: Path, table: str, cut: bool
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        second = await Second.added(ben, ada)
        honest = second.write("honest")
        await second.passed(honest)
        await second.removed()
        await second.passed(second.write("after the removal"))
        if cut:
            await synced(second, honest)
            await second.cut()
            await talk(ben, ada, "after the cut")
        page = await root_of(ada, table)
        await ben.stop()
        await ada.stop()
        flip(ada.folder, page)
        await ada.start()
        await asyncio.sleep(60)  # of virtual time, in which what returns is decided
        apart = {one.text: one.quarantined for one in await ada.history(ben) if one.kind == "text"}
        assert apart["after the removal"]
        assert not apart["before"]
        # Without a cut, only what the damaged page knew says that it counts.
        assert apart["honest"] is (not cut and table != "cuts")


@in_virtual_time(limit=90_000)
@pytest.mark.parametrize("table", ["expiring", "timers"])
async def test_case_68_an_older_page_that_lacks_an_end_is_found_within_a_day(
    tmp_path: Path, table: str
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await timed(ada, ben, 7 * 86_400)
        await talk(ben, ada, "ends in a week")
        told = alarm(ada, AlertKind.MENDED)
        await ada.engine._use_cases.store.write(Database.run, f"DELETE FROM {table}")
        await told
        assert (await ada.history(ben))[-1].expires
        await ada.stop()
        await ada.start()
        (contact,) = await ada.engine.contacts()
        assert contact.timer == 7 * 86_400


@in_virtual_time
async def test_case_70_where_settings_are_lost_nothing_is_revealed(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ada.engine.change_settings(SettingsView(False, False))
        await talk(ben, ada, "not said to be read")
        await ada.engine.mark_all_read(await ada.contact(ben))
        page = await root_of(ada, "settings")
        await ada.stop()
        flip(ada.folder, page)
        await ada.start()
        assert await ada.engine.settings() == SettingsView(False, False)
        assert AlertKind.SETTINGS in kinds(ada)
