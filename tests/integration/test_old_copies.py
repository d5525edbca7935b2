"""Profiles put back from older copies, and copies that run at once: told, harmless, and made whole."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from chat.interface import (
    AlertKind,
    AlertsChanged,
    ArrivalsView,
    EntriesConflict,
    EntryAdded,
    EntryChanged,
    EntryState,
)
from chat.storage import folder, pages
from chat.storage.errors import DatabaseForeign, WrongPassphrase
from chat.storage.pages import PAGE_SIZE
from tests.integration.steps import in_touch, meet, now, presence
from tests.integration.test_damaged_profiles import flip, root_of
from tests.support.engines.engines import PASSPHRASE, Person, in_virtual_time, talk, two_contacts

FRAME = 24 + PAGE_SIZE


def keep(person: Person, place: Path) -> None:
    """Keep a copy of a stopped profile."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(person.folder, place)


def put_back(person: Person, place: Path) -> None:
    shutil.rmtree(person.folder)
    shutil.copytree(place, person.folder)


async def kinds(person: Person) -> list[AlertKind]:
    return [alert.kind for alert in await person.engine.alerts()]


def alarm(person: Person, kind: AlertKind) -> asyncio.Future[AlertsChanged]:
    return person.wait(AlertsChanged, lambda event: kind in [one.kind for one in event.alerts])


def reaches(person: Person, entry: str, state: EntryState) -> asyncio.Future[EntryChanged]:
    return person.wait(EntryChanged, lambda event: (event.id, event.state) == (entry, state))


async def again(person: Person) -> None:
    """Start with a mark outside of the profile."""
    await person.stop()
    person.outside = person.folder.parent / "marks"
    await person.start()


