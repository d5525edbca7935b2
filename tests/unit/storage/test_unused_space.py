"""Attack 75: rows that SQLite moved leave no copies, and the index keeps no word that begins a page."""

from __future__ import annotations

import os
import re
from pathlib import Path
from random import Random

import pytest

from chat.storage import contacts, entries, removal, secure_deletion, unused_space
from chat.storage.database import Database
from chat.storage.errors import DatabaseDamaged, DatabaseForeign, StorageFull, StorageMisuse
from chat.storage.migrations import open_history
from chat.storage.pages import PAGE_SIZE, PageCipher
from chat.tools.prove.search import Stored
from protocol.entries_and_receipts import ParsedEntry
from protocol.profile_header import DatabaseKey
from tests.support.storage.samples import KEY, ME, Author, blob, find, new_database, store

TAIL = 10
"""Characters of a word's end that no other word has. The index shortens words by their beginnings."""


class History:
    """Entries of three conversations, some of them deleted; each has words that no other entry has."""

    def __init__(self, database: Database, seed: int, size: int) -> None:
        self.database, self._random = database, Random(seed)
        self._authors = [Author(ME.terminal, blob(f"conversation {number}")) for number in range(3)]
        with database.transaction():
            for number, author in enumerate(self._authors):
                person = blob(f"person {number}")
                contacts.ensure_conversation(database, author.conversation, contacts.TWO, person)
        self._common = [self._random.randbytes(4).hex() for _ in range(300)]
        self.words: dict[bytes, list[str]] = {}
        self.held, self.gone = list[ParsedEntry](), list[ParsedEntry]()
        while len(self.held) < size:
            self.write(self._random.choice((1, 5, 40, 128)))

    def write(self, number: int) -> None:
        written = list[ParsedEntry]()
        for _ in range(number):
            words = [self._random.randbytes(8).hex() for _ in range(self._random.randint(1, 3))]
            more = self._random.choices(self._common, k=self._random.choice((2, 40, 200)))
            written.append(self._random.choice(self._authors).write(" ".join((*words, *more))))
            self.words[written[-1].id] = words
        with self.database.transaction():
            for author in self._authors:
                ours = [one for one in written if one.header.conversation == author.conversation]
                entries.insert_all(self.database, ours, ME.terminal)
        self.held += written

    def delete(self, number: int) -> None:
        chosen = self._random.sample(self.held, number)
        self.gone += chosen
        self.held = [entry for entry in self.held if entry not in chosen]
        for begin in range(0, number, 10):
            with self.database.transaction():
                for entry in chosen[begin : begin + 10]:
                    assert entries.destroy(self.database, entry.id)

    def left(self) -> list[str]:
        """Places with the ends of words of deleted entries, and beginnings of such words in the index."""
        gone = [word for entry in self.gone for word in self.words[entry.id]]
        tails = {word[-TAIL:].encode() for word in gone}
        found = list[str]()
        for page in Stored.read(self.database.path).pages(KEY.reveal()):
            for run in re.findall(rb"[0-9a-f]{%d,}" % TAIL, page.plain):
                if any(run[at : at + TAIL] in tails for at in range(len(run) - TAIL + 1)):
                    found.append(page.place)
        live = [word for entry in self.held for word in self.words[entry.id]] + self._common
        for (term,) in self.database.rows("SELECT CAST(term AS BLOB) FROM search_idx"):
            word = term[1:].decode(errors="replace")
            if len(word) > 3 and any(one.startswith(word) for one in gone):
                found += [word] * (not any(one.startswith(word) for one in live))
        return found


@pytest.fixture
def history(database: Database) -> History:
    return History(database, 4, 600)


def test_attack_75_what_is_deleted_and_written_between_the_steps_leaves_nothing(history: History) -> None:
    history.delete(450)
    assert history.left()
    buffer, modes = unused_space.buffer_of(history.database.path), set[int]()
    for number, _ in enumerate(secure_deletion.clean_in_steps(history.database)):
        if buffer.exists():
            modes.add(buffer.stat().st_mode & 0o777)
        if number < 6:
            history.write(7)
            history.delete(2)
    assert history.left() == []
    assert modes == {0o600}
    assert not secure_deletion.cleaning_is_due(history.database)
    assert history.database.integrity() == ()
    for entry in history.held[::10]:
        assert [row.id for row in find(history.database, history.words[entry.id][0])] == [entry.id]
    found = {row.id for row in find(history.database, history._common[0], limit=10_000)}
    assert found == {
        entry.id for entry in history.held if history._common[0] in str(entry.said and entry.said.text)
    }
    assert find(history.database, history.words[history.gone[0].id][0]) == []


