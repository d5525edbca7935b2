"""Entries of conversations: inserts, and reads by page, by position and along chains (SPEC §11)."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice, repeat
from typing import Any, Final, NamedTuple

from msgspec import Struct

from chat.searching import SINGLE, SPELLED
from chat.storage import (
    amendments,
    contacts,
    expiry,
    files,
    ordering,
    persons,
    quarantine,
    registers,
    removal,
    signatures,
)
from chat.storage.database import Database, Row
from chat.storage.errors import DatabaseDamaged, StorageMisuse
from chat.storage.expiry import EXPIRED, Moment
from chat.storage.forgetting import destroy_content, forget_one
from protocol import labels
from protocol.entries_and_receipts import (
    KIND_BOT,
    KIND_CUT,
    KIND_DELETE,
    KIND_EDIT,
    KIND_STATE,
    LASTING,
    STORED,
    EntryPlace,
    ParsedEntry,
)
from protocol.limits import SEQUENCE_FOLLOWED_MAX
from protocol.messages import ENTRY_HEADER, EditBody, EntryHeader
from protocol.primitives import b2b

Position = tuple[int, bytes]
"""(rank, id): the order of a conversation."""

BEGINNING: Final[Position] = (-(2**63), b"")
END: Final[Position] = (2**63 - 1, b"")

Stretch = tuple[int, int]
"""Sequences of an author's chain: from above the first to the second."""

WHOLE: Final[Stretch] = (0, 2**63 - 1)

ON_ALL: Final = 4
"""What `entries.destroyed` says of an entry that this person deleted on all of its terminals."""

BY_CONTACT: Final = 1
BY_OWN: Final = 2
"""Who says that this person wrote an entry, where nothing shows it: EntryRow.claimed."""

RIVALS_NAMED: Final = 16
"""Rivals of one entry that are named. Their author alone fills this; all of them are marked."""

_A_RIVAL: Final = (
    "o.conversation = e.conversation AND o.author = e.author AND o.sequence = e.sequence"
    " AND o.incarnation = e.incarnation AND o.number != e.number"
    " AND o.number NOT IN (SELECT entry FROM uncovered) AND e.number NOT IN (SELECT entry FROM uncovered)"
    " AND o.number NOT IN (SELECT entry FROM claims) AND e.number NOT IN (SELECT entry FROM claims)"
)

RIVALLED: Final = f"EXISTS (SELECT 1 FROM entries AS o WHERE {_A_RIVAL})"
"""Whether another entry has the place of the entry `e`; uncovered ones and claims can be inventions."""

COLUMNS: Final = (
    "SELECT e.number, e.id, c.id, t.terminal, e.incarnation, e.sequence, e.time, e.kind, e.rank, e.header,"
    " ifnull(b.salt, x''), ifnull(b.body, x''), e.destroyed,"
    f" {RIVALLED}, EXISTS (SELECT 1 FROM {quarantine.QUARANTINED} WHERE q.entry = e.number),"
    " (SELECT due FROM expiring WHERE entry = e.number),"
    " ifnull((SELECT ifnull(k.terminal, x'') FROM let_go AS g LEFT JOIN terminals AS k ON k.number = g.holder"
    "  WHERE g.entry = e.number), (SELECT k.terminal FROM files AS f"
    "  JOIN terminals AS k ON k.number = f.holder WHERE f.entry = e.number)),"
    " ifnull((SELECT 1 + k.own FROM claims AS k WHERE k.entry = e.number), 0),"
    " (SELECT ifnull((SELECT max(o.came) FROM operations AS o JOIN drawn AS d ON d.operation = o.id), 0)"
    "  FROM claims AS k WHERE k.entry = e.number AND k.opens),"
    " (SELECT f.state FROM files AS f WHERE f.entry = e.number),"
    " (SELECT m.by FROM amended AS m WHERE m.entry = e.number)"
    " FROM entries AS e JOIN conversations AS c ON c.number = e.conversation"
    " JOIN terminals AS t ON t.number = e.author"
    " LEFT JOIN bodies AS b ON b.entry = e.number AND NOT e.destroyed"
)


SHOWN: Final = f"kind NOT IN ({KIND_DELETE}, {KIND_EDIT}, {KIND_STATE})"
"""Whether an entry has a line of its own, as the index by rank has it."""


