"""Bodies that this terminal lets go of, because its person's keeper holds them (SPEC §7.8.4).

What was let go of is a state of its own: no deletion, which would be final, and nothing that repair asks for.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final

from chat.storage import files, persons, settings
from chat.storage.amendments import APART
from chat.storage.contacts import TWO
from chat.storage.database import Database
from chat.storage.entries import RETURNS
from chat.storage.forgetting import at_once, forget
from protocol import own_terminals
from protocol.entries_and_receipts import KIND_EDIT, KIND_FILE, KIND_TEXT, READ, STORED
from protocol.own_terminals import READ_UNTOLD

DAY_MS: Final = 86_400_000

PIECE: Final = 256
"""Bodies that one piece of work on the disk looks at: some milliseconds, for which users wait."""

Asked = dict[bytes, list[bytes]]
"""Ids of entries, ascending, by the id of their conversation."""


# --- What is chosen ---


def days(db: Database) -> int:
    """For how many days this terminal is to keep texts, 0 for all."""
    return int(db.value("SELECT days FROM retention") or 0)


def keep(db: Database, chosen: int) -> None:
    """Choose it."""
    db.run("INSERT OR REPLACE INTO retention (id, days) VALUES (1, ?)", chosen)


_OURS: Final = "SELECT terminal FROM person_terminals WHERE person IN (SELECT person FROM own)"

_HERE: Final = "(SELECT t.number FROM terminals AS t JOIN own AS o ON o.terminal = t.terminal)"


def keeper(db: Database) -> bytes:
    """The terminal (id) that holds all for this person, b"" where none that is live is named."""
    named = settings.keeper(db)
    return own_terminals.keeper(named, persons.terminals_of(db, db.value("SELECT person FROM own")))


def is_keeper(db: Database) -> bool:
    """Whether this terminal is the one."""
    return bool(keeper(db) == db.value("SELECT terminal FROM own"))


def before(db: Database, now: int) -> int:
    """The time, in milliseconds as `now` is, before which texts are too old here; 0 where all are kept."""
    goes = days(db) > 0 and keeper(db) != b"" and not is_keeper(db)
    return now - days(db) * DAY_MS if goes else 0


# --- What may go ---

_LEARNED: Final = f"SELECT 1 FROM receipts WHERE entry = {{0}}.number AND terminal = {_HERE}"

_IS_OLD: Final = (
    f"({{0}}.time < ?1 AND NOT EXISTS ({_LEARNED} AND kind IN ({READ}, {READ_UNTOLD}) AND time >= ?1))"
)
"""Whether an entry came before ?1, and was not read here since.

