"""What own terminals compare and pass on of a conversation: heads, marks, and what a contact lacks."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from chat.storage import claims, contacts, expiry, persons, receipts, repair, signatures
from chat.storage.database import Database, Row
from chat.storage.entries import (
    BEGINNING,
    BY_CONTACT,
    COLUMNS,
    SHOWN,
    EntryRow,
    HeadRow,
    Position,
    Stored,
    check_header,
    get,
    held_among,
    read_row,
)
from chat.storage.expiry import Moment
from chat.storage.ordering import apart
from protocol.entries_and_receipts import (
    KIND_BOT,
    KIND_DELETE,
    KIND_EDIT,
    KIND_STATE,
    KIND_TIMER,
    READ,
    STORED,
    Signed,
    conversation_of_two,
    heads_hash,
    receipt_for,
)
from protocol.history import asking, lacking, named, on_page
from protocol.limits import HEADS_PER_AUTHOR_MAX, MARKED_MAX
from protocol.messages import ENTRY_HEADER, Digest, Head, Heads
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


def asking_heads(
    db: Database, conversation: bytes, terminal: bytes, *, signatures: bool = True
) -> list[Head]:
    """The heads to name to this own terminal, which ask for what it may have.

    A digest has those without `signatures`: else it would be that of a terminal without the entries.
    """
    held = [Head(*row) for row in db.rows(_HEADS, conversation)]
    if missing := repair.wanted(db, conversation, terminal, own=True, signatures=signatures):
        held = asking(held, [(_head(row), _head(before) if before else None) for row, before in missing])
    return named(held)


def _head(row: HeadRow) -> Head:
    return Head(row.author, row.sequence, row.id)


def heads_on(db: Database, page: Heads) -> list[bytes]:
    """Ids of the heads of the page's authors, to compare with the page."""
    return [head.id for head in on_page(page, held_heads(db, page.conversation))]


def digests(
    db: Database,
    conversations: Iterable[tuple[bytes, bytes]],
    terminal: bytes,
    held: Mapping[bytes, int],
) -> list[Digest]:
    """The digests, ascending, of conversations, each with its contact, for this own terminal.

    `held`: by conversation, how many entries are held (`count`).
    """
    return [
        Digest(
            conversation,
            heads_hash(conversation, asking_heads(db, conversation, terminal, signatures=False)),
            marks_hash(conversation, newest_marks(db, conversation, contact)),
            held.get(conversation, 0) - claims.count(db, conversation),
            gaps(db, conversation),
            answered=False,
        )
        for conversation, contact in sorted(conversations)
    ]


GAPS_COUNTED: Final = 4_096
"""Gaps of a conversation that are counted. The contact can make any number of them."""


def gaps(db: Database, conversation: bytes) -> int:
    """How many entries of a conversation lack the one before them in their author's chain."""
    found = (
        "SELECT count(*) FROM (SELECT 1 FROM missing"
        " WHERE conversation = (SELECT number FROM conversations WHERE id = ?) AND chain LIMIT ?)"
    )
    return int(db.value(found, conversation, GAPS_COUNTED))


COUNTED: Final = 4_096
"""Entries that one piece of work on the disk counts: a few milliseconds, for which users wait."""


def count(db: Database, after: int) -> tuple[dict[bytes, int], int, int]:
    """How many of the entries after a number are of each conversation, at most COUNTED of them.

    Returns the number of the last one that was counted, and that of the last one held.
    """
    last = newest_number(db)
    through = min(after + COUNTED, last)
    found = (
        "SELECT c.id, n.held FROM (SELECT conversation, count(*) AS held FROM entries"
        " WHERE number > ? AND number <= ? GROUP BY conversation) AS n"
        " JOIN conversations AS c ON c.number = n.conversation"
    )
    return dict(db.rows(found, after, through)), through, last