def unsaid_in_notes(entry: str) -> str:
    """A condition on the entry of this alias. A cut or a declaration in the notes is shown nowhere: the log
    and the conversations with contacts say as much."""
    notes = f"SELECT 1 FROM conversations WHERE number = {entry}.conversation AND kind = {contacts.NOTES}"
    return f"({entry}.kind NOT IN ({KIND_CUT}, {KIND_BOT}) OR NOT EXISTS ({notes}))"


class EntryRow(Struct, frozen=True):  # data classes would take a third of the time of a page
    """A held entry. `number` is local; `time` is the author's word, in milliseconds.

    `destroyed` is 0, 1 (deleted), ON_ALL or EXPIRED. `rivalled` (another entry has its author, incarnation
    and sequence) and `quarantined` are 0 or 1. `due`: the age at which it ends (`chat.storage.expiry`).
    `holder`: the terminal that keeps the body of which this one let go, b"" if none is known to, or else the
    one that last said it holds all of the file, else None.
    `claimed`: nothing shows that this person wrote it, but BY_CONTACT or BY_OWN says so; else 0.
    `before`: when the newest self key came (milliseconds, 0: not known), if it is under an earlier one.
    `file`: what is done with the file that it names (`chat.storage.files.Standing`), if it names one.
    `amended`: the edit whose words are shown, or the delete that took the body.
    """

    number: int
    id: bytes
    conversation: bytes
    author: bytes
    incarnation: bytes
    sequence: int
    time: int
    kind: int
    rank: int
    header: bytes
    salt: bytes
    body: bytes
    destroyed: int
    rivalled: int
    quarantined: int
    due: int | None
    holder: bytes | None = None
    claimed: int = 0
    before: int | None = None
    file: int | None = None
    amended: EntryRow | None = None

    def __repr__(self) -> str:
        return f"EntryRow({self.number}, {self.id.hex()})"

    @property
    def position(self) -> Position:
        """Its place in the order of the conversation."""
        return self.rank, self.id

    @property
    def fields(self) -> EntryHeader:
        """The header, parsed."""
        return ENTRY_HEADER.decode_checked(self.header)

    @property
    def deleted(self) -> bool:
        """Whether salt and body were deleted, here or by the author, or have expired, and stay so."""
        return self.destroyed != 0

    @property
    def missing(self) -> bool:
        """Whether salt and body have not come yet."""
        return not self.salt and not self.destroyed and self.holder is None


class HeadRow(Struct, frozen=True):
    """The end of an author's chain, as far as it is held."""

    author: bytes
    sequence: int
    id: bytes


# --- Inserting ---


class Stored(NamedTuple):
    """An entry that an insert stored under a number, or, where `filled`, whose missing body it stored.

    `rivals` are the other entries of its author, incarnation and sequence. `destroyed`: as in EntryRow, if it
    was deleted before its conversation was removed, or had ended; then `entry` is its header alone.
    `returns`: this terminal had let go of the body.
    """

    number: int
    entry: ParsedEntry
    filled: bool = False
    rivals: tuple[bytes, ...] = ()
    quarantined: bool = False
    destroyed: int = 0
    returns: bool = False


def insert_all(
    db: Database,
    new: Sequence[ParsedEntry],
    own_terminal: bytes,
    *,
    contact: bytes | None = None,
    stored: int | None = None,
    carrier: bytes = b"",
    former: Collection[bytes] = (),
    ours: Collection[bytes] = (),
    moment: Moment | None = None,
    claimed: int = 0,
) -> list[Stored]:
    """Insert entries in their order; returns those that change something.

    Entries of known kinds count as unread once their body is there, but for those of `ours`, the terminals of
    this person (with none: `own_terminal`). `contact` creates
    the conversation with that person where it does not exist; without it StorageMisuse is raised. `stored` is
    the time, in milliseconds, of this terminal's receipts for new bodies; with None it makes none. `carrier`
    is the terminal that passed them, b"" if it is not known: it is not asked again for a missing body.
    Of new entries of the `former` terminals `chat.storage.quarantine` says which count. `moment` is now; only
    entries with a timer need it. `claimed`: as EntryRow will have it; not 0 for `chat.storage.claims` alone.
    """
    if not new:
        return []
    others = own_terminal, contact, stored, carrier, former, ours or (own_terminal,), moment, claimed
    burst = _Burst(db, new, *others)
    if burst.removals:
        removal.make_way(db, [one.id for one in new])
        burst = _Burst(db, new, *others)
    news = burst.insert_together()
    if news is not None:
        return news
    # The contact decides what comes together, so one entry must not slow down all others.
    held = held_among(db, {one.id for one in new})
    rest = [entry for entry in new if entry.id not in held]
    if not held:
        return _insert_in_parts(db, new, others)
    if not rest:
        return burst.insert_singly()
    found = _Burst(db, [entry for entry in new if entry.id in held], *others).insert_singly()
    news = _Burst(db, rest, *others).insert_together()
    found += news if news is not None else _insert_in_parts(db, rest, others)
    place = {entry.id: number for number, entry in reversed(list(enumerate(new)))}
    return sorted(found, key=lambda one: place[one.entry.id])


