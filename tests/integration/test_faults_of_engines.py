"""Crashes, restored copies, slow and full disks and wrong clocks, with two engines in virtual time."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from sqlcipher3 import dbapi2

from chat.interface import (
    EntryAdded,
    EntryDeleted,
    EntryState,
    Notice,
    OutcomeUnknown,
    PairingChanged,
    PairingStage,
    UsageError,
)
from chat.service.events import ContactsChanged
from chat.storage import entries, profile
from chat.storage.errors import StorageFull, StorageUnsure
from tests.integration.steps import in_touch, late, meet, say
from tests.support.engines.engines import (
    PASSPHRASE,
    Person,
    delivered,
    in_virtual_time,
    invite,
    pair,
    people,
    talk,
)
from tests.support.storage.samples import evidence

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
        persons = ada, ben
        victim = persons[side]
        late(persons[slower].engine._use_cases.pending, "store", 0.1)
        late(persons[1 - slower].engine._use_cases.pending, "store", 0.05)
        crashed = asyncio.ensure_future(_crash_after(victim, frames))
        attempt = asyncio.ensure_future(pair(ada, ben))
        await asyncio.wait([crashed])
        await asyncio.sleep(30)
        attempt.cancel()
        await victim.start()
        await asyncio.sleep(60)
        if not (await ada.engine.contacts() and await ben.engine.contacts()):
            assert await ada.engine.contacts() == await ben.engine.contacts() == ()
            await meet(ada, ben)
        await talk(ada, ben, "whole again")
        await talk(ben, ada, "so it is")


async def _crash_after(victim: Person, frames: int) -> None:
    """Kill an engine when so many writes have gone over the wire."""
    while len(victim.network.seen) < frames:
        await asyncio.sleep(0.0005)
        if asyncio.get_running_loop().time() > 20:
            break
    await victim.crash()


@in_virtual_time
async def test_with_everything_but_entries_and_receipts_deleted_the_same_entries_go(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        await ben.stop()
        for number in range(3):
            await say(ada, ben, f"waiting {number}")
        await ada.stop()
        _forget_all_but_history(ada.folder)
        await ada.start()
        done = delivered(ada, 3)
        await ben.start()
        await done
        assert await ben.texts(ada) == ["before", "waiting 0", "waiting 1", "waiting 2"]
        assert ben.shown_once(4)


KEPT = {
    # who this is and whom it knows, without which there is nobody to deliver to
    *("own", "drawn", "operations", "terminals", "person_terminals", "contacts"),
    *("pairings", "shares"),
    *("conversations", "migrations"),
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
    async with in_touch(tmp_path) as (_, ada, ben):
        await ada.stop()
        shutil.copytree(ada.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("engine.sock"))
        await ada.start()
        for text in ("lost 1", "lost 2"):
            await talk(ada, ben, text)
        await ada.stop()
        shutil.rmtree(ada.folder)
        shutil.copytree(tmp_path / "copy", ada.folder)
        await ada.start()
        written = await say(ada, ben, "after the restore")
        back = (
            ada.wait(EntryAdded, lambda event: event.entry.text == "lost 1"),
            ada.wait(EntryAdded, lambda event: event.entry.text == "lost 2"),
        )
        await asyncio.gather(*back)
        await talk(ben, ada, "end")
        assert written.state is EntryState.QUEUED
        mine, theirs = await ada.history(ben), await ben.history(ada)
        assert [view.id for view in mine] == [view.id for view in theirs]
        assert sorted(await ada.texts(ben)) == ["after the restore", "before", "end", "lost 1", "lost 2"]
        places = await ada.engine._use_cases.store.read(evidence)
        assert places == []


@in_virtual_time
async def test_attack_74_what_a_full_disk_could_not_store_is_not_acknowledged_and_comes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links with the terminal that cannot store are not opened in a race either."""
    async with in_touch(tmp_path) as (network, ada, ben):
        insert_all, streams = entries.insert_all, len(network.pipes)
        own = ben.engine._use_cases.keyring.own.terminal

        def refused(database, new, own_terminal, **options):  # type: ignore[no-untyped-def]
            if own_terminal == own:
                raise StorageFull
            return insert_all(database, new, own_terminal, **options)

        with monkeypatch.context() as patch:
            patch.setattr(entries, "insert_all", refused)
            said = ben.wait(Notice)
            view = await say(ada, ben, "no room")
            assert "disk" in (await said).text
            await asyncio.sleep(120)
            assert 0 < sum(isinstance(event, Notice) for event in ben.seen) < 40
            assert len(network.pipes) - streams < 200
            assert (await ada.history(ben))[-1].state in (EntryState.QUEUED, EntryState.SENT)
        done = await asyncio.wait_for(delivered(ada, 1), ada.config.retry_most + 1)
        assert done.id == view.id
        assert await ben.texts(ada) == ["before", "no room"]


@in_virtual_time
async def test_attack_74_an_own_entry_that_could_not_be_stored_is_an_error_and_goes_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):

        def refused(*args: object, **named: object) -> bool:
            raise StorageFull

        with monkeypatch.context() as patch:
            patch.setattr(entries, "insert_all", refused)
            with pytest.raises(StorageFull):
                await say(ada, ben, "no room")
        await talk(ada, ben, "after")
        assert await ben.texts(ada) == await ada.texts(ben) == ["before", "after"]