def newest_number(db: Database) -> int:
    """The number of the last entry that was stored, 0 without any."""
    return int(db.value("SELECT ifnull(max(number), 0) FROM entries"))


_MARKS = (
    "SELECT e.id, t.terminal, r.kind FROM entries AS e JOIN receipts AS r ON r.entry = e.number"
    " JOIN terminals AS t ON t.number = r.terminal"
    f" WHERE (r.kind IN ({READ}, {READ_UNTOLD}) AND r.terminal IN (SELECT terminal FROM person_terminals"
    " WHERE person = (SELECT person FROM own WHERE id = 1))"
    f" OR r.kind IN ({STORED}, {READ}) AND r.terminal IN (SELECT terminal FROM person_terminals"
    " WHERE person = ?))"
)


_MARKED: Final = (
    "SELECT number FROM entries WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
    f" AND {SHOWN} AND NOT {apart('number')} ORDER BY rank DESC, id DESC LIMIT {MARKED_MAX}"
)


def newest_marks(db: Database, conversation: bytes, contact: bytes) -> list[Mark]:
    """The marks of the newest MARKED_MAX entries that have a line of their own."""
    newest = f" AND e.number IN ({_MARKED})"
    return [Mark(*row) for row in db.rows(_MARKS + newest, contact, conversation)]


def marks_of(db: Database, ids: Collection[bytes], contact: bytes) -> list[Mark]:
    """The marks of at most a few hundred entries."""
    some = f" AND e.id IN ({','.join('?' * len(ids))})"
    return [Mark(*row) for row in db.rows(_MARKS + some, contact, *ids)]


def marked_since(db: Database, last: int, most: int, since: int) -> dict[bytes, list[bytes]]:
    """By conversation the entries of which marks were stored since a time (milliseconds), but for the newest.

    Only those among the `most` entries up to the number `last` are looked at.
    """
    found = (
        "SELECT c.id, e.number, e.id FROM entries AS e JOIN conversations AS c ON c.number = e.conversation"
        f" WHERE e.number > ? AND e.number <= ? AND NOT {apart('e.number')}"
        " AND EXISTS (SELECT 1 FROM receipts AS r WHERE r.entry = e.number AND r.time >= ?)"
    )
    marked = defaultdict[bytes, dict[int, bytes]](dict)
    for conversation, number, entry in db.rows(found, last - most, last, since):
        marked[conversation][number] = entry
    for conversation, entries in marked.items():
        for (number,) in db.rows(_MARKED, conversation):
            entries.pop(number, None)
    return {conversation: list(entries.values()) for conversation, entries in marked.items()}


NEWEST: Final = 50
"""Entries with a line of their own that go first to another own terminal: somewhat more than a screen."""

AMENDING: Final = 206
"""Deletes and edits since the first of these that go with them. The contact can write any number of them."""

_FIRST: Final = (
    "SELECT number, id, sequence, rank, header, author FROM entries"
    " WHERE conversation = (SELECT number FROM conversations WHERE id = ?1)"
    f" AND NOT {apart('number')}"
)


_AMENDS: Final = f"kind IN ({KIND_DELETE}, {KIND_EDIT}, {KIND_STATE})"
"""What has no line of its own, as the index by rank of these has it."""


def latest(db: Database, conversation: bytes) -> int:
    """The rank of the last entry with a line of its own: the greater, the later somebody wrote."""
    held = (
        "SELECT max(rank) FROM entries WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
        f" AND {SHOWN}"
    )
    return int(db.value(held, conversation) or 0)