SINGLY: Final = 32
"""Entries among which a part that is plain is not looked for."""


def _insert_in_parts(db: Database, new: Sequence[ParsedEntry], others: tuple[Any, ...]) -> list[Stored]:
    """Insert entries of which not all are plain: together those in parts where all are."""
    whole = _Burst(db, new, *others)
    if len(new) <= SINGLY or not whole.may_be_plain:
        return whole.insert_singly()
    found, middle = list[Stored](), len(new) // 2
    for part in new[:middle], new[middle:]:
        burst = _Burst(db, part, *others)
        stored = burst.insert_together()
        found += stored if stored is not None else _insert_in_parts(db, part, others)
    return found


_STANDING: Final = (
    "SELECT c.number, l.last, EXISTS (SELECT 1 FROM raises WHERE conversation = c.number)"
    " OR EXISTS (SELECT 1 FROM edges WHERE parent > l.last)"
    " OR EXISTS (SELECT 1 FROM tips WHERE entry > l.last)"
    " OR EXISTS (SELECT 1 FROM heads WHERE entry > l.last)"
    " OR EXISTS (SELECT 1 FROM unread WHERE entry > l.last)"
    " OR EXISTS (SELECT 1 FROM search WHERE rowid > l.last), EXISTS (SELECT 1 FROM deletions)"
    " OR EXISTS (SELECT 1 FROM missing WHERE conversation = c.number)"
    " OR EXISTS (SELECT 1 FROM amendments WHERE conversation = c.number AND state IN (1, 2)),"
    " EXISTS (SELECT 1 FROM removals)"
    f", c.kind = {contacts.NOTES}"
    " FROM conversations AS c, (SELECT ifnull(max(number), 0) AS last FROM entries) AS l WHERE c.id = ?"
)
"""Number of a conversation, number of the last entry, and whether ranks are due or an old page that was put
back holds rows of entries still to come; whether any deletion is remembered or waits, or a parent is missing;
whether a conversation is being removed; and whether these are this person's notes, whose order knows no time.
"""


_NAMED: Final = (
    "SELECT id, number, conversation, author, rank, sequence FROM entries"
    f" WHERE NOT {ordering.apart('number')} AND id IN"
)