@in_virtual_time
async def test_case_66_an_older_copy_is_told_when_it_is_opened_until_it_was_seen(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await again(ada)
        await ada.stop()
        keep(ada, tmp_path / "copy")
        for _start in range(2):
            await ada.start()
            assert await kinds(ada) == []
            await ada.stop()
        put_back(ada, tmp_path / "copy")
        for _start in range(2):
            await ada.start()
            assert await kinds(ada) == [AlertKind.OLD_COPY]
            wrong = [line.found for line in (await ada.engine.check_files()).lines if not line.good]
            assert wrong == [(await ada.engine.alerts())[0].text]
            await ada.stop()
        await ada.start()
        seen = ada.wait(AlertsChanged)
        await ada.engine.dismiss_alerts()
        assert (await seen).alerts == ()
        await ada.stop()
        await ada.start()
        assert await kinds(ada) == []
        assert await talk(ada, ben, "it goes on")


@in_virtual_time
async def test_a_program_that_follows_gets_nothing_of_an_older_copy_until_that_was_seen(
    tmp_path: Path,
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        await again(ada)
        await ada.engine.follow("echo")
        await ada.stop()
        keep(ada, tmp_path / "copy")
        await ada.start()
        known = await talk(ben, ada, "a question that the newer copy has answered")
        after = (await ada.engine.arrivals("echo", 0)).position
        await ada.engine.acknowledge("echo", after)
        await ada.stop()
        put_back(ada, tmp_path / "copy")
        came = ada.wait(EntryAdded, lambda event: event.entry.id == known)
        await ada.start()
        await came
        assert await ada.engine.arrivals("echo", 0) == ArrivalsView((), 0)
        await ada.engine.dismiss_alerts()
        held = await ada.engine.arrivals("echo", 0)
        assert known in [one.entry.id for one in held.arrivals]


@in_virtual_time
async def test_case_66_an_older_copy_without_its_mark_is_told_by_a_contact_and_made_whole(
    tmp_path: Path,
) -> None:
    """Own entries come back with their true state at once: no link has to be renewed for it."""
    async with in_touch(tmp_path) as (_, ada, ben):
        await ada.stop()
        keep(ada, tmp_path / "copy")
        met = presence(ada, present=True)
        await ada.start()
        await met
        first = await talk(ada, ben, "delivered and read")
        read = reaches(ada, first, EntryState.READ)
        await ben.engine.mark_read(await ben.contact(ada), (first,))
        await read
        second = await talk(ada, ben, "delivered")
        await talk(ben, ada, "of Ben")
        await ada.stop()
        put_back(ada, tmp_path / "copy")
        back, began = alarm(ada, AlertKind.OLD_COPY), now()
        settled = reaches(ada, first, EntryState.READ), reaches(ada, second, EntryState.DELIVERED)
        await ada.start()
        assert await kinds(ada) == []
        await asyncio.gather(back, *settled)
        assert now() - began < 60
        assert await ada.texts(ben) == await ben.texts(ada)
        assert not [event for event in (*ada.seen, *ben.seen) if isinstance(event, EntriesConflict)]


@in_virtual_time
async def test_a_contact_that_was_paired_again_is_no_sign_of_an_older_copy(
    tmp_path: Path,
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        await ada.engine.remove(await ada.contact(ben))
        back = ada.wait(EntryAdded)
        await meet(ada, ben)
        await back
        await talk(ada, ben, "again")
        assert "before" in await ada.texts(ben)
        assert await kinds(ada) == []


@in_virtual_time
async def test_case_67_a_second_copy_at_once_is_told_to_its_person_on_both(tmp_path: Path) -> None:
    """On one machine the mark tells, with no contact in reach."""
    async with in_touch(tmp_path) as (network, ada, _ben):
        await again(ada)
        await ada.stop()
        keep(ada, tmp_path / "copy")
        await ada.start()
        other = Person("Ada", "10.0.0.9", tmp_path / "copy", network, ada.config, 77, tmp_path / "marks")
        await other.start()
        try:
            assert await kinds(other) == [AlertKind.OLD_COPY]
            told = alarm(ada, AlertKind.TWO_COPIES)
            await ada.engine.set_preference("theme", "dark")
            await told
        finally:
            await other.stop()


@in_virtual_time
async def test_case_67_a_second_copy_elsewhere_is_told_by_the_contact(tmp_path: Path) -> None:
    """No key or place in a chain serves twice, nothing is lost, and both hold the entries of both."""
    async with in_touch(tmp_path) as (network, ada, ben):
        await ada.stop()
        keep(ada, tmp_path / "copy")
        other = Person("Ada", "10.0.0.9", tmp_path / "copy", network, ada.config, 77)
        for person in (ada, other):
            await person.start()
        told = alarm(ada, AlertKind.TWO_COPIES), alarm(other, AlertKind.TWO_COPIES)
        try:
            for number in range(3):
                for person in (ada, other):
                    await person.engine.send(await person.contact(ben), f"{person.host} {number}")
            await asyncio.gather(*told)
        finally:
            await other.stop()
        assert not [event for event in ben.seen if isinstance(event, EntriesConflict)]


def _says(text: str, event: EntryAdded) -> bool:
    return event.entry.text == text


@in_virtual_time
async def test_what_a_second_copy_had_alone_reaches_the_other_when_its_link_ends(tmp_path: Path) -> None:
    """Not only once that has to open another link, up to 15 minutes later."""
    async with in_touch(tmp_path) as (network, ada, ben):
        await ada.stop()
        keep(ada, tmp_path / "copy")
        other = Person("Ada", "10.0.0.9", tmp_path / "copy", network, ada.config, 77)
        met = presence(ada, present=True)
        await ada.start()
        await met
        met = presence(other, present=True)
        await other.start()
        await met
        await talk(other, ben, "of the second copy")  # its link is the one that sends now
        for number in range(3):
            await talk(ben, other, f"of Ben {number}")
        assert "of Ben 2" not in await ada.texts(ben)
        missed = ("of the second copy", "of Ben 0", "of Ben 1", "of Ben 2")
        came = [ada.wait(EntryAdded, partial(_says, text)) for text in missed]
        began = now()
        await other.stop()
        await asyncio.gather(*came)
        assert now() - began < 60
        assert sorted(await ada.texts(ben)) == sorted(await ben.texts(ada))


Damage = Callable[[Path], object]
LOG = "history.db-wal"


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda folder: None, []),
        (lambda folder: (folder / LOG).unlink(), [AlertKind.OLD_COPY]),
        (lambda folder: os.truncate(folder / LOG, 0), [AlertKind.OLD_COPY]),
        (lambda folder: os.truncate(folder / LOG, 32 + 3 * FRAME + 500), [AlertKind.OLD_COPY]),
    ],
    ids=["whole", "removed", "emptied", "cut"],
)
@in_virtual_time
async def test_case_69_a_log_that_lost_its_newest_commits_is_told(
    tmp_path: Path, harm: Damage, told: list[AlertKind]
) -> None:
    """A killed engine leaves the newest entries in the log alone."""
    async with in_touch(tmp_path) as (network, ada, ben):
        await again(ada)
        network.part(ada.host, ben.host)
        for number in range(5):
            await ada.engine.send(await ada.contact(ben), f"text {number}")
        await asyncio.sleep(ada.config.mark_every + 1)
        for name in (ada.folder.name, "marks"):
            shutil.copytree(tmp_path / name, tmp_path / "killed" / name)
        await ada.stop()
        for name in (ada.folder.name, "marks"):
            shutil.rmtree(tmp_path / name)
            shutil.copytree(tmp_path / "killed" / name, tmp_path / name)
        harm(ada.folder)
        await ada.start()
        assert await kinds(ada) == told
        network.join(ada.host, ben.host)
        await talk(ada, ben, "it goes on")


