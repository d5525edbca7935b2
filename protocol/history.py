"""Order, tips and heads of a conversation, and the entries that a peer lacks (SPEC §11.3, §11.4).

`order`, `tips` and `heads` define the results; a database that maintains them incrementally must agree.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from graphlib import TopologicalSorter
from itertools import groupby, pairwise
from typing import Protocol

from protocol.entries_and_receipts import READ, ParsedEntry, heads_hash, rank, receipt_for
from protocol.errors import Malformed
from protocol.limits import CUTS_MAX, HEADS_MAX, HEADS_PER_AUTHOR_MAX, SEQUENCE_FOLLOWED_MAX
from protocol.messages import CutBody, EntryHeader, Head, Heads, HeadsHash, LogHeads, Message, Reachable

Entries = Mapping[bytes, EntryHeader]  # the entries held of one conversation, by id


def ranks(entries: Entries, *, clocked: bool = True) -> dict[bytes, int]:
    """The rank of each entry: its time, but greater than the ranks of all entries that it names.

    Not `clocked`, as in a person's notes: times count as 0, so that no clock decides between two writes.
    """
    named = {entry: [one for one in _named(header) if one in entries] for entry, header in entries.items()}
    found: dict[bytes, int] = {}
    for entry in TopologicalSorter(named).static_order():
        found[entry] = rank(entries[entry].time if clocked else 0, [found[one] for one in named[entry]])
    return found


def order(entries: Entries, *, clocked: bool = True) -> list[bytes]:
    """Ids in display order: by rank, then id. `clocked`: as for `ranks`."""
    found = ranks(entries, clocked=clocked)
    return sorted(entries, key=lambda entry: (found[entry], entry))


def tips(entries: Entries, *, clocked: bool = True) -> list[bytes]:
    """Ids of the entries that no held entry names, those first that are shown last.

    `clocked`: as for `ranks`.
    """
    named = {one for header in entries.values() for one in _named(header)}
    return [entry for entry in reversed(order(entries, clocked=clocked)) if entry not in named]


def heads(entries: Entries) -> list[Head]:
    """Entries that are in no other one's chain, by author, sequence and id.

    An author has several heads if a copy of its profile wrote too, so that its chain forked.
    """
    followed = {next_in_chain(entries, header) for header in entries.values()}
    found = [
        Head(header.author, header.sequence, entry)
        for entry, header in entries.items()
        if entry not in followed
    ]
    return sorted(found, key=_place)


def next_in_chain(entries: Entries, header: EntryHeader) -> bytes | None:
    """The id of the held entry that follows in the chain of one (SPEC §11.2)."""
    before = entries.get(header.previous)
    same = before is not None and before.author == header.author and before.sequence < header.sequence
    return header.previous if same else None


def _place(head: Head) -> tuple[bytes, int, bytes]:
    return head.author, head.sequence, head.id


def _author(head: Head) -> bytes:
    return head.author


def asking(heads: Iterable[Head], wanted: Iterable[tuple[Head, Head | None]]) -> list[Head]:
    """The heads to name to a terminal that may have missing bodies and entries (SPEC §11.4).

    `wanted` are the entries with such a body, or before which one is missing, each with the held entry before
    it in its author's chain. The chains of their authors end before the first of them, so that the answer
    brings it.
    """
    first: dict[bytes, int] = {}
    pairs = list(wanted)
    for entry, _ in pairs:
        first[entry.author] = min(entry.sequence, first.get(entry.author, entry.sequence))
    named = {head for head in heads if head.sequence < first.get(head.author, head.sequence + 1)}
    named |= {before for entry, before in pairs if before and entry.sequence == first[entry.author]}
    return sorted(named, key=_place)


def followed(entries: Entries, author: bytes) -> bytes:
    """The id of the author's entry that its next one names as previous, or b"" (SPEC §11.1)."""
    mine = [
        (header.sequence, entry)
        for entry, header in entries.items()
        if header.author == author and header.sequence < SEQUENCE_FOLLOWED_MAX
    ]
    return max(mine)[1] if mine else b""


def _named(header: EntryHeader) -> list[bytes]:
    return [header.previous, *header.parents]


def evidence(entries: Entries, uncovered: Collection[bytes] = ()) -> list[list[bytes]]:
    """Ids, ascending, of entries of one author, incarnation and sequence, where there are several.

    No honest terminal writes two of them (SPEC §11.1). Those of `uncovered` could be inventions.
    """
    places: dict[tuple[bytes, bytes, int], list[bytes]] = {}
    for entry, header in entries.items():
        if entry in uncovered:
            continue
        places.setdefault((header.author, header.incarnation, header.sequence), []).append(entry)
    return sorted(sorted(ids) for ids in places.values() if len(ids) > 1)


