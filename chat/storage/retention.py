"""Bodies that this terminal lets go of, because another terminal of its person keeps them (SPEC §7.8.4).

What was let go of is a state of its own: no deletion, which would be final, and nothing that repair asks for.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Struct

from chat.storage import persons
from chat.storage.amendments import APART
from chat.storage.contacts import TWO
from chat.storage.database import Database
from chat.storage.entries import RETURNS
from chat.storage.expiry import Ended
from chat.storage.forgetting import at_once, forget
from protocol.entries_and_receipts import KIND_EDIT, KIND_FILE, KIND_TEXT, READ, STORED
from protocol.limits import RECEIPT_IDS_MAX
from protocol.own_terminals import READ_UNTOLD

DAY_MS: Final = 86_400_000

PIECE: Final = 256
"""Bodies that one piece of work on the disk looks at: some milliseconds, for which users wait."""

STEADY_MS: Final = DAY_MS
"""For so long the clock has to run on as it should before anything is let go of by it."""

RESTART_MS: Final = 3 * DAY_MS
"""A machine that starts again within this time had its clock right before, and has it right now."""

JUMP_MS: Final = 60_000
"""A wall clock that is off by more, against the time since the machine's start, was set."""


Clock = tuple[int, str, int]
"""Milliseconds of Unix time, a start of the machine (empty: not known), and milliseconds since that."""


class Kept(Struct, frozen=True):
    """What this terminal keeps: texts of so many days, all with 0.

    `alone`: it lets go of others even if no terminal of its person is known to keep them. `widens`: what was
    let go of before is still to be looked at again.
    """

    days: int = 0
    alone: bool = False
    widens: bool = False

    def before(self, now: int) -> int:
        """The time, in milliseconds, before which texts are too old."""
        return now - self.days * DAY_MS if self.days else 0


def kept(db: Database) -> Kept:
    """What was chosen last; all where nothing was."""
    found = db.row("SELECT days, alone, widens FROM retention")
    return Kept() if found is None else Kept(found[0], bool(found[1]), bool(found[2]))


def keep(db: Database, days: int, clock: Clock, *, alone: bool) -> None:
    """Choose what is kept from now on. Who chooses believes what the clock says now."""
    # Bodies may have been left out that are still on their way.
    widens = kept(db).days > 0 or bool(db.value("SELECT EXISTS (SELECT 1 FROM let_go)"))
    db.run(
        "INSERT OR REPLACE INTO retention (id, days, alone, widens, wall, boot, since, steady)"
        " VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
        *(days, int(alone), int(widens), *clock, STEADY_MS),
    )
    db.run("DELETE FROM brought")


def is_steady(db: Database, clock: Clock) -> bool:
    """Note the clock; whether it has run for a day without being set.

    Of the time between two starts of the machine only the wall clock is known, so a long one proves nothing.
    """
    steady = steady_for(db, clock)
    # What another clock called old is looked at again.
    again = "UPDATE retention SET widens = 1 WHERE steady < ?1 AND ?2 >= ?1"
    db.run(again, STEADY_MS, steady)
    db.run("UPDATE retention SET wall = ?, boot = ?, since = ?, steady = ?", *clock, steady)
    return steady >= STEADY_MS


def steady_for(db: Database, clock: Clock) -> int:
    """Milliseconds for which the clock has run without being set, at most STEADY_MS; 0 where all is kept."""
    wall, boot, since = clock
    found = db.row("SELECT wall, boot, since, steady FROM retention")
    if found is None:
        return 0
    last, booted, ran, steady = found
    passed = wall - last
    if boot and boot == booted:
        runs = abs(passed - (since - ran)) <= JUMP_MS
    else:
        runs = 0 <= passed <= RESTART_MS
    return min(steady + max(0, passed), STEADY_MS) if runs else 0


# --- What may go ---

_OURS: Final = "SELECT terminal FROM person_terminals WHERE person IN (SELECT person FROM own)"

_LIVE: Final = f"{_OURS} AND live"

_HERE: Final = "(SELECT t.number FROM terminals AS t JOIN own AS o ON o.terminal = t.terminal)"


