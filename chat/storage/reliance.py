"""What this terminal and others of its person leave to each other, as they say it (SPEC §7.8.4)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final

from chat.storage import files, persons, retention
from chat.storage.database import Database
from chat.storage.expiry import Ended
from chat.storage.retention import LOST, NOBODY, PIECE, Clock
from protocol.entries_and_receipts import KIND_EDIT, KIND_FILE, KIND_TEXT
from protocol.messages import ENTRY_HEADER
from protocol.own_terminals import wants_body

_FOREVER: Final = 2**63 - 1

_LEAVES: Final = f"e.kind IN ({KIND_TEXT}, {KIND_EDIT}, {KIND_FILE}) AND NOT e.destroyed"

_SOME: Final = "(SELECT value FROM json_each(?1))"

Asked = tuple[bytes, bytes]
"""Ids of a conversation and of an entry of it."""


# --- What this terminal keeps for another one ---


def since(db: Database, clock: Clock) -> int:
    """The time, in milliseconds, before which this terminal wants no bodies; 0 where it keeps all.

    1 as long as nothing may be called old by this clock.
    """
    chosen = retention.kept(db)
    if not chosen.days:
        return 0
    steady = retention.steady_for(db, clock) >= retention.STEADY_MS
    return max(1, chosen.before(clock[0])) if steady else 1


_TEXTS: Final = (
    f"SELECT number FROM entries WHERE number IN {_SOME} AND kind = {KIND_TEXT}"
    " UNION SELECT t.number FROM amendments AS a JOIN entries AS t ON t.id = a.target"
    f" WHERE a.entry IN {_SOME}"
)


def left_out(db: Database, numbers: Collection[int], wanted: int) -> dict[int, bytes]:
    """Ids, by number, of those of some entries that go without the bodies that are held here.

    `wanted`: the time before which the other terminal wants none, 0 if it keeps all. A text goes with its
    edits, or none of them. Nothing is left out unless this terminal keeps all, or both could rely on each
    other.
    """
    if not wanted or retention.kept(db).days:
        return {}
    texts = [number for (number,) in db.rows(_TEXTS, json.dumps(list(numbers)))]
    old = {number for one in retention.groups(db, texts, wanted, _FOREVER) for number in one.numbers}
    held = (
        "SELECT e.number, e.id, e.header FROM entries AS e JOIN bodies AS b ON b.entry = e.number"
        f" WHERE e.number IN {_SOME}"
    )
    rows = db.rows(held, json.dumps(list(old.intersection(numbers))))
    return {number: entry for number, entry, header in rows if not wants_body(_header(header), wanted)}


_header = ENTRY_HEADER.decode

_WHOLE: Final = (int(files.Standing.WHOLE), int(files.Standing.WITHHELD))


def held_among(db: Database, conversation: bytes, ids: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Those of some entries whose bodies this terminal keeps, and those that it does not hold; ascending.

    It keeps none unless it keeps all: the word of one that lets go itself could leave none. A file is one of
    them only if all of it is here: who relies on this terminal deletes its own.
    """
    held = (
        "SELECT e.id FROM entries AS e JOIN bodies AS b ON b.entry = e.number"
        " JOIN conversations AS c ON c.number = e.conversation AND c.id = ?"
        f" WHERE {retention.among(ids)} AND (e.kind != {KIND_FILE} OR EXISTS ("
        f"SELECT 1 FROM files AS f WHERE f.entry = e.number AND f.state IN {_WHOLE})) ORDER BY e.id"
    )
    found = [entry for (entry,) in db.rows(held, conversation, *ids)]
    lacked = sorted(set(ids).difference(found))
    return [] if retention.kept(db).days else found, lacked


_GONE: Final = (
    f"SELECT e.number, c.id, e.id FROM entries AS e {retention.CONVERSATION}"
    f" WHERE e.number > ?1 AND e.destroyed = 1 AND e.kind IN ({KIND_TEXT}, {KIND_EDIT}, {KIND_FILE})"
    " AND e.time < ?2 UNION SELECT e.number, c.id, e.id FROM files AS f"
    f" JOIN entries AS e ON e.number = f.entry {retention.CONVERSATION}"
    f" WHERE f.entry > ?1 AND f.state = {int(files.Standing.LET_GO)} AND e.time < ?2 ORDER BY 1 LIMIT ?3"
)


def deleted_here(db: Database, after: int, wanted: int) -> tuple[list[Asked], int | None]:
    """The next PIECE texts, edits and files from before a time that were deleted on this terminal.

    `after` a number: files whose pieces alone were are among them.
    Also the number of the last one, None after the last.
    """
    found = db.rows(_GONE, after, wanted, PIECE)
    return [(talk, entry) for _, talk, entry in found], found[-1][0] if found else None


def of_two(db: Database, ids: Sequence[bytes]) -> list[Asked]:
    """Those of some entries that are texts or edits of a conversation with a contact."""
    kinds = f"e.kind IN ({KIND_TEXT}, {KIND_EDIT}, {KIND_FILE})"
    found = f"SELECT c.id, e.id FROM entries AS e {retention.CONVERSATION} WHERE {kinds} AND "
    return [(talk, entry) for talk, entry in db.rows(found + retention.among(ids), *ids)]


def by_conversation(some: Collection[Asked]) -> dict[bytes, list[bytes]]:
    """Ids, ascending, each once."""
    found = defaultdict[bytes, set[bytes]](set)
    for conversation, entry in some:
        found[conversation].add(entry)
    return {conversation: sorted(ids) for conversation, ids in found.items()}


