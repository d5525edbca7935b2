"""Stores entries and reads them by page, position and chain (SPEC §11). Callers verify entries before.

Rows are checked against their hashes when read, since an older page that was put back may contain other rows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import Final

from chat.storage import contacts, ordering, persons
from chat.storage.database import Database, Row
from chat.storage.errors import DatabaseDamaged, StorageMisuse
from chat.storage.search_index import forget_one
from protocol import labels
from protocol.entries import STORED, ParsedEntry
from protocol.messages import ENTRY_HEADER, EntryHeader
from protocol.primitives import b2b

Position = tuple[int, bytes]  # (rank, id): a position in a conversation
BEGINNING: Final[Position] = (-(2**63), b"")
END: Final[Position] = (2**63 - 1, b"")

Stretch = tuple[int, int]
"""A range of sequences in an author's chain, without the first number and with the second."""

WHOLE: Final[Stretch] = (0, 2**63 - 1)

COLUMNS: Final = (
    "SELECT e.number, e.id, c.id, t.terminal, e.incarnation, e.sequence, e.time, e.kind, e.rank, e.header,"
    " ifnull(b.salt, x''), ifnull(b.body, x'')"
    " FROM entries AS e JOIN conversations AS c ON c.number = e.conversation"
    " JOIN terminals AS t ON t.number = e.author"
    " LEFT JOIN bodies AS b ON b.entry = e.number AND NOT e.destroyed"
)


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A held entry. `number` is local. `time` is the author's claim, in milliseconds."""

    number: int
    id: bytes
    conversation: bytes
    author: bytes
    incarnation: bytes
    sequence: int
    time: int
    kind: int
    rank: int
    header: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def position(self) -> Position:
        return self.rank, self.id

    @property
    def fields(self) -> EntryHeader:
        return ENTRY_HEADER.decode(self.header)

    @property
    def previous(self) -> bytes:
        """The id of the author's previous entry, or b""."""
        return self.fields.previous

    @property
    def deleted(self) -> bool:
        """Whether salt and body were deleted, here or at the source."""
        return not self.salt


@dataclass(frozen=True, slots=True)
class HeadRow:
    """The last held entry of an author's chain."""

    author: bytes
    sequence: int
    id: bytes


# --- Inserting ---


def insert_all(
    db: Database,
    new: Sequence[ParsedEntry],
    own_terminal: bytes,
    *,
    contact: bytes | None = None,
    stored: int | None = None,
) -> list[tuple[int, ParsedEntry]]:
    """Store entries in order. Returns number and entry of those that are new or add a missing body.

    Entries of authors other than `own_terminal` become unread. `contact` is the other person of a
    conversation that may have to be created; without it StorageMisuse is raised. `stored` is the time in
    milliseconds of this terminal's receipts for the entries, None without receipts.
    """
    if not new:
        return []
    batch = _Batch(db, new, own_terminal, contact, stored)
    news = [(number, entry) for entry in new if (number := batch.add(entry)) is not None]
    batch.write()
    return news


_CONVERSATION_STATE: Final = (
    "SELECT c.number, l.last, EXISTS (SELECT 1 FROM missing WHERE conversation = c.number)"
    " OR EXISTS (SELECT 1 FROM edges WHERE parent > l.last)"
    " OR EXISTS (SELECT 1 FROM tips WHERE entry > l.last)"
    " OR EXISTS (SELECT 1 FROM heads WHERE entry > l.last)"
    " OR EXISTS (SELECT 1 FROM unread WHERE entry > l.last)"
    " OR EXISTS (SELECT 1 FROM search WHERE rowid > l.last)"
    " FROM conversations AS c, (SELECT ifnull(max(number), 0) AS last FROM entries) AS l WHERE c.id = ?"
)
"""Numbers of a conversation and of the last entry, and whether `_Batch` must not take its fast path: an entry
is missing, or an older page that was put back contains rows of entries with higher numbers."""

_NOT_HELD: Final = (0, 0, 0)


