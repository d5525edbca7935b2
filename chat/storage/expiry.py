"""Entries that end, the timers of conversations, and the clock by which both are kept (SPEC §11.9).

Ends are times of the profile's own clock, its *age*: milliseconds that only grow. So what the wall clock says
decides once, when an entry is stored or read, and a clock that is set back later delays nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from msgspec import Struct

from chat.storage import quarantine, settings
from chat.storage.aside import Aside
from chat.storage.database import Database
from chat.storage.removal import REMOVED
from chat.storage.secure_deletion import at_once, destroy_all
from protocol.entries_and_receipts import KIND_TIMER, ParsedEntry
from protocol.expiry import ends, is_read_by_nobody

EXPIRED: Final = 3
"""What `entries.destroyed` says of an entry that ended."""


class Moment(Struct, frozen=True):
    """A moment in milliseconds: of Unix time, on the profile's clock, and as `chat.ports.Clock.boot` says."""

    wall: int
    age: int
    boot: str
    since: int


def read_clock(db: Database) -> Moment | None:
    """The moment that was stored last."""
    found = db.row("SELECT wall, age, boot, since FROM profile_clock")
    return None if found is None else Moment(*found)


def is_followed(db: Database) -> bool:
    """Whether something waits for time to pass: an entry that ends, or what began at a stored moment."""
    return next_end(db) is not None or read_clock(db) is not None


def save_clock(db: Database, moment: Moment) -> None:
    """Store a moment: after a crash, what has passed since it is known by the wall clock alone."""
    db.run(
        "INSERT OR REPLACE INTO profile_clock (id, wall, age, boot, since) VALUES (1, ?, ?, ?, ?)",
        *(moment.wall, moment.age, moment.boot, moment.since),
    )


Kept = tuple[int, int, int, int]
"""A row: number of the entry, milliseconds of its timer, its end as far as is known and at the latest."""


def kept(number: int, entry: ParsedEntry, moment: Moment, *, own: bool) -> Kept:
    """The row of an entry with a timer that comes now. `own`: this person wrote it."""
    header = entry.header
    due, last = (moment.age + max(0, end - moment.wall) for end in ends(header, moment.wall, own=own))
    return number, header.timer * 1_000, _unread_end(entry, moment, due), last


def _unread_end(entry: ParsedEntry, moment: Moment, due: int) -> int:
    """The end of an entry that nobody has read so far."""
    return min(due, moment.age + entry.header.timer * 1_000) if is_read_by_nobody(entry) else due


def is_over(entry: ParsedEntry, moment: Moment, *, own: bool) -> bool:
    """Whether an entry with a timer that comes now has ended."""
    return ends(entry.header, moment.wall, own=own).due <= moment.wall


def keep(db: Database, rows: Collection[Kept], moment: Moment) -> None:
    """Store the ends of new entries, and the clock by which they are meant."""
    sql = "INSERT OR REPLACE INTO expiring (entry, timer, due, last, waits) VALUES (?, ?, ?, ?, 0)"
    db.run_many(sql, rows)
    save_clock(db, moment)


def filled(db: Database, number: int, entry: ParsedEntry, moment: Moment) -> bool:
    """The missing body of a held entry with a timer comes; False where the entry has ended meanwhile."""
    due = db.value("SELECT due FROM expiring WHERE entry = ?", number)
    if due is None or due <= moment.age:
        return False
    due = _unread_end(entry, moment, due)
    db.run("UPDATE expiring SET due = ? WHERE entry = ?", due, number)
    return True


def count_from_now(db: Database, ids: Iterable[bytes], moment: Moment) -> bool:
    """This person has read these entries for the first time; whether any of them has a timer."""
    if not db.value("SELECT EXISTS (SELECT 1 FROM expiring)"):
        return False
    number = "(SELECT number FROM entries WHERE id = ?)"
    sql = f"UPDATE expiring SET due = min(due, ? + timer) WHERE entry = {number}"
    found = db.run_many(sql, [(moment.age, entry) for entry in ids])
    if found:
        save_clock(db, moment)
    return found > 0


# --- The end ---


class Ended(Struct, frozen=True):
    """An entry that ended, by its id, in the conversation with a contact."""

    contact: bytes
    conversation: bytes
    entry: bytes


def next_end(db: Database) -> int | None:
    """The age at which something is to be done, None if nothing ends."""
    found: int | None = db.value("SELECT min(due) FROM expiring")
    return found


def is_awaited(db: Database) -> bool:
    """Whether entries whose time is over wait until a terminal of the contact has them."""
    return bool(db.value("SELECT EXISTS (SELECT 1 FROM expiring WHERE waits)"))


