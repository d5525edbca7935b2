"""Secure deletion from the full-text index and from the database file (attack 75).

Every deletion marks the file as unclean (`chat.storage.forgetting`). A cleaning removes conversations
(`chat.storage.removal`), then what is left of deleted rows from the index of words, from the unused space of
pages and from the log. It consists of steps of some milliseconds, between which the database can be used.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from chat.storage import removal
from chat.storage.database import Database
from chat.storage.folder import drop_salvage, system_failures
from chat.storage.forgetting import at_once as at_once
from chat.storage.forgetting import destroy_content, forget
from chat.storage.forgetting import forget_one as forget_one
from chat.storage.forgetting import mark_unclean as mark_unclean
from protocol.entries_and_receipts import KIND_EDIT

_MERGED: Final = 48
"""Pages of the index of words that a step rewrites."""
_LOOKED_AT: Final = 256
"""Pages of the index of words whose first word a step looks at."""

_SEGMENT_BITS: Final = 37
"""A page of the index has the row `segment << 37 | page` of `search_data` (FTS5)."""


def destroy_all(db: Database, numbers: Iterable[int], how: int) -> None:
    """Delete salt, body and words of entries by number and of their edits, keep their headers, and mark the
    file as unclean.

    `how`: what `entries.destroyed` says from now on. No body that comes later is taken.
    """
    chosen = list(numbers)
    edits = db.rows(
        "SELECT a.entry FROM entries AS e JOIN amendments AS a ON a.target = e.id"
        " JOIN entries AS x ON x.number = a.entry WHERE e.number IN (SELECT value FROM json_each(?))"
        f" AND x.kind = {KIND_EDIT} AND NOT x.destroyed",
        json.dumps(chosen),
    )
    gone = [*chosen, *(number for (number,) in edits)]
    destroy_content(db, gone, how)
    forget(db, "rowid IN (SELECT value FROM json_each(?))", json.dumps(gone))


def cleaning_is_due(db: Database) -> bool:
    """Whether the file may still contain deleted data."""
    return db.row("SELECT 1 FROM cleaning") is not None


def clean_file(db: Database) -> bool:
    """Remove deleted data from all pages and frames; False if the file was clean. As `clean_in_steps`."""
    due = cleaning_is_due(db)
    deque(clean_in_steps(db), maxlen=0)
    return due


def clean_in_steps(db: Database) -> Iterator[float]:
    """Remove deleted data from all pages and frames; yields between steps what part is done, from 0 to 1.

    The file remains marked until everything is done, also what was deleted between the steps. Every step may
    raise StorageFailure and DatabaseDamaged, which ends the cleaning.
    """
    while cleaning_is_due(db):
        begin = 0.5 if removal.is_due(db) else 0.0
        yield from _part(removal.remove_in_steps(db), 0.0, begin)
        yield from _part(_clean(db), begin, 1.0)


def _clean(db: Database) -> Iterator[float]:
    found = db.row("SELECT marks, words FROM cleaning")
    if found is None:
        return
    marks, words = found
    if words:
        yield from _part(_merge(db), 0.0, 0.5)
        with db.transaction():
            db.run("UPDATE cleaning SET words = 0 WHERE words = ?", words)
    half = 0.5 if words else 0.0
    yield from _part(_first_words(db), half, half + 0.2)
    yield from _part(_unused_space(db), half + 0.2, 1.0)
    with system_failures():
        drop_salvage(db.path.parent)  # it holds what was deleted since
    with db.transaction():
        db.run("DELETE FROM cleaning WHERE marks = ?", marks)


def _part(steps: Iterator[float], begin: float, end: float) -> Iterator[float]:
    return (begin + (end - begin) * done for done in steps)


def _merge(db: Database) -> Iterator[float]:
    """Rewrite the whole index of words, without what was deleted and is only marked as such in it."""
    pages = max(1, int(db.value("SELECT count(*) FROM search_idx")))
    amount, done, changes = -_MERGED, 0, 0
    while True:
        before = db.value("SELECT total_changes()")
        with db.transaction():
            db.run("INSERT INTO search (search, rank) VALUES ('merge', ?)", amount)
        changes = db.value("SELECT total_changes()") - before
        if changes < 2:  # so FTS5 tells that nothing is left to merge
            return
        amount, done = _MERGED, done + _MERGED
        yield min(1.0, done / pages)


def _first_words(db: Database) -> Iterator[float]:
    """Correct the table of each page's first word, in which secure-delete and merges leave deleted ones."""
    pages, done, last = max(1, int(db.value("SELECT count(*) FROM search_idx"))), 0, (0, b"")
    while True:
        rows = db.rows(
            "SELECT i.segid, i.term, i.pgno, d.block FROM search_idx AS i LEFT JOIN search_data AS d"
            f" ON d.id = (i.segid << {_SEGMENT_BITS}) + (i.pgno >> 1)"
            f" WHERE (i.segid, i.term) > (?, ?) ORDER BY i.segid, i.term LIMIT {_LOOKED_AT}",
            *last,
        )
        if not rows:
            return
        last, done = (rows[-1][0], rows[-1][1]), done + len(rows)
        first = {(segment, term): _first_word(block or b"") for segment, term, _, block in rows}
        wrong = {at: word for at, word in first.items() if word is None or not word.startswith(at[1])}
        if wrong:
            with db.transaction():
                for at, word in wrong.items():
                    if word is None:  # a page without a word that begins on it needs no row
                        db.run("DELETE FROM search_idx WHERE segid = ? AND term = ?", *at)
                    else:
                        db.run("UPDATE search_idx SET term = ? WHERE segid = ? AND term = ?", word, *at)
        yield min(1.0, done / pages)


def _first_word(block: bytes) -> bytes | None:
    """The first word that begins on a page of the index (FTS5's leaf format); None if none does."""
    words = int.from_bytes(block[2:4], "big")
    if not 4 <= words < len(block):
        return None
    place, _ = _varint(block, words)
    size, begin = _varint(block, place)
    return block[begin : begin + size]


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of SQLite's variable length, at most 8 bytes here, and the place after it."""
    number = 0
    while data[place] & 0x80:
        number, place = number << 7 | data[place] & 0x7F, place + 1
    return number << 7 | data[place], place + 1


def _unused_space(db: Database) -> Iterator[float]:
    """Erase the unused space of all pages, and empty the log."""
    number, pages = 1, 1
    while number <= pages:
        number, pages = db.erase_unused(number)
        yield min(1.0, number / pages)