class _Burst:
    """Entries to insert: table by table where every one is plain, else one by one.

    A plain entry is new, of a live terminal, and no cut, delete, edit, state or file that has its body. No
    entry that is held names it, and it names only entries that are held or precede it in the burst.
    """

    def __init__(
        self,
        db: Database,
        new: Sequence[ParsedEntry],
        own_terminal: bytes,
        contact: bytes | None,
        stored: int | None,
        carrier: bytes,
        former: Collection[bytes],
        ours: Collection[bytes],
        moment: Moment | None,
        claimed: int,
    ) -> None:
        self._ours, self._moment, self._claimed = ours, moment, claimed
        self._db, self._new, self._own_terminal, self._stored = db, new, own_terminal, stored
        self._carrier, self._former = carrier, former
        self._conversation = new[0].header.conversation
        standing = db.row(_STANDING, self._conversation)
        if standing is None and contact is not None:
            contacts.ensure_conversation(db, self._conversation, contacts.TWO, contact)
            standing = db.row(_STANDING, self._conversation)
        if standing is None:
            raise StorageMisuse("no such conversation: see contacts.ensure_conversation")
        self._number, self._last, self._unsettled, self._awaited, self.removals, self._timeless = standing
        authors = {own_terminal}
        for entry in new:
            authors.add(entry.header.author)
        known = _chunked(db, "SELECT terminal, number FROM terminals WHERE terminal IN", authors)
        self._terminals: dict[bytes, int] = dict(known)

    @property
    def may_be_plain(self) -> bool:
        """False where something of the conversation, or of what is inserted, allows no plain entry."""
        return not (self._unsettled or self._former or self._claimed)

    def insert_together(self) -> list[Stored] | None:
        """All of them; None, with nothing changed, where one is not plain."""
        if self._unsettled or self._former or self._claimed:  # a call less on the way of each entry
            return None
        db, conversation, talk, ours = self._db, self._conversation, self._number, self._ours
        held = self._named()
        rows, edges, unread = list[Row](), list[tuple[int, int, int]](), list[Row]()
        new, moment, ends = list[Stored](), self._moment, list[expiry.Kept]()
        missing, signed, unsigned = set[int](), dict[int, ParsedEntry](), list[int]()
        for number, entry in enumerate(self._new, self._last + 1):
            header = entry.header
            if header.conversation != conversation or entry.id in held:
                return None
            if entry.cut or entry.amends or entry.timing or entry.state or entry.file:
                return None
            if header.timer and moment:
                own = header.author in ours
                if expiry.is_over(entry, moment, own=own):
                    return None
                ends.append(expiry.kept(number, entry, moment, own=own))
            author = self._terminals.get(header.author) or self._new_terminal(header.author)
            place, previous = 0 if self._timeless else header.time, header.previous
            for parent in (previous, *header.parents) if previous else header.parents:
                known = held.get(parent)
                if known is None or not known[0]:  # 0: of another conversation
                    return None
                before, by, rank, sequence = known
                follows = parent == previous and by == author and sequence < header.sequence
                edges.append((before, number, int(follows)))
                if rank >= place:
                    place = rank + 1
            held[entry.id] = number, author, place, header.sequence
            rows.append(_as_row(entry, number, talk, author, place))
            new.append(Stored(number, entry))
            if header.author in ours:
                if entry.signed is None:
                    unsigned.append(number)
                else:
                    signed[number] = entry
            elif entry.said is not None:
                unread.append((number, talk))
            if not entry.salt:
                missing.add(number)
        # Looking up every id before the insert would cost more than this check after it.
        if db.run_many(_INSERT_KEPT if self._awaited else _INSERT_NEW, rows) < len(rows):
            db.run("DELETE FROM entries WHERE number > ?", self._last)
            return None
        taken = dict(enumerate(self._new, self._last + 1))
        _write_edges(db, talk, taken, edges)
        if unread:
            db.run_many("INSERT INTO unread (entry, conversation) VALUES (?, ?)", unread)
        self._write_receipts(taken.keys() - missing if missing else taken)
        if missing:
            self._write_missing(missing)
        if ends and moment:
            expiry.keep(db, ends, moment)
        # The words come last: their index flushes before every statement that may have to be undone.
        if signed:
            signatures.add(db, signed)
        if unsigned:
            signatures.lack(db, unsigned)
        _insert_bodies(db, talk, taken)
        rivalled = f"SELECT e.number FROM entries AS e WHERE e.number > ? AND {RIVALLED}"
        for (number,) in db.rows(rivalled, self._last):
            at = number - self._last - 1
            new[at] = Stored(number, new[at].entry, rivals=rivals(db, new[at].entry.id))
        return new

    def _named(self) -> dict[bytes, tuple[int, int, int, int]]:
        """Number, author, rank and sequence of the held entries that others of the burst name."""
        named, ids = set[bytes](), set[bytes]()
        for entry in self._new:
            header = entry.header
            ids.add(entry.id)
            named.add(header.previous)
            if header.parents:
                named.update(header.parents)
        held: dict[bytes, tuple[int, int, int, int]] = {}
        for identity, number, conversation, *of in _chunked(self._db, _NAMED, named - ids):
            # An edge to an entry of another conversation would reveal to a peer that it is held.
            held[identity] = number if conversation == self._number else 0, *of
        return held

    def insert_singly(self) -> list[Stored]:
        """Those that change something."""
        news: list[Stored] = []
        for entry in self._new:
            author = entry.header.author
            others = self._carrier, author in self._former, self._moment
            unread = author not in self._ours
            one = insert(self._db, entry, *others, unread=unread, claimed=self._claimed)
            if one is not None:
                news.append(one)
        for conversation in {entry.header.conversation for entry in self._new}:
            ordering.settle(self._db, contacts.conversation_number(self._db, conversation))
        self._write_receipts(one.number for one in news if one.entry.salt)
        return news

    def _write_receipts(self, numbers: Iterable[int]) -> None:
        if self._stored is not None:
            own = self._terminals.get(self._own_terminal) or self._new_terminal(self._own_terminal)
            self._db.run_many(
                "INSERT OR IGNORE INTO receipts (entry, terminal, kind, time) VALUES (?, ?, ?, ?)",
                zip(numbers, repeat(own), repeat(STORED), repeat(self._stored)),
            )

    def _write_missing(self, numbers: Collection[int]) -> None:
        """These came without their bodies."""
        by = persons.terminal_number(self._db, self._carrier) if self._carrier else _NOBODY
        _miss_bodies(self._db, numbers, by)

    def _new_terminal(self, terminal: bytes) -> int:
        self._terminals[terminal] = number = persons.terminal_number(self._db, terminal)
        return number


