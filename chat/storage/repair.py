"""What the heads of a conversation ask of a terminal, and what answers those of another (SPEC §11.4)."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Sequence, Set
from typing import Final

from chat.storage import amendments, claims, contacts, persons, quarantine
from chat.storage.database import Database
from chat.storage.entries import RIVALLED, HeadRow, Position, Stored, check_header, rivals
from chat.storage.removal import REMOVED
from protocol.entries_and_receipts import ParsedEntry
from protocol.history import asking, lacking, named, on_page, with_claims
from protocol.messages import ENTRY_HEADER, Head, Heads

_WANTED: Final = (
    " FROM entries AS e"
    " JOIN conversations AS c ON c.number = e.conversation AND c.id = ?1"
    " WHERE e.number IN ("
    "SELECT entry FROM headers_alone WHERE entry NOT IN (SELECT entry FROM headers_alone"
    " WHERE terminal = (SELECT number FROM terminals WHERE terminal = ?2))"
    " UNION SELECT m.child FROM missing AS m"
    " JOIN conversations AS t ON t.number = m.conversation AND t.id = ?1"
    " WHERE m.chain AND m.child NOT IN (SELECT entry FROM gaps WHERE terminal ="
    " (SELECT number FROM terminals WHERE terminal = ?2))"
    " UNION SELECT entry FROM unsigned WHERE ?3 = 2 AND terminal = 0 AND entry NOT IN"
    " (SELECT entry FROM unsigned WHERE terminal = (SELECT number FROM terminals WHERE terminal = ?2))"
    f" EXCEPT SELECT q.entry FROM {quarantine.QUARANTINED}"
    " EXCEPT SELECT entry FROM uncovered WHERE NOT ?3"
    " EXCEPT SELECT entry FROM claims WHERE NOT (own AND ?3))"
)
"""Entries that a terminal did not pass without their body, or again without the one before them, or, if it is
this person's, without the signature that is missing."""


def wanted(
    db: Database, conversation: bytes, terminal: bytes, *, own: bool = False, signatures: bool = False
) -> list[tuple[HeadRow, HeadRow | None]]:
    """Of each author the first entries whose body, or the entry before which, `terminal` may have.

    Each comes with the held entry before it. Later ones follow from the first (protocol.history.asking).
    `own`: the terminal is this person's, which is asked for what uncovered entries, and claims that own
    terminals passed, follow, too: such a terminal may have passed the last of them, and its link have ended.
    `signatures`: it may have some that are missing.
    """
    whose = 2 if signatures else int(own)
    found: list[tuple[HeadRow, HeadRow | None]] = []
    first = f"SELECT e.author, min(e.sequence){_WANTED} GROUP BY e.author ORDER BY min(e.number)"
    for author, sequence in db.rows(first, conversation, terminal, whose):
        these = f"SELECT e.id, e.header{_WANTED} AND e.author = ?4 AND e.sequence = ?5 ORDER BY e.number"
        identity = db.value("SELECT terminal FROM terminals WHERE number = ?", author)
        for entry, header in db.rows(these, conversation, terminal, whose, author, sequence):
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


def is_stored(db: Database, result: tuple[Sequence[Stored], *tuple[object, ...]]) -> bool:
    """Whether an insert of entries with this result is in force; False where it inserted none."""
    if not result[0]:
        return False
    first = result[0][0]
    held = db.row("SELECT salt FROM entries LEFT JOIN bodies ON entry = number WHERE id = ?", first.entry.id)
    return held is not None and (held[0] is not None or not first.filled)


def before_gaps(db: Database, held: Iterable[ParsedEntry]) -> list[tuple[bytes, bytes]]:
    """Those of some entries, with the one before, of whose author the one before is missing."""
    missing = (
        "SELECT EXISTS (SELECT 1 FROM entries AS e JOIN missing AS m"
        " ON m.conversation = e.conversation AND m.parent = ? AND m.child = e.number AND m.chain"
        " WHERE e.id = ?)"
    )
    named = ((one.id, one.header.previous) for one in held if one.header.previous)
    return [(entry, previous) for entry, previous in named if db.value(missing, previous, entry)]


def passed_again(
    db: Database, gaps: Iterable[tuple[bytes, bytes]], terminal: bytes, conversation: bytes | None = None
) -> None:
    """A terminal answered heads with entries that were held. It lacks what is missing before them, too.

    `gaps` as of `before_gaps`; what has come since then is none. Those of one `conversation`, or of any.
    """
    by = persons.terminal_number(db, terminal)
    gap = (
        "INSERT OR IGNORE INTO gaps (entry, terminal) SELECT e.number, ?1 FROM entries AS e JOIN missing AS m"
        " ON m.conversation = e.conversation AND m.parent = ?2 AND m.child = e.number"
        " JOIN conversations AS c ON c.number = e.conversation WHERE e.id = ?3 AND c.id = ifnull(?4, c.id)"
    )
    db.run_many(gap, [(by, previous, entry, conversation) for entry, previous in gaps])


