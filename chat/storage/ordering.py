"""Maintains edges, ranks, tips and heads of a conversation as entries arrive in any order (SPEC §11.3).

Edges exist only within one conversation, so that naming an id of another one reveals nothing to a peer. Rows
are replaced if present, since an older page that came back may contain them.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from chat.storage.contacts import NOTES
from chat.storage.database import Database
from protocol.entries_and_receipts import rank
from protocol.messages import EntryHeader

PIECE: Final = 64
"""Ranks that one piece of work on the disk raises: a few milliseconds, for which users wait."""


def apart(number: str) -> str:
    """Whether the entry with this number (SQL) is this person's by the contact's word alone.

    `chat.storage.claims` has them.
    """
    return f"EXISTS (SELECT 1 FROM claims WHERE entry = {number} AND NOT own)"


class Node(Struct, frozen=True):
    """A held entry by its local numbers."""

    number: int
    conversation: int
    author: int


def add(db: Database, node: Node, entry: bytes, fields: EntryHeader) -> None:
    """Link an entry, whose row has rank = time so far, with held entries that it names or that name it.

    `settle` is to be called after it, for the ranks of those that name it.
    """
    _adopt(db, node, entry, fields.sequence)
    before = [
        _link_parent(db, node, parent, fields.sequence if chain else 0)
        for parent, chain in named(fields).items()
    ]
    _mark_ends(db, node)
    kind = db.value("SELECT kind FROM conversations WHERE number = ?", node.conversation)
    time = 0 if kind == NOTES else fields.time  # a clock must not decide between two writes (SPEC §11.10)
    _set_rank(db, node, rank(time, [place for place in before if place is not None]))


def named(fields: EntryHeader) -> dict[bytes, int]:
    """The ids that a header names, with 1 for the author's previous entry and 0 for parents."""
    ids = dict.fromkeys(fields.parents, 0)
    if fields.previous:
        ids[fields.previous] = 1
    return ids


def _adopt(db: Database, node: Node, entry: bytes, sequence: int) -> None:
    """Turn references of held entries to this formerly missing one into edges."""
    # In one statement: a contact decides how many entries name one that it sends last.
    adopted = db.run(
        "INSERT OR REPLACE INTO edges (parent, child, chain) SELECT ?, m.child,"
        " m.chain AND e.author = ? AND e.sequence > ?"
        " FROM missing AS m JOIN entries AS e ON e.number = m.child"
        " WHERE m.conversation = ? AND m.parent = ?",
        *(node.number, node.author, sequence, node.conversation, entry),
    )
    if adopted:
        db.run("DELETE FROM missing WHERE conversation = ? AND parent = ?", node.conversation, entry)


_FOLLOWED: Final = (
    "UPDATE claims SET due = 1 WHERE entry = (SELECT number FROM entries WHERE id = ? AND conversation = ?)"
)
"""A claim that an entry of its author follows is decided about again."""


def _link_parent(db: Database, node: Node, parent: bytes, above: int) -> int | None:
    """Add the edge from a parent, or record it as missing. Returns the parent's rank if it is held.

    `above`: the sequence of the entry that names it as `previous`, 0 where it is not the previous one.
    """
    sql = (
        "SELECT e.number, e.author, e.sequence, ifnull(r.least, e.rank) FROM entries AS e"
        " LEFT JOIN raises AS r ON r.entry = e.number WHERE e.id = ? AND e.conversation = ?"
        f" AND NOT {apart('e.number')}"
    )
    held = db.row(sql, parent, node.conversation)
    if held is None:
        sql = "INSERT OR REPLACE INTO missing VALUES (?, ?, ?, ?)"
        db.run(sql, node.conversation, parent, node.number, int(above > 0))
        if above:
            db.run(_FOLLOWED, parent, node.conversation)
        return None
    number, author, sequence, place = held
    follows = int(author == node.author and sequence < above)
    _add_edge(db, number, node.number, follows)
    db.run("DELETE FROM tips WHERE entry = ?", number)
    if follows:
        db.run("DELETE FROM heads WHERE entry = ?", number)
    return int(place)


