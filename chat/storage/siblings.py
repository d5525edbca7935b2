"""What own terminals compare and pass on of a conversation: heads, marks, and what a contact lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from chat.storage import contacts, expiry, persons, receipts, repair
from chat.storage.database import Database
from chat.storage.entries import SHOWN, EntryRow, HeadRow, get
from chat.storage.expiry import Moment
from protocol.entries_and_receipts import READ, STORED, heads_hash
from protocol.history import asking, named, on_page
from protocol.limits import MARKED_MAX
from protocol.messages import Digest, Head, Heads
from protocol.own_terminals import READ_UNTOLD, Mark, marks_hash

_HEADS = (
    "SELECT t.terminal, e.sequence, e.id FROM heads AS h JOIN entries AS e ON e.number = h.entry"
    " JOIN terminals AS t ON t.number = e.author"
    " WHERE h.conversation = (SELECT number FROM conversations WHERE id = ?)"
    " ORDER BY t.terminal, e.sequence, e.id"
)


def held_heads(db: Database, conversation: bytes) -> list[Head]:
    """The heads to name to an own terminal, uncovered ones included."""
    return named(Head(*row) for row in db.rows(_HEADS, conversation))


def asking_heads(db: Database, conversation: bytes, terminal: bytes) -> list[Head]:
    """The heads to name to this own terminal, which ask for what it may have."""
    held = [Head(*row) for row in db.rows(_HEADS, conversation)]
    if missing := repair.wanted(db, conversation, terminal, own=True):
        held = asking(held, [(_head(row), _head(before) if before else None) for row, before in missing])
    return named(held)


def _head(row: HeadRow) -> Head:
    return Head(row.author, row.sequence, row.id)


def heads_on(db: Database, page: Heads) -> list[bytes]:
    """Ids of the heads of the page's authors, to compare with the page."""
    return [head.id for head in on_page(page, held_heads(db, page.conversation))]


def digests(db: Database, conversations: Iterable[tuple[bytes, bytes]], terminal: bytes) -> list[Digest]:
    """The digests, ascending, of conversations, each with its contact, for this own terminal."""
    return [
        Digest(
            conversation,
            heads_hash(conversation, asking_heads(db, conversation, terminal)),
            marks_hash(conversation, newest_marks(db, conversation, contact)),
        )
        for conversation, contact in sorted(conversations)
    ]


_MARKS = (
    "SELECT e.id, t.terminal, r.kind FROM entries AS e JOIN receipts AS r ON r.entry = e.number"
    " JOIN terminals AS t ON t.number = r.terminal"
    f" WHERE (r.kind IN ({READ}, {READ_UNTOLD}) AND r.terminal IN (SELECT terminal FROM person_terminals"
    " WHERE person = (SELECT person FROM own WHERE id = 1))"
    f" OR r.kind IN ({STORED}, {READ}) AND r.terminal IN (SELECT terminal FROM person_terminals"
    " WHERE person = ?))"
)


def newest_marks(db: Database, conversation: bytes, contact: bytes) -> list[Mark]:
    """The marks of the newest MARKED_MAX entries that have a line of their own."""
    newest = (
        " AND e.number IN (SELECT number FROM entries"
        " WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
        f" AND {SHOWN} ORDER BY rank DESC, id DESC LIMIT {MARKED_MAX})"
    )
    return [Mark(*row) for row in db.rows(_MARKS + newest, contact, conversation)]


def marks_of(db: Database, ids: Collection[bytes], contact: bytes) -> list[Mark]:
    """The marks of at most a few hundred entries."""
    some = f" AND e.id IN ({','.join('?' * len(ids))})"
    return [Mark(*row) for row in db.rows(_MARKS + some, contact, *ids)]


def in_order(db: Database, ids: Iterable[bytes]) -> list[EntryRow]:
    """Entries in the order of their conversation."""
    rows = [row for entry in ids if (row := get(db, entry)) is not None]
    return sorted(rows, key=lambda row: row.position)


def with_marks(db: Database, ids: Sequence[bytes], contact: bytes) -> tuple[list[EntryRow], list[Mark]]:
    """At most a few hundred entries in the order of their conversation, and the marks of them."""
    return in_order(db, ids), marks_of(db, ids, contact)


def unacknowledged(db: Database, ids: Sequence[bytes], contact: bytes) -> list[bytes]:
    """Those of some entries that own terminals wrote and no terminal of the contact has acknowledged."""
    own = [
        row[0]
        for row in db.rows(
            "SELECT t.terminal FROM person_terminals AS p JOIN terminals AS t ON t.number = p.terminal"
            " WHERE p.person = (SELECT person FROM own WHERE id = 1)"
        )
    ]
    waiting = set[bytes]()
    for terminal in own:
        waiting |= receipts.awaiting(db, ids, terminal, contact)
    return [entry for entry in ids if entry in waiting]


def read_elsewhere(
    db: Database,
    conversation: bytes,
    ids: Sequence[bytes],
    mark: tuple[bytes, int],
    moment: Moment,
) -> tuple[bool, int, bool]:
    """Another own terminal (id) marked entries as read, with this kind.

    Returns whether that is new, the number of unread ones, and whether one that was unread has a timer.
    """
    terminal, kind = mark
    fresh = receipts.mark_read(db, conversation, ids, terminal, moment.wall, told=kind == READ)
    timed = expiry.count_from_now(db, fresh, moment)
    # What was read here, too, keeps both marks: then the terminals agree about them.
    number = persons.terminal_number(db, terminal)
    talk = contacts.find_conversation_number(db, conversation)
    add = (
        "INSERT OR IGNORE INTO receipts (entry, terminal, kind, time)"
        " SELECT number, ?, ?, ? FROM entries WHERE id = ? AND conversation = ?"
        " AND author NOT IN (SELECT terminal FROM person_terminals"
        " WHERE person = (SELECT person FROM own WHERE id = 1))"
    )
    added = db.run_many(add, [(number, kind, moment.wall, entry, talk) for entry in ids])
    return bool(fresh) or added > 0, receipts.unread(db, conversation), timed
