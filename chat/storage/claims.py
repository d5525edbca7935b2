"""Claims: entries that are said to be this person's own, as nothing shows that they are (SPEC §11.2).

A contact who got a former self key could invent them, and so could a thief of an own terminal. They are kept,
and shown as claims. None has an effect, is in the outbox or is passed on to the contact. One that no own
terminal has passed is not linked with other entries either: it has no edges, and is no tip and no head. So a
contact can neither move nor hide what this person wrote, and own terminals agree, whatever it claims to each
of them.

A signature makes one an own entry, and so does an own entry of its author that follows it, or the newest
self key where the contact passed it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Final

from msgspec.structs import replace

from chat.storage import amendments, entries, keys, ordering, persons, quarantine, signatures
from chat.storage.database import Database, Row
from chat.storage.entries import BY_OWN, Stored, check_header
from chat.storage.expiry import Moment
from protocol.entries_and_receipts import ParsedEntry, is_own, parse_entry, sign_entry, take_entry
from protocol.limits import CUT_HEADS_MAX
from protocol.messages import ENTRY_HEADER, CutHead, Entry, Head

CLAIMS_MAX: Final = 4_096
"""Claims of one contact that are kept. The contact alone fills it, and its later ones are passed over."""

PIECE: Final = 16
"""Claims that one piece of work tries all self keys on: some milliseconds, for which users wait."""

ENDS_READ: Final = 4
"""Last claims of each author among which the ends are looked for: as many as heads are named."""


def insert_all(
    db: Database,
    new: Sequence[ParsedEntry],
    own_terminal: bytes,
    *,
    contact: bytes,
    stored: int,
    ours: Collection[bytes],
    by: int,
    moment: Moment | None,
    carrier: bytes = b"",
) -> tuple[list[Stored], set[bytes]]:
    """Insert claims of one conversation in their order; returns what is new, and the ids of those held now.

    `by`: BY_CONTACT or BY_OWN, who passed them. Else as `chat.storage.entries.insert_all`. What is held may
    lack its body, which is filled.
    """
    room = CLAIMS_MAX - _unknown(db, new[0].header.conversation)
    held_keys = keys.self_keys(db)
    opens = {entry.id: is_own(entry.header, held_keys) for entry in new}
    fresh, again, held = list[ParsedEntry](), list[ParsedEntry](), set[bytes]()
    in_it = (
        "SELECT number FROM entries WHERE id = ?"
        " AND conversation = (SELECT number FROM conversations WHERE id = ?)"
    )
    for entry in new:
        if (number := db.value(in_it, entry.id, entry.header.conversation)) is not None:
            held.add(entry.id)
            again.append(entry)
            if by == BY_OWN:
                _pass(db, number)
            else:
                db.run("UPDATE claims SET carried = 1, due = 1 WHERE entry = ? AND NOT carried", number)
        elif by == BY_OWN or opens[entry.id] or room > 0:
            room -= not opens[entry.id]
            fresh.append(entry)
            held.add(entry.id)
    others = partial(
        entries.insert_all,
        db,
        contact=contact,
        stored=stored,
        carrier=carrier,
        ours=ours,
        moment=moment,
    )
    found = [*others(again, own_terminal, claimed=by), *others(fresh, own_terminal, claimed=by)]
    if by == BY_OWN:
        bare = [db.value(in_it, entry.id, entry.header.conversation) for entry in new]
        signatures.lack(db, filter(None, bare), persons.terminal_number(db, carrier) if carrier else 0)
    marked = [(one.number,) for one in found if opens[one.entry.id]]
    db.run_many("UPDATE claims SET opens = 1 WHERE entry = ?", marked)
    return found, held


def _pass(db: Database, number: int) -> None:
    """An own terminal passed what was the contact's claim alone: own terminals compare it from now on."""
    if db.run("UPDATE claims SET own = 1 WHERE entry = ? AND NOT own", number):
        _, _, *row = _row(db, number)
        _link(db, *row)
        quarantine.mark(db, row[2])


def count(db: Database, conversation: bytes) -> int:
    """How many claims of the contact of a conversation are kept that no own terminal has passed."""
    kept = (
        "SELECT count(*) FROM claims WHERE NOT own"
        " AND conversation = (SELECT number FROM conversations WHERE id = ?)"
    )
    return int(db.value(kept, conversation))