class _Batch:
    """Collects plain entries and writes them table by table in `write`, which is much faster than one by one.

    A plain entry is new, its conversation lacks no entry, and it names only held entries or earlier ones of
    the batch. Every other entry goes through `insert`, in order.
    """

    def __init__(
        self,
        db: Database,
        new: Sequence[ParsedEntry],
        own_terminal: bytes,
        contact: bytes | None,
        stored: int | None,
    ) -> None:
        self._db, self._own_terminal, self._stored = db, own_terminal, stored
        self._conversation = new[0].header.conversation
        state = db.row(_CONVERSATION_STATE, self._conversation)
        if state is None and contact is not None:
            contacts.ensure_conversation(db, self._conversation, contacts.TWO, contact)
            state = db.row(_CONVERSATION_STATE, self._conversation)
        if state is None:
            raise StorageMisuse("no such conversation: see ensure_conversation")
        self._number: int = state[0]
        self._last: int = state[1]
        self._plain = not state[2]
        asked: set[bytes] = set()
        authors = {own_terminal}
        for entry in new:
            header = entry.header
            asked.update((entry.id, header.previous), header.parents)
            authors.add(header.author)
        places = _chunked(db, "SELECT id, number, conversation, author, rank FROM entries WHERE id IN", asked)
        self._held = dict[bytes, tuple[int, int, int]]()
        for held, number, named, author, rank in places:
            # Entries of another conversation get no edge, so that naming them reveals nothing to a peer.
            self._held[held] = number if named == self._number else 0, author, rank
        known = _chunked(db, "SELECT terminal, number FROM terminals WHERE terminal IN", authors)
        self._terminals: dict[bytes, int] = dict(known)
        self._own = 0  # the own terminal's number, needed for receipts only
        if stored is not None:
            self._own = self._terminals.get(own_terminal) or self._new_terminal(own_terminal)
        self._added: dict[int, ParsedEntry] = {}
        self._rows: list[Row] = []
        self._edges: list[tuple[int, int, int]] = []
        self._unread: list[Row] = []
        self._receipts: list[Row] = []

    def add(self, entry: ParsedEntry) -> int | None:
        """Add an entry. Returns its number, or None if nothing changes."""
        header, held = entry.header, self._held
        author = self._terminals.get(header.author) or self._new_terminal(header.author)
        plain = self._plain and entry.id not in held and header.conversation == self._conversation
        place, edges, number = header.time, [], self._last + 1
        if plain:
            for parent in (header.previous, *header.parents) if header.previous else header.parents:
                before, by, rank = held.get(parent, _NOT_HELD)
                if not before:
                    plain = False
                    break
                edges.append((before, number, int(parent == header.previous and by == author)))
                if rank >= place:
                    place = rank + 1
        if not plain:
            return self._insert(entry)
        self._last = number
        held[entry.id] = number, author, place
        self._added[number] = entry
        self._edges += edges
        self._rows.append(_as_row(entry, number, self._number, author, place))
        if header.author != self._own_terminal:
            self._unread.append((number, self._number))
        if self._stored is not None:
            self._receipts.append((number, self._own, STORED, self._stored))
        return number

    def _insert(self, entry: ParsedEntry) -> int | None:
        # `insert` must find all entries that came before.
        self.write()
        self._plain = self._plain and entry.id in self._held
        number = insert(self._db, entry, unread=entry.header.author != self._own_terminal)
        if number is not None and self._stored is not None:
            self._receipts.append((number, self._own, STORED, self._stored))
        return number

    def _new_terminal(self, terminal: bytes) -> int:
        self._terminals[terminal] = number = persons.terminal_number(self._db, terminal)
        return number

    def write(self) -> None:
        """Write the collected rows.

        The search index comes last, since FTS5 flushes it before every statement that may be rolled back.
        """
        db, added, conversation = self._db, self._added, self._number
        if added:
            db.run_many(_INSERT, self._rows)
            _write_edges(db, conversation, added, self._edges)
            if self._unread:
                db.run_many("INSERT INTO unread (entry, conversation) VALUES (?, ?)", self._unread)
        if self._receipts:
            db.run_many(
                "INSERT OR IGNORE INTO receipts (entry, terminal, kind, time) VALUES (?, ?, ?, ?)",
                self._receipts,
            )
        if added:
            _insert_bodies(db, conversation, added)
        self._added, self._rows, self._edges, self._unread, self._receipts = {}, [], [], [], []