_INTO: Final = (
    "INTO entries (number, id, conversation, author, incarnation, sequence, time, kind, rank, header)"
)
_INSERT: Final = f"INSERT {_INTO} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_NEW: Final = f"INSERT OR IGNORE {_INTO} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_KEPT: Final = (
    f"INSERT OR IGNORE {_INTO} SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10"
    " WHERE NOT EXISTS (SELECT 1 FROM deletions WHERE entry = ?2)"
    " AND NOT EXISTS (SELECT 1 FROM amendments WHERE target = ?2)"
    " AND NOT EXISTS (SELECT 1 FROM missing WHERE conversation = ?3 AND parent = ?2)"
)
"""Inserts nothing where an entry was deleted before its conversation was removed, where a delete or an edit
waits for it, or where a held entry names it. It looks per row."""


def _as_row(
    entry: ParsedEntry, number: int | None, conversation: int, author: int, place: int
) -> tuple[object, ...]:
    header = entry.header
    local = number, entry.id, conversation, author
    return *local, header.incarnation, header.sequence, header.time, header.kind, place, entry.header_bytes


def _write_edges(
    db: Database, conversation: int, new: Mapping[int, ParsedEntry], edges: Sequence[tuple[int, int, int]]
) -> None:
    """Write the edges (parent, child, chain) of new entries that no held one names, and the ends left."""
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
    """Salt, body and words, by number, of a conversation's entries; nothing for those that come without."""
    bodies, texts = list[Row](), list[Row]()
    for number, entry in of.items():
        if entry.salt:
            bodies.append((number, entry.salt, entry.body))
            if entry.said is not None:
                texts.append((number, indexed(entry.said.text, conversation, entry.header.time)))
            elif entry.file is not None:
                texts.append((number, indexed(files.words(entry.file), conversation, entry.header.time)))
    db.run_many("INSERT INTO bodies (entry, salt, body) VALUES (?, ?, ?)", bodies)
    db.run_many("INSERT INTO search (rowid, text) VALUES (?, ?)", texts)


_MARKED_READ: Final = (
    f"SELECT EXISTS (SELECT 1 FROM receipts WHERE entry = ? AND kind != {STORED} AND terminal IN"
    " (SELECT terminal FROM person_terminals WHERE person = (SELECT person FROM own WHERE id = 1)))"
)