STORED, LOST = True, False


class _Commits:
    """A connection whose next commits report an error; `STORED` ones happened. `blinds`: then reads fail."""

    def __init__(self, real: Any, faults: list[bool], blinds: bool) -> None:
        self.real, self.faults, self.blinds, self.blind = real, faults, blinds, False

    def execute(self, sql: str, *values: Any) -> Any:
        fails = self.blind and sql.startswith(("SELECT", "WITH", "BEGIN"))
        if sql == "COMMIT" and self.faults:
            if self.faults.pop(0):
                self.real.execute(sql)
            fails, self.blind = True, self.blinds
        if not fails:
            return self.real.execute(sql, *values)
        error: Any = dbapi2.OperationalError("disk I/O error")
        error.sqlite_errorcode = dbapi2.SQLITE_IOERR
        raise error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@contextmanager
def failing(person: Person, *faults: bool, blinds: bool = False) -> Iterator[None]:
    database = person.engine._use_cases.store._database
    commits = _Commits(database._connection, list(faults), blinds)
    database._connection = commits
    try:
        yield
        assert not commits.faults
    finally:
        database._connection = commits.real


@pytest.mark.parametrize("faults", [(STORED,), (LOST,), (LOST, STORED)], ids=["stored", "lost", "both"])
@in_virtual_time
async def test_attack_74_an_error_of_a_commit_that_can_be_settled_is_no_failure(
    tmp_path: Path, faults: tuple[bool, ...]
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        done = delivered(ada, 1)
        with failing(ada, *faults):
            view = await say(ada, ben, "once")
        assert (await done).id == view.id
        assert ada.shown_once(2)
        arrived = ada.wait(EntryAdded, lambda event: not event.entry.own)
        with failing(ada, *faults):
            await say(ben, ada, "and back")
            await arrived
        assert await ada.texts(ben) == await ben.texts(ada) == ["before", "once", "and back"]
        gone = ada.wait(EntryDeleted)
        with failing(ada, *faults):
            assert (await ada.engine.delete(await ada.contact(ben), view.id)).kind == "deleted"
        assert (await gone).id == view.id


async def _unsure(person: Person, contact: str, text: str, *, stored: bool) -> None:
    """Send under the id "one" while the disk reports an error of the commit, after which no read works."""
    with (
        failing(person, stored, blinds=True),
        pytest.raises(OutcomeUnknown, match="this message may have been stored"),
    ):
        await person.engine.send(contact, text, "", "one")


@pytest.mark.parametrize("stored", [STORED, LOST], ids=["stored", "lost"])
@in_virtual_time
async def test_attack_74_a_text_that_may_be_stored_is_sent_once_by_a_repeat_with_its_id(
    tmp_path: Path, stored: bool
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        contact, done = await ada.contact(ben), delivered(ada, 1)
        await _unsure(ada, contact, "once", stored=stored)
        view = await ada.engine.send(contact, "once", "", "one")
        assert (view.text, view.state) == ("once", EntryState.QUEUED)
        assert (await done).id == view.id
        again = await ada.engine.send(contact, "once", "", "one")
        assert (again.id, again.state) == (view.id, EntryState.DELIVERED)
        await talk(ada, ben, "after")
        assert await ada.texts(ben) == await ben.texts(ada) == ["before", "once", "after"]
        assert ada.shown_once(3)


@in_virtual_time
async def test_attack_74_what_turns_out_to_be_stored_is_shown_and_goes_by_itself(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        contact, shown, done = await ada.contact(ben), ada.wait(EntryAdded), delivered(ada, 1)
        await _unsure(ada, contact, "once", stored=STORED)
        assert (await shown).entry.text == "once"
        await done
        await ada.engine.send(contact, "once", "", "one")
        await talk(ada, ben, "after")
        assert await ada.texts(ben) == await ben.texts(ada) == ["before", "once", "after"]
        assert ada.shown_once(3)


@in_virtual_time
async def test_attack_74_a_text_without_an_id_that_may_be_stored_is_a_failure_of_the_disk(
    tmp_path: Path,
) -> None:
    """No repeat could be told from a second text."""
    async with in_touch(tmp_path) as (_, ada, ben):
        with failing(ada, LOST, blinds=True), pytest.raises(OutcomeUnknown) as caught:
            await say(ada, ben, "once")
        assert type(caught.value) is StorageUnsure
        assert await ada.texts(ben) == ["before"]


@in_virtual_time
async def test_a_contact_that_could_not_be_removed_is_one_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        with monkeypatch.context() as patch, pytest.raises(StorageFull):
            patch.setattr("chat.storage.contacts.remove", mock.Mock(side_effect=StorageFull))
            await ada.engine.remove(await ada.contact(ben))
        (view,) = await ada.engine.contacts()
        assert view.person == await ada.contact(ben)
        await talk(ada, ben, "still in touch")


@in_virtual_time
async def test_an_id_counts_per_contact_and_for_one_text(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        await pair(ada, ben)
        await pair(ada, cleo)
        first, second = [
            await ada.engine.send(await ada.contact(other), "hello", "", "one") for other in (ben, cleo)
        ]
        assert first.id != second.id
        contact = await ada.contact(ben)
        with pytest.raises(UsageError, match="Another message"):
            await ada.engine.send(contact, "hello!", "", "one")
        with pytest.raises(UsageError, match="Another message"):
            await ada.engine.send(contact, "hello", first.id, "one")
        for bad in ("x" * 65, "ä"):
            with pytest.raises(UsageError, match="64 ASCII"):
                await ada.engine.send(contact, "hello", "", bad)
        longest = [await ada.engine.send(contact, "hello", "", "x" * 64) for _ in range(2)]
        assert longest[0].id == longest[1].id != first.id
        await ada.engine.delete(contact, first.id)
        assert (await ada.engine.send(contact, "hello", "", "one")).kind == "deleted"
        await ada.stop()
        await ada.start()
        assert (await ada.engine.send(contact, "hello", "", "one")).id == first.id
        assert await ada.texts(ben) == ["", "hello"]
        await ada.engine.remove(await ada.contact(cleo))
        await ada.engine.remove(contact)
        store = ada.engine._use_cases.store
        assert await store.read(lambda database: database.value("SELECT count(*) FROM sends")) == 0


@pytest.mark.parametrize("way", [pair, invite])
@in_virtual_time
async def test_a_complete_pairing_is_not_called_cut_by_the_other_who_closes(
    tmp_path: Path, way: Callable[[Person, Person], Awaitable[object]]
) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        for name in ("store", "promote"):
            late(ada.engine._use_cases.pending, name, 1)
        await way(ada, ben)
        changes = [event.pairing for event in ada.seen + ben.seen if isinstance(event, PairingChanged)]
        assert not [view for view in changes if view.stage is PairingStage.FAILED]


@pytest.mark.parametrize("jump", [YEAR_MS, -YEAR_MS])
@in_virtual_time(limit=3 * 3600.0)
async def test_attack_41_a_clock_that_jumps_a_year_breaks_neither_order_nor_links(
    tmp_path: Path, jump: int
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        ada.clock.offset_ms = jump
        await talk(ada, ben, "two")
        await talk(ben, ada, "three")
        await asyncio.gather(ada.stop(), ben.stop())
        await asyncio.gather(ada.start(), ben.start())
        await talk(ada, ben, "four")
        ada.clock.offset_ms = 0
        await asyncio.sleep(4000)
        await talk(ben, ada, "five")
        assert await ada.texts(ben) == await ben.texts(ada) == ["before", "two", "three", "four", "five"]


@in_virtual_time(limit=30 * 3600.0)
async def test_a_pairing_that_never_completed_is_not_shown_and_is_forgotten(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        words = ada.stage(PairingStage.WORDS), ben.stage(PairingStage.WORDS)
        found = await ada.sees("Ben")
        await ada.engine.pair_nearby(found.instance)
        mine, theirs = await asyncio.gather(*words)
        late(ben.engine._use_cases.pending, "store", 60)  # of Ben's side no word comes that it has stored
        await ada.engine.answer_pairing(mine.pairing.id, True)
        await ben.engine.answer_pairing(theirs.pairing.id, True)
        await asyncio.sleep(30)
        await ben.crash()
        assert [keys.pending for keys in ada.engine._use_cases.keyring.contacts.values()] == [True]
        assert await ada.engine.contacts() == ()
        await asyncio.sleep(26 * 3600)
        assert ada.engine._use_cases.keyring.contacts == {}
        await ben.start()


def contact_stored(person: Person) -> asyncio.Event:
    """Set as soon as the person's engine has stored or changed a contact."""
    stored = asyncio.Event()
    person.engine._use_cases.bus.on(ContactsChanged, lambda _: stored.set())
    return stored


@in_virtual_time(limit=60 * 3600.0)
async def test_a_pending_contact_that_pairs_again_has_a_day_from_then_on(tmp_path: Path) -> None:
    """Ben's engine crashes before it stores Ada, twice, 23 hours apart."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        for _ in range(2):
            for person in (ada, ben):
                await person.engine.set_visible(True)
            words = ada.stage(PairingStage.WORDS), ben.stage(PairingStage.WORDS)
            await ada.engine.pair_nearby((await ada.sees("Ben")).instance)
            mine, theirs = await asyncio.gather(*words)
            late(ben.engine._use_cases.pending, "store", 60)
            stored = contact_stored(ada)
            await ada.engine.answer_pairing(mine.pairing.id, True)
            await ben.engine.answer_pairing(theirs.pairing.id, True)
            await asyncio.wait_for(stored.wait(), 30)
            await ben.crash()
            await asyncio.sleep(23 * 3600)
            assert [keys.pending for keys in ada.engine._use_cases.keyring.contacts.values()] == [True]
            await ben.start()
        await asyncio.sleep(3 * 3600)
        assert ada.engine._use_cases.keyring.contacts == {}
