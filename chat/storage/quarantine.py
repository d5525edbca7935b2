"""Which entries of removed terminals count, by cuts and by what was held before (SPEC §11.2).

Rules decide about the entries of a removed terminal in a conversation: one for each cut in force, and one for
what was held when the removal was learned, which decides where no cut is in force. The table `quarantine` has
what each rule leaves out. A rule can leave out, or let in, a whole history, so `settle_next` applies it in
pieces, from the newest entry on.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Final

from msgspec import Struct

from chat.storage import amendments
from chat.storage.contacts import NOTES, PAIRED
from chat.storage.database import Database
from chat.storage.removal import REMOVED
from protocol.entries_and_receipts import cut_body
from protocol.limits import CUT_HEADS_MAX, CUTS_MAX
from protocol.messages import ENTRY_HEADER, CutBody, CutHead

PIECE: Final = 256
"""Entries about which one piece of work on the disk decides: some milliseconds, for which users wait."""

QUARANTINED: Final = (
    "quarantine AS q JOIN rules AS r ON r.number = q.rule AND r.decides"
    " AND NOT EXISTS (SELECT 1 FROM signatures AS s JOIN person_terminals AS p ON p.terminal = s.terminal"
    " AND p.live AND p.person = (SELECT person FROM own WHERE id = 1) WHERE s.entry = q.entry AND s.taken)"
)
"""The entries `q.entry` that do not count. What a live terminal of this person took does."""

_ID: Final = 32
_NO_CUT: Final = 0
"""Stands in for the cut of the rule for what was held before."""
_NOTHING: Final = 0
"""Stands in for the last entry to which a rule is applied."""


class _Rule(Struct, frozen=True):
    """`settled`: the entry (number) down to which it is applied, None if it is applied to all."""

    number: int
    conversation: int
    author: int
    cut: int
    settled: int | None
    heads: frozenset[bytes]


def add(db: Database, number: int) -> bool:
    """Decide about an entry of a removed author that was just stored; whether it is quarantined.

    What it leads to may count from now on. The work is a few rows per rule, and a piece of what is let in.
    """
    conversation, author, entry, sequence, header = db.rows(
        "SELECT conversation, author, id, sequence, header FROM entries WHERE number = ?", number
    )[0]
    rules = _rules(db, conversation, author) or _follow(db, conversation, author, is_live=False)
    previous = ENTRY_HEADER.decode(header).previous
    for rule in rules:
        if _counts(db, rule, number, entry):
            _let_in(db, rule, sequence, previous)
        else:
            _leave_out(db, rule, number)
    return is_apart(db, number)


def is_apart(db: Database, number: int) -> bool:
    """Whether an entry, by number, is quarantined."""
    return bool(db.value(f"SELECT EXISTS (SELECT 1 FROM {QUARANTINED} WHERE q.entry = ?)", number))


def add_cut(db: Database, number: int, conversation: int, cut: CutBody) -> None:
    """Store what the cut with this entry number says, and let it decide if it is in force."""
    heads = b"".join(head.id for head in cut.heads)
    db.run(
        "INSERT OR REPLACE INTO cuts (entry, terminal, conversation, author, sequence, id, heads)"
        " SELECT number, ?, conversation, author, sequence, id, ? FROM entries WHERE number = ?",
        *(cut.terminal, heads, number),
    )
    author = db.value("SELECT number FROM terminals WHERE terminal = ?", cut.terminal)
    if author is not None:
        _follow(db, conversation, author)


def follow_cuts(db: Database, numbers: Iterable[int]) -> None:
    """Decide again about the entries of terminals that the cuts among these entries name."""
    named = (
        "SELECT DISTINCT k.conversation, t.number FROM cuts AS k"
        " JOIN terminals AS t ON t.terminal = k.terminal"
        " WHERE k.entry IN (SELECT value FROM json_each(?)) ORDER BY 1, 2"
    )
    for conversation, author in db.rows(named, json.dumps(list(numbers))):
        _follow(db, conversation, author)


def follow_log(db: Database, person: bytes) -> None:
    """Decide again about the entries of a person's terminals, of which others may be live now."""
    affected = db.rows(
        "SELECT c.number, p.terminal FROM conversations AS c JOIN person_terminals AS p"
        " ON p.person = ?1 AND NOT p.live WHERE (c.contact = ?1 OR ?1 IN (SELECT person FROM own))"
        f" AND c.number NOT IN {REMOVED}"
        " AND EXISTS (SELECT 1 FROM entries WHERE conversation = c.number AND author = p.terminal)"
        " UNION SELECT conversation, author FROM rules WHERE NOT over"
        f" AND conversation NOT IN {REMOVED}"
        " AND author IN (SELECT terminal FROM person_terminals WHERE person = ?1)",
        person,
    )
    for conversation, author in affected:
        _follow(db, conversation, author)
    taken = (
        # The index of what was taken first: few entries were.
        "SELECT DISTINCT e.conversation FROM signatures AS s CROSS JOIN person_terminals AS p"
        " ON p.terminal = s.terminal AND p.person = ? AND NOT p.live CROSS JOIN entries AS e"
        " ON e.number = s.entry WHERE s.taken"
    )
    for (conversation,) in db.rows(taken, person):
        mark(db, conversation)