def cuts_in_force(
    cuts: Iterable[ParsedEntry], removed: bytes, live: Collection[bytes], ranked: Sequence[bytes]
) -> list[ParsedEntry]:
    """Those cuts of a removed terminal that decide about its entries (SPEC §11.2).

    `live` are the live terminals of its person, `ranked` all that have a rank, the most senior first.
    """
    if removed in live:
        return []
    seniors = set(ranked[: ranked.index(removed)] if removed in ranked else ranked) & set(live)
    first: dict[bytes, ParsedEntry] = {}
    for entry in sorted(cuts, key=lambda one: (one.header.sequence, one.id)):
        if entry.cut is not None and entry.cut.terminal == removed:
            first.setdefault(entry.header.author, entry)
    return [first[one] for one in ranked if one in first and one in (seniors or live)][:CUTS_MAX]


def quarantined(
    entries: Entries, author: bytes, before: Collection[bytes], cuts: Iterable[CutBody] = ()
) -> list[bytes]:
    """Ids, ascending, of a removed terminal's entries that do not count (SPEC §11.2).

    `before` are the entries that were held when its removal was learned, `cuts` those in force, each of which
    has to keep an entry.
    """
    own = {entry for entry, header in entries.items() if header.author == author}
    counting = set(own)
    ends: list[Collection[bytes]] = [[head.id for head in cut.heads] for cut in cuts]
    for kept in ends or [before]:
        counting &= _chains(entries, author, kept)
    return sorted(own - counting)


def _chains(entries: Entries, author: bytes, ends: Iterable[bytes]) -> set[bytes]:
    """The held entries of an author in the chains that end in some."""
    found: set[bytes] = set()
    for end in ends:
        entry: bytes | None = end if end in entries and entries[end].author == author else None
        while entry is not None and entry not in found:
            found.add(entry)
            entry = next_in_chain(entries, entries[entry])
    return found


# --- Bodies ---


class BodyState(StrEnum):
    """What a terminal knows of an entry's salt and body (SPEC §11.2)."""

    HELD = "held"
    MISSING = "missing"
    DELETED = "deleted"


def body_after(before: BodyState | None, *, has_body: bool) -> BodyState:
    """The state after an entry arrived, with its body or as a header alone. `before`: None for a new one."""
    if before in (BodyState.HELD, BodyState.DELETED):
        return before
    return BodyState.HELD if has_body else BodyState.MISSING


# --- Entries of a contact that this person's terminals passed on ---


def uncovered(entries: Entries, passed_on: Collection[bytes], heads: Collection[bytes]) -> list[bytes]:
    """Ids, ascending, of the entries that nothing but this person's own terminals ascribes to the contact.

    `passed_on` are the entries of the contact that came from there, `heads` those that the contact has named
    (SPEC §11.2). A head covers itself, and every other entry what precedes it in its author's chain.
    """
    left = set(passed_on).intersection(entries)
    for entry in [one for one in entries if one in heads or one not in left]:
        left.discard(entry)
        before = entries[entry].previous
        while before in left and entries[before].author == entries[entry].author:
            left.discard(before)
            before = entries[before].previous
    return sorted(left)


def claims(entries: Entries, untagged: Collection[bytes]) -> list[bytes]:
    """Ids, ascending, of the entries that nothing shows to be this person's own (SPEC §11.2).

    `untagged`: those of own terminals that no self key fits. What precedes an own entry in its author's chain
    is own, too.
    """
    return uncovered(entries, untagged, ())


# --- The heads that a peer gets ---


def named(heads: Iterable[Head]) -> list[Head]:
    """The heads to name, ascending: of each author the last four by sequence and id (SPEC §11.4).

    An author can fork its chain without end. It pushes out heads of its own, and none of another author.
    """
    by_author = groupby(sorted(heads, key=_place), key=_author)
    return [head for _, forks in by_author for head in list(forks)[-HEADS_PER_AUTHOR_MAX:]]


def with_claims(heads: Sequence[Head], claims: Iterable[Head], wanting: Collection[bytes]) -> list[Head]:
    """The heads to name to a contact, ascending, with the ends of what it claims that this person wrote.

    `heads` are those of `named`. Of each author the ends take the places that heads leave, the last ones
    first, or a contact could push out heads of this person. Authors of the `wanting`, of whom something is
    asked for, have none.
    """
    taken, found = Counter(head.author for head in heads), list(heads)
    for head in sorted(claims, key=_place, reverse=True):
        if head.author not in wanting and taken[head.author] < HEADS_PER_AUTHOR_MAX:
            taken[head.author] += 1
            found.append(head)
    return sorted(found, key=_place)


