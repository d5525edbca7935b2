"""Removes conversations piece by piece (attack 75), with everything but the ids of what was deleted before.

The first transaction takes id and contact of a conversation, so that nothing finds it any more and its person
can be a contact again. The pieces are the first part of each cleaning of the file.

The entries go in the order of their numbers, the last one with the last piece. So no new entry gets the
number of one that an edge still names.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from chat.storage.database import Database
from chat.storage.forgetting import at_once, forget, mark_unclean
from protocol.messages import ENTRY_HEADER

PIECE: Final = 128
"""Entries, of any conversation, that one piece of work passes: some milliseconds, for which users wait."""

REMOVED: Final = "(SELECT conversation FROM removals)"
"""The conversations, by number, that are being removed."""

_NAMELESS: Final = "CAST(printf('%032d', number) AS BLOB)"
"""The id of a conversation that is being removed. That of another one is a hash."""

_CHOSEN: Final = "(SELECT value FROM json_each(?))"

_OF_ENTRIES: Final = (
    *("receipts", "bodies", "headers_alone", "gaps", "quarantine", "uncovered", "expiring", "timers"),
    *("raises", "tips", "heads", "unread", "cuts", "amendments", "amended", "let_go", "claims", "files"),
    *("arrivals", "signatures", "unsigned"),
)
_OF_CONVERSATIONS: Final = (
    *("missing", "raises", "tips", "heads", "unread", "cuts", "rules", "remarked", "sends", "clearing"),
    *("amendments", "cuts_due", "removals"),
)


def begin(db: Database, number: int) -> None:
    """Let nothing find a conversation, by number, any more. What is deleted here of it stays so."""
    for table in ("clearing", "remarked", "claims", "cuts_due"):
        db.run(f"DELETE FROM {table} WHERE conversation = ?", number)
    db.run("UPDATE rules SET settled = NULL, over = 0 WHERE conversation = ?", number)
    db.run(f"UPDATE conversations SET id = {_NAMELESS}, contact = NULL WHERE number = ?", number)
    due = "INSERT INTO removals (conversation, done, last) SELECT ?, 0, ifnull(max(number), 0) FROM entries"
    db.run(due, number)
    mark_unclean(db, words=True)


def nameless(db: Database) -> set[int]:
    """The conversations, by number, that are being removed, as their own rows say."""
    return {number for (number,) in db.rows(f"SELECT number FROM conversations WHERE id = {_NAMELESS}")}


def is_due(db: Database) -> bool:
    """Whether a conversation is being removed."""
    return bool(db.value("SELECT EXISTS (SELECT 1 FROM removals)"))


def remove_in_steps(db: Database) -> Iterator[float]:
    """Remove what is due; yields between steps what part of a conversation is done, from 0 to 1."""
    while is_due(db):
        with db.transaction():
            done = next_piece(db)
        yield done


def next_piece(db: Database) -> float:
    """Remove the next piece of the conversation whose turn it is; returns what part of it is done."""
    found = db.row("SELECT conversation, done, last FROM removals ORDER BY conversation LIMIT 1")
    if found is None:
        return 1.0
    number, before, last = found
    done = min(before + PIECE, last)
    rows = db.rows(
        "SELECT number FROM entries WHERE number > ? AND number <= ? AND conversation = ? ORDER BY number",
        *(before, done, number),
    )
    numbers = [row[0] for row in rows]
    if (count := at_once(db, numbers)) < len(numbers):
        numbers = numbers[:count]
        done = numbers[-1]
    _remove(db, numbers)
    if done < last:
        db.run("UPDATE removals SET done = ? WHERE conversation = ?", done, number)
        return float(done / last)
    for table in _OF_CONVERSATIONS:
        db.run(f"DELETE FROM {table} WHERE conversation = ?", number)
    db.run("DELETE FROM conversations WHERE number = ?", number)
    return 1.0


def _remove(db: Database, numbers: Sequence[int]) -> None:
    """Remove entries of removed conversations, by number."""
    if not numbers:
        return
    some = json.dumps(numbers)
    db.run(
        "INSERT OR IGNORE INTO deletions (entry, how) SELECT id, destroyed FROM entries"
        f" WHERE number IN {_CHOSEN} AND destroyed",
        some,
    )
    forget(db, f"rowid IN {_CHOSEN}", some)
    if db.value(f"SELECT EXISTS (SELECT 1 FROM missing WHERE conversation IN {REMOVED})"):
        _forget_missing(db, some)
    db.run(f"DELETE FROM edges WHERE parent IN {_CHOSEN}", some)
    for table in _OF_ENTRIES:
        db.run(f"DELETE FROM {table} WHERE entry IN {_CHOSEN}", some)
    db.run(f"DELETE FROM amended WHERE by IN {_CHOSEN}", some)
    authors = db.rows(f"SELECT DISTINCT author, conversation FROM entries WHERE number IN {_CHOSEN}", some)
    db.run(f"DELETE FROM entries WHERE number IN {_CHOSEN}", some)
    over = (
        "DELETE FROM rules WHERE author = ?1 AND conversation = ?2"
        " AND NOT EXISTS (SELECT 1 FROM entries WHERE conversation = ?2 AND author = ?1)"
    )
    db.run_many(over, authors)
    drop_terminals(db, {author for author, _ in authors})


def _forget_missing(db: Database, some: str) -> None:
    sql = f"SELECT conversation, number, header FROM entries WHERE number IN {_CHOSEN}"
    for conversation, number, header in db.rows(sql, some):
        gone = "DELETE FROM missing WHERE conversation = ? AND parent = ? AND child = ?"
        db.run_many(gone, [(conversation, parent, number) for parent in _named(header)])


def _named(header: bytes) -> list[bytes]:
    fields = ENTRY_HEADER.decode(header)
    return [*fields.parents, fields.previous]


def drop_terminals(db: Database, numbers: Iterable[int]) -> None:
    """Delete those of some terminals that are in no log and wrote no entry that is held.

    Of a terminal whose entries remain only the id is kept.
    """
    db.run_many(
        "DELETE FROM terminals WHERE number = ? AND terminal NOT IN (SELECT terminal FROM own)"
        " AND NOT EXISTS (SELECT 1 FROM person_terminals WHERE terminal = terminals.number)"
        " AND NOT EXISTS (SELECT 1 FROM conversations AS c"
        " JOIN entries AS e ON e.conversation = c.number AND e.author = terminals.number)"
        " AND NOT EXISTS (SELECT 1 FROM rules WHERE author = terminals.number)",
        [(number,) for number in numbers],
    )


def make_way(db: Database, ids: Collection[bytes]) -> None:
    """Remove at once what removed conversations hold of entries, by id, that come again."""
    held = f"SELECT number, header FROM entries WHERE id = ? AND conversation IN {REMOVED}"
    rows = [row for entry in ids for row in db.rows(held, entry)]
    edge = "DELETE FROM edges WHERE child = ? AND parent = (SELECT number FROM entries WHERE id = ?)"
    db.run_many(edge, [(number, parent) for number, header in rows for parent in _named(header)])
    _remove(db, [number for number, _ in rows])
    named = f"DELETE FROM amendments WHERE target = ? AND conversation IN {REMOVED}"
    db.run_many(named, [(entry,) for entry in ids])