def _unknown(db: Database, conversation: bytes) -> int:
    """How many of these are under no self key that is held. The contact makes any number of such."""
    kept = (
        "SELECT count(*) FROM claims WHERE NOT own AND NOT opens"
        " AND conversation = (SELECT number FROM conversations WHERE id = ?)"
    )
    return int(db.value(kept, conversation))


def ends(db: Database, conversation: bytes) -> list[Head]:
    """The last claims of the contact, of each author, that no other one of these follows."""
    last = (
        "SELECT terminal, sequence, id, header FROM (SELECT t.terminal, e.sequence, e.id, e.header,"
        " row_number() OVER (PARTITION BY e.author ORDER BY e.sequence DESC, e.id DESC) AS place"
        " FROM claims AS k JOIN entries AS e ON e.number = k.entry JOIN terminals AS t ON t.number = e.author"
        " WHERE NOT k.own AND k.conversation = (SELECT number FROM conversations WHERE id = ?))"
        " WHERE place <= ?"
    )
    rows = db.rows(last, conversation, ENDS_READ)
    followed = {ENTRY_HEADER.decode(header).previous for *_, header in rows}
    return [Head(author, sequence, entry) for author, sequence, entry, _ in rows if entry not in followed]


def cut_heads(db: Database, conversation: bytes, terminal: bytes) -> list[CutHead]:
    """The ends of all that is held of a removed terminal (id), ascending; the last CUT_HEADS_MAX of them.

    What the contact alone has of it is among them where it is under a self key that is held: it is a claim
    only because the removal renewed that key. What a terminal took is not: a thief's may
    be removed later.
    """
    last = (
        "SELECT e.id FROM claims AS k JOIN entries AS e ON e.number = k.entry"
        " JOIN terminals AS t ON t.number = e.author JOIN conversations AS c ON c.number = k.conversation"
        " WHERE NOT k.own AND k.opens AND c.id = ? AND t.terminal = ?"
        " ORDER BY e.sequence DESC, e.id DESC LIMIT ?"
    )
    found = {one.id for one in quarantine.held(db, conversation, terminal)}
    found |= {entry for (entry,) in db.rows(last, conversation, terminal, CUT_HEADS_MAX)}
    ends, followed = dict[bytes, CutHead](), set[bytes]()
    for entry in found:
        while (row := db.row(_HELD, entry)) is not None:
            incarnation, sequence, taken, header = row
            before = ENTRY_HEADER.decode(header).previous
            if not taken:
                ends[entry] = CutHead(incarnation, sequence, entry)
                followed.add(before)
                break
            entry = before
    left = [end for entry, end in ends.items() if entry not in followed]
    return sorted(left, key=lambda end: (end.sequence, end.id))[-CUT_HEADS_MAX:]


_HELD: Final = (
    "SELECT e.incarnation, e.sequence, EXISTS (SELECT 1 FROM signatures AS s"
    " WHERE s.entry = e.number AND s.taken), e.header FROM entries AS e WHERE e.id = ?"
)


# --- What makes one an own entry ---

_COUNTS: Final = (
    "c.author = e.author AND c.number NOT IN (SELECT entry FROM claims)"
    f" AND NOT EXISTS (SELECT 1 FROM {quarantine.QUARANTINED} WHERE q.entry = c.number)"
)
_FOLLOWED: Final = (
    "EXISTS (SELECT 1 FROM entries AS e JOIN missing AS m ON m.conversation = e.conversation"
    f" AND m.parent = e.id AND m.chain JOIN entries AS c ON c.number = m.child AND {_COUNTS}"
    " WHERE e.number = {0})"
    " OR EXISTS (SELECT 1 FROM entries AS e JOIN edges AS d ON d.parent = e.number AND d.chain"
    f" JOIN entries AS c ON c.number = d.child AND {_COUNTS} WHERE e.number = {{0}})"
)
"""Whether an own entry of the same author that counts names the claim as the one before it."""