def _is_old(entry: str) -> str:
    """Whether an entry came before ?1, now being ?2, and was not read here since.

    The author's word counts, or else what a new terminal gets would be young. It counts for nothing while it
    is in the future.
    """
    learned = f"SELECT 1 FROM receipts WHERE entry = {entry}.number AND terminal = {_HERE}"
    return (
        f"({entry}.time < ?1 OR {entry}.time > ?2 AND EXISTS ({learned} AND kind = {STORED} AND time < ?1))"
        f" AND NOT EXISTS ({learned} AND kind IN ({READ}, {READ_UNTOLD}) AND time >= ?1)"
    )


def _may_go(entry: str) -> str:
    """Whether an old entry of the conversation `c` has been read, and arrived if this person wrote it."""
    arrived = (
        f"SELECT 1 FROM receipts AS r JOIN person_terminals AS p ON p.terminal = r.terminal"
        f" WHERE r.entry = {entry}.number AND r.kind IN ({STORED}, {READ}) AND p.person = c.contact"
        f" AND p.terminal NOT IN ({_OURS})"
    )
    return (
        f"{_is_old(entry)} AND NOT {entry}.destroyed"
        f" AND NOT EXISTS (SELECT 1 FROM unread WHERE entry = {entry}.number)"
        f" AND ({entry}.author NOT IN ({_OURS}) AND {entry}.author != {_HERE} OR EXISTS ({arrived}))"
    )


CONVERSATION: Final = f"JOIN conversations AS c ON c.number = e.conversation AND c.kind = {TWO}"

# A text goes with its edits, which would be shown in its place, or not at all; a file by itself. Edits that
# do not count, of which a removed terminal can write any number, go one by one once the text has gone.
_TEXTS: Final = (
    f"SELECT e.number, e.id, ifnull(c.contact, x''), c.id FROM entries AS e {CONVERSATION}"
    f" WHERE e.number IN (SELECT value FROM json_each(?3)) AND e.kind IN ({KIND_TEXT}, {KIND_FILE})"
    f" AND {_may_go('e')}"
    " AND NOT EXISTS (SELECT 1 FROM amendments AS a JOIN entries AS x ON x.number = a.entry"
    f" WHERE a.target = e.id AND x.kind = {KIND_EDIT} AND a.state = 1)"
)
_EDITS: Final = (
    f"SELECT x.number, x.id, {_may_go('x')} FROM amendments AS a JOIN entries AS x ON x.number = a.entry"
    " JOIN bodies AS b ON b.entry = x.number JOIN conversations AS c ON c.number = x.conversation"
    f" WHERE a.target = ?3 AND x.kind = {KIND_EDIT} AND a.state != {APART}"
)
_LATER_EDITS: Final = (
    f"SELECT e.number, e.id, ifnull(c.contact, x''), c.id FROM entries AS e {CONVERSATION}"
    " JOIN amendments AS a ON a.entry = e.number JOIN entries AS t ON t.id = a.target"
    " JOIN let_go AS g ON g.entry = t.number"
    f" WHERE e.number IN (SELECT value FROM json_each(?3)) AND e.kind = {KIND_EDIT} AND {_may_go('e')}"
)


class Group(Struct, frozen=True):
    """A text with its edits, or an edit of a text that was let go of: all of them go, or none."""

    contact: bytes
    conversation: bytes
    numbers: tuple[int, ...]
    ids: tuple[bytes, ...]


def groups(db: Database, numbers: Collection[int], before: int, now: int) -> list[Group]:
    """Those of some held entries that may go, each with its edits.

    A text with more edits than one message names stays.
    """
    found, some = list[Group](), json.dumps(list(numbers))
    for number, entry, contact, conversation in db.rows(_TEXTS, before, now, some):
        edits = db.rows(_EDITS, before, now, entry)
        if len(edits) < RECEIPT_IDS_MAX and all(may_go for _, _, may_go in edits):
            these = (number, *(edit[0] for edit in edits)), (entry, *(edit[1] for edit in edits))
            found.append(Group(contact, conversation, *these))
    for number, entry, contact, conversation in db.rows(_LATER_EDITS, before, now, some):
        found.append(Group(contact, conversation, (number,), (entry,)))
    return found