class DueCut(Struct, frozen=True):
    """A cut that this terminal is to write. `body` is None until its conversation was compared."""

    conversation: bytes
    terminal: bytes
    body: bytes | None


_OWN_TALKS: Final = (
    f"(c.kind = {NOTES} OR c.contact IN (SELECT person FROM contacts WHERE state = '{PAIRED}'))"
    f" AND c.number NOT IN {REMOVED}"
)
"""Conversations with contacts, and the notes."""


def plan(db: Database, gone: Collection[bytes], *, stolen: bool, handed_over: bool) -> None:
    """Have cuts written of own terminals (ids), just before they are stored as live no more.

    One of them for each conversation: where they were `stolen` at what is held now, else at what is held once
    it was compared. Cuts of others end with their author: where it has `handed_over`, this terminal
    writes what they say again.
    """
    # A device that holds nothing would leave out all that its contacts and the other devices have.
    stolen = stolen and bool(db.value("SELECT EXISTS (SELECT 1 FROM entries)"))
    # One that had removed itself may be due at what a comparison brings, and turn out to be stolen.
    add = (
        "INSERT INTO cuts_due (conversation, terminal, body)"
        " SELECT ?, number, ? FROM terminals WHERE terminal = ?"
        " ON CONFLICT DO UPDATE SET body = coalesce(body, excluded.body)"
    )
    talks = db.rows(f"SELECT c.number, c.id FROM conversations AS c WHERE {_OWN_TALKS} ORDER BY c.number")
    for number, conversation in talks:
        for terminal in gone:
            body = cut_body(terminal, heads(db, conversation, terminal)) if stolen else None
            db.run(add, number, body, terminal)
    former = db.rows(
        "SELECT c.number, c.id, p.terminal, t.terminal FROM person_terminals AS p"
        " JOIN terminals AS t ON t.number = p.terminal CROSS JOIN conversations AS c"
        f" WHERE p.person IN (SELECT person FROM own) AND NOT p.live AND {_OWN_TALKS}"
        " AND (EXISTS (SELECT 1 FROM entries WHERE conversation = c.number AND author = p.terminal)"
        " OR EXISTS (SELECT 1 FROM cuts WHERE conversation = c.number AND terminal = t.terminal))"
        " ORDER BY 1, 3"
    )
    author = "SELECT t.terminal FROM cuts AS k JOIN terminals AS t ON t.number = k.author WHERE k.entry = ?"
    for number, conversation, cut, terminal in former:
        authors = {db.value(author, one) for one in _in_force(db, number, cut)}
        if not authors - set(gone):
            says = authors and handed_over
            body = cut_body(terminal, heads(db, conversation, terminal)) if says else None
            db.run(add, number, body, terminal)


def due(db: Database, terminal: bytes) -> list[DueCut]:
    """The cuts that this terminal (id) is to write. It writes none where one is in force, or once it was
    removed itself."""
    rows = db.rows(
        "SELECT c.id, t.terminal, d.body, c.number, t.number FROM cuts_due AS d"
        " JOIN terminals AS t ON t.number = d.terminal JOIN conversations AS c ON c.number = d.conversation"
        " JOIN person_terminals AS p ON p.terminal = d.terminal AND NOT p.live"
        " AND p.person IN (SELECT person FROM own)"
        " JOIN terminals AS mine ON mine.terminal = ?"
        " JOIN person_terminals AS me ON me.terminal = mine.number AND me.person = p.person AND me.live"
        f" WHERE {_OWN_TALKS} ORDER BY c.number, t.number",
        terminal,
    )
    return [DueCut(*row) for *row, number, author in rows if not _in_force(db, number, author)]