def settle_next(db: Database, known: int, newest: Sequence[bytes]) -> bool:
    """Decide about a piece of the claims that are due, if all self keys are `known`; whether any was.

    `newest`: the self key that shows whose words a contact passes, none where it is not held.
    """
    due = [
        number for (number,) in db.rows("SELECT entry FROM claims WHERE due ORDER BY entry LIMIT ?", PIECE)
    ]
    if not due:
        return False
    held = keys.self_keys(db)
    if len(held) != known:
        return False
    for number in due:
        own, carried, *row = _row(db, number)
        header = ENTRY_HEADER.decode(row[-1])
        if (carried and is_own(header, newest)) or db.value(_SHOWN, number):
            _stand(db, own, *row)
        else:
            opens = is_own(header, held)
            db.run("UPDATE claims SET due = 0, opens = ? WHERE entry = ?", int(opens), number)
    return True


_SHOWN: Final = f"SELECT EXISTS (SELECT 1 FROM signatures WHERE entry = ?1) OR {_FOLLOWED.format('?1')}"
"""Whether something but a self key shows that this person wrote a claim."""


TAKEN_AT_ONCE: Final = 128
"""Claims that one piece of work signs: some milliseconds, for which users wait."""

_TAKEABLE: Final = (
    " FROM claims AS k JOIN entries AS e ON e.number = k.entry JOIN terminals AS t ON t.number = e.author"
    " WHERE k.opens AND k.conversation = (SELECT number FROM conversations WHERE id = ?1)"
    " AND k.entry NOT IN (SELECT entry FROM signatures)"
    # What a live terminal wrote it signs itself: nobody writes in its name.
    " AND (t.terminal = ?2 OR NOT EXISTS (SELECT 1 FROM person_terminals AS p WHERE p.terminal = e.author"
    " AND p.live AND p.person IN (SELECT person FROM own)))"
)


def take(db: Database, conversation: bytes, terminal: bytes, seed: bytes) -> int:
    """Sign a piece of the claims of a conversation that are under a self key that is held.

    `terminal` (id) with its Ed25519 seed takes what others wrote that are live no more, and signs its own.
    Returns how many; `settle_next` must follow.
    """
    found = f"SELECT e.number, e.header, t.terminal{_TAKEABLE} LIMIT ?3"
    rows = db.rows(found, conversation, terminal, TAKEN_AT_ONCE)
    made = dict[int, ParsedEntry]()
    for number, header, author in rows:
        entry = parse_entry(Entry(header, b"", b""))
        if author == terminal:
            made[number] = sign_entry(entry, seed)
        else:
            made[number] = replace(entry, signed=take_entry(entry.id, terminal, seed))
    signatures.add(db, made)
    db.run_many("UPDATE claims SET due = 1 WHERE entry = ?", zip(made))
    return len(made)


def takeable(db: Database, conversation: bytes, terminal: bytes) -> int:
    """How many claims `take` would sign."""
    return int(db.value(f"SELECT count(*){_TAKEABLE}", conversation, terminal))


def _row(db: Database, number: int) -> Row:
    """Whether an own terminal, and the contact, passed a claim; number, id, conversation, author, header."""
    found = db.rows(
        "SELECT k.own, k.carried, e.number, e.id, e.conversation, e.author, e.header FROM claims AS k"
        " JOIN entries AS e ON e.number = k.entry WHERE k.entry = ?",
        number,
    )[0]
    check_header(db, found[3], found[6])
    return found


def _link(db: Database, number: int, entry: bytes, conversation: int, author: int, header: bytes) -> None:
    """Give it its place in the order, as if it had just come."""
    ordering.add(db, ordering.Node(number, conversation, author), entry, ENTRY_HEADER.decode(header))


def _stand(
    db: Database, own: int, number: int, entry: bytes, conversation: int, author: int, header: bytes
) -> None:
    """It is an entry of this person from now on, with all that it says and that is said of it."""
    db.run("DELETE FROM claims WHERE entry = ?", number)
    if not own:
        _link(db, number, entry, conversation, author, header)
    before = "UPDATE claims SET due = 1 WHERE entry = (SELECT number FROM entries WHERE id = ?)"
    db.run(before, ENTRY_HEADER.decode(header).previous)
    db.run("DELETE FROM quarantine WHERE entry = ?", number)
    live = (
        "SELECT EXISTS (SELECT 1 FROM person_terminals WHERE terminal = ? AND live"
        " AND person IN (SELECT person FROM own))"
    )
    if not db.value(live, author):
        quarantine.add(db, number)
    quarantine.follow_cuts(db, [number])
    amendments.covered(db, [number])
    amendments.wake(db, entry)
    quarantine.mark(db, conversation)