def forget_gaps(db: Database, conversation: bytes, terminal: bytes) -> None:
    """A terminal may have got what it lacked of a conversation when it answered: it is asked again."""
    db.run(
        "DELETE FROM gaps WHERE terminal = (SELECT number FROM terminals WHERE terminal = ?)"
        " AND entry IN (SELECT m.child FROM missing AS m JOIN conversations AS c ON c.number = m.conversation"
        " WHERE c.id = ? AND m.chain)",
        *(terminal, conversation),
    )


PIECE: Final = 256
"""Sequences of a chain that one piece of work passes, some milliseconds."""


def lacking_piece(
    db: Database, conversation: bytes, mine: Collection[bytes], theirs: Collection[bytes]
) -> tuple[list[Position], set[bytes], set[bytes]]:
    """The newest entries that a peer with the heads `theirs` lacks of the chains that end in `mine`.

    Heads of other conversations count as unknown: an answer must not reveal that they are held.

    Returns their positions, in order, and both kinds of heads for the next piece. Nothing is left once those
    of `mine` are empty.
    """
    chain, found, left, covered = _lacking_piece(db, conversation, mine, theirs)
    return sorted(chain.position(entry) for entry in found), left, covered


Place = tuple[int, int, int]
"""Author, rank and number of an entry, all local."""


def lacking_places(
    db: Database, conversation: bytes, mine: Collection[bytes], theirs: Collection[bytes]
) -> tuple[list[Place], set[bytes], set[bytes]]:
    """As `lacking_piece`, with the places of the entries, the last ones of each chain first."""
    chain, found, left, covered = _lacking_piece(db, conversation, mine, theirs)
    return [chain.located(entry) for entry in found], left, covered


def _lacking_piece(
    db: Database, conversation: bytes, mine: Collection[bytes], theirs: Collection[bytes]
) -> tuple[_Piece, list[bytes], set[bytes], set[bytes]]:
    chain = _Piece(db, conversation, [*mine, *theirs])
    found = lacking(filter(chain.holds, mine), filter(chain.holds, theirs), chain)
    covered, left = chain.below(theirs), chain.below(mine, through=set(found))
    return chain, found, left - covered, covered


def held_heads(database: Database, conversation: bytes) -> list[Head]:
    """The heads to name of a conversation, sorted (SPEC §11.4)."""
    if contacts.conversation(database, conversation) is None:
        return []
    return named(_head(row) for row in heads(database, conversation))


def asking_heads(database: Database, conversation: bytes, terminal: bytes) -> list[Head]:
    """The heads to name to a terminal of the contact, which ask for what it may have (SPEC §11.4)."""
    held = [_head(row) for row in heads(database, conversation)]
    if missing := wanted(database, conversation, terminal):
        held = asking(held, [(_head(row), _head(before) if before else None) for row, before in missing])
    known = claims.ends(database, conversation)
    return with_claims(named(held), known, {row.author for row, _ in missing}) if known else named(held)


def _head(row: HeadRow) -> Head:
    return Head(row.author, row.sequence, row.id)


def not_held(database: Database, page: Heads) -> set[bytes]:
    """Ids of those heads of a page that are not held."""
    held = f"SELECT EXISTS (SELECT 1 FROM entries WHERE id = ? AND conversation NOT IN {REMOVED})"
    return {head.id for head in page.heads if not database.value(held, head.id)}


def heads_on(database: Database, page: Heads) -> list[bytes]:
    """Ids of the heads of the page's authors, to compare with the page."""
    return [head.id for head in on_page(page, held_heads(database, page.conversation))]


class _Piece:
    """protocol.history.Chain over the last PIECE sequences."""

    def __init__(self, db: Database, conversation: bytes, ends: Iterable[bytes]) -> None:
        self._db = db
        self._number = db.value("SELECT number FROM conversations WHERE id = ?", conversation)
        self._rows: dict[bytes, tuple[int, Place, bytes]] = {}
        self._bottom = max((self._sequence(entry) for entry in ends), default=0) - PIECE

    def holds(self, entry: bytes) -> bool:
        """Whether an entry is held and among these sequences."""
        return self._sequence(entry) > max(0, self._bottom)

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        if not self.holds(entry):
            return None
        sequence, _, previous = self._rows[entry]
        return sequence, previous

    def located(self, entry: bytes) -> Place:
        return self._rows[entry][1]

    def below(self, heads: Iterable[bytes], through: Set[bytes] | None = None) -> set[bytes]:
        """Where the chains of some heads go on below these sequences, at most `through` some entries."""
        seen, found = set[bytes](), set[bytes]()
        for entry in heads:
            above = math.inf
            while entry not in seen and self.holds(entry) and (through is None or entry in through):
                if self._sequence(entry) >= above:
                    break  # a chain ends before an entry whose sequence is not lower
                seen.add(entry)
                above, entry = self._sequence(entry), self._rows[entry][2]
            if self._sequence(entry) and not self.holds(entry):
                found.add(entry)
        return found

    def position(self, entry: bytes) -> Position:
        return self._rows[entry][1][1], entry

    def _sequence(self, entry: bytes) -> int:
        """Of an entry that is held, else 0."""
        if entry not in self._rows:
            held = (
                "SELECT sequence, author, rank, number, header FROM entries WHERE id = ? AND conversation = ?"
            )
            found = self._db.row(held, entry, self._number)
            if found is None:
                return 0
            sequence, author, rank, number, header = found
            check_header(self._db, entry, header)
            self._rows[entry] = sequence, (author, rank, number), ENTRY_HEADER.decode(header).previous
        return self._rows[entry][0]