# --- What another terminal keeps for this one ---


def heard(db: Database, terminal: bytes, *, keeps_all: bool) -> bool:
    """A terminal of this person says what it keeps; whether that is another word than its last one."""
    number = persons.terminal_number(db, terminal)
    before = db.value("SELECT keeps_all FROM keepers WHERE terminal = ?", number)
    if before == int(keeps_all):
        return False
    db.run("INSERT OR REPLACE INTO keepers (terminal, keeps_all) VALUES (?, ?)", number, int(keeps_all))
    return True


def keepers(db: Database) -> dict[bytes, bool]:
    """Whether terminals (ids) keep all, of those that have said so."""
    said = "SELECT t.terminal, k.keeps_all FROM keepers AS k JOIN terminals AS t ON t.number = k.terminal"
    return {terminal: bool(keeps_all) for terminal, keeps_all in db.rows(said)}


_UNSURE: Final = f"({NOBODY}, {LOST}) OR g.holder IN (SELECT terminal FROM keepers WHERE NOT keeps_all)"


def rely(db: Database, ids: Sequence[bytes], holder: bytes, clock: Clock) -> list[Ended]:
    """A terminal (id) keeps the bodies of some entries; returns those of which that is new here.

    What is missing here, and would not be kept, is wanted no more. This destroys nothing. Also what was let
    go of, where none is known to keep it.
    """
    chosen = retention.kept(db)
    if not chosen.days or not retention.is_steady(db, clock):
        return []
    lacked = (
        f"SELECT e.number, e.id, ifnull(c.contact, x''), c.id FROM entries AS e {retention.CONVERSATION}"
        " LEFT JOIN let_go AS g ON g.entry = e.number"
        f" WHERE {_LEAVES} AND (g.entry IS NULL AND e.time < ? OR g.holder IN {_UNSURE})"
        f" AND NOT EXISTS (SELECT 1 FROM bodies WHERE entry = e.number) AND {retention.among(ids)}"
    )
    found = db.rows(lacked, chosen.before(clock[0]), *ids)
    at = persons.terminal_number(db, holder)
    db.run_many("DELETE FROM headers_alone WHERE entry = ?", [(row[0],) for row in found])
    add = "INSERT OR REPLACE INTO let_go (entry, holder) VALUES (?, ?)"
    db.run_many(add, [(row[0], at) for row in found])
    return [Ended(contact, conversation, entry) for _, entry, contact, conversation in found]


def lose(db: Database, ids: Sequence[bytes], holder: bytes) -> list[bytes]:
    """A terminal (id) that kept the bodies of some entries does not hold them; returns the contacts."""
    at = db.value("SELECT number FROM terminals WHERE terminal = ?", holder)
    lost = (
        "SELECT e.number, ifnull(c.contact, x'') FROM entries AS e JOIN let_go AS g ON g.entry = e.number"
        f" {retention.CONVERSATION} WHERE g.holder = ? AND {retention.among(ids)}"
    )
    found = db.rows(lost, at, *ids)
    db.run_many("UPDATE let_go SET holder = ? WHERE entry = ?", [(LOST, number) for number, _ in found])
    return sorted({contact for _, contact in found})


_DOUBTED: Final = (
    "SELECT entry FROM headers_alone WHERE entry > ?1 UNION SELECT g.entry FROM let_go AS g"
    f" WHERE g.entry > ?1 AND (g.holder IN {_UNSURE}) ORDER BY 1 LIMIT ?2"
)


def doubted(db: Database, after: int, before: int) -> tuple[list[Asked], int | None]:
    """What others may keep of the next PIECE entries after a number that are missing, or that none may keep.

    `before`: the time, in milliseconds, before which bodies are not kept here. Also the number of the last
    one looked at, None after the last.
    """
    numbers = [number for (number,) in db.rows(_DOUBTED, after, PIECE)]
    old = (
        f"SELECT c.id, e.id FROM entries AS e {retention.CONVERSATION}"
        f" WHERE e.number IN {_SOME} AND {_LEAVES} AND e.time < ?2"
    )
    found = [(talk, entry) for talk, entry in db.rows(old, json.dumps(numbers), before)]
    return found, numbers[-1] if numbers else None


def want_lost(db: Database, ids: Sequence[bytes]) -> list[bytes]:
    """Those of some entries that no other terminal keeps are missing from now on; returns the contacts."""
    lost = (
        "SELECT e.number, ifnull(c.contact, x'') FROM entries AS e JOIN let_go AS g ON g.entry = e.number"
        f" {retention.CONVERSATION} WHERE g.holder = {LOST} AND {retention.among(ids)}"
    )
    found = db.rows(lost, *ids)
    retention.miss(db, [number for number, _ in found])
    return sorted({contact for _, contact in found})


def ask_own_again(db: Database) -> int:
    """Own terminals that passed the headers of the next PIECE missing bodies alone are asked for them.

    They may have left out what this terminal wants now. Returns how many bodies: 0 once no such is left.
    """
    own = "SELECT terminal FROM person_terminals WHERE person IN (SELECT person FROM own)"
    passed = f"SELECT DISTINCT entry FROM headers_alone WHERE terminal IN ({own}) LIMIT ?"
    found = db.rows(passed, PIECE)
    db.run_many("INSERT OR IGNORE INTO headers_alone (entry, terminal) VALUES (?, 0)", found)
    db.run_many(f"DELETE FROM headers_alone WHERE entry = ? AND terminal IN ({own})", found)
    return len(found)
