"""Files that changed behind our back: a typed error or the truth, and repair brings back what went."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from chat.interface import ParlourError
from chat.storage import entries, receipts
from chat.storage.database import Database
from chat.storage.errors import DatabaseDamaged
from chat.storage.migrations import open_history
from chat.storage.pages import PAGE_SIZE
from protocol.entries_and_receipts import ParsedEntry
from tests.support.storage import samples as tables
from tests.support.storage.samples import (
    KEY,
    ME,
    TALK,
    THEIR_TERMINAL,
    Author,
    new_database,
    rewrite,
    sample,
    store,
)

FRAME = 24 + PAGE_SIZE
LOG_HEAD = 32


class Copies:
    """A database, stored as it stood at a moment, file and log; each reading begins from a fresh copy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = (folder / "history.db").read_bytes()
        log = folder / "history.db-wal"
        self.log = log.read_bytes() if log.exists() else b""

    def open(self, data: bytes | None = None, log: bytes | None = None) -> Database:
        place = self.folder / "copy"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        (place / "history.db").write_bytes(self.data if data is None else data)
        if log or (log is None and self.log):
            (place / "history.db-wal").write_bytes(log or self.log)
        return open_history(place / "history.db", KEY)


Groups = tuple[Copies, list[ParsedEntry]]


@pytest.fixture
def groups(tmp_path: Path, database: Database) -> Groups:
    """Twelve commits of three entries, six of them in the file and six in the log only."""
    author = Author()
    everything = [author.write(f"group {number} " * 60) for number in range(12) for _ in range(3)]
    for first in range(0, 36, 3):
        store(database, *everything[first : first + 3])
        if first == 15:
            rewrite(database)
    copies = Copies(tmp_path)
    database.close()
    assert len(copies.log) > 6 * FRAME
    return copies, everything


def truth(database: Database, made: Sequence[ParsedEntry], lacking: bool = False) -> list[bytes]:
    """The ids that are held, after checking that all of each is as it was written (or its body `lacking`)."""
    known = {entry.id: entry for entry in made}
    rows = entries.page(database, TALK, 1_000)
    for row in rows:
        entry = known[row.id]
        assert row.header == entry.header_bytes
        assert (row.salt, row.body) == (entry.salt, entry.body) or (lacking and row.missing)
    return [row.id for row in rows]


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def shut(database: Database) -> None:
    """A damaged file may refuse even its last write."""
    with suppress(ParlourError):
        database.close()


def test_attack_70_a_flipped_bit_in_the_file_is_an_error_or_changes_nothing(groups: Groups) -> None:
    copies, everything = groups
    chosen = random.Random(70)
    errors = 0
    for _ in range(100):
        bit = chosen.randrange(len(copies.data) * 8)
        try:
            database = copies.open(data=flipped(copies.data, bit))
        except ParlourError:
            errors += 1
            continue
        try:
            assert truth(database, everything) == [entry.id for entry in everything]
        except DatabaseDamaged:
            errors += 1
        shut(database)
    assert errors > 0


def test_attack_70_a_flipped_bit_in_the_log_takes_whole_commits_from_its_end(groups: Groups) -> None:
    copies, everything = groups
    chosen = random.Random(70)
    lost = 0
    for _ in range(100):
        database = copies.open(log=flipped(copies.log, chosen.randrange(len(copies.log) * 8)))
        held = truth(database, everything)
        assert held == [entry.id for entry in everything[: len(held)]]
        assert len(held) in range(18, 37, 3)
        assert database.integrity() == ()
        lost += len(held) < len(everything)
        repaired(database, everything)
        shut(database)
    assert lost > 0


def repaired(database: Database, everything: Sequence[ParsedEntry]) -> None:
    store(database, *everything)
    assert truth(database, everything) == [entry.id for entry in everything]
    assert tables.missing(database, TALK) == []
    assert entries.tips(database, TALK) == [everything[-1].id]


def test_attack_69_a_log_cut_at_any_frame_or_removed_takes_commits_from_its_end(groups: Groups) -> None:
    copies, everything = groups
    frames = (len(copies.log) - LOG_HEAD) // FRAME
    lengths = [0, LOG_HEAD, *(LOG_HEAD + FRAME * number - number % 3 for number in range(1, frames + 1, 4))]
    seen = set()
    for length in lengths:
        database = copies.open(log=copies.log[:length])
        held = truth(database, everything)
        seen.add(len(held))
        assert held == [entry.id for entry in everything[: len(held)]]
        repaired(database, everything)
        shut(database)
    assert min(seen) == 18
    assert len(seen) > 3