def insert(
    db: Database,
    entry: ParsedEntry,
    carrier: bytes = b"",
    former: bool = False,
    moment: Moment | None = None,
    *,
    unread: bool,
    claimed: int = 0,
) -> Stored | None:
    """Insert an entry; None where it is held and nothing has changed.

    `ordering.settle` must follow: then the ranks do not depend on the order of arrival. A missing body is
    filled, one that was deleted or let go of never. `unread` counts from the body on; what does not may be
    this person's own.
    `carrier`, `former`, `moment` and `claimed` as in `insert_all`.
    Raises StorageMisuse for an unknown conversation.
    """
    found = db.row(
        "SELECT number, conversation, destroyed, salt, EXISTS (SELECT 1 FROM let_go WHERE entry = number),"
        " EXISTS (SELECT 1 FROM headers_alone WHERE entry = number AND terminal = ?)"
        " FROM entries LEFT JOIN bodies ON entry = number WHERE id = ?",
        *(RETURNS, entry.id),
    )
    if found is not None:
        number, conversation, destroyed, salt, let_go, returns = found
        if not claimed:  # who passed it has shown that this person wrote it
            signatures.add(db, {number: entry})
            db.run("UPDATE claims SET carried = 1, due = 1 WHERE entry = ?", number)
        if destroyed:
            _keep_in_force(db, number, conversation, entry)
        if destroyed or salt or let_go:
            return None
        if entry.header.timer and entry.salt and moment and not expiry.filled(db, number, entry, moment):
            return None
        # What was let go of had been read, and a mark of an own terminal may have come before the body.
        marked = unread and entry.has_body and bool(db.value(_MARKED_READ, number))
        if marked and moment:
            expiry.count_from_now(db, [entry.id], moment)
        fresh = unread and not returns and not marked
        _insert_one_body(db, number, conversation, entry, unread=fresh, carrier=carrier)
        amendments.wake(db, entry.id)
        apart, others = quarantine.is_apart(db, number), rivals(db, entry.id)
        return Stored(number, entry, True, others, apart, 0, bool(returns)) if entry.salt else None
    header = entry.header
    conversation = contacts.conversation_number(db, header.conversation)
    author = persons.terminal_number(db, header.author)
    number = db.insert(_INSERT, *_as_row(entry, None, conversation, author, header.time))
    if not unread and (claimed or entry.signed is None):
        signatures.lack(db, [number])
    if not claimed:
        signatures.add(db, {number: entry})
    else:  # before anything obeys it
        claim = (
            "INSERT OR REPLACE INTO claims (entry, conversation, own, carried, opens, due)"
            " VALUES (?, ?, ?, ?, 0, 1)"
        )
        db.run(claim, number, conversation, int(claimed == BY_OWN), int(claimed == BY_CONTACT))
    destroyed = int(db.value("SELECT how FROM deletions WHERE entry = ?", entry.id) or 0)
    if destroyed == ON_ALL and header.kind in LASTING:
        destroyed = 0  # its terminals could not learn any more what it says
    db.run("DELETE FROM deletions WHERE entry = ?", entry.id)
    if header.timer and moment and not destroyed:
        if expiry.is_over(entry, moment, own=not unread):
            destroyed = EXPIRED
        else:
            expiry.keep(db, [expiry.kept(number, entry, moment, own=not unread)], moment)
    if destroyed:
        db.run("UPDATE entries SET destroyed = ? WHERE number = ?", destroyed, number)
        _keep_in_force(db, number, conversation, entry)
        entry = ParsedEntry(entry.id, entry.header_bytes, header, b"", b"")
    else:
        _insert_one_body(db, number, conversation, entry, unread=unread, carrier=carrier)
    if claimed != BY_CONTACT:  # the contact would choose where what this person wrote has its place
        ordering.add(db, ordering.Node(number, conversation, author), entry.id, header)
    amendments.wake(db, entry.id)
    quarantined = former and not claimed and quarantine.add(db, number)
    return Stored(number, entry, False, rivals(db, entry.id), quarantined, destroyed)


def is_unsettled(db: Database) -> bool:
    """Whether the settling of orders, cuts, deletes, edits or registers has something to do."""
    due = "raises) OR EXISTS (SELECT 1 FROM rules WHERE settled IS NOT NULL OR over"
    due += f") OR EXISTS (SELECT 1 FROM amendments WHERE state = 1 AND conversation NOT IN {removal.REMOVED}"
    due += ") OR EXISTS (SELECT 1 FROM registers_due) OR EXISTS (SELECT 1 FROM claims WHERE due"
    return bool(db.value(f"SELECT EXISTS (SELECT 1 FROM remarked) OR EXISTS (SELECT 1 FROM {due})"))


_NOBODY: Final = 0
"""Stands in for a terminal: who passed a header is not known, so the body is asked of everybody."""
RETURNS: Final = -1
"""In the place of a terminal: this one let go of the body, and keeps it again."""


def _keep_in_force(db: Database, number: int, conversation: int, entry: ParsedEntry) -> None:
    """What a cut, a delete or a timer says stays in force where its body is deleted."""
    if not isinstance(entry.amends, EditBody) and entry.state is None and entry.file is None:
        _obey(db, number, conversation, entry)