def written(db: Database, conversation: bytes, terminal: bytes) -> None:
    """The cut of a terminal in a conversation (ids) is due no more."""
    db.run(
        "DELETE FROM cuts_due WHERE conversation = (SELECT number FROM conversations WHERE id = ?)"
        " AND terminal = (SELECT number FROM terminals WHERE terminal = ?)",
        *(conversation, terminal),
    )


def held(db: Database, conversation: bytes, terminal: bytes) -> list[CutHead]:
    """The ends of all that is held of a terminal, ascending; of more than CUT_HEADS_MAX the highest."""
    found = db.rows(
        "SELECT e.incarnation, e.sequence, e.id FROM heads AS h JOIN entries AS e ON e.number = h.entry"
        " JOIN conversations AS c ON c.number = h.conversation JOIN terminals AS t ON t.number = e.author"
        " WHERE c.id = ? AND t.terminal = ? ORDER BY e.sequence, e.id",
        *(conversation, terminal),
    )
    return [CutHead(*row) for row in found][-CUT_HEADS_MAX:]


def heads(db: Database, conversation: bytes, terminal: bytes) -> list[CutHead]:
    """The ends of a terminal's counting chains, ascending; of more than CUT_HEADS_MAX the highest."""
    talk = db.value("SELECT number FROM conversations WHERE id = ?", conversation)
    author = db.value("SELECT number FROM terminals WHERE terminal = ?", terminal)
    for rule in _rules(db, talk, author):
        while rule.settled is not None:
            _settle(db, rule)
            rule = next(one for one in _rules(db, talk, author) if one.number == rule.number)
    followed = (
        "SELECT EXISTS (SELECT 1 FROM edges AS d WHERE d.parent = ? AND d.chain"
        f" AND NOT EXISTS (SELECT 1 FROM {QUARANTINED} WHERE q.entry = d.child))"
    )
    found, seen = list[CutHead](), set[bytes]()
    ends = _ends(db, talk, author)
    while ends:
        entry = ends.pop()
        row = db.row(
            "SELECT entries.number, incarnation, sequence, header,"
            f" EXISTS (SELECT 1 FROM {QUARANTINED} WHERE q.entry = entries.number)"
            " FROM entries WHERE id = ? AND conversation = ? AND author = ?",
            *(entry, talk, author),
        )
        if row is None or entry in seen:
            continue
        seen.add(entry)
        number, incarnation, sequence, header, quarantined = row
        if quarantined:
            ends.append(ENTRY_HEADER.decode(header).previous)
        elif not db.value(followed, number):
            found.append(CutHead(incarnation, sequence, entry))
    return sorted(found, key=lambda head: (head.sequence, head.id))[-CUT_HEADS_MAX:]


def _ends(db: Database, conversation: int, author: int) -> list[bytes]:
    rows = db.rows(
        "SELECT e.id FROM heads AS h JOIN entries AS e ON e.number = h.entry"
        " WHERE h.conversation = ? AND e.author = ?",
        *(conversation, author),
    )
    return [row[0] for row in rows]


_MAY_CUT: Final = (
    "({cut}.seniority IS NULL OR {cutter}.seniority < {cut}.seniority OR NOT EXISTS"
    " (SELECT 1 FROM person_terminals AS s WHERE s.person = {cutter}.person AND s.live"
    " AND s.seniority < {cut}.seniority))"
)


def _in_force(db: Database, conversation: int, author: int) -> list[int]:
    """The cuts of a removed author in a conversation: of each terminal its first, by the most senior ones."""
    # A live terminal may write any number of cuts: the index leads to its first one.
    first = (
        "(SELECT k.entry FROM cuts AS k WHERE k.conversation = ?2 AND k.author = a.terminal"
        " AND k.terminal = (SELECT terminal FROM terminals WHERE number = ?1)"
        # A thief of an own terminal could invent cuts in the contact's name.
        " AND k.entry NOT IN (SELECT entry FROM uncovered)"
        # So could the contact in this person's name.
        " AND k.entry NOT IN (SELECT entry FROM claims) ORDER BY k.sequence, k.id LIMIT 1)"
    )
    rows = db.rows(
        f"SELECT DISTINCT a.seniority, a.terminal, {first} AS cut FROM conversations AS c"
        " JOIN person_terminals AS a ON a.live"
        " AND (a.person = c.contact OR a.person IN (SELECT person FROM own))"
        " JOIN person_terminals AS p ON p.person = a.person AND p.terminal = ?1 AND NOT p.live"
        f" WHERE c.number = ?2 AND cut IS NOT NULL AND {_MAY_CUT.format(cutter='a', cut='p')}"
        " ORDER BY a.seniority, a.terminal LIMIT ?3",
        *(author, conversation, CUTS_MAX),
    )
    return [cut for _, _, cut in rows]