def due(db: Database, after: int, now: int, *, alone: bool = False) -> tuple[list[Group], int | None]:
    """What may go of the next PIECE bodies after a number. `now` in milliseconds of Unix time.

    `alone`: where no other terminal is known to keep it. Then nothing goes that was stored here lately,
    whatever the clock said when it was written.
    Also the number of the last one looked at, None after the last or where all is kept.
    """
    chosen = kept(db)
    if not chosen.days:
        return [], None
    looked_at = db.rows("SELECT entry FROM bodies WHERE entry > ? ORDER BY entry LIMIT ?", after, PIECE)
    numbers = [number for (number,) in looked_at]
    if not numbers:
        return [], None
    before, last = chosen.before(now), numbers[-1]
    found = groups(db, numbers, before, now)
    if not alone:
        return found, last
    found = _texts(db, found)  # what no device holds of a file is nowhere: nobody insists on that unasked
    stored = db.value(_STORED_SINCE, before, now, after, last)
    left = [
        one
        for one in found
        if (stored is None or max(one.numbers) < stored)
        and not db.value(_LATE, before, now, json.dumps(one.numbers))
    ]
    # What was stored after that was stored since, too.
    return left, last if stored is None else None


_STORED_SINCE: Final = (
    "SELECT min(entry) FROM receipts WHERE entry > ?3 AND entry <= ?4 AND time BETWEEN ?1 AND ?2"
    f" AND kind = {STORED} AND terminal = {_HERE}"
)

_LATE: Final = (
    "SELECT EXISTS (SELECT 1 FROM entries AS e WHERE e.number IN (SELECT value FROM json_each(?3)) AND ("
    "e.rank BETWEEN ?1 AND ?2 OR e.number IN (SELECT entry FROM brought)"
    " OR EXISTS (SELECT 1 FROM receipts WHERE entry = e.number AND time BETWEEN ?1 AND ?2)))"
)
"""Whether any of some entries follows a young one, was brought by a backup, or arrived or was read lately."""


def let_go(db: Database, ids: Collection[bytes], holder: bytes, clock: Clock, began: int) -> list[Ended]:
    """Let go of those of some entries that may go, with all of their groups among `ids`; returns them.

    `holder`: the terminal of this person that keeps them, b"" if none is known to, which only `alone` allows.
    `began`: when the round began, in milliseconds of Unix time. A clock that was set since makes nothing old.
    What may go is decided again, since something may have come, or been chosen, meanwhile. A piece of work
    has a bound, so what is left goes another time. The freed pages keep the bytes until the file is cleaned.
    """
    chosen, now = kept(db), min(clock[0], began)
    # The clock may have been set since the round began.
    if not chosen.days or not (holder or chosen.alone) or not is_steady(db, clock):
        return []
    held = f"SELECT e.number FROM entries AS e JOIN bodies AS b ON b.entry = e.number WHERE {among(ids)}"
    numbers = [number for (number,) in db.rows(held, *ids)]
    due_now = [one for one in groups(db, numbers, chosen.before(now), now) if set(one.ids) <= set(ids)]
    if not holder:
        due_now = _texts(db, due_now)
    gone = due_now[: at_once(db, [one.numbers[0] for one in due_now])]
    if gone:
        at = persons.terminal_number(db, holder) if holder else NOBODY
        _release(db, [number for one in gone for number in one.numbers], at)
    return [Ended(one.contact, one.conversation, entry) for one in gone for entry in one.ids]


def _texts(db: Database, some: Sequence[Group]) -> list[Group]:
    """Those of some groups that name no file."""
    numbers = json.dumps([number for one in some for number in one.numbers])
    named = (
        f"SELECT number FROM entries WHERE kind = {KIND_FILE} AND number IN (SELECT value FROM json_each(?))"
    )
    files = {number for (number,) in db.rows(named, numbers)}
    return [one for one in some if files.isdisjoint(one.numbers)]


