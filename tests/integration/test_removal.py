"""A contact is removed in pieces: gone at once, and erased while everything else goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest import mock

import pytest
from msgspec.structs import replace

from chat.interface import Cleaned, Cleaning, ContactRemoved
from chat.storage import backup, contacts, removal
from chat.storage.database import Database
from chat.storage.errors import StorageFull
from tests.integration.steps import in_touch
from tests.support.engines.engines import DEFAULTS, Person, in_virtual_time, invite, talk
from tests.support.lab.inspection import residues

WORD = "zyxhippopotamusqwv"
LATER = replace(DEFAULTS, clean_after=3_600.0)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "PIECE", 1)


def database_of(person: Person) -> Database:
    return person.engine._use_cases.store._database


def found(person: Person) -> list[str]:
    database = database_of(person)
    return residues(database.path, person.engine._vault._open_key().reveal(), WORD[3:].encode())


async def half_removed(ada: Person, ben: Person) -> None:
    """Ada's program ends after the first piece, with the contact gone and its history still in the file."""
    store, person = ada.engine._use_cases.store, ben.peer.person
    await store.write(contacts.remove, person)
    await store.write(removal.next_piece)
    assert await store.read(removal.is_due)
    await ada.stop()


@in_virtual_time
async def test_a_removed_contact_is_gone_at_once_and_its_history_in_pieces(tmp_path: Path) -> None:
    async with in_touch(tmp_path, replace(DEFAULTS, clean_told=0.0)) as (_, ada, ben):
        for number in range(5):
            await talk(ben, ada, f"{WORD} {number}")
        gone = ada.wait(ContactRemoved, lambda _: True)
        removing = asyncio.ensure_future(ada.engine.remove(await ada.contact(ben)))
        await gone
        assert await ada.engine.contacts() == ()
        assert await ada.engine.search(WORD) == ()
        await removing
        parts = [event.done for event in ada.seen if isinstance(event, Cleaning)]
        assert len(parts) > 6, "its pieces are said"
        assert parts == sorted(parts)
        assert ada.seen[-1] == Cleaned()
        assert not removal.is_due(database_of(ada))
        assert found(ada) == []


@in_virtual_time
async def test_attack_75_what_a_crash_left_of_a_removed_contact_goes_after_the_next_start(
    tmp_path: Path,
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        for number in range(3):
            await talk(ben, ada, f"{WORD} {number}")
        await half_removed(ada, ben)
        cleaned = ada.wait(Cleaned, lambda _: True)
        await ada.start()
        assert await ada.engine.contacts() == ()
        assert await ada.engine.search(WORD) == ()
        await cleaned
        assert not removal.is_due(database_of(ada))
        assert found(ada) == []


@in_virtual_time
async def test_pairing_again_while_the_history_goes_shows_each_entry_once(tmp_path: Path) -> None:
    async with in_touch(tmp_path, LATER) as (_, ada, ben):
        deleted = await talk(ben, ada, f"{WORD} deleted")
        await ada.engine.delete(await ada.contact(ben), deleted)
        await talk(ada, ben, f"{WORD} mine")
        await half_removed(ada, ben)
        await ada.start()
        await invite(ada, ben)
        assert removal.is_due(database_of(ada))
        await talk(ben, ada, "new")
        await talk(ada, ben, "answer")
        wanted = ["before", "", f"{WORD} mine", "new", "answer"]
        assert [view.text for view in await ada.history(ben)] == wanted
        await ada.engine.clean()
        assert not removal.is_due(database_of(ada))
        await ada.stop()
        await ada.start()
        await talk(ben, ada, "last")
        assert [view.text for view in await ada.history(ben)] == [*wanted, "last"]
        assert [view.text for view in await ben.history(ada)][-3:] == ["new", "answer", "last"]


@pytest.mark.parametrize("full", [False, True])
@in_virtual_time
async def test_a_backup_knows_what_was_deleted_in_a_history_that_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    async with in_touch(tmp_path, LATER) as (_, ada, ben):
        await talk(ben, ada, WORD)
        deleted = await talk(ben, ada, f"{WORD} again")
        await ada.engine.delete(await ada.contact(ben), deleted)
        await half_removed(ada, ben)
        await ada.start()
        read, known = backup.deletions, list[tuple[bytes, int]]()

        def noted(database: Database, after: bytes) -> list[tuple[bytes, int]]:
            known.extend(found := read(database, after))
            return found

        monkeypatch.setattr(backup, "deletions", noted)
        if full:
            monkeypatch.setattr(removal, "next_piece", mock.Mock(side_effect=StorageFull))
        assert (await ada.engine.back_up(str(tmp_path / "backup"), "correct horse battery")).entries == 0
        assert known == ([] if full else [(bytes.fromhex(deleted), 1)])
        monkeypatch.undo()
