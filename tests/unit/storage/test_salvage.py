"""Damaged databases: what can be read is saved, the rest is missing, and the swap survives a crash."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.assemble import filler
from chat.storage import alerts, contacts, entries, folder, persons, removal, salvage
from chat.storage.database import Database
from chat.storage.errors import DatabaseDamaged, IdentityLost, StorageFull
from chat.storage.migrations import create_history, open_history
from chat.storage.pages import PAGE_SIZE
from chat.storage.secure_deletion import clean_file
from protocol.entries_and_receipts import ParsedEntry
from protocol.identity.author import create_person
from tests.support.storage import samples
from tests.support.storage.samples import KEY, TALK, THEIR_TERMINAL, THEM, Author, rewrite, seeded, store
from tests.unit.storage.test_damage import flipped, shut, truth

ADA = create_person("Ada", seeded("Ada"))
NOW = 1_700_000_000_000
Talk = tuple[bytes, list[ParsedEntry], int]


def first_rows(database: Database) -> None:
    filler(ADA)(database)
    persons.replace_terminals(database, THEM, [THEIR_TERMINAL])
    contacts.ensure_conversation(database, TALK, contacts.TWO, THEM)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Talk:
    """A file with eighty entries, these, and the first page of their bodies."""
    path = tmp_path_factory.mktemp("talk") / "history.db"
    create_history(path, KEY, first_rows)
    database = open_history(path, KEY)
    mine, theirs = Author(ADA.terminal), Author(THEIR_TERMINAL.terminal, incarnation=b"theirs__", time=1_500)
    for number in range(40):
        mine.write(f"mine {number} " * 30, [theirs.written[-1].id] if number else [])
        theirs.write(f"theirs {number} " * 30, [mine.written[-1].id])
    everything = [one for pair in zip(mine.written, theirs.written, strict=True) for one in pair]
    store(database, *everything, unread=True)
    rewrite(database)
    bodies = database.value("SELECT rootpage FROM sqlite_master WHERE name = 'bodies'")
    database.close()
    return path.read_bytes(), everything, bodies


def path_of(place: Path) -> Path:
    return place / "history.db"


def damaged(place: Path, data: bytes, page: int) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    path = place / "history.db"
    path.write_bytes(flipped(data, ((page - 1) * PAGE_SIZE + 700) * 8))
    return path


def opened(path: Path) -> Database:
    """Open a file that may be damaged where it is read at once."""
    try:
        return open_history(path, KEY)
    except DatabaseDamaged:
        return Database(path, KEY.reveal())


def outcome(place: Path, data: bytes, everything: list[ParsedEntry], page: int) -> str:
    """What becomes of a file with one flipped bit, once its whole history was read."""
    try:
        database = opened(damaged(place, data, page))
    except DatabaseDamaged:
        return "refused"
    try:
        if database.integrity() == ():
            return "harmless"
        database.replaced(KEY.reveal(), lambda: None)
        saved = salvage.mend(database, KEY, NOW)
        assert database.integrity() == ()
        kept = truth(database, everything, lacking=True)
        lacking = [row.id for row in entries.page(database, TALK, 1_000) if row.missing]
        assert saved.entries == len(everything) - len(kept) + len(lacking)
        told = {row.kind: row.entries for row in alerts.all_of(database)}
        assert told.pop(salvage.DAMAGED) == saved.entries
        assert told.keys() <= {salvage.SETTINGS}
        store(database, *everything, unread=True)
        assert truth(database, everything) == [entry.id for entry in everything]
        assert len(samples.find(database, "theirs")) == len(everything) // 2
        return "lossy" if saved.entries else "whole"
    except (IdentityLost, DatabaseDamaged):
        assert path_of(place).read_bytes() == flipped(data, ((page - 1) * PAGE_SIZE + 700) * 8)
        return "refused"
    finally:
        shut(database)


def test_case_70_whatever_page_is_damaged_the_others_are_saved(tmp_path: Path, talk: Talk) -> None:
    """Every fifth page, among them some of the schema or of this person's keys, without which nothing is."""
    data, everything, _bodies = talk
    pages = len(data) // PAGE_SIZE
    found = [outcome(tmp_path / "copy", data, everything, page) for page in range(2, pages + 1, 5)]
    assert set(found) <= {"harmless", "lossy", "whole", "refused"}
    assert found.count("lossy") > found.count("refused")
    assert {"lossy", "whole"} <= set(found)