_INSERT: Final = (
    "INSERT INTO entries (number, id, conversation, author, incarnation, sequence, time, kind, rank, header)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _as_row(
    entry: ParsedEntry, number: int | None, conversation: int, author: int, place: int
) -> tuple[object, ...]:
    header = entry.header
    claimed = header.incarnation, header.sequence, header.time, header.kind
    return (number, entry.id, conversation, author, *claimed, place, entry.header_bytes)


def _write_edges(
    db: Database, conversation: int, new: Mapping[int, ParsedEntry], edges: Sequence[tuple[int, int, int]]
) -> None:
    """Write edges (parent, child, chain) of new entries that no held one names; update tips and heads."""
    answered, followed = set[int](), set[int]()
    for parent, _, chain in edges:
        answered.add(parent)
        if chain:
            followed.add(parent)
    if edges:
        db.run_many("INSERT OR REPLACE INTO edges (parent, child, chain) VALUES (?, ?, ?)", edges)
    for table, ended in (("tips", answered), ("heads", followed)):
        if over := ended.difference(new):
            db.run_many(f"DELETE FROM {table} WHERE entry = ?", zip(over))
        if left := new.keys() - ended:
            ends = zip(sorted(left), repeat(conversation))
            db.run_many(f"INSERT OR REPLACE INTO {table} (entry, conversation) VALUES (?, ?)", ends)


def _insert_bodies(db: Database, conversation: int, of: Mapping[int, ParsedEntry]) -> None:
    """Write salts, bodies and search rows of a conversation's entries, by number, if not deleted."""
    bodies, texts = list[Row](), list[Row]()
    for number, entry in of.items():
        if entry.salt:
            bodies.append((number, entry.salt, entry.body))
            if entry.said is not None:
                texts.append((number, indexed(entry.said.text, conversation)))
    db.run_many("INSERT INTO bodies (entry, salt, body) VALUES (?, ?, ?)", bodies)
    db.run_many("INSERT INTO search (rowid, text) VALUES (?, ?)", texts)


def insert(db: Database, entry: ParsedEntry, *, unread: bool) -> int | None:
    """Store an entry. Returns its number, or None if it is held already and nothing changes.

    Ranks do not depend on the order of arrival. A missing body is added unless it was deleted here. Raises
    StorageMisuse for an unknown conversation.
    """
    found = db.row(
        "SELECT number, conversation, destroyed, salt FROM entries LEFT JOIN bodies ON entry = number"
        " WHERE id = ?",
        entry.id,
    )
    if found is not None:
        number, conversation, destroyed, salt = found
        if destroyed or salt or not entry.salt:
            return None
        _insert_one_body(db, number, conversation, entry)
        return int(number)
    header = entry.header
    conversation = contacts.conversation_number(db, header.conversation)
    author = persons.terminal_number(db, header.author)
    number = db.insert(_INSERT, *_as_row(entry, None, conversation, author, header.time))
    _insert_one_body(db, number, conversation, entry)
    ordering.add(db, ordering.Node(number, conversation, author), entry.id, header)
    if unread:
        db.run("INSERT OR REPLACE INTO unread (entry, conversation) VALUES (?, ?)", number, conversation)
    return number


def _insert_one_body(db: Database, number: int, conversation: int, entry: ParsedEntry) -> None:
    db.run("DELETE FROM search WHERE rowid = ?", number)  # a row of an older page that was put back
    _insert_bodies(db, conversation, {number: entry})