# --- Uncovered entries ---

Evidence = tuple[bytes, bytes, tuple[bytes, ...]]
"""Ids of an author, of an entry, and of its rivals."""

_COVERED_ENDS: Final = (
    "SELECT t.terminal, e.sequence, e.id FROM entries AS e JOIN terminals AS t ON t.number = e.author"
    " WHERE e.number IN ("
    "SELECT entry FROM heads WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
    " EXCEPT SELECT entry FROM uncovered"
    # What is covered may be followed by uncovered entries only.
    " UNION SELECT d.parent FROM uncovered AS u JOIN edges AS d ON d.child = u.entry AND d.chain"
    " JOIN entries AS p ON p.number = d.parent"
    " WHERE p.conversation = (SELECT number FROM conversations WHERE id = ?)"
    " AND d.parent NOT IN (SELECT entry FROM uncovered) AND NOT EXISTS (SELECT 1 FROM edges AS c"
    " WHERE c.parent = d.parent AND c.chain AND c.child NOT IN (SELECT entry FROM uncovered))"
    ") ORDER BY t.terminal, e.sequence, e.id"
)


def heads(db: Database, conversation: bytes) -> list[HeadRow]:
    """The ends of all authors' chains, ascending, as if uncovered entries were not held."""
    return [HeadRow(*row) for row in db.rows(_COVERED_ENDS, conversation, conversation)]


def doubt(db: Database, passed_on: Sequence[Stored], own: Collection[bytes]) -> list[Stored]:
    """New entries that a terminal of this person passed on are uncovered, unless one of `own` wrote them.

    Returns all of them, those without rivals.
    """
    doubted = {one.number for one in passed_on if not one.filled and one.entry.header.author not in own}
    db.run_many("INSERT INTO uncovered (entry) VALUES (?)", [(number,) for number in doubted])
    quarantine.follow_cuts(db, doubted)
    return [one._replace(rivals=()) if one.number in doubted else one for one in passed_on]


COVERED_AT_ONCE: Final = 4_096
"""Entries of a chain that one comparison of heads covers. The next one covers more."""

_COVER: Final = (
    "WITH RECURSIVE covered (entry) AS (SELECT entry FROM uncovered AS u WHERE EXISTS (SELECT 1 FROM edges"
    " WHERE parent = u.entry AND chain AND child NOT IN (SELECT entry FROM uncovered))"
    " UNION SELECT u.entry FROM covered AS c JOIN edges AS d ON d.child = c.entry AND d.chain"
    " JOIN uncovered AS u ON u.entry = d.parent LIMIT ?)"
    " DELETE FROM uncovered WHERE entry IN (SELECT entry FROM covered) RETURNING entry"
)


def cover(db: Database, conversation: bytes, said: Iterable[Head | ParsedEntry]) -> list[Evidence]:
    """A contact has named these heads or passed these entries, and with them stands for what they lead to.

    It stands for nothing of another conversation, whose ids it may know. Returns what is evidence now.
    """
    if not has_uncovered(db):
        return []
    named = (
        "DELETE FROM uncovered WHERE entry = (SELECT number FROM entries WHERE id = ?"
        " AND conversation = (SELECT number FROM conversations WHERE id = ?)) RETURNING entry"
    )
    covered = [number for one in said for (number,) in db.rows(named, one.id, conversation)]
    covered += [number for (number,) in db.rows(_COVER, COVERED_AT_ONCE)]
    quarantine.follow_cuts(db, covered)
    amendments.covered(db, covered)
    return _with_rivals(db, covered)


def _with_rivals(db: Database, numbers: Collection[int]) -> list[Evidence]:
    """Those of some entries with rivals: author, id and `rivals`. None that is among earlier `rivals`."""
    found = db.rows(
        "SELECT t.terminal, e.id FROM entries AS e JOIN terminals AS t ON t.number = e.author"
        f" WHERE e.number IN (SELECT value FROM json_each(?)) AND {RIVALLED} ORDER BY e.number",
        json.dumps(list(numbers)),
    )
    with_theirs, named = list[Evidence](), set[bytes]()
    for author, entry in found:
        if entry not in named:
            with_theirs.append((author, entry, rivals(db, entry)))
            named.update(with_theirs[-1][2])
    return with_theirs


def has_uncovered(db: Database) -> bool:
    """Whether any entry is uncovered."""
    return bool(db.value("SELECT EXISTS (SELECT 1 FROM uncovered)"))


def is_uncovered(db: Database, entry: int) -> bool:
    """Whether nothing but a terminal of this person says that the contact wrote this entry, by number."""
    return bool(db.value("SELECT EXISTS (SELECT 1 FROM uncovered WHERE entry = ?)", entry))
