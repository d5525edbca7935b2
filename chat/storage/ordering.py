"""Maintains edges, ranks, tips and heads of a conversation as entries arrive in any order (SPEC §11.3).

Edges exist only within one conversation, so that naming an id of another one reveals nothing to a peer. Rows
are replaced if present, since an older page that came back may contain them.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from chat.storage.database import Database
from protocol.entries import rank
from protocol.messages import EntryHeader


@dataclass(frozen=True, slots=True)
class Node:
    """A held entry by its local numbers."""

    number: int
    conversation: int
    author: int


def add(db: Database, node: Node, entry: bytes, fields: EntryHeader) -> None:
    """Link an entry, whose row has rank = time so far, with held entries that it names or that name it."""
    _adopt(db, node, entry)
    before = [_link_parent(db, node, parent, chain) for parent, chain in named(fields).items()]
    _mark_ends(db, node)
    _set_rank(db, node.number, rank(fields.time, [place for place in before if place is not None]))


def named(fields: EntryHeader) -> dict[bytes, int]:
    """The ids that a header names, with 1 for the author's previous entry and 0 for parents."""
    ids = dict.fromkeys(fields.parents, 0)
    if fields.previous:
        ids[fields.previous] = 1
    return ids


def _adopt(db: Database, node: Node, entry: bytes) -> None:
    """Turn references of held entries to this formerly missing one into edges."""
    waiting = db.rows(
        "SELECT m.child, m.chain AND e.author = ? FROM missing AS m JOIN entries AS e ON e.number = m.child"
        " WHERE m.conversation = ? AND m.parent = ?",
        *(node.author, node.conversation, entry),
    )
    if waiting:
        for child, chain in waiting:
            _add_edge(db, node.number, child, chain)
        db.run("DELETE FROM missing WHERE conversation = ? AND parent = ?", node.conversation, entry)


def _link_parent(db: Database, node: Node, parent: bytes, chain: int) -> int | None:
    """Add the edge from a parent, or record it as missing. Returns the parent's rank if it is held."""
    sql = "SELECT number, author, rank FROM entries WHERE id = ? AND conversation = ?"
    held = db.row(sql, parent, node.conversation)
    if held is None:
        sql = "INSERT OR REPLACE INTO missing VALUES (?, ?, ?, ?)"
        db.run(sql, node.conversation, parent, node.number, chain)
        return None
    number, author, place = held
    follows = int(chain and author == node.author)
    _add_edge(db, number, node.number, follows)
    db.run("DELETE FROM tips WHERE entry = ?", number)
    if follows:
        db.run("DELETE FROM heads WHERE entry = ?", number)
    return int(place)


def _add_edge(db: Database, parent: int, child: int, chain: int) -> None:
    db.run("INSERT OR REPLACE INTO edges (parent, child, chain) VALUES (?, ?, ?)", parent, child, chain)


def _mark_ends(db: Database, node: Node) -> None:
    """A tip is named by no held entry, a head by none of its author as previous."""
    named = db.row("SELECT count(*), ifnull(sum(chain), 0) FROM edges WHERE parent = ?", node.number)
    children, followers = named or (0, 0)
    for table, count in (("tips", children), ("heads", followers)):
        if not count:
            sql = f"INSERT OR REPLACE INTO {table} (entry, conversation) VALUES (?, ?)"
            db.run(sql, node.number, node.conversation)


def _set_rank(db: Database, number: int, place: int) -> None:
    """Set the rank of an entry and raise its descendants, each once.

    Ranks order parents before children. So the lowest first visits every entry after all that can raise it.
    """
    db.run("UPDATE entries SET rank = ? WHERE number = ? AND rank != ?", place, number, place)
    least: dict[int, int] = {}
    queue: list[tuple[int, int]] = []
    _push_children(db, number, place, least, queue)
    while queue:
        _, child = heapq.heappop(queue)
        db.run("UPDATE entries SET rank = ? WHERE number = ?", least[child], child)
        _push_children(db, child, least[child], least, queue)


def _push_children(
    db: Database, parent: int, place: int, least: dict[int, int], queue: list[tuple[int, int]]
) -> None:
    """Queue the children whose rank is too low after `parent`, by their current rank."""
    low = db.rows(
        "SELECT e.rank, e.number FROM edges AS d JOIN entries AS e ON e.number = d.child"
        " WHERE d.parent = ? AND e.rank <= ?",
        *(parent, place),
    )
    for now, child in low:
        if child not in least:
            heapq.heappush(queue, (now, child))
        least[child] = max(least.get(child, 0), place + 1)