def test_a_swap_that_is_interrupted_goes_on_at_the_next_start(
    tmp_path: Path, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before each rename: what was saved is opened, and the damaged file is kept aside."""
    data, everything, bodies = talk
    database = opened(damaged(tmp_path / "saved", data, bodies))
    with monkeypatch.context() as patch:
        patch.setattr(folder, "swap", lambda _place: None)
        salvage.mend(database, KEY, NOW)
    database.abandon()
    (tmp_path / "saved" / "history.db-wal").write_bytes(b"a log of the damaged file")
    rename = Path.replace
    for renames in range(3):
        place = tmp_path / f"killed {renames}"
        shutil.copytree(tmp_path / "saved", place)
        left = iter(range(renames))

        def killed(path: Path, target: Path, left: Iterator[int] = left) -> Path:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return rename(path, target)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, "replace", killed)
            folder.swap(place)
        folder.swap(place)
        folder.swap(place)
        database = open_history(path_of(place), KEY)
        assert database.integrity() == ()
        assert len(truth(database, everything, lacking=True)) == len(everything)
        database.close()
        assert (place / folder.DAMAGED).exists()
        assert (place / f"{folder.DAMAGED}-wal").read_bytes() == b"a log of the damaged file"
        folder.destroy(place)
        assert list(place.iterdir()) == []


def test_without_room_for_a_copy_the_damaged_file_stays_in_place(
    tmp_path: Path, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, everything, bodies = talk
    database = opened(damaged(tmp_path / "copy", data, bodies))
    before = path_of(tmp_path / "copy").read_bytes()

    def full(*_arguments: object, **_options: object) -> None:
        raise StorageFull

    with monkeypatch.context() as patch, pytest.raises(StorageFull):
        patch.setattr(salvage, "create_history", full)
        salvage.mend(database, KEY, NOW)
    assert path_of(tmp_path / "copy").read_bytes() == before
    salvage.mend(database, KEY, NOW)
    assert len(truth(database, everything, lacking=True)) == len(everything)
    database.close()


def test_deleted_stays_deleted_through_a_salvage(tmp_path: Path, talk: Talk) -> None:
    """Its body is asked of nobody, and the file that was kept aside goes with the next cleaning."""
    data, everything, bodies = talk
    path = damaged(tmp_path / "copy", data, bodies)
    path.write_bytes(data)
    database = open_history(path, KEY)
    with database.transaction():
        entries.destroy(database, everything[3].id)
    database.checkpoint()
    database.close()
    database = opened(damaged(tmp_path / "copy", path.read_bytes(), bodies))
    salvage.mend(database, KEY, NOW)
    store(database, *everything)
    row = entries.get(database, everything[3].id)
    assert row is not None
    assert (row.deleted, row.missing) == (True, False)
    assert (tmp_path / "copy" / folder.DAMAGED).exists()
    assert clean_file(database)
    assert not (tmp_path / "copy" / folder.DAMAGED).exists()
    database.close()


def test_what_is_being_removed_is_neither_saved_nor_missed(tmp_path: Path, talk: Talk) -> None:
    data, everything, bodies = talk
    path = damaged(tmp_path / "copy", data, bodies)
    path.write_bytes(data)
    database = open_history(path, KEY)
    with database.transaction():
        entries.destroy(database, everything[3].id)
        removal.begin(database, contacts.conversation_number(database, TALK))
    database.checkpoint()
    database.close()
    database = opened(damaged(tmp_path / "copy", path.read_bytes(), bodies))
    assert salvage.mend(database, KEY, NOW).entries == 0
    assert database.rows("SELECT number FROM entries") == []
    assert database.rows("SELECT entry, how FROM deletions") == [(everything[3].id, 1)]
    assert clean_file(database)
    assert not removal.is_due(database)
    database.close()