NOBODY: Final = 0
"""Stands for a terminal: none is known to keep it."""

LOST: Final = -1
"""In the place of a terminal: the one that kept it has said that it does so no more."""


def _release(db: Database, numbers: Sequence[int], holder: int) -> None:
    """Destroy salt, body and words of entries, by number, as a deletion does. Nothing else changes."""
    some = json.dumps(numbers)
    for table in ("bodies", "headers_alone", "amended"):
        db.run(f"DELETE FROM {table} WHERE entry IN (SELECT value FROM json_each(?))", some)
    forget(db, "rowid IN (SELECT value FROM json_each(?))", some)
    rows = [(number, holder) for number in numbers]
    db.run_many("INSERT OR REPLACE INTO let_go (entry, holder) VALUES (?, ?)", rows)


def take_back(db: Database, after: int, now: int) -> tuple[int, int | None]:
    """Let those of the next PIECE bodies that were let go of be missing which are wanted here again.

    That is what would be kept now, once another choice was made, and what a terminal kept that is no longer
    one of this person. Who insists that others go (`alone`) does not want the latter.
    Returns how many, and the number of the last one looked at, None after the last.
    """
    chosen = kept(db)
    looked_at = db.rows("SELECT entry FROM let_go WHERE entry > ? ORDER BY entry LIMIT ?", after, PIECE)
    numbers = json.dumps([number for (number,) in looked_at])
    wanted = (
        "SELECT e.number FROM let_go AS g JOIN entries AS e ON e.number = g.entry"
        " WHERE g.entry IN (SELECT value FROM json_each(?3)) AND"
        f" (?4 AND NOT ({_is_old('e')}) OR ?5 AND g.holder != {NOBODY} AND g.holder NOT IN ({_LIVE}))"
    )
    also = int(chosen.widens), int(not chosen.alone)
    back = [number for (number,) in db.rows(wanted, chosen.before(now), now, numbers, *also)]
    miss(db, back)
    return len(back), looked_at[-1][0] if looked_at else None


def take_from_a_backup(db: Database, ids: Collection[bytes]) -> None:
    """Let those of some entries be missing, so that a backup fills them, which no live terminal keeps."""
    lost = (
        "SELECT g.entry FROM let_go AS g JOIN entries AS e ON e.number = g.entry"
        f" WHERE {among(ids)} AND g.holder NOT IN ({_LIVE})"
    )
    miss(db, [number for (number,) in db.rows(lost, *ids)])


def bring(db: Database, numbers: Collection[int]) -> None:
    """A backup brought the bodies of entries, by number. None goes alone until the person chooses again."""
    if kept(db).alone:
        db.run_many("INSERT OR IGNORE INTO brought (entry) VALUES (?)", [(number,) for number in numbers])


def miss(db: Database, numbers: Sequence[int]) -> None:
    """What was let go of, by number, is missing: everybody is asked for it."""
    db.run_many("DELETE FROM let_go WHERE entry = ?", [(number,) for number in numbers])
    add = "INSERT OR IGNORE INTO headers_alone (entry, terminal) VALUES (?, ?)"
    db.run_many(add, [(number, RETURNS) for number in numbers])


def taken_back(db: Database, chosen: Kept) -> bool:
    """All that was let go of was looked at, as it was `chosen`; False if another choice came meanwhile."""
    if kept(db) != chosen:
        return False
    db.run("UPDATE retention SET widens = 0")
    return True


def count(db: Database, conversation: bytes | None = None) -> int:
    """How many texts, of a conversation or of all, are not here because this terminal let go of them."""
    of_texts = (
        f"SELECT count(*) FROM let_go JOIN entries ON number = entry AND kind = {KIND_TEXT}"
        " WHERE ?1 IS NULL OR conversation = (SELECT number FROM conversations WHERE id = ?1)"
    )
    return int(db.value(of_texts, conversation))


def among(ids: Collection[bytes]) -> str:
    """At most RECEIPT_IDS_MAX of them: a message names no more."""
    return f"e.id IN ({','.join('?' * len(ids))})"