def _insert_one_body(
    db: Database, number: int, conversation: int, entry: ParsedEntry, *, unread: bool, carrier: bytes
) -> None:
    if not entry.salt:
        _miss_bodies(db, [number], persons.terminal_number(db, carrier) if carrier else _NOBODY)
        return
    db.run("DELETE FROM search WHERE rowid = ?", number)  # of a page of another time
    _insert_bodies(db, conversation, {number: entry})
    db.run("DELETE FROM headers_alone WHERE entry = ?", number)  # after what says whether it returns is read
    _obey(db, number, conversation, entry)
    if unread and (entry.said is not None or entry.file is not None):
        db.run("INSERT OR REPLACE INTO unread (entry, conversation) VALUES (?, ?)", number, conversation)


def _miss_bodies(db: Database, numbers: Collection[int], by: int) -> None:
    """A terminal, by number, passed the headers of these entries alone."""
    add = "INSERT OR IGNORE INTO headers_alone (entry, terminal) VALUES (?, ?)"
    db.run_many(add, zip(numbers, repeat(by)))


def _obey(db: Database, number: int, conversation: int, entry: ParsedEntry) -> None:
    """Store what an entry says of others."""
    if entry.cut is not None:
        quarantine.add_cut(db, number, conversation, entry.cut)
    elif entry.timing is not None:
        expiry.set_timer(db, number, entry.timing.seconds)
    elif entry.amends is not None:
        amendments.add(db, number, conversation, entry.amends)
    elif entry.state is not None:
        registers.add(db, number, entry.state)
    elif entry.file is not None:
        files.add(db, number, entry.file.size)


def destroy(db: Database, entry: bytes, how: int = 1) -> bool:
    """Delete salt, body and words, and keep the header; False where it is not held or deleted already.

    A body that comes later is not taken. The freed pages keep the bytes until the file is cleaned. `how`:
    what `destroyed` says from now on.
    """
    number = db.value("SELECT number FROM entries WHERE id = ? AND NOT destroyed", entry)
    if number is None:
        return False
    destroy_content(db, [number], how)
    forget_one(db, number)
    return True


def get(db: Database, entry: bytes) -> EntryRow | None:
    """An entry by its id."""
    found = db.row(f"{COLUMNS} WHERE e.id = ?", entry)
    return None if found is None else read_row(db, found)


def held_among(db: Database, ids: Collection[bytes]) -> set[bytes]:
    """Those of some entries that are held."""
    return {row[0] for row in _chunked(db, "SELECT id FROM entries WHERE id IN", ids)}


def page(db: Database, conversation: bytes, limit: int, before: Position | None = None) -> list[EntryRow]:
    """The newest `limit` entries before a position (or at the end), oldest first."""
    found = db.rows(
        f"{COLUMNS} WHERE e.conversation = (SELECT number FROM conversations WHERE id = ?)"
        f" AND e.{SHOWN} AND {unsaid_in_notes('e')} AND (e.rank, e.id) < (?, ?)"
        " ORDER BY e.rank DESC, e.id DESC LIMIT ?",
        conversation,
        *(before or END),
        limit,
    )
    return [read_row(db, row) for row in reversed(found)]


LATEST: Final = (
    f"{COLUMNS} WHERE e.number IN (SELECT (SELECT n.number FROM entries AS n WHERE n.conversation = k.number"
    f" AND n.{SHOWN} AND {unsaid_in_notes('n')} ORDER BY n.rank DESC, n.id DESC LIMIT 1)"
    " FROM conversations AS k)"
)


def latest(db: Database) -> list[EntryRow]:
    """The last entry of each conversation that has one, in no order."""
    return [read_row(db, row) for row in db.rows(LATEST)]


def next_place(
    db: Database, conversation: bytes, author: bytes, incarnation: bytes, membership: Sequence[bytes]
) -> EntryPlace:
    """The place of the next entry that a terminal of this person writes, under these heads of its log."""
    last = last_by(db, conversation, author)
    previous = (last.sequence, last.id) if last is not None else None
    return EntryPlace(conversation, author, incarnation, previous, tips(db, conversation), membership)


def tips(db: Database, conversation: bytes) -> list[bytes]:
    """Ids of the entries that no held entry names, those first that are shown last."""
    rows = db.rows(
        "SELECT e.id FROM tips AS p JOIN entries AS e ON e.number = p.entry"
        " LEFT JOIN raises AS r ON r.entry = e.number"
        " WHERE p.conversation = (SELECT number FROM conversations WHERE id = ?)"
        " ORDER BY ifnull(r.least, e.rank) DESC, e.id DESC",
        conversation,
    )
    return list(itertools.chain.from_iterable(rows))