def test_attack_68_an_older_page_is_found_or_mended_never_lies(tmp_path: Path, database: Database) -> None:
    """SQLCipher accepts it: a page's code binds its place, not its age. No key depends on any page's age."""
    author = Author()
    everything = [author.write(f"entry {number} " * 30) for number in range(60)]
    store(database, *everything[:30])
    rewrite(database)
    older = database.path.read_bytes()
    store(database, *everything[30:])
    rewrite(database)
    copies = Copies(tmp_path)
    database.close()
    outcomes = {"refused": 0, "found": 0, "mended": 0}
    for start in range(0, min(len(older), len(copies.data)), PAGE_SIZE):
        mixed = copies.data[:start] + older[start : start + PAGE_SIZE] + copies.data[start + PAGE_SIZE :]
        outcomes[one_page_back(copies, mixed, everything)] += 1
    assert outcomes["found"] + outcomes["refused"] > 0
    assert outcomes["mended"] > 0


def one_page_back(copies: Copies, data: bytes, everything: Sequence[ParsedEntry]) -> str:
    try:
        database = copies.open(data=data, log=b"")
    except ParlourError:
        return "refused"
    try:
        truth(database, everything, lacking=True)
        sound = database.integrity() == ()
        store(database, *everything)
        held = truth(database, everything, lacking=True)
        missing = [row.id for row in entries.page(database, TALK, 1_000) if row.missing]
        complete = not missing and held == [entry.id for entry in everything]
    except DatabaseDamaged:
        return "refused"
    finally:
        shut(database)
    assert complete or not sound
    return "mended" if sound else "found"


def test_attack_66_a_restored_copy_takes_back_what_was_lost(tmp_path: Path, database: Database) -> None:
    """A database that went back in time: no error, no key used twice, and repair brings everything back."""
    author = Author()
    before, acknowledged, lost = (author.write(text) for text in ("before", "acknowledged", "lost"))
    store(database, before)
    rewrite(database)
    copies = Copies(tmp_path)
    store(database, acknowledged, lost)
    with database.transaction():
        receipts.add(database, THEIR_TERMINAL.terminal, receipts.STORED, [before.id, acknowledged.id], 1)
    database.close()
    restored = copies.open(log=b"")
    again = sample("again", sequence=2, previous=before.id, incarnation=b"restored", time=9_000)
    store(restored, again)
    assert receipts.unacknowledged(restored, TALK, ME.terminal, THEIR_TERMINAL.person) == [
        before.id,
        again.id,
    ]
    store(restored, lost, acknowledged)
    everything = [before, acknowledged, lost, again]
    assert truth(restored, everything) == [entry.id for entry in everything]
    assert tables.evidence(restored) == []
    restored.close()


Clean = Callable[[Database], None]


def with_old_log(folder: Path, held: int, clean: Clean) -> tuple[Copies, bytes, list[ParsedEntry]]:
    """A file of forty entries, and the log from when it had so many."""
    database = new_database(folder)
    author = Author()
    everything = [author.write(f"entry {number} " * 30) for number in range(40)]
    store(database, *everything[:held])
    old_log = Copies(folder).log
    clean(database)
    store(database, *everything[held:])
    clean(database)
    copies = Copies(folder)
    database.close()
    return copies, old_log, everything


def test_attack_66_an_old_log_that_fits_a_newer_file_shows_the_older_state(tmp_path: Path) -> None:
    """Nothing tells it from a restored copy: what it says was true then, and repair brings back the rest."""
    copies, old_log, everything = with_old_log(tmp_path, 20, Database.checkpoint)
    database = copies.open(log=old_log)
    assert truth(database, everything) == [entry.id for entry in everything[:20]]
    assert database.integrity() == ()
    repaired(database, everything)
    shut(database)


@pytest.mark.parametrize(
    ("held", "clean"), [(5, Database.checkpoint), (20, rewrite)], ids=["fewer pages", "moved pages"]
)
def test_attack_66_an_old_log_that_misfits_harms_nothing(tmp_path: Path, held: int, clean: Clean) -> None:
    """SQLite would copy its pages over good ones at closing, and the whole history would be gone."""
    copies, old_log, everything = with_old_log(tmp_path, held, clean)
    with pytest.raises(DatabaseDamaged):
        copies.open(log=old_log)
    file, log = (tmp_path / "copy" / name for name in ("history.db", "history.db-wal"))
    assert (file.read_bytes(), log.read_bytes()) == (copies.data, old_log)
    log.unlink()
    database = open_history(file, KEY)
    assert truth(database, everything) == [entry.id for entry in everything]
    shut(database)
