"""Many entries at once: the rows of entries.insert, written table by table (SPEC §11.3).

Rules: only what is plain goes this way: new entries of one conversation in which nothing is missing, that
name only what is held or came before them here; others go through entries.insert, in their turn. The words
of a burst come last: their index writes itself out before every statement that may have to be undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from chat.storage import conversations, entries, order, terminals
from chat.storage.database import Database
from chat.storage.entries import NewEntry
from protocol.entries import rank

_IDS_MAX: Final = 256
"""Ids that one query asks for."""

_LATER: Final = (
    "SELECT 1 FROM edges WHERE parent",
    "SELECT 1 FROM tips WHERE entry",
    "SELECT 1 FROM heads WHERE entry",
)


class _Place(NamedTuple):
    """Where a held entry stands: local numbers, and its rank."""

    number: int
    conversation: int
    author: int
    rank: int


def insert_all(db: Database, new: Sequence[NewEntry], own_terminal: bytes) -> list[bytes]:
    """Keep entries in their order; returns the ids of those for which entries.insert would be True.

    Those of other authors than `own_terminal` count as unread. Raises StorageMisuse for an unknown
    conversation.
    """
    if not new:
        return []
    burst = _Burst(db, new, own_terminal)
    news = [entry.id for entry in new if burst.take(entry)]
    burst.write()
    return news


class _Burst:
    """What is plain in a burst: rows in `entries` are written at once, those of other tables by `write`."""

    def __init__(self, db: Database, new: Sequence[NewEntry], own_terminal: bytes) -> None:
        self._db, self._own_terminal = db, own_terminal
        self._conversation = new[0].fields.conversation
        self._number = conversations.number_of(db, self._conversation)
        self._plain = _nothing_waits(db, self._number)
        ids = dict.fromkeys(one for entry in new for one in (entry.id, *order.named(entry.fields)))
        self._held = _places(db, ids)
        self._authors: dict[bytes, int] = {}
        self._taken: dict[int, NewEntry] = {}
        self._edges: list[tuple[int, int, int]] = []

    def take(self, entry: NewEntry) -> bool:
        """Keep one entry; False where nothing changes."""
        parents = self._parents(entry)
        if parents is None:
            # Whoever goes another way must find everything that came before.
            self.write()
            self._plain = self._plain and entry.id in self._held
            return entries.insert(self._db, entry, unread=self._unread(entry))
        self._insert(entry, parents)
        return True

    def _parents(self, entry: NewEntry) -> dict[_Place, int] | None:
        """The entries that a plain one names, 1 for the author's previous one; None if it is not plain."""
        if not self._plain or entry.id in self._held or entry.fields.conversation != self._conversation:
            return None
        parents: dict[_Place, int] = {}
        for parent, chain in order.named(entry.fields).items():
            place = self._held.get(parent)
            if place is None or place.conversation != self._number:
                return None
            parents[place] = chain
        return parents

    def _insert(self, entry: NewEntry, parents: dict[_Place, int]) -> None:
        author = self._author(entry.fields.author)
        place = rank(entry.fields.time, [parent.rank for parent in parents])
        number = entries.insert_row(self._db, entry, self._number, author, place)
        self._held[entry.id] = _Place(number, self._number, author, place)
        self._taken[number] = entry
        for parent, chain in parents.items():
            self._edges.append((parent.number, number, int(chain and parent.author == author)))

    def _author(self, terminal: bytes) -> int:
        if terminal not in self._authors:
            self._authors[terminal] = terminals.number_of(self._db, terminal)
        return self._authors[terminal]

    def _unread(self, entry: NewEntry) -> bool:
        return entry.fields.author != self._own_terminal

    def write(self) -> None:
        """Write what was put off."""
        db, taken, edges = self._db, self._taken, self._edges
        order.join(db, self._number, taken, edges)
        unread = ((number, self._number) for number, entry in taken.items() if self._unread(entry))
        db.run_many("INSERT OR REPLACE INTO unread (entry, conversation) VALUES (?, ?)", unread)
        entries.insert_bodies(db, self._number, taken)
        self._taken, self._edges = {}, []


def _nothing_waits(db: Database, conversation: int) -> bool:
    """Whether nothing is missing, and no page of another time holds rows of entries still to come."""
    if db.row("SELECT 1 FROM missing WHERE conversation = ? LIMIT 1", conversation) is not None:
        return False
    last = db.value("SELECT ifnull(max(number), 0) FROM entries")
    return not any(db.row(f"{query} > ? LIMIT 1", last) for query in _LATER)


def _places(db: Database, ids: Iterable[bytes]) -> dict[bytes, _Place]:
    """Those of these ids that are held."""
    found: dict[bytes, _Place] = {}
    asked = iter(ids)
    while some := tuple(islice(asked, _IDS_MAX)):
        marks = ",".join("?" * len(some))
        rows = db.rows(
            f"SELECT id, number, conversation, author, rank FROM entries WHERE id IN ({marks})", *some
        )
        found.update((row[0], _Place(*row[1:])) for row in rows)
    return found
