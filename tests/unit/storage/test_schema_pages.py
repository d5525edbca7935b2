"""Damaged pages of the schema, without which no other page can be read, are put back from their copies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from chat.assemble import filler
from chat.storage import alerts, contacts, entries, folder, persons, profile, schema_pages
from chat.storage.database import Database
from chat.storage.errors import DatabaseDamaged, DatabaseForeign, IdentityLost, StorageFull
from chat.storage.migrations import version
from chat.storage.pages import PAGE_SIZE
from chat.storage.profile import Vault
from protocol.identity.author import create_person
from protocol.profile_header import CHEAPEST, DatabaseKey
from tests.support.storage import later
from tests.support.storage.samples import (
    PASSPHRASE,
    TALK,
    THEIR_TERMINAL,
    THEM,
    Author,
    rewrite,
    seeded,
    store,
)
from tests.unit.storage.test_damage import flipped

ADA = create_person("Ada", seeded("Ada"))
NOW = 1_700_000_000_000
SALT, PAGE_1 = 3, 2_000
"""Places in the first page."""


def first_rows(database: Database) -> None:
    filler(ADA)(database)
    persons.replace_terminals(database, THEM, [THEIR_TERMINAL])
    contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)


class Kept:
    """A closed profile with forty entries, ten of them deleted, and the numbers of the schema's pages."""

    def __init__(self, place: Path) -> None:
        self.place, author = place, Author(ADA.terminal)
        for number in range(40):
            author.write(f"mine {number} " * 30)
        self.entries = author.written
        vault = profile.create(place, PASSPHRASE, first_rows, random=seeded("kept"), cost=CHEAPEST)
        with vault, closing(vault.database(NOW)) as database:
            store(database, *self.entries)
            with database.transaction():
                for entry in self.entries[:10]:
                    entries.destroy(database, entry.id)
            assert database.value("PRAGMA freelist_count")
            self.rows = entries.page(database, TALK, 1_000)
        self.data = (place / folder.DATABASE).read_bytes()
        self.schema = sorted(schema_pages._copies(place / folder.DATABASE))

    def damaged(self, place: Path, *changed: int) -> Path:
        """A copy of it with one bit flipped at each of these places of the file."""
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.place, place)
        data = self.data
        for one in changed:
            data = flipped(data, one * 8)
        (place / folder.DATABASE).write_bytes(data)
        return place

    def read(self, database: Database) -> int:
        """How many entries are there, after checking that none is another than it was."""
        found = entries.page(database, TALK, 1_000)
        assert set(found) <= set(self.rows)
        return len(found)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("kept") / "profile")


def opened(place: Path) -> Vault:
    return profile.unlock(place, PASSPHRASE)


def middle(page: int) -> int:
    return (page - 1) * PAGE_SIZE + PAGE_1


def test_case_70_whatever_page_of_the_schema_is_damaged_nothing_is_lost(tmp_path: Path, kept: Kept) -> None:
    """The salt, too, with which the first page begins. The person hears of it, as of any damage."""
    assert kept.schema[0] == 1
    assert len(kept.schema) > 5
    for place in (SALT, *map(middle, kept.schema)):
        with opened(kept.damaged(tmp_path / "copy", place)) as vault:
            with closing(vault.database(NOW)) as database:
                assert kept.read(database) == len(kept.rows)
                assert database.integrity() == ()
                assert [row.entries for row in alerts.all_of(database)] == [0]
            with closing(vault.database(NOW)) as database:
                assert len(alerts.all_of(database)) == 1


