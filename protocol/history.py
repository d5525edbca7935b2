"""A conversation as the set of its entries: order, tips, heads, what the other side lacks (SPEC §11).

Rules: pure, and the same whatever the order of arrival. `order`, `tips` and `heads` are the definitions, over
entries in memory; a store that derives them as it goes must come to the same. An author's chain may fork
where a copy of a profile was used: both branches are followed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from typing import Protocol

from protocol.entries import rank
from protocol.messages import EntryHeader, Head

Entries = Mapping[bytes, EntryHeader]
"""The held entries of one conversation: id to header."""


def ranks(entries: Entries) -> dict[bytes, int]:
    """The rank of each entry: its time, but after all that it names."""
    before = {entry: [one for one in _named(header) if one in entries] for entry, header in entries.items()}
    found: dict[bytes, int] = {}
    for entry in TopologicalSorter(before).static_order():
        found[entry] = rank(entries[entry].time, [found[one] for one in before[entry]])
    return found


def order(entries: Entries) -> list[bytes]:
    """Ids in the order in which entries are shown: by rank, then id."""
    place = ranks(entries)
    return sorted(entries, key=lambda entry: (place[entry], entry))


def tips(entries: Entries) -> list[bytes]:
    """Ids, ascending, of the entries that no held entry names."""
    named = {one for header in entries.values() for one in _named(header)}
    return sorted(entry for entry in entries if entry not in named)


def heads(entries: Entries) -> list[Head]:
    """The entries that no held entry of the same author names as previous, by author, sequence, id."""
    followed = {(header.author, header.previous) for header in entries.values()}
    found = [
        Head(header.author, header.sequence, entry)
        for entry, header in entries.items()
        if (header.author, entry) not in followed
    ]
    return sorted(found, key=lambda head: (head.author, head.sequence, head.id))


def _named(header: EntryHeader) -> list[bytes]:
    return [header.previous, *header.parents]


# --- What the other side lacks ---


class Chain(Protocol):
    """Access to the entries held, by the author's own order."""

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        """(sequence, id of the author's previous entry or b"") of a held entry, None where it is not held."""


def lacking(mine: Iterable[bytes], theirs: Iterable[bytes], chain: Chain) -> list[bytes]:
    """Ids of held entries that are in the past of `mine` and not in the past of `theirs`.

    Walks both histories back from their heads in step, newest first, and stops where they meet: the
    cost is the difference, not the history. Heads of theirs that are not held cover nothing.
    """
    missing: list[bytes] = []
    frontier = _Frontier(chain)
    frontier.add(mine, ours=True)
    frontier.add(theirs, ours=False)
    while frontier.has_ours():
        entry, previous, covered = frontier.pop()
        if not covered:
            missing.append(entry)
        if previous:
            frontier.add([previous], ours=not covered)
    return missing


class _Frontier:
    """Entries still to look at, by descending sequence, each marked as covered by the other side or not."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._heap: list[tuple[int, bytes]] = []
        self._previous: dict[bytes, bytes] = {}
        self._covered: dict[bytes, bool] = {}
        self._done: set[bytes] = set()
        self._ours = 0

    def add(self, entries: Iterable[bytes], ours: bool) -> None:
        for entry in entries:
            if entry in self._covered:
                self._mark(entry, ours)
            # A chain whose sequences lie may lead to an entry again after it was looked at.
            elif entry not in self._done and (place := self._chain.place(entry)) is not None:
                heapq.heappush(self._heap, (-place[0], entry))
                self._previous[entry], self._covered[entry] = place[1], not ours
                self._ours += ours

    def _mark(self, entry: bytes, ours: bool) -> None:
        if not ours and not self._covered[entry]:
            self._covered[entry] = True
            self._ours -= 1

    def has_ours(self) -> bool:
        return self._ours > 0

    def pop(self) -> tuple[bytes, bytes, bool]:
        entry = heapq.heappop(self._heap)[1]
        self._done.add(entry)
        covered = self._covered.pop(entry)
        self._ours -= not covered
        return entry, self._previous.pop(entry), covered