def pages(conversation: bytes, heads: Iterable[Head]) -> list[Heads]:
    """The named heads in messages, at least one; each has all heads of as many authors as it can hold."""
    held: list[list[Head]] = [[]]
    for _, forks in groupby(named(heads), key=_author):
        added = list(forks)
        if len(held[-1]) + len(added) > HEADS_MAX:
            held.append([])
        held[-1] += added
    ends = [b"", *(page[-1].author for page in held[:-1])]
    return [
        Heads(conversation, after, page, more=number < len(held))
        for number, (after, page) in enumerate(zip(ends, held, strict=True), 1)
    ]


def check_page(page: Heads) -> None:
    """Malformed for a page of another form (V-HD-02, V-HD-03)."""
    if len(page.after) not in (0, 32) or (page.more and not page.heads):
        raise Malformed("extent of a page of heads")
    if any(_place(one) >= _place(other) for one, other in pairwise(page.heads)):
        raise Malformed("heads are not ascending")
    if page.heads and page.after and page.heads[0].author <= page.after:
        raise Malformed("heads of an earlier page")
    if any(len(list(forks)) > HEADS_PER_AUTHOR_MAX for _, forks in groupby(page.heads, key=_author)):
        raise Malformed("too many heads of one author")


def on_page(page: Heads, heads: Iterable[Head]) -> list[Head]:
    """Those of some heads whose authors are on a page that passes `check_page`."""
    last = page.heads[-1].author if page.more else None
    return [head for head in heads if head.author > page.after and (last is None or head.author <= last)]


# --- What a terminal sends first ---


def opening(
    logs: Iterable[LogHeads], conversation: bytes, named: Sequence[Head], port: int, read: Iterable[bytes]
) -> list[Message]:
    """What a terminal sends on a link with a contact that has opened, before entries (SPEC §11.4).

    `logs` are those of the contact's log and of the own one. `port` is 0 if this terminal does not listen.
    `read` are the entries whose read receipt is repeated, at most 1,024.
    """
    said: list[Message] = [*logs, HeadsHash(conversation, heads_hash(conversation, named))]
    if port:
        said.append(Reachable(port))
    if ids := list(read):
        said.append(receipt_for(READ, ids))
    return said


def outbox(entries: Entries, author: bytes, done: Collection[bytes]) -> list[bytes]:
    """Ids of the author's entries that are not done, in the order in which they are sent (SPEC §11.4)."""
    mine = [entry for entry, header in entries.items() if header.author == author and entry not in done]
    return sorted(mine, key=lambda entry: (entries[entry].sequence, entry))


# --- What a peer lacks ---


class Chain(Protocol):
    """Access to the held entries along the chain of their author."""

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        """Sequence, and id of the author's previous entry (or b""). None if the entry is not held."""


def lacking(mine: Iterable[bytes], theirs: Iterable[bytes], chain: Chain) -> list[bytes]:
    """Ids of held entries that are in chains of the heads `mine`, and in none of the heads `theirs`.

    Walks back from all heads at once, newest first, and stops where both sides meet, so the cost depends on
    the difference and not on the length of the history. Heads of the peer that are not held are ignored.
    """
    missing: list[bytes] = []
    frontier = _Frontier(chain)
    frontier.add(mine, ours=True)
    frontier.add(theirs, ours=False)
    while frontier.ours > 0:
        entry, sequence, previous, covered = frontier.pop()
        if not covered:
            missing.append(entry)
        if previous:
            frontier.add([previous], ours=not covered, above=sequence)
    return missing


class _Frontier:
    """Entries still to visit, by descending sequence. `ours` is the number of those that the peer lacks."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._heap: list[tuple[int, bytes]] = []
        self._places: dict[bytes, tuple[int, bytes]] = {}
        self._covered: dict[bytes, bool] = {}
        self.ours = 0

    def add(self, entries: Iterable[bytes], ours: bool, above: int | None = None) -> None:
        """`above`: the sequence of the entry that names them as `previous`."""
        for entry in entries:
            place = self._places.get(entry) or self._chain.place(entry)
            # A chain ends before an entry whose sequence is not lower.
            if place is None or (above is not None and place[0] >= above):
                continue
            if entry in self._covered:
                if not ours and not self._covered[entry]:
                    self._covered[entry] = True
                    self.ours -= 1
            else:
                heapq.heappush(self._heap, (-place[0], entry))
                self._places[entry], self._covered[entry] = place, not ours
                self.ours += ours

    def pop(self) -> tuple[bytes, int, bytes, bool]:
        entry = heapq.heappop(self._heap)[1]
        covered = self._covered.pop(entry)
        self.ours -= not covered
        return entry, *self._places.pop(entry), covered