def newest(
    db: Database, conversation: bytes, mine: Collection[bytes], theirs: Collection[bytes]
) -> list[int]:
    """The entries that go first, by number, of those that an own terminal with the heads `theirs` lacks.

    They are the NEWEST last ones with a line of their own, what amends them, and the last timer and bot.
    """
    lines = f"{_FIRST} AND {SHOWN} ORDER BY rank DESC, id DESC LIMIT ?2"
    found = db.rows(lines, conversation, NEWEST)
    if not found:
        return []
    first = (found[-1][3], found[-1][1]) if len(found) == NEWEST else BEGINNING
    since = f"{_FIRST} AND {_AMENDS} AND (rank, id) > (?2, ?3) ORDER BY rank DESC, id DESC LIMIT ?4"
    chain = _Newest(db, [*found, *db.rows(since, conversation, *first, AMENDING)])
    numbers = [chain.numbers[entry] for entry in lacking(mine, theirs, chain)]
    said = [_last(db, conversation, theirs, kind) for kind in (KIND_TIMER, KIND_BOT)]
    return [*(number for number in said if number is not None), *numbers]


def _last(db: Database, conversation: bytes, theirs: Collection[bytes], kind: int) -> int | None:
    """The last entry of a kind that says something of others, unless a head of its author comes after it."""
    last = db.row(f"{_FIRST} AND kind = {kind} ORDER BY rank DESC, id DESC LIMIT 1", conversation)
    if last is None:
        return None
    number, _, sequence, _, _, author = last
    later = "SELECT EXISTS (SELECT 1 FROM entries WHERE id = ? AND author = ? AND sequence >= ?)"
    return None if any(db.value(later, one, author, sequence) for one in theirs) else number


def authors_of(db: Database, entries: Collection[bytes]) -> set[int] | None:
    """The authors, by number, of some heads; None where one of them has heads that are not named.

    No answer brings what is in the chains of those alone. Of an author all of whose heads are named it brings
    all that is held.
    """
    given = json.dumps([entry.hex() for entry in entries])
    these = "SELECT DISTINCT author FROM entries WHERE id IN (SELECT unhex(value) FROM json_each(?))"
    # By their count: who names its own heads has named at most HEADS_PER_AUTHOR_MAX of each author.
    forked = (
        "SELECT 1 FROM heads AS h JOIN entries AS e ON e.number = h.entry WHERE h.conversation ="
        " (SELECT conversation FROM entries WHERE id = unhex(json_extract(?1, '$[0]')))"
        f" AND e.author IN ({these.replace('?', '?1')}) GROUP BY e.author HAVING count(*) > ?2 LIMIT 1"
    )
    if db.row(forked, given, HEADS_PER_AUTHOR_MAX) is not None:
        return None
    return {author for (author,) in db.rows(these, given)}


def after(
    db: Database, conversation: bytes, position: Position, most: int
) -> list[tuple[int, int, Position]]:
    """The next entries after a position: the number, the author's number, and the position of each.

    Those of some authors alone would have no bound: the index by rank does not know the authors, and a
    contact, or an own terminal by its heads, decides how many others are in between.
    """
    since = f"{_FIRST} AND (rank, id) > (?2, ?3)"
    parts = (f"SELECT * FROM ({since} AND {one} ORDER BY rank, id LIMIT ?4)" for one in (SHOWN, _AMENDS))
    found = f"{' UNION ALL '.join(parts)} ORDER BY rank, id LIMIT ?4"
    rows = db.rows(found, conversation, *position, most)
    return [(number, author, (rank, entry)) for number, entry, _, rank, _, author in rows]


class _Newest:
    """protocol.history.Chain over a few entries, rows of _FIRST."""

    def __init__(self, db: Database, rows: Iterable[Row]) -> None:
        self.numbers, self._places = dict[bytes, int](), dict[bytes, tuple[int, bytes]]()
        for number, entry, sequence, _, header, _ in rows:
            check_header(db, entry, header)
            self.numbers[entry] = number
            self._places[entry] = sequence, ENTRY_HEADER.decode(header).previous

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        return self._places.get(entry)


