"""Entries of conversations: inserted once, read by page, by place and by what follows what (SPEC §11).

Rules: an entry is known by its id, and a second insert changes nothing; pages are in the order of the
conversation (rank, then id); validity is the caller's business, before an entry comes here. What is read is
checked against the hashes again: an older page that somebody put back may hold rows of another table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from chat.storage import conversations, order, terminals, words
from chat.storage.database import Database, Row
from chat.storage.errors import DatabaseDamaged
from chat.storage.forgetting import forget_one
from protocol import labels
from protocol.messages import ENTRY_HEADER, EntryHeader
from protocol.primitives import b2b

Position = tuple[int, bytes]
"""(rank, id): a place in the order of a conversation."""

BEGINNING: Final[Position] = (-(2**63), b"")
END: Final[Position] = (2**63 - 1, b"")

Stretch = tuple[int, int]
"""Sequences of an author's chain: from above the first to the second."""

WHOLE: Final[Stretch] = (0, 2**63 - 1)

COLUMNS: Final = (
    "SELECT e.number, e.id, c.id, t.terminal, e.incarnation, e.sequence, e.time, e.kind, e.rank, e.header,"
    " ifnull(b.salt, x''), ifnull(b.body, x'')"
    " FROM entries AS e JOIN conversations AS c ON c.number = e.conversation"
    " JOIN terminals AS t ON t.number = e.author"
    " LEFT JOIN bodies AS b ON b.entry = e.number AND NOT e.destroyed"
)


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to insert: `header` and `fields` are the same, as bytes and parsed; `id` is its hash.

    `salt` 16 bytes and `body`, both empty where they were deleted; `text` is what a search finds.
    """

    id: bytes
    header: bytes = field(repr=False)
    fields: EntryHeader = field(repr=False)
    salt: bytes = field(repr=False)
    body: bytes = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A held entry. `number` is local; `time` is the author's word, in milliseconds."""

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
        """Its place in the order of the conversation."""
        return self.rank, self.id

    @property
    def fields(self) -> EntryHeader:
        """The header, parsed."""
        return ENTRY_HEADER.decode(self.header)

    @property
    def previous(self) -> bytes:
        """The author's entry before it, 32 bytes, or b""."""
        return self.fields.previous

    @property
    def deleted(self) -> bool:
        """Whether salt and body are gone: deleted, here or where it came from."""
        return not self.salt


@dataclass(frozen=True, slots=True)
class HeadRow:
    """The end of an author's chain, as far as it is held."""

    author: bytes
    sequence: int
    id: bytes


def insert(db: Database, entry: NewEntry, *, unread: bool) -> bool:
    """Keep an entry; False where it is held already, and nothing has changed.

    Its rank, and those of held entries after it, come out the same whatever came first. A body that was
    lacking is taken, unless it was deleted here. Raises StorageMisuse for an unknown conversation.
    """
    found = db.row(
        "SELECT number, conversation, destroyed, salt FROM entries LEFT JOIN bodies ON entry = number"
        " WHERE id = ?",
        entry.id,
    )
    if found is not None:
        number, conversation, destroyed, salt = found
        return not (destroyed or salt) and _insert_body(db, number, conversation, entry)
    node = _insert_row(db, entry)
    _insert_body(db, node.number, node.conversation, entry)
    order.add(db, node, entry.id, entry.fields)
    if unread:
        db.run(
            "INSERT OR REPLACE INTO unread (entry, conversation) VALUES (?, ?)",
            node.number,
            node.conversation,
        )
    return True


def destroy(db: Database, entry: bytes) -> bool:
    """Delete salt, body and words for good and keep the header; `forgetting.clean` then cleans the file.

    There is nothing of it left to read, so it is not unread. False where there is nothing to delete.
    """
    number = db.value("SELECT number FROM entries WHERE id = ?", entry)
    db.run("UPDATE entries SET destroyed = 1 WHERE number = ?", number)
    db.run("DELETE FROM unread WHERE entry = ?", number)
    if not db.run("DELETE FROM bodies WHERE entry = ?", number):
        return False
    forget_one(db, number)
    return True


def _insert_body(db: Database, number: int, conversation: int, entry: NewEntry) -> bool:
    """Keep salt, body and words; False where the entry comes without."""
    if not entry.salt:
        return False
    insert_bodies(db, conversation, {number: entry})
    return True


def insert_bodies(db: Database, conversation: int, of: Mapping[int, NewEntry]) -> None:
    """Salt, body and words, by number, of a conversation's entries; nothing for those that come without."""
    held = {number: entry for number, entry in of.items() if entry.salt}
    bodies = ((number, entry.salt, entry.body) for number, entry in held.items())
    db.run_many("INSERT INTO bodies (entry, salt, body) VALUES (?, ?, ?)", bodies)
    texts = (
        (number, words.indexed(entry.text, conversation)) for number, entry in held.items() if entry.text
    )
    db.run_many("INSERT OR REPLACE INTO search (rowid, text) VALUES (?, ?)", texts)


