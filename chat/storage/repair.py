"""What is sent for repair: bodies to ask a terminal for, and entries that a peer lacks (SPEC §11.4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from typing import Final

from chat.storage.database import Database
from chat.storage.entries import HeadRow, Position, check_header
from protocol.history import lacking
from protocol.messages import ENTRY_HEADER

_WANTED: Final = (
    " FROM entries AS e"
    " WHERE e.number IN (SELECT entry FROM headers_alone EXCEPT SELECT entry FROM quarantine)"
    " AND e.conversation = (SELECT number FROM conversations WHERE id = ?1)"
    " AND NOT EXISTS (SELECT 1 FROM headers_alone WHERE entry = e.number"
    " AND terminal = (SELECT number FROM terminals WHERE terminal = ?2))"
)
"""Entries with a missing body that a terminal did not pass without it."""


def wanted(db: Database, conversation: bytes, terminal: bytes) -> list[tuple[HeadRow, HeadRow | None]]:
    """Of each author the first entries with a missing body that `terminal` did not pass without it.

    Each comes with the held entry before it. Later ones follow from the first (protocol.history.asking).
    """
    found: list[tuple[HeadRow, HeadRow | None]] = []
    first = f"SELECT e.author, min(e.sequence){_WANTED} GROUP BY e.author ORDER BY min(e.number)"
    for author, sequence in db.rows(first, conversation, terminal):
        these = f"SELECT e.id, e.header{_WANTED} AND e.author = ?3 AND e.sequence = ?4 ORDER BY e.number"
        identity = db.value("SELECT terminal FROM terminals WHERE number = ?", author)
        for entry, header in db.rows(these, conversation, terminal, author, sequence):
            # The table of edges has no way from an entry to the one before it.
            previous = ENTRY_HEADER.decode(header).previous
            before = db.row(
                "SELECT e.sequence FROM entries AS e WHERE e.id = ? AND e.author = ?"
                " AND e.conversation = (SELECT number FROM conversations WHERE id = ?)",
                *(previous, author, conversation),
            )
            held = None if before is None else HeadRow(identity, before[0], previous)
            found.append((HeadRow(identity, sequence, entry), held))
    return found


PIECE: Final = 256
"""Sequences of a chain that one piece of work passes, some milliseconds."""


def lacking_piece(
    db: Database, mine: Collection[bytes], theirs: Collection[bytes]
) -> tuple[list[Position], set[bytes], set[bytes]]:
    """The newest entries that a peer with the heads `theirs` lacks of the chains that end in `mine`.

    Returns their positions, in order, and both kinds of heads for the next piece. Nothing is left once those
    of `mine` are empty.
    """
    chain = _Piece(db, [*mine, *theirs])
    found = lacking(filter(chain.holds, mine), filter(chain.holds, theirs), chain)
    covered, left = chain.below(theirs), chain.below(mine, through=set(found))
    return sorted(chain.position(entry) for entry in found), left - covered, covered


class _Piece:
    """protocol.history.Chain over the last PIECE sequences."""

    def __init__(self, db: Database, ends: Iterable[bytes]) -> None:
        self._db = db
        self._rows: dict[bytes, tuple[int, int, bytes]] = {}
        self._bottom = max((self._sequence(entry) for entry in ends), default=0) - PIECE

    def holds(self, entry: bytes) -> bool:
        """Whether an entry is held and among these sequences."""
        return self._sequence(entry) > max(0, self._bottom)

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        if not self.holds(entry):
            return None
        sequence, _, previous = self._rows[entry]
        return sequence, previous

    def below(self, heads: Iterable[bytes], through: Set[bytes] | None = None) -> set[bytes]:
        """Where the chains of some heads go on below these sequences, at most `through` some entries."""
        seen, found = set[bytes](), set[bytes]()
        for entry in heads:
            while entry not in seen and self.holds(entry) and (through is None or entry in through):
                seen.add(entry)
                entry = self._rows[entry][2]
            if self._sequence(entry) and not self.holds(entry):
                found.add(entry)
        return found

    def position(self, entry: bytes) -> Position:
        return self._rows[entry][1], entry

    def _sequence(self, entry: bytes) -> int:
        """Of an entry that is held, else 0."""
        if entry not in self._rows:
            found = self._db.row("SELECT sequence, rank, header FROM entries WHERE id = ?", entry)
            if found is None:
                return 0
            check_header(self._db, entry, found[2])
            self._rows[entry] = *found[:2], ENTRY_HEADER.decode(found[2]).previous
        return self._rows[entry][0]