def last_by(db: Database, conversation: bytes, author: bytes) -> HeadRow | None:
    """The author's entry that its next one names as `previous` (SPEC §11.1)."""
    found = db.row(
        "SELECT sequence, id FROM entries"
        " WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
        " AND author = (SELECT number FROM terminals WHERE terminal = ?) AND sequence < ?"
        # A contact must not say from where this person's chain goes on.
        " AND number NOT IN (SELECT entry FROM claims) ORDER BY sequence DESC, id DESC LIMIT 1",
        *(conversation, author, SEQUENCE_FOLLOWED_MAX),
    )
    return None if found is None else HeadRow(author, *found)


def rivals(db: Database, entry: bytes) -> tuple[bytes, ...]:
    """Ids, ascending, of the first RIVALS_NAMED others of an entry's author, incarnation and sequence."""
    # In their order of arrival: their author would make the database sort all of them for each one.
    rows = db.rows(
        f"SELECT o.id FROM entries AS e CROSS JOIN entries AS o ON {_A_RIVAL}"
        " WHERE e.id = ? ORDER BY o.number LIMIT ?",
        entry,
        RIVALS_NAMED,
    )
    return tuple(sorted(row[0] for row in rows))


def check_header(db: Database, entry: bytes, header: bytes) -> None:
    """Raises DatabaseDamaged unless the id is the header's hash."""
    if b2b(header, personal=labels.ENTRY) != entry:
        raise DatabaseDamaged(db.path)


def read_row(db: Database, found: Row) -> EntryRow:
    """A row of COLUMNS. Raises DatabaseDamaged where a hash does not match, as after a swap of pages."""
    by = found[-1]
    amended = None if by is None else db.row(f"{COLUMNS} WHERE e.number = ?", by)
    row = EntryRow(*(*found[:-1], None if amended is None else read_row(db, amended)))
    header, salt, body = row.header, row.salt, row.body
    if {type(header), type(salt), type(body)} != {bytes}:
        raise DatabaseDamaged(db.path)
    check_header(db, row.id, header)
    if salt and b2b(salt + body, personal=labels.CONTENT) != row.fields.content:
        raise DatabaseDamaged(db.path)
    return row


_IDS_MAX: Final = 256
"""Values that one query asks for."""


def _chunked(db: Database, query: str, values: Collection[bytes]) -> list[Row]:
    """The rows of a query that ends in IN, for any number of values."""
    found: list[Row] = []
    asked = iter(values)
    while some := tuple(islice(asked, _IDS_MAX)):
        found += db.rows(f"{query} ({','.join('?' * len(some))})", *some)
    return found


# --- The form in which text is indexed and looked for ---

APART: Final = re.compile(f"[{SINGLE}]")

# The tokenizer calls these separators: they become words of a form that no text has, a private-use character
# and the code point.
_SPELLED: Final = re.compile(f"[{SPELLED}]")
PRIVATE: Final = "\ue000"
CONVERSATION: Final = f"{PRIVATE}t"
"""Begins the word that names a conversation by its number: a form that no text has."""
PERIODS: Final = {f"{PRIVATE}p": 0, f"{PRIVATE}q": 4, f"{PRIVATE}r": 8}
"""Begin the words that name a period of time in hexadecimal, of so many bits the last ones left out."""
PERIODS_BEGIN: Final = 1_577_836_800_000  # 2020; what is before or after all periods counts to the nearest
PERIOD: Final = 8 * 86_400_000
PERIOD_LAST: Final = 0xFFF


def spaced(text: str) -> str:
    """Text as the index holds it: compatibility forms and case made one, single words apart."""
    if text.isascii():  # which has one form only, and no word to set apart
        return text.lower().replace("\x00", " ")
    plain = unicodedata.normalize("NFKC", text).casefold().replace(PRIVATE, " ").replace("\x00", " ")
    apart = APART.sub(r" \g<0> ", plain)
    return _SPELLED.sub(lambda match: f" {PRIVATE}{ord(match[0]):x} ", apart)


def indexed(text: str, conversation: int, time: int) -> str:
    """A row of the index: the text, and words that name the conversation and the author's time.

    Without these a search would pass over all hits elsewhere and since.
    """
    period = min(max((time - PERIODS_BEGIN) // PERIOD, 0), PERIOD_LAST)
    row = f"{spaced(text)} {CONVERSATION}{conversation}"
    for name, bits in PERIODS.items():
        row += f" {name}{period >> bits:x}"
    return row