def destroy(db: Database, entry: bytes) -> bool:
    """Delete salt, body and search row of an entry, which is then no longer unread. The header remains.

    `search_index.clean_file` must follow. False if there is nothing to delete.
    """
    number = db.value("SELECT number FROM entries WHERE id = ?", entry)
    db.run("UPDATE entries SET destroyed = 1 WHERE number = ?", number)
    db.run("DELETE FROM unread WHERE entry = ?", number)
    if not db.run("DELETE FROM bodies WHERE entry = ?", number):
        return False
    forget_one(db, number)
    return True


def get(db: Database, entry: bytes) -> EntryRow | None:
    found = db.row(f"{COLUMNS} WHERE e.id = ?", entry)
    return None if found is None else read_row(db, found)


def page(db: Database, conversation: bytes, limit: int, before: Position | None = None) -> list[EntryRow]:
    """The newest `limit` entries, optionally before a position, oldest first."""
    found = db.rows(
        f"{COLUMNS} WHERE e.conversation = (SELECT number FROM conversations WHERE id = ?)"
        " AND (e.rank, e.id) < (?, ?) ORDER BY e.rank DESC, e.id DESC LIMIT ?",
        conversation,
        *(before or END),
        limit,
    )
    return [read_row(db, row) for row in reversed(found)]


def page_after(db: Database, conversation: bytes, limit: int, position: Position) -> list[EntryRow]:
    """The oldest `limit` entries after a position, oldest first."""
    found = db.rows(
        f"{COLUMNS} WHERE e.conversation = (SELECT number FROM conversations WHERE id = ?)"
        " AND (e.rank, e.id) > (?, ?) ORDER BY e.rank, e.id LIMIT ?",
        conversation,
        *position,
        limit,
    )
    return [read_row(db, row) for row in found]


def place_before(db: Database, conversation: bytes, before: Position, entries: int) -> Position:
    """The position `entries` entries before another one, or BEGINNING."""
    found = db.row(
        "SELECT rank, id FROM entries WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
        " AND (rank, id) < (?, ?) ORDER BY rank DESC, id DESC LIMIT 1 OFFSET ?",
        conversation,
        *before,
        entries - 1,
    )
    return BEGINNING if found is None else (found[0], found[1])


def stretch_after(db: Database, conversation: bytes, author: bytes, sequence: int, entries: int) -> Stretch:
    """The range of an author's next `entries` entries after a sequence, or of all that follow."""
    found = db.value(
        "SELECT sequence FROM entries WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
        " AND author = (SELECT number FROM terminals WHERE terminal = ?) AND sequence > ?"
        " ORDER BY sequence LIMIT 1 OFFSET ?",
        conversation,
        author,
        sequence,
        entries - 1,
    )
    return sequence, WHOLE[1] if found is None else found


def at_time(db: Database, conversation: bytes, time: int) -> bytes | None:
    """The id of the first entry in order with at least this time (milliseconds)."""
    # A rank is at least the time of its entry, so the index by rank applies.
    found: bytes | None = db.value(
        "SELECT id FROM entries WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
        " AND rank >= ? AND time >= ? ORDER BY rank, id LIMIT 1",
        conversation,
        time,
        time,
    )
    return found


def tips(db: Database, conversation: bytes) -> list[bytes]:
    """Ids of entries that no held entry names, ascending."""
    rows = db.rows(
        "SELECT e.id FROM tips AS p JOIN entries AS e ON e.number = p.entry"
        " WHERE p.conversation = (SELECT number FROM conversations WHERE id = ?) ORDER BY e.id",
        conversation,
    )
    return [row[0] for row in rows]


def heads(db: Database, conversation: bytes) -> list[HeadRow]:
    """Heads of all authors, ascending. An author has several if its chain forked."""
    rows = db.rows(
        "SELECT t.terminal, e.sequence, e.id FROM heads AS h JOIN entries AS e ON e.number = h.entry"
        " JOIN terminals AS t ON t.number = e.author"
        " WHERE h.conversation = (SELECT number FROM conversations WHERE id = ?)"
        " ORDER BY t.terminal, e.sequence, e.id",
        conversation,
    )
    return [HeadRow(*row) for row in rows]