_ACKNOWLEDGED: Final = (
    "EXISTS (SELECT 1 FROM receipts AS r JOIN person_terminals AS p ON p.terminal = r.terminal"
    " JOIN conversations AS c ON c.contact = p.person JOIN entries AS w ON w.conversation = c.number"
    " WHERE w.number = x.entry AND r.entry = x.entry)"
)

_DUE: Final = (
    "SELECT x.entry, ifnull(c.contact, x''), c.id, e.id, x.last,"
    " (e.author = (SELECT t.number FROM own AS o JOIN terminals AS t ON t.terminal = o.terminal)"
    # The one that wrote it may be away when the contact is there.
    " OR e.author IN (SELECT p.terminal FROM own AS o JOIN person_terminals AS p ON p.person = o.person))"
    " AND EXISTS (SELECT 1 FROM bodies WHERE entry = x.entry)"
    " AND x.entry NOT IN (SELECT entry FROM claims)"  # the contact has what it claims
    f" AND NOT {_ACKNOWLEDGED}, c.number IN {REMOVED}"
    " FROM expiring AS x LEFT JOIN entries AS e ON e.number = x.entry"
    " LEFT JOIN conversations AS c ON c.number = e.conversation WHERE x.due <= ? ORDER BY x.due LIMIT ?"
)


def expire(db: Database, moment: Moment, most: int) -> tuple[list[Ended], bool]:
    """Destroy the content of at most so many entries that have ended; also whether more may be due.

    An own entry that no terminal of the contact has stays until one has it. Of a conversation that is being
    removed nothing is returned. The freed pages keep the bytes until the file is cleaned.
    """
    more = _let_end(db, moment, most)
    gone, found, unseen = dict[int, Ended](), db.rows(_DUE, moment.age, most), set[int]()
    for number, contact, conversation, entry, last, waits, removed in found:
        if entry is None:  # brought back by an old page, and due for ever
            db.run("DELETE FROM expiring WHERE entry = ?", number)
            continue
        if removed:
            unseen.add(number)
        if waits and last > moment.age:
            db.run("UPDATE expiring SET waits = 1, due = last WHERE entry = ?", number)
        else:
            gone[number] = Ended(contact, conversation, entry)
    some = list(gone)[: at_once(db, list(gone))]
    if some:
        destroy_all(db, some, EXPIRED)
    save_clock(db, moment)
    ended = [gone[number] for number in some if number not in unseen]
    return ended, more or len(found) == most or len(some) < len(gone)


def _let_end(db: Database, moment: Moment, most: int) -> bool:
    """Make due what waits and a terminal of the contact has, at most so many; whether more may be."""
    # A receipt says which: this person may have very many that wait.
    answered = db.rows("SELECT entry FROM expiring WHERE waits = 2 LIMIT ?", most)
    due = f"UPDATE expiring AS x SET waits = 0, due = min(due, ?) WHERE entry = ? AND {_ACKNOWLEDGED}"
    db.run_many(due, [(moment.age, number) for (number,) in answered])
    db.run_many("UPDATE expiring SET waits = 1 WHERE entry = ? AND waits", answered)
    return len(answered) == most


# --- The timer of a conversation ---


def set_timer(db: Database, number: int, seconds: int) -> None:
    """Store what the entry with this number says, also where its body is deleted."""
    db.run("INSERT OR REPLACE INTO timers (entry, seconds) VALUES (?, ?)", number, seconds)


_TIMER: Final = (
    "SELECT t.seconds FROM entries AS e CROSS JOIN timers AS t ON t.entry = e.number"
    f" WHERE e.conversation = ? AND e.kind = {KIND_TIMER}"
    f" AND NOT EXISTS (SELECT 1 FROM {quarantine.QUARANTINED} WHERE q.entry = e.number)"
    " AND e.number NOT IN (SELECT entry FROM uncovered) AND e.number NOT IN (SELECT entry FROM claims)"
    " ORDER BY e.rank DESC, e.id DESC LIMIT 1"
)


def timer_of(db: Database, conversation: bytes) -> int:
    """The timer of a conversation, in seconds; 0 for none."""
    return _timer(db, db.value("SELECT number FROM conversations WHERE id = ?", conversation))


def timers(db: Database, aside: Aside | None = None) -> dict[bytes, int]:
    """The timers by contact, for the conversations in which one was ever set.

    The word of another terminal of this person goes until an entry that says it is here.
    """
    rows = db.rows(
        "SELECT DISTINCT c.contact, c.number FROM timers AS t JOIN entries AS e ON e.number = t.entry"
        " JOIN conversations AS c ON c.number = e.conversation WHERE c.contact IS NOT NULL"
    )
    return settings.handed_timers(db, aside or Aside()) | {
        contact: _timer(db, number) for contact, number in rows
    }


def _timer(db: Database, conversation: int | None) -> int:
    found = db.value(_TIMER, conversation)
    return 0 if found is None else int(found)