# --- Rules ---


def _follow(db: Database, conversation: int, author: int, *, is_live: bool | None = None) -> list[_Rule]:
    """Bring the rules for an author in a conversation in line with logs and cuts; returns them."""
    if is_live is None:
        live = (
            "SELECT EXISTS (SELECT 1 FROM person_terminals AS p JOIN conversations AS c ON c.number = ?"
            " WHERE p.terminal = ? AND p.live"
            " AND (p.person = c.contact OR p.person IN (SELECT person FROM own)))"
        )
        is_live = bool(db.value(live, conversation, author))
    asked = dict[int, bool]()
    if not is_live:
        cuts = _in_force(db, conversation, author)
        asked = {_NO_CUT: not cuts, **dict.fromkeys(cuts, True)}
    held = db.rows(
        "SELECT number, cut, decides FROM rules WHERE conversation = ? AND author = ? AND NOT over",
        *(conversation, author),
    )
    if asked == {cut: bool(decides) for _, cut, decides in held}:
        return _rules(db, conversation, author)
    for number, cut, _ in held:
        decides, over = int(asked.get(cut, False)), int(cut not in asked)
        change = "UPDATE rules SET decides = ?1, over = ?2 WHERE number = ?3 AND (decides, over) != (?1, ?2)"
        if db.run(change, decides, over, number) and _leaves_out(db, number):
            mark(db, conversation)
    for cut in asked.keys() - {cut for _, cut, _ in held}:
        db.run(
            "INSERT INTO rules (conversation, author, cut, decides, settled, over) VALUES (?, ?, ?, ?, ?, 0)",
            *(conversation, author, cut, int(asked[cut]), None if cut == _NO_CUT else _NOTHING),
        )
    return _rules(db, conversation, author)


_READ_RULES: Final = (
    "SELECT r.number, r.conversation, r.author, r.cut, r.settled, ifnull(k.heads, x'') FROM rules AS r"
    " LEFT JOIN cuts AS k ON k.entry = r.cut"
)


def _rules(db: Database, conversation: int, author: int) -> list[_Rule]:
    in_force = f"{_READ_RULES} WHERE r.conversation = ? AND r.author = ? AND NOT r.over"
    return [_rule(*row) for row in db.rows(in_force, conversation, author)]


def _rule(number: int, conversation: int, author: int, cut: int, settled: int | None, heads: bytes) -> _Rule:
    ids = frozenset(heads[start : start + _ID] for start in range(0, len(heads), _ID))
    return _Rule(number, conversation, author, cut, settled, ids)


def mark(db: Database, conversation: int) -> None:
    """Clients are to hear that other entries of a conversation are quarantined than before."""
    db.run("INSERT OR IGNORE INTO remarked (conversation) VALUES (?)", conversation)


def _counts(db: Database, rule: _Rule, number: int, entry: bytes) -> bool:
    """Whether a rule lets an entry in: it names it, or leads to it by the next one in its chain."""
    if entry in rule.heads:
        return True
    following = (
        "SELECT EXISTS (SELECT 1 FROM edges AS d WHERE d.parent = ? AND d.chain"
        " AND NOT EXISTS (SELECT 1 FROM quarantine WHERE entry = d.child AND rule = ?))"
    )
    return bool(db.value(following, number, rule.number))


def _leave_out(db: Database, rule: _Rule, number: int) -> bool:
    return bool(db.run("INSERT OR IGNORE INTO quarantine (entry, rule) VALUES (?, ?)", number, rule.number))


def _leaves_out(db: Database, rule: int) -> bool:
    return bool(db.value("SELECT EXISTS (SELECT 1 FROM quarantine WHERE rule = ?)", rule))


def _take_back(db: Database, rule: _Rule, number: int) -> bool:
    return bool(db.run("DELETE FROM quarantine WHERE entry = ? AND rule = ?", number, rule.number))


