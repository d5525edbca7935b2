"""One page put back from an older copy, which SQLCipher accepts: found by a check, and mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat.assemble import filler
from chat.storage import alerts, checks, contacts, entries, persons, receipts, salvage
from chat.storage.database import Database
from chat.storage.errors import DatabaseDamaged, StorageGivenUp
from chat.storage.migrations import create_history, open_history
from chat.storage.pages import PAGE_SIZE
from protocol.entries_and_receipts import ParsedEntry
from protocol.identity.author import create_person
from tests.support.storage.samples import KEY, TALK, THEIR_TERMINAL, THEM, Author, rewrite, seeded, store
from tests.unit.storage.test_damage import shut

ADA = create_person("Ada", seeded("Ada"))


def first_rows(database: Database) -> None:
    filler(ADA)(database)
    persons.replace_terminals(database, THEM, [THEIR_TERMINAL])
    contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)


def check(database: Database) -> None:
    """All that a terminal checks in a day."""
    checks.ends(database)
    after: int | None = 0
    while after is not None:
        after = checks.piece(database, after)
    checks.structure(database, lambda: False)


class Grown:
    """A database of two moments: before, and after more was written, read and deleted."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "history.db"
        create_history(self.path, KEY, first_rows)
        database = open_history(self.path, KEY)
        self.mine = Author(ADA.terminal)
        self.theirs = Author(THEIR_TERMINAL.terminal, incarnation=b"theirs__", time=1_500)
        self.everything = list[ParsedEntry]()
        self.write(database, 30)
        rewrite(database)
        check(database)
        self.old = self.path.read_bytes()
        self.write(database, 15)
        self.deleted = {self.everything[number].id for number in (5, 80)}
        with database.transaction():
            for entry in self.deleted:
                entries.destroy(database, entry)
        database.checkpoint()
        check(database)
        database.close()
        self.new = self.path.read_bytes()

    def write(self, database: Database, pairs: int) -> None:
        for number in range(pairs):
            mine = self.mine.write(f"mine {number} " * 20)
            written = mine, self.theirs.write(f"theirs {number} " * 20, [mine.id])
            self.everything += written
            store(database, *written, unread=True)
            with database.transaction():
                receipts.add(database, THEIR_TERMINAL.terminal, receipts.STORED, [mine.id], 5)

    def mixed(self, number: int) -> bytes:
        place = slice(number * PAGE_SIZE, (number + 1) * PAGE_SIZE)
        return self.new[: place.start] + self.old[place] + self.new[place.stop :]

    def differing(self) -> list[int]:
        pages = range(1, min(len(self.old), len(self.new)) // PAGE_SIZE)
        return [number for number in pages if self.mixed(number) != self.new]


def test_case_68_an_older_page_is_found_and_mended(tmp_path: Path) -> None:
    """What is not found changes no history. Deleted stays deleted while its header is there."""
    grown = Grown(tmp_path)
    found = unseen = 0
    for number in grown.differing()[::2]:
        grown.path.write_bytes(grown.mixed(number))
        database = Database(grown.path, KEY.reveal())
        try:
            check(database)
        except DatabaseDamaged:
            found += 1
            database.replaced(KEY.reveal(), lambda: None)
            salvage.mend(database, KEY, 1, salvage.MENDED)
            check(database)
            assert [row.kind for row in alerts.all_of(database)] == [salvage.MENDED]
            held = {row.id for row in entries.page(database, TALK, 1_000)}
            store(database, *grown.everything)
            rows = entries.page(database, TALK, 1_000)
            assert {row.id for row in rows if row.deleted} == grown.deleted & held
        else:
            unseen += 1
            rows = entries.page(database, TALK, 1_000)
            assert {row.id for row in rows if row.deleted} == grown.deleted
        assert [row.id for row in rows] == [entry.id for entry in grown.everything]
        assert not [row for row in rows if row.missing]
        shut(database)
        for path in tmp_path.iterdir():
            path.unlink()
    assert found > 3 * unseen


def test_the_check_of_all_pages_gives_way(database: Database) -> None:
    author = Author()
    store(database, *(author.write(f"entry {number} " * 30) for number in range(60)))
    with pytest.raises(StorageGivenUp):
        checks.structure(database, lambda: True)
    checks.structure(database, lambda: False)