@pytest.mark.parametrize("part", ["_first_words", "_unused_space"])
def test_attack_75_without_one_part_the_search_would_find_it(
    history: History, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.delete(450)
    monkeypatch.setattr(secure_deletion, part, lambda _: iter(()))
    assert secure_deletion.clean_file(history.database)
    history.database.checkpoint()
    assert history.left()


def test_attack_75_a_conversation_that_is_removed_leaves_nothing(history: History) -> None:
    (talk, *_) = history._authors
    history.gone = [one for one in history.held if one.header.conversation == talk.conversation]
    history.held = [one for one in history.held if one.header.conversation != talk.conversation]
    with history.database.transaction():
        number = contacts.conversation_number(history.database, talk.conversation)
        removal.begin(history.database, number)
    assert secure_deletion.clean_file(history.database)
    assert history.left() == []
    assert history.database.integrity() == ()


def test_sqlite_brings_no_erased_page_back_from_its_cache(history: History) -> None:
    history.delete(450)
    history.database.rows("SELECT sum(length(body)) FROM bodies")
    history.database.rows("SELECT sum(length(block)) FROM search_data")
    assert secure_deletion.clean_file(history.database)
    with history.database.transaction():
        history.database.run("UPDATE bodies SET body = zeroblob(length(body) + 1)")
        history.database.run("UPDATE search_data SET block = block")
    history.database.checkpoint()
    assert history.left() == []


def test_pages_that_are_known_as_clean_are_not_opened_again(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = list[int]()
    real = PageCipher.open

    def counted(cipher: PageCipher, number: int, page: bytes) -> bytes | None:
        opened.append(number)
        return real(cipher, number, page)

    monkeypatch.setattr(PageCipher, "open", counted)
    history.delete(450)
    secure_deletion.clean_file(history.database)
    pages = history.database.path.stat().st_size // PAGE_SIZE
    assert len(opened) == len(set(opened)) == pages
    history.delete(1)
    opened.clear()
    secure_deletion.clean_file(history.database)
    assert 0 < len(opened) < pages // 4
    assert history.left() == []


def test_nothing_is_erased_in_a_transaction(database: Database) -> None:
    with database.transaction(), pytest.raises(StorageMisuse):
        database.erase_unused(1)


# --- Crashes ---


@pytest.fixture
def torn(tmp_path: Path) -> tuple[Path, list[bytes]]:
    """A database in which a step was interrupted while it wrote its pages; and what it held."""
    database = new_database(tmp_path)
    author = Author()
    written = [author.write(f"{number} " * 90) for number in range(60)]
    store(database, *written)
    database.checkpoint()
    path = database.path
    database.close()
    data, cipher = bytearray(path.read_bytes()), PageCipher(KEY.reveal(), path.read_bytes()[:PAGE_SIZE])
    records = []
    for number in range(1, len(data) // PAGE_SIZE + 1):
        place = slice((number - 1) * PAGE_SIZE, number * PAGE_SIZE)
        plain = cipher.open(number, bytes(data[place]))
        assert plain is not None
        page = cipher.seal(number, plain)
        records.append(number.to_bytes(8, "big") + page)
        data[place] = page[:1_500] + data[place][1_500:] if number % 3 else page
    path.write_bytes(data)
    unused_space.buffer_of(path).write_bytes(len(records).to_bytes(8, "big") + b"".join(records))
    return path, [entry.id for entry in written]


def test_pages_that_a_crash_tore_are_restored_when_the_database_is_opened(
    torn: tuple[Path, list[bytes]],
) -> None:
    path, written = torn
    database = open_history(path, KEY)
    assert database.integrity() == ()
    assert all(entries.get(database, entry) is not None for entry in written)
    database.close()
    assert not unused_space.buffer_of(path).exists()


def test_another_key_leaves_the_buffer_for_the_right_one(torn: tuple[Path, list[bytes]]) -> None:
    path, _ = torn
    with pytest.raises(DatabaseForeign):
        open_history(path, DatabaseKey(blob("another key")))
    assert unused_space.buffer_of(path).exists()
    open_history(path, KEY).close()


def test_a_buffer_whose_step_is_done_brings_nothing_back(torn: tuple[Path, list[bytes]]) -> None:
    path, _ = torn
    buffer = unused_space.buffer_of(path)
    buffer.write_bytes(bytes(8) + buffer.read_bytes()[8:])
    with pytest.raises(DatabaseDamaged):
        open_history(path, KEY)


@pytest.mark.parametrize("size", [0, 5, 8, 20, 8 + 3 * (8 + PAGE_SIZE) + 100])
def test_a_buffer_that_a_crash_cut_is_removed(tmp_path: Path, size: int) -> None:
    database = new_database(tmp_path)
    path = database.path
    database.close()
    pages = [path.read_bytes()[at : at + PAGE_SIZE] for at in range(0, 4 * PAGE_SIZE, PAGE_SIZE)]
    records = b"".join((number + 1).to_bytes(8, "big") + pages[number - 1] for number in range(1, 4))
    unused_space.buffer_of(path).write_bytes(((1 << 60).to_bytes(8, "big") + records + bytes(999))[:size])
    before = path.read_bytes()
    unused_space.mend(path, KEY.reveal())
    assert path.read_bytes() == before
    assert not unused_space.buffer_of(path).exists()


def test_a_damaged_page_is_named_after_the_others_are_erased(history: History) -> None:
    history.delete(450)
    history.database.checkpoint()
    path = history.database.path
    number = path.stat().st_size // PAGE_SIZE // 2
    with path.open("r+b") as file:
        file.seek(number * PAGE_SIZE + 99)
        file.write(b"x")
    with pytest.raises(DatabaseDamaged):
        secure_deletion.clean_file(history.database)
    assert secure_deletion.cleaning_is_due(history.database)


def test_a_full_disk_stops_it_before_a_page_is_written(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.delete(450)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        secure_deletion.clean_file(history.database)
    monkeypatch.undo()
    assert secure_deletion.cleaning_is_due(history.database)
    assert secure_deletion.clean_file(history.database)
    assert history.left() == []
    assert history.database.integrity() == ()