def _let_in(db: Database, rule: _Rule, sequence: int, previous: bytes) -> None:
    """What leads to an entry that counts does, too: a piece of it now, the rest with `settle_next`."""
    taken = 0
    for earlier in islice(_descent(db, sequence, previous), PIECE):
        # It ends at what counted before, and at what another author wrote, about which the rule says nothing.
        if not _take_back(db, rule, earlier):
            break
        taken += 1
        if taken == PIECE:
            # The place of _NOTHING, from which all is still due, is NULL, and no place is higher.
            higher = rule.settled is None or db.value(
                f"SELECT {_PLACE.format('?1')} < {_PLACE.format('?2')}", rule.settled, earlier
            )
            if higher:
                db.run("UPDATE rules SET settled = ? WHERE number = ?", earlier, rule.number)
    if taken:
        mark(db, rule.conversation)


_PLACE: Final = "(SELECT sequence, incarnation, number FROM entries WHERE number = {})"


def _descent(db: Database, sequence: int, previous: bytes) -> Iterator[int]:
    """The numbers of the held entries to which one leads by the one before it, the nearest first."""
    before = "SELECT number, sequence, header FROM entries WHERE id = ? AND sequence < ?"
    while previous:
        found = db.row(before, previous, sequence)
        if found is None:
            return
        number, sequence, header = found
        yield number
        previous = ENTRY_HEADER.decode(header).previous


# --- In pieces ---


def settle_next(db: Database, after: int) -> tuple[int | None, list[bytes]]:
    """Apply a piece of the next rule by number, in turn; returns its number, None if nothing is due.

    In turn, so that a contact whose entries many rules leave out delays no other one. Also returns the
    persons in whose conversations other entries are quarantined than clients know, this one for its notes.
    """
    due = (
        f"{_READ_RULES} WHERE (r.settled IS NOT NULL OR r.over) AND r.number {{}} ? ORDER BY r.number LIMIT 1"
    )
    found = db.row(due.format(">"), after) or db.row(due.format("<="), after)
    if found is not None:
        _settle(db, _rule(*found))
    changed = db.rows(
        "SELECT person FROM (SELECT ifnull(c.contact, (SELECT person FROM own)) AS person FROM remarked AS m"
        " JOIN conversations AS c ON c.number = m.conversation) WHERE person IS NOT NULL"
    )
    for (conversation,) in db.rows("SELECT conversation FROM remarked"):
        amendments.recount(db, conversation)
    db.run("DELETE FROM remarked")
    return (None if found is None else int(found[0])), [row[0] for row in changed]


def _settle(db: Database, rule: _Rule) -> None:
    if db.value("SELECT over FROM rules WHERE number = ?", rule.number):
        piece = "SELECT entry FROM quarantine WHERE rule = ?1 LIMIT ?2"
        gone = f"DELETE FROM quarantine WHERE rule = ?1 AND entry IN ({piece})"
        if db.run(gone, rule.number, PIECE) < PIECE:
            db.run("DELETE FROM rules WHERE number = ?", rule.number)
        return
    entries, changed = _before(db, rule), False
    for number, entry in entries:
        if _counts(db, rule, number, entry):
            changed |= _take_back(db, rule, number)
        elif rule.cut != _NO_CUT:
            changed |= _leave_out(db, rule, number)
    last = entries[-1][0] if len(entries) == PIECE else None
    if last is not None and _lets_in_all_before(db, rule, last):
        last = None
    db.run("UPDATE rules SET settled = ? WHERE number = ?", last, rule.number)
    # What is on the screen most likely changes with the first piece, and the rest is said at once.
    if changed if rule.settled == _NOTHING else last is None:
        mark(db, rule.conversation)


def _before(db: Database, rule: _Rule) -> list[tuple[int, bytes]]:
    """Number and id of the next entries to which a rule is to be applied."""
    below = "" if rule.settled == _NOTHING else f"AND (sequence, incarnation, number) < {_PLACE.format('?3')}"
    return [
        (number, entry)
        for number, entry in db.rows(
            f"SELECT number, id FROM entries WHERE conversation = ?1 AND author = ?2 {below}"
            " ORDER BY sequence DESC, incarnation DESC, number DESC LIMIT ?4",
            *(rule.conversation, rule.author, rule.settled, PIECE),
        )
    ]


def _lets_in_all_before(db: Database, rule: _Rule, last: int) -> bool:
    """Whether a rule lets in what is before an entry: it has left out none, and no other chain ends there."""
    ends = (
        "SELECT EXISTS (SELECT 1 FROM heads AS h JOIN entries AS e ON e.number = h.entry"
        " WHERE h.conversation = ? AND e.author = ?"
        f" AND (e.sequence, e.incarnation, e.number) < {_PLACE.format('?')})"
    )
    return not _leaves_out(db, rule.number) and not db.value(ends, rule.conversation, rule.author, last)