@in_virtual_time
async def test_case_66_a_header_and_a_database_of_different_days(tmp_path: Path) -> None:
    """An old header opens the newest database under the old passphrase; a new one tells an old database."""
    async with two_contacts(tmp_path) as (_, ada, _ben):
        await again(ada)
        await ada.stop()
        keep(ada, tmp_path / "copy")
        await ada.start()
        await ada.engine.change_passphrase(PASSPHRASE, "another one")
        await ada.stop()
        newer = (ada.folder / "header").read_bytes()
        shutil.copy(tmp_path / "copy" / "header", ada.folder / "header")
        await ada.start()
        assert await kinds(ada) == []
        await ada.stop()
        put_back(ada, tmp_path / "copy")
        (ada.folder / "header").write_bytes(newer)
        with pytest.raises(WrongPassphrase):
            await ada.start()
        shutil.copy(tmp_path / "copy" / "header", ada.folder / "header")
        await ada.start()
        assert await kinds(ada) == [AlertKind.OLD_COPY]


@in_virtual_time
async def test_case_66_a_copy_from_before_another_key_is_told_and_its_header_opens_nothing_newer(
    tmp_path: Path,
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await again(ada)
        keep(ada, tmp_path / "copy")  # as it runs: both marks are the same
        with pytest.raises(WrongPassphrase):
            await ada.engine.change_passphrase("wrong", PASSPHRASE, new_key=True)
        await ada.engine.change_passphrase(PASSPHRASE, PASSPHRASE, new_key=True)
        assert await talk(ada, ben, "after it")
        old = folder.unwrap(folder.read_header(tmp_path / "copy" / "header"), PASSPHRASE).reveal()
        with pytest.raises(DatabaseForeign):
            pages.check_key(ada.folder / folder.DATABASE, old)
        for _start in range(2):
            await ada.stop()
            await ada.start()
            assert await kinds(ada) == []
            assert "after it" in await ada.texts(ben)
        await ada.stop()
        put_back(ada, tmp_path / "copy")
        await ada.start()
        assert await kinds(ada) == [AlertKind.OLD_COPY]


@in_virtual_time
async def test_no_other_copy_is_told_after_the_disk_failed_under_the_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new mark may be there although its write failed."""
    async with in_touch(tmp_path) as (_, ada, ben):
        await again(ada)
        replace_private = folder.replace_private

        def fails_at_the_end(path: Path, data: bytes) -> None:
            replace_private(path, data)
            raise folder.NotDurable(errno.EIO, "a failing disk")

        await talk(ben, ada, "one")
        with monkeypatch.context() as patch, pytest.raises(OSError, match="a failing disk"):
            patch.setattr(folder, "replace_private", fails_at_the_end)
            await ada.engine._use_cases.alerts.keep()
        await talk(ben, ada, "two")
        await ada.engine._use_cases.alerts.keep()
        assert await kinds(ada) == []


@in_virtual_time
async def test_a_damaged_mark_is_no_sign_of_an_older_copy(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, _ben):
        await again(ada)
        page = await root_of(ada, "marks")
        await ada.stop()
        flip(ada.folder, page)
        for _start in range(2):
            await ada.start()
            assert await kinds(ada) == [AlertKind.DAMAGED]
            await ada.stop()
        keep(ada, tmp_path / "copy")
        await ada.start()
        await ada.stop()
        put_back(ada, tmp_path / "copy")
        await ada.start()
        assert await kinds(ada) == [AlertKind.DAMAGED, AlertKind.OLD_COPY]


@in_virtual_time
async def test_what_comes_back_after_an_alert_was_seen_raises_no_other_one(tmp_path: Path) -> None:
    """Entries that a damaged page took are no sign of an older copy."""
    async with in_touch(tmp_path) as (network, ada, ben):
        await talk(ada, ben, "lost and found")
        page = await root_of(ada, "entries")
        network.cut(ben.host)
        await ada.stop()
        flip(ada.folder, page)
        await ada.start()
        assert await kinds(ada) == [AlertKind.DAMAGED]
        await ada.engine.dismiss_alerts()
        back = ada.wait(EntryAdded, lambda event: event.entry.text == "lost and found")
        network.heal(ben.host)
        await back
        assert await kinds(ada) == []


@in_virtual_time
async def test_an_older_copy_under_a_clock_that_was_set_back_is_no_second_copy(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        await ada.stop()
        keep(ada, tmp_path / "copy")
        await ada.start()
        await talk(ada, ben, "lost and found")
        await ada.stop()
        put_back(ada, tmp_path / "copy")
        ada.clock.offset_ms -= 86_400_000
        back = ada.wait(AlertsChanged)
        await ada.start()
        await back
        assert await kinds(ada) == [AlertKind.OLD_COPY]
