"""Which entries of removed terminals count, by cuts and by what was held before (SPEC §11.2).

`late` says what came after a removal was learned, and nothing held before leads to. `quarantine` says what
does not count: outside of a cut in force, or where there is none, what is late.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from chat.storage.database import Database
from protocol.history import lacking
from protocol.limits import CUT_HEADS_MAX, CUTS_MAX
from protocol.messages import ENTRY_HEADER, CutBody, CutHead

_ID: Final = 32
_NO_CUT: Final = 0
"""Stands in for a cut where none is in force."""


@dataclass(frozen=True, slots=True)
class _Cut:
    number: int
    heads: tuple[bytes, ...]


def add(db: Database, number: int) -> bool:
    """Decide about an entry of a removed author that was just stored; whether it is quarantined.

    What it leads to may count from now on. The work is a few rows per cut, and per entry that is released.
    """
    conversation, author, entry, sequence, header = db.rows(
        "SELECT conversation, author, id, sequence, header FROM entries WHERE number = ?", number
    )[0]
    chain = _Chain(db, conversation, author)
    cuts = _in_force(db, conversation, author)
    before = _descent(chain, sequence, ENTRY_HEADER.decode(header).previous)
    if _followed(db, number, "SELECT entry FROM late"):
        for earlier in before:
            if not db.run("DELETE FROM late WHERE entry = ?", earlier):
                break
            db.run("DELETE FROM quarantine WHERE entry = ? AND cut = ?", earlier, _NO_CUT)
    else:
        db.run("INSERT OR REPLACE INTO late (entry) VALUES (?)", number)
        if not cuts:
            _put(db, _NO_CUT, [number])
    for cut in cuts:
        outside = f"SELECT entry FROM quarantine WHERE cut = {cut.number}"
        if entry in cut.heads or _followed(db, number, outside):
            for earlier in _descent(chain, sequence, ENTRY_HEADER.decode(header).previous):
                if not db.run("DELETE FROM quarantine WHERE entry = ? AND cut = ?", earlier, cut.number):
                    break
        else:
            _put(db, cut.number, [number])
    return bool(db.value("SELECT EXISTS (SELECT 1 FROM quarantine WHERE entry = ?)", number))


def add_cut(db: Database, number: int, conversation: int, cut: CutBody) -> None:
    """Store what the cut with this entry number says, and let it decide if it is in force."""
    heads = b"".join(head.id for head in cut.heads)
    db.run(
        "INSERT OR REPLACE INTO cuts (entry, terminal, heads) VALUES (?, ?, ?)", number, cut.terminal, heads
    )
    author = db.value("SELECT number FROM terminals WHERE terminal = ?", cut.terminal)
    if author is not None:
        _settle(db, conversation, author)


def follow_cuts(db: Database, numbers: Iterable[int]) -> None:
    """Decide again about the entries of terminals that the cuts among these entries name."""
    named = (
        "SELECT DISTINCT e.conversation, t.number FROM cuts AS k JOIN entries AS e ON e.number = k.entry"
        " JOIN terminals AS t ON t.terminal = k.terminal"
        " WHERE k.entry IN (SELECT value FROM json_each(?)) ORDER BY 1, 2"
    )
    for conversation, author in db.rows(named, json.dumps(list(numbers))):
        _settle(db, conversation, author)


def follow_log(db: Database, person: bytes) -> None:
    """Decide again about the entries of a person's terminals, of which others may be live now."""
    apart = (
        "SELECT e.conversation, e.author FROM entries AS e WHERE e.number IN"
        " (SELECT entry FROM late UNION SELECT entry FROM quarantine)"
    )
    former = (
        "SELECT c.number, p.terminal FROM conversations AS c JOIN person_terminals AS p"
        " ON p.person = ?1 AND NOT p.live WHERE (c.contact = ?1 OR ?1 IN (SELECT person FROM own))"
        " AND EXISTS (SELECT 1 FROM entries WHERE conversation = c.number AND author = p.terminal)"
    )
    affected = db.rows(
        f"{former} UNION SELECT * FROM ({apart})"
        " WHERE author IN (SELECT terminal FROM person_terminals WHERE person = ?1)",
        person,
    )
    for conversation, author in affected:
        _settle(db, conversation, author)


def due(db: Database, terminal: bytes) -> list[tuple[bytes, bytes]]:
    """The (conversation, terminal) for which an own terminal is to write a cut, as no cut is in force.

    It may cut terminals of its person that are live no more, are junior to it or to no live one, and wrote
    something there that counts.
    """
    rows = db.rows(
        "SELECT c.id, t.terminal, c.number, p.terminal FROM person_terminals AS me"
        " JOIN terminals AS mine ON mine.number = me.terminal AND mine.terminal = ?"
        " JOIN person_terminals AS p ON p.person = me.person AND NOT p.live"
        " JOIN terminals AS t ON t.number = p.terminal CROSS JOIN conversations AS c"
        " WHERE me.live AND me.person IN (SELECT person FROM own)"
        f" AND {_MAY_CUT.format(cutter='me', cut='p')}"
        " AND EXISTS (SELECT 1 FROM entries WHERE conversation = c.number AND author = p.terminal)"
        " ORDER BY c.number, p.terminal",
        terminal,
    )
    return [
        (conversation, removed)
        for conversation, removed, number, author in rows
        if not _in_force(db, number, author) and heads(db, conversation, removed)
    ]