def test_case_70_no_page_makes_all_others_unreadable(tmp_path: Path, kept: Kept) -> None:
    """Of each page of the file one bit: only without the person's own keys and log nothing is opened."""
    refused = 0
    for page in range(1, len(kept.data) // PAGE_SIZE + 1):
        with opened(kept.damaged(tmp_path / "copy", middle(page))) as vault:
            try:
                with closing(vault.database(NOW)) as database:
                    vault.mend(database, DatabaseDamaged(database.path), NOW)
                    assert database.integrity() == ()
                    assert database.value("SELECT count(*) FROM contacts") is not None
            except IdentityLost:
                refused += 1
    assert refused == 3  # own, drawn and operations


def test_without_copies_they_are_damaged_as_before(tmp_path: Path, kept: Kept) -> None:
    for place, found in ((SALT, DatabaseForeign), (middle(kept.schema[0]), DatabaseDamaged)):
        copy = kept.damaged(tmp_path / "copy", place)
        schema_pages.forget(copy / folder.DATABASE)
        with opened(copy) as vault, pytest.raises(found):
            vault.database(NOW)


def test_several_damaged_pages_are_put_back_but_not_all(tmp_path: Path, kept: Kept) -> None:
    """One that is whole has to say that the copies are of this file."""
    for pages, whole in ((kept.schema[:-1], True), (kept.schema, False)):
        place = kept.damaged(tmp_path / "copy", *map(middle, pages))
        with opened(place) as vault:
            if whole:
                with closing(vault.database(NOW)) as database:
                    assert kept.read(database) == len(kept.rows)
            else:
                with pytest.raises(DatabaseDamaged):
                    vault.database(NOW)


def test_a_page_that_is_damaged_while_the_database_is_open_is_put_back(tmp_path: Path, kept: Kept) -> None:
    with opened(kept.damaged(tmp_path / "copy")) as vault, closing(vault.database(NOW)) as database:
        file = os.open(database.path, os.O_RDWR)  # closing it would drop SQLite's locks
        os.pwrite(file, flipped(os.pread(file, 1, PAGE_1), 0), PAGE_1)
        vault.mend(database, DatabaseDamaged(database.path), NOW)
        assert kept.read(database) == len(kept.rows)
        assert database.integrity() == ()
        assert schema_pages._copies(database.path)
        os.close(file)


def newer(database: Database) -> None:
    with database.transaction():
        database.run("CREATE TABLE later (number INTEGER PRIMARY KEY)")
    database.checkpoint()


@pytest.mark.parametrize("change", [rewrite, newer])
def test_copies_of_another_time_are_not_put_back(
    tmp_path: Path, kept: Kept, change: Callable[[Database], None]
) -> None:
    """They would name pages of other tables. The next start copies the pages as they are."""
    place = kept.damaged(tmp_path / "other")
    with opened(place) as vault, closing(vault.database(NOW)) as database:
        before = schema_pages._copies(database.path)
        change(database)
    path = place / folder.DATABASE
    data, key = path.read_bytes(), key_of(place)
    for page in before:
        path.write_bytes(flipped(data, middle(page) * 8))
        assert not schema_pages.put_back(path, key.reveal())
        assert path.read_bytes() == flipped(data, middle(page) * 8)
    path.write_bytes(data)
    with opened(place) as vault, closing(vault.database(NOW)):
        after = schema_pages._copies(path)
    assert after != before
    path.write_bytes(flipped(data, middle(1) * 8))
    assert schema_pages.put_back(path, key.reveal())


def key_of(place: Path) -> DatabaseKey:
    return folder.unwrap(folder.read_header(place / folder.HEADER), PASSPHRASE)


def test_copies_of_another_profile_or_key_change_nothing(tmp_path: Path, kept: Kept) -> None:
    place = kept.damaged(tmp_path / "copy", middle(1))
    path = place / folder.DATABASE
    assert not schema_pages.put_back(path, bytes(32))
    other = tmp_path / "another"
    vault = profile.create(other, PASSPHRASE, first_rows, random=seeded("other"), cost=CHEAPEST)
    with vault, closing(vault.database(NOW)):
        pass
    shutil.copy(folder.schema_copy(other / folder.DATABASE), folder.schema_copy(path))
    for key in (key_of(place), key_of(other)):
        assert not schema_pages.put_back(path, key.reveal())
    assert path.read_bytes() == flipped(kept.data, middle(1) * 8)


@pytest.mark.parametrize("size", [0, 7, 4_104, 9_000])
def test_copies_that_a_crash_tore_are_none_and_are_made_again(tmp_path: Path, kept: Kept, size: int) -> None:
    place = kept.damaged(tmp_path / "copy")
    copy = folder.schema_copy(place / folder.DATABASE)
    whole = copy.read_bytes()
    copy.write_bytes(whole[:size])
    with opened(place) as vault, closing(vault.database(NOW)) as database:
        assert alerts.all_of(database) == ()
    assert len(copy.read_bytes()) == len(whole)


def test_a_start_that_changes_nothing_writes_no_copies(tmp_path: Path, kept: Kept) -> None:
    place = kept.damaged(tmp_path / "copy")
    copy = folder.schema_copy(place / folder.DATABASE)
    before = copy.read_bytes(), copy.stat().st_ino
    with opened(place) as vault, closing(vault.database(NOW)):
        assert (copy.read_bytes(), copy.stat().st_ino) == before


def test_a_profile_opens_where_no_copies_can_be_written(
    tmp_path: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = kept.damaged(tmp_path / "copy")
    schema_pages.forget(place / folder.DATABASE)

    def full(_path: Path, _data: bytes) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(schema_pages, "write_private", full)
    with opened(place) as vault, closing(vault.database(NOW)) as database:
        assert kept.read(database) == len(kept.rows)


def test_before_a_migration_the_copies_go_and_after_it_they_are_new(
    tmp_path: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash in between leaves none: those of the older schema would lack tables."""
    place = kept.damaged(tmp_path / "copy")
    path = place / folder.DATABASE
    monkeypatch.setattr("chat.storage.migrations.known", later.known)

    def killed(_database: Database) -> None:
        raise StorageFull

    with monkeypatch.context() as patch:
        patch.setattr("chat.storage.migrations.migrate", killed)
        with opened(place) as vault, pytest.raises(StorageFull):
            vault.database(NOW)
    assert not folder.schema_copy(path).exists()
    with opened(place) as vault, closing(vault.database(NOW)) as database:
        assert version(database) == later.LATER.version
    data, schema = path.read_bytes(), sorted(schema_pages._copies(path))
    assert schema[0] == 1
    for page in schema:
        path.write_bytes(flipped(data, middle(page) * 8))
        with opened(place):
            assert path.read_bytes() != flipped(data, middle(page) * 8)
        path.write_bytes(data)


def test_they_hold_the_schema_and_go_with_the_profile(tmp_path: Path, kept: Kept) -> None:
    place = kept.damaged(tmp_path / "copy")
    copy = folder.schema_copy(place / folder.DATABASE)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert b"CREATE" not in copy.read_bytes()
    profile.wipe(place)
    assert not place.exists()