def rows_of(db: Database, ids: Sequence[bytes]) -> tuple[list[EntryRow], dict[int, Signed]]:
    """Entries in the order of their conversation, without those that are the contact's claims, and the
    signatures of them by number."""
    rows = [row for entry in ids if (row := get(db, entry)) is not None and row.claimed != BY_CONTACT]
    return sorted(rows, key=lambda row: row.position), signatures.of(db, [row.number for row in rows])


def with_marks(
    db: Database, conversation: bytes, numbers: Sequence[int], contact: bytes
) -> tuple[list[EntryRow], list[Mark], dict[int, Signed]]:
    """At most a few hundred entries, by number, in the order of their conversation, the marks of them, and
    their signatures by number."""
    some = f"{COLUMNS} WHERE e.number IN ({','.join('?' * len(numbers))})"
    rows = [
        row
        for row in (read_row(db, one) for one in db.rows(some, *numbers))
        if row.conversation == conversation
    ]
    rows.sort(key=lambda row: row.position)
    return rows, marks_of(db, [row.id for row in rows], contact), signatures.of(db, numbers)


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


class PassedMark(Struct, frozen=True):
    """What another own terminal says that a terminal (id) has done in the conversation with a contact.

    `is_receipt`: a terminal of the contact has entries of this person, or its person has read them. Else this
    person has read entries of the contact at that terminal.
    """

    person: bytes
    terminal: bytes
    kind: int
    is_receipt: bool


class Marked(Struct, frozen=True):
    """Entries (ids) that were stored with marks, with the greatest kind of a receipt, 0 without any.

    `timed`: one that this person has read has a timer.
    """

    entries: dict[bytes, int] = {}
    timed: bool = False


def mark_new(
    db: Database,
    new: Iterable[Stored],
    marks: Mapping[bytes, Iterable[PassedMark]],
    ours: Collection[bytes],
    moment: Moment,
) -> Marked:
    """Store the marks, by id, of entries that were just stored. `ours`: the terminals of this person."""
    numbers, made = dict[bytes, int](), list[tuple[int, int, int, int]]()
    reached, read = dict[bytes, int](), dict[bytes, int]()
    for one in new:
        entry = one.entry
        if one.filled or entry.id not in marks:
            continue
        own, reached[entry.id] = entry.header.author in ours, 0
        for mark in marks[entry.id]:
            if mark.is_receipt is not own:
                continue
            if mark.terminal not in numbers:
                numbers[mark.terminal] = persons.terminal_number(db, mark.terminal)
            made.append((one.number, numbers[mark.terminal], mark.kind, moment.wall))
            if own:
                reached[entry.id] = max(reached[entry.id], mark.kind)
            else:
                read[entry.id] = one.number
    db.run_many(receipts.ADD, made)
    db.run_many("DELETE FROM unread WHERE entry = ?", [(number,) for number in read.values()])
    return Marked(reached, bool(read) and expiry.count_from_now(db, read, moment))


def mark_held(
    db: Database,
    said: Mapping[PassedMark, Sequence[bytes]],
    person: bytes,
    own: bytes,
    moment: Moment,
) -> tuple[set[bytes], dict[PassedMark, dict[bytes, bool] | tuple[bool, int, bool]]]:
    """Store marks, each of some entries (ids), as far as these are held; `person` and `own`: this terminal's.

    Returns which are held, and what is new of each mark: of receipts the ids, of readings what
    `read_elsewhere` returns.
    """
    held, new = set[bytes](), dict[PassedMark, dict[bytes, bool] | tuple[bool, int, bool]]()
    for mark, entries in said.items():
        there = held_among(db, entries)
        held |= there
        if not there:
            continue
        talk, ids = conversation_of_two(person, mark.person), sorted(there)
        if mark.is_receipt:
            receipt = receipt_for(mark.kind, ids)
            new[mark] = receipts.acknowledge(db, talk, own, mark.terminal, receipt, moment.wall)
        else:
            new[mark] = read_elsewhere(db, talk, ids, (mark.terminal, mark.kind), moment)
    return held, new


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