The author's word counts, or else what a new terminal gets would be young.
"""

_MAY_GO: Final = (
    f"({_IS_OLD} AND NOT {{0}}.destroyed AND NOT EXISTS (SELECT 1 FROM unread WHERE entry = {{0}}.number)"
    f" AND ({{0}}.author NOT IN ({_OURS}) AND {{0}}.author != {_HERE} OR EXISTS ("
    "SELECT 1 FROM receipts AS r JOIN person_terminals AS p ON p.terminal = r.terminal"
    f" WHERE r.entry = {{0}}.number AND r.kind IN ({STORED}, {READ}) AND p.person = c.contact"
    f" AND p.terminal NOT IN ({_OURS}))))"
)
"""Whether an old entry of the conversation `c` has been read, and arrived if this person wrote it."""

_CONVERSATION: Final = f"JOIN conversations AS c ON c.number = e.conversation AND c.kind = {TWO}"

# An edit is shown in the place of its text: it goes after that, and a young one holds it. Those that do not
# count, of which a removed terminal can write any number, hold nothing.
_TEXT_GONE: Final = (
    "EXISTS (SELECT 1 FROM amendments AS a JOIN entries AS t ON t.id = a.target"
    " JOIN let_go AS h ON h.entry = t.number WHERE a.entry = e.number)"
)
_GO: Final = (
    f"SELECT e.number, e.id, ifnull(c.contact, x''), c.id FROM entries AS e {_CONVERSATION}"
    f" WHERE e.number IN (SELECT value FROM json_each(?2)) AND {_MAY_GO.format('e')}"
    f" AND (e.kind IN ({KIND_TEXT}, {KIND_FILE}) AND NOT EXISTS (SELECT 1 FROM amendments AS a"
    " JOIN entries AS x ON x.number = a.entry JOIN bodies AS b ON b.entry = x.number"
    f" WHERE a.target = e.id AND x.kind = {KIND_EDIT} AND a.state != {APART} AND NOT {_MAY_GO.format('x')})"
    f" OR e.kind = {KIND_EDIT} AND {_TEXT_GONE}) ORDER BY e.number"
)


def due(db: Database, after: int, now: int) -> tuple[Asked, int | None]:
    """What may go of the next PIECE bodies after a number, if the keeper holds it. `now`: Unix milliseconds.

    Also the number of the last one looked at, None after the last or where all is kept.
    """
    return _asked(db, "SELECT entry FROM bodies WHERE entry > ?1 ORDER BY 1 LIMIT ?2", after, now)


def unsure(db: Database, after: int, now: int) -> tuple[Asked, int | None]:
    """As `due` of what is not here: the keeper may have lost what it held, and hold what is missing."""
    not_here = (
        "SELECT entry FROM headers_alone WHERE entry > ?1 UNION SELECT entry FROM let_go WHERE entry > ?1"
        " ORDER BY 1 LIMIT ?2"
    )
    return _asked(db, not_here, after, now)


def _asked(db: Database, of: str, after: int, now: int) -> tuple[Asked, int | None]:
    old = before(db, now)
    numbers = [number for (number,) in db.rows(of, after, PIECE)] if old else []
    found = defaultdict[bytes, list[bytes]](list)
    for _, entry, _, conversation in db.rows(_GO, old, json.dumps(numbers)):
        found[conversation].append(entry)
    return {one: sorted(ids) for one, ids in found.items()}, numbers[-1] if numbers else None


def let_go(db: Database, ids: Collection[bytes], holder: bytes, now: int) -> list[tuple[bytes, bytes]]:
    """A terminal (id) holds these bodies: let go of those that may go if it is the keeper; returns them.

    With each the contact. What may go is decided again: something may have come, or been chosen, meanwhile.
    What is missing is wanted no more. A piece of work has a bound, so what is left goes another time. The
    freed pages keep the bytes until the file is cleaned.
    """
    old = before(db, now)
    if not old or keeper(db) != holder:
        return []
    held = "e.number NOT IN (SELECT entry FROM let_go)"
    here = f"SELECT e.number FROM entries AS e WHERE {_among(ids)} AND {held}"
    numbers = [number for (number,) in db.rows(here, *ids)]
    gone = db.rows(_GO, old, json.dumps(numbers))
    gone = gone[: at_once(db, [row[0] for row in gone])]
    some = json.dumps([row[0] for row in gone])
    if db.value("SELECT EXISTS (SELECT 1 FROM bodies WHERE entry IN (SELECT value FROM json_each(?)))", some):
        forget(db, "rowid IN (SELECT value FROM json_each(?))", some)
    for table in ("bodies", "headers_alone", "amended"):
        db.run(f"DELETE FROM {table} WHERE entry IN (SELECT value FROM json_each(?))", some)
    at = persons.terminal_number(db, holder)
    db.run_many("INSERT INTO let_go (entry, holder) VALUES (?, ?)", [(row[0], at) for row in gone])
    return [(contact, entry) for _, entry, contact, _ in gone]


# --- What is wanted here again ---


def wanted(db: Database, after: int, now: int) -> tuple[list[int], int | None]:
    """Numbers of those of the next PIECE bodies that were let go of which are to be here.

    That is what would be kept now, what another terminal said that it holds than the keeper, and edits whose
    text is here. Also the number of the
    last one looked at, None after the last.
    """
    some = [number for (number,) in db.rows("SELECT entry FROM let_go WHERE entry > ? LIMIT ?", after, PIECE)]
    sql = (
        "SELECT e.number FROM let_go AS g JOIN entries AS e ON e.number = g.entry"
        " WHERE g.entry IN (SELECT value FROM json_each(?2))"
        f" AND (NOT {_IS_OLD.format('e')} OR g.holder != (SELECT number FROM terminals WHERE terminal = ?3)"
        f" OR e.kind = {KIND_EDIT} AND NOT {_TEXT_GONE})"
    )
    old = before(db, now)
    found = [number for (number,) in db.rows(sql, old, json.dumps(some), keeper(db))] if old else some
    return found, some[-1] if some else None


def miss(db: Database, numbers: Sequence[int]) -> None:
    """What was let go of, by number, is missing: everybody is asked for it."""
    gone = "FROM let_go WHERE entry IN (SELECT value FROM json_each(?))"
    some = json.dumps(list(numbers))
    db.run(
        f"INSERT OR IGNORE INTO headers_alone (entry, terminal) SELECT entry, {RETURNS} {gone}",
        some,
    )
    db.run(f"DELETE {gone}", some)


def lose(db: Database, ids: Sequence[bytes]) -> tuple[list[bytes], list[int]]:
    """The keeper does not hold these entries: what was let go of is missing.

    Returns the contacts of that, and the numbers of those whose bodies are held here.
    """
    found = db.rows(
        "SELECT e.number, ifnull(c.contact, x''), b.entry IS NOT NULL, g.entry IS NOT NULL"
        f" FROM entries AS e {_CONVERSATION} LEFT JOIN bodies AS b ON b.entry = e.number"
        f" LEFT JOIN let_go AS g ON g.entry = e.number WHERE {_among(ids)}",
        *ids,
    )
    miss(db, [number for number, _, _, gone in found if gone])
    contacts = {contact for _, contact, _, gone in found if gone}
    return sorted(contacts), [number for number, _, here, _ in found if here]


# --- What the keeper says ---

_WHOLE: Final = (int(files.Standing.WHOLE), int(files.Standing.WITHHELD))


def held_among(db: Database, conversation: bytes, ids: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Those of some entries whose bodies this keeper holds, and the others; ascending. Nothing of another.

    A file is one of the first only if all of it is here: who lets go of it deletes its own.
    """
    held = (
        "SELECT e.id FROM entries AS e JOIN bodies AS b ON b.entry = e.number"
        " JOIN conversations AS c ON c.number = e.conversation AND c.id = ?"
        f" WHERE {_among(ids)} AND (e.kind != {KIND_FILE} OR EXISTS ("
        f"SELECT 1 FROM files AS f WHERE f.entry = e.number AND f.state IN {_WHOLE})) ORDER BY e.id"
    )
    if not is_keeper(db):
        return [], []
    found = [entry for (entry,) in db.rows(held, conversation, *ids)]
    return found, sorted(set(ids).difference(found))


def count(db: Database, conversation: bytes | None = None) -> int:
    """How many texts, of a conversation or of all, are not here because this terminal let go of them."""
    of_texts = (
        f"SELECT count(*) FROM let_go JOIN entries ON number = entry AND kind = {KIND_TEXT}"
        " WHERE ?1 IS NULL OR conversation = (SELECT number FROM conversations WHERE id = ?1)"
    )
    return int(db.value(of_texts, conversation))


def _among(ids: Collection[bytes]) -> str:
    """At most RECEIPT_IDS_MAX of them: a message names no more."""
    return f"e.id IN ({','.join('?' * len(ids))})"