def heads(db: Database, conversation: bytes, terminal: bytes) -> list[CutHead]:
    """The ends of a terminal's counting chains, ascending; of more than CUT_HEADS_MAX the highest."""
    talk = db.value("SELECT number FROM conversations WHERE id = ?", conversation)
    author = db.value("SELECT number FROM terminals WHERE terminal = ?", terminal)
    found, seen = list[CutHead](), set[bytes]()
    ends = _heads(db, talk, author)
    while ends:
        entry = ends.pop()
        row = db.row(
            "SELECT number, incarnation, sequence, header,"
            " EXISTS (SELECT 1 FROM quarantine WHERE entry = number)"
            " FROM entries WHERE id = ? AND conversation = ? AND author = ?",
            *(entry, talk, author),
        )
        if row is None or entry in seen:
            continue
        seen.add(entry)
        number, incarnation, sequence, header, quarantined = row
        if quarantined:
            ends.append(ENTRY_HEADER.decode(header).previous)
        elif not _followed(db, number, "SELECT entry FROM quarantine"):
            found.append(CutHead(incarnation, sequence, entry))
    return sorted(found, key=lambda head: (head.sequence, head.id))[-CUT_HEADS_MAX:]


_MAY_CUT: Final = (
    "({cut}.seniority IS NULL OR {cutter}.seniority < {cut}.seniority OR NOT EXISTS"
    " (SELECT 1 FROM person_terminals AS s WHERE s.person = {cutter}.person AND s.live"
    " AND s.seniority < {cut}.seniority))"
)


def _in_force(db: Database, conversation: int, author: int) -> list[_Cut]:
    """The cuts of a removed author in a conversation: of each terminal its first, by the most senior ones."""
    rows = db.rows(
        "SELECT k.entry, k.heads, e.author FROM cuts AS k JOIN entries AS e ON e.number = k.entry"
        " JOIN conversations AS c ON c.number = e.conversation"
        " JOIN person_terminals AS a ON a.terminal = e.author AND a.live"
        " JOIN person_terminals AS p ON p.person = a.person AND p.terminal = ?1 AND NOT p.live"
        " WHERE k.terminal = (SELECT terminal FROM terminals WHERE number = ?1) AND e.conversation = ?2"
        " AND (a.person = c.contact OR a.person IN (SELECT person FROM own))"
        # A thief of an own terminal could invent cuts in the contact's name.
        " AND k.entry NOT IN (SELECT entry FROM uncovered)"
        f" AND {_MAY_CUT.format(cutter='a', cut='p')}"
        " ORDER BY a.seniority, e.author, e.sequence, e.id",
        *(author, conversation),
    )
    first: dict[int, _Cut] = {}
    for number, named, by in rows:
        ids = tuple(named[start : start + _ID] for start in range(0, len(named), _ID))
        first.setdefault(by, _Cut(number, ids))
    return list(first.values())[:CUTS_MAX]


def _settle(db: Database, conversation: int, author: int) -> None:
    """Decide again about all entries of an author in a conversation."""
    apart = (
        "(SELECT q.entry FROM {} AS q JOIN entries AS e ON e.number = q.entry"
        " WHERE e.conversation = ? AND e.author = ?)"
    )
    talk = conversation, author
    db.run(f"DELETE FROM quarantine WHERE entry IN {apart.format('quarantine')}", *talk)
    is_live = (
        "SELECT EXISTS (SELECT 1 FROM person_terminals AS p JOIN conversations AS c ON c.number = ?"
        " WHERE p.terminal = ? AND p.live"
        " AND (p.person = c.contact OR p.person IN (SELECT person FROM own)))"
    )
    if db.value(is_live, *talk):
        db.run(f"DELETE FROM late WHERE entry IN {apart.format('late')}", *talk)
        return
    cuts = _in_force(db, *talk)
    if not cuts:
        late = db.rows(f"SELECT entry FROM late WHERE entry IN {apart.format('late')}", *talk)
        _put(db, _NO_CUT, [row[0] for row in late])
    chain, ends = _Chain(db, *talk), _heads(db, *talk) if cuts else []
    for cut in cuts:
        _put(db, cut.number, [chain.numbers[entry] for entry in lacking(ends, cut.heads, chain)])


def _put(db: Database, cut: int, numbers: Iterable[int]) -> None:
    rows = [(number, cut) for number in numbers]
    db.run_many("INSERT OR REPLACE INTO quarantine (entry, cut) VALUES (?, ?)", rows)


def _heads(db: Database, conversation: int, author: int) -> list[bytes]:
    rows = db.rows(
        "SELECT e.id FROM heads AS h JOIN entries AS e ON e.number = h.entry"
        " WHERE h.conversation = ? AND e.author = ?",
        *(conversation, author),
    )
    return [row[0] for row in rows]


def _followed(db: Database, number: int, outside: str) -> bool:
    """Whether one is the next in the chain of an entry that is none of `outside`."""
    following = f"SELECT EXISTS (SELECT 1 FROM edges WHERE parent = ? AND chain AND child NOT IN ({outside}))"
    return bool(db.value(following, number))


def _descent(chain: _Chain, sequence: int, previous: bytes) -> Iterator[int]:
    """The numbers of the held entries before one in its chain (SPEC §11.2), the nearest first."""
    while previous and (place := chain.place(previous)) is not None and place[0] < sequence:
        yield chain.numbers[previous]
        sequence, previous = place


class _Chain:
    """protocol.history.Chain over the entries of one author in a conversation."""

    def __init__(self, db: Database, conversation: int, author: int) -> None:
        self._db, self._of = db, (conversation, author)
        self.numbers: dict[bytes, int] = {}

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        row = self._db.row(
            "SELECT number, sequence, header FROM entries WHERE id = ? AND conversation = ? AND author = ?",
            *(entry, *self._of),
        )
        if row is None:
            return None
        number, sequence, header = row
        self.numbers[entry] = number
        return sequence, ENTRY_HEADER.decode(header).previous