def last_by(db: Database, conversation: bytes, author: bytes) -> HeadRow | None:
    """The author's head with the highest sequence, which is the `previous` of its next entry."""
    found = db.row(
        "SELECT t.terminal, e.sequence, e.id FROM heads AS h JOIN entries AS e ON e.number = h.entry"
        " JOIN terminals AS t ON t.number = e.author"
        " WHERE h.conversation = (SELECT number FROM conversations WHERE id = ?) AND t.terminal = ?"
        " ORDER BY e.sequence DESC, e.id DESC LIMIT 1",
        conversation,
        author,
    )
    return None if found is None else HeadRow(*found)


def evidence(db: Database) -> list[tuple[bytes, ...]]:
    """Groups of ids with the same conversation, author, incarnation and sequence, which are dishonest."""
    twice = db.rows(
        "SELECT conversation, author, sequence, incarnation FROM entries"
        " GROUP BY conversation, author, sequence, incarnation HAVING count(*) > 1"
    )
    same = "SELECT id FROM entries WHERE (conversation, author, sequence, incarnation) = (?, ?, ?, ?)"
    return sorted(tuple(sorted(entry for (entry,) in db.rows(same, *place))) for place in twice)


def check_header(db: Database, entry: bytes, header: bytes) -> None:
    """Raises DatabaseDamaged unless an id is the hash of the header."""
    if b2b(header, personal=labels.ENTRY) != entry:
        raise DatabaseDamaged(db.path)


def read_row(db: Database, found: Row) -> EntryRow:
    """A row of COLUMNS. Raises DatabaseDamaged if header or content do not match the id."""
    row = EntryRow(*found)
    if not all(isinstance(value, bytes) for value in (row.header, row.salt, row.body)):
        raise DatabaseDamaged(db.path)
    check_header(db, row.id, row.header)
    if row.salt and b2b(row.salt + row.body, personal=labels.CONTENT) != row.fields.content:
        raise DatabaseDamaged(db.path)
    return row


_IDS_MAX: Final = 256  # values per query


def _chunked(db: Database, query: str, values: Collection[bytes]) -> list[Row]:
    """The rows of a query that ends with IN, for any number of values."""
    found: list[Row] = []
    asked = iter(values)
    while some := tuple(islice(asked, _IDS_MAX)):
        found += db.rows(f"{query} ({','.join('?' * len(some))})", *some)
    return found


# --- Text in the search index ---

_APART: Final = re.compile(
    "["
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Myanmar, Khmer
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"  # Hangul: particles hang on the word
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u312f\u3190-\u31ff"  # radicals, kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # CJK ideographs
    "]"
)

# The tokenizer's tables are of Unicode 6.1 and have these as separators. They are indexed as words that no
# text contains: a private-use character and the code point.
_SPELLED: Final = re.compile("[\u2190-\u2bff\U00010000-\U0010ffff]")
PRIVATE: Final = "\ue000"
CONVERSATION: Final = f"{PRIVATE}t"
"""Prefix of the word for the number of a conversation, which no text contains."""


def spaced(text: str) -> str:
    """Text normalized for the index: NFKC, case-folded, scripts without spaces split into characters."""
    if text.isascii():
        return text.lower().replace("\x00", " ")
    plain = unicodedata.normalize("NFKC", text).casefold().replace(PRIVATE, " ").replace("\x00", " ")
    return _SPELLED.sub(_spell, _APART.sub(r" \g<0> ", plain))


def indexed(text: str, conversation: int) -> str:
    """A row of the index: the text, and a word for the conversation."""
    return f"{spaced(text)} {CONVERSATION}{conversation}"


def _spell(match: re.Match[str]) -> str:
    return f" {PRIVATE}{ord(match[0]):x} "