def _insert_row(db: Database, entry: NewEntry) -> order.Node:
    conversation = conversations.number_of(db, entry.fields.conversation)
    author = terminals.number_of(db, entry.fields.author)
    number = insert_row(db, entry, conversation, author, entry.fields.time)
    return order.Node(number, conversation, author)


def insert_row(db: Database, entry: NewEntry, conversation: int, author: int, place: int) -> int:
    """The row of an entry that is not held, by local numbers and at a rank; its own number."""
    fields = entry.fields
    return db.insert(
        "INSERT INTO entries (id, conversation, author, incarnation, sequence, time, kind, rank, header)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        entry.id,
        conversation,
        author,
        fields.incarnation,
        fields.sequence,
        fields.time,
        fields.kind,
        place,
        entry.header,
    )


def get(db: Database, entry: bytes) -> EntryRow | None:
    """An entry by its id."""
    found = db.row(f"{COLUMNS} WHERE e.id = ?", entry)
    return None if found is None else read_row(db, found)


def page(db: Database, conversation: bytes, limit: int, before: Position | None = None) -> list[EntryRow]:
    """The newest `limit` entries before a position (or at the end), oldest first."""
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
    """The position from which on so many entries stand before another one, or the beginning."""
    found = db.row(
        "SELECT rank, id FROM entries WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
        " AND (rank, id) < (?, ?) ORDER BY rank DESC, id DESC LIMIT 1 OFFSET ?",
        conversation,
        *before,
        entries - 1,
    )
    return BEGINNING if found is None else (found[0], found[1])


def stretch_after(db: Database, conversation: bytes, author: bytes, sequence: int, entries: int) -> Stretch:
    """The sequences of an author's next so many entries after one, or of all that follow."""
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
    """The id of the first entry, in order, whose time (milliseconds) is not before this one."""
    # No rank is below its entry's time, so that the order's index leads near the place.
    found: bytes | None = db.value(
        "SELECT id FROM entries WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
        " AND rank >= ? AND time >= ? ORDER BY rank, id LIMIT 1",
        conversation,
        time,
        time,
    )
    return found


def tips(db: Database, conversation: bytes) -> list[bytes]:
    """Ids of the entries that no held entry names, ascending."""
    rows = db.rows(
        "SELECT e.id FROM tips AS p JOIN entries AS e ON e.number = p.entry"
        " WHERE p.conversation = (SELECT number FROM conversations WHERE id = ?) ORDER BY e.id",
        conversation,
    )
    return [row[0] for row in rows]


def heads(db: Database, conversation: bytes) -> list[HeadRow]:
    """The ends of all authors' chains, ascending; more than one of an author where its chain forked."""
    rows = db.rows(
        "SELECT t.terminal, e.sequence, e.id FROM heads AS h JOIN entries AS e ON e.number = h.entry"
        " JOIN terminals AS t ON t.number = e.author"
        " WHERE h.conversation = (SELECT number FROM conversations WHERE id = ?)"
        " ORDER BY t.terminal, e.sequence, e.id",
        conversation,
    )
    return [HeadRow(*row) for row in rows]


def last_by(db: Database, conversation: bytes, author: bytes) -> HeadRow | None:
    """The author's head of the highest sequence: the `previous` of what it writes next."""
    return max(
        (head for head in heads(db, conversation) if head.author == author),
        key=lambda head: (head.sequence, head.id),
        default=None,
    )


def evidence(db: Database) -> list[tuple[bytes, ...]]:
    """Groups of ids that share a place: what no honest terminal writes."""
    places = db.rows(
        "SELECT min(number) FROM entries GROUP BY conversation, author, sequence, incarnation"
        " HAVING count(*) > 1"
    )
    return sorted(tuple(sorted(_at_place_of(db, number))) for (number,) in places)


def _at_place_of(db: Database, number: int) -> list[bytes]:
    """Ids of the entries of one author, incarnation and sequence of one conversation."""
    rows = db.rows(
        "SELECT o.id FROM entries AS e JOIN entries AS o ON o.conversation = e.conversation"
        " AND o.author = e.author AND o.sequence = e.sequence AND o.incarnation = e.incarnation"
        " WHERE e.number = ?",
        number,
    )
    return [row[0] for row in rows]


def read_row(db: Database, found: Row) -> EntryRow:
    """A row of COLUMNS. Raises DatabaseDamaged where header or content are not what the id stands for."""
    row = EntryRow(*found)
    if not all(isinstance(value, bytes) for value in (row.header, row.salt, row.body)):
        raise DatabaseDamaged(db.path)
    if b2b(row.header, personal=labels.ENTRY) != row.id:
        raise DatabaseDamaged(db.path)
    if row.salt and b2b(row.salt + row.body, personal=labels.CONTENT) != row.fields.content:
        raise DatabaseDamaged(db.path)
    return row