def _add_edge(db: Database, parent: int, child: int, chain: int) -> None:
    db.run("INSERT OR REPLACE INTO edges (parent, child, chain) VALUES (?, ?, ?)", parent, child, chain)


def _mark_ends(db: Database, node: Node) -> None:
    """A tip is named by no held entry, a head by none of its author as previous."""
    counts = "SELECT count(*), ifnull(sum(chain), 0) FROM edges WHERE parent = ?"
    ((children, followers),) = db.rows(counts, node.number)
    for table, count in (("tips", children), ("heads", followers)):
        if not count:
            sql = f"INSERT OR REPLACE INTO {table} (entry, conversation) VALUES (?, ?)"
            db.run(sql, node.number, node.conversation)


# --- Ranks ---
#
# An entry that arrives after those that name it may raise the ranks of all entries since, of a whole history.
# The table `raises` holds what is due, and `settle` does it in pieces. It first follows the edges and notes
# the new ranks, then writes them, the highest first. So no entry is ever shown before one that it names, but
# for the late entry itself, which keeps the rank of its own time until those that name it follow.


def _set_rank(db: Database, node: Node, place: int) -> None:
    """Set the rank of an entry that was added, and note the children whose rank is too low after it."""
    db.run("UPDATE entries SET rank = ? WHERE number = ? AND rank != ?", place, node.number, place)
    _raise_children(db, node.conversation, node.number, place)


_RAISE: Final = (
    "INSERT INTO raises (entry, conversation, least, rank_before)"
    " SELECT d.child, ?, ? + 1, ifnull(r.least, e.rank) FROM edges AS d"
    " JOIN entries AS e ON e.number = d.child LEFT JOIN raises AS r ON r.entry = d.child"
    " WHERE d.parent = ? AND ifnull(r.least, e.rank) <= ?"
    " ON CONFLICT (entry) DO UPDATE SET least = excluded.least,"
    " rank_before = ifnull(rank_before, excluded.rank_before)"
)


def _raise_children(db: Database, conversation: int, parent: int, place: int) -> None:
    db.run(_RAISE, conversation, place, parent, place)


def settle(db: Database, conversation: int, most: int = PIECE) -> bool:
    """Follow the edges of, or write, at most `most` ranks that are due; whether nothing is left.

    The result does not depend on the pieces: each rank is raised to the least that its parents allow. The
    lowest first visits an entry after all that raise it, so that each is visited once.
    """
    following = (
        "SELECT entry, least FROM raises WHERE conversation = ? AND rank_before IS NOT NULL"
        " ORDER BY rank_before LIMIT 1"
    )
    while (found := db.row(following, conversation)) is not None:
        if not most:
            return False
        most -= 1
        number, place = found
        db.run("UPDATE raises SET rank_before = NULL WHERE entry = ?", number)
        _raise_children(db, conversation, number, place)
    writing = (
        "SELECT least, entry FROM raises WHERE conversation = ? AND rank_before IS NULL"
        " ORDER BY least DESC LIMIT ?"
    )
    due = db.rows(writing, conversation, most)
    if due:
        db.run_many("UPDATE entries SET rank = ? WHERE number = ?", due)
        db.run_many("DELETE FROM raises WHERE entry = ?", [(number,) for _, number in due])
    return len(due) < most or not _is_due(db, conversation)


def _is_due(db: Database, conversation: int) -> bool:
    return bool(db.value("SELECT EXISTS (SELECT 1 FROM raises WHERE conversation = ?)", conversation))


def settle_next(db: Database, after: int) -> int | None:
    """Settle a piece of the next conversation by number, in turn; returns its number, None if nothing is due.

    In turn, so that a contact whose entries raise many ranks delays no other conversation.
    """
    sql = "SELECT conversation FROM raises WHERE conversation {} ? ORDER BY conversation LIMIT 1"
    found = db.value(sql.format(">"), after)
    if found is None and (found := db.value(sql.format("<="), after)) is None:
        return None
    settle(db, found)
    return int(found)
